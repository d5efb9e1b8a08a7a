"""Tasks: what is to be done, where each stands, and which moves are legal.

A `Job` is what was asked for and never changes; a `Task` is a job and where it stands. Times are
epoch seconds of the store's clock, durations seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal

Kind = Literal["prompt", "run", "barrier", "group"]
"""What a task is: a prompt for an agent, a command, the end of a phase, or a vote of its copies."""

Outcome = Literal["", "done", "failed", "skipped", "cancelled"]
"""How a task ended, "" while it has not. `skipped` is what its own `when` did not want."""


class State(StrEnum):
    """Where a task is, in one word."""

    WAITING = "waiting"
    READY = "ready"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    HELD = "held"


OVER = frozenset({State.DONE, State.DEAD, State.CANCELLED})
"""The states in which nothing more is done with a task, unless a person asks for it."""

MOVES: Mapping[State, frozenset[State]] = {
    State.WAITING: frozenset(
        {State.READY, State.DONE, State.FAILED, State.DEAD, State.CANCELLED, State.HELD}
    ),
    State.READY: frozenset({State.LEASED, State.DONE, State.DEAD, State.CANCELLED, State.HELD}),
    State.LEASED: frozenset(set(State) - {State.LEASED}),
    State.FAILED: frozenset({State.READY, State.DEAD, State.CANCELLED, State.HELD}),
    State.HELD: frozenset({State.WAITING, State.READY, State.DONE, State.DEAD, State.CANCELLED}),
    State.DONE: frozenset({State.WAITING}),
    State.DEAD: frozenset({State.WAITING}),
    State.CANCELLED: frozenset({State.WAITING}),
}
"""Every legal move: a task that is over begins anew by waiting for what it needs."""

PRIORITIES = {"low": 25, "normal": 50, "high": 75, "urgent": 100}
"""The priorities by name."""

_NAME = re.compile(r"[tT]-([0-9]{1,15})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A lock that a task needs while it is leased: `port:3000`, `path:src/api`, `db:test`."""

    name: str
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an agent said of its task, before hive believes it.

    What is `permanent` fails at every try.
    """

    outcome: Literal["done", "failed"]
    text: str
    at: float
    confidence: float | None = None
    permanent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What was asked for.

    `title` is what people call it ("": the first line of its text). `text` is the prompt, or the
    command of kind `run`; with `template` it is Jinja2, rendered once its needs are over. Who may
    have it: agents of `project`, `team` and `role` ("" is any) with all of `skills`; `agent` (an
    id) pins it. `priority` is 0 to 100; `deadline` is a wish that moves it forward; `after` is
    when it may first be handed out.

    `retries` are further attempts after the first; the wait before the n-th is
    `backoff * 2 ** (n - 1)`, at most `longest`. `delivery` is how long it may take until the
    agent has it, `progress` between two signs of life, `timeout` from the lease to the end
    (0 for the last two: for ever). `check` is a command that must end with 0 before the task
    counts as done, `check_timeout` what it may take. `locks` are held while it is leased.

    `sticky` names what it shares with others (a worktree, a conversation): they go to the agent
    that had them last, if they can. `batch` names tasks alike, which go one after another to one
    agent. `replicas` copies are given to different agents; `agree` of them must give the same
    answer (`judge`: equal results, passed checks, or the vote of role `jury`). `cache` is how old
    an earlier result of the same inputs may be; with `cache_files` the directory's content is
    among them. `when` is an expression over the results of a workflow, `on_failure` is `stop`,
    `continue` or the key of a task of the workflow that is then run. `directory` is where its
    commands run ("": the agent's). `sender` asked for it. `params` are what a template may name.
    """

    text: str
    kind: Kind = "prompt"
    title: str = ""
    template: bool = False
    project: str = ""
    team: str = ""
    role: str = ""
    agent: str = ""
    skills: tuple[str, ...] = ()
    priority: int = 50
    deadline: float = 0.0
    after: float = 0.0
    retries: int = 2
    backoff: float = 5.0
    longest: float = 600.0
    delivery: float = 300.0
    progress: float = 0.0
    timeout: float = 0.0
    check: str = ""
    check_timeout: float = 600.0
    locks: tuple[Want, ...] = ()
    sticky: str = ""
    batch: str = ""
    replicas: int = 1
    agree: int = 0
    judge: Literal["result", "check", "vote"] = "result"
    jury: str = ""
    cache: float = 0.0
    cache_files: bool = False
    when: str = ""
    on_failure: str = "stop"
    directory: str = ""
    sender: str = "a person"
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it: its title, or the first line of its text."""
        return self.title or (self.text.strip().splitlines() or [""])[0][:80]

    @property
    def signature(self) -> str:
        """Who may have it, as one text: equal for tasks that the same agents may have."""
        who = (self.kind, self.project, self.team, self.role, self.agent)
        return "|".join((*who, ",".join(sorted(set(self.skills)))))

    @property
    def plain(self) -> bool:
        """Whether it is ready as soon as all it needs is done: nothing has to be decided then."""
        return self.kind in {"prompt", "run"} and not self.when and not self.template


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One job and where it stands; `why` says why it is so, `since` when.

    `run` is the workflow's run it belongs to (0: none), `key` its name there, `build.api`.
    `parent` is the task that waits for it: one that was split, or the group of its copies, which
    are `apart`: no two go to one agent. `due` is when it may be handed out, `blocked` how many of
    its needs are not over, `spoiled` whether one of them did not end as `done`.

    `attempt` counts how often it was handed out. While leased: `agent` and `launch` have it,
    under `fence`, which grows with every lease; `until` is when the lease ends unless it is
    renewed, `begun` when it began, `delivered` when the agent had it (0: not yet), `heard` its
    last sign of life, `asked` is `cancel: WHY` where a person wants it ended (`late: WHY` where it
    took too long) and what runs is being ended, `report` is what its agent said, `rounds` how
    often its check has failed in this attempt.

    `text` is the job's text as it was rendered ("": as it is). `notes` are the agents' words on
    the way, `failures` the reason of each attempt that failed, in order.
    """

    number: int
    uid: str
    job: Job
    state: State = State.WAITING
    why: str = ""
    since: float = 0.0
    created: float = 0.0
    run: int = 0
    key: str = ""
    parent: int = 0
    apart: bool = False
    due: float = 0.0
    blocked: int = 0
    spoiled: bool = False
    attempt: int = 0
    agent: str = ""
    launch: str = ""
    fence: int = 0
    until: float = 0.0
    begun: float = 0.0
    delivered: float = 0.0
    heard: float = 0.0
    asked: str = ""
    report: Report | None = None
    rounds: int = 0
    text: str = ""
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    outcome: Outcome = ""
    result: str = ""
    confidence: float | None = None
    finished: float = 0.0
    version: int = 0

    @property
    def name(self) -> str:
        """How people call it: `t-12`."""
        return f"t-{self.number}"

    @property
    def words(self) -> str:
        """What its agent is to be given: the prompt or the command, rendered."""
        return self.text or self.job.text

    @property
    def lease(self) -> str:
        """The name of the lease it is under, which its branch may bear: `t-12-3`."""
        return f"t-{self.number}-{self.fence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """A task to be added. `uid` is made by whoever asks: asked again, it is not added again.

    `needs` are tasks that must be over before it: their uids (also of others of the same batch)
    or names (`t-12`). `blocks` are numbers of tasks that from now on need this one. `idem` is a
    person's own key: a task of the same key that was added before is given in its place.
    """

    uid: str
    job: Job
    needs: tuple[str, ...] = ()
    blocks: tuple[int, ...] = ()
    idem: str = ""
    run: int = 0
    key: str = ""
    parent: int = 0
    apart: bool = False
    held: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who asks for a task: one of these signatures, or just this one (`number`).

    `lease` is how long it is its own, in seconds, unless that is renewed.
    """

    agent: str
    launch: str
    signatures: tuple[str, ...] = ()
    number: int = 0
    lease: float = 30.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A task as it is to be, over the version that it bears, and why."""

    after: Task
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lock that is held: by a task under its fence, or (task 0) by an agent that asked for it."""

    name: str
    shared: bool
    task: int
    agent: str
    launch: str
    fence: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a workflow, `r-7`; `definition` is the workflow as it was when it began."""

    number: int
    uid: str
    workflow: str
    project: str
    state: Literal["running", "done", "failed", "cancelled"] = "running"
    why: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    definition: Mapping[str, Any] = field(default_factory=dict)
    sender: str = "a person"
    created: float = 0.0
    finished: float = 0.0
    version: int = 0

    @property
    def name(self) -> str:
        """How people call it."""
        return f"r-{self.number}"


def parsed(name: str) -> int | None:
    """Read the name of a task, `t-12`; None for any other word."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def to_dict(job: Job) -> dict[str, Any]:
    """Give a job as JSON-ready values; what is as by default is left out."""
    values = asdict(job)
    plain = _DEFAULTS
    return {key: value for key, value in values.items() if key == "text" or value != plain[key]}


def from_dict(values: Mapping[str, Any]) -> Job:
    """Read back what `to_dict` gave, after a trip through JSON; unknown keys are left out."""
    known = {one.name for one in fields(Job)}
    found: dict[str, Any] = {key: value for key, value in values.items() if key in known}
    found["skills"] = tuple(found.get("skills", ()))
    found["locks"] = tuple(Want(**one) for one in found.get("locks", ()))
    return Job(**found)


_DEFAULTS = asdict(Job(text=""))
