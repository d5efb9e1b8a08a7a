"""From the text of a `hive.toml` to its model, with every mistake found on the way.

Nothing is guessed: an unknown key is a mistake. What is wrong is then left out and the rest read
again, so that the checks that come after (folders, programs, names) are told in the same breath;
what was left out is remembered, so that nothing is told that only follows from it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hive.core import names, repeats
from hive.core.mistakes import Mistake, Wrong, excerpt, placed, refusal, shown
from hive.core.model import File
from hive.core.positions import Path, find

PLACEHOLDER = ":"
"""The command of an agent whose own can't be read: it passes every check that follows."""

NOWHERE = "/dev/null/nowhere"
"""The directory of a table whose own can't be read: nothing in it is looked for."""

OTHER_WORDS = {
    "age": "max_age",
    "agent": "agents",
    "args": "run",
    "cmd": "run",
    "command": "run",
    "cores": "cpu",
    "cpu_limit": "cpu",
    "cpus": "cpu",
    "cwd": "directory",
    "depends_on": "after",
    "dir": "directory",
    "envfile": "env_file",
    "environment": "env",
    "folder": "directory",
    "health": "alive",
    "healthcheck": "alive",
    "lifetime": "max_age",
    "limit": "limits",
    "liveness": "alive",
    "max_agents": "agents",
    "max_delay": "longest",
    "max_lifetime": "max_age",
    "max_memory": "memory",
    "max_processes": "processes",
    "mem": "memory",
    "mem_limit": "memory",
    "memory_high": "memory_soft",
    "memory_limit": "memory",
    "memory_max": "memory",
    "needs": "after",
    "nice": "priority",
    "path": "directory",
    "pids": "processes",
    "ram": "memory",
    "readiness": "ready",
    "replicas": "count",
    "resources": "limits",
    "retries": "attempts",
    "scale": "count",
    "soft": "memory_soft",
    "soft_memory": "memory_soft",
    "team": "teams",
    "ttl": "max_age",
    "workdir": "directory",
}
"""What others call our keys."""

_WANTED = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a table",
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
_STAND_INS = {"run": PLACEHOLDER, "directory": NOWHERE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A text that is TOML once what it says twice is cut out.

    `repeated` are the mistakes of that, `lost` the places of what was cut.
    """

    text: str
    values: dict[str, Any]
    repeated: tuple[Mistake, ...]
    lost: frozenset[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a text says: `file` is None where so much is wrong that nothing further can be checked.

    With any mistake, `file` holds only what could be read, and is good for checks alone; `lost`
    are the places of all that was left out.
    """

    file: File | None
    source: Source
    wrongs: tuple[Wrong, ...]
    lost: frozenset[Path]

    def mistakes(self, found: Iterable[Wrong] = ()) -> list[Mistake]:
        """Give every mistake, with those `found` since, in the order of the file."""
        others = placed((*self.wrongs, *found), self.source.text)
        return sorted([*self.source.repeated, *others], key=lambda mistake: mistake.line)


def parse(text: str, name: str) -> Parsed:
    """Read the text of the file called `name`; raises WrongInput where it isn't TOML."""
    source = _source(text, name)
    try:
        file = File.model_validate(source.values)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
    else:
        return Parsed(file=file, source=source, wrongs=(), lost=source.lost)
    wrongs = _without_explained([_wrong(mistake) for mistake in mistakes], mistakes)
    rest, lost = _rest(source.values, mistakes)
    return Parsed(file=rest, source=source, wrongs=tuple(wrongs), lost=source.lost | lost)


def read(text: str, name: str = "hive.toml") -> File:
    """Read the text of the file called `name`; raises WrongInput with every mistake."""
    parsed = parse(text, name)
    mistakes = parsed.mistakes()
    if parsed.file is None or mistakes:
        raise refusal(mistakes, name)
    return parsed.file


def _source(text: str, name: str) -> Source:
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
        repeated.append(replace(mistake, text="") if "env" in path else mistake)


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


def _wrong(mistake: ErrorDetails) -> Wrong:
    """Say one of pydantic's findings in our words."""
    path = tuple(part for part in mistake["loc"] if part != "[key]")
    key, kind = shown(path[-1]), mistake["type"]
    if kind == "extra_forbidden":
        known = _known(path[:-1])
        meant = _meant(str(path[-1]), known)
        end = f"; did you mean `{meant}`?" if meant else f"; known are {_listed(known)}"
        return Wrong(path=path, what=f"unknown key `{key}`{end}")
    if kind == "missing":
        return Wrong(path=path, what=f"`{key}` is missing")
    if kind == "value_error":
        return Wrong(path=path, what=f"`{key}` {mistake['ctx']['error']}")
    if kind == "literal_error":
        wanted = "one of " + mistake["ctx"]["expected"].replace("'", "`").replace(" or ", " and ")
    else:
        wanted = _WANTED[kind].format(**mistake.get("ctx", {}))
    given = "" if "env" in path else f", not {_given(mistake['input'])}"
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


def _known(path: Path) -> list[str]:
    """Give the keys of the table at `path`."""
    model: type[BaseModel] = File
    names_next = False
    for part in path:
        if names_next:
            names_next = False
            continue
        annotation = model.model_fields[str(part)].annotation
        model = next(_models(annotation))
        names_next = getattr(annotation, "__origin__", None) is dict
    return list(model.model_fields)


def _models(annotation: Any) -> Any:
    """Give the models inside a type, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inside in get_args(annotation):
        yield from _models(inside)


def _meant(word: str, known: list[str]) -> str:
    """Give the key that an unknown one was meant to be, or ""."""
    others = {other: key for other, key in OTHER_WORDS.items() if key in known}
    near = names.nearest(word, [*known, *others])
    return others.get(near, near)


def _listed(known: list[str]) -> str:
    return ", ".join(f"`{key}`" for key in known)


def _without_explained(wrongs: list[Wrong], mistakes: list[ErrorDetails]) -> list[Wrong]:
    """Leave out a missing key where the same table has an unknown one meant to be it."""
    unknown = [wrong.path for wrong in wrongs if wrong.what.startswith("unknown key")]
    meant = {(*path[:-1], _meant(str(path[-1]), _known(path[:-1]))) for path in unknown}
    missing = {mistake["loc"] for mistake in mistakes if mistake["type"] == "missing"}
    return [wrong for wrong in wrongs if wrong.path not in meant & missing]


def _rest(
    values: dict[str, Any], mistakes: list[ErrorDetails]
) -> tuple[File | None, frozenset[Path]]:
    """Read what is left when everything wrong is taken away, and tell the places of that.

    The file is None where what is left is wrong too.
    """
    lost: set[Path] = set()
    for _ in range(5):  # a table may turn out wrong as a whole once its keys are right
        for mistake in mistakes:
            lost.update(_mend(values, mistake))
        try:
            return File.model_validate(values), frozenset(lost)
        except ValidationError as error:
            mistakes = error.errors(include_url=False)
    return None, frozenset(lost)


def _mend(values: dict[str, Any], mistake: ErrorDetails) -> list[Path]:
    """Take one wrong value away, or put in what is needed to go on; give what is lost by it."""
    path = tuple(part for part in mistake["loc"] if part != "[key]")
    table: Any = values
    for part in path[:-1]:
        table = table.get(part) if isinstance(table, Mapping) else None
    if not isinstance(table, dict):
        return [path]
    table.pop(path[-1], None)
    if mistake["loc"][-1] == "[key]":
        return [path]
    key = path[-1]
    if mistake["type"] == "extra_forbidden":
        key = _meant(str(key), _known(path[:-1]))
        if not key or key in table:
            return []
    if path == ("project",):
        table["project"] = "project"
    elif len(path) == 4 and path[2] == "agents":
        table[key] = PLACEHOLDER
    elif key in _STAND_INS and "env" not in path[:-1]:
        table[key] = _STAND_INS[key]
    return [(*path[:-1], key)]
