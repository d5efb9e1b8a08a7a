"""How opencode is dressed, and what it tells.

Its configuration is a file in the launch's folder, which opencode merges with the person's own:
lists are joined, and what a project says wins. A plugin beside it writes what happens into
`events.jsonl`, one line each. Its terminal serves HTTP on `{port}`, behind a password.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from hive.core.fill import commands
from hive.core.outfit import Order, Outfit
from hive.core.plain import plain
from hive.core.profile import Permission
from hive.core.signs import Ask, Sign, Source, Sub, Turn, digest, marks
from hive.core.voice import Server

CONFIG = "opencode.json"
PLUGIN = "opencode-plugin.js"
PRELUDE = "prelude.md"
EVENTS = "events.jsonl"
DOOR = "door.json"
USER = "opencode"

LONG_WAIT = 60.0
"""Seconds until the next try from which on the provider gives nothing for now."""

_PLUGIN = """\
// Written by hive: tells it what happens here, one line each.
import { appendFileSync } from "node:fs"

const FILE = new URL("events.jsonl", import.meta.url)
const STARTED = __STARTED__
const LONGEST = 20000
const WHOLE = new Set([
  "session.status", "permission.asked", "permission.replied",
  "question.asked", "question.replied", "question.rejected",
])
const users = new Set()
const calls = new Map()

const cut = (_, value) =>
  typeof value === "string" && value.length > LONGEST ? value.slice(0, LONGEST) + "…" : value

const tell = (type, told) =>
  appendFileSync(FILE, JSON.stringify({ at: Date.now() / 1000, type, told }, cut) + "\\n")

const part = (one) => {
  if (one.type === "tool") {
    const { callID, sessionID, tool, state: { status } } = one
    if (calls.get(callID) === status) return
    if (status === "completed" || status === "error") calls.delete(callID)
    else calls.set(callID, status)
    tell("tool", { sessionID, callID, tool, status })
  } else if (one.type === "text" && !one.synthetic && (!one.time || one.time.end)) {
    const role = users.has(one.messageID) ? "user" : "assistant"
    tell("text", { sessionID: one.sessionID, role, text: one.text })
  }
}

const event = async ({ event: { type, properties } }) => {
  const { info, error } = properties
  if (WHOLE.has(type)) tell(type, properties)
  else if (type === "message.part.updated") part(properties.part)
  else if (type === "message.updated" && info.role === "user") users.add(info.id)
  else if (type === "session.created" || type === "session.updated")
    tell("session", { id: info.id, parentID: info.parentID, cost: info.cost, tokens: info.tokens })
  else if (type === "session.error") tell(type, {
    sessionID: properties.sessionID, name: error?.name, message: error?.data?.message,
  })
}

export const Hive = async () => {
  tell("started", STARTED)
  return { event }
}
"""

_FAILURES = {
    "ContextOverflowError": Sub.FULL,
    "ProviderAuthError": Sub.LOGIN,
    "ProviderModelNotFoundError": Sub.MODEL,
    "MessageAbortedError": Sub.INTERRUPTED,
}


def wire(order: Order) -> Outfit:
    """Dress a launch: configuration, plugin and instructions as files, the rest as arguments."""
    folder, given = order.folder, order.voice.prelude
    config: dict[str, Any] = {
        "$schema": "https://opencode.ai/config.json",  # else opencode writes it into the file
        "plugin": [f"file://{folder}/{PLUGIN}"],
        "mcp": _servers(order),
        "permission": _permission(order),
    }
    files = {PLUGIN: _plugin(order), DOOR: json.dumps({"port": order.port, "key": key(order)})}
    if given:
        config["instructions"] = [f"{folder}/{PRELUDE}"]
        files[PRELUDE] = given + "\n"
    files[CONFIG] = json.dumps(config, indent=1)
    env = {"OPENCODE_CONFIG": f"{folder}/{CONFIG}"}
    if key(order):
        env |= {"OPENCODE_SERVER_USERNAME": USER, "OPENCODE_SERVER_PASSWORD": key(order)}
    return plain(order).plus(Outfit(env=env, files=files))


def key(order: Order) -> str:
    """Give the password of the launch's HTTP server; none where the launch has no secret.

    Without one any program here, and any page in a browser, could give the agent orders.
    """
    secret = json.dumps(sorted(order.me.items()))
    return sha256(f"opencode {secret}".encode()).hexdigest()[:32] if order.me else ""


def _plugin(order: Order) -> str:
    started = {"briefed": bool(order.brief), "sessionID": order.session if order.resume else ""}
    return _PLUGIN.replace("__STARTED__", json.dumps(started))


def alone(permission: Permission) -> dict[str, str]:
    """Give the variables that hold it to a permission where hive writes it no configuration."""
    rules = _rules(permission, ("hive",))
    return {"OPENCODE_PERMISSION": json.dumps(rules)} if rules else {}


def _permission(order: Order) -> dict[str, Any]:
    """Give what is asked for; the last rule that fits counts."""
    rules = _rules(order.voice.permission, commands(order.hive))
    return {**rules, "hive_*": "allow", "external_directory": {f"{order.folder}/*": "allow"}}


def _rules(permission: Permission, hive: Iterable[str]) -> dict[str, Any]:
    """Give the rules of a permission; `auto` is opencode's own flag."""
    if permission == "auto":
        return {}
    edit = "allow" if permission == "edits" else "ask"
    allowed = {f"{one} *": "allow" for one in hive}
    return {"edit": edit, "webfetch": "ask", "bash": {"*": "ask", **allowed}}


def _servers(order: Order) -> dict[str, Any]:
    hive = Server(name="hive", command=(*order.hive, "mcp"), env=tuple(order.me.items()))
    return {one.name: _server(one) for one in (*order.voice.servers, hive)}


def _server(one: Server) -> dict[str, Any]:
    if one.url:
        return {"type": "remote", "url": one.url, "headers": dict(one.headers), "enabled": True}
    known = {"command": list(one.command), "environment": dict(one.env)}
    return {"type": "local", **known, "enabled": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What must be kept of the events until now to understand the next one.

    `session` is the conversation that goes on. `spent` are tokens and dollars of each session by
    its id, `parents` the sessions whose work another one ordered. `calls` and `asks` are open.
    """

    started: bool = False
    session: str = ""
    parents: Mapping[str, str] = field(default_factory=dict)
    spent: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    calls: frozenset[str] = frozenset()
    asks: frozenset[str] = frozenset()
    answer: str = ""
    failure: tuple[str, str] = ("", "")


def hear(
    before: Heard, event: str, told: Mapping[str, Any], launch: str, at: float
) -> tuple[Heard, tuple[Sign, ...]]:
    """Take in one event: gives what is to be kept of it, and what it is a sign of."""
    sign = Sign(launch=launch, source=Source.HOOK, at=at)
    if event in _ANYWHERE:
        return _ANYWHERE[event](before, told, sign)
    if event not in _HERE:
        return before, ()
    after = _followed(before, event, told)
    if told.get("sessionID", "") != after.session:
        return after, ()  # it is of a session that works for another one, or that was left
    return _HERE[event](after, told, replace(sign, session=after.session))


def signs(event: str, payload: Mapping[str, Any], launch: str, at: float) -> tuple[Sign, ...]:
    """Translate one event that stands alone."""
    session = str(payload.get("sessionID", ""))
    return hear(Heard(session=session), event, payload, launch, at)[1]


def reply(event: str, allow: bool | None, text: str) -> str:  # noqa: ARG001
    """Give nothing: opencode runs no hooks, its questions are answered over HTTP."""
    return ""


def _followed(before: Heard, event: str, told: Mapping[str, Any]) -> Heard:
    """Follow a person into another session: the one that was last given something to do."""
    session = str(told.get("sessionID", ""))
    busy = event == "session.status" and told.get("status", {}).get("type") == "busy"
    asked = event == "text" and told.get("role") == "user"
    if not session or session == before.session or session in before.parents:
        return before
    if busy or asked or not before.session:
        return replace(before, session=session, answer="", failure=("", ""))
    return before


def _session(before: Heard, told: Mapping[str, Any], sign: Sign) -> tuple[Heard, tuple[Sign, ...]]:
    """Keep whose session it is, and what it has cost. Both are totals."""
    one, parent = str(told.get("id", "")), str(told.get("parentID") or "")
    known = told.get("tokens") or {}
    cache = known.get("cache") or {}
    counts = [known.get(name, 0) for name in ("input", "output", "reasoning")] + [*cache.values()]
    spent = {**before.spent, one: (int(sum(counts)), float(told.get("cost") or 0.0))}
    parents = {**before.parents, one: parent} if parent else before.parents
    after = replace(before, parents=parents, spent=spent)
    if spent == before.spent or before.session not in (one, _root(one, parents)):
        return after, ()
    mine = [spent[each] for each in spent if _root(each, parents) == before.session]
    tokens, cost = sum(one for one, _ in mine), sum(one for _, one in mine)
    return after, (replace(sign, session=before.session, tokens=tokens, cost=cost),)


def _root(session: str, parents: Mapping[str, str]) -> str:
    seen = {session}
    while (session := parents.get(session, session)) not in seen:
        seen.add(session)
    return session


def _started(before: Heard, told: Mapping[str, Any], sign: Sign) -> tuple[Heard, tuple[Sign, ...]]:
    """Say that it can be given something; where it was started with its brief, that comes first.

    It loads its plugins twice: what comes second says nothing.
    """
    if before.started:
        return before, ()
    session = str(told.get("sessionID", ""))
    after = replace(before, session=session, started=True)
    if told.get("briefed"):
        return after, ()
    return after, (replace(sign, turn=Turn.READY, text="it has started", session=session),)


def _tool(before: Heard, told: Mapping[str, Any], sign: Sign) -> tuple[Heard, tuple[Sign, ...]]:
    """Count open calls: also those of sessions that work for this one."""
    one, status = str(told.get("callID", "")), str(told.get("status", ""))
    over = status in {"completed", "error"}
    calls = before.calls - {one} if over else before.calls | {one}
    text = f"tool `{told.get('tool', '')}` is {status}"
    return replace(before, calls=calls), (
        replace(sign, worked=True, call=len(calls), text=text, session=before.session),
    )


def _asked(before: Heard, told: Mapping[str, Any], sign: Sign) -> tuple[Heard, tuple[Sign, ...]]:
    one = str(told.get("id", ""))
    is_question = "questions" in told
    asked = {name: told.get(name) for name in ("permission", "patterns", "metadata", "questions")}
    tool = "question" if is_question else str(told.get("permission", ""))
    detail = _questions(told) if is_question else _detail(told)
    ask = Ask(key=one, tool=tool, detail=detail, digest=digest(tool, asked))
    sub = Sub.QUESTION if is_question else Sub.APPROVAL
    text = f"it asks: {detail}" if is_question else f"it wants to use `{tool}`: {detail}"
    sign = replace(sign, turn=Turn.WAITING, sub=sub, text=text, ask=ask, session=before.session)
    return replace(before, asks=before.asks | {one}), (sign,)


def _detail(told: Mapping[str, Any]) -> str:
    """Give exactly what is to be done: a command, a file with its change, else the patterns."""
    known = told.get("metadata") or {}
    shown = [str(known[name]) for name in ("command", "filepath", "url", "diff") if known.get(name)]
    return "\n".join(shown) or ", ".join(str(one) for one in told.get("patterns") or ())


def _questions(told: Mapping[str, Any]) -> str:
    lines = []
    for one in told.get("questions") or ():
        labels = " / ".join(str(option.get("label", "")) for option in one.get("options") or ())
        lines.append(f"{one.get('question', '')}{f' ({labels})' if labels else ''}")
    return "\n".join(lines)


def _replied(before: Heard, told: Mapping[str, Any], sign: Sign) -> tuple[Heard, tuple[Sign, ...]]:
    one = str(told.get("requestID", ""))
    asks = before.asks - {one}
    sign = replace(sign, over=(one,), session=before.session)
    if not asks:
        sign = replace(sign, turn=Turn.WORKING, text="what it asked was answered")
    return replace(before, asks=asks), (sign,)


def _failed(before: Heard, told: Mapping[str, Any], _: Sign) -> tuple[Heard, tuple[Sign, ...]]:
    """Keep why: it may try again, and only the end of the turn tells."""
    failure = _FAILURES.get(str(told.get("name", "")), Sub.FAILED)
    return replace(before, failure=(failure, _text_of(told, "message"))), ()


def _text(before: Heard, told: Mapping[str, Any], sign: Sign) -> tuple[Heard, tuple[Sign, ...]]:
    text = _text_of(told, "text")
    if told.get("role") == "user":
        sign = replace(sign, turn=Turn.WORKING, text="it was given a prompt", heard=marks(text))
        return replace(before, answer="", failure=("", "")), (sign,)
    return replace(before, answer=text), (replace(sign, worked=True, text="it has answered"),)


def _status(before: Heard, told: Mapping[str, Any], sign: Sign) -> tuple[Heard, tuple[Sign, ...]]:
    status = told.get("status") or {}
    match status.get("type"):
        case "idle":
            return _idle(before, sign)
        case "retry":
            return before, (_retry(status, sign),)
        case "busy" if before.asks:
            return before, ()
        case "busy":
            after = replace(before, failure=("", ""))
            return after, (replace(sign, turn=Turn.WORKING, text="it says that it is busy"),)
    return before, ()


def _idle(before: Heard, sign: Sign) -> tuple[Heard, tuple[Sign, ...]]:
    sub, why = before.failure
    text = f"its turn ended: {why}" if sub else "its turn is over"
    over = tuple(sorted(before.asks))
    sign = replace(sign, turn=Turn.READY, sub=sub, text=text, answer=before.answer, over=over)
    return replace(before, asks=frozenset(), calls=frozenset()), (replace(sign, call=0),)


def _retry(status: Mapping[str, Any], sign: Sign) -> Sign:
    """Tell a short wait, which is part of its work, from a long one or a limit that it names."""
    again = float(status.get("next") or 0) / 1000
    why = f"{_text_of(status, 'message')} (attempt {status.get('attempt', 0)})"
    if status.get("action") or again - sign.at >= LONG_WAIT:
        return replace(sign, turn=Turn.LIMITED, sub=Sub.USAGE, text=why, until=again)
    return replace(sign, turn=Turn.WORKING, sub=Sub.RETRYING, text=why)


def _text_of(told: Mapping[str, Any], name: str) -> str:
    return str(told.get(name) or "")


_Take = Callable[[Heard, Mapping[str, Any], Sign], tuple[Heard, tuple[Sign, ...]]]

_ANYWHERE: dict[str, _Take] = {
    "started": _started,
    "session": _session,
    "tool": _tool,
    "permission.asked": _asked,
    "permission.replied": _replied,
    "question.asked": _asked,
    "question.replied": _replied,
    "question.rejected": _replied,
}
"""What counts in whatever session it happens."""

_HERE: dict[str, _Take] = {"text": _text, "session.error": _failed, "session.status": _status}
"""What counts only in the session that a person speaks to."""
