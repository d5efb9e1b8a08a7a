"""Looking and following: what is new, and what waits for whom."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from hive.cli import hot, monitor, output, remote, see
from hive.core.starting import UNMADE, UNPLACED
from hive.errors import TimedOut
from hive.screen_monitor import View


def agent(name: str, state: str = "ready", **changes: Any) -> dict[str, Any]:
    record = {
        "agent": f"web/{name}",
        "id": f"Task/web/{name}",
        "project": "Task",
        "team": "web",
        "state": state,
        "reason": "because",
        "since": "2026-11-21T10:05:00.000Z",
        "settled": state in {"ready", "failed", "stopped"},
        "wanted": "up",
        "pid": None if state in {"failed", "stopped", "backing-off"} else 42,
        "pane": None,
        "session": "Task-web",
        "window": name,
        "socket": "",
        "after": [],
        "restarts": 0,
        "cpu": 0.0,
        "memory": 0,
    }
    return record | changes


def status(*agents: dict[str, Any], held: bool = False) -> dict[str, Any]:
    team = {"project": "Task", "team": "web", "held": held, "reason": ""}
    who = {"pid": 1, "up_since": "2026-11-21T10:05:00.000Z"}
    return {
        "version": 1, "node": "box", "supervisor": who, "agents": list(agents), "teams": [team],
    }  # fmt: skip


def waiting(name: str, *after: str, **changes: Any) -> dict[str, Any]:
    needed = [f"Task/web/{one}" for one in after]
    return agent(name, "starting", pid=None, settled=False, after=needed, **changes)


@pytest.mark.parametrize(
    ("seen", "now", "fresh"),
    [
        pytest.param(["a", "b"], ["a", "b"], [], id="nothing"),
        pytest.param(["a", "b"], ["a", "b", "c"], ["c"], id="a line more"),
        pytest.param(["a", "b"], ["b", "c"], ["c"], id="scrolled by one"),
        pytest.param(["a", "b", "c"], ["b", "c", "d"], ["d"], id="scrolled, with more kept"),
        pytest.param(["a", "b"], ["a", "bc"], ["bc"], id="the last line grew"),
        pytest.param(["a", "b"], ["x", "y"], ["x", "y"], id="drawn anew"),
        pytest.param([], ["a"], ["a"], id="from nothing"),
        pytest.param(["a"], [], [], id="cleared"),
        pytest.param(["a"], ["a", "b"], ["b"], id="from one line"),
    ],
)
def test_news_is_what_was_not_there(seen, now, fresh):
    assert see.news(seen, now) == fresh


@pytest.mark.parametrize(
    ("record", "names"),
    [
        pytest.param(status(agent("a"), waiting("b", "a")), set(), id="what it waits for runs"),
        pytest.param(status(agent("a", "failed"), waiting("b", "a")), {"b"}, id="it failed"),
        pytest.param(status(agent("a", "stopped"), waiting("b", "a")), {"b"}, id="it is down"),
        pytest.param(
            status(agent("a", "waiting", settled=True), waiting("b", "a")),
            {"b"},
            id="it waits for a person",
        ),
        pytest.param(
            status(agent("a", "stopped", wanted="removed"), waiting("b", "a")),
            set(),
            id="it is being removed",
        ),
        pytest.param(
            status(agent("a", "failed"), waiting("b", "a"), waiting("c", "b")),
            {"b", "c"},
            id="at second hand",
        ),
        pytest.param(
            status(agent("a", "failed"), waiting("b", "a") | {"pid": 42}),
            set(),
            id="it was launched already",
        ),
        pytest.param(
            status(agent("a", "failed"), waiting("b", "a", wanted="down")), set(), id="wanted down"
        ),
        pytest.param(status(agent("a", "backing-off")), set(), id="backing off"),
        pytest.param(status(agent("a", "backing-off"), held=True), {"a"}, id="in a held team"),
        pytest.param(status(waiting("a", "b"), waiting("b", "a")), set(), id="a circle ends"),
    ],
)  # fmt: skip
def test_who_needs_a_person_to_come_up(record, names):
    assert remote.hopeless(record) == {f"Task/web/{name}" for name in names}


def test_settle_waits_until_all_are_there(supervisor):
    supervisor.answers["status"] = [
        status(agent("a", "starting"), agent("b")),
        status(agent("a"), agent("b", "starting")),
    ]
    looks = []

    records = remote.settle({"Task/web/a"}, 60, looks.append)

    assert [one["state"] for one in records] == ["ready"]
    assert [one["state"] for look in looks for one in look] == ["starting", "ready"]


def test_settle_does_not_wait_for_a_worktree_that_can_not_be_made(supervisor, monkeypatch):
    monkeypatch.setattr(remote, "AFRESH", -1.0)
    reason = f"{UNPLACED}{UNMADE}its setup failed"
    supervisor.answers["status"] = status(waiting("a", reason=reason), agent("b"))

    records = remote.settle({"Task/web/a", "Task/web/b"}, 60)

    assert [one["settled"] for one in records] == [False, True]


def test_settle_leaves_out_what_was_forgotten(supervisor):
    supervisor.answers["status"] = [
        status(agent("a", "stopping")),
        status(agent("b", "starting")),
    ]

    assert remote.settle({"Task/web/a"}, 60) == []


def test_settle_names_who_is_late_and_why(supervisor):
    supervisor.answers["status"] = status(agent("a", "starting", reason="still cold"), agent("b"))

    with pytest.raises(TimedOut, match="web/a  starting: still cold") as caught:
        remote.settle({"Task/web/a", "Task/web/b"}, 0.2)

    assert caught.value.fix == "hive why web/a"
    assert "web/b" not in str(caught.value)


def test_settle_names_also_who_failed_meanwhile(supervisor):
    failed = agent("b", "failed", reason="3 deaths")
    supervisor.answers["status"] = status(agent("a", "starting"), failed, waiting("c", "b"))

    with pytest.raises(TimedOut, match="goes on with 1 agent:\n    web/a  starting") as caught:
        remote.settle({"Task/web/a", "Task/web/b", "Task/web/c"}, 0.2)

    told = caught.value.what.partition("2 agents did not come up:")[2]
    assert "web/b  failed: 3 deaths" in told and "web/c  starting" in told


def test_settle_waits_for_a_silent_supervisor_no_longer_than_it_was_told(state, monkeypatch):
    monkeypatch.setattr(remote, "PATIENCE", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(state / "hive.sock"))
        silent.listen()
        began = time.monotonic()

        with pytest.raises(TimedOut):
            remote.settle({"Task/web/a"}, 0.2)

    assert time.monotonic() - began < remote.AWAY


def test_the_environment_that_agents_inherit_has_nothing_of_hives(monkeypatch):
    for name in ("HIVE_STATE", "HIVE_AGENT", "TMUX", "TMUX_PANE", "TMUX_TMPDIR", "MY_HIVE_X"):
        monkeypatch.setenv(name, "x")

    born = remote.born()

    assert {name for name in born if "HIVE" in name or "TMUX" in name} == {
        "MY_HIVE_X",
        "TMUX_TMPDIR",
    }


def test_an_event_is_one_line_in_a_pipe_however_long(supervisor, capsys):
    event = {"id": 1, "time": status()["supervisor"]["up_since"], "agent": "web/a"}
    told = {**event, "kind": "died", "text": "word " * 60 + "end"}
    supervisor.answers["events"] = {"version": 1, "events": [told, {**told, "id": 2}]}

    assert hot.run(["events"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.endswith("word end") for line in lines)


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_a_change_waits_for_those_named_and_prints_each_state(supervisor, capsys, verb):
    supervisor.answers[verb] = {"version": 1, "agents": ["web/a"]}
    there = agent("a", "stopped", wanted="down") if verb == "stop" else agent("a")
    supervisor.answers["status"] = [status(agent("a", "stopping")), status(there)]

    assert hot.run([verb, "web/a"]) == 0

    assert supervisor.asked[0] == (verb, {"names": ["web/a"]})
    assert capsys.readouterr().out.splitlines()[-1] == f"web/a  {there['state']}: because"


def test_a_change_on_a_terminal_leaves_a_line_on_the_screen(supervisor, capsys, monkeypatch):
    monkeypatch.setattr(output, "interactive", lambda: True)
    supervisor.answers["restart"] = {"version": 1, "agents": ["web/a"]}
    supervisor.answers["status"] = status(agent("a"))

    assert hot.run(["restart", "web/a"]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "web/a  ready: because"


@pytest.mark.parametrize("words", [["status"], ["monitor"]])
def test_a_pipe_gets_every_reason_whole(supervisor, capsys, words):
    reason = "word " * 60 + "end"
    supervisor.answers["status"] = status(agent("a", reason=reason))

    assert hot.run(words) == 0

    assert reason in capsys.readouterr().out


def test_a_change_need_not_be_waited_for(supervisor, capsys):
    supervisor.answers["stop"] = {"version": 1, "agents": ["web/a"]}

    assert hot.run(["stop", "web", "--no-wait"]) == 0

    assert capsys.readouterr().out == "stop: 1 agent under way\n"
    assert [verb for verb, _ in supervisor.asked] == ["stop"]


def test_a_start_that_fails_names_who_and_what_to_ask(supervisor, capsys):
    supervisor.answers["start"] = {"version": 1, "agents": ["web/a", "web/b"]}
    bad = agent("a", "failed", reason="3 deaths in 15m")
    supervisor.answers["status"] = status(bad, waiting("b", "a"), agent("c"))

    assert hot.run(["start", "web"]) == 1

    err = capsys.readouterr().err
    assert "2 agents of 3 did not come up" in err
    assert "web/a  failed: 3 deaths in 15m" in err and "web/b  starting: because" in err
    assert "next: hive why web/a" in err


def test_late_is_exit_code_4(supervisor, capsys):
    supervisor.answers["start"] = {"version": 1, "agents": ["web/a"]}
    supervisor.answers["status"] = status(agent("a", "starting"))

    assert hot.run(["start", "web", "--timeout", "200ms", "--json"]) == 4

    assert json.loads(capsys.readouterr().out)["error"]["code"] == 4


def test_nobody_to_ask_is_exit_code_3(state, capsys):
    assert hot.run(["stop", "web"]) == 3
    assert "next: `hive deploy` starts it" in capsys.readouterr().err


def test_attach_says_where_the_window_is(supervisor, capsys):
    place = {"socket": "", "session": "Task-web", "window": "@1", "pane": "%1"}
    supervisor.answers["attach"] = place

    assert hot.run(["attach", "web/a", "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == {"version": 1, **place}


def test_monitor_into_a_pipe_is_one_picture(supervisor, capsys):
    supervisor.answers["status"] = status(agent("a"))

    assert hot.run(["monitor"]) == 0

    out = capsys.readouterr().out
    assert "web/a" in out and "\x1b" not in out


def test_the_monitor_keeps_what_it_knows_while_nobody_answers(supervisor):
    known, events = status(agent("a")), [{"id": 1}]
    supervisor.answers["status"] = known
    supervisor.answers["events"] = {"version": 1, "events": events}
    assert monitor.look(None, []) == (known, events, "")

    supervisor.close()

    shown, _, notice = monitor.look(known, events)
    assert shown["supervisor"] is None
    assert notice == "the supervisor does not answer; trying again"


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("q", ["q"]),
        ("aj", ["a", "j"]),
        ("\x1b[Aq", ["\x1b[A", "q"]),
        ("\x1bOB", ["\x1bOB"]),
        ("\x1b", ["\x1b"]),
    ],
)
def test_keys_are_told_apart(typed, keys):
    assert monitor.KEY.findall(typed) == keys


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        pytest.param(View(offset=7), "a", View(everything=True), id="everything, from the top"),
        pytest.param(View(everything=True), "a", View(), id="and back"),
        pytest.param(View(), "j", View(offset=1), id="down"),
        pytest.param(View(), "\x1b[B", View(offset=1), id="down by an arrow"),
        pytest.param(View(), " ", View(offset=10), id="a page"),
        pytest.param(View(offset=1), "k", View(), id="up"),
        pytest.param(View(), "\x1b[A", View(), id="never above the top"),
        pytest.param(View(offset=3), "x", View(offset=3), id="another key"),
    ],
)
def test_a_key_turns_the_view(before, key, after):
    assert monitor.turned(before, key) == after
