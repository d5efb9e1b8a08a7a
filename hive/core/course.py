"""The course of a workflow's run as a whole: when it stops, how it ended, what is done again.

Only a run's own steps make it fail: what becomes of copies and parts is their group's and their
parent's business. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter

from hive.core import transitions
from hive.core.opening import STOP, ending, fell, guarded_by, label, made
from hive.core.tasks import OVER, Change, Run, State, Task

Needs = Mapping[int, Collection[int]]
"""The numbers of what each task needs."""


def culprits(tasks: Iterable[Task]) -> list[Task]:
    """Give the steps because of which a run stops, in the order in which they ended."""
    bad = (one for one in tasks if not one.parent and fell(one))
    stopping = (one for one in bad if one.job.on_failure != "continue")
    return sorted(stopping, key=lambda one: (one.finished, one.number))


def stopped(tasks: Sequence[Task], now: float) -> list[Change]:
    """Cancel what a run has not begun, once one of its steps failed.

    What was begun goes on, with its copies and parts. So does what is there for the failure.
    """
    bad = culprits(tasks)
    if not bad:
        return []
    by = {one.number: one for one in tasks}
    top = {one.number: _top(one, by) for one in tasks}
    going = {top[one.number] for one in tasks if _begun(one, by)}
    going |= {one.number for one in tasks if any(guarded_by(each, one) for each in bad)}
    why = f"{STOP}{ending(bad[0])}"
    left = (one for one in tasks if one.state not in OVER and top[one.number] not in going)
    return [transitions.cancelled(one, why, now) for one in left]


def ended(run: Run, tasks: Sequence[Task], now: float) -> Run | None:
    """Give a run as it is once all of it is over; None while something is not."""
    if any(one.state not in OVER for one in tasks):
        return None
    undone = (one for one in tasks if not one.parent and one.outcome == "cancelled")
    bad = culprits(tasks) or [one for one in undone if not fell(one)]
    if bad:  # with no culprit left, a person has begun it anew: what it stopped was not
        why = f"{ending(bad[0])}: {bad[0].why}"
        return replace(run, state="failed", why=why, finished=now)
    passed = ", ".join(label(one) for one in tasks if not one.parent and fell(one))
    why = f"all of it is over; it went on without {passed}" if passed else "all of it is over"
    return replace(run, state="done", why=why, finished=now)


def repeated(tasks: Sequence[Task], needs: Needs) -> list[Task]:
    """Give what is to be done again of a run that did not end well, what is needed first first.

    That is each step that failed or was cancelled. After such a one also what only followed from
    it is decided anew: ends of phases, branches that were not taken, and what was there for the
    failure. What was done stays done.
    """
    order = _ordered(tasks, needs)
    by = {one.number: one for one in tasks}
    again: set[int] = set()
    touched: set[int] = set()  # what needs, however far, something that is done again
    for one in order:
        number, mine = one.number, by.keys() & set(needs.get(one.number, ()))
        if mine & touched:
            touched.add(number)
        follows = one.job.kind == "barrier" or one.outcome == "skipped"
        called = any(guarded_by(by[each], one) for each in mine & again)
        bad = one.outcome in {"failed", "cancelled"}
        if not one.parent and (bad or called or (follows and number in touched)):
            again.add(number)
            touched.add(number)
    children = _children(tasks)
    again.update(one.number for seed in set(again) for one in _renewed(by[seed], children))
    return [one for one in order if one.number in again]


def renewed(task: Task, tasks: Iterable[Task]) -> list[Task]:
    """Give the copies and parts of a task that begin anew when it does: those it waits for.

    Of a group that found no quorum that is all, of any other task what did not end well.
    """
    return _renewed(task, _children(tasks))


def _renewed(task: Task, children: Mapping[int, Sequence[Task]]) -> list[Task]:
    mine = [one for one in children.get(task.number, ()) if one.state in OVER]
    if task.job.kind != "group":
        mine = made(replace(task, report=None), mine)
    whole = task.job.kind == "group" and task.state is State.DEAD
    again = [one for one in mine if whole or one.outcome != "done"]
    return [*again, *(each for one in again for each in _renewed(one, children))]


def _children(tasks: Iterable[Task]) -> dict[int, list[Task]]:
    """Give what was made for each task, by its number."""
    found: dict[int, list[Task]] = {}
    for one in tasks:
        if one.parent:
            found.setdefault(one.parent, []).append(one)
    return found


def _ordered(tasks: Sequence[Task], needs: Needs) -> list[Task]:
    """Give tasks so that what one needs comes before it."""
    by = {one.number: one for one in tasks}
    before = {number: sorted(by.keys() & set(needs.get(number, ()))) for number in by}
    return [by[number] for number in TopologicalSorter(before).static_order()]


def _begun(task: Task, by: Mapping[int, Task]) -> bool:
    """Whether a task was handed out, or is a part of one that was."""
    parent = by.get(task.parent)
    return task.attempt > 0 or (parent is not None and parent.job.kind != "group")


def _top(task: Task, by: Mapping[int, Task]) -> int:
    while task.parent in by:
        task = by[task.parent]
    return task.number
