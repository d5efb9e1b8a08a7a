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


def main(file: str, patience: int = 10) -> int:
    """Run the program that the launch file names; give its exit code.

    After `patience` seconds in which nobody touched the lease, it lets everything go on.
    """
    try:
        fields = Path(file).read_bytes().split(b"\0")
    except OSError as error:
        end_with(75, f"nothing to run, {file}: {error.strerror}")
    version, prctl, directory, *rest = fields if len(fields) > 5 else [b""] * 4
    if version != b"hive 2" or rest.pop() != b"end":
        end_with(75, f"the launch file is damaged: {file}")
    join, rest = rest[1 : int(rest[0]) + 1], rest[int(rest[0]) + 1 :]
    env, argv = rest[1 : int(rest[0]) + 1], rest[int(rest[0]) + 1 :]
    with suppress(FileNotFoundError):  # the first run of a launch has nothing to forget
        Path(f"{file}.code").unlink()
    if int(prctl):
        adopt_orphans()
    for path in join:  # what is in a control group is held by it, with all that it starts
        write_to(path, b"0")
    signal.pthread_sigmask(signal.SIG_BLOCK, [*PASSED_ON, signal.SIGCHLD, signal.SIGALRM])
    for number in OF_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    child = os.fork()
    if not child:
        become_program(directory, env, argv)
    status = wait_for(child, Watch(file, child, patience))
    report(file, status)
    return status if status >= 0 else 128 - status


def adopt_orphans() -> None:
    """Keep what the program's children leave behind below this process."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Watch:
    """Looks at the lease while there is one, or while the program stands still.

    It counts its own looks: a clock may jump.
    """

    def __init__(self, file: str, child: int, patience: int) -> None:
        self._lease = Path(f"{file}.held")
        self._child = child
        self._patience = patience
        self._every = patience // 5 or 1
        self._touched = 0
        self._looks = 0

    def begin(self) -> None:
        """Look some time from now: something was stopped, by whom is not known."""
        self._looks = 0
        signal.alarm(self._every)

    def look(self) -> None:
        """Let everything go on where nobody touches the lease any more."""
        try:
            touched = self._lease.stat().st_mtime_ns
        except FileNotFoundError:
            touched = 0
        self._looks = self._looks + 1 if touched == self._touched else 0
        self._touched = touched
        if touched and self._looks * self._every >= self._patience:
            self._let_go()
            self._lease.unlink(missing_ok=True)
            touched = 0
        if touched or any(state == "T" for _, _, state in processes(self._child)):
            signal.alarm(self._every)

    def _let_go(self) -> None:
        """Let all below this process go on, children first, but for what others had stopped."""
        noted = [line.split() for line in self._lease.read_text("ascii").splitlines()]
        others = {int(pid) for word, pid, _ in noted if word == "not"}
        found = {pid: (parent, state) for pid, parent, state in processes()}
        tree = [os.getpid(), *(int(pid) for word, pid, _ in noted if word == "also")]
        for above in tree:  # it grows while it is walked
            tree += [pid for pid, (parent, _) in found.items() if parent == above]
        for pid in reversed(tree[1:]):
            if pid not in others and found.get(pid, (0, ""))[1] == "T":
                with suppress(ProcessLookupError, PermissionError):  # it has just ended
                    os.kill(pid, signal.SIGCONT)


def processes(*pids: int) -> list[tuple[int, int, str]]:
    """Give pid, parent and state of these processes, or of all."""
    if not Path("/proc/self/stat").exists():
        which = f"-p {pids[0]}" if pids else "-ax"
        with os.popen(f"ps {which} -o pid=,ppid=,state=") as said:  # noqa: S605 - numbers only
            lines = [line.split() for line in said]
        return [(int(pid), int(parent), state[:1]) for pid, parent, state in lines]
    found = []
    for pid in pids or [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]:
        with suppress(OSError):  # it has just ended
            state, parent = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:2]
            found.append((pid, int(parent), state.decode()))
    return found


def write_to(path: str | bytes, text: bytes) -> None:
    """Write to a file of the kernel, if it is there and lets us."""
    with suppress(OSError):
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, text)
        finally:
            os.close(fd)


def wait_for(child: int, watch: Watch) -> int:
    """Give the child's exit code, -N for signal N; pass on what arrives meanwhile."""
    while True:
        number = signal.sigwait([*PASSED_ON, signal.SIGCHLD, signal.SIGALRM])
        if number == signal.SIGALRM:
            watch.look()
        elif number != signal.SIGCHLD:
            os.kill(child, number)
        if number == signal.SIGHUP:
            os._exit(129)  # the pane was closed: nobody asks for the exit code
        pid, status = _waited()
        while pid:
            if os.WIFSTOPPED(status):
                watch.begin()
            elif pid == child:
                return os.waitstatus_to_exitcode(status)
            pid, status = _waited()


def _waited() -> tuple[int, int]:
    """Give a child that ended or was stopped, and how; the pid is 0 where none did."""
    try:
        return os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
    except ChildProcessError:
        return 0, 0


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
    # The person, tmux and hive come first: for the processor, and when the memory is gone.
    write_to("/proc/self/oom_score_adj", b"500")
    os.nice(5)
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
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
