"""Which of a screen's text is really there: faint text is a suggestion that nobody typed.

It reads what tmux gives of a screen with its attributes. Those go on from row to row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_STYLE = re.compile(r"\x1b\[([0-9;:]*)m")
_CONTROL = re.compile(
    r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-?]*[ -/]*[@-~]|[ -/]+[0-~]|[0-~])"
    r"|[\x00-\x08\x0a-\x1f\x7f]"
)
_COLOURS = {"38", "48", "58"}
_MORE = {"5": 1, "2": 3}
"""How many numbers follow a colour's kind: one of a palette, or red, green and blue."""


def solid(rows: Iterable[str]) -> list[str]:
    """Give the rows without their escapes, with blanks for what is faint.

    Blanks at the end of a row are dropped, and so are blank rows at the end.
    """
    found, faint = [], False
    for row in rows:
        if row.isprintable() and not faint:  # most are
            found.append(row.rstrip())
            continue
        text, *styled = _STYLE.split(row)
        parts = [_shown(text, faint=faint)]
        for style, after in zip(styled[::2], styled[1::2], strict=True):
            faint = _is_faint(style, faint=faint)
            parts.append(_shown(after, faint=faint))
        found.append("".join(parts).rstrip())
    while found and not found[-1]:
        found.pop()
    return found


def _shown(text: str, *, faint: bool) -> str:
    plain = _CONTROL.sub("", text)
    return " " * len(plain) if faint else plain


def _is_faint(style: str, *, faint: bool) -> bool:
    """Whether text is faint after this style: 2 begins it, 22 and 0 end it (ECMA-48, SGR)."""
    codes = iter(style.split(";"))
    for code in codes:
        if code in _COLOURS:
            for _ in range(_MORE.get(next(codes, ""), 0)):
                next(codes, "")
        elif code == "2":
            faint = True
        elif code in {"", "0", "22"}:
            faint = False
    return faint
