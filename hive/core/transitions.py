"""Every move of a task: the task as it is, and what happened, make the task as it then is.

No move is made that `tasks.MOVES` does not list; the store writes each over the version it leaves.
What only a lease has is gone with the lease. Times are epoch seconds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hive.core.tasks import MOVES, OVER, Change, Outcome, Report, State, Task
from hive.errors import HiveError

NOTES = 50
"""How many notes of a task are kept."""

LONGEST = 100_000
"""How many characters of a result are kept; of a longer one the middle is left out."""

CANCEL, LATE = "cancel", "late"
"""How a leased task is asked to end: for good, or as an attempt that took too long."""

_NO_LEASE: dict[str, Any] = {
    "agent": "",
    "launch": "",
    "until": 0.0,
    "begun": 0.0,
    "delivered": 0.0,
    "heard": 0.0,
    "asked": "",
    "report": None,
    "rounds": 0,
}


class Illegal(HiveError):  # noqa: N818 - an error's name says what is wrong
    """The task can't make that move from where it is."""


def ready(task: Task, why: str, now: float, *, text: str = "", due: float = 0.0) -> Change:
    """Open it: it may be handed out, from `due` on; `text` is what its template became."""
    return _moved(task, State.READY, why, now, text=text or task.text, due=due, **_NO_LEASE)


def delivered(task: Task, why: str, now: float) -> Change:
    """Note that its agent has it."""
    return _same(task, why, delivered=now, heard=now)


def progressed(task: Task, text: str, now: float) -> Change:
    """Note its agent's word on the way."""
    return _same(task, text, heard=now, notes=(*task.notes, text)[-NOTES:])


def reported(task: Task, report: Report, now: float) -> Change:
    """Note what its agent said of it: it is not believed yet."""
    why = f"its agent says {report.outcome}"
    return _same(task, why, report=replace(report, text=cut(report.text)), heard=now)


def sent_back(task: Task, why: str, now: float) -> Change:
    """Have its agent go on with it: its check has failed."""
    return _same(task, why, report=None, rounds=task.rounds + 1, heard=now)


def asked_to_end(task: Task, why: str, how: str = CANCEL) -> Change:
    """Note that a leased task is to be ended: what runs is ended first."""
    return _same(task, why, asked=f"{how}: {why}")


def moved(task: Task, launch: str, why: str, now: float) -> Change:
    """Let a later launch of its agent go on with it, in the same conversation."""
    return _same(task, why, launch=launch, heard=now)


def done(
    task: Task, result: str, why: str, now: float, *, confidence: float | None = None
) -> Change:
    """End it well. Who had it stays known."""
    return _over(task, State.DONE, "done", why, now, result=cut(result), confidence=confidence)


def failed(task: Task, why: str, due: float | None, now: float) -> Change:
    """End an attempt badly: it is tried again from `due` on, or (None) it is dead."""
    failures = (*task.failures, cut(why))
    if due is None:
        return _over(task, State.DEAD, "failed", why, now, failures=failures)
    return _moved(task, State.FAILED, why, now, due=due, failures=failures, **_NO_LEASE)


def given_back(task: Task, why: str, now: float) -> Change:
    """Let others have it, and count no attempt: its agent never began."""
    attempt = max(0, task.attempt - 1)
    return _moved(task, State.READY, why, now, attempt=attempt, due=0.0, **_NO_LEASE)


def divided(task: Task, why: str, now: float) -> Change:
    """Have it wait for its parts, or for its review; its report stays, its lease does not."""
    left = {**_NO_LEASE, "report": task.report}
    attempt = max(0, task.attempt - 1) if task.report is None else task.attempt
    return _moved(task, State.WAITING, why, now, attempt=attempt, **left)


def held(task: Task, why: str, now: float) -> Change:
    """Have it wait for a person. What its agent said of it stays known."""
    return _moved(task, State.HELD, why, now, **{**_NO_LEASE, "report": task.report})


def released(task: Task, why: str, now: float) -> Change:
    """Let a held task go on: it waits for what it needs, if anything is left of that."""
    return _moved(task, State.WAITING, why, now)


def cancelled(task: Task, why: str, now: float, outcome: Outcome = "cancelled") -> Change:
    """End it undone."""
    return _over(task, State.CANCELLED, outcome, why, now)


def retried(task: Task, why: str, now: float) -> Change:
    """Begin it anew, with all its attempts: it waits for what it needs. Its past stays known."""
    fresh: dict[str, Any] = {"attempt": 0, "outcome": "", "result": "", "finished": 0.0, "due": 0.0}
    return _moved(task, State.WAITING, why, now, confidence=None, text="", **fresh, **_NO_LEASE)


def cut(text: str) -> str:
    """Give a text that is not too long to be kept."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n… {len(text) - LONGEST} characters are left out …\n{text[-half:]}"


def _over(task: Task, state: State, outcome: Outcome, why: str, now: float, **more: Any) -> Change:
    agent, launch = task.agent, task.launch
    left = {**_NO_LEASE, "agent": agent, "launch": launch, "report": task.report}
    return _moved(task, state, why, now, outcome=outcome, finished=now, **left, **more)


def _moved(task: Task, state: State, why: str, now: float, **more: Any) -> Change:
    if state not in MOVES[task.state]:
        what = f"{task.name} is {task.state}: it can't become {state}"
        raise Illegal(what, fix=f"hive task show {task.name}")
    return Change(after=replace(task, state=state, why=why, since=now, **more), why=why)


def _same(task: Task, why: str, **more: Any) -> Change:
    """Change what is known of a lease; `why` of the task stays the reason of its state."""
    if task.state is not State.LEASED:
        over = "over" if task.state in OVER else "nobody's now"
        what = f"{task.name} is {task.state}: it is {over}"
        raise Illegal(what, fix="end your turn: what you have done is not lost")
    return Change(after=replace(task, **more), why=why)
