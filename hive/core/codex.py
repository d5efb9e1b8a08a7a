"""How Codex is dressed, and what its hooks tell.

All of it is given on the command line, so nothing of the person's own settings is touched. Codex
runs only hooks that are trusted by the hash of their definition: event, command and timeout. So
those must be the same at every launch. Without the hashes it only tells when a turn has ended.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hive.core import asking
from hive.core.outfit import Order, Outfit
from hive.core.plain import plain
from hive.core.signs import Sign, Source, Sub, Turn, marks
from hive.core.toml_args import setting
from hive.core.voice import Server

DAY = 86400
"""Seconds that a hook may wait for a person. Codex shows its own dialog only after that."""

HOOKS: Mapping[str, int] = {
    "SessionStart": 30,
    "UserPromptSubmit": 30,
    "PostToolUse": 30,
    "PermissionRequest": DAY,
    "Stop": 30,
    "Interrupt": 30,
}
"""The hooks hive sets, each with its timeout in seconds."""

TITLE = "Generate a concise, single-line task title"
"""How the prompt begins with which it makes up a title, in a conversation of its own."""


def hooks(hive: Sequence[str]) -> tuple[str, ...]:
    """Give the arguments that define hive's hooks, as they are at every launch."""
    words: list[str] = []
    for event, timeout in HOOKS.items():
        command = shlex.join([*hive, "hook", event])
        hook = {"type": "command", "command": command, "timeout": timeout}
        words += setting(f"hooks.{event}", [{"hooks": [hook]}])
    return tuple(words)


def wire(order: Order) -> Outfit:
    """Dress a launch: hive's hooks and server, its instructions, the rest as its profile says.

    What begins a conversation again comes last, as that is a command of its own.
    """
    voice = order.voice
    words = list(_told(order))
    if voice.prelude:
        words += setting("developer_instructions", voice.prelude)
    if voice.trust:
        words += setting("projects", {order.directory: {"trust_level": "trusted"}})
        words += setting("tui.screen_reader_detection_done", True)
    hive = Server(name="hive", command=(*order.hive, "mcp"), env=tuple(sorted(order.me.items())))
    found = Outfit()
    for one in (*voice.servers, hive):
        found = found.plus(_server(one, order.folder))
    return Outfit(args=tuple(words)).plus(found).plus(plain(order))


def _told(order: Order) -> tuple[str, ...]:
    """Give what it tells: all, where its hooks are trusted, or else that a turn has ended."""
    known = order.voice.found
    if not known:
        return setting("notify", [*order.hive, "hook", "notify"])
    state = {key: {"trusted_hash": value} for key, value in known.items()}
    return (*hooks(order.hive), *setting("hooks.state", state))


def _server(one: Server, folder: str) -> Outfit:
    """Give it a server, and what that inherits: in a file or a variable, for none to read."""
    key = f"mcp_servers.{one.name}"
    approve = {"default_tools_approval_mode": "approve"} if one.name == "hive" else {}
    if one.url:
        named = {
            header: f"HIVE_MCP_{one.name}_{number}".upper().replace("-", "_")
            for number, (header, _) in enumerate(one.headers)
        }
        found = {"url": one.url, "env_http_headers": named} if named else {"url": one.url}
        env = {named[header]: value for header, value in one.headers}
        return Outfit(args=setting(key, found | approve), env=env)
    name = f"mcp-{one.name}.sh"
    lines = [f"export {variable}={shlex.quote(value)}" for variable, value in one.env]
    started = {"command": "/bin/sh", "args": [f"{folder}/{name}"]}
    return Outfit(
        args=setting(key, started | approve),
        files={name: "\n".join([*lines, f"exec {shlex.join(one.command)}", ""])},
    )


def signs(event: str, payload: Mapping[str, Any], launch: str, at: float) -> tuple[Sign, ...]:
    """Translate what a hook tells, or its `notify` at the end of a turn."""
    if payload.get("type") == "agent-turn-complete":
        return _notified(payload, launch, at)
    session = str(payload.get("session_id", ""))
    sign = Sign(launch=launch, source=Source.HOOK, at=at, session=session)
    if payload.get("agent_id"):
        sign = replace(sign, session="")
    if event == "PermissionRequest":
        return (_asked(sign, payload),)
    if event in {"PreToolUse", "PostToolUse"}:
        return (_called(sign, event, payload),)
    if payload.get("agent_id"):
        return (replace(sign, worked=True, text="a helper of its own works"),)
    return (_turned(sign, event, payload),)


def _turned(sign: Sign, event: str, payload: Mapping[str, Any]) -> Sign:
    """Read what tells of its turn; its session is told with its first prompt."""
    match event:
        case "UserPromptSubmit":
            heard = marks(str(payload.get("prompt", "")))
            return replace(sign, turn=Turn.WORKING, heard=heard, text="it was given a prompt")
        case "Stop":
            answer = str(payload.get("last_assistant_message") or "")
            return replace(sign, turn=Turn.READY, answer=answer, text="its turn is over")
        case "Interrupt":
            return replace(sign, turn=Turn.READY, sub=Sub.INTERRUPTED, text="it was interrupted")
    return replace(sign, text=event)


def _notified(payload: Mapping[str, Any], launch: str, at: float) -> tuple[Sign, ...]:
    """Read that a turn has ended; nothing where that was one of its own for a title."""
    given = payload.get("input-messages")
    prompts = [str(one) for one in given] if isinstance(given, list) else []
    if any(one.lstrip().startswith(TITLE) for one in prompts):
        return ()
    sign = Sign(
        launch=launch,
        source=Source.HOOK,
        at=at,
        turn=Turn.READY,
        session=str(payload.get("thread-id", "")),
        heard=marks("\n".join(prompts)),
        answer=str(payload.get("last-assistant-message") or ""),
        text="its turn is over",
    )
    return (sign,)


def _asked(sign: Sign, payload: Mapping[str, Any]) -> Sign:
    tool, given = _tool(payload)
    ask = asking.ask(tool, given, str(payload.get("turn_id", "")))
    text = f"{tool}: {ask.detail}"
    return replace(sign, turn=Turn.WAITING, sub=Sub.APPROVAL, ask=ask, text=text)


def _called(sign: Sign, event: str, payload: Mapping[str, Any]) -> Sign:
    tool, given = _tool(payload)
    sign = replace(sign, turn=Turn.WORKING, worked=True, text=f"{tool}: {asking.detail(given)}")
    if event == "PreToolUse":
        return replace(sign, call=1)
    return replace(sign, call=0, over=(asking.key(tool, given, str(payload.get("turn_id", ""))),))


def _tool(payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    given = payload.get("tool_input")
    return str(payload.get("tool_name", "")), given if isinstance(given, Mapping) else {}


def reply(event: str, allow: bool | None, text: str) -> str:
    """Give what a hook prints: a decision on an approval, or the text it goes on with.

    "" has Codex show its own dialog, and lets a turn end.
    """
    if event == "PermissionRequest" and allow is not None:
        decision: dict[str, str] = {"behavior": "allow" if allow else "deny"}
        if not allow:
            decision["message"] = text or "A person has said no."
        told = {"hookEventName": event, "decision": decision}
        return json.dumps({"hookSpecificOutput": told})
    if event == "Stop" and text:
        return json.dumps({"decision": "block", "reason": text})
    return ""


def ours(listed: Iterable[Mapping[str, Any]], hive: Sequence[str]) -> dict[str, str]:
    """Pick out of the hooks that Codex lists exactly hive's: the hash of each by its key."""
    commands = {shlex.join([*hive, "hook", event]) for event in HOOKS}
    return {
        str(one["key"]): str(one["currentHash"])
        for one in listed
        if one.get("source") == "sessionFlags" and one.get("command") in commands
    }
