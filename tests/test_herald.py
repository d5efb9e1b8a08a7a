"""Telling people for real: commands that write what they get, on a real store."""

from __future__ import annotations

import json
import select
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hive import herald as module
from hive.adapters.store import Store
from hive.core.dispatch import Candidate, Situation, dispatch
from hive.core.escalation import Escalation, to_dict
from hive.core.tasks import Job, State, Task
from hive.errors import HiveError, WrongInput
from hive.herald import AGAIN, Herald, kept

NOW = 1_700_000_000.0
WRITES = 'command: printf "%s\\n" "$1" >>told'


def item(name: str = "Q8", **changes: Any) -> dict[str, Any]:
    record = {
        "id": name, "kind": "question", "agent": "backend/dev", "asked": "Which one?",
        "why": "it asks", "since": None, "meanwhile": "it waits",
        "answer": f'hive answer {name} "…"',
    }  # fmt: skip
    return record | changes


@dataclass
class Hall:
    """A herald, what waits, and what was told."""

    path: Path
    store: Store
    items: list[dict[str, Any]] = field(default_factory=list)
    projects: dict[str, str] = field(default_factory=lambda: {"backend/dev": "Task"})
    now: float = NOW
    minute: float = 12 * 60.0

    def __post_init__(self) -> None:
        self.herald = self.begin()

    def begin(self) -> Herald:
        return Herald(
            self.store,
            lambda: self.items,
            projects=lambda: self.projects,
            sockets=lambda: [str(self.path / "no-tmux")],
            clock=lambda: self.now,
            minute=lambda _now: self.minute,
            environ={"PATH": "/usr/bin:/bin", "PWD": str(self.path)},
        )

    def again(self) -> None:
        """Have another hive take over."""
        self.herald.close()
        self.herald = self.begin()

    def bind(self, *ways: str, project: str = "Task", **rules: Any) -> None:
        known = Escalation(notify=ways, **rules)
        self.herald.bind(project, json.loads(json.dumps(to_dict(known))))

    def after(self, seconds: float) -> float:
        """Go on by this time; what is told meanwhile is waited for."""
        self.now += seconds
        due = self.herald.step(self.now)
        while self.herald._under_way:
            assert select.select([self.herald], [], [], 30)[0]
            self.herald.read()
        return due

    def told(self, name: str = "told") -> list[str]:
        file = self.path / name
        return file.read_text().splitlines() if file.exists() else []

    def news(self) -> list[str]:
        found = [one.text for one in self.herald.news]
        self.herald.news.clear()
        return found


@pytest.fixture
def hall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hall]:
    monkeypatch.chdir(tmp_path)
    with Store.open(tmp_path / "hive.db") as store:
        one = Hall(path=tmp_path, store=store)
        yield one
        one.herald.close()


def test_what_waits_is_told_once_and_noted(hall):
    hall.bind(WRITES)
    hall.items = [item()]

    assert hall.after(0) == NOW + 10
    hall.after(90)
    hall.after(3600)

    text = 'backend/dev waits for you: question Q8: Which one?; hive answer Q8 "…"'
    assert hall.told() == [text]
    assert hall.news() == [f"Task: by {WRITES}: {text}"]
    (told,) = hall.herald.notices()["notices"]
    assert (told["project"], told["text"], told["command"]) == ("Task", text, 'hive answer Q8 "…"')
    assert told["ways"] == [{"way": WRITES, "told": True, "how": "it ended with 0"}]
    assert kept(hall.store) == hall.herald.notices()


def test_a_hive_that_is_started_again_tells_nothing_twice(hall):
    hall.bind(WRITES)
    hall.items = [item()]
    hall.after(0)
    hall.again()
    hall.after(90)
    hall.again()
    hall.after(3600)

    assert len(hall.told()) == 1
    assert len(hall.herald.notices()["notices"]) == 1


def test_what_reached_nobody_is_told_again_and_said_once(hall):
    hall.bind("command: test -e open", "bell")
    hall.items = [item()]
    hall.after(0)
    hall.after(90)

    assert len(hall.news()) == 2  # one for each way
    assert hall.herald.notices()["notices"] == []
    ways = hall.herald.notices()["projects"][0]["ways"]
    assert [bool(one["failing"]) for one in ways] == [True, True]
    hall.after(AGAIN - 1)
    hall.after(1)
    assert hall.news() == []
    (hall.path / "open").write_text("")
    hall.after(AGAIN)

    (text,) = hall.news()
    assert text.startswith("Task: by command: test -e open: backend/dev waits for you")
    hall.after(AGAIN)
    assert hall.news() == []


def test_a_way_that_failed_says_what_it_has_missed(hall):
    hall.bind(WRITES, 'command: test -e open && printf "%s" "$1" >late', remind=3600.0)
    hall.items = [item()]
    hall.after(0)
    hall.after(90)
    (hall.path / "open").write_text("")
    hall.after(3600)

    assert [len(hall.told()), "before" in "".join(hall.told())] == [2, False]
    assert hall.told("late")[0].endswith("(1 notice before did not come through here)")


def test_each_project_has_its_own_rules_and_its_own_things(hall):
    hall.projects["front/dev"] = "Other"
    hall.bind(WRITES)
    hall.bind("command: echo other >>other", project="Other", wait=0.0, group=0.0)
    hall.bind(project="Deaf")
    hall.items = [
        item("Q1", agent="front/dev"),
        item("t-1", agent="a task", project="Task"),
        item("work", agent="hive", kind="work rests", project=""),
        item("Q2", agent="deaf/dev", project="Deaf"),
    ]
    hall.after(0)
    hall.after(90)

    assert hall.told("other") == ["other"]
    (told,) = hall.told()
    assert told.startswith("a task waits for you: question t-1")
    assert {one["project"] for one in hall.herald.notices()["notices"]} == {"Task", "Other"}
    listed = {one["project"]: one["command"] for one in hall.herald.notices()["notices"]}
    assert listed["Other"] == "hive inbox"  # with what belongs to nobody


def test_a_project_without_rules_rings_the_bell(hall):
    hall.items = [item()]
    hall.after(0)
    hall.after(90)

    (text,) = hall.news()
    assert text.startswith("Task: could not tell by bell: nobody is attached")


def test_in_quiet_hours_nothing_is_told(hall):
    hall.bind(WRITES, quiet=(1320, 420))
    hall.items, hall.minute = [item()], 60.0
    hall.after(0)
    hall.after(90)
    assert hall.told() == []

    hall.minute = 421.0
    hall.after(60)

    assert len(hall.told()) == 1


def test_a_test_tries_every_way_and_says_what_came_of_each(hall):
    hall.bind(WRITES, "command: echo it is shut; false", "bell")

    begun = hall.herald.notify_test()
    assert [one["told"] for one in begun["ways"]] == [False] * 3
    record = begun
    while not record["over"]:
        assert select.select([hall.herald], [], [], 30)[0]
        hall.herald.read()
        record = hall.herald.notify_test(number=begun["number"])

    first, second, bell = record["ways"]
    assert first == {"way": WRITES, "told": True, "how": "it ended with 0"}
    assert (second["told"], second["how"]) == (False, "ended with 1: it is shut")
    assert "hive attach" in bell["how"]
    assert hall.told() == [f"{module.TEST}; hive inbox"]
    assert hall.herald.notices()["notices"] == [] and hall.news() == []


def test_what_can_not_be_tried_is_said(hall):
    hall.bind(project="Deaf")

    with pytest.raises(HiveError, match="nobody is to be told"):
        hall.herald.notify_test("Deaf")
    with pytest.raises(WrongInput, match="no project `Tusk`; did you mean `Task`"):
        hall.herald.notify_test("Tusk")
    with pytest.raises(WrongInput, match="there is no test 7"):
        hall.herald.notify_test(number=7)
    with pytest.raises(WrongInput, match="`notify` must be one of"):
        hall.herald.bind("Task", {"notify": ["smoke signals"]})


def test_two_ways_that_look_alike_are_both_tried():
    found = module.named(["webhook: https://a.b/one", "webhook: https://a.b/two"])

    assert list(found) == ["webhook: https://a.b", "webhook: https://a.b (2)"]
    assert [one.target for one in found.values()] == ["https://a.b/one", "https://a.b/two"]


def test_while_a_person_does_not_answer_others_do_what_needs_no_answer():
    agents = [
        Candidate(
            agent=f"Task/backend/dev-{number}", project="Task", team="backend", role="dev",
            launch=f"{number}-a", skills=frozenset(), takes=frozenset({"prompt"}),
            closed=closed, holds=holds,
        )
        for number, closed, holds in [
            (1, "it is waiting: approval", (task(9, State.LEASED),)),
            (2, "", ()),
            (3, "", ()),
        ]
    ]  # fmt: skip
    ready = [task(1), task(2, sticky="x"), task(3, agent="Task/backend/dev-1")]

    decision = dispatch(Situation(ready=ready, agents=agents, now=NOW))

    given = {one.task.number: one.agent for one in decision.grants}
    assert given.keys() == {1, 2}
    assert "Task/backend/dev-1" not in given.values()
    assert "waiting: approval" in decision.waits[3]


def task(number: int, state: State = State.READY, **job: Any) -> Task:
    asked = Job(text="do it", project="Task", team="backend", role="dev", **job)
    return Task(number=number, uid=f"u{number}", job=asked, state=state, since=NOW)
