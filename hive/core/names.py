"""Which names are safe, and which names are made from others.

Names end up in tmux targets, paths and `project/team/name`, so they are letters, digits, `-`
and `_` only: tmux gives dots and colons a meaning of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

LONGEST = 64
PATTERN = rf"^[A-Za-z0-9_][A-Za-z0-9_-]{{0,{LONGEST - 1}}}$"
UPPER = frozenset({"pm", "qa", "ui", "api", "ux", "db"})
"""Words that are written in capitals in a window's name."""

_SAFE = re.compile(PATTERN)


def safe(name: str) -> str:
    """Give the name back, or raise ValueError where tmux or a path could misread it."""
    if not name:
        raise ValueError("must not be empty")
    if len(name) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} characters; it has {len(name)}")
    if not _SAFE.fullmatch(name):
        raise ValueError("may hold only letters, digits, `-` and `_`, and not begin with `-`")
    return name


def role(key: str) -> str:
    """Give the role of an agent that names none: its key without digits at the end."""
    return key.rstrip("0123456789").rstrip("-_") or key


def session(project: str, team: str) -> str:
    """Give the tmux session of a team: `Task-frontend`."""
    return f"{project}-{team}"


def window(team: str, agent: str) -> str:
    """Give the tmux window of an agent: `Frontend-PM`, `Frontend-Dev`."""
    return f"{_title(team)}-{_title(agent)}"


def member(name: str, place: int) -> str:
    """Name one of a pool, counted from 1: `dev-1`."""
    return f"{name}-{place}"


def pool(name: str) -> str:
    """Give the pool's name of a member `dev-1`; "" for what is none."""
    start, dash, place = name.rpartition("-")
    return start if dash and place.isascii() and place.isdigit() else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Give the known word that `word` was probably meant to be, or ""."""
    choices = {choice.lower(): choice for choice in known}
    close = get_close_matches(word.lower(), choices, 1)
    return choices[close[0]] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give the end of a message about an unknown word: "; did you mean `x`?", or ""."""
    return offer([close] if (close := nearest(word, known)) else [])


def offer(choices: Sequence[str]) -> str:
    """Give the end of a message that offers these: "; did you mean `x` or `y`?", or ""."""
    *others, last = [f"`{choice}`" for choice in choices] or [""]
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"; did you mean {listed}?" if listed else ""


def _title(name: str) -> str:
    words = [_letters(part) for part in name.split("-")]
    alone = sum(bool(word) for word in words) == 1
    return "-".join(
        part.upper()
        if word.lower() in UPPER or (alone and len(word) <= 2)
        else part[:1].upper() + part[1:]
        for part, word in zip(name.split("-"), words, strict=True)
    )


def _letters(part: str) -> str:
    return part.rstrip("0123456789")
