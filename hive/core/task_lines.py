"""Tasks as options or a file ask for them: read and checked, all of them before any is taken.

A file has one task a line, as JSON. Its tasks need one another by `key` or `name`, others by
`t-12`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hive.core.tasks import Job, New, parsed
from hive.core.wording import count
from hive.errors import WrongInput

if TYPE_CHECKING:
    from hive.core.rules import Rules
    from hive.core.workflow_model import Line

_CALLED = re.compile(r'"(?:key|name)"\s*:\s*"([^"\\]+)"')

SHOWN = 20
"""How many wrong lines are named; the others are counted."""

OPTIONS = {"prompt": "TEXT", "skills": "--skill", "locks": "--lock"}
"""What options are called that aren't called like their key."""

KNOWN = ("agree", "replicas", "jury", "check", "cache")
"""The keys that a mistake in another one may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What counts for all tasks that are added at once; `held` is why they are kept, if so."""

    project: str
    rules: Rules
    sender: str
    now: float
    held: str = ""

    def job(self, line: Line) -> Job:
        """Give the job that a line asks for; raises WrongInput."""
        from hive.core.workflow_model import task_job

        made = task_job(line, rules=self.rules, project=self.project, now=self.now)
        return replace(made, sender=self.sender)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One thing wrong with a line."""

    number: int
    what: str


def one(table: Mapping[str, Any]) -> Line:
    """Read the options of one task; raises WrongInput, naming the options."""
    line, wrongs = _line(table, 0)
    if line is None:
        what = "; ".join(wrong.what for wrong in wrongs)
        for key in {*table, *KNOWN}:
            what = what.replace(f"`{key}`", f"`{OPTIONS.get(key, f'--{key}'.replace('_', '-'))}`")
        raise WrongInput(what, fix="hive task add --help")
    return line


def read(
    texts: Iterable[str], name: str, given: Mapping[str, Any], around: Around, uid: str
) -> list[New]:
    """Read a file of tasks; `given` is what each has that doesn't say otherwise itself.

    Each comes after those that it needs. `uid` begins the id of each. Raises WrongInput, naming
    every bad line, and each cycle.
    """
    found: dict[int, Line] = {}
    wrongs: list[Wrong] = []
    lost: set[str] = set()
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        line, more = _parsed(text, given, number)
        wrongs += more
        if line is not None:
            found[number] = line
        else:
            lost.update(_CALLED.findall(text))
    needs = _resolved(found, lost, wrongs)
    if wrongs:
        raise _refusal(wrongs, name)
    order = _ordered(needs, name)
    return [_new(number, found[number], needs[number], around, uid) for number in order]


def _new(number: int, line: Line, needs: Sequence[int | str], around: Around, uid: str) -> New:
    wanted = tuple(f"{uid}:{need}" if isinstance(need, int) else need for need in needs)
    job = around.job(line)
    return New(uid=f"{uid}:{number}", job=job, needs=wanted, idem=line.key or "", held=around.held)


class _TwiceError(Exception):
    """A key that stands twice in one line."""


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Give what an object of JSON holds; raises _TwiceError."""
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [key for key, _ in pairs]
        raise _TwiceError(next(key for key in names if names.count(key) > 1))
    return table


def _parsed(text: str, given: Mapping[str, Any], number: int) -> tuple[Line | None, list[Wrong]]:
    try:
        table = json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        return None, [Wrong(number=number, what=f"`{error}` is there twice")]
    except (ValueError, RecursionError) as error:
        what = str(error).partition(": line ")[0]
        return None, [Wrong(number=number, what=f"this is not JSON: {what[:1].lower()}{what[1:]}")]
    if not isinstance(table, dict):
        return None, [Wrong(number=number, what="this is not a JSON object, `{…}`")]
    return _line({**given, **table}, number)


def _line(table: Mapping[str, Any], number: int) -> tuple[Line | None, list[Wrong]]:
    from pydantic import ValidationError

    from hive.core import tables
    from hive.core.workflow_model import Line

    try:
        return Line.model_validate(table), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        whole = [f"it {one['ctx']['error']}" for one in found if not one["loc"]]
        named = [one for one in found if one["loc"]]
        said = [wrong.what for wrong in tables.wrongs(named, Line, {})]
        return None, [Wrong(number=number, what=what) for what in (*said, *whole)]


def _resolved(
    found: Mapping[int, Line], lost: Collection[str], wrongs: list[Wrong]
) -> dict[int, list[int | str]]:
    """Give what each line needs: the numbers of other lines, or names of tasks that there are.

    `lost` is what bad lines are called: that they are bad is said once.
    """
    called: dict[str, list[int]] = {}
    for number, line in found.items():
        for word in {line.key, line.name} - {None}:
            called.setdefault(str(word), []).append(number)
    for number, line in found.items():
        first = called.get(line.key or "", [number])[0]
        if line.key and first != number and found[first].key == line.key:
            what = f"`key` `{line.key}` is that of line {first} already"
            wrongs.append(Wrong(number=number, what=what))
    return {
        number: [_need(word, number, called, wrongs) for word in line.needs if word not in lost]
        for number, line in found.items()
    }


def _need(
    word: str, number: int, called: Mapping[str, list[int]], wrongs: list[Wrong]
) -> int | str:
    meant = called.get(word, [])
    if len(meant) == 1:
        return meant[0]
    if not meant and parsed(word) is not None:
        return f"t-{parsed(word)}"
    what = f"`needs` names `{word}`, and no line is called so"
    if meant:
        listed = ", ".join(map(str, meant[:5]))
        what = f"`needs` names `{word}`, and so are called {count(len(meant), 'line')}: {listed}"
    wrongs.append(Wrong(number=number, what=what))
    return word


def _ordered(needs: Mapping[int, Sequence[int | str]], name: str) -> list[int]:
    """Give the lines in their order, each after those that it needs; raises WrongInput."""
    from graphlib import CycleError, TopologicalSorter

    inner = {number: [one for one in of if isinstance(one, int)] for number, of in needs.items()}
    if all(one < number for number, of in inner.items() for one in of):
        return list(inner)
    try:
        return list(TopologicalSorter(inner).static_order())
    except CycleError as error:
        circle = " → ".join(f"line {one}" for one in reversed(error.args[1]))
        what = f"these need one another in a circle: {circle}"
        raise WrongInput(what, where=name, fix="take one of these `needs` away") from None


def _refusal(wrongs: Sequence[Wrong], name: str) -> WrongInput:
    ordered = sorted(wrongs, key=lambda wrong: wrong.number)
    listed = "\n".join(f"{name}:{wrong.number}: {wrong.what}" for wrong in ordered[:SHOWN])
    more = len(ordered) - SHOWN
    end = f"\n… and {count(more, 'more mistake')}" if more > 0 else ""
    return WrongInput(f"{listed}{end}", fix="put them right: nothing was added")
