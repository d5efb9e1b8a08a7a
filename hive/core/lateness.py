"""Whether a leased task takes too long: to reach its agent, between signs of life, or in all."""

from __future__ import annotations

from math import inf

from hive.core.tasks import State, Task
from hive.core.units import as_text


def late(task: Task, now: float) -> str:
    """Say why it is late, or "" while it is not."""
    moment, why = _first(task)
    return why if now >= moment else ""


def next_check(task: Task) -> float:
    """Give the moment from which on it is late, as far as is known now; inf if there is none."""
    return _first(task)[0]


def _first(task: Task) -> tuple[float, str]:
    """Give the first moment at which it is late, and why it is then."""
    if task.state is not State.LEASED or task.asked:  # it is being ended already
        return inf, ""
    job, found = task.job, [(inf, "")]
    if job.timeout:
        why = f"it took longer than {as_text(job.timeout)}"
        found.append((task.begun + job.timeout, why))
    if job.delivery and not task.delivered:
        why = f"its agent did not take it within {as_text(job.delivery)}"
        found.append((task.begun + job.delivery, why))
    if job.progress and task.delivered and task.report is None:  # then hive checks it
        why = f"its agent showed no progress for {as_text(job.progress)}"
        found.append((task.heard + job.progress, why))
    return min(found)
