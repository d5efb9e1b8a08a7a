"""What an agent's past says of it, per skill: how often it ended well, and how long it took.

An agent nothing is known of has the best weight there is, so newcomers are tried; what is long
ago counts less and less, so nobody is judged for ever by one bad day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

HALF_LIFE = 7 * 86_400.0
"""After so many seconds an outcome counts half."""

PRIOR = 1.0
"""So many good outcomes are taken as seen before the first."""

UNIT = 300.0
"""An agent that takes so many seconds for a task weighs half of one that takes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What is known of one agent at one skill ("": at tasks that need none).

    `done` and `failed` are how many attempts ended so, the older counting less; `seconds` is what
    an attempt takes on average, `at` when the last one ended.
    """

    agent: str
    skill: str
    done: float = 0.0
    failed: float = 0.0
    seconds: float = 0.0
    at: float = 0.0


def learned(score: Score, ok: bool, seconds: float, now: float) -> Score:
    """Add one outcome, which took so many seconds."""
    old = faded(score, now)
    seen = old.done + old.failed
    mean = (old.seconds * seen + max(seconds, 0.0)) / (seen + 1)
    done, failed = old.done + ok, old.failed + (not ok)
    return replace(old, done=done, failed=failed, seconds=mean, at=max(now, score.at))


def weight(score: Score, now: float = 0.0) -> float:
    """Give what it is worth, above 0 and at most 1: the chance that it ends well, over its time.

    With `now`, what was seen long before counts less.
    """
    known = faded(score, now)
    seen = known.done + known.failed
    seconds = known.seconds * seen / (seen + PRIOR)
    return (known.done + PRIOR) / (seen + PRIOR) / (1 + seconds / UNIT)


def faded(score: Score, now: float) -> Score:
    """Give what is left of it at `now`."""
    left: float = 0.5 ** (max(now - score.at, 0.0) / HALF_LIFE)
    return replace(score, done=score.done * left, failed=score.failed * left)
