"""How aider is dressed, and what it writes down.

It has one notification: a command that runs when it is back at its prompt after an answer. That
touches a file, beside the history of what was typed into it: so which of the two is newer says
whose turn it is. Both lie in the launch's folder.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from hive.core.outfit import Order, Outfit
from hive.core.plain import plain
from hive.core.signs import Sign, Source, Turn, marks

PRELUDE = "prelude.md"
MESSAGE = "message.md"
"""What is too long to be typed: it reads this file anew for each prompt, and has no tools to."""

HISTORY = "input.history"
BACK = "back"
TALK = "talk.log"

_ANSWER = "ASSISTANT "
_ASIDE = re.compile(r"[/!]|(y|yes|n|no|a|all|s|skip|d|don't)\Z", re.IGNORECASE)
"""How a line begins that is no prompt: a command of its own, or the answer to a question."""


def wire(order: Order) -> Outfit:
    """Dress a launch. It knows no servers of the Model Context Protocol."""
    folder, given = order.folder, order.voice.prelude
    back = f": >{shlex.quote(f'{folder}/{BACK}')}"
    mine = Outfit(
        args=("--notifications", "--notifications-command", back, "--read", f"{folder}/{MESSAGE}"),
        env={
            "AIDER_INPUT_HISTORY_FILE": f"{folder}/{HISTORY}",
            "AIDER_LLM_HISTORY_FILE": f"{folder}/{TALK}",
        },
        files={MESSAGE: "", **({PRELUDE: f"{given}\n"} if given else {})},
    )
    return mine.plus(plain(order))


def signs(
    event: str,  # noqa: ARG001
    payload: Mapping[str, Any],  # noqa: ARG001
    launch: str,  # noqa: ARG001
    at: float,  # noqa: ARG001
) -> tuple[Sign, ...]:
    """Give nothing: it runs no hooks."""
    return ()


def reply(event: str, allow: bool | None, text: str) -> str:  # noqa: ARG001
    """Give nothing: it runs no hooks."""
    return ""


def given(history: str, launch: str, at: float) -> tuple[Sign, ...]:
    """Give the signs of what was typed into it: a piece of its history, last written at `at`."""
    entries = re.findall(r"(?:^\+.*\n?)+", history, re.MULTILINE)
    return tuple(_typed(re.sub(r"^\+", "", one, flags=re.MULTILINE), launch, at) for one in entries)


def back(launch: str, at: float, answer: str = "") -> Sign:
    """Give the sign that it is back at its prompt, with what it has answered."""
    text = "it is back at its prompt"
    return Sign(
        launch=launch, source=Source.RECORDS, at=at, turn=Turn.READY, text=text, answer=answer
    )


def said(talk: str) -> str:
    """Give its latest answer: it logs its talk with the model, each row behind who says it."""
    answer = talk.rpartition("\nLLM RESPONSE ")[2] if "\nLLM RESPONSE " in talk else ""
    rows = [row for row in answer.splitlines() if row.startswith(_ANSWER)]
    return "\n".join(row.removeprefix(_ANSWER) for row in rows).strip()


def _typed(text: str, launch: str, at: float) -> Sign:
    turn = None if _ASIDE.match(text.strip()) else Turn.WORKING
    told = "it was given a prompt" if turn else "something was typed into it"
    return Sign(
        launch=launch, source=Source.RECORDS, at=at, turn=turn, text=told, heard=marks(text)
    )
