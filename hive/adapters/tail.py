"""The lines that are added to a file, however it comes and goes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

MOST = 1 << 23
"""Bytes that are read at once: 8 MiB take a tenth of a second to understand."""


def stamp(paths: Iterable[str]) -> tuple[tuple[int, int, int], ...]:
    """Give what differs where one of these files was changed; a missing one has zeros."""
    found = []
    for path in paths:
        try:
            known = os.stat(path)  # noqa: PTH116 - asked of every agent, twice a second
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((known.st_ino, known.st_size, known.st_mtime_ns))
    return tuple(found)


class Tail:
    """Reads a file on from where it was read last; one that was written anew from its start.

    `most` bytes are read at once; the rest waits for the next time.
    """

    def __init__(self, path: Path, most: int = MOST) -> None:
        self.path = path
        self._most = most
        self._file = 0
        self._offset = 0
        self._seen = (0, 0)
        self._rest = b""

    def read(self) -> list[bytes]:
        """Give the whole lines that were added; a stat where there are none.

        Raises OSError where there is something that can't be read.
        """
        try:
            known = self.path.stat()
        except FileNotFoundError:
            return []
        if (known.st_size, known.st_mtime_ns) == self._seen and known.st_ino == self._file:
            return []
        if known.st_ino != self._file or known.st_size < self._offset:
            self._file, self._offset, self._rest = known.st_ino, 0, b""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(self._most)
        except FileNotFoundError:
            return []  # deleted in between
        self._offset += len(data)
        if len(data) < self._most:  # else there may be more that was there by then
            self._seen = (known.st_size, known.st_mtime_ns)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines
