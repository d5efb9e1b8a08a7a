from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hive.core.accounting import Sample
from hive.core.trend import Leak, leak

MIB = 1 << 20


def series(memory, minutes=120, step=60):
    """Give a sample for each step, whose MiB are what `memory` says of the hour."""
    return [
        Sample(
            agent="a", at=at, span=step, cpu=0.1, memory=int(memory(at / 3600) * MIB), processes=1
        )
        for at in range(0, minutes * 60, step)
    ]


def noisy(memory, by, seed=3):
    dice = random.Random(seed)
    return lambda hour: memory(hour) + dice.uniform(-by, by)


QUIET = {
    "nothing was seen": [],
    "one sample": series(lambda _: 100, minutes=1),
    "flat": series(lambda _: 500),
    "flat and noisy": series(noisy(lambda _: 500, 50)),
    "too short": series(lambda hour: 100 + 500 * hour, minutes=50),
    "too few points": series(lambda hour: 100 + 500 * hour, minutes=90, step=600),
    "slower than is worth saying": series(lambda hour: 100 + 20 * hour),
    "little of much": series(lambda hour: 8000 + 50 * hour),
    "it only started up": series(lambda hour: 1000 * (1 - math.exp(-hour * 6))),
    "up and down, as garbage is collected": series(lambda hour: 300 + (hour * 1800) % 300),
    "it shrinks": series(lambda hour: 1000 - 200 * hour),
    "one step up": series(lambda hour: 200 if hour < 1 else 600),
    "it grew, and was started again just now": series(
        lambda hour: 100 + 200 * (hour if hour < 1.8 else hour - 1.8)
    ),
}


@pytest.mark.parametrize("samples", QUIET.values(), ids=QUIET.keys())
def test_no_leak(samples):
    assert leak(samples, 1 << 40) is None


LEAKS = {
    "steady": series(lambda hour: 100 + 60 * hour),
    "noisy": series(noisy(lambda hour: 100 + 60 * hour, 8)),
    "seen every ten seconds": series(lambda hour: 100 + 60 * hour, step=10),
    "seen every five minutes": series(lambda hour: 100 + 60 * hour, step=300),
    "for a day": series(lambda hour: 100 + 60 * hour, minutes=1440),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak(name):
    found = leak(LEAKS[name])
    assert found is not None
    assert found.rate == pytest.approx(60 * MIB, rel=0.1)
    assert found.left is None


def test_only_the_latest_launch_counts():
    def memory(hour):
        return 900 if hour < 1 else 100 + 60 * (hour - 1)

    found = leak(series(memory, minutes=180))
    assert found is not None
    assert found.span == pytest.approx(7200, abs=120)
    assert found.rate == pytest.approx(60 * MIB, rel=0.1)


def test_how_long_until_the_limit():
    samples = series(lambda hour: 100 + 60 * hour, minutes=121)
    assert leak(samples, 280 * MIB) == Leak(
        rate=pytest.approx(60 * MIB, rel=0.01),
        span=pytest.approx(7200, abs=120),
        left=pytest.approx(3600, rel=0.02),
    )
    assert leak(samples, 200 * MIB).left == 0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 1 << 40), max_size=200), st.none() | st.integers(0, 1 << 40))
def test_anything_can_be_asked(memories, limit):
    samples = [
        Sample(agent="a", at=60 * at, span=60, cpu=0, memory=memory, processes=1)
        for at, memory in enumerate(memories)
    ]
    found = leak(samples, limit)
    assert found is None or (found.rate > 0 and (found.left is None or found.left >= 0))
