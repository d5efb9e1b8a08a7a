"""Whole workflows, played: random graphs and outcomes on a queue that is only a dictionary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive.core import conditions, transitions
from hive.core.course import culprits, ended, repeated, stopped
from hive.core.opening import Scene, decide, dropped, fell, fine, guarded_by, named
from hive.core.parts import parts, review
from hive.core.quorum import copies
from hive.core.tasks import OVER, Job, Report, Run, State, Task
from hive.core.workflow import Definition, Step, expand

CALM = settings(
    deadline=None, derandomize=True, max_examples=60, suppress_health_check=list(HealthCheck)
)
RUN = Run(number=1, uid="r", workflow="w", project="p")
GOOD = ("done",)
ENDS = ("done", "done", "done", "fail", "split", "doubt", "cancel", "back", "hold")


@dataclass
class Play:
    """A queue's rules in a few lines, and everything that waits in it."""

    random: Random
    ends: tuple[str, ...] = ENDS
    now: float = 0.0
    tasks: dict[int, Task] = field(default_factory=dict)
    needs: dict[int, list[int]] = field(default_factory=dict)
    begun: list[Task] = field(default_factory=list)
    moves: int = 0

    def add(self, new):
        numbers = {one.uid: number for number, one in self.tasks.items()}
        numbers |= {one.uid: len(self.tasks) + place for place, one in enumerate(new, 1)}
        groups = {
            uid: numbers[one.uid] for one in new if one.job.kind == "group" for uid in one.needs
        }
        for one in new:
            number = numbers[one.uid]
            self.needs[number] = [numbers[uid] for uid in one.needs]
            parent = groups.get(one.uid, 0) if one.apart else one.parent
            self.tasks[number] = Task(
                number=number, uid=one.uid, job=one.job, run=1, key=one.key, parent=parent,
                apart=one.apart,
            )  # fmt: skip
            for other in one.blocks:
                self.needs[other].append(number)

    def of(self, number):
        return [self.tasks[one] for one in self.needs[number]]

    def change(self, *changes):
        self.moves += len(changes)
        assert self.moves < 20_000, "it goes on for ever"
        for one in changes:
            self.tasks[one.after.number] = one.after

    def known(self, task):
        keys = named(task.job)
        return conditions.context([one for one in self.tasks.values() if one.key in keys], {})

    def look(self):
        """Have all go on that can, as `hive.runs` does."""
        while True:
            self.change(*stopped(list(self.tasks.values()), self.now))
            changes = []
            for one in list(self.tasks.values()):
                if one.state is State.WAITING:
                    scene = Scene(task=one, needs=self.of(one.number), known=self.known(one))
                    change = decide(scene, self.now)
                    changes += [change] if change else []
            for one in changes:
                self.change(one)
                if one.after.state in OVER:
                    left = (dropped(each, "left", self.now) for each in self.of(one.after.number))
                    self.change(*filter(None, left))
            if not changes:
                return

    def live(self):
        """Hand out and end, in any order, until nothing is left to do."""
        while True:
            self.look()
            self.now += 1
            can = [one for one in self.tasks.values() if one.state in (
                State.READY, State.FAILED, State.LEASED, State.HELD)]  # fmt: skip
            if not can:
                return
            one = self.random.choice(can)
            step = {State.READY: self.begin, State.FAILED: self.wake, State.HELD: self.let_go}
            step.get(one.state, self.end)(one)

    def begin(self, task):
        top = task
        while top.parent:
            top = self.tasks[top.parent]
        bad = culprits(self.tasks.values())
        mine = [one for one in self.tasks.values() if one.parent == top.number or one is top]
        assert (
            not bad or any(guarded_by(one, top) for one in bad) or any(one.fence for one in mine)
        ), "begun though the run stops"
        needs = [one for one in self.of(task.number) if one.parent != task.number]
        assert all(one.state in OVER for one in needs), "begun before its needs"
        assert all(map(fine, needs)) or any(fell(one) and guarded_by(one, task) for one in needs), (
            "begun though a need failed"
        )
        after = replace(
            task, state=State.LEASED, attempt=task.attempt + 1, fence=task.fence + 1,
            agent=f"p/t/a{task.number}",
        )  # fmt: skip
        self.begun.append(after)
        self.tasks[task.number] = after

    def wake(self, task):
        self.change(transitions.ready(task, "again", self.now))

    def let_go(self, task):
        self.change(transitions.done(task, "a person's", "accepted", self.now))

    def end(self, task):
        how = self.random.choice(self.ends)
        if task.asked:
            self.change(transitions.cancelled(task, task.asked, self.now))
        elif how == "split" and task.job.kind == "prompt" and len(self.tasks) < 60:
            self.add(parts(task, ["a", "b"]))
            self.change(transitions.divided(task, "split", self.now))
        elif how == "doubt" and len(self.tasks) < 60:
            report = Report(outcome="done", text="x", at=self.now, confidence=0.7)
            task = replace(task, report=report)
            self.add([review(task, "doubt", "reviewer")])
            self.change(transitions.divided(task, "doubt", self.now))
        elif how == "fail":
            due = None if task.attempt > task.job.retries else self.now
            self.change(transitions.failed(task, "broke", due, self.now))
        elif how == "cancel":
            self.change(transitions.cancelled(task, "cancelled by a person", self.now))
        elif how == "back":
            self.change(transitions.given_back(task, "lost", self.now))
        elif how == "hold":
            self.change(transitions.held(task, "low", self.now))
        else:
            result = self.random.choice(("approve", "approve", "reject"))
            self.change(transitions.done(task, result, "said", self.now))


@st.composite
def workflows(draw):
    """Steps of all kinds, each needing some of those before it; some are there for a failure."""
    steps, many = [], draw(st.integers(1, 8))
    for place in range(many):
        keys = [one.key for one in steps]
        needs = draw(st.lists(st.sampled_from(keys), unique=True, max_size=3)) if keys else []
        said = [one.key for one in steps if one.key in needs and one.job.kind != "barrier"]
        when = draw(st.sampled_from(["", "", *(f"{one}.outcome == 'done'" for one in said)]))
        kind = draw(st.sampled_from(["prompt", "prompt", "run", "barrier"]))
        guards = draw(st.sampled_from([[], [], needs])) if kind == "prompt" else []
        key = f"s{place}"
        job = Job(
            text="{{ " + said[0] + ".result }}" if said and not guards else "do",
            kind=kind,
            when=when if kind != "barrier" else "",
            retries=draw(st.integers(0, 1)),
            replicas=draw(st.sampled_from([1, 1, 3])) if kind == "prompt" else 1,
            on_failure=draw(st.sampled_from(["stop", "stop", "continue"])),
        )
        steps = [
            replace(one, job=replace(one.job, on_failure=key))
            if one.key in guards and one.job.kind != "barrier"
            else one
            for one in steps
        ]
        steps.append(Step(key=key, job=job, needs=tuple(needs), fallback=bool(guards)))
    new = expand(Definition(name="w", pattern="", params={}, steps=tuple(steps)), {}, "r")
    return [each for one in new for each in copies(one)]


def played(new, seed, ends=ENDS):
    play = Play(random=Random(seed), ends=ends)
    play.add(new)
    play.live()
    return play


@CALM
@given(workflows(), st.integers(0, 1000))
def test_every_run_ends_and_begins_nothing_too_early(new, seed):
    play = played(new, seed)
    tasks = list(play.tasks.values())

    left = [one for one in tasks if one.state not in OVER]
    assert not left, "it waits for ever"
    after = ended(RUN, tasks, play.now)
    assert after.state == ("failed" if culprits(tasks) else "done")
    assert after.why


@CALM
@given(workflows(), st.integers(0, 1000))
def test_a_run_in_which_all_goes_well_is_done_and_gives_each_out_once(new, seed):
    play = played(new, seed, GOOD)
    tasks = list(play.tasks.values())

    groups = [one for one in tasks if one.job.kind == "group" and one.state is State.DEAD]
    assert groups or ended(RUN, tasks, play.now).state == "done"
    assert max(Counter(one.number for one in play.begun).values(), default=1) == 1


@CALM
@given(workflows(), st.integers(0, 1000))
def test_a_resumed_run_repeats_what_was_not_done_and_nothing_else(new, seed):
    play = played(new, seed)
    tasks = list(play.tasks.values())
    again = repeated(tasks, play.needs)
    numbers = {one.number for one in again}
    undone = {
        one.number for one in tasks if not one.parent and one.outcome in ("failed", "cancelled")
    }
    place = {one.number: position for position, one in enumerate(again)}

    assert undone <= numbers
    assert (not again) == (not undone)
    for one in again:
        assert all(
            place[need] < place[one.number] for need in play.needs[one.number] if need in place
        )
        done_before = one.outcome == "done" and one.job.kind != "barrier"
        called = any(guarded_by(each, one) for each in play.of(one.number))
        voted = one.parent and play.tasks[one.parent].state is State.DEAD
        assert not done_before or called or voted, "what was done is done again"

    play.change(*(transitions.retried(one, "resumed", play.now) for one in again))
    play.begun, play.ends = [], GOOD
    play.live()

    assert {one.number for one in play.begun} <= numbers
    dead = [one for one in play.tasks.values() if fell(one) and not one.parent]
    assert all(one.job.kind == "group" for one in dead), "all went well, but not this"
