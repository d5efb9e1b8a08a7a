"""One SQLite file: opening it, writing it safely, and saying what is wrong with it.

Every commit is on the disk before it returns, unless the file is opened otherwise. One writes at
a time (`BEGIN IMMEDIATE`), readers wait for nobody. A write that fails changes nothing, and the
file can be used on. Where many processes write, a turnstile beside the file lets them in one by
one: SQLite itself lets some of them starve.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from hive.adapters.turnstile import Turnstile
from hive.errors import HiveError, TimedOut

PATIENCE = 5.0
"""Seconds to wait for another process's write."""

WAL_BYTES = 4 << 20
"""How long the write-ahead log may grow before it is worked into the file."""

QUEUED_BYTES = 32 << 20
"""The same of a file with a turnstile, which is written more often."""

PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    # SQLite before 3.51.3 can lose data when two processes work the log in at once; so only
    # `checkpoint` and the last one to close do it.
    "PRAGMA wal_autocheckpoint = 0",
)


class Damaged(HiveError):  # noqa: N818 - an error's name says what is wrong
    """The file is not what SQLite wrote."""


class StoreFile:
    """An open store file and its one connection, used by one thread."""

    def __init__(
        self, path: Path, *, patience: float = PATIENCE, waits: bool = True, queue: bool = False
    ) -> None:
        """Open it, making an empty private file where there is none.

        With `waits` every commit waits for the disk; without, the power's failing may take the
        last seconds, but damages nothing. With `queue`, writers queue at `NAME.lock` beside it,
        and whoever wrote works a long log in before the next one; it waits for the disk when it
        has let the next one in. Raises `HiveError` where it can't be opened or is no SQLite file.
        """
        self.path = path
        self._patience = patience
        self._waits = waits
        self._turnstile: Turnstile | None = None
        self._log: int | None = None
        with self.told():
            _make_private(path)
            engine = create_engine(
                "sqlite://",
                creator=self._connect,
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",  # `writing` begins and ends transactions itself
                hide_parameters=True,  # they may hold an agent's secrets
            )
            self.connection = engine.connect()
            self.driver = _driver(self.connection)
            self._identity = path.stat()
            if queue:
                self._turnstile = Turnstile(path.with_name(f"{path.name}.lock"))

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=self._patience, isolation_level=None)

    def prepare(self) -> None:
        """Set what lasts for the connection, and write-ahead logging for the file.

        Raises `HiveError` where the file can't be written.
        """
        with self.told():
            level = "FULL" if self._waits and self._turnstile is None else "NORMAL"
            self.connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
            for pragma in PRAGMAS:
                self.connection.exec_driver_sql(pragma)
            last = time.monotonic() + self._patience
            while not self._write_ahead(last):
                time.sleep(0.01)

    def _write_ahead(self, last: float) -> bool:
        """Switch write-ahead logging on; SQLite itself does not wait for others here."""
        if self.connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal":
            return True
        try:
            self.connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except DBAPIError as error:
            if _code(error.orig) != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
        return False

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction: all of it happens, or, when anything is raised, none of it.

        Raises `HiveError` where the file is full, locked, damaged or gone.
        """
        with self._said():
            self._refuse_lost()
            passed = self._pass()
            try:
                self.driver.execute("BEGIN IMMEDIATE")
                yield self.connection
                self.driver.execute("COMMIT")
                if passed is not None:
                    with suppress(HiveError):  # what was written is safe: the next one tries
                        self.checkpoint()
            except BaseException:
                if self.driver.in_transaction:  # some failures have rolled back already
                    self.driver.execute("ROLLBACK")
                raise
            finally:
                if passed is not None:
                    passed()
            self._flush()

    def _flush(self) -> None:
        """Wait until the disk has what was written, where the commit itself has not.

        So the next one writes meanwhile, and one wait of the disk's serves many. Whoever reads
        what the disk does not have yet, and writes because of it, waits for both: the log is one.
        """
        if self._turnstile is None or not self._waits:
            return
        try:
            if self._log is None:
                self._log = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            _sync(self._log)
        except OSError as error:
            what = f"the store can't be written: {error.strerror}; the last change may be lost"
            raise HiveError(what, where=str(self.path), fix="look at the disk") from error

    def _pass(self) -> Callable[[], None] | None:
        """Go through the turnstile, if there is one, and give how it is left. Raises `TimedOut`."""
        if self._turnstile is None:
            return None
        try:
            return self._turnstile.enter(self._patience)
        except TimeoutError as error:
            what = "the store is locked by another process"
            raise TimedOut(what, where=str(self.path), fix="try again") from error

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what SQLite, or the system, says of the file as a `HiveError`."""
        try:
            with self._said():
                yield
        except OSError as error:
            what = f"the store can't be opened: {error.strerror}"
            raise HiveError(what, where=str(self.path), fix=_MINE) from error

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Tell what SQLite says of the file as a `HiveError`; a wrong statement stays a bug."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            said = error.orig if isinstance(error, DBAPIError) else error
            if isinstance(said, sqlite3.Error) and (told := explain(said, self.path)):
                raise told from error
            raise

    def checkpoint(self) -> None:
        """Work a long write-ahead log into the file, unless somebody is in the way."""
        most = WAL_BYTES if self._turnstile is None else QUEUED_BYTES
        try:
            if os.stat(f"{self.path}-wal").st_size <= most:  # noqa: PTH116 - after every write
                return
        except FileNotFoundError:
            return
        with self.told():
            self.connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            try:
                self.connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
            finally:
                wait = int(self._patience * 1000)
                self.connection.exec_driver_sql(f"PRAGMA busy_timeout = {wait}")

    def backup(self, to: Path) -> None:
        """Copy the whole store, as it was last committed, into a private file, over one there.

        The copy is there whole or not at all. Raises `HiveError` where it can't be written.
        """
        draft = to.with_name(f"{to.name}.new")
        try:
            draft.unlink(missing_ok=True)  # what a killed copier may have left
            _make_private(draft)
            # A connection of its own: SQLite copies from none that is just writing.
            with closing(self._connect()) as source, closing(sqlite3.connect(draft)) as target:
                source.backup(target)
            draft.replace(to)
        except sqlite3.Error as error:
            raise explain(error, to) or error from error
        except OSError as error:
            raise HiveError(f"can't copy the store: {error.strerror}", where=str(to)) from error

    def close(self) -> None:
        """Close the file; the last one to do so works the write-ahead log in."""
        with self.told():
            self.connection.close()
        if self._turnstile is not None:
            self._turnstile.close()
            self._turnstile = None
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _refuse_lost(self) -> None:
        """Refuse to write into a file that was deleted or replaced: nobody would find it."""
        with suppress(FileNotFoundError):
            if os.path.samestat(self.path.stat(), self._identity):
                return
        what = "the store was deleted or replaced while it was open"
        fix = "put it back, or `hive stop-all` and `hive deploy` again"
        raise HiveError(what, where=str(self.path), fix=fix)


_MINE = "make it readable and writable for you, or set `HIVE_STATE` to a directory of your own"
_BROKEN = "move it away, with its `-wal` file, and `hive deploy` again"

_MEANINGS: dict[int, tuple[type[HiveError], str, str]] = {
    sqlite3.SQLITE_BUSY: (TimedOut, "is locked by another process", "try again"),
    sqlite3.SQLITE_LOCKED: (TimedOut, "is locked by another process", "try again"),
    sqlite3.SQLITE_PROTOCOL: (TimedOut, "is locked by another process", "try again"),
    sqlite3.SQLITE_FULL: (HiveError, "can't be written: the disk is full", "free some space"),
    sqlite3.SQLITE_IOERR: (
        HiveError,
        "can't be read or written: the disk failed, or a quota is used up",
        "free some space, and look at the disk",
    ),
    sqlite3.SQLITE_CORRUPT: (Damaged, "is damaged", _BROKEN),
    sqlite3.SQLITE_NOTADB: (Damaged, "is not a store of hive's", _BROKEN),
    sqlite3.SQLITE_READONLY: (HiveError, "can't be written", _MINE),
    sqlite3.SQLITE_CANTOPEN: (HiveError, "can't be opened", _MINE),
    sqlite3.SQLITE_PERM: (HiveError, "can't be opened", _MINE),
}


def explain(error: sqlite3.Error, path: Path) -> HiveError | None:
    """Say what is wrong with the file and what to do; None for what only a bug can cause."""
    meaning = _MEANINGS.get(_code(error))
    if meaning is None:
        return None
    kind, what, fix = meaning
    return kind(f"the store {what} ({error})", where=str(path), fix=fix)


def check(path: Path) -> str | None:
    """Read the whole file, and say what is damaged in it: None for nothing."""
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
            said: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        return str(error)
    return None if said == "ok" else said


def _code(error: BaseException | None) -> int:
    """Give SQLite's primary result code; 0 where there is none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


_sync = getattr(os, "fdatasync", os.fsync)


def _driver(connection: Connection) -> sqlite3.Connection:
    """Give SQLite's own connection."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError(driver)
    return driver


def _make_private(path: Path) -> None:
    """Make an empty file, or make one that is there ours alone.

    One that is there is not opened: to close it would drop SQLite's locks on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
