"""What need not be done again: results of the same inputs, where a task allows them.

What a directory holds is read in the background, so a task may wait a moment for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import cast

from hive.adapters.contents import digest
from hive.adapters.errands import Errands
from hive.adapters.queue import Queue
from hive.core import caching, transitions
from hive.core.tasks import Task

FRESH = 5.0
"""Seconds for which it is believed what a directory was seen to hold."""

MOST = 10_000
"""Of how many tasks it is known at most under which key their result is to be kept."""

READING = "what its directory holds is being read"
"""Why a task that might be saved is given to nobody yet."""

_log = logging.getLogger("hive")


class Savings:
    """Finds earlier results, and says under which key a new one is to be kept."""

    def __init__(self, queue: Queue, directory: Callable[[Task], str]) -> None:
        self._queue = queue
        self._directory = directory
        self._errands = Errands()
        self._held: dict[str, tuple[str, float]] = {}
        self._asked: set[str] = set()
        self._keys: dict[int, str] = {}

    def fileno(self) -> int:
        """Give the descriptor that is readable while something was read."""
        return self._errands.fileno()

    def close(self) -> None:
        """Read nothing more."""
        self._errands.close()

    def inputs(self, task: Task) -> str:
        """Give the key under which the result of a task is to be kept; "" where it is not."""
        return self._keys.pop(task.number, "")

    def spare(self, task: Task, now: float) -> str | None:
        """Say why a ready task is not to be handed out now; None where it is to be.

        Where its result is known already, it is done by that.
        """
        directory = self._directory(task) if task.job.cache else ""
        if not directory:
            return None
        files = self._files(directory, now) if task.job.cache_files else ""
        if files is None:
            return READING
        key = caching.key(task.job, task.words, f"{directory}\n{files}")
        known = self._queue.notebook.cached(key, now)
        if known is None or known[2] < now - task.job.cache:
            self._keys[task.number] = key
            while len(self._keys) > MOST:  # what was never done
                del self._keys[next(iter(self._keys))]
            return None
        number, result, at = known
        why = caching.hit_text(number, at, now)
        self._queue.change([transitions.done(task, result, why, now)])
        return why

    def read(self, now: float) -> None:
        """Take in what was read."""
        for done in self._errands.read():
            directory = cast("str", done.key)
            self._asked.discard(directory)
            if done.error:
                _log.warning("%s: its content can't be told: %s", directory, done.error)
            # What can't be read is like nothing else, so nothing is saved.
            self._held[directory] = (done.value or f"unknown at {now}", now)

    def _files(self, directory: str, now: float) -> str | None:
        """Give what a directory holds, as one word; None while that is being read."""
        word, at = self._held.get(directory, ("", 0.0))
        if word and now - at <= FRESH:
            return word
        if directory not in self._asked:
            self._asked.add(directory)
            self._errands.do(directory, partial(digest, directory))
        return None
