"""What a TOML text says twice, cut out, so that the rest can still be read.

TOML refuses a whole text for one key or table that is there twice. The second one is made
empty here, a table with all that is opened beneath it; every other line keeps its number.
Where it isn't certain what to cut, nothing is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from hive.core.positions import Path

_REPEATED = re.compile(r"Cannot |Duplicate ")
_FURTHEST = 200
"""The most lines that a value cut out may have: each is tried as its first."""


def is_repeat(message: str) -> bool:
    """Whether what `tomllib` says of a text is that something is there twice."""
    return _REPEATED.match(message) is not None


def cut(text: str, line: int) -> tuple[str, Path] | None:
    """Empty the repeat that ends on `line` (from 1): the text without it, and what it was.

    None where it isn't certain where the repeat begins or ends.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    furthest = max(0, line - 1 - _FURTHEST)
    start = next((at for at in range(line - 1, furthest - 1, -1) if _whole(lines[:at])), None)
    if start is None:
        return None
    path = _header(lines[start])
    end: int | None = line
    if path:
        end = _end(lines, line, path)
    else:
        path = (*_table(lines[:start]), *_key(lines[start]))
    if end is None or not path:
        return None
    return "\n".join([*lines[:start], *[""] * (end - start), *lines[end:]]), path


def _end(lines: list[str], start: int, path: Path) -> int | None:
    """Give where the table at `path`, opened just before `start`, ends with all beneath it."""
    for at in range(start, len(lines) + 1):
        header = _header(lines[at]) if at < len(lines) else ("",)
        if not header or not _whole(lines[start:at]):
            continue  # not opened here: this is inside a text of many lines
        if header[: len(path)] != path:
            return at
        start = at + 1
    return None


def _table(lines: list[str]) -> Path:
    """Give the table that is open after these lines."""
    for at in range(len(lines) - 1, -1, -1):
        path = _header(lines[at])
        if path and _whole(lines[:at]):
            return path
    return ()


def _whole(lines: list[str]) -> bool:
    """Whether these lines can be read: none is in the middle of a value."""
    try:
        tomllib.loads("\n".join([*lines, ""]))
    except RecursionError:
        return False
    except ValueError as error:
        return is_repeat(str(error))
    return True


def _header(line: str) -> Path:
    """Give the table that a line opens, or () where it opens none."""
    return next(_read(line), ()) if line.lstrip().startswith("[") else ()


def _key(line: str) -> Path:
    """Give the key that a line begins with, or ()."""
    ends = (match.end() for match in re.finditer("=", line))
    return next((path for end in ends for path in _read(f"{line[:end]} 0")), ())


def _read(line: str) -> Iterator[Path]:
    """Give the one path in a line that can be read by itself."""
    try:
        value: Any = tomllib.loads(line)
    except (ValueError, RecursionError):
        return
    path: Path = ()
    while isinstance(value, dict) and value:
        ((key, value),) = value.items()
        path = (*path, key)
    yield path
