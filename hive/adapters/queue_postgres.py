"""The queue in PostgreSQL, through psycopg.

Rows are locked, never tables: nobody stands in everybody's way. What fails because somebody else
was faster, or because the connection was lost, is run anew. Only where it was lost at the very
end, when nobody knows whether it happened, is that left to what may happen twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from hive.adapters.queue_base import Base, migrated, schema_of
from hive.adapters.queue_rows import Row
from hive.adapters.queue_tables import SCHEMA
from hive.adapters.storefile import PATIENCE
from hive.errors import HiveError, NotRunning, TimedOut

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError as error:  # an extra; only who gives such a URL needs it
    raise HiveError(
        "PostgreSQL can't be spoken to: psycopg is not installed",
        fix="pip install 'hive[postgres]'",
    ) from error

T = TypeVar("T")

TRIES = 3
"""How often something is tried that others were in the way of."""

_NUMBERS = "ARRAY(SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:{0} AS json)))"
_CONFLICTS = {"40001", "40P01", "55P03", "23505"}
_CLOCK = "CAST(extract(epoch FROM statement_timestamp()) AS double precision)"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_USUAL = {
    "application_name": "hive",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What libpq is told unless the URL says otherwise: a server that is gone is soon noticed."""

_SETTINGS = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "10s",
    # Every statement has its index. The planner does not know so before it has seen the tables
    # full, and a plan made then can take minutes.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
_LOST = "look whether the server runs; it is asked again at the next try"
_MEANINGS: Mapping[str, tuple[type[HiveError], str, str]] = {
    "40001": (TimedOut, "somebody else wrote the same", "try again"),
    "40P01": (TimedOut, "somebody else wrote the same", "try again"),
    "23505": (TimedOut, "somebody else wrote the same", "try again"),
    "55P03": (TimedOut, "it is locked by somebody else", "try again"),
    "57014": (TimedOut, "it took too long", "try again, and look at the server"),
    "25P03": (TimedOut, "a transaction was left open for too long", "try again"),
    "53100": (HiveError, "the server's disk is full", "free some space there"),
    "53300": (HiveError, "the server has too many connections", "raise `max_connections`"),
    "25006": (HiveError, "the server only reads", "name the primary server in the URL"),
    "28000": (HiveError, "the server refuses this user", "look at the URL's user"),
    "28P01": (HiveError, "the server refuses this password", "look at the URL's password"),
    "3D000": (HiveError, "there is no such database", "make it with `createdb`"),
    "3F000": (HiveError, "there is no such schema", "look at the URL's `search_path`"),
    "42501": (HiveError, "this user may not", "grant it the right to make tables there"),
}


class PostgresBase(Base):
    """The queue in a PostgreSQL database, which several machines may share."""

    serial = False
    pieces: Mapping[str, str] = {
        "in": f"= ANY({_NUMBERS})",
        "among": "= ANY(ARRAY(SELECT json_array_elements_text(CAST(:{0} AS json))))",
        "pairs": "IN (SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint)"
        " FROM json_array_elements(CAST(:{0} AS json)))",
        "list": "SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:{0} AS json))",
        "find": "strpos",
        "share": "FOR SHARE",
        "ordered": "WITH locked AS MATERIALIZED (SELECT number FROM task WHERE number IN (SELECT"
        f" task FROM need WHERE needs = ANY({_NUMBERS})) ORDER BY number FOR NO KEY UPDATE) ",
        "within": " AND task.number IN (SELECT number FROM locked)",
        "through": "",
        # Numbers are seen in the order of commits: one that is not yet may come before one that is.
        "settled": "age(xmin) > age(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS xid))",
    }

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        super().__init__()
        self._url = f"postgresql://{url.partition('://')[2]}"
        self.where = _public(self._url)
        self._patience = patience
        self._committing = False
        self._opened: Connection | None = None
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connected,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",  # `batch` begins and ends transactions itself
            hide_parameters=True,  # they may hold an agent's secrets
            use_native_hstore=False,
        )
        try:
            if self._tried(self._schema, again=True) != SCHEMA:
                self.write(self._prepare, again=True)
        except BaseException:
            self.close()
            raise

    def _connected(self) -> psycopg.Connection[Any]:
        given = conninfo_to_dict(self._url)
        usual: dict[str, Any] = {**_USUAL, "connect_timeout": max(2, round(self._patience))}
        mine = {key: value for key, value in usual.items() if key not in given}
        connection = psycopg.connect(self._url, autocommit=True, **mine)
        settings = {**_SETTINGS, "lock_timeout": f"{round(self._patience * 1000)}ms"}
        ask = "SELECT set_config(key, value, false) FROM json_each_text(%s)"
        connection.execute(ask, (json.dumps(settings),))
        connection.execute(_DURABLE)
        return connection

    def _schema(self) -> int | None:
        names = {name for (name,) in self._driver.execute(_TABLES)}
        return schema_of(self._connection, names, self.where) if names else None

    def _prepare(self) -> None:
        """Make the tables, or bring them up to date, unless somebody just did."""
        self.decide("schema")
        migrated(self._connection, self._schema())

    @property
    def _connection(self) -> Connection:
        if self._opened is None:
            self._opened = self._engine.connect()
        return self._opened

    @property
    def _driver(self) -> psycopg.Connection[Any]:
        driver = self._connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(driver)
        return driver

    @property
    def _dialect(self) -> Dialect:
        return self._engine.dialect

    def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def now(self) -> float:
        """Give the server's time."""
        return float(self.rows("SELECT :now")[0][0])

    def translated(self, statement: str) -> str:
        """Give a statement as psycopg wants it."""
        found = self._translated.get(statement)
        if found is None:
            found = super().translated(statement).replace("%(now)s", _CLOCK)
            self._translated[statement] = found
        return found

    def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Run a statement, and give the rows that it gives."""
        if self._depth:
            return self._rows(statement, values)
        return self._tried(lambda: self._rows(statement, values), again=True)

    def _rows(self, statement: str, values: Mapping[str, Any] | None) -> list[Row]:
        cursor = self._driver.execute(self.translated(statement).encode(), values)
        return cursor.fetchall() if cursor.description else []

    def each(self, statement: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement that gives nothing for each of these."""
        translated = self.translated(statement).encode()
        if len(values) == 1:
            self._driver.execute(translated, values[0])
        elif values:
            with self._driver.cursor() as cursor:
                cursor.executemany(translated, values)

    def numbers(self, table: str, count: int) -> list[int]:
        """Take the next numbers of the table's sequence."""
        ask = "SELECT nextval(pg_get_serial_sequence(:name, 'number'))"
        ask += " FROM generate_series(1, :count)"
        return [int(row[0]) for row in self.rows(ask, {"name": table, "count": count})]

    def decide(self, name: str) -> None:
        """Wait until nobody else decides about this; till the end of the transaction."""
        self.rows("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", {"name": name})

    def write(self, body: Callable[[], T], *, again: bool = False) -> T:
        """Run `body` as one transaction, or as part of the one that is open."""
        if self._depth:
            return self._whole(body)
        return self._tried(lambda: self._whole(body), again=again)

    def _whole(self, body: Callable[[], T]) -> T:
        with super().batch():
            return body()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Have all that is written inside happen whole or not at all; it may be nested."""
        try:
            with super().batch():
                yield
        except (psycopg.Error, DBAPIError) as error:
            if self._depth:
                raise  # the outermost tells it
            raise self._told(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        driver, self._committing = self._driver, False
        driver.execute("BEGIN")
        try:
            yield
            self._committing = True
            driver.execute("COMMIT")
            self._committing = False
        except BaseException:
            with suppress(psycopg.Error):  # a lost connection has rolled back
                driver.execute("ROLLBACK")
            raise

    def _tried(self, body: Callable[[], T], *, again: bool) -> T:
        """Run it, anew where others were in the way, or where the connection was lost."""
        for turn in range(1, TRIES):
            try:
                return body()
            except (psycopg.Error, DBAPIError) as error:
                unsure = self._committing and not again
                told = self._told(error)
                if unsure or not (isinstance(told, NotRunning) or _state(error) in _CONFLICTS):
                    raise told from error
                time.sleep(0.05 * turn)
        try:
            return body()
        except (psycopg.Error, DBAPIError) as error:
            raise self._told(error) from error

    def _told(self, error: psycopg.Error | DBAPIError) -> Exception:
        """Say what is wrong and what to do; a wrong statement stays a bug."""
        if meaning := _MEANINGS.get(_state(error)):
            kind, what, fix = meaning
            return kind(f"the queue: {what}", where=self.where, fix=fix)
        broken = self._opened is None or self._driver.closed
        if not broken:
            return error
        if self._opened is not None:
            self._opened.invalidate()
            self.close()
        said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        what = f"the queue can't be reached: {' '.join(said.split())}"
        if self._committing:
            self._committing = False
            what += "; what was just being written may be written, or not"
        return NotRunning(what, where=self.where, fix=_LOST)


def _state(error: psycopg.Error | DBAPIError) -> str:
    """Give PostgreSQL's code of what went wrong; "" where it could not be asked."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return getattr(said, "sqlstate", None) or ""


def _public(url: str) -> str:
    """Give a URL without its password and its options."""
    who, at, rest = url.partition("://")[2].partition("?")[0].rpartition("@")
    return f"postgresql://{who.partition(':')[0]}{at}{rest}"
