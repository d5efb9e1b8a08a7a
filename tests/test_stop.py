"""Stopping and cleaning up, for real: nothing is left behind, and nothing foreign is touched."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.conftest import Corner, eventually

SLEEP = {"run": "exec sleep 600"}
ONE = "frontend/a"

TREE = (
    "sleep 621 & (sleep 622 & sleep 623) & setsid sleep 624 & nohup sleep 625 >/dev/null 2>&1 & "
    "setsid sh -c 'sleep 626 & disown 2>/dev/null; sleep 627' & exec sleep 628"
)
"""One that leaves its session, one that ignores HUP, some that lose their parent."""

LEAVES = [f"sleep {number}" for number in range(621, 629)]


def sleeps(corner: Corner) -> list[str]:
    return sorted(command for _pid, command in corner.processes() if command.startswith("sleep "))


def test_stop_is_graceful_and_leaves_nothing_of_the_tree(corner: Corner):
    corner.write({"frontend": {"a": {"run": TREE}, "b": SLEEP}})
    corner.hive("deploy")
    eventually(lambda: sleeps(corner) == ["sleep 600", *LEAVES])

    corner.hive("stop", ONE)

    assert corner.agent(ONE)["state"] == "stopped"
    eventually(lambda: sleeps(corner) == ["sleep 600"])
    assert corner.agent("frontend/b")["state"] == "ready"


def test_the_agent_gets_its_signal_and_the_time_to_obey(corner: Corner):
    told, up = corner.path / "told", corner.path / "up"
    trap = f"trap 'echo tidied > {told}; exit 0' USR1"
    polite = f"{trap}; touch {up}; while :; do sleep 0.1; done"
    stop = {"signal": "USR1", "grace": "60s"}
    corner.write({"frontend": {"a": {"run": polite, "stop": stop}}})
    corner.hive("deploy")
    eventually(up.exists)

    corner.hive("stop", ONE)

    assert told.read_text() == "tidied\n"


def test_stop_keys_are_typed_into_the_window(corner: Corner):
    reader = "stty -echo; read -r line; exit 0"
    stop = {"keys": ["bye", "Enter"], "grace": "60s"}
    corner.write({"frontend": {"a": {"run": reader, "stop": stop}}})
    corner.hive("deploy")

    corner.hive("stop", ONE)

    assert corner.json("why", ONE)["certificate"]["code"] == 0


def test_what_ignores_the_signal_is_ended_when_its_grace_is_over(corner: Corner):
    up = corner.path / "up"
    deaf = f"trap '' TERM INT HUP; touch {up}; while :; do sleep 0.2; done"
    corner.write({"frontend": {"a": {"run": deaf, "stop": {"grace": "1s"}}}})
    corner.hive("deploy")
    eventually(up.exists)

    corner.hive("stop", ONE)

    assert corner.agent(ONE)["state"] == "stopped"
    eventually(lambda: not [line for _pid, line in corner.processes() if "trap" in line])


def test_a_stopped_process_is_woken_to_end(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    ours = lambda: [pid for pid, command in corner.processes() if command == "sleep 600"]
    (pid,) = eventually(ours)  # until then it is a shell
    os.kill(pid, signal.SIGSTOP)

    corner.hive("stop", ONE)

    eventually(lambda: not sleeps(corner))


def test_stop_of_a_team_then_start_brings_it_back(corner: Corner):
    corner.write({"frontend": {"a": SLEEP, "b": SLEEP}, "backend": {"a": SLEEP}})
    corner.hive("deploy")

    corner.hive("stop", "frontend")
    stopped = {name: one["state"] for name, one in corner.agents().items()}
    corner.hive("start", "frontend")

    assert stopped == {"frontend/a": "stopped", "frontend/b": "stopped", "backend/a": "ready"}
    assert {one["state"] for one in corner.agents().values()} == {"ready"}


def test_restart_waits_for_nothing(corner: Corner):
    restart = {"delay": "10m", "longest": "10m"}
    corner.write({"frontend": {"a": {**SLEEP, "restart": restart}}})
    corner.hive("deploy")
    first = corner.agent(ONE)["pid"]
    for _ in range(2):
        before = corner.agent(ONE)["pid"]
        corner.hive("restart", ONE)
        assert corner.agent(ONE)["pid"] != before

    assert corner.agent(ONE)["state"] == "ready"
    assert corner.agent(ONE)["restarts"] == 0
    assert first


def test_stop_all_leaves_no_process_pane_or_socket_and_says_so(corner: Corner):
    corner.write({"frontend": {"a": {"run": TREE}, "b": SLEEP}, "backend": {"a": SLEEP}})
    corner.hive("deploy")

    said = corner.hive("stop-all")

    assert "processes left: none" in said
    assert "panes left: none" in said
    assert "sockets left: none" in said
    eventually(lambda: not corner.processes())
    assert not (corner.state / "hive.sock").exists()


def test_stop_all_from_inside_an_agent_ends_that_agent_too(corner: Corner):
    go, said = corner.path / "go", corner.path / "said"
    wait = f"while [ ! -e {go} ]; do sleep 0.1; done"
    inner = f"({wait}; setsid python -m hive stop-all > {said} 2>&1) & exec sleep 600"
    corner.write({"frontend": {"a": {"run": inner}, "b": SLEEP}})
    corner.hive("deploy")

    go.touch()

    eventually(lambda: not corner.processes(), timeout=90)
    assert "processes left: none" in said.read_text()


@pytest.mark.parametrize("victim", ["worker", "guard", "both"])
def test_stop_all_is_complete_whatever_is_killed_meanwhile(corner: Corner, victim: str):
    up, go = corner.path / "up", corner.path / "go"
    tidy = f"trap 'while [ ! -e {go} ]; do sleep 0.1; done; exit 0' TERM"
    slow = {"run": f"{tidy}; touch {up}; while :; do sleep 0.1; done", "stop": {"grace": "90s"}}
    corner.write({"frontend": {"a": slow, "b": SLEEP}})
    corner.hive("deploy")
    eventually(up.exists)
    guards = [pid for pid, line in corner.processes() if "hive.adapters.guard" in line]
    worker = corner.json("status")["supervisor"]["pid"]
    stopping = corner.start("stop-all")
    eventually(lambda: corner.agent(ONE)["state"] == "stopping")

    for pid in {"worker": [worker], "guard": guards, "both": [*guards, worker]}[victim]:
        os.kill(pid, signal.SIGKILL)
    go.touch()

    said, _ = stopping.communicate(timeout=90)
    assert stopping.returncode == 0, said
    assert "processes left: none" in said
    eventually(lambda: not corner.processes())


def test_reset_forgets_budgets_and_keeps_history(corner: Corner):
    restart = {"delay": "50ms", "longest": "50ms", "attempts": 2}
    corner.write({"frontend": {"a": {"run": "exit 3", "restart": restart}}})
    corner.run("deploy")
    eventually(lambda: corner.agent(ONE)["state"] == "failed")
    died = len(corner.json("events", "-n", "500")["events"])

    corner.hive("reset")

    eventually(lambda: corner.json("why", ONE)["certificate"] is not None)
    assert len(corner.json("events", "-n", "500")["events"]) >= died
    eventually(lambda: len(corner.json("why", ONE)["events"]) > 0)


def test_reset_hard_backs_the_store_up_and_starts_afresh(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    corner.hive("stop-all")
    assert corner.agents()

    said = corner.hive("reset", "--hard", "--yes")

    assert "backup" in said
    assert not corner.agents()
    assert [path for path in corner.state.iterdir() if "backup" in path.name]


def test_reset_hard_asks_first(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    corner.hive("stop-all")

    corner.hive("reset", "--hard", code=2)

    assert corner.agents()


def hang_supervisor(corner: Corner) -> None:
    os.kill(corner.json("status")["supervisor"]["pid"], signal.SIGSTOP)


def hang_tmux(corner: Corner) -> None:
    os.kill(int(corner.tmux("display-message", "-p", "#{pid}")), signal.SIGSTOP)


def break_store(corner: Corner) -> None:
    for path in corner.state.glob("hive.db*"):
        path.write_bytes(b"not a database at all " * 400)


@pytest.mark.parametrize("trouble", [hang_supervisor, hang_tmux, break_store])
def test_emergency_cleanup_ends_all_of_ours_and_nothing_else(corner: Corner, trouble):
    corner.write({"frontend": {"a": {"run": TREE}, "b": SLEEP}})
    corner.hive("deploy")
    corner.tmux("new-session", "-d", "-s", "mine", "sleep 500")
    server = int(corner.tmux("display-message", "-p", "#{pid}"))
    foreign = subprocess.Popen(["sleep", "501"], env=corner.env)
    try:
        trouble(corner)

        said = corner.run("emergency-cleanup", timeout=120)

        os.kill(server, signal.SIGCONT)
        assert said.returncode == 0, said.stdout + said.stderr
        eventually(lambda: sleeps(corner) == ["sleep 500", "sleep 501"])
        assert "mine" in corner.tmux("list-sessions", "-F", "#S").split()
        assert not [line for _pid, line in corner.processes() if "-m hive" in line]
        corner.hive("deploy")
        assert corner.agent("frontend/b")["state"] == "ready"
    finally:
        foreign.kill()
        foreign.wait()
