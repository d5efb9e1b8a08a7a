"""How all agents share the processor time that they may use together.

Each gets what it wants up to the same level (times its weight), and the level is as high as the
total allows: max-min fairness. So the greediest are slowed first, and who wants less than a fair
share is never slowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from hive.core.limits import Priority

WEIGHTS: Mapping[Priority, float] = {"low": 0.5, "normal": 1.0, "high": 2.0}
"""How much of a fair share an agent of each priority gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one agent uses (cores), and whether it would use more.

    `limit` is its own limit in cores. `held` says that it was slowed, so that nobody knows how
    much it would use.
    """

    use: float
    limit: float | None = None
    held: bool = False
    priority: Priority = "normal"

    @property
    def weight(self) -> float:
        """How many parts of a share it gets."""
        return WEIGHTS[self.priority]

    @property
    def wants(self) -> float:
        """How many cores it would use if it could, as far as is known."""
        return min(
            inf if self.held else max(0.0, self.use), inf if self.limit is None else self.limit
        )


def shares(total: float, wishes: Mapping[str, Wish]) -> dict[str, float | None]:
    """Give how many cores each may use so that all together use at most `total`.

    None leaves one alone: what it wants, or its own limit, is no more than its share.
    """
    level = _level(total, wishes)
    return {
        name: None if wish.wants <= wish.weight * level else wish.weight * level
        for name, wish in wishes.items()
    }


def _level(total: float, wishes: Mapping[str, Wish]) -> float:
    """Give the cores per weight up to which everyone gets what it wants; inf where all do."""
    left = max(0.0, total)
    parts = sum(wish.weight for wish in wishes.values())
    for wish in sorted(wishes.values(), key=lambda one: one.wants / one.weight):
        if wish.wants > wish.weight * left / parts:
            return left / parts
        left -= wish.wants
        parts -= wish.weight
    return inf
