"""What of the work waits for a person."""

from __future__ import annotations

from dataclasses import replace

from hive import taskitems
from hive.core.tasks import Job, State, Task

HELD = Task(number=1, uid="u", job=Job(text="a"), state=State.HELD, why="held", since=1.7e9)


def test_of_very_many_the_first_are_listed_and_the_others_counted():
    held = [replace(HELD, number=number) for number in range(taskitems.SHOWN)]
    dead = [replace(HELD, number=99, state=State.DEAD)]

    *first, last = taskitems.items(held, dead, (), {"held": 600, "dead": 1})

    assert [one["kind"] for one in first] == ["held task"] * taskitems.SHOWN + ["dead letter"]
    assert (last["agent"], last["answer"]) == ("580 more", "hive task list --state held")
    assert taskitems.items(held, dead, ()) == first
