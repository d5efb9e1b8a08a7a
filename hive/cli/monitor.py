"""`hive monitor`: one screen that redraws itself every second, and the keys that steer it.

The terminal is given back as it was, however it ends. Into a pipe it prints one picture.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn

from rich.live import Live

from hive import screen
from hive.cli import output, remote
from hive.errors import NotRunning, TimedOut

REFRESH = 1.0
"""Seconds between two looks."""

EVENTS = 10
AWAY = "the supervisor does not answer; trying again"

UP, DOWN = {"k", "\x1b[A", "\x1bOA"}, {"j", "\x1b[B", "\x1bOB"}


def run() -> None:
    """Show everything until `q` or Ctrl-C."""
    if not output.interactive():
        output.show(screen.status(remote.look("status", names=[]), time.time()))
        return
    with _ending_cleanly(), _keys() as read:
        try:
            _loop(read)
        except KeyboardInterrupt:
            return


def _loop(read: Any) -> None:
    console = output.console()
    view = screen.View()
    status, events, notice = look(None, [])
    with Live(console=console, screen=True, auto_refresh=False) as live:
        looked = time.monotonic()
        while True:
            view = replace(view, width=console.width, height=console.height, notice=notice)
            live.update(screen.monitor(status, events, view, time.time()), refresh=True)
            key = read(max(0.0, looked + REFRESH - time.monotonic()))
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
        seen: dict[str, Any] = remote.look("status", names=[])
        record = remote.look("events", names=[], after=0, limit=EVENTS, newest=True)
    except (NotRunning, TimedOut):
        if status is None:
            raise
        return status, events, AWAY
    return seen, record["events"], "" if seen["supervisor"] else AWAY


def turned(view: screen.View, key: str) -> screen.View:
    """Give the view after a key was typed."""
    if key == "a":
        return replace(view, everything=not view.everything, offset=0)
    if key in DOWN | {" "}:
        return replace(view, offset=view.offset + (10 if key == " " else 1))
    if key in UP:
        return replace(view, offset=max(0, view.offset - 1))
    return view


@contextmanager
def _keys() -> Iterator[Any]:
    """Give a function that waits some seconds for a key, and gives it or an empty text."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield lambda seconds: _key(fd, seconds)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _no_key(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _key(fd: int, seconds: float) -> str:
    ready, _, _ = select.select([fd], [], [], seconds)
    if not ready:
        return ""
    typed = os.read(fd, 64)
    if not typed:  # the terminal is gone
        raise KeyboardInterrupt
    return typed.decode(errors="replace")


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
