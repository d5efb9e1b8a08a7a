"""Messages to agents with their receipts, and questions to people with their answers.

Times are epoch seconds. Every value carries the version that the store's next write must leave.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Stage(StrEnum):
    """How far a message has come. The last three are ends."""

    QUEUED = "queued"
    TYPED = "typed"
    SUBMITTED = "submitted"
    ANSWERED = "answered"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


OVER = frozenset({Stage.ANSWERED, Stage.FAILED, Stage.WITHDRAWN})
"""The stages in which nothing more is done with a message."""

_NAME = re.compile(r"([mMaAqQ])-?([0-9]{1,15})")

PERSON = "a person"
HIVE = "hive"
"""Who a message is from, where it is no agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A text for one agent.

    `reason` is why it is as far as it is: while queued, the gate's reason. `launch` is the one it
    was typed into, `typed` when; `enters` counts Enter. `proof` is the agent's own evidence that
    it arrived. `outcome` is what the agent reported of it: `done`, `failed` or "", with `result`
    in words and `confidence` from 0 to 1 (None: not told). `kind` is `brief` for an agent's first
    prompt, `note` for what hive itself says (a nudge, "go on"), else `task`. `way` is `hook` where
    it was handed to a hook at the end of a turn, else "". `lease` names the lease of the task that
    it gives to the agent, `t-12-3`, "" for any other message.
    """

    number: int
    agent: str
    sender: str
    text: str
    created: float
    kind: Literal["task", "brief", "note"] = "task"
    stage: Stage = Stage.QUEUED
    reason: str = "queued"
    since: float = 0.0
    launch: str = ""
    typed: float = 0.0
    enters: int = 0
    submitted: float = 0.0
    proof: str = ""
    answered: float = 0.0
    outcome: Literal["", "done", "failed"] = ""
    result: str = ""
    confidence: float | None = None
    tries: int = 0
    way: Literal["", "hook"] = ""
    lease: str = ""
    version: int = 0

    @property
    def name(self) -> str:
        """How people call it: `m-31`."""
        return f"m-{self.number}"

    @property
    def lost(self) -> bool:
        """Whether it was given up for want of a sign that it arrived, which may still come."""
        unproven = self.typed > 0 and not self.submitted and not self.outcome
        return self.stage is Stage.FAILED and unproven


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a message's story."""

    at: float
    stage: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Something a person has to answer: an approval (`A7`) or a question (`Q8`).

    `digest` is of exactly what was shown; `key` names it in the agent's own channel. `state` is
    `open`, `allowed`, `denied`, `answered`, or `gone` where nobody needs the answer any more.
    """

    number: int
    kind: Literal["approval", "question"]
    agent: str
    launch: str
    asked: str
    at: float
    key: str = ""
    digest: str = ""
    channel: str = ""
    state: str = "open"
    answer: str = ""
    answered: float = 0.0
    version: int = 0

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{'A' if self.kind == 'approval' else 'Q'}{self.number}"


def parsed(name: str) -> tuple[Literal["m", "A", "Q"], int] | None:
    """Read the name of a message (`m-31`) or a request (`A7`, `Q8`); None for any other word."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    number = int(found[2])
    kinds: dict[str, Literal["m", "A", "Q"]] = {"m": "m", "a": "A", "q": "Q"}
    kind = kinds[found[1].lower()]
    return (kind, number) if ("-" in name) == (kind == "m") else None
