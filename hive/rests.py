"""Time that is counted against no task: while its agent was paused, or the machine asleep.

Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from hive.core.tasks import Task

JUMP = 20.0
"""Seconds that the clock must be ahead of what has passed: the machine slept, or it was set."""


Lost = Callable[[str, float], tuple[float, float]]
"""How many seconds an agent was paused by a person since a moment, and until when (0: never)."""


class Rests:
    """What each lease has lost so, and until when; `paused` knows what people paused."""

    def __init__(self, paused: Lost = lambda _agent, _since: (0.0, 0.0)) -> None:
        self._paused = paused
        self._looked: tuple[float, float] | None = None
        self._lost: dict[str, tuple[float, float]] = {}

    def look(
        self, leased: Iterable[Task], pressed: Collection[str], now: float, passed: float
    ) -> None:
        """Look what was lost since the last look; `passed` is a clock that stops in sleep.

        `pressed` are the agents that are paused while the machine is under pressure.
        """
        before, self._looked = self._looked, (now, passed)
        gone = now - before[0] if before else 0.0
        slept = gone - (passed - before[1]) if before else 0.0
        known, self._lost = self._lost, {}
        for task in leased:
            lost, until = known.get(task.lease, (0.0, 0.0))
            more = gone if task.agent in pressed else slept if slept > JUMP else 0.0
            if more > 0:
                more -= self._paused(task.agent, now - gone)[0]  # that is counted by itself
            if more > 0:
                lost, until = lost + min(more, now - task.begun), now
            if lost:
                self._lost[task.lease] = lost, until

    def spared(self, task: Task) -> Task:
        """Give a task as it is to be judged: as if it had begun later by what it lost."""
        lost, until = self._lost.get(task.lease, (0.0, 0.0))
        paused, end = self._paused(task.agent, task.begun)
        heard = max(task.heard, until, end)
        return replace(task, begun=task.begun + lost + paused, heard=heard)
