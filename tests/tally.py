"""Reads the ground truth of fake agents: what really came to them, and in which state.

Each function takes the paths of truth files; several agents and launches may share a file.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Fact = dict[str, Any]

MARK = re.compile(r"\[hive m-\d+\]")
HOOKED = "Stop hook feedback:\n"
"""What Claude Code puts before what a hook gives it at the end of a turn."""

BLOCKED = ("dialog", "approval")
"""The states in which a key answers something."""


def facts(*paths: Path, what: str = "") -> Iterator[Fact]:
    """Give what was written down, in order of each file; only of one kind with `what`."""
    for path in paths:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        for line in lines:
            fact: Fact = json.loads(line)
            if not what or fact["what"] == what:
                yield fact


def prompts(*paths: Path) -> list[str]:
    """Give every prompt that was taken for a turn, whole."""
    return [fact["text"] for fact in facts(*paths, what="prompt")]


def given_while(*paths: Path, states: tuple[str, ...] = BLOCKED) -> list[tuple[str, str]]:
    """Give what came in one of these states, read by read: the state and the text."""
    found = facts(*paths, what="bytes")
    return [(one["state"], one["bytes"]) for one in found if one["state"] in states]


def bytes_while(*paths: Path, states: tuple[str, ...] = BLOCKED) -> bytes:
    """Give the bytes that came in one of these states."""
    found = [text for _, text in given_while(*paths, states=states)]
    return "".join(found).encode("utf-8", "surrogateescape")


def answers(*paths: Path) -> list[tuple[str, str, str]]:
    """Give every answer to a dialog or an approval: to what, yes or no, by key or hook."""
    return [(one["to"], one["answer"], one["by"]) for one in facts(*paths, what="answer")]


def counts(*paths: Path) -> Counter[str]:
    """Count, over all launches, how often each mark came in a prompt."""
    return Counter(mark for text in prompts(*paths) for mark in MARK.findall(text))


def count_of(mark: str, *paths: Path) -> int:
    """Count how often one mark came in a prompt, over all launches."""
    return counts(*paths)[mark]


def mangled(*paths: Path) -> list[str]:
    """Give the prompts in which something stands before a message's mark, or a second one."""
    marked = [text.removeprefix(HOOKED) for text in prompts(*paths) if MARK.search(text)]
    return [text for text in marked if not MARK.match(text) or len(MARK.findall(text)) > 1]
