"""What a terminal itself tells of the program that has it, without a question to that program.

Nothing is read from a terminal, so nothing is taken away from its program.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def _opened(tty: str) -> Iterator[int]:
    fd = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


def raw(tty: str) -> bool | None:
    """Whether its program reads keys itself, not whole lines; None where that can't be known."""
    try:
        with _opened(tty) as fd:
            return not termios.tcgetattr(fd)[3] & termios.ICANON
    except (OSError, termios.error):
        return None


def waiting(tty: str) -> int | None:
    """Give how many bytes were typed that its program has not read; None: not known.

    Where the program reads lines, a line that was not ended does not count.
    """
    try:
        with _opened(tty) as fd:
            return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0])
    except OSError:
        return None


def foreground(root: int) -> bool:
    """Whether the program of a pane, not something it started, has the pane's terminal.

    `root` is the pane's first process. The program is in its process group, or it is a shell:
    that has put itself into a group of its own, and each of its jobs into another. True where it
    can't be known.
    """
    try:
        _, group, owner = _groups(root)
        if owner == group:
            return True
        parent, *_ = _groups(owner)
        return _groups(parent)[1] == group
    except (FileNotFoundError, ProcessLookupError):
        return not Path("/proc/self/stat").exists()


def _groups(pid: int) -> tuple[int, int, int]:
    """Give a process's parent, its group, and the group that has its terminal."""
    with _opened(f"/proc/{pid}/stat") as fd:
        parts = os.read(fd, 4096).rpartition(b")")[2].split()
    return int(parts[1]), int(parts[2]), int(parts[5])
