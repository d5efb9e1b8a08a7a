"""When a usage limit ends, as a program says it in words."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

_EPOCH = re.compile(r"\blimit reached\|(\d{10})\b")
_SPAN = re.compile(
    r"\b(?:try again|resets?|retry) (?:in|after) ((?:\d+(?:\.\d+)? ?[a-z]+[ ,]*(?:and )?)+)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(d|h|m(?!s)|s)", re.IGNORECASE)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY = (
    r"(?:(?P<month>[a-z]{3})[a-z]* (?P<day>\d{1,2})(?:st|nd|rd|th)?"
    r"(?:,? (?P<year>\d{4}))?,?(?: at)? )?"
)
_TIME = r"(?=\d{1,2}(?::\d\d| ?[ap]m))(?P<hour>\d{1,2})(?::(?P<minute>\d\d))? ?(?P<half>am|pm)?\b"
_CLOCK = re.compile(rf"\b(?:resets?|try again)(?: at| on)? {_DAY}{_TIME}", re.IGNORECASE)


def until(text: str, now: float, zone: tzinfo) -> float:
    """Give when a limit ends, as epoch seconds; 0 where the text does not tell.

    A time of day is in `zone`, which is the program's own, and is the next such time.
    """
    if found := _EPOCH.search(text):
        return float(found[1])
    if found := _SPAN.search(text):
        parts = _PART.findall(found[1])
        return (
            now + sum(float(count) * _SECONDS[unit.lower()] for count, unit in parts)
            if parts
            else 0.0
        )
    if found := _CLOCK.search(text):
        return _clock(found, now, zone)
    return 0.0


def _clock(found: re.Match[str], now: float, zone: tzinfo) -> float:
    """Give the next moment that a clock, and maybe a calendar, shows this."""
    here = datetime.fromtimestamp(now, zone)
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    month = (found["month"] or "").lower()
    try:
        then = here.replace(hour=hour, minute=int(found["minute"] or 0), second=0, microsecond=0)
        if month:
            then = then.replace(month=_MONTHS.index(month) + 1, day=int(found["day"]))
            if found["year"]:
                return then.replace(year=int(found["year"])).timestamp()
            return (then if then > here else then.replace(year=here.year + 1)).timestamp()
    except ValueError:
        return 0.0  # no such day or time
    return (then if then > here else then + timedelta(days=1)).timestamp()
