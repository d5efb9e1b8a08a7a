"""What single values of a task, of a workflow and of [work] may be.

A reader's message goes after the key's name, as in `core.values`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from hive.core import names, values
from hive.core.conditions import templated
from hive.core.tasks import PRIORITIES
from hive.core.work_words import agent, folder, identifier, lock, skill


def skills(value: object) -> tuple[str, ...]:
    """Read one skill or a list of them."""
    return tuple(skill(one) for one in values.texts(value))


def or_template(check: Callable[[str], str]) -> Callable[[object], str]:
    """Have a check pass what is to be filled in first."""

    def read(value: object) -> str:
        text = values.text(value)
        return text if templated(text) else check(text)

    return read


def task_skills(value: object) -> tuple[str, ...]:
    """Read the skills that a task needs."""
    return tuple(or_template(skill)(one) for one in values.texts(value))


def lock_names(value: object) -> tuple[str, ...]:
    """Read the locks of a task, each as one text: `port:3000`, `shared path:src`."""
    return tuple(or_template(lock)(one) for one in values.texts(value))


def priority(value: object) -> int:
    """Read a priority: low, normal, high, urgent, or a number from 0 to 100."""
    if isinstance(value, str) and value in PRIORITIES:
        return PRIORITIES[value]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        known = ", ".join(f"`{one}`" for one in PRIORITIES)
        raise ValueError(f"must be one of {known}, or a number from 0 to 100")
    return value


def parameter(value: Any) -> Any:
    """Read a parameter written as its default alone."""
    return {"default": value} if isinstance(value, str) else value


def a_second(value: float) -> float:
    """Check a lease: what is shorter would be over before it could be renewed."""
    if value < 1:
        raise ValueError("must be a second or longer")
    return value


Word = Annotated[str, AfterValidator(identifier)]
Who = Annotated[str, BeforeValidator(or_template(names.safe), json_schema_input_type=str)]
Whom = Annotated[str, BeforeValidator(or_template(agent), json_schema_input_type=str)]
Skills = Annotated[tuple[str, ...], BeforeValidator(skills, json_schema_input_type=str | list[str])]
Needed = Annotated[
    tuple[str, ...], BeforeValidator(task_skills, json_schema_input_type=str | list[str])
]
Locks = Annotated[
    tuple[str, ...], BeforeValidator(lock_names, json_schema_input_type=str | list[str])
]
Priority = Annotated[
    int,
    BeforeValidator(priority),
    WithJsonSchema({"anyOf": [{"enum": list(PRIORITIES)}, {"type": "integer"}]}),
]
Folder = Annotated[values.Text, AfterValidator(folder)]
Retries = Annotated[int, Field(ge=0, le=values.MOST)]
Lease = Annotated[values.Duration, AfterValidator(a_second)]
Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
