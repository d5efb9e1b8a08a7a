from __future__ import annotations

import pytest

from hive.core.accounting import Counted, counted, moved
from hive.core.belonging import gained
from hive.core.trees import Process
from hive.core.world import Tree


def process(pid, parent=1, started=10):
    return Process(pid=pid, parent=parent, session=1, started=started, state="S", cpu=0.0, name="x")


def key(pid):
    return (pid, 10)


@pytest.mark.parametrize(
    ("before", "after", "gain"),
    [
        ({}, {}, 0),
        ({1: (0, 5)}, {1: (0, 9)}, 4),
        ({1: (0, 5)}, {1: (0, 9), 2: (1, 3)}, 7),
        ({1: (0, 5), 2: (1, 100)}, {1: (0, 109)}, 4),
        ({1: (0, 5), 2: (1, 100)}, {1: (0, 9)}, 4),
        ({1: (0, 5), 2: (1, 10), 3: (2, 100)}, {1: (0, 119)}, 4),
        ({1: (0, 9)}, {1: (0, 5)}, 0),
        ({1: (1, 5), 2: (2, 5)}, {1: (1, 6)}, 1),
    ],
    ids=[
        "nothing", "one grew", "one is new", "a child was reaped", "a child was not reaped here",
        "a grandchild was reaped through its parent", "a counter went back", "a circle of parents",
    ],
)  # fmt: skip
def test_counters_gained(before, after, gain):
    found = gained(
        {key(pid): value for pid, value in before.items()},
        {key(pid): value for pid, value in after.items()},
    )
    assert found == pytest.approx(gain)


def test_a_reused_pid_is_a_new_process():
    before = counted(Tree(current=(process(1), process(2, 1))), {1: (10, 0), 2: (500, 0)})
    after = counted(Tree(current=(process(1), process(2, 1, 99))), {1: (510, 0), 2: (30, 0)})
    assert moved(before, after) == (30, 0)


def test_read_and_written_are_counted_each_and_strays_with_them():
    before = Tree(current=(process(1),), strays=(process(7),))
    after = Tree(current=(process(1), process(2, 1)), strays=(process(7),))
    first = counted(before, {1: (10, 20), 7: (1, 1)})
    last = counted(after, {1: (15, 20), 2: (100, 7), 7: (2, 4), 99: (5, 5)})
    assert moved(first, last) == (106, 10)


def test_what_could_not_be_read_is_left_out():
    assert counted(Tree(current=(process(1),)), {}) == Counted(read={}, written={})
