"""What each agent used, kept for a year: fine for the last hour, coarse for what is long ago.

A file of its own beside the store. It is only worth looking at: a power failure may take its
last seconds, and a damaged one is set aside and begun anew. Samples of 10 s are kept for an
hour, then they become minutes; minutes are kept for three days, then they become hours. So each
moment lies in one table, and a year of 100 agents in about 80 MB.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Self

from hive.adapters.storefile import Damaged, StoreFile
from hive.core.accounting import Sample
from hive.errors import HiveError

MINUTE = 60
HOUR = 3600

FINE = HOUR
"""For how many seconds samples are kept as they came."""

MINUTES = 3 * 24 * HOUR
"""For how many seconds minutes are kept."""

HOURS = 365 * 24 * HOUR
"""For how many seconds hours are kept."""

PATIENCE = 1.0
"""Seconds to wait for another process's write: the supervisor's loop stands still meanwhile."""

VERSION = 1

_log = logging.getLogger("hive")

_NAMES = tuple(one.name for one in fields(Sample) if one.name not in {"agent", "at"})
_COLUMNS = ", ".join(_NAMES)
_TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
    at INTEGER NOT NULL, agent INTEGER NOT NULL REFERENCES agent, span REAL NOT NULL,
    cpu REAL NOT NULL, memory INTEGER NOT NULL, processes INTEGER NOT NULL,
    read INTEGER, written INTEGER, received INTEGER, sent INTEGER,
    held REAL NOT NULL, PRIMARY KEY ({key})
) WITHOUT ROWID"""
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS agent (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # What comes often lies by time: a round of all agents is then one or two pages to write.
    _TABLE.format(table="fine", key="at, agent"),
    _TABLE.format(table="minute", key="at, agent"),
    _TABLE.format(table="hour", key="agent, at"),
    f"PRAGMA user_version = {VERSION}",
)


def _sum(column: str) -> str:
    return f"{column} = coalesce({column} + excluded.{column}, {column}, excluded.{column})"


def _mean(column: str) -> str:
    both = f"{column} * span + excluded.{column} * excluded.span"
    return f"{column} = ({both}) / (span + excluded.span)"


def _most(column: str) -> str:
    return f"{column} = max({column}, excluded.{column})"


_MERGE = ", ".join(
    [
        _mean("cpu"),
        _mean("held"),
        _most("memory"),
        _most("processes"),
        "span = span + excluded.span",
    ]
    + [_sum(column) for column in ("read", "written", "received", "sent")]
)
_WHOLE = """sum(span), sum(cpu * span) / sum(span), max(memory), max(processes), sum(read),
    sum(written), sum(received), sum(sent), sum(held * span) / sum(span)"""
_THIN = f"""
INSERT INTO {{coarse}} (at, agent, {_COLUMNS})
SELECT (at + {{step}} - 1) / {{step}} * {{step}} AS until, agent, {_WHOLE}
FROM {{fine}} WHERE at <= ? GROUP BY until, agent
ON CONFLICT DO UPDATE SET {_MERGE}"""  # noqa: S608 - all of it stands in this file
_HISTORY = " UNION ALL ".join(
    f"SELECT name, at, {_COLUMNS} FROM {table} JOIN agent ON agent.id = {table}.agent"  # noqa: S608
    " WHERE at > :since AND at <= :until AND name IN ({names})"
    for table in ("hour", "minute", "fine")
)
_STEPS = f"""
SELECT name, (at + :step - 1) / :step * :step AS ends, {_WHOLE}
FROM ({_HISTORY}) GROUP BY name, ends"""  # noqa: S608


class Ledger:
    """What each agent used, open for one thread.

    Every method raises `HiveError` where the file is full, locked or gone; a damaged file is
    set aside (`usage.db.damaged`) and begun anew.
    """

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._ids: dict[str, int] = {}
        self._file: StoreFile | None = None

    @classmethod
    def open(cls, path: Path, *, patience: float = PATIENCE) -> Self:
        """Give the ledger of this path; the file is opened, or made, when it is first needed.

        `patience` is how many seconds a write waits for another process's.
        """
        return cls(path, patience=patience)

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
        if self._file:
            self._file.close()
            self._file = None

    def add(self, samples: Collection[Sample]) -> None:
        """Write samples down, each over one that ends at the same second."""
        if samples:
            self._again(lambda file: self._add(file, samples))

    def thin(self, now: float) -> None:
        """Make minutes and hours of what is old enough, and forget what is a year old.

        To be called once a minute or so; what was missed is done by the next call. Now and then
        it also works the write-ahead log in, which waits for the disk twice.
        """
        self._again(lambda file: _thin(file, int(now)))

    def history(
        self, agents: Iterable[str], since: float, until: float | None = None, *, step: int = 1
    ) -> dict[str, list[Sample]]:
        """Give the samples that ended after `since`, up to `until`, oldest first, by agent.

        Each moment comes once, as finely as it is still known, or with all of a `step` (in
        seconds) as one sample. An agent without samples has an empty list.
        """
        found: dict[str, list[Sample]] = {agent: [] for agent in agents}
        last = 1 << 62 if until is None else until
        self._again(lambda file: _read(file, found, {"since": since, "until": last, "step": step}))
        return found

    def peaks(self, since: float) -> dict[str, int]:
        """Give the most memory that each agent had in a sample that ended after `since`."""
        found: dict[str, int] = {}
        self._again(lambda file: found.update(_peaks(file, since)))
        return found

    def _open(self) -> StoreFile:
        file = StoreFile(self._path, patience=self._patience, waits=False)
        try:
            with file.told():
                known = self._known(file)
            file.prepare()
            if not known:
                with file.writing() as connection:
                    for statement in _SCHEMA:
                        connection.exec_driver_sql(statement)
        except BaseException:
            file.close()
            raise
        return file

    def _known(self, file: StoreFile) -> bool:
        """Whether it has our tables already; refuses a file that is not a ledger of this hive."""
        version = file.connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        listed = file.connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        if version != VERSION and (version or listed.scalar_one()):
            what = f"this is not a ledger of usage that this hive knows (version {version})"
            raise Damaged(what, where=str(self._path))
        return bool(version)

    def _again(self, work: Callable[[StoreFile], None]) -> None:
        """Do the work; where the file turns out to be damaged, do it with a new one."""
        try:
            self._once(work)
        except Damaged as error:
            self._set_aside(error)
            self._once(work)

    def _once(self, work: Callable[[StoreFile], None]) -> None:
        """Do the work; after a failure the file is opened anew by the next one."""
        try:
            self._file = self._file or self._open()
            work(self._file)
        except HiveError:
            self.close()
            self._ids = {}
            raise

    def _set_aside(self, error: HiveError) -> None:
        """Rename the file, over what was set aside before, so that a new one can be made."""
        to = self._path.with_name(f"{self._path.name}.damaged")
        _log.warning("%s: %s; set aside as %s, begun anew", self._path, error.what, to.name)
        for ending in ("-wal", "-shm", ""):
            one = self._path.with_name(f"{self._path.name}{ending}")
            if one.exists():
                one.replace(to.with_name(f"{to.name}{ending}"))

    def _add(self, file: StoreFile, samples: Collection[Sample]) -> None:
        marks = ", ".join("?" * (len(_NAMES) + 2))
        with file.writing() as connection:
            self._name(file, {one.agent for one in samples})
            rows = [
                (one.at, self._ids[one.agent], *(getattr(one, name) for name in _NAMES))
                for one in samples
            ]
            into = f"INSERT OR REPLACE INTO fine (at, agent, {_COLUMNS}) VALUES ({marks})"  # noqa: S608
            connection.exec_driver_sql(into, rows)

    def _name(self, file: StoreFile, agents: set[str]) -> None:
        """Learn the numbers of these agents, giving new ones where they have none."""
        ask = file.connection.exec_driver_sql
        for agent in agents - self._ids.keys():
            ask("INSERT OR IGNORE INTO agent (name) VALUES (?)", (agent,))
            number = ask("SELECT id FROM agent WHERE name = ?", (agent,)).scalar_one()
            self._ids[agent] = number


def _thin(file: StoreFile, now: int) -> None:
    fine = (now - FINE) // MINUTE * MINUTE
    minute = (now - MINUTES) // HOUR * HOUR
    with file.writing() as connection:
        ask = connection.exec_driver_sql
        ask(_THIN.format(coarse="minute", fine="fine", step=MINUTE), (fine,))
        ask("DELETE FROM fine WHERE at <= ?", (fine,))
        ask(_THIN.format(coarse="hour", fine="minute", step=HOUR), (minute,))
        ask("DELETE FROM minute WHERE at <= ?", (minute,))
        old = "DELETE FROM hour WHERE agent IN (SELECT id FROM agent) AND at <= ?"
        ask(old, (now - HOURS,))
    file.checkpoint()


def _read(file: StoreFile, found: dict[str, list[Sample]], span: dict[str, float]) -> None:
    for samples in found.values():
        samples.clear()
    names = {f"name{number}": name for number, name in enumerate(found)}
    shown = ", ".join(f":{name}" for name in names)
    wish = (_HISTORY if span["step"] <= 1 else _STEPS).format(names=shown)
    with file.told():
        rows = file.connection.exec_driver_sql(wish, {**span, **names}).all()
    for agent, at, *rest in rows:
        found[agent].append(Sample(agent=agent, at=at, **dict(zip(_NAMES, rest, strict=True))))
    for samples in found.values():
        samples.sort(key=lambda one: one.at)


def _peaks(file: StoreFile, since: float) -> dict[str, int]:
    each = " UNION ALL ".join(
        f"SELECT agent, memory FROM {table}"  # noqa: S608
        " WHERE agent IN (SELECT id FROM agent) AND at > :since"
        for table in ("hour", "minute", "fine")
    )
    wish = f"SELECT name, max(memory) FROM ({each}) seen JOIN agent ON agent.id = seen.agent"  # noqa: S608
    with file.told():
        rows = file.connection.exec_driver_sql(f"{wish} GROUP BY name", {"since": since})
        return {row[0]: row[1] for row in rows}
