"""Moves of tasks: each is written over the version it leaves, with all that follows from it.

What follows: a step of its story; its locks are let go with its lease; who needs it has one need
less (or, where it begins anew, one more); and who has none left, and of whom nothing has to be
decided, is ready.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from hive.adapters.post import Superseded
from hive.adapters.queue_base import Base
from hive.adapters.queue_claims import STEP, step_row
from hive.adapters.queue_rows import COLUMNS, OVER_SQL, changing, task_of, words
from hive.core.tasks import OVER, Change, State, Task

_SET = (
    "UPDATE task SET state = :state, why = :why, since = :since, due = :due, attempt = :attempt,"
    " agent = :agent, launch = :launch, fence = :fence, begun = :begun, heard = :heard,"
    " finished = :finished, spoils = :spoils, body = :body, version = version + 1"
)
_MINE = "WHERE number = :number AND version = :version"
_GIVES = "RETURNING blocked, spoiled, until, number, state, agent, fence"

# A lease is renewed without a new version: what was read before that may not shorten it.
_SAME = f"{_SET} {_MINE} AND state = 'leased' {_GIVES}"
_MOVE = f"{_SET}, until = :until {_MINE} AND state NOT IN {OVER_SQL} {_GIVES}"
_ANEW = f"{_SET}, until = :until {_MINE} {_GIVES}"

# PostgreSQL writes the step in the same statement: each one is a way there and back.
_TOLD = (
    "WITH moved AS (@), told AS (INSERT INTO step (task, at, state, agent, fence, why)"
    " SELECT number, :now, state, agent, fence, :told FROM moved)"
    " SELECT blocked, spoiled, until FROM moved"
)

_BEFORE = "SELECT number, state FROM task WHERE number {in:numbers} ORDER BY number {share}"
_LET_GO = "DELETE FROM held WHERE task {in:numbers}"

_COUNTED = (
    "(SELECT n.task, count(*) AS count, max(CASE WHEN t.spoils THEN 1 ELSE 0 END) AS spoils"
    " FROM need n JOIN task t ON t.number = n.needs WHERE n.needs {in:numbers} GROUP BY n.task)"
)
_LESS = (
    "{ordered:numbers}UPDATE task SET blocked = task.blocked - d.count,"
    f" spoiled = (task.spoiled OR d.spoils = 1) FROM {_COUNTED} d"
    " WHERE task.number = d.task{within} RETURNING number,"
    " (state = 'waiting' AND blocked = 0 AND plain AND NOT spoiled)"
)
_MORE = (
    f"{{ordered:numbers}}UPDATE task SET blocked = task.blocked + d.count FROM {_COUNTED} d"
    " WHERE task.number = d.task{within}"
)
_SPOILED = (
    "EXISTS (SELECT 1 FROM need n JOIN task o ON o.number = n.needs"
    " WHERE n.task = task.number AND o.spoils)"
)
_RESPOIL = (
    f"UPDATE task SET spoiled = {_SPOILED}"
    " WHERE number IN (SELECT task FROM need WHERE needs {in:numbers})"
)
_RECOUNT = (
    "UPDATE task SET blocked = (SELECT count(*) FROM need n JOIN task o ON o.number = n.needs"
    f" WHERE n.task = task.number AND o.state NOT IN {OVER_SQL}), spoiled = {_SPOILED}"
    " WHERE number {in:numbers}"
)
_OPEN = (
    "UPDATE task SET state = 'ready', why = :why, since = :now, version = version + 1"
    " WHERE number {in:numbers} AND state = 'waiting' AND blocked = 0 AND plain AND NOT spoiled"
    f" RETURNING {COLUMNS}"
)
_WAKE = (
    "UPDATE task SET state = 'ready', why = :why, since = :now, due = 0, version = version + 1"
    f" WHERE state = 'failed' AND due <= :now RETURNING {COLUMNS}"
)
_NEXT = (
    "SELECT min(due) FROM (SELECT min(due) AS due FROM task WHERE state = 'failed' UNION ALL"
    " SELECT min(due) FROM task WHERE state = 'ready' AND due > 0 AND due > :now) d"
)


def change(base: Base, changes: Sequence[Change]) -> list[Task]:
    """Write moves, and give the tasks as they are then. Only while writing.

    Raises `Superseded` where one is no longer of the version that its change leaves.
    """
    rows = [{**changing(one.after), "told": words(one.why)} for one in changes]
    steps = [step_row(one.after, one.why) for one in changes] if base.serial else []
    anew = [one.after.number for one in changes if one.after.state is State.WAITING]
    before = _states(base, anew)
    written: dict[int, Task] = {}
    pairs = zip((one.after for one in changes), rows, strict=True)
    for one, row in sorted(pairs, key=lambda pair: pair[0].number):
        written[one.number] = _written(base, one, row)
    base.each(STEP, steps)
    free = [one.number for one in written.values() if _has_let_go(one)]
    if free:
        base.rows(_LET_GO, _them(free))
    over = [one.number for one in written.values() if one.state in OVER]
    if over:
        _finished(base, over)
    if anew:
        _begun_anew(base, before)
        written |= {one: _read(base, one) for one in anew}
    return [written[one.after.number] for one in changes]


def wake(base: Base) -> float | None:
    """Make ready what failed and is due again, and give when the next one is.

    Only while writing.
    """
    rows = base.rows(_WAKE, {"why": "it is time for another attempt"})
    woken = [task_of(row) for row in rows]
    base.each(STEP, [step_row(one, one.why) for one in woken])
    found: float | None = base.rows(_NEXT)[0][0]
    return found


def asleep(base: Base) -> tuple[bool, float | None]:
    """Tell whether there is something to wake, and when the next one is due."""
    found = base.rows("SELECT 1 FROM task WHERE state = 'failed' AND due <= :now LIMIT 1")
    return bool(found), base.rows(_NEXT)[0][0]


def _written(base: Base, one: Task, row: dict[str, Any]) -> Task:
    statement = {State.LEASED: _SAME, State.WAITING: _ANEW}.get(one.state, _MOVE)
    found = base.rows(statement if base.serial else _TOLD.replace("@", statement), row)
    if not found:
        raise Superseded(one.name)
    blocked, spoiled, until, *_ = found[0]
    version = one.version + 1
    return replace(one, version=version, blocked=blocked, spoiled=bool(spoiled), until=until)


def _has_let_go(one: Task) -> bool:
    return bool(one.job.locks) and one.state is not State.LEASED


def _finished(base: Base, numbers: Sequence[int]) -> None:
    """Tell those that need these: one need less."""
    found = base.rows(_LESS, _them(numbers))
    _opened(base, [number for number, opens in found if opens])


def _begun_anew(base: Base, before: dict[int, str]) -> None:
    """Count anew what these need; and tell those that need them, where they had been over."""
    over = [number for number, state in before.items() if state in OVER]
    if over:
        base.rows(_MORE, _them(over))
        base.rows(_RESPOIL, _them(over))
    base.rows(_RECOUNT, _them(before))
    # What was taken from its agent waits on purpose: for its parts, or for its review.
    _opened(base, [number for number, state in before.items() if state != State.LEASED])


def _opened(base: Base, numbers: Collection[int]) -> None:
    """Make ready those of these that nothing has to be decided of."""
    if not numbers:
        return
    values = _them(numbers) | {"why": "all it needs is over"}
    rows = base.rows(_OPEN, values)
    base.each(STEP, [step_row(one, one.why) for one in map(task_of, rows)])


def _states(base: Base, numbers: Collection[int]) -> dict[int, str]:
    if not numbers:
        return {}
    return {row[0]: row[1] for row in base.rows(_BEFORE, _them(numbers))}


def _read(base: Base, number: int) -> Task:
    ask = f"SELECT {COLUMNS} FROM task WHERE number = :number"
    return task_of(base.rows(ask, {"number": number})[0])


def _them(numbers: Collection[int]) -> dict[str, Any]:
    return {"numbers": json.dumps(sorted(numbers))}
