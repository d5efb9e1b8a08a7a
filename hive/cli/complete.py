"""What TAB offers: commands, options, and the names of agents that the supervisor knows.

`hive complete SHELL -- WORD…` prints one candidate a line for the last word, with its meaning
where the shell shows one. With the standard library only: a person waits for it.
"""

from __future__ import annotations

import os

from hive.cli.hot import COMMANDS, OPEN
from hive.core.wording import clean
from hive.errors import HiveError

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

OPTIONS = {
    "init": ("--template", "--force", "--json"),
    "check": ("--file", "--json"),
    "schema": ("--json",),
    "deploy": (
        "--file", "--dry-run", "--team", "--cpu-limit", "--memory", "--no-wait", "--timeout",
        "--json",
    ),
    "status": ("--json",),
    "monitor": ("--json",),
    "why": ("--json",),
    "logs": ("--follow", "--lines", "--json"),
    "events": ("--follow", "--lines", "--json"),
    "attach": ("--json",),
    "send": ("--file", "--team", "--all", "--wait", "--timeout", "--json"),
    "inbox": ("--json",),
    "approve": ("--json",),
    "deny": ("--json",),
    "answer": ("--json",),
    "withdraw": ("--json",),
    "replay": ("--from", "--to", "--no-screens", "--play", "--speed", "--lines", "--json"),
    "standup": ("--since", "--markdown", "--json"),
    "checkins": ("--lines", "--json"),
    "checkin": ("--ask", "--json"),
    "handoff": ("--note", "--task", "--list", "--limit", "--json"),
    "notify list": ("--json",),
    "notify test": ("--project", "--json"),
    "worktree list": ("--json",),
    "worktree diff": ("--stat", "--json"),
    "worktree merge": ("--into", "--check", "--timeout", "--no-wait", "--json"),
    "worktree drop": ("--force", "--yes", "--timeout", "--no-wait", "--json"),
    "finish": ("--into", "--check", "--keep", "--timeout", "--no-wait", "--json"),
    "task add": (
        "--run", "--file", "--team", "--role", "--agent", "--skill", "--priority", "--check",
        "--retries", "--timeout", "--needs", "--lock", "--key", "--cache", "--replicas", "--agree",
        "--judge", "--jury", "--batch-key", "--sticky", "--deadline", "--delay", "--hold", "--json",
    ),
    "task list": ("--state", "--team", "--run", "--agent", "--all", "--after", "--limit", "--json"),
    "task show": ("--json",),
    "task retry": ("--why", "--json"),
    "task cancel": ("--why", "--json"),
    "task hold": ("--why", "--json"),
    "task release": ("--why", "--json"),
    "task wait": ("--timeout", "--json"),
    "task dead": ("--limit", "--json"),
    "workflow run": ("--set", "--file", "--wait", "--timeout", "--json"),
    "workflow show": ("--follow", "--notes", "--json"),
    "workflow list": ("--limit", "--json"),
    "workflow cancel": ("--why", "--json"),
    "workflow resume": ("--json",),
    "workflow templates": ("--json",),
    "schedule add": (
        "--cron", "--workflow", "--zone", "--missed", "--set", "--file", "--json",
    ),
    "schedule list": ("--json",),
    "schedule remove": ("--json",),
    "schedule pause": ("--json",),
    "schedule resume": ("--json",),
    "locks": ("--json",),
    "decide": ("--voters", "--quorum", "--wait", "--timeout", "--json"),
    "profile list": ("--json",),
    "profile show": ("--json",),
    "profile test": ("--run", "--prompt", "--trust", "--timeout", "--json"),
    "limits": ("--json",),
    "limits set": (
        "--cpu", "--memory", "--memory-soft", "--max-age", "--processes", "--agents", "--reserve",
        "--json",
    ),
    "limits advise": ("--json",),
    "start": ("--no-wait", "--timeout", "--json"),
    "stop": ("--no-wait", "--timeout", "--json"),
    "restart": ("--no-wait", "--timeout", "--json"),
    "pause": ("--now", "--why", "--all", "--json"),
    "resume": ("--all", "--json"),
    "reset": ("--hard", "--yes", "--json"),
    "stop-all": ("--timeout", "--json"),
    "emergency-cleanup": ("--json",),
    "doctor": ("--json",),
    "help": ("--json",),
    "completion": (),
    "version": ("--json",),
}  # fmt: skip
"""The long options of every command."""

GROUPS = {
    "profile": "Agent programs: which there are, and how each is spoken to.",
    "task": "Work for agents: add it, see how far it is, change it.",
    "workflow": "Tasks in an order: run them, see how far they are.",
    "schedule": "Workflows that run by the clock.",
    "notify": "What people are told outside of hive.",
    "worktree": "Agents' own git worktrees: see them, merge them back, drop them.",
}
"""First words that are no command without a second one."""

TEMPLATES = ("demo", "pipeline", "solo", "web")
SHELLS = ("bash", "zsh", "fish")
FILES = frozenset({"-f", "--file"})
"""What is followed by a file: the shell completes those itself."""

_WITH_FILES = frozenset({"deploy", "check", "send", "task add", "workflow run", "schedule add"})

ANSWER = 1.0
"""Seconds that a person waits for names, at most."""

SCRIPTS = {
    "bash": """\
_hive() {
    local IFS=$'\\n'
    COMPREPLY=($(hive complete bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _hive hive
""",
    "zsh": """\
#compdef hive
_hive() {
    local -a found
    found=("${(@f)$(hive complete zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        _describe hive found
    else
        _files
    fi
}
if [[ "${funcstack[1]}" == _hive ]]; then
    _hive "$@"
else
    compdef _hive hive
fi
""",
    "fish": """\
function __hive_complete
    set -l words (commandline -opc)
    set -e words[1]
    hive complete fish -- $words (commandline -ct) 2>/dev/null
end
complete -c hive -f -a '(__hive_complete)'
complete -c hive -l file -r -F
""",
}
"""What each shell reads once; `hive completion SHELL` prints it."""

INSTALL = {
    "bash": "add to ~/.bashrc:  source <(hive completion bash)",
    "zsh": "add to ~/.zshrc:  source <(hive completion zsh)",
    "fish": "run once:  hive completion fish > ~/.config/fish/completions/hive.fish",
}


def run(words: list[str]) -> int:
    """Print the candidates for `SHELL -- WORD…` and give the exit code."""
    shell, _, *typed = [*words, "", ""] if len(words) < 2 else words
    between = {"zsh": ":", "fish": "\t"}.get(shell)
    for word, meaning in candidates(typed or [""]).items():
        print(f"{word}{between}{clean(meaning)}" if between and meaning else word)
    return 0


def candidates(words: list[str]) -> dict[str, str]:
    """Give what may stand for the last word, with its meaning; the others are before it."""
    *before, last = words
    return {word: text for word, text in _possible(before, last).items() if word.startswith(last)}


def _possible(before: list[str], last: str) -> Mapping[str, str]:
    if not before:
        first = {word: text for word, text in COMMANDS.items() if " " not in word}
        first |= {word: text for word, text in GROUPS.items() if word not in first}
        return {**first, "--help": "", "--version": ""} if last else first
    command, previous = _command(before), before[-1]
    if last.startswith("-"):
        return dict.fromkeys((*OPTIONS.get(command, ()), "--help"), "")
    if previous in FILES and command in _WITH_FILES:
        return {}
    if previous in _AFTER:
        return dict.fromkeys(_AFTER[previous](), "")
    found = _ARGUMENTS.get(command, list)()
    further = _further(before)
    return further | dict.fromkeys((word for word in found if word not in before[1:]), "")


def _command(before: list[str]) -> str:
    """Give the command that the words begin with, of two words where there is such a one."""
    both = " ".join(before[:2])
    return both if both in OPTIONS else before[0]


def _further(before: list[str]) -> dict[str, str]:
    """Give the second words of commands that may follow, with their meaning."""
    start = f"{' '.join(before)} "
    found = {word: text for word, text in COMMANDS.items() if word.startswith(start)}
    return {word.removeprefix(start): text for word, text in found.items()}


def _agents() -> list[str]:
    return _named("agents")


def _agents_and_teams() -> list[str]:
    return [*_named("agents"), *_named("teams")]


def _teams() -> list[str]:
    return _named("teams")


def _profiles() -> list[str]:
    from hive.adapters import profiles

    try:
        return sorted(profiles.sources(os.environ))
    except HiveError:
        return []


def _asked(letter: str) -> list[str]:
    """Give what waits for a person and has a name that begins so: `A7`, `Q8`, `m-31`."""
    items = _answer("inbox").get("items", [])
    return [
        one["id"] for one in items if one["id"].startswith(letter) and one["id"] != one["agent"]
    ]


def _tasks(*states: str) -> Callable[[], list[str]]:
    """Give a function that gives the newest tasks of these states."""

    def names() -> list[str]:
        found = _answer("tasks", states=list(states), newest=True).get("tasks", [])
        return [one["task"] for one in found]

    return names


def _runs(*states: str) -> Callable[[], list[str]]:
    """Give a function that gives the latest runs of workflows that are in one of these states."""

    def names() -> list[str]:
        found = _answer("workflows").get("runs", [])
        return [one["run"] for one in found if not states or one["state"] in states]

    return names


def _schedules() -> list[str]:
    return [one["schedule"] for one in _answer("schedules").get("schedules", [])]


def _topics() -> list[str]:
    from hive.cli.pages import topics

    return list(topics())


def _named(kind: str) -> list[str]:
    found: list[str] = _answer("names").get(kind, [])
    return found


def _answer(verb: str, **args: Any) -> dict[str, Any]:
    """Ask the supervisor; where it can't tell, nothing is offered."""
    from hive.adapters.channel import ask
    from hive.adapters.state import locate

    try:
        found: dict[str, Any] = ask(str(locate(os.environ).socket), verb, args, timeout=ANSWER)
    except HiveError:
        return {}
    return found


_AFTER: dict[str, Callable[[], list[str]]] = {
    "--team": _teams,
    "--template": lambda: list(TEMPLATES),
    "--agent": _agents,
    "--voters": _agents_and_teams,
    "--priority": lambda: ["low", "normal", "high", "urgent"],
    "--judge": lambda: ["result", "check", "vote"],
    "--missed": lambda: ["skip", "once", "all"],
    "--quorum": lambda: ["majority", "2/3", "all"],
    "--state": lambda: [*OPEN, "done", "dead", "cancelled"],
    "--needs": _tasks(),
    "--timeout": lambda: ["30s", "60s", "5m"],
    "--cpu": lambda: ["50%", "100%", "none"],
    "--cpu-limit": lambda: ["25", "50", "75"],
    "--memory": lambda: ["512MB", "1GB", "50%"],
    "--memory-soft": lambda: ["80%", "none"],
    "--max-age": lambda: ["12h", "1d", "none"],
    "--lines": lambda: ["50", "200", "1000"],
}
_ARGUMENTS: dict[str, Callable[[], list[str]]] = {
    "status": _agents_and_teams,
    "why": _agents,
    "logs": _agents,
    "events": _agents_and_teams,
    "attach": _agents_and_teams,
    "send": _agents_and_teams,
    "replay": _agents_and_teams,
    "standup": _agents_and_teams,
    "checkins": _agents_and_teams,
    "checkin": _agents,
    "handoff": _agents_and_teams,
    "worktree list": _agents_and_teams,
    "worktree diff": _agents,
    "worktree merge": _agents,
    "worktree drop": _agents,
    "finish": _agents,
    "pause": _agents_and_teams,
    "resume": _agents_and_teams,
    "approve": lambda: _asked("A"),
    "deny": lambda: _asked("A"),
    "answer": lambda: _asked("Q"),
    "withdraw": lambda: _asked("m-"),
    "task show": _tasks(),
    "task retry": _tasks("dead", "failed", "cancelled"),
    "task cancel": _tasks(*OPEN),
    "task hold": _tasks("waiting", "ready", "failed"),
    "task release": _tasks("held"),
    "task wait": _tasks(*OPEN),
    "workflow show": _runs(),
    "workflow cancel": _runs("running"),
    "workflow resume": _runs("failed", "cancelled"),
    "schedule remove": _schedules,
    "schedule pause": _schedules,
    "schedule resume": _schedules,
    "profile show": _profiles,
    "profile test": _profiles,
    "limits": _agents_and_teams,
    "limits set": _agents_and_teams,
    "limits advise": _agents_and_teams,
    "start": _agents_and_teams,
    "stop": _agents_and_teams,
    "restart": _agents_and_teams,
    "reset": _agents_and_teams,
    "help": _topics,
    "completion": lambda: list(SHELLS),
}
