"""Deploying, for real: the command in a corner of its own, real tmux, real programs."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from tests.conftest import Corner, eventually

SLEEP = {"run": "exec sleep 600"}


def states(corner: Corner) -> dict[str, str]:
    return {name: agent["state"] for name, agent in corner.agents().items()}


def pids(corner: Corner) -> dict[str, int]:
    return {name: agent["pid"] for name, agent in corner.agents().items()}


def test_a_deployed_team_runs_in_named_windows_and_says_so(corner: Corner):
    corner.write(
        {"frontend": {"pm": SLEEP, "dev": {**SLEEP, "count": 2}}, "backend": {"dev": SLEEP}}
    )

    corner.hive("deploy")

    assert states(corner) == {
        "frontend/pm": "ready",
        "frontend/dev-1": "ready",
        "frontend/dev-2": "ready",
        "backend/dev": "ready",
    }
    windows = corner.tmux("list-windows", "-a", "-F", "#{session_name}:#{window_name}").split()
    assert [one for one in windows if one.startswith("Task-")] == [
        "Task-backend:Backend-Dev",
        "Task-frontend:Frontend-PM",
        "Task-frontend:Frontend-Dev-1",
        "Task-frontend:Frontend-Dev-2",
    ]


def test_status_json_is_the_contract(corner: Corner):
    corner.write({"frontend": {"dev": SLEEP}})
    corner.hive("deploy")

    status = corner.json("status")

    assert status["version"] == 1
    assert set(status["supervisor"]) == {"pid", "up_since"}
    agent = status["agents"][0]
    promised = "agent team role state reason since session window pane pid restarts cpu memory task"
    assert set(promised.split()) <= set(agent)
    assert (agent["agent"], agent["team"], agent["role"]) == ("frontend/dev", "frontend", "dev")
    assert agent["session"] == "Task-frontend" and agent["window"] == "Frontend-Dev"
    assert agent["since"].endswith("Z") and agent["task"] is None
    assert agent["memory"] > 0 and agent["cpu"] >= 0
    assert f"pid {agent['pid']}" in corner.hive("why", "frontend/dev")


def test_a_second_deploy_has_nothing_to_do(corner: Corner):
    corner.write({"frontend": {"dev": SLEEP}})
    corner.hive("deploy")
    before = pids(corner)

    again = corner.hive("deploy")

    assert "nothing to do" in again
    assert pids(corner) == before


def test_a_changed_agent_alone_is_restarted_and_a_removed_one_goes(corner: Corner):
    corner.write({"frontend": {"a": SLEEP, "b": SLEEP, "c": SLEEP}})
    corner.hive("deploy")
    before = pids(corner)

    corner.write({"frontend": {"a": SLEEP, "b": {"run": "exec sleep 700"}}})
    corner.hive("deploy")

    after = pids(corner)
    assert after["frontend/a"] == before["frontend/a"]
    assert after["frontend/b"] != before["frontend/b"]
    eventually(lambda: set(corner.agents()) == {"frontend/a", "frontend/b"})
    windows = corner.tmux("list-windows", "-t", "Task-frontend", "-F", "#{window_name}").split()
    assert windows == ["Frontend-A", "Frontend-B"]


def test_what_needs_no_restart_changes_in_place(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    before = pids(corner)

    corner.write({"frontend": {"a": {**SLEEP, "stop": {"grace": "3s"}, "window": "Renamed"}}})
    corner.hive("deploy")

    assert pids(corner) == before
    shown = corner.tmux("list-windows", "-t", "Task-frontend", "-F", "#{window_name}").split()
    assert shown == ["Renamed"]


def test_one_team_of_two_is_deployed_alone(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}, "backend": {"a": SLEEP}})

    corner.hive("deploy", "--team", "frontend")

    assert set(corner.agents()) == {"frontend/a"}


def test_a_dry_run_tells_the_plan_and_touches_nothing(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})

    shown = corner.hive("deploy", "--dry-run")

    assert "frontend/a" in shown and "start" in shown
    assert not corner.agents()
    assert not [line for _pid, line in corner.processes() if "sleep 600" in line]


def test_a_session_that_is_not_ours_is_an_error_and_left_alone(corner: Corner):
    corner.tmux("new-session", "-d", "-s", "Task-frontend", "sleep 500")
    corner.write({"frontend": {"a": SLEEP}})

    done = corner.run("deploy")

    assert done.returncode == 1
    corner.hive("deploy", "--dry-run", code=1)
    assert "Task-frontend" in done.stderr and "not hive's" in done.stderr
    panes = corner.tmux("list-panes", "-t", "Task-frontend", "-F", "#{pane_start_command}")
    assert panes.split("\n")[0].strip('"') == "sleep 500"


def test_a_window_of_the_users_in_our_session_outlives_stop_all(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    corner.tmux("new-window", "-d", "-t", "Task-frontend", "-n", "mine", "sleep 500")

    corner.hive("stop-all")

    assert corner.tmux("list-windows", "-t", "Task-frontend", "-F", "#{window_name}").split() == [
        "mine"
    ]


def test_who_is_not_ready_in_time_is_named_with_the_reason(corner: Corner):
    never = {**SLEEP, "ready": {"exec": "echo still cold; exit 1"}}
    corner.write({"frontend": {"slow": never, "fine": SLEEP}})
    corner.hive("deploy", "--no-wait")
    eventually(lambda: "still cold" in corner.agent("frontend/slow")["reason"])

    done = corner.run("deploy", "--timeout", "1s")

    assert done.returncode == 4
    said = done.stdout + done.stderr
    assert "frontend/slow" in said and "still cold" in said


def test_agents_start_in_the_order_of_after(corner: Corner):
    log = corner.path / "order"
    corner.write(
        {
            "backend": {
                "web": {"run": f"echo web >> {log}; exec sleep 600", "after": ["db"]},
                "db": {
                    "run": f"sleep 0.7; echo db >> {log}; exec sleep 600",
                    "ready": {"exec": f"grep -q db {log}"},
                },
            }
        }
    )

    corner.hive("deploy")

    assert log.read_text().split() == ["db", "web"]


def test_interrupted_deploy_leaves_a_consistent_state(corner: Corner):
    slow = {**SLEEP, "ready": {"exec": "false"}}
    corner.write({"frontend": {"a": SLEEP, "b": slow}})
    deploy = corner.start("deploy")
    eventually(lambda: states(corner).get("frontend/a") == "ready")
    deploy.send_signal(signal.SIGINT)

    said, _ = deploy.communicate(timeout=60)

    assert deploy.returncode == 130, said
    assert states(corner) == {"frontend/a": "ready", "frontend/b": "starting"}


def test_mistakes_are_all_told_at_once_and_nothing_is_touched(corner: Corner):
    (corner.path / "hive.toml").write_text(
        'project = "Task"\n[teams.frontend.agents.dev]\ncomand = "sleep 1"\n'
        '[teams.frontend.agents.pm]\nrun = "true"\ncount = "two"\n'
    )

    done = corner.run("deploy")

    assert done.returncode == 2
    assert "hive.toml:3:" in done.stderr and "hive.toml:6:" in done.stderr
    assert "supervisor" not in [command for _pid, command in corner.processes()]
    assert not corner.processes()


def test_a_relative_environment_and_directory_reach_the_agent(corner: Corner):
    (corner.path / "work").mkdir()
    out = corner.path / "out"
    corner.write(
        {
            "frontend": {
                "a": {
                    "run": f'printf "%s|%s|%s|%s" "$PWD" "$SECRET" "$PORT" "$HIVE_AGENT" '
                    f"> {out}.t; "
                    f"mv {out}.t {out}; exec sleep 600",
                    "directory": "work",
                    "env": {"SECRET": 'it\'s "quoted" $HOME `x`; #{pane_id}\nsecond line'},
                    "port": 4711,
                }
            }
        }
    )

    corner.hive("deploy")

    eventually(out.exists)
    directory, secret, port, agent = out.read_text().split("|")
    assert Path(directory) == corner.path / "work"
    assert secret == 'it\'s "quoted" $HOME `x`; #{pane_id}\nsecond line'
    assert (port, agent) == ("4711", "Task/frontend/a")


def test_secrets_are_on_no_command_line_and_in_no_output(corner: Corner):
    secret = "tell-nobody-93571"
    corner.write({"frontend": {"a": {**SLEEP, "env": {"TOKEN": secret}}}})
    corner.hive("deploy")

    said = corner.hive("status") + corner.hive("why", "frontend/a") + corner.hive("events")
    said += corner.hive("deploy", "--dry-run") + corner.hive("status", "--json")

    assert secret not in said
    assert not [command for _pid, command in corner.processes() if secret in command]
    assert secret not in (corner.state / "supervisor.log").read_text()


def test_the_state_directory_is_for_its_owner_alone(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")

    modes = {path.name: path.stat().st_mode & 0o777 for path in corner.state.iterdir()}

    assert corner.state.stat().st_mode & 0o777 == 0o700
    assert modes["hive.sock"] == modes["supervisor.lock"] == modes["hive.db"] == 0o600


def test_running_hive_inside_tmux_uses_the_wanted_server(corner: Corner):
    outer = corner.path / "outer"
    tmux = ["tmux", "-S", str(outer)]
    subprocess.run([*tmux, "new-session", "-d", "-s", "x", "sleep 100"], check=True, env=corner.env)
    pid = int(subprocess.check_output([*tmux, "display-message", "-p", "#{pid}"], env=corner.env))
    try:
        corner.env["TMUX"] = f"{outer},{pid},0"
        corner.env["TMUX_PANE"] = "%0"
        corner.write({"frontend": {"a": SLEEP}})
        corner.hive("deploy")

        assert states(corner) == {"frontend/a": "ready"}
        listed = subprocess.check_output([*tmux, "list-sessions", "-F", "#S"], env=corner.env)
        assert listed.split() == [b"x"]
    finally:
        subprocess.run([*tmux, "kill-server"], check=True, env=corner.env)
        eventually(lambda: not Path(f"/proc/{pid}").exists())
