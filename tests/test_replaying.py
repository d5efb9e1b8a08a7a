"""What the verb `replay` tells, from a real store and queue; and which screens are kept for it."""

from __future__ import annotations

import logging
from itertools import count

import pytest

from hive import replaying
from hive.adapters.queue import Queue
from hive.adapters.state import State as Place
from hive.adapters.store import Death, Event, Record, Store
from hive.core.checkin import CheckIn, Evidence, Verdict
from hive.core.messages import Message
from hive.core.tasks import Claim, Job, New
from hive.core.transitions import failed
from hive.errors import HiveError
from hive.keyframes import APART, FRESH, Keyframes
from hive.replaying import Replaying, Stories, stories, stories_at

DEV, PM, OTHER = "Task/web/dev", "Task/web/pm", "Task/back/dev"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "hive.db") as one:
        yield one


@pytest.fixture
def queue(tmp_path):
    with Queue.open(str(tmp_path / "work.db")) as one:
        yield one


def none(_since, _until, _most):
    return Stories()


def replay(store, stories=none, chosen=(), now=1000.0, **args):
    verb = Replaying(
        store=store, chosen=lambda _names: list(chosen), stories=stories, clock=lambda: now
    )
    return verb.replay(names=["web"] if chosen else [], **args)


def told(record):
    return [(one["agent"], one["kind"], one["text"]) for one in record["moments"]]


def happened(at, agent=DEV, kind="report", text="done"):
    return Event(agent=agent, kind=kind, text=text, at=at)


def test_a_night_is_told_with_all_that_is_kept_of_it(store):
    evidence = Evidence(agent=DEV, at=20.0, state="working", task="t-1")
    missed = CheckIn(evidence=evidence, verdict=Verdict.MISSED, line="missed: it said nothing")
    (one,) = store.post.add(
        [Message(number=0, agent=DEV, sender="a person", text="Rebase", created=10.0, since=10.0)]
    )
    store.journal.check_in([missed])
    store.journal.hand_off(40.0, PM, DEV, {"note": "see README"})
    store.journal.keep_screen(DEV, 30.0, "report: done", "$ make\nok\n")
    death = Death(
        agent=DEV, at=50.0, launch="l", code=1, cause="", asked=False, next="restarted",
        restarts=1, ran=9.0, screen="bye",
    )  # fmt: skip
    store.record([Record(death=death)], 50.0)
    store.add([happened(30.0), happened(50.0, kind="died", text="exit code 1")])

    record = replay(store)

    assert record["version"] == 1
    assert (record["since"], record["until"]) == (
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:16:40.000Z",
    )
    assert told(record) == [
        ("web/dev", "message", f'{one.name} queued: from a person: "Rebase"'),
        ("web/dev", "check-in", "missed: it said nothing"),
        ("web/dev", "report", "done"),
        ("web/pm", "handoff", 'it hands over to web/dev: "see README"'),
        ("web/dev", "died", "exit code 1"),
    ]
    shown = [moment["screen"] for moment in record["moments"]]
    assert shown == [[], [], ["$ make", "ok"], [], ["bye"]]
    assert record["moments"][1] | {"screen": []} == {
        "time": "1970-01-01T00:00:20.000Z",
        "agent": "web/dev",
        "kind": "check-in",
        "text": "missed: it said nothing",
        "screen": [],
        "ref": "t-1",
    }
    assert (record["next"], record["missing"]) == (None, "")
    assert [one["screen"] for one in replay(store, screens=False)["moments"]] == [[]] * 5


def test_of_a_team_its_agents_itself_and_what_concerns_all_are_told(store):
    store.add(
        [
            happened(1.0),
            happened(2.0, OTHER),
            happened(3.0, "Task/web", "held", "too often"),
            happened(4.0, "", "supervisor", "started"),
            happened(5.0, "", "workflow", "r-1 is done"),
        ]
    )
    shown = [agent for agent, _, _ in told(replay(store, chosen=[DEV, PM]))]
    assert shown == ["web/dev", "web", "hive"]
    assert len(told(replay(store))) == 5
    assert len(told(replay(store, now=3.0, until=1e300, since=-9.0))) == 3


def test_what_is_too_much_is_told_from_where_it_was_left(store, monkeypatch):
    store.add([happened(float(at), text=f"it is {chr(at)}") for at in range(100, 110)])
    first = replay(store, limit=4)
    assert first["next"] == "1970-01-01T00:01:44.000Z"
    assert len(told(replay(store, since=104.0))) == 6

    monkeypatch.setattr(replaying, "MOST", 4)
    cut = replay(store, limit=100)
    assert (len(cut["moments"]), cut["next"]) == (3, "1970-01-01T00:01:43.000Z")


def test_tasks_are_told_with_their_titles_and_by_whom(queue, store):
    task = queue.add([New(uid="u", job=Job(text="Fix it.\nAll."))])[0]
    (mine,) = queue.claim([Claim(agent=DEV, launch="l1", number=task.number)])
    now = queue.now()
    queue.change([failed(mine, "no luck", now + 9, now)])

    record = replay(store, lambda *asked: stories(queue, *asked), [DEV], now + 60, since=now - 60)

    assert told(record) == [
        ("web/dev", "task", f"t-1 (Fix it.) leased: handed to {DEV}"),
        ("web/dev", "task", "t-1 (Fix it.) failed: no luck"),
    ]
    assert [one["ref"] for one in record["moments"]] == ["t-1", "t-1"]
    assert told(replay(store, lambda *asked: stories(queue, *asked), [PM], now + 60)) == []


def test_steps_are_found_by_their_time_among_many(queue, monkeypatch):
    monkeypatch.setattr(replaying, "PAGE", 8)
    monkeypatch.setattr(replaying, "LATE", 3.0)
    clock = count(1000)
    monkeypatch.setattr(queue._base, "now", lambda: float(next(clock)))
    for number in range(100):
        queue.add([New(uid=f"u{number}", job=Job(text="x"))])
    every = queue.steps()
    since, until = every[40].at, every[70].at
    wanted = [one for one in every if since <= one.at <= until]

    found = stories(queue, since, until)

    assert list(found.steps) == wanted
    assert found.titles.keys() == {one.task for one in wanted}
    assert list(stories(queue, since, until, limit=5).steps) == wanted[:5]
    assert stories(queue, until + 1e6, until + 2e6) == Stories()


def test_where_the_work_can_not_be_read_the_rest_is_told(store):
    def broken(*_):
        raise HiveError("the database does not answer")

    store.add([happened(1.0)])
    record = replay(store, broken)
    assert len(record["moments"]) == 1
    assert record["missing"] == "what became of tasks: the database does not answer"


def test_without_a_queue_there_are_no_stories_and_none_is_made(tmp_path):
    place = Place(tmp_path / "state")
    assert stories_at(place, 0.0, 1e12, 10) == Stories()
    assert not place.root.exists()
    place.prepare()
    with Queue.open(place.queue()) as queue:
        queue.add([New(uid="u", job=Job(text="x"))])
    assert len(stories_at(place, 0.0, 1e12, 10).steps) == 1


# the screens that are kept


@pytest.fixture
def shown():
    return {DEV: ["$ rm -rf build", "Allow? (y/n)"], PM: []}


@pytest.fixture
def frames(store, shown):
    return Keyframes(store, lambda agent, lines: shown[agent][-lines:])


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [
        ("talk", "waiting (approval): rm", True),
        ("talk", "limited (usage limit): until 5", True),
        ("talk", "ready: its turn is over", False),
        ("stall", "nudged: no progress", True),
        ("report", "done: all", True),
        ("report", "half way", False),
        ("check-in", "missed: nothing was heard", True),
        ("died", "exit code 1", False),
        ("throttled", "held to 50%", False),
    ],
)
def test_a_screen_is_kept_where_a_person_would_look(store, frames, kind, text, kept):
    event = happened(5.0, kind=kind, text=text)
    store.add([event])
    frames.see([event], 5.2)

    found = store.journal.screens()
    assert [(one.at, one.text) for one in found] == [(5.0, "$ rm -rf build\nAllow? (y/n)")] * kept
    (moment,) = replay(store)["moments"]
    assert bool(moment["screen"]) == kept


def test_an_agent_has_one_screen_in_a_while(store, frames, shown):
    for now in (0.0, APART - 1, APART):
        shown[DEV] = [f"at {now:g}"]
        frames.see([happened(now), happened(now, PM), happened(now, "")], now)
    assert [one.at for one in store.journal.screens()] == [0.0, APART]


def test_of_what_happened_long_ago_no_screen_is_kept(store, frames):
    frames.see([happened(1.0)], 1.0 + FRESH + 1)
    assert store.journal.screens() == []
    frames.see([happened(1.0)], 1.0 + FRESH)
    assert len(store.journal.screens()) == 1


def test_what_can_not_be_read_is_said_once_and_the_others_are_kept(store, shown, caplog):
    def read(agent, _lines):
        if agent == OTHER:
            raise HiveError("tmux does not answer")
        return shown[agent]

    frames = Keyframes(store, read)
    with caplog.at_level(logging.WARNING, "hive"):
        for now in (0.0, 100.0):
            shown[DEV] = [f"at {now:g}"]
            frames.see([happened(now, OTHER), happened(now)], now)
    assert len(store.journal.screens()) == 2
    assert len(caplog.records) == 1


def test_a_store_that_can_not_be_written_stops_nothing(store, frames, caplog):
    store.close()
    store._file.path.unlink()
    with caplog.at_level(logging.WARNING, "hive"):
        frames.see([happened(1.0)], 1.0)
        frames.see([happened(1.0 + APART)], 1.0 + APART)
    assert [one.message.startswith("screens can't be kept") for one in caplog.records] == [True]
