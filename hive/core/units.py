"""Durations as people write them: `90s`, `15m`, `1h30m`, `500ms`, or a number of seconds.

A text needs a unit: a bare "15" could mean anything, so it is refused.
"""

from __future__ import annotations

import math
import re

UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
"""Each unit in milliseconds, longest first."""

LONGEST = 10 * 365 * 86_400.0
"""Ten years: what is longer is a slip of the hand, not a wish."""

_NUMBER = r"(?:([0-9]{1,15}(?:\.[0-9]{1,15})?)"
_DURATION = re.compile("".join(rf"{_NUMBER}{unit})?" for unit in UNITS))
_FORM = "must be a duration such as `90s`, `15m` or `1h30m`"


def seconds(value: object) -> float:
    """Read a duration: a text with units (d, h, m, s, ms), or a number of seconds.

    Raises ValueError, with a text that goes after the key's name, for anything else, for a
    negative number and for more than ten years.
    """
    found = _from_text(value) if isinstance(value, str) else _from_number(value)
    if not 0 <= found <= LONGEST:
        raise ValueError("must be between 0 seconds and ten years")
    return found


def above_zero(value: float) -> float:
    """Give the duration back, or raise ValueError where it is 0."""
    if value <= 0:
        raise ValueError("must be longer than 0 seconds")
    return value


def as_text(value: float) -> str:
    """Write a duration in seconds as `seconds` reads it, to the millisecond: `1h30m`."""
    left = round(abs(value) * 1000)
    parts = ["-"] if value < 0 and left else []
    for unit, size in UNITS.items():
        many, left = divmod(left, size)
        if many:
            parts.append(f"{many}{unit}")
    return "".join(parts) or "0s"


def _from_text(text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{_FORM}, not {text[:40]!r}; the units are d, h, m, s and ms")
    sizes = zip(match.groups(), UNITS.values(), strict=True)
    return sum(float(many) * size for many, size in sizes if many) / 1000


def _from_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{_FORM}, or a number of seconds")  # noqa: TRY004 - one for pydantic
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{_FORM}, not {value}")
    return float(min(max(value, -1), LONGEST + 1))  # an int may be too large to be a float
