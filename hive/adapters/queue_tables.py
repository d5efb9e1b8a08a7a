"""The queue's tables, and how tasks lie in them.

What is asked for or guarded is a column; the rest of a task is JSON, so that a new field needs no
new column: unknown keys are left out, missing ones take their default. All times are epoch
seconds of the store's clock. SQLite and PostgreSQL have the same tables.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import lru_cache
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

from hive.core.locks import above
from hive.core.ordering import rank
from hive.core.tasks import OVER, Job, New, Report, Run, State, Task, Want

SCHEMA = 1
"""The number of this schema, kept as the fact `schema`; `migrations.QUEUE` has the way to it."""

Row = Sequence[Any]

metadata = MetaData()

_BIG = BigInteger().with_variant(Integer, "sqlite")
_FREE = text("state = 'ready' AND blocked = 0")
_STATES = ", ".join(f"'{state}'" for state in State)


def _number(name: str, kind: Any = _BIG) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _words(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, nullable=False) for name in names]


def _times(*names: str) -> list[Column[Any]]:
    return [Column(name, Double, nullable=False) for name in names]


def _flags(*names: str) -> list[Column[Any]]:
    return [Column(name, Boolean, nullable=False) for name in names]


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


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
    _partial("task_later", "due", where="state = 'ready' AND due > 0"),
    _partial("task_leased", "until", where="state = 'leased'"),
    _partial("task_failed", "due", where="state = 'failed'"),
    _partial(
        "task_opening",
        "number",
        where="state = 'waiting' AND (blocked = 0 OR kind = 'group')",
    ),
    _partial("task_run", "run", "number", where="run > 0"),
    _partial("task_parent", "parent", "number", where="parent > 0"),
    Index("task_state", "state", "number"),
    sqlite_autoincrement=True,  # a number is never given twice
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

OVER_SQL = "('cancelled', 'dead', 'done')"
"""The states of OVER, for statements."""

COLUMNS = (
    "number, uid, job, state, why, since, created, run, key, parent, apart, due, blocked, spoiled,"
    " attempt, agent, launch, fence, until, begun, heard, finished, version, body"
)
"""The columns of a task, in the order `task_of` reads them."""

ADD_TASK = "INSERT INTO task ({}) VALUES ({})".format(
    ", ".join(task.c.keys()), ", ".join(f":{name}" for name in task.c.keys())
)

_encode = json.JSONEncoder(ensure_ascii=False).encode
_BODY = {
    "delivered": 0.0,
    "asked": "",
    "report": None,
    "rounds": 0,
    "text": "",
    "notes": (),
    "failures": (),
    "outcome": "",
    "result": "",
    "confidence": None,
}
_JOB = frozenset(field.name for field in fields(Job))
_LEFT = {field.name: getattr(Job(text=""), field.name) for field in fields(Job)} | {"text": None}


def words(value: str) -> str:
    """Give a text that both stores can hold: they take no NUL, and nothing but UTF-8."""
    if value.isascii() and "\0" not in value:
        return value
    return value.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def written(values: Any) -> str:
    """Give JSON that both stores can hold."""
    return words(_encode(values))


def changing(one: Task) -> dict[str, Any]:
    """Give the columns of a task that a change may write; the counts of needs are the store's."""
    return {
        "number": one.number,
        "version": one.version,
        "state": one.state.value,
        "why": words(one.why),
        "since": one.since,
        "due": one.due,
        "attempt": one.attempt,
        "agent": words(one.agent),
        "launch": words(one.launch),
        "fence": one.fence,
        "until": one.until,
        "begun": one.begun,
        "heard": one.heard,
        "finished": one.finished,
        "spoils": _spoils(one),
        "body": _body(one),
    }


def adding(one: Task, idem: str) -> dict[str, Any]:
    """Give all columns of a new task."""
    job = one.job
    return changing(one) | {
        "uid": words(one.uid),
        "idem": words(idem),
        "project": words(job.project),
        "run": one.run,
        "key": words(one.key),
        "parent": one.parent,
        "apart": one.apart,
        "kind": job.kind,
        "signature": words(job.signature),
        "team": words(job.team),
        "rank": rank(job, one.created),
        "blocked": one.blocked,
        "spoiled": one.spoiled,
        "plain": job.plain,
        "wants": bool(job.locks),
        "created": one.created,
        "job": _job_text(job),
    }


def task_of(row: Row) -> Task:
    """Read a task from its `COLUMNS`."""
    body = {} if row[23] == "{}" else _read_body(row[23])
    return Task(
        number=row[0],
        uid=row[1],
        job=_job(row[2]),
        state=State(row[3]),
        why=row[4],
        since=row[5],
        created=row[6],
        run=row[7],
        key=row[8],
        parent=row[9],
        apart=bool(row[10]),
        due=row[11],
        blocked=row[12],
        spoiled=bool(row[13]),
        attempt=row[14],
        agent=row[15],
        launch=row[16],
        fence=row[17],
        until=row[18],
        begun=row[19],
        heard=row[20],
        finished=row[21],
        version=row[22],
        **body,
    )


def new_task(new: New, number: int, now: float, **stands: Any) -> Task:
    """Give the task that was asked for, as it stands at first."""
    return Task(
        number=number,
        uid=new.uid,
        job=new.job,
        since=now,
        created=now,
        run=new.run,
        key=new.key,
        parent=new.parent,
        apart=new.apart,
        version=1,
        **stands,
    )


def lock_rows(number: int, locks: Sequence[Want]) -> list[dict[str, Any]]:
    """Give what is written of the locks that a task wants; one named twice is shared if both are."""
    found: dict[str, bool] = {}
    for one in locks:
        found[one.name] = one.shared and found.get(one.name, True)
    return [
        {
            "task": number,
            "name": words(name),
            "shared": shared,
            "above": higher(name),
            "root": root(name),
        }
        for name, shared in found.items()
    ]


def higher(name: str) -> str:
    """Give the names of the locks above one, each between line ends; "" for none."""
    return words("".join(f"\n{one}\n" for one in above(name)))


def root(name: str) -> str:
    """Give the highest name above a lock's: locks of different roots never overlap."""
    return words((name, *above(name))[-1])


RUN_COLUMNS = "number, uid, workflow, project, state, created, finished, version, body"
"""The columns of a run, in the order `run_of` reads them."""


def run_row(one: Run) -> dict[str, Any]:
    """Give the columns of a run."""
    body = {"why": one.why, "params": dict(one.params), "sender": one.sender}
    return {
        "number": one.number,
        "uid": words(one.uid),
        "workflow": words(one.workflow),
        "project": words(one.project),
        "state": one.state,
        "created": one.created,
        "finished": one.finished,
        "version": one.version,
        "body": written(body | {"definition": dict(one.definition)}),
    }


def run_of(row: Row) -> Run:
    """Read a run from its `RUN_COLUMNS`."""
    number, uid, workflow, project, state, created, finished, version, body = row
    found = json.loads(body)
    known = {
        name: found[name] for name in ("why", "params", "sender", "definition") if name in found
    }
    return Run(
        number=number,
        uid=uid,
        workflow=workflow,
        project=project,
        state=state,
        created=created,
        finished=finished,
        version=version,
        **known,
    )


def _spoils(one: Task) -> bool:
    """Whether it ended so that what needs it is not to go on."""
    if one.state not in OVER or one.outcome in {"done", "skipped"}:
        return False
    return one.job.on_failure != "continue"


def _body(one: Task) -> str:
    values = {
        name: value for name, plain in _BODY.items() if (value := getattr(one, name)) != plain
    }
    if one.report is not None:
        values["report"] = asdict(one.report)
    return written(values) if values else "{}"


def _read_body(text: str) -> dict[str, Any]:
    found = json.loads(text)
    known = {name: found[name] for name in _BODY if name in found}
    for name in ("notes", "failures"):
        if name in known:
            known[name] = tuple(known[name])
    if known.get("report"):
        known["report"] = Report(**known["report"])
    return known


def _job_text(job: Job) -> str:
    """Give a job as JSON, as `tasks.to_dict` does; not copied first, as thousands may be added."""
    values = {
        name: value for name, plain in _LEFT.items() if (value := getattr(job, name)) != plain
    }
    if job.locks:
        values["locks"] = [asdict(one) for one in job.locks]
    if job.params:
        values["params"] = dict(job.params)
    return written(values)


@lru_cache(maxsize=4096)
def _job(text: str) -> Job:
    """Read a job; it never changes, and the same ones are read again and again."""
    values = json.loads(text)
    if values.keys() - _JOB:
        values = {name: value for name, value in values.items() if name in _JOB}
    if "skills" in values:
        values["skills"] = tuple(values["skills"])
    if "locks" in values:
        values["locks"] = tuple(Want(**one) for one in values["locks"])
    return Job(**values)
