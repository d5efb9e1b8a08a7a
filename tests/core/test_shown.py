from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core.shown import Shown, outlook, state
from hive.core.signs import Condition, Source, Turn
from hive.core.world import Memory, State

RUNS = Memory(
    agent="a", state=State.READY, reason="it runs", since=5.0, launch="1-a", began=4.0, pid=9
)
READY = Condition(
    launch="1-a", turn=Turn.READY, text="its turn is over", source=Source.HOOK, since=8.0, closed=""
)


def shown(condition=READY, **changes):
    return replace(Shown(condition=condition, profile="claude"), **changes)


STARTING = replace(RUNS, state=State.STARTING)
WORKING = replace(READY, turn=Turn.WORKING, text="it calls Bash")
ASKING = replace(READY, turn=Turn.WAITING, sub="approval", text="Bash: ls")


@pytest.mark.parametrize(
    ("memory", "talk", "told"),
    [
        (RUNS, None, ("ready", "", "it runs", 5.0)),
        (RUNS, shown(), ("ready", "", "its turn is over", 8.0)),
        (RUNS, shown(WORKING), ("working", "", "it calls Bash", 8.0)),
        (RUNS, shown(ASKING), ("waiting", "approval", "Bash: ls", 8.0)),
        (STARTING, shown(ASKING), ("waiting", "approval", "Bash: ls", 8.0)),
        (RUNS, shown(replace(READY, launch="0-z")), ("ready", "", "it runs", 5.0)),
        (RUNS, shown(replace(READY, turn=None)), ("ready", "", "it runs", 5.0)),
        (replace(RUNS, state=State.STOPPING), shown(), ("stopping", "", "it runs", 5.0)),
        (replace(RUNS, began=0.0), shown(), ("ready", "", "it runs", 5.0)),
        (
            RUNS,
            shown(doubt="no sign of work yet"),
            ("starting", "no sign of work", "no sign of work yet", 8.0),
        ),
        (RUNS, shown(doubt="not yet"), ("starting", "", "not yet", 8.0)),
        (
            RUNS,
            shown(WORKING, doubt="no progress for 10m", step="nudge"),
            ("stalled", "nudge", "no progress for 10m", 8.0),
        ),
    ],
)  # fmt: skip
def test_a_conversation_says_more_than_the_process_while_its_launch_runs(memory, talk, told):
    assert state(memory, talk) == told


@pytest.mark.parametrize(
    ("talk", "text", "at"),
    [
        (shown(), "as soon as there is one", None),
        (shown(queue=2), "gives it the next of 2", None),
        (shown(queue=2, closed="draft in the composer"), "draft in the composer", None),
        (shown(WORKING, queue=1), "lets it work, then", None),
        (shown(ASKING), "hive inbox", None),
        (shown(replace(READY, turn=Turn.LIMITED, until=99.0)), "usage limit", 99.0),
        (shown(WORKING, next=("restarts it", 50.0)), "restarts it", 50.0),
    ],
)
def test_what_is_next_is_told(talk, text, at):
    told, when = outlook(RUNS, talk)

    assert text in told
    assert when == at


def test_a_plain_programs_process_says_what_is_next():
    assert outlook(RUNS, None) is None
    assert outlook(replace(RUNS, state=State.STOPPED), shown()) is None
