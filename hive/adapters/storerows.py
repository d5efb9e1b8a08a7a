"""How changes are written over what they leave: each row names the version it was read as."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam
from sqlalchemy.dialects.sqlite import insert

from hive.adapters import schema
from hive.adapters.schema import agent, team
from hive.core.world import Memory, TeamMemory, Wanted
from hive.errors import HiveError


class Stale(HiveError):  # noqa: N818 - an error's name says what is wrong
    """What was to be written was decided on a memory that is no longer the newest."""

    def __init__(self) -> None:
        super().__init__("another process wrote this meanwhile", fix="look again, decide anew")


def want(connection: Connection, changes: Iterable[Wanted]) -> None:
    """Want these agents so, over whatever was wanted of them."""
    rows = [schema.wanted_row(one) for one in changes]
    if rows:
        wish = insert(agent)
        names = [name for name in rows[0] if name != "agent"]
        wish = wish.on_conflict_do_update(set_={name: wish.excluded[name] for name in names})
        connection.execute(wish, rows)


def remember(connection: Connection, memories: Sequence[Memory], now: float) -> None:
    """Write memories, over the versions they name; raises `Stale` where one is older."""
    rows: dict[str, dict[str, Any]] = {}
    for memory in memories:
        left = rows[memory.agent]["left"] if memory.agent in rows else memory.version
        numbers = {"left": left, "version": memory.version + 1, "written": now}
        rows[memory.agent] = schema.memory_row(memory) | numbers
    _write(connection, agent, agent.c.agent, list(rows.values()))


def remember_teams(connection: Connection, teams: Sequence[TeamMemory]) -> None:
    """Write what is remembered of teams, over the versions they name."""
    rows: dict[str, dict[str, Any]] = {}
    for one in teams:
        left = rows[one.team]["left"] if one.team in rows else one.version
        rows[one.team] = schema.team_row(one) | {"left": left, "version": one.version + 1}
    _write(connection, team, team.c.team, list(rows.values()))


def _write(
    connection: Connection, table: Table, key: Column[str], rows: list[dict[str, Any]]
) -> None:
    """Write each row over the version it leaves; the first version may need a new row."""
    new = [row for row in rows if row["left"] == 0]
    old = [row for row in rows if row["left"] != 0]
    names = [name for name in (rows[0] if rows else ()) if name not in {"left", key.name}]
    written = 0
    if new:
        wish = insert(table)
        change = {name: wish.excluded[name] for name in names}
        wish = wish.on_conflict_do_update(set_=change, where=table.c.version == 0)
        values = [{name: row[name] for name in (key.name, *names)} for row in new]
        written += connection.execute(wish, values).rowcount
    if old:
        guard = (key == bindparam("key")) & (table.c.version == bindparam("left"))
        values = [
            {"key": row[key.name]} | {name: row[name] for name in ("left", *names)} for row in old
        ]
        written += connection.execute(table.update().where(guard), values).rowcount
    if written != len(rows):
        raise Stale
