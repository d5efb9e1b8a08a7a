"""How a task is taken from an agent again: what was typed already is never left half said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hive.adapters.state import State as Place
from hive.adapters.store import Store
from hive.conversations import Conversations
from hive.core.messages import Message, Stage
from hive.core.tasks import Job, State, Task
from hive.hands import Hands

NOW = 1_700_000_000.0
DEV = "Task/team/dev"
TASK = Task(number=1, uid="u", job=Job(text="a"), state=State.LEASED, agent=DEV, fence=1)


@pytest.mark.parametrize(
    ("begun", "then"), [(Stage.QUEUED, Stage.WITHDRAWN), (Stage.TYPED, Stage.TYPED)]
)
def test_what_is_not_typed_yet_is_taken_back_and_what_is_typed_goes_on(
    short_path: Path, begun: Stage, then: Stage
):
    place = Place(short_path)
    place.prepare()
    with Store.open(place.db) as store:
        talks = Conversations(place, store)
        new = Message(
            number=0, agent=DEV, sender="a person", text="a", created=NOW, since=NOW, lease="t-1-1"
        )
        (sent,) = talks.send([new], "t-1-1")
        talks.outbox.change(replace(sent, stage=begun), "so far")

        Hands(talks).forget(TASK, "cancelled", NOW)

        assert store.post.message(sent.number).stage is then
        talks.close()
