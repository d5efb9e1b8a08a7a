"""Commands that say whether a task is done, run in the background, so that nobody waits for them.

Each runs in a process group of its own, which is ended whole. What came of them waits in a queue;
a descriptor becomes readable when there is some.
"""

from __future__ import annotations

import logging
import os
import queue
import selectors
import signal
import subprocess
import threading
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

THREADS = 4
"""How many commands run at one time; the others wait for their turn."""

PATIENCE = 1.0
"""How many seconds `close` waits for commands that are being ended."""

LONGEST = 20_000
"""How many characters of what a command printed are kept: the last ones."""

LATE, MISSING = 124, 127
"""The exit codes, as the shell has them, of what took too long, and of what can't be run."""

_SLICE = 0.1
"""How often, in seconds, a command that says nothing is looked at."""

_PIPE = 65536

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of a command: its exit code (negative: the signal), and how long it took."""

    key: Hashable
    code: int
    output: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    key: Hashable
    command: str
    directory: str
    environ: Mapping[str, str] = field(repr=False)
    timeout: float
    stopped: threading.Event = field(default_factory=threading.Event)


class Checks:
    """Runs commands and keeps what came of them until it is read."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[_Check | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._open: dict[Hashable, _Check] = {}
        self._done: list[Checked] = []
        self._lock = threading.Lock()
        self._readable, self._wake = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._wake, False)

    def begin(
        self,
        key: Hashable,
        command: str,
        directory: str,
        environ: Mapping[str, str],
        timeout: float,
    ) -> None:
        """Run a shell command soon; what comes of it bears `key`.

        `environ` is all the environment it gets. One of the same key that still runs is ended.
        `timeout`, in seconds, is counted from when it begins.
        """
        self.stop(key)
        one = _Check(
            key=key, command=command, directory=directory, environ=environ, timeout=timeout
        )
        with self._lock:
            self._open[key] = one
        self._waiting.put(one)
        if len(self._threads) < THREADS:
            thread = threading.Thread(target=self._work, name="hive-check", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, key: Hashable) -> None:
        """End one, or let it not begin: nothing is told of it any more."""
        with self._lock:
            one = self._open.pop(key, None)
            self._done = [done for done in self._done if done.key != key]
        if one is not None:
            one.stopped.set()

    def running(self) -> set[Hashable]:
        """Give the keys of those of which nothing was read yet."""
        with self._lock:
            return {*self._open, *(done.key for done in self._done)}

    def fileno(self) -> int:
        """Give the descriptor that is readable while there is something to read."""
        return self._readable

    def read(self) -> list[Checked]:
        """Give what came of commands since the last read."""
        with self._lock:
            with suppress(BlockingIOError):  # what came was stopped, or nothing came
                os.read(self._readable, _PIPE)
            done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Begin nothing more, end what runs, and give back the descriptors."""
        for key in self.running():
            self.stop(key)
        for _ in self._threads:
            self._waiting.put(None)
        until = monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))
        with self._lock:  # nobody is just writing
            os.close(self._readable)
            os.close(self._wake)

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None:
            if one.stopped.is_set():
                continue
            began = monotonic()
            try:
                code, output = _run(one)
            except OSError as error:
                code, output = MISSING, f"hive can't run it: {error}"
            except Exception as error:  # noqa: BLE001 - even a bug must not leave it unanswered
                _log.exception("the check %s could not be run", one.key)
                code, output = MISSING, f"hive can't run it: {error!r}"
            done = Checked(key=one.key, code=code, output=output, seconds=monotonic() - began)
            self._tell(one, done)

    def _tell(self, one: _Check, done: Checked) -> None:
        with self._lock:
            if self._open.get(one.key) is not one:
                return  # it was stopped; the descriptor may be another's by now
            del self._open[one.key]
            if not self._done:
                with suppress(BlockingIOError):  # it is readable anyway
                    os.write(self._wake, b"!")
            self._done.append(done)


class _Tail:
    """The end of what a command printed."""

    def __init__(self) -> None:
        self._kept = b""
        self._left = 0

    def add(self, part: bytes) -> None:
        whole = self._kept + part
        self._kept = whole[-LONGEST * 4 :]
        self._left += len(whole) - len(self._kept)

    def text(self) -> str:
        found = self._kept.decode(errors="replace")
        if not self._left and len(found) <= LONGEST:
            return found
        note = "… what it printed before is left out …\n"
        return note + found[len(note) - LONGEST :]


def _run(one: _Check) -> tuple[int, str]:
    """Run it to its end, or to its timeout; gives its exit code and what it printed last."""
    tail = _Tail()
    process = subprocess.Popen(
        ["/bin/sh", "-c", one.command],
        cwd=one.directory,
        env=dict(one.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        _listen(process, monotonic() + one.timeout, one.stopped, tail)
        code = process.poll()
    finally:
        with suppress(ProcessLookupError, PermissionError):  # none of its group is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()
    if code is None:
        tail.add(f"\nhive ended it: it was not over within {one.timeout:g} s\n".encode())
        return LATE, tail.text()
    return code, tail.text()


def _listen(
    process: subprocess.Popen[bytes], until: float, stopped: threading.Event, tail: _Tail
) -> None:
    """Listen until it ends, is to end, or `until`."""
    with selectors.DefaultSelector() as selector:
        if process.stdout:
            os.set_blocking(process.stdout.fileno(), False)
            selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            over = process.poll() is not None or stopped.is_set() or monotonic() >= until
            if not selector.get_map():
                with suppress(subprocess.TimeoutExpired):  # the loop knows until when
                    process.wait(0 if over else _SLICE)
            for key, _ in selector.select(0 if over or not selector.get_map() else _SLICE):
                if not _drained(key.fd, tail):
                    selector.unregister(key.fileobj)
            if over:
                return


def _drained(fd: int, tail: _Tail) -> bool:
    """Take what is there, a pipe's worth at most; false where no more can come."""
    for _ in range(2):
        try:
            part = os.read(fd, _PIPE)
        except BlockingIOError:
            return True
        if not part:
            return False
        tail.add(part)
    return True
