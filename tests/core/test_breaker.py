from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.breaker import (
    FIRST,
    LONGEST,
    PROBE,
    THRESHOLD,
    Breaker,
    failed,
    from_dict,
    of_agent,
    of_command,
    open_at,
    probed,
    succeeded,
    to_dict,
    watching,
)
from hive.core.tasks import Job

T0 = 1_000_000_000.0
CLOSED = Breaker(name="agent:p/t/a")


def broken(times=THRESHOLD, breaker=CLOSED, now=T0):
    for _ in range(times):
        breaker = failed(breaker, "exit code 1", now)
    return breaker


def test_failures_in_a_row_open_it():
    before, after = broken(THRESHOLD - 1), broken()

    assert (before.state, open_at(before, T0)) == ("closed", "")
    assert (after.state, after.since, after.until) == ("open", T0, T0 + FIRST)
    assert open_at(after, T0 + 18) == (
        "5 failures in a row, the last: exit code 1; one task is tried in 42s"
    )


def test_a_success_between_them_does_not():
    breaker = broken(THRESHOLD - 1)
    breaker = broken(THRESHOLD - 1, succeeded(breaker, T0))

    assert breaker.state == "closed"


def test_after_a_while_one_task_is_tried_and_no_second():
    breaker = broken()
    later = T0 + FIRST

    assert open_at(breaker, later) == ""
    assert open_at(probed(breaker, later), later + 5) == (
        "5 failures in a row, the last: exit code 1; one task is being tried, for 5s"
    )


def test_a_probe_that_ends_well_closes_it():
    after = succeeded(probed(broken(), T0 + FIRST), T0 + FIRST + 9)

    assert after == Breaker(name=CLOSED.name, since=T0 + FIRST + 9)


def test_each_probe_that_fails_doubles_the_time():
    breaker, now, spans = broken(), T0, []
    for _ in range(9):
        spans.append(breaker.until - now)
        now = breaker.until
        breaker = failed(probed(breaker, now), "exit code 1", now)

    assert spans == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert LONGEST == 3600


def test_a_probe_that_is_not_heard_of_keeps_others_away_for_a_while_only():
    out = probed(broken(), T0 + FIRST)

    assert open_at(out, T0 + FIRST + PROBE - 1)
    assert open_at(out, T0 + FIRST + PROBE) == ""


def test_what_was_handed_out_before_it_opened_does_not_count_again():
    assert failed(broken(), "late", T0 + 1) == Breaker(
        name=CLOSED.name, state="open", failures=5, since=T0, until=T0 + FIRST, why="late"
    )


def test_a_grant_to_one_that_is_closed_is_no_probe():
    assert probed(CLOSED, T0) is CLOSED


@pytest.mark.parametrize(
    ("job", "names"),
    [
        (Job(text="x"), ("agent:p/t/a",)),
        (Job(text="make test", kind="run"), ("agent:p/t/a", of_command(" make test\n"))),
    ],
)
def test_who_watches_what(job, names):
    assert watching(job, "p/t/a") == names
    assert of_agent("p/t/a") == CLOSED.name
    assert of_command("make") != of_command("make test")


@given(st.lists(st.sampled_from(["failed", "succeeded", "probed"]), max_size=40), st.floats(1, 400))
def test_whatever_happens_it_opens_again_in_the_end(moves, step):
    breaker, now = CLOSED, T0
    for move in moves:
        now += step
        if move == "failed":
            breaker = failed(breaker, "why", now)
        else:
            breaker = succeeded(breaker, now) if move == "succeeded" else probed(breaker, now)

    assert from_dict(json.loads(json.dumps({**to_dict(breaker), "newer": 1}))) == breaker
    assert open_at(breaker, now + LONGEST) == ""
    assert breaker.state != "closed" or breaker.failures < THRESHOLD
