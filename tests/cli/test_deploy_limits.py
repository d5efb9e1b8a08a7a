"""`hive deploy` and limits: what goes over the file, and agents that wait for room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hive.cli import hot

TOML = """\
project = "Task"
[limits]
agents = 5
[teams.web.agents]
dev = { run = "exec sleep 600", cpu = 0.05, memory = "64MB", memory_soft = "50%" }
db = "exec sleep 600"
"""
WHO = {"pid": 1, "up_since": "2026-11-21T10:05:00.000Z"}
ROOM = "waiting for room: 1 agent may run at once"


@pytest.fixture(autouse=True)
def toml(state: Path) -> Path:
    """Give a hive.toml with limits in the current folder."""
    path = state.parent / "hive.toml"
    path.write_text(TOML)
    return path


def record(name: str, state: str, reason: str, *after: str) -> dict[str, Any]:
    return {
        "agent": f"web/{name}", "id": f"Task/web/{name}", "project": "Task", "team": "web",
        "state": state, "reason": reason, "settled": state in {"ready", "failed"}, "wanted": "up",
        "since": "2026-11-21T10:05:00.000Z", "pid": None, "after": [f"Task/web/{a}" for a in after],
    }  # fmt: skip


def deployed(supervisor: Any, *records: dict[str, Any]) -> None:
    """Have the supervisor answer that a deploy starts these, and that they are so."""
    changes = [
        {"agent": one["agent"], "id": one["id"], "kind": "start", "why": "it is new"}
        for one in records
    ]
    supervisor.answers |= {
        "ping": WHO,
        "deploy": {"version": 1, "project": "Task", "dry_run": False, "changes": changes},
        "status": {"version": 1, "supervisor": WHO, "agents": list(records), "teams": []},
    }


def asked(supervisor: Any) -> dict[str, Any]:
    return next(args for verb, args in supervisor.asked if verb == "deploy")


def limits(supervisor: Any) -> dict[str, dict[str, Any]]:
    return {one["name"]: one["limits"] for one in asked(supervisor)["agents"]}


def test_the_ceiling_of_the_file_goes_to_the_supervisor(supervisor):
    deployed(supervisor)

    assert hot.run(["deploy", "--no-wait"]) == 0

    assert asked(supervisor)["ceiling"] == {
        "cpu": None,
        "memory": None,
        "agents": 5,
        "reserve": None,
        "budget": None,
        "admission": True,
    }
    assert limits(supervisor)["dev"]["memory"] == 64 << 20


def test_options_go_over_the_file(supervisor):
    deployed(supervisor)

    assert hot.run(["deploy", "--no-wait", "--cpu-limit", "100", "--memory", "32MB"]) == 0

    ceiling = asked(supervisor)["ceiling"]
    assert (ceiling["cpu"], ceiling["agents"]) == ({"amount": 1.0, "of_machine": True}, 5)
    found = limits(supervisor)
    assert {name: one["memory"] >> 20 for name, one in found.items()} == {"dev": 32, "db": 32}
    assert found["dev"]["soft"] == 16 << 20  # half of it, as in the file
    assert found["dev"]["cpu"] == 0.05


@pytest.mark.parametrize(
    ("options", "told", "fix"),
    [
        pytest.param(
            ["--cpu-limit", "forty"],
            "`--cpu-limit` must be percent of the machine such as `40`, not 'forty'",
            "--cpu-limit 40",
            id="a word for a percentage",
        ),
        pytest.param(["--cpu-limit", "0"], "`--cpu-limit` must be 1%", "--cpu-limit 40", id="none"),
        pytest.param(
            ["--cpu-limit", "200%"],
            "`--cpu-limit` must be at most 100% of the machine",
            "--cpu-limit 40",
            id="two machines",
        ),
        pytest.param(
            ["--memory", "512"], "`--memory` needs a unit: a size", "--memory 512MB", id="no unit"
        ),
        pytest.param(
            ["--memory", "900TB"], "`--memory` 900TB is more than this machine has", "", id="much"
        ),
    ],
)
def test_an_option_that_can_not_be_is_refused_before_anything_is_asked(
    supervisor, capsys, options, told, fix
):
    assert hot.run(["deploy", *options]) == 2

    err = capsys.readouterr().err
    assert told in err
    assert fix in err
    assert supervisor.asked == []


def test_options_go_with_a_dry_run(capsys):
    assert hot.run(["deploy", "--dry-run", "--cpu-limit", "100%", "--memory", "32MB"]) == 0
    assert "would change 2 agents of 2" in capsys.readouterr().out


def test_agents_that_only_wait_for_room_are_said_to_start_by_themselves(supervisor, capsys):
    deployed(
        supervisor,
        record("db", "ready", "runs"),
        record("dev", "starting", ROOM),
        record("qa", "starting", "waits for web/dev", "dev"),
    )

    assert hot.run(["deploy", "--timeout", "200ms"]) == 4

    out, err = capsys.readouterr()
    assert f"web/dev  starting: {ROOM}" in out
    assert "there is no room yet for 2 agents, and each starts by itself as soon as" in err
    assert f"web/dev  starting: {ROOM}" in err and "web/qa  starting: waits for" in err
    assert "next: hive limits" in err


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(record("qa", "starting", "its probe said nothing yet"), id="still starting"),
        pytest.param(record("qa", "failed", "exit code 1"), id="failed"),
    ],
)
def test_where_another_is_late_or_failed_that_is_what_is_told(supervisor, capsys, other):
    deployed(supervisor, record("dev", "starting", ROOM), other)

    assert hot.run(["deploy", "--timeout", "200ms"]) == 4

    err = capsys.readouterr().err
    assert "not done after" in err
    assert other["reason"] in err


def test_a_line_is_printed_when_an_agent_begins_to_wait_for_room(supervisor, capsys):
    deployed(supervisor, record("dev", "starting", "never started"))
    status = supervisor.answers["status"]
    supervisor.answers["status"] = [
        status,
        {**status, "agents": [record("dev", "starting", ROOM)]},
        {**status, "agents": [record("dev", "ready", "runs")]},
    ]

    assert hot.run(["deploy"]) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("web/dev")]
    assert lines[-2:] == [f"web/dev  starting: {ROOM}", "web/dev  ready: runs"]
