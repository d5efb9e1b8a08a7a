from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.ordering import HOUR, LONGEST, STEP, Turns, level, party, rank
from hive.core.tasks import PRIORITIES, Job, State, Task

T0 = 1_000_000_000.0
LEFT = st.floats(0, STEP - HOUR)
JOBS = st.builds(
    lambda priority, left: Job(text="x", priority=priority, deadline=left and T0 + left),
    st.integers(0, 100),
    st.sampled_from([0.0, -5e9, -1.0, 60.0, 3600.0, 11 * HOUR, 13 * HOUR, 5e9]),
)


def job(priority="normal", deadline=0.0, **more):
    return Job(text="x", priority=PRIORITIES.get(priority, priority), deadline=deadline, **more)


def task(number, team="", created=T0, **more):
    wanted = job(team=team, **more)
    return Task(number=number, uid=str(number), job=wanted, state=State.READY, created=created)


@pytest.mark.parametrize(
    ("wanted", "hours"),
    [
        pytest.param(job("low"), 12, id="low"),
        pytest.param(job("normal"), 0, id="normal"),
        pytest.param(job("high"), -12, id="high"),
        pytest.param(job("urgent"), -7 * 24, id="urgent"),
        pytest.param(job(0), 24, id="least"),
        pytest.param(job(60), -4.8, id="between"),
        pytest.param(job(-5), 24, id="below all"),
        pytest.param(job(900), -7 * 24, id="above all"),
        pytest.param(job(deadline=T0 + 20 * HOUR), 0, id="a deadline far away"),
        pytest.param(job(deadline=T0 + 4 * HOUR), -8, id="a deadline near"),
        pytest.param(job(deadline=T0 - 999 * HOUR), -12, id="a deadline that is over"),
        pytest.param(job("high", deadline=T0 + HOUR), -23, id="high, with a deadline"),
    ],
)
def test_a_task_has_a_virtual_deadline(wanted, hours):
    assert rank(wanted, T0) == pytest.approx(T0 + hours * HOUR)


@given(first=JOBS, later=JOBS, gap=st.floats(0, 10 * LONGEST))
def test_nothing_that_is_added_much_later_passes_a_task(first, later, gap):
    passed = rank(later, T0 + gap) < rank(first, T0)

    assert not (passed and gap > LONGEST)


@given(low=st.integers(0, 100), high=st.integers(0, 100))
def test_more_priority_is_never_later(low, high):
    assert rank(job(max(low, high)), T0) <= rank(job(min(low, high)), T0)


@given(near=LEFT, far=LEFT, gap=st.floats(0, HOUR))
def test_of_near_deadlines_the_nearest_goes_first_whenever_they_were_added(near, far, gap):
    first = rank(job(deadline=T0 + gap + near), T0)
    second = rank(job(deadline=T0 + gap + far), T0 + gap)

    assert (near <= far) or second <= first + 1e-3


@pytest.mark.parametrize(
    ("priority", "age", "expected"),
    [
        ("normal", 0, 0),
        ("normal", 11.9, 0),
        ("normal", 12.1, 1),
        ("high", 0, 1),
        ("high", 12.1, 2),
        ("low", 0, -1),
        ("low", 12.1, 0),
        ("urgent", 0, 14),
    ],
)
def test_a_level_rises_with_time(priority, age, expected):
    assert level(rank(job(priority), T0), T0 + age * HOUR) == expected


@pytest.mark.parametrize(
    ("wanted", "whose"),
    [
        (job(team="backend", project="p", sender="p/frontend/ui"), "p/backend"),
        (job(project="p", sender="p/frontend/ui"), "p/frontend"),
        (job(sender="frontend/ui"), "/frontend"),
        (job(), "/"),
    ],
)
def test_a_task_is_its_teams_or_that_of_who_asked(wanted, whose):
    assert party(wanted) == whose


def order(tasks, now=T0, agents=(), **load):
    """The numbers in order, where each that is looked at is given away."""
    has = Counter({f"/{name}": many for name, many in load.items()})
    found = []
    for one in Turns(tasks, has, dict(agents), now):
        found.append(one.number)
        has[party(one.job)] += 1
    return found


def test_within_a_team_rank_decides():
    tasks = [task(1), task(2, priority="high"), task(3, created=T0 - 60), task(4, priority="low")]

    assert order(tasks) == [2, 3, 1, 4]


def test_a_flood_of_one_team_leaves_another_its_share():
    flood = [task(number, "a", T0 - 100 + number) for number in range(8)]

    assert order([*flood, task(90, "b"), task(91, "b")]) == [0, 90, 1, 91, 2, 3, 4, 5, 6, 7]


def test_who_runs_much_already_waits():
    tasks = [task(1, "a", T0 - 9), task(2, "a", T0 - 8), task(3, "b", T0)]

    assert order(tasks, a=2) == [3, 1, 2]
    assert order(tasks, a=2, b=1, agents={"/a": 40, "/b": 1}) == [1, 2, 3]


def test_a_higher_level_goes_before_any_share():
    tasks = [task(1, "a", priority="high"), task(2, "a", T0 - 13 * HOUR), task(3, "b")]

    assert order(tasks, a=99) == [2, 1, 3]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 9e6), st.integers(0, 100)), max_size=30)
)
def test_all_come_once_and_levels_never_rise(rows):
    tasks = [task(n, team, T0 - age, priority=many) for n, (team, age, many) in enumerate(rows)]
    found = [tasks[number] for number in order(tasks)]
    levels = [level(rank(one.job, one.created), T0) for one in found]

    assert sorted(one.number for one in found) == [one.number for one in tasks]
    assert levels == sorted(levels, reverse=True)
