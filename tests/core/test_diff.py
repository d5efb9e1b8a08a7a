"""What a deploy changes, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core.diff import Change, apply, compare
from hive.core.limits import Limits
from hive.core.spec import Agent, Probe, Restart, Stop
from hive.core.world import Wanted


def agent(name="dev", team="front", project="p", **more):
    fields = {
        "role": name,
        "session": f"{project}-{team}",
        "window": name,
        "argv": ("sleep", "1"),
        "directory": "/",
    }
    return Agent(project=project, team=team, name=name, **(fields | more))


DEV = agent()
BEFORE = {DEV.id: Wanted(agent=DEV, generation=3)}


def only(changes):
    assert len(changes) == 1
    return changes[0]


@pytest.mark.parametrize(
    ("before", "kind", "why"),
    [
        pytest.param(None, "start", "it is new", id="unknown until now: start"),
        pytest.param(Wanted(agent=DEV), "keep", "it is as it should be", id="the same: keep"),
        pytest.param(
            Wanted(agent=DEV, up=False, why="stopped by `hive stop`"),
            "start",
            "was stopped by `hive stop`",
            id="stopped by a person: a deploy starts it",
        ),
        pytest.param(
            Wanted(agent=DEV, up=False, why="window closed by hand"),
            "start",
            "was down: window closed by hand",
            id="closed by hand: a deploy starts it",
        ),
        pytest.param(
            Wanted(agent=DEV, up=False, removed=True),
            "start",
            "it is in the file again",
            id="on its way out: it comes back",
        ),
    ],
)
def test_an_unchanged_agent(before, kind, why):
    wanted = {DEV.id: before} if before else {}

    assert only(compare(wanted, [DEV], project="p")) == Change(agent=DEV.id, kind=kind, why=why)


@pytest.mark.parametrize(
    ("changed", "kind", "why"),
    [
        pytest.param({"argv": ("true",)}, "restart", "its command changed", id="command"),
        pytest.param({"env": (("K", "v"),)}, "restart", "its environment changed", id="env"),
        pytest.param({"directory": "/tmp"}, "restart", "its directory changed", id="directory"),
        pytest.param({"port": 80}, "restart", "its port changed", id="port"),
        pytest.param({"session": "x"}, "restart", "its session changed", id="session"),
        pytest.param({"socket": "x"}, "restart", "its tmux server changed", id="socket"),
        pytest.param({"window": "x"}, "update", "its window's name changed", id="window"),
        pytest.param({"order": 4}, "update", "its place changed", id="order"),
        pytest.param({"role": "qa"}, "update", "its role changed", id="role"),
        pytest.param(
            {"restart": Restart(attempts=9)}, "update", "its restart rule changed", id="restart"
        ),
        pytest.param({"stop": Stop(grace=1)}, "update", "its stop rule changed", id="stop"),
        pytest.param(
            {"limits": Limits(memory=1 << 30)}, "update", "its limits changed", id="limits"
        ),
        pytest.param({"priority": "low"}, "update", "its priority changed", id="priority"),
        pytest.param(
            {"ready": Probe(kind="tcp", target="h:1")},
            "update",
            "its ready probe changed",
            id="ready",
        ),
        pytest.param(
            {"env": (("K", "s3cret"),), "argv": ("true",), "order": 2},
            "restart",
            "its command, its environment, its place changed",
            id="several are all named, without their values",
        ),
    ],
)
def test_a_changed_agent(changed, kind, why):
    change = only(compare(BEFORE, [replace(DEV, **changed)], project="p"))

    assert change == Change(agent=DEV.id, kind=kind, why=why)


FRONT, BACK = agent("a", "front"), agent("a", "back")
OTHER = agent("a", "front", "q")
ALL = {one.id: Wanted(agent=one) for one in (FRONT, BACK, OTHER)}


@pytest.mark.parametrize(
    ("file", "teams", "expected"),
    [
        pytest.param([FRONT], None, {"p/front/a": "keep", "p/back/a": "stop"}, id="a team left"),
        pytest.param([], None, {"p/front/a": "stop", "p/back/a": "stop"}, id="an empty file"),
        pytest.param([FRONT], ["front"], {"p/front/a": "keep"}, id="only the selected team"),
        pytest.param([FRONT], ["back"], {"p/back/a": "stop"}, id="a selected team that left"),
        pytest.param([FRONT, BACK], ["back"], {"p/back/a": "keep"}, id="others are no matter"),
    ],
)
def test_what_is_no_longer_in_the_file_goes_within_what_is_selected(file, teams, expected):
    changes = compare(ALL, file, project="p", teams=teams)

    assert {change.agent: change.kind for change in changes} == expected


def test_what_is_on_its_way_out_is_not_removed_twice():
    gone = {DEV.id: Wanted(agent=DEV, up=False, removed=True)}

    assert compare(gone, [], project="p") == ()


def test_changes_come_in_the_order_of_the_file():
    names = ["z", "a", "m"]

    changes = compare({}, [agent(name) for name in names], project="p")

    assert [change.agent for change in changes] == [f"p/front/{name}" for name in names]


def applied(before, *file):
    changes = compare(before, file, project="p")
    return apply(before, changes, file)


def test_applying_gives_only_what_changed():
    assert applied(ALL, FRONT, BACK) == {}


def test_a_new_agent_is_wanted_up_in_its_first_generation():
    assert applied({}, DEV) == {DEV.id: Wanted(agent=DEV, generation=1, why="`hive deploy`")}


def test_a_restart_makes_a_new_generation_with_the_reason():
    new = replace(DEV, argv=("true",))

    assert applied(BEFORE, new) == {
        DEV.id: Wanted(agent=new, generation=4, why="`hive deploy`: its command changed")
    }


def test_an_update_keeps_the_generation_so_that_nothing_restarts():
    new = replace(DEV, window="other")

    assert applied(BEFORE, new) == {DEV.id: replace(BEFORE[DEV.id], agent=new)}


def test_what_was_down_comes_up_in_a_new_generation():
    down = {DEV.id: Wanted(agent=DEV, up=False, generation=3)}

    assert applied(down, DEV) == {DEV.id: Wanted(agent=DEV, generation=4, why="`hive deploy`")}


def test_what_left_the_file_is_wanted_down_and_removed():
    assert applied(BEFORE) == {
        DEV.id: replace(BEFORE[DEV.id], up=False, removed=True, why="it is no longer in the file")
    }


def test_deploying_twice_changes_nothing_the_second_time():
    file = (FRONT, BACK, agent("new"))
    once = ALL | applied(ALL, *file)

    assert applied(once, *file) == {}


def test_a_change_of_an_agent_that_nobody_knows_is_a_bug():
    with pytest.raises(ValueError, match="nobody knows: p/x/y"):
        apply({}, [Change(agent="p/x/y", kind="stop", why="")], [])
