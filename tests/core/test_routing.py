from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.routing import (
    Candidate,
    Choice,
    Pool,
    Seat,
    may,
    named,
    needs,
    occupied,
    said,
    score,
    short,
    traits,
)
from hive.core.rules import STRATEGIES
from hive.core.tasks import Job, State, Task
from hive.core.weights import Score

T0 = 1_000_000_000.0


def agent(name="dev", team="backend", skills="", takes="prompt", **more):
    values = {"project": "p", "role": name, "launch": f"{name}-1", **more}
    return Candidate(
        agent=f"p/{team}/{name}",
        team=team,
        skills=frozenset(skills.split()),
        takes=frozenset(takes.split()),
        **values,
    )


def task(number, **more):
    return Task(number=number, uid=str(number), job=Job(text="x"), state=State.LEASED, **more)


def seat(place=0, holds=0, fresh=0, **more):
    before = tuple(task(number) for number in range(holds))
    new = [task(100 + number) for number in range(fresh)]
    return Seat(agent(f"a{place}", holds=before, **more), place, [*before, *new])


def choice(strategy, scores=(), turn=0, size=10):
    found = {(one.agent, one.skill): one for one in scores}
    return Choice(strategy=strategy, scores=found, now=T0, turn=turn, size=size)


@pytest.mark.parametrize(
    ("job", "who", "why"),
    [
        pytest.param(Job(text="x"), agent(), "", id="anybody"),
        pytest.param(
            Job(text="x", project="p", team="backend", role="dev", skills=("a", "b")),
            agent(skills="a b c"),
            "",
            id="all that is asked",
        ),
        pytest.param(Job(text="x", agent="p/backend/dev"), agent(), "", id="pinned to it"),
        pytest.param(
            Job(text="x", agent="p/backend/pm"), agent(), "only backend/pm may have it", id="pinned"
        ),
        pytest.param(Job(text="x", project="q"), agent(), "its project is `p`, not `q`", id="p"),
        pytest.param(Job(text="x", team="ui"), agent(), "its team is `backend`, not `ui`", id="t"),
        pytest.param(Job(text="x", role="pm"), agent(), "its role is `dev`, not `pm`", id="role"),
        pytest.param(Job(text="x", kind="run"), agent(), "it takes no commands", id="kind"),
        pytest.param(Job(text="x"), agent(takes="run"), "it takes no prompts", id="other kind"),
        pytest.param(
            Job(text="x", kind="group"), agent(), "it takes no tasks of kind `group`", id="nobody's"
        ),
        pytest.param(
            Job(text="x", skills=("a", "b")), agent(skills="a"), "it lacks the skill `b`", id="one"
        ),
        pytest.param(
            Job(text="x", skills=("a", "b")), agent(), "it lacks the skills `a`, `b`", id="two"
        ),
    ],
)
def test_who_may_have_a_job(job, who, why):
    assert may(job, who) == why
    assert (Pool([who]).fit(job) == {0}) == (not why)


AGENTS = [
    agent("dev", skills="python sql"),
    agent("pm", skills="python"),
    agent("ui", "frontend", skills="react"),
    agent("box", "frontend", takes="run"),
]


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (Job(text="x", skills=("cobol",)), "no agent has skill `cobol`"),
        (
            Job(text="x", team="frontend", skills=("sql",)),
            "no agent in team `frontend` has skill `sql`",
        ),
        (Job(text="x", skills=("sql", "react")), "no agent has all of `sql`, `react`"),
        (Job(text="x", skills=("sql", "cobol")), "no agent has skill `cobol`"),
        (Job(text="x", team="ops"), "there is no agent of team `ops`"),
        (Job(text="x", project="q"), "there is no agent of project `q`"),
        (Job(text="x", team="backend", role="ui"), "no agent in team `backend` has role `ui`"),
        (Job(text="x", agent="p/ops/x"), "ops/x can't have it, or is not there"),
        (Job(text="x", team="backend", kind="run"), "no agent in team `backend` takes commands"),
    ],
)
def test_what_it_is_that_nobody_has(job, why):
    pool = Pool(AGENTS)

    assert not pool.fit(job)
    assert pool.nobody(job) == why


def test_without_agents_there_is_nobody():
    assert Pool([]).nobody(Job(text="x", team="a")) == "there is no agent that takes work"


NAMES = st.sampled_from(["", "a", "b"])
SKILLS = st.lists(st.sampled_from("abc"), max_size=2)


@given(
    st.lists(
        st.builds(
            lambda n, team, skills, kind: agent(n, team, " ".join(skills), kind),
            st.sampled_from("ab"),
            st.sampled_from("ab"),
            SKILLS,
            st.sampled_from(["prompt", "run", "prompt run"]),
        ),
        max_size=6,
    ),
    st.builds(
        lambda kind, team, role, skills: Job(
            text="x", kind=kind, team=team, role=role, skills=tuple(skills)
        ),
        st.sampled_from(["prompt", "run"]),
        NAMES,
        NAMES,
        SKILLS,
    ),
)
def test_the_pool_finds_just_those_that_may(agents, job):
    found = Pool(agents).fit(job)

    assert found == {place for place, who in enumerate(agents) if not may(job, who)}
    assert found or Pool(agents).nobody(job)
    assert all(set(needs(job)) <= traits(agents[place]) for place in found)


PYTHON = Job(text="x", skills=("python",))


@pytest.mark.parametrize(
    ("strategy", "better", "worse"),
    [
        pytest.param("capability", seat(skills="python"), seat(skills="python sql"), id="special"),
        pytest.param("least-busy", seat(), seat(capacity=2, fresh=1), id="idle"),
        pytest.param(
            "least-busy", seat(holds=1, capacity=4), seat(holds=1, capacity=2), id="a smaller share"
        ),
        pytest.param("resource", seat(cores=0.1), seat(cores=0.9), id="cores"),
        pytest.param("resource", seat(bytes=1 << 20), seat(bytes=1 << 30), id="memory"),
        pytest.param("resource", seat(cores=0.9), seat(fresh=1, capacity=2), id="just given one"),
        pytest.param("round-robin", seat(3), seat(4), id="next in turn"),
        pytest.param("round-robin", seat(4), seat(2), id="the turn goes round"),
        pytest.param("round-robin", seat(2), seat(3, fresh=1, capacity=2), id="had its turn"),
        pytest.param("weighted", seat(1), seat(2), id="does better"),
        pytest.param("weighted", seat(9), seat(1), id="a newcomer"),
        pytest.param("weighted", seat(1), seat(1, holds=1, capacity=9), id="works for it alone"),
    ],
)
def test_who_should_have_a_job(strategy, better, worse):
    seen = [
        Score(agent="p/backend/a1", skill="python", done=9, failed=1, seconds=60, at=T0),
        Score(agent="p/backend/a2", skill="python", done=5, failed=5, seconds=60, at=T0),
    ]
    by = choice(strategy, seen, turn=3)

    assert score(PYTHON, better, by) < score(PYTHON, worse, by)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_where_a_strategy_sees_no_difference_the_turn_decides(strategy):
    by = choice(strategy, turn=7)
    order = sorted(map(seat, range(10)), key=lambda one: score(PYTHON, one, by))

    assert [one.place for one in order] == [7, 8, 9, 0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("capability", "1 skill to spare"),
        ("least-busy", "it has 1 of 2 tasks"),
        ("resource", "it uses 0.5 cores, 2.0M"),
        ("round-robin", "9 of 10 in turn"),
        ("weighted", "weight 0.50"),
    ],
)
def test_what_a_strategy_sees_is_said(strategy, words):
    one = seat(1, holds=1, capacity=2, skills="python sql", cores=0.5, bytes=2 << 20)

    assert said(PYTHON, one, choice(strategy, turn=3)) == words


@pytest.mark.parametrize(
    ("seats", "shut", "words"),
    [
        (
            [Seat(agent(), 0, [task(3, begun=T0 - 65)])],
            [],
            "backend/dev is the only one that may have it, and has t-3 for 1m 5s",
        ),
        (
            [Seat(agent(), 0, [task(3)])],
            [],
            "backend/dev is the only one that may have it, and has t-3",
        ),
        (
            [Seat(agent(), 0)],
            ["backend/dev: it is down"],
            "the only one that may have it takes no work now; backend/dev: it is down",
        ),
        ([seat(), seat()], [], "all 2 that may have it are busy"),
        (
            [seat(), seat()],
            ["a: it is down", "b: it is down"],
            "none of the 2 that may have it takes work now; a: it is down",
        ),
        (
            [seat(), seat()],
            ["a: it is down"],
            "1 of the 2 that may have it takes no work now, the rest are busy; a: it is down",
        ),
    ],
)
def test_why_none_of_them_is_free(seats, shut, words):
    assert occupied(seats, shut, T0) == words


def test_names():
    assert short("p/backend/dev") == "backend/dev"
    assert short("backend/dev") == "backend/dev"
    assert named([task(n) for n in range(1, 3)]) == "t-1, t-2"
    assert named([task(n) for n in range(1, 9)]) == "t-1, t-2, t-3 and 5 more"
