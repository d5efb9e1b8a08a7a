"""The machine's vitals: free memory, load, and how long work has to wait.

Linux tells them in /proc; descriptors are kept, for a glance is taken ten times a second. Where
a cgroup (a container's, say) gives this process less than the machine has, that counts.
Elsewhere psutil is asked.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hive.core.vitals import Glance, Vitals

_PART = 16384
"""More than any of the files has that are read here, as far as they are read."""

_REAL = Path("/")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_DRIFT = 16 << 20
_PLENTY = 2 << 30

_AVAILABLE = re.compile(rb"^MemAvailable:\s+(\d+) kB", re.MULTILINE)
_TOTAL = re.compile(rb"^MemTotal:\s+(\d+) kB", re.MULTILINE)
_AVERAGE = re.compile(rb"^(some|full) avg10=([\d.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What the files of one kind of cgroup are called; `idle` is a line of `stat`."""

    limit: str
    usage: str
    idle: str


_V2 = _Names(limit="memory.max", usage="memory.current", idle="inactive_file")
_V1 = _Names(
    limit="memory.limit_in_bytes", usage="memory.usage_in_bytes", idle="total_inactive_file"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """A cgroup with less memory than the machine; `idle` of its usage can be taken back."""

    limit: int
    usage: Path
    idle: int

    def available(self) -> int:
        used = _number(self.usage)
        return self.limit if used is None else max(0, self.limit - used + self.idle)


class Linux:
    """The machine as /proc shows it, read again and again; `root` is the folder of it all."""

    def __init__(self, root: Path = _REAL) -> None:
        self._root = root
        self._fds: dict[str, int] = {}
        self._memory = self._total()
        self._pools: tuple[_Pool, ...] = ()
        self._measure()
        self._before: tuple[int, int] | None = None
        self._mark = (-_DRIFT, 0)

    def glance(self) -> Glance:
        """Give the free memory, and how many tasks there are: 10 µs where much is unused."""
        tasks = self._read("proc/loadavg").split()[3].partition(b"/")[2]
        return Glance(available=self._nearly(), tasks=int(tasks))

    def read(self) -> Vitals:
        """Look at the whole machine."""
        self._measure()
        cpu, memory, io = (self._stall(f"proc/pressure/{one}") for one in ("cpu", "memory", "io"))
        return Vitals(
            cores=min([float(len(os.sched_getaffinity(0))), *self._quotas()]),
            memory=min([self._memory, *(pool.limit for pool in self._pools)]),
            available=self._available(),
            load=float(self._read("proc/loadavg").split()[0]),
            busy=self._busy(),
            cpu_stall=cpu.get(b"some"),
            memory_stall=memory.get(b"some"),
            memory_full=memory.get(b"full"),
            io_stall=io.get(b"some"),
        )

    def close(self) -> None:
        """Close the kept descriptors; it can still be read, and then keeps new ones."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds = {}

    def _read(self, name: str) -> bytes:
        fd = self._fds.get(name)
        if fd is None:
            fd = self._fds[name] = os.open(self._root / name, os.O_RDONLY)
        return os.pread(fd, _PART, 0)

    def _total(self) -> int:
        found = _TOTAL.search(self._read("proc/meminfo"))
        return int(found[1]) * 1024 if found else 0

    def _available(self) -> int:
        found = _AVAILABLE.search(self._read("proc/meminfo"))
        free = int(found[1]) * 1024 if found else self._memory  # not told: then never short
        return min([free, *(pool.available() for pool in self._pools)])

    def _nearly(self) -> int:
        """Give what is available, to within `_DRIFT` bytes.

        While much memory is unused, that is what programs get, so it tells how the rest changes,
        at a tenth of the cost of asking for that.
        """
        if self._root != _REAL or self._pools:
            return self._available()
        unused = os.sysconf("SC_AVPHYS_PAGES") * _PAGE
        before, available = self._mark
        if unused < _PLENTY or abs(unused - before) >= _DRIFT:
            before, available = self._mark = (unused, self._available())
        return available + unused - before

    def _busy(self) -> float | None:
        """Give the share of the processors' time used since the last look."""
        line = self._read("proc/stat").partition(b"\n")[0]
        times = [int(one) for one in line.split()[1:9]]  # what guests use is in them already
        now = (sum(times), times[3] + times[4])
        before, self._before = self._before, now
        if before is None or now[0] <= before[0]:
            return None
        return min(1.0, max(0.0, 1 - (now[1] - before[1]) / (now[0] - before[0])))

    def _stall(self, name: str) -> dict[bytes, float]:
        try:
            text = self._read(name)
        except OSError:  # a kernel without it, or with it turned off
            return {}
        return {kind: float(value) for kind, value in _AVERAGE.findall(text)}

    def _measure(self) -> None:
        """Find the cgroups that give us less memory than the machine has."""
        found = []
        for folder, names in self._folders("memory"):
            limit = _number(folder / names.limit)
            if limit is not None and 0 < limit < self._memory:
                idle = _line(folder / "memory.stat", names.idle)
                found.append(_Pool(limit=limit, usage=folder / names.usage, idle=idle))
        self._pools = tuple(found)

    def _quotas(self) -> Iterator[float]:
        """Give the cores that each of our cgroups may use, where it may not use all."""
        for folder, names in self._folders("cpu"):
            if names is _V2:
                quota, _, period = _text(folder / "cpu.max").partition(" ")
            else:
                quota = _text(folder / "cpu.cfs_quota_us")
                period = _text(folder / "cpu.cfs_period_us")
            if quota.isdecimal() and period.isdecimal() and int(period):
                yield int(quota) / int(period)

    def _folders(self, controller: str) -> Iterator[tuple[Path, _Names]]:
        """Give our own cgroups for this controller, with all above them that can be seen.

        In a container the path may be the host's, of which only the top is to be seen here.
        """
        top = self._root / "sys/fs/cgroup"
        for line in _text(self._root / "proc/self/cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            base, names = (top / controller, _V1) if controllers else (top, _V2)
            here = base / path.lstrip("/")
            while True:
                yield here, names
                if here == base or base not in here.parents:
                    break
                here = here.parent


def _text(path: Path) -> str:
    """Read a small file; "" where there is none, or it may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # no such controller, or (ENODEV) the cgroup is gone by now
        return ""


def _number(path: Path) -> int | None:
    """Read a file that holds one number; None where it says `max`, or nothing."""
    text = _text(path)
    return int(text) if text.isdecimal() else None


def _line(path: Path, name: str) -> int:
    """Read one number of a file that holds a name and a number in each line."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0


if sys.platform == "linux":
    Machine = Linux
else:
    from hive.adapters.portable import Machine

__all__ = ["Linux", "Machine"]
