"""`hive monitor`: one screen that redraws itself every second, and the keys that steer it.

The terminal is given back as it was, however it ends. Into a pipe it prints one picture.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn

from rich.live import Live

from hive import screen, screen_monitor
from hive.cli import output, remote
from hive.cli.see import asked
from hive.errors import NotRunning, TimedOut

REFRESH = 1.0
"""Seconds between two looks."""

EVENTS = 10
AWAY = "the supervisor does not answer; trying again"

KEY = re.compile(r"\x1b[\[O].|.", re.DOTALL)
"""One key as a terminal sends it: a character, or what an arrow sends."""

Keys = Callable[[float], list[str]]

UP, DOWN = {"k", "\x1b[A", "\x1bOA"}, {"j", "\x1b[B", "\x1bOB"}


def run() -> None:
    """Show everything until `q` or Ctrl-C."""
    if not output.interactive():
        record = asked(remote.look("status", names=[]))
        output.show(screen.status(record, time.time()), whole=True)
        return
    with _ending_cleanly(), _keys() as read:
        try:
            _loop(read)
        except KeyboardInterrupt:
            return


def _loop(read: Keys) -> None:
    console = output.console()
    view = screen_monitor.View()
    status, events, notice = look(None, [])
    with Live(console=console, screen=True, auto_refresh=False) as live:
        looked = time.monotonic()
        while True:
            view = replace(view, width=console.width, height=console.height, notice=notice)
            live.update(screen_monitor.monitor(status, events, view, time.time()), refresh=True)
            for key in read(max(0.0, looked + REFRESH - time.monotonic())):
                if key == "q":
                    return
                view = turned(view, key)
            if time.monotonic() - looked >= REFRESH:
                status, events, notice = look(status, events)
                looked = time.monotonic()


def look(
    status: dict[str, Any] | None, events: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Ask for everything; where nobody answers, give what was known, and a notice."""
    try:
        seen: dict[str, Any] = asked(remote.look("status", names=[]))
        record = remote.look("events", names=[], after=0, limit=EVENTS, newest=True)
    except (NotRunning, TimedOut):
        if status is None:
            raise
        return status, events, AWAY
    return seen, record["events"], "" if seen["supervisor"] else AWAY


def turned(view: screen_monitor.View, key: str) -> screen_monitor.View:
    """Give the view after a key was typed."""
    if key == "a":
        return replace(view, everything=not view.everything, offset=0)
    if key in DOWN | {" "}:
        return replace(view, offset=view.offset + (10 if key == " " else 1))
    if key in UP:
        return replace(view, offset=max(0, view.offset - 1))
    return view


@contextmanager
def _keys() -> Iterator[Keys]:
    """Give a function that waits some seconds for keys, and gives those that were typed."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield lambda seconds: _typed(fd, seconds)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _no_key(seconds: float) -> list[str]:
    time.sleep(seconds)
    return []


def _typed(fd: int, seconds: float) -> list[str]:
    ready, _, _ = select.select([fd], [], [], seconds)
    if not ready:
        return []
    typed = os.read(fd, 64)
    if not typed:  # the terminal is gone
        raise KeyboardInterrupt
    return KEY.findall(typed.decode(errors="replace"))


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Have TERM and HUP end us as an exception does, and Ctrl-Z do nothing: the screen is ours."""
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, _end),
        signal.SIGHUP: signal.signal(signal.SIGHUP, _end),
        signal.SIGTSTP: signal.signal(signal.SIGTSTP, signal.SIG_IGN),
    }
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _end(number: int, _frame: Any) -> NoReturn:
    raise SystemExit(128 + number)
