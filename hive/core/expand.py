"""From the file's model to the agents it stands for: defaults, pools, names, ports, probes.

Folders come from the file's folder inwards: the team's from it, the agent's from the team's.
Variables go the other way: the agent's over the team's over the defaults', and at each level
those written in the file over those of its .env files.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from hive.core import names, spec
from hive.core.limits import SOFT, Ceiling, Limits, Priority
from hive.core.plots import Wish
from hive.core.positions import Path
from hive.core.rhythm import Rhythm
from hive.core.rules import Rules

if TYPE_CHECKING:  # pydantic takes a tenth of a second to import
    from hive.core import model

Variables = tuple[tuple[str, str], ...]
Rule = TypeVar("Rule", spec.Restart, spec.Stop)

PORT = "$PORT"
"""Stands for an agent's own port in what its `http` and `tcp` probes ask."""

LIMITS = ("cpu", "memory", "memory_soft", "max_age", "processes")
"""The keys of an agent, or of [defaults], that say what it may use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the file is: its folder and the user's home, both absolute."""

    folder: str
    home: str

    def under(self, base: str, text: str) -> str:
        """Give the absolute path that `text` means in the folder `base`."""
        if text == "~" or text.startswith("~/"):
            text = self.home + text[1:]
        return posixpath.normpath(posixpath.join(base, text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A folder or file that the model names: by which key, and the absolute path it means."""

    path: Path
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One agent table of the file, and the agents it stands for.

    `wish` is the worktree that each of them is to have, None for none.
    """

    team: str
    key: str
    table: model.Agent
    agents: tuple[spec.Agent, ...]
    wish: Wish | None = None

    @property
    def path(self) -> Path:
        """Its place in the file."""
        return ("teams", self.team, "agents", self.key)

    @property
    def short(self) -> str:
        """Its name as people say it."""
        return f"{self.team}/{self.key}"


def levels(
    file: model.File, place: Place
) -> Iterator[tuple[Path, model.Defaults | model.Team, str]]:
    """Give each table that may name folders and variables: its path, itself, and its folder."""
    outer = place.under(place.folder, file.defaults.directory or "")
    yield ("defaults",), file.defaults, outer
    for name, team in file.teams.items():
        base = place.under(place.folder, team.directory) if team.directory else outer
        yield ("teams", name), team, base
        for key, agent in team.agents.items():
            path = ("teams", name, "agents", key)
            yield path, agent, place.under(base, agent.directory or "")


def directories(file: model.File, place: Place) -> list[Named]:
    """Give every folder that the file names, outer ones first."""
    return [
        Named(path=(*path, "directory"), target=folder)
        for path, table, folder in levels(file, place)
        if table.directory
    ]


def env_files(file: model.File, place: Place) -> list[Named]:
    """Give every .env file that the file names, in order."""
    tables: Iterable[tuple[Path, model.Defaults | model.Team | model.Server, str]] = (
        *levels(file, place),
        *((("mcp", name), server, place.folder) for name, server in file.mcp.items()),
    )
    return [
        Named(path=(*path, "env_file"), target=place.under(folder, one))
        for path, table, folder in tables
        for one in table.env_file
    ]


def members(file: model.File) -> dict[str, tuple[str, ...]]:
    """Give what each `team/name` in an `after` stands for: an agent, or all of a pool."""
    found: dict[str, tuple[str, ...]] = {}
    for team, wanted in file.teams.items():
        for key, table in wanted.agents.items():
            all_of_them = tuple(f"{team}/{name}" for name, _ in _members(key, table))
            found.setdefault(f"{team}/{key}", all_of_them)
            for one in all_of_them:
                found.setdefault(one, (one,))
    return found


def full(team: str, word: str) -> str:
    """Give the `team/name` that a word in the `after` of an agent of `team` means."""
    return word if "/" in word else f"{team}/{word}"


def expand(file: model.File, place: Place, variables: Mapping[str, Variables]) -> tuple[Entry, ...]:
    """Give the agents of each agent table, in the file's order.

    `variables` are the contents of the .env files by absolute path; one that is absent adds
    nothing. Names in `after` that nobody has are left out: `checks` tells them.
    """
    around = _Around(
        file=file,
        place=place,
        folders={path: folder for path, _, folder in levels(file, place)},
        variables=variables,
        members=members(file),
    )
    windows: dict[str, int] = {}
    found = []
    for team, wanted in file.teams.items():
        session = wanted.session or names.session(file.project, team)
        for key in wanted.agents:
            entry = _entry(around, team, key, first=windows.get(session, 0))
            windows[session] = windows.get(session, 0) + len(entry.agents)
            found.append(entry)
    return tuple(found)


def limited(file: model.File) -> bool:
    """Whether the file says a limit that must be held against the machine."""
    tables = (one for team in file.teams.values() for one in team.agents.values())
    keys = {"cpu", "memory", "memory_soft", "reserve"}
    return any(keys & table.model_fields_set for table in (file.limits, file.defaults, *tables))


def ceiling(file: model.File) -> Ceiling:
    """Give what all agents of the file together may use."""
    table = file.limits
    return Ceiling(
        cpu=table.cpu,
        memory=table.memory,
        agents=table.agents,
        reserve=table.reserve,
        budget=table.budget,
        admission=table.admission,
    )


def rules(file: model.File) -> Rules:
    """Give how the tasks of the file's project are handed out and accepted."""
    return file.work.rules()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What one agent table has to be read with."""

    file: model.File
    place: Place
    folders: Mapping[Path, str]
    variables: Mapping[str, Variables]
    members: Mapping[str, tuple[str, ...]]


def _entry(around: _Around, team: str, key: str, *, first: int) -> Entry:
    """Give the agents of one table; `first` is the place of the first one's window."""
    file, path = around.file, ("teams", team, "agents", key)
    table = file.teams[team].agents[key]
    env = _env(around, team, key)
    after = (one for word in table.after for one in around.members.get(full(team, word), ()))
    alike = spec.Agent(
        project=file.project,
        team=team,
        name=key,
        role=table.role or names.role(key),
        session=file.teams[team].session or names.session(file.project, team),
        window=table.window or names.window(team, key),
        argv=table.run,
        directory=around.folders[path],
        after=tuple(f"{file.project}/{one}" for one in dict.fromkeys(after)),
        restart=_merged(spec.Restart(), file.defaults.restart, table.restart),
        stop=_stop(file.defaults.stop, table.stop),
        limits=_limits(file.defaults, table),
        priority=_priority(file.defaults, table, table.role or names.role(key)),
        socket=_socket(file, around.place),
        skills=tuple(dict.fromkeys(table.skills)),
        capacity=_nearest(file.defaults, table, "capacity").capacity,
        rhythm=_rhythm(file.defaults, table),
    )
    agents = tuple(
        replace(
            alike,
            name=name,
            window=names.member(alike.window, number + 1) if table.count else alike.window,
            env=_with_port(env, port),
            ready=_probe(table.ready or file.defaults.ready, port),
            alive=_probe(table.alive or file.defaults.alive, port),
            port=port,
            order=first + number,
        )
        for number, (name, port) in enumerate(_members(key, table))
    )
    wish = _wish(file.defaults, table)
    return Entry(team=team, key=key, table=table, agents=agents, wish=wish)


def _members(key: str, table: model.Agent) -> Iterator[tuple[str, int | None]]:
    """Give the name and the port of each agent of a table."""
    for number in range(table.count or 1):
        port = table.port + number if table.port else None
        yield names.member(key, number + 1) if table.count else key, port


def _env(around: _Around, team: str, key: str) -> dict[str, str]:
    """Give the variables of an agent; what is nearer to it goes over what is further."""
    wanted = around.file.teams[team]
    tables: dict[Path, model.Defaults | model.Team] = {
        ("defaults",): around.file.defaults,
        ("teams", team): wanted,
        ("teams", team, "agents", key): wanted.agents[key],
    }
    env: dict[str, str] = {}
    for path, table in tables.items():
        for one in table.env_file:
            env.update(around.variables.get(around.place.under(around.folders[path], one), ()))
        env.update(table.env)
    return env


def _with_port(env: Mapping[str, str], port: int | None) -> Variables:
    found = dict(env)
    if port is not None:
        found.setdefault("PORT", str(port))
    return tuple(found.items())


def _probe(table: model.Probe | None, port: int | None) -> spec.Probe | None:
    if table is None:
        return None
    targets: dict[spec.ProbeKind, str | None] = {
        "http": table.http,
        "tcp": table.tcp,
        "exec": table.exec,
        "screen": table.screen,
    }
    kind, target = next((kind, target) for kind, target in targets.items() if target is not None)
    if port is not None and kind in {"http", "tcp"}:
        target = target.replace(PORT, str(port))
    return spec.Probe(
        kind=kind,
        target=target,
        interval=table.interval,
        timeout=table.timeout,
        threshold=table.threshold,
    )


def _merged(rule: Rule, *tables: model.Restart | model.Stop) -> Rule:
    """Give the rule with each table's own keys over it, the later over the earlier."""
    for table in tables:
        rule = replace(rule, **{key: getattr(table, key) for key in table.model_fields_set})
    return rule


def _stop(outer: model.Stop, inner: model.Stop) -> spec.Stop:
    merged = _merged(spec.Stop(), outer, inner)
    if "signal" in inner.model_fields_set:  # an agent's signal takes the place of default keys
        return replace(merged, keys=inner.keys)
    return merged


def _limits(outer: model.Defaults, inner: model.Defaults) -> Limits:
    """Give an agent's limits: its own keys, one by one, over the defaults."""
    nearest = {key: _nearest(outer, inner, key) for key in LIMITS}
    memory = nearest["memory"].memory
    return Limits(
        cpu=nearest["cpu"].cpu,
        memory=memory,
        soft=None if memory is None else _soft(memory, nearest["memory_soft"].memory_soft),
        max_age=nearest["max_age"].max_age,
        processes=nearest["processes"].processes,
    )


def _nearest(outer: model.Defaults, inner: model.Defaults, key: str) -> model.Defaults:
    """Give the table whose `key` counts."""
    return inner if key in inner.model_fields_set else outer


def _soft(memory: int, wanted: float | None) -> int:
    """Give the soft limit in bytes: `wanted` is a size (an int), or a share of `memory`."""
    if isinstance(wanted, int):
        return wanted
    return int(memory * (SOFT if wanted is None else wanted))


def _priority(outer: model.Defaults, inner: model.Defaults, role: str) -> Priority:
    return inner.priority or outer.priority or ("high" if role == "server" else "normal")


def _rhythm(outer: model.Defaults, inner: model.Defaults) -> Rhythm:
    return Rhythm(
        check_in=_nearest(outer, inner, "check_in").check_in,
        commit=_nearest(outer, inner, "commit").commit,
        push=str(_worktree(outer, inner).get("push") or ""),
    )


def _wish(outer: model.Defaults, inner: model.Defaults) -> Wish | None:
    """Give the worktree that an agent is to have, None for none."""
    if _nearest(outer, inner, "worktree").worktree is None:
        return None
    said = _worktree(outer, inner)
    return Wish(
        base=said.get("base") or "",
        copy=said.get("copy_", ()),
        setup=said.get("setup") or "",
        teardown=said.get("teardown") or "",
        ports=said.get("ports", ()),
        names=said.get("names", ()),
    )


def _worktree(outer: model.Defaults, inner: model.Defaults) -> dict[str, Any]:
    """Give what is said of an agent's worktree: its own keys, one by one, over the defaults."""
    if _nearest(outer, inner, "worktree").worktree is None:
        return {}
    tables = [one.worktree for one in (outer, inner) if one.worktree]
    return {key: getattr(table, key) for table in tables for key in table.model_fields_set}


def _socket(file: model.File, place: Place) -> str:
    socket = file.tmux.socket
    return place.under(place.folder, socket) if "/" in socket else socket
