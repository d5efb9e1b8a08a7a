"""How a tree of processes is held to its share of the processor by stopping it now and then.

What it uses makes a debt, and time pays it. While it is in debt it is stopped, but never for
long at once, so that it stays alive. Times are monotonic seconds, `allowed` is in cores.
"""

from __future__ import annotations

from dataclasses import dataclass

LOOK = 0.25
"""How long a watched tree runs at most before it is looked at again."""

SHORTEST = 0.02
"""How long it runs at least, however deep in debt it is."""

LONGEST = 1.0
"""How long it is stopped at most at once."""

CALM = 5.0
"""How long it must have been modest until nobody watches it any more."""

_PERIOD = 0.5
"""How long a run and the stop that pays for it should take together."""

_BANKED = 0.25
"""How many seconds of idling it can use up later."""

_OWED = 4.0
"""How many seconds of standing still it may owe; what is beyond is forgiven."""

_SLACK = 0.01
"""The debt (seconds) that counts as none: the kernel counts in such steps."""

_EVEN = 0.001
"""The debt (seconds) that counts as paid."""

_LEAST = 0.01
"""The fewest cores that anything is held to: with none at all it would never run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Where a tree stands after a look at `at`.

    `debt` is the processor time (seconds) it used beyond what it could have; below zero it has
    some to spare. `rate` is how many cores it uses when it may. `stopped` is since when it
    stands still (None: it runs), `eager` when it was last in debt. `due` is when to look again.
    """

    at: float
    debt: float = 0.0
    rate: float = 1.0
    stopped: float | None = None
    eager: float = 0.0
    due: float = 0.0

    @property
    def calm(self) -> bool:
        """Whether it has been modest for so long that it needs no watching."""
        return self.stopped is None and self.at - self.eager >= CALM


def begin(now: float, *, used: float, seconds: float, allowed: float) -> Pace:
    """Give the pace of a tree that was found to use too much in the last `seconds`.

    Most of that is forgiven: it must not stand still for long because nobody looked.
    """
    debt = min(max(0.0, used - allowed * seconds), allowed * LONGEST / 2)
    rate = used / seconds if seconds > 0 else 1.0
    return Pace(at=now, debt=debt, rate=rate, eager=now, due=now)


def paced(pace: Pace, *, used: float, allowed: float, now: float) -> Pace:
    """Give the pace after a look that found `used` seconds of processor time since the last."""
    allowed = max(allowed, _LEAST)
    seconds = max(0.0, now - pace.at)
    debt = pace.debt + used - allowed * seconds
    debt = min(max(debt, -allowed * _BANKED), allowed * _OWED)
    rate = pace.rate if pace.stopped is not None else _rate(pace.rate, used, seconds)
    stopped = _stopped(pace, debt, now)
    if stopped is None:
        run = (allowed * _PERIOD - debt) / rate if rate > 0 else LOOK
        due = now + min(max(run, SHORTEST), LOOK)
    else:
        due = min(now + debt / allowed, stopped + LONGEST)
    eager = now if debt > _SLACK or stopped is not None else pace.eager
    return Pace(at=now, debt=debt, rate=rate, stopped=stopped, eager=eager, due=due)


def _stopped(pace: Pace, debt: float, now: float) -> float | None:
    """Say since when it is to stand still; None where it may run."""
    if pace.stopped is None:
        return now if debt > _SLACK else None
    return pace.stopped if debt > _EVEN and now < pace.stopped + LONGEST else None


def _rate(before: float, used: float, seconds: float) -> float:
    """Follow a rise at once and a fall by halves."""
    if seconds <= 0:
        return before
    return max(used / seconds, (before + used / seconds) / 2)
