"""A bell in a launch's folder: rung where something waits for the agent, heard at once.

It is a named pipe. Who listens makes it; to ring it never waits and needs nobody who listens.
"""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress

from hive.errors import HiveError

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from pathlib import Path

NAME = "bell"
"""How it is called in the folder."""

_RINGING = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
_HEARING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_MANY = 1 << 16


def ring(folder: Path) -> None:
    """Wake whoever listens in this folder; nothing where nobody does.

    The agent may put there what it likes: only a pipe is written to. A plain file is the bell of
    a worker that an earlier hive started: that looks at its time.
    """
    try:
        bell = os.open(folder / NAME, _RINGING)
    except OSError:
        return  # nobody listens, or the launch is over: what waits is found without it
    try:
        kind = os.fstat(bell).st_mode
        if stat.S_ISFIFO(kind):
            os.write(bell, b"!")
        elif stat.S_ISREG(kind):
            os.utime(bell)
    except OSError:
        return  # it is full, so it rings already; or the last who listened has just gone
    finally:
        os.close(bell)


class Bell:
    """The bell of a folder, for who listens to it."""

    def __init__(self, folder: Path) -> None:
        """Begin to listen. Raises HiveError where no pipe can be made."""
        path = folder / NAME
        try:
            if not _is_pipe(path):
                path.unlink(missing_ok=True)
                os.mkfifo(path, 0o600)
            self._ear = os.open(path, _HEARING)
            self._held = os.open(path, _RINGING)  # else it has an end after each who rang
        except OSError as error:
            what = f"can't make the bell: {error.strerror}"
            raise HiveError(what, where=str(path), fix="put that right") from error

    def wait(self, seconds: float, *others: int) -> bool:
        """Wait so long, or until it is rung; gives whether it was, also before.

        Ends, too, as soon as something can be read from one of the `others` (descriptors).
        """
        ready, _, _ = select.select([self._ear, *others], [], [], max(0.0, seconds))
        if self._ear not in ready:
            return False
        with suppress(BlockingIOError):  # somebody else listened, too
            os.read(self._ear, _MANY)
        return True

    def close(self) -> None:
        """Listen no more."""
        os.close(self._ear)
        os.close(self._held)


def _is_pipe(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False
