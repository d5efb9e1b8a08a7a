"""Everything `plan` may know: what is wanted, what was seen, and what hive remembers.

Times are epoch seconds (UTC), durations seconds. A world is made by one look and thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from hive.core.spec import Agent
from hive.core.trees import Process


class State(StrEnum):
    """What an agent is, in one word; the memory's `reason` says why."""

    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing-off"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


LIVE = frozenset({State.STARTING, State.READY, State.STOPPING})
"""The states in which an agent may have a launch that runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person wants of one agent.

    `generation` grows by one with every request to start afresh: a deploy that changed what the
    agent runs, a `restart`, a `start`. An agent launched in an older generation is restarted, and
    such a start waits for no backoff. `removed` agents are stopped and then forgotten.
    `why` says who wanted it so ("`hive stop`", "window closed by hand").
    """

    agent: Agent
    up: bool = True
    removed: bool = False
    generation: int = 1
    why: str = "`hive deploy`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A tmux server, named for good by its pid and the kernel's start time."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pane:
    """A pane that bears this hive's mark, as tmux and the process table show it.

    `pid` and `started` are of its root process. `dead` is true as soon as that process is gone,
    whatever tmux says. `code` is the exit code where it is known: what the launch itself
    reported, or tmux's word; a death by signal N is `-N`.
    """

    id: str
    window: str
    session: str
    agent: str
    launch: str
    pid: int
    started: int = 0
    dead: bool = False
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A tmux server that answered, and those of its panes that are ours (dead or alive)."""

    server: Server
    panes: tuple[Pane, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoServer:
    """There is certainly no tmux server on this socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """The tmux server could not be looked at: nothing may be concluded."""

    why: str


Sight = Seen | NoServer | Unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a probe's history says: None while nothing is known. `why` is the evidence."""

    good: bool | None = None
    why: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What hive remembers of one agent, between looks and across its own death.

    `launch` names the latest launch ("" before the first); `generation` is the one it was made
    in; `socket`, `server`, `pane`, `pid` and `started` say where it runs, `boot` since which boot.
    `began` is when it was launched, `ready_since` when its health began (0: not ready yet).
    `deaths` are the times of deaths that count against the budget, oldest first.
    `due` is when hive next starts it by itself (0: at once). `trials` counts the trial starts
    since it was quarantined; `quarantined` is true from then until it closes.
    `restarts` counts the automatic restarts since a person last asked for a start.
    `deadline` is when a stopping agent is killed; `cause` is why it is stopping: what is then
    written on its certificate; while it backs off, what took its launch away (tmux server,
    machine). `counts` says whether that stop counts as a death.
    `gone_since` is when its pane was first not seen, `dead_since` when its root was first seen
    dead without a known exit code, or what it left behind was asked to end (0: not so).
    `ooms` counts its latest deaths in a row for want of memory, `seen` is the most bytes it had
    in one of them.
    `version` grows with every write; the store refuses a write over a newer one.
    """

    agent: str
    state: State = State.STOPPED
    reason: str = "never started"
    since: float = 0.0
    launch: str = ""
    generation: int = 0
    socket: str = ""
    server: Server | None = None
    pane: str = ""
    pid: int = 0
    started: int = 0
    boot: str = ""
    began: float = 0.0
    ready_since: float = 0.0
    deaths: tuple[float, ...] = ()
    due: float = 0.0
    trials: int = 0
    quarantined: bool = False
    restarts: int = 0
    deadline: float = 0.0
    cause: str = ""
    counts: bool = False
    gone_since: float = 0.0
    dead_since: float = 0.0
    ooms: int = 0
    seen: int = 0
    version: int = 0

    @property
    def live(self) -> bool:
        """Whether its latest launch has not been seen to end."""
        return bool(self.launch) and self.state in LIVE and self.began > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMemory:
    """What hive remembers of one team (`project/team`).

    `restarts` are the times of its latest automatic restarts, oldest first. While `held` it
    restarts nothing by itself; a person's request, or `hive reset`, lets it go.
    """

    team: str
    restarts: tuple[float, ...] = ()
    held: bool = False
    since: float = 0.0
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """An agent's processes: those of its latest launch, and strays of earlier ones."""

    current: tuple[Process, ...] = ()
    strays: tuple[Process, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One process, and the bytes that its end would give back."""

    pid: int
    name: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What an agent's whole tree uses now.

    `cpu` is in cores, `memory` in bytes. `quiet_since` is since when it has used next to no CPU
    (0: it does). `paused` says that hive has stopped it for want of room.
    """

    cpu: float = 0.0
    memory: int = 0
    processes: int = 0
    quiet_since: float = 0.0
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Why processes of a launch were killed: it had more than it, or the machine, could have.

    `why` is the cause that the certificate gives ("out of memory: it used 531M of 512M").
    `seen` is how much it had (bytes, or processes), `limit` what it could have; `largest` are
    its largest processes at that moment. `whole` says that all of it was to end.
    """

    agent: str
    launch: str
    at: float
    kind: Literal["memory", "processes"]
    why: str
    seen: int
    limit: int
    whole: bool
    largest: tuple[Holding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the machine has left for agents that are to start.

    `closed` is why nothing may start at all now ("" where it may). `agents` is how many may run
    at once, `memory` how many bytes are left (both None: any). `cores` are what all agents
    together may use, `busy` how many agents want more than they get. `needs` is by program what
    one was seen to take (bytes); `starting` by program how many cores its young launches use.
    """

    closed: str = ""
    agents: int | None = None
    memory: int | None = None
    cores: float = 1.0
    busy: int = 0
    needs: Mapping[str, int] = field(default_factory=dict)
    starting: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One look at everything, with the store's memory of it.

    `sights` is by socket, the rest by agent id (`teams` by `project/team`). `boot` names the
    machine's boot. `room` is None where nobody has to wait for room. `ends` is why an agent whose
    conversation stands still is to be started again. `unready` is why the place of an agent is
    not ready for it yet.
    """

    boot: str = ""
    sights: Mapping[str, Sight] = field(default_factory=dict)
    memory: Mapping[str, Memory] = field(default_factory=dict)
    teams: Mapping[str, TeamMemory] = field(default_factory=dict)
    trees: Mapping[str, Tree] = field(default_factory=dict)
    ready: Mapping[str, Verdict] = field(default_factory=dict)
    alive: Mapping[str, Verdict] = field(default_factory=dict)
    uses: Mapping[str, Use] = field(default_factory=dict)
    excesses: Mapping[str, Excess] = field(default_factory=dict)
    room: Room | None = None
    ends: Mapping[str, str] = field(default_factory=dict)
    unready: Mapping[str, str] = field(default_factory=dict)
