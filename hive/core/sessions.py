"""Which conversation a launch goes on with, and what it is told at its start."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from hive.core.messages import Message, Stage
from hive.core.signs import Sub, Turn
from hive.core.talk import Talk
from hive.core.voice import Voice

REFUSED = 10.0
"""A resumed launch that fails within so many seconds was refused its conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an agent's latest launch ended: its name, its exit code, how many seconds it ran.

    `asked` says that it was to end: then its code tells nothing.
    """

    launch: str
    code: int | None
    ran: float
    asked: bool = False


def choose(voice: Voice, talk: Talk, end: End | None, fresh: str) -> tuple[str, bool]:
    """Give the conversation's id, and whether it is one to be gone on with.

    `fresh` is a new id. The id is empty where the program makes up its own, or has none.
    """
    session = voice.profile.session
    if session.how == "none":
        return "", False
    if talk.session and talk.taken and session.resume and not refused(talk, end):
        return talk.session, True
    return (fresh if session.how == "chosen" else ""), False


def refused(talk: Talk, end: End | None) -> bool:
    """Whether the latest launch was to go on with the conversation and could not."""
    if end is None or end.asked or end.launch != talk.resumed:
        return False
    return bool(end.code and end.code > 0) and end.ran < REFUSED


def digest(brief: str) -> str:
    """Give a text that differs where a brief differs; "" for none."""
    return hashlib.sha256(brief.encode(errors="replace")).hexdigest()[:16] if brief else ""


def first_prompt(voice: Voice) -> str:
    """Give the brief as it is first given: behind hive's instructions where it has no other way."""
    if not voice.brief or voice.profile.prelude or voice.profile.wiring != "none":
        return voice.brief
    return f"{voice.prelude}\n\n{voice.brief}" if voice.prelude else voice.brief


def cut_off(talk: Talk, messages: Iterable[Message]) -> bool:
    """Whether its last launch ended in the middle of a turn, or while it waited for a person."""
    unanswered = any(one.stage is Stage.SUBMITTED for one in messages)
    return unanswered or talk.turn == Turn.WORKING or talk.sub in {Sub.APPROVAL, Sub.QUESTION}
