"""What people and programs see, for real: status, why, logs, events, the monitor, completion."""

from __future__ import annotations

import json
import shlex
import signal
import sys

import pytest

from tests.conftest import Corner, eventually

SLEEP = {"run": "exec sleep 600"}
ONE = "frontend/a"
HIVE = shlex.join([sys.executable, "-m", "hive"])


def terminal(corner: Corner, name: str, width: int, height: int, shell: str = "sh") -> None:
    """Open a terminal of a person's, as large as this, on the corner's tmux server."""
    size = ("-x", str(width), "-y", str(height))
    kept = ("HIVE_STATE", "PATH", "NO_COLOR")
    given = [word for name in kept for word in ("-e", f"{name}={corner.env[name]}")]
    corner.tmux("new-session", "-d", "-s", name, *size, *given, shell)


def test_before_anything_was_deployed_nothing_is_there_and_nothing_fails(corner: Corner):
    status = corner.json("status")

    assert status["supervisor"] is None and status["agents"] == []
    corner.hive("status")
    corner.hive("events")
    assert "nothing" in corner.hive("stop-all")
    corner.hive("why", ONE, code=2)
    corner.hive("start", ONE, code=3)


def test_without_a_supervisor_the_last_known_is_shown(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    corner.hive("stop-all")

    status = corner.json("status")

    assert status["supervisor"] is None
    assert status["agents"][0]["state"] == "stopped"
    assert "stop-all" in corner.json("why", ONE)["agent"]["reason"]


def test_every_command_that_prints_takes_json(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    for words in (
        ["status"],
        ["why", ONE],
        ["logs", ONE],
        ["events"],
        ["limits"],
        ["check"],
        ["deploy", "--dry-run"],
        ["deploy"],
        ["restart", ONE],
        ["stop", ONE],
        ["start", ONE],
        ["reset"],
        ["doctor"],
        ["stop-all"],
        ["emergency-cleanup"],
    ):
        assert corner.json(*words)["version"] == 1, words


def test_an_error_is_json_too(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")

    done = corner.run("why", "frontend/aa", "--json")

    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert "frontend/aa" in error["what"] and "frontend/a" in error["what"] + error["fix"]


def test_exit_codes_tell_what_kind_of_failure_it_was(corner: Corner):
    corner.hive("check", code=2)
    corner.hive("nonsense", code=2)
    corner.hive("status", "--nonsense", code=2)
    corner.hive("restart", ONE, code=3)
    corner.write({"frontend": {"a": {**SLEEP, "ready": {"exec": "false"}}}})
    corner.hive("deploy", "--timeout", "1s", code=4)


def test_logs_show_the_window_and_then_the_last_certificate(corner: Corner):
    corner.write({"frontend": {"a": {"run": "echo first; echo second; exec sleep 600"}}})
    corner.hive("deploy")

    eventually(lambda: "second" in corner.hive("logs", ONE))
    corner.hive("stop", ONE)

    assert "first\nsecond" in corner.hive("logs", ONE)
    assert corner.json("logs", ONE)["source"] == "certificate"


def test_logs_and_events_can_be_followed(corner: Corner):
    ticking = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.3; done"
    corner.write({"frontend": {"a": {"run": ticking}}})
    corner.hive("deploy")
    out = corner.path / "followed"
    with out.open("w") as file:
        logs = corner.start("logs", ONE, "-f", stdout=file)
        events = corner.start("events", "-f", stdout=file)

        eventually(lambda: "line 1" in out.read_text() and "deploy" in out.read_text())
        corner.hive("restart", ONE)

        eventually(lambda: "line 3" in out.read_text() and "restart" in out.read_text())
        for process in (logs, events):
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) in {0, 130}


def test_the_monitor_prints_one_picture_when_piped(corner: Corner):
    corner.write({"frontend": {"a": SLEEP, "b": SLEEP}})
    corner.hive("deploy")

    shown = corner.hive("monitor")

    assert "frontend" in shown and "2" in shown and "ready" in shown
    assert "\x1b[?1049h" not in shown


@pytest.mark.parametrize("count", [3, 100])
def test_the_monitor_fits_a_small_terminal_and_gives_it_back(corner: Corner, count: int):
    lazy = {"ready": {"exec": "false"}, "run": "exec sleep 600"}
    corner.write({"frontend": {"a": {**SLEEP, "count": count}, "sick": lazy}})
    corner.hive("deploy", "--no-wait")
    eventually(lambda: corner.json("status")["agents"][0]["state"] == "ready", timeout=60)
    terminal(corner, "look", 80, 24)
    corner.tmux("send-keys", "-t", "look:", f"clear; {HIVE} monitor", "Enter")

    def screen() -> str:
        return corner.tmux("capture-pane", "-p", "-t", "look:")

    def drawn() -> str:
        now = screen()
        return now if "sick" in now and "ready" in now else ""

    lines = eventually(drawn).splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert corner.tmux("display-message", "-p", "-t", "look:", "#{alternate_on}") == "1"

    corner.tmux("send-keys", "-t", "look:", "q")

    def given_back() -> bool:
        return corner.tmux("display-message", "-p", "-t", "look:", "#{alternate_on}") == "0"

    eventually(given_back)
    corner.tmux("send-keys", "-t", "look:", "echo it $((40+2)) echoes", "Enter")
    eventually(lambda: "it 42 echoes" in screen())


def test_attach_goes_to_the_agents_window(corner: Corner):
    corner.write({"frontend": {"a": SLEEP, "b": SLEEP}})
    corner.hive("deploy")
    terminal(corner, "person", 90, 30)
    corner.tmux("send-keys", "-t", "person:", f"TMUX= {HIVE} attach frontend/b", "Enter")

    def looked_at() -> str:
        shown = "#{session_name}:#{window_name}"
        return corner.tmux("list-clients", "-F", shown)

    eventually(lambda: "Task-frontend:Frontend-B" in looked_at().splitlines())


def test_completion_completes_commands_agents_and_teams(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}, "backend": {"a": SLEEP}})
    corner.hive("deploy")
    (corner.home / ".bashrc").write_text("PS1='$ '\n")

    script = corner.hive("completion", "bash")

    assert "complete" in script and "hive" in script
    source = corner.path / "completion.bash"
    source.write_text(script)
    terminal(corner, "type", 100, 30, "bash --noprofile -i")
    corner.tmux("send-keys", "-t", "type:", f"source {source}; echo all $((40+2)) read", "Enter")

    def screen() -> str:
        return corner.tmux("capture-pane", "-p", "-t", "type:")

    eventually(lambda: "all 42 read" in screen())
    corner.tmux("send-keys", "-t", "type:", "hive why front", "Tab")
    eventually(lambda: "hive why frontend" in screen())


def test_colour_is_left_out_where_it_is_not_wanted(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    corner.env["FORCE_COLOR"] = "1"

    plain = corner.run("status").stdout
    del corner.env["NO_COLOR"]
    coloured = corner.run("status").stdout

    assert "\x1b[3" not in plain
    assert "\x1b[" in coloured
