"""The queue under torture: 3,000 tasks, workers killed and frozen every 0.4 s, both stores."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.postgres import durable_cluster, durable_postgres  # noqa: F401 - fixtures
from tests.queue_torture import Plan, tortured

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

TASKS = int(os.environ.get("TASKS", "3000"))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_is_lost_doubled_early_or_overlapping(
    kind: str, short_path: Path, request: pytest.FixtureRequest
) -> None:
    where = str(short_path / "work.db")
    if kind == "postgresql":
        where = request.getfixturevalue("durable_postgres")
    seed = int(os.environ.get("SEED", "0")) or int(time.time())
    plan = Plan(
        where=where, folder=str(short_path), tasks=TASKS, workers=5, seed=seed, every=0.4
    )  # fmt: skip
    found = tortured(plan, timeout=3000)
    print(f"\n{kind}, seed {seed}: {found}")
    assert found["wrong"] == []
