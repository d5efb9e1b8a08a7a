"""The queue under torture, in small: `make bench` has the whole of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.postgres import cluster, postgres  # noqa: F401 - fixtures
from tests.queue_torture import Plan, tortured

SMALL = {"tasks": 200, "workers": 4, "every": 0.25, "lease": 0.4}


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, short_path: Path) -> str:
    if request.param == "postgresql":
        found: str = request.getfixturevalue("postgres")
        return found
    return str(short_path / "work.db")


@pytest.mark.parametrize("seed", [1])
def test_nothing_is_lost_doubled_early_or_overlapping(
    where: str, short_path: Path, seed: int
) -> None:
    plan = Plan(where=where, folder=str(short_path), seed=seed, **SMALL)
    found = tortured(plan, timeout=120)
    print(found)
    assert found["wrong"] == []
    assert found["killed"]
    assert found["frozen"]
