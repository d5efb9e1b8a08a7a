"""What makes waiting tasks go on, and the course of a run: tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core import transitions
from hive.core.course import culprits, ended, renewed, repeated, stopped
from hive.core.opening import NEED, STOP, Scene, decide, dropped, named
from hive.core.parts import (
    ballots,
    child_uid,
    opinion,
    parts,
    proposal,
    review,
    wanted_ballots,
)
from hive.core.tasks import Job, Report, Run, State, Task
from hive.errors import WrongInput

NOW = 1_000_000.0
AGENTS = ("p/t/ada", "p/t/bob", "p/t/cy", "p/t/dan")


def task(number=1, state=State.WAITING, *, job=None, kind="prompt", **values):
    made = Job(text="do it", kind=kind, **(job or {}))
    return Task(number=number, uid=f"u{number}", job=made, state=state, **values)


def done(number=2, result="", **values):
    return task(number, State.DONE, outcome="done", result=result, **values)


def dead(number=2, why="it broke", **values):
    return task(number, State.DEAD, outcome="failed", why=why, **values)


def gone(number=2, why="cancelled by a person", outcome="cancelled", **values):
    return task(number, State.CANCELLED, outcome=outcome, why=why, **values)


def part(of, number=2, what="part", place=1, **values):
    made = done(number, **values) if "state" not in values else task(number, **values)
    return replace(made, uid=child_uid(of, what, place), parent=of.number)


def copies(*results, group=9):
    """Copies by what came of each: an answer, or a task as it stands."""
    return [
        replace(
            done(place, one, agent=AGENTS[place - 1], finished=NOW + place)
            if isinstance(one, str)
            else replace(one, number=place),
            apart=True,
            parent=group,
        )
        for place, one in enumerate(results, 1)
    ]


GOES_ON = {"job": {"on_failure": "continue"}}


@pytest.mark.parametrize(
    ("needs", "state", "why"),
    [
        pytest.param([], State.READY, "all that it needs is over", id="nothing to wait for"),
        pytest.param([done()], State.READY, "all that it needs is over", id="its need is done"),
        pytest.param([gone(outcome="skipped")], State.READY, "all that", id="a branch not taken"),
        pytest.param([dead(**GOES_ON)], State.READY, "all that", id="failed, but passed over"),
        pytest.param([dead()], State.CANCELLED, "its need t-2 is dead", id="its need is dead"),
        pytest.param(
            [done(2), gone(3, key="b.ui")],
            State.CANCELLED,
            "its need b.ui (t-3) is cancelled",
            id="one of its needs is cancelled",
        ),
    ],
)
@pytest.mark.parametrize(
    ("kind", "opened"), [("prompt", State.READY), ("run", State.READY), ("barrier", State.DONE)]
)
def test_a_task_goes_on_when_its_needs_are_over(needs, state, why, kind, opened):
    change = decide(Scene(task=task(kind=kind), needs=needs), NOW)

    assert change.after.state is (opened if state is State.READY else state)
    assert why in change.why or kind == "barrier"
    assert change.after.outcome in {"", "done", "cancelled"}


def test_a_task_waits_while_a_need_is_not_over():
    assert decide(Scene(task=task(), needs=[done(2), task(3, State.LEASED)]), NOW) is None


def test_a_condition_that_does_not_hold_skips_the_task():
    one = task(job={"when": "version == '2'"})

    change = decide(Scene(task=one, known={"version": "1"}), NOW)

    assert (change.after.state, change.after.outcome) == (State.CANCELLED, "skipped")
    assert change.why == "its `when` does not hold: version == '2'"


def test_a_condition_may_ask_for_a_failure_that_is_passed_over():
    one = task(job={"when": "build == 'failed'"})
    scene = Scene(task=one, needs=[dead(**GOES_ON)], known={"build": "failed"})

    assert decide(scene, NOW).after.state is State.READY


def test_a_template_is_filled_in_and_a_time_to_begin_is_kept():
    one = replace(task(), job=Job(text="ship {{ version }}", template=True, after=NOW + 9))

    after = decide(Scene(task=one, known={"version": "1.2"}), NOW).after

    assert (after.state, after.text, after.due) == (State.READY, "ship 1.2", NOW + 9)


@pytest.mark.parametrize(
    "job",
    [
        Job(text="{{ lacking }}", template=True),
        Job(text="x", when="lacking == 1"),
        Job(text="x", when="((("),
    ],
)
def test_what_cannot_be_filled_in_is_the_end_of_a_task(job):
    after = decide(Scene(task=replace(task(), job=job)), NOW).after

    assert (after.state, after.outcome) == (State.DEAD, "failed")
    assert after.why and after.failures == (after.why,)


def test_what_a_task_names_is_known_before():
    text, when = "{{ build.api.result }} {{ v }}", "one.outcome == v"
    job = Job(text=text, template=True, when=when, params={"v": "1"})

    assert named(job) == {"build", "build.api", "one", "one.outcome"}
    assert named(replace(job, template=False, when="")) == set()
    assert named(replace(job, when="(((")) == set()


# there for a failure

GUARD = {"run": 1, "job": {"on_failure": "clean"}}


@pytest.mark.parametrize(
    ("needs", "state", "outcome"),
    [
        pytest.param([done(**GUARD)], State.CANCELLED, "skipped", id="it did well"),
        pytest.param([gone(outcome="skipped", **GUARD)], State.CANCELLED, "skipped", id="skipped"),
        pytest.param([dead(**GUARD)], State.READY, "", id="it failed"),
        pytest.param([gone(**GUARD)], State.READY, "", id="a person cancelled it"),
        pytest.param([gone(why=f"{STOP}t-7 is dead", **GUARD)], State.CANCELLED, "cancelled",
                     id="it never began, for another's failure"),
        pytest.param([done(2, **GUARD), dead(3, **GUARD)], State.READY, "", id="one of two failed"),
        pytest.param([dead(2, **GUARD), dead(3)], State.READY, "", id="whatever else failed"),
        pytest.param([task(2, State.LEASED, **GUARD)], None, "", id="nobody knows yet"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["clean", "clean#2"])
def test_a_task_for_a_failure_runs_for_that_alone(needs, state, outcome, key):
    one = task(run=1, key=key, job={"template": True})

    change = decide(Scene(task=one, needs=needs), NOW)

    assert change is None if state is None else change.after.state is state
    assert change is None or change.after.outcome == outcome


# parts


def split(fence=3, **values):
    return task(fence=fence, attempt=values.pop("attempt", 0), **values)


def test_a_task_that_was_split_gets_the_results_of_its_parts():
    one = split(job={"title": "whole"})
    needs = [
        part(one, 2, result="api is up", job={"title": "part 1 of 2"}),
        part(one, 3, place=2, result="ui is up", job={"title": "part 2 of 2"}),
    ]

    after = decide(Scene(task=one, needs=needs), NOW).after

    assert after.state is State.READY
    assert after.text == (
        "do it\n\nYou split this task; its parts:\n\n"
        "part 1 of 2 (t-2): api is up\n\npart 2 of 2 (t-3): ui is up"
    )
    again = replace(after, state=State.WAITING)
    assert decide(Scene(task=again, needs=needs), NOW).after.text == after.text


@pytest.mark.parametrize(
    ("attempt", "state"), [(0, State.FAILED), (1, State.FAILED), (2, State.DEAD)]
)
def test_a_part_that_is_dead_fails_the_attempt(attempt, state):
    one = split(attempt=attempt)
    bad = part(one, 3, place=2, state=State.DEAD, outcome="failed", why="no disk")

    after = decide(Scene(task=one, needs=[part(one), bad]), NOW).after

    assert after.state is state
    assert after.failures == ("its part t-3 is dead: no disk",)
    assert after.attempt == attempt + 1


def test_parts_of_an_earlier_lease_are_past():
    before = part(split(fence=2), state=State.DEAD, outcome="failed")

    after = decide(Scene(task=split(fence=3), needs=[before]), NOW).after

    assert (after.state, after.text) == (State.READY, "")


def test_parts_are_for_whoever_may_have_the_whole():
    one = split(job={"team": "web", "skills": ("react",), "priority": 75, "check": "make"}, run=4)

    new = parts(one, ["a", "b"])

    assert [each.job.title for each in new] == ["part 1 of 2", "part 2 of 2"]
    assert {each.job.signature for each in new} == {one.job.signature}
    assert {(each.parent, each.blocks, each.run) for each in new} == {(1, (1,), 4)}
    assert len({each.uid for each in new}) == 2
    assert [each.uid for each in new] == [each.uid for each in parts(one, ["a", "b"])]


@pytest.mark.parametrize("texts", [[], [" "], ["x"] * 101])
def test_a_split_into_nothing_or_too_much_is_refused(texts):
    with pytest.raises(WrongInput):
        parts(split(), texts)


def test_a_command_cannot_be_split():
    with pytest.raises(WrongInput, match="t-1 is a command"):
        parts(split(kind="run"), ["x"])


# reviews

SAID = Report(outcome="done", text="it works", at=NOW - 9, confidence=0.75)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("approve", State.DONE),
        ("Approved: well done", State.DONE),
        ("reject: no tests", State.FAILED),
        ("I approve of nothing here", State.FAILED),
        ("", State.FAILED),
    ],
)
def test_a_review_settles_what_was_reported(answer, state):
    one = split(attempt=1, report=SAID)
    found = part(one, what="review", result=answer, agent="p/t/rev")

    after = decide(Scene(task=one, needs=[found]), NOW).after

    assert after.state is state
    if state is State.DONE:
        assert (after.result, after.confidence) == ("it works", 0.75)
        assert after.why == "t/rev (t-2) approves"
    else:
        assert after.due == NOW and after.report is None
        assert after.text.startswith("do it\n\nYou did this before, and said: it works\n\n")
        assert after.text.endswith(f"t/rev (t-2) does not approve: {answer}")


def test_what_is_not_approved_in_the_last_attempt_is_dead():
    one = split(attempt=3, report=SAID)
    found = part(one, what="review", result="reject")

    assert decide(Scene(task=one, needs=[found]), NOW).after.state is State.DEAD


def test_what_nobody_can_review_is_for_a_person():
    one = split(attempt=1, report=SAID)
    found = part(one, what="review", state=State.DEAD, outcome="failed", why="nobody is there")

    after = decide(Scene(task=one, needs=[found]), NOW).after

    assert (after.state, after.report) == (State.HELD, SAID)
    assert after.why == "nobody has reviewed it: t-2 is dead: nobody is there"


def test_a_review_is_for_its_role_and_tells_what_was_asked_and_said():
    one = split(report=SAID, agent="p/t/ada", job={"team": "web", "project": "p", "skills": ("x",)})

    new = review(one, "a confidence of 0.75", "reviewer")

    assert new.job.signature == "prompt|p||reviewer||"
    assert all(word in new.job.text for word in ("do it", "it works", "t/ada", "0.75", "approve"))


# groups


def group(**job):
    return task(9, kind="group", job={"replicas": 4, "agree": 3, **job})


@pytest.mark.parametrize(
    ("each", "state", "result"),
    [
        pytest.param(["4", "4"], None, "", id="too few yet"),
        pytest.param(["4", "4", "4"], State.DONE, "4", id="enough agree before the last"),
        pytest.param(["4", "5", "4", "4"], State.DONE, "4", id="one is outvoted"),
        pytest.param(["4", "5", "4", "5"], State.DEAD, "", id="no quorum"),
        pytest.param(["4", dead(), dead()], State.DEAD, "", id="no quorum can be reached"),
    ],
)
def test_a_group_is_settled_by_its_copies(each, state, result):
    needs = copies(*each, *[task(0, State.LEASED)] * (4 - len(each)))

    change = decide(Scene(task=group(), needs=needs), NOW)

    assert (change.after.state, change.after.result) == (state, result) if state else change is None


def test_who_was_outvoted_is_named():
    change = decide(Scene(task=group(), needs=copies("4", "4", "7", "4")), NOW)

    assert "t/cy" in change.why


@pytest.mark.parametrize(
    ("each", "outcome"),
    [
        ([gone(outcome="skipped")] * 4, "skipped"),
        ([gone(why=f"{NEED}t-7 is dead")] * 4, "cancelled"),
        ([*[gone(outcome="skipped")] * 3, gone(why=f"{NEED}t-7 is dead")], "cancelled"),
    ],
)
def test_a_group_whose_copies_never_began_ends_as_they_do(each, outcome):
    change = decide(Scene(task=group(), needs=copies(*each)), NOW)

    assert (change.after.state, change.after.outcome) == (State.CANCELLED, outcome)
    assert change.why == next(one.why for one in each if one.outcome == outcome)


def test_a_jury_is_asked_about_each_answer_once_and_decides():
    one = group(replicas=2, agree=2, judge="vote", jury="judge")
    each = copies("4", "5")
    new = wanted_ballots(one, each)
    given = [
        replace(done(20 + place, "approve", agent=f"p/t/j{place}"), uid=ask.uid, parent=ask.parent)
        for place, ask in enumerate(new)
    ]

    assert [(ask.job.role, ask.blocks, ask.parent) for ask in new] == [
        ("judge", (9,), 1),
        ("judge", (9,), 2),
    ]
    assert wanted_ballots(one, [*each, *given]) == []
    assert ballots(each, given) == given
    assert decide(Scene(task=one, needs=[*each, given[0]]), NOW) is None
    assert decide(Scene(task=one, needs=[*each, *given]), NOW).after.state is State.DONE


def test_a_proposal_asks_each_voter_once():
    new = proposal("merge?\nnow", [AGENTS[0], AGENTS[1], AGENTS[0]], 2, "d1", "p/t/pm")

    assert [one.job.agent for one in new] == [*AGENTS[:2], ""]
    assert [one.apart for one in new] == [True, True, False]
    assert new[-1].needs == ("d1#1", "d1#2") and new[-1].uid == "d1"
    assert new[-1].job.title == "decide: merge?"
    assert (new[-1].job.replicas, new[-1].job.agree) == (2, 2)
    with pytest.raises(WrongInput):
        proposal("merge?", AGENTS[:1] * 2, 2, "d1", "pm")


@pytest.mark.parametrize(
    ("uid", "given", "expected"),
    [
        ("u", {}, False),
        ("u#1", {"parent": 3, "apart": True}, True),
        ("x:y:review:2:1", {"parent": 3}, True),
        ("u#1:ballot:1:1", {"parent": 3}, True),
        ("u:part:1:2", {"parent": 3}, False),
        ("run:review:a:b", {}, False),
    ],
)
def test_votes_and_reviews_are_not_reviewed(uid, given, expected):
    assert opinion(replace(task(1, State.LEASED), uid=uid, **given)) is expected


# the course of a run

RUN = Run(number=1, uid="r", workflow="w", project="p")


def step(number, state, key="", **values):
    return task(number, state, run=1, key=key or f"k{number}", **values)


FAILED = step(1, State.DEAD, outcome="failed", why="it broke", attempt=3)


@pytest.mark.parametrize(
    ("other", "goes_on"),
    [
        pytest.param([step(2, State.WAITING)], False, id="waits"),
        pytest.param([step(2, State.READY)], False, id="ready"),
        pytest.param([step(2, State.HELD)], False, id="held"),
        pytest.param([step(2, State.LEASED, attempt=1)], True, id="an agent has it"),
        pytest.param([step(2, State.FAILED, attempt=1)], True, id="has another attempt"),
        pytest.param([step(2, State.HELD, attempt=1)], True, id="for a person to accept"),
        pytest.param(
            [step(2, State.WAITING), step(3, State.READY, parent=2)], True, id="was split"
        ),
        pytest.param(
            [
                step(2, State.WAITING, kind="group"),
                step(3, State.READY, parent=2),
                step(4, State.DONE, parent=2, attempt=1),
            ],
            True,
            id="a copy of it has begun",
        ),
        pytest.param(
            [step(2, State.WAITING, kind="group"), step(3, State.READY, parent=2)],
            False,
            id="no copy of it has begun",
        ),
    ],
)
def test_a_run_that_stops_begins_nothing_but_what_was_begun_goes_on(other, goes_on):
    changes = stopped([FAILED, *other], NOW)

    assert [one.after.number for one in changes if goes_on] == []
    assert goes_on or len(changes) == len(other)
    assert all(one.why == "the run stops: k1 (t-1) is dead" for one in changes)


def test_what_is_there_for_the_failure_is_left_when_a_run_stops():
    bad = replace(FAILED, job=replace(FAILED.job, on_failure="clean"))
    tasks = [
        bad,
        step(2, State.WAITING, "clean"),
        step(3, State.WAITING, "other"),
        step(4, State.WAITING, "clean", kind="group"),
        step(5, State.WAITING, "clean#1", parent=4),
    ]

    assert [one.after.number for one in stopped(tasks, NOW)] == [3]


def test_a_failure_that_is_passed_over_or_of_a_part_stops_nothing():
    passed = replace(FAILED, job=replace(FAILED.job, on_failure="continue"))

    assert stopped([passed, step(2, State.READY)], NOW) == []
    part_of = [replace(FAILED, parent=2), step(2, State.WAITING), step(3, State.READY)]
    assert stopped(part_of, NOW) == []


@pytest.mark.parametrize(
    ("tasks", "state", "why"),
    [
        pytest.param([step(1, State.DONE, outcome="done")], "done", "all of it is over", id="done"),
        pytest.param([step(1, State.READY)], None, "", id="not over"),
        pytest.param([FAILED], "failed", "k1 (t-1) is dead: it broke", id="failed"),
        pytest.param(
            [step(1, State.CANCELLED, outcome="cancelled", why="cancelled")],
            "failed",
            "k1 (t-1) is cancelled: cancelled",
            id="cancelled by a person",
        ),
        pytest.param(
            [
                step(2, State.DONE, outcome="done"),
                step(1, State.CANCELLED, outcome="cancelled", why=f"{STOP}k2 (t-2) is dead"),
            ],
            "failed",
            "k1 (t-1) is cancelled: the run stops: k2 (t-2) is dead",
            id="what failed was begun anew, the rest was not",
        ),
        pytest.param(
            [step(1, State.CANCELLED, outcome="skipped")], "done", "all of it is over", id="skipped"
        ),
        pytest.param(
            [replace(FAILED, job=Job(text="", on_failure="continue"))],
            "done",
            "all of it is over; it went on without k1 (t-1)",
            id="passed over",
        ),
    ],
)
def test_how_a_run_ends(tasks, state, why):
    after = ended(RUN, tasks, NOW)

    assert (after and after.state) == state
    assert after is None or (after.why, after.finished) == (why, NOW)


def test_the_first_failure_is_the_reason():
    later = replace(FAILED, number=2, finished=NOW)
    first = replace(FAILED, number=3, finished=NOW - 1)
    follows = gone(4, why=f"{NEED}t-3 is dead", finished=NOW - 2)

    assert [one.number for one in culprits([later, first, follows])] == [3, 2]


# again

SKIPPED = {"outcome": "skipped"}
UNDONE = {"outcome": "cancelled"}


@pytest.mark.parametrize(
    ("tasks", "needs", "again"),
    [
        pytest.param([FAILED, step(2, State.DONE, outcome="done")], {2: (1,)}, [1],
                     id="what is done stays so"),
        pytest.param([step(2, State.CANCELLED, **UNDONE), FAILED], {2: (1,)}, [1, 2],
                     id="what never began, after what it needs"),
        pytest.param([FAILED, step(2, State.CANCELLED, **SKIPPED)], {}, [1],
                     id="a branch that was not taken stays so"),
        pytest.param([FAILED, step(2, State.DONE, outcome="done"),
                      step(3, State.CANCELLED, **SKIPPED)], {2: (1,), 3: (2,)}, [1, 3],
                     id="but not after what is done again"),
        pytest.param([FAILED, step(2, State.DONE, kind="barrier", outcome="done")],
                     {2: (1,)}, [1, 2], id="the end of a phase ends anew"),
        pytest.param([replace(FAILED, job=Job(text="", on_failure="clean")),
                      step(2, State.DONE, "clean", outcome="done")], {2: (1,)}, [1, 2],
                     id="so is decided what is there for the failure"),
    ],
)  # fmt: skip
def test_what_a_resumed_run_does_again(tasks, needs, again):
    assert [one.number for one in repeated(tasks, needs)] == again


@pytest.mark.parametrize(
    ("state", "again"),
    [
        pytest.param(State.DEAD, [1, 2, 3], id="no quorum: all vote again"),
        pytest.param(State.CANCELLED, [2], id="cancelled: those that had not answered"),
    ],
)
def test_which_copies_of_a_group_are_done_again(state, again):
    one = task(9, state, kind="group", outcome="failed")
    each = copies("a", gone(), "b")
    tasks = [one, *each]

    want = [1, 2, 3] if state is State.DEAD else again
    assert sorted(each.number for each in renewed(one, tasks)) == want
    assert repeated(tasks, {9: (1, 2, 3)})[-1] == one


def test_which_parts_of_a_task_are_done_again():
    one = task(1, State.DEAD, fence=2, outcome="failed", report=SAID)
    old = part(replace(one, report=None, fence=1), 4, state=State.DEAD, outcome="failed")
    fine, bad = part(one), part(one, 3, place=2, state=State.DEAD, outcome="failed")

    assert renewed(one, [one, old, fine, bad]) == [bad]


def test_how_a_task_is_dropped():
    leased = dropped(task(1, State.LEASED), "why", NOW)

    assert dropped(task(1, State.READY), "why", NOW).after.state is State.CANCELLED
    assert leased.after.state is State.LEASED and leased.after.asked
    assert dropped(leased.after, "why", NOW) is None
    assert dropped(done(1), "why", NOW) is None
    late = transitions.asked_to_end(task(1, State.LEASED), "slow", transitions.LATE).after
    assert dropped(late, "why", NOW).after.asked == "cancel: why"
