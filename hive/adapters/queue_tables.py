"""The queue's tables, the same in SQLite and in PostgreSQL.

All times are epoch seconds of the store's clock. A table's text is what `queue_rows.words` gives.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

from hive.core.tasks import OVER, State

SCHEMA = 1
"""The number of this schema, kept as the fact `schema`; `migrations.QUEUE` has the way to it."""

metadata = MetaData()

_BIG = BigInteger().with_variant(Integer, "sqlite")
_FREE = text("state = 'ready' AND blocked = 0")
_STATES = ", ".join(f"'{state}'" for state in State)
_OVER = ", ".join(f"'{state}'" for state in sorted(OVER))


def _number(name: str, kind: Any = _BIG) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _words(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, nullable=False) for name in names]


def _times(*names: str) -> list[Column[Any]]:
    return [Column(name, Double, nullable=False) for name in names]


def _flags(*names: str) -> list[Column[Any]]:
    return [Column(name, Boolean, nullable=False) for name in names]


def _partial(name: str, *columns: str, where: str) -> Index:
    # What is said of a dialect loads it, which takes a while: PostgreSQL is told when it is used.
    return Index(name, *columns, sqlite_where=text(where), info={"where": where})


fact = Table("fact", metadata, Column("key", Text, primary_key=True), *_words("value"))

task = Table(
    "task",
    metadata,
    Column("number", _BIG, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    *_words("idem", "project", "key", "kind", "signature", "team"),
    Column("state", Text, CheckConstraint(f"state IN ({_STATES})"), nullable=False),
    *_words("why", "agent", "launch"),
    *map(_number, ("run", "parent", "blocked", "attempt", "fence", "version")),
    # `wants`: it needs locks. `plain`: it is ready as soon as its needs are done. `spoils`: it
    # ended so that what needs it is not to go on.
    *_flags("apart", "plain", "wants", "spoiled", "spoils"),
    *_times("rank", "due", "until", "begun", "heard", "since", "created", "finished"),
    *_words("job", "body"),
    _partial("task_idem", "idem", where="idem <> ''"),
    _partial("task_ready", "signature", "rank", "number", "due", where=str(_FREE)),
    # SQLite would rather have the equal state of another index than these without it.
    _partial("task_later", "state", "due", where="state = 'ready' AND due > 0"),
    _partial("task_leased", "until", where="state = 'leased'"),
    _partial("task_failed", "state", "due", where="state = 'failed'"),
    _partial(
        "task_opening",
        "number",
        where="state = 'waiting' AND (blocked = 0 OR kind = 'group')",
    ),
    _partial("task_run", "run", "number", where="run > 0"),
    _partial("task_open", "run", where=f"run > 0 AND state NOT IN ({_OVER})"),
    _partial("task_spoiling", "run", where="run > 0 AND spoils"),
    _partial("task_parent", "parent", "number", where="parent > 0"),
    Index("task_state", "state", "number"),
    sqlite_autoincrement=True,  # a number is never given twice
    # What was ready leaves its place in the index until PostgreSQL sweeps there.
    info={"with": {"autovacuum_vacuum_scale_factor": 0, "autovacuum_vacuum_threshold": 2000}},
)

need = Table(
    "need",
    metadata,
    Column("task", _BIG, primary_key=True),
    Column("needs", _BIG, primary_key=True),
    _number("place", Integer),
    Index("need_needs", "needs", "task"),
    sqlite_with_rowid=False,
)

want = Table(
    "want",
    metadata,
    Column("task", _BIG, primary_key=True),
    Column("name", Text, primary_key=True),
    *_flags("shared"),
    # `root` is the highest name above it: who decides about locks decides about all of a root.
    *_words("above", "root"),
    sqlite_with_rowid=False,
)

held = Table(
    "held",
    metadata,
    Column("name", Text, primary_key=True),
    Column("task", _BIG, primary_key=True),
    Column("agent", Text, primary_key=True),
    *_flags("shared"),
    *_words("above", "launch"),
    _number("fence"),
    *_times("at"),
    Index("held_task", "task"),
    sqlite_with_rowid=False,
)

step = Table(
    "step",
    metadata,
    Column("id", _BIG, primary_key=True),
    _number("task"),
    *_times("at"),
    *_words("state", "agent"),
    _number("fence"),
    *_words("why"),
    Index("step_task", "task", "id"),
    sqlite_autoincrement=True,  # an id is never given twice: `after` may point to a dropped one
)

run = Table(
    "run",
    metadata,
    Column("number", _BIG, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    *_words("workflow", "project", "state", "body"),
    *_times("created", "finished"),
    _number("version"),
    Index("run_state", "state", "number"),
    sqlite_autoincrement=True,
)

cache = Table(
    "cache",
    metadata,
    Column("key", Text, primary_key=True),
    _number("task"),
    *_words("result"),
    *_times("at", "until"),
)

score = Table(
    "score",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("skill", Text, primary_key=True),
    *_times("done", "failed", "seconds", "at"),
)

schedule = Table(
    "schedule",
    metadata,
    Column("project", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    *_times("next_at"),
    *_words("body"),
)

fired = Table(
    "fired",
    metadata,
    Column("project", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("at", Double, primary_key=True),
)
