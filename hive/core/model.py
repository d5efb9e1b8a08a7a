"""The keys of `hive.toml`: their types, defaults and meaning.

These models are the documentation of the file: the JSON Schema is made from them, and a test
keeps `hive.toml.example` equal to them. They know nothing of folders, programs or other agents.
A validator's message goes after the key's name: "`count` must be …".
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from hive.core import amounts, limits, names, spec, units
from hive.core.expand import PORT

MOST = 1000
"""The largest pool: what is larger is a slip of the hand."""

MOST_PROCESSES = 1 << 22
"""As many as a kernel can have at once."""

KINDS = ("http", "tcp", "exec", "screen")
SIGNALS = frozenset({"HUP", "INT", "QUIT", "ABRT", "KILL", "USR1", "USR2", "PIPE", "ALRM", "TERM"})
"""The signals that end a program, by the names that Linux and macOS share."""

_PROBE = spec.Probe(kind="http", target="")
_RESTART = spec.Restart()
_STOP = spec.Stop()


def text(value: object) -> str:
    """Give a text that can be an argument or a variable: not empty, and without NUL."""
    if not isinstance(value, str):
        raise ValueError("must be a text in quotes")  # noqa: TRY004 - pydantic wants ValueError
    if not value.strip():
        raise ValueError("must not be empty")
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


def texts(value: object) -> tuple[str, ...]:
    """Read one text or a list of them."""
    if not isinstance(value, str | list):
        raise ValueError("must be a text in quotes or a list of them")  # noqa: TRY004
    return tuple(text(one) for one in ([value] if isinstance(value, str) else value))


def argv(value: object) -> tuple[str, ...]:
    """Read a command: a text is for the shell, a list is executed as it is."""
    if isinstance(value, str):
        return ("sh", "-c", text(value))
    if not isinstance(value, list) or not value:
        raise ValueError("must be a command in quotes, or a list of its words")
    if not all(isinstance(word, str) and "\0" not in word for word in value):
        raise ValueError("must be a list of texts without NUL characters")
    return (text(value[0]), *value[1:])


def variable(name: str) -> str:
    """Check the name of an environment variable."""
    if not name or re.search(r"[\s=\x00-\x1f\x7f]", name):
        raise ValueError("can't be a variable: no spaces, `=` or control characters in its name")
    return name


def content(value: str) -> str:
    """Check the value of an environment variable."""
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


def url(value: str) -> str:
    """Check a URL to be asked; `$PORT` stands for the agent's port."""
    trial = value.replace(PORT, "1")
    try:
        parts = urlsplit(trial)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise ValueError("must be a URL such as `http://127.0.0.1:8000/`")
    return value


def address(value: object) -> str:
    """Read a place to connect to: a port on 127.0.0.1, or `host:port`."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"127.0.0.1:{value}" if 0 < value < 65536 else ""
    if value == PORT:
        value = f"127.0.0.1:{PORT}"
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:]+):([0-9]{1,5}|\$PORT)", str(value))
    if not isinstance(value, str) or match is None:
        raise ValueError("must be a port from 1 to 65535, or `host:port`")
    if match[2] != PORT and not 0 < int(match[2]) < 65536:
        raise ValueError("must have a port from 1 to 65535")
    return value


def pattern(value: str) -> str:
    """Check a regular expression."""
    try:
        re.compile(text(value))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression: {error}") from None
    return value


def signal(value: str) -> str:
    """Read a signal's name, with or without `SIG`."""
    name = value.upper().removeprefix("SIG")
    if name not in SIGNALS:
        near = names.did_you_mean(name, SIGNALS)
        raise ValueError(f"must be a signal that ends a program, such as TERM or INT{near}")
    return name


def socket(value: str) -> str:
    """Check which tmux server: "" (the user's), a name, or a path."""
    if value.startswith(("/", "~/")):
        if len(value.encode()) > 100:
            raise ValueError("must be a path of at most 100 bytes: a socket's can't be longer")
        return text(value)
    if "/" in value:
        raise ValueError("must be a name, or a path that begins with `/` or `~/`")
    return names.safe(value) if value else value


def agent(value: Any) -> Any:
    """Read an agent written as its command alone."""
    return {"run": value} if isinstance(value, str) else value


Name = Annotated[
    str,
    AfterValidator(names.safe),
    WithJsonSchema({"type": "string", "pattern": names.PATTERN}),
]
Text = Annotated[str, BeforeValidator(text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(texts, json_schema_input_type=str | list[str])]
Argv = Annotated[tuple[str, ...], BeforeValidator(argv, json_schema_input_type=str | list[str])]
Url = Annotated[str, AfterValidator(url)]
Address = Annotated[str, BeforeValidator(address, json_schema_input_type=int | str)]
Pattern = Annotated[str, AfterValidator(pattern)]
Signal = Annotated[str, AfterValidator(signal)]
Socket = Annotated[str, AfterValidator(socket)]
Duration = Annotated[float, BeforeValidator(units.seconds, json_schema_input_type=str | float)]
Time = Annotated[Duration, AfterValidator(units.above_zero)]
Times = Annotated[int, Field(ge=1, le=MOST)]
Processes = Annotated[int, Field(ge=1, le=MOST_PROCESSES)]
Cpu = Annotated[float, BeforeValidator(amounts.cpu, json_schema_input_type=str | float)]
Memory = Annotated[int, BeforeValidator(amounts.memory, json_schema_input_type=str)]
Soft = Annotated[int | float, BeforeValidator(amounts.soft, json_schema_input_type=str)]
SharedCpu = Annotated[
    limits.Portion,
    BeforeValidator(amounts.shared_cpu, json_schema_input_type=str | float),
]
SharedMemory = Annotated[
    limits.Portion, BeforeValidator(amounts.shared_memory, json_schema_input_type=str)
]
Reserve = Annotated[limits.Portion, BeforeValidator(amounts.reserve, json_schema_input_type=str)]
Env = dict[Annotated[str, AfterValidator(variable)], Annotated[str, AfterValidator(content)]]


class Table(BaseModel):
    """A table of the file: exact types, no unknown keys, never changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    restart: Restart = Field(
        default_factory=Restart, description="When it is started again; goes over [defaults]."
    )
    stop: Stop = Field(
        default_factory=Stop, description="How it is asked to end; goes over [defaults]."
    )


class Agent(Defaults):
    """One agent, or with `count` a pool of them; a text alone is its `run`."""

    run: Argv = Field(description="The command: a text for the shell, or a list as it is.")
    role: Name | None = Field(
        None, description="What it is for, any word; without it, its key without final digits."
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
    teams: dict[Name, Team] = Field(default_factory=dict, description="The teams, by name.")
