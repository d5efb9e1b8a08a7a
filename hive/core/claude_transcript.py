"""What Claude Code writes down of a conversation, line by line.

Lines come a little late and not always in order, so each counts at its own time. Whose turn it is
stands in another file; here is what it was given, what it did, and what a turn ended with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from hive.core import asking
from hive.core.claude import failure
from hive.core.resets import until
from hive.core.signs import Sign, Source, Sub, Turn, marks

_TOOK = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)
_INTERRUPTED = "[Request interrupted by user"
_HANDED = "Stop hook feedback:"
"""How a text begins with which a hook has a turn go on that was to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a tool: its name, what it was given in words, and how it is asked for."""

    tool: str
    detail: str
    key: str


class Transcript:
    """One conversation as far as it was read.

    What is older than `began` was read by an earlier launch: of that only counts what was heard,
    and the totals. `trouble` is what the latest turn ended with that is no answer, `answer` what
    was said last in it, `open` the calls that have no result yet.
    """

    def __init__(self, launch: str, session: str, began: float, zone: tzinfo) -> None:
        self._blank = Sign(launch=launch, source=Source.RECORDS, at=began, session=session)
        self._began = began
        self._zone = zone
        self._prompt = ""
        self._tokens = 0
        self._message = ("", 0)
        self.open: dict[str, Call] = {}
        self.trouble: Sign | None = None
        self.answer = ""

    def add(self, line: Mapping[str, Any]) -> Sign | None:
        """Take a line; give what it is a sign of, None for nothing.

        Raises ValueError where its time is none.
        """
        kind = line.get("type")
        if kind not in {"user", "assistant", "attachment"}:
            return None
        at = datetime.fromisoformat(str(line.get("timestamp"))).timestamp()
        sign = replace(self._blank, at=at)
        if kind == "attachment":
            found = self._attached(sign, line)
        elif line.get("isSidechain"):
            found = replace(sign, worked=True)
        elif kind == "user":
            found = self._given(sign, line)
        else:
            found = self._said(sign, line)
        if found is None or at >= self._began:
            return found
        old = replace(self._blank, at=at, heard=found.heard, tokens=self._tokens)
        self.open, self.trouble, self.answer = {}, None, ""
        return old if old.heard else None

    def _attached(self, sign: Sign, line: Mapping[str, Any]) -> Sign | None:
        """Read what was queued, and given in the middle of a turn."""
        one = _table(line.get("attachment"))
        if one.get("type") != "queued_command":
            return None
        heard = marks(_text(one.get("prompt")))
        return replace(sign, heard=heard, text="it was given a prompt")

    def _given(self, sign: Sign, line: Mapping[str, Any]) -> Sign | None:
        if line.get("isCompactSummary"):
            return None  # speaks of what was given before
        self._prompt = str(line.get("promptId", self._prompt))
        content = _table(line.get("message")).get("content")
        results = [one for one in _parts(content) if one.get("type") == "tool_result"]
        if results:
            return self._returned(sign, results)
        text = _text(content)
        if text.startswith(_INTERRUPTED):
            self.open.clear()
            self.trouble = replace(
                sign, turn=Turn.READY, sub=Sub.INTERRUPTED, text="it was interrupted"
            )
            return replace(sign, call=0)
        self.trouble, self.answer = None, ""
        turn = Turn.WORKING if text.startswith(_HANDED) else None
        return replace(sign, turn=turn, heard=marks(text), text="it was given a prompt")

    def _returned(self, sign: Sign, results: list[Mapping[str, Any]]) -> Sign:
        calls = [self.open.pop(str(one.get("tool_use_id")), None) for one in results]
        over = tuple(one.key for one in calls if one)
        return replace(sign, worked=True, call=len(self.open), over=over)

    def _said(self, sign: Sign, line: Mapping[str, Any]) -> Sign:
        message = _table(line.get("message"))
        content = message.get("content")
        text = _text(content)
        if line.get("isApiErrorMessage"):
            turn, sub = failure(str(line.get("error", "")), text)
            ends = until(text, sign.at, self._zone) if turn is Turn.LIMITED else 0.0
            self.open.clear()
            self.trouble = replace(sign, turn=turn, sub=sub, text=text, until=ends)
            return replace(sign, call=0)
        if message.get("model") == "<synthetic>":
            return sign  # made up to fill a gap
        for one in _parts(content):
            if one.get("type") == "tool_use":
                self.open[str(one.get("id"))] = self._call(one)
        self.answer = text or self.answer
        self._count(str(message.get("id")), _table(message.get("usage")))
        return replace(sign, worked=True, call=len(self.open), tokens=self._tokens)

    def _call(self, one: Mapping[str, Any]) -> Call:
        tool, given = str(one.get("name")), _table(one.get("input"))
        key = asking.key(tool, given, self._prompt)
        return Call(tool=tool, detail=asking.detail(given), key=key)

    def _count(self, message: str, usage: Mapping[str, Any]) -> None:
        """Add what a message took; a message has a line for each of its parts."""
        took = sum(int(usage.get(name) or 0) for name in _TOOK)
        known, before = self._message
        self._tokens += took - (before if message == known else 0)
        self._message = (message, took)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _parts(content: Any) -> list[Mapping[str, Any]]:
    parts = content if isinstance(content, list) else []
    return [one for one in parts if isinstance(one, Mapping)]


def _text(content: Any) -> str:
    """Give the text of a message, without what tools gave: that was not said to it."""
    if isinstance(content, str):
        return content
    texts = [str(one.get("text", "")) for one in _parts(content) if one.get("type") == "text"]
    return "\n".join(texts)
