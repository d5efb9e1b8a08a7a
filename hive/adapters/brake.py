"""The brake of one launch: all its processes but the root, stopped and let go on.

The root is the launcher. It is never stopped: tmux would undo that at once, and it has to watch.
Linux signals through kept pidfds and reads each process's children from the kernel; elsewhere
they are read from `ps`, and a pid is signalled right after its start time was checked.
"""

from __future__ import annotations

import os
import resource
import signal as signals
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTSTP

from hive.adapters import procs
from hive.core.belonging import Key, used
from hive.core.trees import Process

Children = Callable[[int], Iterable[int]]
"""Gives the pids of a process's children."""

ROUNDS = 10
"""How often what was born meanwhile is looked for, at most, before all count as stopped."""

PATIENCE = 1.0
"""How many seconds one call of `kill` takes, about, where it is given no others."""

MOMENT = 0.002
"""How many seconds a shell is given to stop before it is left for the next time."""

_STOPPED = frozenset("Tt")

_STILL = frozenset("TtD")
"""What runs no code: D waits for the disk, or for a child it lent its memory to (vfork)."""

_SERVER = "tmux: server"
"""A server that was just born may be hive's own, so it is not found by descent: `know` tells."""

_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
"""The process has ended, or is another user's."""


def children_by_ps() -> Children:
    """Give the children of all processes as they are now."""
    command = ["ps", "-axo", "ppid=,pid="]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found: dict[int, list[int]] = defaultdict(list)
    for line in said.splitlines():
        parent, pid = line.split()
        found[int(parent)].append(int(pid))
    return lambda parent: found.get(parent, ())


if sys.platform == "linux":
    from hive.adapters.procfs import pidfd

    def children_now() -> Children:
        """Give what reads a process's children at the moment it is asked."""
        return _children if _KERNEL_TELLS else children_by_ps()

    def _children(pid: int) -> list[int]:
        found: list[int] = []
        with suppress(*_GONE):
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - asked all the time
                with suppress(*_GONE):
                    found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
        return found

    def _suspended(pid: int) -> bool:
        """Whether the terminal has suspended it while it was stopped: a continue undoes that."""
        with suppress(*_GONE):
            for line in _read(f"/proc/{pid}/status").splitlines():
                if line.startswith(b"ShdPnd:"):
                    return bool(int(line.split()[1], 16) >> (SIGTSTP - 1) & 1)
        return False

    def _read(path: str) -> bytes:
        fd = os.open(path, os.O_RDONLY)
        try:
            return b"".join(iter(lambda: os.read(fd, 65536), b""))
        finally:
            os.close(fd)

    _KERNEL_TELLS = os.path.exists("/proc/thread-self/children")  # noqa: PTH110 - asked once

    class Grips:
        """Kept pidfds: a signal through one reaches exactly the process that was meant.

        At most `keep` are open, a quarter of what this process may have if not given.
        """

        def __init__(self, keep: int | None = None) -> None:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            self._spare = limit // 4 if keep is None else keep
            self._fds: dict[Key, int] = {}

        def signal(self, key: Key, number: int) -> bool:
            """Signal a process; False where it has ended or may not be signalled."""
            fd = self._fds.get(key, -1)
            if fd < 0 and self._spare <= 0:
                return procs.signal(*key, number)
            if fd < 0:
                new = pidfd(*key)
                if new is None:
                    return False
                self._fds[key] = fd = new
                self._spare -= 1
            try:
                signals.pidfd_send_signal(fd, number)
            except (ProcessLookupError, PermissionError):
                return False
            return True

        def drop(self, key: Key) -> None:
            """Keep nothing of this process any more."""
            fd = self._fds.pop(key, -1)
            if fd >= 0:
                os.close(fd)
                self._spare += 1

else:
    children_now = children_by_ps

    def _suspended(_: int) -> bool:
        return False

    class Grips:
        """Signals to processes, where nothing can be kept of them."""

        def signal(self, key: Key, number: int) -> bool:
            """Signal a process; False where it has ended or may not be signalled."""
            return procs.signal(*key, number)

        def drop(self, key: Key) -> None:
            """Keep nothing of this process any more."""


class Brake:
    """The processes of one launch, below its root and wherever else they were seen."""

    def __init__(
        self, root: Process, grips: Grips, children: Callable[[], Children] = children_now
    ) -> None:
        self._root: Key = (root.pid, root.started)
        self._grips = grips
        self._children = children
        self._never = frozenset({os.getpid(), os.getppid()})
        self._known: dict[Key, Process] = {self._root: root}
        self._counted: dict[Key, Process] = {self._root: root}
        self._held: dict[Key, None] = {}
        self._done: set[Key] = set()

    @property
    def alive(self) -> bool:
        """Whether anything but the root is in reach and was not killed, by the latest look."""
        return bool(self._living())

    @property
    def escaped(self) -> frozenset[Key]:
        """What did not descend from the root at the latest look."""
        pids = {self._root[0]}
        pids.update(pid for pid, _ in self._known)
        return frozenset(
            key for key, one in self._known.items() if one.parent not in pids and key != self._root
        )

    @property
    def others(self) -> frozenset[Key]:
        """What somebody else had stopped by the latest look."""
        return frozenset(
            key
            for key, one in self._known.items()
            if one.state in _STOPPED and key not in self._held
        )

    def know(self, tree: Iterable[Process], never: Collection[int] = ()) -> None:
        """Take in what else belongs to the launch; what it used until now does not count.

        `never` are pids that are left alone whoever their parent is, with all below them.
        """
        self._never |= frozenset(never)
        for key in [key for key in self._known if key[0] in self._never]:
            del self._known[key]
            if key in self._held:
                del self._held[key]
                self._grips.signal(key, SIGCONT)
            self._grips.drop(key)
        for one in tree:
            if one.pid not in self._never:
                self._known.setdefault((one.pid, one.started), one)
                self._counted.setdefault((one.pid, one.started), one)

    def look(self) -> float:
        """Look at all of them; give the seconds of processor time used since the last look."""
        self._scan()
        spent = used(self._counted, self._known)
        self._counted = self._known
        return spent

    def stop(self) -> bool:
        """Stop all that the latest look saw, parents first, and what was born meanwhile.

        What somebody else had stopped is left alone, and what was let go on behind our back is
        stopped again. False where more is to be stopped soon: a shell takes its time, and would
        see its jobs stop and say so if they did before it, or more are born all the time.
        """
        asked: set[Key] = set()
        for _ in range(ROUNDS):
            fresh, whole = self._stop_known(asked)
            if not whole or not fresh:
                return whole
            self._scan()
        return False

    def go(self) -> None:
        """Let all that we stopped go on, children first.

        What the person has suspended (Ctrl-Z) meanwhile, is suspended again.
        """
        for key in reversed(self._held):
            suspended = _suspended(key[0])
            if self._grips.signal(key, SIGCONT) and suspended:
                self._grips.signal(key, SIGTSTP)
        self._held = {}

    def kill(self, seconds: float = PATIENCE) -> int:
        """End all of them but the root, also those that are born meanwhile; give how many.

        All are stopped before the first is killed: what stands still has no children. Where the
        time is not enough for that (a fork bomb), what was stopped stays so, and the next call
        goes on from there. `alive` tells whether one is needed.
        """
        until = time.monotonic() + seconds
        killed = 0
        self._scan()
        while self.alive and self._freeze(until):
            for key in reversed(self._living()):
                killed += self._grips.signal(key, SIGKILL)
                self._done.add(key)
            self._scan()
        return killed

    def close(self) -> None:
        """Let everything go on, and keep nothing."""
        self.go()
        for key in self._known:
            self._grips.drop(key)

    def _living(self) -> dict[Key, Process]:
        """Give what lives, in reach and not killed yet, parents first."""
        return {
            key: one
            for key, one in self._known.items()
            if key != self._root and not one.dead and key not in self._done
        }

    def _freeze(self, until: float) -> bool:
        """Stop everything until nothing runs; False where the time was not enough."""
        asked: set[Key] = set()
        while time.monotonic() < until:
            fresh = [key for key in self._living() if key not in asked]
            for key in fresh:
                if self._grips.signal(key, SIGSTOP):
                    self._held.setdefault(key)
                    asked.add(key)
                else:
                    self._done.add(key)
            if not fresh:
                time.sleep(0.001)  # a busy process needs a moment to stop
            self._scan()
            if all(key in asked and one.state in _STILL for key, one in self._living().items()):
                return True
        return False

    def _stop_known(self, asked: set[Key]) -> tuple[bool, bool]:
        """Stop what runs and was not asked yet; give whether any did, and whether all may stop.

        A shell that controls jobs must stand still before its jobs do.
        """
        shells = self._shells()
        spared: set[int] = set()
        fresh = False
        for key, one in self._living().items():
            if one.parent in spared:
                spared.add(one.pid)
                continue
            if one.state not in _STOPPED and key not in asked:
                asked.add(key)
                if self._grips.signal(key, SIGSTOP):
                    self._held.setdefault(key)
                    fresh = True
            if one.pid in shells and key in self._held and not _stands_still(one):
                spared.add(one.pid)
        return fresh, not spared

    def _shells(self) -> set[int]:
        """Give the pids of those that have children in other process groups than their own."""
        groups = {pid: _group(pid) for pid, _ in self._known}
        return {
            one.parent
            for one in self._known.values()
            if groups[one.pid] != groups.get(one.parent, groups[one.pid])
        }

    def _scan(self) -> None:
        """See which of the known still are, and find what descends from them, parents first."""
        now = {key: procs.process(key[0]) for key in self._known}
        alive = {
            one.pid: one for (_, started), one in now.items() if one and one.started == started
        }
        children = self._children()
        found: dict[int, Process] = {}
        for top in sorted(alive.values(), key=lambda one: one.parent in alive):
            below = [] if top.pid in found else [top]
            for one in below:  # it grows while it is walked
                found[one.pid] = one
                for pid in children(one.pid):
                    if pid in found or pid in self._never:
                        continue
                    child = alive.get(pid) or _born(pid)
                    if child is not None and child.parent == one.pid:
                        below.append(child)
        before, self._known = self._known, {(one.pid, one.started): one for one in found.values()}
        for key in before.keys() - self._known.keys():
            self._grips.drop(key)
            self._held.pop(key, None)
            self._done.discard(key)


def _born(pid: int) -> Process | None:
    """Look at a process that was not known."""
    one = procs.process(pid)
    return None if one is None or one.name == _SERVER else one


def _group(pid: int) -> int:
    """Give a process's group; 0 where it has ended or may not be asked."""
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return 0


def _stands_still(one: Process) -> bool:
    """Give a process that was told to stop a moment to do so; whether it did."""
    until = time.monotonic() + MOMENT
    seen: Process | None = one
    while seen is not None and seen.state not in _STILL and not seen.dead:
        if time.monotonic() > until:
            return False
        time.sleep(MOMENT / 20)
        seen = procs.process(one.pid)
    return True
