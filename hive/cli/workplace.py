"""Where a worker's commands run: its terminal, their processes, and what wakes it meanwhile.

Each command is a group of processes of its own, in the foreground of the pane's terminal, as a
shell's would be: what a person types goes to it, and Ctrl-C ends it and not the worker.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
import time
from contextlib import suppress

from hive.adapters.bell import Bell

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import FrameType
    from typing import NoReturn

OF_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTOU, signal.SIGTTIN)
"""What the terminal sends is for the command."""

GRACE = 5.0
"""Seconds that a command gets to end which is no longer the worker's."""

LOOK = 5.0
"""Seconds after which it is asked whether a command is still ours although no bell was rung."""

NOT_FOUND, NOT_RUN = 127, 126
"""The exit codes of a command that could not be started, as a shell has them."""


class Workplace:
    """One worker's terminal and bell.

    `over` says that the worker is to end; `idle` that nothing is lost if it ends at once.
    """

    def __init__(self, folder: Path) -> None:
        """Take the terminal's signals. Raises HiveError where there can be no bell."""
        self.over = False
        self.idle = False
        self._told = False
        self._bell = Bell(folder)
        self._woken, wakes = os.pipe()
        for end in (self._woken, wakes):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        for number in OF_TERMINAL:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, _noted)
        signal.signal(signal.SIGTERM, self._ended)

    def rest(self, seconds: float) -> None:
        """Wait so long, or until the bell is rung or the worker is to end."""
        last = time.monotonic() + seconds
        while not self.over and (left := last - time.monotonic()) > 0:
            if self._wait(left):
                return

    def run(
        self,
        argv: list[str],
        environ: Mapping[str, str],
        directory: str,
        ours: Callable[[], bool],
    ) -> int | None:
        """Run a command on this terminal, in the foreground.

        Gives its exit code, -N for signal N; None where it was ended because `ours` said that it
        is not the worker's any more. That is asked when the bell is rung, and every few seconds.
        """
        terminal = os.isatty(0)
        if terminal:
            before = termios.tcgetattr(0)
            termios.tcflush(0, termios.TCIFLUSH)  # what was typed before is not for this one
        child = _start(argv, environ, directory, terminal=terminal)
        code = self._until_over(child, ours, terminal=terminal)
        if terminal:
            with suppress(OSError, termios.error):  # the terminal has gone
                os.tcsetpgrp(0, os.getpgrp())
                termios.tcsetattr(0, termios.TCSADRAIN, before)
        return code

    def _until_over(self, child: int, ours: Callable[[], bool], *, terminal: bool) -> int | None:
        """Wait for the command's end; pass TERM on."""
        still, look = True, time.monotonic() + LOOK
        while (code := _code(child, terminal=terminal)) is None:
            if self.over and not self._told:
                self._told = True
                _signal(child, signal.SIGTERM)
            rung = self._wait(look - time.monotonic())
            if not (rung and still) and time.monotonic() < look:
                continue
            look = time.monotonic() + LOOK
            if not still:
                _signal(child, signal.SIGKILL)
            elif not ours():
                still, look = False, time.monotonic() + GRACE
                _signal(child, signal.SIGTERM)
        if still:
            return code
        _signal(child, signal.SIGKILL)  # whoever does it now must not meet what is left of it
        return None

    def _wait(self, seconds: float) -> bool:
        """Wait for the bell or a signal; gives whether it was the bell."""
        rung = self._bell.wait(seconds, self._woken)
        with suppress(BlockingIOError):
            os.read(self._woken, 1 << 10)
        return rung

    def _ended(self, _number: int, _frame: FrameType | None) -> None:
        """End: at once while nothing is done, else after what is done."""
        self.over, self._told = True, False
        if self.idle:
            raise SystemExit(0)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: what wakes is that it came."""


def _code(child: int, *, terminal: bool) -> int | None:
    """Give its exit code, None while it runs. One that the terminal stopped goes on."""
    pid, status = os.waitpid(child, os.WUNTRACED | os.WNOHANG)
    if not pid:
        return None
    if not os.WIFSTOPPED(status):
        return os.waitstatus_to_exitcode(status)
    if os.WSTOPSIG(status) != signal.SIGSTOP and terminal:
        with suppress(OSError):  # the terminal has gone
            os.tcsetpgrp(0, child)
        _signal(child, signal.SIGCONT)
    return None


def _start(argv: list[str], environ: Mapping[str, str], directory: str, *, terminal: bool) -> int:
    """Start the command as a group of its own that has the terminal; give its pid."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # until it is no worker any more
    child = os.fork()
    if not child:
        _become(argv, environ, directory, terminal=terminal)
    with suppress(PermissionError, ProcessLookupError):  # it is a program by now, or ended
        os.setpgid(child, child)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    return child


def _become(
    argv: list[str], environ: Mapping[str, str], directory: str, *, terminal: bool
) -> NoReturn:
    """Run the command in this process."""
    code = NOT_RUN
    try:
        os.setpgid(0, 0)
        if terminal:
            os.tcsetpgrp(0, os.getpgrp())
        for number in (*OF_TERMINAL, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        if directory:
            os.chdir(directory)
        os.execvpe(argv[0], argv, environ)  # noqa: S606 - it is what was asked for
    except BaseException as error:  # noqa: BLE001 - nothing may go on as a second worker
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN
        sys.stderr.write(f"hive worker: can't run it: {error}\n")
        sys.stderr.flush()
    os._exit(code)


def _signal(child: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.killpg(child, number)
        os.killpg(child, signal.SIGCONT)
