"""What is wrong with a workflow that reads well: told before anything of it runs.

Names taken twice, needs that go in a circle or to nobody, and templates and conditions that name
what is not certainly over when they are filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from hive.core import conditions, names
from hive.core.conditions import ATTRIBUTES, templated
from hive.core.mistakes import Wrong
from hive.core.positions import Path
from hive.core.spec import Agent
from hive.core.tasks import Job
from hive.core.work_words import HOWS, agent_id
from hive.core.workflow import Definition, Spot, guards, order, spots
from hive.errors import WrongInput

if TYPE_CHECKING:  # pydantic takes a tenth of a second to import
    from hive.core import workflow_model

_FILLED = ("check", "team", "role", "agent", "skills", "locks", "sticky", "batch_key", "jury")
"""The keys that are filled in when a run begins, with parameters alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What one task is checked with: the others, and which of them are over before each.

    `before` has a set of bits for each: its own, and those of all that are over before it.
    """

    spots: Mapping[str, Spot]
    guarded: Mapping[str, Sequence[str]]
    params: frozenset[str]
    before: Mapping[str, int]


def wrongs(name: str, table: workflow_model.Workflow) -> Iterator[Wrong]:
    """Find everything wrong with a workflow, each with its place in the file."""
    base: Path = ("workflows", name)
    found = spots(table)
    twice = [*_taken_twice(table, found)]
    yield from (_under(base, wrong) for wrong in twice)
    if twice:
        return
    needs = order(table.pattern, found)
    circle = _circle(needs)
    around = _Around(
        spots={spot.key: spot for spot in found},
        guarded=guards(found),
        params=frozenset(table.params),
        before={} if circle else _before(needs),
    )
    named = [_under(spot.path, wrong) for spot in found for wrong in _named(around, spot)]
    yield from (_under(base, wrong) for wrong in named)
    if circle and not any(wrong.path[-1] == "on_failure" for wrong in named):
        yield _under(base, _round(around, [key for key in circle if key in around.spots]))
    for spot in () if circle else found:
        yield from (_under((*base, *spot.path), wrong) for wrong in _filled(around, spot))


def _under(base: Path, wrong: Wrong) -> Wrong:
    return Wrong(path=(*base, *wrong.path), what=wrong.what)


def _taken_twice(table: workflow_model.Workflow, found: Sequence[Spot]) -> Iterator[Wrong]:
    """Find phases, tasks and parameters that share a name."""
    roots = dict.fromkeys(table.params, "a parameter")
    for number, phase in enumerate(table.phases):
        if not phase.tasks:
            yield Wrong(path=("phases", number, "tasks"), what="`tasks` must not be empty")
        if phase.name in roots:
            what = f"`name` `{phase.name}` is taken by {roots[phase.name]}"
            yield Wrong(path=("phases", number, "name"), what=what)
        roots.setdefault(phase.name, "another phase")
    keys = roots if not table.phases else {}
    for spot in found:
        if spot.key in keys:
            what = f"`name` `{spot.table.name}` is taken by {keys[spot.key]}"
            yield Wrong(path=(*spot.path, "name"), what=what)
        keys.setdefault(spot.key, "another task")


def _circle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Give tasks that wait for each other, each for the next; none where there are none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        found: list[str] = error.args[1][:0:-1]
        return found
    return []


def _round(around: _Around, circle: Sequence[str]) -> Wrong:
    """Tell a circle where a task of it leads on in it by its own `needs`."""
    first = 0
    for place, following in enumerate([*circle[1:], circle[0]]):
        spot = around.spots[circle[place]]
        if following in {spot.meant(word, around.spots) for word in spot.table.needs}:
            first = place
            break
    way = [*circle[first:], *circle[:first], circle[first]]
    what = f"`needs` goes in a circle: {' → '.join(way)}"
    return Wrong(path=(*around.spots[way[0]].path, "needs"), what=what)


def _before(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Give for each task all that are over before it, one bit for each place in `needs`."""
    bits = {key: 1 << place for place, key in enumerate(needs)}
    found: dict[str, int] = {}
    for key in TopologicalSorter(needs).static_order():
        found[key] = bits[key]
        for one in needs[key]:
            found[key] |= found[one]
    return found


def _named(around: _Around, spot: Spot) -> Iterator[Wrong]:
    """Find tasks in `needs` and `on_failure` that aren't there, or can't stand there."""
    for word in spot.table.needs:
        key = spot.meant(word, around.spots)
        if not key:
            what = f"`needs` names `{word}`, which is no task{_near(around, word)}"
            yield Wrong(path=("needs",), what=what)
        elif key in around.guarded:
            who = around.guarded[key][0]
            what = f"`needs` names `{word}`, which is only run if `{who}` fails"
            yield Wrong(path=("needs",), what=what)
    how = spot.table.on_failure
    key = spot.meant(how, around.spots)
    if how not in HOWS and not key:
        what = f"`on_failure` must be `stop`, `continue` or a task, not `{how}`"
        yield Wrong(path=("on_failure",), what=f"{what}{_near(around, how)}")
    elif key and (key == spot.key or spot.key in around.guarded):
        what = "`on_failure` must be `stop` or `continue` here: this task is for a failure itself"
        yield Wrong(path=("on_failure",), what=what)


def _near(around: _Around, word: str) -> str:
    """Offer the task that a word was probably meant to be, in its own phase's way or in full."""
    short = [key for key in around.spots if key.rpartition(".")[2] == word]
    return names.offer(short[:1]) or names.did_you_mean(word, around.spots)


def _filled(around: _Around, spot: Spot) -> Iterator[Wrong]:
    """Find mistakes in the templates and the condition of a task."""
    table = spot.table
    key = "prompt" if table.run is None else "run"
    text = table.prompt or table.run or ""
    if templated(text):
        yield from _readable(around, spot, key, text)
    if key == "run" and templated(text):
        yield from _unquoted(around, text)
    if table.when is not None:
        yield from _readable(around, spot, "when", table.when)
    for one in _FILLED:
        value = getattr(table, one)
        for part in (value,) if isinstance(value, str) else value or ():
            if templated(part):
                yield from _readable(around, spot, one, part, early=True)
    if table.directory and templated(table.directory):
        yield from _readable(around, spot, "directory", table.directory, early=True)


def _readable(
    around: _Around, spot: Spot, key: str, text: str, *, early: bool = False
) -> Iterator[Wrong]:
    """Find mistakes in one template, or in `when`; one filled in `early` names no task."""
    try:
        found = sorted(conditions.names(text, expression=key == "when"))
    except WrongInput as error:
        raw = "; text that is no template goes between {% raw %} and {% endraw %}"
        yield Wrong(path=(key,), what=f"`{key}`: {error.what}{'' if key == 'when' else raw}")
        return
    for name in found:
        what = _misnamed(around, spot, name, early=early)
        if what:
            yield Wrong(path=(key,), what=f"`{key}` names `{name}`{what}")


def _misnamed(around: _Around, spot: Spot, name: str, *, early: bool) -> str:
    """Say what is wrong with a name that a template of a task reads, or ""."""
    root, *rest = name.split(".")
    if root in around.params:
        return ""
    if early:
        return ", but only parameters are known when a run begins" + names.did_you_mean(
            root, around.params
        )
    parts = 2 if spot.phase else 1
    key, attributes = ".".join([root, *rest][:parts]), [root, *rest][parts:]
    if key not in around.spots:
        near = _near(around, key) or names.did_you_mean(root, around.params)
        return f", which is neither a parameter nor a task{near}"
    if not attributes:
        return f" as a whole; did you mean `{key}.result`?"
    if attributes[0] not in ATTRIBUTES:
        near = names.did_you_mean(attributes[0], ATTRIBUTES)
        return f", but of a task only {', '.join(ATTRIBUTES)} are known{near}"
    if key in around.guarded:
        return f", but `{key}` is only run if `{around.guarded[key][0]}` fails"
    if key == spot.key or around.before[key] | around.before[spot.key] != around.before[spot.key]:
        return f", but `{key}` need not be over by then; add it to `needs`"
    return ""


def _unquoted(around: _Around, text: str) -> Iterator[Wrong]:
    """Find agents' words that would be read by a shell as part of its command."""
    try:
        known = {name for name in conditions.names(text) if name.partition(".")[0] in around.params}
        found = conditions.unquoted(text) if known != conditions.names(text) else frozenset()
    except WrongInput:
        return  # told where the names are read
    for name in sorted(found):
        if name not in known:
            what = f"`run` would have a shell read what `{name}` says"
            yield Wrong(path=("run",), what=f"{what}; write `{{{{ {name} | quote }}}}`")


def unmatched(definition: Definition, agents: Iterable[Agent]) -> Iterator[str]:
    """Say which tasks nobody of these agents may have, as things are; parameters may change it."""
    known = list(agents)
    for step in definition.steps:
        told = "" if step.job.kind == "barrier" else unmet(step.job, known)
        if told:
            yield f"workflow `{definition.name}`: nobody may have `{step.key}`, which wants {told}"


def unmet(job: Job, agents: Iterable[Agent]) -> str:
    """Say what a task wants that none of these agents is; "" where one may have it."""
    texts = (job.team, job.role, job.agent, *job.skills)
    if not any(texts) or any(map(templated, texts)):
        return ""
    who = agent_id(job.agent, job.team, job.project)
    fit = (
        job.team in {"", one.team}
        and job.role in {"", one.role}
        and who in {"", one.id}
        and set(job.skills) <= set(one.skills)
        for one in agents
    )
    if any(fit):
        return ""
    asked = {"team": job.team, "role": job.role, "agent": job.agent}
    wants = [f"{key} `{word}`" for key, word in asked.items() if word]
    return ", ".join((*wants, *(f"skill `{one}`" for one in job.skills)))
