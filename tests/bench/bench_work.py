"""From a task's adding until its agent has it, on an idle worker."""

from __future__ import annotations

import os
import time
from uuid import uuid4

import pytest

from hive.adapters.channel import ask
from hive.adapters.queue import Queue
from tests.bench.measure import told
from tests.conftest import eventually

pytestmark = pytest.mark.bench

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "200"))
PAUSE = 0.05
"""Seconds after which a worker waits for its next task, and the supervisor for anything."""


def test_how_long_a_task_takes_to_an_idle_worker(corner):
    corner.write({"back": {"w": {"run": "hive worker", "profile": "worker"}}})
    corner.hive("deploy")
    socket = str(corner.state / "hive.sock")
    added, had = [], []
    with Queue.open(str(corner.state / "work.db")) as queue:
        for _ in range(ROUNDS):
            one = {"job": {"text": "true", "kind": "run"}, "uid": uuid4().hex}
            began = time.time()
            (task,) = ask(socket, "add_tasks", {"tasks": [one]}, timeout=20)["tasks"]
            added.append(time.time() - began)
            number = int(task["task"].removeprefix("t-"))
            eventually(lambda number=number: queue.task(number).outcome == "done", pause=0.01)
            fetched = (step.at for step in queue.story(number) if step.why == "it has fetched it")
            had.append(next(fetched) - began)
            time.sleep(PAUSE)
    print()
    told("its adding was answered after", added)
    told("its agent had it after", had)
