"""One kept connection to a tmux server: a `tmux -C` client that is spoken to in lines.

After every command comes a mark nobody can guess, so that a reply is found whatever a pane's
screen holds. Nothing waits longer than its timeout. A connection that was silent, or whose
server went away, is never used again.
"""

from __future__ import annotations

import os
import re
import secrets
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from hive.errors import HiveError, NotRunning, TimedOut

_PLAIN = re.compile(r"[^\x00-\x1f\x7f\"\\$~]*")
_BLOCK = re.compile(r"^%begin (\d+ \d+ 1)\n(.*)^%(end|error) \1\n", re.MULTILINE | re.DOTALL)
_ATTACHED = re.compile(rb"^%session-changed .*\n", re.MULTILINE)
_CHUNK = 1 << 16
_LONGEST_MARK = 200
_GRACE = 0.5


class Silent(TimedOut):
    """The tmux server did not answer in time."""


class Gone(NotRunning):
    """The tmux server ended, or it ended our connection."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one line of commands answered; where not `ok`, the last line says what is wrong."""

    ok: bool
    lines: list[str]

    @property
    def why(self) -> str:
        """What tmux complained of."""
        return self.lines[-1] if self.lines else "tmux gave no reason"


def quote(text: str) -> str:
    """Give `text` as one argument of a tmux command line, whatever is in it.

    Raises `HiveError` for a NUL, which no argument can hold.
    """
    if "\0" in text:
        raise HiveError("a NUL character can't be given to tmux")
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return '"' + "".join(c if _PLAIN.fullmatch(c) else f"\\{ord(c):03o}" for c in text) + '"'


def line(*words: str) -> str:
    """Give one tmux command, each of its arguments quoted."""
    return " ".join([words[0], *map(quote, words[1:])])


class Control:
    """A control-mode client of a tmux server; `argv` must attach it to a session."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], timeout: float) -> None:
        """Connect.

        Raises `Gone` where the client ends instead, `Silent` where the server does not answer.
        """
        self._client = subprocess.Popen(
            argv,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
        self._in, self._out = _fd(self._client.stdin), _fd(self._client.stdout)
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._talk(b"", _ATTACHED, 1, time.monotonic() + timeout)

    def fileno(self) -> int:
        """Give what becomes readable when tmux says something, or ends."""
        return self._out

    def run(self, commands: Sequence[str], timeout: float) -> list[Reply]:
        """Send all lines at once and give their replies in order; `timeout` is for all of them.

        Raises `Silent` and `Gone`, and is closed then.
        """
        nonce = secrets.token_hex(16)
        asked = "".join(f"{one}\ndisplay-message -p {nonce}\n" for one in commands)
        mark = re.compile(rb"^%s\n%%end [ \d]+\n" % nonce.encode(), re.MULTILINE)
        data = asked.encode(errors="surrogateescape")
        said = self._talk(data, mark, len(commands), time.monotonic() + timeout)
        return _replies(said.decode(errors="replace"), nonce)

    def alive(self) -> bool:
        """Whether the connection still stands; what tmux said unasked is forgotten."""
        try:
            while select.select([self._out], [], [], 0)[0]:
                self._read(b"")
        except Gone:
            self.close()
            return False
        return True

    def close(self) -> None:
        """End the connection, at once where tmux does not let go of it."""
        for pipe in (self._client.stdin, self._client.stdout):
            if pipe:
                pipe.close()
        try:
            self._client.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._client.kill()
            self._client.wait()

    def _talk(self, data: bytes, mark: re.Pattern[bytes], count: int, deadline: float) -> bytes:
        """Write, and read until `mark` came `count` times; never wait for one of the two only."""
        said, place = bytearray(), 0
        try:
            while count:
                readable, writable = self._ready(bool(data), deadline)
                if writable:
                    data = data[self._write(data) :]
                if readable:
                    new = self._read(bytes(said))
                    place = max(place, len(said) - _LONGEST_MARK)
                    said += new
                    for match in mark.finditer(said, place):
                        count, place = count - 1, match.end()
        except HiveError:
            self.close()
            raise
        return bytes(said)

    def _ready(self, writing: bool, deadline: float) -> tuple[bool, bool]:
        """Wait until there is something to read, or room to write."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        if writing:
            poll.register(self._in, select.POLLOUT)
        ready = dict(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
        if not ready:
            raise Silent("tmux did not answer in time")
        return self._out in ready, self._in in ready

    def _write(self, data: bytes) -> int:
        """Write what fits; where nobody reads any more, reading will tell why."""
        with suppress(BlockingIOError):
            try:
                return os.write(self._in, data[:_CHUNK])
            except BrokenPipeError:
                return len(data)
        return 0

    def _read(self, before: bytes) -> bytes:
        """Read what is there; the end of it is told with the last thing tmux said."""
        try:
            new = os.read(self._out, _CHUNK)
        except BlockingIOError:
            return b""
        if new:
            return new
        words = [one for one in before.decode(errors="replace").split("\n") if one]
        said = [one for one in words if not one.startswith("%") or one.startswith("%exit ")]
        raise Gone(said[-1].removeprefix("%exit ") if said else "the tmux server went away")


def _fd(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise ValueError("not a pipe")
    return pipe.fileno()


def _replies(said: str, nonce: str) -> list[Reply]:
    """Cut what tmux said at our marks; what lies between two is one line's reply."""
    mark = re.compile(rf"^%begin (?:\d+ \d+ 1)\n{nonce}\n%end [ \d]+\n", re.MULTILINE)
    return [_reply(part) for part in mark.split(said)[:-1]]


def _reply(part: str) -> Reply:
    """Join the blocks of a line's commands. A block ends at the *last* line that closes it."""
    blocks = list(_BLOCK.finditer(part))
    lines = "".join(block[2] for block in blocks).split("\n")[:-1]
    return Reply(ok=all(block[3] == "end" for block in blocks), lines=lines)
