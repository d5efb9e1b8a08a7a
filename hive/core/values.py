"""What single values of a file may be: texts, commands, addresses, durations, amounts.

A reader's message goes after the key's name: "`count` must be …".
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from hive.core import amounts, limits, names, units
from hive.core.expand import PORT

MOST = 1000
"""The largest pool: what is larger is a slip of the hand."""

MOST_PROCESSES = 1 << 22
"""As many as a kernel can have at once."""

SIGNALS = frozenset({"HUP", "INT", "QUIT", "ABRT", "KILL", "USR1", "USR2", "PIPE", "ALRM", "TERM"})
"""The signals that end a program, by the names that Linux and macOS share."""


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


def header(name: str) -> str:
    """Check the name of a header of HTTP."""
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError("can't be a header: letters, digits and `-` only")
    return name


def printable(value: str) -> str:
    """Check the value of a header: one line, without control characters."""
    if not value.isprintable():
        raise ValueError("must not hold control characters")
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
Budget = Annotated[float, BeforeValidator(amounts.dollars, json_schema_input_type=str | float)]
Headers = dict[Annotated[str, AfterValidator(header)], Annotated[str, AfterValidator(printable)]]
Env = dict[Annotated[str, AfterValidator(variable)], Annotated[str, AfterValidator(content)]]


class Table(BaseModel):
    """A table of the file: exact types, no unknown keys, never changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
