"""Under pressure hive gives up one thing after another, and takes them back as slowly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.limits import Total
from hive.core.strain import (
    CALM,
    CLOSED,
    NONE,
    PATIENCE,
    PAUSING,
    RATIONED,
    Candidate,
    Strain,
    eased,
    pressure,
    step,
)
from hive.core.vitals import Vitals

GIB = 1 << 30
TOTAL = Total(reserve=2 * GIB)
WELL = Vitals(cores=2, memory=24 * GIB, available=20 * GIB, load=1.0)
SHORT = Vitals(cores=2, memory=24 * GIB, available=GIB, load=1.0)
AGENTS = {
    "low": Candidate(priority="low", cpu=0.5, memory=GIB),
    "idle": Candidate(priority="low", cpu=0.0, memory=GIB),
    "greedy": Candidate(priority="normal", cpu=0.9, memory=GIB),
    "modest": Candidate(priority="normal", cpu=0.2, memory=GIB),
    "server": Candidate(priority="high", cpu=1.0, memory=GIB),
}


def vitals(**changes: float) -> Vitals:
    values = {"cores": 2, "memory": 24 * GIB, "available": 20 * GIB, "load": 1.0} | changes
    return Vitals(**values)


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (vitals(), ""),
        (vitals(available=2 * GIB - 1), "of memory are free"),
        (vitals(available=2 * GIB), ""),
        (vitals(memory_full=12.0), "waits for memory 12% of the time"),
        (vitals(memory_full=9.0), ""),
        (vitals(load=17.0), "the load is 17 on 2 cores"),
        (vitals(load=17.0, cpu_stall=50.0), ""),
        (vitals(load=17.0, cpu_stall=90.0), "the load is 17 on 2 cores"),
        (vitals(load=15.0, cpu_stall=100.0), ""),
    ],
)
def test_pressure_says_what_presses(seen: Vitals, word: str) -> None:
    said = pressure(seen, TOTAL, 1.0)
    assert word in said
    assert bool(said) == bool(word)


@pytest.mark.parametrize(
    ("seen", "well"),
    [
        (vitals(), True),
        (vitals(available=int(2.4 * GIB)), False),
        (vitals(memory_full=3.0), False),
        (vitals(load=9.0), False),
    ],
)
def test_it_is_eased_well_below_where_pressure_begins(seen: Vitals, well: bool) -> None:
    assert eased(seen, TOTAL, 1.0) is well


def test_a_load_that_others_make_presses_nobody() -> None:
    crowded = vitals(load=40.0, cpu_stall=99.0)
    assert pressure(crowded, TOTAL, 0.6)
    assert not pressure(crowded, TOTAL, 0.4)
    assert eased(crowded, TOTAL, 0.4)
    assert pressure(vitals(available=GIB), TOTAL, 0.0)


def course(seen: list[tuple[float, Vitals]], strain: Strain | None = None) -> Strain:
    """Step through these moments, with those that are paused no longer candidates."""
    strain = strain or Strain()
    for now, one in seen:
        free = {name: agent for name, agent in AGENTS.items() if name not in strain.paused}
        strain = step(strain, one, TOTAL, free, now)
    return strain


def seconds(first: int, last: int, seen: Vitals) -> list[tuple[float, Vitals]]:
    return [(1000.0 + second, seen) for second in range(first, last)]


def test_at_once_nothing_more_is_admitted() -> None:
    assert course(seconds(0, 1, SHORT)).level == CLOSED


def test_lasting_pressure_goes_on_step_by_step() -> None:
    rationed = int(PATIENCE[CLOSED])
    assert course(seconds(0, rationed, SHORT)).level == CLOSED
    assert course(seconds(0, rationed + 1, SHORT)).level == RATIONED
    pausing = rationed + int(PATIENCE[RATIONED])
    assert course(seconds(0, pausing, SHORT)).level == RATIONED
    after = course(seconds(0, pausing + 1, SHORT))
    assert (after.level, after.paused) == (PAUSING, ("low",))


def test_the_lowest_priority_is_paused_first_and_servers_never() -> None:
    strain = course(seconds(0, 300, SHORT))
    assert strain.paused == ("low", "greedy", "modest")


def test_it_comes_back_as_it_went() -> None:
    strain = course(seconds(0, 300, SHORT))
    calm = int(CALM)
    assert course(seconds(300, 300 + calm, WELL), strain).paused == strain.paused
    assert course(seconds(300, 301 + calm, WELL), strain).paused == strain.paused[:-1]
    assert course(seconds(300, 300 + 10 * calm, WELL), strain) == Strain(
        level=NONE, since=1300.0 + 6 * calm, calm=1300.0
    )


def test_what_is_neither_well_nor_pressing_changes_nothing() -> None:
    strain = course(seconds(0, 300, SHORT))
    between = vitals(available=int(2.2 * GIB))
    after = course(seconds(300, 900, between), strain)
    assert (after.level, after.paused) == (strain.level, strain.paused)


def test_without_admission_there_is_no_strain() -> None:
    assert step(Strain(), SHORT, Total(reserve=2 * GIB, admission=False), {}, 5.0) == Strain()


def test_a_clock_set_back_does_not_hold_it_up() -> None:
    strain = course(seconds(0, 300, SHORT))
    back = [(float(second), WELL) for second in range(200)]
    assert course(back, strain).level == NONE


@given(st.lists(st.sampled_from([WELL, SHORT, vitals(available=int(2.2 * GIB))]), max_size=300))
def test_one_step_at_a_time_and_no_server_is_ever_paused(seen: list[Vitals]) -> None:
    strain = Strain()
    for second, one in enumerate(seen):
        free = {name: agent for name, agent in AGENTS.items() if name not in strain.paused}
        after = step(strain, one, TOTAL, free, 1000.0 + second)
        assert abs(after.level - strain.level) <= 1
        assert abs(len(after.paused) - len(strain.paused)) <= 1
        assert not {"server", "idle"} & set(after.paused)
        assert len(set(after.paused)) == len(after.paused)
        assert not after.paused or after.level == PAUSING
        strain = after
