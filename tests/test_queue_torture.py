"""The queue under torture, in small: `make bench` has the whole of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.adapters.queue_reads import NumberedStep
from hive.core.tasks import Job, State, Task, Want
from tests.postgres import cluster, postgres  # noqa: F401 - fixtures
from tests.queue_torture import Plan, _logs, _story, tortured

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


def told(number, fence=1, what="ended", at=1.0, **more):
    return {"task": number, "fence": fence, "what": what, "at": at, **more}


def step(number, state, fence=1):
    return NumberedStep(id=0, task=number, at=0.0, state=state, agent="w1", fence=fence, why="")


@pytest.mark.parametrize(
    ("story", "said", "wrong"),
    [
        pytest.param(
            [step(1, "leased"), step(1, "done"), step(2, "leased"), step(2, "done")],
            [told(1, what="begun", at=1.0, asked=1.0), told(1, what="ending", at=2.0), told(1),
             told(2, what="begun", at=3.0, asked=3.0)],
            "",
            id="as it should be",
        ),
        pytest.param([step(2, "leased")], [], "begins before [1] are over", id="early"),
        pytest.param([step(1, "leased"), step(1, "leased", 2)], [], "twice at once", id="twice"),
        pytest.param([step(1, "leased"), step(3, "leased")], [], "db:1 and db:1", id="a lock"),
        pytest.param([step(1, "done")], [], "by nobody", id="done by nobody"),
        pytest.param([step(1, "leased", 2), step(1, "done")], [], "under 2", id="a late one"),
        pytest.param([], [told(1, 2)], "a late answer was taken", id="a late answer"),
        pytest.param([], [told(1, what="refused")], "refused, and taken", id="a wrong refusal"),
        pytest.param(
            [],
            [told(1, what="ending", at=9.0), told(2, what="begun", at=3.0, asked=3.0)],
            "t-2 was begun before [1]",
            id="early by the clock",
        ),
        pytest.param(
            [],
            [told(number, what="begun", at=1.0, asked=1.0) for number in (1, 3)],
            "at work with db:1",
            id="a lock by the clock",
        ),
    ],
)  # fmt: skip
def test_the_judge_sees_what_is_wrong(story, said, wrong) -> None:
    locked = Job(text="", locks=(Want(name="db:1"),))
    jobs = {1: locked, 2: Job(text=""), 3: locked}
    tasks = {
        number: Task(number=number, uid="", job=job, fence=1, result="w1 1", state=State.DONE)
        for number, job in jobs.items()
    }
    plan = Plan(where="", folder="", tasks=3, workers=1, seed=1, every=1.0)
    needs = {1: [], 2: [1], 3: []}
    found = [*_story(tasks, needs, story), *_logs(plan, tasks, needs, said)]
    assert bool(found) == bool(wrong)
    assert wrong in " ".join(found)
