from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core import pausing
from hive.core.pausing import Do, Life, Pause, decide, lost
from hive.core.signs import Condition, Turn

NOW = 1000.0
ASKED = Pause(at=900.0)
AT_ONCE = Pause(at=900.0, now=True)
READY = Condition(turn=Turn.READY, since=950.0)
WORKING = Condition(turn=Turn.WORKING, since=950.0)


@pytest.mark.parametrize(
    ("pause", "life", "do", "why"),
    [
        (None, Life(frozen=True), Do.LET_GO, "not paused"),
        (ASKED, Life(runs=False), Do.WITHHOLD, "does not run"),
        (AT_ONCE, Life(runs=False), Do.WITHHOLD, "does not run"),
        (AT_ONCE, Life(stopping=True, frozen=True), Do.LET_GO, "asked to end"),
        (ASKED, Life(), Do.FREEZE, "no turns"),
        (ASKED, Life(begun="it works on t-1"), Do.WITHHOLD, "over: it works on t-1"),
        (ASKED, Life(condition=READY), Do.FREEZE, "its turn is over"),
        (ASKED, Life(condition=WORKING), Do.WITHHOLD, "it is working"),
        (AT_ONCE, Life(condition=WORKING, begun="m-3"), Do.FREEZE, "at once"),
        (ASKED, Life(condition=WORKING, frozen=True), Do.FREEZE, "at once"),
        (ASKED, Life(condition=Condition()), Do.WITHHOLD, "until its turn is over"),
        (ASKED, Life(condition=Condition(turn=Turn.WAITING)), Do.WITHHOLD, "it is waiting"),
        (ASKED, Life(condition=Condition(turn=Turn.LIMITED)), Do.FREEZE, "its turn is over"),
        (ASKED, Life(condition=READY, begun="it was given m-3"), Do.WITHHOLD, "over: it was given"),
        (ASKED, Life(condition=Condition(turn=Turn.READY, since=NOW - 0.5)), Do.WITHHOLD, "until"),
        (ASKED, Life(condition=Condition(turn=Turn.READY, since=NOW + 5)), Do.FREEZE, "over"),
    ],
)
def test_what_is_done_with_an_agent(pause, life, do, why):
    found, text = decide(pause, life, NOW)

    assert found is do
    assert why in text


@pytest.mark.parametrize(
    ("spans", "since", "seconds", "until"),
    [
        ([], 0.0, 0.0, 0.0),
        ([(10.0, 30.0)], 0.0, 20.0, 30.0),
        ([(10.0, 30.0)], 20.0, 10.0, 30.0),
        ([(10.0, 30.0)], 30.0, 0.0, 0.0),
        ([(10.0, 30.0), (20.0, 40.0)], 0.0, 30.0, 40.0),
        ([(50.0, 60.0), (10.0, 30.0)], 0.0, 30.0, 60.0),
        ([(990.0, 2000.0)], 0.0, 10.0, NOW),
        ([(1500.0, 2000.0)], 0.0, 0.0, 0.0),
    ],
)
def test_the_time_that_was_spent_paused(spans, since, seconds, until):
    assert lost(spans, since, NOW) == (seconds, until)


@given(
    st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 2000)), max_size=5),
    st.floats(0, 1000),
)
def test_no_more_time_is_spent_paused_than_there_was(spans, since):
    seconds, until = lost(spans, since, NOW)
    assert 0 <= seconds <= NOW - since + 1e-6
    assert until == 0.0 or since < until <= NOW


def test_a_wish_is_remembered_and_a_newer_hives_words_are_left_alone():
    wish = Pause(at=3.0, why="a deploy", now=True)
    assert pausing.from_dict(pausing.to_dict(wish)) == wish
    assert pausing.from_dict({"at": 3.0, "more": 1}) == Pause(at=3.0)
