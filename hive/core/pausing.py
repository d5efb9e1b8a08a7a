"""What a person's pause means for an agent now: nothing more is given to it, or it stands still.

An agent is frozen at the end of its turn, or at once where that was asked for. From the pause on
it is given nothing, so that its turn is its last. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from hive.core.signs import Condition, Turn

BY = "`hive pause`"
"""Who has paused an agent, as reasons say it: pressure pauses agents too."""

WITHHELD = f"paused by {BY}"
"""Why an agent that is paused is given nothing."""

UNSTARTED = "waiting to be resumed"
"""How the reason of an agent begins that is not started while it is paused."""

SETTLED = 1.0
"""Seconds for which a turn must be over: what follows an end by itself follows at once."""

OVER = frozenset({Turn.READY, Turn.LIMITED})
"""Whose turn is over; who waits for a person goes on with it as soon as that answers."""

Span = tuple[float, float]
"""From when until when an agent was paused."""


class Do(StrEnum):
    """What to do with an agent."""

    LET_GO = "let go"
    WITHHOLD = "withhold"
    FREEZE = "freeze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A person's wish: since when, why ("" where that was not said), and whether at once."""

    at: float
    why: str = ""
    now: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How an agent stands.

    `runs` says that it has a launch, `stopping` that this was asked to end. `condition` is that
    of its conversation, None where it has no turns: a plain program, a worker. `begun` is what it
    has begun and not ended, as far as hive knows ("" for nothing). `frozen` says that this launch
    stands still already.
    """

    runs: bool = True
    stopping: bool = False
    condition: Condition | None = None
    begun: str = ""
    frozen: bool = False


def decide(pause: Pause | None, life: Life, now: float) -> tuple[Do, str]:
    """Say what to do with an agent now, and why."""
    if pause is None:
        return Do.LET_GO, "it is not paused"
    if not life.runs:
        return Do.WITHHOLD, "it does not run"
    if life.stopping:
        return Do.LET_GO, "it was asked to end"
    if life.frozen or pause.now:
        return Do.FREEZE, "at once"
    if life.begun:
        return Do.WITHHOLD, f"until this is over: {life.begun}"
    if life.condition is None:
        return Do.FREEZE, "it has no turns"
    going_on = _going_on(life.condition, now)
    return (Do.WITHHOLD, going_on) if going_on else (Do.FREEZE, "its turn is over")


def _going_on(one: Condition, now: float) -> str:
    """Say that its turn goes on; "" where that is over."""
    if one.turn not in OVER:
        return f"until its turn is over: it is {one.turn}" if one.turn else "until its turn is over"
    return "until its turn is over" if 0 <= now - one.since < SETTLED else ""


def lost(spans: Iterable[Span], since: float, now: float) -> Span:
    """Give how many seconds since a moment were spent paused, and until when they were (0: none).

    The clock may have been set back meanwhile: what lies ahead of it is not counted.
    """
    seconds, until = 0.0, since
    for start, end in sorted(spans):
        begin, over = max(until, start), min(end, now)
        if begin < over:
            seconds, until = seconds + over - begin, over
    return seconds, until if seconds else 0.0


def to_dict(pause: Pause) -> dict[str, Any]:
    """Give it as JSON-ready values."""
    return asdict(pause)


def from_dict(values: Mapping[str, Any]) -> Pause:
    """Read back what `to_dict` gave; unknown keys are left out."""
    return Pause(
        at=float(values["at"]), why=str(values.get("why", "")), now=bool(values.get("now"))
    )
