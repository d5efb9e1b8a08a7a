"""How Gemini CLI is dressed, and what it writes down.

Its hooks and servers are only read from the person's own settings, from those of the project, and
from files that nobody but root can write: none of these is hive's. So its title says whose turn
it is, and the record of its chat what it was given and what it answered. It has no way to hive's
server of the Model Context Protocol: it reports with hive's command.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hive.core.fill import commands
from hive.core.outfit import Order, Outfit
from hive.core.plain import plain
from hive.core.signs import Sign, Source, marks

POLICY = "policy.toml"


def wire(order: Order) -> Outfit:
    """Dress a launch: its brief ends with hive's instructions, and hive's command is allowed."""
    given = order.voice.prelude
    if order.brief and given:
        order = replace(order, brief=f"{order.brief}\n\n{given}")
    rules = "\n".join(_allowed(one) for one in commands(order.hive))
    return plain(order).plus(Outfit(files={POLICY: rules}))


def _allowed(command: str) -> str:
    """Give the rule that lets it run a command unasked, as a policy's file has it."""
    rule = {
        "toolName": "run_shell_command",
        "commandPrefix": command,
        "decision": "allow",
        "priority": 500,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in rule.items()]
    return "\n".join(["[[rule]]", *lines, ""])


def signs(
    event: str,  # noqa: ARG001
    payload: Mapping[str, Any],  # noqa: ARG001
    launch: str,  # noqa: ARG001
    at: float,  # noqa: ARG001
) -> tuple[Sign, ...]:
    """Give nothing: it runs no hooks of hive's."""
    return ()


def reply(event: str, allow: bool | None, text: str) -> str:  # noqa: ARG001
    """Give nothing: it runs no hooks of hive's."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the record of a chat: what it is a sign of, and what it took.

    A line may come again with more in it, under the same id.
    """

    id: str
    sign: Sign
    tokens: int = 0


def entry(line: Mapping[str, Any], launch: str) -> Entry | None:
    """Read one line of the record; None where it tells nothing new.

    What it says of the past again (`$set`) is left out. Raises ValueError where its time is none.
    """
    kind = line.get("type")
    if kind not in {"user", "gemini", "error"}:
        return None
    at = datetime.fromisoformat(str(line.get("timestamp"))).timestamp()
    sign = Sign(launch=launch, source=Source.RECORDS, at=at)
    text = _text(line.get("content"))
    took = line.get("tokens") or {}
    if kind == "user":
        sign = replace(sign, heard=marks(text), text="it was given a prompt" if text else "")
        sign = replace(sign, worked=not text)  # else it is what a tool gave
    elif kind == "gemini":
        sign = replace(sign, answer=text, worked=True, text="it has answered")
    else:
        sign = replace(sign, text=text)
    return Entry(id=str(line.get("id")), sign=sign, tokens=int(took.get("total") or 0))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(one["text"]) for one in parts if isinstance(one, dict) and "text" in one)
