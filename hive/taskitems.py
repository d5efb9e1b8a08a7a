"""What of the work waits for a person: held tasks, dead letters, open breakers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hive.core.breaker import Breaker
from hive.core.tasks import State, Task
from hive.errors import HiveError
from hive.views import Record, iso, short

SHOWN = 20
"""How many tasks of each kind are listed one by one."""


def items(
    held: Sequence[Task],
    dead: Sequence[Task],
    breakers: Iterable[Breaker],
    counts: Mapping[str, int] | None = None,
) -> list[Record]:
    """List them as `hive inbox` does, those first that keep others from going on.

    `counts` says how many tasks there are in each state, where not all of them are given.
    """
    kinds = (("held task", State.HELD, held), ("dead letter", State.DEAD, dead))
    left = [(kind, state, (counts or {}).get(state, 0) - len(some)) for kind, state, some in kinds]
    more = [_more(kind, state, many) for kind, state, many in left if many > 0]
    return [*map(_held, held), *map(_open, breakers), *map(_dead, dead), *more]


def _more(kind: str, state: str, many: int) -> Record:
    return {
        "id": state,
        "kind": kind,
        "agent": f"{many} more",
        "asked": "to look at them, too",
        "why": f"only {SHOWN} are listed one by one",
        "since": None,
        "meanwhile": "nobody works on them",
        "answer": f"hive task list --state {state}",
    }


def resting(error: HiveError, since: float) -> Record:
    """List that all work rests, and why."""
    return {
        "id": "work",
        "kind": "work rests",
        "agent": "hive",
        "asked": f"to put it right: {error.fix}" if error.fix else "to put it right",
        "why": error.what,
        "since": iso(since),
        "meanwhile": "agents are kept alive, and nobody gets a task; hive tries again by itself",
        "answer": "hive doctor",
    }


def _held(task: Task) -> Record:
    said = task.report is not None
    other = f"hive task retry {task.name}" if said else f"hive task cancel {task.name}"
    asked = "to accept what its agent has said, or not" if said else "to let it go on, or not"
    return {
        "id": task.name,
        "kind": "held task",
        "project": task.job.project,
        "agent": task.job.name,
        "asked": asked,
        "why": task.why,
        "since": iso(task.since),
        "meanwhile": "nobody works on it, and what needs it waits",
        "answer": f"hive task release {task.name}   # or: {other}",
        "blocks": int(bool(task.run or task.parent)),
    }


def _dead(task: Task) -> Record:
    return {
        "id": task.name,
        "kind": "dead letter",
        "project": task.job.project,
        "agent": task.job.name,
        "asked": "to put right what fails, and to have it tried again",
        "why": task.why.splitlines()[0] if task.why else "",
        "since": iso(task.since),
        "meanwhile": "hive does nothing more with it",
        "answer": f"hive task show {task.name}   # then: hive task retry {task.name}",
    }


def _open(one: Breaker) -> Record:
    kind, _, what = one.name.partition(":")
    agent = short(what) if kind == "agent" else ""
    return {
        "id": agent or one.name,
        "kind": "open breaker",
        "project": what.partition("/")[0] if agent else "",
        "agent": agent or "a command",
        "asked": "to look why it fails again and again",
        "why": one.why.splitlines()[0] if one.why else "",
        "since": iso(one.since),
        "meanwhile": "it gets no work, but for a try now and then",
        "answer": f"hive why {agent}" if agent else "hive task dead",
    }
