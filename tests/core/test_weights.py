from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.weights import HALF_LIFE, UNIT, Score, faded, learned, weight

T0 = 1_000_000_000.0
NEW = Score(agent="p/t/a", skill="python")
ENDS = st.lists(st.tuples(st.booleans(), st.floats(0, 1e5), st.floats(0, 1e6)), max_size=30)


def after(*ends, seconds=0.0):
    score = NEW
    for ok in ends:
        score = learned(score, ok, seconds, T0)
    return score


def test_nobody_is_better_than_a_newcomer():
    assert weight(NEW) == 1.0
    assert weight(after(True)) == 1.0
    assert weight(after(True, seconds=60)) < 1.0


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        pytest.param(after(True, True), after(True, False), id="fails less"),
        pytest.param(after(False), after(False, False), id="failed once, not twice"),
        pytest.param(after(True, seconds=60), after(True, seconds=600), id="faster"),
        pytest.param(
            after(*[True] * 9, False, seconds=100),
            after(*[True] * 10, seconds=1000),
            id="much faster, and seldom fails",
        ),
    ],
)
def test_the_better_weighs_more(better, worse):
    assert weight(better) > weight(worse)


def test_it_weighs_half_at_a_unit_of_time():
    assert weight(after(*[True] * 999, seconds=UNIT)) == pytest.approx(0.5, rel=0.01)


def test_the_mean_is_over_good_and_bad_ends():
    score = learned(learned(NEW, True, 10.0, T0), False, 30.0, T0)

    assert (score.done, score.failed, score.seconds) == (1.0, 1.0, 20.0)


def test_what_is_long_ago_counts_less():
    bad = after(False, False, False)

    assert faded(bad, T0 + HALF_LIFE).failed == pytest.approx(1.5)
    assert weight(bad) < weight(bad, T0 + HALF_LIFE) < weight(bad, T0 + 9 * HALF_LIFE) < 1.0
    assert learned(bad, True, 0.0, T0 + HALF_LIFE).failed == pytest.approx(1.5)


def test_a_clock_that_goes_back_undoes_nothing():
    score = learned(after(True), True, -5.0, T0 - 1e6)

    assert (score.done, score.seconds, score.at) == (2.0, 0.0, T0)


@given(ENDS)
def test_a_weight_is_a_share(ends):
    score, now = NEW, T0
    for ok, seconds, gap in ends:
        now += gap
        score = learned(score, ok, seconds, now)

    assert 0 < weight(score) <= 1
    assert weight(score, now + 1e6) >= weight(score) - 1e-12 or score.done > 0
