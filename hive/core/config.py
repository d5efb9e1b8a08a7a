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
from hive.core.model import File, Workflows
from hive.core.positions import Path
from hive.core.workflow_model import Workflow

PLACEHOLDER = ":"
"""The command of an agent whose own can't be read: it passes every check that follows."""

NOWHERE = "/dev/null/nowhere"
"""The directory of a table whose own can't be read: nothing in it is looked for."""

OTHER_WORDS = {
    "after": "needs",
    "age": "max_age",
    "agent": "agents",
    "agent_type": "profile",
    "approval": "permission",
    "approvals": "permission",
    "args": "run command",
    "attempts": "retries",
    "batch": "batch_key",
    "brief": "prompt",
    "brief_file": "brief",
    "capabilities": "skills",
    "cli": "profile",
    "cmd": "run command",
    "command": "run",
    "concurrency": "capacity",
    "condition": "when",
    "copies": "replicas",
    "cores": "cpu",
    "cost": "budget",
    "count": "replicas",
    "cpu_limit": "cpu",
    "cpus": "cpu",
    "cwd": "directory",
    "dependencies": "needs",
    "depends_on": "after needs",
    "dir": "directory",
    "envfile": "env_file",
    "environment": "env",
    "folder": "directory",
    "health": "alive",
    "healthcheck": "alive",
    "id": "name",
    "if": "when",
    "inputs": "params",
    "instructions": "brief prompt",
    "jobs": "tasks",
    "kind": "profile",
    "labels": "skills",
    "lifetime": "max_age",
    "limit": "limits",
    "liveness": "alive",
    "lock": "locks",
    "max_agents": "agents",
    "max_cost": "budget",
    "max_delay": "longest",
    "max_lifetime": "max_age",
    "max_memory": "memory",
    "max_processes": "processes",
    "max_retries": "retries",
    "max_tasks": "capacity",
    "mcp_servers": "mcp",
    "mcpServers": "mcp",
    "mem": "memory",
    "mem_limit": "memory",
    "memory_high": "memory_soft",
    "memory_limit": "memory",
    "memory_max": "memory",
    "message": "prompt",
    "needs": "after",
    "nice": "priority",
    "parameters": "params",
    "path": "directory",
    "permissions": "permission",
    "pids": "processes",
    "pool": "team",
    "prompt": "brief",
    "quorum": "agree",
    "ram": "memory",
    "readiness": "ready",
    "replicas": "count",
    "requires": "needs",
    "resources": "limits locks",
    "retries": "attempts",
    "scale": "count",
    "servers": "mcp",
    "soft": "memory_soft",
    "soft_memory": "memory_soft",
    "spend": "budget",
    "stages": "phases",
    "steps": "tasks",
    "stop_on_failure": "on_failure",
    "tags": "skills",
    "task": "brief prompt",
    "tasks": "workflows",
    "team": "teams",
    "template": "prelude",
    "test": "check",
    "text": "prompt",
    "threshold": "accept",
    "title": "name",
    "trusted": "trust",
    "ttl": "max_age cache",
    "type": "profile pattern",
    "vars": "params",
    "verify": "check",
    "voters": "jury",
    "workdir": "directory",
    "workflow": "workflows",
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


def workflows(text: str, name: str) -> dict[str, Workflow]:
    """Read the text of a file of workflows alone; raises WrongInput with every mistake."""
    from hive.core import workflow_checks

    source = tables.source(text, name)
    wrongs: tuple[Wrong, ...] = ()
    found: dict[str, Workflow] = {}
    try:
        found = Workflows.model_validate(source.values).workflows
    except ValidationError as error:
        wrongs = tables.wrongs(error.errors(include_url=False), Workflows, OTHER_WORDS)
    for key, table in found.items():
        wrongs = (*wrongs, *workflow_checks.wrongs(key, table))
    mistakes = [*source.repeated, *placed(wrongs, source.text)]
    if mistakes:
        raise refusal(mistakes, name)
    return found


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
    if path[0] == "workflows" and len(path) > 2:  # half a workflow is none
        values["workflows"].pop(path[1], None)
        return [path[:2]]
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
