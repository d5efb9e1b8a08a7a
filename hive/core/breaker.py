"""Circuit breakers: where work fails again and again, none is handed out for a while.

Then one task is tried (a probe): if it ends well the breaker closes, if not it stays open for
twice as long. There is one for each agent and one for each command.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from hive.core.tasks import Job
from hive.core.wording import count, span

THRESHOLD = 5
"""So many failures in a row open it."""

FIRST = 60.0
LONGEST = 3600.0
"""How long it is open at first, and at most, in seconds: it doubles with each failed probe."""

PROBE = 600.0
"""So long a probe that is not heard of keeps others from being tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """How one stands: `failures` in a row, `since` when it is in this state, `why` the last one.

    Open: none is handed out before `until`. Half-open: a probe is out, and the next may go at
    `until`.
    """

    name: str
    state: Literal["closed", "open", "half-open"] = "closed"
    failures: int = 0
    since: float = 0.0
    until: float = 0.0
    why: str = ""


def of_agent(agent: str) -> str:
    """Give the name of an agent's breaker."""
    return f"agent:{agent}"


def of_command(command: str) -> str:
    """Give the name of a command's breaker."""
    digest = hashlib.sha256(command.strip().encode(errors="surrogateescape")).hexdigest()
    return f"command:{digest[:16]}"


def watching(job: Job, agent: str) -> tuple[str, ...]:
    """Name the breakers that watch such a job in an agent's hands."""
    return (of_agent(agent), of_command(job.text)) if job.kind == "run" else (of_agent(agent),)


def failed(breaker: Breaker, why: str, now: float) -> Breaker:
    """Count a failure; it may open. What was handed out before it opened does not count again."""
    if breaker.state == "open" and now < breaker.until:
        return replace(breaker, why=why)
    failures = breaker.failures + 1
    if failures < THRESHOLD and breaker.state == "closed":
        return replace(breaker, failures=failures, why=why)
    doubled = FIRST * 2.0 ** min(max(failures - THRESHOLD, 0), 30)
    until = now + min(doubled, LONGEST)
    return replace(breaker, state="open", failures=failures, since=now, until=until, why=why)


def succeeded(breaker: Breaker, now: float) -> Breaker:
    """Close it: what ended well shows that it works."""
    since = breaker.since if breaker.state == "closed" else now
    return Breaker(name=breaker.name, since=since)


def probed(breaker: Breaker, now: float) -> Breaker:
    """Note that a task was handed out there: a probe, where it is not closed."""
    if breaker.state == "closed":
        return breaker
    return replace(breaker, state="half-open", since=now, until=now + PROBE)


def open_at(breaker: Breaker, now: float) -> str:
    """Say why nothing is handed out there now; "" where it may be."""
    if breaker.state == "closed" or now >= breaker.until:
        return ""
    times = f"{count(breaker.failures, 'failure')} in a row"
    last = f", the last: {breaker.why}" if breaker.why else ""
    if breaker.state == "half-open":
        return f"{times}{last}; one task is being tried, for {span(now - breaker.since)}"
    return f"{times}{last}; one task is tried in {span(breaker.until - now)}"


def to_dict(breaker: Breaker) -> dict[str, Any]:
    """Give it as JSON-ready values."""
    return asdict(breaker)


def from_dict(values: Mapping[str, Any]) -> Breaker:
    """Read it back, after a trip through JSON; unknown keys are left out."""
    known = {one.name for one in fields(Breaker)}
    return Breaker(**{key: value for key, value in values.items() if key in known})
