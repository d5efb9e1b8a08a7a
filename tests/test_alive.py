"""Keeping agents alive, for real: what dies, hangs or is closed by hand, and what hive does."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.conftest import Corner, eventually

SLEEP = {"run": "exec sleep 600"}
ONE = "frontend/a"


def deployed(corner: Corner, **agent: object) -> dict:
    """A team of one agent `a`, running; gives its status."""
    corner.write({"frontend": {"a": {**SLEEP, **agent}}})
    corner.hive("deploy")
    return corner.agent(ONE)


def is_ready(corner: Corner, name: str = ONE) -> bool:
    return corner.agent(name)["state"] == "ready"


def back(corner: Corner, before: dict, name: str = ONE) -> bool:
    now = corner.agent(name)
    return now["state"] == "ready" and now["pid"] != before["pid"]


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)


def program(corner: Corner, words: str) -> list[int]:
    """The pids of this corner's processes whose command line is just these words."""
    return [pid for pid, command in corner.processes() if command == words]


def only(corner: Corner, words: str) -> int:
    """The pid of the one such process. Before it is that, it may be a shell for a moment."""
    (pid,) = eventually(lambda: program(corner, words))
    return pid


def events(corner: Corner, kind: str) -> list[str]:
    found = corner.json("events", "-n", "500")["events"]
    return [one["text"] for one in found if one["kind"] == kind]


def test_a_killed_agent_is_back_and_its_death_is_explained(corner: Corner):
    before = deployed(corner, run="echo some last words; exec sleep 600")

    kill(only(corner, "sleep 600"))

    eventually(lambda: back(corner, before))
    why = corner.hive("why", ONE)
    assert "killed by signal 9" in why and "some last words" in why
    record = corner.json("why", ONE)
    assert record["certificate"]["code"] == -9
    assert record["certificate"]["asked"] is False
    assert corner.agent(ONE)["restarts"] == 1


def test_a_killed_pane_root_is_seen_too(corner: Corner):
    before = deployed(corner)

    kill(before["pid"])

    eventually(lambda: back(corner, before))
    eventually(lambda: len(program(corner, "sleep 600")) == 1)


def test_exit_codes_are_on_the_certificate(corner: Corner):
    corner.write({"frontend": {"a": {"run": "sleep 1; exit 7", "restart": {"policy": "never"}}}})
    corner.run("deploy")

    eventually(lambda: corner.agent(ONE)["state"] == "stopped")

    assert corner.json("why", ONE)["certificate"]["code"] == 7
    assert "exit code 7" in corner.agent(ONE)["reason"]


def test_work_that_is_done_stays_done(corner: Corner):
    corner.write({"frontend": {"a": {"run": "true", "restart": {"policy": "on-failure"}}}})

    corner.hive("deploy")

    eventually(lambda: corner.agent(ONE)["state"] == "stopped")
    assert "exit code 0" in corner.agent(ONE)["reason"]
    assert corner.agent(ONE)["restarts"] == 0


def test_what_keeps_dying_is_quarantined_and_reset_lets_it_go(corner: Corner):
    restart = {"delay": "100ms", "longest": "200ms", "attempts": 3}
    corner.write({"frontend": {"a": {"run": "exit 3", "restart": restart}}})

    done = corner.run("deploy")

    assert done.returncode == 1, done.stdout + done.stderr
    eventually(lambda: corner.agent(ONE)["state"] == "failed")
    assert "3 deaths" in corner.agent(ONE)["reason"]
    assert corner.agent(ONE)["restarts"] == 2
    corner.write({"frontend": {"a": {**SLEEP, "restart": restart}}})
    corner.hive("deploy")
    assert is_ready(corner)
    assert corner.json("why", ONE)["budget"]["deaths"] == 0


def test_a_failing_alive_probe_restarts(corner: Corner):
    sick = corner.path / "sick"
    probe = {"exec": f"test ! -e {sick} || {{ echo feverish; exit 1; }}", "interval": "200ms"}
    before = deployed(corner, alive=probe)

    sick.touch()

    eventually(lambda: any("feverish" in text for text in events(corner, "stopping")))
    sick.unlink()
    eventually(lambda: back(corner, before))
    assert "alive probe" in corner.json("why", ONE)["certificate"]["cause"]


def test_a_killed_supervisor_is_back_and_adopts_every_agent(corner: Corner):
    corner.write({"frontend": {"a": {**SLEEP, "count": 5}}})
    corner.hive("deploy")
    before = {name: one["pid"] for name, one in corner.agents().items()}
    worker = corner.json("status")["supervisor"]["pid"]

    kill(worker)

    def adopted() -> bool:
        status = corner.json("status")
        return bool(status["supervisor"]) and status["supervisor"]["pid"] != worker

    eventually(adopted)
    assert {name: one["pid"] for name, one in corner.agents().items()} == before
    assert not events(corner, "restarted")
    assert not events(corner, "died")


def guards(corner: Corner) -> list[int]:
    return [pid for pid, command in corner.processes() if "hive.adapters.guard" in command]


def test_a_killed_guard_is_replaced(corner: Corner):
    before = deployed(corner)
    first = guards(corner)
    assert len(first) == 1

    kill(first[0])

    eventually(lambda: len(guards(corner)) == 1 and guards(corner) != first)
    eventually(lambda: corner.json("status")["supervisor"])
    assert corner.agent(ONE)["pid"] == before["pid"]
    kill(corner.json("status")["supervisor"]["pid"])
    eventually(lambda: corner.json("status")["supervisor"])


def test_with_guard_and_supervisor_killed_the_next_command_finds_all_again(corner: Corner):
    before = deployed(corner)
    worker = corner.json("status")["supervisor"]["pid"]

    kill(guards(corner)[0])
    kill(worker)

    eventually(lambda: not guards(corner) or corner.json("status")["supervisor"])
    corner.hive("deploy")
    assert corner.agent(ONE)["pid"] == before["pid"]


def test_a_second_supervisor_says_who_holds_the_lock(corner: Corner):
    deployed(corner)
    holder = corner.json("status")["supervisor"]["pid"]

    second = corner.run("supervise", "--worker")

    assert second.returncode != 0
    assert str(holder) in second.stdout + second.stderr
    assert is_ready(corner)


def test_a_killed_tmux_server_is_back_with_all_agents_and_nothing_counts(corner: Corner):
    stubborn = {"run": "trap '' HUP; setsid sleep 611 & exec sleep 600"}
    corner.write({"frontend": {"a": SLEEP, "b": stubborn}, "backend": {"a": SLEEP}})
    corner.hive("deploy")
    before = {name: one["pid"] for name, one in corner.agents().items()}

    kill(int(corner.tmux("display-message", "-p", "#{pid}")))

    def all_back() -> bool:
        now = corner.agents()
        return all(one["state"] == "ready" and one["pid"] != before[n] for n, one in now.items())

    eventually(all_back)
    assert all(one["restarts"] == 0 for one in corner.agents().values())
    assert not events(corner, "died")
    eventually(lambda: len(program(corner, "sleep 611")) == 1)
    eventually(lambda: len(program(corner, "sleep 600")) == 3)


def test_a_window_closed_by_hand_stays_closed_until_started(corner: Corner):
    corner.write({"frontend": {"a": SLEEP, "b": SLEEP}})
    corner.hive("deploy")
    pane = corner.agent(ONE)["pane"]

    corner.tmux("kill-window", "-t", pane)

    eventually(lambda: corner.agent(ONE)["state"] == "stopped")
    assert "closed by hand" in corner.agent(ONE)["reason"]
    assert is_ready(corner, "frontend/b")
    corner.hive("start", ONE)
    assert is_ready(corner)


def test_renames_moves_and_joins_by_hand_change_nothing(corner: Corner):
    corner.write({"frontend": {"a": SLEEP, "b": SLEEP}})
    corner.hive("deploy")
    before = {name: one["pid"] for name, one in corner.agents().items()}
    a, b = corner.agent(ONE)["pane"], corner.agent("frontend/b")["pane"]

    corner.tmux("rename-window", "-t", a, "elsewhere")
    corner.tmux("rename-session", "-t", "Task-frontend", "mine")
    corner.tmux("new-session", "-d", "-s", "other", "sleep 300")
    corner.tmux("join-pane", "-s", b, "-t", a)
    corner.tmux("break-pane", "-d", "-s", b, "-t", "other:")

    said = corner.hive("deploy")
    assert "nothing to do" in said
    assert {name: one["pid"] for name, one in corner.agents().items()} == before
    corner.hive("stop", "frontend")
    eventually(lambda: not program(corner, "sleep 600"))


def test_a_respawn_by_hand_is_taken_as_it_is(corner: Corner):
    before = deployed(corner)

    corner.tmux("respawn-pane", "-k", "-t", before["pane"])

    eventually(lambda: back(corner, before))
    assert corner.agent(ONE)["pane"] == before["pane"]
    eventually(lambda: len(program(corner, "sleep 600")) == 1)


def test_a_hung_tmux_server_is_waited_for_and_nothing_is_concluded(corner: Corner):
    before = deployed(corner)
    server = int(corner.tmux("display-message", "-p", "#{pid}"))
    kill(server, signal.SIGSTOP)
    try:
        eventually(lambda: "could not look" in corner.agent(ONE)["reason"], timeout=60)
        assert corner.agent(ONE)["pid"] == before["pid"]
    finally:
        kill(server, signal.SIGCONT)

    eventually(lambda: is_ready(corner) and "could not" not in corner.agent(ONE)["reason"])
    assert corner.agent(ONE)["pid"] == before["pid"]
    assert not events(corner, "died")


def test_a_hostile_tmux_configuration_changes_nothing(corner: Corner):
    (corner.home / ".tmux.conf").write_text(
        "set -g destroy-unattached on\n"
        "set -g renumber-windows on\n"
        "set -g base-index 3\n"
        "set -g pane-base-index 5\n"
        "set -g remain-on-exit off\n"
        "set -g automatic-rename on\n"
        "set-hook -g after-new-window 'rename-window hooked'\n"
        "set -g default-command 'sleep 1'\n"
    )
    corner.write({"frontend": {"a": SLEEP, "b": {"run": "exec sleep 601"}}})

    corner.hive("deploy")
    before = corner.agent(ONE)
    kill(only(corner, "sleep 600"))

    eventually(lambda: corner.agent(ONE)["restarts"])
    eventually(lambda: is_ready(corner) and is_ready(corner, "frontend/b"))
    assert corner.agent(ONE)["session"] == before["session"] == "Task-frontend"


def test_a_stale_socket_file_is_no_obstacle(corner: Corner):
    corner.state.mkdir(mode=0o700, exist_ok=True)
    command = (
        f"import socket; socket.socket(socket.AF_UNIX).bind({str(corner.state / 'hive.sock')!r})"
    )
    subprocess.run(["python3", "-c", command], check=True)

    assert deployed(corner)["state"] == "ready"


def test_a_deleted_socket_file_comes_back(corner: Corner):
    deployed(corner)
    sock: Path = corner.state / "hive.sock"

    sock.unlink()

    eventually(sock.exists)
    eventually(lambda: corner.json("status")["supervisor"])


def test_a_team_that_restarts_too_often_is_held_until_a_person_starts_it(corner: Corner):
    restart = {"delay": "50ms", "longest": "50ms", "attempts": 100}
    flaky = {"run": "sleep 0.05; exit 1", "restart": restart}
    corner.write({"frontend": {"a": flaky, "b": SLEEP}})
    corner.run("deploy", "--no-wait")

    eventually(lambda: "held" in corner.agent(ONE)["reason"], timeout=60)

    assert is_ready(corner, "frontend/b")
    assert "held" in corner.hive("why", ONE)
    corner.write({"frontend": {"a": SLEEP, "b": SLEEP}})
    corner.hive("deploy")
    assert is_ready(corner)
