"""From a task's adding until its agent has it, and how much hive itself takes for that."""

from __future__ import annotations

import statistics
import time
from uuid import uuid4

import pytest

from hive.adapters.channel import ask

pytestmark = pytest.mark.bench

ROUNDS = 200


def test_how_long_a_task_takes_to_an_idle_worker(corner):
    corner.write({"back": {"w": {"run": "hive worker", "profile": "worker"}}})
    corner.hive("deploy")
    socket = str(corner.state / "hive.sock")
    had, added = [], []
    for _ in range(ROUNDS):
        one = {"job": {"text": "true", "kind": "run"}, "uid": uuid4().hex}
        began = time.time()
        name = ask(socket, "add_tasks", {"tasks": [one]}, timeout=20)["tasks"][0]["task"]
        added.append(time.time() - began)
        while True:
            task = ask(socket, "task", {"name": name}, timeout=20)["task"]
            if task["state"] == "done":
                break
            time.sleep(0.01)
        story = ask(socket, "task", {"name": name}, timeout=20)["story"]
        del story
        had.append(_fetched(corner, name) - began)
        time.sleep(0.05)
    for what, took in (("added", added), ("at its agent", had)):
        took.sort()
        p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
        print(f"{what}: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")


def _fetched(corner, name):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(corner.state / "work.db")) as store:
        wish = "SELECT at FROM step WHERE task = ? AND why = 'it has fetched it'"
        return store.execute(wish, (int(name[2:]),)).fetchone()[0]
