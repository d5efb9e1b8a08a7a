"""The APIs a fake model speaks: what a request says, and what answers look like, in each.

Every dialect reads a body into turns and tools, and gives an answer whole (`whole`) or as the
events of a stream (`events`): `(name, value)`, with `None` where no name stands before the data.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Protocol
from uuid import uuid4

from script import NAMESPACE, Call, Json, Tools, Turn

Event = tuple[str | None, Json | str]

_ANTHROPIC_USED = {
    "input_tokens": 1000, "output_tokens": 20,
    "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
}  # fmt: skip
_CHAT_USED = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020}
_RESPONSES_USED = {
    "input_tokens": 1000, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1020,
}  # fmt: skip
_GEMINI_USED = {"promptTokenCount": 1000, "candidatesTokenCount": 20, "totalTokenCount": 1020}


class Dialect(Protocol):
    """One API."""

    def read(self, body: Json) -> tuple[list[Turn], Tools, str]:
        """Give the turns, the tools by name with their arguments' schema, and the system's text."""

    def whole(self, body: Json, words: list[str], call: Call | None) -> Json:
        """Give the answer in one piece."""

    def events(self, body: Json, words: list[str], call: Call | None) -> Iterator[Event]:
        """Give the answer word by word."""


def plain(content: Any) -> str:
    """Give the text of any shape of content."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        inner = content.get("text") or content.get("content") or content.get("parts")
        return plain(inner or content.get("output") or "")
    if isinstance(content, list):
        return "\n".join(filter(None, map(plain, content)))
    return ""


def _id(prefix: str) -> str:
    return prefix + uuid4().hex[:24]


class Anthropic:
    """`POST /v1/messages`."""

    def read(self, body: Json) -> tuple[list[Turn], Tools, str]:
        turns = []
        for one in body.get("messages", []):
            who = "user" if one.get("role") == "user" else "other"
            content = one.get("content")
            blocks = content if isinstance(content, list) else [{"text": plain(content)}]
            results = [block for block in blocks if block.get("type") == "tool_result"]
            rest = [block for block in blocks if block.get("type") != "tool_result"]
            if results:
                turns.append(Turn(who="tool", text=plain(results)))
            if plain(rest).strip():
                turns.append(Turn(who=who, text=plain(rest)))
        tools = {one["name"]: one.get("input_schema") or {} for one in body.get("tools") or []}
        return turns, tools, plain(body.get("system") or "")

    def _block(self, words: list[str], call: Call | None) -> Json:
        if call is None:
            return {"type": "text", "text": "".join(words)}
        return {"type": "tool_use", "id": _id("toolu_"), "name": call.name, "input": call.given}

    def whole(self, body: Json, words: list[str], call: Call | None) -> Json:
        return {
            "id": _id("msg_"), "type": "message", "role": "assistant", "model": body.get("model"),
            "content": [self._block(words, call)], "stop_sequence": None, "usage": _ANTHROPIC_USED,
            "stop_reason": "tool_use" if call else "end_turn",
        }  # fmt: skip

    def events(self, body: Json, words: list[str], call: Call | None) -> Iterator[Event]:
        message = self.whole(body, words, call)
        begun = {**message, "content": [], "stop_reason": None}
        yield self._event("message_start", message=begun)
        block = {**message["content"][0], **({"input": {}} if call else {"text": ""})}
        yield self._event("content_block_start", index=0, content_block=block)
        for part in [json.dumps(call.given)] if call else words:
            delta = (
                {"type": "input_json_delta", "partial_json": part}
                if call
                else {"type": "text_delta", "text": part}
            )
            yield self._event("content_block_delta", index=0, delta=delta)
        yield self._event("content_block_stop", index=0)
        end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        yield self._event("message_delta", delta=end, usage=_ANTHROPIC_USED)
        yield self._event("message_stop")

    def _event(self, kind: str, **facts: Any) -> Event:
        return kind, {"type": kind, **facts}


class Chat:
    """OpenAI's `POST /v1/chat/completions`."""

    def read(self, body: Json) -> tuple[list[Turn], Tools, str]:
        turns = [
            Turn(who={"user": "user", "tool": "tool"}.get(role, "other"), text=plain(content))
            for role, content in ((m.get("role"), m.get("content")) for m in body["messages"])
        ]
        functions = [one.get("function") or one for one in body.get("tools") or []]
        tools = {one["name"]: one.get("parameters") or {} for one in functions}
        system = [m for m in body["messages"] if m.get("role") in {"system", "developer"}]
        return turns, tools, plain(system)

    def _calls(self, call: Call) -> list[Json]:
        function = {"name": call.name, "arguments": json.dumps(call.given)}
        return [{"index": 0, "id": _id("call_"), "type": "function", "function": function}]

    def _frame(self, body: Json, kind: str, **facts: Any) -> Json:
        now = int(time.time())
        head = {"id": _id("chatcmpl-"), "created": now, "model": body.get("model"), "object": kind}
        return {**head, **facts}

    def whole(self, body: Json, words: list[str], call: Call | None) -> Json:
        message: Json = {"role": "assistant", "content": None if call else "".join(words)}
        if call:
            message["tool_calls"] = self._calls(call)
        end = "tool_calls" if call else "stop"
        choice = {"index": 0, "message": message, "finish_reason": end}
        return self._frame(body, "chat.completion", choices=[choice], usage=_CHAT_USED)

    def events(self, body: Json, words: list[str], call: Call | None) -> Iterator[Event]:
        parts: list[Json] = [{"role": "assistant", "content": ""}]
        parts += [{"tool_calls": self._calls(call)}] if call else [{"content": w} for w in words]
        kind = "chat.completion.chunk"
        for part in parts:
            choice = {"index": 0, "delta": part, "finish_reason": None}
            yield None, self._frame(body, kind, choices=[choice])
        end = {"index": 0, "delta": {}, "finish_reason": "tool_calls" if call else "stop"}
        yield None, self._frame(body, kind, choices=[end])
        yield None, self._frame(body, kind, choices=[], usage=_CHAT_USED)
        yield None, "[DONE]"


class Responses:
    """OpenAI's `POST /v1/responses`."""

    def read(self, body: Json) -> tuple[list[Turn], Tools, str]:
        given = body.get("input", [])
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        turns = [self._turn(one) for one in items]
        tools: Tools = {}
        for one in body.get("tools") or []:
            if one.get("type") == "namespace":  # how Codex gives the tools of a server
                tools |= {
                    f"{one['name'].removesuffix(NAMESPACE)}{NAMESPACE}{inner['name']}": {
                        **(inner.get("parameters") or {}),
                        "namespace": one["name"],
                    }
                    for inner in one.get("tools", [])
                }
            else:
                tools[one.get("name", one.get("type"))] = one.get("parameters") or {}
        return turns, tools, plain(body.get("instructions") or "")

    def _turn(self, item: Json) -> Turn:
        if str(item.get("type", "")).endswith("call_output"):
            return Turn(who="tool", text=plain(item.get("output")))
        who = "user" if item.get("role") == "user" else "other"
        return Turn(who=who, text=plain(item.get("content")))

    def _item(self, words: list[str], call: Call | None) -> Json:
        if call:
            item = {
                "type": "function_call", "id": _id("fc_"), "call_id": _id("call_"),
                "name": call.name, "arguments": json.dumps(call.given), "status": "completed",
            }  # fmt: skip
            return {**item, **({"namespace": call.server} if call.server else {})}
        text = {"type": "output_text", "text": "".join(words), "annotations": []}
        role = {"type": "message", "id": _id("msg_"), "role": "assistant", "status": "completed"}
        return {**role, "content": [text]}

    def whole(self, body: Json, words: list[str], call: Call | None) -> Json:
        return {
            "id": _id("resp_"), "object": "response", "created_at": int(time.time()),
            "status": "completed", "model": body.get("model"), "usage": _RESPONSES_USED,
            "output": [self._item(words, call)],
        }  # fmt: skip

    def events(self, body: Json, words: list[str], call: Call | None) -> Iterator[Event]:
        whole = self.whole(body, words, call)
        item = whole["output"][0]
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        yield self._event("response.created", response=begun)
        empty = {
            **item,
            "status": "in_progress",
            **({"arguments": ""} if call else {"content": []}),
        }
        yield self._event("response.output_item.added", output_index=0, item=empty)
        for word in words:
            where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
            yield self._event("response.output_text.delta", **where, delta=word)
        yield self._event("response.output_item.done", output_index=0, item=item)
        yield self._event("response.completed", response=whole)

    def _event(self, kind: str, **facts: Any) -> Event:
        return kind, {"type": kind, **facts}


class Gemini:
    """Google's `POST /v1beta/models/MODEL:generateContent` and `:streamGenerateContent`."""

    def read(self, body: Json) -> tuple[list[Turn], Tools, str]:
        turns = []
        for one in body.get("contents", []):
            parts = one.get("parts", [])
            results = [part for part in parts if "functionResponse" in part]
            who = "user" if one.get("role", "user") == "user" else "other"
            if results:
                turns.append(Turn(who="tool", text=json.dumps(results)))
            else:
                turns.append(Turn(who=who, text=plain(parts)))
        tools = {
            one["name"]: one.get("parametersJsonSchema") or one.get("parameters") or {}
            for group in body.get("tools") or []
            for one in group.get("functionDeclarations", [])
        }
        return turns, tools, plain(body.get("systemInstruction") or "")

    def _chunk(self, part: Json, end: str | None) -> Json:
        content = {"role": "model", "parts": [part]}
        candidate = {"index": 0, "content": content, **({"finishReason": end} if end else {})}
        return {"candidates": [candidate], "usageMetadata": _GEMINI_USED, "modelVersion": "fake"}

    def _routed(self, body: Json) -> str:
        """Give the answer to the CLI's own questions to the model, "" where it is none."""
        wanted = body.get("generationConfig", {}).get("responseMimeType")
        known = {
            "reasoning": "fake", "model_choice": "pro", "next_speaker": "user",
            "complexity_score": 50,
        }  # fmt: skip
        return json.dumps(known) if wanted == "application/json" else ""

    def whole(self, body: Json, words: list[str], call: Call | None) -> Json:
        routed = self._routed(body)
        if call and not routed:
            part: Json = {"functionCall": {"name": call.name, "args": call.given}}
        else:
            part = {"text": routed or "".join(words)}
        return self._chunk(part, "STOP")

    def events(self, body: Json, words: list[str], call: Call | None) -> Iterator[Event]:
        if call or self._routed(body):
            yield None, self.whole(body, words, call)
            return
        for word in words[:-1]:
            yield None, self._chunk({"text": word}, None)
        yield None, self._chunk({"text": words[-1]}, "STOP")


def dialect(path: str) -> tuple[str, Dialect] | None:
    """Give the API a path belongs to and its name; None where it is no question to a model."""
    if path.endswith("/messages"):
        return "anthropic", Anthropic()
    if path.endswith("/chat/completions"):
        return "chat", Chat()
    if path.endswith("/responses"):
        return "responses", Responses()
    if path.endswith(("enerateContent",)):
        return "gemini", Gemini()
    return None
