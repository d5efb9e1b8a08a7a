"""The desk on a real store: what is asked twice is done once, and what nobody can get is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hive.adapters import seal
from hive.adapters.state import State as Place
from hive.adapters.store import Store
from hive.conversations import Conversations
from hive.core.messages import Stage
from hive.core.profile import Profile
from hive.core.spec import Agent
from hive.core.voice import Voice
from hive.core.world import Memory, State, Wanted
from hive.desk import Desk
from hive.errors import HiveError

NOW = 1_700_000_000.0
DEV, LAUNCH = "Task/team/dev", "1-a"
HOOKED = Voice(profile=Profile(name="fake", wiring="claude", records="claude"))
QUESTION = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "prompt_id": "p"}


@dataclass
class Team:
    wanted: dict[str, Wanted] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)


@dataclass
class Room:
    place: Place
    store: Store
    talks: Conversations
    team: Team
    desk: Desk

    @property
    def me(self) -> dict[str, str]:
        proof = seal.seal(self.place.root, DEV, LAUNCH)
        return {"agent": DEV, "launch": LAUNCH, "seal": proof}


@pytest.fixture
def room(short_path: Path) -> Iterator[Room]:
    place = Place(short_path)
    place.prepare()
    spec = Agent(
        project="Task", team="team", name="dev", role="dev", session="s", window="w",
        directory="/", argv=("true",), voice=HOOKED,
    )  # fmt: skip
    team = Team(
        wanted={DEV: Wanted(agent=spec)},
        memory={DEV: Memory(agent=DEV, state=State.READY, launch=LAUNCH, began=NOW - 60)},
    )
    with Store.open(place.db) as store:
        one = _room(place, store, team)
        yield one
        one.talks.close()


def _room(place: Place, store: Store, team: Team) -> Room:
    talks = Conversations(place, store)
    desk = Desk(
        root=place.root,
        team=team,
        talks=talks,
        chosen=list,
        records=lambda: ([], []),
        clock=lambda: NOW,
    )
    return Room(place=place, store=store, talks=talks, team=team, desk=desk)


def test_what_a_hook_asks_before_the_first_look_waits_for_a_person(room: Room):
    told = room.desk.hook("PermissionRequest", QUESTION, room.me)

    (one,) = room.store.post.requests()
    assert told["wait"] == f"verdict-{one.name}.json"
    assert (one.asked, one.launch, one.channel) == ("Bash: ls", LAUNCH, "hook")


def test_what_was_asked_before_hive_was_killed_is_not_closed_by_the_first_hook_after(room: Room):
    room.desk.hook("PermissionRequest", QUESTION, room.me)
    again = _room(room.place, room.store, room.team)

    again.desk.hook("PostToolUse", {"tool_name": "Read", "tool_input": {}}, room.me)
    with pytest.raises(HiveError, match="can't be answered"):  # nobody has looked yet
        again.desk.decide("A1", allow=True)

    assert [one.name for one in room.store.post.requests()] == ["A1"]


def test_a_question_asked_twice_under_one_id_is_one(room: Room):
    first = room.desk.ask_human("which?", [], room.me, uid="u1")
    again = _room(room.place, room.store, room.team)
    assert again.desk.ask_human("which?", [], room.me, uid="u1") == first
    assert len(room.store.post.requests()) == 1


def test_an_answer_comes_with_the_receipt_of_the_message_that_brings_it(room: Room):
    room.desk.ask_human("which?", [], room.me)

    told = room.desk.answer("Q1", "the left one")

    (letter,) = told["messages"]
    assert told["request"]["state"] == "answered"
    assert (letter["stage"], letter["from"]) == ("queued", "hive")
    assert letter["text"] == "Answer to Q1 (which?): the left one"
    story = room.desk.message(letter["message"])
    assert story["next"]["text"].endswith("it does not run")


def test_what_waits_for_an_agent_that_is_gone_for_good_has_failed(room: Room):
    room.desk.send([DEV], "too late")
    room.desk.ask_human("which?", [], room.me)

    room.talks.forget(DEV)

    (one,) = room.store.post.messages()
    assert (one.stage, one.reason) == (Stage.WITHDRAWN, "its agent was removed")
    assert room.store.post.requests() == []
    assert room.talks.outbox.of(DEV) == []


def test_who_is_being_removed_gets_no_message_and_it_is_said_why(room: Room):
    spec = room.team.wanted[DEV].agent
    room.team.wanted[DEV] = Wanted(agent=spec, up=False, removed=True)

    with pytest.raises(HiveError, match="is being removed"):
        room.desk.send([DEV], "hello")


def test_a_message_is_taken_back_once(room: Room):
    name = room.desk.send([DEV], "hello")["messages"][0]["message"]

    assert room.desk.withdraw(name)["messages"][0]["stage"] == "withdrawn"
    with pytest.raises(HiveError, match="can't be taken back"):
        room.desk.withdraw(name)


def test_when_a_usage_limit_ends_is_read_of_what_a_hook_tells(room: Room):
    payload = {"error": "rate_limit", "error_details": f"limit reached|{NOW + 60:.0f}"}

    room.desk.hook("StopFailure", payload, room.me)

    assert [one.until for one in room.talks._early[DEV]] == [NOW + 60]
