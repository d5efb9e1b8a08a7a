"""Usage limits by account: all its agents wait until the reset, then go on one after the other.

The first alone is a probe: the others follow when it has shown work, or has had its time for it.
Times are epoch seconds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

FIRST = 300.0
"""Seconds to wait where nobody told when the limit ends; it doubles as long as it goes on."""

LONGEST = 3600.0
"""The most seconds of such a wait."""

FARTHEST = 8 * 86_400.0
"""No reset is farther away: the longest limits that are known are of a week."""

STAGGER = 5.0
"""Seconds between two agents that are let go."""

PROBE = 60.0
"""Seconds that a probe has to show work in, until the next is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """An account whose usage limit is reached, and how far it has been let go on.

    `told` says that the provider told `until`. `wait` is the latest wait that nobody told.
    `freed` are the agents that were let go since the reset, `last` is when the latest was, and
    `proven` says that one of them has worked since.
    """

    account: str
    until: float
    since: float
    why: str
    told: bool
    wait: float = 0.0
    freed: tuple[str, ...] = ()
    last: float = 0.0
    proven: bool = False


def park(known: Parked | None, account: str, now: float, *, until: float, why: str) -> Parked:
    """Give what becomes of an account whose limit was met now; `until` is 0 where nobody told.

    Another agent that meets it while all wait changes nothing, but for a reset that is told.
    """
    told = now < until
    end = min(until, now + FARTHEST) if told else 0.0
    if known and not known.freed and now < known.until:
        if not told or (known.told and end <= known.until):
            return known
        return replace(known, until=end, told=True, why=why)
    wait = 0.0 if told else min((known.wait * 2 if known else 0.0) or FIRST, LONGEST)
    since = known.since if known else now
    return Parked(
        account=account, until=end or now + wait, since=since, why=why, told=told, wait=wait
    )


def steady(parked: Parked, now: float) -> Parked:
    """Give the same for a clock that was set back: nobody waits longer for it."""
    back = parked.since - now
    if back <= 0:
        return parked
    return replace(
        parked,
        until=parked.until - back,
        since=now,
        last=min(parked.last, now) if parked.last else 0.0,
    )


def holds(parked: Parked, agent: str) -> str:
    """Say why this agent of the account waits; "" where it was let go."""
    return "" if agent in parked.freed else f"usage limit of `{parked.account}`: {parked.why}"


def let_go(
    parked: Parked, waiting: Sequence[str], worked: Collection[str], now: float
) -> tuple[Parked | None, str]:
    """Say which agent to let go now ("" for none); None where the account is parked no more.

    `waiting` are the agents of the account that should go on, in their order; `worked` those who
    have shown work since they were let go.
    """
    one = steady(parked, now)
    if now < one.until:
        return one, ""
    one = replace(one, proven=one.proven or any(agent in worked for agent in one.freed))
    left = [agent for agent in waiting if agent not in one.freed]
    pause = STAGGER if one.proven or not one.freed else PROBE
    if one.freed and 0 <= now - one.last < pause:
        return one, ""
    if not left:
        return None, ""
    return replace(one, freed=(*one.freed, left[0]), last=now), left[0]


def outlook(parked: Parked, now: float) -> float:
    """Give the moment of the next thing that happens to it."""
    if now < parked.until or not parked.freed:
        return parked.until
    return parked.last + (STAGGER if parked.proven else PROBE)


def to_dict(parked: Parked) -> dict[str, Any]:
    """Give it as JSON-ready values."""
    return asdict(parked)


def from_dict(values: Mapping[str, Any]) -> Parked:
    """Read back what `to_dict` gave; unknown keys are left out."""
    names = {one.name for one in fields(Parked)}
    known = {key: value for key, value in values.items() if key in names}
    return Parked(**(known | {"freed": tuple(values.get("freed", ()))}))


_IN = re.compile(
    r"(?i)\b(?:in|after)\s+(?=\d)(?:(\d+)\s*d(?:ays?)?)?[ ,]*(?:(\d+)\s*h(?:(?:ou)?rs?)?)?[ ,]*"
    r"(?:(\d+)\s*m(?:in(?:ute)?s?)?)?[ ,]*(?:(\d+)\s*s(?:ec(?:ond)?s?)?)?\b"
)
_AT = re.compile(r"(?i)\b(?:resets?|again|until)\s+(?:at\s+)?(\d{1,2})(?::(\d\d))?\s*([ap]m)?\b")
_DAY = 86_400.0


def reset(text: str, now: float, east: float) -> float:
    """Read when a limit ends: `resets 8pm`, `try again in 2 hours 5 minutes`; 0 where not told.

    A time of day is of the zone that lies `east` seconds east of UTC, and is the next such time.
    """
    found = _IN.search(text)
    if found and any(found.groups()):
        sizes = (_DAY, 3600.0, 60.0, 1.0)
        return now + sum(
            size * int(part or 0) for size, part in zip(sizes, found.groups(), strict=True)
        )
    found = _AT.search(text)
    if not found or not (found[2] or found[3]):
        return 0.0
    hour, half = int(found[1]), (found[3] or "").lower()
    if hour > (12 if half else 23):
        return 0.0
    hour = hour % 12 + (12 if half == "pm" else 0) if half else hour
    ahead = (hour * 3600 + int(found[2] or 0) * 60 - (now + east)) % _DAY
    return now + (ahead or _DAY)
