"""Check-ins: how an agent gets on, told from evidence; it is asked only where that says too little.

Times are epoch seconds, 0 where something never happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a check-in comes to."""

    WORKING = "working"
    IDLE = "idle"
    WAITING = "waiting"
    QUIET = "quiet"
    MISSED = "missed"
    DOWN = "down"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of one agent at one moment, gathered without asking it.

    `state`, `sub` and `reason` are those of `hive status`. `turn_at` is since when its turn is
    what it is, `worked` when there was its latest own evidence of work. `task` is what it has
    (`t-12`, "" for none), `about` that task's text, `progress` what it last said of it, at
    `progressed`; `checked` what became of the task's check, as a sentence. `message` is the latest thing
    that it reported, at `reported`. `files` are the changed files of its work tree, `commits` the subjects of
    its commits since the check-in before, `trouble` what git has in the way ("a rebase is not
    ended"). `cores`, `bytes`, `tokens`, `cost` (dollars) are what it uses, and has used in all.
    """

    agent: str
    at: float
    state: str
    sub: str = ""
    reason: str = ""
    speaks: bool = False
    paused: str = ""
    turn_at: float = 0.0
    worked: float = 0.0
    task: str = ""
    about: str = ""
    progress: str = ""
    progressed: float = 0.0
    checked: str = ""
    message: str = ""
    reported: float = 0.0
    branch: str = ""
    files: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    trouble: str = ""
    cores: float = 0.0
    bytes: int = 0
    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckIn:
    """One check-in: its evidence, what that comes to, and a line that says so.

    `changes` are sentences about what is new since the one before (none: nothing is). `asked` is
    when the agent was asked because the evidence said too little, `answer` its answer.
    `number` is given by the store.
    """

    evidence: Evidence
    verdict: Verdict
    line: str
    changes: tuple[str, ...] = ()
    asked: float = 0.0
    answer: str = ""
    number: int = 0
