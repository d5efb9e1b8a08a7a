"""Schedules: when a workflow is begun by the clock, as a cron expression in a time zone says.

Times are epoch seconds. At a change of the clock it is as in Debian's cron: a time of day that
is left out comes when the clock has jumped, one that comes twice counts once; what comes every
few minutes or every hour goes on by elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from hive.errors import WrongInput

Missed = Literal["skip", "once", "all"]
"""What becomes of the times that nobody was there for: none, the last, or each of them."""

GRACE = 60.0
"""How many seconds late a time may be begun before it counts as missed."""

MOST = 50
"""How many missed times are made up for at most: the latest."""

SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""The expressions that cron knows by name."""

_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, and a day that one of its months has",
    "month": "1-12 or jan-dec",
    "day-of-week": "0-7 or sun-sat",
}
_LOOK_BACK = 3600.0
_LONGEST = 200
_EXAMPLE = "five fields: minute, hour, day of month, month, day of week; `0 2 * * *` is daily at 2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One workflow and when it is begun: `cron` in the time zone `zone` ("": UTC).

    `next_at` is its next time (0: not known yet), `missed` what becomes of those that passed
    while nobody looked; while `paused` none counts. `params` are the workflow's, `sender` made it.
    """

    project: str
    name: str
    cron: str
    zone: str = ""
    workflow: str
    params: Mapping[str, str] = field(default_factory=dict)
    next_at: float = 0.0
    missed: Missed = "once"
    paused: bool = False
    sender: str = "a person"

    def __post_init__(self) -> None:
        """Refuse an unknown `missed`: it would be taken for another one."""
        if self.missed not in get_args(Missed):
            what = f"`missed` is `{self.missed}`"
            raise WrongInput(what, where=_where(self), fix="it may be `skip`, `once` or `all`")


def following(schedule: Schedule, after: float) -> float:
    """Give its first time later than `after`.

    Raises WrongInput for an expression or a zone that can't be read or a time that never comes.
    """
    zone = _zone(schedule)
    try:
        times = CronSim(_expression(schedule), datetime.fromtimestamp(after, zone))
    except (CronSimError, ValueError) as error:
        raise _unread(schedule, str(error)) from error
    for time in times:
        found = time.timestamp()
        if found > after:  # in an hour that comes twice cronsim may begin with the first
            return found
    what = f"`{schedule.cron}` never comes: no day is all that it asks for"
    raise WrongInput(what, where=_where(schedule), fix=f"write {_EXAMPLE}")


def due(schedule: Schedule, now: float) -> list[float]:
    """Give the times at which it is to be begun now, oldest first; then `following` is next.

    Raises WrongInput as `following` does.
    """
    if schedule.paused or not 0 < schedule.next_at <= now:
        return []
    times = _passed(schedule, now)
    if schedule.missed == "all":
        return times[-MOST:]
    late = now - times[-1] > GRACE
    return [] if late and schedule.missed == "skip" else times[-1:]


def _passed(schedule: Schedule, now: float) -> list[float]:
    """Give its times from the next one until now; of very many at least the latest `MOST`."""
    back = _LOOK_BACK
    while now - back > schedule.next_at:
        found = list(_between(schedule, now - back, now))
        if len(found) >= MOST:
            return found
        back *= 2
    return [schedule.next_at, *_between(schedule, schedule.next_at, now)]


def _between(schedule: Schedule, after: float, until: float) -> Iterator[float]:
    while (after := following(schedule, after)) <= until:
        yield after


def _expression(schedule: Schedule) -> str:
    text = schedule.cron.strip()
    text = SHORT.get(text.lower(), text)
    if len(text.split()) != len(_FIELDS) or len(text) > _LONGEST:  # cronsim also takes six
        raise ValueError("no expression")
    return text


def _zone(schedule: Schedule) -> tzinfo:
    name = schedule.zone
    if name in {"", "UTC"}:  # known also to a machine that has no time zones
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        what = f"`{name}` is no time zone that this machine knows"
        fix = "name it as in `Europe/Berlin`, or leave it out: that is UTC"
        raise WrongInput(what, where=_where(schedule), fix=fix) from error


def _unread(schedule: Schedule, said: str) -> WrongInput:
    """Say which field of an expression can't be read; `said` is cronsim's word: `Bad minute`."""
    cron, where = schedule.cron.strip()[:_LONGEST], _where(schedule)
    name = said.removeprefix("Bad ")
    if name in _FIELDS:
        text = _expression(schedule).split()[list(_FIELDS).index(name)]
        what = f"the {name} `{text}` of `{cron}` is none"
        return WrongInput(what, where=where, fix=f"it may be {_FIELDS[name]}, `*`, lists and steps")
    if cron.startswith("@"):
        names = ", ".join(SHORT)
        return WrongInput(f"`{cron}` is none of cron's names", where=where, fix=f"use {names}")
    what = f"`{cron}` is no cron expression: it has {len(cron.split())} fields"
    return WrongInput(what, where=where, fix=f"write {_EXAMPLE}")


def _where(schedule: Schedule) -> str:
    return f"schedule `{schedule.name}`"
