"""When a leased task is late, and why."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.lateness import late, next_check
from hive.core.tasks import Job, Report, State, Task

BEGUN = 1000.0
REPORT = Report(outcome="done", text="", at=1100.0)
DURATION = st.sampled_from([0.0, 30.0, 300.0]) | st.floats(0, 900)


def leased(delivered=0.0, heard=BEGUN, report=None, asked="", **job):
    return Task(
        number=1,
        uid="u",
        job=Job(text="x", **job),
        state=State.LEASED,
        begun=BEGUN,
        delivered=delivered,
        heard=heard,
        report=report,
        asked=asked,
    )


@pytest.mark.parametrize(
    ("task", "moment", "why"),
    [
        pytest.param(leased(), 1300, "its agent did not take it within 5m", id="not delivered"),
        pytest.param(leased(delivered=1010), inf, "", id="delivered, nothing else is asked"),
        pytest.param(leased(delivery=0.0), inf, "", id="it may take for ever"),
        pytest.param(
            leased(1010, 1050, progress=60.0),
            1110,
            "its agent showed no progress for 1m",
            id="silent",
        ),
        pytest.param(
            leased(progress=60.0), 1300, "its agent did not take it within 5m", id="not yet there"
        ),
        pytest.param(leased(1010, 1050, REPORT, progress=60.0), inf, "", id="it has reported"),
        pytest.param(leased(1010, timeout=2400.0), 3400, "it took longer than 40m", id="in all"),
        pytest.param(
            leased(1010, 1100, REPORT, timeout=120.0),
            1120,
            "it took longer than 2m",
            id="in all, its check included",
        ),
        pytest.param(
            leased(1010, 1050, progress=60.0, timeout=90.0),
            1090,
            "it took longer than 1m30s",
            id="the first of them",
        ),
        pytest.param(leased(asked="cancel: no"), inf, "", id="it is being ended"),
        pytest.param(replace(leased(), state=State.READY), inf, "", id="nobody has it"),
    ],
)
def test_when_it_is_late(task, moment, why):
    assert next_check(task) == moment
    assert late(task, min(moment, 1e12) - 0.001) == ""
    assert late(task, min(moment, 1e12)) == why


@given(
    delivered=st.sampled_from([0.0, 1010.0]),
    delivery=DURATION,
    progress=DURATION,
    timeout=DURATION,
    now=st.floats(900, 2000),
)
def test_it_is_late_from_the_moment_on_that_was_foretold(
    delivered, delivery, progress, timeout, now
):
    task = leased(delivered, delivery=delivery, progress=progress, timeout=timeout)
    assert bool(late(task, now)) is (now >= next_check(task))
