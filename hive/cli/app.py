"""The whole command line: every command under its name, its mistakes told as hive tells all.

Only the module of the command that is asked for is loaded, and commands import what is heavy when
they run: most of the time a short command takes is that of loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Annotated, Any

import typer

from hive import __version__
from hive.cli.hot import ABOUT, COMMANDS
from hive.core.names import did_you_mean
from hive.errors import WrongInput

UNREADABLE = typer.BadParameter.__mro__[1]
"""Typer's class for every mistake in a command line; it has no public name."""

PLACES = {
    "init": "more.init",
    "check": "more.check",
    "schema": "more.schema",
    "deploy": "deploy.deploy",
    "status": "see.status",
    "monitor": "see.monitor",
    "why": "see.why",
    "logs": "see.logs",
    "events": "see.events",
    "attach": "see.attach",
    "replay": "replay.replay",
    "standup": "rhythm.standup",
    "checkins": "rhythm.checkins",
    "checkin": "rhythm.checkin",
    "send": "letters.send",
    "inbox": "letters.inbox",
    "approve": "letters.approve",
    "deny": "letters.deny",
    "answer": "letters.answer",
    "withdraw": "letters.withdraw",
    "handoff": "handoff.handoff",
    "notify list": "notify.notify_list",
    "notify test": "notify.notify_test",
    "task add": "tasks.add",
    "task list": "tasks.list_",
    "task show": "tasks.show",
    "task retry": "tasks.retry",
    "task cancel": "tasks.cancel",
    "task hold": "tasks.hold",
    "task release": "tasks.release",
    "task wait": "tasks.wait",
    "task dead": "tasks.dead",
    "workflow run": "workflows.run",
    "workflow show": "workflows.show",
    "workflow list": "workflows.list_",
    "workflow cancel": "workflows.cancel",
    "workflow resume": "workflows.resume",
    "workflow templates": "workflows.templates",
    "schedule add": "schedules.add",
    "schedule list": "schedules.list_",
    "schedule remove": "schedules.remove",
    "schedule pause": "schedules.pause",
    "schedule resume": "schedules.resume",
    "locks": "tasks.locks",
    "decide": "workflows.decide",
    "worktree list": "worktrees.list_",
    "worktree diff": "worktrees.diff",
    "worktree merge": "worktrees.merge",
    "worktree drop": "worktrees.drop",
    "finish": "worktrees.finish",
    "profile list": "profiles.profile_list",
    "profile show": "profiles.profile_show",
    "profile test": "trial.profile_test",
    "limits": "limits.limits",
    "limits set": "limits.limits_set",
    "limits advise": "limits.limits_advise",
    "start": "agents.start",
    "stop": "agents.stop",
    "restart": "agents.restart",
    "pause": "pause.pause",
    "resume": "pause.resume",
    "reset": "care.reset",
    "stop-all": "care.stop_all",
    "emergency-cleanup": "care.emergency_cleanup",
    "doctor": "care.doctor",
    "help": "more.help_page",
    "completion": "more.completion",
    "version": "more.version",
    "supervise": "care.supervise",
}
"""Where each command is: a module of `hive.cli`, and a function of it."""

EXAMPLES = {
    "init": "hive init --template solo",
    "check": "hive check --file teams/hive.toml",
    "schema": "hive schema > hive.schema.json",
    "deploy": "hive deploy --team frontend --dry-run",
    "status": "hive status frontend --json",
    "why": "hive why frontend/dev",
    "logs": "hive logs frontend/dev -n 50",
    "events": "hive events frontend -f",
    "attach": "hive attach frontend/pm",
    "replay": "hive replay frontend --from 02:00 --to 06:30",
    "standup": "hive standup backend --since 18:00",
    "checkins": "hive checkins frontend",
    "checkin": "hive checkin frontend/dev --ask",
    "send": 'hive send backend/dev "Please rebase" --wait',
    "inbox": "hive inbox",
    "approve": "hive approve A7",
    "deny": 'hive deny A7 "use the staging database"',
    "answer": 'hive answer Q8 "the second one"',
    "withdraw": "hive withdraw m-31",
    "handoff": 'hive handoff backend/dev frontend/dev --note "API is at :4000"',
    "notify list": "hive notify list",
    "notify test": "hive notify test",
    "task add": 'hive task add "Fix the bug" --team backend --priority high',
    "task list": "hive task list --state ready --team backend",
    "task show": "hive task show t-12",
    "task retry": 'hive task retry t-12 --why "the database is back"',
    "task cancel": "hive task cancel t-12 t-13",
    "task hold": "hive task hold t-12",
    "task release": "hive task release t-12",
    "task wait": "hive task wait t-12 --timeout 30m",
    "task dead": "hive task dead",
    "workflow run": "hive workflow run release --set version=1.2 --wait",
    "workflow show": "hive workflow show release --follow",
    "workflow list": "hive workflow list",
    "workflow cancel": "hive workflow cancel r-7",
    "workflow resume": "hive workflow resume r-7",
    "workflow templates": "hive workflow templates",
    "schedule add": 'hive schedule add nightly --cron "0 2 * * *" --workflow release',
    "schedule list": "hive schedule list",
    "schedule remove": "hive schedule remove nightly",
    "schedule pause": "hive schedule pause nightly",
    "schedule resume": "hive schedule resume nightly",
    "locks": "hive locks --json",
    "decide": 'hive decide "merge?" --voters reviewer --quorum 2/3',
    "worktree list": "hive worktree list",
    "worktree diff": "hive worktree diff backend/dev --stat",
    "worktree merge": 'hive worktree merge backend/dev --check "pytest -q"',
    "worktree drop": "hive worktree drop backend/dev",
    "finish": 'hive finish backend/dev --check "pytest -q"',
    "profile show": "hive profile show claude",
    "profile test": "hive profile test claude",
    "limits": "hive limits frontend",
    "limits set": "hive limits set frontend/dev --cpu 50% --memory 1GB",
    "limits advise": "hive limits advise --json",
    "start": "hive start frontend/dev",
    "stop": "hive stop frontend --no-wait",
    "restart": "hive restart frontend/dev-1 frontend/dev-2",
    "pause": 'hive pause frontend --why "a deploy"',
    "resume": "hive resume frontend",
    "help": "hive help json",
    "completion": "source <(hive completion bash)",
}


QUOTED = frozenset({"send", "deny", "answer", "task add", "decide"})
"""The commands whose last word is a text."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hive {__version__}")
        raise typer.Exit


def _top(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print hive's version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def build(names: Iterable[str] = PLACES) -> typer.Typer:
    """Build the command line with these commands; only their modules are loaded."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback(help=ABOUT)(_top)
    for name in names:
        about, hidden = COMMANDS.get(name), name not in COMMANDS
        app.command(name, help=about, epilog=_epilog(name), hidden=hidden)(function(name))
    return app


def function(name: str) -> Callable[..., None]:
    """Load what carries out a command."""
    module, _, what = PLACES[name].partition(".")
    found: Callable[..., None] = getattr(import_module(f"hive.cli.{module}"), what)
    return found


def _epilog(name: str) -> str | None:
    """Give an example of a command, and the commands that go on from it."""
    lines = [f"Example:  {EXAMPLES[name]}"] if name in EXAMPLES else []
    lines += [f"See also:  hive {one}" for one in PLACES if one.startswith(f"{name} ")]
    return "\n\n".join(lines) or None


def run(words: list[str]) -> int:
    """Carry out a command line and give the exit code; raises HiveError."""
    words = joined(words)
    names = words[:1] if words[0] in PLACES else PLACES
    try:
        code = build(names)(args=words, prog_name="hive", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit as end:  # how Typer ends when the reader of its output went away
        return int(end.code or 0)
    except Exception as error:
        if not isinstance(error, UNREADABLE):
            raise
        raise _mistake(error) from None
    return code if isinstance(code, int) else 0


def joined(words: list[str]) -> list[str]:
    """Give the words of a command line with a command of two words, as `limits set`, in one.

    After `--` a word is a name: `hive limits -- set` is about the team `set`.
    """
    before = words[: words.index("--")] if "--" in words else words
    plain = [word for word in before if not word.startswith("-")][:2]
    command = " ".join(plain)
    if len(plain) < 2 or command not in PLACES:
        _refuse_half(plain)
        return words
    rest = list(words)
    for word in plain:
        rest.remove(word)
    return [command, *rest]


def _refuse_half(plain: list[str]) -> None:
    """Raise WrongInput where a first word needs a second one that is not there."""
    known = [one.split()[1] for one in PLACES if plain and one.startswith(f"{plain[0]} ")]
    if not known or plain[0] in PLACES:
        return
    if len(plain) < 2:
        what = f"`hive {plain[0]}` needs a second word"
    else:
        what = f"no such command `{plain[0]} {plain[1]}`{did_you_mean(plain[1], known)}"
    raise WrongInput(what, fix=f"hive {plain[0]} {'|'.join(known)}")


def _mistake(error: Any) -> WrongInput:
    """Tell a mistake in the command line as hive tells every mistake."""
    text = str(error.format_message()).strip().rstrip(".").replace("'", "`")
    where = error.ctx.command_path if error.ctx else "hive"
    fix, name = f"{where} --help", where.removeprefix("hive ")
    if "extra argument" in text and name in QUOTED:
        fix = f"put the text into quotes: {EXAMPLES[name]}"
    return WrongInput(text[:1].lower() + text[1:], fix=fix)
