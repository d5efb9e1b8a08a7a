"""How many bytes processes hold, what they would give back, and what they moved to and from disk.

What is resident comes free with the process table. How much of it others may share costs a read
of its own, so that is asked again only of processes whose size has changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Protocol

from hive.core.trees import Process

if sys.platform == "linux":
    from hive.adapters import procfs as kernel
else:
    from hive.adapters import portable as kernel

CHANGED = 1 << 20
"""By how many bytes a process must have grown or shrunk to be asked anew what it shares."""


class Source(Protocol):
    """Where the sizes of one process are read: `procfs`, or `portable`."""

    def process(self, pid: int, /) -> Process | None:
        """Look at one process; None where there is none, or it may not be seen."""

    def shared(self, pid: int, /) -> int:
        """Give the bytes of what is resident that others may share."""

    def proportional(self, pid: int, /) -> int | None:
        """Give a process's fair part of all it shares, with all it has alone."""

    def disk(self, pid: int, /) -> tuple[int, int] | None:
        """Give the bytes a process read from disk and wrote to it."""


class Sizes:
    """The sizes of processes, look by look; `source` is the platform's own if not given."""

    def __init__(self, source: Source = kernel) -> None:
        self._source = source
        self._known: dict[int, tuple[int, int, int]] = {}
        self._moved: dict[int, tuple[Process, tuple[int, int]]] = {}

    def of(self, processes: Iterable[Process]) -> dict[int, int]:
        """Give, by pid, the bytes each process of one look would give back by ending.

        Ask for all processes at once: what is not asked for is forgotten.
        """
        before, self._known = self._known, {}
        found: dict[int, int] = {}
        for one in processes:
            pid, resident = one.pid, one.memory
            known = before.get(pid)
            if (
                known is None
                or known[0] != one.started
                or not -CHANGED <= resident - known[1] <= CHANGED
            ):
                known = (one.started, resident, self._source.shared(pid))
            self._known[pid] = known
            given = resident - known[2]
            found[pid] = given if given > 0 else 0  # noqa: FURB136 - a call of max() costs double
        return found

    def shared(self, processes: Iterable[Process]) -> int:
        """Give the most that one of these has of what others may share, as `of` last knew it.

        A tree holds this once, together with what each of its processes would give back.
        """
        known = self._known
        return max((known[one.pid][2] for one in processes if one.pid in known), default=0)

    def proportional(self, processes: Iterable[Process]) -> dict[int, int]:
        """Measure anew what each of these processes really holds; those that ended are left out.

        What several share is parted among them (PSS). It costs 2 ms for each 200 MB. Where it
        may not be read, it is what the process would give back.
        """
        found: dict[int, int] = {}
        for one in processes:
            now = self._source.process(one.pid)
            if now is None or now.dead or now.started != one.started:
                continue
            held = self._source.proportional(one.pid)
            if held is None:
                held = max(0, now.memory - self._source.shared(one.pid))
            found[one.pid] = held
        return found

    def disk(self, processes: Iterable[Process]) -> dict[int, tuple[int, int]]:
        """Give, by pid, the bytes read from disk and written to it.

        On Linux those of reaped children are included. Who may not be read is left out; who did
        nothing since the last call, being the same value, has moved nothing either.
        """
        before, self._moved = self._moved, {}
        for one in processes:
            known = before.get(one.pid)
            moved = known[1] if known and known[0] is one else self._source.disk(one.pid)
            if moved is not None:
                self._moved[one.pid] = (one, moved)
        return {pid: moved for pid, (_, moved) in self._moved.items()}
