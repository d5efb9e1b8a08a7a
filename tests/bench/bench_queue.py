"""How fast work is handed out and finished, power-safe, on both stores; others side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.bench.measure import milliseconds, table
from tests.conftest import ROOT
from tests.postgres import durable_cluster  # noqa: F401 - fixtures

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

OTHERS = ROOT / ".venv" / "bench-queues"
PACKAGES = ("huey==3.5.4", "procrastinate==3.10.0", "psycopg[binary]")
LOADS = Path(__file__).with_name("queue_loads.py")
PROCESSES, MANY = 4, 100
ROUNDS = 3
STORES = ["sqlite", "postgresql"]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give what makes an empty power-safe store of one kind, and tells where it is."""
    if request.param == "sqlite":
        return lambda name: str(tmp_path / f"{name}.db")
    cluster = request.getfixturevalue("durable_cluster")
    return lambda _name: cluster.url(cluster.make())


def run(load: str, python: str = sys.executable, **given: Any) -> dict[str, Any]:
    """Run a load in a process of its own, and give what it found."""
    command = [python, str(LOADS), load, json.dumps(given)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def others() -> str:
    """Give the Python that has the other tools, installed on first use."""
    python = OTHERS / "bin" / "python"
    if not list(OTHERS.glob("lib/*/site-packages/procrastinate")):
        print(f"\ninstalling {', '.join(PACKAGES)} for comparison")
        subprocess.run([sys.executable, "-m", "venv", str(OTHERS)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
    return str(python)


def p99(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, round(0.99 * (len(values) - 1)))]


def told(title: str, values: Sequence[float]) -> None:
    """Print the middle, the p99 and the worst of some durations, given in seconds."""
    one = milliseconds(values)
    middle = sorted(one)[len(one) // 2]
    print(
        f"{title:44} p50 {middle:8.2f}  p99 {p99(one):8.2f}  max {max(one):8.2f} ms  n {len(one)}"
    )


def test_claim_and_finish(store: Any, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    sqlite = "sqlite" in request.node.name
    count = 6000 if sqlite else 3000
    rows: dict[str, list[float]] = {}
    for turn in range(ROUNDS):
        for batch in (1, 10):
            where = store(f"hive{turn}-{batch}")
            rate = run("hive", where=where, tasks=count, processes=PROCESSES, batch=batch)["rate"]
            rows.setdefault(f"hive, {batch} in a transaction", []).append(rate)
        if sqlite:
            where, name = str(tmp_path / f"huey{turn}.db"), "huey"
        else:
            cluster = request.getfixturevalue("durable_cluster")
            where, name = cluster.dsn(cluster.make()), "procrastinate"
        rate = run(name, python=others(), where=where, tasks=count, processes=PROCESSES)["rate"]
        rows.setdefault(name, []).append(rate)
    table(f"claim and finish, power-safe, {PROCESSES} processes", rows, unit="/s")


def test_many_finish_at_once(store: Any) -> None:
    given = {"processes": MANY, "each": 20}
    at_once = run("finishing", where=store("rests"), **given, rest=True)["seconds"]
    burst = run("finishing", where=store("burst"), **given, rest=False)["seconds"]
    print()
    told(f"{MANY} processes finish one each, at once", at_once)
    told(f"{MANY} processes finish 20 each without a rest", burst)


def test_very_many_wait(store: Any) -> None:
    found = run("big", where=store("big"), queued=100_000, rounds=500)
    print(f"\n100,000 queued: adding them took {found['adding']:.1f} s")
    told("a claim", found["claims"])
    told("a look at what is ready", found["looks"])
    told("the first page and the counts", found["pages"])
