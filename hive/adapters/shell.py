"""A shell command run to its end in a process group of its own, with what it prints told on."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

KEPT = 20
"""How many of the last lines that a command printed are kept."""

WIDE = 500
"""How many characters of one line are kept."""

TOLD = 0.2
"""Seconds between two lines that are told on, at least."""

GRACE = 5.0
"""Seconds a command gets to end by itself when it took too long."""

SOON = 0.7
"""The same where it was told to stop: a hive that ends waits a second for its errands."""

_SLICE = 0.1
_PIPE = 65536


class Stop(Protocol):
    """What says that a command is to end (a `threading.Event`)."""

    def is_set(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of a command: its exit code (negative: the signal), its last lines.

    `ended` says why hive ended it, "" where it ended by itself.
    """

    code: int
    lines: tuple[str, ...]
    ended: str = ""

    @property
    def ok(self) -> bool:
        """Whether it did what it should."""
        return self.code == 0 and not self.ended

    @property
    def why(self) -> str:
        """Say how it ended, with the last lines of what it printed."""
        code = f"exit code {self.code}" if self.code >= 0 else f"ended by signal {-self.code}"
        return "\n".join([self.ended or code, *self.lines])


@dataclass(slots=True)
class _Tail:
    """The last lines of what a command printed."""

    say: Callable[[str], None]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    rest: bytes = b""
    told: float = 0.0
    fresh: bool = False

    def add(self, part: bytes) -> None:
        """Take what came; a carriage return begins a line anew, as on a terminal."""
        *whole, self.rest = (self.rest + part).replace(b"\r", b"\n").split(b"\n")
        self.rest = self.rest[-WIDE * 4 :]
        found = [text for one in whole if (text := one.decode(errors="replace").strip()[:WIDE])]
        self.lines.extend(found)
        self.fresh = self.fresh or bool(found)
        if self.fresh and monotonic() - self.told >= TOLD:
            self.told, self.fresh = monotonic(), False
            self.say(self.lines[-1])

    def end(self) -> tuple[str, ...]:
        """Give the last lines, also the one that was not ended."""
        self.add(b"\n")
        return tuple(self.lines)


def run(
    words: Sequence[str],
    directory: str,
    environ: Mapping[str, str],
    *,
    timeout: float,
    say: Callable[[str], None] = lambda _text: None,
    stop: Stop | None = None,
    began: Callable[[int], None] = lambda _pid: None,
) -> Ran:
    """Run a command to its end, or `timeout` seconds, and give what came of it.

    `environ` is all the environment it gets. `say` is told its last line now and then, `began`
    its pid, which is its group's. Raises OSError where it can't be run.
    """
    tail = _Tail(say)
    process = subprocess.Popen(
        list(words),
        cwd=directory,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    ended = ""
    try:
        began(process.pid)
        until = monotonic() + timeout
        while not ended and not _listened(process, tail):
            if stop is not None and stop.is_set():
                ended = "it was told to stop"
            elif monotonic() >= until:
                ended = f"it was not over within {timeout:g} s"
    finally:
        end(process, SOON if stop is not None and stop.is_set() else GRACE)
        if process.stdout:
            process.stdout.close()
    return Ran(code=process.returncode, lines=tail.end(), ended=ended)


def end(process: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """End a command's whole group: asked first where it still runs."""
    if process.poll() is None:
        _signal(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def end_group(pid: int) -> None:
    """End what is left of a command that somebody else began."""
    _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # none of its group is left
        os.killpg(pid, number)


def _listened(process: subprocess.Popen[bytes], tail: _Tail) -> bool:
    """Take what it prints for a moment; true once it is over and a pipe's worth was taken."""
    over = process.poll() is not None
    out = process.stdout
    if out is None:
        return over
    with selectors.DefaultSelector() as selector:
        selector.register(out, selectors.EVENT_READ)
        if not selector.select(0 if over else _SLICE):
            tail.add(b"")
            return over
    part = os.read(out.fileno(), _PIPE)
    if not part and not over:  # it closed its output, and goes on
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SLICE)
    tail.add(part)
    return over
