"""The front door: what agents and shells ask all day is answered with the standard library only.

A few verbs, in their plain form, go straight over the supervisor's socket. Everything else, and
everything while no supervisor runs, is left to the whole command line in `app`.
"""

from __future__ import annotations

import os

from hive import __version__
from hive.cli import output

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SECTIONS = {
    "Begin": {
        "init": "Write a hive.toml to start from.",
        "check": "Read hive.toml and tell every mistake in it.",
        "schema": "Print the JSON Schema of hive.toml, for editors.",
        "deploy": "Make what runs equal to hive.toml.",
    },
    "See": {
        "status": "Tell what each agent is, and why.",
        "monitor": "Show everything on one screen, as it changes.",
        "why": "Tell all of an agent, message or task, and what is next.",
        "logs": "Print what an agent's window shows, or last showed.",
        "events": "Print what happened, oldest first.",
        "attach": "Go to an agent's window, or to a team's session.",
        "replay": "Tell in order what happened, with screens at key moments.",
        "standup": "Tell what each team did, does, waits for, does next.",
        "checkins": "Tell how agents get on, by their latest check-ins.",
        "checkin": "Look now how one agent gets on, and tell all of it.",
    },
    "Talk": {
        "send": "Give agents a message, and say how far it is.",
        "inbox": "Tell what waits for a person, and how to answer it.",
        "approve": "Allow exactly what an agent asks to do.",
        "deny": "Refuse what an agent asks to do, and say why.",
        "answer": "Answer an agent's question.",
        "withdraw": "Take back a message that was not typed yet.",
        "handoff": "Give agents what another one has done, as facts.",
        "notify list": "Tell what people were told lately.",
        "notify test": "Tell a test in every way, and what came of each.",
    },
    "Work": {
        "task add": "Add a task, a command, or a file of them, to the queue.",
        "task list": "List tasks: what is not over, or what is asked for.",
        "task show": "Tell all that is known of a task.",
        "task retry": "Begin tasks anew that are over.",
        "task cancel": "End tasks undone.",
        "task hold": "Keep tasks back until they are released.",
        "task release": "Let held tasks go on.",
        "task wait": "Wait until tasks are over.",
        "task dead": "List the tasks that were given up, and why each.",
        "workflow run": "Begin a workflow.",
        "workflow show": "Show a run's phases and tasks, also as it goes on.",
        "workflow list": "List the runs of workflows.",
        "workflow cancel": "End a run.",
        "workflow resume": "Go on with a run that failed; what is done stays done.",
        "workflow templates": "List the workflows that can be run.",
        "schedule add": "Have a workflow run by the clock.",
        "schedule list": "List which workflows run by the clock, and when next.",
        "schedule remove": "Forget a schedule.",
        "schedule pause": "Have a schedule begin nothing until it is resumed.",
        "schedule resume": "Have a paused schedule go on.",
        "locks": "Tell which locks are held, and who waits for whom.",
        "decide": "Ask agents for a decision, and count their votes.",
    },
    "Worktrees": {
        "worktree list": "Tell which worktrees there are, and what is in each.",
        "worktree diff": "Show what an agent has changed in its worktree.",
        "worktree merge": "Merge an agent's work back, if it is clean and fits.",
        "worktree drop": "Remove a worktree of which nothing would be lost.",
        "finish": "Merge an agent's work back, then tidy up.",
    },
    "Profiles": {
        "profile list": "Tell which agent programs hive knows, and which are here.",
        "profile show": "Print a profile, and where it comes from.",
        "profile test": "Start a program and tell which of its signals work here.",
    },
    "Limit": {
        "limits": "Tell what agents use, what they may, and what hive does.",
        "limits set": "Change limits at once; `none` takes one away.",
        "limits advise": "Tell which limits would suit what agents were seen to use.",
    },
    "Change": {
        "start": "Start agents or teams that are down or were given up.",
        "stop": "End agents or teams gracefully, until they are started.",
        "restart": "End agents or teams and start them anew.",
        "pause": "Give agents nothing more, and freeze them.",
        "resume": "Let paused agents go on, and have what waited.",
    },
    "Care": {
        "reset": "Forget deaths and quarantines; history is kept.",
        "stop-all": "End every agent of every team on this machine.",
        "emergency-cleanup": "End by force all that hive started here, and look again.",
        "doctor": "Look for what could keep hive from working here.",
    },
    "More": {
        "help": "Read a page about a topic.",
        "completion": "Print the script that teaches TAB hive's words.",
        "version": "Print hive's version.",
    },
}
"""Every command that people type, with its one line of help, in the order of `hive --help`."""

SPOKEN = {
    "report": "Say how you are: working, blocked or done.",
    "ask": "Ask a person.",
    "task": "Get what you are to do next, show it, say how it went.",
    "lock": "Take a lock that one agent at a time has.",
    "unlock": "Give a lock back.",
    "worker": "Run commands one by one, as they are sent.",
    "mcp": "Serve hive's tools to an agent, or to another MCP client.",
}
"""What agents type, or their programs, from inside their windows."""

ABOUT = "Run teams of agents in tmux from one file, and always know why."

COMMANDS = {name: line for section in SECTIONS.values() for name, line in section.items()}

EVENTS = 50
"""How many events are printed where nobody says how many."""

OPEN = ("waiting", "ready", "leased", "failed", "held")
"""The states of a task that is not over."""

TASKS = 50
"""How many tasks are listed where nobody says how many."""

LINES = 200
"""How many lines of a window are printed where nobody says how many."""


def run(words: list[str]) -> int:
    """Carry out a command line (without the program's name) and give the exit code."""
    return output.guarded(lambda: _run(words or ["--help"]), json_too=output.wants_json(words))


def overview() -> str:
    """Give what `hive --help` says."""
    lines = ["Usage: hive COMMAND [WORD]...", "", f"  {ABOUT}"]
    for title, commands in SECTIONS.items():
        lines += ["", f"{title}:", *(f"  {name:<18} {line}" for name, line in commands.items())]
    lines += ["", "From an agent's window:", *(f"  {one:<18} {SPOKEN[one]}" for one in SPOKEN)]
    lines += ["", "hive COMMAND --help tells more of a command, hive help lists the pages to read."]
    return "\n".join(lines)


def _run(words: list[str]) -> int:
    code = quick(words)
    if code is not None:
        return code
    from hive.cli import app

    return app.run(words)


def quick(words: list[str]) -> int | None:
    """Answer a hot verb in its plain form; None where the whole command line is needed."""
    verb, *rest = words
    if words in (["--help"], ["-h"]):
        print(overview())
        return 0
    if words in (["--version"], ["version"]):
        print(f"hive {__version__}")
        return 0
    if verb in _OTHERS:
        return _OTHERS[verb](rest)
    args = _plain(verb, rest)
    return None if args is None else _asked(verb, args)


def _complete(words: list[str]) -> int:
    from hive.cli import complete

    return complete.run(words)


def _hook(words: list[str]) -> int:
    from hive.cli import hook

    return hook.run(words)


def _worker(words: list[str]) -> int:
    from hive.cli import worker

    return worker.run(words)


def _supervise(words: list[str]) -> int | None:
    """Be the supervisor that the guard watches over; None for what a person starts by hand."""
    if words != ["--worker"]:
        return None
    from hive.adapters.state import locate
    from hive.supervisor import run as supervise

    state = locate(os.environ)
    state.prepare()
    return supervise(state.root)


def _mcp(words: list[str]) -> int:
    from hive.serve import mcp

    return mcp.run(words)


def _send(words: list[str]) -> int | None:
    from hive.cli import voices

    return voices.agent_send(words)


def _handoff(words: list[str]) -> int | None:
    from hive.cli import voices

    return voices.agent_handoff(words)


def _task(words: list[str]) -> int | None:
    """Do what an agent says of its own task; None for what a person says of all of them."""
    from hive.cli import voices

    if words in (["list"], ["list", "--json"]):
        return _listed(json=len(words) > 1)
    word = next((one for one in words if not one.startswith("-")), "")
    agent = os.environ.get("HIVE_AGENT")
    if voices.is_mine(words, os.environ) or (agent and f"task {word}" not in COMMANDS):
        return voices.run("task", words)
    if word or not {"--help", "-h"} & set(words):
        return None
    print("For people:", *_lines_of("task "), "", "From an agent's window:", "", sep="\n")
    return voices.run("task", words)


def _listed(*, json: bool) -> int | None:
    """List the tasks that are not over, as `hive task list` does without any option."""
    record = _answer("tasks", {"states": list(OPEN), "limit": TASKS})
    if record is None:
        return None
    if json:
        output.as_json(record)
        return 0
    import time

    from hive import screen_tasks

    output.show(screen_tasks.listing(record, time.time()), whole=True)
    tell_more(record["tasks"], TASKS)
    return 0


def tell_more(listed: list[Any], limit: int) -> None:
    """Say how to see more, where a list of tasks is as long as it may be."""
    if len(listed) >= limit:
        output.note(f"there may be more: --after {listed[-1]['task']}, or --limit")


def _lines_of(start: str) -> list[str]:
    return [f"  {name:<18} {line}" for name, line in COMMANDS.items() if name.startswith(start)]


def _spoken(verb: str) -> Callable[[list[str]], int]:
    def run(words: list[str]) -> int:
        from hive.cli import voices

        return voices.run(verb, words)

    return run


_OTHERS: dict[str, Callable[[list[str]], int | None]] = {
    "complete": _complete,
    "hook": _hook,
    "worker": _worker,
    "mcp": _mcp,
    "supervise": _supervise,
    "send": _send,
    "handoff": _handoff,
    "task": _task,
    **{verb: _spoken(verb) for verb in ("report", "ask", "lock", "unlock")},
}
"""What has a command line of its own; None from it: the whole command line is needed."""


def _plain(verb: str, rest: list[str]) -> dict[str, Any] | None:
    """Give a verb's arguments where the words are names and `--json` only."""
    names = [word for word in rest if not word.startswith("-")]
    flags = [word for word in rest if word.startswith("-")]
    return _HOT[verb](names) if verb in _HOT and flags == ["--json"] else None


def _one(names: list[str]) -> dict[str, Any] | None:
    """Give the argument of `why`, where it is an agent: messages, tasks … are told apart."""
    name = names[0] if len(names) == 1 else ""
    letter = name[:1] in "mMaAqQtTrR" and name[1:].lstrip("-").isdigit()
    return None if not name or letter else {"name": name}


def _whose(names: list[str]) -> dict[str, Any] | None:
    """Give the argument of `limits`, where it is not the first word of another command."""
    return None if f"limits {names[0] if names else ''}" in COMMANDS else {"names": names}


def _lines(names: list[str]) -> dict[str, Any] | None:
    return {"name": names[0], "lines": LINES} if len(names) == 1 else None


PATIENCE = 5.0
"""Seconds a supervisor gets before the long way is taken, which can do without one."""

_HOT: dict[str, Callable[[list[str]], dict[str, Any] | None]] = {
    "status": lambda names: {"names": names},
    "why": _one,
    "logs": _lines,
    "limits": _whose,
    "events": lambda names: {"names": names, "after": 0, "limit": EVENTS, "newest": True},
}


def _asked(verb: str, args: dict[str, Any]) -> int | None:
    answer = _answer(verb, args)
    if answer is None:
        return None
    output.as_json(answer)
    return 0


def _answer(verb: str, args: dict[str, Any]) -> Any:
    """Ask the supervisor; None where none answers."""
    from hive.adapters.channel import Unreachable, ask
    from hive.adapters.state import locate
    from hive.errors import TimedOut

    try:
        return ask(str(locate(os.environ).socket), verb, args, timeout=PATIENCE)
    except (Unreachable, TimedOut):
        return None
