"""Whether limits hold, how exactly, and what that costs.

Each means is measured that this machine has: none, portable, and the kernel's best one.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.bench.measure import kernel, p90, table
from tests.conftest import Corner, eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

SECONDS = 5.0
WINDOWS = int(os.environ.get("BENCH_WINDOWS", "4"))
MIXED = float(os.environ.get("BENCH_SECONDS", "600"))
"""How long the mixed load runs each time; less gives a first idea."""

MIB = 1 << 20
LIMIT = 512 * MIB

BUSY = "while :; do :; done"
LOADS = {
    "one thread": f"exec sh -c '{BUSY}'",
    "four processes": f"for i in 1 2 3 4; do sh -c '{BUSY}' & done; wait",
    "forking build": (
        "job() { i=0; while [ $i -lt 8000 ]; do i=$((i+1)); done; }; "
        "while :; do (job) & (job) & wait; done"
    ),
    "node": "exec node -e 'for(;;);'",
}

EAT = """
import sys, time
held, began = [], time.monotonic()
told = open(sys.argv[1], "w")
while True:
    held.append(b"x" * (4 << 20))
    told.seek(0)
    told.write(str(len(held) * (4 << 20)).ljust(20))
    told.flush()
    ahead = len(held) * (4 << 20) / 1e9 - (time.monotonic() - began)
    time.sleep(max(0.0, ahead))
"""

JOB = (
    "n=0; while :; do i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; "
    "(exit 0); n=$((n+1)); echo $n > {file}; done"
)


def means() -> list[str]:
    best = kernel()
    return ["portable", *([best] if best != "portable" else [])]


@contextmanager
def held_by(corner: Corner, word: str) -> Iterator[None]:
    """Have the corner's supervisor hold limits by this means."""
    corner.env["HIVE_LIMITS"] = word
    yield
    corner.hive("stop-all")
    eventually(lambda: not corner.processes())


def cpu_of(pid: int) -> float:
    """Give the seconds a tree has used: its own, its children's, and of those that ended."""
    total = 0.0
    root = psutil.Process(pid)
    for one in [root, *root.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def shares_of_core(pid: int) -> list[float]:
    """Give the tree's average use over some windows, in percent of a core."""
    found = []
    for _ in range(WINDOWS):
        before, began = cpu_of(pid), time.monotonic()
        time.sleep(SECONDS)
        found.append((cpu_of(pid) - before) / (time.monotonic() - began) * 100)
    return found


def own(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def agents_of(corner: Corner, agents: Mapping[str, Any], **top: Any) -> dict[str, dict[str, Any]]:
    corner.write({"t": agents}, **top)
    corner.hive("deploy")
    return corner.agents()


@pytest.mark.parametrize("word", means())
def test_cpu_is_held(corner: Corner, word: str) -> None:
    print(f"\nCPU held to 50 % of a core, average over {SECONDS:.0f} s, by {word}")
    print(f"{'':20}{'median':>10}{'least':>8}{'most':>8}{'limiter':>10}")
    with held_by(corner, word):
        for name, run in LOADS.items():
            agent = agents_of(corner, {"a": {"run": run, "cpu": "50%"}})["t/a"]
            worker = corner.json("status")["supervisor"]["pid"]
            time.sleep(5)  # the first seconds are those of the start
            before, began = own(worker), time.monotonic()
            found = shares_of_core(agent["pid"])
            cost = (own(worker) - before) / (time.monotonic() - began) * 100
            middle = statistics.median(found)
            print(f"{name:20}{middle:>8.1f} %{min(found):>8.1f}{max(found):>8.1f}{cost:>8.2f} %")


@pytest.mark.parametrize("word", means())
def test_memory_is_held(corner: Corner, word: str) -> None:
    told = corner.path / "told"
    script = corner.path / "eat.py"
    script.write_text(EAT)
    over: list[float] = []
    with held_by(corner, word):
        for _ in range(5):
            told.write_text("0")
            run = f"exec {sys.executable} {script} {told}"
            table_ = {"run": run, "memory": "512MB", "restart": {"policy": "never"}}
            corner.write({"t": {"a": table_}})
            corner.hive("deploy", "--no-wait")
            eventually(lambda: corner.agent("t/a")["state"] == "stopped", timeout=120)
            over.append((int(told.read_text() or 0) - LIMIT) / MIB)
            cause = corner.json("why", "t/a")["certificate"]["cause"]
            corner.hive("start", "t/a", "--no-wait")
            corner.hive("stop", "t/a")
    print(f"\nmemory beyond 512 MB at 1 GB/s, by {word}: {cause}")
    print(f"median {statistics.median(over):.0f} MB, most {max(over):.0f} MB of {len(over)}")


def spawns(seconds: float) -> list[float]:
    """Give how long it took to run `true`, again and again, in milliseconds."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        while True:
            try:
                subprocess.run(["true"], check=True)
            except BlockingIOError:  # the machine has no process left to give
                time.sleep(0.01)
            else:
                break
        found.append((time.perf_counter() - began) * 1000)
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("word", means())
@pytest.mark.parametrize("fault", ["fork bomb", "20 GB allocator"])
def test_one_of_twenty_goes_wild(corner: Corner, word: str, fault: str) -> None:
    script = corner.path / "eat.py"
    script.write_text(EAT)
    wild = {
        "fork bomb": "sleep 8; b() { b | b & }; b; sleep 60",
        "20 GB allocator": f"sleep 8; exec {sys.executable} {script} {corner.path / 'told'}",
    }[fault]
    quiet = {f"q{n}": "exec sleep 99999" for n in range(19)}
    limited = {"run": wild, "memory": "512MB", "processes": 200, "restart": {"policy": "never"}}
    with held_by(corner, word):
        before = agents_of(corner, {**quiet, "wild": limited})
        worker = corner.json("status")["supervisor"]["pid"]
        server = corner.tmux("display-message", "-p", "#{pid}")
        calm, wild_times = spawns(4), spawns(12)
        eventually(lambda: corner.agent("t/wild")["state"] == "stopped", timeout=120)
        after = corner.agents()
        cause = corner.json("why", "t/wild")["certificate"]["cause"]
        same = sum(after[f"t/{name}"]["pid"] == before[f"t/{name}"]["pid"] for name in quiet)
        unhurt = (
            corner.json("status")["supervisor"]["pid"] == worker
            and corner.tmux("display-message", "-p", "#{pid}") == server
        )
    print(f"\n{fault} in one of 20 agents, by {word}: {cause}")
    print(f"{same} of 19 others untouched, tmux and supervisor untouched: {unhurt}")
    print(f"running `true`: calm {p90(calm):.1f} ms (p90), wild {p90(wild_times):.1f} ms,", end=" ")
    print(f"at most {max(wild_times):.0f} ms")


def test_mixed_load(corner: Corner) -> None:
    """Builds and idle agents on a full machine: the work done, and the load, with limits or not."""
    cores = psutil.cpu_count() or 1
    rows: dict[str, list[float]] = {}
    for name, top in {
        "without limits": {"limits": {"admission": False}},
        "with limits": {"limits": {"cpu": "100%", "memory": "75%"}},
    }.items():
        done: list[float] = []
        loads: list[float] = []
        with held_by(corner, "portable"):
            folder = corner.path / name.replace(" ", "-")
            folder.mkdir()
            builds = {f"b{n}": JOB.format(file=folder / str(n)) for n in range(4 * cores)}
            idle = {f"i{n}": "exec sleep 99999" for n in range(10)}
            corner.write({"t": {**builds, **idle}}, **top)
            corner.hive("deploy", "--no-wait")
            end = time.monotonic() + MIXED
            while time.monotonic() < end:
                time.sleep(5)
                loads.append(busy_share())
            done.append(sum(count(file) for file in folder.iterdir()))
        rows[name] = done
        print(f"\n{name}: {done[0]:.0f} jobs in {MIXED:.0f} s, processor used {max(loads):.0f} %")
    table("jobs done", rows, unit="")


def busy_share() -> float:
    return float(psutil.cpu_percent(interval=None))


def count(file: Path) -> int:
    return int(file.read_text().strip() or 0)
