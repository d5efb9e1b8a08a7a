"""What goes wrong with one thing stops no other, and what is counted against no task."""

from __future__ import annotations

import pytest

from hive.adapters.post import Superseded
from hive.core.tasks import Job, State, Task
from hive.errors import HiveError
from hive.faults import LASTING, Faults
from hive.rests import Rests


def broken(faults, error, now=0.0, what="t-1"):
    with faults.apart(what, now):
        raise error


def test_a_fault_is_told_once_and_known_until_it_goes_well():
    told = []
    faults = Faults("work.db", lambda what, why: told.append((what, why)))
    for now in (0.0, 1.0):
        broken(faults, HiveError("tmux does not answer"), now)
    assert told == [("t-1", "tmux does not answer")]
    assert faults.why("t-1") == "tmux does not answer"
    with faults.apart("t-1", 2.0):
        pass
    assert not faults.why("t-1")


def test_only_a_bug_that_lasts_is_given_up():
    faults = Faults("work.db", lambda _what, _why: None)
    for now in (0.0, LASTING):
        broken(faults, KeyError("x"), now, "t-1")
        broken(faults, HiveError("tmux does not answer"), now, "t-2")
    assert "KeyError" in faults.why("t-1")
    assert faults.lasting(LASTING - 1) == []
    assert faults.lasting(LASTING) == ["t-1"]
    faults.forget("t-1")
    assert faults.lasting(LASTING) == []


def test_who_was_slower_is_no_fault_and_a_broken_store_concerns_all():
    faults = Faults("work.db", lambda _what, _why: None)
    broken(faults, Superseded("t-1"))
    assert not faults.why("t-1")
    with pytest.raises(HiveError, match="full"):
        broken(faults, HiveError("the disk is full", where="work.db"))


def leased(agent="Task/back/w"):
    return Task(
        number=1,
        uid="a",
        job=Job(text=""),
        state=State.LEASED,
        agent=agent,
        begun=100.0,
        heard=100.0,
    )


@pytest.mark.parametrize(
    ("paused", "passed", "lost"),
    [((), 60.0, 0.0), (("Task/back/w",), 60.0, 60.0), ((), 10.0, 50.0), ((), 55.0, 0.0)],
)
def test_time_that_was_lost_is_counted_against_no_task(paused, passed, lost):
    rests, task = Rests(), leased()
    rests.look([task], (), 100.0, 0.0)
    rests.look([task], paused, 160.0, passed)
    found = rests.spared(task)
    assert found.begun == 100.0 + lost
    assert found.heard == (160.0 if lost else 100.0)
    rests.look([task], (), 162.0, passed + 2.0)
    assert rests.spared(task) == found
    rests.look([], (), 164.0, passed + 4.0)
    assert rests.spared(task) == task
