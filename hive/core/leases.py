"""Values that are an agent's own: TCP ports, and names such as those of databases.

What an agent has it keeps, over deploys and restarts, as long as it wants it. No two agents of
this node have the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hive.errors import WrongInput

PORTS = range(20_000, 30_000)
"""Below what systems give to connections by themselves, and above what is commonly listened on."""

LONGEST = 63
"""As many bytes as a name may have everywhere: PostgreSQL cuts what is longer."""

_DIGITS = 8

Key = tuple[str, str]
"""An agent's id, and a variable of its environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """The variables for which an agent wants ports and names of its own."""

    agent: str
    ports: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def allot(
    wanted: Sequence[Want],
    held: Mapping[Key, str],
    *,
    taken: Collection[int] = (),
    told: Collection[int] = (),
    room: range = PORTS,
) -> dict[Key, str]:
    """Give each of `wanted` all that it wants, and everybody else what they have.

    What is held by one of `wanted` that wants it no more is let go. `taken` are ports in use: no
    agent newly gets one of them. `told` are those that files give: nobody has one of them, also
    if it did before. Raises WrongInput where no port is left.
    """
    asking = {one.agent: one for one in wanted}
    found = {key: value for key, value in held.items() if _stays(key, value, asking, told)}
    ports = {int(value) for value in found.values() if value.isdecimal()} | {*taken, *told}
    names = set(found.values())
    for one in asking.values():
        for variable in one.ports:
            if (one.agent, variable) not in found:
                port = _port(one.agent, variable, ports, room)
                ports.add(port)
                found[one.agent, variable] = str(port)
        for variable in one.names:
            if (one.agent, variable) not in found:
                choices = _names(one.agent, variable if len(one.names) > 1 else "")
                name = next(choice for choice in choices if choice not in names)
                names.add(name)
                found[one.agent, variable] = name
    return found


def _stays(key: Key, value: str, asking: Mapping[str, Want], told: Collection[int]) -> bool:
    """Whether what is held goes on being held: nobody who is not asked loses anything."""
    agent, variable = key
    if agent not in asking:
        return True
    one = asking[agent]
    if value.isdecimal():
        return variable in one.ports and int(value) not in told
    return variable in one.names


def _port(agent: str, variable: str, taken: Collection[int], room: range) -> int:
    """Give the first port that is free, from one on that the agent's name tells."""
    first = int(_digest(f"{agent} {variable}"), 16) % len(room)
    for step in range(len(room)):
        port = room[(first + step) % len(room)]
        if port not in taken:
            return port
    what = f"no port from {room[0]} to {room[-1]} is left for `{variable}`"
    raise WrongInput(what, where=agent.partition("/")[2], fix="have fewer agents lease ports")


def _names(agent: str, variable: str) -> Iterator[str]:
    """Give names for an agent, the plainest first: `project_team_agent` and `…_variable`."""
    plain = re.sub(r"[^a-z0-9_]", "_", "_".join([*agent.split("/"), variable]).lower()).rstrip("_")
    plain = f"_{plain}" if plain[:1].isdigit() else plain
    if len(plain) <= LONGEST:
        yield plain
    number = 0
    while True:
        tail = _digest(f"{agent} {variable} {number}")[:_DIGITS]
        yield f"{plain[: LONGEST - _DIGITS - 1]}_{tail}"
        number += 1


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
