"""What one agent should be, after the file has been read, checked and expanded.

These are plain values: an `Agent` is all that is needed to start, watch and stop it.
All durations are in seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from hive.core import voice as voices
from hive.core.limits import Limits, Priority
from hive.core.rhythm import Plot, Rhythm, plot_from, rhythm_from
from hive.core.voice import Voice

ProbeKind = Literal["http", "tcp", "exec", "screen"]
Policy = Literal["always", "on-failure", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question put to an agent again and again: whether it answers as it should.

    `target` is a URL (http: 2xx or 3xx is good), `host:port` (tcp: it accepts), a command for
    `sh -c` run in the agent's directory with its environment (exec: exit code 0), or a regular
    expression searched for in the visible screen.
    A good answer is believed at once, bad ones once `threshold` of them came in a row.
    """

    kind: ProbeKind
    target: str
    interval: float = 2.0
    timeout: float = 2.0
    threshold: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """When and how often hive starts an agent again by itself.

    The first restart is at once, the next after `delay`, then times `factor` each, `longest` at
    most. `attempts` deaths within `window` quarantine the agent. `healthy_after` seconds of
    health forget the past.
    """

    policy: Policy = "always"
    delay: float = 1.0
    factor: float = 2.0
    longest: float = 300.0
    attempts: int = 5
    window: float = 900.0
    healthy_after: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """How an agent is asked to end, and how long it gets before it is made to.

    `keys` are tmux key names typed into the pane (`("C-c",)`, `("/exit", "Enter")`), used instead
    of `signal` where there are any.
    """

    signal: str = "TERM"
    keys: tuple[str, ...] = ()
    grace: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One wanted agent: one program in one tmux window.

    `id` is `project/team/name`, unique on the node. `argv` is what is executed, as it is.
    `env` is what the file adds to the environment, and may hold secrets: it is never printed.
    `after` names agents (ids) that must be ready before this one starts.
    `order` is the place of its window in its session. Under lasting pressure those of the
    lowest `priority` are paused first.
    `socket` is the tmux server: "" is the user's default one, a word is a name (`tmux -L`),
    a text with a slash is a path (`tmux -S`). `voice` is how it is spoken to, None for a plain
    program. `skills` are what it can do, and `capacity` how many tasks it has at once at most.
    `rhythm` is how often it is looked after, `plot` the worktree that is its own: then
    `directory` lies in it.
    """

    project: str
    team: str
    name: str
    role: str
    session: str
    window: str
    argv: tuple[str, ...]
    directory: str
    env: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    ready: Probe | None = None
    alive: Probe | None = None
    restart: Restart = Restart()
    stop: Stop = Stop()
    port: int | None = None
    order: int = 0
    socket: str = ""
    limits: Limits = field(default_factory=Limits)
    priority: Priority = "normal"
    voice: Voice | None = None
    skills: tuple[str, ...] = ()
    capacity: int = 1
    rhythm: Rhythm = field(default_factory=Rhythm)
    plot: Plot | None = None

    @property
    def dress(self) -> str:
        """What its voice gives the program at a launch, as a text to be compared."""
        return repr(self.voice.at_launch) if self.voice else ""

    @property
    def id(self) -> str:
        """The agent's name on this node: `project/team/name`."""
        return f"{self.project}/{self.team}/{self.name}"

    @property
    def short(self) -> str:
        """The agent's name as people say it: `team/name`."""
        return f"{self.team}/{self.name}"

    @property
    def place(self) -> tuple[str, str, int, str]:
        """Where it comes in a list: by project and team, then as in the file."""
        return (self.project, self.team, self.order, self.name)

    def __repr__(self) -> str:
        """Without the environment, which may hold secrets and ends up in logs."""
        return f"Agent({self.id!r}, argv={self.argv!r})"


RUNS = ("argv", "directory", "env", "port", "session", "socket", "dress")
"""The fields that a running program was started with: a change of one needs a restart."""


def fingerprint(agent: Agent) -> str:
    """Give a text that differs exactly when a running agent must be restarted to be as wanted."""
    values = {name: getattr(agent, name) for name in RUNS}
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def to_dict(agent: Agent) -> dict[str, Any]:
    """Give the agent as JSON-ready values, as the store keeps it."""
    return asdict(agent)


def from_dict(values: Mapping[str, Any]) -> Agent:
    """Read an agent back from `to_dict`'s values, after a trip through JSON.

    Keys it does not know (a newer version's) are left out; missing ones take their default.
    """
    known = {one.name for one in fields(Agent)}
    found: dict[str, Any] = {key: value for key, value in values.items() if key in known}
    found["argv"] = tuple(found["argv"])
    found["env"] = tuple((key, value) for key, value in found.get("env", ()))
    found["after"] = tuple(found.get("after", ()))
    found["skills"] = tuple(found.get("skills", ()))
    for key in ("ready", "alive"):
        found[key] = Probe(**found[key]) if found.get(key) else None
    found["restart"] = Restart(**found.get("restart", {}))
    stop = dict(found.get("stop", {}))
    found["stop"] = Stop(**{**stop, "keys": tuple(stop.get("keys", ()))})
    found["limits"] = Limits(**found.get("limits", {}))
    found["rhythm"] = rhythm_from(found.get("rhythm", {}))
    found["plot"] = plot_from(found["plot"]) if found.get("plot") else None
    found["voice"] = voices.from_dict(found["voice"]) if found.get("voice") else None
    return Agent(**found)
