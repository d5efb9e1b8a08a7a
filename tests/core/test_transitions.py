"""Every move of a task: what it may become, and what is left of a lease."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core import transitions, wishes
from hive.core.tasks import MOVES, OVER, Job, Report, State, Task, from_dict, parsed, to_dict
from hive.errors import HiveError

NOW = 1000.0
REPORT = Report(outcome="done", text="it works", at=900.0, confidence=0.5)
LEASED = Task(
    number=12,
    uid="u",
    job=Job(text="Fix it"),
    state=State.LEASED,
    attempt=2,
    agent="p/t/a",
    launch="l1",
    fence=3,
    until=950.0,
    begun=800.0,
    delivered=801.0,
    heard=850.0,
    report=REPORT,
    rounds=1,
    version=7,
)

ENDS = {
    "ready": lambda task: transitions.ready(task, "why", NOW),
    "done": lambda task: transitions.done(task, "r", "why", NOW),
    "failed": lambda task: transitions.failed(task, "why", NOW + 5, NOW),
    "dead": lambda task: transitions.failed(task, "why", None, NOW),
    "given_back": lambda task: transitions.given_back(task, "why", NOW),
    "divided": lambda task: transitions.divided(task, "why", NOW),
    "held": lambda task: transitions.held(task, "why", NOW),
    "cancelled": lambda task: transitions.cancelled(task, "why", NOW),
    "retried": lambda task: transitions.retried(task, "why", NOW),
    "released": lambda task: transitions.released(task, "why", NOW),
}


TO = {
    "ready": State.READY,
    "done": State.DONE,
    "failed": State.FAILED,
    "dead": State.DEAD,
    "given_back": State.READY,
    "divided": State.WAITING,
    "held": State.HELD,
    "cancelled": State.CANCELLED,
    "retried": State.WAITING,
    "released": State.WAITING,
}


@given(st.sampled_from(list(State)), st.sampled_from(sorted(ENDS)))
def test_only_legal_moves_are_made_and_the_version_is_kept(state, name):
    task = Task(number=1, uid="u", job=Job(text="x"), state=state, version=4)
    to = TO[name]
    if to not in MOVES[state]:
        with pytest.raises(transitions.Illegal, match=f"it can't become {to}"):
            ENDS[name](task)
        return
    after = ENDS[name](task).after
    assert after.state is to
    assert (after.version, after.fence, after.why, after.since) == (4, task.fence, "why", NOW)
    assert not after.until
    assert not after.asked


def test_every_state_is_left_and_reached():
    reached = {state for states in MOVES.values() for state in states}
    assert set(MOVES) == set(State) == reached


@pytest.mark.parametrize("name", ["ready", "failed", "given_back", "divided", "held"])
def test_a_lease_leaves_nothing_behind(name):
    after = ENDS[name](LEASED).after
    assert (after.agent, after.launch, after.begun, after.delivered) == ("", "", 0.0, 0.0)
    assert after.rounds == 0


@pytest.mark.parametrize("name", ["done", "dead", "cancelled"])
def test_who_had_a_task_that_is_over_stays_known(name):
    after = ENDS[name](LEASED).after
    assert (after.agent, after.launch, after.finished) == ("p/t/a", "l1", NOW)
    assert after.state in OVER
    assert after.outcome


def test_what_an_agent_said_outlives_its_lease_where_a_person_decides():
    assert transitions.held(LEASED, "low", NOW).after.report == REPORT
    assert transitions.divided(LEASED, "review", NOW).after.report == REPORT
    assert transitions.failed(LEASED, "no", 1.0, NOW).after.report is None


def test_each_failure_is_kept_in_order():
    once = transitions.failed(LEASED, "first", 1010.0, NOW).after
    assert (once.state, once.due, once.failures) == (State.FAILED, 1010.0, ("first",))
    again = transitions.ready(once, "again", NOW).after
    assert again.failures == ("first",)


def test_what_was_given_back_counts_as_no_attempt():
    assert transitions.given_back(LEASED, "stopped", NOW).after.attempt == 1


def test_words_on_the_way_change_no_state():
    after = transitions.progressed(LEASED, "half way", NOW).after
    assert (after.state, after.heard, after.notes) == (State.LEASED, NOW, ("half way",))
    many = after
    for number in range(60):
        many = transitions.progressed(many, str(number), NOW).after
    assert len(many.notes) == transitions.NOTES
    with pytest.raises(transitions.Illegal, match="nobody's now"):
        transitions.progressed(Task(number=1, uid="u", job=Job(text="x")), "text", NOW)


def test_a_long_result_keeps_its_ends():
    text = "a" * 90_000 + "b" * 90_000
    kept = transitions.done(LEASED, text, "why", NOW).after.result
    assert kept.startswith("aaa")
    assert kept.endswith("bbb")
    assert "80000 characters are left out" in kept


def at(state, **more):
    return Task(number=1, uid="u", job=Job(text="x"), state=state, **more)


@pytest.mark.parametrize(
    ("wish", "task", "state"),
    [
        (wishes.retry, at(State.DEAD), State.WAITING),
        (wishes.retry, at(State.DONE), State.WAITING),
        (wishes.retry, at(State.HELD), State.WAITING),
        (wishes.retry, at(State.FAILED), State.READY),
        (wishes.cancel, at(State.READY), State.CANCELLED),
        (wishes.cancel, at(State.HELD), State.CANCELLED),
        (wishes.hold, at(State.READY), State.HELD),
        (wishes.hold, at(State.FAILED), State.HELD),
        (wishes.release, at(State.HELD), State.WAITING),
        (wishes.release, at(State.HELD, report=REPORT), State.DONE),
    ],
)
def test_what_a_person_wants(wish, task, state):
    assert wish(task, "", NOW).after.state is state


def test_what_runs_is_ended_before_a_task_is_cancelled():
    change = wishes.cancel(LEASED, "no more", NOW)
    assert change.after.state is State.LEASED
    assert change.after.asked == "cancel: cancelled: no more"
    assert wishes.cancel(change.after, "no more", NOW) is None


@pytest.mark.parametrize(
    ("wish", "task", "what"),
    [
        (wishes.retry, at(State.READY), "there is nothing to try again"),
        (wishes.cancel, at(State.DONE), "is done already"),
        (wishes.hold, LEASED, "is with t/a already"),
        (wishes.retry, LEASED, "is with t/a"),
        (wishes.release, at(State.READY), "is ready, not held"),
    ],
)
def test_a_wish_that_can_not_be_met_says_why(wish, task, what):
    with pytest.raises(HiveError, match=what):
        wish(task, "", NOW)


def test_a_job_survives_its_trip_through_the_store():
    job = Job(text="x", skills=("a", "b"), retries=0, params={"v": "1"})
    assert from_dict({**to_dict(job), "unknown": 1}) == job
    assert to_dict(Job(text="x")) == {"text": "x"}


@pytest.mark.parametrize(
    ("word", "number"), [("t-12", 12), ("T-3", 3), ("t12", None), ("m-3", None), ("t-", None)]
)
def test_names_of_tasks(word, number):
    assert parsed(word) == number
