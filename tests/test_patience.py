"""What hive holds against agents, on a real store: it outlives a hive that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.spool import Spool
from hive.adapters.store import Store
from hive.adapters.typist import Typist
from hive.core.limits import Ceiling
from hive.core.profile import Profile
from hive.core.profile import Stall as Stalls
from hive.core.signs import Condition, Ear, Sub, Turn
from hive.core.spec import Agent
from hive.core.stall import Step, Watch
from hive.core.talk import Talk
from hive.core.voice import Voice
from hive.core.world import Memory, State, Use
from hive.ears import Line, remembered, talked
from hive.outbox import Outbox
from hive.patience import GO_ON, Around, Patience, granted
from hive.requests import Requests

NOW = 1_700_000_000.0
RESET = NOW + 60
PROFILE = Profile(name="fake", stall=Stalls(after=60.0, step=10.0, interrupt=()))


class Watched:
    """Lines of agents of one account, and a patience that may be killed and begun anew."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._typist = Typist("none")
        self.lines: dict[str, Line] = {}
        self.talks: dict[str, Talk] = {}
        self.ceilings: dict[str, Ceiling] = {}
        self.paused: dict[str, float] = {}
        self.begin()

    def begin(self) -> None:
        """Be a hive that knows what the store knows."""
        self.requests = Requests(self._store.post, self._typist, lambda _launch: self._folder)
        self.outbox = Outbox(self._store.post, self._typist, lambda _agent: "")
        self.one = Patience(self._store, self._typist, self.outbox, self.requests)

    def add(self, name: str, **changes: Any) -> Line:
        agent = f"Task/team/{name}"
        spec = Agent(
            project="Task", team="team", name=name, role="dev", session="s", window="w",
            directory="/", argv=("true",), voice=Voice(profile=PROFILE, account="acc"),
        )  # fmt: skip
        memory = Memory(agent=agent, state=State.READY, launch="1-a", began=NOW - 600)
        values = {
            "spec": spec, "profile": PROFILE, "memory": memory, "folder": self._folder,
            "records": None, "spool": Spool(self._folder), "ear": Ear(launch="1-a"),
            "condition": Condition(launch="1-a", turn=Turn.READY, since=NOW - 600, closed=""),
            "moved": NOW - 600, "begun": NOW - 600,
        }  # fmt: skip
        self.lines[agent] = Line(**(values | changes))
        return self.lines[agent]

    def watch(self, now: float, cpu: float = NOW - 500) -> None:
        around = Around(
            uses={agent: Use(quiet_since=cpu) for agent in self.lines},
            talks=self.talks,
            briefs={},
            asking=self.requests.asking(),
            asked=self.requests.keys(),
            ceilings=self.ceilings,
            paused=self.paused,
        )
        self.one.watch(self.lines, around, now)

    def notes(self) -> list[tuple[str, str]]:
        return [(one.agent[-1], one.text) for one in self._store.post.messages()]


@pytest.fixture
def watched(short_path: Path) -> Iterator[Watched]:
    with Store.open(short_path / "hive.db") as store:
        one = Watched(store, short_path)
        yield one
        one.outbox.close()


def limited(until: float) -> Condition:
    return Condition(
        launch="1-a", turn=Turn.LIMITED, sub=Sub.USAGE, text="used up", until=until, since=NOW
    )


def ready(worked: float = 0.0) -> Condition:
    return Condition(launch="1-a", turn=Turn.READY, since=NOW, worked=worked, closed="")


def test_an_account_is_parked_and_let_go_one_by_one_whoever_is_killed(watched: Watched):
    one, two, idle = watched.add("1"), watched.add("2"), watched.add("3")
    one.condition, two.condition = limited(0.0), limited(0.0)
    watched.watch(NOW)
    one.condition = two.condition = limited(RESET)  # the reset is told only now
    watched.watch(NOW + 1)
    assert all("used up" in watched.one.closed(agent) for agent in watched.lines)

    watched.begin()  # and the limit ends while no hive runs
    one.condition = two.condition = ready()
    watched.watch(RESET + 1)
    assert watched.notes() == [("1", GO_ON)]
    assert not watched.one.closed(one.spec.id)
    assert watched.one.closed(two.spec.id) and watched.one.closed(idle.spec.id)

    watched.begin()
    watched.watch(RESET + 10)
    assert watched.notes() == [("1", GO_ON)]
    one.condition = ready(worked=RESET + 12)
    watched.watch(RESET + 13)
    assert watched.notes() == [("1", GO_ON), ("2", GO_ON)]


def test_a_restart_for_a_stall_is_asked_for_until_it_has_happened(watched: Watched):
    working = Condition(launch="1-a", turn=Turn.WORKING, since=NOW - 500, closed="working")
    line = watched.add("1", condition=working, watch=Watch(step=Step.INTERRUPT, at=NOW - 20))
    watched.watch(NOW)
    assert line.watch.step is Step.RESTART
    assert list(watched.one.ends) == [line.spec.id]

    known = talked(Talk(agent=line.spec.id), line)  # what was written before hive was killed
    watched.begin()
    line = watched.add("1", condition=working, watch=remembered(known), begun=NOW + 1)
    watched.watch(NOW + 2, cpu=NOW + 1)
    assert list(watched.one.ends) == [line.spec.id]

    line.memory = Memory(agent=line.spec.id, state=State.READY, launch="1-b", began=NOW + 3)
    line.condition = ready()
    watched.watch(NOW + 4)
    assert watched.one.ends == {}
    assert line.watch == Watch(restarted=NOW)


def test_who_is_paused_does_not_stall_and_gets_all_its_time_anew(watched: Watched):
    working = Condition(launch="1-a", turn=Turn.WORKING, since=NOW - 500, closed="working")
    line = watched.add("1", condition=working)
    for now in (NOW, NOW + 3600):
        watched.paused = {line.spec.id: now}
        watched.watch(now)
        assert line.watch.step is Step.NONE

    watched.watch(NOW + 3600 + 50)
    assert line.watch.step is Step.NONE
    watched.watch(NOW + 3600 + 70)
    assert line.watch.step is Step.LOOK


def test_who_is_paused_keeps_nobody_of_its_account_waiting(watched: Watched):
    one, two = watched.add("1"), watched.add("2")
    one.condition = two.condition = limited(RESET)
    watched.watch(NOW)
    one.condition = two.condition = ready()
    for now in (RESET + 1, RESET + 100, RESET + 200):
        watched.paused = {one.spec.id: now}
        watched.watch(now)

    assert watched.one.closed(two.spec.id) == ""
    assert sorted(watched.notes()) == [("1", GO_ON), ("2", GO_ON)]


def test_a_hive_that_begins_takes_nothing_it_sees_first_for_progress(watched: Watched):
    working = Condition(launch="1-a", turn=Turn.WORKING, since=NOW - 500, closed="working")
    nudged = Watch(step=Step.NUDGE, at=NOW - 5, why="no output")
    line = watched.add("1", condition=working, watch=nudged, begun=NOW)

    watched.watch(NOW + 1, cpu=NOW + 1)

    assert line.watch == nudged


def test_a_budget_is_asked_for_once_and_no_more_when_there_is_more(watched: Watched):
    line = watched.add("1")
    watched.ceilings = {"Task": Ceiling(budget=5.0)}
    watched.talks = {line.spec.id: Talk(agent=line.spec.id, spent={"s": 6.0})}
    watched.watch(NOW)
    watched.watch(NOW + 1)
    watched.begin()
    watched.watch(NOW + 2)
    (one,) = watched.requests._post.requests()
    assert "budget is used up" in one.asked and "budget is used up" in watched.one.closed(
        line.spec.id
    )

    watched.one.grant(one.key, granted(" $10 "), NOW)
    watched.begin()
    watched.watch(NOW + 3)

    assert watched.one.closed(line.spec.id) == ""
    assert watched.requests._post.requests() == []
