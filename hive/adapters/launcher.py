"""The root of an agent's pane where perl is missing: what launcher.pl does, in Python.

It is run as a file by a bare interpreter and imports nothing of hive.
"""

import errno
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

OF_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""The terminal sends these to the program as well, and what becomes of it must still be told."""

PASSED_ON = (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

PR_SET_CHILD_SUBREAPER = 36


def main(file: str) -> int:
    """Run the program that the launch file names; give its exit code."""
    try:
        fields = Path(file).read_bytes().split(b"\0")
    except OSError as error:
        end_with(75, f"nothing to run, {file}: {error.strerror}")
    version, prctl, directory, size, *rest = fields if len(fields) > 5 else [b""] * 5
    if version != b"hive 1" or rest[-1] != b"end":
        end_with(75, f"the launch file is damaged: {file}")
    env, argv = rest[: int(size)], rest[int(size) : -1]
    with suppress(FileNotFoundError):  # the first run of a launch has nothing to forget
        Path(f"{file}.code").unlink()
    if int(prctl):
        adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, [*PASSED_ON, signal.SIGCHLD])
    for number in OF_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    child = os.fork()
    if not child:
        become_program(directory, env, argv)
    status = wait_for(child)
    report(file, status)
    return status if status >= 0 else 128 - status


def adopt_orphans() -> None:
    """Keep what the program's children leave behind below this process."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for(child: int) -> int:
    """Give the child's exit code, -N for signal N; pass on what arrives meanwhile."""
    while True:
        number = signal.sigwait([*PASSED_ON, signal.SIGCHLD])
        if number != signal.SIGCHLD:
            os.kill(child, number)
        if number == signal.SIGHUP:
            os._exit(129)  # the pane was closed: nobody asks for the exit code
        pid, status = os.waitpid(-1, os.WNOHANG)
        while pid:
            if pid == child:
                return os.waitstatus_to_exitcode(status)
            pid, status = os.waitpid(-1, os.WNOHANG)


def report(file: str, status: int) -> None:
    """Write the exit code, whole or not at all; without a place for it tmux knows it still."""
    with suppress(OSError):
        fd = os.open(f"{file}.code.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(fd, b"%d" % status)
        os.close(fd)
        Path(f"{file}.code.new").rename(f"{file}.code")


def become_program(directory: bytes, env: Iterable[bytes], argv: list[bytes]) -> NoReturn:
    """Run the program in this process."""
    for number in OF_TERMINAL:
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    names = (b"TERM", b"TERM_PROGRAM", b"TERM_PROGRAM_VERSION")
    known = {name: os.environb[name] for name in names if name in os.environb}
    known |= dict(pair.partition(b"=")[::2] for pair in env)
    try:
        os.chdir(directory)
    except OSError as error:
        end_with(126, f"can't enter `{os.fsdecode(directory)}`: {error.strerror}")
    try:
        os.execvpe(argv[0], argv, known)  # noqa: S606 - no shell is wanted
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script that does not say whose: sh's, says POSIX
            os.execve("/bin/sh", [b"sh", *argv], known)  # noqa: S606
        code = 127 if error.errno == errno.ENOENT else 126
        end_with(code, f"can't run `{os.fsdecode(argv[0])}`: {error.strerror}")


def end_with(code: int, what: str) -> NoReturn:
    """Say why nothing runs, and end."""
    os.write(2, os.fsencode(f"hive: {what}\n"))
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
