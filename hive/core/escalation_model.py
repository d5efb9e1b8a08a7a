"""The keys of [escalation]: their types, defaults and meaning, as in `core.model`."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from pydantic import BeforeValidator, Field

from hive.core import escalation, values
from hive.core.escalation import Escalation as Plain
from hive.core.values import Duration, Table

NEVER = "never"
"""What may stand for a duration of 0 where that means never."""

_PLAIN = Plain()


def ways(value: object) -> tuple[str, ...]:
    """Read one way to tell people, or a list of them."""
    found = values.texts(value)
    for text in found:
        way = escalation.way(text)
        if way.kind == "webhook":
            values.url(way.target)
    if len(set(found)) < len(found):
        raise ValueError("must not say the same twice")
    return found


def quiet(value: object) -> tuple[int, int]:
    """Read quiet hours."""
    return escalation.quiet(values.text(value))


def kinds(value: object) -> tuple[str, ...]:
    """Read one kind of thing that waits for a person, or a list of them."""
    return tuple(map(escalation.kind, values.texts(value)))


def or_never(value: object) -> object:
    """Read `never` as 0."""
    return 0 if value == NEVER else value


Ways = Annotated[tuple[str, ...], BeforeValidator(ways, json_schema_input_type=str | list[str])]
Quiet = Annotated[tuple[int, int], BeforeValidator(quiet, json_schema_input_type=str)]
Kinds = Annotated[tuple[str, ...], BeforeValidator(kinds, json_schema_input_type=str | list[str])]
OrNever = Annotated[Duration, BeforeValidator(or_never, json_schema_input_type=str | float)]


class Escalation(Table):
    """When and how people are told what waits for them (`hive inbox`)."""

    notify: Ways = Field(
        _PLAIN.notify,
        description='How: "bell", "desktop", "command: …", "webhook: http://…"; none tells nobody.',
    )
    quiet: Quiet | None = Field(
        None, description='When only what is `urgent` is told, local time: "22:00-07:00".'
    )
    wait: Duration = Field(
        _PLAIN.wait, description="How long a thing waits before it is told; over by then, it isn't."
    )
    group: Duration = Field(
        _PLAIN.group, description="What comes within so long is told in one notification."
    )
    remind: OrNever = Field(
        _PLAIN.remind, description="After so long it is told again while it is open; 0 is never."
    )
    urgent: Kinds = Field(
        _PLAIN.urgent, description='Kinds that are told in quiet hours, too, such as "budget".'
    )

    def plain(self) -> Plain:
        """Give them as plain values."""
        return Plain(**{one.name: getattr(self, one.name) for one in fields(Plain)})
