"""The verbs about work: tasks, runs of workflows, locks, schedules and votes.

What is added under a uid that is known is not added again, so every verb may be repeated. While no
supervisor runs `hive.offline_tasks` answers most of them in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from hive import taskviews
from hive.adapters.queue import Queue
from hive.core import tasks as jobs
from hive.core import wishes
from hive.core.locks import in_way
from hive.core.messages import PERSON
from hive.core.quorum import copies, fraction
from hive.core.schedule import Schedule, following
from hive.core.tasks import Change, New, Run, State, Task
from hive.core.workflow import from_dict as definition_from
from hive.errors import WrongInput
from hive.lockkeeping import Lockkeeping
from hive.work import Work

MOST = 10_000
"""How many tasks are told at most in one answer."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What people ask about work.

    `chosen` gives the agents (ids) that names mean, `roles` those of a role that are up; `person`
    refuses what only a person may ask for; `bind` has a project's work done by its rules.
    """

    work: Callable[[], Work]
    locking: Callable[[], Lockkeeping]
    chosen: Callable[[Sequence[str]], list[str]]
    roles: Callable[[str], list[str]]
    person: Callable[[], None]
    bind: Callable[[str, Mapping[str, Any], Mapping[str, Mapping[str, Any]]], None]

    def add_tasks(self, tasks: Sequence[Mapping[str, Any]]) -> Record:
        """Add tasks, all or none, and give their names; those that are known are given as such."""
        queue = self.work().queue
        new = [self._new(one) for one in tasks]
        before = {one.uid for one in new if queue.by_uid(one.uid)}
        added = self._added(queue, new, before)
        self.work().changed = True
        return taskviews.added(added)

    def _new(self, values: Mapping[str, Any]) -> New:
        job = jobs.from_dict(values["job"])
        if job.agent:
            job = replace(job, agent=self._one(job.agent))
        return New(
            uid=values["uid"],
            job=job,
            needs=tuple(values.get("needs", ())),
            idem=values.get("idem", ""),
            held="it was added to be held" if values.get("held") else "",
        )

    def _added(self, queue: Queue, new: Sequence[New], before: set[str]) -> list[tuple[Task, bool]]:
        whole = [each for one in new for each in copies(one)]
        uids = {one.uid for one in new}
        pairs = zip(whole, queue.add(whole), strict=True)
        return [
            (task, one.uid in before or task.uid != one.uid)
            for one, task in pairs
            if one.uid in uids
        ]

    def tasks(
        self,
        states: Sequence[str] = (),
        team: str = "",
        run: str = "",
        agent: str = "",
        after: int = 0,
        limit: int = 50,
        newest: bool = False,
    ) -> Record:
        """List tasks: the first, or the newest ones."""
        work = self.work()
        found = work.queue.tasks(
            states=[_state(one) for one in states],
            run=_run_number(run) if run else None,
            team=team,
            agent=self._one(agent) if agent else "",
            after=after,
            limit=min(limit, MOST),
            newest=newest,
        )
        return taskviews.listing(found, work.queue.counts(), work.waits)

    def dead(self, limit: int = 50) -> Record:
        """List the dead letters, and why each."""
        return self.tasks(states=[State.DEAD], limit=limit, newest=True)

    def task(self, name: str) -> Record:
        """Tell all that is known of one task, and why each agent may not have it."""
        work, task = self.work(), _task(self.work().queue, name)
        ready = task.state is State.READY
        refusals, merits = work.refused(task) if ready else (None, None)
        return taskviews.detail(
            task,
            reason=work.waits.get(task.number, "") if ready else "",
            story=work.queue.story(task.number),
            needs=work.queue.needs(task.number),
            needed_by=work.queue.needed_by(task.number),
            refusals=refusals,
            merits=merits,
            waits=in_way(task.job.locks, work.queue.locks.held(), task.number) if ready else (),
        )

    def retry_tasks(self, names: Sequence[str], why: str = "") -> Record:
        """Begin tasks anew that are over, with all their attempts; or try them at once."""
        runs = self.work().runs

        def again(task: Task, now: float) -> Change | None:
            if task.state not in jobs.OVER:
                return wishes.retry(task, why, now)
            runs.again(task, wishes.because("begun anew", why), now)
            return None

        return self._each(names, again)

    def cancel_tasks(self, names: Sequence[str], why: str = "") -> Record:
        """End tasks undone, with their parts and copies; what runs for one is ended first."""
        runs = self.work().runs

        def drop(task: Task, now: float) -> Change | None:
            change = wishes.cancel(task, why, now)
            if task.state is State.READY and not task.attempt:
                return change  # it has no parts: many of these are quickly done
            if change:
                runs.drop(task, wishes.because("cancelled", why), now)
            return None

        return self._each(names, drop)

    def hold_tasks(self, names: Sequence[str], why: str = "") -> Record:
        """Have tasks wait for a person."""
        return self._each(names, lambda task, now: wishes.hold(task, why, now))

    def release_tasks(self, names: Sequence[str], why: str = "") -> Record:
        """Let held tasks go on; what an agent has said of one is accepted."""
        self.person()
        return self._each(names, lambda task, now: wishes.release(task, why, now))

    def bind_work(
        self, project: str, rules: Mapping[str, Any], workflows: Mapping[str, Mapping[str, Any]]
    ) -> Record:
        """Have a project's work done as its file says."""
        self.bind(project, rules, workflows)
        return {}

    def poke(self) -> Record:
        """Look at the queue now: somebody else has written to it."""
        self.work().changed = True
        return {}

    def locks(self) -> Record:
        """Tell who holds which lock, and who waits for whom."""
        work = self.work()
        queue = work.queue
        waiting = [queue.task(number) for number in work.waits]
        ready = [one for one in waiting if one and one.job.locks and one.state is State.READY]
        return taskviews.locks(queue.locks.held(), self.locking().waits(ready, queue.now()))

    # workflows

    def run_workflow(
        self,
        project: str,
        definition: Mapping[str, Any],
        params: Mapping[str, str],
        uid: str,
        sender: str = PERSON,
    ) -> Record:
        """Begin a workflow, and give its run."""
        work = self.work()
        run = work.runs.start(
            definition_from(definition),
            project,
            params,
            uid,
            sender,
            work.queue.now(),
        )
        work.changed = True
        return self._run(run)

    def workflow(self, name: str) -> Record:
        """Tell all of a run: `r-7`, or a workflow's latest."""
        return self._run(_run(self.work().queue, name))

    def workflows(self, project: str = "", limit: int = 20) -> Record:
        """List the latest runs."""
        queue = self.work().queue
        found = queue.runs(project=project, limit=min(limit, MOST))
        return taskviews.run_listing(found, queue.tallies([one.number for one in found]))

    def cancel_run(self, name: str, why: str = "") -> Record:
        """End a run: nothing of it begins any more, and what runs is ended."""
        work = self.work()
        work.runs.cancel(_run(work.queue, name), wishes.because("cancelled", why), work.queue.now())
        work.changed = True
        return self.workflow(name)

    def resume_run(self, name: str) -> Record:
        """Go on with a run that has failed: only what must be is done again."""
        work = self.work()
        work.runs.resume(_run(work.queue, name), work.queue.now())
        work.changed = True
        return self.workflow(name)

    def _run(self, run: Run) -> Record:
        work = self.work()
        return run_record(work.queue, run, work.waits)

    # schedules and votes

    def add_schedule(self, values: Mapping[str, Any], definition: Mapping[str, Any]) -> Record:
        """Have a workflow begun by the clock; one of this name is replaced."""
        work = self.work()
        now = work.queue.now()
        known = {one.name for one in fields(Schedule)}
        made = Schedule(**{key: value for key, value in values.items() if key in known})
        made = replace(made, next_at=following(made, now))
        with work.queue.batch():
            work.runs.remember_definitions(made.project, {made.workflow: definition})
            work.queue.notebook.put_schedule(made)
        work.changed = True
        return taskviews.schedules([made])

    def schedules(self) -> Record:
        """List what is begun by the clock."""
        return taskviews.schedules(self.work().queue.notebook.schedules())

    def pause_schedule(self, project: str, name: str, paused: bool) -> Record:
        """Have a schedule rest, or go on from now."""
        queue = self.work().queue
        one = self._schedule(project, name)
        after = replace(one, paused=paused, next_at=following(one, queue.now()))
        queue.notebook.put_schedule(after)
        self.work().changed = True
        return taskviews.schedules([after])

    def drop_schedule(self, project: str, name: str) -> Record:
        """Forget a schedule; what it has begun goes on."""
        one = self._schedule(project, name)
        self.work().queue.notebook.drop_schedule(one.project, one.name)
        return taskviews.schedules([one])

    def propose(
        self,
        question: str,
        voters: Sequence[str],
        quorum: str,
        uid: str,
        project: str = "",
        sender: str = PERSON,
    ) -> Record:
        """Ask agents for a decision, and count a vote of each once."""
        work = self.work()
        if not question.strip():
            raise WrongInput("there is no question", fix='hive decide "merge?" --voters reviewer')
        agents = [agent for name in voters for agent in (self.roles(name) or self.chosen([name]))]
        agents = [one for one in dict.fromkeys(agents) if project in {"", one.split("/")[0]}]
        if not agents:
            raise WrongInput(f"nobody is {', '.join(voters) or 'named'}", fix="hive status")
        agree = fraction(quorum, len(agents))
        task = work.runs.propose(question, agents, agree, uid, sender, work.queue.now())
        work.changed = True
        return self.task(task.name)

    def _schedule(self, project: str, name: str) -> Schedule:
        found = [
            one
            for one in self.work().queue.notebook.schedules()
            if one.name == name and project in {"", one.project}
        ]
        if len(found) != 1:
            what = f"{len(found) or 'no'} schedule{'s are' if found else ' is'} called `{name}`"
            raise WrongInput(what, fix="hive schedule list")
        return found[0]

    def _each(self, names: Sequence[str], move: Callable[[Task, float], Change | None]) -> Record:
        """Make a move of each of these tasks, or of none."""
        work = self.work()
        changed = each(work.queue, names, move)
        work.changed = True
        return taskviews.changed(changed)

    def _one(self, name: str) -> str:
        found = self.chosen([name])
        if len(found) != 1:
            raise WrongInput(f"`{name}` names {len(found)} agents", fix="name one: hive status")
        return found[0]


def each(
    queue: Queue, names: Sequence[str], move: Callable[[Task, float], Change | None]
) -> list[Task]:
    """Make a move of each of these tasks, or of none where one can't; gives them as they are.

    Raises WrongInput for one that there is not, or that none is named.
    """
    if not names:
        raise WrongInput("no task is named", fix="hive task list")
    found = [_task(queue, name) for name in dict.fromkeys(names)]
    now = queue.now()
    with queue.batch():
        queue.change([one for one in (move(task, now) for task in found) if one])
    return [queue.task(task.number) or task for task in found]


def run_record(queue: Queue, run: Run, waits: Mapping[int, str]) -> Record:
    """Tell all of a run: its tasks, what each needs, and how long agents had it."""
    return taskviews.run_record(
        run,
        queue.tasks(run=run.number, limit=MOST),
        queue.edges(run.number),
        waits,
        spent=queue.spent(run.number),
        now=queue.now(),
    )


def _task(queue: Queue, name: str) -> Task:
    number = jobs.parsed(name)
    task = queue.task(number) if number else None
    if task is None:
        raise WrongInput(f"there is no task `{name}`", fix="hive task list")
    return task


def _run(queue: Queue, name: str) -> Run:
    """Give a run by its name, or the latest of a workflow."""
    if name[:2] in {"r-", "R-"} and name[2:].isdecimal():
        found = queue.run(int(name[2:]))
    else:
        found = next(iter(queue.runs(workflow=name, limit=1)), None)
    if found is None:
        what = f"there is no run `{name}`, and no workflow of that name was run"
        raise WrongInput(what, fix=f"hive workflow list, or hive workflow run {name}")
    return found


def _run_number(name: str) -> int:
    if name[:2] not in {"r-", "R-"} or not name[2:].isdecimal():
        raise WrongInput(f"`{name}` is no run", fix="hive workflow list")
    return int(name[2:])


def _state(word: str) -> str:
    if word not in set(State):
        raise WrongInput(f"no state is called `{word}`", fix=f"one of {', '.join(State)}")
    return word


VERBS = (
    "add_tasks",
    "tasks",
    "dead",
    "task",
    "retry_tasks",
    "cancel_tasks",
    "hold_tasks",
    "release_tasks",
    "bind_work",
    "poke",
    "locks",
    "run_workflow",
    "workflow",
    "workflows",
    "cancel_run",
    "resume_run",
    "add_schedule",
    "schedules",
    "pause_schedule",
    "drop_schedule",
    "propose",
)
"""What is answered here."""
