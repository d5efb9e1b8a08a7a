"""Workflows on real agents: each phase, branch, failure and vote as somebody who uses them sees it.

One team serves all of it: two workers for commands, and agents of words, for whom the test speaks.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from hive.adapters.queue import Queue
from hive.core.rules import Rules
from hive.core.workflow import definition, to_dict
from hive.core.workflow_model import Workflow
from hive.errors import HiveError
from tests.conftest import Corner, _remove, eventually
from tests.test_work import FAKES, Shop

RELEASE = {
    "pattern": "hybrid",
    "params": {"version": {"about": "which"}},
    "phases": [
        {
            "name": "build",
            "tasks": [
                {
                    "name": "api",
                    "team": "backend",
                    "skills": ["python"],
                    "prompt": "Build the API of {{ version }}",
                    "check": "test -e api.built",
                    "timeout": "40m",
                },
                {
                    "name": "ui",
                    "team": "frontend",
                    "skills": ["react"],
                    "prompt": "Build the UI",
                    "check": "true",
                },
            ],
        },
        {
            "name": "review",
            "tasks": [
                {
                    "name": "review",
                    "role": "pm",
                    "prompt": "Review. API says: {{ build.api.result }} ({{ build.api.notes }})",
                    "when": "build.api.outcome == 'done'",
                }
            ],
        },
        {
            "name": "ship",
            "tasks": [
                {"name": "deploy", "run": "make deploy VERSION={{ version | quote }}"},
                {"name": "notes", "prompt": "Write the notes"},
            ],
        },
    ],
}


def logged(name, **more):
    """Give a command's table: it writes its name when it begins, and when it ends."""
    run = f"echo +{name} >> log; sleep 0.05; echo -{name} >> log"
    return {"name": name, "run": run, "retries": 0, **more}


def broken(name, **more):
    return {"name": name, "run": f"echo {name} >> log; test -e mended", "retries": 0, **more}


WORKFLOWS = {
    "release": RELEASE,
    "line": {"pattern": "sequential", "tasks": [logged(one) for one in "abc"]},
    "crowd": {
        "pattern": "parallel",
        "tasks": [logged("a"), logged("b"), logged("c", needs=["a", "b"])],
    },
    "across": {
        "pattern": "hybrid",
        "phases": [
            {"name": "one", "tasks": [logged("a"), logged("b", needs=["a"])]},
            {"name": "two", "tasks": [logged("c"), logged("d", needs=["c", "one.a"])]},
        ],
    },
    "branch": {
        "pattern": "sequential",
        "tasks": [
            {"name": "look", "run": "echo -n blue > $HIVE_RESULT"},
            logged("red", when="look.result == 'red'"),
            logged("blue", when="look.result == 'blue'"),
            logged("last", when="red.outcome == 'skipped'"),
        ],
    },
    "stops": {
        "pattern": "parallel",
        "tasks": [
            logged("good"),
            broken("bad", needs=["good"]),
            logged("after", needs=["bad"]),
            {"name": "later", "run": "echo {{ after.result | quote }} >> log", "needs": ["after"]},
        ],
    },
    "goes-on": {
        "pattern": "sequential",
        "tasks": [
            broken("bad", on_failure="continue"),
            {"name": "next", "run": "echo it {{ bad.outcome | quote }} >> log"},
        ],
    },
    "mends": {
        "pattern": "sequential",
        "tasks": [broken("bad", on_failure="undo"), logged("after"), logged("undo")],
    },
    "long": {
        "pattern": "parallel",
        "tasks": [
            {"name": "sleeps", "run": "echo $$ >> pids; exec sleep 300"},
            logged("after", needs=["sleeps"]),
        ],
    },
    "votes": {
        "pattern": "sequential",
        "tasks": [
            {"name": "count", "role": "dev", "prompt": "How many?", "replicas": 4, "agree": 3},
            {"name": "told", "run": "echo {{ count.result | quote }} >> log"},
        ],
    },
    "proof": {
        "pattern": "parallel",
        "tasks": [
            {
                "name": "it",
                "run": "true",
                "check": 'test "$HIVE_AGENT" != Task/back/w-1 || sleep 300',
                "retries": 0,
                "replicas": 2,
                "agree": 1,
                "judge": "check",
            }
        ],
    },
    "jury": {
        "pattern": "parallel",
        "tasks": [
            {
                "name": "draft",
                "role": "dev",
                "prompt": "Draft it",
                "replicas": 2,
                "agree": 1,
                "judge": "vote",
                "jury": "pm",
            }
        ],
    },
    "split": {
        "pattern": "sequential",
        "tasks": [
            {"name": "big", "role": "pm", "prompt": "Do it all"},
            {"name": "sum", "role": "pm", "prompt": "Sum up: {{ big.result }}"},
        ],
    },
    "tick": {"pattern": "parallel", "tasks": [{"name": "it", "run": "echo tick >> log"}]},
}


def defined(name, table):
    """Give a workflow as the supervisor is asked to run it."""
    return to_dict(definition(name, Workflow(**table), rules=Rules(), project="Task"))


class Floor(Shop):
    """A shop in which workflows are run."""

    def __init__(self, corner):
        super().__init__(corner)
        self.definitions = {name: defined(name, one) for name, one in WORKFLOWS.items()}

    def begin(self, name, **params):
        """Begin a workflow in an empty folder, and give its run's name."""
        for one in ("log", "mended", "pids"):
            (self.path / one).unlink(missing_ok=True)
        return self.run(self.definitions[name], **params)

    def run(self, definition, **params):
        args = {"project": "Task", "definition": definition, "params": params}
        return self.ask("run_workflow", **args, uid=uuid4().hex)["run"]["run"]

    def record(self, run):
        return self.ask("workflow", name=run)

    def ended(self, run, *states):
        """Give a run's record, once it is over."""

        def found():
            one = self.record(run)
            return one if one["run"]["state"] in (states or ("done", "failed")) else None

        return eventually(found, pause=0.03)

    def key(self, run, key):
        """Give a task of a run by its key."""
        return next(one["task"] for one in self.record(run)["tasks"] if one["key"] == key)

    def ballot(self, run, copy):
        """Give the jury's task about a copy of a task, once there is one."""
        tasks = lambda: [one for one in self.record(run)["tasks"] if one["parent"] == copy]
        return eventually(tasks)[0]["task"]

    def say(self, name, result, **more):
        """Speak for the agent that has a task, and give who it is."""
        agent = self.had(name)
        self.ask("task_done", name=name, result=result, me=self.me(agent), **more)
        return agent

    @property
    def log(self):
        file = self.path / "log"
        return file.read_text().split("\n")[:-1] if file.exists() else []


def states(record):
    return {one["key"] or one["title"]: one["state"] for one in record["tasks"]}


@pytest.fixture(scope="module")
def floor(tmp_path_factory):
    path = Path(tempfile.mkdtemp(dir=os.environ["TEST_FOLDER"], prefix=""))
    corner = Corner(path)
    profiles = corner.home / ".config" / "hive" / "profiles"
    profiles.mkdir(parents=True)
    shutil.copy(FAKES / "profiles" / "fake.toml", profiles)
    (path / "Makefile").write_text('deploy:\n\techo "shipped $$VERSION" >> log\n')
    fake = {"run": str(FAKES / "tui.py"), "trust": True, "permission": "auto"}
    corner.write(
        {
            "back": {"w": {"run": "hive worker", "profile": "worker", "count": 2}},
            "backend": {"dev": {**fake, "count": 2, "role": "dev", "skills": ["python"]}},
            "frontend": {
                "dev": {**fake, "count": 2, "role": "dev", "skills": ["react"]},
                "pm": {**fake, "role": "pm"},
            },
        },
        workflows=WORKFLOWS,
    )
    made = Floor(corner)
    corner.hive("deploy")
    yield made
    corner.close()
    _remove(path)


def test_the_release_goes_through_its_phases(floor):
    told = floor.corner.json("workflow", "run", "release", "--set", "version=1.2; no")
    run = told["run"]["run"]
    api, ui = floor.key(run, "build.api"), floor.key(run, "build.ui")
    assert floor.had(api).startswith("backend/dev")
    assert floor.had(ui).startswith("frontend/dev")
    assert floor.task(api)["text"] == "Build the API of 1.2; no"
    assert states(floor.record(run))["review.review"] == "waiting"
    me = floor.me(floor.had(api))
    floor.ask("progress", name=api, text="half way", me=me)
    (floor.path / "api.built").touch()
    floor.say(api, "port 8000")
    floor.say(ui, "pretty")
    review = floor.key(run, "review.review")
    assert floor.had(review) == "frontend/pm"
    assert floor.task(review)["text"] == "Review. API says: port 8000 (half way)"
    assert states(floor.record(run))["ship.deploy"] == "waiting"
    floor.say(review, "fine", confidence=0.95)
    floor.say(floor.key(run, "ship.notes"), "the notes")
    over = floor.ended(run)
    assert over["run"]["state"] == "done", over
    assert floor.log == ["shipped 1.2; no"]
    assert 0 <= over["run"]["idle"] <= 1
    assert len(over["run"]["agents"]) >= 3


def test_one_after_another_and_all_at_once(floor):
    run = floor.begin("line")
    assert floor.ended(run)["run"]["state"] == "done"
    assert floor.log == ["+a", "-a", "+b", "-b", "+c", "-c"]
    run = floor.begin("crowd")
    assert floor.ended(run)["run"]["state"] == "done"
    assert sorted(floor.log[:2]) == ["+a", "+b"]
    assert floor.log[4:] == ["+c", "-c"]


def test_needs_go_across_phases(floor):
    run = floor.begin("across")
    assert floor.ended(run)["run"]["state"] == "done"
    assert floor.log == [f"{sign}{name}" for name in "abcd" for sign in "+-"]


def test_branches_are_taken_or_skipped(floor):
    over = floor.ended(floor.begin("branch"))
    outcomes = {one["key"]: one["outcome"] for one in over["tasks"]}
    assert outcomes == {"look": "done", "red": "skipped", "blue": "done", "last": "done"}
    assert over["run"]["state"] == "done"
    assert floor.log == ["+blue", "-blue", "+last", "-last"]


def test_a_failure_stops_the_run_and_only_what_must_be_is_done_again(floor):
    run = floor.begin("stops")
    over = floor.ended(run)
    assert over["run"]["state"] == "failed"
    assert states(over) == {
        "good": "done", "bad": "dead", "after": "cancelled", "later": "cancelled",
    }  # fmt: skip
    (floor.path / "mended").touch()
    floor.ask("resume_run", name=run)
    over = floor.ended(run, "done")
    assert set(states(over).values()) == {"done"}
    assert floor.log[:6] == ["+good", "-good", "bad", "bad", "+after", "-after"]
    assert floor.log[6] == "exit code 0"
    with pytest.raises(HiveError, match="nothing of it is to be done again"):
        floor.ask("resume_run", name=run)


def test_what_failed_may_be_begun_anew_by_itself(floor):
    run = floor.begin("stops")
    assert floor.ended(run)["run"]["state"] == "failed"
    (floor.path / "mended").touch()
    bad = floor.key(run, "bad")
    floor.ask("retry_tasks", names=[bad])
    assert floor.over(bad)["state"] == "done"
    floor.ask("resume_run", name=run)
    assert set(states(floor.ended(run, "done")).values()) == {"done"}
    assert Counter(floor.log)["bad"] == 2


def test_a_failure_may_be_passed_or_have_a_task_of_its_own(floor):
    run = floor.begin("goes-on")
    over = floor.ended(run)
    assert (over["run"]["state"], states(over)["next"]) == ("done", "done")
    assert floor.log == ["bad", "it failed"]
    assert "without bad" in over["run"]["reason"]

    run = floor.begin("mends")
    over = floor.ended(run)
    assert over["run"]["state"] == "failed"
    assert states(over) == {"bad": "dead", "after": "cancelled", "undo": "done"}
    assert floor.log == ["bad", "+undo", "-undo"]
    (floor.path / "mended").touch()
    floor.ask("resume_run", name=run)
    over = floor.ended(run, "done")
    outcomes = {one["key"]: one["outcome"] for one in over["tasks"]}
    assert outcomes == {"bad": "done", "after": "done", "undo": "skipped"}


def test_a_run_that_is_cancelled_ends_what_runs(floor):
    run = floor.begin("long")
    pids = floor.path / "pids"
    eventually(lambda: pids.exists() and pids.read_text().strip())
    told = floor.ask("cancel_run", name=run, why="no more")
    assert told["run"]["state"] == "cancelled"
    task = floor.over(floor.key(run, "sleeps"))
    assert task["state"] == "cancelled"
    assert "no more" in task["reason"]
    assert states(floor.record(run))["after"] == "cancelled"
    eventually(lambda: not Path(f"/proc/{pids.read_text().split()[0]}/cwd").exists())
    with pytest.raises(HiveError, match="is cancelled already"):
        floor.ask("cancel_run", name=run)


def test_of_four_one_that_lies_is_outvoted_and_named(floor):
    run = floor.begin("votes")
    group = floor.key(run, "count")
    copies = [floor.key(run, f"count#{one}") for one in range(1, 5)]
    liar = floor.say(copies[0], "seven")
    shown = floor.task(copies[0])
    assert "seven" not in str(shown)
    others = [floor.say(one, "six") for one in copies[1:]]
    assert len({liar, *others}) == 4
    one = floor.over(group)
    assert one["result"] == "six"
    assert f"not so {liar}" in one["reason"]
    assert floor.ended(run)["run"]["state"] == "done"
    assert floor.log == ["six"]


def test_copies_are_judged_by_their_check(floor):
    over = floor.ended(floor.begin("proof"))
    group = next(one for one in over["tasks"] if one["key"] == "it")
    assert over["run"]["state"] == "done", over
    assert "back/w-2" in group["reason"]
    other = next(one for one in over["tasks"] if one["agent"] == "back/w-1")
    assert other["state"] == "cancelled"  # at once, though its check would have taken long


def test_copies_are_judged_by_a_jury(floor):
    run = floor.begin("jury")
    copies = [floor.key(run, f"draft#{one}") for one in (1, 2)]
    bad = floor.say(copies[0], "a bad draft")
    assert floor.say(floor.ballot(run, copies[0]), "reject: it is bad") == "frontend/pm"
    floor.say(copies[1], "a good draft")
    floor.say(floor.ballot(run, copies[1]), "approve", confidence=0.5)
    one = floor.over(floor.key(run, "draft"))
    assert one["result"] == "a good draft"
    assert f"not so {bad}" in one["reason"]
    assert floor.ended(run)["run"]["state"] == "done"


def test_agents_decide_what_they_are_asked(floor):
    done = floor.corner.json("decide", "merge?", "--voters", "dev", "--quorum", "2/3")
    votes = [one["task"] for one in done["needs"]]
    assert len(votes) == 4
    for vote, answer in zip(votes, ("reject", "approve", "approve: well", "yes"), strict=True):
        floor.say(vote, answer)
    one = floor.over(done["task"]["task"])
    assert (one["state"], one["result"]) == ("done", "approve")


def test_a_step_that_is_split_gives_what_became_of_it_to_the_next(floor):
    run = floor.begin("split")
    big = floor.key(run, "big")
    agent = floor.had(big)
    parts = ["Do the one half", "Do the other half"]
    made = floor.ask("split_task", name=big, parts=parts, me=floor.me(agent), uid=uuid4().hex)
    for name, word in zip(made["parts"], ("ham", "eggs"), strict=True):
        floor.say(name, word)
    eventually(lambda: floor.task(big)["state"] == "leased")
    assert "eggs" in floor.task(big)["text"]
    floor.say(big, "breakfast")
    last = floor.key(run, "sum")
    floor.had(last)
    assert floor.task(last)["text"] == "Sum up: breakfast"
    floor.say(last, "well")
    assert floor.ended(run)["run"]["state"] == "done"


@pytest.mark.parametrize(("missed", "times"), [("skip", 0), ("once", 1), ("all", 3)])
def test_the_clock_begins_each_time_once(floor, missed, times):
    last = time.time() // 60 * 60 - 30 * 60  # far from now: nothing falls due while this runs
    cron = f"{time.localtime(last).tm_min} * * * *"
    values = {"project": "Task", "name": missed, "cron": cron, "workflow": "tick"}
    floor.begin("tick")
    floor.ask(
        "add_schedule", values={**values, "missed": missed}, definition=floor.definitions["tick"]
    )
    with Queue.open(str(floor.corner.state / "work.db")) as queue:
        (one,) = (one for one in queue.notebook.schedules() if one.name == missed)
        queue.notebook.put_schedule(replace(one, next_at=last - 2 * 3600))
    floor.ask("poke")
    eventually(
        lambda: all(
            one["next"] > time.strftime("%Y-%m-%dT%H:%M", time.gmtime())
            for one in floor.ask("schedules")["schedules"]
        )
    )
    runs = floor.ask("workflows", project="Task", limit=50)["runs"]
    mine = [one for one in runs if one["from"] == f"schedule {missed}"]
    assert len(mine) == times
    for one in mine:
        assert floor.ended(one["run"])["run"]["state"] == "done"


def test_a_run_goes_on_while_the_supervisor_is_killed_again_and_again(floor):
    chance = random.Random(4)
    steps = []
    for number in range(60):
        needs = chance.sample(range(number), min(number, chance.randrange(3)))
        locks = chance.sample(["db:test", "path:src", "path:src/api", "shared path:src"], 1)
        steps.append(
            {
                "name": f"s{number}",
                "run": f"sleep 0.02; echo {number} $HIVE_FENCE >> many",
                "needs": [f"s{one}" for one in needs],
                "locks": locks if chance.random() < 0.4 else [],
            }
        )
    table = {"pattern": "parallel", "tasks": steps}
    run = floor.run(defined("many", table))
    for victim in ("worker", "guard", "worker"):
        pid = floor.supervisor()
        time.sleep(chance.uniform(0.05, 0.3))
        os.kill(psutil.Process(pid).ppid() if victim == "guard" else pid, signal.SIGKILL)
    over = floor.ended(run)
    assert over["run"]["state"] == "done", over["run"]
    lines = (floor.path / "many").read_text().splitlines()
    assert sorted(int(line.split()[0]) for line in lines) == list(range(60))
    assert {one["attempt"] for one in over["tasks"]} == {1}
