"""When a schedule's times are: by the clock, across its changes, and after an absence."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.schedule import GRACE, MOST, SHORT, Schedule, due, following
from hive.errors import WrongInput

ZONES = [
    "",
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",  # its clock changes at midnight
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Apia",  # once left out a day
    "Asia/Kolkata",
]
CRONS = [
    "* * * * *",
    "*/30 * * * *",
    "17 * * * *",
    "0 2 * * *",
    "30 2 * * *",
    "0,30 0-3 * * *",
    "59 23 * * sun",
    "0 0 1 * *",
    "*/20 1,2 * * *",
]
MOMENTS = st.floats(1_300_000_000, 1_900_000_000)


def schedule(cron, zone="Europe/Berlin", **more):
    return Schedule(project="task", name="nightly", cron=cron, zone=zone, workflow="w", **more)


def at(text):
    return datetime.fromisoformat(text).timestamp()


def times(one, start, many):
    found, after = [], at(start)
    for _ in range(many):
        after = following(one, after)
        found.append(datetime.fromtimestamp(after, UTC).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "expected"),
    [
        ("0 2 * * *", "", ["01-15 02:00", "01-16 02:00"]),
        ("0 2 * * *", "UTC", ["01-15 02:00", "01-16 02:00"]),
        ("0 2 * * *", "Europe/Berlin", ["01-15 01:00", "01-16 01:00"]),
        ("0 2 * * *", "Asia/Kolkata", ["01-15 20:30", "01-16 20:30"]),
        ("*/20 * * * *", "", ["01-15 00:20", "01-15 00:40"]),
        ("0 9 * * mon-fri", "", ["01-15 09:00", "01-16 09:00"]),
        ("0 0 1,15 * *", "", ["02-01 00:00", "02-15 00:00"]),
        ("0 12 L * *", "", ["01-31 12:00", "02-28 12:00"]),
        ("0 12 * * 5#2", "", ["02-13 12:00", "03-13 12:00"]),
        ("@daily", "", ["01-16 00:00", "01-17 00:00"]),
        (" @Weekly ", "", ["01-18 00:00", "01-25 00:00"]),
    ],
)
def test_the_times_of_an_expression(cron, zone, expected):
    assert times(schedule(cron, zone), "2026-01-15T00:00:00+00:00", 2) == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        pytest.param("30 1 * * *", ["03-29 00:30", "03-29 23:30"], id="before it"),
        pytest.param("30 2 * * *", ["03-29 01:00", "03-30 00:30"], id="left out"),
        pytest.param("0,30 2 * * *", ["03-29 01:00", "03-30 00:00"], id="both left out, once"),
        pytest.param("0 3 * * *", ["03-29 01:00", "03-30 01:00"], id="when it has jumped"),
        pytest.param("30 */1 * * *", ["03-29 00:30", "03-29 01:30"], id="every hour"),
    ],
)
def test_when_the_clock_jumps_ahead_a_time_left_out_comes_at_once(cron, expected):
    assert times(schedule(cron), "2026-03-29T01:10:00+01:00", 2) == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        pytest.param("30 2 * * *", ["10-25 00:30", "10-26 01:30"], id="once, the first"),
        pytest.param("10,50 2 * * *", ["10-25 00:10", "10-25 00:50", "10-26 01:10"], id="two"),
        pytest.param("0 3 * * *", ["10-25 02:00", "10-26 02:00"], id="after it"),
        pytest.param("30 * * * *", ["10-25 00:30", "10-25 01:30", "10-25 02:30"], id="every hour"),
    ],
)
def test_when_the_clock_is_put_back_a_time_of_day_comes_once(cron, expected):
    assert times(schedule(cron), "2026-10-25T02:00:00+02:00", len(expected)) == expected


def test_in_the_hour_that_comes_again_nothing_comes_that_has_been():
    again = datetime(2026, 10, 25, 1, 5, tzinfo=UTC).timestamp()  # 02:05 for the second time
    assert following(schedule("30 2 * * *"), again) == at("2026-10-26T02:30:00+01:00")


@given(cron=st.sampled_from(CRONS), zone=st.sampled_from(ZONES), after=MOMENTS, more=MOMENTS)
def test_the_next_time_is_the_same_for_whoever_asks_before_it(cron, zone, after, more):
    one = schedule(cron, zone)
    found = following(one, after)
    assert found > after
    between = after + (found - after) * ((more % 1000) / 1001)
    assert following(one, between) == found
    assert following(one, found) > found


@pytest.mark.parametrize(
    ("cron", "what", "fix"),
    [
        ("60 * * * *", "the minute `60` of `60 * * * *` is none", "0-59"),
        ("* 24 * * *", "the hour `24`", "0-23"),
        ("* * 0 * *", "the day-of-month `0`", "1-31"),
        ("0 0 30 2 *", "the day-of-month `30`", "a day that one of its months has"),
        ("* * * 13 *", "the month `13`", "jan-dec"),
        ("* * * * 8", "the day-of-week `8`", "sun-sat"),
        ("5-1 * * * *", "the minute `5-1`", "0-59"),
        ("*/0 * * * *", "the minute `*/0`", "0-59"),
        ("", "`` is no cron expression: it has 0 fields", "five fields"),
        ("* * * *", "it has 4 fields", "five fields"),
        ("0 * * * * *", "it has 6 fields", "five fields"),
        (f"{'1' * 5000} * * * *", "is no cron expression", "five fields"),
        ("@reboot", "`@reboot` is none of cron's names", "@daily"),
        ("* * */20 * 1L", "never comes", "five fields"),
    ],
)
def test_an_expression_that_cannot_be_read_says_where(cron, what, fix):
    with pytest.raises(WrongInput) as error:
        following(schedule(cron), 0.0)
    assert what in error.value.what
    assert fix in error.value.fix
    assert error.value.where == "schedule `nightly`"


@pytest.mark.parametrize("zone", ["Mars", "Europe", "../etc", "/etc/localtime", "a\0b"])
def test_a_zone_that_nobody_knows_is_refused(zone):
    with pytest.raises(WrongInput, match="is no time zone") as error:
        following(schedule("0 2 * * *", zone), 0.0)
    assert "Europe/Berlin" in error.value.fix


@given(cron=st.text("0123*/-,LW#@ a", max_size=14) | st.text(max_size=12))
def test_any_text_is_an_expression_or_refused(cron):
    with suppress(WrongInput):
        assert following(schedule(cron), 1_500_000_000.0) > 1_500_000_000.0


def test_every_name_of_cron_is_known():
    assert all(following(schedule(one), 0.0) > 0 for one in SHORT)


START = at("2026-01-15T00:00:00+00:00")
HOUR = 3600.0


@pytest.mark.parametrize(
    ("late", "skip", "once", "every"),
    [
        pytest.param(-1.0, [], [], [], id="not yet"),
        pytest.param(0.0, [0], [0], [0], id="now"),
        pytest.param(GRACE, [0], [0], [0], id="a little late"),
        pytest.param(GRACE + 1, [], [0], [0], id="missed"),
        pytest.param(3 * HOUR + 5, [3], [3], [0, 1, 2, 3], id="some missed, one is due"),
        pytest.param(3 * HOUR + 600, [], [3], [0, 1, 2, 3], id="all missed"),
    ],
)
def test_what_becomes_of_missed_times(late, skip, once, every):
    found = [
        due(schedule("@hourly", next_at=START, missed=missed), START + late)
        for missed in ("skip", "once", "all")
    ]
    assert found == [[START + hour * HOUR for hour in one] for one in (skip, once, every)]


def test_what_becomes_of_missed_times_is_one_of_three():
    with pytest.raises(WrongInput, match="it may be `skip`, `once` or `all`"):
        schedule("@hourly", missed="never")


def test_who_is_paused_or_has_no_next_time_is_not_due():
    one = schedule("@hourly", next_at=START)
    assert due(replace(one, paused=True), START) == []
    assert due(replace(one, next_at=0.0), START) == []


@given(
    cron=st.sampled_from(CRONS),
    zone=st.sampled_from(ZONES),
    start=MOMENTS,
    away=st.floats(0, 400 * 86_400),
)
def test_after_any_absence_the_latest_times_are_made_up_for_and_not_too_many(
    cron, zone, start, away
):
    one = schedule(cron, zone, missed="all")
    one = replace(one, next_at=following(one, start))
    now = start + away
    found = due(one, now)
    assert len(found) <= MOST
    assert all(one.next_at <= time <= now for time in found)
    assert all(following(one, before) == time for before, time in pairwise(found))
    assert found == [] or following(one, found[-1]) > now
    assert found == [] or len(found) == MOST or found[0] == one.next_at
    assert due(replace(one, missed="once"), now) == found[-1:]
