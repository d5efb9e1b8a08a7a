"""Kill hive's own processes at random moments of its work: each agent still runs exactly once.

A failing run prints its seed; the moments themselves are the machine's.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

import pytest

from tests.conftest import Corner, eventually

NAMES = ("a", "b", "c", "d")
SLEEPS = [f"sleep {900 + number}" for number, _ in enumerate(NAMES)]
ROUNDS = 8


def sleeps(corner: Corner) -> list[str]:
    return sorted(line for _pid, line in corner.processes() if line.startswith("sleep "))


def victims(corner: Corner) -> list[int]:
    """The guards and workers of this corner."""
    return [
        pid
        for pid, line in corner.processes()
        if "hive.adapters.guard" in line or "supervise --worker" in line
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_killed_whenever_each_agent_runs_once(corner: Corner, seed: int) -> None:
    print(f"seed {seed}")
    lot = random.Random(seed)
    team = {name: {"run": f"exec sleep {900 + i}"} for i, name in enumerate(NAMES)}
    corner.write({"frontend": team})
    corner.hive("deploy")

    for _ in range(ROUNDS):
        words = lot.choice([["restart", "frontend/a"], ["restart", "frontend"], ["deploy"]])
        corner.run(*words, "--no-wait")
        time.sleep(lot.random() * 0.15)  # the moment is the point of it; nothing is waited for
        found = victims(corner)
        for pid in lot.sample(found, min(len(found), lot.choice([1, 1, 2]))):
            with suppress(ProcessLookupError):  # it ended by itself meanwhile
                os.kill(pid, signal.SIGKILL)

    corner.hive("deploy")
    eventually(lambda: all(one["settled"] for one in corner.agents().values()))
    eventually(lambda: sleeps(corner) == SLEEPS)
    assert "processes left: none" in corner.hive("stop-all")
    eventually(lambda: not corner.processes())
