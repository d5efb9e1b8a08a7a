"""How a replay is drawn: a line for each moment, a heading for each day, screens in a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from hive.core.wording import clean
from hive.screen import CLOCK, COLOURS, moment

Record = Mapping[str, Any]

DATE = "%A, %b %d"

LOUD = {
    "died": "red", "failed": "red", "killed": "red", "held": "red", "lost": "red",
    "stall": "yellow", "late": "yellow", "asked": "yellow", "conflict": "red",
    "collision": "yellow", "checkpoint": "cyan",
    "report": "cyan", "task": "cyan", "check-in": "green", "handoff": "magenta", "screen": "dim",
}  # fmt: skip
"""The kinds that are told from others by a colour."""


class Frame:
    """A screen, set in, each of its lines cut at the edge."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = [clean(line) for line in lines]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for edge, line in [("┌", ""), *(("│ ", line) for line in self._lines), ("└", "")]:
            text = Text(f"{' ' * 10}{edge}", style="dim", no_wrap=True, overflow="ellipsis")
            yield text.append(line, style="not dim" if line else "")


class Line:
    """A moment; what takes several lines stays behind its time."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        one = self._record
        kind = one["kind"]
        head = Text(f"{moment(one['time'], CLOCK)}  ", style="dim")
        rest = Text.assemble(
            (one["agent"], "bold"),
            "  ",
            (kind, LOUD.get(kind, COLOURS.get(kind, ""))),
            f"  {clean(one['text'])}",
        )
        width = max(20, options.max_width - head.cell_len)
        for number, line in enumerate(rest.wrap(console, width)):
            line.rstrip()
            yield Text.assemble(head if number == 0 else " " * head.cell_len, line)


def day(record: Record, before: Record | None) -> list[RenderableType]:
    """Draw on which day a moment was, where the one before was on another."""
    today = moment(record["time"], DATE)
    if before is not None and moment(before["time"], DATE) == today:
        return []
    return [Text(f"{today}, {datetime.fromisoformat(record['time']).astimezone():%Y}", "bold")]


def drawn(record: Record, before: Record | None = None) -> list[RenderableType]:
    """Draw a moment, after the one before: its day where that is new, and its screen."""
    frame: list[RenderableType] = [Frame(record["screen"])] if record["screen"] else []
    return [*day(record, before), Line(record), *frame]
