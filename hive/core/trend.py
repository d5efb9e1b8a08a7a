"""Whether an agent's memory only ever grows, and how long that can go on.

A program that starts grows too, and one that collects its garbage goes up and down: a leak is
only what grew steadily for an hour and more, and still does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median

from hive.core.accounting import Sample

SHORTEST = 3600.0
"""Seconds that must have been seen."""

FEWEST = 20
"""Points that must have been seen."""

POINTS = 120
"""More points than these are put together: a slope needs no more."""

RATE = 32 << 20
"""Bytes an hour from which growth is worth saying."""

GROWTH = 0.1
"""By what share it must have grown in all."""

RISING = 0.85
"""The share of all pairs of points of which the later one must be the higher."""

FRESH = 0.5
"""A drop below this share of what was before is a new beginning: most likely a new launch."""

_Point = tuple[float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Memory that grew steadily: by `rate` bytes an hour, over the last `span` seconds.

    `left` is in how many seconds the limit is reached at this rate, None without a limit.
    """

    rate: float
    span: float
    left: float | None = None


def leak(samples: Sequence[Sample], limit: int | None = None) -> Leak | None:
    """Find steady growth in one agent's samples, oldest first; None where there is none."""
    points = _fewer(_latest([(sample.at, sample.memory) for sample in samples]))
    if len(points) < FEWEST:
        return None
    span = points[-1][0] - points[0][0]
    rate = _slope(points)
    late = points[-len(points) // 4 :]
    steady = _rising(points) >= RISING and _slope(late) >= rate / 2
    enough = rate * 3600 >= RATE and rate * span >= GROWTH * points[0][1]
    if span < SHORTEST or not steady or not enough:
        return None
    left = None if limit is None else max(0.0, (limit - points[-1][1]) / rate)
    return Leak(rate=rate * 3600, span=span, left=left)


def _latest(points: Sequence[_Point]) -> Sequence[_Point]:
    """Give the points since the last new beginning."""
    first = 0
    for number, (before, after) in enumerate(pairwise(points), 1):
        if after[1] < before[1] * FRESH:
            first = number
    return points[first:]


def _fewer(points: Sequence[_Point]) -> list[_Point]:
    """Put neighbours together until there are few enough; of each group the highest counts."""
    size = -(-len(points) // POINTS) or 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [(median(at for at, _ in one), max(memory for _, memory in one)) for one in groups]


def _slope(points: Sequence[_Point]) -> float:
    """Give the median slope of all pairs (Theil-Sen), in bytes a second."""
    return median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0])


def _rising(points: Sequence[_Point]) -> float:
    pairs = list(combinations(points, 2))
    return sum(b[1] > a[1] for a, b in pairs) / len(pairs)
