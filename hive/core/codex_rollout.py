"""What Codex writes down of a conversation, line by line: its rollout.

It tells of every turn when it began and how it ended, also in an error, of which no hook tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

from hive.core import asking
from hive.core.resets import until
from hive.core.signs import Sign, Source, Sub, Turn, marks

_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call"})
_RESULTS = frozenset({f"{one}_output" for one in _CALLS})
_COMMANDS = frozenset({"exec_command", "shell", "shell_command"})

_HANDED = "<hook_prompt"
"""How a text begins with which a hook has a turn go on that was to end."""


class Rollout:
    """One conversation as far as it was read.

    What is older than `began` was read by an earlier launch: of that only counts what was heard.
    """

    def __init__(self, launch: str, session: str, began: float, zone: tzinfo) -> None:
        self._blank = Sign(launch=launch, source=Source.RECORDS, at=began, session=session)
        self._began = began
        self._zone = zone
        self._turn = ""
        self._limits: Mapping[str, Any] = {}
        self._open: dict[str, str] = {}

    def add(self, line: Mapping[str, Any]) -> Sign | None:
        """Take a line; give what it is a sign of, None for nothing.

        Raises ValueError where its time is none.
        """
        one = line.get("payload")
        if not isinstance(one, Mapping):
            return None
        at = datetime.fromisoformat(str(line.get("timestamp"))).timestamp()
        sign = replace(self._blank, at=at)
        found = None
        if line.get("type") == "event_msg":
            found = self._event(sign, one)
        elif line.get("type") == "response_item":
            found = self._item(sign, one)
        if found is None or at >= self._began:
            return found
        self._open.clear()
        return replace(self._blank, at=at, heard=found.heard) if found.heard else None

    def _event(self, sign: Sign, one: Mapping[str, Any]) -> Sign | None:
        match one.get("type"):
            case "task_started":
                self._turn = str(one.get("turn_id", ""))
                self._open.clear()
                return replace(sign, turn=Turn.WORKING, text="its turn began", call=0)
            case "task_complete":
                return self._ended(sign, one)
            case "turn_aborted":
                text = f"its turn was ended: {one.get('reason', '')}"
                return replace(sign, turn=Turn.READY, sub=Sub.INTERRUPTED, text=text, call=0)
            case "token_count":
                return self._counted(sign, one)
        return None

    def _counted(self, sign: Sign, one: Mapping[str, Any]) -> Sign:
        limits = one.get("rate_limits")
        if isinstance(limits, Mapping):
            self._limits = limits
        info = one.get("info")
        total = info.get("total_token_usage") if isinstance(info, Mapping) else None
        tokens = int(total.get("total_tokens") or 0) if isinstance(total, Mapping) else 0
        return replace(sign, tokens=tokens)

    def _ended(self, sign: Sign, one: Mapping[str, Any]) -> Sign:
        error = one.get("error")
        if not isinstance(error, Mapping):
            answer = str(one.get("last_agent_message") or "")
            text = "its turn is over"
            return replace(sign, turn=Turn.READY, answer=answer, text=text, call=0)
        text = str(error.get("message", ""))
        turn, sub = failure(error.get("codex_error_info"), text)
        ends = self._until(text, sign.at) if turn is Turn.LIMITED else 0.0
        return replace(sign, turn=turn, sub=sub, text=text, until=ends, call=0)

    def _until(self, text: str, at: float) -> float:
        """Give when the limit ends: as it says, or else that of the window that is used up."""
        windows = [self._limits.get(name) for name in ("primary", "secondary")]
        ends = [
            float(one.get("resets_at") or 0)
            for one in windows
            if isinstance(one, Mapping) and float(one.get("used_percent") or 0) >= 100
        ]
        return until(text, at, self._zone) or max(ends, default=0.0)

    def _item(self, sign: Sign, one: Mapping[str, Any]) -> Sign | None:
        kind = str(one.get("type"))
        if kind == "message" and one.get("role") == "user":
            text = _text(one.get("content"))
            turn = Turn.WORKING if text.startswith(_HANDED) else None
            return replace(sign, turn=turn, heard=marks(text), text="it was given a prompt")
        if kind in _CALLS:
            self._open[str(one.get("call_id"))] = _key(one, self._turn)
            return replace(sign, worked=True, call=len(self._open))
        if kind in _RESULTS:
            key = self._open.pop(str(one.get("call_id")), "")
            return replace(
                sign,
                turn=Turn.WORKING,
                worked=True,
                call=len(self._open),
                over=(key,) if key else (),
                text="a call of a tool is over",
            )
        working = kind == "reasoning" or (kind == "message" and one.get("role") == "assistant")
        return replace(sign, worked=True) if working else None


def failure(kind: Any, text: str) -> tuple[Turn, Sub]:
    """Say what a turn that ended in this error leaves: whose turn it is, and why.

    `kind` is its `codex_error_info`: a word, or a table with the word and the status.
    """
    words = json.dumps(kind)
    status = _status(kind)
    if "context_window_exceeded" in words:
        return Turn.WAITING, Sub.FULL
    if "usage_limit" in words or status == 429 or "last status: 429" in text:
        return Turn.LIMITED, Sub.USAGE
    if "unauthorized" in words or status in {401, 403} or "status 401" in text.lower():
        return Turn.WAITING, Sub.LOGIN
    if "model" in text and ("not supported" in text or "does not exist" in text):
        return Turn.WAITING, Sub.MODEL
    return Turn.READY, Sub.FAILED


def _status(kind: Any) -> int:
    tables = kind.values() if isinstance(kind, Mapping) else ()
    found = [one.get("http_status_code") for one in tables if isinstance(one, Mapping)]
    return next((one for one in found if isinstance(one, int)), 0)


def _key(one: Mapping[str, Any], turn: str) -> str:
    """Name a call as its hook names it when it asks."""
    name, space = str(one.get("name", "")), str(one.get("namespace") or "")
    try:
        given = json.loads(str(one.get("arguments", "{}")))
    except ValueError:
        given = {}
    if not isinstance(given, dict):
        return ""
    if name in _COMMANDS:
        command = given.get("cmd") or given.get("command") or ""
        return asking.key("Bash", {"command": command}, turn)
    if name == "apply_patch":
        return asking.key(name, {"command": str(one.get("input", ""))}, turn)
    return asking.key(f"{space}__{name}" if space else name, given, turn)


def _text(content: Any) -> str:
    parts = content if isinstance(content, list) else []
    return "\n".join(str(one.get("text", "")) for one in parts if isinstance(one, Mapping))
