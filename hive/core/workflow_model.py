"""The keys of a task, of [workflows.NAME] and of [work]: their types, defaults and meaning.

Like `core.model`, whose file they are part of, these models are the documentation of the keys. A
task is also what stands on each line of a `tasks.jsonl`. Who may have it, its check, its locks
and its `sticky` and `batch_key` may hold `{{ parameter }}`: what stands there is checked once it
is filled in.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from hive.core.conditions import templated
from hive.core.rules import Rules, Strategy
from hive.core.tasks import Job
from hive.core.values import Duration, Name, Table, Text, Texts, Time, Times
from hive.core.work_words import HOWS, agent_id, stray, wanted
from hive.core.workflow_values import (
    Confidence,
    Folder,
    Lease,
    Locks,
    Needed,
    Priority,
    Retries,
    Who,
    Whom,
    Word,
    parameter,
)

Pattern = Literal["sequential", "parallel", "hybrid"]

_RULES = Rules()
_JOB = Job(text="")


class Asked(Table):
    """What any task may say; exactly one of prompt and run."""

    prompt: Text | None = Field(None, description="What an agent is to do.")
    run: Text | None = Field(None, description="A command for a shell agent instead.")
    team: Who | None = Field(None, description="The team it is for; without it, any.")
    role: Who | None = Field(None, description="The role it is for; without it, any.")
    agent: Whom | None = Field(
        None, description="The one agent it is for: `team/name`, or a name of `team`."
    )
    skills: Needed = Field((), description="Skills that an agent must all have to get it.")
    check: Text | None = Field(
        None, description="A command that must end with 0 before it counts as done."
    )
    check_timeout: Time | None = Field(
        None, description="How long the check may take; without it, as [work] says."
    )
    timeout: Duration | None = Field(
        None, description="How long an attempt may take in all; 0 is for ever."
    )
    progress: Duration | None = Field(
        None, description="How long its agent may be silent about it; 0 is for ever."
    )
    delivery: Time | None = Field(
        None, description="How long it may take until the agent has got it."
    )
    retries: Retries | None = Field(None, description="How many further attempts it gets.")
    backoff: Duration | None = Field(
        None, description="The wait before the second attempt; it doubles with each further one."
    )
    needs: Texts = Field((), description="Tasks that must be over before it, by name.")
    on_failure: Text = Field(
        _JOB.on_failure, description="What follows its failure: `stop`, `continue`, or a task."
    )
    priority: Priority = Field(
        _JOB.priority, description='"low", "normal", "high", "urgent", or a number from 0 to 100.'
    )
    deadline: Time | None = Field(
        None, description="By when it should be done, from the start: it goes first as that nears."
    )
    locks: Locks = Field(
        (), description='What no other task may have meanwhile: "port:3000", "shared path:src".'
    )
    sticky: Text | None = Field(
        None, description="Tasks of one such word go to the same agent where that can be."
    )
    batch_key: Text | None = Field(
        None, description="Tasks of one such word go one after another to one agent."
    )
    replicas: Annotated[int, Field(ge=1, le=100)] = Field(
        _JOB.replicas, description="How many agents are given it, each on its own."
    )
    agree: Times | None = Field(
        None, description="How many of them must agree; without it, more than half."
    )
    judge: Literal["result", "check", "vote"] = Field(
        _JOB.judge, description="How they agree: equal results, passed checks, or a jury's vote."
    )
    jury: Who | None = Field(None, description="The role that votes.")
    cache: Time | None = Field(
        None, description="How old an earlier result of the same inputs may be to be taken."
    )
    cache_files: bool = Field(
        _JOB.cache_files, description="Whether the directory's content is one of the inputs."
    )
    directory: Folder | None = Field(
        None, description="Where its commands run, from its agent's folder; without it, there."
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Asked:
        if (self.prompt is None) == (self.run is None):
            raise ValueError("needs exactly one of `prompt` and `run`")
        if (self.agree or 0) > self.replicas:
            raise ValueError(f"wants `agree` {self.agree} of `replicas` {self.replicas}")
        if self.replicas > 1 and self.agent is not None:
            raise ValueError("has `replicas` and one `agent`; keep one")
        word, team = self.agent or "", self.team or ""
        if word and not templated(word) and not templated(team) and stray(word, team):
            raise ValueError(stray(word, team))
        if self.judge == "vote" and self.jury is None:
            raise ValueError("is judged by vote, and needs a `jury`: the role that votes")
        if self.judge == "check" and self.check is None:
            raise ValueError("is judged by its check, and needs a `check`")
        if self.cache_files and self.cache is None:
            raise ValueError("has `cache_files`, and needs a `cache`: how old a result may be")
        return self


class Task(Asked):
    """One task of a workflow; its texts may be templates, `{{ build.api.result }}`."""

    name: Word = Field(description="What the others call it, in its phase.")
    when: Text | None = Field(
        None, description="A condition, such as `build.api.outcome == 'done'`; else it is skipped."
    )


class Line(Asked):
    """One line of a `tasks.jsonl`, or one task alone."""

    name: Text | None = Field(None, description="What people call it; without it, its first line.")
    delay: Time | None = Field(
        None, description="How long after it was added it may be handed out first."
    )
    key: Text | None = Field(
        None, description="Your own name for it: asked for again, it is not added again."
    )

    @model_validator(mode="after")
    def _stands_alone(self) -> Line:
        if self.on_failure not in HOWS:
            raise ValueError("is in no workflow: its `on_failure` must be `stop` or `continue`")
        return self


class Phase(Table):
    """Tasks that may run at the same time, after all of the phase before."""

    name: Word = Field(description="The first part of its tasks' names, as in `build.api`.")
    tasks: list[Task] = Field(description="The tasks.")


class Parameter(Table):
    """What is filled in when the workflow is run; without a default it must be."""

    about: Text | None = Field(None, description="What it is.")
    default: str | None = Field(None, description="What it is where nobody says.")


OneParameter = Annotated[
    Parameter, BeforeValidator(parameter, json_schema_input_type=str | Parameter)
]


class Workflow(Table):
    """Tasks in an order; `phases` for a hybrid one, else `tasks`."""

    pattern: Pattern = Field(
        description="One after another, all at once, or phases one after another."
    )
    about: Text | None = Field(None, description="What it is for.")
    params: dict[Word, OneParameter] = Field(
        default_factory=dict, description="What `hive workflow run --set` fills in, by name."
    )
    phases: list[Phase] = Field(
        default_factory=list, description="The phases of a hybrid one, in order."
    )
    tasks: list[Task] = Field(default_factory=list, description="The tasks of any other.")

    @model_validator(mode="after")
    def _fits_its_pattern(self) -> Workflow:
        if self.pattern == "hybrid" and (self.tasks or not self.phases):
            raise ValueError("is hybrid: it needs `phases`, each with its `tasks`")
        if self.pattern != "hybrid" and (self.phases or not self.tasks):
            raise ValueError(f"is {self.pattern}: it needs `tasks`, and has no `phases`")
        return self


class Work(Table):
    """How tasks are handed out, when they count as done, and what each has by default."""

    strategy: Strategy = Field(
        _RULES.strategy, description="Who of the agents that may have a task gets it."
    )
    lease: Lease = Field(
        _RULES.lease, description="How long a task stays with an agent that gives no sign of life."
    )
    accept: Confidence = Field(
        _RULES.accept, description="From this confidence on an agent is believed."
    )
    log: Confidence = Field(
        _RULES.log, description="From this one on it is believed, and that is noted."
    )
    review: Confidence = Field(
        _RULES.review, description="From this one on it is reviewed; below, a person decides."
    )
    reviewer: Name = Field(_RULES.reviewer, description="The role that reviews.")
    rounds: Times = Field(_RULES.rounds, description="How many failed checks are a failed attempt.")
    retries: Retries = Field(_RULES.retries, description="How many further attempts a task gets.")
    backoff: Duration = Field(
        _RULES.backoff, description="The wait before the second; it doubles with each further one."
    )
    longest: Duration = Field(_RULES.longest, description="The longest such wait.")
    delivery: Time = Field(
        _RULES.delivery, description="How long it may take until an agent has got its task."
    )
    progress: Duration = Field(
        _RULES.progress, description="How long an agent may be silent about it; 0 is for ever."
    )
    timeout: Duration = Field(
        _RULES.timeout, description="How long an attempt may take in all; 0 is for ever."
    )
    check_timeout: Time = Field(_RULES.check_timeout, description="How long a check may take.")

    @model_validator(mode="after")
    def _in_order(self) -> Work:
        if not self.review <= self.log <= self.accept:
            raise ValueError("needs `review` to be `log` or less, and `log` `accept` or less")
        return self

    def rules(self) -> Rules:
        """Give them as values."""
        return Rules(**{one.name: getattr(self, one.name) for one in fields(Rules)})


_GENERAL = ("check_timeout", "timeout", "progress", "delivery", "retries", "backoff")
"""What a task has from [work] where it says nothing itself."""


def task_job(
    table: Asked, *, rules: Rules | None = None, project: str = "", now: float = 0.0
) -> Job:
    """Give the job that a table asks for.

    What is to be filled in is left as it is; so is the word for its agent, if there is no
    project. Its deadline is counted from `now`.
    """
    rules = rules or _RULES
    own = {key: getattr(table, key) for key in _GENERAL}
    general = {key: getattr(rules, key) if value is None else value for key, value in own.items()}
    return Job(
        text=table.prompt or table.run or "",
        kind="prompt" if table.run is None else "run",
        title=(table.name or "") if isinstance(table, Task | Line) else "",
        project=project,
        team=table.team or "",
        role=table.role or "",
        agent=agent_id(table.agent or "", table.team or "", project),
        skills=tuple(dict.fromkeys(table.skills)),
        priority=table.priority,
        deadline=now + table.deadline if table.deadline else 0.0,
        longest=rules.longest,
        check=table.check or "",
        locks=wanted(table.locks),
        sticky=table.sticky or "",
        batch=table.batch_key or "",
        replicas=table.replicas,
        agree=table.agree or 0,
        judge=table.judge,
        jury=table.jury or "",
        cache=table.cache or 0.0,
        cache_files=table.cache_files,
        after=now + table.delay if isinstance(table, Line) and table.delay else 0.0,
        when=(table.when or "") if isinstance(table, Task) else "",
        on_failure=table.on_failure,
        directory=table.directory or "",
        **general,
    )
