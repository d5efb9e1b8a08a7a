"""Whether there is room for one more: every kind of refusal, and what counts as taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core.admission import MANY, Admission, program_of, reason_for, waiting
from hive.core.limits import Limits
from hive.core.spec import Agent
from hive.core.trees import Process
from hive.core.world import Memory, Room, State, Tree, Use, Wanted, World

NOW = 1_000_000.0
MIB = 1 << 20


def spec(name, **more):
    fields = {"role": name, "session": "p-t", "window": name, "argv": ("node",), "directory": "/"}
    return Agent(project="p", team="t", name=name, **(fields | more))


def live(name, began=NOW - 500.0, **more):
    fields = {"state": State.READY, "launch": "1-a", "generation": 1, "began": began}
    return Memory(agent=f"p/t/{name}", **(fields | more))


def admission(room, *memories, uses=None, trees=None, **specs):
    """An admission where these agents are remembered; all run `node` unless `specs` differ."""
    names = [one.agent.rpartition("/")[2] for one in memories]
    wanted = {f"p/t/{name}": Wanted(agent=specs.get(name, spec(name))) for name in names}
    world = World(memory={one.agent: one for one in memories}, uses=uses or {}, trees=trees or {})
    return Admission(room, wanted, world, NOW)


NEW = spec("new")


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        (("node", "server.js"), "node"),
        (("/usr/bin/python3", "x.py"), "python3"),
        (("./run/",), "run"),
        (("/",), "/"),
        (("sh", "-c", "npm run dev"), "npm"),
        (("/bin/bash", "-c", "/opt/bin/claude --continue"), "claude"),
        (("sh", "-c", "exec node server.js"), "node"),
        (("sh", "-c", "PORT=3000 HOST=x exec node server.js"), "node"),
        (("sh", "-c", """A='x y' B="z 1" C= vite"""), "vite"),
        (("sh", "-c", "  cd web && npm start"), "cd"),
        (("sh", "-c", "redis-server; true"), "redis-server"),
        (("sh", "-c", "'my prog' x"), "my"),
        (("sh", "-c", "A=1"), "A=1"),
        (("sh", "-c", "(true)"), "sh"),
        (("sh", "-c"), "sh"),
        (("sh", "run.sh"), "sh"),
        (("sh", "-c", "A=" * 20_000), "A=" * 20_000),
    ],
)
def test_the_program_of_a_command(argv, program):
    assert program_of(argv) == program


RUNS = live("a")
TWO = (RUNS, live("b"))
BIG = {"node": 400 * MIB}


@pytest.mark.parametrize(
    ("room", "memories", "refusals"),
    [
        pytest.param(Room(), TWO, {}, id="nothing is said: there is room"),
        pytest.param(
            Room(closed="3% of memory are free"),
            (),
            {"closed": "3% of memory are free"},
            id="closed, even for the first",
        ),
        pytest.param(Room(agents=3), TWO, {}, id="the last place"),
        pytest.param(Room(agents=2), TWO, {"agents": "2 of 2 agents run"}, id="no place"),
        pytest.param(Room(agents=1), TWO, {"agents": "2 of 1 agents run"}, id="too many run"),
        pytest.param(
            Room(agents=2),
            (RUNS, live("b", state=State.STOPPED)),
            {},
            id="one that does not run has no place",
        ),
        pytest.param(
            Room(agents=2),
            (RUNS, live("b", state=State.STOPPING)),
            {"agents": "2 of 2 agents run"},
            id="one that is to end still runs",
        ),
        pytest.param(Room(memory=64 * MIB), TWO, {}, id="just enough memory"),
        pytest.param(
            Room(memory=63 * MIB),
            TWO,
            {"memory": "it needs about 64.0M, 63.0M are free above the reserve"},
            id="not enough memory",
        ),
        pytest.param(
            Room(memory=310 * MIB, needs=BIG),
            TWO,
            {"memory": "it needs about 400M, 310M are free above the reserve"},
            id="not enough for what this program was seen to take",
        ),
        pytest.param(
            Room(memory=-5 * MIB),
            TWO,
            {"memory": "it needs about 64.0M, 0K are free above the reserve"},
            id="less than nothing is nothing",
        ),
        pytest.param(Room(memory=-5 * MIB), (), {}, id="one may always run"),
        pytest.param(Room(cores=1.0, busy=9), TWO, {}, id="a tenth of a core each"),
        pytest.param(
            Room(cores=1.0, busy=12),
            TWO,
            {"cores": "12 agents share 1 core already"},
            id="too crowded",
        ),
        pytest.param(
            Room(cores=0.1, busy=1),
            TWO,
            {"cores": "1 agent shares 0.1 cores already"},
            id="too crowded, a small machine",
        ),
        pytest.param(Room(cores=1.0, busy=12), (), {}, id="crowded, and none of ours runs"),
        pytest.param(
            Room(cores=4.0, starting={"node": 2.0}),
            (live("a", NOW - 1), live("b", NOW - 9)),
            {"starting": "2 launches of `node` are still starting"},
            id="those before it still start",
        ),
        pytest.param(
            Room(cores=4.0, starting={"node": 2.0}),
            (live("a", NOW - 1), live("b", NOW - 11)),
            {"starting": "1 launch of `node` is still starting"},
            id="one before it still starts",
        ),
        pytest.param(
            Room(cores=4.0, starting={"node": 2.0}),
            TWO,
            {"starting": "launches of `node` are still starting"},
            id="older ones still start",
        ),
        pytest.param(
            Room(cores=4.0, starting={"node": 1.9, "vite": 4.0}), TWO, {}, id="others start"
        ),
        pytest.param(
            Room(closed="the disk is full", agents=1, memory=0, cores=1.0, busy=10),
            TWO,
            {
                "closed": "the disk is full",
                "agents": "2 of 1 agents run",
                "cores": "10 agents share 1 core already",
                "memory": "it needs about 64.0M, 0K are free above the reserve",
            },
            id="all that is in its way",
        ),
    ],
)
def test_why_one_more_has_to_wait(room, memories, refusals):
    assert admission(room, *memories).refusals(NEW) == refusals


def test_what_is_admitted_counts_at_once():
    given = admission(Room(agents=3, memory=500 * MIB, needs=BIG), RUNS)
    given.admit(NEW)

    assert given.refusals(spec("next")) == {
        "memory": "it needs about 400M, 100M are free above the reserve"
    }
    assert given.refusals(spec("small", argv=("redis",))) == {}
    given.admit(spec("small", argv=("redis",)))
    assert "agents" in given.refusals(spec("next"))


@pytest.mark.parametrize(
    ("began", "uses", "free"),
    [
        pytest.param(NOW - 20, 10, "300M", id="it has what it needs by now"),
        pytest.param(NOW - 14, 0, "0K", id="it has nothing yet"),
        pytest.param(NOW - 14, 150, "50.0M", id="it has a part"),
        pytest.param(NOW - 14, 900, "300M", id="it has more"),
    ],
)
def test_what_a_young_launch_will_take_is_kept_for_it(began, uses, free):
    room = Room(memory=300 * MIB, needs=BIG)
    given = admission(room, live("a", began), uses={"p/t/a": Use(memory=uses * MIB)})

    assert given.refusals(NEW)["memory"].endswith(f"{free} are free above the reserve")


def test_no_more_is_expected_than_its_limit_allows():
    given = admission(Room(memory=300 * MIB, needs=BIG), RUNS)

    assert given.refusals(NEW)
    assert not given.refusals(spec("new", limits=Limits(memory=300 * MIB)))


def test_one_that_runs_counts_as_gone_when_it_is_asked_for_itself():
    room = Room(agents=2, memory=0, needs=BIG)
    given = admission(room, *TWO, uses={"p/t/a": Use(memory=400 * MIB)})

    assert given.refusals(spec("a")) == {}
    assert given.refusals(spec("b")).keys() == {"memory"}


LEFT = Process(pid=9, parent=1, session=9, started=9, state="S", cpu=0.0, name="node")


@pytest.mark.parametrize(
    ("tree", "full"),
    [
        pytest.param(Tree(strays=(LEFT,)), True, id="what an earlier launch left"),
        pytest.param(Tree(current=(LEFT,)), True, id="what the latest left"),
        pytest.param(Tree(current=(replace(LEFT, state="Z"),)), False, id="a zombie"),
    ],
)
def test_processes_that_are_left_take_a_place(tree, full):
    given = admission(Room(agents=1), trees={"p/t/gone": tree})

    assert bool(given.refusals(NEW)) is full


def test_many_launches_of_one_program_begin_slowly():
    given = admission(Room())
    for number in range(20):
        assert not given.refusals(NEW)
        given.admit(spec(f"n{number}"))

    assert given.refusals(NEW).keys() == {MANY}
    assert not given.refusals(spec("other", argv=("redis",)))


def test_the_more_began_the_more_may_begin():
    given = admission(Room(), *(live(f"o{number}", NOW - 5) for number in range(15)))
    for number in range(30):
        assert not given.refusals(NEW)
        given.admit(spec(f"n{number}"))

    assert given.refusals(NEW).keys() == {MANY}


def waits(since, reason="waiting for room: it needs about 400M, 9M are free above the reserve"):
    return Memory(agent="p/t/big", state=State.STARTING, reason=reason, since=since)


@pytest.mark.parametrize(
    ("since", "used", "comes_first"),
    [
        pytest.param(NOW - 29, 400, False, id="for a while others may pass"),
        pytest.param(NOW - 31, 400, True, id="then they wait for it"),
        pytest.param(NOW - 59, 400, True, id="still"),
        pytest.param(NOW - 61, 400, False, id="then they may pass again"),
        pytest.param(NOW - 31, 200, False, id="it is too large for any machine like this"),
    ],
)
def test_a_large_one_keeps_its_place(since, used, comes_first):
    room = Room(memory=100 * MIB, needs=BIG)
    given = admission(room, RUNS, uses={"p/t/a": Use(memory=used * MIB)})
    big, small = spec("big"), spec("small", argv=("redis",))
    memory = waits(since)
    given.refused(big, memory, given.refusals(big))

    first = {"turn": "t/big has waited longer and needs more memory"} if comes_first else {}
    assert given.refusals(small) == first


@pytest.mark.parametrize(
    ("reason", "refusals", "said"),
    [
        pytest.param("started", {"agents": "2 of 2 agents run"}, "2 of 2 agents run", id="first"),
        pytest.param(
            "waiting for room: 3 of 3 agents run",
            {"closed": "x", "agents": "2 of 2 agents run"},
            "3 of 3 agents run",
            id="the same kind: as it was said",
        ),
        pytest.param(
            "waiting for room: 3 of 3 agents run", {"closed": "x"}, "x", id="another kind"
        ),
        pytest.param(
            "waiting for room: 5% of 1.2G are free",
            {"closed": "4.5% of 900M are free"},
            "5% of 1.2G are free",
            id="closed, other figures",
        ),
        pytest.param(
            "waiting for room: 5% of memory are free",
            {"closed": "the disk is full"},
            "the disk is full",
            id="closed for another reason",
        ),
        pytest.param(
            "waiting for room: it needs about 64.0M, 0K are free above the reserve",
            {"memory": "it needs about 65.0M, 1.2M are free above the reserve"},
            "it needs about 64.0M, 0K are free above the reserve",
            id="memory",
        ),
        pytest.param(
            "waiting for room: 1 agent shares 0.1 cores already",
            {"cores": "12 agents share 1 core already"},
            "1 agent shares 0.1 cores already",
            id="cores",
        ),
        pytest.param(
            "waiting for room: 1 launch of `n` is still starting",
            {"starting": "launches of `n` are still starting"},
            "1 launch of `n` is still starting",
            id="starting",
        ),
    ],
)
def test_a_reason_stays_while_its_kind_does(reason, refusals, said):
    assert reason_for(waits(NOW, reason), refusals) == f"waiting for room: {said}"


@pytest.mark.parametrize(
    ("memory", "figures"),
    [
        (waits(NOW, "waiting for room: x"), "x"),
        (waits(NOW, "started"), ""),
        (live("a", reason="waiting for room: x"), ""),
    ],
)
def test_who_waits_for_room(memory, figures):
    assert waiting(memory) == figures
