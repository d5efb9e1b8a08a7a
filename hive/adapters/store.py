"""What hive knows and must not lose: what is wanted, what is remembered, and what happened.

A state change is one statement that names the version it leaves, with its event in the same
transaction. All times are epoch seconds (UTC).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Row, Select, Table, bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from hive.adapters import schema
from hive.adapters.journal import Journal
from hive.adapters.post import Post
from hive.adapters.schema import SCHEMA, agent, death, event, fact, team
from hive.adapters.storefile import PATIENCE, Damaged, StoreFile, check
from hive.adapters.storerows import remember, remember_teams, want
from hive.core.world import Holding, Memory, TeamMemory, Wanted
from hive.errors import HiveError

DEATHS = 20
"""How many deaths of an agent are kept."""

EVENTS = 100_000
"""How many events are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an agent, or ("") to hive itself."""

    agent: str
    kind: str
    text: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent(Event):
    """An event with its number; a later one's is greater."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The certificate of one launch: how it ended, what hive did next, its last screen.

    `code` is the exit code, `-N` for signal N, None if nobody knows. `ran` is in seconds.
    `largest` are its largest processes, where it died of what they used.
    """

    agent: str
    at: float
    launch: str
    code: int | None
    cause: str
    asked: bool
    next: str
    restarts: int
    ran: float
    screen: str
    largest: tuple[Holding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one action leaves to be written."""

    memory: Memory | None = None
    event: Event | None = None
    death: Death | None = None
    team: TeamMemory | None = None
    wanted: Wanted | None = None


class Store:
    """The store of one hive, open for one thread.

    Every method raises `HiveError` where the file is full, locked, damaged or gone; a write that
    failed left nothing, and may be tried again.
    """

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self.post = Post(file)
        self.journal = Journal(file)

    @classmethod
    def open(cls, path: Path, *, patience: float = PATIENCE) -> Self:
        """Open the store, making a new one where there is none.

        `patience` is how many seconds a write waits for another process's. An older hive's is
        brought up to date; a copy of it stays beside it, as `hive.db.schema-1`. Raises
        `HiveError` for a file that can't be used; one of a newer hive's is not touched.
        """
        file = StoreFile(path, patience=patience)
        try:
            with file.told():
                number = _schema_of(file)
            file.prepare()
            if number is None:
                _create(file)
            elif number < SCHEMA:
                _update(file)
        except Damaged as error:
            file.close()
            what = f"{error.what}: {check(path)}"
            raise Damaged(what, where=error.where, fix=error.fix) from error
        except BaseException:
            file.close()
            raise
        return cls(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; nothing is waiting to be written."""
        self._file.close()

    def wanted(self) -> dict[str, Wanted]:
        """Give what is wanted, by agent."""
        rows = self._rows(select(agent).where(agent.c.spec.is_not(None)).order_by(agent.c.agent))
        return {row.agent: schema.wanted_from(row) for row in rows}

    def memory(self) -> dict[str, Memory]:
        """Give what is remembered, by agent."""
        rows = self._rows(select(agent).where(agent.c.state.is_not(None)).order_by(agent.c.agent))
        return {row.agent: schema.memory_from(row) for row in rows}

    def teams(self) -> dict[str, TeamMemory]:
        """Give what is remembered of teams, by `project/team`."""
        rows = self._rows(select(team).order_by(team.c.team))
        return {row.team: schema.team_from(row) for row in rows}

    def want(self, changes: Mapping[str, Wanted], *, events: Sequence[Event] = ()) -> None:
        """Want these agents so from now on; others stay as they are."""
        with self._file.writing() as connection:
            want(connection, changes.values())
            _add(connection, events)

    def forget(self, name: str, event: Event) -> None:
        """Strike the agent from the wanted and the remembered; its past stays readable."""
        with self._file.writing() as connection:
            connection.execute(delete(agent).where(agent.c.agent == name))
            _add(connection, [event])

    def record(self, changes: Sequence[Record], now: float) -> list[Memory]:
        """Write what one round did, all of it or nothing; give the memories with new versions.

        Of several memories of one agent (or team) the last is written, over the version the
        first one names. Raises `Stale` where another write was faster.
        """
        memories = [change.memory for change in changes if change.memory]
        teams = [change.team for change in changes if change.team]
        with self._file.writing() as connection:
            remember(connection, memories, now)
            remember_teams(connection, teams)
            want(connection, [change.wanted for change in changes if change.wanted])
            _bury(connection, [change.death for change in changes if change.death])
            _add(connection, [change.event for change in changes if change.event])
        self._file.checkpoint()
        return [replace(memory, version=memory.version + 1) for memory in memories]

    def reset(self, agents: Collection[str], now: float) -> None:
        """Forget the failures of these agents, and let their teams restart again.

        What runs is kept; each agent gets an event `reset`.
        """
        teams = {name.rpartition("/")[0] for name in agents}
        with self._file.writing() as connection:
            rows = connection.execute(select(agent).where(agent.c.state.is_not(None)))
            found = [schema.memory_from(row) for row in rows if row.agent in agents]
            remember(connection, [_forgiven(memory) for memory in found], now)
            held = [schema.team_from(row) for row in connection.execute(select(team))]
            free = [
                replace(one, restarts=(), held=False, since=now)
                for one in held
                if one.team in teams
            ]
            remember_teams(connection, free)
            text = "its failures are forgotten (`hive reset`)"
            said = [Event(agent=name, kind="reset", text=text, at=now) for name in sorted(agents)]
            _add(connection, said)

    def add(self, events: Sequence[Event]) -> None:
        """Write down what happened."""
        with self._file.writing() as connection:
            _add(connection, events)

    def events(
        self,
        *,
        after: int = 0,
        agent: str | None = None,
        agents: Collection[str] | None = None,
        kinds: Collection[str] = (),
        limit: int = 1000,
        newest: bool = False,
    ) -> list[StoredEvent]:
        """Give events in the order they happened: the first `limit`, or the `newest` ones.

        `after` leaves out those up to this id. None of `agents` gives nothing, no `kinds` all.
        """
        wish = select(event).where(event.c.id > after).limit(limit)
        if agent is not None:
            wish = wish.where(event.c.agent == agent)
        if agents is not None:
            wish = wish.where(event.c.agent.in_(agents))
        if kinds:
            wish = wish.where(event.c.kind.in_(kinds))
        rows = self._rows(wish.order_by(event.c.id.desc() if newest else event.c.id))
        found = [StoredEvent(**row._asdict()) for row in rows]
        return found[::-1] if newest else found

    def between(
        self,
        since: float,
        until: float,
        agents: Collection[str] | None = None,
        limit: int = 1000,
    ) -> list[StoredEvent]:
        """Give the first `limit` events of this time, both ends included, by time."""
        wish = _during(event, since, until, agents).limit(limit)
        return [StoredEvent(**row._asdict()) for row in self._rows(wish)]

    def ends(
        self, since: float, until: float, agents: Collection[str] | None = None
    ) -> list[Death]:
        """Give the deaths of this time, both ends included, by time."""
        return [_death(row) for row in self._rows(_during(death, since, until, agents))]

    def deaths(self, name: str, limit: int = DEATHS) -> list[Death]:
        """Give the agent's deaths, the newest first."""
        wish = select(death).where(death.c.agent == name).order_by(death.c.id.desc())
        return [_death(row) for row in self._rows(wish.limit(limit))]

    def fact(self, key: str) -> str | None:
        """Give what was noted under this key."""
        rows = self._rows(select(fact.c.value).where(fact.c.key == key))
        return rows[0].value if rows else None

    def facts(self, prefix: str) -> dict[str, str]:
        """Give what was noted under keys that begin so, by the rest of the key."""
        rows = self._rows(select(fact).where(fact.c.key.startswith(prefix, autoescape=True)))
        return {row.key.removeprefix(prefix): row.value for row in rows}

    def strike(self, key: str) -> None:
        """Forget what was noted under a key."""
        with self._file.writing() as connection:
            connection.execute(delete(fact).where(fact.c.key == key))

    def note(self, key: str, value: str) -> None:
        """Note a value under a key, over what was there."""
        with self._file.writing() as connection:
            _note(connection, key, value)

    def backup(self, to: Path) -> None:
        """Copy the whole store, as it is at this moment, into a private file."""
        self._file.backup(to)

    def _rows(self, wish: Select[Any]) -> Sequence[Any]:
        with self._file.told():
            return self._file.connection.execute(wish).all()


def _schema_of(file: StoreFile) -> int | None:
    """Give the number of the schema that our tables in the file have: None for an empty one.

    Raises `HiveError` for anything else, before anything is written.
    """
    where = str(file.path)
    listed = file.connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = set(listed.scalars())
    if not tables:
        return None
    number = None
    if "fact" in tables:
        wish = select(fact.c.value).where(fact.c.key == "schema")
        number = file.connection.execute(wish).scalar()
    if number is None or not number.isdecimal():
        what = "this is not a store of hive's"
        raise HiveError(what, where=where, fix="move it away, and `hive deploy` again")
    if int(number) > SCHEMA:
        what = f"the store was written by a newer hive (schema {number}, this one knows {SCHEMA})"
        raise HiveError(what, where=where, fix="update hive; nothing was changed")
    return int(number)


def _create(file: StoreFile) -> None:
    """Make the tables, unless another process just did."""
    with file.writing() as connection:
        schema.metadata.create_all(connection)
        _note(connection, "schema", str(SCHEMA))


def _update(file: StoreFile) -> None:
    """Bring an older hive's tables up to date, unless another process just did."""
    from hive.adapters.migrations import migrate

    with file.writing() as connection:
        number = _schema_of(file)
        if number is None or number >= SCHEMA:
            return
        file.backup(file.path.with_name(f"{file.path.name}.schema-{number}"))
        migrate(connection, number, SCHEMA)
        _note(connection, "schema", str(SCHEMA))


def _note(connection: Connection, key: str, value: str) -> None:
    wish = insert(fact).values(key=key, value=value)
    connection.execute(wish.on_conflict_do_update(set_={"value": wish.excluded.value}))


def _forgiven(memory: Memory) -> Memory:
    return replace(memory, deaths=(), due=0.0, trials=0, quarantined=False, restarts=0)


def _during(
    table: Table, since: float, until: float, agents: Collection[str] | None
) -> Select[Any]:
    wish = select(table).where(table.c.at >= since, table.c.at <= until)
    if agents is not None:
        wish = wish.where(table.c.agent.in_(agents))
    return wish.order_by(table.c.at, table.c.id)


def _death(row: Row[Any]) -> Death:
    known = {name: getattr(row, name) for name in Death.__dataclass_fields__}
    return Death(**known | {"largest": schema.holdings_from(row.largest)})


def _bury(connection: Connection, deaths: Sequence[Death]) -> None:
    if not deaths:
        return
    rows = [
        {name: getattr(one, name) for name in Death.__dataclass_fields__}
        | {"largest": schema.holdings_text(one.largest)}
        for one in deaths
    ]
    connection.execute(death.insert(), rows)
    surplus = (
        select(death.c.id)
        .where(death.c.agent == bindparam("name"))
        .order_by(death.c.id.desc())
        .limit(1)
        .offset(DEATHS)
        .scalar_subquery()
    )
    guard = (death.c.agent == bindparam("name")) & (death.c.id <= surplus)
    connection.execute(delete(death).where(guard), [{"name": one.agent} for one in deaths])


def _add(connection: Connection, events: Sequence[Event]) -> None:
    if not events:
        return
    rows = [{name: getattr(one, name) for name in Event.__dataclass_fields__} for one in events]
    connection.execute(event.insert(), rows)
    newest = connection.execute(select(func.max(event.c.id))).scalar_one()
    if newest // 1000 > (newest - len(rows)) // 1000:  # now and then is often enough
        connection.execute(delete(event).where(event.c.id <= newest - EVENTS))
