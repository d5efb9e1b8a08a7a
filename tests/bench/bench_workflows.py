"""Many tasks at once, large workflows, and what phases are good for.

The sizes are those of the numbers that hive must reach; BENCH_SCALE makes them smaller.
"""

from __future__ import annotations

import os
import random
import statistics
from datetime import datetime

import pytest

from hive.core.rules import Rules
from hive.core.tasks import Job, New, State, Want
from hive.core.workflow import Definition, definition
from hive.core.workflow_model import Workflow
from tests.bench.measure import told
from tests.bench.simulated import Simulated, workers

pytestmark = pytest.mark.bench

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
"""The share of the usual sizes that is run."""

TASKS, AGENTS = int(10_000 * SCALE), 100
STEPS, LENGTH, WORKERS = int(1_000 * SCALE), 60.0, 20
SLEEP = 0.5

TEAMS = ("back", "front", "data", "ops")
SKILLS = {"back": ("python", "sql"), "front": ("react",), "data": ("python", "rust")}


def crowd(count, seed):
    """Give tasks that need earlier ones and want locks, some for a team or with skills."""
    chance = random.Random(seed)
    new = []
    for number in range(count):
        team = chance.choice([*TEAMS, ""])
        skills = SKILLS.get(team, ())
        locks = chance.choice(
            ["port:1", "db:test", *(f"path:{top}/{sub}" for top in "abcd" for sub in "xyz")]
        )
        near = range(max(0, number - 300), number)
        needs = chance.sample(near, min(len(near), chance.choice([0, 0, 1, 1, 2, 3])))
        new.append(
            New(
                uid=f"u{number}",
                job=Job(
                    text=f"do {number}",
                    kind="run",
                    project="p",
                    team=team,
                    skills=tuple(chance.sample(skills, chance.randrange(len(skills) + 1))),
                    priority=chance.choice([25, 50, 50, 75]),
                    retries=50,
                    backoff=1.0,
                    longest=30.0,
                    locks=(Want(name=locks, shared=chance.random() < 0.3),)
                    if chance.random() < 0.2
                    else (),
                ),
                needs=tuple(f"u{one}" for one in needs),
            )
        )
    return new


def test_many_queued_tasks_through_a_hundred_agents_that_die(tmp_path, monkeypatch):
    chance = random.Random(1)
    hive = Simulated(
        tmp_path / "work.db",
        workers(AGENTS, TEAMS, SKILLS),
        seed=1,
        lasts=lambda task: chance.uniform(20, 200),  # noqa: ARG005
        failing=0.01,
        patch=monkeypatch.setattr,
    )
    hive.queue.add(crowd(TASKS, 1))
    hive.live(deaths=0.05, until=lambda: sum(hive.ended.values()) >= TASKS)
    counts = hive.queue.counts()
    ends = [one.task for one in hive.queue.steps(limit=10 * TASKS + 10_000) if one.state == "done"]
    hive.close()
    print(
        f"\n{TASKS} tasks, {AGENTS} agents, {hive.died} deaths, {hive.refused} late answers refused"
    )
    told("a decision", hive.spent.decisions)
    told("a whole step, with the store", hive.spent.steps)
    assert counts == {"done": TASKS}
    assert len(ends) == len(set(ends)) == TASKS, "done twice"
    assert set(hive.ended.values()) == {1}
    assert set(hive.began.values()) == {1}, "a lease was given twice"
    assert hive.died > 0
    assert hive.refused > 0


def large(steps):
    """Give a workflow of ten phases, in which each task is told what one before it gave."""
    each = max(1, steps // 10)
    phases = [
        {
            "name": f"p{phase}",
            "tasks": [
                {
                    "name": f"t{number}",
                    "run": f"do {{{{ p{phase - 1}.t{number}.result | quote }}}}" if phase else "do",
                }
                for number in range(each)
            ],
        }
        for phase in range(10)
    ]
    table = Workflow.model_validate({"pattern": "hybrid", "phases": phases})
    return definition("large", table, rules=Rules(), project="p")


def test_what_hive_takes_for_a_large_workflow(tmp_path, monkeypatch):
    chance = random.Random(2)
    hive = Simulated(
        tmp_path / "work.db",
        workers(WORKERS, ("back",), {}),
        seed=2,
        lasts=lambda task: chance.uniform(0.5, 1.5) * LENGTH,  # noqa: ARG005
        patch=monkeypatch.setattr,
    )
    made: Definition = large(STEPS)
    began = hive.clock.now
    hive.taking(lambda: hive.work.runs.start(made, "p", {}, "u", "bench", hive.clock.now))
    hive.live(until=lambda: hive.queue.run(1).state != "running")
    run, whole = hive.queue.run(1), hive.clock.now - began
    tasks = hive.queue.tasks(run=1, limit=2 * STEPS)
    hive.close()
    own = hive.spent.whole
    share, each = own / whole, own / len(made.steps)
    print(f"\n{len(made.steps)} steps of {LENGTH:g} s each on {WORKERS} workers: {whole:.0f} s")
    print(f"hive took {own:.2f} s of that: {share:.2%}, {each * 1000:.2f} ms a step")
    print(f"that is 1 % where a step takes {each * WORKERS * 100:.1f} s")
    told("a whole step, with the store", hive.spent.steps)
    assert run.state == "done"
    assert all(one.state is State.DONE for one in tasks)
    assert share <= 0.01


def phased(pattern, rounds, each):
    """Give the same tasks, either in phases or one after another."""
    tasks = [
        [{"name": f"t{a}_{b}", "run": f"sleep {SLEEP}"} for b in range(each)] for a in range(rounds)
    ]
    if pattern == "hybrid":
        return {
            "pattern": pattern,
            "phases": [{"name": f"p{a}", "tasks": one} for a, one in enumerate(tasks)],
        }
    return {"pattern": pattern, "tasks": [one for phase in tasks for one in phase]}


def test_phases_against_one_after_another_on_the_same_team(corner):
    corner.write(
        {"back": {"w": {"run": "hive worker", "profile": "worker", "count": 4}}},
        workflows={pattern: phased(pattern, 3, 4) for pattern in ("hybrid", "sequential")},
    )
    corner.hive("deploy")
    middle = {}
    print()
    for pattern in ("hybrid", "sequential"):
        took = []
        for _ in range(2):
            corner.hive("workflow", "run", pattern, "--wait")
            run = corner.json("workflow", "show", pattern)["run"]
            assert run["state"] == "done"
            took.append(seconds(run["finished"]) - seconds(run["created"]))
        middle[pattern] = statistics.median(took)
        print(f"{pattern:12} {middle[pattern]:6.2f} s, its agents idle {run['idle']:.0%} of it")
    ratio = middle["sequential"] / middle["hybrid"]
    print(f"sequential takes {ratio:.2f} times as long, on 4 workers")
    assert ratio > 1


def seconds(text):
    return datetime.fromisoformat(text).timestamp()
