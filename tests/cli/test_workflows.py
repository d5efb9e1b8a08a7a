"""Workflows, schedules and votes from the command line: what is sent, and what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hive import taskviews
from hive.adapters import files
from hive.cli import hot, work
from hive.core.schedule import Schedule
from hive.core.tasks import Job, Run, State, Task
from hive.core.workflow import from_dict
from tests.conftest import Corner

NOON = 1_700_000_000.0
TOML = """\
project = "Shop"
[teams.a.agents.b]
run = "sh"
[workflows.ship]
pattern = "hybrid"
params = { version = { about = "which one" } }
phases = [
  { name = "build", tasks = [{ name = "api", run = "make {{ version }}" }] },
  { name = "ship", tasks = [{ name = "deploy", run = "make deploy", team = "a" }] },
]
"""
RUN = Run(number=7, uid="r", workflow="ship", project="Shop", created=NOON)
STEP = Task(
    number=1, uid="r:build.api", job=Job(text="make"), run=7, key="build.api",
    state=State.LEASED, agent="Shop/a/b", since=NOON,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setattr(work, "FIRST", 0.01)
    monkeypatch.setattr(work, "LAST", 0.01)
    work.loaded.cache_clear()
    monkeypatch.delenv("HIVE_AGENT", raising=False)


@pytest.fixture
def toml(state: Path) -> Path:
    path = state.parent / "hive.toml"
    path.write_text(TOML)
    return path


def record(state: str = "running", step: State = State.LEASED) -> dict[str, Any]:
    run, task = replace(RUN, state=state), replace(STEP, state=step, why="so it is")
    return taskviews.run_record(run, [task], {}, {})


def test_a_workflow_of_the_file_is_run_with_its_parameters(supervisor, toml, capsys):
    supervisor.answers["run_workflow"] = record()

    assert hot.run(["workflow", "run", "ship", "--set", "version=1=2"]) == 0

    ((verb, args),) = supervisor.asked
    definition = from_dict(args["definition"])
    assert (verb, args["project"], args["params"]) == ("run_workflow", "Shop", {"version": "1=2"})
    assert [step.key for step in definition.steps] == ["build.api", "ship.deploy", "build"]
    assert args["uid"]
    out, err = capsys.readouterr()
    assert out == "r-7  running\n" and "hive workflow show r-7 --follow" in err


def test_a_workflow_that_comes_with_hive_needs_no_file(supervisor):
    supervisor.answers["run_workflow"] = record()

    assert hot.run(["workflow", "run", "release", "--set", "version=2"]) == 0

    assert supervisor.asked[0][1]["definition"]["name"] == "release"


@pytest.mark.parametrize(("ends", "code"), [("done", 0), ("failed", 1), ("cancelled", 1)])
def test_a_run_can_be_waited_for_and_says_what_changes(supervisor, toml, capsys, ends, code):
    supervisor.answers["run_workflow"] = record()
    supervisor.answers["workflow"] = [record(), record(), record(ends, State.DONE)]

    assert hot.run(["workflow", "run", "ship", "--set", "version=1", "--wait"]) == code

    assert capsys.readouterr().out.splitlines() == [
        "build.api  leased by a/b: so it is", "build.api  done by a/b: so it is",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["run", "shp"], "did you mean `ship`?", id="an unknown one"),
        pytest.param(["run", "ship", "--set", "version"], "sets nothing", id="no value"),
        pytest.param(["run", "ship", "--set", "a=1", "--set", "a=2"], "is there twice", id="twice"),
        pytest.param(["templates", "shp"], "did you mean `ship`?", id="no template"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_asked(supervisor, toml, capsys, words, said):
    assert hot.run(["workflow", *words]) == 2

    assert said in capsys.readouterr().err
    assert supervisor.asked == []


@pytest.mark.parametrize("words", [["workflow", "show", "R-7"], ["why", "r-7"]])
def test_a_run_is_shown_as_a_graph(supervisor, capsys, words):
    supervisor.answers["workflow"] = record()

    assert hot.run(words) == 0

    assert supervisor.asked == [("workflow", {"name": "r-7"})]
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("r-7 ship  running for") and out[-1].split()[:3] == [
        "▶", "api", "leased",
    ]  # fmt: skip


def test_without_a_name_the_latest_run_is_shown(supervisor, capsys):
    supervisor.answers["workflows"] = taskviews.run_listing([RUN], {})
    supervisor.answers["workflow"] = record()

    assert hot.run(["workflow", "show", "--json"]) == 0

    assert supervisor.asked[-1] == ("workflow", {"name": "r-7"})
    assert json.loads(capsys.readouterr().out) == record()


def test_where_nothing_was_run_that_is_said(supervisor, capsys):
    supervisor.answers["workflows"] = taskviews.run_listing([], {})

    assert hot.run(["workflow", "show"]) == 2
    assert hot.run(["workflow", "list"]) == 0
    assert "no workflow was run" in capsys.readouterr().out


def test_following_as_json_is_a_line_for_each_change_and_the_run_at_the_end(supervisor, capsys):
    supervisor.answers["workflow"] = [record(), record(), record("done", State.DONE)]

    assert hot.run(["workflow", "show", "ship", "--follow", "--json"]) == 0

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("state") for line in lines[:2]] == ["leased", "done"]
    assert lines[2]["run"]["state"] == "done"


@pytest.mark.parametrize(
    ("words", "verb", "args"),
    [
        (["cancel", "r-7", "--why", "x"], "cancel_run", {"name": "r-7", "why": "x"}),
        (["resume", "ship"], "resume_run", {"name": "ship"}),
    ],
)
def test_a_run_is_cancelled_or_resumed(supervisor, capsys, words, verb, args):
    supervisor.answers[verb] = record("cancelled")

    assert hot.run(["workflow", *words]) == 0

    assert supervisor.asked == [(verb, args)]
    assert capsys.readouterr().out == "r-7  cancelled\n"


def test_the_workflows_that_can_be_run_are_the_files_and_hives(toml, capsys):
    assert hot.run(["workflow", "templates", "--json"]) == 0
    assert hot.run(["workflow", "templates", "ship"]) == 0
    assert hot.run(["workflow", "templates", "nightly"]) == 0

    out = capsys.readouterr().out
    listed = json.loads(out.splitlines()[0])["workflows"]
    assert [one["workflow"] for one in listed] == ["ship", *files.templates("workflows")]
    assert listed[0]["params"] == {"version": None} and listed[0]["source"] == str(toml)
    assert "ship.deploy  a    build  make deploy" in out
    assert files.template("nightly", "workflows").splitlines()[3] in out.splitlines()


def test_a_schedule_is_added_listed_paused_and_removed(supervisor, toml, capsys, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    nightly = Schedule(project="Shop", name="nightly", cron="0 2 * * *", workflow="ship")
    for verb in ("add_schedule", "schedules", "pause_schedule", "drop_schedule"):
        supervisor.answers[verb] = taskviews.schedules([nightly])

    add = ["--cron", "0 2 * * *", "--workflow", "ship", "--missed", "all", "--set", "version=1"]
    assert hot.run(["schedule", "add", "nightly", *add]) == 0
    for words in (["list"], ["pause", "nightly"], ["resume", "nightly"], ["remove", "nightly"]):
        assert hot.run(["schedule", *words]) == 0

    (_, first), _, *others = supervisor.asked
    assert first["definition"]["name"] == "ship"
    assert first["values"] == {
        "project": "Shop", "name": "nightly", "cron": "0 2 * * *", "zone": "Asia/Tokyo",
        "workflow": "ship", "params": {"version": "1"}, "missed": "all", "sender": "a person",
    }  # fmt: skip
    assert [args.get("paused") for _, args in others] == [True, False, None]
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "`nightly` runs no more"
    assert "its times are in Asia/Tokyo, as this machine's clock" in err


def test_a_schedule_that_lacks_a_parameter_is_refused_at_once(supervisor, toml, capsys):
    assert hot.run(["schedule", "add", "a", "--cron", "@daily", "--workflow", "ship"]) == 2

    assert "needs `version`" in capsys.readouterr().err
    assert supervisor.asked == []


def test_what_to_do_about_missed_times_is_one_of_three(supervisor, capsys):
    words = ["--cron", "* * * * *", "--workflow", "release", "--missed", "never"]

    assert hot.run(["schedule", "add", "a", *words]) == 2
    assert supervisor.asked == []


@pytest.mark.parametrize(("ends", "code"), [(State.DONE, 0), (State.DEAD, 1)])
def test_a_decision_is_asked_for_and_waited_for(supervisor, toml, capsys, ends, code):
    group = replace(STEP, state=State.WAITING, job=Job(text="merge?", kind="group"))
    over = replace(group, state=ends, result="yes")
    supervisor.answers["propose"] = taskviews.detail(group)
    supervisor.answers["task"] = [taskviews.detail(group), taskviews.detail(over)]

    words = ["decide", "merge?", "--voters", "reviewer", "--voters", "a/b", "--quorum", "2/3"]
    assert hot.run(words) == 0
    assert hot.run([*words, "--wait"]) == code

    args = supervisor.asked[0][1]
    assert args.pop("uid")
    assert args == {
        "question": "merge?", "voters": ["reviewer", "a/b"], "quorum": "2/3", "project": "Shop",
    }  # fmt: skip
    assert capsys.readouterr().out.splitlines()[0].startswith("t-1  waiting")


def test_work_is_added_while_nobody_runs_and_done_by_a_worker_in_its_order(corner: Corner) -> None:
    phases = [
        {"name": "build", "tasks": [{"name": "api", "run": "echo built {{ version }}"}]},
        {
            "name": "ship",
            "tasks": [{"name": "it", "run": "echo got {{ build.api.result | quote }}"}],
        },
    ]
    ship = {"pattern": "hybrid", "params": {"version": "1"}, "phases": phases}
    corner.write({"a": {"w": {"run": "hive worker"}}}, workflows={"ship": ship})
    lines = [{"run": "echo two", "needs": ["one"]}, {"run": "echo one", "key": "one"}]
    (corner.path / "tasks.jsonl").write_text("\n".join(map(json.dumps, lines)))

    assert "added 2 tasks" in corner.hive("task", "add", "--file", "tasks.jsonl")
    assert (
        corner.json("task", "add", "--run", "exit 3", "--retries", "0")["tasks"][0]["task"] == "t-3"
    )
    corner.hive("deploy")

    assert "t-2  done" in corner.hive("task", "wait", "t-1", "t-2", "t-3", code=1)
    assert corner.json("task", "show", "t-2")["needs"][0]["title"] == "echo one"
    assert "exit code 3" in corner.hive("task", "dead")
    said = corner.hive("workflow", "run", "ship", "--set", "version=2", "--wait")
    assert "build.api  done by a/w" in said and "ship.it  done by a/w" in said
    last = corner.json("workflow", "show")
    it = next(one["task"] for one in last["tasks"] if one["key"] == "ship.it")
    assert "got exit code 0" in corner.json("why", it)["task"]["result"]
    assert [one["phase"] for one in last["handoffs"]] == ["build"]
    assert last["run"]["idle"] is not None
