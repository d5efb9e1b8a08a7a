"""Workflows, splits, reviews, votes and schedules on a real queue that several hives look after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hive.adapters.post import Superseded
from hive.adapters.queue import Queue
from hive.core import transitions
from hive.core.handoff import Known
from hive.core.quorum import copies
from hive.core.repository import Commit, Tree
from hive.core.schedule import Schedule
from hive.core.tasks import OVER, Claim, Job, New, Report, State
from hive.core.workflow import Definition, Step, to_dict
from hive.errors import WrongInput
from hive.runs import Runs
from tests.postgres import cluster, postgres  # noqa: F401 - fixtures

MINUTE = 60.0


class Hall:
    """A queue, the hive that looks after it, and whoever does its tasks."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.queue = Queue.open(where)
        self.runs = Runs(self.queue)
        self.begun: list[str] = []

    def look(self):
        return self.runs.open(self.queue.now())

    def start(self, *steps, params=None, uid="u", **given):
        made = Definition(name="release", pattern="", params=params or {}, steps=steps)
        return self.runs.start(made, "p", given, uid, "p/t/pm", self.queue.now())

    def at(self, key):
        """Give a task by its key in the run that began last."""
        run = self.queue.runs(limit=1)[0]
        return next(one for one in self.queue.tasks(run=run.number) if one.key == key)

    def states(self):
        return {one.key or one.name: one.state.value for one in self.queue.tasks()}

    def lease(self, task, agent=""):
        claim = Claim(agent=agent or f"p/t/a{task.number}", launch="l", number=task.number)
        (leased,) = self.queue.claim([claim])
        self.begun.append(task.key or task.name)
        return leased

    def done(self, task, result="", agent=""):
        now = self.queue.now()
        leased = self.lease(self.queue.task(task.number), agent)
        self.queue.change([transitions.done(leased, result, "said", now)])
        return self.look()

    def fail(self, task, why="broke"):
        now = self.queue.now()
        leased = self.lease(self.queue.task(task.number))
        self.queue.change([transitions.failed(leased, why, None, now)])
        return self.look()

    def task(self, task):
        return self.queue.task(task.number)

    def run(self, run):
        return self.queue.run(run.number)


@pytest.fixture
def hall(tmp_path) -> Iterator[Hall]:
    made = Hall(str(tmp_path / "work.db"))
    with made.queue:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request, tmp_path) -> Iterator[Hall]:
    """A hall on each of the stores."""
    where = str(tmp_path / "work.db")
    made = Hall(request.getfixturevalue("postgres") if request.param == "postgresql" else where)
    with made.queue:
        yield made


def step(key, *needs, fallback=False, text="do it", **job):
    phase = key.partition(".")[0]
    made = Job(text=text, **job)
    return Step(key=key, job=made, needs=needs, phase=phase, fallback=fallback)


HYBRID = (
    step("build.api"),
    step("build.ui"),
    step("build", "build.api", "build.ui", kind="barrier"),
    step("ship.it", "build", text="ship {{ version }} after {{ build.api.result }}"),
    step("ship.not", "build", when="build.ui.outcome != 'done'"),
)


def test_a_workflow_goes_through_its_phases_to_its_end(both):
    run = both.start(*HYBRID, params={"version": None}, version="1.2")
    both.look()

    assert both.states() == {
        "build.api": "ready",
        "build.ui": "ready",
        "build": "waiting",
        "ship.it": "waiting",
        "ship.not": "waiting",
    }
    assert both.done(both.at("build.api"), "port 8000") == []
    both.done(both.at("build.ui"))
    assert both.at("ship.it").words == "ship 1.2 after port 8000"
    assert both.at("ship.not").outcome == "skipped"

    over = both.done(both.at("ship.it"))

    assert [(one.number, one.state) for one in over] == [(run.number, "done")]
    assert both.run(run).why == "all of it is over" and both.run(run).finished
    assert both.look() == []


def test_a_run_is_begun_once_and_its_parameters_must_fit(hall):
    params = {"version": "1"}
    first = hall.start(*HYBRID, params=params)

    assert hall.start(*HYBRID, params=params).number == first.number
    assert len(hall.queue.tasks()) == 5 and hall.run(first).params == params
    with pytest.raises(WrongInput):
        hall.start(*HYBRID, params=params, uid="v", colour="red")
    assert len(hall.queue.runs()) == 1


def test_a_run_stops_at_a_failure_and_ends_when_what_was_begun_is_over(hall):
    run = hall.start(step("a"), step("b"), step("c"), step("d", "a"))
    begun = hall.lease(hall.at("b"))
    assert hall.fail(hall.at("a")) == []

    assert hall.states() == {"a": "dead", "b": "leased", "c": "cancelled", "d": "cancelled"}
    assert hall.at("c").why == "the run stops: a (t-1) is dead"
    hall.queue.change([transitions.done(begun, "", "said", hall.queue.now())])
    assert [one.state for one in hall.look()] == ["failed"]
    assert hall.run(run).why == "a (t-1) is dead: broke"


def test_what_is_there_for_a_failure_runs_and_then_the_run_stops(hall):
    steps = (step("a", on_failure="clean"), step("b", "a"), step("clean", "a", fallback=True))
    run = hall.start(*steps)
    hall.fail(hall.at("a"))

    assert hall.states() == {"a": "dead", "b": "cancelled", "clean": "ready"}
    assert hall.at("clean").why == "a (t-1) is dead: it is there for that"
    hall.done(hall.at("clean"))
    assert hall.run(run).state == "failed"

    hall.start(*steps, uid="v")
    hall.done(hall.at("a"))
    assert hall.at("clean").outcome == "skipped"
    assert [one.state for one in hall.done(hall.at("b"))] == ["done"]


def test_a_run_goes_on_after_a_failure_that_is_passed_over(hall):
    run = hall.start(step("a", on_failure="continue"), step("b", "a", when="a.outcome == 'failed'"))
    hall.fail(hall.at("a"))
    hall.done(hall.at("b"))

    assert (hall.run(run).state, hall.begun) == ("done", ["a", "b"])


def test_a_resumed_run_does_only_what_must_be_done_again(both):
    run = both.start(*HYBRID, params={"version": "1"})
    both.look()
    both.done(both.at("build.api"))
    both.fail(both.at("build.ui"))
    assert both.run(run).state == "failed"

    assert both.runs.resume(both.run(run), both.queue.now()).state == "running"
    both.look()
    with pytest.raises(WrongInput, match="r-1 is running"):
        both.runs.resume(run, both.queue.now())
    both.done(both.at("build.ui"))
    both.done(both.at("ship.it"))

    assert both.begun == ["build.api", "build.ui", "build.ui", "ship.it"]
    assert both.run(run).state == "done"
    with pytest.raises(WrongInput, match="nothing of it is to be done again"):
        both.runs.resume(run, both.queue.now())


def test_a_cancelled_run_begins_nothing_and_can_be_resumed(hall):
    run = hall.start(step("a"), step("b"), step("c", "a", on_failure="continue"), step("d", "c"))
    begun = hall.lease(hall.at("a"))
    hall.runs.cancel(run, "a person wants that", hall.queue.now())

    assert hall.states() == {"a": "leased", "b": "cancelled", "c": "cancelled", "d": "cancelled"}
    assert hall.task(begun).asked and hall.run(run).state == "cancelled"
    with pytest.raises(WrongInput, match="r-1 is cancelled already"):
        hall.runs.cancel(run, "again", hall.queue.now())
    with pytest.raises(WrongInput, match="is leased still"):
        hall.runs.resume(run, hall.queue.now())
    asked = hall.task(begun)
    hall.queue.change([transitions.cancelled(asked, "it was ended", hall.queue.now())])
    assert hall.look() == []

    hall.runs.resume(run, hall.queue.now())
    for key in "abcd":
        hall.done(hall.at(key))
    assert hall.run(run).state == "done"


# tasks for others


def test_a_task_that_was_split_waits_for_its_parts_and_gets_their_results(hall):
    (whole,) = hall.queue.add([New(uid="w", job=Job(text="build it", skills=("c",)))])
    leased = hall.lease(whole)
    split = hall.runs.split(leased, ["the api", "the ui"], hall.queue.now())
    again = hall.runs.split(leased, ["the api", "the ui"], hall.queue.now())
    parts = hall.queue.tasks(parent=whole.number)

    assert split.state is again.state is State.WAITING and len(parts) == 2
    assert split.why == "it was split into 2 parts: t-2, t-3"
    assert {one.job.signature for one in parts} == {whole.job.signature}
    hall.done(parts[0], "api is up")
    assert hall.task(whole).state is State.WAITING
    hall.done(parts[1], "ui is up")
    after = hall.task(whole)
    assert (after.state, after.attempt) == (State.READY, 0)
    assert "part 1 of 2 (t-2): api is up" in after.words and "ui is up" in after.words
    assert after.words.startswith("build it")


def test_a_part_that_is_dead_fails_the_attempt_and_the_next_one_may_split_anew(hall):
    (whole,) = hall.queue.add([New(uid="w", job=Job(text="it", backoff=0.0))])
    hall.runs.split(hall.lease(whole), ["a", "b"], hall.queue.now())
    first, second = hall.queue.tasks(parent=whole.number)
    hall.fail(first, "no disk")
    assert hall.task(whole).state is State.WAITING
    hall.done(second)

    assert hall.task(whole).failures == ("its part t-2 is dead: no disk",)
    hall.queue.wake()
    hall.runs.split(hall.lease(hall.task(whole)), ["c"], hall.queue.now())
    hall.done(hall.queue.tasks(parent=whole.number)[-1], "fine")
    after = hall.task(whole)
    assert (after.state, after.attempt) == (State.READY, 1)
    assert "fine" in after.words and "no disk" not in after.words


@pytest.mark.parametrize(("answer", "state"), [("approve", "done"), ("reject: slow", "failed")])
def test_a_review_decides(hall, answer, state):
    (task,) = hall.queue.add([New(uid="w", job=Job(text="it", project="p"))])
    report = Report(outcome="done", text="it runs", at=hall.queue.now(), confidence=0.75)
    (leased,) = hall.queue.change([transitions.reported(hall.lease(task), report, 1.0)])
    after = hall.runs.review(leased, "0.75 is not enough", "rev", hall.queue.now())
    (review,) = hall.queue.tasks(parent=task.number)

    assert (after.state, after.attempt, after.report) == (State.WAITING, 1, report)
    assert after.why == "0.75 is not enough: it is reviewed: t-2"
    assert review.job.role == "rev"
    hall.done(review, answer)
    assert hall.task(task).state == state
    hall.queue.wake()
    assert hall.task(task).words.endswith("slow" if state == "failed" else "it")


def test_a_vote_is_settled_by_its_quorum_and_the_others_are_not_waited_for(hall):
    voters = ["p/t/a", "p/t/b", "p/t/c", "p/t/d"]
    vote = hall.runs.propose("merge?", voters, 2, "v", "p/t/pm", hall.queue.now())
    again = hall.runs.propose("merge?", voters, 2, "v", "p/t/pm", hall.queue.now())
    each = hall.queue.needs(vote.number)

    assert again.number == vote.number and [one.job.agent for one in each] == voters
    hall.done(each[0], "approve", voters[0])
    begun = hall.lease(each[2], voters[2])
    assert hall.task(vote).state is State.WAITING
    hall.done(each[1], "Approve.", voters[1])

    after = hall.task(vote)
    assert (after.state, after.result) == (State.DONE, "approve")
    assert hall.task(begun).asked and hall.task(each[3]).state is State.CANCELLED
    assert hall.task(each[3]).why == "t-5 is done without it"


def test_copies_that_do_not_agree_fail_their_run_and_all_vote_again(both):
    run = both.start(step("a", replicas=2, agree=2))
    for place, result in enumerate("xy"):
        over = both.done(both.at(f"a#{place + 1}"), result, f"p/t/{place}")
    assert [(one.number, one.state) for one in over] == [(run.number, "failed")]

    both.runs.resume(run, both.queue.now())
    assert both.states() == {"a#1": "ready", "a#2": "ready", "a": "waiting"}
    both.done(both.at("a#1"), "x", "p/t/0")
    both.done(both.at("a#2"), "x", "p/t/1")
    assert (both.at("a").result, both.run(run).state) == ("x", "done")


def test_a_jury_votes_on_each_answer(hall):
    job = Job(text="draw", replicas=2, agree=1, judge="vote", jury="judge")
    *each, whole = hall.queue.add(copies(New(uid="g", job=job)))
    hall.done(each[0], "a circle")
    (ballot,) = [one for one in hall.queue.needs(whole.number) if not one.apart]

    assert ballot.job.role == "judge" and "a circle" in ballot.words
    hall.done(ballot, "approve", "p/t/judge")
    assert hall.task(whole).state is State.DONE and hall.task(whole).result == "a circle"
    assert hall.task(each[1]).state is State.CANCELLED


def test_what_belongs_to_a_task_ends_and_begins_anew_with_it(hall):
    (whole,) = hall.queue.add([New(uid="w", job=Job(text="it"))])
    hall.runs.split(hall.lease(whole), ["a", "b"], hall.queue.now())
    first, second = hall.queue.tasks(parent=whole.number)
    hall.done(first)
    hall.lease(second)

    assert hall.runs.drop(whole, "not needed", hall.queue.now()).state is State.CANCELLED
    asked = hall.task(second)
    assert asked.asked == "cancel: not needed"
    hall.queue.change([transitions.cancelled(asked, "ended", hall.queue.now())])

    assert hall.runs.again(whole, "needed", hall.queue.now()).state is State.WAITING
    assert hall.task(first).state is State.DONE and hall.task(second).state is State.READY
    hall.done(second)
    assert hall.task(whole).state is State.READY


# several hives, and none


def test_any_hive_goes_on_with_what_another_has_left(hall):
    """A hive may be killed after each of its writes; the next one ends the run all the same."""
    run = hall.start(*HYBRID, params={"version": "1"})
    for _ in range(10):
        hall.runs = Runs(hall.queue)
        hall.look()
        ready = hall.queue.tasks(states=[State.READY])
        if not ready:
            break
        hall.done(ready[0])

    assert hall.run(run).state == "done"
    assert sorted(hall.begun) == ["build.api", "build.ui", "ship.it"]


def test_two_hives_decide_each_thing_once(both):
    both.start(*HYBRID, params={"version": "1"})
    with Queue.open(both.where) as queue:
        other = Runs(queue)
        for key in ("build.api", "build.ui", "ship.it"):
            both.done(both.at(key))
            other.open(queue.now())

    story = [one.state for one in both.queue.story(both.at("build").number)]
    assert story == ["waiting", "done"]
    assert [one.state for one in both.queue.runs()] == ["done"]


def test_a_move_that_another_was_quicker_with_is_left_and_the_others_are_made(hall):
    one, two = hall.queue.add([New(uid=uid, job=Job(text=uid, kind="barrier")) for uid in "ab"])
    stale = transitions.done(one, "", "too late", hall.queue.now())
    hall.queue.change([transitions.cancelled(one, "a person's", hall.queue.now())])
    fresh = transitions.done(two, "", "in time", hall.queue.now())

    assert hall.runs._written([(stale, []), (fresh, [])], hall.queue.now())
    assert hall.states() == {"t-1": "cancelled", "t-2": "done"}
    assert not hall.runs._written([(stale, [])], hall.queue.now())
    with pytest.raises(Superseded):
        hall.queue.change([stale])


def test_a_run_that_could_not_be_ended_is_ended_at_the_next_look(hall):
    class Late(Runs):
        late = True

        def _stopped(self, number, opened, now):
            found = super()._stopped(number, opened, now)
            if self.late:
                self.late = False
                raise Superseded(f"r-{number}")
            return found

    hall.runs = Late(hall.queue)
    hall.look()
    hall.start(step("a"))

    assert hall.done(hall.at("a")) == []
    assert [one.state for one in hall.queue.runs()] == ["running"]
    assert [one.state for one in hall.look()] == ["done"]


# by the clock

BASE = 1_700_000_000.0 - 1_700_000_000.0 % 86_400
NIGHTLY = Schedule(
    project="p", name="nightly", cron="0 2 * * *", workflow="release", next_at=BASE + 7200
)


def remember(hall):
    made = Definition(name="release", pattern="", params={"v": None}, steps=(step("a"),))
    hall.runs.remember_definitions("p", {"release": to_dict(made)})


def test_a_schedule_begins_its_workflow_once_at_each_of_its_times(both):
    both.queue.notebook.put_schedule(replace(NIGHTLY, params={"v": "1"}))
    remember(both)
    at = NIGHTLY.next_at

    assert both.runs.fire(at - 1) == at
    assert both.queue.runs() == []
    assert both.runs.fire(at + 1) == both.runs.fire(at + 2) == at + 24 * 60 * MINUTE
    (run,) = both.queue.runs()
    assert (run.workflow, run.params, run.sender) == ("release", {"v": "1"}, "schedule nightly")
    both.runs.fire(at + 24 * 60 * MINUTE)
    assert len(both.queue.runs()) == 2


@pytest.mark.parametrize(("missed", "runs"), [("skip", 0), ("once", 1), ("all", 3)])
def test_times_that_were_missed_are_made_up_for_as_it_says(hall, missed, runs):
    hall.queue.notebook.put_schedule(replace(NIGHTLY, missed=missed, params={"v": "1"}))
    remember(hall)
    late = NIGHTLY.next_at + 2.5 * 24 * 60 * MINUTE

    assert hall.runs.fire(late) > late
    assert len(hall.queue.runs()) == runs
    assert hall.queue.notebook.schedules()[0].next_at > late
    hall.runs.fire(late)
    assert len(hall.queue.runs()) == runs


def test_a_schedule_that_cannot_begin_says_so_as_a_run_that_failed(hall):
    hall.queue.notebook.put_schedule(NIGHTLY)
    hall.runs.fire(NIGHTLY.next_at)
    remember(hall)
    hall.runs.fire(NIGHTLY.next_at + 24 * 60 * MINUTE)

    assert [(one.state, one.why) for one in hall.queue.runs()] == [
        ("failed", "it could not begin: workflow `release` needs `v`"),
        ("failed", "it could not begin: no workflow `release` of p is kept"),
    ]


def test_a_schedule_whose_zone_is_unknown_rests_and_says_why(hall):
    hall.queue.notebook.put_schedule(replace(NIGHTLY, zone="Nowhere/Land"))

    assert hall.runs.fire(NIGHTLY.next_at) == float("inf")
    assert hall.queue.notebook.schedules()[0].paused
    assert "Nowhere/Land" in hall.queue.runs()[0].why


def test_a_clock_that_is_set_back_begins_nothing_twice(hall):
    hall.queue.notebook.put_schedule(replace(NIGHTLY, params={"v": "1"}))
    remember(hall)
    hall.runs.fire(NIGHTLY.next_at)
    hall.queue.notebook.put_schedule(replace(NIGHTLY, params={"v": "1"}))

    assert hall.runs.fire(NIGHTLY.next_at) > NIGHTLY.next_at
    assert len(hall.queue.runs()) == 1
    assert hall.queue.notebook.schedules()[0].next_at > NIGHTLY.next_at


def test_all_that_is_over_is_left_alone(hall):
    hall.start(step("a"), step("b", "a", when="a.result == 'x'"))
    hall.done(hall.at("a"), "x")
    hall.done(hall.at("b"))
    steps = hall.queue.steps()
    hall.look()
    Runs(hall.queue).open(hall.queue.now())

    assert hall.queue.steps() == steps
    assert {one.state for one in hall.queue.tasks()} <= OVER


def test_what_is_known_of_a_run_as_a_whole(both):
    run = both.start(step("a"), step("b", "a", on_failure="continue"), step("c", kind="barrier"))
    queue, number = both.queue, run.number
    assert queue.standing() == [(number, True, 0)]
    assert queue.tallies([number, 99]) == {number: {"ready": 1, "waiting": 1}, 99: {}}
    leased = both.lease(both.at("a"))
    queue.change([transitions.progressed(leased, "half way", queue.now())])
    assert queue.spent(number)[leased.number] >= 0
    queue.change([transitions.failed(queue.task(leased.number), "no", None, queue.now())])
    assert queue.standing() == [(number, True, 1)]
    assert [one.state for one in both.look()] == ["failed"]
    assert queue.standing() == []
    found = queue.runs(workflow="release", project="p")
    assert [one.number for one in found] == [number]
    assert queue.runs(workflow="other") == queue.runs(project="q") == []


def test_what_agents_had_counts_as_long_as_they_had_it(hall):
    first, _ = hall.queue.add([New(uid=uid, job=Job(text="do it"), run=1) for uid in "xy"])
    leased = hall.lease(first)
    hall.queue.change([transitions.failed(leased, "no", hall.queue.now(), hall.queue.now())])
    hall.queue.wake()
    hall.lease(hall.queue.task(first.number))
    steps = hall.queue.story(first.number)
    at = [one.at for one in steps]
    now = hall.queue.now()
    assert [one.state for one in steps] == ["ready", "leased", "failed", "ready", "leased"]
    spent = hall.queue.spent(1)
    assert list(spent) == [first.number]
    assert at[2] - at[1] <= spent[first.number] - (now - at[4]) <= at[2] - at[1] + 1


def test_the_end_of_a_phase_hands_over_to_the_prompts_of_the_next_one(both):
    commit = Commit(hash="c" * 40, at=both.queue.now() + MINUTE, author="a", subject="Add it")
    tree = Tree(root="/r", branch="hive/a", commits=(commit,))
    both.runs.look = lambda _agent: Known(tree=tree)
    two = replace(step("ship.say", "build"), job=Job(text="make ship", kind="run"))
    both.start(*HYBRID, two, params={"version": None}, version="1.2")
    both.look()
    both.done(both.at("build.api"), "port 8000", agent="p/t/api")
    assert both.runs.ended == []
    both.done(both.at("build.ui"), agent="p/t/ui")

    end, ship = both.at("build"), both.at("ship.it")
    (ended,) = both.runs.ended
    assert (ended.number, ended.result) == (end.number, end.result)
    assert end.result.splitlines()[:5] == [
        "Phase build of r-1 is over: 2 done",
        "",
        "t/api, on branch hive/a:",
        "- build.api (t-1) done: port 8000",
        "- commits: cccccccc Add it",
    ]
    assert ship.words == "ship 1.2 after port 8000"
    words = both.runs.words(ship)
    assert words == f"{ship.words}\n\nWhat was handed over:\n\n{end.result}"
    assert both.runs.words(both.at("ship.say")) == "make ship"
    assert both.runs.words(both.at("build.api")) == "do it"
    both.look()
    assert len(both.runs.ended) == 1


def test_a_note_says_what_went_wrong_and_is_made_anew_when_the_phase_is(hall):
    run = hall.start(
        step("a.one", on_failure="continue"),
        step("a", "a.one", kind="barrier"),
        step("b.two", "a"),
        step("b", "b.two", kind="barrier"),
        step("c.three", "b"),
    )
    hall.fail(hall.at("a.one"))
    first = hall.at("a").result
    assert "0 done" not in first and "1 failed; not done: a.one (t-1)" in first
    hall.fail(hall.at("b.two"))
    assert hall.run(run).state == "failed" and hall.at("b").result == ""

    hall.runs.resume(hall.run(run), hall.queue.now())
    hall.look()
    hall.done(hall.at("a.one"), "at last")
    assert "a.one (t-1) done: at last" in hall.at("a").result
    hall.done(hall.at("b.two"), "two")
    words = hall.runs.words(hall.at("c.three"))
    assert words.count("is over") == 1 and "b.two (t-3) done: two" in words
