"""Errands that may take a while, done by a few threads, so that nobody waits for them.

What came of them waits in a queue; a descriptor becomes readable when there is some.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Any

THREADS = 4
PATIENCE = 1.0
"""How many seconds `close` waits for errands that are being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of one errand: what it gave, or what it raised."""

    key: Hashable
    value: Any = None
    error: Exception | None = None


class Errands:
    """Does errands in the background and keeps what came of them until it is read."""

    def __init__(self) -> None:
        self._errands: queue.SimpleQueue[tuple[Hashable, Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._threads: list[threading.Thread] = []
        self._done: list[Done] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._readable, self._wake = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._wake, False)

    def do(self, key: Hashable, work: Callable[[], Any]) -> None:
        """Have this done soon; what comes of it bears `key`.

        Several may be done at one time, in any order.
        """
        self._errands.put((key, work))
        if len(self._threads) < THREADS:
            thread = threading.Thread(target=self._work, name="hive-errand", daemon=True)
            self._threads.append(thread)
            thread.start()

    def fileno(self) -> int:
        """Give the descriptor that is readable while there is something to read."""
        return self._readable

    def read(self) -> list[Done]:
        """Give what came of errands since the last read."""
        with self._lock:
            if self._done:
                os.read(self._readable, 1)
            done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Begin nothing more, and give back the descriptors; what is being done is left alone."""
        self._closing.set()
        for _ in self._threads:
            self._errands.put(None)
        until = monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))
        with self._lock:  # nobody is just writing
            os.close(self._readable)
            os.close(self._wake)

    def _work(self) -> None:
        while (errand := self._errands.get()) is not None:
            key, work = errand
            if self._closing.is_set():
                continue
            try:
                done = Done(key=key, value=work())
            except Exception as error:  # noqa: BLE001 - whoever reads it must learn of it
                done = Done(key=key, error=error)
            self._tell(done)

    def _tell(self, done: Done) -> None:
        with self._lock:
            if self._closing.is_set():
                return  # nobody reads any more, and the descriptor may be another's
            if not self._done:
                os.write(self._wake, b"!")
            self._done.append(done)
