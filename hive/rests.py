"""Time that is counted against no task: while its agent was paused, or the machine asleep.

Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from hive.core.tasks import Task

JUMP = 20.0
"""Seconds that the clock must be ahead of what has passed: the machine slept, or it was set."""


class Rests:
    """What each lease has lost so, and until when."""

    def __init__(self) -> None:
        self._looked: tuple[float, float] | None = None
        self._lost: dict[str, tuple[float, float]] = {}

    def look(
        self, leased: Iterable[Task], paused: Collection[str], now: float, passed: float
    ) -> None:
        """Look what was lost since the last look; `passed` is a clock that stops in sleep."""
        before, self._looked = self._looked, (now, passed)
        gone = now - before[0] if before else 0.0
        slept = gone - (passed - before[1]) if before else 0.0
        known, self._lost = self._lost, {}
        for task in leased:
            lost, until = known.get(task.lease, (0.0, 0.0))
            more = gone if task.agent in paused else slept if slept > JUMP else 0.0
            if more > 0:
                lost, until = lost + min(more, now - task.begun), now
            if lost:
                self._lost[task.lease] = lost, until

    def spared(self, task: Task) -> Task:
        """Give a task as it is to be judged: as if it had begun later by what it lost."""
        lost, until = self._lost.get(task.lease, (0.0, 0.0))
        return replace(task, begun=task.begun + lost, heard=max(task.heard, until))
