"""Amounts as people write them: `512MB`, `1.5GB`, `75%`, `2` cores, `$20`.

A megabyte is 1024² bytes, however it is written: so counts whoever shows memory. What can't be
read raises ValueError with a text that goes after the key's name: "`memory` must be …".
"""

from __future__ import annotations

import math
import re

from hive.core.limits import Portion

UNITS = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10}
"""Each unit in bytes, largest first; a `B` or `iB` after it changes nothing."""

LEAST_MEMORY = 1 << 20
"""The least memory that can be a limit: no program runs in less."""

LEAST_CPU = 0.01
"""The least CPU that can be a limit, in cores or as a share: the kernel holds no smaller one."""

_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"
_SIZE = re.compile(rf"{_NUMBER} ?([kmgt])(?:i?b)?", re.IGNORECASE | re.ASCII)
_SHARE = re.compile(rf"{_NUMBER} ?%")
_DOLLARS = re.compile(rf"\$ ?{_NUMBER}")
_BARE = re.compile(_NUMBER)
_SIZES = "a size such as `512MB` or `2GB`"
_SHOWN = 40
_MANY_CORES = 10**9
_MANY_DOLLARS = 10**9


def size(value: object) -> int:
    """Read a size in bytes: a number with a unit (K, M, G, T; `B` or `iB` may follow).

    Raises ValueError for anything else, and for a number without a unit.
    """
    found = _size(value)
    if found is None:
        raise _unsized(value, _SIZES)
    return found


def as_size(number: float) -> str:
    """Write bytes as `size` reads them, in the largest unit that fits: `512MB`, `1.5GB`."""
    unit, many = next(((key, one) for key, one in UNITS.items() if number >= one), ("K", 1024))
    return f"{_brief(number / many)}{unit}B"


def as_cores(number: float) -> str:
    """Write an amount of CPU given in cores: `1 core`, `0.5 cores`."""
    text = _brief(number)
    return f"{text} core" if text == "1" else f"{text} cores"


def memory(value: object) -> int:
    """Read the most memory that an agent may have; raises ValueError."""
    return _enough(size(value))


def soft(value: object) -> int | float:
    """Read a soft limit: a size (an int), or a share of the hard one (a float, 0.8 is 80%).

    Raises ValueError.
    """
    found = _size(value)
    if found is not None:
        return _enough(found)
    share = _share(value)
    if share is None:
        raise _unsized(value, f"a share such as `80%`, or {_SIZES}")
    if not 0 < share <= 1:
        raise ValueError(f"must be above 0% and at most 100% of `memory`{_not(value)}")
    return share


def reserve(value: object) -> Portion:
    """Read what stays free of memory: a share of the machine's, or a size; raises ValueError."""
    found = _size(value)
    if found is not None:
        return Portion(amount=found)
    share = _share(value)
    if share is None:
        raise _unsized(value, f"a share such as `75%`, or {_SIZES}")
    return _of_machine(share, value)


def shared_memory(value: object) -> Portion:
    """Read the most memory of all agents together, as `reserve` does; raises ValueError."""
    found = reserve(value)
    if not found.of_machine:
        _enough(int(found.amount))
    elif found.amount <= 0:
        raise ValueError(f"must be above 0%{_not(value)}")
    return found


def shared_cpu(value: object) -> Portion:
    """Read the most CPU of all agents together: a share of the machine's, or a number of cores.

    Raises ValueError.
    """
    wanted = "a share such as `50%`, or a number of cores"
    if isinstance(value, str):
        return _cpu_share(value, wanted)
    return Portion(amount=_cores(value, wanted))


def percent(text: str) -> Portion:
    """Read a share of the machine's CPU, with or without its sign: `40`, `40%`.

    Raises ValueError.
    """
    whole = f"{text}%" if _BARE.fullmatch(text.strip()) else text
    return _cpu_share(whole, "percent of the machine such as `40`")


def cpu(value: object) -> float:
    """Read the most CPU of an agent in cores: 100% is one core, a number is cores.

    Raises ValueError.
    """
    wanted = "a number of cores, or a share of one such as `100%`"
    if not isinstance(value, str):
        return _cores(value, wanted)
    share = _share(value)
    if share is None:
        raise _wrong(value, wanted)
    return _enough_cpu(share, value)


def dollars(value: object) -> float:
    """Read an amount of money: `$20`, `$12.50`, or a number of dollars; raises ValueError."""
    wanted = "an amount of money such as `$20`"
    if isinstance(value, str):
        match = _DOLLARS.fullmatch(value.strip())
        read = float(match[1]) if match else 0.0
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, wanted)
    else:
        read = float(min(max(value, 0), _MANY_DOLLARS))  # an int may be too large to be a float
    if not read > 0:  # also what is no number
        raise _wrong(value, wanted)
    return read


def _size(value: object) -> int | None:
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return round(float(match[1]) * UNITS[match[2].upper()]) if match else None


def _share(value: object) -> float | None:
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) / 100 if match else None


def _cpu_share(text: str, wanted: str) -> Portion:
    share = _share(text)
    if share is None:
        raise _wrong(text, wanted)
    return _of_machine(_enough_cpu(share, text), text)


def _cores(value: object, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, wanted)
    read = float(min(max(value, 0), _MANY_CORES))  # an int may be too large to be a float
    if math.isnan(read):
        raise _wrong(value, wanted)
    return _enough_cpu(read, value)


def _of_machine(share: float, value: object) -> Portion:
    if share > 1:
        raise ValueError(f"must be at most 100% of the machine{_not(value)}")
    return Portion(amount=share, of_machine=True)


def _enough(number: int) -> int:
    if number < LEAST_MEMORY:
        raise ValueError(f"must be {as_size(LEAST_MEMORY)} or more: no program runs in less")
    return number


def _enough_cpu(number: float, value: object) -> float:
    if number < LEAST_CPU:
        least = "1%" if isinstance(value, str) else f"{LEAST_CPU} cores"
        raise ValueError(f"must be {least} or more{_not(value)}")
    return number


def _brief(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _wrong(value: object, wanted: str) -> ValueError:
    return ValueError(f"must be {wanted}{_not(value)}")


def _unsized(value: object, wanted: str) -> ValueError:
    """Build the error of what is no size; a number alone is told what it lacks."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number or (isinstance(value, str) and _BARE.fullmatch(value.strip())):
        return ValueError(f"needs a unit: {wanted}{_not(value)}")
    return _wrong(value, wanted)


def _not(value: object) -> str:
    """Say what was given, where that can be said briefly."""
    if isinstance(value, str):
        return f", not {value if len(value) <= _SHOWN else f'{value[:_SHOWN]}…'!r}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f", not {value}" if isinstance(value, float) or abs(value) < 10**18 else ""
