"""The rhythm of an agent: how often it is asked how it goes, its work saved, and where it works.

Plain values, as `spec.Agent` carries them. Durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

CHECK_IN = 900.0
COMMIT = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often hive looks how an agent gets on, and saves what it changed (0: never).

    `push` is the remote that checkpoints of its own branch are pushed to, "" for none.
    """

    check_in: float = CHECK_IN
    commit: float = COMMIT
    push: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The git worktree that is an agent's own; all paths are absolute.

    It is made at `path`, on `branch`, from the repository whose work tree is `repo`, beginning
    with `base` ("" is what is checked out there). `copy` are files of `repo`, by paths below it
    and patterns, that git does not have and the agent needs. `setup` and `teardown` are commands
    for the shell, run in the worktree before its first launch and before it is removed.
    `names` are variables of the environment that get a name of the agent's own (a database's),
    `ports` those that get a port of its own.
    """

    repo: str
    path: str
    branch: str
    base: str = ""
    copy: tuple[str, ...] = ()
    setup: str = ""
    teardown: str = ""
    ports: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def rhythm_from(values: Mapping[str, Any]) -> Rhythm:
    """Read a rhythm back from JSON; keys that are not known are left out."""
    known = {one.name for one in fields(Rhythm)}
    return Rhythm(**{key: value for key, value in values.items() if key in known})


def plot_from(values: Mapping[str, Any]) -> Plot:
    """Read a plot back from JSON; keys that are not known are left out."""
    known = {one.name for one in fields(Plot)}
    found = {key: value for key, value in values.items() if key in known}
    lists = {key: tuple(found.get(key, ())) for key in ("copy", "ports", "names")}
    return Plot(**{**found, **lists})
