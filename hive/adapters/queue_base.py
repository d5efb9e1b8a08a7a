"""One way to speak to the queue's two stores: a SQLite file, or PostgreSQL.

Statements are written once. `:now` is the store's own time; `{in:numbers}` and `{among:names}`
ask for one of a list, which is given as JSON. Each is translated once for each store and then
run by its driver itself: what SQLAlchemy adds to each call costs more than SQLite's work.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, text
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from hive.adapters.queue_rows import Row
from hive.adapters.queue_tables import SCHEMA, metadata
from hive.adapters.storefile import PATIENCE, Damaged, StoreFile, check
from hive.errors import HiveError

T = TypeVar("T")

_PIECE = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Base(ABC):
    """A store of work, open for one thread.

    Raises `HiveError` where it is full, locked, damaged, gone or out of reach. A write happens
    whole or not at all.
    """

    where: str
    """What people call it; no password is in it."""

    serial: bool
    """Whether one transaction writes at a time."""

    pieces: Mapping[str, str]
    """What the words in braces in a statement are here."""

    def __init__(self) -> None:
        self._translated: dict[str, str] = {}
        self._depth = 0
        self._failed: BaseException | None = None

    @abstractmethod
    def close(self) -> None:
        """Close it; nothing is waiting to be written."""

    @abstractmethod
    def now(self) -> float:
        """Give the store's time, in epoch seconds."""

    @abstractmethod
    def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Run a statement, and give the rows that it gives."""

    @abstractmethod
    def each(self, statement: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement that gives nothing for each of these."""

    @abstractmethod
    def numbers(self, table: str, count: int) -> list[int]:
        """Take so many numbers for new rows of a table, in order; only while writing."""

    @abstractmethod
    def decide(self, name: str) -> None:
        """Wait until nobody else decides about this; till the end of the transaction."""

    @abstractmethod
    def write(self, body: Callable[[], T], *, again: bool = False) -> T:
        """Run `body` as one transaction, or as part of the one that is open.

        PostgreSQL may want it run anew; `again` says that even what was written already may be.
        """

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[object]:
        """Begin a transaction, and end it."""

    @property
    @abstractmethod
    def _dialect(self) -> Dialect: ...

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Have all that is written inside happen whole or not at all; it may be nested.

        Where a part of it failed all of it does, even if whoever called the part went on.
        """
        if self._depth:
            self._depth += 1
            try:
                yield
            except BaseException as error:
                self._failed = self._failed or error
                raise
            finally:
                self._depth -= 1
            return
        with self._transaction():
            self._depth, self._failed = 1, None
            try:
                yield
                if self._failed is not None:
                    raise self._failed
            finally:
                self._depth = 0

    def translated(self, statement: str) -> str:
        """Give a statement as the driver wants it."""
        found = self._translated.get(statement)
        if found is None:
            whole = _PIECE.sub(self._piece, statement)
            found = str(text(whole).compile(dialect=self._dialect))
            self._translated[statement] = found
        return found

    def _piece(self, match: re.Match[str]) -> str:
        return self.pieces[match[1]].format(match[2])


class SqliteBase(Base):
    """The queue in a file of this machine."""

    serial = True
    pieces: Mapping[str, str] = {
        "in": "IN (SELECT value FROM json_each(:{0}))",
        "among": "IN (SELECT value FROM json_each(:{0}))",
        "pairs": "IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')"
        " FROM json_each(:{0}))",
        "find": "instr",
        "list": "SELECT value FROM json_each(:{0})",
        "share": "",
        "ordered": "",
        "within": "",
        # SQLite would rather go through all of an equal state than through the few of an index.
        "through": "INDEXED BY {0}",
        "settled": "TRUE",
    }

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        super().__init__()
        self.where = str(path)
        self._waiting: ExitStack | None = None
        self._file = StoreFile(path, patience=patience, queue=True)
        try:
            self._prepare()
        except Damaged as error:
            self._file.close()
            what = f"{error.what}: {check(path)}"
            raise Damaged(what, where=error.where, fix=error.fix) from error
        except BaseException:
            self._file.close()
            raise

    def _prepare(self) -> None:
        with self._file.told():
            number = self._schema()
        self._file.prepare()
        self.rows("PRAGMA cache_size = -16000")
        if number is None or number < SCHEMA:
            with self._file.writing() as connection:
                migrated(connection, self._schema(), self._copy)

    def _schema(self) -> int | None:
        tables = self._file.driver.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = {name for (name,) in tables}
        return schema_of(self._file.connection, names, self.where) if names else None

    def _copy(self, number: int) -> None:
        path = self._file.path
        self._file.backup(path.with_name(f"{path.name}.schema-{number}"))

    @property
    def _dialect(self) -> Dialect:
        return sqlite_dialect(paramstyle="named")

    def close(self) -> None:
        """Close the file; the last one to do so works its log in."""
        self._file.close()

    def now(self) -> float:
        """Give this machine's time."""
        return time.time()

    def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Run a statement, and give the rows that it gives."""
        found = self._translated.get(statement) or self.translated(statement)
        given = {"now": time.time()} if values is None else {"now": time.time(), **values}
        if self._depth:  # `batch` tells what is wrong
            self._begin()
            return self._file.driver.execute(found, given).fetchall()
        with self._file.told():
            return self._file.driver.execute(found, given).fetchall()

    def each(self, statement: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement that gives nothing for each of these."""
        if not values:
            return
        self._begin()
        now = time.time()
        given = [{"now": now, **one} for one in values]
        if len(given) == 1:
            self._file.driver.execute(self.translated(statement), given[0])
        else:
            self._file.driver.executemany(self.translated(statement), given)

    def numbers(self, table: str, count: int) -> list[int]:
        """Take the numbers after the last one that was ever given."""
        found = self.rows("SELECT seq FROM sqlite_sequence WHERE name = :name", {"name": table})
        first = int(found[0][0]) + 1 if found else 1
        return list(range(first, first + count))

    def decide(self, name: str) -> None:
        """Do nothing: whoever writes is alone."""

    def write(self, body: Callable[[], T], *, again: bool = False) -> T:  # noqa: ARG002
        """Run `body` as one transaction, or as part of the one that is open."""
        with self.batch():
            return body()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Begin only with the first statement: others are kept out no longer than they must."""
        with ExitStack() as stack:
            self._waiting = stack
            yield

    def _begin(self) -> None:
        if self._waiting is not None:
            stack, self._waiting = self._waiting, None
            stack.enter_context(self._file.writing())


def schema_of(connection: Connection, tables: set[str], where: str) -> int:
    """Give the number of the schema that a store has, whose tables these are.

    Raises `HiveError` for anything else than a queue, and for one of a newer hive.
    """
    number = None
    if {"fact", "task"} <= tables:
        wish = text("SELECT value FROM fact WHERE key = 'schema'")
        number = connection.execute(wish).scalar()
    if number is None or not number.isdecimal():
        what = "this is not a queue of hive's"
        raise HiveError(what, where=where, fix="give another place for it; nothing was changed")
    if int(number) > SCHEMA:
        what = f"the queue was written by a newer hive (schema {number}, this one knows {SCHEMA})"
        raise HiveError(what, where=where, fix="update hive; nothing was changed")
    return int(number)


def _tell_postgresql() -> None:
    """Give the tables what is only for PostgreSQL: where they are written, that would load it."""
    for table in metadata.tables.values():
        if "with" in table.info:
            table.dialect_options["postgresql"]["with"] = table.info["with"]
        for index in table.indexes:
            if "where" in index.info:
                index.dialect_options["postgresql"]["where"] = text(index.info["where"])


def migrated(
    connection: Connection, number: int | None, copy: Callable[[int], None] = lambda _: None
) -> None:
    """Bring the tables from schema `number` (None: there are none) to this one's.

    Only inside a transaction. `copy` is called before a store that holds something is changed.
    """
    if number == SCHEMA:
        return
    if number is None:
        if connection.dialect.name == "postgresql":
            _tell_postgresql()
        metadata.create_all(connection)
    else:
        from hive.adapters.migrations import QUEUE, migrate

        copy(number)
        migrate(connection, number, SCHEMA, QUEUE)
    connection.execute(text("DELETE FROM fact WHERE key = 'schema'"))
    wish = text("INSERT INTO fact (key, value) VALUES ('schema', :number)")
    connection.execute(wish, {"number": str(SCHEMA)})
