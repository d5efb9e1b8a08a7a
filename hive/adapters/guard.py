"""The supervisor's parent: starts it again whenever it ends without having been asked to.

It does nothing else, imports next to nothing and runs for weeks. If the guard itself is killed,
its worker becomes a guard (`become`), so either can be killed and both are back.

    python -m hive.adapters.guard STATE_ROOT
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs a guard 1 MB
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType
    from typing import NoReturn

MARK = "HIVE_SUPERVISOR"
"""The variable that marks guard and worker; its value is the state directory."""

PARENT = "HIVE_GUARD"
"""The variable that tells a worker its guard's pid."""

LOCKED = 9
"""The exit code of a worker that found another supervisor at work."""

DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before the first, second, … start after a crash; the last one from then on."""

LONG_LIFE = 60.0
"""Seconds after which a worker's earlier crashes are forgotten."""

HUNG = 30.0
"""Seconds without a sign of life after which a worker is killed, and another started."""

LOOK = 5.0
"""Seconds between two looks for a sign of life."""

ENDINGS = (signal.SIGTERM, signal.SIGINT)


class Guard:
    """One worker, kept running; `command` is what is executed, `log` takes its stderr.

    `pulse` is the file whose time of change is the worker's sign of life; with "" it needs none.
    """

    def __init__(
        self,
        command: list[str],
        log: str,
        *,
        pulse: str = "",
        long_life: float = LONG_LIFE,
        hung: float = HUNG,
    ) -> None:
        self._command = command
        self._log = log
        self._pulse = pulse
        self._long_life = long_life
        self._hung = hung
        self._beat = 0.0
        self._heard = 0.0
        self._worker = 0
        self._asked = False
        self._crashes = 0
        self._ear = _listen()

    def run(self) -> int:
        """Keep the worker running until it ends well or we are asked to end; give the exit code."""
        while not self._asked:
            began = time.monotonic()
            code = self._spawn() or self._wait()
            if self._asked or code in {0, LOCKED}:
                break
            if time.monotonic() - began >= self._long_life:
                self._crashes = 0
            delay = DELAYS[min(self._crashes, len(DELAYS) - 1)]
            self._crashes += 1
            _say(f"the supervisor ended with {code}; it is started again in {delay:g} s")
            self._pause(delay)
        return 0

    def _spawn(self) -> int:
        """Start a worker; 0, or what a shell says of a program that can't be started."""
        for log in (self._log, os.devnull):  # a full disk or a lost directory must not stop us
            try:
                self._worker = self._start(log)
            except OSError as error:
                _say(f"can't start the supervisor with its errors in {log}: {error}")
            else:
                return 0
        return 127

    def _start(self, log: str) -> int:
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawn(
            self._command[0],
            self._command,
            {**os.environ, PARENT: str(os.getpid())},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, log, append, 0o600),
            ],
            setsigmask=[],
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )

    def _wait(self) -> int:
        """Reap whatever ends, until it is the worker; give its exit code, -N for signal N."""
        self._heard = time.monotonic()
        while True:
            for pid, code in _reaped():
                if pid == self._worker:
                    self._worker = 0
                    return code
            self._hear(min(LOOK, self._hung) if self._pulse else None)
            if self._pulse and self._is_hung():
                _say(f"the supervisor gave no sign of life for {self._hung:g} s; it is killed")
                os.kill(self._worker, signal.SIGKILL)  # not yet reaped, so the pid is its own
                self._heard = time.monotonic()

    def _is_hung(self) -> bool:
        """Whether the worker's sign of life has been the same for too long."""
        try:
            beat = os.stat(self._pulse).st_mtime  # noqa: PTH116 - pathlib is too big for a guard
        except OSError:
            beat = 0.0
        now = time.monotonic()
        if beat != self._beat:
            self._beat, self._heard = beat, now
        return now - self._heard > self._hung

    def _pause(self, seconds: float) -> None:
        last = time.monotonic() + seconds
        while not self._asked and (left := last - time.monotonic()) > 0:
            self._hear(left)

    def _hear(self, timeout: float | None) -> None:
        """Wait for a signal; one that asks us to end is passed on to the worker."""
        if not select.select([self._ear], [], [], timeout)[0]:
            return
        if set(os.read(self._ear, 4096)) & set(ENDINGS):
            self._asked = True
            if self._worker:
                os.kill(self._worker, signal.SIGTERM)  # not yet reaped, so the pid is its own


def run(
    command: list[str],
    log: str,
    *,
    pulse: str = "",
    long_life: float = LONG_LIFE,
    hung: float = HUNG,
) -> int:
    """Guard `command` in this process, which must have nothing else to do; give the exit code."""
    return Guard(command, log, pulse=pulse, long_life=long_life, hung=hung).run()


def start(state_root: str, environ: Mapping[str, str]) -> int:
    """Start a guard that belongs to no terminal and no parent, and give its pid.

    It returns as soon as the guard is spawned; whether a supervisor then answers is to be asked.
    Raises `OSError` where it can't be spawned.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _detach(state_root, environ, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="ascii") as pipe:
        told = [int(word) for word in pipe.read().split()] or [0]
    os.waitpid(child, 0)
    if told[-1] <= 0:
        raise OSError(-told[-1], os.strerror(-told[-1]), sys.executable)
    return told[-1]


def _detach(state_root: str, environ: Mapping[str, str], writer: int) -> NoReturn:
    """In the forked child: leave the session, fork again, become the guard.

    The pipe tells the guard's pid, and the number of an error as a negative one.
    """
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.write(writer, b"%d\n" % os.getpid())
        null = os.open(os.devnull, os.O_RDWR)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        log = os.open(os.path.join(state_root, "supervisor.log"), append, 0o600)  # noqa: PTH118
        for fd, end in ((null, 0), (null, 1), (log, 2)):
            os.dup2(fd, end)
        become(state_root, environ)
    except OSError as error:
        os.write(writer, b"-%d\n" % (error.errno or 0))
    finally:
        os._exit(1)


def become(state_root: str, environ: Mapping[str, str]) -> NoReturn:
    """Turn this process into a guard; everything it had open is closed, its lock let go.

    Raises `OSError` where that can't be executed.
    """
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - pathlib is too big for a guard
        if int(name) > 2:
            _close_on_exec(int(name))
    os.chdir("/")
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    ours = {"HIVE_STATE": state_root, MARK: state_root}
    kept = {key: value for key, value in environ.items() if key != PARENT}
    command = [sys.executable, "-m", "hive.adapters.guard", state_root]
    os.execve(sys.executable, command, {**kept, **ours})  # noqa: S606 - no shell is the point


def parent() -> int:
    """Give the pid of the guard that started this process; 0 where none did."""
    text = os.environ.get(PARENT, "")
    return int(text) if text.isdecimal() else 0


def parent_is_guard() -> bool:
    """Say whether the guard that started this process still lives."""
    return os.getppid() == parent()


def _close_on_exec(fd: int) -> None:
    try:
        os.set_inheritable(fd, False)
    except OSError:
        return  # it was the listing's own, closed by now


def _listen() -> int:
    """Have signals arrive as bytes in a pipe, so that none is missed between two looks."""
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)
    for number in (*ENDINGS, signal.SIGCHLD):
        signal.signal(number, _heard)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    return ear


def _heard(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: Python has written the number into the pipe."""


def _reaped() -> Iterator[tuple[int, int]]:
    """Give each child that has ended, and its exit code."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _say(text: str) -> None:
    """Write a line into the log; a full disk is no reason to end."""
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} guard {os.getpid()}: {text}\n"
    try:
        os.write(2, line.encode(errors="replace"))
    except OSError:
        return


def main() -> int:
    """Guard the supervisor of the state directory that is the only argument."""
    root = sys.argv[1]
    if os.getpgrp() != os.getpid():
        os.setsid()
    command = [sys.executable, "-m", "hive", "supervise", "--worker"]
    log, lock = (os.path.join(root, name) for name in ("supervisor.log", "supervisor.lock"))  # noqa: PTH118
    return run(command, log, pulse=lock)


if __name__ == "__main__":
    raise SystemExit(main())
