"""What makes a waiting task go on: what it needs is over, and this decides what follows.

A need that was skipped is as good as one that was done: it is a branch that was not taken. So is
one that failed and whose `on_failure` is `continue`. Any other ends what needs it, but for a task
that is there for its failure. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hive.core import conditions, quorum, retry, transitions
from hive.core.parts import PART, REVIEW, ballots, child_uid, copies
from hive.core.tasks import OVER, Change, Job, Outcome, State, Task
from hive.errors import HiveError

NEED = "its need "
"""How the reason begins of a task that was cancelled because of what it needed."""

STOP = "the run stops: "
"""How the reason begins of a task that was cancelled because of another one of its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A waiting task, and all that its going on depends on.

    `needs` are the tasks it needs, among them its own parts or copies. `known` is what its `when`
    and its template may name. `chance` (0 to 1) spreads when a next attempt is due. `note` is what
    the end of a phase hands over.
    """

    task: Task
    needs: Sequence[Task] = ()
    known: Mapping[str, Any] = field(default_factory=dict)
    chance: float = 0.5
    note: str = ""


def decide(scene: Scene, now: float) -> Change | None:
    """Say how a waiting task goes on; None where it is to wait."""
    task = scene.task
    if task.job.kind == "group":
        return _settled(task, scene.needs, now)
    if any(one.state not in OVER for one in scene.needs):
        return None
    mine = made(task, scene.needs)
    if mine:
        reviewed = task.report is not None
        return _reviewed(scene, mine[0], now) if reviewed else _joined(scene, mine, now)
    others = [one for one in scene.needs if one.parent != task.number]
    guards = [one for one in others if one.run and guarded_by(one, task)]
    if guards and any(map(fell, guards)):
        return _opened(scene, now, f"{ending(next(filter(fell, guards)))}: it is there for that")
    bad = next((one for one in others if not fine(one)), None)
    if bad is not None:
        return transitions.cancelled(task, f"{NEED}{ending(bad)}", now)
    if guards:
        names = ", ".join(map(label, guards))
        return transitions.cancelled(task, f"it is there for a failure of {names}", now, "skipped")
    if task.job.kind == "barrier":
        return transitions.done(task, scene.note, "all that it waited for is over", now)
    return _opened(scene, now, "all that it needs is over")


def fine(task: Task) -> bool:
    """Whether a task that is over lets those begin that need it."""
    return task.outcome in {"done", "skipped"} or task.job.on_failure == "continue"


def fell(task: Task) -> bool:
    """Whether a task failed, or a person cancelled it: not because of another one."""
    if task.outcome != "cancelled":
        return task.outcome == "failed"
    return not task.why.startswith((NEED, STOP))


def guarded_by(task: Task, other: Task) -> bool:
    """Whether another task of its run is there for its failure; a copy is there as its group is."""
    return task.run == other.run and task.job.on_failure == other.key.partition("#")[0]


def ending(task: Task) -> str:
    """Say which task is over, and how: `t-3 is dead`, `build.api (t-3) is cancelled`."""
    return f"{label(task)} is {task.state}"


def label(task: Task) -> str:
    """Name a task by its key, if it has one, and by its number."""
    return f"{task.key} ({task.name})" if task.key else task.name


def dropped(task: Task, why: str, now: float) -> Change | None:
    """End a task undone; a leased one is asked to end. None where it is over, or was asked."""
    if task.state in OVER or task.asked.startswith(transitions.CANCEL):
        return None
    if task.state is State.LEASED:
        return transitions.asked_to_end(task, why)
    return transitions.cancelled(task, why, now)


def made(task: Task, needs: Sequence[Task]) -> list[Task]:
    """Give its parts, or its review, of its last lease: those of before are past."""
    before = child_uid(task, PART if task.report is None else REVIEW, "")
    return [one for one in needs if one.parent == task.number and one.uid.startswith(before)]


def named(job: Job) -> set[str]:
    """Give what may be the keys of the tasks that its template and condition name.

    Nothing where they can't be read: who fills them in says so.
    """
    try:
        said = set(conditions.names(job.text)) if job.template else set()
        said |= set(conditions.names(job.when, expression=True)) if job.when else set()
    except HiveError:
        return set()
    parts = [one.split(".") for one in said]
    keys = {".".join(one[:many]) for one in parts for many in (1, 2)}
    return keys - job.params.keys()


def _opened(scene: Scene, now: float, why: str) -> Change:
    """Have it begin, unless its own condition does not hold; what can't be read is its end."""
    task, job = scene.task, scene.task.job
    try:
        if job.when and not conditions.holds(job.when, scene.known):
            why = f"its `when` does not hold: {job.when}"
            return transitions.cancelled(task, why, now, "skipped")
        text = _rendered(scene)
    except HiveError as error:
        return transitions.failed(task, error.what, None, now)
    return transitions.ready(task, why, now, text=text, due=job.after)


def _rendered(scene: Scene) -> str:
    """Give its text with its template filled in; "" where it is as it was written."""
    task = scene.task
    if task.text or not task.job.template:
        return task.text
    return conditions.render(task.job.text, scene.known)


def _joined(scene: Scene, parts: Sequence[Task], now: float) -> Change:
    """Give a task that was split back to whoever may have it, with what became of its parts."""
    task = scene.task
    bad = next((one for one in parts if not fine(one)), None)
    if bad is not None:  # that it was split took back that it was handed out
        attempt = replace(task, attempt=task.attempt + 1)
        return _attempt_failed(attempt, f"its part {ending(bad)}: {bad.why}", scene.chance, now)
    try:
        before = _rendered(scene) or task.job.text
    except HiveError as error:
        return transitions.failed(task, error.what, None, now)
    each = [f"{one.job.name} ({one.name}): {one.result or one.why}" for one in parts]
    told = "\n\n".join(("You split this task; its parts:", *each))
    text = before if told in before else f"{before}\n\n{told}"
    return transitions.ready(task, "its parts are over", now, text=text)


def _reviewed(scene: Scene, review: Task, now: float) -> Change | None:
    """Believe its agent, have another attempt made, or leave it to a person."""
    task, report = scene.task, scene.task.report
    if report is None:
        return None
    if review.outcome != "done":
        why = f"nobody has reviewed it: {ending(review)}: {review.why}"
        return transitions.held(task, why, now)
    who = f"{review.agent.partition('/')[2] or 'a person'} ({review.name})"
    if quorum.stance(review.result) == "approve":
        why = f"{who} approves"
        return transitions.done(task, report.text, why, now, confidence=report.confidence)
    why = f"{who} does not approve: {review.result}"
    change = _attempt_failed(task, why, scene.chance, now)
    if change.after.state is State.DEAD or task.job.kind == "run":
        return change
    text = f"{task.words}\n\nYou did this before, and said: {report.text}\n\n{why}"
    return replace(change, after=replace(change.after, text=text, due=now))


def _attempt_failed(task: Task, why: str, chance: float, now: float) -> Change:
    return transitions.failed(task, why, retry.due(task, now, chance), now)


def _settled(group: Task, needs: Sequence[Task], now: float) -> Change | None:
    """End a group as soon as its copies' answers decide it."""
    each = copies(needs)
    if all(one.state is State.CANCELLED for one in each) and not any(map(fell, each)):
        skipped = all(one.outcome == "skipped" for one in each)
        outcome: Outcome = "skipped" if skipped else "cancelled"
        why = next((one.why for one in each if one.outcome == outcome), "it has no copies")
        return transitions.cancelled(group, why, now, outcome)
    verdict = quorum.verdict(group, each, ballots(each, needs))
    if not verdict.settled:
        return None
    if verdict.result:
        return transitions.done(group, verdict.result, verdict.why, now)
    return transitions.failed(group, verdict.why, None, now)
