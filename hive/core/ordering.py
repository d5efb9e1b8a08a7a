"""Which task goes first: each has a virtual deadline, set once, and the earliest goes first.

Time itself is the ageing: what is added later comes later, so a task is passed only by what is
added within a bounded time after it, and nothing has to be rewritten while it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heapreplace
from itertools import pairwise

from hive.core.tasks import Job, Task

HOUR = 3600.0
STEP = 12 * HOUR
"""What one step of priority is worth: so long a head start, or so long a wait."""

HEADS = ((0, 2 * STEP), (25, STEP), (50, 0.0), (75, -STEP), (100, -14 * STEP))
"""How much later than a normal task one of this priority comes; between two it is in between."""

LONGEST = HEADS[0][1] - HEADS[-1][1] + STEP
"""Whatever is added so many seconds after a task can't pass it."""


def rank(job: Job, created: float) -> float:
    """Give its place among all: lower goes first.

    A deadline within half a day of its creation pulls it forward, by one step at most: the nearer,
    the more.
    """
    pull = STEP - (job.deadline - created) if job.deadline else 0.0
    return created + _head(job.priority) - min(max(pull, 0.0), STEP)


def level(place: float, now: float) -> int:
    """Give the class of a rank: a normal task has 0 for half a day, a high one 1, a low one -1.

    All rise by one each half a day. Teams share fairly within a level, never across.
    """
    return int((now - place) // STEP)


def party(job: Job) -> str:
    """Give whose task it is, where teams share: its team's, or that of the agent who asked."""
    asked = job.sender.split("/")
    return f"{job.project}/{job.team or (asked[-2] if len(asked) > 1 else '')}"


class Turns:
    """Tasks one after another: by level, then the party that has the least, then by rank.

    `load` is what each party has and had lately, to be kept up to date meanwhile; `agents` how
    many may have its tasks. `row` is all of them in one row, by rank, the first last.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        load: Mapping[str, float],
        agents: Mapping[str, int],
        now: float,
    ) -> None:
        self._load, self._agents, self._now = load, agents, now
        ranked = [(rank(task.job, task.created), task.number, task) for task in tasks]
        self.row = sorted(ranked, reverse=True, key=lambda one: one[:2])
        self._lines: dict[str, list[tuple[float, int, Task]]] = {}
        for one in self.row:
            self._lines.setdefault(party(one[2].job), []).append(one)

    def __iter__(self) -> Iterator[Task]:
        """Give them; a party's place is looked at anew after each of its tasks."""
        heap = [self._next(name) for name in self._lines]
        heapify(heap)
        while heap:
            name = heap[0][-1]
            line = self._lines[name]
            yield line.pop()[-1]
            if line:
                heapreplace(heap, self._next(name))
            else:
                heappop(heap)

    def _next(self, name: str) -> tuple[int, float, float, int, str]:
        place, number, _ = self._lines[name][-1]
        share = self._load.get(name, 0) / max(self._agents.get(name, 0), 1)
        return -level(place, self._now), share, place, number, name


def _head(priority: int) -> float:
    for (low, first), (high, last) in pairwise(HEADS):
        if priority <= high:
            return first + (last - first) * (max(priority, low) - low) / (high - low)
    return HEADS[-1][1]
