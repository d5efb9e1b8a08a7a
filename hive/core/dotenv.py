r"""The `.env` format: `KEY=VALUE` lines, `export`, quotes and comments.

Single quotes keep their text as it is; double quotes know `\n`, `\t`, `\r`, `\"`, `\$` and
`\\`; both may go over several lines. `$` means nothing: values are never put together.
"""

from __future__ import annotations

import re

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|$)")
_START = re.compile(r"[ \t]*(?:export[ \t]+)?([^\s=#'\"]+)[ \t]*=[ \t]*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PLAIN = re.compile(r"(.*?)[ \t]*(?:(?<=[ \t])#[^\n]*)?(?=\n|$)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEANING = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$"}


def parse(text: str) -> tuple[tuple[str, str], ...]:
    """Give the names and values in order; a later one of the same name comes later.

    Raises ValueError that says the line (never the value, which may be secret).
    """
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = max(blank.end(), at + 1)
            continue
        start = _START.match(text, at)
        if start is None:
            raise ValueError(f"line {_line(text, at)} is not `NAME=value`")
        value, at = _value(text, start.end())
        end = _BLANK.match(text, at)
        if end is None:
            raise ValueError(f"line {_line(text, at)} has something after the closing quote")
        if "\0" in start[1] + value:
            raise ValueError(f"line {_line(text, at)} holds a NUL character")
        found.append((start[1], value))
        at = end.end()
    return tuple(found)


def _value(text: str, at: int) -> tuple[str, int]:
    """Give the value that begins at `at`, and where it ends."""
    quote = text[at : at + 1]
    if quote not in {"'", '"'}:
        plain = _PLAIN.match(text, at)
        return (plain[1], plain.end()) if plain else ("", at)
    quoted = (_SINGLE if quote == "'" else _DOUBLE).match(text, at)
    if quoted is None:
        raise ValueError(f"line {_line(text, at)} opens a quote that is never closed")
    if quote == "'":
        return quoted[1], quoted.end()
    return _ESCAPE.sub(lambda hit: _MEANING.get(hit[1], hit[0]), quoted[1]), quoted.end()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
