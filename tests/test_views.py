"""The records: their fields, and what is said in them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive import views
from hive.core.diff import Change
from hive.core.spec import Agent, Probe
from hive.core.world import Holding, Memory, State, TeamMemory, Verdict, Wanted

NOON = 1_700_000_000.0
AGENT = Agent(
    project="Task",
    team="frontend",
    name="dev",
    role="dev",
    session="Task-frontend",
    window="Frontend-Dev",
    argv=("sleep", "600"),
    directory="/srv",
    env=(("TOKEN", "tell-nobody"),),
    after=("Task/backend/db",),
)
WANTED = Wanted(agent=AGENT, generation=2)
RUNNING = Memory(
    agent=AGENT.id,
    state=State.READY,
    reason="it runs",
    since=NOON - 60,
    launch="2-abcd",
    generation=2,
    pane="%7",
    pid=4242,
    began=NOON - 61,
    deaths=(NOON - 1000, NOON - 100),
    restarts=1,
)
TEAM = TeamMemory(team="Task/frontend")


@dataclass(frozen=True, kw_only=True)
class Death:
    at: float = NOON - 100
    launch: str = "1-beef"
    code: int | None = 3
    cause: str = "exit code 3"
    asked: bool = False
    next: str = "starts again in 1s"
    restarts: int = 0
    ran: float = 12.3456
    screen: str = "one\ntwo"
    largest: tuple[Holding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Event:
    id: int = 1
    at: float = NOON
    agent: str = AGENT.id
    kind: str = "ready"
    text: str = "it runs"


def memory(**changes: object) -> Memory:
    return replace(RUNNING, **changes)


def record() -> views.Record:
    return views.agent_record(WANTED, RUNNING, cpu=0.12345, memory_bytes=4096)


def why(**changes: object) -> views.Record:
    known = {
        "record": record(),
        "wanted": WANTED,
        "memory": RUNNING,
        "team": TEAM,
        "probes": (None, None),
        "deaths": [Death()],
        "events": [Event()],
        "now": NOON,
    }
    return views.why(**{**known, **changes})


def test_an_agents_record_has_every_field():
    assert record() == {
        "agent": "frontend/dev",
        "team": "frontend",
        "role": "dev",
        "state": "ready",
        "reason": "it runs",
        "since": "2023-11-14T22:12:20.000Z",
        "session": "Task-frontend",
        "window": "Frontend-Dev",
        "pane": "%7",
        "pid": 4242,
        "restarts": 1,
        "cpu": 0.123,
        "memory": 4096,
        "limit": None,
        "task": None,
        "paused": None,
        "id": "Task/frontend/dev",
        "settled": True,
        "project": "Task",
        "wanted": "up",
        "socket": "",
        "after": ["Task/backend/db"],
        "sub": "",
        "profile": None,
        "session_id": None,
        "until": None,
        "closed": "",
        "queue": 0,
        "tokens": 0,
        "cost": 0.0,
    }


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        pytest.param("held to 50% of a core", "held to 50% of a core", id="something"),
        pytest.param("", None, id="nothing"),
        pytest.param(None, None, id="unknown"),
    ],
)
def test_an_agents_record_says_what_hive_does_about_its_limits(limit, told):
    found = views.agent_record(WANTED, RUNNING, cpu=0.0, memory_bytes=0, limit=limit)

    assert found["limit"] == told


def test_an_agent_that_does_not_run_has_no_pane_and_no_pid():
    stopped = memory(state=State.STOPPED)

    found = views.agent_record(WANTED, stopped, cpu=None, memory_bytes=None)

    assert (found["pane"], found["pid"]) == (None, None)
    assert (found["cpu"], found["memory"]) == (None, None)


def test_an_agent_that_never_started_is_so_since_no_time():
    fresh = views.agent_record(WANTED, Memory(agent=AGENT.id), cpu=0.0, memory_bytes=0)

    assert (fresh["since"], fresh["reason"]) == (None, "never started")


@pytest.mark.parametrize(
    ("wanted", "remembered", "settled"),
    [
        pytest.param({}, {}, True, id="ready as wanted"),
        pytest.param({"generation": 3}, {}, False, id="ready, but asked to start afresh"),
        pytest.param({}, {"state": State.STARTING}, False, id="starting"),
        pytest.param({}, {"state": State.BACKING_OFF}, False, id="backing off"),
        pytest.param({}, {"state": State.STOPPING}, False, id="stopping"),
        pytest.param(
            {}, {"state": State.FAILED, "quarantined": True}, True, id="failed and quarantined"
        ),
        pytest.param({}, {"state": State.FAILED}, False, id="failed, not yet quarantined"),
        pytest.param({}, {"state": State.STOPPED}, True, id="ended for good by its policy"),
        pytest.param(
            {"up": False}, {"state": State.STOPPED, "generation": 1}, True, id="down as wanted"
        ),
        pytest.param({"up": False}, {}, False, id="ready, but wanted down"),
        pytest.param({"removed": True}, {}, False, id="ready, but removed"),
        pytest.param({"removed": True}, {"state": State.STOPPED}, True, id="removed and stopped"),
    ],
)
def test_settled(wanted, remembered, settled):
    assert views.settled(replace(WANTED, **wanted), memory(**remembered)) is settled


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        pytest.param({}, "up", id="up"),
        pytest.param({"up": False}, "down", id="down"),
        pytest.param({"up": False, "removed": True}, "removed", id="removed"),
    ],
)
def test_what_is_wanted_is_one_word(changes, word):
    wanted = replace(WANTED, **changes)

    assert views.agent_record(wanted, RUNNING, cpu=0.0, memory_bytes=0)["wanted"] == word


def test_status_lists_each_team_once_and_says_which_is_held():
    other = {**record(), "team": "backend"}
    held = TeamMemory(team="Task/backend", held=True, restarts=(1.0, 2.0))

    found = views.status(
        node="box",
        supervisor={"pid": 1, "up_since": views.iso(NOON)},
        agents=[record(), record(), other],
        teams={"Task/backend": held, "Gone/away": TEAM},
    )

    assert found["version"] == 1
    assert found["supervisor"] == {"pid": 1, "up_since": "2023-11-14T22:13:20.000Z"}
    assert [one["held"] for one in found["teams"]] == [False, True]
    assert [one["team"] for one in found["teams"]] == ["frontend", "backend"]
    assert found["teams"][0]["reason"] == ""
    assert "too many restarts" in found["teams"][1]["reason"]


def test_status_has_the_pressure_on_the_machine_and_who_waits_for_room():
    waiting = {**record(), "reason": "waiting for room: 20 of 20 agents run"}
    known = {"node": "box", "supervisor": None, "teams": {}, "agents": [record(), waiting]}

    calm = views.status(**known, strain=(0, "", "", 0.0))
    pressed = views.status(**known, strain=(1, "admits nothing", "the load is 30", NOON))

    assert (calm["strain"], calm["waiting"]) == (None, 1)
    assert pressed["strain"] == {
        "level": 1,
        "doing": "admits nothing",
        "why": "the load is 30",
        "since": "2023-11-14T22:13:20.000Z",
    }


def test_status_without_a_supervisor_says_null():
    assert views.status(node="box", supervisor=None, agents=[], teams={})["supervisor"] is None


def test_why_counts_only_deaths_within_the_window():
    assert why()["budget"] == {
        "policy": "always",
        "deaths": 1,
        "attempts": 5,
        "window": 900.0,
        "restarts": 1,
    }


def test_why_says_what_is_next_and_when():
    backing_off = memory(state=State.BACKING_OFF, due=NOON + 4)

    found = why(memory=backing_off)["next"]

    assert found == {
        "text": "starts it again in 4s (1st of 5 deaths in 15m)",
        "time": "2023-11-14T22:13:24.000Z",
    }


def test_why_says_that_a_paused_agent_goes_on():
    record = views.agent_record(WANTED, RUNNING, 0.0, 0, "paused: the load is 30")

    text = "lets it go on once the pressure on the machine is over"
    assert why(record=record)["next"] == {"text": text, "time": None}


def test_why_has_the_last_certificate_or_null():
    assert why(deaths=[])["certificate"] is None
    assert why()["certificate"] == {
        "time": "2023-11-14T22:11:40.000Z",
        "launch": "1-beef",
        "code": 3,
        "cause": "exit code 3",
        "asked": False,
        "next": "starts again in 1s",
        "restarts": 0,
        "ran": 12.346,
        "screen": ["one", "two"],
        "largest": [],
    }


def test_a_certificate_has_the_largest_processes():
    found = why(deaths=[Death(largest=(Holding(pid=7, name="node", bytes=4096),))])

    assert found["certificate"]["largest"] == [{"pid": 7, "name": "node", "bytes": 4096}]


def test_why_has_the_events_oldest_first_whatever_their_order():
    found = why(events=[Event(id=3), Event(id=1), Event(id=2)])

    assert [one["id"] for one in found["events"]] == [1, 2, 3]


def sources(**changes: object) -> dict[str, str]:
    return {one["source"]: one["text"] for one in why(**changes)["evidence"]}


def test_evidence_of_a_running_agent_names_its_process_and_pane():
    found = sources()

    assert found["process"] == "pid 4242 runs"
    assert found["pane"] == "%7 in Task-frontend:Frontend-Dev"
    assert found["wanted"] == "wanted up, request 2: `hive deploy`"
    assert found["last end"] == "exit code 3, after 12s"


def test_evidence_of_an_agent_that_ended_has_no_pane():
    found = sources(memory=memory(state=State.STOPPED))

    assert found["process"] == "its program does not run"
    assert "pane" not in found


def test_evidence_of_an_agent_never_started_says_so():
    found = sources(memory=Memory(agent=AGENT.id), deaths=[])

    assert found["process"] == "hive has not started it yet"
    assert "last end" not in found


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        pytest.param(None, "no answer yet; asks", id="not asked yet"),
        pytest.param(Verdict(), "no answer yet; asks", id="nothing known"),
        pytest.param(Verdict(good=True), "good: it answered; asks", id="good"),
        pytest.param(
            Verdict(good=False, why="connection refused"), "bad: connection refused; asks", id="bad"
        ),
    ],
)
def test_evidence_tells_what_a_probe_asks_and_last_heard(verdict, text):
    probe = Probe(kind="tcp", target="localhost:3000", interval=2.5)
    wanted = replace(WANTED, agent=replace(AGENT, ready=probe))

    found = sources(wanted=wanted, probes=(verdict, None))

    assert found["ready"] == f"{text} tcp `localhost:3000` every 2s500ms"
    assert "alive" not in found


def test_evidence_of_limits_is_what_the_caller_knows():
    found = why(limits=[("uses 30% of 50% of a core", 0.0), ("over its soft limit", NOON)])

    assert [one for one in found["evidence"] if one["source"] == "limits"] == [
        {"source": "limits", "text": "uses 30% of 50% of a core", "time": None},
        {"source": "limits", "text": "over its soft limit", "time": "2023-11-14T22:13:20.000Z"},
    ]


def test_an_end_that_was_asked_for_says_both_cause_and_code():
    found = sources(deaths=[Death(code=-15, cause="stopped by `hive stop`")])

    assert found["last end"] == "stopped by `hive stop`; killed by signal 15 (TERM), after 12s"


def test_events_bear_the_short_name_of_their_agent_or_hive():
    found = views.events([Event(), Event(agent=""), Event(agent="Task/frontend")])

    assert [one["agent"] for one in found["events"]] == ["frontend/dev", "hive", "frontend"]


def test_logs_say_where_the_lines_are_from():
    assert views.logs(AGENT.id, "window", NOON, ["a"]) == {
        "version": 1,
        "agent": "frontend/dev",
        "source": "window",
        "time": "2023-11-14T22:13:20.000Z",
        "lines": ["a"],
    }


def test_names_are_sorted_and_each_there_once():
    other = replace(AGENT, project="Other", name="a")

    assert views.names([AGENT, other, AGENT]) == {
        "version": 1,
        "agents": ["frontend/a", "frontend/dev"],
        "teams": ["frontend"],
        "projects": ["Other", "Task"],
    }


def test_a_deploy_tells_each_change():
    change = Change(agent=AGENT.id, kind="restart", why="its command changed")

    assert views.deploy("Task", [change], dry_run=True) == {
        "version": 1,
        "project": "Task",
        "dry_run": True,
        "limits": False,
        "changes": [
            {
                "agent": "frontend/dev",
                "id": "Task/frontend/dev",
                "kind": "restart",
                "why": "its command changed",
            }
        ],
    }


def test_what_was_changed_is_named_short():
    assert views.changed([AGENT.id]) == {"version": 1, "agents": ["frontend/dev"]}


def test_no_record_shows_the_environment():
    shown = json.dumps([record(), why(), views.names([AGENT])])

    assert "tell-nobody" not in shown
    assert "TOKEN" not in shown


@given(st.dictionaries(st.text(), st.text()))
def test_an_environment_comes_back_as_it_went(environ):
    assert views.load(views.dump(environ)) == environ


def test_no_environment_is_an_empty_one():
    assert views.load(None) == {}


def test_bytes_that_are_no_text_come_back_too():
    assert views.load(views.dump({"ODD": "\udcff"})) == {"ODD": "\udcff"}


@pytest.mark.parametrize(
    ("at", "text"),
    [
        pytest.param(0.0, "1970-01-01T00:00:00.000Z", id="the epoch"),
        pytest.param(0.9996, "1970-01-01T00:00:01.000Z", id="rounded, never cut"),
        pytest.param(NOON + 0.25, "2023-11-14T22:13:20.250Z", id="with milliseconds"),
    ],
)
def test_times_are_utc_with_milliseconds(at, text):
    assert views.iso(at) == text
