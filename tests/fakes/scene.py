"""What there is to see of the fake, and whose turn it is: shared by its terminal and its mind.

States: `cooked` (the terminal is not its own yet), `starting` (it is, but input is lost),
`dialog`, `composer`, `working`, `approval`. Bytes that come in `dialog` or `approval` answer it.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

BLOCKED = ("dialog", "approval")
LONG = 800
LINES = 4
"""A paste that is longer, or has so many lines, is shown in a few words by `wrap-paste`."""


class Composer:
    """What is being written: pieces, each as it is shown and as it is."""

    def __init__(self, *, wrap: bool) -> None:
        self._wrap = wrap
        self._pieces: list[tuple[str, str]] = []
        self._pastes = 0

    @property
    def shown(self) -> str:
        """How it looks."""
        return "".join(shown for shown, _ in self._pieces)

    @property
    def text(self) -> str:
        """What it is."""
        return "".join(text for _, text in self._pieces)

    def type(self, text: str) -> None:
        """Add what is typed."""
        self._pieces.append((text, text))

    def paste(self, text: str) -> None:
        """Add what is pasted, collapsed where it is long."""
        lines = text.count("\n")
        if self._wrap and (len(text) > LONG or lines + 1 >= LINES):
            self._pastes += 1
            self._pieces.append((f"[Pasted text #{self._pastes} +{lines} lines]", text))
        else:
            self.type(text)

    def back(self) -> None:
        """Take away the last character, or a collapsed paste whole."""
        if self._pieces:
            shown, text = self._pieces.pop()
            if shown == text and text[:-1]:
                self.type(text[:-1])

    def take(self) -> str:
        """Give what it is and leave nothing."""
        text, self._pieces = self.text, []
        return text


class Ask:
    """A question whether a tool may be used; the first answer counts."""

    def __init__(self, tool: str, detail: str) -> None:
        self.tool, self.detail = tool, detail
        self.cursor = 0
        self.answer = self.by = self.message = ""
        self._given = threading.Event()

    def settle(self, answer: str, by: str, message: str = "") -> None:
        """Answer `yes` or `no`, by `key` or `hook`."""
        if not self._given.is_set():
            self.answer, self.by, self.message = answer, by, message
            self._given.set()

    def wait(self) -> None:
        """Wait until it is answered."""
        self._given.wait()


class Scene:
    """The shared state. Who changes it holds `lock`, and says so with `changed`."""

    def __init__(self, *, wrap: bool, merge: bool) -> None:
        self.lock = threading.RLock()
        self._arrived = threading.Condition(self.lock)
        self.out, self._in = os.pipe()
        for end in (self.out, self._in):
            os.set_blocking(end, False)
        self._merge = merge
        self.state = "cooked"
        self.said: list[str] = []
        self.status = ""
        self.still = False
        self.ask: Ask | None = None
        self.queued: list[tuple[str, str]] = []
        self.composer = Composer(wrap=wrap)
        self.leaving: tuple[int, str] | None = None

    @property
    def wake(self) -> int:
        """The file descriptor to write to so that the terminal looks again."""
        return self._in

    def changed(self) -> None:
        """Have the terminal drawn anew."""
        with suppress(BlockingIOError):  # it is awake already
            os.write(self._in, b".")

    def enter(self, state: str, status: str = "") -> None:
        """Come into another state."""
        with self.lock:
            self.state, self.status = state, status
            if state != "approval":
                self.ask = None
        self.changed()

    def say(self, *lines: str) -> None:
        """Add lines to what stands above the composer."""
        with self.lock:
            self.said += lines
        self.changed()

    def give(self, text: str, how: str) -> None:
        """Hand a prompt to the mind; from now on it works."""
        with self.lock:
            if self.state != "working":
                self.enter("working", "Pondering…")
            self.queued.append((text, how))
            self._arrived.notify()
        self.changed()

    def next(self) -> tuple[list[str], str]:
        """Wait for prompts: all that are there where they merge, else the first."""
        with self.lock:
            if not self.queued and self.state != "composer":
                self.enter("composer")
            while not self.queued:
                self._arrived.wait()
            many = len(self.queued) if self._merge else 1
            taken, self.queued = self.queued[:many], self.queued[many:]
            self.enter("working", "Pondering…")
            return [text for text, _ in taken], taken[0][1]

    def leave(self, code: int, reason: str) -> None:
        """Have the terminal end the program."""
        self.leaving = (code, reason)
        self.changed()
