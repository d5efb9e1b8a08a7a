"""What agents used, as it is written down: one sample stands for a span of time.

Counters of processes only grow, and a process that ends leaves its own to the one that waits
for it: what is inherited counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hive.core.belonging import Count, Key, gained
from hive.core.world import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one agent used in the `span` seconds that ended at `at` (whole epoch seconds).

    `cpu` is in cores, on average. `memory` is the most bytes and `processes` the most processes
    it had. `read` and `written` (disk), `received` and `sent` (network) are the bytes of the
    span, None where they are not known. `held` is the share of the span, 0 to 1, in which a
    limit slowed it down.
    """

    agent: str
    at: int
    span: float
    cpu: float
    memory: int
    processes: int
    read: int | None = None
    written: int | None = None
    received: int | None = None
    sent: int | None = None
    held: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Bytes a second, None where they are not known."""

    read: float | None = None
    written: float | None = None
    received: float | None = None
    sent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The disk counters of one agent's processes at one look."""

    read: Mapping[Key, Count]
    written: Mapping[Key, Count]


def counted(tree: Tree, counters: Mapping[int, tuple[int, int]]) -> Counted:
    """Give an agent's counters; `counters` are the bytes read and written by pid.

    A process that is not among them could not be read, and is left out.
    """
    known = [one for one in (*tree.current, *tree.strays) if one.pid in counters]
    return Counted(
        read={(one.pid, one.started): (one.parent, counters[one.pid][0]) for one in known},
        written={(one.pid, one.started): (one.parent, counters[one.pid][1]) for one in known},
    )


def moved(before: Counted, after: Counted) -> tuple[int, int]:
    """Give the bytes an agent read and wrote between two looks."""
    read = gained(before.read, after.read)
    return int(read), int(gained(before.written, after.written))
