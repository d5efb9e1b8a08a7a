"""On which line each key of a TOML text stands: `tomllib` gives values without places.

The text has been read by `tomllib` before, so it is well formed and this may be brief: it
walks over tables, dotted and quoted keys, inline tables, arrays and strings of all kinds.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping

Path = tuple[str | int, ...]
"""The keys that lead to a value, from the top of the file; a number is a place in an array."""

_GAP = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_SCALAR = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|[^,\]}#\n]*",
    re.DOTALL,
)


def find(text: str) -> dict[Path, int]:
    """Give the line (from 1) of every key, table and element of an array in a valid TOML text."""
    return _Walk(text.replace("\r\n", "\n")).lines


def nearest(lines: Mapping[Path, int], path: Path) -> int:
    """Give the line of `path`, or of the closest table around it, or 0 for the whole file."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 0


class _Walk:
    """One walk from the start of a text to its end; each method moves `at` past what it reads."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._elements: dict[Path, int] = {}
        table: Path = ()
        self._skip(_GAP)
        while self.at < len(text):
            if text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_GAP)

    def _header(self) -> Path:
        """Read `[a.b]` or `[[a.b]]`; give the table that the keys below belong to."""
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        table: Path = ()
        keys, line = self._keys()
        for number, key in enumerate(keys, 1):
            table = (*table, key)
            self.lines.setdefault(table, line)
            if many and number == len(keys):
                self._elements[table] = self._elements.get(table, -1) + 1
            if table in self._elements:
                table = (*table, self._elements[table])
                self.lines.setdefault(table, line)
        if not many:
            self.lines[table] = line  # where it is opened, not where a child named it first
        self._skip(re.compile(r"[ \t]*\]\]?"))
        return table

    def _pair(self, table: Path) -> None:
        """Read `a.b = value`."""
        keys, line = self._keys()
        for key in keys:
            table = (*table, key)
            self.lines.setdefault(table, line)
        self._skip(re.compile(r"[ \t]*=[ \t]*"))
        self._value(table)

    def _keys(self) -> tuple[list[str], int]:
        self._skip(re.compile(r"[ \t]*"))
        line = self._line()
        keys = [self._key()]
        while self._skip(_DOT):
            keys.append(self._key())
        return keys, line

    def _key(self) -> str:
        raw = self._skip(_KEY)
        if raw[:1] not in {"'", '"'}:
            return raw
        return str(tomllib.loads(f"key = {raw}")["key"])

    def _value(self, path: Path) -> None:
        opened = self.text[self.at : self.at + 1]
        if opened not in {"[", "{"}:
            self._skip(_SCALAR)
            return
        self.at += 1
        self._skip(_GAP)
        place = 0
        while self.at < len(self.text) and self.text[self.at] not in "]}":
            if opened == "{":
                self._pair(path)
            else:
                self.lines[*path, place] = self._line()
                self._value((*path, place))
            place += 1
            self._skip(_GAP)
        self.at += 1

    def _line(self) -> int:
        return bisect_right(self._ends, self.at - 1) + 1 if self.at else 1

    def _skip(self, form: re.Pattern[str]) -> str:
        """Move past what `form` matches here, and give it."""
        match = form.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match.group()
