"""The process table where there is no /proc (macOS, BSD), read through psutil.

The same names and meanings as in `procfs`, at ten times the cost and with less certainty: a
signal goes to a pid right after the start time was checked, memory counts shared pages where
psutil does not tell them apart. It runs on Linux too, where it is tested; elsewhere it was
not run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import psutil

from hive.core import trees
from hive.core.trees import Process, Tag
from hive.core.vitals import Glance, Vitals

_STATES = {
    psutil.STATUS_RUNNING: "R",
    psutil.STATUS_DISK_SLEEP: "D",
    psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t",
    psutil.STATUS_ZOMBIE: "Z",
    psutil.STATUS_DEAD: "X",
}
_FACTS = ("ppid", "status", "cpu_times", "name", "memory_info")


class Table:
    """The table of all processes, read again and again; `keep` descriptors of it: none here."""

    def __init__(self, keep: int | None = None) -> None:
        self.keep = keep

    def read(self) -> dict[int, Process]:
        """Give every process by its pid, zombies too."""
        found = {pid: process(pid) for pid in psutil.pids()}
        return {pid: one for pid, one in found.items() if one is not None}

    def close(self) -> None:
        """Nothing is kept open."""


def process(pid: int) -> Process | None:
    """Look at one process; None where there is none, or it may not be seen."""
    try:
        one = psutil.Process(pid)
        born = one.create_time()
        facts = one.as_dict(attrs=_FACTS)
        session = os.getsid(pid)
    except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
        return None
    except PermissionError:
        session = 0
    return Process(
        pid=pid,
        parent=facts["ppid"] or 0,
        session=session,
        started=round(born * 1_000_000),
        state=_STATES.get(facts["status"], "S"),
        cpu=sum(facts["cpu_times"][:4]) if facts["cpu_times"] else 0.0,
        name=facts["name"] or "",
        memory=facts["memory_info"].rss if facts["memory_info"] else 0,
    )


def environ(pid: int) -> dict[str, str]:
    """Give the environment a process was started with; empty where it may not be read."""
    try:
        return psutil.Process(pid).environ()
    except (psutil.Error, OSError):  # macOS says EINVAL for one that just ended
        return {}


def tag(pid: int, state: str) -> Tag | None:
    """Give the tag in a process's environment, if the hive of `state` put it there."""
    return trees.tag(environ(pid), state)


def command(pid: int) -> list[str]:
    """Give the arguments a process was started with, or what it shows instead; [] if unknown."""
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def memory(pids: Iterable[int]) -> dict[int, int]:
    """Give the bytes each process would give back by ending; those gone are left out."""
    found = {}
    for pid in pids:
        try:
            used = psutil.Process(pid).memory_info()
        except psutil.Error:
            continue
        found[pid] = max(0, used.rss - getattr(used, "shared", 0))
    return found


def shared(pid: int) -> int:
    """Give the bytes of what is resident that others may share; 0 where nobody tells."""
    try:
        return int(getattr(psutil.Process(pid).memory_info(), "shared", 0))
    except psutil.Error:
        return 0


def proportional(pid: int) -> int | None:
    """Give a process's fair part of all it shares, with all it has alone, in bytes.

    Where nobody tells it (macOS) this is what it has alone. None where it may not be read.
    """
    try:
        used = psutil.Process(pid).memory_full_info()
    except psutil.Error:
        return None
    return int(getattr(used, "pss", 0) or used.uss) or None


def disk(pid: int) -> tuple[int, int] | None:
    """Give the bytes a process read from disk and wrote to it; None where nobody tells."""
    one = psutil.Process
    if not hasattr(one, "io_counters"):
        return None
    try:
        found = one(pid).io_counters()
    except psutil.Error:
        return None
    return found.read_bytes, found.write_bytes


def boot() -> str:
    """Name this boot of the machine, by the second it began in."""
    return str(round(psutil.boot_time()))


def signal(pid: int, started: int, number: int) -> bool:
    """Signal exactly this process; False where it has ended or may not be signalled."""
    found = process(pid)
    if found is None or found.started != started or found.dead:
        return False
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


class Machine:
    """The machine's vitals as psutil tells them; no stalls, and no cgroup is asked."""

    def __init__(self) -> None:
        self._before = (0.0, 0.0)

    def glance(self) -> Glance:
        """Give the free memory; how many tasks there are is not told here."""
        return Glance(available=psutil.virtual_memory().available, tasks=0)

    def read(self) -> Vitals:
        """Look at the whole machine."""
        memory = psutil.virtual_memory()
        times = psutil.cpu_times()
        now = (sum(times), times.idle)
        spent, idle = now[0] - self._before[0], now[1] - self._before[1]
        known = self._before[0] > 0 and spent > 0
        self._before = now
        return Vitals(
            cores=float(psutil.cpu_count() or 1),
            memory=memory.total,
            available=memory.available,
            load=os.getloadavg()[0],
            busy=min(1.0, max(0.0, 1 - idle / spent)) if known else None,
        )

    def close(self) -> None:
        """Nothing is kept open."""
