"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hive.core.units import seconds
from hive.errors import WrongInput

if TYPE_CHECKING:
    from hive.core.fits import Over

Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON instead.")]
Name = Annotated[
    str, typer.Argument(metavar="AGENT", help="An agent: `team/agent`, or `project/team/agent`.")
]
Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME", help="Agents or teams: `team/agent` or `team`; `*` is any name."
    ),
]
AnyNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Agents or teams; all of them if none is named."),
]
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", metavar="FILE", help="Read this file, not the nearest hive.toml."),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is done.")]
Timeout = Annotated[
    str, typer.Option("--timeout", metavar="TIME", help="Wait so long: `90s`, `5m`.")
]
CpuLimit = Annotated[
    str | None,
    typer.Option(
        "--cpu-limit", metavar="PERCENT", help="All agents together get so much of the machine."
    ),
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="Each agent gets so much: `512MB`, `2GB`."),
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until Ctrl-C.")]

PATIENCE = "60s"
"""How long a command waits for agents where nobody says how long."""


def duration(text: str) -> float:
    """Read the value of `--timeout` in seconds; raises WrongInput."""
    try:
        return seconds(text)
    except ValueError as error:
        raise WrongInput(f"`--timeout` {error}", fix="write it like `--timeout 90s`") from error


def over(cpu_limit: str | None, memory: str | None) -> Over:
    """Read the values of `--cpu-limit` and `--memory`; raises WrongInput."""
    from hive.core import amounts
    from hive.core.fits import Over

    try:
        cpu = None if cpu_limit is None else amounts.percent(cpu_limit)
    except ValueError as error:
        fix = "write it like `--cpu-limit 40`: percent of the whole machine"
        raise WrongInput(f"`--cpu-limit` {error}", fix=fix) from error
    try:
        each = None if memory is None else amounts.memory(memory)
    except ValueError as error:
        raise WrongInput(f"`--memory` {error}", fix="write it like `--memory 512MB`") from error
    return Over(cpu=cpu, memory=each)
