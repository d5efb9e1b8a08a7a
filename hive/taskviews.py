"""Records of work: tasks with their stories, runs of workflows, locks and schedules.

Pure like `views`: values come in, the JSON-ready shapes that docs/json.md promises come out. What
a copy of a task that is voted on says stays secret until the verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from hive.core.locks import Wait
from hive.core.schedule import Schedule
from hive.core.tasks import OVER, Held, Run, State, Task
from hive.views import VERSION, Record, iso, short

UNTOLD = "secret until the verdict"
"""What stands in place of what a copy says as long as its group is not decided."""

SHORT = 500
"""How many characters of a reason a listing shows."""

Edges = Mapping[int, Sequence[int]]
"""By a task's number, those of the tasks that it needs."""


class Step(Protocol):
    """One thing that happened to a task."""

    @property
    def at(self) -> float:
        """When, in epoch seconds."""

    @property
    def state(self) -> str:
        """What it was then."""

    @property
    def agent(self) -> str:
        """Who had it, by id; empty for nobody."""

    @property
    def fence(self) -> int:
        """Under which lease."""

    @property
    def why(self) -> str:
        """Why it came to be so."""


def summary(task: Task, reason: str = "") -> Record:
    """Build a task's record as lists have it; `reason` says more than the task itself knows."""
    job = task.job
    return {
        "task": task.name,
        "title": job.name,
        "kind": job.kind,
        "state": task.state.value,
        "reason": _cut(reason or _why(task)),
        "since": _moment(task.since),
        "agent": short(task.agent) if task.agent else None,
        "id": task.agent or None,
        "project": job.project,
        "team": job.team,
        "role": job.role,
        "skills": list(job.skills),
        "priority": job.priority,
        "attempt": task.attempt,
        "attempts": job.retries + 1,
        "outcome": task.outcome,
        "run": f"r-{task.run}" if task.run else None,
        "key": task.key,
        "parent": f"t-{task.parent}" if task.parent else None,
        "created": _moment(task.created),
        "begun": _moment(task.begun),
        "finished": _moment(task.finished),
        "due": _moment(task.due),
        "failures": [_cut(one) for one in task.failures],
    }


def listing(tasks: Iterable[Task], counts: Mapping[str, int], reasons: Mapping[int, str]) -> Record:
    """Build the answer to `tasks` and `dead`; `counts` are of all tasks, by state."""
    return {
        "version": VERSION,
        "tasks": [summary(one, reasons.get(one.number, "")) for one in tasks],
        "counts": {state.value: counts.get(state.value, 0) for state in State},
    }


def changed(tasks: Iterable[Task]) -> Record:
    """Build the answer to a verb that changed these tasks."""
    return {"version": VERSION, "tasks": [summary(one) for one in tasks]}


def added(tasks: Iterable[tuple[Task, bool]]) -> Record:
    """Build the answer to `add_tasks`; of each task whether it was there before."""
    listed = [{"task": one.name, "state": one.state.value, "known": known} for one, known in tasks]
    return {"version": VERSION, "tasks": listed}


def detail(
    task: Task,
    *,
    reason: str = "",
    story: Sequence[Step] = (),
    needs: Iterable[Task] = (),
    needed_by: Iterable[Task] = (),
    refusals: Mapping[str, str] | None = None,
    merits: Mapping[str, str] | None = None,
    waits: Iterable[Held] = (),
) -> Record:
    """Build the answer to `task`: all that is known of one.

    `refusals` says by agent (id) why it may not have it, empty where it may; `merits` what the
    strategy sees in each that could; `waits` are the locks in its way. `needed_by` must have the
    group of a copy.
    """
    after = list(needed_by)
    hidden = secret(task, after)
    return {
        "version": VERSION,
        "task": {**summary(task, reason), **_asked(task), **_course(task), **_said(task, hidden)},
        "story": [_step(one, hidden and number > 0) for number, one in enumerate(story)],
        "needs": [summary(one) for one in needs],
        "needed_by": [summary(one) for one in after],
        "agents": [
            {"agent": short(agent), "id": agent, "why": why, "merit": (merits or {}).get(agent, "")}
            for agent, why in (refusals or {}).items()
        ],
        "locks": [_lock(one) for one in waits],
    }


def secret(task: Task, needed_by: Iterable[Task]) -> bool:
    """Whether it is a copy, or a vote on copies, whose group is not decided.

    That is one of `needed_by`; a copy whose group is not known is secret, too.
    """
    groups = [one for one in needed_by if one.job.kind == "group"]
    return any(one.state not in OVER for one in groups) or (task.apart and not groups)


def run_record(
    run: Run,
    tasks: Sequence[Task],
    edges: Edges,
    reasons: Mapping[int, str],
    *,
    spent: Mapping[int, float] | None = None,
    now: float = 0.0,
) -> Record:
    """Build a run's record, each task with what it needs.

    `spent` is by number for how many seconds agents had each task, all its leases together (None:
    nobody has counted them); with it, and `now`, the record says how idle the run's agents were.
    """
    names = {one.number: one.name for one in tasks}
    counts = Counter(one.state.value for one in tasks if one.job.kind != "barrier")
    agents = {one.agent for one in tasks if one.agent}
    span = max(0.0, (run.finished or now) - run.created)
    idle = None
    if spent is not None and agents and span:
        busy = sum(spent.get(one.number, 0.0) for one in tasks)
        idle = round(min(1.0, max(0.0, 1 - busy / (span * len(agents)))), 3)
    return {
        "version": VERSION,
        "run": {**_run(run, counts), "agents": sorted(map(short, agents)), "idle": idle},
        "tasks": [
            {
                **summary(one, reasons.get(one.number, "")),
                "phase": one.key.rpartition(".")[0],
                "needs": [names.get(need, f"t-{need}") for need in edges.get(one.number, ())],
                "spent": None if spent is None else round(spent.get(one.number, 0.0), 3),
            }
            for one in tasks
        ],
        "handoffs": _handed_over(tasks),
    }


def _handed_over(tasks: Iterable[Task]) -> list[Record]:
    """Tell what the ended phases of a run have handed over, in the order in which they ended."""
    ends = [one for one in tasks if one.job.kind == "barrier" and one.result]
    return [
        {"phase": one.key, "task": one.name, "time": _moment(one.finished), "note": one.result}
        for one in sorted(ends, key=lambda one: one.finished)
    ]


def run_listing(runs: Iterable[Run], counts: Mapping[int, Mapping[str, int]]) -> Record:
    """Build the answer to `workflows`; `counts` are by run how many tasks are in which state."""
    return {
        "version": VERSION,
        "runs": [_run(one, counts.get(one.number, {})) for one in runs],
    }


def locks(held: Iterable[Held], waits: Iterable[Wait] = ()) -> Record:
    """Build the answer to `locks`: who has which, and who waits for whom."""
    return {
        "version": VERSION,
        "locks": [_lock(one) for one in held],
        "waits": [
            {
                "who": _who(one.who),
                "wants": one.wants,
                "holder": _who(one.holder),
                "since": _moment(one.since),
                "priority": one.priority,
            }
            for one in waits
        ],
    }


def schedules(found: Iterable[Schedule]) -> Record:
    """Build the answer to `schedules` and to the verbs that change one."""
    return {
        "version": VERSION,
        "schedules": [
            {
                "schedule": one.name,
                "project": one.project,
                "workflow": one.workflow,
                "cron": one.cron,
                "zone": one.zone,
                "params": dict(one.params),
                "missed": one.missed,
                "paused": one.paused,
                "next": None if one.paused else _moment(one.next_at),
                "from": one.sender,
            }
            for one in found
        ],
    }


def for_agent(task: Task, words: str = "") -> Record:
    """Build what an agent is told of the task that it has; `words` are more than its own."""
    job = task.job
    return {
        "name": task.name,
        "from": _who(job.sender),
        "kind": job.kind,
        "text": words or task.words,
        "fence": task.fence,
        "lease": task.lease,
        "argv": None,
        "directory": job.directory,
        "stage": task.state.value,
        "created": _moment(task.created),
        "check": job.check,
        "attempt": task.attempt,
        "failures": [_cut(one) for one in task.failures],
    }


def _asked(task: Task) -> Record:
    """Tell what was asked for, as far as a list does not say it."""
    job = task.job
    return {
        "uid": task.uid,
        "text": task.words,
        "from": _who(job.sender),
        "only": job.agent or None,
        "retries": job.retries,
        "check": job.check,
        "timeout": job.timeout or None,
        "deadline": _moment(job.deadline),
        "wants": [f"shared {one.name}" if one.shared else one.name for one in job.locks],
        "sticky": job.sticky,
        "batch": job.batch,
        "replicas": job.replicas,
        "agree": job.agree,
        "cache": job.cache or None,
        "when": job.when,
        "on_failure": job.on_failure,
        "directory": job.directory,
    }


def _course(task: Task) -> Record:
    """Tell how far it is."""
    return {
        "fence": task.fence,
        "lease": task.lease if task.state is State.LEASED else None,
        "until": _moment(task.until),
        "delivered": _moment(task.delivered),
        "heard": _moment(task.heard),
        "rounds": task.rounds,
        "failures": list(task.failures),
    }


def _said(task: Task, hidden: bool) -> Record:
    """Tell what its agent said of it."""
    if hidden:
        word = UNTOLD if task.notes or task.report or task.result else ""
        return {"notes": [], "report": None, "result": word, "confidence": None}
    report = task.report
    return {
        "notes": list(task.notes),
        "report": report
        and {
            "outcome": report.outcome,
            "text": report.text,
            "confidence": report.confidence,
            "time": iso(report.at),
        },
        "result": task.result,
        "confidence": task.confidence,
    }


def _why(task: Task) -> str:
    """Say why it is as it is; of one that is worked on, what its agent said last."""
    if task.asked:
        return f"it is being ended: {task.asked.partition(': ')[2] or task.asked}"
    if task.state is State.LEASED and task.report:
        how = ": its check runs" if task.job.check and task.report.outcome == "done" else ""
        return f"its agent says {task.report.outcome}{how}"
    if task.state is State.LEASED and task.notes and task.heard > task.delivered > 0:
        return UNTOLD if task.apart else task.notes[-1]
    return task.why.removeprefix(f"{task.state}: ")


def _step(one: Step, hidden: bool) -> Record:
    """Tell of one step; a secret one's words may be its agent's while it is leased."""
    spoken = hidden and one.state == State.LEASED
    return {
        "time": iso(one.at),
        "state": str(one.state),
        "agent": short(one.agent) if one.agent else None,
        "fence": one.fence,
        "why": UNTOLD if spoken else one.why,
    }


def _run(run: Run, counts: Mapping[str, int]) -> Record:
    return {
        "run": run.name,
        "workflow": run.workflow,
        "project": run.project,
        "state": run.state,
        "reason": run.why,
        "params": dict(run.params),
        "from": _who(run.sender),
        "created": _moment(run.created),
        "finished": _moment(run.finished),
        "counts": {state.value: counts.get(state.value, 0) for state in State},
    }


def _lock(one: Held) -> Record:
    return {
        "lock": one.name,
        "shared": one.shared,
        "task": f"t-{one.task}" if one.task else None,
        "agent": short(one.agent) if one.agent else None,
        "id": one.agent or None,
        "since": _moment(one.at),
    }


def _who(name: str) -> str:
    """Give a person, hive, a task or an agent as people say it: an agent without its project."""
    return short(name) if name.count("/") > 1 else name


def _cut(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def _moment(at: float) -> str | None:
    """Write a moment; 0 is how a task says that it has not come."""
    return iso(at) if at else None
