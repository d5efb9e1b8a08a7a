"""What a person wants of a task: to have it again, ended, held, or let go.

Each wish makes the move that the task's state allows, or says why there is none. Times are epoch
seconds.
"""

from __future__ import annotations

from hive.core import transitions
from hive.core.tasks import OVER, Change, State, Task
from hive.errors import HiveError


def retry(task: Task, why: str, now: float) -> Change:
    """Begin a task anew that is over or held; one that waits for its next attempt has it now."""
    if task.state is State.LEASED:
        short = task.agent.split("/", 1)[-1]
        fix = f"wait, or: hive task cancel {task.name}"
        raise HiveError(f"{task.name} is with {short}", fix=fix)
    if task.state in {State.WAITING, State.READY}:
        fix = f"hive why {task.name}"
        raise HiveError(f"{task.name} is {task.state}: there is nothing to try again", fix=fix)
    if task.state is State.FAILED:
        return transitions.ready(task, because("tried again at once", why), now)
    return transitions.retried(task, because("begun anew", why), now)


def cancel(task: Task, why: str, now: float) -> Change | None:
    """End a task undone; where it runs, have that ended first. None: that is being done."""
    text = because("cancelled", why)
    if task.state is State.LEASED:
        return None if task.asked else transitions.asked_to_end(task, text)
    if task.state in OVER:
        raise HiveError(f"{task.name} is {task.state} already", fix=f"hive task show {task.name}")
    return transitions.cancelled(task, text, now)


def hold(task: Task, why: str, now: float) -> Change:
    """Have a task wait for a person."""
    if task.state is State.LEASED:
        short = task.agent.split("/", 1)[-1]
        fix = f"wait, or: hive task cancel {task.name}"
        raise HiveError(f"{task.name} is with {short} already", fix=fix)
    return transitions.held(task, because("held", why), now)


def release(task: Task, why: str, now: float) -> Change:
    """Let a held task go on; what its agent has said of it is accepted."""
    if task.state is not State.HELD:
        raise HiveError(f"{task.name} is {task.state}, not held", fix="hive task list")
    report = task.report
    if report and report.outcome == "done":
        text = because("accepted by a person", why)
        return transitions.done(task, report.text, text, now, confidence=report.confidence)
    return transitions.released(task, because("released", why), now)


def because(did: str, why: str) -> str:
    """Give what was done, and why where that was said."""
    return f"{did}: {why}" if why else did
