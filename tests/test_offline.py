"""What is answered, and changed, while no supervisor runs: from a real store."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace

import pytest

from hive.accounts import BOUND
from hive.adapters.ledger import Ledger
from hive.adapters.state import Locked, NodeLock, State
from hive.adapters.store import Death, Event, Record, Store
from hive.core.accounting import Sample
from hive.core.limits import Ceiling, Limits, Portion
from hive.core.limits import to_dict as ceiling_to_dict
from hive.core.messages import PERSON, Message
from hive.core.profile import Profile
from hive.core.rhythm import Plot
from hive.core.spec import Agent, Stop, to_dict
from hive.core.talk import Talk
from hive.core.voice import Voice
from hive.core.world import Memory, TeamMemory, Wanted
from hive.core.world import State as Word
from hive.errors import HiveError, NotRunning, WrongInput
from hive.leasing import lease
from hive.offline import Offline
from tests.conftest import Corner

DEV = Agent(
    project="Task",
    team="frontend",
    name="dev",
    role="dev",
    session="Task-frontend",
    window="Frontend-Dev",
    argv=("sleep", "600"),
    directory="/",
    stop=Stop(grace=25.0),
    socket="/tmp/none.sock",
)
PM = replace(DEV, name="pm", window="Frontend-PM", stop=Stop())
FAILED = Memory(
    agent=DEV.id,
    state=Word.FAILED,
    reason="died 5 times",
    since=100.0,
    launch="1",
    began=90.0,
    deaths=(99.0, 100.0),
    quarantined=True,
    trials=2,
    restarts=4,
)
RUNS = Memory(agent=PM.id, state=Word.READY, reason="it runs", since=50.0, launch="2", began=40.0)
END = Death(
    agent=DEV.id,
    at=100.0,
    launch="1",
    code=3,
    cause="it exited",
    asked=False,
    next="quarantined",
    restarts=4,
    ran=10.0,
    screen="one\ntwo\nthree",
)


@pytest.fixture
def state(corner: Corner) -> State:
    """Give a state directory that knows a failed agent and one that ran."""
    one = State(corner.state)
    one.prepare()
    with Store.open(one.db) as store:
        store.want({one.id: Wanted(agent=one) for one in (DEV, PM)})
        began = Event(agent=PM.id, kind="started", text="launched", at=40.0)
        died = Event(agent=DEV.id, kind="died", text="exit code 3", at=100.0)
        held = TeamMemory(team="Task/frontend", held=True, restarts=(99.0,), since=100.0)
        records = [
            Record(memory=RUNS, event=began),
            Record(memory=FAILED, event=died, death=END, team=held),
        ]
        store.record(records, 100.0)
    return one


def test_where_there_is_no_store_everything_is_empty_and_none_is_made(corner: Corner):
    offline = Offline(State(corner.state))

    assert offline.status()["agents"] == []
    assert offline.status()["supervisor"] is None
    assert offline.events()["events"] == []
    assert offline.names()["agents"] == []
    assert offline.limits()["agents"] == []
    assert offline.reset() == {"version": 1, "agents": []}
    assert offline.stop_all() is False
    assert offline.sockets() == set()
    assert not corner.state.exists()


def test_status_tells_what_was_last_known(state):
    record = Offline(state).status()

    assert {one["agent"]: one["state"] for one in record["agents"]} == {
        "frontend/dev": "failed",
        "frontend/pm": "ready",
    }
    assert record["supervisor"] is None
    assert record["agents"][0]["cpu"] is None
    assert record["teams"][0]["held"] is True
    assert [one["agent"] for one in Offline(state).status(["frontend/pm"])["agents"]] == [
        "frontend/pm"
    ]


def test_why_tells_the_certificate_and_the_events(state):
    record = Offline(state).why("frontend/dev")

    assert record["agent"]["reason"] == "died 5 times"
    assert record["certificate"]["code"] == 3
    assert [one["text"] for one in record["events"]] == ["exit code 3"]


def test_events_are_told_of_all_or_of_those_named(state):
    offline = Offline(state)
    every = offline.events()["events"]

    assert [one["kind"] for one in every] == ["started", "died"]
    assert [one["kind"] for one in offline.events(["frontend/pm"])["events"]] == ["started"]
    assert [one["kind"] for one in offline.events(after=every[0]["id"])["events"]] == ["died"]
    assert [one["kind"] for one in offline.events(limit=1, newest=True)["events"]] == ["died"]


def test_logs_are_those_of_the_last_end(state):
    record = Offline(state).logs("frontend/dev", lines=2)

    assert (record["source"], record["lines"]) == ("certificate", ["two", "three"])
    assert Offline(state).logs("frontend/pm")["lines"] == []


def test_conversations_are_told_as_they_were_last_known(corner: Corner):
    state = State(corner.state)
    state.prepare()
    dev = replace(DEV, voice=Voice(profile=Profile(name="claude")))
    runs = replace(RUNS, agent=dev.id, launch="2-b")
    talk = Talk(
        agent=dev.id,
        launch="2-b",
        turn="waiting",
        sub="dialog",
        text="Trust it?",
        source="screen",
        since=60.0,
    )
    new = Message(number=0, agent=dev.id, sender=PERSON, text="Rebase", created=70.0, since=70.0)
    with Store.open(state.db) as store:
        store.want({dev.id: Wanted(agent=dev)})
        store.record([Record(memory=runs)], 100.0)
        store.post.remember([talk])
        store.post.add([new])
    offline = Offline(state)

    (one,) = offline.status()["agents"]
    (asked,) = offline.inbox()["items"]

    assert (one["state"], one["sub"], one["queue"]) == ("waiting", "dialog", 1)
    assert asked["meanwhile"] == "nothing is typed into it; 1 message waits with it"
    assert "no supervisor runs" in offline.why("frontend/dev")["next"]["text"]
    assert "no supervisor runs" in offline.message("m-1")["next"]["text"]


def test_who_is_meant_by_no_name_or_by_many_is_refused(state):
    with pytest.raises(WrongInput, match="names 2 agents"):
        Offline(state).why("frontend")
    with pytest.raises(WrongInput, match="there is no agent or team `nobody`"):
        Offline(state).status(["nobody"])


def test_limits_are_told_with_nothing_used(state):
    with Store.open(state.db) as store:
        limited = replace(DEV, limits=Limits(cpu=0.5, memory=1 << 30))
        store.want({DEV.id: Wanted(agent=limited)})
        ceiling = ceiling_to_dict(Ceiling(cpu=Portion(amount=1.0), agents=3))
        store.note(BOUND + "Task", json.dumps(ceiling))

    record = Offline(state).limits(["frontend/dev"])

    (one,) = record["agents"]
    assert one["cpu"] == {"used": None, "allowed": None, "limit": 0.5}
    assert one["memory"]["limit"] == 1 << 30
    assert record["total"]["cpu"] == {"used": None, "allowed": 1.0}
    assert record["total"]["agents"] == {"used": None, "allowed": 3}
    assert record["total"]["reserve"] > 0
    assert (record["machine"], record["means"]["name"]) == (None, "")


def test_advice_is_given_from_what_was_written_down(state):
    before = Offline(state).advise(["frontend/dev"])
    with Ledger(state.usage) as ledger:
        now = int(time.time())
        used = {"span": 60.0, "cpu": 0.2, "memory": 1 << 26, "processes": 2}
        ledger.add([Sample(agent=DEV.id, at=now - one * 60, **used) for one in range(20)])

    (one,) = Offline(state).advise(["frontend/dev"])["agents"]

    assert before["agents"][0]["seen_for"] == 0
    assert one["seen_for"] == 1200
    assert one["memory"]["recommended"] >= 1 << 26
    assert [two["agent"] for two in Offline(state).advise()["agents"]] == [
        "frontend/dev",
        "frontend/pm",
    ]


def test_a_dry_run_of_a_deploy_tells_whether_limits_of_all_change(state):
    said = {"agents": 3}
    with Store.open(state.db) as store:
        store.note(BOUND + "Task", json.dumps(said))

    same, other, none = (
        Offline(state).deploy("Task", [to_dict(PM)], {}, dry_run=True, ceiling=ceiling)["limits"]
        for ceiling in (said, {"agents": 4}, None)
    )

    assert (same, other, none) == (False, True, True)


def test_a_dry_run_of_a_deploy_tells_the_changes(state):
    wanted = [to_dict(DEV), to_dict(replace(PM, name="new"))]

    record = Offline(state).deploy("Task", wanted, {}, dry_run=True)

    kinds = {one["agent"]: one["kind"] for one in record["changes"]}
    assert kinds["frontend/new"] == "start"
    assert "frontend/pm" in kinds
    assert record["dry_run"] is True
    assert len(Offline(state).status()["agents"]) == 2


def test_a_dry_run_of_a_deploy_counts_what_agents_have_leased_as_theirs(state):
    plot = Plot(repo="/r", path="/", branch="hive/frontend/dev", ports=("API",), names=("DB",))
    spec = replace(DEV, plot=plot)
    with Store.open(state.db) as store:
        (leased,) = lease(store, [spec], store.wanted())
        store.want({DEV.id: Wanted(agent=leased)})

    record = Offline(state).deploy("Task", [to_dict(spec)], {}, dry_run=True, unplaced={})

    kinds = {one["id"]: one["kind"] for one in record["changes"]}
    assert kinds[DEV.id] == "keep"


def test_a_real_deploy_needs_a_supervisor(state):
    with pytest.raises(NotRunning):
        Offline(state).deploy("Task", [to_dict(DEV)], {})


def test_reset_forgets_failures_and_keeps_the_history(state):
    assert Offline(state).reset(["frontend/dev"])["agents"] == ["frontend/dev"]

    with Store.open(state.db) as store:
        memory, teams = store.memory()[DEV.id], store.teams()
        kinds = [event.kind for event in store.events(agents=[DEV.id])]
    assert (memory.deaths, memory.quarantined, memory.restarts) == ((), False, 0)
    assert teams["Task/frontend"].held is False
    assert kinds == ["died", "reset"]
    assert Offline(state).why("frontend/dev")["certificate"]["code"] == 3


@pytest.mark.parametrize("verb", ["reset", "stop_all", "start_afresh"])
def test_nothing_is_changed_while_another_acts(state, verb):
    lock = NodeLock(state)
    lock.take()
    try:
        with pytest.raises(Locked):
            getattr(Offline(state), verb)()
    finally:
        lock.release()

    assert {one["wanted"] for one in Offline(state).status()["agents"]} == {"up"}


def test_stop_all_wants_everything_down_and_says_what_may_run(state):
    assert Offline(state).stop_all() is True

    agents = Offline(state).status()["agents"]
    assert {one["wanted"] for one in agents} == {"down"}
    assert Offline(state).events(["frontend/pm"])["events"][-1]["kind"] == "stop"
    count = len(Offline(state).events()["events"])
    Offline(state).stop_all()
    assert len(Offline(state).events()["events"]) == count


def test_it_knows_the_tmux_servers_and_the_longest_grace(state):
    assert "/tmp/none.sock" in Offline(state).sockets()
    assert Offline(state).longest_grace() == 25.0


def test_starting_afresh_keeps_a_backup(state):
    backup = Offline(state).start_afresh()

    assert Offline(state).status()["agents"] == []
    with Store.open(backup) as store:
        assert set(store.wanted()) == {DEV.id, PM.id}
    assert backup.stat().st_mode & 0o077 == 0


def test_starting_afresh_forgets_what_agents_used(state):
    used = [state.usage.with_name(f"usage.db{ending}") for ending in ("", "-wal", "-shm")]
    for path in used:
        path.touch()

    Offline(state).start_afresh()

    assert not [path for path in used if path.exists()]


def test_starting_afresh_puts_a_damaged_store_aside(state):
    state.db.write_bytes(b"not a database at all " * 400)

    backup = Offline(state).start_afresh()

    assert backup.read_bytes().startswith(b"not a database")
    assert Offline(state).status()["agents"] == []


def test_starting_afresh_is_refused_while_agents_run(corner: Corner, state):
    tag = {"HIVE_AGENT": PM.id, "HIVE_LAUNCH": "2"}
    agent = subprocess.Popen(["sleep", "600"], env=corner.env | tag)
    try:
        with pytest.raises(HiveError, match=f"agents still run: pid {agent.pid}"):
            Offline(state).start_afresh()
    finally:
        agent.kill()
        agent.wait()

    assert len(Offline(state).status()["agents"]) == 2


def test_two_fresh_starts_keep_two_backups(state):
    first = Offline(state).start_afresh()
    with Store.open(state.db) as store:
        store.add([Event(agent="", kind="supervisor", text="again", at=time.time())])

    second = Offline(state).start_afresh()

    assert first != second
    assert first.exists() and second.exists()
