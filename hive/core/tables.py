"""TOML tables read into strict models, with every mistake on the way said in our words.

Nothing is guessed: an unknown key is a mistake.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from hive.core import names, repeats
from hive.core.mistakes import Mistake, Wrong, excerpt, private, refusal, shown
from hive.core.positions import Path, find

_WANTED = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a table",
    "list_type": "a list",
    "model_type": "a table",
    "finite_number": "a number",
    "greater_than_equal": "{ge:g} or more",
    "less_than_equal": "{le:g} or less",
}
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_KEYS = re.compile(r"\('([^()]*)',?\)")
_BETWEEN = "', '"
_LARGE = 10**18
_DEEPEST = 50
_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A text that is TOML once what it says twice is cut out.

    `repeated` are the mistakes of that, `lost` the places of what was cut.
    """

    text: str
    values: dict[str, Any]
    repeated: tuple[Mistake, ...]
    lost: frozenset[Path]


def source(text: str, name: str) -> Source:
    """Read TOML, without what is there twice; raises WrongInput where it still isn't TOML."""
    repeated: list[Mistake] = []
    lost: set[Path] = set()
    while True:
        try:
            values = _toml(text, name)
        except ValueError as error:  # also what Python says of a number with thousands of digits
            again, mistake = repeats.is_repeat(str(error)), _unreadable(str(error), text)
        else:
            return Source(text=text, values=values, repeated=tuple(repeated), lost=frozenset(lost))
        if repeated and not again:
            raise refusal(repeated, name)  # what was cut may be the cause
        found = repeats.cut(text, mistake.line) if again and len(repeated) < _MOST else None
        if found is None:
            raise refusal([*repeated, mistake], name)
        text, path = found
        lost.add(path)
        repeated.append(replace(mistake, text="") if private(path) else mistake)


def _toml(text: str, name: str) -> dict[str, Any]:
    """Read TOML; raises ValueError where it isn't, and WrongInput where it is nested too deeply."""
    try:
        values = tomllib.loads(text)
        deepest = max(map(len, find(text)), default=0)
    except RecursionError:
        deepest = _DEEPEST + 1
    if deepest > _DEEPEST:
        raise refusal([Mistake(line=1, where="", what="tables are nested too deeply")], name)
    return values


def _unreadable(message: str, text: str) -> Mistake:
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    place = _PLACE.search(message)
    line = int(place[1]) if place and place[1] else len(lines) if place else 1
    what = _PLACE.sub("", message)
    what = _KEYS.sub(lambda keys: f"`{keys[1].replace(_BETWEEN, '.')}`", what)
    told = excerpt(lines, line) if place and line <= len(lines) else ""
    return Mistake(
        line=line,
        where="",
        what=f"this is not TOML: {what[:1].lower()}{what[1:]}",
        text=told if told.isprintable() else "",
    )


def wrongs(
    mistakes: list[ErrorDetails], model: type[BaseModel], others: Mapping[str, str]
) -> tuple[Wrong, ...]:
    """Say pydantic's findings about `model` in our words; `others` is what others call its keys."""
    found = [_wrong(mistake, model, others) for mistake in mistakes]
    unknown = [wrong.path for wrong in found if wrong.what.startswith("unknown key")]
    explained = {(*path[:-1], meant(path, model, others)) for path in unknown}
    missing = {mistake["loc"] for mistake in mistakes if mistake["type"] == "missing"}
    return tuple(wrong for wrong in found if wrong.path not in explained & missing)


def meant(path: Path, model: type[BaseModel], others: Mapping[str, str]) -> str:
    """Give the key that an unknown one at `path` was meant to be, or "".

    `others` is what others call our keys: a word, and with spaces between them the keys that it
    may stand for.
    """
    known = _known(path[:-1], model)
    words = {other: key for other, keys in others.items() for key in keys.split() if key in known}
    word = str(path[-1])
    return (
        words.get(word) or names.nearest(word, known) or words.get(names.nearest(word, words), "")
    )


def _wrong(mistake: ErrorDetails, model: type[BaseModel], others: Mapping[str, str]) -> Wrong:
    path = tuple(part for part in mistake["loc"] if part != "[key]")
    key = shown(next(part for part in reversed(path) if isinstance(part, str)))
    kind = mistake["type"]
    if kind == "extra_forbidden":
        near = meant(path, model, others)
        listed = ", ".join(f"`{one}`" for one in _known(path[:-1], model))
        end = f"; did you mean `{near}`?" if near else f"; known are {listed}"
        return Wrong(path=path, what=f"unknown key `{key}`{end}")
    if kind == "missing":
        return Wrong(path=path, what=f"`{key}` is missing")
    if kind == "value_error":
        return Wrong(path=path, what=f"`{key}` {mistake['ctx']['error']}")
    if kind == "literal_error":
        wanted = "one of " + mistake["ctx"]["expected"].replace("'", "`").replace(" or ", " and ")
    else:
        wanted = _WANTED[kind].format(**mistake.get("ctx", {}))
    given = "" if private(path) else f", not {_given(mistake['input'])}"
    return Wrong(path=path, what=f"`{key}` must be {wanted}{given}")


def _given(value: object) -> str:
    """Show a wrong value briefly, whatever it is."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:40]}…")
    if isinstance(value, int | float):
        return "so large a number" if isinstance(value, int) and abs(value) > _LARGE else str(value)
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
    return "a date or time"


def _known(path: Path, model: type[BaseModel]) -> list[str]:
    """Give the keys of the table at `path`."""
    names_next = False
    for part in path:
        if names_next:
            names_next = False
            continue
        annotation = model.model_fields[str(part)].annotation
        model = next(_models(annotation))
        names_next = getattr(annotation, "__origin__", None) in {dict, list}
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Any:
    """Give the models inside a type, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inside in get_args(annotation):
        yield from _models(inside)
