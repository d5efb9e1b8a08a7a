"""`hive limits`: what agents use of what they may, changing that at once, and advice about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from hive.cli import output, remote
from hive.cli.options import AnyNames, Json
from hive.core import amounts, units
from hive.core.limits import Portion
from hive.errors import WrongInput

NONE = "none"
"""The value that takes a limit away."""

EXAMPLES = {
    "--cpu": "--cpu 50%",
    "--memory": "--memory 1GB",
    "--memory-soft": "--memory-soft 80%",
    "--max-age": "--max-age 12h",
    "--processes": "--processes 200",
    "--agents": "--agents 20",
    "--reserve": "--reserve 2GB",
}
KEYS = {"--memory-soft": "soft", "--max-age": "max_age"}
"""The keys of changes that are not named like their option."""

SHARED = frozenset({"--cpu", "--memory", "--agents", "--reserve"})
OWN = frozenset({"--cpu", "--memory", "--memory-soft", "--max-age", "--processes"})

Cpu = Annotated[
    str,
    typer.Option("--cpu", metavar="CPU", help="Cores: `2`, or `50%` of one; shared: `50%` of all."),
]
MostMemory = Annotated[
    str, typer.Option("--memory", metavar="SIZE", help="Bytes: `512MB`; shared: also `75%`.")
]
Soft = Annotated[
    str, typer.Option("--memory-soft", metavar="SIZE", help="When to warn: `80%` or `400MB`.")
]
MaxAge = Annotated[
    str, typer.Option("--max-age", metavar="TIME", help="Restart it when it is so old: `12h`.")
]
Processes = Annotated[
    str, typer.Option("--processes", metavar="N", help="How many processes it may have.")
]
Agents = Annotated[
    str, typer.Option("--agents", metavar="N", help="How many agents may run, of all of them.")
]
Reserve = Annotated[
    str, typer.Option("--reserve", metavar="SIZE", help="Memory that stays free: `2GB`, `10%`.")
]
Whose = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Agents or teams; what all share if none is named."),
]

Parser = Callable[[str], Any]
Record = dict[str, Any]


def limits(names: AnyNames = None, json: Json = False) -> None:
    """Tell what agents use, what they may use, and what hive does about it."""
    record = remote.look("limits", names=names or [])
    if json:
        output.as_json(record)
        return
    from hive import screen_limits

    output.show(screen_limits.limits(record), whole=True)


def limits_set(  # noqa: PLR0913 - its options are its parameters
    names: Whose = None,
    *,
    cpu: Cpu = "",
    memory: MostMemory = "",
    memory_soft: Soft = "",
    max_age: MaxAge = "",
    processes: Processes = "",
    agents: Agents = "",
    reserve: Reserve = "",
    json: Json = False,
) -> None:
    """Change limits at once, until the next deploy; `none` takes one away."""
    texts = (cpu, memory, memory_soft, max_age, processes, agents, reserve)
    given = {option: text for option, text in zip(EXAMPLES, texts, strict=True) if text}
    changes = changes_of(given, shared=not names)
    record = remote.ask("set_limits", names=names or [], changes=changes)
    keep = kept(record["agents"], given)
    if json:
        output.as_json({**record, "keep": keep})
        return
    from hive import screen_limits

    output.show(screen_limits.limits_set(record, keep), whole=True)


def limits_advise(names: AnyNames = None, json: Json = False) -> None:
    """Tell which limits would suit what agents were seen to use."""
    from hive.offline import Offline  # a year of samples would keep the supervisor busy

    record = Offline(remote.state()).advise(names or [])
    if json:
        output.as_json(record)
        return
    from hive import screen_limits

    output.show(screen_limits.advice(record), whole=True)


def changes_of(given: Mapping[str, str], *, shared: bool) -> Record:
    """Read options and their texts as the changes that the supervisor takes; raises WrongInput.

    `shared` says that they are for what all agents share, not for agents by name.
    """
    if not given:
        fix = "hive limits set NAME --memory 1GB"
        raise WrongInput("nothing is to be changed: no limit is given", fix=fix)
    wrong = [option for option in given if option not in (SHARED if shared else OWN)]
    if wrong:
        whose = "is an agent's own: name one" if shared else "is what all agents share: name none"
        name = "NAME " if shared else ""
        fix = f"hive limits set {name}{EXAMPLES[wrong[0]]}"
        raise WrongInput(f"`{wrong[0]}` {whose}", fix=fix)
    parsers = _SHARED if shared else _OWN
    return {
        KEYS.get(option, option.removeprefix("--")): _read(option, text, parsers[option])
        for option, text in given.items()
    }


def kept(agents: Iterable[Record], given: Mapping[str, str]) -> list[str]:
    """Give the lines of hive.toml that say the same as these options."""
    from hive.accounts import table_of

    tables = dict.fromkeys(table_of(one["id"]) for one in agents)
    places = ", here and in [defaults]" if tables else ""
    lines = [_line(_key(option), text, places) for option, text in given.items()]
    tables = tables or {"[limits]": None}
    return [line for table in tables for line in (table, *lines)]


def _read(option: str, text: str, parse: Parser) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        fix = f"write it like `{EXAMPLES[option]}`"
        raise WrongInput(f"`{option}` {error}", fix=fix) from error


def _or_none(parse: Parser) -> Parser:
    return lambda text: None if text == NONE else parse(text)


def _number(text: str) -> str | float:
    """Give a bare number as one: the parsers take a text for something with a unit."""
    digits = text.replace(".", "", 1)
    return float(text) if digits.isascii() and digits.isdigit() else text


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 10**9):
        raise ValueError(f"must be a whole number from 1 on, not {text[:40]!r}")
    return int(text)


def _soft(text: str) -> Any:
    found = amounts.soft(text)
    return {"share": found} if isinstance(found, float) else found


def _portion(parse: Callable[[Any], Portion]) -> Parser:
    return _or_none(lambda text: asdict(parse(text)))


_OWN: dict[str, Parser] = {
    "--cpu": _or_none(lambda text: amounts.cpu(_number(text))),
    "--memory": _or_none(amounts.memory),
    "--memory-soft": _or_none(_soft),
    "--max-age": _or_none(lambda text: units.above_zero(units.seconds(text))),
    "--processes": _whole,
}
_SHARED: dict[str, Parser] = {
    "--cpu": _portion(lambda text: amounts.shared_cpu(_number(text))),
    "--memory": _portion(amounts.shared_memory),
    "--agents": _or_none(_whole),
    "--reserve": _portion(amounts.reserve),
}


def _key(option: str) -> str:
    """Give the key of hive.toml that an option stands for."""
    return option.removeprefix("--").replace("-", "_")


def _line(key: str, text: str, places: str) -> str:
    if text == NONE:
        return f"# leave `{key}` out{places}"
    return f"{key} = {text}" if isinstance(_number(text), float) else f'{key} = "{text}"'
