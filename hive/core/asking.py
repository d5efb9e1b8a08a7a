"""What a program asks to be allowed, put the same way for those that tell it in a hook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hive.core.signs import Ask, digest

LONGEST = 2000
"""Characters of what is asked that are shown; the digest is of all of it."""

_FIRST = ("command", "file_path", "path", "url", "query")
_LEFT_OUT = "description"
"""What the program says of a call when it asks, and not when it is over."""


def ask(tool: str, given: Mapping[str, Any], turn: str) -> Ask:
    """Put a call of a tool as a question, with exactly what the tool was given."""
    return Ask(
        key=key(tool, given, turn), tool=tool, detail=detail(given), digest=digest(tool, given)
    )


def key(tool: str, given: Mapping[str, Any], turn: str) -> str:
    """Name the question: the same when it is asked and when its call is over."""
    kept = {name: value for name, value in given.items() if name != _LEFT_OUT}
    return f"{turn[-12:]}-{digest(tool, kept)}"


def detail(given: Mapping[str, Any]) -> str:
    """Say in words what a tool was given, the most telling first."""
    if "questions" in given:
        return _questions(given["questions"])[:LONGEST]
    first = next((name for name in _FIRST if given.get(name)), "")
    rest = {name: value for name, value in given.items() if name not in {first, _LEFT_OUT}}
    words = [str(given[first])] if first else []
    words += [json.dumps(rest, ensure_ascii=False)] if rest else []
    return " ".join(words)[:LONGEST]


def _questions(asked: Any) -> str:
    """Put questions with their choices in a line each."""
    lines = []
    for one in asked if isinstance(asked, list) else []:
        if isinstance(one, Mapping):
            options = [option for option in one.get("options") or () if isinstance(option, Mapping)]
            choices = " | ".join(str(option.get("label", "")) for option in options)
            lines.append(f"{one.get('question', '')} [{choices}]")
    return "\n".join(lines)
