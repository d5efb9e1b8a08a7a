"""What it costs to watch 100 agents of 6 processes each, limits on, while nothing happens."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from tests.bench.measure import kernel
from tests.conftest import Corner, eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

AGENTS, CHILDREN = 100, 5
SECONDS = 30.0
LIMITS = {"cpu": "80%", "memory": "80%", "agents": 200}
DEFAULTS = {"cpu": "50%", "memory": "256MB"}

NAIVE = """
import time
import psutil
while True:
    facts = ["pid", "ppid", "name", "status", "cpu_times", "memory_info", "environ", "create_time"]
    for process in psutil.process_iter(facts):
        process.info["environ"]
    time.sleep(2)
"""


def used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def percent(processes: dict[str, psutil.Process]) -> dict[str, float]:
    """Give how much of one core each uses, in percent, over a while."""
    before, began = {name: used(one) for name, one in processes.items()}, time.monotonic()
    time.sleep(SECONDS)
    passed = time.monotonic() - began
    return {name: (used(one) - before[name]) / passed * 100 for name, one in processes.items()}


@pytest.mark.parametrize("means", ["portable", "cgroup-v1"])
def test_pulse(corner: Corner, means: str) -> None:
    if means not in {"portable", kernel()}:
        pytest.skip(f"{means} is not what this machine has")
    run = "sleep 99999 & " * (CHILDREN - 1) + "sleep 99999; :"
    teams = {f"team{n}": {f"a{m}": run for m in range(10)} for n in range(AGENTS // 10)}
    corner.write(teams, limits=LIMITS, defaults=DEFAULTS)
    corner.env["HIVE_LIMITS"] = means
    corner.hive("deploy")
    eventually(lambda: len(corner.processes()) >= AGENTS * (CHILDREN + 1), timeout=120)
    worker = psutil.Process(corner.json("status")["supervisor"]["pid"])
    tmux = psutil.Process(int(corner.tmux("display-message", "-p", "#{pid}")))
    naive = subprocess.Popen([sys.executable, "-c", NAIVE])
    watched = {
        "hive: supervisor": worker,
        "hive: its guard": worker.parent(),
        "tmux server": tmux,
        "psutil, naive": psutil.Process(naive.pid),
    }
    time.sleep(5)  # what happened before is over
    found = percent(watched)
    count = len(corner.processes())
    print(f"\nwatching {AGENTS} agents, {count} processes, limits by {means}, {SECONDS:.0f} s")
    print(f"{'':22}{'of one core':>14}{'memory':>12}")
    for name, process in watched.items():
        memory = process.memory_info().rss / 2**20
        print(f"{name:22}{found[name]:>12.2f} %{memory:>8.1f} MiB")
    naive.kill()
    naive.wait()
    corner.hive("stop-all")
