from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hive.core.accounting import Sample
from hive.core.advice import STEP, advise
from hive.core.limits import Limits
from hive.core.spec import Agent

MIB = 1 << 20
NOW = 1_800_000_000


def agent(**limits):
    return Agent(
        project="p",
        team="t",
        name="dev",
        role="dev",
        session="p-t",
        window="dev",
        argv=("true",),
        directory="/",
        limits=Limits(**limits),
    )


def sample(at, memory=100, cpu=0.2, held=0.0, span=60.0):
    return Sample(
        agent="p/t/dev", at=at, span=span, cpu=cpu, memory=memory * MIB, processes=2, held=held
    )


def seen(minutes=60, **given):
    return [sample(NOW - 60 * one, **given) for one in reversed(range(minutes))]


def advised(samples, ooms=0, most=0, **limits):
    return advise(agent(**limits), samples, ooms, most * MIB, NOW)


@pytest.mark.parametrize(
    ("given", "limit", "ooms", "most", "word", "recommended"),
    [
        (seen(9), 512, 0, 0, "too little seen yet", None),
        ([], None, 0, 0, "too little seen yet", None),
        (seen(), None, 0, 0, "no limit", 192),
        (seen(), 192, 0, 0, "fits", 192),
        (seen(), 384, 0, 0, "fits", 192),
        (seen(), 512, 0, 0, "more than it needs", 192),
        (seen(memory=185), 200, 0, 0, "too small", 256),
        (seen(memory=100), 200, 2, 200, "too small", 320),
        (seen(memory=100), 512, 2, 200, "fits", 320),
        (seen(1), 200, 1, 210, "too small", 320),
        (seen(memory=0), None, 0, 0, "no limit", 64),
    ],
)
def test_memory(given, limit, ooms, most, word, recommended):
    found = advised(given, ooms, most, memory=limit and limit * MIB)
    assert found.memory_verdict.word == word
    assert found.memory_recommended == (recommended and recommended * MIB)
    assert found.memory_limit == (limit and limit * MIB)


@pytest.mark.parametrize(
    ("given", "limit", "word", "recommended"),
    [
        (seen(9), 1.0, "too little seen yet", None),
        (seen(), None, "no limit", 0.3),
        (seen(), 0.5, "fits", 0.3),
        (seen(), 1.0, "more than it needs", 0.3),
        (seen(cpu=0.5, held=0.4), 0.5, "too small", 0.8),
        (seen(cpu=0.5, held=0.01), 0.5, "fits", 0.7),
        (seen(cpu=0.0), None, "no limit", 0.25),
    ],
)
def test_cpu(given, limit, word, recommended):
    found = advised(given, cpu=limit)
    assert found.cpu_verdict.word == word
    assert found.cpu_recommended == recommended


def test_figures_are_weighted_by_time():
    long = sample(NOW - 100, memory=10, cpu=0.1, span=3600.0, held=0.5)
    short = [sample(NOW - one, memory=90 + one, cpu=2.0, span=10.0) for one in range(10)]
    found = advised([long, *short])
    assert found.seconds == 3700
    assert (found.memory.median, found.memory.most, found.memory.peak) == (
        10 * MIB, 10 * MIB, 99 * MIB,
    )  # fmt: skip
    assert (found.cpu.median, found.cpu.peak) == (0.1, 2.0)
    assert found.held == pytest.approx(0.5 * 3600 / 3700)


def test_sentences_say_what_and_how_much():
    found = advised(seen(memory=100, cpu=0.5, held=0.4), 1, 200, memory=200 * MIB, cpu=0.5)
    assert found.memory_verdict.text == "it was ended 1 time for want of memory: give it 320M"
    assert found.cpu_verdict.text == (
        "its limit slowed it down for 40% of the time: give it 0.8 cores"
    )
    assert found.leak is None
    assert found.leaking == ""
    found = advised(seen(5))
    assert found.memory_verdict.text == "it was seen for 5m; advice needs 10m"


def test_a_leak_is_told_with_the_time_that_is_left():
    grows = [sample(NOW - 60 * (120 - one), memory=100 + one) for one in range(121)]
    found = advised(grows, memory=280 * MIB)
    assert found.leaking == (
        "its memory grew steadily for 1h 59m, by 60.0M an hour:"
        " at that rate it reaches its limit in 1h"
    )
    assert advised(grows).leaking.endswith("by 60.0M an hour: it may leak")


def test_samples_of_the_future_are_left_out():
    assert advised([sample(NOW + 60 * one) for one in range(1, 60)]).seconds == 0


samples = st.builds(
    sample,
    at=st.integers(NOW - 100_000, NOW),
    memory=st.integers(0, 100_000),
    cpu=st.floats(0, 64),
    held=st.floats(0, 1),
    span=st.floats(1, 3600),
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(samples, max_size=40),
    st.none() | st.integers(1, 1 << 45),
    st.none() | st.floats(0.01, 64),
    st.integers(0, 5),
)
def test_what_is_recommended_would_have_held(given, memory, cpu, ooms):
    found = advise(
        agent(memory=memory, cpu=cpu), sorted(given, key=lambda one: one.at), ooms, 0, NOW
    )
    assert found.memory.median <= found.memory.most <= found.memory.peak
    if found.memory_recommended is not None:
        assert found.memory_recommended >= found.memory.peak
        assert found.memory_recommended % STEP == 0
    if found.cpu_recommended is not None:
        assert found.cpu_recommended >= found.cpu.most
