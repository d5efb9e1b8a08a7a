"""What is worth writing down, and how often: what happens all the time is told now and then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

MOST = 10
"""So many of one kind are told of one agent in a `SPAN`."""

SPAN = 600.0
"""Seconds over which they are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something to be written down: `agent` is "" where it concerns them all."""

    agent: str
    kind: str
    text: str


class Telling:
    """Remembers what was told, and holds back what would drown the rest.

    What is held back is counted, and the next of its kind says how many there were.
    """

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], list[float]] = {}
        self._kept: dict[tuple[str, str], int] = {}

    def fresh(self, news: Iterable[News], now: float) -> list[News]:
        """Give what of this is to be told now; `now` is epoch seconds."""
        found = []
        for one in news:
            key = (one.agent, one.kind)
            told = [at for at in self._told.get(key, ()) if 0 <= now - at < SPAN]
            if len(told) < MOST:
                kept = self._kept.pop(key, 0)
                more = f" (and {kept} more since the last one)" if kept else ""
                found.append(replace(one, text=one.text + more))
                told.append(now)
            else:
                self._kept[key] = self._kept.get(key, 0) + 1
            self._told[key] = told
        return found
