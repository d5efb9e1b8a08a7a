"""Handing a task out: one statement for each store.

A task is handed out with all the locks it wants or not at all, and a copy never to an agent that
has or had another copy. In SQLite one writes at a time, so what the statement sees is so. In
PostgreSQL nobody waits for anybody: what somebody else is just deciding about is passed by. There
a task with locks, or a copy, is looked at again in a statement of its own, once its locks' names
are ours to decide about: only that sees what was committed in between.
"""

from __future__ import annotations

import json
from typing import Any

from hive.adapters.queue_base import Base
from hive.adapters.queue_rows import COLUMNS, task_of, words
from hive.core.tasks import Claim, Task

TRIES = 100
"""How many tasks that can't be had just now are passed by for one claim."""

_SET = (
    "UPDATE task SET state = 'leased', agent = :agent, launch = :launch, fence = fence + 1,"
    " attempt = attempt + 1, until = :now + :lease, begun = :now, heard = :now, since = :now,"
    " why = :why, version = version + 1"
)

# Counted, not EXISTS: PostgreSQL might join all locks that any task wants, once for each claim.
_UNHINDERED = (
    "@.state = 'ready' AND @.blocked = 0 AND @.due <= :now"
    " AND NOT (@.wants AND ("
    "(SELECT count(*) FROM want w JOIN held h ON h.name = w.name WHERE w.task = @.number"
    " AND NOT (w.shared AND h.shared) AND NOT (h.task = 0 AND h.agent = :agent)) > 0"
    " OR (SELECT count(*) FROM want w JOIN held h ON {find}(w.above, '\n' || h.name || '\n') > 0"
    " OR {find}(h.above, '\n' || w.name || '\n') > 0 WHERE w.task = @.number"
    " AND substr(w.name, 1, 5) = 'path:'"
    " AND NOT (w.shared AND h.shared) AND NOT (h.task = 0 AND h.agent = :agent)) > 0))"
    " AND NOT (@.apart AND (SELECT count(*) FROM task c JOIN step s ON s.task = c.number"
    " WHERE c.parent = @.parent AND c.parent > 0 AND c.apart AND c.number <> @.number"
    " AND s.agent = :agent) > 0)"
)
"""Whether a task (`@`) may be handed to this agent now."""

BY_NUMBER = f"{_SET} WHERE number = :number AND {_UNHINDERED} RETURNING {COLUMNS}".replace(
    "@", "task"
)
"""SQLite's claim of one task; PostgreSQL's of one that it has locked."""

BY_SIGNATURE = (
    f"{_SET} WHERE number = (SELECT p.number FROM (SELECT (SELECT t.number FROM task t"
    f" WHERE t.signature = s.value AND {_UNHINDERED} ORDER BY t.rank, t.number LIMIT 1) AS number"
    " FROM json_each(:signatures) s) c JOIN task p ON p.number = c.number"
    f" ORDER BY p.rank, p.number LIMIT 1) RETURNING {COLUMNS}"
).replace("@", "t")
"""SQLite's claim: the first of the first ones of each signature."""

_PICKING = (
    "pick AS MATERIALIZED (SELECT p.number AS picked, (p.wants OR p.apart) AS bound"
    " FROM first f JOIN task p ON p.number = f.number AND p.version = f.version"
    " ORDER BY f.rank, f.number LIMIT 1 FOR NO KEY UPDATE OF p SKIP LOCKED),"
    f" leased AS ({_SET} FROM pick WHERE task.number = pick.picked AND NOT pick.bound"
    f" RETURNING {COLUMNS}),"
    " told AS (INSERT INTO step (task, at, state, agent, fence, why)"
    " SELECT number, :now, state, agent, fence, why FROM leased)"
    " SELECT (SELECT count(*) FROM first), pick.picked, pick.bound, leased.* FROM (SELECT 1) one"
    " LEFT JOIN pick ON TRUE LEFT JOIN leased ON TRUE"
)

PICK_NUMBER = (
    "WITH first AS MATERIALIZED (SELECT t.number, t.rank, t.version FROM task t"
    f" WHERE t.number = :number AND {_UNHINDERED}), {_PICKING}"
).replace("@", "t")
"""PostgreSQL's claim of one task: one that is `bound` is only locked."""

PICK_SIGNATURE = (
    "WITH first AS MATERIALIZED (SELECT c.*"
    " FROM json_array_elements_text(CAST(:signatures AS json)) AS s(value)"
    " CROSS JOIN LATERAL (SELECT t.number, t.rank, t.version FROM task t"
    f" WHERE t.signature = s.value AND {_UNHINDERED} AND t.number <> ALL(CAST(:passed AS bigint[]))"
    f" ORDER BY t.rank, t.number LIMIT 4) c), {_PICKING}"
).replace("@", "t")
"""PostgreSQL's claim. Of each signature a few are looked at: the first may be being claimed."""

_DECIDE = (
    "SELECT bool_and(pg_try_advisory_xact_lock(hashtextextended(r.name, 0))) FROM ("
    "SELECT DISTINCT root AS name FROM want WHERE task = :number UNION ALL"
    " SELECT 'apart ' || parent FROM task WHERE number = :number AND apart) r"
)

_TAKE = (
    "INSERT INTO held (name, task, agent, shared, above, launch, fence, at)"
    " SELECT w.name, t.number, t.agent, w.shared, w.above, t.launch, t.fence, :now"
    " FROM want w JOIN task t ON t.number = w.task WHERE t.number = :number"
)

STEP = (
    "INSERT INTO step (task, at, state, agent, fence, why)"
    " VALUES (:number, :now, :state, :agent, :fence, :why)"
)
"""Write one step of a task's story."""


def grant(base: Base, claim: Claim) -> Task | None:
    """Hand one task out, with its step and its locks; None if there is none. Only while writing."""
    values = {
        "agent": words(claim.agent),
        "launch": words(claim.launch),
        "lease": claim.lease,
        "why": words(claim.why or f"handed to {claim.agent}"),
        "number": claim.number,
        "signatures": json.dumps([words(one) for one in claim.signatures]),
    }
    if not base.serial:
        return _picked(base, claim, values)
    found = base.rows(BY_NUMBER if claim.number else BY_SIGNATURE, values)
    return _told(base, task_of(found[0])) if found else None


def _picked(base: Base, claim: Claim, values: dict[str, Any]) -> Task | None:
    passed: list[int] = []
    statement = PICK_NUMBER if claim.number else PICK_SIGNATURE
    for _ in range(TRIES):
        values["passed"] = passed
        seen, number, bound, *row = base.rows(statement, values)[0]
        if number is not None and not bound:
            return task_of(row)
        if number is not None:
            if (one := _decided(base, values | {"number": number})) is not None:
                return one
            passed.append(number)
        if claim.number or not seen:  # what was seen and is had by nobody now is somebody else's
            return None
    return None


def _decided(base: Base, values: dict[str, Any]) -> Task | None:
    """Hand out a task that is locked, if its locks are free and nobody else decides about them."""
    if not base.rows(_DECIDE, values)[0][0]:
        return None
    found = base.rows(BY_NUMBER, values)
    return _told(base, task_of(found[0])) if found else None


def _told(base: Base, one: Task) -> Task:
    """Write the step of a task that was handed out, and take its locks."""
    base.each(STEP, [step_row(one, one.why)])
    if one.job.locks:
        base.each(_TAKE, [{"number": one.number}])
    return one


def step_row(one: Task, why: str) -> dict[str, Any]:
    """Give what `STEP` writes."""
    return {
        "number": one.number,
        "state": one.state.value,
        "agent": words(one.agent),
        "fence": one.fence,
        "why": words(why),
    }
