"""What goes on by itself in the queue: tasks that wait, and the runs of workflows.

Each decision is one transaction over what it was decided on. A hive that is killed goes on at its
next look; where another one was quicker, what it did is left as it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

from hive.adapters.post import Superseded
from hive.adapters.queue import Queue
from hive.core import conditions, course, handoff, opening, parts, transitions
from hive.core.handoff import Known, Look
from hive.core.quorum import copies
from hive.core.tasks import OVER, Change, New, Run, State, Task
from hive.core.wording import count
from hive.core.workflow import Definition, expand, given, to_dict
from hive.errors import WrongInput
from hive.timetable import Timetable

ALL = 1_000_000
TRIES = 5
"""How often a person's wish is tried while others keep moving the same tasks."""

_OPEN = tuple(one for one in State if one not in OVER)
_UNDONE = tuple(one for one in State if one is not State.DONE)
_T = TypeVar("_T")

Apart = Callable[[str, float], AbstractContextManager[None]]
"""Does something about one task so that what goes wrong with it stops no other."""


class Runs:
    """Has what waits go on, has workflows take their course, and the clock begin them."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._timetable = Timetable(queue, self.start)
        self._looked: dict[int, int] = {}
        self._bad: dict[int, int] = {}
        self.apart: Apart = lambda _name, _now: nullcontext()
        self.look: Look = lambda _agent: Known()
        self.ended: list[Task] = []
        """The ends of phases that have come, until somebody takes them out."""

    def open(self, now: float) -> list[Run]:
        """Have all go on that can; gives the runs that have ended."""
        over = self._follow(now)
        while self._go_on(now):
            over += self._follow(now)
        return over

    def words(self, task: Task) -> str:
        """Give what an agent is told to do: its task's words, and what was handed over to it."""
        if task.job.kind != "prompt" or not task.run:
            return task.words
        return handoff.given(task, self._queue.needs(task.number))

    # tasks

    def split(self, task: Task, texts: Sequence[str], now: float) -> Task:
        """Have a leased task wait for its parts, and give it; asked again, it is not split again.

        Raises WrongInput for texts that are no parts, Illegal for a task that is not leased.
        """
        new = parts.parts(task, texts)
        return self._divided(task, new, f"it was split into {count(len(new), 'part')}", now)

    def review(self, task: Task, why: str, role: str, now: float) -> Task:
        """Have a leased task wait for its review by somebody of a role, and give it."""
        return self._divided(task, [parts.review(task, why, role)], f"{why}: it is reviewed", now)

    def propose(
        self, question: str, voters: Sequence[str], agree: int, uid: str, sender: str, now: float
    ) -> Task:
        """Ask agents (by id) for a decision on which so many must agree; gives it as a task.

        Raises WrongInput where they can't.
        """
        del now  # the queue has its own
        return self._queue.add(parts.proposal(question, voters, agree, uid, sender))[-1]

    def drop(self, task: Task, why: str, now: float) -> Task:
        """End a task undone, with its parts and copies; what is leased is asked to end."""

        def once() -> Task:
            self._queue.change(self._dropping([self._fresh(task)], why, now))
            return self._fresh(task)

        return self._tried(once)

    def again(self, task: Task, why: str, now: float) -> Task:
        """Begin a task anew that is over, with those of its parts and copies that must be."""

        def once() -> Task:
            fresh = self._fresh(task)
            anew = [*reversed(course.renewed(fresh, self._family(fresh))), fresh]
            self._queue.change([transitions.retried(one, why, now) for one in anew])
            return self._fresh(task)

        return self._tried(once)

    # runs

    def start(
        self,
        definition: Definition,
        project: str,
        params: Mapping[str, str],
        uid: str,
        sender: str,
        now: float,
    ) -> Run:
        """Begin a workflow; asked again with its uid, give the run that was begun.

        Raises WrongInput for parameters that don't fit it.
        """
        run = Run(
            number=0,
            uid=uid,
            workflow=definition.name,
            project=project,
            params=given(definition, params),
            definition=to_dict(definition),
            sender=sender,
            created=now,
        )
        new = expand(definition, params, uid, project=project, sender=sender, now=now)
        return self._queue.add_run(run, [each for one in new for each in copies(one)])[0]

    def cancel(self, run: Run, why: str, now: float) -> Run:
        """End a run: nothing of it begins any more, and what is leased is asked to end.

        Raises WrongInput where it is over.
        """

        def once() -> Run:
            fresh = self._queue.run(run.number) or run
            if fresh.state != "running":
                raise WrongInput(f"{run.name} is {fresh.state} already")
            each = (
                opening.dropped(one, f"{run.name}: {why}", now)
                for one in self._tasks(fresh.number, _OPEN)
            )
            self._queue.change([one for one in each if one])
            after = replace(fresh, state="cancelled", why=why, finished=now)
            return self._queue.change_run(after)

        return self._tried(once)

    def resume(self, run: Run, now: float) -> Run:
        """Go on with a run that did not end well: only what must be is done again.

        Raises WrongInput where it is not over, or nothing of it is to be done again.
        """

        def once() -> Run:
            fresh = self._queue.run(run.number) or run
            if fresh.state == "running":
                raise WrongInput(f"{run.name} is running", fix=f"hive workflow show {run.name}")
            tasks = self._tasks(fresh.number)
            still = next((one for one in tasks if one.state not in OVER), None)
            if still is not None:
                what = f"{opening.ending(still)} still: {run.name} is not over yet"
                raise WrongInput(what, fix=f"hive task show {still.name}")
            again = course.repeated(tasks, self._queue.edges(fresh.number))
            if not again:
                raise WrongInput(f"{run.name} is {fresh.state}: nothing of it is to be done again")
            why = f"{run.name} is resumed"
            self._queue.change([transitions.retried(one, why, now) for one in again])
            after = replace(fresh, state="running", why="it was resumed", finished=0.0)
            return self._queue.change_run(after)

        return self._tried(once)

    # schedules

    def remember_definitions(
        self, project: str, definitions: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Keep workflows as they are now, for what is begun by the clock."""
        self._timetable.remember(project, definitions)

    def definition(self, project: str, name: str) -> Definition:
        """Give a workflow as it was last kept; raises WrongInput where it never was."""
        return self._timetable.definition(project, name)

    def fire(self, now: float) -> float:
        """Begin what the clock says is due; gives the next moment at which something is."""
        return self._timetable.fire(now)

    # what waits

    def _go_on(self, now: float) -> bool:
        """Decide once about all that waits; gives whether anything went on."""
        looked, asked = self._looked, False
        decided: list[tuple[Change, list[Task]]] = []
        self._looked = {}
        for task in self._queue.opening():
            if looked.get(task.number) == task.blocked:  # no further copy of it is over
                self._looked[task.number] = task.blocked
                continue
            with self.apart(task.name, now):
                asked = self._look_at(task, decided, now) or asked
        return self._written(decided, now) or asked

    def _look_at(self, task: Task, decided: list[tuple[Change, list[Task]]], now: float) -> bool:
        """Decide about one that waits; gives whether ballots were asked for."""
        needs = self._queue.needs(task.number)
        new = parts.wanted_ballots(task, needs)
        if new:
            self._queue.add(new)
            return True
        scene = opening.Scene(
            task=task,
            needs=needs,
            known=self._known(task),
            chance=random.random(),  # noqa: S311 - jitter
            note=self._note(task, needs, now),
        )
        change = opening.decide(scene, now)
        if change is not None:
            decided.append((change, needs))
        elif task.job.kind == "group":
            self._looked[task.number] = task.blocked
        return False

    def _written(self, decided: list[tuple[Change, list[Task]]], now: float) -> bool:
        """Make all these moves at once; where one can't be made, each by itself."""
        try:
            with self._queue.batch():
                for change, needs in decided:
                    self._write(change, needs, now)
        except Exception as error:
            if len(decided) > 1:
                each = [self._alone(one, now) for one in decided]
                return any(each)
            if isinstance(error, Superseded):
                return False
            raise
        over = [change.after for change, _ in decided if change.after.job.kind == "barrier"]
        self.ended += [one for one in over if one.result]
        return bool(decided)

    def _alone(self, one: tuple[Change, list[Task]], now: float) -> bool:
        with self.apart(one[0].after.name, now):
            return self._written([one], now)
        return False

    def _write(self, change: Change, needs: Iterable[Task], now: float) -> None:
        """Make a move; a task that is over has no use for what was still made for it."""
        after = change.after
        left = [one for one in needs if after.state in OVER and one.state not in OVER]
        why = f"{after.name} is {after.state} without it"
        self._queue.change([change, *self._dropping(left, why, now)])

    def _note(self, task: Task, needs: Sequence[Task], now: float) -> str:
        """Give what the end of a phase hands over, "" for any other task."""
        if task.job.kind != "barrier" or not task.run or not all(map(opening.fine, needs)):
            return ""
        before = self._queue.needs(needs[0].number) if needs else []  # its others need the same
        ends = (one.finished for one in before if one.job.kind == "barrier")
        since = max(ends, default=task.created)
        return handoff.text(handoff.of_phase(task, needs, self.look, since, now))

    def _known(self, task: Task) -> Mapping[str, Any]:
        """Give what a task's condition and template may name."""
        before = task.uid.removesuffix(task.key)
        found = (self._queue.by_uid(before + key) for key in sorted(opening.named(task.job)))
        return conditions.context([one for one in found if one], task.job.params)

    # how runs go

    def _follow(self, now: float) -> list[Run]:
        """Stop the runs of which a step has failed, and end those of which all is over."""
        before, self._bad = self._bad, {}
        found = []
        for number, opened, bad in self._queue.standing():
            if opened and bad == before.get(number, 0):  # no further step ended badly
                self._bad[number] = bad
                continue
            try:
                with self._queue.batch():
                    found.append(self._stopped(number, opened, now))
                self._bad[number] = bad
            except Superseded:  # something of it moved meanwhile: it is looked at again
                continue
        return [one for one in found if one]

    def _stopped(self, number: int, opened: bool, now: float) -> Run | None:
        """Stop or end a run, if that is due; gives it if it has ended."""
        run = self._queue.run(number)
        if run is None or run.state != "running":
            return None
        tasks = self._tasks(number, () if opened else _UNDONE)  # of what is over those say all
        changes = course.stopped(tasks, now)
        if changes:
            self._queue.change(changes)
            tasks = self._tasks(number)
        after = course.ended(run, tasks, now)
        return self._queue.change_run(after) if after else None

    # how all of them are written

    def _divided(self, task: Task, new: Sequence[New], why: str, now: float) -> Task:
        """Have a task wait for what is made for it; asked again, give it as it is."""

        def once() -> Task:
            if self._queue.by_uid(new[0].uid) is None:
                names = ", ".join(one.name for one in self._queue.add(new))
                change = transitions.divided(self._fresh(task), f"{why}: {names}", now)
                self._queue.change([change])
            return self._fresh(task)

        return self._tried(once)

    def _dropping(self, tasks: Iterable[Task], why: str, now: float) -> list[Change]:
        """Give the moves that end tasks undone, and then what was made for them."""
        found: list[Change] = []
        for one in tasks:
            change = opening.dropped(one, why, now)
            found += [change] if change else []
            found += self._dropping(self._made(one, _OPEN), why, now)
        return found

    def _made(self, task: Task, states: Sequence[State] = ()) -> list[Task]:
        """Give the parts, copies and ballots of a task."""
        return self._queue.tasks(parent=task.number, states=states, limit=ALL)

    def _family(self, task: Task) -> list[Task]:
        """Give all that was made for a task, for what was made for it, and so on."""
        mine = self._made(task)
        return [*mine, *(each for one in mine for each in self._family(one))]

    def _tasks(self, run: int, states: Sequence[State] = ()) -> list[Task]:
        return self._queue.tasks(run=run, states=states, limit=ALL)

    def _fresh(self, task: Task) -> Task:
        return self._queue.task(task.number) or task

    def _tried(self, once: Callable[[], _T]) -> _T:
        """Do what was asked for, as one transaction, on things as they are then."""
        for _ in range(TRIES - 1):
            try:
                with self._queue.batch():
                    return once()
            except Superseded:
                continue
        with self._queue.batch():
            return once()
