"""The process table of Linux, read raw from /proc.

One pass over the whole table is made at every look, so it keeps a descriptor for each process
and reads it again: half the cost of opening it. What ended, or may not be read, is left out.
Signals go through pidfds: they reach the process that was meant, or none. Needs Linux 5.3.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import signal as signals
import sys
from collections.abc import Iterable
from pathlib import Path

from hive.core import trees
from hive.core.trees import Process, Tag

if sys.platform != "linux":
    raise ImportError("only Linux has such a /proc; elsewhere it is hive.adapters.portable")

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_KERNEL_THREAD = 0x00200000
_STAT = 4096
"""More than the longest `stat` line has."""

_PART = 65536

_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)

_HIDDEN = (FileNotFoundError, ProcessLookupError, PermissionError)
"""The process is gone, or is another user's."""

_UNREACHED = {errno.ESRCH, errno.EPERM, errno.EINVAL, errno.ENOENT}
"""Gone, not ours to signal, or (EINVAL, ENOENT) the id of a thread by now."""


class _Row:
    """A process's kept descriptor (-1: none), with what it said last time."""

    __slots__ = ("fd", "process", "text")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.text = b""
        self.process: Process | None = None


class Table:
    """The table of all processes, read again and again.

    It keeps at most `keep` descriptors open, half of what this process may have if not given.
    """

    def __init__(self, keep: int | None = None) -> None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._spare = limit // 2 if keep is None else keep
        self._rows: dict[int, _Row] = {}

    def read(self) -> dict[int, Process]:
        """Give every process by its pid, zombies too, kernel threads left out."""
        before, self._rows = self._rows, {}
        found: dict[int, Process] = {}
        for name in os.listdir("/proc"):  # noqa: PTH208 - a Path for each costs as much as reading it
            if not name.isdecimal():
                continue
            pid = int(name)
            row = self._again(pid, before.pop(pid, None))
            if row is None:
                continue
            self._rows[pid] = row
            if row.process is not None:
                found[pid] = row.process
        for gone in before.values():
            self._drop(gone)
        return found

    def close(self) -> None:
        """Close the kept descriptors; the table can still be read, and then keeps new ones."""
        for row in self._rows.values():
            self._drop(row)
        self._rows = {}

    def _again(self, pid: int, row: _Row | None) -> _Row | None:
        """Read one process; None where it is gone."""
        try:
            if row is not None and row.fd >= 0:
                return _refresh(row, os.pread(row.fd, _STAT, 0))
        except ProcessLookupError:
            self._drop(row)  # it ended, and another may have its pid
            row = None
        try:
            fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        except _HIDDEN:
            return None
        row = row or _Row(-1)
        try:
            _refresh(row, os.read(fd, _STAT))
        except _HIDDEN:
            os.close(fd)
            return None
        self._keep(row, fd)
        return row

    def _keep(self, row: _Row, fd: int) -> None:
        if self._spare > 0:
            self._spare -= 1
            row.fd = fd
        else:
            os.close(fd)

    def _drop(self, row: _Row | None) -> None:
        if row is not None and row.fd >= 0:
            os.close(row.fd)
            row.fd = -1
            self._spare += 1


def process(pid: int) -> Process | None:
    """Look at one process; None where there is none, or it may not be seen."""
    text = _text(pid, "stat")
    return _parse(text) if text else None


def environ(pid: int) -> dict[str, str]:
    """Give the environment a process was started with; empty where it may not be read."""
    return _environ(_text(pid, "environ"))


def tag(pid: int, state: str) -> Tag | None:
    """Give the tag in a process's environment, if the hive of `state` put it there."""
    text = _text(pid, "environ")
    if os.fsencode(f"{trees.STATE}={state}\0") not in text:
        return None  # most processes: taking it apart costs more than reading it
    return trees.tag(_environ(text, b"HIVE_"), state)


def command(pid: int) -> list[str]:
    """Give the arguments a process was started with, or what it shows instead; [] if unknown."""
    text = _text(pid, "cmdline").rstrip(b"\0")
    return [os.fsdecode(part) for part in text.split(b"\0")] if text else []


def memory(pids: Iterable[int]) -> dict[int, int]:
    """Give the bytes each process would give back by ending; those gone are left out."""
    found = {}
    for pid in pids:
        fields = _text(pid, "statm").split()
        if fields:
            found[pid] = max(0, int(fields[1]) - int(fields[2])) * _PAGE
    return found


def shared(pid: int) -> int:
    """Give the bytes of what is resident that others may share; 0 where it may not be read."""
    fields = _text(pid, "statm").split(b" ", 3)
    return int(fields[2]) * _PAGE if len(fields) > 2 else 0


def proportional(pid: int) -> int | None:
    """Give a process's fair part of all it shares, with all it has alone, in bytes.

    That is the kernel's PSS: exact, and 2 ms for each 200 MB. None where it may not be read.
    """
    found = _PSS.search(_text(pid, "smaps_rollup"))
    return int(found[1]) * 1024 if found else None


def disk(pid: int) -> tuple[int, int] | None:
    """Give the bytes a process and its reaped children read from disk and wrote to it.

    None where it may not be read.
    """
    found = dict(line.split(b": ") for line in _text(pid, "io").splitlines())
    return (int(found[b"read_bytes"]), int(found[b"write_bytes"])) if found else None


def boot() -> str:
    """Name this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def pidfd(pid: int, started: int) -> int | None:
    """Open a pidfd of exactly this process; None where it has ended or is out of reach."""
    if not _is(pid, started):
        return None
    try:
        fd = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in _UNREACHED:
            return None
        raise
    if _is(pid, started):  # else it ended just before, and the pid is another's by now
        return fd
    os.close(fd)
    return None


def signal(pid: int, started: int, number: int) -> bool:
    """Signal exactly this process; False where it has ended or may not be signalled."""
    fd = pidfd(pid, started)
    if fd is None:
        return False
    try:
        signals.pidfd_send_signal(fd, number)
    except OSError as error:
        if error.errno in _UNREACHED:
            return False
        raise
    finally:
        os.close(fd)
    return True


def _is(pid: int, started: int) -> bool:
    found = process(pid)
    return found is not None and found.started == started and not found.dead


def _refresh(row: _Row, text: bytes) -> _Row:
    """Take in what `stat` says now; most processes say what they said at the last look."""
    if text != row.text:
        row.text = text
        row.process = _parse(text)
    return row


def _parse(text: bytes) -> Process | None:
    """Read a `stat` line; None for a kernel thread. A name may hold spaces and parentheses."""
    begin, end = text.index(b"("), text.rindex(b")")
    fields = text[end + 2 :].split(b" ", 22)
    if int(fields[6]) & _KERNEL_THREAD:
        return None
    return Process(
        pid=int(text[:begin]),
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        state=fields[0].decode(),
        cpu=sum(map(int, fields[11:15])) * _TICK,
        name=os.fsdecode(text[begin + 1 : end]),
        memory=int(fields[21]) * _PAGE,
    )


def _environ(text: bytes, prefix: bytes = b"") -> dict[str, str]:
    """Take an environment apart: the variables whose names begin with `prefix`."""
    found: dict[str, str] = {}
    for entry in text.split(b"\0"):
        key, equals, value = entry.partition(b"=")
        if equals and key.startswith(prefix):  # as getenv, the first of two counts
            found.setdefault(os.fsdecode(key), os.fsdecode(value))
    return found


def _text(pid: int, name: str) -> bytes:
    """Read one of a process's files; empty where it is gone or may not be read."""
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    except _HIDDEN:
        return b""
    try:
        parts = list(iter(lambda: os.read(fd, _PART), b""))
    except _HIDDEN:
        return b""
    finally:
        os.close(fd)
    return b"".join(parts)
