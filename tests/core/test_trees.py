"""Whose a process is, and what an agent's processes use."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive.core.belonging import belonging, usage
from hive.core.trees import Process, Tag, tag
from hive.core.world import Tree

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

ADA, BOB = Tag(agent="p/t/ada", launch="1"), Tag(agent="p/t/bob", launch="1")
OLD = Tag(agent="p/t/ada", launch="0")
CURRENT = {"p/t/ada": "1", "p/t/bob": "1"}


def process(pid, parent=1, *, state="S", cpu=0.0, name="sh", started=None):
    return Process(
        pid=pid,
        parent=parent,
        session=pid,
        started=pid * 10 if started is None else started,
        state=state,
        cpu=cpu,
        name=name,
    )


def table(*processes):
    return {one.pid: one for one in processes}


def pids(tree):
    return {one.pid for one in tree.current}, {one.pid for one in tree.strays}


CHAIN = table(process(1, 0), process(10), process(11, 10), process(12, 11))


@pytest.mark.parametrize(
    ("processes", "tags", "roots", "expected"),
    [
        pytest.param(CHAIN, {}, {}, {}, id="nobody's without a root or a tag"),
        pytest.param(
            CHAIN, {}, {10: ADA}, {"p/t/ada": ({10, 11, 12}, set())}, id="a root and all below it"
        ),
        pytest.param(
            CHAIN, {11: ADA}, {}, {"p/t/ada": ({11, 12}, set())}, id="a tag and all below it"
        ),
        pytest.param(
            CHAIN,
            {12: BOB},
            {10: ADA},
            {"p/t/ada": ({10, 11}, set()), "p/t/bob": ({12}, set())},
            id="its own tag, though it is under another's root",
        ),
        pytest.param(
            CHAIN,
            {11: BOB},
            {10: ADA},
            {"p/t/ada": ({10}, set()), "p/t/bob": ({11, 12}, set())},
            id="the nearest ancestor's",
        ),
        pytest.param(
            CHAIN,
            {10: BOB},
            {10: ADA},
            {"p/t/ada": ({10, 11, 12}, set())},
            id="a root's pane says more than its tag",
        ),
        pytest.param(
            CHAIN,
            {11: OLD},
            {10: ADA},
            {"p/t/ada": ({10}, {11, 12})},
            id="a stray where its launch is not the latest",
        ),
        pytest.param(
            CHAIN,
            {11: Tag(agent="p/t/gone", launch="1")},
            {},
            {"p/t/gone": (set(), {11, 12})},
            id="a stray where its agent is not known",
        ),
        pytest.param(
            table(process(10), process(11, 10, state="Z"), process(12, 11, state="X")),
            {},
            {10: ADA},
            {"p/t/ada": ({10}, set())},
            id="nobody's once it is dead",
        ),
        pytest.param(
            table(process(10, state="Z"), process(11, 10)),
            {},
            {10: ADA},
            {"p/t/ada": ({11}, set())},
            id="its root's though the root is dead",
        ),
        pytest.param(
            table(process(20, 21), process(21, 20), process(22, 20)),
            {},
            {},
            {},
            id="nobody's in a table that holds a circle",
        ),
    ],
)
def test_a_process_is(processes, tags, roots, expected):
    found = belonging(processes, tags, roots=roots, current=CURRENT)

    assert {agent: pids(tree) for agent, tree in found.trees.items()} == expected


def test_a_tmux_server_is_nobodys_whatever_it_bears():
    server = table(process(5, name="tmux: server"), process(10, 5), process(20, 5))

    found = belonging(server, {5: BOB}, roots={10: ADA}, current=CURRENT, never={5})

    assert {agent: pids(tree) for agent, tree in found.trees.items()} == {"p/t/ada": ({10}, set())}


def test_what_a_tmux_server_just_forked_does_not_bear_the_servers_tag():
    forked = table(process(5, name="tmux: server"), process(10, 5, name="tmux: server"))
    found = belonging(forked, {5: BOB, 10: BOB}, roots={}, current=CURRENT, never={5})

    assert found.trees == {}
    assert found.known == {}


def test_a_tagged_program_in_a_foreign_pane_is_its_agents():
    there = table(process(5, name="tmux: server"), process(10, 5, name="sh"))
    found = belonging(there, {10: BOB}, roots={}, current=CURRENT, never={5})

    assert pids(found.trees["p/t/bob"]) == ({10}, set())


def test_what_left_its_parents_is_still_found():
    first = belonging(CHAIN, {}, roots={10: ADA}, current=CURRENT)
    left = table(process(12, 1), process(13, 12))

    second = belonging(left, {}, roots={}, current=CURRENT, before=first.known)
    third = belonging(table(process(13, 1)), {}, roots={}, current=CURRENT, before=second.known)

    assert pids(second.trees["p/t/ada"]) == ({12, 13}, set())
    assert pids(third.trees["p/t/ada"]) == ({13}, set())


def test_what_was_an_agents_stays_so_under_its_next_root():
    first = belonging(CHAIN, {}, roots={11: OLD}, current=CURRENT)
    second = belonging(CHAIN, {}, roots={10: ADA}, current=CURRENT, before=first.known)

    assert pids(second.trees["p/t/ada"]) == ({10}, {11, 12})


def test_a_reused_pid_is_another_process():
    first = belonging(CHAIN, {}, roots={10: ADA}, current=CURRENT)
    reused = table(process(12, 1, started=999))

    assert belonging(reused, {}, roots={}, current=CURRENT, before=first.known).trees == {}


def test_only_the_living_are_remembered():
    first = belonging(CHAIN, {}, roots={10: ADA}, current=CURRENT)
    second = belonging(table(process(11, 1)), {}, roots={}, current={}, before=first.known)

    assert second.known == {(11, 110): ADA}


TAGS = st.sampled_from([ADA, BOB, OLD])
PIDS = st.integers(1, 12)


@st.composite
def looks(draw):
    parents = draw(st.dictionaries(PIDS, st.integers(0, 12)))
    dead = draw(st.sets(PIDS))
    return (
        {pid: process(pid, up, state="Z" if pid in dead else "S") for pid, up in parents.items()},
        draw(st.dictionaries(PIDS, TAGS)),
        draw(st.dictionaries(PIDS, TAGS)),
        draw(st.sets(PIDS, max_size=2)),
    )


@CALM
@given(looks())
def test_every_living_process_is_in_one_tree_at_most_and_remembered_so(look):
    processes, tags, roots, never = look
    found = belonging(processes, tags, roots=roots, current=CURRENT, never=never)
    listed = [one for tree in found.trees.values() for one in (*tree.current, *tree.strays)]

    assert len(listed) == len({one.pid for one in listed})
    assert {(one.pid, one.started) for one in listed} == found.known.keys()
    assert not any(one.dead or one.pid in never for one in listed)
    assert all(tree != Tree() for tree in found.trees.values())


@CALM
@given(looks(), looks())
def test_an_agents_process_is_lost_only_to_a_tag_or_a_root_of_its_own(first, second):
    known = belonging(first[0], first[1], roots=first[2], current=CURRENT, never=first[3]).known
    processes, tags, roots, never = second
    later = belonging(processes, tags, roots=roots, current=CURRENT, never=never, before=known)

    for (pid, started), was in known.items():
        there = pid in processes and not processes[pid].dead and pid not in never
        if there and pid not in tags and pid not in roots:
            assert later.known[pid, started] == was


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param(
            {"HIVE_STATE": "/s", "HIVE_AGENT": "p/t/ada", "HIVE_LAUNCH": "1"},
            ADA,
            id="an agent's environment",
        ),
        pytest.param(
            {"HIVE_STATE": "/other", "HIVE_AGENT": "p/t/ada", "HIVE_LAUNCH": "1"},
            None,
            id="another hive's agent",
        ),
        pytest.param({"HIVE_STATE": "/s"}, None, id="a person's shell that names the directory"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_a_tag_is_read_from(environ, expected):
    assert tag(environ, "/s") == expected


def tree(*processes):
    return {"ada": Tree(current=processes)}


@pytest.mark.parametrize(
    ("before", "after", "cores"),
    [
        pytest.param(tree(process(1, cpu=5)), tree(process(1, cpu=7)), 1.0, id="what it gained"),
        pytest.param(
            tree(process(1, cpu=5)),
            tree(process(1, cpu=5), process(2, 1, cpu=3)),
            1.5,
            id="all of a new child",
        ),
        pytest.param(
            tree(process(1, cpu=5), process(2, 1, cpu=100)),
            tree(process(1, cpu=106)),
            0.5,
            id="a waited-for child's last bit, and not again all it ever used",
        ),
        pytest.param(
            tree(process(1, cpu=5), process(2, 1, cpu=100)),
            tree(process(1, cpu=7)),
            1.0,
            id="what it gained, though its child ended unwaited for",
        ),
        pytest.param(
            tree(process(1, cpu=5), process(2, 1, cpu=100), process(3, 1, cpu=50)),
            tree(process(1, cpu=106)),
            0.5,
            id="what is left where one child was waited for and one not",
        ),
        pytest.param(
            tree(process(1, cpu=5), process(2, 1, cpu=20), process(3, 2, cpu=100)),
            tree(process(1, cpu=127)),
            1.0,
            id="nothing twice where a child ended with its own child",
        ),
        pytest.param(
            tree(process(1, cpu=5)), tree(process(1, cpu=4)), 0.0, id="never less than nothing"
        ),
        pytest.param(
            tree(process(1, cpu=900)),
            tree(process(1, started=99, cpu=1)),
            0.5,
            id="a new process by an old pid from its own beginning",
        ),
        pytest.param(
            tree(process(4, 5, cpu=1), process(5, 4, cpu=1)),
            tree(process(6, cpu=2)),
            1.0,
            id="something even after a circle",
        ),
    ],
)
def test_an_agent_has_used(before, after, cores):
    assert usage(before, after, 2.0) == {"ada": pytest.approx(cores)}


def test_strays_use_too():
    before = {"ada": Tree(current=(process(1, cpu=1),), strays=(process(2, cpu=1),))}
    after = {"ada": Tree(current=(process(1, cpu=2),), strays=(process(2, cpu=3),))}

    assert usage(before, after, 1.0) == {"ada": pytest.approx(3.0)}


def test_the_use_of_an_agent_not_seen_before_is_not_known():
    assert usage({}, tree(process(1, cpu=9)), 1.0) == {}


def test_no_time_is_no_measure():
    assert usage(tree(process(1)), tree(process(1, cpu=9)), 0.0) == {}
