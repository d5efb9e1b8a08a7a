"""From the text of a `hive.toml` to its model, with every mistake found on the way.

Nothing is guessed: an unknown key is a mistake. What is wrong is then left out and the rest read
again, so that the checks that come after (folders, programs, names) are told in the same breath;
what was left out is remembered, so that nothing is told that only follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hive.core import tables
from hive.core.mistakes import Mistake, Wrong, placed, private, refusal
from hive.core.model import File
from hive.core.positions import Path

PLACEHOLDER = ":"
"""The command of an agent whose own can't be read: it passes every check that follows."""

NOWHERE = "/dev/null/nowhere"
"""The directory of a table whose own can't be read: nothing in it is looked for."""

OTHER_WORDS = {
    "age": "max_age",
    "agent": "agents",
    "agent_type": "profile",
    "approval": "permission",
    "approvals": "permission",
    "args": "run command",
    "brief_file": "brief",
    "cli": "profile",
    "cmd": "run command",
    "command": "run",
    "cores": "cpu",
    "cost": "budget",
    "cpu_limit": "cpu",
    "cpus": "cpu",
    "cwd": "directory",
    "depends_on": "after",
    "dir": "directory",
    "envfile": "env_file",
    "environment": "env",
    "folder": "directory",
    "health": "alive",
    "healthcheck": "alive",
    "instructions": "brief",
    "kind": "profile",
    "lifetime": "max_age",
    "limit": "limits",
    "liveness": "alive",
    "max_agents": "agents",
    "max_cost": "budget",
    "max_delay": "longest",
    "max_lifetime": "max_age",
    "max_memory": "memory",
    "max_processes": "processes",
    "mcp_servers": "mcp",
    "mcpServers": "mcp",
    "mem": "memory",
    "mem_limit": "memory",
    "memory_high": "memory_soft",
    "memory_limit": "memory",
    "memory_max": "memory",
    "mode": "permission",
    "needs": "after",
    "nice": "priority",
    "path": "directory",
    "permissions": "permission",
    "pids": "processes",
    "prompt": "brief",
    "ram": "memory",
    "readiness": "ready",
    "replicas": "count",
    "resources": "limits",
    "retries": "attempts",
    "scale": "count",
    "servers": "mcp",
    "soft": "memory_soft",
    "soft_memory": "memory_soft",
    "spend": "budget",
    "task": "brief",
    "team": "teams",
    "template": "prelude",
    "trusted": "trust",
    "ttl": "max_age",
    "type": "profile",
    "workdir": "directory",
}
"""What others call our keys; a word may stand for the one in one table, for another in another."""

_STAND_INS = {"run": PLACEHOLDER, "directory": NOWHERE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a text says: `file` is None where so much is wrong that nothing further can be checked.

    With any mistake, `file` holds only what could be read, and is good for checks alone; `lost`
    are the places of all that was left out.
    """

    file: File | None
    source: tables.Source
    wrongs: tuple[Wrong, ...]
    lost: frozenset[Path]

    def mistakes(self, found: Iterable[Wrong] = ()) -> list[Mistake]:
        """Give every mistake, with those `found` since, in the order of the file."""
        others = placed((*self.wrongs, *found), self.source.text)
        return sorted([*self.source.repeated, *others], key=lambda mistake: mistake.line)


def parse(text: str, name: str) -> Parsed:
    """Read the text of the file called `name`; raises WrongInput where it isn't TOML."""
    source = tables.source(text, name)
    try:
        file = File.model_validate(source.values)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
    else:
        return Parsed(file=file, source=source, wrongs=(), lost=source.lost)
    wrongs = tables.wrongs(mistakes, File, OTHER_WORDS)
    rest, lost = _rest(source.values, mistakes)
    return Parsed(file=rest, source=source, wrongs=wrongs, lost=source.lost | lost)


def read(text: str, name: str = "hive.toml") -> File:
    """Read the text of the file called `name`; raises WrongInput with every mistake."""
    parsed = parse(text, name)
    mistakes = parsed.mistakes()
    if parsed.file is None or mistakes:
        raise refusal(mistakes, name)
    return parsed.file


def _rest(
    values: dict[str, Any], mistakes: list[ErrorDetails]
) -> tuple[File | None, frozenset[Path]]:
    """Read what is left when everything wrong is taken away, and tell the places of that.

    The file is None where what is left is wrong too.
    """
    lost: set[Path] = set()
    for _ in range(5):  # a table may turn out wrong as a whole once its keys are right
        for mistake in mistakes:
            lost.update(_mend(values, mistake))
        try:
            return File.model_validate(values), frozenset(lost)
        except ValidationError as error:
            mistakes = error.errors(include_url=False)
    return None, frozenset(lost)


def _mend(values: dict[str, Any], mistake: ErrorDetails) -> list[Path]:
    """Take one wrong value away, or put in what is needed to go on; give what is lost by it."""
    path = tuple(part for part in mistake["loc"] if part != "[key]")
    table: Any = values
    for part in path[:-1]:
        table = table.get(part) if isinstance(table, Mapping) else None
    if not isinstance(table, dict):
        return [path]
    table.pop(path[-1], None)
    if mistake["loc"][-1] == "[key]":
        return [path]
    key = path[-1]
    if mistake["type"] == "extra_forbidden":
        key = tables.meant(path, File, OTHER_WORDS)
        if not key or key in table:
            return []
    if path == ("project",):
        table["project"] = "project"
    elif len(path) == 4 and path[2] == "agents":
        table[key] = PLACEHOLDER
    elif key in _STAND_INS and path[0] != "mcp" and not private(path[:-1]):
        table[key] = _STAND_INS[key]
    return [(*path[:-1], key)]
