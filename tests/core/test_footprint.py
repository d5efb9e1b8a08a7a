"""Who must end for want of memory, or for too many processes: by hand, and whatever happens."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive.core.footprint import (
    WORTH,
    Footprint,
    Rules,
    Watched,
    footprint,
    judge,
    over_soft,
    together,
    warning,
)
from hive.core.limits import PRIORITIES, Limits
from hive.core.trees import Process

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
M, G = 1 << 20, 1 << 30
PLENTY = 1 << 50


def process(pid, parent, *, name="node", started=None):
    return Process(
        pid=pid,
        parent=parent,
        session=1,
        started=pid if started is None else started,
        state="S",
        cpu=0.0,
        name=name,
    )


def tree(*rows, shared=0):
    """Make a footprint from rows of (pid, parent, megabytes)."""
    processes = tuple(process(pid, parent) for pid, parent, _ in rows)
    return footprint(processes, {pid: size * M for pid, _, size in rows}, shared * M)


def held(megabytes, shared=0):
    """Make the footprint of an agent that is only a root and a program."""
    return tree((1, 0, 0), (2, 1, megabytes), shared=shared)


def watched(memory=None, **more):
    limits = {
        key: more.pop(key) for key in ("soft", "processes") if key in more
    }  # what is a limit of its own
    own = Limits(memory=None if memory is None else memory * M, **limits)
    return Watched(**{"launch": "1", "root_pid": 1, "limits": own, **more})


def ruled(agents, footprints, available=PLENTY, **rules):
    found = judge(agents, footprints, available, Rules(**rules))
    return {one.agent: one.targets for one in found}


def test_a_footprint_is_what_each_would_give_back_and_the_most_that_is_shared():
    found = footprint((process(1, 0), process(2, 1)), {1: 10, 2: 30, 9: 500}, 7)

    assert (found.total, found.shared, found.processes) == (47, 7, 2)


def test_the_largest_are_named_the_biggest_first():
    found = tree(*((pid, 1, pid % 7) for pid in range(1, 9))).largest

    assert [(one.pid, one.bytes // M) for one in found] == [(6, 6), (5, 5), (4, 4), (3, 3), (2, 2)]
    assert found[0].name == "node"


def test_a_name_that_no_terminal_should_see_is_shown_without_it():
    odd = footprint((process(1, 0, name="a\x1b[2J\udcff"),), {1: 1}, 0)

    assert odd.largest[0].name == "a [2J "


def test_what_may_be_shared_counts_once_for_all_together():
    assert together([held(100, shared=40), held(200, shared=50), held(1, shared=0)]) == 351 * M
    assert together([]) == 0


MAIN = (2, 1)
"""The agent's own program, under the root of its pane."""


@pytest.mark.parametrize(
    ("rows", "targets"),
    [
        pytest.param([(1, 0, 1), (*MAIN, 600)], None, id="the program itself"),
        pytest.param([(1, 0, 1), (*MAIN, 100), (3, 2, 500)], (3,), id="its child"),
        pytest.param(
            [(1, 0, 1), (*MAIN, 300), (3, 2, 280)], (3,), id="a child smaller than the program"
        ),
        pytest.param(
            [(1, 0, 1), (*MAIN, 100), (3, 2, 1), (4, 3, 500)], (4,), id="the child of a shell"
        ),
        pytest.param(
            [(1, 0, 1), (*MAIN, 490), (3, 2, 40)], None, id="the rest would still be too near"
        ),
        pytest.param(
            [(1, 0, 1), (*MAIN, 10), (3, 2, 500), (4, 3, 20), (5, 2, 9), (6, 2, 9)],
            (3, 4),
            id="a child and what is below it",
        ),
        pytest.param(
            [(1, 0, 1), (*MAIN, 1), (3, 2, 600), (4, 3, 9), (5, 3, 9), (6, 3, 9)],
            None,
            id="what bears most of the tree may be the program",
        ),
        pytest.param(
            [(1, 0, 1), (*MAIN, 100), (3, 1, 500)], (3,), id="what lost its parent to the root"
        ),
        pytest.param(
            [(1, 0, 1), (*MAIN, 100), (3, 99, 500)], (3,), id="what lost its parent to another"
        ),
        pytest.param([(1, 0, 600)], None, id="nothing but a root"),
        pytest.param([(*MAIN, 600), (3, 2, 1)], None, id="no root in sight"),
    ],
)
def test_over_its_own_limit_the_largest_child_ends_or_else_the_whole_tree(rows, targets):
    assert ruled({"a": watched(512)}, {"a": tree(*rows)}) == {"a": targets}


def test_a_circle_in_the_table_is_no_harm():
    circle = tree((1, 0, 1), (2, 1, 1), (3, 4, 600), (4, 3, 1))

    assert ruled({"a": watched(512)}, {"a": circle}) == {"a": (3, 4)}


@pytest.mark.parametrize(
    ("agent", "footprint", "available", "rules", "why", "seen", "limit"),
    [
        pytest.param(
            watched(512),
            held(531),
            PLENTY,
            Rules(),
            "out of memory: it used 531M of 512M",
            531 * M,
            512 * M,
            id="own",
        ),
        pytest.param(
            watched(processes=2),
            tree((1, 0, 1), (2, 1, 1), (3, 2, 1)),
            PLENTY,
            Rules(),
            "too many processes: 3, it may have 2",
            3,
            2,
            id="processes",
        ),
        pytest.param(
            watched(),
            held(4300),
            PLENTY,
            Rules(total=4 * G),
            "out of memory: all agents together used 4.2G of 4.0G; it used most: 4.2G",
            4300 * M,
            4 * G,
            id="total",
        ),
        pytest.param(
            watched(),
            held(20 * 1024),
            310 * M,
            Rules(reserve=G),
            "out of memory: the machine had only 310M left; it used most: 20.0G",
            20 * G,
            0,
            id="machine",
        ),
    ],
)
def test_a_ruling_says_why(agent, footprint, available, rules, why, seen, limit):
    (found,) = judge({"a": agent}, {"a": footprint}, available, rules)

    assert (found.why, found.seen, found.limit) == (why, seen, limit)
    assert found.targets is None
    assert found.kind == ("processes" if "processes" in why else "memory")


def test_who_did_not_use_most_is_not_said_to():
    agents = {"a": watched(priority="low"), "b": watched()}
    (found,) = judge(agents, {"a": held(900), "b": held(2000)}, 10 * M, Rules(reserve=G))

    assert found.agent == "a"
    assert found.why == "out of memory: the machine had only 10.0M left; it used 900M"


def test_the_kernel_holds_memory_but_not_processes_nor_the_machine():
    kernel = watched(512, processes=2, kernel=True)

    assert ruled({"a": kernel}, {"a": held(600)}) == {}
    assert ruled({"a": kernel}, {"a": tree((1, 0, 1), (2, 1, 1), (3, 2, 1))}) == {"a": None}
    assert ruled({"a": kernel}, {"a": held(600)}, total=500 * M) == {"a": None}
    assert ruled({"a": kernel}, {"a": held(600)}, available=M, reserve=G) == {"a": None}


TOTAL = 900


@pytest.mark.parametrize(
    ("agents", "sizes", "ended"),
    [
        pytest.param({"a": watched(), "b": watched()}, (400, 500), set(), id="all fit"),
        pytest.param({"a": watched(), "b": watched()}, (300, 700), {"b"}, id="the largest"),
        pytest.param(
            {"a": watched(priority="low"), "b": watched()}, (460, 700), {"a"}, id="low first"
        ),
        pytest.param(
            {"a": watched(priority="low"), "b": watched()}, (300, 700), {"b"}, id="not if inside"
        ),
        pytest.param(
            {"a": watched(priority="high"), "b": watched(priority="low")},
            (700, 460),
            {"b"},
            id="high last",
        ),
        pytest.param(
            {"a": watched(role="server"), "b": watched()}, (700, 460), {"b"}, id="servers last"
        ),
        pytest.param(
            {"a": watched(role="server", priority="low"), "b": watched(priority="high")},
            (700, 460),
            {"b"},
            id="a server after all others",
        ),
        pytest.param(
            {"a": watched(priority="low"), "b": watched(), "c": watched()},
            (310, 1000, 310),
            {"b"},
            id="whom it would not help to end may stay",
        ),
        pytest.param(
            {"a": watched(), "b": watched(), "c": watched()},
            (800, 800, 100),
            {"a"},
            id="no more than it takes",
        ),
        pytest.param(
            {"a": watched(), "b": watched(), "c": watched()},
            (900, 880, 100),
            {"a", "b"},
            id="until the rest fits",
        ),
        pytest.param(
            {"a": watched(4000), "b": watched(1000)}, (550, 500), {"b"}, id="parts are as limits"
        ),
        pytest.param(
            {"a": watched(1000), "b": watched()}, (460, 500), {"b"}, id="without one: the average"
        ),
    ],
)
def test_beyond_the_total_it_is_who_is_furthest_above_its_fair_part(agents, sizes, ended):
    footprints = {agent: held(size) for agent, size in zip(agents, sizes, strict=True)}

    assert ruled(agents, footprints, total=TOTAL * M).keys() == ended


def test_what_an_agent_gives_back_for_its_own_limit_counts_for_the_total():
    agents = {"a": watched(512), "b": watched()}
    big = tree((1, 0, 1), (2, 1, 100), (3, 2, 500))

    assert ruled(agents, {"a": big, "b": held(700)}, total=900 * M) == {"a": (3,)}


@pytest.mark.parametrize(
    ("agents", "sizes", "ended"),
    [
        pytest.param({"a": watched(), "b": watched()}, (400, 500), {"b"}, id="the largest"),
        pytest.param(
            {"a": watched(priority="low"), "b": watched()}, (400, 500), {"a"}, id="low first"
        ),
        pytest.param(
            {"a": watched(priority="low"), "b": watched()}, (20, 500), {"b"}, id="worth it"
        ),
        pytest.param(
            {"a": watched(role="server"), "b": watched(priority="high")},
            (900, 50),
            {"b"},
            id="servers last",
        ),
        pytest.param({"a": watched(role="server")}, (900,), {"a"}, id="but they do"),
        pytest.param({"a": watched(), "b": watched()}, (20, 30), set(), id="nobody worth it"),
        pytest.param({"a": watched(512), "b": watched()}, (600, 900), {"a"}, id="one is enough"),
    ],
)
def test_where_the_machine_is_short_one_ends(agents, sizes, ended):
    footprints = {agent: held(size) for agent, size in zip(agents, sizes, strict=True)}

    assert ruled(agents, footprints, available=511 * M, reserve=G).keys() == ended


def test_the_machine_is_short_below_half_of_the_reserve():
    agents, footprints = {"a": watched()}, {"a": held(900)}

    assert ruled(agents, footprints, available=512 * M, reserve=G) == {}
    assert ruled(agents, footprints, available=512 * M - 1, reserve=G) == {"a": None}


def test_whose_processes_were_not_seen_is_left_alone():
    assert ruled({"a": watched(1)}, {}, available=0, reserve=G, total=1) == {}
    assert ruled({}, {"a": held(900)}, available=0, reserve=G, total=1) == {}


@pytest.mark.parametrize(
    ("megabytes", "told", "over"),
    [
        (399, False, False),
        (400, False, True),
        (399, True, True),
        (360, True, True),
        (359, True, False),
    ],
)
def test_the_soft_limit_is_left_only_well_below_it(megabytes, told, over):
    agents = {"a": watched(512, soft=400 * M)}
    found = over_soft(agents, {"a": held(megabytes)}, {"1"} if told else set())

    assert found == ({"1"} if over else set())


def test_the_soft_limit_of_another_launch_says_nothing():
    soft = {"soft": 400 * M}

    assert over_soft({"a": watched(512, **soft)}, {"a": held(380)}, {"0"}) == set()
    assert over_soft({"a": watched(512, **soft)}, {}, {"1"}) == set()
    assert over_soft({"a": watched(512)}, {"a": held(500)}, ()) == set()


def test_a_warning_says_what_is_used_and_what_it_may_be():
    assert warning(watched(512, soft=400 * M).limits, held(420)) == (
        "it uses 420M of 512M: its soft limit is 400M"
    )
    assert warning(watched(soft=400 * M).limits, held(420)) == (
        "it uses 420M: its soft limit is 400M"
    )


NAMES = ("a", "b", "c", "d", "e")
AGENTS = st.builds(
    watched,
    st.none() | st.integers(1, 1000),
    priority=st.sampled_from(PRIORITIES),
    role=st.sampled_from(["dev", "server"]),
    processes=st.integers(1, 6),
    kernel=st.booleans(),
)
TREES = st.builds(
    lambda sizes, parents, shared: tree(
        *((pid, min(parent, pid - 1), size) for pid, (size, parent) in enumerate(
            zip(sizes, parents, strict=False), 1
        )),
        shared=shared,
    ),
    st.lists(st.integers(0, 500), min_size=1, max_size=6),
    st.lists(st.integers(0, 5), min_size=6, max_size=6),
    st.integers(0, 60),
)  # fmt: skip
SEEN = st.dictionaries(st.sampled_from(NAMES), st.tuples(AGENTS, TREES), min_size=1)
RULES = st.builds(
    Rules, total=st.none() | st.integers(1, 2000).map(lambda one: one * M), reserve=st.just(G)
)
AVAILABLE = st.integers(0, 1024).map(lambda one: one * M)


def inside(agent, footprint):
    limits = agent.limits
    own = agent.kernel or limits.memory is None or footprint.total <= limits.memory
    return own and footprint.processes <= limits.processes


def rank(agent):
    return (agent.role == "server", PRIORITIES.index(agent.priority))


@CALM
@given(SEEN, RULES, AVAILABLE)
def test_nobody_ends_without_a_reason_that_is_true(seen, rules, available):
    agents = {name: one for name, (one, _) in seen.items()}
    trees = {name: one for name, (_, one) in seen.items()}
    found = judge(agents, trees, available, rules)
    by = {rule: [one for one in found if one.rule == rule] for rule in ("own", "total", "machine")}

    assert {one.agent for one in by["own"]} == {
        name for name in seen if not inside(agents[name], trees[name])
    }
    if by["total"]:
        assert together(trees.values()) > rules.total
    assert len(by["machine"]) <= 1
    if by["machine"]:
        assert available * 2 < rules.reserve
        assert not any(one.kind == "memory" for one in (*by["own"], *by["total"]))
        assert by["machine"][0].seen >= WORTH
    assert len({one.agent for one in found if one.targets is None}) == len(
        [one for one in found if one.targets is None]
    )


@CALM
@given(SEEN, RULES, AVAILABLE)
def test_a_part_of_a_tree_spares_the_root_and_the_program_and_is_enough(seen, rules, available):
    agents = {name: one for name, (one, _) in seen.items()}
    trees = {name: one for name, (_, one) in seen.items()}
    for one in judge(agents, trees, available, rules):
        if one.targets is None:
            continue
        held = trees[one.agent]
        pids = {process.pid for process in held.tree}
        below = [process.pid for process in held.tree if process.parent == 1]
        assert set(one.targets) <= pids - {1} - set(below[:1])
        assert 0 < len(one.targets) * 2 <= len(pids)
        assert held.total - sum(held.sizes[pid] for pid in one.targets) <= one.limit * 0.9


def without_own(name, seen):
    """Give an agent that no limit of its own can end."""
    agent, held = seen[name]
    plain = watched(priority=agent.priority, role=agent.role, processes=10)
    return plain, held


@CALM
@given(SEEN, st.integers(1, 2000).map(lambda one: one * M))
def test_the_rest_fits_the_total_and_nobody_ended_in_vain_and_servers_end_last(seen, total):
    plain = {name: without_own(name, seen) for name in seen}
    agents = {name: one for name, (one, _) in plain.items()}
    trees = {name: one for name, (_, one) in plain.items()}
    ended = ruled(agents, trees, total=total).keys()
    rest = {name: one for name, one in trees.items() if name not in ended}

    assert together(rest.values()) <= total
    for name in ended:
        assert together([*rest.values(), trees[name]]) > total
        assert trees[name].total * len(seen) > total
    if any(agents[name].role == "server" for name in ended):
        small_or_server = [
            held
            for name, held in trees.items()
            if agents[name].role == "server" or held.total * len(seen) <= total
        ]
        assert together(small_or_server) > total


@CALM
@given(SEEN)
def test_for_the_machine_the_lowest_end_first_then_the_largest(seen):
    plain = {name: without_own(name, seen) for name in seen}
    agents = {name: one for name, (one, _) in plain.items()}
    trees = {name: one for name, (_, one) in plain.items()}
    worth = [name for name in seen if trees[name].total - trees[name].shared >= WORTH]
    ended = ruled(agents, trees, available=0, reserve=G)

    assert len(ended) == min(1, len(worth))
    for name in ended:
        assert all(
            (rank(agents[name]), -trees[name].total) <= (rank(agents[one]), -trees[one].total)
            for one in worth
        )


def test_an_empty_footprint_holds_nothing():
    assert (Footprint().total, Footprint().processes, Footprint().largest) == (0, 0, ())
