"""Moments as people say them: `02:00`, `2h` (ago), `yesterday 22:00`, or an ISO time.

A time of day is one of the person's own time zone. One that comes twice there, as the clock is
set back, is the later one that has passed; one that is left out is when the clock jumped.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from hive.core.units import seconds
from hive.errors import WrongInput

EXAMPLES = "`02:00`, `2h` (ago), `yesterday 22:00` or `2026-11-21T22:00`"

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_DAYS = {"today": 0, "yesterday": 1}


def window(since: str, until: str, now: float, zone: tzinfo) -> tuple[float, float]:
    """Read from when until when (epoch seconds); "" for the end is now.

    A time of day at the end is the first one after the beginning. Raises WrongInput for what is
    no moment, and for a time that lies ahead or ends before it begins.
    """
    begin = _read("--from", since, now, zone)
    end = now if not until else _end(begin, until, now, zone)
    if begin >= now:
        raise WrongInput(f"`--from {since}` lies ahead", fix="name a time that has passed")
    if end <= begin:
        what = f"`--to {until}` is not after `--from {since}`"
        raise WrongInput(what, fix="name a later time, or leave `--to` out")
    return begin, min(end, now)


def moment(text: str, now: float, zone: tzinfo) -> float:
    """Read a moment, in epoch seconds; of a time of day the latest one that has passed.

    Raises ValueError for what is none.
    """
    words = text.strip().lower()
    if words == "now":
        return now
    if found := _TIME.fullmatch(words):
        return _latest(_time(found), now, zone)
    word, _, rest = words.partition(" ")
    if word in _DAYS:
        of_day = _TIME.fullmatch(rest.strip() or "00:00")
        if of_day is None:
            raise ValueError(f"`{rest}` is no time of day")
        day = _day(now, zone) - timedelta(days=_DAYS[word])
        return _at(day, _time(of_day), zone)[-1]
    if any(one in words for one in "-:"):
        return _iso(text.strip(), zone)
    return now - seconds(words.removesuffix("ago").strip())


def _read(option: str, text: str, now: float, zone: tzinfo) -> float:
    try:
        return moment(text, now, zone)
    except (ValueError, OverflowError) as error:
        raise WrongInput(f"`{option} {text}` is no moment", fix=f"write {EXAMPLES}") from error


def _end(begin: float, text: str, now: float, zone: tzinfo) -> float:
    """Give the end: a time of day is the first one after the beginning."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return _read("--to", text, now, zone)
    first = _day(begin, zone)
    days = (first + timedelta(days=more) for more in range(2))
    later = (at for day in days for at in _at(day, _time(found), zone) if at > begin)
    return next(later)


def _latest(of_day: time, now: float, zone: tzinfo) -> float:
    today = _day(now, zone)
    days = (today - timedelta(days=less) for less in range(3))
    return next(at for day in days for at in reversed(_at(day, of_day, zone)) if at <= now)


def _at(day: date, of_day: time, zone: tzinfo) -> list[float]:
    """Give when it is this time on this day: once, or twice as the clock is set back."""
    local = datetime.combine(day, of_day, zone)
    first, second = local.timestamp(), local.replace(fold=1).timestamp()
    if first <= second:
        return [first] if first == second else [first, second]
    return [_jump(second, first, zone)]


def _jump(before: float, after: float, zone: tzinfo) -> float:
    """Give the moment between these two at which the clock is set forward."""
    low, high = int(before), int(after)
    old = _offset(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(middle, zone) == old else (low, middle)
    return float(high)


def _iso(text: str, zone: tzinfo) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()


def _offset(at: float, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()


def _day(at: float, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).date()


def _time(found: re.Match[str]) -> time:
    hour, minute, second = (int(part or 0) for part in found.groups())
    return time(hour, minute, second)
