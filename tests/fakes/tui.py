#!/usr/bin/env -S python3 -SE
"""A fake agent: a real program in a terminal that looks and behaves like Claude Code from outside.

What it is told and how it behaves: README.md. It keeps to the standard library and imports
little, so that it is there as soon as it is started.
"""

# Importing pathlib would take as long as all the rest:
# ruff: noqa: PTH109
# ruff: noqa: RUF001 - that is how the real one draws it

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from contextlib import suppress

import face
from keys import Keys
from mind import Mind
from options import Options
from persona import Persona
from records import VERSION, Records, Refused
from truth import Truth

BEAT = 0.25
"""Seconds between two pictures of the spinner."""

ESCAPE = 0.03
"""Seconds after which a lone ESC is the key, and not the begin of another."""

AGAIN = 2.0
"""Seconds within which a second Ctrl-C ends it."""


class Terminal:
    """The program's terminal: reads keys, draws, and ends the program."""

    def __init__(self, mind: Mind, persona: Persona, truth: Truth, records: Records) -> None:
        self._mind, self._scene = mind, mind.scene
        self._persona, self._truth, self._records = persona, truth, records
        self._keys = Keys()
        self._swallow = persona.seconds("swallow-enter", 0.05)
        self._suggestion = persona.value("suggest")
        self._typed = self._stop_asked = -10.0
        self._cursor = 0
        self._drawn = ("", "")
        self._deaf = False
        self._end = 0.0
        self._draft = ""

    def run(self, brief: str, source: str) -> None:
        """Own the terminal until the end; never comes back."""
        self._brief, self._source = brief, source
        self._signals()
        self._own()
        if self._asks_for_trust():
            self._scene.enter("dialog")
        else:
            self._begin()
        self._plan()
        while True:
            self._draw()
            self._look()
            if self._scene.leaving:
                self._leave(*self._scene.leaving)

    def _signals(self) -> None:
        ends = [signal.SIGHUP, signal.SIGTERM]
        if "ignore-hup" in self._persona:
            signal.signal(ends.pop(0), signal.SIG_IGN)
        for one in ends:
            signal.signal(one, lambda number, _frame: self._scene.leave(128 + number, "other"))
        signal.signal(signal.SIGWINCH, lambda _number, _frame: self._forget())
        signal.set_wakeup_fd(self._scene.wake, warn_on_full_buffer=False)

    def _own(self) -> None:
        """Take the terminal: what was typed before is there in one piece, and may be lost."""
        time.sleep(self._persona.seconds("slow-start", 1.0))
        self._before = termios.tcgetattr(0)
        tty.setraw(0, termios.TCSANOW)
        lost = "slow-start" in self._persona
        early = self._read() if select.select([0], [], [], 0)[0] else b""
        alternate = "\x1b[?1049h" if "alternate" in self._persona else ""
        self._write(f"{alternate}\x1b[?2004h\x1b[2J")
        if early:
            self._truth.got(early, "cooked")
            self._early = [] if lost else self._keys.feed(early, last=True)
        else:
            self._early = []

    def _asks_for_trust(self) -> bool:
        always = self._persona.value("trust-dialog") == "always"
        return always or ("trust-dialog" in self._persona and not self._records.trusted)

    def _begin(self) -> None:
        """Be an agent from now on."""
        self._scene.say(" ▐▛███▜▌   Claude Code v2.1.197", "")
        self._draft, _, until = self._persona.value("draft").partition("@")
        if self._draft:
            self._scene.composer.type(self._draft)
            self._end = time.monotonic() + float(until or 2)
        live = threading.Thread(
            target=self._mind.live, args=(self._brief, self._source), daemon=True
        )
        live.start()

    def _plan(self) -> None:
        if "crash-after" in self._persona:
            length = self._persona.seconds("crash-after", 1.0)
            timer = threading.Timer(length, os.kill, (os.getpid(), signal.SIGKILL))
            timer.daemon = True
            timer.start()

    def _look(self) -> None:
        """Wait for a key, a change, or the next picture."""
        files = [self._scene.out] if self._deaf else [0, self._scene.out]
        moving = self._scene.status and not self._scene.still
        waits = [BEAT] if moving else []
        if self._keys.pending:
            waits.append(ESCAPE)
        if self._end:
            waits.append(max(0.0, self._end - time.monotonic()))
        ready, _, _ = select.select(files, [], [], min(waits, default=None))
        if self._end and time.monotonic() >= self._end:
            self._erase()
        if self._scene.out in ready:
            os.read(self._scene.out, 4096)
        if 0 in ready:
            self._hear()
        elif self._keys.pending:
            self._press(self._keys.feed(b"", last=True))
        elif self._early and self._scene.state in {"composer", "working"}:
            self._press(self._early)
            self._early = []

    def _erase(self) -> None:
        """Have the person, who never sends the draft, take it away again."""
        self._end = 0.0
        with self._scene.lock:
            if self._scene.composer.text == self._draft:
                self._scene.composer.take()

    def _hear(self) -> None:
        given = self._read()
        if not given:
            self._deaf = True
            if "ignore-hup" not in self._persona:
                self._scene.leave(129, "other")
            return
        with self._scene.lock:
            self._truth.got(given, self._scene.state)
            self._press(self._keys.feed(given))

    def _press(self, keys: list[tuple[str, str]]) -> None:
        for kind, text in keys:
            with self._scene.lock:
                state = self._scene.state
                if state == "dialog":
                    self._answer_dialog(text)
                elif state == "approval":
                    self._answer_ask(text)
                elif state in {"composer", "working"}:
                    self._compose(kind, text)

    def _answer_dialog(self, key: str) -> None:
        """Take Enter as what the cursor is at, which is yes; everything else is lost."""
        self._cursor = {"Up": 0, "Down": 1}.get(key, self._cursor)
        answer = {"1": "yes", "2": "no", "Escape": "no", "Enter": ("yes", "no")[self._cursor]}
        if key not in answer:
            return
        self._truth.tell("answer", to="trust-dialog", answer=answer[key], by="key", message="")
        if answer[key] == "yes":
            self._begin()
        else:
            self._leave(1, "other")

    def _answer_ask(self, key: str) -> None:
        ask = self._scene.ask
        if ask is None:
            return
        ask.cursor = max(0, min(2, ask.cursor + {"Up": -1, "Down": 1}.get(key, 0)))
        chosen = "no" if ask.cursor == 2 else "yes"
        answer = {"1": "yes", "2": "yes", "3": "no", "Escape": "no", "Enter": chosen}
        if key in answer:
            ask.settle(answer[key], "key")

    def _compose(self, kind: str, text: str) -> None:
        composer = self._scene.composer
        if kind == "text":
            composer.type(text)
            self._typed = time.monotonic()
        elif kind == "paste":
            composer.paste(text)
            self._typed = time.monotonic()
        elif text == "Enter":
            self._submit()
        elif text == "Newline":
            composer.type("\n")
        elif text == "BSpace":
            composer.back()
        elif text == "C-u":
            composer.take()
        elif text in {"Escape", "C-c"}:
            self._stop(text)

    def _stop(self, key: str) -> None:
        now = time.monotonic()
        if self._scene.state == "working":
            self._mind.interrupt()
        elif self._scene.composer.text:
            self._scene.composer.take()
        elif key == "C-c":
            if now - self._stop_asked < AGAIN:
                self._leave(0, "prompt_input_exit")
            self._stop_asked = now

    def _submit(self) -> None:
        if time.monotonic() - self._typed < self._swallow:
            self._truth.tell("swallowed", text=self._scene.composer.text)
            return
        text = self._scene.composer.take() or self._suggestion
        if not text.strip():
            return
        self._suggestion = ""
        working = self._scene.state == "working"
        self._truth.tell("enter", text=text, state=self._scene.state)
        if text[0] in "/!":
            self._command(text.strip())
        elif working and self._mind.busy == "lost":
            self._truth.tell("lost", text=text)
        else:
            self._scene.give(text, "queued" if working else "typed")
            if working and self._mind.busy == "steer":
                self._mind.interrupt()

    def _command(self, text: str) -> None:
        """Do what a line says that is no prompt: for the program, or for a shell."""
        self._truth.tell("command", text=text)
        if text == "/exit":
            self._leave(0, "prompt_input_exit")
        elif text == "/clear":
            self._mind.clear()
            self._scene.say("", "❯ /clear")
        else:
            self._scene.say("", f"  Unknown command: {text.split(maxsplit=1)[0]}")

    def _read(self) -> bytes:
        try:
            return os.read(0, 65536)
        except OSError:  # the terminal is gone
            return b""

    def _write(self, text: str) -> None:
        left = text.encode("utf-8", "replace")
        with suppress(OSError):  # the terminal is gone; reading says so
            while left:
                left = left[os.write(1, left) :]

    def _forget(self) -> None:
        self._drawn = ("", "")

    def _draw(self) -> None:
        """Write what differs from what stands there."""
        if self._scene.still or self._deaf:
            return
        beat = int(time.monotonic() / BEAT)
        with suppress(OSError), self._scene.lock:
            columns, rows = os.get_terminal_size(1)
            size = (columns or 80, rows or 24)
            picture = face.frame(self._scene, size, beat, self._suggestion)
            title = "" if "no-title" in self._persona else face.title(self._scene, beat)
        changed = [
            new for new, old in zip((picture, title), self._drawn, strict=True) if new != old
        ]
        self._drawn = (picture, title)
        if changed:
            self._write("".join(changed))

    def _leave(self, code: int, reason: str) -> None:
        """End the program properly."""
        self._truth.tell("end", code=code, why=reason)
        self._mind.end(reason)
        self._write("\x1b[?2004l\r\n")
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(0, termios.TCSANOW, self._before)
        os._exit(code)


def main() -> int:
    """Start; gives an exit code only where it does not get to the terminal."""
    options = Options(sys.argv[1:])
    if "--version" in options.given:
        print(f"{VERSION} (fake)")
        return 0
    persona = Persona(os.environ.get("FAKE_PERSONA", ""), os.environ.get("FAKE_SEED", ""))
    truth = Truth(os.environ.get("FAKE_TRUTH", ""), os.environ.get("HIVE_AGENT", ""))
    records = Records(persona)
    resume = options.one("--resume")
    truth.tell("start", argv=sys.argv[1:], cwd=os.getcwd())
    if "leave-child" in persona:
        import subprocess

        sleep = ["sleep", "600"]
        subprocess.Popen(sleep, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        records.begin(options.one("--session-id"), resume, missing="resume-missing" in persona)
    except Refused as why:
        print(why)
        truth.tell("end", code=1, why=str(why))
        return 1
    mind = Mind(options, persona, truth, records)
    Terminal(mind, persona, truth, records).run(options.prompt, "resume" if resume else "startup")
    return 0


if __name__ == "__main__":
    sys.exit(main())
