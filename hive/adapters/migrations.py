"""How the tables of an older hive's store become those of this one, a step for each number.

A step says itself what it changes: it stays as it is when the schema goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Connection, Text


def migrate(connection: Connection, number: int, to: int) -> None:
    """Take the tables from one schema number to a later one, in the caller's transaction."""
    context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
    operations = Operations(context)
    for step in range(number + 1, to + 1):
        _STEPS[step](operations)


def _largest(operations: Operations) -> None:
    """Let a death name the largest processes of its launch."""
    column = Column("largest", Text, nullable=False, server_default="[]")
    operations.add_column("death", column)


_STEPS: dict[int, Callable[[Operations], None]] = {2: _largest}
"""By the number of the schema that each leads to."""
