"""How the tables of an older hive's stores become those of this one, a step for each number.

A step says itself what it changes: it stays as it is when the schema goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Connection, Float, Integer, Text

Step = Callable[[Operations], None]


def migrate(
    connection: Connection, number: int, to: int, steps: Mapping[int, Step] | None = None
) -> None:
    """Take the tables from one schema number to a later one, in the caller's transaction.

    `steps` are those of the queue; without, it is the store.
    """
    context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
    operations = Operations(context)
    for step in range(number + 1, to + 1):
        (_STEPS if steps is None else steps)[step](operations)


def _largest(operations: Operations) -> None:
    """Let a death name the largest processes of its launch."""
    column = Column("largest", Text, nullable=False, server_default="[]")
    operations.add_column("death", column)


def _messages(operations: Operations) -> None:
    """Make room for messages, requests, conversations, locks and what agents asked for."""
    version = ("version", Integer)
    _table(
        operations,
        "message",
        ("number", Integer),
        ("agent", Text),
        ("stage", Text),
        ("text", Text),
        ("created", Float),
        ("body", Text),
        version,
    )
    steps = (("id", Integer), ("number", Integer), ("at", Float), ("stage", Text), ("why", Text))
    _table(operations, "step", *steps)
    _table(
        operations,
        "request",
        ("number", Integer),
        ("agent", Text),
        ("state", Text),
        ("body", Text),
        version,
    )
    _table(operations, "talk", ("agent", Text), ("body", Text), version)
    _table(operations, "lock", ("name", Text), ("agent", Text), ("launch", Text), ("at", Float))
    _table(operations, "deed", ("uid", Text), ("at", Float), ("answer", Text))
    operations.create_index("message_of_agent", "message", ["agent", "stage", "number"])
    operations.create_index("step_of_message", "step", ["number", "id"])
    operations.create_index("request_by_state", "request", ["state", "number"])


def _no_locks(operations: Operations) -> None:
    """Locks are the queue's: those that were held ended with the supervisor that gave them."""
    operations.drop_table("lock")


def _journal(operations: Operations) -> None:
    """Make room for check-ins, handoffs and screens, and find events by their time."""
    at, body = ("at", Float), ("body", Text)
    _table(operations, "checkin", ("number", Integer), ("agent", Text), at, body)
    ends = (("source", Text), ("target", Text), ("run", Text))
    _table(operations, "handoff", ("number", Integer), at, *ends, body)
    words = (("why", Text), ("text", Text))
    _table(operations, "screen", ("id", Integer), ("agent", Text), at, *words)
    operations.create_index("checkin_of_agent", "checkin", ["agent", "number"])
    operations.create_index("screen_of_agent", "screen", ["agent", "at"])
    for table in ("checkin", "handoff", "screen", "event"):
        operations.create_index(f"{table}_by_time", table, ["at"])


def _table(operations: Operations, name: str, *columns: tuple[str, type[Any]]) -> None:
    """Make a table whose first column is its key, and whose columns are all filled."""
    (key, kind), *others = columns
    made = [Column(key, kind, primary_key=True)]
    made += [Column(other, its, nullable=False) for other, its in others]
    counted = name in {"message", "request", "checkin", "handoff"}  # a number is never given twice
    operations.create_table(name, *made, sqlite_autoincrement=counted)


_STEPS: dict[int, Step] = {2: _largest, 3: _messages, 4: _no_locks, 5: _journal}
"""By the number of the schema that each leads to."""

QUEUE: dict[int, Step] = {}
"""The same of the queue, whose first schema is still its newest."""
