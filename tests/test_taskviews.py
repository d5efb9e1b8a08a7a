"""Records of work: what is told of a task, what stays secret, that fields are documented."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from hive import taskviews
from hive.core.tasks import Held, Job, Report, Run, State, Task, Want
from hive.views import iso
from tests.conftest import ROOT

NOON = 1_700_000_000.0
JOB = Job(text="Fix the login bug\nall of it", team="backend", skills=("python",), project="Task")
READY = Task(number=12, uid="u", job=JOB, state=State.READY, why="added", since=NOON, created=NOON)
LEASED = replace(
    READY,
    state=State.LEASED,
    agent="Task/backend/dev",
    launch="1-a",
    fence=3,
    attempt=2,
    begun=NOON,
    until=NOON + 30,
    failures=("the check failed", "it ended"),
)
DONE = replace(
    LEASED,
    state=State.DONE,
    outcome="done",
    result="42",
    confidence=0.95,
    notes=("half way",),
    report=Report(outcome="done", text="42", at=NOON + 5, confidence=0.95),
    finished=NOON + 9,
)
COPY = replace(DONE, number=13, apart=True, parent=20)
GROUP = Task(number=20, uid="g", job=replace(JOB, kind="group"))
RUN = Run(number=7, uid="r", workflow="release", project="Task", created=NOON)


@dataclass(frozen=True)
class Step:
    """One thing that happened to a task."""

    at: float
    state: str
    why: str = ""
    agent: str = ""
    fence: int = 0


STORY = [Step(NOON, "ready", "added"), Step(NOON + 1, "leased", "the answer is 42"),
         Step(NOON + 9, "done", "its word counts")]  # fmt: skip


def told(task: Task = DONE, group: Task = GROUP, **more: Any) -> dict[str, Any]:
    return taskviews.detail(task, story=STORY, needed_by=[group], **more)


def test_a_task_is_told_in_short():
    record = taskviews.summary(LEASED)

    assert (record["task"], record["title"]) == ("t-12", "Fix the login bug")
    assert (record["agent"], record["id"]) == ("backend/dev", "Task/backend/dev")
    assert (record["attempt"], record["attempts"]) == (2, 3)
    assert record["since"] == iso(NOON) and record["finished"] is None


def test_of_what_is_worked_on_the_last_word_of_its_agent_is_told():
    noted = replace(LEASED, delivered=NOON, heard=NOON + 5, notes=("begun", "half way"))
    said = replace(noted, report=Report(outcome="done", text="42", at=NOON))
    checked = replace(said, job=replace(JOB, check="make test"))

    assert taskviews.summary(noted)["reason"] == "half way"
    assert taskviews.summary(replace(noted, apart=True))["reason"] == taskviews.UNTOLD
    assert taskviews.summary(replace(noted, heard=NOON))["reason"] == "added"  # of an earlier one
    assert taskviews.summary(said)["reason"] == "its agent says done"
    assert taskviews.summary(checked)["reason"] == "its agent says done: its check runs"


def test_a_reason_that_is_known_better_goes_over_the_tasks_own():
    assert taskviews.summary(READY, "no agent is free")["reason"] == "no agent is free"
    assert taskviews.summary(READY)["reason"] == "added"


def test_a_list_shows_long_reasons_in_part_and_a_task_the_whole():
    wordy = replace(LEASED, failures=("x" * 2000,))

    assert len(taskviews.summary(wordy)["failures"][0]) == taskviews.SHORT
    assert told(wordy)["task"]["failures"] == ["x" * 2000]


def test_a_list_counts_every_state():
    record = taskviews.listing([READY], {"ready": 1, "dead": 2}, {12: "no agent is free"})

    assert record["tasks"][0]["reason"] == "no agent is free"
    assert record["counts"]["dead"] == 2 and record["counts"]["done"] == 0
    assert set(record["counts"]) == set(State)


def test_a_copy_is_secret_until_its_group_is_decided():
    open_, decided = told(COPY), told(COPY, replace(GROUP, state=State.DONE))

    assert "42" not in json.dumps([open_["task"], open_["story"]])
    assert "half way" not in json.dumps(open_)
    assert open_["task"]["result"] == taskviews.UNTOLD
    assert open_["task"]["confidence"] is None
    assert decided["task"]["result"] == "42"
    assert decided["story"][1]["why"] == "the answer is 42"


def test_a_copy_whose_group_is_not_known_stays_secret():
    assert taskviews.detail(COPY)["task"]["result"] == taskviews.UNTOLD


def test_a_vote_on_copies_is_secret_until_their_group_is_decided():
    ballot = replace(DONE, parent=13)

    assert told(ballot)["task"]["result"] == taskviews.UNTOLD
    assert told(ballot, replace(GROUP, state=State.DEAD))["task"]["result"] == "42"


def test_no_other_task_is_secret():
    plain = replace(GROUP, job=JOB)

    assert told(DONE, plain)["task"]["result"] == "42"
    assert taskviews.detail(replace(DONE, parent=20))["task"]["result"] == "42"


def test_it_is_said_who_may_have_it_and_what_is_in_its_way():
    lock = Held(name="port:1", shared=False, task=3, agent="Task/a/b", launch="", fence=1, at=NOON)

    record = told(READY, refusals={"Task/a/b": "", "Task/a/c": "not python"}, waits=[lock])

    assert [(one["agent"], one["why"]) for one in record["agents"]] == [
        ("a/b", ""), ("a/c", "not python"),
    ]  # fmt: skip
    assert record["locks"][0]["task"] == "t-3" and record["locks"][0]["agent"] == "a/b"


def test_wants_are_written_as_they_are_given():
    job = replace(JOB, locks=(Want(name="port:1"), Want(name="path:src", shared=True)))

    assert told(replace(READY, job=job))["task"]["wants"] == ["port:1", "shared path:src"]


def test_a_run_has_its_phases_needs_and_idle_share():
    first = replace(DONE, number=1, key="build.api", run=7)
    second = replace(LEASED, number=2, key="ship.notes", run=7, agent="Task/backend/qa")

    record = taskviews.run_record(
        RUN, [first, second], {2: [1, 9]}, {}, spent={1: 10.0, 2: 5.0}, now=NOON + 10
    )

    assert [one["phase"] for one in record["tasks"]] == ["build", "ship"]
    assert [one["needs"] for one in record["tasks"]] == [[], ["t-1", "t-9"]]
    assert record["run"]["agents"] == ["backend/dev", "backend/qa"]
    assert record["run"]["idle"] == 0.25
    assert record["run"]["counts"]["leased"] == 1


def test_of_a_run_that_nobody_measured_the_idle_share_is_unknown():
    record = taskviews.run_record(RUN, [DONE], {}, {})

    assert record["run"]["idle"] is None and record["tasks"][0]["spent"] is None


def test_an_agent_is_told_what_the_worker_needs():
    record = taskviews.for_agent(replace(LEASED, text="rendered"))

    assert (record["name"], record["fence"], record["lease"]) == ("t-12", 3, "t-12-3")
    assert record["text"] == "rendered" and record["kind"] == "prompt"


def test_every_field_is_documented():
    page = (ROOT / "hive" / "docs" / "json.md").read_text("utf-8")
    source = ast.parse((ROOT / "hive" / "taskviews.py").read_text("utf-8"))
    keys = {
        key.value
        for node in ast.walk(source)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }

    assert "counts" in keys
    assert {key for key in keys if not re.search(rf"`{re.escape(key)}`", page)} == set()
