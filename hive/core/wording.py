"""Numbers as people say them: `3rd`, `2 agents`, `15m`, `1h 5m`, `38.2M`.

For people only: what a program reads back is never written with these.
"""

from __future__ import annotations

STEPS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
SIZES = ("K", "M", "G", "T")


def span(seconds: float) -> str:
    """Write a duration with its two largest units: `4s`, `1m 5s`, `3h`, `2d 1h`."""
    left = max(0, round(seconds))
    parts = []
    for size, unit in STEPS:
        many, left = divmod(left, size)
        if many:
            parts.append(f"{many}{unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0s"


def age(seconds: float) -> str:
    """Write a duration with its largest unit only: `4s`, `3h`."""
    return span(seconds).split()[0]


def ordinal(number: int) -> str:
    """Write a place in a row: `1st`, `2nd`, `11th`."""
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{ending or 'th'}"


def count(number: int, thing: str) -> str:
    """Write how many there are of a thing whose plural takes an `s`: `1 agent`, `2 agents`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def size(number: float) -> str:
    """Write an amount of memory given in bytes: `512K`, `38.2M`, `1.4G`."""
    value, unit = number / 1024, SIZES[0]
    for bigger in SIZES[1:]:
        if value < 1000:
            break
        value, unit = value / 1024, bigger
    return f"{value:.0f}{unit}" if value >= 100 or unit == "K" else f"{value:.1f}{unit}"


def clean(text: str) -> str:
    """Give the text without control characters: what a program wrote must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " for one in text.replace("\t", "    "))
