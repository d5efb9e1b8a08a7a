"""Ports and names that are leased, in a real store."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import replace

import pytest

from hive.adapters.store import Store
from hive.core.leases import Want, allot
from hive.core.rhythm import Plot
from hive.core.spec import Agent
from hive.core.world import Wanted
from hive.leasing import FACT, lease


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "hive.db") as one:
        yield one


def agent(name="dev", project="Task", ports=("API_PORT",), names=("DATABASE",), **more):
    plot = Plot(repo="/r", path="/p", branch="hive/web/dev", ports=ports, names=names)
    return Agent(
        project=project, team="web", name=name, role="dev", session="s", window=name,
        argv=("x",), directory="/p", plot=plot, env=(("A", "1"),), **more,
    )  # fmt: skip


PLAIN = replace(agent("plain"), plot=None)


def wanted(*agents):
    return {one.id: Wanted(agent=one) for one in agents}


def env(agents, name="dev"):
    return next(dict(one.env) for one in agents if one.name == name)


def test_an_agent_gets_what_its_worktree_wants_and_keeps_it(store):
    first = lease(store, [agent(), PLAIN], {})

    assert env(first)["A"] == "1"
    assert env(first)["DATABASE"] == "task_web_dev"
    assert 20_000 <= int(env(first)["API_PORT"]) < 30_000
    assert first[1] == PLAIN
    assert lease(store, [PLAIN, agent("new"), agent()], wanted(*first))[2] == first[0]


def test_nothing_is_written_where_nobody_leases(store):
    assert lease(store, [PLAIN], {}) == [PLAIN]
    assert store.fact(FACT) is None


def test_a_dry_run_shows_what_would_be_and_keeps_nothing(store):
    shown = lease(store, [agent()], {}, keep=False)

    assert store.fact(FACT) is None
    assert lease(None, [agent()], {}, keep=False) == shown
    assert lease(store, [agent()], {}) == shown


def test_what_an_agent_of_another_file_has_is_not_given_again(store):
    other = lease(store, [agent(project="task")], {})
    mine = lease(store, [agent()], wanted(*other))

    assert env(other)["DATABASE"] == "task_web_dev"
    assert env(mine)["DATABASE"].startswith("task_web_dev_")
    assert env(mine)["API_PORT"] != env(other)["API_PORT"]
    assert lease(store, [agent(project="task")], wanted(*mine, *other)) == other


def test_what_a_forgotten_agent_had_is_free_again(store):
    first = lease(store, [agent(project="task")], {})
    second = lease(store, [agent()], wanted(*first))
    third = lease(store, [agent("dev")], wanted(*second))
    fourth = lease(store, [agent(project="TASK")], wanted(*second))

    assert third == second
    assert env(fourth)["DATABASE"] == "task_web_dev"


def test_one_that_is_still_to_be_removed_keeps_what_it_has(store):
    first = lease(store, [agent(project="task")], {})
    leaving = {one.id: Wanted(agent=one, up=False, removed=True) for one in first}

    assert env(lease(store, [agent()], leaving))["DATABASE"] != "task_web_dev"


def test_a_port_that_a_file_gives_is_leased_to_nobody(store):
    first = lease(store, [agent()], {})
    port = int(env(first)["API_PORT"])
    other = replace(agent("server", project="Other"), plot=None, port=port)

    again = lease(store, [agent()], wanted(*first, other))

    assert int(env(again)["API_PORT"]) != port


def test_a_port_that_some_program_listens_on_is_leased_to_nobody_new(store):
    wish = Want(agent="Task/web/dev", ports=("API_PORT",))
    port = int(allot([wish], {})[wish.agent, "API_PORT"])
    with closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()

        first = lease(store, [agent()], {})

    assert int(env(first)["API_PORT"]) > port
    assert lease(store, [agent()], wanted(*first)) == first
