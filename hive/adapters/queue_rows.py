"""How tasks and runs lie in the queue's tables.

What is asked for or guarded is a column; the rest of a task is JSON, so that a new field needs no
new column: unknown keys are left out, missing ones take their default.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

from hive.adapters import queue_tables as tables
from hive.core.locks import above
from hive.core.ordering import rank
from hive.core.tasks import OVER, Job, New, Report, Run, State, Task, Want

Row = Sequence[Any]

OVER_SQL = "('cancelled', 'dead', 'done')"
"""The states of OVER, for statements."""

COLUMNS = (
    "number, uid, job, state, why, since, created, run, key, parent, apart, due, blocked, spoiled,"
    " attempt, agent, launch, fence, until, begun, heard, finished, version, body"
)
"""The columns of a task, in the order `task_of` reads them."""

_ALL = [column.name for column in tables.task.c]
ADD_TASK = "INSERT INTO task ({}) VALUES ({})".format(
    ", ".join(_ALL), ", ".join(f":{name}" for name in _ALL)
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
    """Give what is written of the locks a task wants; one named twice is shared if both are."""
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
