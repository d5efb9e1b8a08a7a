"""What `plan` can ask for: one thing to do each, with its reason.

An action carries the memory that holds once it is done (`after`), so the keeper only acts and
writes: first the effect, then the record. Any action may be lost; the next look finds the
difference again. `why` is a sentence for a person, and becomes the event's text.
"""

from __future__ import annotations

from dataclasses import dataclass

from hive.core.spec import Agent
from hive.core.trees import Process
from hive.core.world import Holding, Memory, Pane, TeamMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Launch the agent in a new window, or in its own dead `pane` where it still has one.

    The keeper fills launch, server, pane, pid and started into `after`.
    `automatic` says that no person asked for it: it is shown among the restarts.
    `team` is the team's memory once this automatic restart is counted, else None.
    """

    spec: Agent
    after: Memory
    why: str
    pane: str = ""
    automatic: bool = False
    team: TeamMemory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Record a running pane of the agent's that the memory did not know."""

    after: Memory
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The agent is ready: it does what its `ready` probe asks, or simply runs."""

    after: Memory
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """The agent's state or reason changed, and nothing needs doing."""

    after: Memory
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Remember something that is no event: since when a pane is missing, a pane that moved."""

    after: Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Ask the agent to end, as its spec says; `targets` are its processes, the root last."""

    spec: Agent
    after: Memory
    why: str
    targets: tuple[Process, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End `targets` by force: the time they were given is over."""

    agent: str
    targets: tuple[Process, ...]
    why: str
    after: Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """End what an earlier launch left behind: asked first (TERM), with `force` made to (KILL)."""

    agent: str
    targets: tuple[Process, ...]
    why: str
    force: bool = False
    after: Memory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The launch is over: write its certificate, with the last screen.

    `code` is the exit code, `-N` for signal N, None if nobody knows. `cause` is what is known
    of why. `asked` is true where a person or a changed file ended it. `next` says what hive
    does next. `pane` is its dead pane where there is one. `largest` are its largest processes
    where it was ended for want of memory.
    """

    after: Memory
    why: str
    code: int | None
    cause: str
    asked: bool
    next: str
    pane: Pane | None = None
    largest: tuple[Holding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The launch ended with its tmux server or with the machine; it does not count."""

    after: Memory
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A person closed the window: from now on the agent is wanted down."""

    after: Memory
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Close a dead pane of ours that nobody needs any more."""

    agent: str
    socket: str
    pane: Pane


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """A removed agent is gone: strike it from the wanted and the remembered."""

    agent: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgive:
    """The agent has been healthy for long enough: its past no longer counts."""

    after: Memory
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Too many restarts in one team: it restarts nothing more by itself."""

    after: TeamMemory
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is to do before `until`, unless something happens."""

    until: float


Action = (
    Start
    | Adopt
    | Ready
    | Say
    | Note
    | Stop
    | Kill
    | Sweep
    | Ended
    | Lost
    | Closed
    | Close
    | Forget
    | Forgive
    | Hold
    | Wait
)


def whose(action: Action) -> str:
    """Give the id of the agent that an action is for; "" where it is for none, or for a team."""
    if isinstance(action, Wait | Hold):
        return ""
    return action.agent if isinstance(action, Kill | Sweep | Close | Forget) else action.after.agent
