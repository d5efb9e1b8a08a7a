"""What works when things are broken, typed as a person would: the whole tool, broken for real."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.conftest import Corner, Found, end, eventually

SLEEP = {"run": "exec sleep 600"}
ONE = "frontend/a"


def deploy(corner: Corner, run: str = SLEEP["run"], **keys: object) -> None:
    corner.write({"frontend": {"a": {"run": run, **keys}, "b": SLEEP}})
    corner.hive("deploy")


def supervisors(corner: Corner) -> Found:
    """Find guard and worker, guards first. Each takes the other's place: `end` ends both."""
    words = ("hive.adapters.guard", "supervise --worker")
    found = [one for one in corner.processes() if any(word in one[1] for word in words)]
    return sorted(found, key=lambda one: words[0] not in one[1])


def sleeps(corner: Corner) -> list[str]:
    return [line for _pid, line in corner.processes() if line.startswith("sleep 6")]


def polite(corner: Corner) -> str:
    """Give a program that says in the files `up` and `told` that it can be, and was, asked."""
    up, told = corner.path / "up", corner.path / "told"
    return f"trap 'touch {told}; exit 0' TERM; touch {up}; while :; do sleep 0.1; done"


def test_stop_all_where_nothing_runs_says_so_and_starts_nothing(corner: Corner):
    said = corner.hive("stop-all")

    assert "nothing runs" in said
    assert "processes left: none" in said
    assert not corner.state.exists()


def test_stop_all_is_told_as_json(corner: Corner):
    deploy(corner)

    record = corner.json("stop-all")

    assert record["version"] == 1
    assert record["stopped"] == ["frontend/a", "frontend/b"]
    assert record["forced"] == []
    assert record["left"] == {"processes": [], "panes": [], "sockets": []}
    assert corner.json("stop-all")["stopped"] == []


def test_stop_all_without_a_supervisor_still_ends_agents_gracefully(corner: Corner):
    deploy(corner, polite(corner))
    eventually((corner.path / "up").exists)
    end(lambda: supervisors(corner))

    said = corner.hive("stop-all")

    assert "processes left: none" in said
    assert (corner.path / "told").exists()
    assert {one["state"] for one in corner.agents().values()} == {"stopped"}
    eventually(lambda: not corner.processes())


@pytest.mark.parametrize("hung", ["worker", "both"])
def test_stop_all_with_a_supervisor_that_hangs_ends_it_and_everything(corner: Corner, hung: str):
    deploy(corner)
    found = supervisors(corner)
    for pid, _ in found[-1:] if hung == "worker" else found:
        os.kill(pid, signal.SIGSTOP)

    timeout = {"worker": "30s", "both": "1s"}[hung]
    said = corner.run("stop-all", "--timeout", timeout, timeout=150)

    assert said.returncode == 0, said.stdout + said.stderr
    assert "processes left: none" in said.stdout
    eventually(lambda: not corner.processes())
    assert {one["wanted"] for one in corner.agents().values()} == {"down"}


def test_stop_all_ends_by_force_what_takes_longer_than_it_may(corner: Corner):
    up = corner.path / "up"
    deaf = f"trap '' TERM; touch {up}; while :; do sleep 0.1; done"
    corner.write({"frontend": {"a": {"run": deaf, "stop": {"grace": "10m"}}}})
    corner.hive("deploy")
    eventually(up.exists)

    record = corner.json("stop-all", "--timeout", "2s")

    assert record["stopped"] == record["forced"] == ["frontend/a"]
    assert record["left"] == {"processes": [], "panes": [], "sockets": []}
    assert {one["state"] for one in corner.agents().values()} == {"stopped"}
    eventually(lambda: not corner.processes())


def test_stop_all_with_a_damaged_store_ends_everything_by_force(corner: Corner):
    deploy(corner)
    end(lambda: supervisors(corner))
    for path in corner.state.glob("hive.db*"):
        path.write_bytes(b"not a database at all " * 400)

    said = corner.run("stop-all", timeout=150)

    assert "ended by force what ran" in said.stdout, said.stdout + said.stderr
    assert "processes left: none" in said.stdout
    assert "panes left: none" in said.stdout
    eventually(lambda: not corner.processes())


def test_what_stop_all_ended_stays_down_until_it_is_deployed_again(corner: Corner):
    deploy(corner)
    corner.hive("stop-all")

    corner.write({"frontend": {"a": SLEEP, "b": SLEEP}, "backend": {"a": SLEEP}})
    corner.hive("deploy", "--team", "backend")
    before = {name: one["state"] for name, one in corner.agents().items()}
    corner.hive("deploy")

    assert before == {"frontend/a": "stopped", "frontend/b": "stopped", "backend/a": "ready"}
    assert {one["state"] for one in corner.agents().values()} == {"ready"}


def test_reset_works_without_a_supervisor(corner: Corner):
    deploy(corner)
    corner.hive("stop-all")

    assert "reset 2 agents" in corner.hive("reset")
    assert corner.json("reset", ONE)["agents"] == [ONE]
    assert not corner.processes()


def test_reset_hard_is_refused_while_a_supervisor_runs(corner: Corner):
    deploy(corner)

    said = corner.hive("reset", "--hard", "--yes", code=1)

    assert "hive stop-all" in said
    assert set(corner.agents()) == {"frontend/a", "frontend/b"}


def test_the_doctor_finds_nothing_wrong_while_all_is_well(corner: Corner):
    deploy(corner)

    record = corner.json("doctor")

    assert [one for one in record["findings"] if one["ok"] is False] == []
    assert record["ok"] is True
    assert "all is well" in corner.hive("doctor")


def test_the_doctor_tells_what_to_do_and_fails(corner: Corner):
    deploy(corner)
    end(lambda: supervisors(corner))

    said = corner.hive("doctor", code=1)

    assert "without a supervisor" in said
    assert "next: hive deploy" in said
    corner.hive("deploy")
    eventually(lambda: corner.run("doctor").returncode == 0)


def test_emergency_cleanup_writes_down_that_all_is_down(corner: Corner):
    deploy(corner)

    record = corner.json("emergency-cleanup")

    assert record["left"] == {"processes": [], "panes": [], "sockets": []}
    assert record["did"]
    agents = corner.agents()
    assert {one["state"] for one in agents.values()} == {"stopped"}
    assert {one["wanted"] for one in agents.values()} == {"down"}
    assert "emergency-cleanup" in corner.json("why", ONE)["certificate"]["cause"]
    corner.hive("deploy")
    assert {one["state"] for one in corner.agents().values()} == {"ready"}


@pytest.mark.parametrize("verb", ["stop-all", "emergency-cleanup"])
def test_typed_in_an_agents_own_window_it_ends_that_one_last(corner: Corner, verb: str):
    go = corner.path / "go"
    wait = f"while [ ! -e {go} ]; do sleep 0.1; done"
    deploy(corner, f"{wait}; python -m hive {verb} > {corner.path}/said 2>&1; sleep 601")

    go.touch()

    eventually(lambda: not corner.processes(), timeout=90)
    said = (corner.path / "said").read_text()
    assert "processes left: none" in said
    assert f"and now `Task/{ONE}`, which runs this" in said
    assert {one["state"] for one in corner.agents().values()} == {"stopped"}
    assert not corner.tmux("list-sessions")


def test_supervise_runs_in_the_foreground_until_it_is_asked_to_end(corner: Corner):
    deploy(corner)
    end(lambda: supervisors(corner))
    here = corner.start("supervise")
    eventually(lambda: corner.json("status")["supervisor"])

    refused = corner.run("supervise")
    here.send_signal(signal.SIGTERM)
    said, _ = here.communicate(timeout=60)

    assert refused.returncode == 1
    assert "another supervisor" in refused.stderr
    assert here.returncode == 0, said
    eventually(lambda: not supervisors(corner))
    assert len(sleeps(corner)) == 2


def test_a_program_of_the_users_with_hives_variables_is_never_ended(corner: Corner):
    deploy(corner)
    mine = subprocess.Popen(["sleep", "501"], env=corner.env)
    try:
        corner.hive("emergency-cleanup")
        corner.hive("deploy")
        corner.hive("stop-all")

        assert mine.poll() is None
    finally:
        mine.kill()
        mine.wait()
