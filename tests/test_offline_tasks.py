"""What needs no supervisor: an agent's word on its task, and people's verbs about tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.adapters import reach, seal
from hive.adapters.queue import Queue
from hive.adapters.spool import Spool
from hive.adapters.state import State as Place
from hive.adapters.store import Store
from hive.cli import voices
from hive.core.messages import Message, Stage
from hive.core.tasks import Claim, Job, New, State, to_dict
from hive.core.transitions import done, given_back
from hive.errors import HiveError, WrongInput
from hive.offline_tasks import OfflineTasks, asked

AGENT = "Task/back/dev"


@pytest.fixture
def place(short_path):
    one = Place(short_path / "state")
    one.prepare()
    return one


@pytest.fixture
def queue(place):
    with Queue.open(place.queue()) as one:
        yield one


@pytest.fixture
def environ(place):
    return {"HIVE_STATE": str(place.root)}


@pytest.fixture
def me(place):
    return {"agent": AGENT, "launch": "l1", "seal": seal.seal(place.root, AGENT, "l1")}


def add(queue, **more):
    number = len(queue.tasks()) + 1
    return queue.add([New(uid=f"u{number}", job=Job(text="Build it.\nAll.", **more))])[0]


def lease(queue, task, agent=AGENT, launch="l1"):
    return queue.claim([Claim(agent=agent, launch=launch, number=task.number)])[0]


@pytest.fixture
def task(queue):
    return lease(queue, add(queue, team="back", check="make test"))


# an agent's word


def test_what_is_done_is_written_down_for_the_next_supervisor(queue, task, environ, me):
    said = {"result": "built\nit", "confidence": 0.9, "uid": "u", "me": me}

    assert asked("task_done", {"name": "t-1", **said}, environ) == {"task": "t-1"}

    after = queue.task(task.number)
    assert (after.state, after.report.outcome) == (State.LEASED, "done")
    assert (after.report.text, after.report.confidence) == ("built\nit", 0.9)
    assert after.report.at == pytest.approx(queue.now(), abs=60)


@pytest.mark.parametrize("about", [{}, {"name": ""}, {"name": "t-1", "fence": 1}])
def test_the_one_task_that_it_has_need_not_be_named(queue, task, environ, me, about):
    assert asked("task_fail", {**about, "why": "no way", "me": me}, environ) == {"task": "t-1"}

    report = queue.task(task.number).report
    assert (report.outcome, report.text) == ("failed", "no way")


def test_the_same_said_again_is_said_once(queue, task, environ, me):
    said = {"name": "t-1", "result": "built", "me": me}
    asked("task_done", said, environ)
    told = queue.task(1)
    queue.change([done(told, "built", "its agent says so", queue.now())])

    assert asked("task_done", said, environ) == {"task": "t-1"}
    with pytest.raises(HiveError, match="t-1 is not yours any more: it is done"):
        asked("task_done", {**said, "result": "other"}, environ)


def test_progress_is_noted(queue, task, environ, me):
    assert asked("progress", {"text": "half way", "me": me}, environ) == {"agent": "back/dev"}
    assert queue.task(1).notes == ("half way",)


def test_its_task_is_shown(task, environ, me):
    shown = asked("show_task", {"name": "t-1", "me": me}, environ)["task"]
    assert (shown["name"], shown["text"], shown["lease"]) == ("t-1", "Build it.\nAll.", "t-1-1")


def test_a_task_is_split(queue, task, environ, me):
    found = asked("split_task", {"parts": ["the API", "the UI"], "me": me}, environ)

    assert found == {"task": "t-1", "parts": ["t-2", "t-3"]}
    assert queue.task(1).state is State.WAITING
    assert [one.job.text for one in queue.needs(1)] == ["the API", "the UI"]


def gone(queue, task):
    queue.change([given_back(task, "it never began", queue.now())])


def with_another(queue, task):
    gone(queue, task)
    lease(queue, task, agent="Task/back/pm")


def again(queue, task):
    gone(queue, task)
    lease(queue, task)


def restarted(queue, task):
    gone(queue, task)
    lease(queue, task, launch="l2")


@pytest.mark.parametrize(
    ("happen", "fence", "why"),
    [
        pytest.param(gone, 0, "it is ready (it never began)", id="given back"),
        pytest.param(with_another, 0, "back/pm has it now (t-1-2)", id="with another"),
        pytest.param(again, 1, "it was given out again, as t-1-2", id="an earlier lease"),
        pytest.param(restarted, 0, "it was given out again, as t-1-2", id="an earlier launch"),
    ],
)
@pytest.mark.parametrize("verb", ["task_done", "task_fail", "progress", "split_task"])
def test_a_late_answer_is_refused(queue, task, environ, me, happen, fence, why, verb):
    happen(queue, task)
    before = queue.task(1)
    args = {"text": "t", "result": "r", "why": "w", "parts": ["p"], "fence": fence, "me": me}

    with pytest.raises(HiveError) as caught:
        asked(verb, {"name": "t-1", **args}, environ)

    assert caught.value.what == f"t-1 is not yours any more: {why}"
    assert caught.value.fix.endswith("end your turn")
    assert queue.task(1) == before


def test_nobody_speaks_for_another(task, environ, me):
    with pytest.raises(WrongInput, match="can't prove who it is"):
        asked("task_done", {"name": "t-1", "me": {**me, "launch": "l2"}}, environ)
    with pytest.raises(WrongInput, match="there is no task `t-9`"):
        asked("task_done", {"name": "t-9", "me": me}, environ)


def test_a_confidence_that_is_none_is_refused(task, environ, me):
    with pytest.raises(WrongInput, match="from 0 to 1"):
        asked("task_done", {"name": "t-1", "confidence": 9.0, "me": me}, environ)


def two(queue, _place):
    lease(queue, add(queue))


def letter(_queue, place):
    one = Message(number=0, agent=AGENT, sender="a person", text="Hi.", created=1.0, since=1.0)
    with Store.open(place.db) as store:
        sent = store.post.add([one])[0]
        begun = replace(sent, stage=Stage.SUBMITTED, launch="l1", submitted=2.0)
        store.post.change([(begun, "it was typed")])


@pytest.mark.parametrize("happen", [two, letter], ids=["two tasks", "a message too"])
def test_where_it_is_not_sure_what_is_meant_nothing_is_done(
    queue, place, task, environ, me, happen
):
    happen(queue, place)
    assert asked("task_done", {"name": "", "result": "r", "me": me}, environ) is None
    assert queue.task(1) == task


def test_without_a_queue_nothing_is_made(place, environ, me):
    assert asked("task_done", {"name": "", "result": "r", "me": me}, environ) is None
    assert not place.work.exists()


def test_from_a_pane_it_goes_straight_into_the_queue(
    queue, task, place, short_path, me, monkeypatch, capsys
):
    spool = short_path / "folder" / "spool"
    spool.mkdir(parents=True)
    given = {"STATE": str(place.root), "FOLDER": str(spool.parent)}
    for key, text in {**given, **{key.upper(): text for key, text in me.items()}}.items():
        monkeypatch.setenv(f"HIVE_{key}", text)

    assert voices.run("task", ["progress", "half way"]) == 0
    assert voices.run("task", ["done", "t-1-1", "built it"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "noted: go on",
        "t-1 is noted as done: end your turn, the next message comes by itself",
    ]
    assert queue.task(1).report.text == "built it"
    assert Spool(spool).questions() == []
    monkeypatch.setattr(voices, "PATIENCE", 0.1)
    assert voices.run("task", ["done", "m-1", "read it"]) == 0
    assert capsys.readouterr().out == f"{voices.NOTED}\n"
    assert set(reach.DIRECT) >= {"progress", "task_done"}


# people


@pytest.fixture
def offline(place):
    return OfflineTasks(place)


def new(uid, **more):
    return {"job": to_dict(Job(text=f"do {uid}", **more)), "uid": uid}


def test_tasks_are_added_and_told(offline, place):
    given = [new("u1"), {**new("u2"), "needs": ["u1"]}, {**new("u3"), "held": True}]

    added = offline.add_tasks(tasks=given)["tasks"]

    assert [one["state"] for one in added] == ["ready", "waiting", "held"]
    assert not any(one["known"] for one in added)
    assert offline.add_tasks(tasks=given[:1])["tasks"][0]["known"]
    listed = offline.tasks(states=["ready", "held"])
    assert [one["title"] for one in listed["tasks"]] == ["do u1", "do u3"]
    assert listed["counts"]["waiting"] == 1
    one = offline.task(name="t-2")
    assert [need["task"] for need in one["needs"]] == ["t-1"]
    assert one["story"]
    with pytest.raises(WrongInput, match="there is no task `t-9`"):
        offline.task(name="t-9")


def test_what_no_agent_has_can_be_changed(offline, queue, task):
    offline.add_tasks(tasks=[new("u8"), new("u9")])

    def states():
        return [one.state.value for one in queue.tasks(after=1)]

    offline.hold_tasks(names=["t-2", "t-3"], why="not now")
    assert states() == ["held", "held"]
    offline.release_tasks(names=["t-2"])
    offline.cancel_tasks(names=["t-3"], why="no need")
    assert states() == ["ready", "cancelled"]
    changed = offline.retry_tasks(names=["t-3"])["tasks"]
    assert [one["task"] for one in changed] == ["t-3"]
    assert states() == ["ready", "ready"]


@pytest.mark.parametrize("verb", ["cancel_tasks", "hold_tasks", "release_tasks", "retry_tasks"])
def test_what_an_agent_has_is_left_alone(offline, queue, task, verb):
    with pytest.raises(HiveError):
        getattr(offline, verb)(names=["t-1"])
    assert queue.task(1) == task


def test_where_there_is_no_hive_all_is_empty_and_nothing_is_made(short_path):
    nowhere = Place(short_path / "none")
    offline = OfflineTasks(nowhere)

    assert offline.tasks()["tasks"] == []
    assert offline.dead()["tasks"] == []
    assert offline.locks() == {**offline.locks(), "locks": [], "waits": []}
    assert offline.workflows()["runs"] == []
    assert offline.schedules()["schedules"] == []
    with pytest.raises(WrongInput, match="there is no run"):
        offline.workflow(name="r-1")
    assert not nowhere.root.exists()
