"""The part of the store that keeps a team's hours: check-ins, handoffs, screens.

All times are epoch seconds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, or_, select

from hive.adapters.schema import check_in, handoff, message, step, window
from hive.adapters.storefile import StoreFile
from hive.core.checkin import CheckIn, Evidence, from_dict, to_dict
from hive.core.journal import Kept, Said, Screen

DAY = 24 * 3600.0

KEPT = ((check_in, 30 * DAY), (window, 7 * DAY), (handoff, 365 * DAY))
"""For how many seconds each is kept."""

PIECE = 1000
"""So many rows are dropped at once: a longer write would keep others waiting."""

PIECES = 10
"""So many pieces of a table are dropped in one go: the rest goes next time."""

SCREENS = 400
"""How many screens of an agent are kept."""

LINES, LARGEST = 200, 16 * 1024
"""How many lines, and characters, of a screen are kept: the last."""


class Journal:
    """Check-ins, handoffs and screens, in the store's file."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def check_in(self, ones: Sequence[CheckIn]) -> list[CheckIn]:
        """Keep check-ins, and give them with their numbers; those they come with mean nothing."""
        kept = []
        with self._file.writing() as connection:
            for one in ones:
                values = {
                    "agent": one.evidence.agent,
                    "at": one.evidence.at,
                    "body": _brief(one),
                }
                kept.append(replace(one, number=_added(connection, check_in, values)))
        return kept

    def check_ins(
        self,
        agents: Collection[str] | None = None,
        *,
        since: float = 0.0,
        until: float | None = None,
        limit: int = 1000,
        newest: bool = True,
    ) -> list[CheckIn]:
        """Give check-ins of this time in order: the `newest` ones, or the first `limit`."""
        wish = _during(check_in, agents, since, until).limit(limit)
        order = (check_in.c.at, check_in.c.number)
        rows = self._rows(wish.order_by(*(one.desc() for one in order) if newest else order))
        return [_check_in(row) for row in (reversed(rows) if newest else rows)]

    def latest(self, agents: Collection[str] | None = None) -> dict[str, CheckIn]:
        """Give the latest check-in of these agents (all), by agent."""
        last = select(func.max(check_in.c.number)).group_by(check_in.c.agent)
        if agents is not None:
            last = last.where(check_in.c.agent.in_(agents))
        rows = self._rows(select(check_in).where(check_in.c.number.in_(last)))
        return {row.agent: _check_in(row) for row in rows}

    def numbered(self, numbers: Collection[int]) -> dict[str, CheckIn]:
        """Give the check-ins of these numbers, as far as they are kept, by agent."""
        rows = self._rows(select(check_in).where(check_in.c.number.in_(numbers)))
        return {row.agent: _check_in(row) for row in rows}

    def hand_off(
        self, at: float, source: str, target: str, body: Mapping[str, Any], run: str = ""
    ) -> Kept:
        """Keep a handoff, and give it with its number."""
        values = {"at": at, "source": source, "target": target, "run": run}
        with self._file.writing() as connection:
            text = json.dumps(dict(body))
            number = _added(connection, handoff, {**values, "body": text})
        return Kept(number=number, at=at, source=source, target=target, run=run, body=body)

    def handoffs(
        self,
        agents: Collection[str] | None = None,
        *,
        run: str = "",
        since: float = 0.0,
        until: float | None = None,
        limit: int = 100,
    ) -> list[Kept]:
        """Give the newest handoffs from or to these (anybody), of this run (any), in order."""
        wish = _during(handoff, None, since, until).limit(limit)
        if agents is not None:
            ends = (handoff.c.source.in_(agents), handoff.c.target.in_(agents))
            wish = wish.where(or_(*ends))
        if run:
            wish = wish.where(handoff.c.run == run)
        rows = self._rows(wish.order_by(handoff.c.number.desc()))
        return [Kept(**row._asdict() | {"body": json.loads(row.body)}) for row in reversed(rows)]

    def keep_screen(self, agent: str, at: float, why: str, text: str) -> bool:
        """Keep what a window showed; gives whether that is another screen than its last one."""
        return bool(self.keep_screens([Screen(agent=agent, at=at, why=why, text=text)]))

    def keep_screens(self, screens: Sequence[Screen]) -> int:
        """Keep the end of what windows showed, and give how many screens were new."""
        new = 0
        with self._file.writing() as connection:
            for one in screens:
                new += _keep(connection, one)
        return new

    def screens(
        self,
        agents: Collection[str] | None = None,
        since: float = 0.0,
        until: float | None = None,
        limit: int = 1000,
    ) -> list[Screen]:
        """Give the first `limit` screens of these agents (all) and this time, by time."""
        wish = _during(window, agents, since, until).limit(limit)
        rows = self._rows(wish.order_by(window.c.at, window.c.id))
        return [Screen(agent=row.agent, at=row.at, why=row.why, text=row.text) for row in rows]

    def said(
        self,
        agents: Collection[str] | None = None,
        since: float = 0.0,
        until: float | None = None,
        limit: int = 1000,
    ) -> list[Said]:
        """Give the first `limit` steps of messages to these agents (all) and this time, by time."""
        columns = (step.c.at, step.c.number, step.c.stage, step.c.why)
        joined = step.join(message, message.c.number == step.c.number)
        wish = select(*columns, message.c.agent, message.c.text).select_from(joined)
        wish = wish.where(step.c.at >= since).order_by(step.c.at, step.c.id).limit(limit)
        if until is not None:
            wish = wish.where(step.c.at <= until)
        if agents is not None:
            wish = wish.where(message.c.agent.in_(agents))
        return [Said(**row._asdict()) for row in self._rows(wish)]

    def tidy(self, now: float) -> None:
        """Drop what is too old, in small pieces."""
        for table, seconds in KEPT:
            for _ in range(PIECES):
                if self._drop(table, now - seconds) < PIECE:
                    break

    def _drop(self, table: Table, before: float) -> int:
        (key,) = table.primary_key
        old = select(key).where(table.c.at < before).limit(PIECE)
        if not self._rows(old.limit(1)):
            return 0
        with self._file.writing() as connection:
            return connection.execute(delete(table).where(key.in_(old))).rowcount

    def _rows(self, wish: Select[Any]) -> Sequence[Any]:
        with self._file.told():
            return self._file.connection.execute(wish).all()


def _during(
    table: Table, agents: Collection[str] | None, since: float, until: float | None
) -> Select[Any]:
    wish = select(table).where(table.c.at >= since)
    if until is not None:
        wish = wish.where(table.c.at <= until)
    return wish if agents is None else wish.where(table.c.agent.in_(agents))


def _added(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    done = connection.execute(table.insert().values(values))
    return int(done.inserted_primary_key[0]) if done.inserted_primary_key else 0


def _brief(one: CheckIn) -> str:
    """Give a check-in as JSON without what is as it is by default: there are very many of them."""
    values = to_dict(one)
    values["evidence"] = _apart(values["evidence"], Evidence)
    return json.dumps(_apart(values, CheckIn), separators=(",", ":"))


def _apart(values: Mapping[str, Any], kind: type[CheckIn | Evidence]) -> dict[str, Any]:
    usual = {one.name: one.default for one in fields(kind)}
    return {key: value for key, value in values.items() if value != usual[key]}


def _check_in(row: Any) -> CheckIn:
    return replace(from_dict(json.loads(row.body)), number=row.number)


def _keep(connection: Connection, one: Screen) -> int:
    """Keep a screen, unless it is the agent's latest one; gives how many that makes."""
    text = end(one.text)
    mine = window.c.agent == one.agent
    newest = select(window).where(mine).order_by(window.c.id.desc())
    last = connection.execute(newest.limit(1)).first()
    if last is not None and last.text == text:
        return 0
    values = {"agent": one.agent, "at": one.at, "why": one.why, "text": text}
    connection.execute(window.insert().values(values))
    surplus = newest.with_only_columns(window.c.id).limit(1).offset(SCREENS).scalar_subquery()
    connection.execute(delete(window).where(mine, window.c.id <= surplus))
    return 1


def end(text: str) -> str:
    """Give the end of what a window showed, as it is kept: whole lines, no blanks behind."""
    lines = text.rstrip().split("\n")[-LINES:]
    kept = "\n".join(line.rstrip() for line in lines)
    kept = kept.encode(errors="replace").decode()
    if len(kept) <= LARGEST:
        return kept
    cut = kept[-LARGEST:]
    return cut.partition("\n")[2] or cut
