"""What the queue is asked: its tasks, runs and their stories. Nothing is written here."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from hive.adapters.queue_base import Base
from hive.adapters.queue_rows import COLUMNS, OVER_SQL, RUN_COLUMNS, run_of, task_of, words
from hive.core.ordering import rank
from hive.core.tasks import Run, Task

FREE = "state = 'ready' AND blocked = 0 AND due <= :now"
"""What may be handed out now, but for locks."""

COUNTED = 100
"""So many tasks of a signature are counted: whoever looks often needs no more."""

_NEXT = (
    f"SELECT signature FROM task {{{{through:task_ready}}}} WHERE {FREE} AND signature > {{}}"
    " ORDER BY signature LIMIT 1"
)
_FIRST, _FURTHER = _NEXT.format("''"), _NEXT.format("s.name")
# From signature to signature through the index, not through all tasks.
_SIGNATURES = (
    f"WITH RECURSIVE s(name) AS (SELECT ({_FIRST}) UNION ALL"
    f" SELECT ({_FURTHER}) FROM s WHERE s.name IS NOT NULL)"
    " SELECT name, (SELECT count(*) FROM (SELECT 1 FROM task"
    f" WHERE {FREE} AND signature = s.name LIMIT :most) few) FROM s WHERE name IS NOT NULL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a task's story: where it stood then, whose it was, and why."""

    at: float
    state: str
    agent: str
    fence: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedStep(Step):
    """A step of any task's; a later one's `id` is greater."""

    id: int
    task: int


FAR = 2000
"""How many ready tasks of a signature are looked through for those that want other locks."""

_OF_ONE = f"{FREE} AND signature = :signature ORDER BY rank, number"
_OTHERS = (
    f"number IN (SELECT number FROM task WHERE {_OF_ONE} LIMIT :far) AND NOT EXISTS"
    " (SELECT 1 FROM want w WHERE w.task = task.number AND w.name {among:names})"
    " ORDER BY rank, number LIMIT :limit"
)


class Reads:
    """The reading half of the queue."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def now(self) -> float:
        """Give the store's time, in epoch seconds."""
        return self._base.now()

    def task(self, number: int) -> Task | None:
        """Give a task by its number."""
        found = self._found("number = :number", {"number": number})
        return found[0] if found else None

    def by_uid(self, uid: str) -> Task | None:
        """Give a task by the uid that it was added under."""
        found = self._found("uid = :uid", {"uid": words(uid)})
        return found[0] if found else None

    def tasks(  # noqa: PLR0913 - each narrows the question
        self,
        *,
        states: Collection[str] = (),
        run: int | None = None,
        parent: int | None = None,
        team: str = "",
        agent: str = "",
        launch: str = "",
        after: int = 0,
        limit: int = 100,
        newest: bool = False,
    ) -> list[Task]:
        """Give tasks by number: the first `limit` after `after`, or the `newest` ones."""
        given = {"run": run, "parent": parent, "team": team, "agent": agent, "launch": launch}
        values: dict[str, Any] = {key: one for key, one in given.items() if one not in {None, ""}}
        asked = [f"{key} = :{key}" for key in values]
        asked += [f"{key} > 0" for key in ("run", "parent") if values.get(key)]  # its index
        order = "number DESC" if newest else "number"
        ask = " AND ".join(["number > :after", *asked, "{}"]) + f" ORDER BY {order} LIMIT :limit"
        values |= {"after": after, "limit": limit}
        found = []
        for state in sorted(set(states)) or [""]:  # one by one each has an index in this order
            which = "state = :state" if state else "TRUE"
            found += self._found(ask.replace("{}", which), values | {"state": str(state)})
        found.sort(key=lambda one: one.number, reverse=newest)
        return sorted(found[:limit], key=lambda one: one.number)

    def leased(self) -> list[Task]:
        """Give the tasks that somebody has."""
        return self._found("state = 'leased' ORDER BY number")

    def expired(self) -> list[Task]:
        """Give the tasks whose lease has run out."""
        return self._found("state = 'leased' AND until <= :now ORDER BY until")

    def opening(self) -> list[Task]:
        """Give the waiting tasks of which something has to be decided."""
        which = "state = 'waiting' AND (blocked = 0 OR kind = 'group')"
        return self._found(f"{which} ORDER BY number", None, "task {through:task_opening}")

    def signatures(self) -> dict[str, int]:
        """Count the tasks that may be handed out now, by who may have them; at most `COUNTED`."""
        rows = self._base.rows(_SIGNATURES, {"most": COUNTED})
        return {row[0]: row[1] for row in rows}

    def ready(self, signatures: Collection[str], limit: int = 50) -> list[Task]:
        """Give the first `limit` of each signature that may be handed out now, all by rank.

        Where these want locks, as many more are given that want none of them: those behind them
        need not wait for what they wait for.
        """
        found: list[Task] = []
        for one in sorted(set(signatures)):
            values = {"signature": words(one), "limit": limit}
            first = self._found(f"{_OF_ONE} LIMIT :limit", values)
            found += first
            names = {want.name for task in first for want in task.job.locks}
            if names and len(first) == limit:
                seen = {task.number for task in first}
                values |= {"names": json.dumps(sorted(names)), "far": FAR}
                found += [task for task in self._found(_OTHERS, values) if task.number not in seen]
        return sorted(found, key=lambda one: (rank(one.job, one.created), one.number))

    def needs(self, number: int) -> list[Task]:
        """Give what a task needs, in the order it was named."""
        joined = "task JOIN need ON need.needs = task.number AND need.task = :of"
        return self._found("TRUE ORDER BY place, number", {"of": number}, joined)

    def needed_by(self, number: int) -> list[Task]:
        """Give the tasks that need this one."""
        joined = "task JOIN need ON need.task = task.number AND need.needs = :of"
        return self._found("TRUE ORDER BY number", {"of": number}, joined)

    def edges(self, run: int) -> dict[int, tuple[int, ...]]:
        """Give what each task of a run needs, by their numbers."""
        ask = "SELECT n.task, n.needs FROM need n JOIN task t ON t.number = n.task"
        found: dict[int, list[int]] = {}
        where = " WHERE t.run = :run AND t.run > 0 ORDER BY n.task, n.place"
        for one, other in self._base.rows(ask + where, {"run": run}):
            found.setdefault(one, []).append(other)
        return {one: tuple(others) for one, others in found.items()}

    def held_by(self, parents: Collection[int]) -> dict[int, frozenset[str]]:
        """Give the agents that have or had a copy (`apart`) of each of these parents."""
        ask = (
            "SELECT DISTINCT c.parent, s.agent FROM task c JOIN step s ON s.task = c.number"
            " WHERE c.parent {in:parents} AND c.parent > 0 AND c.apart AND s.agent <> ''"
        )
        found: dict[int, frozenset[str]] = dict.fromkeys(parents, frozenset())
        for parent, agent in self._base.rows(ask, {"parents": json.dumps(sorted(set(parents)))}):
            found[parent] |= {agent}
        return found

    def counts(self) -> dict[str, int]:
        """Count all tasks by state."""
        ask = "SELECT state, count(*) FROM task GROUP BY state"
        return {row[0]: row[1] for row in self._base.rows(ask)}

    def story(self, number: int) -> list[Step]:
        """Give the steps of a task, oldest first."""
        ask = "SELECT at, state, agent, fence, why FROM step WHERE task = :task ORDER BY id"
        return [
            Step(at=at, state=state, agent=agent, fence=fence, why=why)
            for at, state, agent, fence, why in self._base.rows(ask, {"task": number})
        ]

    def steps(self, after: int = 0, limit: int = 1000) -> list[NumberedStep]:
        """Give the steps of all tasks in order, those after `after`.

        A step is given only when none before it can come any more.
        """
        ask = (
            "SELECT id, task, at, state, agent, fence, why FROM step"
            " WHERE id > :after AND {settled} ORDER BY id LIMIT :limit"
        )
        return [
            NumberedStep(id=id_, task=task, at=at, state=state, agent=agent, fence=fence, why=why)
            for id_, task, at, state, agent, fence, why in self._base.rows(
                ask, {"after": after, "limit": limit}
            )
        ]

    def standing(self) -> list[tuple[int, bool, int]]:
        """Give the runs that go on: whether anything of each is open, and how many ended badly."""
        return [(run, bool(opened), bad) for run, opened, bad in self._base.rows(_STANDING)]

    def tallies(self, runs: Collection[int]) -> dict[int, dict[str, int]]:
        """Count the tasks of these runs by state, but for the ends of phases."""
        ask = (
            "SELECT run, state, count(*) FROM task WHERE run {in:runs} AND run > 0"
            " AND kind <> 'barrier' GROUP BY run, state"
        )
        found: dict[int, dict[str, int]] = {one: {} for one in runs}
        for run, state, many in self._base.rows(ask, {"runs": json.dumps(sorted(runs))}):
            found[run][state] = many
        return found

    def spent(self, run: int) -> dict[int, float]:
        """Give for how many seconds agents had each task of a run: all its leases together."""
        ask = (
            "SELECT task, sum(after - at) FROM (SELECT s.task, s.at, s.state, lead(s.at, 1, :now)"
            " OVER (PARTITION BY s.task ORDER BY s.id) AS after FROM task t"
            " JOIN step s ON s.task = t.number WHERE t.run = :run AND t.run > 0) steps"
            " WHERE state = 'leased' GROUP BY task"
        )
        return {task: max(0.0, took) for task, took in self._base.rows(ask, {"run": run})}

    def run(self, number: int) -> Run | None:
        """Give a run by its number."""
        rows = self._base.rows(
            f"SELECT {RUN_COLUMNS} FROM run WHERE number = :number", {"number": number}
        )
        return run_of(rows[0]) if rows else None

    def runs(
        self,
        *,
        project: str = "",
        workflow: str = "",
        states: Collection[str] = (),
        limit: int = 50,
    ) -> list[Run]:
        """Give the newest runs of these (all where nothing is said), newest first."""
        given = {"project": words(project), "workflow": words(workflow)}
        asked = [f"{key} = :{key}" for key, one in given.items() if one]
        asked += ["state {among:states}"] if states else []
        which = " AND ".join(asked) or "TRUE"
        ask = f"SELECT {RUN_COLUMNS} FROM run WHERE {which} ORDER BY number DESC LIMIT :limit"
        values = {**given, "states": json.dumps(sorted(states)), "limit": limit}
        return [run_of(row) for row in self._base.rows(ask, values)]

    def _found(
        self, which: str, values: dict[str, Any] | None = None, table: str = "task"
    ) -> list[Task]:
        columns = _OF_TASK if "JOIN" in table else COLUMNS
        ask = f"SELECT {columns} FROM {table} WHERE {which}"
        return [task_of(row) for row in self._base.rows(ask, values)]


_STANDING = (
    "SELECT number, EXISTS (SELECT 1 FROM task {through:task_open} WHERE run = r.number"
    f" AND run > 0 AND state NOT IN {OVER_SQL}), (SELECT count(*) FROM task"
    " {through:task_spoiling} WHERE run = r.number AND run > 0 AND spoils)"
    " FROM run r WHERE state = 'running' ORDER BY number"
)
_OF_TASK = ", ".join(f"task.{name.strip()}" for name in COLUMNS.split(","))
"""The columns of a task where it is joined with another table."""
