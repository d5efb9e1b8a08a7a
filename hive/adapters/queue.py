"""The queue: one store of work, in a SQLite file of this machine or in PostgreSQL.

A move of a task is one statement that names the version it leaves, with its step and all that
follows from it in the same transaction. Only the store's clock says when a lease ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from hive.adapters import queue_add, queue_changes
from hive.adapters.notebook import Notebook
from hive.adapters.post import Superseded
from hive.adapters.queue_base import Base, SqliteBase
from hive.adapters.queue_claims import grant
from hive.adapters.queue_locks import Locks
from hive.adapters.queue_reads import NumberedStep, Reads, Step
from hive.adapters.queue_rows import OVER_SQL, RUN_COLUMNS, run_of, run_row, words
from hive.adapters.storefile import PATIENCE
from hive.core.tasks import Change, Claim, New, Run, Task

__all__ = ["NumberedStep", "Queue", "Step", "Superseded"]

T = TypeVar("T")

TIDIED = 5_000
"""How many tasks are dropped in one transaction."""

_RENEW = (
    "UPDATE task SET until = :now + :lease WHERE state = 'leased'"
    " AND (number, fence) {pairs:leases} RETURNING number"
)
_RUN_NAMES = "uid, workflow, project, state, created, finished, version, body"
_ADD_RUN = (
    f"INSERT INTO run ({_RUN_NAMES}) VALUES (:uid, :workflow, :project, :state, :created,"
    " :finished, :version, :body) RETURNING number"
)
_CHANGE_RUN = (
    "UPDATE run SET state = :state, finished = :finished, body = :body, version = version + 1"
    " WHERE number = :number AND version = :version RETURNING number"
)
_DROP = (
    f"DELETE FROM task WHERE number IN (SELECT t.number FROM task t WHERE t.state IN {OVER_SQL}"
    " AND t.finished < :before AND NOT EXISTS (SELECT 1 FROM need n JOIN task d"
    f" ON d.number = n.task WHERE n.needs = t.number AND d.state NOT IN {OVER_SQL})"
    " AND NOT EXISTS (SELECT 1 FROM task p WHERE p.number = t.parent"
    f" AND p.state NOT IN {OVER_SQL})"
    " AND NOT EXISTS (SELECT 1 FROM run r WHERE r.number = t.run AND r.state = 'running')"
    " ORDER BY t.number LIMIT :most) RETURNING number"
)
_ITS = (
    "DELETE FROM need WHERE task {in:numbers}",
    "DELETE FROM need WHERE needs {in:numbers}",
    "DELETE FROM want WHERE task {in:numbers}",
    "DELETE FROM step WHERE task {in:numbers}",
)
_OLD = (
    (
        "DELETE FROM run WHERE state <> 'running' AND finished < :before"
        " AND NOT EXISTS (SELECT 1 FROM task t WHERE t.run = run.number AND t.run > 0)"
    ),
    "DELETE FROM cache WHERE until < :before",
    "DELETE FROM fired WHERE at < :before",
)


class Queue(Reads):
    """The store of work of one hive, open for one thread.

    Every method raises `HiveError` where the store is full, locked, damaged, gone or out of
    reach; a write that failed left nothing, and may be tried again.
    """

    def __init__(self, base: Base) -> None:
        super().__init__(base)
        self.locks = Locks(base)
        self.notebook = Notebook(base)

    @classmethod
    def open(cls, where: str, *, patience: float = PATIENCE) -> Self:
        """Open the queue at a path or a `postgresql://` URL, making it where there is none.

        `patience` is how many seconds a write waits for another process's. An older hive's is
        brought up to date; a newer one's is not touched.
        """
        if where.startswith(("postgresql:", "postgresql+", "postgres:")):
            from hive.adapters.queue_postgres import PostgresBase

            return cls(PostgresBase(where, patience=patience))
        return cls(SqliteBase(Path(where), patience=patience))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def where(self) -> str:
        """What people call the place in which it lies; no password is in it."""
        return self._base.where

    def close(self) -> None:
        """Close it; nothing is waiting to be written."""
        self._base.close()

    def batch(self) -> AbstractContextManager[None]:
        """Have all that is written inside happen whole or not at all; it may be nested.

        Where one verb fails the whole batch does, even if its error is caught inside.
        """
        return self._base.batch()

    def add(self, new: Sequence[New]) -> list[Task]:
        """Add tasks in order, and give each: one of a known uid or `idem` as it was found.

        Raises WrongInput where one needs what is not there, or, in the end, itself.
        """
        return self._write(lambda: queue_add.add(self._base, new, self.now()), again=True)

    def add_run(self, run: Run, new: Sequence[New]) -> tuple[Run, list[Task]]:
        """Add a workflow's run and its tasks; one of a known uid is given as it was found."""
        return self._write(lambda: self._add_run(run, new), again=True)

    def _add_run(self, run: Run, new: Sequence[New]) -> tuple[Run, list[Task]]:
        ask = f"SELECT {RUN_COLUMNS} FROM run WHERE uid = :uid"
        if there := self._base.rows(ask, {"uid": words(run.uid)}):
            known = run_of(there[0])
        else:
            run = replace(run, created=run.created or self.now(), version=1)
            number = self._base.rows(_ADD_RUN, run_row(run))[0][0]
            known = replace(run, number=number)
        of_it = [replace(one, run=known.number) for one in new]
        return known, queue_add.add(self._base, of_it, self.now())

    def change_run(self, run: Run) -> Run:
        """Write a run over the version that it bears. Raises `Superseded` where it is older."""

        def written() -> Run:
            if not self._base.rows(_CHANGE_RUN, run_row(run)):
                raise Superseded(run.name)
            return replace(run, version=run.version + 1)

        return self._write(written)

    def claim(self, claims: Sequence[Claim]) -> list[Task]:
        """Hand tasks out, with all the locks they want; who gets nothing is left out."""
        granted = lambda: [grant(self._base, one) for one in claims]  # noqa: E731
        return [one for one in self._write(granted) if one is not None]

    def renew(self, leases: Sequence[tuple[int, int]], lease: float = 30.0) -> list[int]:
        """Let these leases (number and fence) go on, and give the numbers that have none now."""
        if not leases:
            return []
        values = {"leases": json.dumps([list(one) for one in leases]), "lease": lease}
        found = self._write(lambda: self._base.rows(_RENEW, values), again=True)
        ours = {row[0] for row in found}
        return [number for number, _ in leases if number not in ours]

    def wake(self) -> float | None:
        """Make ready what failed and whose time has come; give when the next task is due."""
        anything, due = queue_changes.asleep(self._base)
        return self._write(lambda: queue_changes.wake(self._base)) if anything else due

    def change(self, changes: Sequence[Change]) -> list[Task]:
        """Write moves, each over the version that its task bears, with all that follows.

        Raises `Superseded`, and changes nothing, where one is no longer of that version.
        """
        if not changes:
            return []
        return self._write(lambda: queue_changes.change(self._base, changes))

    def tidy(self, before: float) -> int:
        """Drop what was over before then, unless an open task or a running run needs it.

        Gives how many tasks were dropped.
        """
        count = 0
        while True:
            dropped = self._write(lambda: self._drop(before), again=True)
            count += dropped
            if dropped < TIDIED:
                return count

    def _drop(self, before: float) -> int:
        rows = self._base.rows(_DROP, {"before": before, "most": TIDIED})
        numbers = {"numbers": json.dumps([number for (number,) in rows])}
        for statement in _ITS if rows else ():
            self._base.rows(statement, numbers)
        if len(rows) < TIDIED:
            for statement in _OLD:
                self._base.rows(statement, {"before": before})
        return len(rows)

    def _write(self, body: Callable[[], T], *, again: bool = False) -> T:
        return self._base.write(body, again=again)
