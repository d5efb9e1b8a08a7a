from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.throttle import CALM, LONGEST, LOOK, Pace, begin, paced


class Sim:
    """A tree that uses `rate(now)` cores whenever it may run, and what it used."""

    def __init__(self, rate, allowed):
        self.rate = rate
        self.allowed = allowed
        self.pace = Pace(at=0.0, due=0.0)
        self.used = 0.0
        self.stops = [0.0]

    def run(self, seconds, late=0.0):
        """Look whenever it is due, or `late` seconds later."""
        while self.pace.at < seconds:
            now = max(self.pace.due, self.pace.at) + late
            runs = self.pace.stopped is None
            spent = self.rate(self.pace.at) * (now - self.pace.at) if runs else 0.0
            self.used += spent
            before = self.pace
            self.pace = paced(before, used=spent, allowed=self.allowed, now=now)
            if before.stopped is not None and self.pace.stopped is None:
                self.stops.append(now - before.stopped)
        return self.used / self.pace.at


@given(
    allowed=st.floats(0.1, 4.0),
    greed=st.floats(1.05, 20.0),
    late=st.floats(0.0, 0.01),
)
def test_a_greedy_tree_gets_what_it_may_have(allowed, greed, late):
    rate = min(allowed * greed, 8.0)
    sim = Sim(lambda _: max(rate, allowed * 1.05), allowed)
    average = sim.run(120.0, late)
    assert average == pytest.approx(allowed, rel=0.05, abs=0.01)
    assert max(sim.stops) <= LONGEST + late + 0.001


@given(allowed=st.floats(0.2, 2.0), low=st.floats(0.0, 3.0), high=st.floats(0.0, 4.0))
def test_a_moody_tree_gets_no_more_than_it_may_have(allowed, low, high):
    sim = Sim(lambda now: high if int(now) % 3 else low, allowed)
    forgiven = max(0.0, (high - allowed) * LOOK - allowed * 4)  # of the burst in every 3 s
    assert sim.run(120.0) <= allowed * 1.02 + forgiven / 3 + 0.01


@given(allowed=st.floats(0.05, 4.0), shares=st.lists(st.floats(0.0, 1.0), min_size=20, max_size=60))
def test_a_modest_tree_is_never_stopped(allowed, shares):
    pace = Pace(at=0.0)
    for share in shares:
        now = pace.at + LOOK
        pace = paced(pace, used=share * allowed * LOOK, allowed=allowed, now=now)
        assert pace.stopped is None
    assert pace.calm == (pace.at >= CALM)


@given(used=st.floats(0.0, 100.0), seconds=st.floats(0.0, 10.0), allowed=st.floats(0.0, 4.0))
def test_what_was_used_while_nobody_looked_is_no_long_freeze(used, seconds, allowed):
    pace = paced(
        begin(0.0, used=used, seconds=seconds, allowed=allowed), used=0.0, allowed=allowed, now=0.0
    )
    assert pace.due <= LONGEST
    if pace.stopped is not None:
        pace = paced(pace, used=0.0, allowed=allowed, now=pace.due)
        assert pace.stopped is None


def test_one_that_idled_may_use_only_a_little_more_later():
    pace = paced(Pace(at=0.0), used=0.0, allowed=0.5, now=1000.0)
    pace = paced(pace, used=0.25, allowed=0.5, now=1000.25)
    assert pace.stopped is None
    assert paced(pace, used=0.25, allowed=0.5, now=1000.5).stopped is not None


def test_one_held_to_nothing_still_lives():
    sim = Sim(lambda _: 1.0, 0.0)
    assert 0.0 < sim.run(60.0) < 0.03
    assert max(sim.stops) <= LONGEST + 0.001


def test_it_is_watched_until_it_was_modest_for_a_while():
    pace = begin(0.0, used=2.0, seconds=2.0, allowed=0.5)
    pace = paced(pace, used=0.0, allowed=0.5, now=0.0)
    assert pace.stopped == 0.0
    while not pace.calm:
        pace = paced(pace, used=0.0, allowed=0.5, now=pace.due)
    assert CALM <= pace.at <= CALM + LONGEST + 2 * LOOK
