"""The keys of an agent's rhythm: how often hive looks after it, and its git worktree.

Like `core.model`, whose file they are part of, these models are the documentation of the keys.
"""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from hive.core import units
from hive.core.values import Table, Text, text, texts, variable

NEVER = "never"
"""What people write for a rhythm that is off; 0 is the same."""

_STRANGE = re.compile(r"[\s\x00-\x1f\x7f~^:?*\[\\]|\.\.|@\{")


def pace(value: object) -> float:
    """Read how often: a duration in seconds, or "never", which is 0."""
    return 0.0 if value == NEVER else units.seconds(value)


def revision(value: object) -> str:
    """Check the name of a branch, a tag or a commit."""
    name = text(value)
    if name.startswith("-") or _STRANGE.search(name):
        raise ValueError("must be the name of a branch, a tag or a commit")
    return name


def remote(value: object) -> str:
    """Check the name of a remote."""
    name = text(value)
    if name.startswith("-") or "/" in name or _STRANGE.search(name):
        raise ValueError("must be the name of a remote, such as `origin`")
    return name


def below(value: object) -> tuple[str, ...]:
    """Read paths and patterns of files below the repository's folder."""
    found = texts(value)
    for one in found:
        if one.startswith(("/", "~")) or ".." in one.split("/") or posixpath.normpath(one) == ".":
            raise ValueError(f"must be files below the repository's folder, not `{one}`")
    return found


def variables(value: object) -> tuple[str, ...]:
    """Read the names of variables of the environment."""
    return tuple(variable(one) for one in texts(value))


def worktree(value: object) -> Any:
    """Read a worktree written as true or false alone."""
    if value is True:
        return {}
    if value is False:
        return None
    if not isinstance(value, dict | Worktree):
        raise ValueError("must be true, false, or a table")  # noqa: TRY004 - pydantic wants it
    return value


Pace = Annotated[float, BeforeValidator(pace, json_schema_input_type=str | float)]
Revision = Annotated[str, BeforeValidator(revision), WithJsonSchema({"type": "string"})]
Remote = Annotated[str, BeforeValidator(remote), WithJsonSchema({"type": "string"})]
Files = Annotated[tuple[str, ...], BeforeValidator(below, json_schema_input_type=str | list[str])]
Variables = Annotated[
    tuple[str, ...], BeforeValidator(variables, json_schema_input_type=str | list[str])
]


class Worktree(Table):
    """A git worktree and a branch that are the agent's own."""

    base: Revision | None = Field(
        None, description="What its branch begins with; without it, what is checked out."
    )
    copy_: Files = Field(
        (), alias="copy", description="Files that git does not have and it needs, or patterns."
    )
    setup: Text | None = Field(
        None, description="A command for the shell, run in it before the agent's first start."
    )
    teardown: Text | None = Field(
        None, description="A command for the shell, run in it before it is removed."
    )
    ports: Variables = Field(
        (), description="Variables that get a TCP port which no other agent has."
    )
    names: Variables = Field(
        (), description="Variables that get a name which no other agent has, as for a database."
    )
    push: Remote | None = Field(
        None, description="The remote that its branch is pushed to; without it, none."
    )

    @model_validator(mode="after")
    def _once(self) -> Worktree:
        all_of_them = (*self.ports, *self.names)
        for one in all_of_them:
            if all_of_them.count(one) > 1:
                raise ValueError(f"names the variable `{one}` twice")
        return self


Grounds = Annotated[
    Worktree | None, BeforeValidator(worktree, json_schema_input_type=bool | Worktree)
]
