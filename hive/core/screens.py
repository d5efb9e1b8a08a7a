"""What a screen and a title say of a conversation, by a profile's patterns.

A screen is read from its bottom. Where a composer is found, whatever asks a person stands in its
place or below it: what stands above it is text, however much it looks like a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from hive.core.faint import solid
from hive.core.profile import Profile, Screen
from hive.core.signs import Sub, Turn

_FRAME = " \t\u200b│┃║|╭╮╰╯─━"
"""What frames a row and says nothing."""

_ESCAPES = re.compile(
    r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])"
    r"|[\x00-\x08\x0a-\x1f\x7f]"
)

_LONGEST = 120
"""Characters of a row that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one screen or title says; `turn` is None where it says nothing that is known.

    `text` is the row that says it, `detail` what is asked for in rows of their own. `draft` is
    what stands in the composer, "" where that is empty, None where there is none to be seen.
    """

    turn: Turn | None = None
    sub: str = ""
    text: str = ""
    draft: str | None = None
    detail: str = ""


_ASKS: tuple[tuple[str, Turn, str], ...] = (
    ("approval", Turn.WAITING, Sub.APPROVAL),
    ("question", Turn.WAITING, Sub.QUESTION),
    ("dialog", Turn.WAITING, Sub.DIALOG),
)
_TELLS: tuple[tuple[str, Turn, str], ...] = (
    ("login", Turn.WAITING, Sub.LOGIN),
    ("limited", Turn.LIMITED, Sub.USAGE),
    ("full", Turn.WAITING, Sub.FULL),
    ("retrying", Turn.WORKING, Sub.RETRYING),
    ("model", Turn.WAITING, Sub.MODEL),
    ("working", Turn.WORKING, ""),
)


def read(lines: Sequence[str], profile: Profile) -> Look:
    r"""Say what a screen says: its rows from the top, as tmux gives them, with their attributes.

    What is faint is a part of the screen, but nobody typed it into the composer. Of all that
    holds the first counts: approval, question, dialog, login, usage limit, full, retrying, model,
    working, ready. A pattern sees either what stands above the composer (which ends there:
    `\Z`), or what begins with it.
    """
    screen = profile.screen
    text, typed = _bottom(lines, screen.rows)
    composer = _last(screen.composer, text)
    draft = _draft(composer, typed, screen)
    start = composer.start() if composer else 0
    above, rest = text[:start].rstrip("\n"), text[start:]
    for kind, turn, sub in _ASKS:
        if row := _row(getattr(screen, kind), rest):
            detail = _detail(getattr(screen, kind), rest)
            return Look(turn=turn, sub=sub, text=row, draft=draft, detail=detail)
    for kind, turn, sub in _TELLS:
        if row := _row(getattr(screen, kind), rest) or _row(getattr(screen, kind), above):
            return Look(turn=turn, sub=sub, text=row, draft=draft)
    row = "" if screen.composer and not composer else _ready(screen, rest)
    return Look(turn=Turn.READY if row else None, text=row, draft=draft)


def title(text: str, profile: Profile) -> Look:
    """Say what a terminal's title says; a title that no pattern knows says nothing."""
    for patterns, turn, sub in (
        (profile.title.approval, Turn.WAITING, Sub.APPROVAL),
        (profile.title.working, Turn.WORKING, ""),
        (profile.title.ready, Turn.READY, ""),
    ):
        if _row(patterns, text):
            return Look(turn=turn, sub=sub, text=text.strip())
    return Look()


_BUSY = re.compile(r"(?i)\besc\b.*\b(interrupt|cancel|stop)\b|[\u2801-\u28ff]|^\W*tip:")
"""A row of a spinner: what turns, and a word that changes with it."""

_SPINNER = re.compile(r"^\s*[·✢✳✶✻✽*•◦●○◎◉░█]+\s+\S+(…|\.\.\.).*")

_TURNING = re.compile(
    r"[■□▪▫⬝░▒▓█▌▐▏◐◓◑◒◴◷◶◵○◎◉◦•●]"
    r"|\d+:\d\d(:\d\d)?"
    r"|\b\d+([.,]\d+)*\s?(ms|s|m|min|h)\b"
    r"|\b\d+([.,]\d+)*\s?[kKM]?i?[bB]?\s*(tokens?\b|%|\bB\b)"
    r"|[↑↓]\s*\d+([.,]\d+)*[kKM]?|\$\d+\.\d+"
)


def masked(lines: Sequence[str]) -> str:
    """Give a screen without its spinners, timers and token counts.

    Two screens that are alike but for these are the same: a spinner that turns is no progress.
    """
    rows = []
    for line in map(_plain, lines):
        if _BUSY.search(line) or _SPINNER.match(line):
            continue
        row = " ".join(_TURNING.sub("", line).split())
        if row:
            rows.append(row)
    return "\n".join(rows)


def _bottom(lines: Sequence[str], rows: int) -> tuple[str, str]:
    """Give the last `rows` rows that are not blank, with the blank ones between them.

    The second text is the same with blanks for what is faint.
    """
    firm = solid(lines)
    left, found = rows, list[tuple[str, str]]()
    for number in range(len(lines) - 1, -1, -1):
        row = _plain(lines[number]).rstrip()
        left -= bool(row)
        if left < 0:
            break
        if row or found:
            typed = firm[number].replace("\xa0", " ") if number < len(firm) else ""
            found.append((row, typed.ljust(len(row))[: len(row)]))
    found.reverse()
    return "\n".join(row for row, _ in found), "\n".join(typed for _, typed in found)


def _plain(line: str) -> str:
    return _ESCAPES.sub("", line).replace("\xa0", " ")


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


def _last(pattern: str, text: str) -> re.Match[str] | None:
    found: Iterator[re.Match[str]] = _compiled(pattern).finditer(text) if pattern else iter(())
    return max(found, key=lambda one: one.start(), default=None)


def _draft(composer: re.Match[str] | None, typed: str, screen: Screen) -> str | None:
    """Give what somebody typed: not what stands there of itself, and nothing faint."""
    if composer is None:
        return None
    for text in (composer["draft"] or "", typed[slice(*composer.span("draft"))]):
        draft = "\n".join(row.strip(_FRAME) for row in text.split("\n")).strip()
        if any(_compiled(one).fullmatch(draft) for one in screen.empty):
            return ""
    return draft


def _ready(screen: Screen, text: str) -> str:
    if screen.ready:
        return _row(screen.ready, text)
    return "its composer" if screen.composer else ""


def _row(patterns: Sequence[str], text: str) -> str:
    """Give the first row of what a pattern finds, or its group `text`; "" where none does."""
    for pattern in patterns:
        found = _compiled(pattern).search(text)
        if found:
            whole = found["text"] if "text" in found.re.groupindex else found[0]
            rows = (row.strip(_FRAME) for row in whole.split("\n"))
            row = next(filter(None, rows), "")
            if row:
                return row[:_LONGEST]
    return ""


def _detail(patterns: Sequence[str], text: str) -> str:
    """Give the rows of the group `detail` of the first pattern that fits, without their frames."""
    found = next(filter(None, (_compiled(one).search(text) for one in patterns)), None)
    if found is None or "detail" not in found.re.groupindex:
        return ""
    rows = (row.strip(_FRAME) for row in (found["detail"] or "").split("\n"))
    return "\n".join(filter(None, rows))
