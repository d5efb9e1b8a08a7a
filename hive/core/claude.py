"""How Claude Code is dressed, and what its hooks tell.

Its settings, hooks and servers are files of the launch, given on the command line: nothing of the
person's own settings is touched, and all of it still holds.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hive.core import asking
from hive.core.fill import commands
from hive.core.outfit import Order, Outfit
from hive.core.plain import plain
from hive.core.signs import Sign, Source, Sub, Turn, marks
from hive.core.voice import Server

SETTINGS, SERVERS = "claude.json", "claude-mcp.json"

DAY = 86400
"""Seconds that a hook may wait for a person; its dialog shows meanwhile."""

QUESTION = "AskUserQuestion"
"""The tool by which it asks a person something."""

_HOOKS = {
    "SessionStart": 30,
    "SessionEnd": 30,
    "UserPromptSubmit": 30,
    "PostToolUse": 30,
    "PostToolUseFailure": 30,
    "PermissionRequest": DAY,
    "Notification": 30,
    "Stop": 30,
    "StopFailure": 30,
}
"""The hooks hive sets, each with its timeout in seconds. What they leave out its records tell."""

_FULL = ("prompt is too long", "context limit reached", "context_length_exceeded")
_FAILURES: Mapping[str, tuple[Turn, Sub]] = {
    "rate_limit": (Turn.LIMITED, Sub.USAGE),
    "billing_error": (Turn.LIMITED, Sub.USAGE),
    "authentication_failed": (Turn.WAITING, Sub.LOGIN),
    "oauth_org_not_allowed": (Turn.WAITING, Sub.LOGIN),
    "model_not_found": (Turn.WAITING, Sub.MODEL),
}


def wire(order: Order) -> Outfit:
    """Dress a launch: hive's hooks and server, the rest as its profile says."""
    settings, servers = (f"{order.folder}/{name}" for name in (SETTINGS, SERVERS))
    return Outfit(
        args=("--settings", settings, f"--mcp-config={servers}"),
        files={
            SETTINGS: json.dumps(_settings(order), indent=1),
            SERVERS: json.dumps({"mcpServers": _servers(order)}, indent=1),
        },
    ).plus(plain(order))


def _settings(order: Order) -> dict[str, Any]:
    hooks = {
        event: [
            {
                "hooks": [
                    {
                        "type": "command",
                        "command": shlex.join([*order.hive, "hook", event]),
                        "timeout": timeout,
                    }
                ]
            }
        ]
        for event, timeout in _HOOKS.items()
    }
    allow = [*(f"Bash({one} *)" for one in commands(order.hive)), "mcp__hive"]
    found: dict[str, Any] = {
        "hooks": hooks,
        "permissions": {"allow": allow, "additionalDirectories": [order.folder]},
    }
    if order.voice.trust:
        found["tui"] = "default"  # else newer versions ask whether to try another
    return found


def _servers(order: Order) -> dict[str, Any]:
    hive = Server(name="hive", command=(*order.hive, "mcp"), env=tuple(sorted(order.me.items())))
    return {one.name: _server(one) for one in (*order.voice.servers, hive)}


def _server(one: Server) -> dict[str, Any]:
    if one.url:
        return {"type": "http", "url": one.url, "headers": dict(one.headers)}
    command, *args = one.command
    return {"type": "stdio", "command": command, "args": args, "env": dict(one.env)}


def failure(error: str, text: str) -> tuple[Turn, Sub]:
    """Say what a turn that ended in this error leaves: whose turn it is, and why."""
    if any(one in text.lower() for one in _FULL):
        return Turn.WAITING, Sub.FULL
    return _FAILURES.get(error, (Turn.READY, Sub.FAILED))


def signs(event: str, payload: Mapping[str, Any], launch: str, at: float) -> tuple[Sign, ...]:
    """Translate what a hook tells.

    What a helper of its own does is work, and may be asked for; it says nothing of the turn.
    """
    sign = Sign(
        launch=launch, source=Source.HOOK, at=at, session=str(payload.get("session_id", ""))
    )
    if event == "PermissionRequest":
        return (_asked(sign, payload),)
    if event in {"PreToolUse", "PostToolUse", "PostToolUseFailure"}:
        return (_called(sign, event, payload),)
    if payload.get("agent_id"):
        return (replace(sign, worked=True, text="a helper of its own works"),)
    return (_turned(sign, event, payload),)


def _turned(sign: Sign, event: str, payload: Mapping[str, Any]) -> Sign:
    """Read what tells of its turn."""
    match event:
        case "UserPromptSubmit":
            heard = marks(str(payload.get("prompt", "")))
            return replace(sign, turn=Turn.WORKING, heard=heard, text="it was given a prompt")
        case "Stop":
            answer = str(payload.get("last_assistant_message") or "")
            return replace(sign, turn=Turn.READY, answer=answer, text="its turn is over")
        case "StopFailure":
            text = str(payload.get("last_assistant_message") or payload.get("error") or "")
            whole = f"{text} {payload.get('error_details', '')}"
            turn, sub = failure(str(payload.get("error", "")), whole)
            return replace(sign, turn=turn, sub=sub, text=text)
        case "Notification":
            return _notified(sign, payload)
        case "PreCompact" | "PostCompact":
            return replace(sign, worked=True, text="it sums up its conversation")
    return replace(sign, text=event)


def _notified(sign: Sign, payload: Mapping[str, Any]) -> Sign:
    """Read a notification: that of an approval comes seconds late, and is told better before."""
    sign = replace(sign, text=str(payload.get("message", "")))
    match payload.get("notification_type"):
        case "idle_prompt":
            return replace(sign, turn=Turn.READY)
        case "elicitation_dialog":
            return replace(sign, turn=Turn.WAITING, sub=Sub.QUESTION)
    return sign


def _asked(sign: Sign, payload: Mapping[str, Any]) -> Sign:
    tool, given = _tool(payload)
    ask = asking.ask(tool, given, str(payload.get("prompt_id", "")))
    sub = Sub.QUESTION if tool == QUESTION else Sub.APPROVAL
    text = f"{tool}: {ask.detail}"
    return replace(sign, turn=Turn.WAITING, sub=sub, ask=ask, text=text)


def _called(sign: Sign, event: str, payload: Mapping[str, Any]) -> Sign:
    tool, given = _tool(payload)
    turn = None if payload.get("agent_id") else Turn.WORKING
    sign = replace(sign, turn=turn, worked=True, text=f"{tool}: {asking.detail(given)}")
    if event == "PreToolUse":
        return replace(sign, call=1)
    over = asking.key(tool, given, str(payload.get("prompt_id", "")))
    return replace(sign, call=None if payload.get("agent_id") else 0, over=(over,))


def _tool(payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    given = payload.get("tool_input")
    return str(payload.get("tool_name", "")), given if isinstance(given, Mapping) else {}


def reply(event: str, allow: bool | None, text: str) -> str:
    """Give what a hook prints: a decision on an approval, or the text it goes on with.

    "" leaves an approval to its dialog, and lets a turn end. A question of its own is answered by
    a denial whose text is the answer.
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
