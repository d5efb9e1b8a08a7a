"""What is wrong with a file that reads well: names taken twice, circles, what isn't there.

Pure: what is on this machine (folders, programs, .env files) comes as `Facts`, looked up by the
adapter that asked `expand` and `programs` what to look for. What only follows from something
that could not be read, and is told already, is not told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hive.core import names
from hive.core.conditions import templated
from hive.core.expand import PORT, Entry, Place, directories, env_files, full, members
from hive.core.guess import SHELL_WORDS
from hive.core.mistakes import Wrong
from hive.core.positions import Path
from hive.core.spec import Agent
from hive.core.units import as_text
from hive.core.voicing import texts
from hive.core.workflow import spots

if TYPE_CHECKING:  # pydantic takes a tenth of a second to import
    from hive.core import model, workflow_model
    from hive.core.vitals import Vitals

Lost = frozenset[Path]

_FIRST_WORD = re.compile(r"\s*([A-Za-z0-9_][A-Za-z0-9_.+-]*)(?=\s|[;|&<>]|$)(?!\s*\()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that must be found: in `path` (None: hive's own PATH) or from `directory`."""

    name: str
    directory: str
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What this machine has of what the file names.

    `directories` are those that exist, `programs` those that were found; `unread` says why a
    .env file can't be used, by its absolute path, `untold` why a brief or a template can't.
    `machine` is None where no limit is said.
    """

    directories: frozenset[str]
    programs: frozenset[Program]
    unread: Mapping[str, str]
    machine: Vitals | None
    untold: Mapping[str, str] = field(default_factory=dict)


def program(agent: Agent) -> Program | None:
    """Give the program an agent runs, or None where only a shell could tell."""
    name = (agent.voice.headless if agent.voice and agent.voice.headless else agent.argv)[0]
    if agent.voice and name == "hive":
        return None  # what has a voice finds hive before all else
    if agent.argv[:2] == ("sh", "-c") and len(agent.argv) == 3:
        first = _FIRST_WORD.match(agent.argv[2])
        if first is None or first[1] in SHELL_WORDS:
            return None
        name = first[1]
    return Program(name=name, directory=agent.directory, path=dict(agent.env).get("PATH"))


def check(
    file: model.File, place: Place, entries: Sequence[Entry], facts: Facts, lost: Lost = frozenset()
) -> tuple[Wrong, ...]:
    """Give everything wrong with a file that reads well, in no special order.

    `lost` are the places of what was left out of the file because it is wrong in itself.
    """
    return (
        *_missing(file, place, facts, lost),
        *_programs(entries, facts, lost),
        *_taken_twice(entries, lost),
        *_nobody(file, entries, lost),
        *_circles(file, entries),
        *_long_names(entries, lost),
        *_ports(entries, lost),
        *_patience(entries, lost),
        *_leased(entries, lost),
        *_limits(file, entries, facts, lost),
        *_workflows(file, lost),
    )


def _missing(file: model.File, place: Place, facts: Facts, lost: Lost) -> Iterator[Wrong]:
    """Find folders and files that aren't there; what is inside a missing one is left out."""
    missing: list[str] = []
    for named in directories(file, place):
        if named.target in facts.directories or _inside(named.target, missing):
            continue
        missing.append(named.target)
        if named.path not in lost:
            yield Wrong(path=named.path, what=f"`directory` {named.target} is not a folder")
    for named in env_files(file, place):
        if named.target in facts.unread and not _inside(named.target, missing):
            why = facts.unread[named.target]
            yield Wrong(path=named.path, what=f"`env_file` {named.target}: {why}")
    for named in texts(file, place):
        if named.target in facts.untold and not _inside(named.target, missing):
            what = f"`{named.path[-1]}` {named.target}: {facts.untold[named.target]}"
            yield Wrong(path=named.path, what=what)


def _inside(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _programs(entries: Sequence[Entry], facts: Facts, lost: Lost) -> Iterator[Wrong]:
    for entry in entries:
        wanted = program(entry.agents[0])
        if wanted is None or wanted in facts.programs:
            continue
        tables: list[Path] = [("defaults",), entry.path[:2], entry.path]
        if any({(*table, "env"), (*table, "env", "PATH")} & lost for table in tables):
            continue  # where to look is not known
        if "/" in wanted.name and wanted.directory not in facts.directories:
            continue
        yield Wrong(path=(*entry.path, "run"), what=f"program `{wanted.name}` not found")


def _taken_twice(entries: Sequence[Entry], lost: Lost) -> Iterator[Wrong]:
    """Find agents that share an id, a window or a port."""
    ids = list(_twice(entries, "count", lambda agent: agent.id, "agent `{0.short}`"))
    yield from ids
    told = {wrong.path[:-1] for wrong in ids}  # their windows have one name too, of course
    others = [entry for entry in entries if entry.path not in told]
    named = [entry for entry in others if not _unnamed(entry) & lost]
    yield from _twice(
        named, "window", lambda agent: (agent.session, agent.window), "window `{0.window}`"
    )
    yield from _twice(others, "port", lambda agent: agent.port, "port {0.port}")


def _unnamed(entry: Entry) -> Lost:
    """Give the places without which the names of its session and window are not known."""
    return frozenset({(*entry.path[:2], "session"), (*entry.path, "window")})


def _twice(
    entries: Sequence[Entry], key: str, of: Callable[[Agent], object], called: str
) -> Iterator[Wrong]:
    """Find entries with an agent that has what one of an earlier entry has."""
    first: dict[object, Entry] = {}
    for entry in entries:
        for agent in entry.agents:
            taken = of(agent)
            other = entry if taken is None else first.setdefault(taken, entry)
            if other is not entry:
                what = f"{called.format(agent)} is taken by `{other.short}`"
                yield Wrong(path=(*entry.path, key), what=what)
                break


def _nobody(file: model.File, entries: Sequence[Entry], lost: Lost) -> Iterator[Wrong]:
    known = members(file)
    for entry in entries:
        here = [one.removeprefix(f"{entry.team}/") for one in known]
        for word in entry.table.after:
            if full(entry.team, word) not in known and not _was_named(entry.team, word, lost):
                end = names.did_you_mean(word, here if "/" not in word else known)
                what = f"`after` names `{word}`, which is no agent{end}"
                yield Wrong(path=(*entry.path, "after"), what=what)


def _was_named(team: str, word: str, lost: Lost) -> bool:
    """Whether a word in an `after` of `team` may mean an agent that was left out."""
    slashes = [match.start() for match in re.finditer("/", word)]  # unsafe names may hold them
    meant = [(team, word), *((word[:at], word[at + 1 :]) for at in slashes)]
    paths = (
        ("teams", one, "agents", name, "count")
        for one, key in meant
        for name in (key, names.pool(key))
    )
    return any(path[:end] in lost for path in paths for end in range(1, len(path) + 1))


def _circles(file: model.File, entries: Sequence[Entry]) -> Iterator[Wrong]:
    """Find agents that wait for each other; each circle is told once."""
    known = members(file)
    by_name = {entry.short: entry for entry in entries}
    owner = {agent.short: entry.short for entry in entries for agent in entry.agents}
    waits = {
        entry.short: list(
            dict.fromkeys(
                owner[one]
                for word in entry.table.after
                for one in known.get(full(entry.team, word), ())
            )
        )
        for entry in entries
    }
    for circle in circles(waits):
        alone = len({by_name[one].team for one in circle}) == 1
        way = [by_name[one].key if alone else one for one in [*circle, circle[0]]]
        what = f"`after` goes in a circle: {' → '.join(way)}"
        yield Wrong(path=(*by_name[circle[0]].path, "after"), what=what)


def circles(waits: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Give circles of names that wait for each other; no name is in two of them.

    Without the names given, what is left has no circle. All names waited for must be keys.
    """
    left = dict(waits)
    while left:
        free = [name for name, others in left.items() if not any(one in left for one in others)]
        for name in free:
            del left[name]
        if free or not left:
            continue
        way = [next(iter(left))]
        while (following := next(one for one in left[way[-1]] if one in left)) not in way:
            way.append(following)
        circle = way[way.index(following) :]
        yield circle
        for name in circle:
            del left[name]


def _long_names(entries: Sequence[Entry], lost: Lost) -> Iterator[Wrong]:
    """Find sessions and windows whose names, put together from good ones, are too long."""
    for entry in entries:
        agent = entry.agents[-1]
        if _unnamed(entry) & lost:
            continue
        if len(agent.session) > names.LONGEST:
            what = f"session `{agent.session}` has more than {names.LONGEST} characters"
            yield Wrong(path=entry.path[:2], what=f"{what}; set `session`")
        if len(agent.window) > names.LONGEST:
            what = f"window `{agent.window}` has more than {names.LONGEST} characters"
            yield Wrong(path=entry.path, what=f"{what}; set `window`")


def _ports(entries: Sequence[Entry], lost: Lost) -> Iterator[Wrong]:
    for entry in entries:
        port, table = entry.agents[-1].port, entry.table
        if port and port > 65535:
            what = f"`port` {table.port} and `count` {table.count} go beyond port 65535"
            yield Wrong(path=(*entry.path, "port"), what=what)
        if port or {entry.path, (*entry.path, "port")} & lost:
            continue
        for key, probe in (("ready", entry.agents[0].ready), ("alive", entry.agents[0].alive)):
            if probe and probe.kind in {"http", "tcp"} and PORT in probe.target:
                path: Path = (*entry.path, key)
                what = f"`{key}` asks `{PORT}`, but `{entry.short}` has no `port`"
                yield Wrong(path=path, what=what)


def _patience(entries: Sequence[Entry], lost: Lost) -> Iterator[Wrong]:
    for entry in entries:
        rule = entry.agents[0].restart
        tables: list[Path] = [("defaults", "restart"), (*entry.path, "restart")]
        if any({table, (*table, "longest"), (*table, "delay")} & lost for table in tables):
            continue
        if rule.longest < rule.delay:
            own = entry.table.restart.model_fields_set & {"longest", "delay"}
            path: Path = (*entry.path, "restart") if own else ("defaults", "restart")
            what = f"`longest` ({as_text(rule.longest)}) is less than `delay`"
            yield Wrong(path=path, what=f"{what} ({as_text(rule.delay)})")


def _leased(entries: Sequence[Entry], lost: Lost) -> Iterator[Wrong]:
    """Find variables that are to get a value of an agent's own, and have one already."""
    for entry in entries:
        if entry.wish is None:
            continue
        agent, own = entry.agents[0], entry.table.worktree
        said = own.model_fields_set if own else set()
        for key, variables in (("ports", entry.wish.ports), ("names", entry.wish.names)):
            table: Path = entry.path if key in said else ("defaults",)
            path: Path = (*table, "worktree", key)
            for one in variables:
                if one not in dict(agent.env) or {path, path[:-1]} & lost:
                    continue
                other = "port" if one == "PORT" and agent.port else "env"
                what = f"`{key}` names `{one}`, which has its value from `{other}` already"
                yield Wrong(path=path, what=f"{what} in `{entry.short}`")


def _workflows(file: model.File, lost: Lost) -> Iterator[Wrong]:
    """Find what is wrong with workflows, and whom their tasks are for that the file has not."""
    if not file.workflows:
        return
    from hive.core import workflow_checks

    known = members(file)
    for name, table in file.workflows.items():
        yield from workflow_checks.wrongs(name, table)
        for spot in spots(table):
            for key, what in _strangers(file, known, spot.table, lost):
                yield Wrong(path=("workflows", name, *spot.path, key), what=what)


def _strangers(
    file: model.File, known: Mapping[str, Sequence[str]], table: workflow_model.Task, lost: Lost
) -> Iterator[tuple[str, str]]:
    """Find the team and the agent that a task is for and that the file has not."""
    team = table.team or ""
    if team and not templated(team) and not {("teams",), ("teams", team)} & lost:
        near = names.did_you_mean(team, file.teams)
        if team not in file.teams:
            yield "team", f"`team` names `{team}`, which is no team{near}"
            return
    word = full(team, table.agent or "")
    if not table.agent or templated(word) or _was_named(team, word, lost):
        return
    if word not in known:
        near = names.did_you_mean(word, known)
        yield "agent", f"`agent` names `{word}`, which is no agent{near}"
    elif known[word] != (word,):
        yield "agent", f"`agent` names `{word}`, which is a pool; name one of it, or a `role`"


def _limits(
    file: model.File, entries: Sequence[Entry], facts: Facts, lost: Lost
) -> Iterable[Wrong]:
    if facts.machine is None:
        return ()
    from hive.core import fits

    return fits.misfits(file, entries, facts.machine, lost)
