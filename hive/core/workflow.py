"""Workflows: the order of their tasks, and what a run of one adds to the queue.

Sequential is each task after the one before, parallel is all at once, hybrid is phases one after
another with the tasks of each at once; `needs` adds further order. A task that another one names
as its `on_failure` stands outside of that order: it waits for those that name it, and is there
for their failure alone. `core.workflow_checks` says what is wrong with a workflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hive.core import conditions, names, tasks
from hive.core.conditions import templated
from hive.core.mistakes import placed, refusal
from hive.core.positions import Path
from hive.core.tasks import Job, New
from hive.core.work_words import agent_id, filled, filled_skills, stray, wanted
from hive.errors import WrongInput

if TYPE_CHECKING:  # pydantic takes a tenth of a second to import
    from hive.core import model, workflow_model
    from hive.core.rules import Rules

FILLED = ("check", "team", "role", "agent", "sticky", "batch", "jury", "directory")
"""What of a job is filled in when a run begins, with parameters alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One task of a workflow, before a run fills it in.

    `key` is its name in the run, `build.api`; `needs` are the keys of those that must be over
    before it. Of its job, `deadline` is counted from the run's start, `agent` is the word for it,
    and what may be a template is as it was written. One for a failure (`fallback`) is run only if
    one of those fails that have its key as their job's `on_failure`.
    """

    key: str
    job: Job
    needs: tuple[str, ...] = ()
    phase: str = ""
    fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A workflow that may be run: its parameters with their defaults (None: none), its steps."""

    name: str
    pattern: str
    params: Mapping[str, str | None]
    steps: tuple[Step, ...]
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One task of a workflow's table: where it stands in it, and its name in a run."""

    path: Path
    phase: str
    key: str
    table: workflow_model.Task

    def meant(self, word: str, keys: Mapping[str, Any]) -> str:
        """Give the key of the task that it calls so, or "": one of its own phase, or in full."""
        own = f"{self.phase}.{word}" if self.phase else word
        return own if own in keys else word if word in keys else ""


def spots(table: workflow_model.Workflow) -> list[Spot]:
    """Give the tasks of a workflow, in the order of the file."""
    found = [
        Spot(path=("tasks", place), phase="", key=one.name, table=one)
        for place, one in enumerate(table.tasks)
    ]
    for number, phase in enumerate(table.phases):
        for place, one in enumerate(phase.tasks):
            path: Path = ("phases", number, "tasks", place)
            key = f"{phase.name}.{one.name}"
            found.append(Spot(path=path, phase=phase.name, key=key, table=one))
    return found


def guards(found: Sequence[Spot]) -> dict[str, list[str]]:
    """Give the tasks that are there for a failure, by key, each with those it is there for."""
    keys = {spot.key: spot for spot in found}
    guarded: dict[str, list[str]] = {}
    for spot in found:
        named = spot.meant(spot.table.on_failure, keys)
        if named and named != spot.key:
            guarded.setdefault(named, []).append(spot.key)
    return guarded


def order(pattern: str, found: Sequence[Spot]) -> dict[str, tuple[str, ...]]:
    """Give what each task needs, by key, with the barriers between phases.

    A need that is no task is left out.
    """
    keys = {spot.key: spot for spot in found}
    guarded = guards(found)
    usual = [spot for spot in found if spot.key not in guarded]
    first = _phased(usual) if pattern == "hybrid" else {}
    if pattern == "sequential":
        first = {after.key: (before.key,) for before, after in pairwise(usual)}
    needs = {}
    for spot in found:
        own = [spot.meant(word, keys) for word in spot.table.needs]
        every = (*first.pop(spot.key, ()), *guarded.get(spot.key, ()), *filter(None, own))
        needs[spot.key] = tuple(dict.fromkeys(every))
    return {**needs, **first}


def _phased(found: Sequence[Spot]) -> dict[str, tuple[str, ...]]:
    """Give what tasks and barriers need so that each phase comes after the one before.

    Two phases meet at a barrier, called as the first: it hands over what was done, and n + m needs
    do for n * m.
    """
    phases: dict[str, list[str]] = {}
    for spot in found:
        phases.setdefault(spot.phase, []).append(spot.key)
    needs: dict[str, tuple[str, ...]] = {}
    for (name, before), (_, after) in pairwise(phases.items()):
        needs[name] = tuple(before)
        needs |= dict.fromkeys(after, (name,))
    return needs


def define(file: model.File) -> dict[str, Definition]:
    """Give the workflows of a file, by name. Raises WrongInput where one is wrong."""
    rules = file.work.rules()
    return {
        name: definition(name, table, rules=rules, project=file.project)
        for name, table in file.workflows.items()
    }


def definition(
    name: str, table: workflow_model.Workflow, *, rules: Rules | None = None, project: str = ""
) -> Definition:
    """Give one workflow as it may be run. Raises WrongInput where it is wrong."""
    from hive.core import workflow_checks

    wrongs = tuple(workflow_checks.wrongs(name, table))
    if wrongs:
        raise refusal(placed(wrongs, ""), name)
    params = {key: one.default for key, one in table.params.items()}
    steps = tuple(_steps(table, rules, project))
    return Definition(
        name=name, pattern=table.pattern, params=params, steps=steps, about=table.about or ""
    )


def _steps(table: workflow_model.Workflow, rules: Rules | None, project: str) -> Iterator[Step]:
    from hive.core.workflow_model import task_job

    found = spots(table)
    keys = {spot.key: spot for spot in found}
    guarded = guards(found)
    for key, needs in order(table.pattern, found).items():
        spot = keys.get(key)
        if spot is None:
            title = f"the end of phase {key}"
            job = Job(text=title, title=title, kind="barrier", project=project)
            yield Step(key=key, job=job, needs=needs, phase=key)
            continue
        job = replace(
            task_job(spot.table, rules=rules),
            title=key,
            project=project,
            on_failure=spot.meant(spot.table.on_failure, keys) or spot.table.on_failure,
        )
        yield Step(key=key, job=job, needs=needs, phase=spot.phase, fallback=key in guarded)


def to_dict(definition: Definition) -> dict[str, Any]:
    """Give a definition as JSON-ready values; what is as by default is left out."""
    return {
        "name": definition.name,
        "pattern": definition.pattern,
        "about": definition.about,
        "params": dict(definition.params),
        "steps": [
            {
                "key": step.key,
                "job": tasks.to_dict(step.job),
                "needs": list(step.needs),
                "phase": step.phase,
                "fallback": step.fallback,
            }
            for step in definition.steps
        ],
    }


def from_dict(values: Mapping[str, Any]) -> Definition:
    """Read back what `to_dict` gave, after a trip through JSON."""
    return Definition(
        name=values["name"],
        pattern=values.get("pattern", ""),
        about=values.get("about", ""),
        params=dict(values.get("params", {})),
        steps=tuple(
            Step(
                key=one["key"],
                job=tasks.from_dict(one["job"]),
                needs=tuple(one.get("needs", ())),
                phase=one.get("phase", ""),
                fallback=one.get("fallback", False),
            )
            for one in values["steps"]
        ),
    )


def given(definition: Definition, params: Mapping[str, str]) -> dict[str, str]:
    """Give the value of each parameter; raises WrongInput for one that is unknown or lacking."""
    for name in params:
        if name not in definition.params:
            near = names.did_you_mean(name, definition.params)
            known = ", ".join(definition.params) or "none"
            what = f"workflow `{definition.name}` has no parameter `{name}`{near}"
            raise WrongInput(what, fix=f"its parameters: {known}")
    values = {name: params.get(name, default) for name, default in definition.params.items()}
    lacking = [name for name, value in values.items() if value is None]
    if lacking:
        named = ", ".join(f"`{name}`" for name in lacking)
        what = f"workflow `{definition.name}` needs {named}"
        raise WrongInput(what, fix=" ".join(f"--set {name}=…" for name in lacking))
    return {name: value for name, value in values.items() if value is not None}


def expand(
    definition: Definition,
    params: Mapping[str, str],
    uid: str,
    *,
    project: str = "",
    sender: str = "a person",
    now: float = 0.0,
) -> tuple[New, ...]:
    """Give the tasks of a run, in the order of the file; the barriers come last.

    The uid of each is `uid:key`. `project` is that of jobs that have none; deadlines count from
    `now`. Raises WrongInput for a parameter that is unknown, lacking, or can't be what it is
    filled into.
    """
    known = given(definition, params)
    found = []
    for step in definition.steps:
        try:
            job = _job(step, known, project, now)
        except WrongInput as error:
            where = f"workflow {definition.name}, {step.key}"
            raise WrongInput(error.what, where=where, fix=error.fix) from None
        found.append(
            New(
                uid=f"{uid}:{step.key}",
                job=replace(job, sender=sender),
                needs=tuple(f"{uid}:{key}" for key in step.needs),
                key=step.key,
            )
        )
    return tuple(found)


def _job(step: Step, known: Mapping[str, str], project: str, now: float) -> Job:
    """Give the job of a step with these parameters; what names other tasks stays a template."""
    job = step.job
    changes: dict[str, Any] = {
        key: filled(key, conditions.render(text, known))
        for key in FILLED
        if templated(text := getattr(job, key))
    }
    if any(map(templated, job.skills)):
        changes["skills"] = filled_skills(conditions.render(one, known) for one in job.skills)
    if any(templated(one.name) for one in job.locks):
        texts = (conditions.render(one.name, known) for one in job.locks)
        changes["locks"] = wanted(filter(None, texts))
    job = replace(job, **changes, **_text(step, known))
    if job.agent and stray(job.agent, job.team):
        raise WrongInput(stray(job.agent, job.team))
    project = job.project or project
    return replace(
        job,
        project=project,
        deadline=now + job.deadline if job.deadline else 0.0,
        agent=agent_id(job.agent, job.team, project),
    )


def _text(step: Step, known: Mapping[str, str]) -> dict[str, Any]:
    """Give what a step's job says, and whether that is for the opener to fill in.

    A task for a failure always is, though nothing may be left to fill in: so it is never handed
    out just because all that it needs is over.
    """
    job = step.job
    said = conditions.names(job.text) if templated(job.text) else frozenset()
    asked = conditions.names(job.when, expression=True) if job.when else frozenset()
    roots = {name.partition(".")[0] for name in said | asked}
    params = {name: value for name, value in known.items() if name in roots}
    late = not {name.partition(".")[0] for name in said} <= known.keys()
    if late or step.fallback:
        return {"template": True, "params": params}
    text = conditions.render(job.text, known) if templated(job.text) else job.text
    return {"text": text, "params": params if asked else {}}
