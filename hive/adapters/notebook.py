"""Small things that the queue's store keeps by key: facts, results, scores, schedules."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from hive.adapters.queue_base import Base
from hive.adapters.queue_rows import words, written
from hive.core.schedule import Schedule
from hive.core.weights import Score

_NOTE = (
    "INSERT INTO fact (key, value) VALUES (:key, :value)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_KEEP = (
    "INSERT INTO cache (key, task, result, at, until) VALUES (:key, :task, :result, :at, :until)"
    " ON CONFLICT (key) DO UPDATE SET task = excluded.task, result = excluded.result,"
    " at = excluded.at, until = excluded.until"
)
_SCORE = (
    "INSERT INTO score (agent, skill, done, failed, seconds, at)"
    " VALUES (:agent, :skill, :done, :failed, :seconds, :at)"
    " ON CONFLICT (agent, skill) DO UPDATE SET done = excluded.done, failed = excluded.failed,"
    " seconds = excluded.seconds, at = excluded.at"
)
_PUT = (
    "INSERT INTO schedule (project, name, next_at, body) VALUES (:project, :name, :next_at, :body)"
    " ON CONFLICT (project, name) DO UPDATE SET next_at = excluded.next_at, body = excluded.body"
)
_FIRE = (
    "INSERT INTO fired (project, name, at) VALUES (:project, :name, :at)"
    " ON CONFLICT DO NOTHING RETURNING at"
)
_ITS = "project = :project AND name = :name"
_BODY = [one.name for one in fields(Schedule) if one.name not in {"project", "name", "next_at"}]


class Notebook:
    """Facts, earlier results, what agents are good at, and when workflows begin by the clock."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def fact(self, key: str) -> str | None:
        """Give what was noted under this key."""
        rows = self._base.rows("SELECT value FROM fact WHERE key = :key", {"key": words(key)})
        return rows[0][0] if rows else None

    def facts(self, prefix: str) -> dict[str, str]:
        """Give what was noted under keys that begin so, by the rest of the key."""
        prefix = words(prefix)
        ask = "SELECT key, value FROM fact WHERE substr(key, 1, :long) = :prefix ORDER BY key"
        rows = self._base.rows(ask, {"long": len(prefix), "prefix": prefix})
        return {key.removeprefix(prefix): value for key, value in rows}

    def note(self, key: str, value: str) -> None:
        """Note a value under a key, over what was there."""
        self._write(_NOTE, key=words(key), value=words(value))

    def strike(self, key: str) -> None:
        """Forget what was noted under a key."""
        self._write("DELETE FROM fact WHERE key = :key", key=words(key))

    def cached(self, key: str, now: float) -> tuple[int, str, float] | None:
        """Give an earlier result that still holds: its task, the result, since when."""
        ask = "SELECT task, result, at FROM cache WHERE key = :key AND until > :at"
        rows = self._base.rows(ask, {"key": words(key), "at": now})
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    def keep(self, key: str, task: int, result: str, at: float, until: float) -> None:
        """Keep a task's result until then, over an earlier one."""
        self._write(_KEEP, key=words(key), task=task, result=words(result), at=at, until=until)

    def scores(self) -> dict[tuple[str, str], Score]:
        """Give what is known of each agent at each skill."""
        ask = "SELECT agent, skill, done, failed, seconds, at FROM score"
        return {
            (agent, skill): Score(
                agent=agent, skill=skill, done=done, failed=failed, seconds=seconds, at=at
            )
            for agent, skill, done, failed, seconds, at in self._base.rows(ask)
        }

    def score(self, score: Score) -> None:
        """Keep what is known of an agent at a skill, over what was known."""
        values = asdict(score)
        self._write(_SCORE, **values | {key: words(values[key]) for key in ("agent", "skill")})

    def schedules(self) -> list[Schedule]:
        """Give all schedules, by project and name."""
        ask = "SELECT project, name, next_at, body FROM schedule ORDER BY project, name"
        found = []
        for project, name, next_at, text in self._base.rows(ask):
            body = json.loads(text)
            known = {key: body[key] for key in _BODY if key in body}
            found.append(Schedule(project=project, name=name, next_at=next_at, **known))
        return found

    def put_schedule(self, schedule: Schedule) -> None:
        """Keep a schedule, over one of that name in its project."""
        values = {**_name(schedule), "next_at": schedule.next_at}
        body = asdict(schedule)
        self._write(_PUT, **values, body=written({key: body[key] for key in _BODY}))

    def drop_schedule(self, project: str, name: str) -> bool:
        """Drop a schedule; gives whether there was one."""
        statement = f"DELETE FROM schedule WHERE {_ITS} RETURNING name"
        return self._write(statement, project=words(project), name=words(name))

    def fire(self, schedule: Schedule, at: float, next_at: float) -> bool:
        """Be the one who begins it for this time; gives False where somebody was before.

        Its next time is `next_at` from then on.
        """
        return self._base.write(lambda: self._fire(schedule, at, next_at))

    def _fire(self, schedule: Schedule, at: float, next_at: float) -> bool:
        name = _name(schedule)
        if not self._base.rows(_FIRE, {**name, "at": at}):
            return False
        later = f"UPDATE schedule SET next_at = :next_at WHERE {_ITS} AND next_at < :next_at"
        self._base.rows(later, {**name, "next_at": next_at})
        return True

    def _write(self, statement: str, **values: object) -> bool:
        return bool(self._base.write(lambda: self._base.rows(statement, values), again=True))


def _name(schedule: Schedule) -> dict[str, str]:
    return {"project": words(schedule.project), "name": words(schedule.name)}
