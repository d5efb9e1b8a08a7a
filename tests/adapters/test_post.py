from __future__ import annotations

from dataclasses import replace

import pytest

from hive.adapters.post import REMEMBERED, Superseded
from hive.adapters.store import Store
from hive.core.messages import Message, Request, Stage
from hive.core.talk import Talk

DEV = "task/web/dev"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hive.db"


@pytest.fixture
def store(path):
    with Store.open(path) as one:
        yield one


def message(text="do it", agent=DEV, at=10.0):
    return Message(number=0, agent=agent, sender="a person", text=text, created=at, since=at)


def request(**changes):
    one = Request(
        number=0,
        kind="approval",
        agent=DEV,
        launch="1-a",
        asked="Bash: ls",
        at=5.0,
        key="k",
        digest="d",
        channel="hook",
    )
    return replace(one, **changes)


def test_messages_are_numbered_in_order_and_survive(store, path):
    first, second = store.post.add([message("a"), message("ü\ud800", agent="task/web/pm")])
    (third,) = store.post.add([message("c")])

    assert [first.number, second.number, third.number] == [1, 2, 3]
    with Store.open(path) as again:
        assert again.post.message(1) == first
        assert again.post.message(2).text == "ü?"
        assert again.post.open()[DEV] == [first, third]


def test_every_stage_is_a_step_of_its_story_and_an_event(store):
    (one,) = store.post.add([message()])
    typed = replace(one, stage=Stage.TYPED, since=11.0, launch="1-a")
    (typed,) = store.post.change([(typed, "typed into 1-a")])
    over = replace(typed, stage=Stage.ANSWERED, since=12.0, result="done")
    store.post.change([(over, "its turn is over")])

    story = store.post.story(one.number)
    assert [(step.at, step.stage) for step in story] == [
        (10.0, "queued"),
        (11.0, "typed"),
        (12.0, "answered"),
    ]
    assert store.post.open() == {}
    said = [event.text for event in store.events(agent=DEV)]
    assert said[1] == "m-1 typed: typed into 1-a"


def test_what_was_changed_meanwhile_is_not_written_over(store):
    one, other = store.post.add([message("a"), message("b")])
    store.post.change([(replace(one, stage=Stage.TYPED), "first")])

    with pytest.raises(Superseded, match="m-1"):
        store.post.change(
            [(replace(other, stage=Stage.TYPED), "x"), (replace(one, stage=Stage.FAILED), "y")]
        )

    assert store.post.message(1).stage is Stage.TYPED
    assert store.post.message(2).stage is Stage.QUEUED  # all or nothing
    assert len(store.post.story(2)) == 1


def test_a_message_and_the_deed_it_is_are_kept_together(store):
    store.post.add([message("a"), message("b")], uid="u1")

    assert store.post.answered("u1") == {"messages": [1, 2]}
    assert store.post.answered("u2") is None


def test_a_deed_is_remembered_for_long_enough(store):
    store.post.add([message("a", at=0.0)], uid="old")
    store.post.add([message("b", at=0.0)], uid="old")
    store.post.add([message("c", at=REMEMBERED)], uid="new")

    assert store.post.answered("old") == {"messages": [1]}  # the first answer counts
    store.post.tidy(REMEMBERED + 1)
    assert store.post.answered("old") is None
    assert store.post.answered("new") == {"messages": [3]}


def test_a_request_is_open_until_it_is_settled_once(store):
    one = store.post.ask(request())
    question = store.post.ask(request(kind="question", asked="Which?"))

    assert (one.name, question.name) == ("A1", "Q2")
    assert store.post.requests() == [one, question]
    store.post.settle(replace(one, state="allowed", answered=6.0), "by a person")
    assert store.post.requests() == [question]
    with pytest.raises(Superseded, match="A1"):
        store.post.settle(replace(one, state="denied"), "too late")
    assert store.post.request(1).state == "allowed"


def test_conversations_are_remembered_with_all_they_hold(store, path):
    talk = Talk(agent=DEV, session="s", launch="1-a", turn="ready", spent={"s": 0.5}, taken=True)
    (kept,) = store.post.remember([talk])
    (newer,) = store.post.remember([replace(kept, sub="approval")])

    with Store.open(path) as again:
        assert again.post.talks() == {DEV: newer}
    store.post.forget(DEV)
    assert store.post.talks() == {}


def test_messages_can_be_listed_by_stage_and_agent(store):
    store.post.add([message(str(number)) for number in range(5)])
    store.post.add([message("x", agent="task/web/pm")])
    (first,) = [one for one in store.post.open()[DEV] if one.text == "0"]
    store.post.change([(replace(first, stage=Stage.FAILED), "lost")])

    assert [one.text for one in store.post.messages(stages=["failed"])] == ["0"]
    assert [one.text for one in store.post.messages(agent=DEV, limit=2)] == ["3", "4"]
