"""What is wrong with a file, and how it is told: every mistake at once, each with its line.

A check finds a `Wrong`: a place in the tables and a sentence. With the text of the file it
becomes a `Mistake`: a line and its words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hive.core import positions
from hive.core.positions import Path
from hive.errors import WrongInput

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SECRET = re.compile(r"""(?:^|[\s{,.])["']?(?:env|headers)["']?\s*[.=]""")
_SECRET_TABLE = re.compile(r"""\s*\[.*\b(?:env|headers)["']?\s*\]""")
_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One mistake by its place: the last part of `path` is the key, those before are its table."""

    path: Path
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake as it is told: `where` is the table, `text` the line it stands on."""

    line: int
    where: str
    what: str
    text: str = ""

    def told(self, name: str) -> str:
        """Give the mistake as a person reads it, in the file called `name`."""
        where = f"[{self.where}] " if self.where else ""
        first = f"{name}:{self.line}: {where}{self.what}"
        return f"{first}\n    {self.text}" if self.text else first


def shown(key: object) -> str:
    """Write a key as it stands in a TOML table's name; quotes it where it must be quoted."""
    text = str(key)
    return text if _BARE.fullmatch(text) else json.dumps(text)


def table(path: Path) -> str:
    """Write the name of a table; of several in a row, which one, counted from 1: `tasks#2`."""
    parts = (f"#{part + 1}" if isinstance(part, int) else f".{shown(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def private(path: Path) -> bool:
    """Whether what stands there may be a secret, and is never shown."""
    return "env" in path or "headers" in path


def placed(wrongs: Iterable[Wrong], text: str) -> list[Mistake]:
    """Find the line of each mistake; each is told once, in the order of the file."""
    lines = text.replace("\r\n", "\n").split("\n")
    where = positions.find(text)
    found = []
    for wrong in dict.fromkeys(wrongs):
        line = positions.nearest(where, wrong.path)
        found.append(
            Mistake(
                line=line or 1,
                where=table(wrong.path[:-1]),
                what=wrong.what,
                text=excerpt(lines, line) if line and not private(wrong.path) else "",
            )
        )
    return sorted(found, key=lambda mistake: mistake.line)


def excerpt(lines: Sequence[str], number: int) -> str:
    """Give the line of this number to be shown: "" where it may hold variables: secrets."""
    told = lines[number - 1].strip()
    above = (line for line in reversed(lines[:number]) if line.lstrip().startswith("["))
    if _SECRET.search(told) or _SECRET_TABLE.match(next(above, "")):
        return ""
    return told if len(told) <= _WIDTH else f"{told[:_WIDTH]}…"


def refusal(mistakes: Iterable[Mistake], name: str) -> WrongInput:
    """Give the error that tells them all; `name` is what the file is called to its reader."""
    return WrongInput("\n".join(mistake.told(name) for mistake in mistakes))
