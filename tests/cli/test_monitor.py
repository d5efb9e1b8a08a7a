"""The monitor on a real terminal: it draws, obeys keys, and gives the terminal back."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import ROOT

ON, OFF = b"\x1b[?1049h", b"\x1b[?1049l"
SHOWN = b"\x1b[?25h"

STATUS: dict[str, Any] = {
    "version": 1,
    "node": "box",
    "supervisor": {"pid": 1, "up_since": "2026-11-21T10:05:00.000Z"},
    "agents": [],
    "teams": [],
}


class Terminal:
    """A terminal, 80 wide and 24 high, in which `hive monitor` runs."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.modes = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.shown = b""
        environ = {**os.environ, "TERM": "xterm-256color"}
        environ.pop("COLUMNS", None)
        environ.pop("LINES", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hive", "monitor"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            cwd=ROOT,
            start_new_session=True,
        )

    def wait_for(self, text: bytes, timeout: float = 60) -> None:
        """Read until this is on the terminal."""
        last = time.monotonic() + timeout
        while text not in self.shown:
            assert time.monotonic() < last, self.shown
            self._read(0.2)

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def end(self, timeout: float = 60) -> int:
        """Wait until it has ended and all it wrote is read; give its exit code."""
        last = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < last, self.shown
            self._read(0.1)
        while self._read(0):
            pass
        return self.process.returncode

    def modes_now(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def _read(self, timeout: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], timeout)
        if ready:
            self.shown += os.read(self._ours, 65536)
        return bool(ready)


@pytest.fixture
def terminal(supervisor) -> Iterator[Terminal]:
    supervisor.answers |= {"status": STATUS, "events": {"version": 1, "events": []}}
    one = Terminal()
    yield one
    one.close()


def given_back(terminal: Terminal) -> bool:
    shown = terminal.shown
    return (
        shown.count(ON) == shown.count(OFF) == 1
        and SHOWN in shown[shown.index(ON) :]
        and terminal.modes_now() == terminal.modes
    )


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        pytest.param(b"q", 0, id="q"),
        pytest.param(b"ajk \x1b[Aq", 0, id="several keys at once, q the last"),
        pytest.param(b"\x03", 0, id="Ctrl-C"),
    ],
)
def test_keys_end_it_and_the_terminal_is_as_it_was(terminal, keys, code):
    terminal.wait_for(b"q quits")

    terminal.type(keys) if keys != b"\x03" else terminal.process.send_signal(signal.SIGINT)

    assert terminal.end() == code
    assert given_back(terminal)


def test_a_signal_ends_it_and_the_terminal_is_as_it_was(terminal):
    terminal.wait_for(b"q quits")

    terminal.process.terminate()

    assert terminal.end() == 143
    assert given_back(terminal)


def test_it_looks_again_and_says_when_nobody_answers(terminal, supervisor):
    terminal.wait_for(b"hive on box")

    supervisor.close()

    terminal.wait_for(b"does not answer; trying again")
    terminal.type(b"q")
    assert terminal.end() == 0
