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
from hive.adapters.queue_tables import COLUMNS, task_of, words
from hive.core.tasks import Claim, Task

TRIES = 100
"""How many tasks that can't be had just now are passed by for one claim."""

_SET = (
    "UPDATE task SET state = 'leased', agent = :agent, launch = :launch, fence = fence + 1,"
    " attempt = attempt + 1, until = :now + :lease, begun = :now, heard = :now, since = :now,"
    " why = :why, version = version + 1"
)

_UNHINDERED = (
    "@.state = 'ready' AND @.blocked = 0 AND @.due <= :now"
    " AND NOT (@.wants AND ("
    " EXISTS (SELECT 1 FROM want w JOIN held h ON h.name = w.name WHERE w.task = @.number"
    " AND NOT (w.shared AND h.shared) AND NOT (h.task = 0 AND h.agent = :agent))"
    " OR EXISTS (SELECT 1 FROM want w JOIN held h ON {find}(w.above, '\n' || h.name || '\n') > 0"
    " OR {find}(h.above, '\n' || w.name || '\n') > 0 WHERE w.task = @.number"
    " AND substr(w.name, 1, 5) = 'path:'"
    " AND NOT (w.shared AND h.shared) AND NOT (h.task = 0 AND h.agent = :agent))))"
    " AND NOT (@.apart AND EXISTS (SELECT 1 FROM task c JOIN step s ON s.task = c.number"
    " WHERE c.parent = @.parent AND c.parent > 0 AND c.apart AND c.number <> @.number"
    " AND s.agent = :agent))"
)
"""Whether a task (`@`) may be handed to this agent now."""

_FIRST = (
    "SELECT @.number FROM task @ WHERE @.signature = s.value"
    f" AND {_UNHINDERED} AND #passed ORDER BY @.rank, @.number LIMIT #most"
).replace("@", "t")
"""The first ones of a signature."""

BY_NUMBER = (
    f"{_SET} WHERE number = :number AND {_UNHINDERED} RETURNING {COLUMNS}".replace("@", "task")
)
"""SQLite's claim of one task; PostgreSQL's of one that it has locked."""

BY_SIGNATURE = (
    f"{_SET} WHERE number = (SELECT p.number FROM (SELECT ({_FIRST}) AS number"
    " FROM json_each(:signatures) s) c JOIN task p ON p.number = c.number"
    f" ORDER BY p.rank, p.number LIMIT 1) RETURNING {COLUMNS}"
).replace("#passed", "TRUE").replace("#most", "1")
"""SQLite's claim."""

_LEASING = (
    " FOR NO KEY UPDATE OF p SKIP LOCKED), leased AS ("
    f"{_SET} FROM pick WHERE task.number = pick.picked AND NOT pick.bound RETURNING {COLUMNS}"
    "), told AS (INSERT INTO step (task, at, state, agent, fence, why)"
    " SELECT number, :now, state, agent, fence, why FROM leased)"
    " SELECT pick.picked, pick.bound, leased.* FROM pick LEFT JOIN leased ON TRUE"
)

PICK_NUMBER = (
    "WITH pick AS MATERIALIZED (SELECT p.number AS picked, (p.wants OR p.apart) AS bound"
    f" FROM task p WHERE p.number = :number AND {_UNHINDERED}{_LEASING}"
).replace("@", "p")
"""PostgreSQL's claim of one task: one that is `bound` is only locked."""

PICK_SIGNATURE = (
    "WITH pick AS MATERIALIZED (SELECT p.number AS picked, (p.wants OR p.apart) AS bound"
    " FROM json_array_elements_text(CAST(:signatures AS json)) AS s(value)"
    f" CROSS JOIN LATERAL ({_FIRST}) AS c JOIN task p ON p.number = c.number"
    " WHERE p.state = 'ready' AND p.blocked = 0"
    f" ORDER BY p.rank, p.number LIMIT 1{_LEASING}"
).replace("#passed", "t.number <> ALL(CAST(:passed AS bigint[]))").replace("#most", "16")
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
    while len(passed) < TRIES:
        values["passed"] = passed
        found = base.rows(PICK_NUMBER if claim.number else PICK_SIGNATURE, values)
        if not found:
            return None
        number, bound, *row = found[0]
        if not bound:
            return task_of(row)
        if base.rows(_DECIDE, {"number": number})[0][0]:
            again = base.rows(BY_NUMBER, values | {"number": number})
            if again:
                return _told(base, task_of(again[0]))
        if claim.number:
            return None
        passed.append(number)
    return None


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
