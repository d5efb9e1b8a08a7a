"""Handing over on a real store and queue: who may, who gets it, what is kept, what goes along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hive.adapters import seal
from hive.adapters.queue import Queue
from hive.adapters.spool import Spool
from hive.adapters.state import State as Place
from hive.adapters.store import Store
from hive.conversations import Conversations
from hive.core import transitions
from hive.core.profile import Profile, Typing
from hive.core.repository import Changed, Commit, Kind, Tree
from hive.core.signs import Condition, Ear, Turn
from hive.core.spec import Agent
from hive.core.strain import Strain
from hive.core.tasks import Claim, Job, New, Task
from hive.core.voice import Voice
from hive.core.workflow import Definition, Step
from hive.core.world import Memory, State, Wanted
from hive.desk import Desk
from hive.ears import Line
from hive.errors import HiveError, WrongInput
from hive.handing import Handing
from hive.hands import Hands
from hive.work import Work

NOW = 1_700_000_000.0
DEV, UI, API, RUN, SHELL = (f"Shop/t/{name}" for name in ("dev", "ui", "api", "run", "sh"))
SPOKEN = Profile(name="fake", wiring="claude", records="claude")
VOICES: Mapping[str, Voice | None] = {
    DEV: Voice(profile=SPOKEN),
    UI: Voice(profile=SPOKEN),
    API: None,
    RUN: Voice(profile=replace(SPOKEN, name="worker", messages=False)),
    SHELL: Voice(profile=Profile(name="shell", typing=Typing(form="{text}"))),
}


@dataclass
class Machine:
    """A machine at rest."""

    strain: Strain = field(default_factory=Strain)

    def cores(self, _agent: str) -> float:
        return 0.0

    def bytes_of(self, _agent: str) -> int:
        return 0


@dataclass
class Room:
    """Agents that can be spoken to, and all that is asked when one hands over."""

    place: Place
    store: Store
    talks: Conversations
    queue: Queue
    wanted: dict[str, Wanted]
    memory: dict[str, Memory]
    governor: Machine = field(default_factory=Machine)
    node: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
        self.work = Work(self.queue, self, {})
        desk = Desk(
            root=self.place.root, team=self, talks=self.talks, chosen=self.chosen,
            records=lambda: ([], []), clock=lambda: NOW,
        )  # fmt: skip
        self.handing = Handing(
            team=self, journal=self.store.journal, work=lambda: self.work, chosen=self.chosen,
            who=desk.who, person=desk.person, clock=lambda: NOW,
        )  # fmt: skip

    def chosen(self, names):
        known = {name: [name] for name in self.wanted} | {"t": list(self.wanted)}
        found = [one for name in names for one in known.get(name) or known[f"Shop/{name}"]]
        if not found:
            raise WrongInput("nobody")
        return found

    def me(self, agent: str) -> dict[str, str]:
        return {"agent": agent, "launch": "l", "seal": seal.seal(self.place.root, agent, "l")}

    def add(self, text: str, **job: object) -> Task:
        return self.queue.add([New(uid=text, job=Job(text=text, **job))])[0]

    def lease(self, task: Task, agent: str = DEV) -> Task:
        return self.queue.claim([Claim(agent=agent, launch="l", number=task.number)])[0]

    def task(self, task: Task) -> Task:
        return self.queue.task(task.number)

    def told(self, agent: str) -> list[str]:
        return [one.text for one in self.store.post.messages(agent=agent)]


@pytest.fixture
def room(short_path: Path) -> Iterator[Room]:
    place = Place(short_path)
    place.prepare()
    specs = [
        Agent(
            project="Shop", team="t", name=agent.rpartition("/")[2], role="dev", session="s",
            window="w", directory="/", argv=("sh", "-c", "make up"), voice=voice, capacity=2,
            port=None if voice else 4000,
        )
        for agent, voice in VOICES.items()
    ]  # fmt: skip
    wanted = {one.id: Wanted(agent=one) for one in specs}
    memory = {
        agent: Memory(
            agent=agent, state=State.READY, launch="l", began=NOW, generation=one.generation
        )
        for agent, one in wanted.items()
    }
    with Store.open(place.db) as store, Queue.open(str(short_path / "work.db")) as queue:
        talks = Conversations(place, store)
        for spec in specs[:2]:
            talks.ears.lines[spec.id] = _line(spec, memory[spec.id], short_path)
        yield Room(place, store, talks, queue, wanted, memory)
        talks.ears.lines.clear()
        talks.close()


def _line(spec: Agent, memory: Memory, folder: Path) -> Line:
    ready = Condition(launch="l", turn=Turn.READY, closed="")
    return Line(
        spec=spec, profile=SPOKEN, memory=memory, folder=folder, records=None,
        spool=Spool(folder), ear=Ear(launch="l"), condition=ready,
    )  # fmt: skip


def test_the_next_one_gets_the_note_and_the_facts_and_they_are_kept(room: Room):
    done = room.lease(room.add("Write the API", check="make test"))
    now = room.queue.now()
    room.queue.change([transitions.done(done, "it listens", "said", now, confidence=0.9)])
    commit = Commit(hash="c" * 40, at=now, author="dev", subject="Add it")
    changed = (Changed(path="a.py", kind=Kind.MODIFIED),)
    room.work.trees = lambda _agent: Tree(
        root="/", branch="hive/dev", commits=(commit,), changed=changed
    )

    answer = room.handing.hand_off("t/dev", ["t/ui"], "API is at :4000", uid="u")

    assert [(one["agent"], one["stage"]) for one in answer["messages"]] == [("t/ui", "queued")]
    assert answer["messages"][0]["from"] == "t/dev"
    assert room.told(UI) == [answer["text"]]
    assert answer["text"].splitlines() == [
        "t/dev hands over to you: API is at :4000",
        "",
        "How it is run:",
        "- t/api on port 4000: make up",
        "- check: make test",
        "",
        "t/dev, on branch hive/dev:",
        "- Write the API (t-1) done, 90% sure: it listens",
        "- commits: cccccccc Add it",
        "- changed, not committed: a.py",
    ]
    (kept,) = room.handing.handoffs(["t/ui"])["handoffs"]
    assert (kept["from"], kept["to"], kept["note"]) == ("t/dev", "t/ui", "API is at :4000")
    assert (kept["message"], kept["text"]) == ("m-1", answer["text"])
    assert kept["facts"][0]["commits"] == ("cccccccc Add it",)
    assert {one.agent for one in room.talks.news if one.kind == "handoff"} == {DEV, UI}
    assert room.handing.handoffs(["t/api"])["handoffs"] == []


def test_what_is_asked_twice_is_handed_over_once_and_the_next_time_only_what_is_new(room: Room):
    done = room.lease(room.add("one"))
    room.queue.change([transitions.done(done, "", "said", room.queue.now())])
    first = room.handing.hand_off("t/dev", ["t/ui"], uid="u")
    again = room.handing.hand_off("t/dev", ["t/ui"], uid="u")

    assert again["messages"] == first["messages"] and len(room.told(UI)) == 1
    assert len(room.handing.handoffs()["handoffs"]) == 1
    with pytest.raises(WrongInput, match="nothing to hand over that is not handed over already"):
        room.handing.hand_off("t/dev", ["t/ui"])

    late = room.lease(room.add("two"))
    assert "two (t-2) not over yet" in room.handing.hand_off("t/dev", ["t/ui"])["text"]
    room.queue.change([transitions.done(late, "", "said", room.queue.now())])
    (*_, last) = room.handing.hand_off("t/dev", ["t/ui"])["text"].splitlines()[6:7]
    assert last == "- two (t-2) done"


def test_an_agent_hands_over_its_own_work_alone_and_only_as_itself(room: Room):
    mine = room.handing.hand_off("", ["t/ui"], "mine", me=room.me(DEV))
    assert mine["messages"][0]["from"] == "t/dev"

    with pytest.raises(WrongInput, match="`t/dev` hands over its own work alone"):
        room.handing.hand_off("t/ui", ["t/dev"], "x", me=room.me(DEV))
    with pytest.raises(WrongInput, match="can't prove who it is"):
        room.handing.hand_off("", ["t/ui"], "x", me={**room.me(DEV), "seal": "no"})


@pytest.mark.parametrize(
    ("source", "targets", "note", "said"),
    [
        pytest.param("t/dev", [], "x", "it is not said to whom", id="to nobody"),
        pytest.param("t/dev", ["t/dev"], "x", "can't hand over to itself", id="to itself"),
        pytest.param("t/dev", ["t/api"], "x", "is a plain program", id="to a plain program"),
        pytest.param("t/dev", ["t/run"], "x", "would take a note for one", id="to a worker"),
        pytest.param("t/dev", ["t/sh"], "x", "would take a note for one", id="to a shell"),
        pytest.param("t", ["t/ui"], "x", "`t` names 5 agents", id="from many"),
        pytest.param("", ["t/ui"], "x", "nobody is named", id="from nobody"),
        pytest.param("t/dev", ["t/ui"], "x" * 3000, "the note has 3000 characters", id="too long"),
        pytest.param("t/dev", ["t/ui"], "", "nothing to hand over", id="nothing"),
    ],
)
def test_what_can_not_be_handed_over_is_refused_and_nothing_is_said(
    room: Room, source, targets, note, said
):
    with pytest.raises(WrongInput, match=said) as caught:
        room.handing.hand_off(source, targets, note)

    assert caught.value.fix
    assert room.store.post.messages() == [] and room.handing.handoffs()["handoffs"] == []


def test_of_a_team_those_get_it_that_can_read(room: Room):
    answer = room.handing.hand_off("t/dev", ["t"], "all of you")

    assert [one["agent"] for one in answer["messages"]] == ["t/ui"]


def test_a_task_goes_along_to_one_that_may_have_it(room: Room):
    task = room.lease(room.add("Go on"))

    answer = room.handing.hand_off("t/dev", ["t/ui"], "yours now", task=True)

    after = room.task(task)
    assert (answer["task"], answer["why"]) == ("t-1", "")
    assert (after.agent, after.attempt, after.fence) == (UI, 1, task.fence + 1)
    assert after.job == task.job
    assert "t-1 was handed over to t/ui" in room.told(DEV)[0]
    with pytest.raises(HiveError):  # what it says of it now comes too late
        room.queue.change([transitions.done(task, "", "said", room.queue.now())])


@pytest.mark.parametrize(
    ("job", "targets", "said"),
    [
        pytest.param({"agent": DEV}, ["t/ui"], "t-1 does not go along: ", id="for it alone"),
        pytest.param(
            {}, ["t/ui", "Shop/t/two"], "t-1 does not go along: only one of 2", id="to two"
        ),
        pytest.param(None, ["t/ui"], "no task does not go along: t/dev has none", id="none"),
    ],
)
def test_a_task_that_can_not_go_along_stays_and_it_is_said(room: Room, job, targets, said):
    spec = replace(room.wanted[UI].agent, name="two")
    room.wanted[spec.id] = Wanted(agent=spec)
    task = room.lease(room.add("Go on", **job)) if job is not None else None

    answer = room.handing.hand_off("t/dev", targets, "yours", task=True)

    assert answer["task"] is None and answer["why"].startswith(said)
    assert len(answer["messages"]) == len(targets)
    assert task is None or room.task(task) == task


def test_the_next_phases_agent_is_told_once_and_its_task_is_as_it_was_written(room: Room):
    steps = (
        Step(key="a.one", job=Job(text="one")),
        Step(key="a", job=Job(text="end", kind="barrier"), needs=("a.one",)),
        Step(key="b.two", job=Job(text="two"), needs=("a",)),
    )
    made = Definition(name="w", pattern="hybrid", params={}, steps=steps)
    room.work.runs.start(made, "Shop", {}, "r", "a person", room.queue.now())
    first = room.lease(room.queue.by_uid("r:a.one"))
    room.queue.change([transitions.done(first, "it is red", "said", room.queue.now())])
    room.work.runs.open(room.queue.now())
    second = room.lease(room.queue.by_uid("r:b.two"), UI)
    hands = Hands(room.talks, room.work.runs.words)

    hands.serve(second, fetches=False, now=NOW)
    hands.serve(second, fetches=False, now=NOW)
    Hands(room.talks, room.work.runs.words).serve(second, fetches=False, now=NOW)

    (told,) = room.told(UI)
    assert told.count("What was handed over:") == told.count("a.one (t-1) done: it is red") == 1
    assert told.startswith("two\n\n") and "(This is task t-3. When it is done, run:" in told
    assert room.task(second).words == "two" and room.task(second).job.text == "two"
    assert "- t/api on port 4000: make up" in told
