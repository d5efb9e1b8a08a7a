"""How a task is taken from an agent again: what was typed already is never left half said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hive.adapters.spool import Spool
from hive.adapters.state import State as Place
from hive.adapters.store import Store
from hive.conversations import Conversations
from hive.core.messages import Message, Stage
from hive.core.profile import Profile
from hive.core.signs import Condition, Ear
from hive.core.spec import Agent
from hive.core.tasks import Job, State, Task
from hive.core.voice import Voice
from hive.core.world import Memory
from hive.core.world import State as Life
from hive.ears import Line
from hive.hands import Hands

NOW = 1_700_000_000.0
DEV = "Task/team/dev"
TASK = Task(number=1, uid="u", job=Job(text="a"), state=State.LEASED, agent=DEV, fence=1)


PROFILE = Profile(name="fake")


def line(folder: Path) -> Line:
    spec = Agent(
        project="Task", team="team", name="dev", role="dev", session="s", window="w",
        directory="/", argv=("true",), voice=Voice(profile=PROFILE),
    )  # fmt: skip
    memory = Memory(agent=DEV, state=Life.READY, launch="l1", began=NOW)
    return Line(
        spec=spec, profile=PROFILE, memory=memory, folder=folder, records=None,
        spool=Spool(folder), ear=Ear(launch="l1"), condition=Condition(launch="l1"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("begun", "lives", "then"),
    [
        pytest.param(Stage.QUEUED, True, Stage.WITHDRAWN, id="queued"),
        pytest.param(Stage.TYPED, True, Stage.TYPED, id="in its composer"),
        pytest.param(Stage.TYPED, False, Stage.WITHDRAWN, id="its launch is over"),
        pytest.param(Stage.SUBMITTED, False, Stage.WITHDRAWN, id="it had begun"),
    ],
)
def test_what_is_not_typed_yet_is_taken_back_and_what_is_typed_goes_on(
    short_path: Path, begun: Stage, lives: bool, then: Stage
):
    place = Place(short_path)
    place.prepare()
    with Store.open(place.db) as store:
        talks = Conversations(place, store)
        new = Message(
            number=0, agent=DEV, sender="a person", text="a", created=NOW, since=NOW, lease="t-1-1"
        )
        (sent,) = talks.send([new], "t-1-1")
        talks.outbox.change(replace(sent, stage=begun, launch="l1"), "so far")
        if lives:
            talks.ears.lines[DEV] = line(short_path)

        Hands(talks).forget(TASK, "cancelled", NOW)

        assert store.post.message(sent.number).stage is then
        talks.ears.lines.clear()
        talks.close()
