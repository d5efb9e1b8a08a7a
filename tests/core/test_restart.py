"""When an agent is started again, and when enough is enough."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive.core.restart import (
    TEAM_RESTARTS,
    Again,
    Quarantine,
    after_death,
    after_trial,
    counted,
    longest_delay,
    soon,
)
from hive.core.spec import Restart
from hive.core.world import TeamMemory

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
NOW = 1_000_000.0
MIDDLE = 0.5
"""The jitter that changes nothing."""
RULE = Restart(attempts=4, window=900, delay=4, factor=2, longest=10)


def ago(*seconds):
    return tuple(NOW - one for one in seconds)


@pytest.mark.parametrize(
    ("deaths", "expected"),
    [
        pytest.param(ago(0), Again(delay=0, why="starts again at once"), id="the first: at once"),
        pytest.param(ago(9, 0), Again(delay=4, why="starts again in 4s"), id="the second: delay"),
        pytest.param(
            ago(20, 9, 0), Again(delay=8, why="starts again in 8s"), id="the third: twice that"
        ),
        pytest.param(
            ago(901, 902, 903, 0),
            Again(delay=0, why="starts again at once"),
            id="deaths before the window count no more",
        ),
        pytest.param(
            ago(900, 0),
            Again(delay=4, why="starts again in 4s"),
            id="a death exactly one window ago still counts",
        ),
        pytest.param(
            ago(30, 20, 9, 0),
            Quarantine(delay=900, why="4 deaths in 15m"),
            id="too many within the window: quarantine",
        ),
    ],
)
def test_after_a_death(deaths, expected):
    assert after_death(RULE, deaths, NOW, MIDDLE) == expected


def test_the_delay_never_grows_beyond_the_longest():
    rule = Restart(attempts=100, delay=4, factor=1000, longest=10)

    assert after_death(rule, ago(*range(60)), NOW, MIDDLE) == Again(
        delay=10, why="starts again in 10s"
    )


def test_one_death_can_be_one_too_many():
    assert after_death(Restart(attempts=1), ago(0), NOW, MIDDLE) == Quarantine(
        delay=900, why="1 death in 15m"
    )


@CALM
@given(
    st.builds(
        Restart,
        delay=st.floats(0, 1e6),
        factor=st.floats(1, 1000),
        longest=st.floats(0, 1e6),
        attempts=st.just(200),
    ),
    st.integers(1, 150),
    st.floats(0, 1, exclude_max=True),
)
def test_jitter_moves_a_delay_by_a_fifth_at_most(rule, number, jitter):
    deaths = ago(*range(number))
    plain = after_death(rule, deaths, NOW, MIDDLE)
    moved = after_death(rule, deaths, NOW, jitter)

    assert 0.799 * plain.delay <= moved.delay <= 1.201 * plain.delay
    assert moved.delay <= longest_delay(rule) * 1.0001


@pytest.mark.parametrize(
    ("trials", "minutes"),
    [
        pytest.param(1, 30, id="after the first trial: half an hour"),
        pytest.param(2, 60, id="after the second: an hour"),
        pytest.param(3, 60, id="after the third: still an hour"),
        pytest.param(99, 60, id="for ever an hour"),
    ],
)
def test_after_a_failed_trial(trials, minutes):
    assert after_trial(trials) == Quarantine(delay=minutes * 60, why="its trial start failed")


def test_a_team_gets_its_restarts_and_no_more():
    team = TeamMemory(team="p/t")
    for second in range(TEAM_RESTARTS):
        team = counted(team, NOW + second)
        assert team is not None

    assert counted(team, NOW + 20) is None
    assert team.restarts == tuple(NOW + second for second in range(TEAM_RESTARTS))


def test_old_restarts_of_a_team_are_forgotten():
    team = TeamMemory(team="p/t", restarts=ago(*[601] * 20, 600), version=7)

    assert counted(team, NOW) == TeamMemory(team="p/t", restarts=ago(600, 0), version=7)


def test_restarts_in_the_future_count_as_now_since_the_clock_was_set_back():
    team = TeamMemory(team="p/t", restarts=ago(*[-86_400] * TEAM_RESTARTS))

    assert counted(team, NOW) is None


@pytest.mark.parametrize(
    ("delay", "text"),
    [(0, "at once"), (0.02, "in 100ms"), (0.84, "in 800ms"), (2.3, "in 2s"), (5400, "in 1h30m")],
)
def test_a_delay_is_said_in_round_numbers(delay, text):
    assert soon(delay) == text
