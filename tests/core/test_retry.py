"""When a failed attempt is repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.retry import due
from hive.core.tasks import Job, Task

NOW = 1_000_000.0


def task(attempt, **job):
    return Task(number=1, uid="u", job=Job(text="x", **job), attempt=attempt)


@pytest.mark.parametrize(
    ("attempt", "waits"),
    [(0, 5), (1, 5), (2, 10), (3, 20), (7, 320), (8, 600), (9, 600), (5000, 600)],
)
def test_the_wait_doubles_up_to_the_longest(attempt, waits):
    one = task(attempt, retries=10_000)
    assert due(one, NOW, 1.0) == NOW + waits
    assert due(one, NOW, 0.0) == NOW + waits / 2


@pytest.mark.parametrize(
    ("retries", "attempt", "again"),
    [(0, 1, False), (1, 1, True), (1, 2, False), (2, 2, True), (2, 3, False), (2, 9, False)],
)
def test_there_is_one_attempt_more_than_retries(retries, attempt, again):
    assert (due(task(attempt, retries=retries), NOW, 0.5) is not None) is again


def test_what_can_never_work_is_not_repeated():
    assert due(task(1), NOW, 0.5, permanent=True) is None


def test_no_backoff_is_no_wait():
    assert due(task(2, backoff=0.0), NOW, 0.5) == NOW


@given(
    attempt=st.integers(1, 200),
    chance=st.floats(0, 1),
    backoff=st.floats(0, 3600),
    longest=st.floats(0, 86_400),
)
def test_a_wait_is_at_least_half_of_what_it_should_be_and_never_longer(
    attempt, chance, backoff, longest
):
    found = due(task(attempt, retries=200, backoff=backoff, longest=longest), 0.0, chance)
    whole = min(longest, backoff * 2.0 ** min(attempt - 1, 60))
    assert whole / 2 <= found <= whole
