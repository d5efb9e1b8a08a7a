"""Deaths of processes, told within a millisecond through one descriptor to wait on.

Linux: a pidfd for each process, in one epoll. Elsewhere a kqueue, which was not run. Both tell
of any process, not only of children, and never mistake a reused pid.
"""

from __future__ import annotations

import os
import select
import sys

if sys.platform == "linux":
    from hive.adapters.procfs import pidfd

    class Deaths:
        """Processes whose end is waited for."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._fds: dict[int, int] = {}
            self._watched: dict[int, tuple[int, int]] = {}

        def watch(self, pid: int, started: int) -> bool:
            """Tell of this process's end, once; False where it has already ended.

            To watch it twice changes nothing.
            """
            fd, known = self._watched.get(pid, (-1, -1))
            if fd >= 0 and known == started:
                return True
            new = pidfd(pid, started)
            if new is None:
                return False
            self.unwatch(pid)
            self._epoll.register(new, select.EPOLLIN)
            self._watched[pid] = (new, started)
            self._fds[new] = pid
            return True

        def unwatch(self, pid: int) -> None:
            """Tell no more of this pid."""
            fd, _ = self._watched.pop(pid, (-1, -1))
            if fd >= 0:
                self._epoll.unregister(fd)
                del self._fds[fd]
                os.close(fd)

        def fileno(self) -> int:
            """Give the descriptor that is readable while there are deaths to read."""
            return self._epoll.fileno()

        def read(self) -> list[int]:
            """Give the pids that died since the last read; they are no longer watched."""
            died = [self._fds[fd] for fd, _ in self._epoll.poll(0, len(self._fds) + 1)]
            for pid in died:
                self.unwatch(pid)
            return died

        def close(self) -> None:
            """Watch nothing any more."""
            for pid in list(self._watched):
                self.unwatch(pid)
            self._epoll.close()

else:
    from hive.adapters.portable import process

    class Deaths:
        """Processes whose end is waited for."""

        def __init__(self) -> None:
            self._queue = select.kqueue()
            self._watched: dict[int, int] = {}

        def watch(self, pid: int, started: int) -> bool:
            """Tell of this process's end, once; False where it has already ended.

            To watch it twice changes nothing.
            """
            if self._watched.get(pid) == started:
                return True
            self.unwatch(pid)
            try:
                self._change(pid, select.KQ_EV_ADD | select.KQ_EV_ONESHOT)
            except ProcessLookupError:
                return False
            self._watched[pid] = started
            found = process(pid)
            if found is not None and found.started == started and not found.dead:
                return True
            self.unwatch(pid)
            return False

        def unwatch(self, pid: int) -> None:
            """Tell no more of this pid."""
            if self._watched.pop(pid, None) is None:
                return
            try:
                self._change(pid, select.KQ_EV_DELETE)
            except (FileNotFoundError, ProcessLookupError):
                return  # it died: the event went off, and went with it

        def fileno(self) -> int:
            """Give the descriptor that is readable while there are deaths to read."""
            return self._queue.fileno()

        def read(self) -> list[int]:
            """Give the pids that died since the last read; they are no longer watched."""
            events = self._queue.control(None, len(self._watched) + 1, 0)
            died = [event.ident for event in events if event.ident in self._watched]
            for pid in died:
                del self._watched[pid]
            return died

        def close(self) -> None:
            """Watch nothing any more."""
            self._watched.clear()
            self._queue.close()

        def _change(self, pid: int, flags: int) -> None:
            event = select.kevent(
                pid, filter=select.KQ_FILTER_PROC, flags=flags, fflags=select.KQ_NOTE_EXIT
            )
            self._queue.control([event], 0, 0)
