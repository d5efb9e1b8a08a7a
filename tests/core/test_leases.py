"""What is leased is an agent's own, and stays so."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hive.core.leases import LONGEST, PORTS, Want, allot
from hive.errors import WrongInput

CALM = settings(deadline=None, derandomize=True, max_examples=150)
A, B = "p/t/a", "p/t/b"
ROOM = range(20, 40)

variables = some.lists(some.sampled_from(["PORT", "DB_PORT", "API"]), unique=True).map(tuple)
called = some.lists(some.sampled_from(["DB", "DB_TEST"]), unique=True).map(tuple)
ids = some.sampled_from([A, B, "P/T/a", "p/t-a/b", "p/t_a/b", "1p/t/a", f"p/{'t' * 40}/{'a' * 40}"])
wants = some.lists(
    some.builds(Want, agent=ids, ports=variables, names=called),
    unique_by=lambda one: one.agent,
    max_size=4,
)
ports = some.sets(some.sampled_from(ROOM), max_size=6)


def keys(wanted):
    return {(one.agent, name) for one in wanted for name in (*one.ports, *one.names)}


@CALM
@given(wants, wants, ports, ports)
def test_everybody_has_what_it_wants_and_nobody_has_what_another_has(before, wanted, taken, told):
    held = allot(before, {}, taken=taken, room=ROOM)
    found = allot(wanted, held, taken=taken, told=told, room=ROOM)

    asked = {one.agent for one in wanted}
    assert found.keys() == keys(wanted) | {key for key in held if key[0] not in asked}
    assert len(set(found.values())) == len(found)
    for one in wanted:
        mine = {int(found[one.agent, name]) for name in one.ports}
        assert mine <= set(ROOM) - told
        new = {name for name in one.ports if (one.agent, name) not in held}
        assert not {int(found[one.agent, name]) for name in new} & taken
        for name in one.names:
            value = found[one.agent, name]
            assert re.fullmatch(r"[a-z_][a-z0-9_]*", value) and len(value) <= LONGEST


@CALM
@given(wants, wants, ports)
def test_who_has_something_keeps_it_whoever_else_comes(before, others, taken):
    held = allot(before, {}, room=ROOM)
    mine = {one.agent for one in before}
    more = [one for one in others if one.agent not in mine]
    again = allot([*more, *reversed(before)], held, taken=taken, room=ROOM)

    assert held.items() <= again.items()
    assert allot(before, again, taken=taken, room=ROOM).items() >= held.items()


def test_the_first_of_an_agent_is_the_same_on_every_machine_and_above_what_is_common():
    first = allot([Want(agent=A, ports=("PORT",))], {})

    assert first == allot([Want(agent=A, ports=("PORT",))], {})
    assert int(first[A, "PORT"]) in PORTS


def test_a_port_that_is_taken_is_passed_over():
    wanted = [Want(agent=A, ports=("PORT",))]
    port = int(allot(wanted, {})[A, "PORT"])

    assert allot(wanted, {}, taken={port, port + 1})[A, "PORT"] == str(port + 2)


def test_a_port_that_is_in_use_stays_with_the_one_who_has_it():
    wanted = [Want(agent=A, ports=("PORT",))]
    held = allot(wanted, {})

    assert allot(wanted, held, taken={int(held[A, "PORT"])}) == held


def test_a_port_that_a_file_gives_is_nobody_elses():
    wanted = [Want(agent=A, ports=("PORT",))]
    held = allot(wanted, {})
    again = allot(wanted, held, told={int(held[A, "PORT"])})

    assert again.keys() == held.keys()
    assert again != held


def test_what_is_not_wanted_any_more_is_let_go():
    held = allot([Want(agent=A, ports=("PORT",), names=("DB",)), Want(agent=B, names=("DB",))], {})

    assert allot([Want(agent=A, names=("DB",))], held) == {
        key: value for key, value in held.items() if key != (A, "PORT")
    }


def test_a_variable_may_become_the_other_kind():
    held = allot([Want(agent=A, ports=("X",))], {})
    name = allot([Want(agent=A, names=("X",))], held)

    assert name == {(A, "X"): "p_t_a"}
    assert allot([Want(agent=A, ports=("X",))], name) == held


def test_names_say_whose_they_are():
    wanted = [
        Want(agent="Task/back-end/dev-1", names=("DB",)),
        Want(agent="Task/web/dev", names=("DB", "DB_TEST")),
        Want(agent="3d/web/dev", names=("DB",)),
    ]

    assert sorted(allot(wanted, {}).values()) == [
        "_3d_web_dev",
        "task_back_end_dev_1",
        "task_web_dev_db",
        "task_web_dev_db_test",
    ]


@pytest.mark.parametrize("other", ["Task/web-a/b", "task/web/a_b", "Task/web/a-b"])
def test_names_that_would_be_the_same_are_told_apart(other):
    found = allot([Want(agent="Task/web/a_b", names=("DB",)), Want(agent=other, names=("DB",))], {})

    first, second = found.values()
    assert first == "task_web_a_b"
    assert re.fullmatch("task_web_a_b_[0-9a-f]{8}", second)


def test_where_no_port_is_left_that_is_told():
    with pytest.raises(WrongInput, match="no port from 20 to 21 is left for `PORT`"):
        allot([Want(agent=A, ports=("PORT",))], {}, taken={20, 21}, room=range(20, 22))
