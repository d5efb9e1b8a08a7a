"""The store's tables, and how hive's values lie in them.

What is asked for by name is a column; the rest of a value is JSON, so that a new field needs no
new column: unknown keys are left out, missing ones take their default.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    TypeDecorator,
)

from hive.core.spec import from_dict, to_dict
from hive.core.world import Holding, Memory, Server, State, TeamMemory, Wanted

SCHEMA = 5
"""The number of this schema, kept as the fact `schema`; `migrations` has the way to it."""


class Words(TypeDecorator[str]):
    """Text that may come from anywhere: what UTF-8 can't hold is replaced, not refused."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Replace lone surrogates, which stand for bytes that were no UTF-8."""
        if value is None or value.isascii():
            return value
        return value.encode(errors="replace").decode()


metadata = MetaData()

fact = Table(
    "fact",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Words, nullable=False),
)

_states = ", ".join(f"'{state}'" for state in State)

agent = Table(
    "agent",
    metadata,
    Column("agent", Text, primary_key=True),
    # What a person wants of it; null where nobody wants it any more.
    Column("spec", Text),
    Column("up", Boolean),
    Column("removed", Boolean),
    Column("generation", Integer),
    Column("why", Words),
    # What hive remembers of it; null before its first memory.
    Column("state", Text, CheckConstraint(f"state IN ({_states})")),
    Column("memory", Text),
    Column("written", Float),
    Column("version", Integer, nullable=False, server_default="0"),
)

team = Table(
    "team",
    metadata,
    Column("team", Text, primary_key=True),
    Column("held", Boolean, nullable=False),
    Column("since", Float, nullable=False),
    Column("restarts", Text, nullable=False),
    Column("version", Integer, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("agent", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Words, nullable=False),
    Index("event_of_agent", "agent", "id"),
    Index("event_by_time", "at"),
    sqlite_autoincrement=True,  # an id is never given twice: `after` may point to a pruned one
)

death = Table(
    "death",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("agent", Text, nullable=False),
    Column("launch", Text, nullable=False),
    Column("code", Integer),
    Column("cause", Words, nullable=False),
    Column("asked", Boolean, nullable=False),
    Column("next", Words, nullable=False),
    Column("restarts", Integer, nullable=False),
    Column("ran", Float, nullable=False),
    Column("screen", Words, nullable=False),
    Column("largest", Words, nullable=False, server_default="[]"),
    Index("death_of_agent", "agent", "id"),
)

message = Table(
    "message",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("text", Words, nullable=False),
    Column("created", Float, nullable=False),
    # Its other fields, as JSON.
    Column("body", Words, nullable=False),
    Column("version", Integer, nullable=False),
    Index("message_of_agent", "agent", "stage", "number"),
    sqlite_autoincrement=True,
)

step = Table(
    "step",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("stage", Text, nullable=False),
    Column("why", Words, nullable=False),
    Index("step_of_message", "number", "id"),
)

request = Table(
    "request",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("body", Words, nullable=False),
    Column("version", Integer, nullable=False),
    Index("request_by_state", "state", "number"),
    sqlite_autoincrement=True,
)

talk = Table(
    "talk",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("body", Words, nullable=False),
    Column("version", Integer, nullable=False),
)

# What an agent asked for under an id of its own, and the answer: asked again, it is not done again.
deed = Table(
    "deed",
    metadata,
    Column("uid", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("answer", Words, nullable=False),
)

check_in = Table(
    "checkin",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("at", Float, nullable=False),
    # All of it, as JSON.
    Column("body", Words, nullable=False),
    Index("checkin_of_agent", "agent", "number"),
    Index("checkin_by_time", "at"),
    sqlite_autoincrement=True,
)

handoff = Table(
    "handoff",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("body", Words, nullable=False),
    Index("handoff_by_time", "at"),
    sqlite_autoincrement=True,
)

# What an agent's window showed when something happened.
window = Table(
    "screen",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("why", Words, nullable=False),
    Column("text", Words, nullable=False),
    Index("screen_of_agent", "agent", "at"),
    Index("screen_by_time", "at"),
)

BODY = tuple(
    field.name for field in fields(Memory) if field.name not in {"agent", "state", "version"}
)
"""The fields of a memory that lie in its JSON."""


def wanted_row(wanted: Wanted) -> dict[str, Any]:
    """Give the columns that say what is wanted of an agent."""
    return {
        "agent": wanted.agent.id,
        "spec": json.dumps(to_dict(wanted.agent)),
        "up": wanted.up,
        "removed": wanted.removed,
        "generation": wanted.generation,
        "why": wanted.why,
    }


def wanted_from(row: Row[Any]) -> Wanted:
    """Read back what `wanted_row` gave."""
    return Wanted(
        agent=from_dict(json.loads(row.spec)),
        up=row.up,
        removed=row.removed,
        generation=row.generation,
        why=row.why,
    )


def memory_row(memory: Memory) -> dict[str, Any]:
    """Give the columns of a memory, its version left out."""
    body = {name: getattr(memory, name) for name in BODY}
    if memory.server:
        body["server"] = asdict(memory.server)
    return {"agent": memory.agent, "state": memory.state.value, "memory": json.dumps(body)}


def memory_from(row: Row[Any]) -> Memory:
    """Read back what `memory_row` gave."""
    body: Mapping[str, Any] = json.loads(row.memory)
    found = {name: body[name] for name in BODY if name in body}
    found["deaths"] = tuple(found.get("deaths", ()))
    if found.get("server"):
        found["server"] = Server(**found["server"])
    return Memory(agent=row.agent, state=State(row.state), version=row.version, **found)


def team_row(memory: TeamMemory) -> dict[str, Any]:
    """Give the columns of a team's memory, its version left out."""
    return {
        "team": memory.team,
        "held": memory.held,
        "since": memory.since,
        "restarts": json.dumps(memory.restarts),
    }


def team_from(row: Row[Any]) -> TeamMemory:
    """Read back what `team_row` gave."""
    return TeamMemory(
        team=row.team,
        restarts=tuple(json.loads(row.restarts)),
        held=row.held,
        since=row.since,
        version=row.version,
    )


def holdings_text(holdings: Iterable[Holding]) -> str:
    """Give the largest processes of a death as the text of their column."""
    return json.dumps([asdict(one) for one in holdings])


def holdings_from(text: str) -> tuple[Holding, ...]:
    """Read back what `holdings_text` gave."""
    return tuple(
        Holding(pid=one["pid"], name=one["name"], bytes=one["bytes"]) for one in json.loads(text)
    )
