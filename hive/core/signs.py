"""What is heard of an agent's conversation: one sign each, with its source and its time.

Hooks, records, titles and reports are all translated into signs; `judge` alone says what they
amount to. Times are epoch seconds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MARK = re.compile(r"\[hive m-(\d+)\]")
"""How a message is found again in what an agent was given."""


class Source(StrEnum):
    """Where a sign comes from, the most trustworthy first."""

    PROCESS = "process"
    REPORT = "report"
    RECORDS = "records"
    HOOK = "hook"
    TITLE = "title"
    SCREEN = "screen"
    SILENCE = "silence"


class Turn(StrEnum):
    """Whose turn it is: the agent's (working), anybody's (ready), or a person's (waiting).

    `limited`: the provider gives it nothing for now.
    """

    READY = "ready"
    WORKING = "working"
    WAITING = "waiting"
    LIMITED = "limited"


class Sub(StrEnum):
    """What kind of it."""

    APPROVAL = "approval"
    QUESTION = "question"
    DIALOG = "dialog"
    USAGE = "usage limit"
    FULL = "context full"
    LOGIN = "login needed"
    MODEL = "model unavailable"
    RETRYING = "retrying"
    BLOCKED = "blocked"
    FAILED = "turn failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What an agent wants to be allowed, exactly.

    `key` names the question in the channel that takes the answer. `digest` is of all that is
    asked: an answer to another digest is refused.
    """

    key: str
    tool: str
    detail: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One thing heard of one launch.

    `turn` is None where it says nothing about that; `text` is the evidence in words. `until` is
    when a usage limit ends (0: not told). `session` is the conversation's id, `heard` are the
    numbers of messages found in what the agent was given, `answer` is what it said last in the
    turn that ended. `tokens` and `cost` (dollars) are totals of the conversation, 0 where not
    told. `worked` says that it is evidence of work: a call of a tool, a piece of an answer.
    `call` counts tool calls that are open now (None: not told). `over` are the keys of asks that
    nobody needs to answer any more.
    """

    launch: str
    source: Source
    at: float
    turn: Turn | None = None
    sub: str = ""
    text: str = ""
    until: float = 0.0
    session: str = ""
    heard: tuple[int, ...] = ()
    answer: str = ""
    tokens: int = 0
    cost: float = 0.0
    worked: bool = False
    call: int | None = None
    ask: Ask | None = None
    over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One signal as it is shown to a person: where from, what, since when."""

    source: Source
    text: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How a conversation stands: what all signs of one launch amount to.

    `turn` is None while nothing is known. `since` is when it came to be so, `worked` when there
    was the latest evidence of work (0: none in this launch). `closed` is why nothing may be typed
    now ("" where it is positively at its composer): one of the gate's named reasons.
    """

    launch: str = ""
    turn: Turn | None = None
    sub: str = ""
    text: str = "nothing is known of it yet"
    source: Source = Source.PROCESS
    since: float = 0.0
    until: float = 0.0
    worked: float = 0.0
    closed: str = "not ready"
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """What tmux and the terminal show of a voice's pane at one look.

    `output` is when its window last had output, `raw` whether its program reads keys itself (None:
    not known), `foreground` whether the program itself, not something it started, has the
    terminal. `said` is the mark of the message last pasted there and `entered` that of the one
    last sent with Enter, with how often (`m-31@LAUNCH`, `m-31@LAUNCH:1`): tmux keeps both on the
    pane, written in the same step as the paste and the key. `person` is when a person last typed
    into it.
    """

    launch: str = ""
    pane: str = ""
    dead: bool = False
    mode: bool = False
    shut: bool = False
    title: str = ""
    output: float = 0.0
    tty: str = ""
    raw: bool | None = None
    foreground: bool = True
    said: str = ""
    entered: str = ""
    person: float = 0.0


def marks(text: str) -> tuple[int, ...]:
    """Give the numbers of the messages whose marks stand in a text."""
    return tuple(dict.fromkeys(int(number) for number in MARK.findall(text)))


def mark(number: int) -> str:
    """Give a message's mark, as it stands in front of what is typed."""
    return f"[hive m-{number}]"


def digest(tool: str, asked: Mapping[str, Any] | str) -> str:
    """Give a text that differs where anything of what is asked differs."""
    whole = json.dumps([tool, asked], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(whole.encode(errors="replace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """All that matters of the signs of one launch; `judge.hear` adds one.

    `latest` is the newest sign of each source that says whose turn it is. `heard` says by which
    source, and when, each message was found to have arrived. `asks` are the open questions by
    key, `asked` when each was asked, `over` when each of those that are over was. `ended` is when a
    turn was last seen to end. `grown` is when records last grew. `told` is when the session, its
    totals, the answer and the open calls were told: what comes late changes nothing newer.
    """

    launch: str = ""
    latest: Mapping[Source, Sign] = field(default_factory=dict)
    session: str = ""
    heard: Mapping[int, tuple[Source, float]] = field(default_factory=dict)
    asks: Mapping[str, Ask] = field(default_factory=dict)
    asked: Mapping[str, float] = field(default_factory=dict)
    over: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, float] = field(default_factory=dict)
    worked: float = 0.0
    grown: float = 0.0
    ended: float = 0.0
    answer: str = ""
    tokens: int = 0
    cost: float = 0.0
    calls: int = 0
