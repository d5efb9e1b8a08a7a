"""The whole command line, in this process: what is typed, what is printed, the exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hive.adapters import files
from hive.cli import app, hot
from hive.cli.complete import SCRIPTS, SHELLS, TEMPLATES

TOML = """\
project = "Task"
[teams.frontend.agents.dev]
run = "exec sleep 600"
count = 2
[teams.backend.agents.db]
run = "exec sleep 600"
"""
WHO = {"pid": 1, "up_since": "2026-11-21T10:05:00.000Z"}


@pytest.fixture
def toml(state: Path) -> Path:
    """Give a good hive.toml in the current folder."""
    path = state.parent / "hive.toml"
    path.write_text(TOML)
    return path


def change(kind: str = "start", name: str = "frontend/dev-1") -> dict[str, Any]:
    return {"agent": name, "id": f"Task/{name}", "kind": kind, "why": "it is new"}


def answer(*changes: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
    return {"version": 1, "project": "Task", "dry_run": dry_run, "changes": list(changes)}


def status(state: str = "ready") -> dict[str, Any]:
    one = {
        "agent": "frontend/dev-1", "id": "Task/frontend/dev-1", "project": "Task",
        "team": "frontend", "state": state, "reason": "because", "settled": state != "starting",
        "since": "2026-11-21T10:05:00.000Z", "wanted": "up", "pid": 7, "after": [],
    }  # fmt: skip
    return {"version": 1, "node": "box", "supervisor": WHO, "agents": [one], "teams": []}


@pytest.mark.parametrize("name", [*hot.COMMANDS, "supervise"])
def test_every_command_explains_itself(capsys, name):
    assert hot.run([*name.split(), "--help"]) == 0

    out = capsys.readouterr().out
    assert out.startswith(f"Usage: hive {name}")
    assert hot.COMMANDS.get(name, "").split(",")[0] in " ".join(out.split())
    if name in app.EXAMPLES:
        assert f"Example:  {app.EXAMPLES[name]}" in out


@pytest.mark.parametrize("name", sorted(app.EXAMPLES))
def test_an_example_uses_words_that_exist(name):
    words = app.EXAMPLES[name].removesuffix(")").split("hive ")[1].split(" > ")[0].split()

    from hive.cli.complete import OPTIONS

    assert " ".join(words).startswith(name)
    assert {word for word in words if word.startswith("--")} <= set(OPTIONS[name])


@pytest.mark.parametrize(
    ("words", "said", "fix"),
    [
        pytest.param(["statu"], "no such command `statu`. Did you mean", "hive --help", id="verb"),
        pytest.param(["status", "--bogus"], "`--bogus`", "hive status --help", id="option"),
        pytest.param(["why"], "missing argument", "hive why --help", id="missing"),
        pytest.param(["events", "-n", "0"], "invalid value", "hive events", id="out of range"),
        pytest.param(["start", "a", "--timeout", "9"], "`--timeout`", "--timeout 90s", id="time"),
        pytest.param(["completion", "csh"], "no script for `csh`", "bash, zsh, fish", id="shell"),
        pytest.param(["help", "jsn"], "no page about `jsn`", "hive help", id="topic"),
        pytest.param(["init", "-t", "wev"], "no template `wev`", "web", id="template"),
    ],
)
def test_a_mistake_says_what_and_what_next(state, capsys, words, said, fix):
    assert hot.run(words) == 2

    first, *more = capsys.readouterr().err.splitlines()
    assert first.startswith("error: ")
    assert said.strip("`") in first
    assert fix in more[-1]


def test_a_mistake_is_json_too(state, capsys):
    assert hot.run(["status", "--json", "--bogus"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["fix"] == "hive status --help"


@pytest.mark.parametrize("template", TEMPLATES)
def test_init_writes_each_template(state, capsys, template):
    assert hot.run(["init", "--template", template]) == 0

    assert Path("hive.toml").read_text() == files.template(template)
    assert "next: edit it, then `hive check`" in capsys.readouterr().out


def test_the_templates_that_are_named_are_those_there_are():
    assert set(TEMPLATES) == set(files.templates())


def test_init_never_overwrites_unasked_and_keeps_what_it_replaces(toml, capsys):
    assert hot.run(["init"]) == 2
    assert "already here" in capsys.readouterr().err
    assert toml.read_text() == TOML

    assert hot.run(["init", "--force"]) == 0

    assert toml.read_text() == files.template("web")
    assert toml.with_name("hive.toml.bak").read_text() == TOML


def test_check_counts_agents_and_teams(toml, capsys):
    assert hot.run(["check"]) == 0
    assert capsys.readouterr().out == "hive.toml: 3 agents in 2 teams, no mistakes\n"

    assert hot.run(["check", "--file", str(toml), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["agents"] == ["frontend/dev-1", "frontend/dev-2", "backend/db"]
    assert record["teams"] == ["frontend", "backend"]


def test_check_tells_mistakes_with_their_lines(toml, capsys):
    toml.write_text(TOML.replace("count", "cuont"))

    assert hot.run(["check"]) == 2

    assert "error: hive.toml:4: " in capsys.readouterr().err


def test_the_schema_is_json(capsys):
    assert hot.run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "hive.toml"


def test_help_lists_pages_and_prints_them_as_they_are(capsys):
    assert hot.run(["help"]) == 0
    assert "json          JSON: what `--json` prints" in capsys.readouterr().out.splitlines()

    assert hot.run(["help", "json"]) == 0
    page = Path(app.__file__).parents[1] / "docs" / "json.md"
    assert capsys.readouterr().out == page.read_text("utf-8")


def test_help_about_a_command_is_its_help(capsys):
    assert hot.run(["help", "deploy"]) == 0
    assert capsys.readouterr().out.startswith("Usage: hive deploy")


def test_help_as_json_has_the_topics(capsys):
    assert hot.run(["help", "--json"]) == 0
    topics = json.loads(capsys.readouterr().out)["topics"]
    assert {"topic": "json", "title": "JSON: what `--json` prints"} in topics


def test_deploy_sends_the_files_agents_and_waits(supervisor, toml, capsys, monkeypatch):
    monkeypatch.setenv("TMUX", "elsewhere")
    supervisor.answers |= {"ping": WHO, "deploy": answer(change(), change("keep", "backend/db"))}
    supervisor.answers["status"] = [status("starting"), status("ready")]

    assert hot.run(["deploy"]) == 0

    asked = dict(supervisor.asked)["deploy"]
    assert (asked["project"], asked["teams"], asked["dry_run"]) == ("Task", None, False)
    assert asked["path"] == str(toml)
    assert [one["name"] for one in asked["agents"]] == ["dev-1", "dev-2", "db"]
    assert asked["environ"]["PATH"] == os.environ["PATH"]
    assert not {"TMUX", "HIVE_STATE"} & asked["environ"].keys()
    out = capsys.readouterr().out.splitlines()
    assert [line.split() for line in out[:2]] == [
        ["change", "agent", "why"],
        ["start", "frontend/dev-1", "it", "is", "new"],
    ]
    assert out[2:4] == ["frontend/dev-1  starting: because", "frontend/dev-1  ready: because"]
    assert out[4].startswith("1 agent changed in ") and out[4].endswith(": 1 ready")


def test_deploy_as_json_is_one_line_at_the_end(supervisor, toml, capsys):
    supervisor.answers |= {"ping": WHO, "deploy": answer(change()), "status": status()}

    assert hot.run(["deploy", "--json"]) == 0

    (line,) = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert [one["kind"] for one in record["changes"]] == ["start"]
    assert [one["state"] for one in record["agents"]] == ["ready"]


def test_a_deploy_that_changes_nothing_says_so(supervisor, toml, capsys):
    bound = {"bind_work": {}, "bind_escalation": {}}
    supervisor.answers |= {"ping": WHO, "deploy": answer(change("keep"), change("keep")), **bound}
    supervisor.answers["status"] = status("ready")

    assert hot.run(["deploy"]) == 0
    assert capsys.readouterr() == ("nothing to do: 2 agents as wanted\n", "")


def test_a_deploy_tells_of_an_unchanged_agent_that_failed(supervisor, toml, capsys):
    supervisor.answers |= {"ping": WHO, "deploy": answer(change("keep"))}
    supervisor.answers["status"] = status("failed")

    assert hot.run(["deploy"]) == 1
    assert "frontend/dev-1  failed: because" in capsys.readouterr().err


def test_a_deploy_need_not_be_waited_for(supervisor, toml, capsys):
    supervisor.answers |= {"ping": WHO, "deploy": answer(change())}

    assert hot.run(["deploy", "--no-wait"]) == 0

    assert "1 agent under way" in capsys.readouterr().out
    asked = [verb for verb, _ in supervisor.asked]
    assert asked == ["ping", "deploy", "bind_work", "bind_escalation"]


def test_a_deploy_that_is_late_is_exit_code_4(supervisor, toml, capsys):
    supervisor.answers |= {"ping": WHO, "deploy": answer(change()), "status": status("starting")}

    assert hot.run(["deploy", "--timeout", "200ms"]) == 4

    err = capsys.readouterr().err
    assert "frontend/dev-1  starting: because" in err
    assert "next: hive why frontend/dev-1" in err


def test_a_deploy_with_a_failed_agent_is_exit_code_1(supervisor, toml, capsys):
    supervisor.answers |= {"ping": WHO, "deploy": answer(change()), "status": status("failed")}

    assert hot.run(["deploy"]) == 1

    assert "1 agent of 1 did not come up" in capsys.readouterr().err


def test_a_deploy_says_that_limits_of_all_changed(supervisor, toml, capsys):
    supervisor.answers |= {"ping": WHO, "status": status("ready")}
    supervisor.answers["deploy"] = {**answer(change("keep")), "limits": True}

    assert hot.run(["deploy"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "what all agents together may use has changed: `hive limits` shows it",
        "nothing else to do: 1 agent as wanted",
    ]


def test_a_dry_run_needs_no_supervisor_and_starts_none(toml, capsys):
    assert hot.run(["deploy", "--dry-run", "--team", "backend"]) == 0

    out = capsys.readouterr().out
    assert "backend/db" in out and "frontend" not in out
    assert out.splitlines()[-1] == "would change 1 agent of 1"
    assert not list(toml.parent.glob("state/hive.*"))


def test_an_unknown_team_is_refused_before_anything_is_asked(supervisor, toml, capsys):
    assert hot.run(["deploy", "--team", "frontent"]) == 2

    err = capsys.readouterr().err
    assert "no team `frontent`; did you mean `frontend`?" in err
    assert supervisor.asked == []


def test_a_wrong_file_touches_nothing(supervisor, toml, capsys):
    toml.write_text("project = 3\n")

    assert hot.run(["deploy"]) == 2
    assert supervisor.asked == []


def test_status_for_a_person_is_a_table(supervisor, capsys):
    record = status()
    record["agents"][0] |= {"restarts": 0, "cpu": 0.0, "memory": 0}
    supervisor.answers["status"] = record

    assert hot.run(["status", "frontend"]) == 0

    assert supervisor.asked == [("status", {"names": ["frontend"]})]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == ["frontend/dev-1", "ready"]
    assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_a_script_that_asks_for_its_words(capsys, shell):
    assert hot.run(["completion", shell]) == 0
    assert capsys.readouterr().out == SCRIPTS[shell]
    assert f"hive complete {shell} -- " in SCRIPTS[shell]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_is_one_that_its_shell_can_read(shell):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    done = subprocess.run(
        [program, "-n"], input=SCRIPTS[shell], text=True, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_with_its_script(short_path):
    program = short_path / "hive"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hive "$@"\n')
    program.chmod(0o755)
    ask = 'COMP_WORDS=(hive deploy --dr); COMP_CWORD=2; _hive; echo "${COMPREPLY[@]}"'

    done = subprocess.run(
        ["bash", "--norc", "-c", f"source <(hive completion bash); {ask}"],
        env={**os.environ, "PATH": f"{short_path}:{os.environ['PATH']}", "HIVE_STATE": "/nowhere"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stdout == "--dry-run\n", done.stderr
