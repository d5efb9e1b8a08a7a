"""When a failed attempt is repeated: after a wait that doubles each time, or not at all."""

from __future__ import annotations

from hive.core.tasks import Task

_MOST_DOUBLINGS = 60
"""More are past any longest wait, and would be too large to be a float."""


def due(task: Task, now: float, chance: float, *, permanent: bool = False) -> float | None:
    """Give when the next attempt may begin; None where none is left.

    `chance`, from 0 to 1, draws the wait from between half and all of it, so that what failed
    together is not repeated together. After a `permanent` failure there is no further attempt.
    """
    if permanent or task.attempt > task.job.retries:
        return None
    doublings = min(max(0, task.attempt - 1), _MOST_DOUBLINGS)
    wait = min(task.job.longest, task.job.backoff * 2.0**doublings)
    return now + wait * (1 + chance) / 2
