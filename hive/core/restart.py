"""When an agent that died is started again, and when enough is enough.

Three limits hold one another: the delay grows with each death, an agent that dies too often is
quarantined, and a team that restarts too often is held. Only a person, or health, undoes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hive.core.spec import Restart
from hive.core.units import as_text
from hive.core.world import TeamMemory

MINUTE = 60.0

JITTER = 0.2
"""A delay is made longer or shorter by up to this share, so that a crowd does not move as one."""

TRIALS = (15 * MINUTE, 30 * MINUTE, 60 * MINUTE)
"""How long a quarantined agent waits for its first, second and every further trial start."""

TRIAL_HEALTHY = MINUTE
"""A trial that is healthy for so long ends the quarantine."""

TEAM_RESTARTS = 15
TEAM_WINDOW = 10 * MINUTE
"""A team gets so many automatic restarts within so many seconds; then it is held."""

HELD = (
    f"its team is held: {TEAM_RESTARTS} restarts in 10 min; `hive start` or `hive reset` lets it go"
)

NO_PAST: Mapping[str, Any] = {
    "deaths": (),
    "restarts": 0,
    "trials": 0,
    "quarantined": False,
    "ooms": 0,
    "seen": 0,
}
"""The fields of a memory whose past no longer counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """It starts again `delay` seconds from now."""

    delay: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """It died too often: the next start is a trial, `delay` seconds from now."""

    delay: float
    why: str


def after_death(
    rule: Restart, deaths: tuple[float, ...], now: float, jitter: float
) -> Again | Quarantine:
    """Decide what follows the last of `deaths` (oldest first, this one included).

    `jitter` is between 0 and 1 and takes the place of chance.
    """
    number = len(within(deaths, rule.window, now))
    if number >= rule.attempts:
        why = f"{number} death{'' if number == 1 else 's'} in {as_text(rule.window)}"
        return Quarantine(delay=TRIALS[0], why=why)
    delay = _delay(rule, number) * (1 + JITTER * (2 * jitter - 1))
    return Again(delay=delay, why=f"starts again {soon(delay)}")


def after_trial(trials: int) -> Quarantine:
    """Decide what follows a trial start that failed, the `trials`-th since the quarantine."""
    return Quarantine(delay=trial_delay(trials), why="its trial start failed")


def trial_delay(trials: int) -> float:
    """Give the seconds until the next trial start after `trials` of them."""
    return TRIALS[min(trials, len(TRIALS) - 1)]


def longest_delay(rule: Restart) -> float:
    """Give the most seconds that a delay can have, jitter included."""
    return rule.longest * (1 + JITTER)


def within(times: tuple[float, ...], window: float, now: float) -> tuple[float, ...]:
    """Give those of `times` that are at most `window` seconds old."""
    return tuple(time for time in times if now - time <= window)


def counted(team: TeamMemory, now: float) -> TeamMemory | None:
    """Count one more automatic restart in this team; None if it has had all it gets."""
    before = tuple(min(time, now) for time in within(team.restarts, TEAM_WINDOW, now))
    if len(before) >= TEAM_RESTARTS:
        return None
    return replace(team, restarts=(*before, now))


def soon(delay: float) -> str:
    """Say when something happens that is `delay` seconds away: "at once", "in 2s"."""
    if delay <= 0:
        return "at once"
    return f"in {as_text(round(delay) if delay >= 1 else max(round(delay, 1), 0.1))}"


def _delay(rule: Restart, number: int) -> float:
    """Give the delay after the `number`-th death, step by step: a power could overflow."""
    if number <= 1:
        return 0.0
    delay = min(rule.delay, rule.longest)
    for _ in range(number - 2):
        if delay >= rule.longest:
            break
        delay = min(delay * rule.factor, rule.longest)
    return delay
