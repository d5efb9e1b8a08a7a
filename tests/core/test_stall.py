from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.profile import Profile, Stall, Typing
from hive.core.signs import Condition, Turn
from hive.core.stall import (
    AGAIN,
    ECHO,
    PROOF,
    Life,
    Step,
    Watch,
    decide,
    due,
    outlook,
    progress,
    unproven,
)

NOW = 10_000.0
STALL = Stall(after=600, step=120)
PROFILE = Profile(name="p", stall=STALL, typing=Typing(busy="queue"))
WORKING = Condition(turn=Turn.WORKING, closed="working")
STILL = Life(began=NOW - 3600, grown=NOW - 600)


@pytest.mark.parametrize(
    ("life", "stalls"),
    [
        pytest.param(STILL, 0, id="all still"),
        pytest.param(replace(STILL, grown=NOW - 599), 1, id="not long enough"),
        pytest.param(Life(began=NOW - 10), 590, id="it has just begun"),
        pytest.param(replace(STILL, worked=NOW - 5), 595, id="it worked"),
        pytest.param(replace(STILL, moved=NOW - 5), 595, id="its screen has changed"),
        pytest.param(replace(STILL, wrote=NOW - 5), 595, id="it wrote to a disk"),
        pytest.param(replace(STILL, ran=NOW), 600, id="a build that prints nothing"),
        pytest.param(replace(STILL, busy=NOW), 600, id="it is busy itself"),
        pytest.param(
            replace(STILL, grown=NOW - 1800, busy=NOW), 0, id="a spinner alone counts for a while"
        ),
        pytest.param(replace(STILL, calls=1), 1200, id="a tool that does nothing"),
        pytest.param(replace(STILL, grown=NOW - 1800, calls=1), 0, id="for long"),
        pytest.param(replace(STILL, usual=4000.0), 400, id="such a task takes long"),
        pytest.param(replace(STILL, usual=60.0), 0, id="such a task takes a minute"),
        pytest.param(replace(STILL, moved=NOW + 900), 600, id="the clock was set back"),
    ],
)
def test_what_is_a_stall(life, stalls):
    assert due(life, STALL, NOW) == NOW + stalls


def went(*, profile=PROFILE, condition=WORKING, life=STILL, until=3000, each=10, watch=None):
    """Tell the steps that are taken, with how many seconds later."""
    watch, found = watch or Watch(), []
    for after in range(0, until, each):
        new = decide(profile, watch, condition, life, NOW + after, asked=False)
        if new.step is not watch.step:
            found.append((new.step, after))
        watch = new
    return found


def test_each_step_waits_for_the_one_before_to_help():
    assert went() == [
        (Step.LOOK, 0),
        (Step.NUDGE, 120),
        (Step.INTERRUPT, 240),
        (Step.RESTART, 360),
        (Step.PERSON, 480),
    ]


def test_nothing_is_typed_where_that_is_not_safe():
    profile = replace(PROFILE, typing=Typing(busy="steer"))
    assert [step for step, _ in went(profile=profile)][:2] == [Step.LOOK, Step.INTERRUPT]


def test_who_has_no_key_to_interrupt_is_restarted():
    profile = replace(PROFILE, stall=replace(STALL, interrupt=()))
    assert [step for step, _ in went(profile=profile)][1:3] == [Step.NUDGE, Step.RESTART]


def test_who_was_just_restarted_for_it_is_given_to_a_person():
    young = Watch(restarted=NOW - AGAIN + 1000)
    assert [step for step, _ in went(watch=young)][-1] is Step.PERSON
    assert Step.RESTART not in [step for step, _ in went(watch=young)]
    assert Step.RESTART in [step for step, _ in went(watch=Watch(restarted=NOW - AGAIN))]


NUDGED = Watch(step=Step.NUDGE, at=NOW - 60, why="x", restarted=5.0)


@pytest.mark.parametrize(
    ("more", "step"),
    [
        pytest.param({}, Step.NUDGE, id="nothing moves"),
        pytest.param({"life": replace(STILL, moved=NOW - 55)}, Step.NUDGE, id="its echo"),
        pytest.param({"life": replace(STILL, moved=NOW - 60 + ECHO + 1)}, Step.NONE, id="it moved"),
        pytest.param({"condition": Condition(turn=Turn.READY)}, Step.NONE, id="its turn is over"),
        pytest.param({"condition": Condition(turn=Turn.WAITING)}, Step.NONE, id="it waits"),
        pytest.param({"condition": Condition(turn=Turn.LIMITED)}, Step.NONE, id="it gets nothing"),
        pytest.param({"condition": Condition()}, Step.NONE, id="nothing is known"),
        pytest.param({"asked": True}, Step.NONE, id="a person was asked"),
    ],
)
def test_any_progress_ends_a_stall(more, step):
    given = {"condition": WORKING, "life": STILL, "now": NOW, "asked": False} | more
    watch = decide(PROFILE, NUDGED, given["condition"], given["life"], given["now"],
                   asked=given["asked"])  # fmt: skip
    assert (watch.step, watch.restarted) == (step, 5.0)


def test_a_clock_that_was_set_back_takes_no_step():
    life = Life(began=NOW - 9000)
    watch = decide(PROFILE, NUDGED, WORKING, life, NOW - 500, asked=False)
    assert (watch.step, watch.at) == (Step.NUDGE, NOW - 500)


def test_it_says_what_stands_still():
    watch = decide(PROFILE, Watch(), WORKING, replace(STILL, grown=NOW - 1800, calls=1, busy=NOW),
                   NOW + 1800, asked=False)  # fmt: skip
    assert watch.why == (
        "no output, no work on disk, nothing in its records; a tool call is open; it only spins"
    )


def test_when_the_next_step_is_due():
    assert outlook(STALL, NUDGED) == NOW + 60
    assert outlook(STALL, Watch()) is None
    assert outlook(STALL, replace(NUDGED, step=Step.PERSON)) is None


@pytest.mark.parametrize(
    ("briefed", "worked", "moved", "why"),
    [
        pytest.param(0, 0, 0, "", id="no brief"),
        pytest.param(NOW - 5, 0, 0, "its brief was given, no sign of work yet", id="just now"),
        pytest.param(NOW - PROOF, 0, 0, "no sign of work since its brief", id="for long"),
        pytest.param(NOW - PROOF, NOW - 90, 0, "no sign of work since its brief", id="old work"),
        pytest.param(NOW - PROOF, NOW - 9, 0, "", id="it works"),
        pytest.param(NOW - 60, 0, NOW - 59, "no sign of work since its brief", id="the echo"),
        pytest.param(NOW - 60, 0, NOW - 9, "", id="one that only has a screen"),
    ],
)
def test_who_shows_no_work_since_its_brief(briefed, worked, moved, why):
    assert unproven(briefed, worked, NOW, moved=moved) == why


TIMES = st.floats(0, 2 * NOW)


@given(
    st.builds(
        Life, began=TIMES, worked=TIMES, grown=TIMES, moved=TIMES, wrote=TIMES, ran=TIMES,
        busy=TIMES, calls=st.integers(0, 2), usual=st.none() | st.floats(0, 1e5),
    ),
    TIMES,
)  # fmt: skip
def test_nobody_stalls_who_has_made_progress(life, now):
    last = progress(life, STALL, now)
    assert last <= now
    if any(now - STALL.after < each <= now for each in (life.worked, life.moved, life.ran)):
        assert decide(PROFILE, Watch(), WORKING, life, now, asked=False).step is Step.NONE


@given(st.lists(st.tuples(st.floats(0, 500), st.booleans()), max_size=60))
def test_a_step_never_comes_before_the_one_before_it(moves):
    now, watch, order = NOW, Watch(), list(Step)
    life = STILL
    for pause, moved in moves:
        now += pause
        life = replace(life, moved=now) if moved else life
        new = decide(PROFILE, watch, WORKING, life, now, asked=False)
        if new.step not in {watch.step, Step.NONE}:
            assert order.index(new.step) > order.index(watch.step)
            assert watch.step is Step.NONE or now - watch.at >= STALL.step
        watch = new
