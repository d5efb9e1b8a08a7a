"""A file's lock by which processes go one by one, in the order they came.

Nobody waits longer than it wants to: whoever has the lock may be frozen.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

SOON = 0.002
"""Seconds for which it is just tried again and again, before one queues up."""


class Turnstile:
    """The lock in a file, for one thread."""

    def __init__(self, path: Path) -> None:
        """Open it, making an empty private file. Raises `OSError` where that fails."""
        self._path = path
        self._file = self._opened()

    def _opened(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def enter(self, patience: float) -> Callable[[], None]:
        """Be the one inside until what this gives is called.

        Raises `TimeoutError` after so many seconds of waiting.
        """
        if self._soon(min(patience, SOON)):
            return self._leave
        return partial(os.close, _queued(self._opened(), patience))

    def _leave(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def _soon(self, seconds: float) -> bool:
        last = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > last:
                    return False
                time.sleep(0.0001)
            else:
                return True


def _queued(file: int, patience: float) -> int:
    """Queue up in the kernel, and give the open file when it is locked.

    A thread waits, as the call itself waits for ever; one that is too late lets go again.
    """
    came = threading.Event()
    late = threading.Lock()  # held by whoever is first: the thread that came, or who gave up

    def wait() -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        if late.acquire(blocking=False):
            came.set()
        else:
            os.close(file)

    threading.Thread(target=wait, daemon=True).start()
    if came.wait(patience) or not late.acquire(blocking=False):
        return file
    raise TimeoutError
