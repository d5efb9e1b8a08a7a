from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.breaker import (
    THRESHOLD,
    Breaker,
    failed,
    of_agent,
    of_command,
    probed,
    watching,
)
from hive.core.dispatch import (
    PATIENCE,
    STUBBORN,
    Candidate,
    Situation,
    dispatch,
    merits,
    refusals,
)
from hive.core.locks import conflict, want, wants
from hive.core.ordering import level, rank
from hive.core.routing import may
from hive.core.rules import STRATEGIES
from hive.core.tasks import Held, Job, State, Task
from hive.core.weights import Score

T0 = 1_000_000_000.0


def task(number, locks=(), *, created=None, since=T0, parent=0, **job):
    return Task(
        number=number,
        uid=str(number),
        job=Job(**{"text": f"do {number}", "project": "p", "locks": wants(locks), **job}),
        state=State.READY,
        created=T0 - 100 + number if created is None else created,
        since=since,
        parent=parent,
        apart=parent > 0,
    )


def agent(name, team="a", skills="", **more):
    values = {"project": "p", "role": "dev", "takes": frozenset({"prompt", "run"}), **more}
    who = f"p/{team}/{name}"
    return Candidate(
        agent=who, team=team, launch=f"{name}-1", skills=frozenset(skills.split()), **values
    )


def leased(number, **more):
    return replace(task(number, **more), state=State.LEASED, begun=T0 - 65)


def held(text, number=0, agent="p/a/z", at=T0 - 125):
    one = want(text)
    return Held(
        name=one.name, shared=one.shared, task=number, agent=agent, launch="", fence=1, at=at
    )


def decide(ready, agents, **more):
    return dispatch(Situation(**{"ready": ready, "agents": agents, "now": T0, **more}))


def given_to(decision):
    return {one.task.number: one.agent.rpartition("/")[2] for one in decision.grants}


# who gets it


def test_one_task_goes_to_the_one_who_may():
    decision = decide([task(1, skills=("sql",))], [agent("x"), agent("y", skills="sql react")])

    (grant,) = decision.grants
    assert (grant.task.number, grant.agent, grant.launch) == (1, "p/a/y", "y-1")
    assert grant.why == "the only one free that may have it"
    assert decision.waits == {}


def test_nothing_to_do_and_nobody_there():
    assert decide([], [agent("x")]).grants == ()
    assert decide([task(1)], []).waits == {1: "there is no agent that takes work"}


def test_the_most_special_agent_gets_it_and_that_is_said():
    agents = [agent("all", skills="sql react"), agent("one", skills="sql")]
    decision = decide([task(1, skills=("sql",)), task(2)], agents)

    assert given_to(decision) == {1: "one", 2: "all"}
    assert decision.grants[0].why == "capability: 0 skills to spare"


def test_capacity_is_never_exceeded():
    decision = decide(
        [task(n) for n in range(1, 9)],
        [agent("x", capacity=3, holds=(leased(90),)), agent("y", capacity=0), agent("z")],
    )

    assert given_to(decision) == {1: "z", 2: "x", 3: "x"}


def test_round_robin_goes_round_and_round():
    agents, turn, found = [agent(name) for name in "vwxyz"], 0, []
    for number in range(6):
        decision = decide([task(number)], agents, strategy="round-robin", turn=turn)
        found.append(given_to(decision)[number])
        turn = decision.turn

    assert found == ["v", "w", "x", "y", "z", "v"]


def test_round_robin_within_a_decision():
    agents = [agent(name, capacity=2) for name in "xyz"]
    decision = decide([task(n) for n in range(5)], agents, strategy="round-robin", turn=1)

    assert given_to(decision) == {0: "y", 1: "z", 2: "x", 3: "y", 4: "z"}


def test_weights_that_were_learned_decide():
    bad = Score(agent="p/a/x", skill="sql", done=1, failed=5, seconds=9, at=T0)
    good = Score(agent="p/a/y", skill="sql", done=9, failed=1, seconds=9, at=T0)
    decision = decide(
        [task(1, skills=("sql",))],
        [agent("x", skills="sql"), agent("y", skills="sql")],
        strategy="weighted",
        scores={(one.agent, one.skill): one for one in (bad, good)},
    )

    assert given_to(decision) == {1: "y"}
    assert decision.grants[0].why == "weighted: weight 0.88"


def test_a_conversation_goes_on_with_who_had_it_last():
    agents = [agent("x"), agent("y", last=("b", "login")), agent("z", last=("login", "b"))]
    decision = decide([task(1, sticky="login"), task(2, sticky="login")], agents)

    assert given_to(decision) == {1: "z", 2: "y"}
    assert decision.grants[0].why == "it had `login` last"


def test_a_batch_goes_one_after_another_to_one_agent():
    agents = [agent("x"), agent("y", last=("b",)), agent("z")]
    decision = decide([task(n, batch="b") for n in (1, 2)], agents)

    assert given_to(decision) == {1: "y"}
    assert decision.grants[0].why == "it had batch `b` last"
    assert decision.waits == {2: "its batch `b` is with a/y: it has t-1"}


def test_a_batch_is_everybodys_again_where_its_agent_is_gone():
    agents = [agent("x"), agent("y", last=("b",), closed="it is down")]

    assert given_to(decide([task(1, batch="b")], agents)) == {1: "x"}


def test_who_waits_for_the_batch_gets_it_where_its_others_go():
    agents = [agent("x", holds=(leased(90, batch="b"),)), agent("y", capacity=2)]
    decision = decide([task(1, batch="b"), task(2, batch="b", agent="p/a/y")], agents)

    assert given_to(decision) == {1: "y", 2: "y"}
    assert decision.waits == {}


def test_copies_go_to_different_agents_and_models():
    agents = [
        agent("u", model="red"),
        agent("v", model="red"),
        agent("w", model="blue"),
        agent("x", model="green"),
        agent("y", model="blue"),
    ]
    copies = [task(n, parent=9) for n in (1, 2, 3, 4)]
    decision = decide(
        copies, agents, apart={9: frozenset({"p/a/x", "p/a/u"})}, models={9: ("green", "red")}
    )

    assert given_to(decision) == {1: "w", 2: "v", 3: "y"}
    assert decision.waits == {4: "all that may have it have or had another copy"}


def test_parts_of_a_task_may_go_to_one_agent():
    parts = [replace(task(n, parent=9), apart=False) for n in (1, 2)]

    assert len(decide(parts, [agent("x", capacity=2)]).grants) == 2


# in which order


def test_priority_decides_who_goes_first():
    ready = [task(1, priority=25), task(2), task(3, priority=75), task(4, priority=100)]

    assert given_to(decide(ready, [agent("x", capacity=2)])).keys() == {3, 4}


def test_a_flood_of_one_team_leaves_the_others_their_share():
    agents = [agent(f"x{n}") for n in range(4)]
    flood = [task(n, sender="p/b/pm") for n in range(1, 50)]
    others = [task(n, team="a") for n in range(60, 70)]
    found = given_to(decide([*flood, *others], agents))

    assert sorted(found) == [1, 2, 60, 61]


def test_one_agent_is_shared_by_turns():
    ready = [task(n, sender="p/b/pm") for n in range(1, 9)]
    ready += [task(n, team="a") for n in range(20, 29)]
    found, given = [], {}
    for moment in range(8):
        decision = decide(ready, [agent("x")], now=T0 + 900 * moment, given=given)
        given = decision.given
        number = decision.grants[0].task.number
        ready = [one for one in ready if one.number != number]
        found.append(number)

    assert found == [1, 20, 2, 21, 3, 22, 4, 23]


# locks


def test_locks_taken_in_this_decision_count_at_once():
    ready = [
        task(1, ["path:src/api"]),
        task(2, ["path:src"]),
        task(3, ["shared path:docs"]),
        task(4, ["shared path:docs"]),
        task(5, ["path:docs/api"]),
    ]
    decision = decide(ready, [agent("x", capacity=9)])

    assert given_to(decision).keys() == {1, 3, 4}
    assert decision.waits == {
        2: "waits for `path:src`, held (as `path:src/api`) by t-1 (a/x) for 0s",
        5: "waits for `path:docs/api`, held (as `path:docs`) by t-3 (a/x) for 0s",
    }


def test_a_lock_that_is_held_is_waited_for():
    decision = decide(
        [task(1, ["port:3000"]), task(2, ["db:test", "port:1"])],
        [agent("x", capacity=2)],
        held=[held("port:3000", 7), held("db:test")],
    )

    assert decision.grants == ()
    assert decision.waits == {
        1: "waits for `port:3000`, held by t-7 (a/z) for 2m 5s",
        2: "waits for `db:test`, held by a/z for 2m 5s",
    }


@pytest.mark.parametrize(
    ("locks", "who"),
    [
        pytest.param([held("port:1", agent="p/a/y")], {1: "y"}, id="its own"),
        pytest.param([held("port:1", 7, "p/a/y")], {}, id="its task's"),
        pytest.param([held("port:1", agent="p/b/z")], {}, id="another's"),
        pytest.param(
            [held("shared port:1", agent="p/a/x"), held("shared port:1", agent="p/a/y")],
            {},
            id="not its own alone",
        ),
    ],
)
def test_what_an_agent_took_itself_is_not_in_its_own_way(locks, who):
    agents = [agent("x", capacity=2), agent("y", capacity=2)]
    situation = Situation(ready=[task(1, ["port:1"])], agents=agents, held=locks, now=T0)
    free = [
        name.rpartition("/")[2]
        for name, why in refusals(task(1, ["port:1"]), situation).items()
        if not why
    ]

    assert given_to(dispatch(situation)) == who
    assert free == [*who.values()]


BIG = ["path:."]
SMALL = ["shared path:src"]


@pytest.mark.parametrize(
    ("waited", "keeps"),
    [
        pytest.param(PATIENCE - 1, False, id="not yet"),
        pytest.param(PATIENCE, True, id="for a minute"),
        pytest.param(2 * PATIENCE, False, id="those behind it for two"),
        pytest.param(4 * PATIENCE, True, id="then for four"),
        pytest.param(8 * PATIENCE, False, id="and again"),
        pytest.param(16 * PATIENCE, True, id="and again for longer"),
    ],
)
def test_a_big_one_keeps_its_locks_from_those_after_it(waited, keeps):
    ready = [task(1, BIG, since=T0 - waited), task(2, SMALL), task(3)]
    decision = decide(ready, [agent("x", capacity=9)], held=[held("shared path:src/api", 7)])

    assert given_to(decision).keys() == ({3} if keeps else {2, 3})
    if keeps:
        why = "waits for `path:src`, kept (as `path:.`) for t-1, which is before it"
        assert decision.waits[2] == why


def test_it_keeps_them_from_a_team_that_comes_before_its_own():
    ready = [task(1, BIG, since=T0 - PATIENCE), task(2, SMALL, sender="p/b/pm")]
    agents = [agent("x", capacity=9, holds=(leased(90),))]
    before = decide(ready[1:], agents, held=[held("shared path:src/api", 7)])
    decision = decide(ready, agents, held=[held("shared path:src/api", 7)])

    assert (given_to(before), given_to(decision)) == ({2: "x"}, {})


def test_it_keeps_none_from_those_before_it():
    ready = [task(1, BIG, since=T0 - PATIENCE), task(2, SMALL, priority=75)]
    decision = decide(ready, [agent("x", capacity=9)], held=[held("shared path:src/api", 7)])

    assert given_to(decision).keys() == {2}


@pytest.mark.parametrize(
    ("waited", "closed", "keeps"),
    [(PATIENCE, "", False), (STUBBORN, "", True), (STUBBORN, "it is down", False)],
)
def test_while_its_agents_are_busy_it_keeps_them_only_after_long(waited, closed, keeps):
    busy = agent("y", "b", holds=(leased(9),), closed=closed)
    ready = [task(1, BIG, team="b", since=T0 - waited), task(2, SMALL)]

    assert given_to(decide(ready, [agent("x"), busy])).keys() == (set() if keeps else {2})


# why not


@pytest.mark.parametrize(
    ("job", "why"),
    [
        ({"skills": ("react",)}, "no agent has skill `react`"),
        ({"team": "b"}, "b/y is the only one that may have it, and has t-90 for 1m 5s"),
        ({"team": "c"}, "the only one that may have it takes no work now; c/z: it is paused"),
        ({}, "1 of the 2 that may have it takes no work now, the rest are busy; c/z: it is paused"),
    ],
)
def test_why_a_task_waits_is_said(job, why):
    agents = [agent("y", "b", holds=(leased(90),)), agent("z", "c", closed="it is paused")]

    assert decide([task(1, **job)], agents).waits == {1: why}


def test_without_room_nothing_is_handed_out():
    decision = decide([task(1)], [agent("x")], room="the machine is under pressure")

    assert (decision.grants, decision.waits) == ((), {1: "the machine is under pressure"})


def broken(name):
    breaker = Breaker(name=name)
    for _ in range(THRESHOLD):
        breaker = failed(breaker, "exit code 2", T0)
    return {name: breaker}


def test_an_agent_whose_breaker_is_open_gets_nothing_then_one_to_try():
    agents = [agent("x", capacity=9)]
    known = broken(of_agent("p/a/x"))
    ready = [task(1), task(2)]
    early, late = (
        decide(ready, agents, breakers=known),
        decide(ready, agents, breakers=known, now=T0 + 60),
    )

    last = "5 failures in a row, the last: exit code 2; one task is"
    only = "the only one that may have it takes no work now; a/x"
    assert early.waits == dict.fromkeys((1, 2), f"{only}: {last} tried in 1m")
    assert given_to(late) == {1: "x"}
    assert late.waits == {2: f"{only}: {last} being tried, for 0s"}


def test_a_command_whose_breaker_is_open_is_not_run_then_once():
    known = broken(of_command("make"))
    ready = [task(n, kind="run", text=text) for n, text in enumerate(["make", "make", "ls"])]
    early = decide(ready, [agent("x", capacity=9)], breakers=known)
    late = decide(ready, [agent("x", capacity=9)], breakers=known, now=T0 + 60)

    why = "this command is not run now: 5 failures in a row, the last: exit code 2; one task is"
    assert given_to(early).keys() == {2}
    assert early.waits[0] == f"{why} tried in 1m"
    assert given_to(late).keys() == {0, 2}
    assert late.waits == {1: f"{why} being tried, for 0s"}


def test_each_agent_is_said_why_it_may_not_have_a_task():
    agents = [
        agent("busy", holds=(leased(5),)),
        agent("copy"),
        agent("free", skills="sql"),
        agent("other", "b"),
        agent("paused", closed="it is paused"),
    ]
    situation = Situation(
        ready=[],
        agents=agents,
        apart={9: frozenset({"p/a/copy"})},
        now=T0,
        held=[held("port:1", 7)],
    )
    one = task(1, parent=9, team="a")

    assert refusals(one, situation) == {
        "p/a/busy": "it has t-5",
        "p/a/copy": "it has or had another copy",
        "p/a/free": "",
        "p/a/paused": "it is paused",
        "p/b/other": "its team is `b`, not `a`",
    }
    assert merits(one, situation) == {
        "p/a/busy": "0 skills to spare",
        "p/a/copy": "0 skills to spare",
        "p/a/free": "1 skill to spare",
        "p/a/paused": "0 skills to spare",
    }
    locked = refusals(task(2, ["port:1"]), situation)
    assert locked["p/a/free"] == "waits for `port:1`, held by t-7 (a/z) for 2m 5s"


def test_who_is_not_at_its_batch_is_refused_too():
    situation = Situation(
        ready=[], agents=[agent("x"), agent("y", holds=(leased(5, batch="b"),))], now=T0
    )

    assert refusals(task(1, batch="b"), situation) == {
        "p/a/x": "its batch `b` is with a/y: it has t-5",
        "p/a/y": "it has t-5",
    }


# whatever the situation

LOCKS = ["port:1", "shared port:1", "path:src", "path:src/a", "shared path:src", "path:b"]


@st.composite
def situations(draw):
    chance = random.Random(draw(st.integers(0, 1 << 32)))
    pick = chance.choice
    ready = [
        task(
            number,
            chance.sample(LOCKS, pick([0, 0, 1, 2])),
            created=T0 - chance.random() * 1e5,
            since=T0 - pick([0, 100, 5000]),
            parent=pick([0, 0, 0, 501, 502]),
            team=pick(["", "", "a", "b"]),
            skills=tuple(chance.sample("stu", pick([0, 0, 1, 2]))),
            priority=pick([0, 25, 50, 50, 75, 100]),
            batch=pick(["", "", "", "k", "l"]),
            sticky=pick(["", "", "m", "n"]),
            kind=pick(["prompt", "run"]),
            sender=pick(["a person", "p/c/x"]),
        )
        for number in range(1, draw(st.integers(0, 25)))
    ]
    agents = [
        agent(
            f"x{number}",
            pick("abc"),
            " ".join(chance.sample("stu", pick([0, 1, 2, 3]))),
            takes=frozenset(pick([["prompt"], ["run"], ["run", "prompt"]])),
            capacity=pick([1, 1, 2, 4]),
            holds=tuple(
                leased(100 + 10 * number + n, batch=pick(["", "k"])) for n in range(pick([0, 0, 1]))
            ),
            closed=pick(["", "", "", "it is down"]),
            model=pick(["red", "blue"]),
            last=tuple(chance.sample("klmn", 2)),
        )
        for number in range(draw(st.integers(0, 9)))
    ]
    known = {**broken(of_agent("p/a/x1")), **broken(of_command("do 3"))}
    return Situation(
        ready=ready,
        agents=agents,
        held=[held(text, 900) for text in chance.sample(LOCKS[1:3], pick([0, 1]))],
        apart={501: frozenset({"p/a/x0", "p/b/x2"})},
        models={501: ("red", "blue")},
        breakers=known,
        strategy=pick(STRATEGIES),
        now=T0 + pick([0, 60]),
        turn=chance.randrange(20),
    )


@given(situations())
def test_a_decision_keeps_its_promises(situation):
    decision = dispatch(situation)
    agents = {one.agent: one for one in situation.agents}
    got = {name: [one.task for one in decision.grants if one.agent == name] for name in agents}
    locks = [(one.task.number, lock) for one in decision.grants for lock in one.task.job.locks]
    locks += [(one.task, one) for one in situation.held]
    copies = [(one.task.parent, one.agent) for one in decision.grants if one.task.apart]
    copies += [(parent, name) for parent, names in situation.apart.items() for name in names]
    numbers = [one.task.number for one in decision.grants]

    assert sorted([*numbers, *decision.waits]) == sorted(one.number for one in situation.ready)
    assert all(decision.waits.values())
    assert all(one.why and not may(one.task.job, agents[one.agent]) for one in decision.grants)
    for name, tasks in got.items():
        assert not tasks or len(agents[name].holds) + len(tasks) <= agents[name].capacity
        assert not (tasks and agents[name].closed)
    assert len(copies) == len(set(copies))
    assert not any(
        number != other and conflict(first, second)
        for number, first in locks
        for other, second in locks
    )


@given(situations(), st.integers(0, 1 << 32))
def test_the_same_situation_gives_the_same_decision(situation, seed):
    chance = random.Random(seed)
    other = replace(
        situation,
        ready=chance.sample(situation.ready, len(situation.ready)),
        agents=chance.sample(situation.agents, len(situation.agents)),
    )

    assert dispatch(other) == dispatch(situation)


@given(situations())
def test_who_waits_could_not_have_been_given(situation):
    """What is left after a decision is refused by all, if what was granted is held."""
    decision = dispatch(situation)
    agents = [
        replace(
            one,
            holds=(*one.holds, *(got.task for got in decision.grants if got.agent == one.agent)),
        )
        for one in situation.agents
    ]
    locks = [
        replace(held(lock.name, one.task.number, one.agent), shared=lock.shared)
        for one in decision.grants
        for lock in one.task.job.locks
    ]
    tried = {name for one in decision.grants for name in watching(one.task.job, one.agent)}
    breakers = {
        name: probed(one, situation.now) if name in tried else one
        for name, one in situation.breakers.items()
    }
    after = replace(situation, agents=agents, held=[*situation.held, *locks], breakers=breakers)
    for one in situation.ready:
        why = decision.waits.get(one.number, "")
        again = "kept" in why or "tried" in why
        apart = one.apart or again
        assert why or one.number not in decision.waits
        assert not why or apart or all(refusals(one, after).values()), why


@given(situations())
def test_no_lower_level_gets_what_a_higher_one_could_have(situation):
    """Among tasks with no locks, copies or batches, who waits has no free agent of its own."""
    plain = [
        replace(one, parent=0, apart=False, job=replace(one.job, locks=(), batch="", sticky=""))
        for one in situation.ready
    ]
    decision = dispatch(replace(situation, ready=plain, breakers={}))
    agents = {one.agent: one for one in situation.agents}
    by_number = {one.number: one for one in plain}
    for number in decision.waits:
        waits = by_number[number]
        mine = level(rank(waits.job, waits.created), situation.now)
        for one in decision.grants:
            theirs = level(rank(one.task.job, one.task.created), situation.now)
            assert theirs >= mine or may(waits.job, agents[one.agent])
