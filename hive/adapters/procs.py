"""Which processes there are, and which of them bear this hive's tag.

A process is named for good by its pid and the kernel's start time; a zombie is dead. Linux is
read from /proc, everything else through psutil. Only a process may be trusted about itself,
and only once it has become the program it is: one that was just forked still shows the
environment of its parent, so the young are asked again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from hive.core.trees import Process, Tag

if sys.platform == "linux":
    from hive.adapters import procfs as kernel
    from hive.adapters.procfs import boot, command, environ, memory, process, signal
else:
    from hive.adapters import portable as kernel
    from hive.adapters.portable import boot, command, environ, memory, process, signal

__all__ = [
    "Procs",
    "alive",
    "bearing",
    "boot",
    "command",
    "environ",
    "memory",
    "pids_with",
    "process",
    "signal",
    "started",
]

YOUNG = 5.0
"""For how many seconds after it was first seen a process may still become another program."""


class Source(Protocol):
    """A table of processes that can be read again and again."""

    def read(self) -> dict[int, Process]:
        """Give every process by its pid, zombies too."""

    def close(self) -> None:
        """Give back what is kept between two reads."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a process's environment said, when its name was `name`; times are monotonic."""

    name: str
    tag: Tag | None
    first: float
    at: float

    @property
    def young(self) -> bool:
        return self.at - self.first < YOUNG


class Procs:
    """The process table as one hive sees it, look by look.

    `state` is the hive's state directory, as its agents' environments name it. `table` and `tag`
    are where processes and their tags are read: the platform's own way if not given.
    """

    def __init__(
        self,
        state: str,
        table: Source | None = None,
        tag: Callable[[int, str], Tag | None] = kernel.tag,
    ) -> None:
        self._state = state
        self._table = table or kernel.Table()
        self._tag = tag
        self._seen: dict[int, Process] = {}
        self._asked: dict[tuple[int, int], _Asked] = {}

    def look(self) -> dict[int, Process]:
        """Give every process that may be seen by its pid, zombies too; no kernel threads."""
        self._seen = self._table.read()
        return self._seen

    def tags(self) -> dict[int, Tag]:
        """Give the tags of this hive's processes among those of the last look."""
        before, self._asked = self._asked, {}
        now = time.monotonic()
        found: dict[int, Tag] = {}
        for pid, one in self._seen.items():
            if one.dead:
                continue
            key = (pid, one.started)
            asked = before.get(key)
            if asked is None or asked.young or asked.name != one.name:
                first = asked.first if asked else now
                asked = _Asked(one.name, self._tag(pid, self._state), first, now)
            self._asked[key] = asked
            if asked.tag:
                found[pid] = asked.tag
        return found

    def close(self) -> None:
        """Give back what is kept open between two looks."""
        self._table.close()


def started(pid: int) -> int | None:
    """Give a process's start time, in the platform's unit; None where there is none."""
    found = process(pid)
    return found.started if found else None


def alive(pid: int, started: int) -> bool:
    """Whether exactly this process runs: it was not replaced, and is no zombie."""
    found = process(pid)
    return found is not None and found.started == started and not found.dead


def bearing(name: str, values: Collection[str]) -> list[Process]:
    """Find the living processes in whose environment a variable has one of these values."""
    found = kernel.Table(keep=0).read()
    return [one for pid, one in found.items() if not one.dead and environ(pid).get(name) in values]


def pids_with(state: str) -> dict[int, Process]:
    """Find every living process an agent of this hive started, with nothing remembered.

    A person's shell that only names the state directory is not among them; the caller is, where
    an agent started it.
    """
    table = kernel.Table(keep=0)
    found = table.read()
    return {pid: one for pid, one in found.items() if not one.dead and kernel.tag(pid, state)}
