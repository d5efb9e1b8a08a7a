from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.parking import (
    FARTHEST,
    FIRST,
    LONGEST,
    PROBE,
    STAGGER,
    Parked,
    from_dict,
    holds,
    let_go,
    outlook,
    park,
    reset,
    to_dict,
)

NOW = 1_000_000.0
ALL = ("a", "b", "c")


def parked(known=None, until=0.0, now=NOW, why="5-hour limit"):
    return park(known, "claude", now, until=until, why=why)


@pytest.mark.parametrize(
    ("until", "wait", "told"),
    [
        pytest.param(NOW + 7200, 7200, True, id="told"),
        pytest.param(0.0, FIRST, False, id="not told"),
        pytest.param(NOW - 5, FIRST, False, id="told, and already past"),
        pytest.param(NOW + 90 * 86_400, FARTHEST, True, id="no limit is as long as that"),
    ],
)
def test_how_long_an_account_is_parked(until, wait, told):
    one = parked(until=until)
    assert (one.until - NOW, one.told, one.since) == (wait, told, NOW)


def test_a_reset_that_nobody_tells_is_tried_less_and_less():
    one, waits = None, []
    now = NOW
    for _ in range(6):
        one = parked(one, now=now)
        waits.append(one.until - now)
        one, freed = let_go(one, ALL, (), one.until)
        assert freed == "a"
        now = one.last + 3
    assert waits == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST, LONGEST, LONGEST]


@pytest.mark.parametrize(
    ("first", "second", "until"),
    [
        pytest.param(0.0, 0.0, NOW + FIRST, id="another that meets it changes nothing"),
        pytest.param(0.0, NOW + 900, NOW + 900, id="now it is told"),
        pytest.param(NOW + 900, 0.0, NOW + 900, id="it was told before"),
        pytest.param(NOW + 900, NOW + 800, NOW + 900, id="the later reset counts"),
        pytest.param(NOW + 900, NOW + 950, NOW + 950, id="and may be told later"),
    ],
)
def test_many_agents_meet_one_limit(first, second, until):
    assert parked(parked(until=first), until=second, now=NOW + 10).until == until


def run(one, seconds, worked=None, waiting=ALL):
    """Let agents go for so many seconds; `worked` says when each has shown work."""
    found, now = [], one.until - 20
    while one and now < one.until + seconds:
        done = [agent for agent, at in (worked or {}).items() if now - (NOW + 900) >= at]
        one, agent = let_go(one, waiting, done, now)
        if agent:
            found.append((agent, now - (NOW + 900)))
        now += 1
    return one, found


def test_the_first_alone_is_a_probe_then_they_follow():
    one, found = run(parked(until=NOW + 900), 600, {"a": 12})
    assert found == [("a", 0), ("b", 12), ("c", 12 + STAGGER)]
    assert one is None


def test_a_probe_that_shows_nothing_holds_nobody_for_ever():
    one, found = run(parked(until=NOW + 900), 600)
    assert found == [("a", 0), ("b", PROBE), ("c", 2 * PROBE)]
    assert one is None


def test_a_probe_that_meets_the_limit_again_parks_all_again():
    one, _ = run(parked(until=NOW + 900), 5)
    again = parked(one, now=NOW + 905)
    assert (again.freed, again.until, again.since) == ((), NOW + 905 + FIRST, NOW)
    assert holds(again, "a") == "usage limit of `claude`: 5-hour limit"


def test_who_was_let_go_is_held_no_more():
    one, _ = run(parked(until=NOW + 900), 5)
    assert (holds(one, "a"), bool(holds(one, "b"))) == ("", True)
    assert outlook(one, NOW + 905) == NOW + 900 + PROBE
    assert outlook(parked(), NOW) == NOW + FIRST


def test_where_nobody_waits_the_account_is_free():
    assert let_go(parked(), (), (), NOW + FIRST) == (None, "")


def test_it_survives_json():
    one, _ = run(parked(until=NOW + 900), 15, {"a": 2})
    assert from_dict(json.loads(json.dumps(to_dict(one)))) == one
    assert from_dict(to_dict(parked()) | {"later": 1}) == parked()


@pytest.mark.parametrize("back", [60.0, 86_400.0, 10 * 365 * 86_400.0])
def test_a_clock_that_was_set_back_makes_nobody_wait_longer(back):
    one, _ = let_go(parked(until=NOW + 900), ALL, (), NOW - back)
    assert one.until == NOW - back + 900
    assert let_go(one, ALL, (), NOW - back + 900)[1] == "a"


STEPS = st.lists(
    st.tuples(
        st.floats(0, 4000),
        st.sampled_from(("look", "limit", "told")),
        st.booleans(),
    ),
    max_size=40,
)


@given(STEPS)
def test_nobody_is_let_go_before_the_reset(steps):
    now, one = NOW, parked()
    for pause, what, works in steps:
        now += pause
        if one is None or what != "look":
            one = parked(one, now + 1000 if what == "told" else 0.0, now)
        known = one
        one, agent = let_go(one, ALL, ALL if works else (), now)
        assert not agent or (now >= known.until and agent not in known.freed)
        assert not agent or not known.freed or now - known.last >= STAGGER


@given(STEPS, st.floats(-1e6, 1e6))
def test_nobody_is_parked_for_ever(steps, jump):
    now, one = NOW, parked()
    for pause, what, _ in steps:
        now += pause
        one = parked(one, now + 1000 if what == "told" else 0.0, now)
        one = let_go(one, ALL, (), now)[0] or parked()
    now += jump
    left, until = set(ALL), now + FARTHEST + LONGEST
    while one and now < until:
        one, agent = let_go(one, ALL, (), now)
        left.discard(agent)
        now += 60
        left -= set(one.freed if one else ALL)
    assert one is None and not left


DAY = 1_700_000_000.0 - 1_700_000_000.0 % 86_400


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("You've hit your session limit · resets 8pm", 8 * 3600),
        ("You've hit your limit · resets 8:30pm (UTC)", 8.5 * 3600),
        ("resets at 12am", 12 * 3600),
        ("resets 12pm", 86_400),
        ("try again at 14:05", 2 * 3600 + 300),
        ("Try again in 2 hours 5 minutes.", 7500),
        ("try again in 3 days 4 hours 5 minutes", 3 * 86_400 + 4 * 3600 + 300),
        ("Please retry after 90s", 90),
        ("retrying in 1h30m", 5400),
        ("You've hit your usage limit.", None),
        ("resets 13pm", None),
        ("resets 8", None),
        ("in progress", None),
        ("", None),
    ],
)
def test_when_a_limit_ends(text, wait):
    now = DAY + 12 * 3600
    assert reset(text, now, 0.0) == (0.0 if wait is None else now + wait)


def test_a_time_of_day_is_that_of_the_machine():
    assert reset("resets 8pm", DAY + 12 * 3600, 2 * 3600.0) == DAY + 18 * 3600


@given(st.text(max_size=60), st.floats(0, 2e9), st.floats(-43_200, 50_400))
def test_any_text_can_be_read(text, now, east):
    found = reset(text, now, east)
    assert found == 0 or found >= now


def test_parked_is_what_is_kept():
    one = Parked(account="x", until=2.0, since=1.0, why="y", told=False)
    assert replace(one, freed=("a",)).freed == ("a",)
