"""The keys of `hive.toml`: their types, defaults and meaning.

These models are the documentation of the file: the JSON Schema is made from them, and a test
keeps `hive.toml.example` equal to them. They know nothing of folders, programs or other agents.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from hive.core import limits, rhythm, spec
from hive.core.escalation_model import Escalation
from hive.core.profile import Permission
from hive.core.rhythm_model import Grounds, Pace
from hive.core.values import (
    Address,
    Argv,
    Budget,
    Cpu,
    Duration,
    Env,
    Headers,
    Memory,
    Name,
    Pattern,
    Processes,
    Reserve,
    SharedCpu,
    SharedMemory,
    Signal,
    Socket,
    Soft,
    Table,
    Text,
    Texts,
    Time,
    Times,
    Url,
)
from hive.core.workflow_model import Work, Workflow
from hive.core.workflow_values import Skills

Mode = Literal["chat", "task"]

KINDS = ("http", "tcp", "exec", "screen")

_PROBE = spec.Probe(kind="http", target="")
_RESTART = spec.Restart()
_STOP = spec.Stop()


def agent(value: Any) -> Any:
    """Read an agent written as its command alone."""
    return {"run": value} if isinstance(value, str) else value


class Probe(Table):
    """A question put to an agent again and again; exactly one of http, tcp, exec, screen."""

    http: Url | None = Field(
        None, description="A URL that answers 2xx or 3xx; `$PORT` is the agent's port."
    )
    tcp: Address | None = Field(
        None, description="A port on 127.0.0.1 or a `host:port` that accepts connections."
    )
    exec: Text | None = Field(
        None, description="A command for the shell, in the agent's directory, that exits with 0."
    )
    screen: Pattern | None = Field(
        None, description="A regular expression found on the visible screen."
    )
    interval: Time = Field(_PROBE.interval, description="How long from one question to the next.")
    timeout: Time = Field(_PROBE.timeout, description="How long an answer may take.")
    threshold: Times = Field(
        _PROBE.threshold, description="How many bad answers in a row are believed."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Probe:
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError("needs exactly one of `http`, `tcp`, `exec` and `screen`")
        return self


class Restart(Table):
    """When and how often an agent that ended is started again."""

    policy: spec.Policy = Field(
        _RESTART.policy, description="After any end, after a failure, or never."
    )
    delay: Duration = Field(
        _RESTART.delay, description="The wait before the second restart; the first is at once."
    )
    factor: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = Field(
        _RESTART.factor, description="What each further wait is multiplied by."
    )
    longest: Duration = Field(_RESTART.longest, description="The longest wait.")
    attempts: Times = Field(
        _RESTART.attempts, description="How many ends within `window` are too many."
    )
    window: Time = Field(_RESTART.window, description="The time in which ends are counted.")
    healthy_after: Duration = Field(
        _RESTART.healthy_after, description="How long an agent must run to have its past forgotten."
    )


class Stop(Table):
    """How an agent is asked to end; `signal` or `keys`, not both."""

    signal: Signal = Field(_STOP.signal, description="The signal sent to the agent.")
    keys: Texts = Field(
        _STOP.keys, description='Keys typed instead of a signal: "C-c" or ["/exit", "Enter"].'
    )
    grace: Duration = Field(_STOP.grace, description="How long it gets before it is killed.")

    @model_validator(mode="after")
    def _one_way(self) -> Stop:
        if {"signal", "keys"} <= self.model_fields_set and self.keys:
            raise ValueError("has both `signal` and `keys`; keep one")
        return self


class Defaults(Table):
    """What every agent has that doesn't say otherwise."""

    directory: Text | None = Field(
        None, description="The folder to run in, from the folder of the table around; `~` is home."
    )
    env: Env = Field(
        default_factory=dict,
        description="Variables added to the environment, as they are: `$` means nothing in them.",
    )
    env_file: Texts = Field(
        (), description="One or more .env files, from this table's folder; `env` goes over them."
    )
    ready: Probe | None = Field(
        None, description="When it is ready; without it, as soon as it runs."
    )
    alive: Probe | None = Field(
        None, description="Whether it still works; without it, as long as it runs."
    )
    cpu: Cpu | None = Field(
        None, description='The most CPU it gets: "100%" is one core, a number is cores.'
    )
    memory: Memory | None = Field(
        None, description="The most memory that it and all it starts may have."
    )
    memory_soft: Soft | None = Field(
        None, description='From where on hive warns, of `memory` or a size; without it, "80%".'
    )
    max_age: Time | None = Field(
        None, description="After so long it is restarted at a quiet moment; without it, never."
    )
    processes: Processes = Field(
        limits.PROCESSES, description="How many processes it may have at once."
    )
    priority: limits.Priority | None = Field(
        None, description='Who is paused last when room is short; without it, a server is "high".'
    )
    brief: Text | None = Field(
        None, description="Its first prompt: a file (`.md`, `.txt`, or a path), or the text itself."
    )
    prelude: Text | None = Field(
        None, description="A template file that goes in place of what hive teaches every agent."
    )
    mcp: Texts = Field((), description="Servers of [mcp.NAME] that it may use, by name.")
    permission: Permission = Field(
        "ask", description="What it may do unasked: nothing, edits of files, or all."
    )
    trust: bool = Field(
        False, description="Whether hive may answer the questions of its program's first start."
    )
    mode: Mode = Field(
        "chat", description="Whether its program runs all along, or is started for each task."
    )
    capacity: Times = Field(1, description="How many tasks it may have at once.")
    check_in: Pace = Field(
        rhythm.CHECK_IN, description='How often hive looks how it gets on; "never" turns it off.'
    )
    commit: Pace = Field(
        rhythm.COMMIT, description='How long a change may stay uncommitted; "never" turns it off.'
    )
    worktree: Grounds = Field(
        None, description="Whether it has a git worktree and a branch of its own, or how."
    )
    restart: Restart = Field(
        default_factory=Restart, description="When it is started again; goes over [defaults]."
    )
    stop: Stop = Field(
        default_factory=Stop, description="How it is asked to end; goes over [defaults]."
    )


class Agent(Defaults):
    """One agent, or with `count` a pool of them; a text alone is its `run`."""

    run: Argv = Field(description="The command: a text for the shell, or a list as it is.")
    profile: Name | None = Field(
        None, description="Which program it is (`hive profile list`); without it, `run` tells."
    )
    account: Text | None = Field(
        None, description="Whose usage limits it shares; without it, all of its profile share one."
    )
    role: Name | None = Field(
        None, description="What it is for, any word; without it, its key without final digits."
    )
    skills: Skills = Field(
        (), description="What it can do, any words: a task that needs them goes to who has all."
    )
    count: Times | None = Field(
        None, description="Makes it a pool of so many, named key-1, key-2 and so on."
    )
    after: Texts = Field(
        (), description="Agents of this team, pools, or team/agent that must be ready before."
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Given to it as PORT; the second of a pool gets the next one."
    )
    window: Name | None = Field(
        None, description="The tmux window; without it, Team-Agent as in Frontend-Dev."
    )


OneAgent = Annotated[Agent, BeforeValidator(agent, json_schema_input_type=str | Agent)]


class Team(Table):
    """Agents that share a tmux session and a directory."""

    directory: Text | None = Field(
        None, description="The team's folder, from the file's; without it, that of [defaults]."
    )
    env: Env = Field(
        default_factory=dict, description="Variables for the team; go over those of [defaults]."
    )
    env_file: Texts = Field((), description="One or more .env files, from the team's folder.")
    session: Name | None = Field(
        None, description="The tmux session; without it, project-team as in Task-frontend."
    )
    agents: dict[Name, OneAgent] = Field(
        default_factory=dict, description="The agents, in the order of their windows."
    )


class Server(Table):
    """A server of the Model Context Protocol; exactly one of command and url."""

    command: Argv | None = Field(
        None, description="What is started and speaks over its input and output, as in `run`."
    )
    url: Url | None = Field(None, description="Where a server that already runs is.")
    env: Env = Field(default_factory=dict, description="Variables for the command.")
    env_file: Texts = Field(
        (), description="One or more .env files, from this file's folder; `env` goes over them."
    )
    headers: Headers = Field(default_factory=dict, description="What is sent with every request.")

    @model_validator(mode="after")
    def _one_way(self) -> Server:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs exactly one of `command` and `url`")
        if self.url and (self.env or self.env_file):
            raise ValueError("has variables, but only a `command` takes them; see `headers`")
        if self.command and self.headers:
            raise ValueError("has `headers`, but only a `url` takes them; see `env`")
        return self


class Tmux(Table):
    """Which tmux the agents live in."""

    socket: Socket = Field(
        "", description='"" is your own server, a word is `tmux -L`, a path is `tmux -S`.'
    )


class Limits(Table):
    """What all agents together may use of this machine."""

    cpu: SharedCpu | None = Field(
        None, description="The most CPU: a share of the whole machine, or a number of cores."
    )
    memory: SharedMemory | None = Field(
        None, description="The most memory: a share of the machine's, or a size."
    )
    agents: Processes | None = Field(
        None, description="How many agents may run at once; the others wait."
    )
    reserve: Reserve | None = Field(
        None, description="The memory that stays free for you; without it, 5%, at most 1GB."
    )
    budget: Budget | None = Field(
        None, description='The most that all agents together may cost, as "$20"; then hive asks.'
    )
    admission: bool = Field(
        limits.Ceiling().admission, description="Whether agents wait until there is room for them."
    )


class File(Table):
    """A whole `hive.toml`."""

    project: Name = Field(description="The first part of every session's and agent's name.")
    tmux: Tmux = Field(default_factory=Tmux, description="The tmux server to use.")
    limits: Limits = Field(default_factory=Limits, description="What all agents together may use.")
    defaults: Defaults = Field(
        default_factory=Defaults, description="What goes for every agent of the file."
    )
    mcp: dict[Name, Server] = Field(
        default_factory=dict, description="Servers that agents may use, by name."
    )
    teams: dict[Name, Team] = Field(default_factory=dict, description="The teams, by name.")
    work: Work = Field(default_factory=Work, description="How tasks are handed out and accepted.")
    escalation: Escalation = Field(
        default_factory=Escalation, description="When and how people are told what waits for them."
    )
    workflows: dict[Name, Workflow] = Field(
        default_factory=dict, description="Tasks in an order, to be run by name."
    )


class Workflows(Table):
    """A file of workflows alone, such as the templates that hive brings along."""

    workflows: dict[Name, Workflow] = Field(description="The workflows, by name.")
