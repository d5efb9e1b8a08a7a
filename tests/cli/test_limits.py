"""`hive limits`: what is asked for, what is sent, what is refused, what is printed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from hive import accounts
from hive.adapters.ledger import Ledger
from hive.adapters.store import Store
from hive.cli import app, hot
from hive.cli.limits import changes_of, kept
from hive.core.accounting import Sample
from hive.core.limits import VARIABLE, Limits, Total
from hive.core.spec import Agent
from hive.core.world import Wanted
from hive.errors import WrongInput

AGENT = Agent(
    project="Task",
    team="frontend",
    name="dev-1",
    role="dev",
    session="Task-frontend",
    window="Frontend-Dev",
    argv=("sleep", "600"),
    directory="/",
    limits=Limits(cpu=0.5),
)
SET = accounts.limits_set(agents=[AGENT])
SHARED = accounts.limits_set(total=Total(agents=20))
NOTHING = accounts.limits(
    node="box",
    vitals=None,
    total=Total(),
    means=("portable", ""),
    strain=(0, "", "", 0.0),
    agents=[],
)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        pytest.param(["limits"], ["limits"], id="alone"),
        pytest.param(["limits", "frontend"], ["limits", "frontend"], id="a name"),
        pytest.param(["limits", "set", "a"], ["limits set", "a"], id="set"),
        pytest.param(["limits", "advise"], ["limits advise"], id="advise"),
        pytest.param(["limits", "--json", "advise"], ["limits advise", "--json"], id="an option"),
        pytest.param(["limits", "--", "set"], ["limits", "--", "set"], id="a team called set"),
        pytest.param(["limits", "set/a"], ["limits", "set/a"], id="an agent of a team set"),
        pytest.param(["limits", "a", "set"], ["limits", "a", "set"], id="set is the second name"),
        pytest.param(["limits", "set", "set"], ["limits set", "set"], id="set of the team set"),
        pytest.param(["stop", "limits", "set"], ["stop", "limits", "set"], id="another verb"),
    ],
)
def test_two_words_are_one_command_where_there_is_such_a_one(words, command):
    assert app.joined(words) == command


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        pytest.param({"--cpu": "50%"}, {"cpu": 0.5}, id="cpu in percent of a core"),
        pytest.param({"--cpu": "1.5"}, {"cpu": 1.5}, id="cpu in cores"),
        pytest.param({"--cpu": "none"}, {"cpu": None}, id="no limit"),
        pytest.param({"--memory": "512MB"}, {"memory": 512 << 20}, id="memory"),
        pytest.param({"--memory-soft": "80%"}, {"soft": {"share": 0.8}}, id="a soft share"),
        pytest.param({"--memory-soft": "1GB"}, {"soft": 1 << 30}, id="a soft size"),
        pytest.param({"--memory-soft": "none"}, {"soft": None}, id="no soft limit"),
        pytest.param({"--max-age": "12h"}, {"max_age": 43_200.0}, id="an age"),
        pytest.param({"--processes": "200"}, {"processes": 200}, id="processes"),
        pytest.param(
            {"--cpu": "1", "--memory": "none"}, {"cpu": 1.0, "memory": None}, id="several"
        ),
    ],
)
def test_an_agents_own_limits_are_read(given, changes):
    assert changes_of(given, shared=False) == changes


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        pytest.param(
            {"--cpu": "60%"}, {"cpu": {"amount": 0.6, "of_machine": True}}, id="cpu of the machine"
        ),
        pytest.param(
            {"--cpu": "1.5"}, {"cpu": {"amount": 1.5, "of_machine": False}}, id="cpu in cores"
        ),
        pytest.param(
            {"--memory": "75%"}, {"memory": {"amount": 0.75, "of_machine": True}}, id="memory"
        ),
        pytest.param({"--agents": "20"}, {"agents": 20}, id="agents"),
        pytest.param({"--agents": "none"}, {"agents": None}, id="any number of agents"),
        pytest.param(
            {"--reserve": "2GB"},
            {"reserve": {"amount": 2 << 30, "of_machine": False}},
            id="a reserve",
        ),
        pytest.param({"--reserve": "none"}, {"reserve": None}, id="the usual reserve"),
    ],
)
def test_what_all_share_is_read(given, changes):
    assert changes_of(given, shared=True) == changes


@pytest.mark.parametrize(
    ("given", "shared", "what"),
    [
        pytest.param({}, False, "no limit is given", id="nothing"),
        pytest.param({"--cpu": "fast"}, False, "`--cpu` must be", id="a word"),
        pytest.param({"--cpu": "inf"}, False, "`--cpu` must be", id="without end"),
        pytest.param({"--cpu": "-1"}, False, "`--cpu` must be", id="below zero"),
        pytest.param({"--memory": "512"}, False, "`--memory` needs a unit", id="no unit"),
        pytest.param({"--memory": "75%"}, False, "`--memory` must be", id="a share of nothing"),
        pytest.param({"--memory-soft": "120%"}, False, "`--memory-soft` must", id="above it"),
        pytest.param({"--max-age": "12"}, False, "`--max-age` must be", id="an age of nothing"),
        pytest.param({"--max-age": "0s"}, False, "`--max-age` must be", id="no age"),
        pytest.param({"--processes": "0"}, False, "`--processes` must be", id="no process"),
        pytest.param({"--processes": "none"}, False, "`--processes` must be", id="any number"),
        pytest.param({"--processes": "9" * 40}, False, "`--processes` must be", id="too many"),
        pytest.param({"--cpu": "120%"}, True, "`--cpu` must be", id="more than the machine"),
        pytest.param({"--agents": "1.5"}, True, "`--agents` must be", id="half an agent"),
        pytest.param({"--agents": "3"}, False, "`--agents` is what all", id="of one agent"),
        pytest.param({"--max-age": "3h"}, True, "`--max-age` is an agent's", id="of all"),
    ],
)
def test_what_is_wrong_is_told_with_its_option_and_an_example(given, shared, what):
    with pytest.raises(WrongInput) as caught:
        changes_of(given, shared=shared)

    assert what in caught.value.what
    assert "--" in caught.value.fix


@pytest.mark.parametrize(
    ("ids", "given", "lines"),
    [
        pytest.param(
            ["Task/frontend/dev"],
            {"--cpu": "50%", "--memory-soft": "80%", "--processes": "200"},
            ["[teams.frontend.agents.dev]",
             'cpu = "50%"', 'memory_soft = "80%"', "processes = 200"],
            id="an agent",
        ),
        pytest.param(
            ["Task/frontend/dev-1", "Task/frontend/dev-2"],
            {"--cpu": "1.5"},
            ["[teams.frontend.agents.dev]", "cpu = 1.5"],
            id="a pool, once",
        ),
        pytest.param(
            ["Task/a/b", "Task/a/c"],
            {"--memory": "none"},
            ["[teams.a.agents.b]", "# leave `memory` out, here and in [defaults]",
             "[teams.a.agents.c]", "# leave `memory` out, here and in [defaults]"],
            id="no limit is no key",
        ),
        pytest.param([], {"--agents": "20"}, ["[limits]", "agents = 20"], id="what all share"),
    ],
)  # fmt: skip
def test_the_lines_that_keep_it_are_those_of_the_file(ids, given, lines):
    assert kept([{"id": one} for one in ids], given) == lines


def test_limits_are_asked_for_by_name(supervisor, capsys):
    supervisor.answers["limits"] = NOTHING

    assert hot.run(["limits", "frontend", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == NOTHING
    assert hot.run(["limits", "--", "set"]) == 0
    assert [args for _, args in supervisor.asked] == [{"names": ["frontend"]}, {"names": ["set"]}]


def test_advice_comes_from_what_was_written_down_while_a_supervisor_runs(supervisor, state, capsys):
    wanted = Wanted(agent=AGENT, up=True, generation=1, why="test")
    now = int(time.time())
    used = {"span": 60.0, "cpu": 0.2, "memory": 1 << 26, "processes": 2}
    with Store.open(state / "hive.db") as store:
        store.want({AGENT.id: wanted})
    with Ledger(state / "usage.db") as ledger:
        ledger.add([Sample(agent=AGENT.id, at=now - one * 60, **used) for one in range(20)])

    assert hot.run(["limits", "advise", "frontend", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["agents"]
    assert hot.run(["limits", "advise"]) == 0
    shown = capsys.readouterr().out

    assert (one["agent"], one["seen_for"]) == ("frontend/dev-1", 1200)
    assert "seen for 20m" in shown
    assert "[teams.frontend.agents.dev]" in shown
    assert supervisor.asked == []


def test_an_older_supervisor_is_named_with_what_replaces_it(supervisor, capsys):
    supervisor.unknown = "hive has no verb `limits`"
    supervisor.answers["ping"] = {"pid": 4242}

    assert hot.run(["limits"]) == 1

    told = capsys.readouterr().err
    assert "an older hive, and can't do it: pid 4242" in told
    assert "kill 4242; hive deploy" in told


def test_a_means_that_there_is_not_starts_no_supervisor(state, capsys, monkeypatch):
    (state.parent / "hive.toml").write_text('project = "A"\n[teams.a.agents]\nb = "true"\n')
    monkeypatch.setenv(VARIABLE, "magic")

    assert hot.run(["deploy"]) == 2

    assert "`magic` is no means to hold limits" in capsys.readouterr().err
    assert not (state / "supervisor.log").exists()


def sent(supervisor: Any) -> list[dict[str, Any]]:
    return [args for verb, args in supervisor.asked if verb == "set_limits"]


def test_limits_are_set_and_the_lines_that_keep_them_are_told(supervisor, capsys):
    supervisor.answers["set_limits"] = SET

    assert hot.run(["limits", "set", "frontend/dev-1", "--cpu", "50%", "--max-age", "none"]) == 0

    assert sent(supervisor) == [
        {"names": ["frontend/dev-1"], "changes": {"cpu": 0.5, "max_age": None}}
    ]
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "so it is until the next `hive deploy`; to keep it, write into hive.toml:" in lines
    assert lines[-3:] == [
        "[teams.frontend.agents.dev]",
        'cpu = "50%"',
        "# leave `max_age` out, here and in [defaults]",
    ]


def test_what_all_share_is_set_without_a_name(supervisor, capsys):
    supervisor.answers["set_limits"] = SHARED

    assert hot.run(["limits", "set", "--agents", "20", "--json"]) == 0

    assert sent(supervisor) == [{"names": [], "changes": {"agents": 20}}]
    assert json.loads(capsys.readouterr().out)["keep"] == ["[limits]", "agents = 20"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        pytest.param(["a"], "nothing is to be changed", id="no option"),
        pytest.param(["a", "--cpu", "much"], "`--cpu` must be", id="a bad value"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(supervisor, capsys, words, what):
    assert hot.run(["limits", "set", *words]) == 2

    assert what in capsys.readouterr().err
    assert supervisor.asked == []


def test_to_set_limits_needs_a_supervisor(state, capsys):
    assert hot.run(["limits", "set", "a", "--cpu", "1"]) == 3
    assert "no supervisor answers" in capsys.readouterr().err


def test_without_a_supervisor_limits_are_told_from_the_store(state, capsys):
    assert hot.run(["limits", "--json"]) == 0

    record = json.loads(capsys.readouterr().out)
    assert record["agents"] == []
    assert record["machine"] is None
