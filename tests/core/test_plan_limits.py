"""What is decided where room is short, memory ran out, or an agent has run for long enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core import actions as act
from hive.core.limits import Limits
from hive.core.plan import plan
from hive.core.spec import Agent, Restart
from hive.core.trees import Process
from hive.core.world import (
    Excess,
    Holding,
    Memory,
    NoServer,
    Pane,
    Room,
    Seen,
    Server,
    State,
    TeamMemory,
    Tree,
    Use,
    Wanted,
    World,
)

NOW = 1_000_000.0
MIB = 1 << 20
ID = "p/t/dev"
SERVER = Server(pid=1, started=1)


def spec(name="dev", **more):
    fields = {"role": name, "session": "p-t", "window": name, "argv": ("x",), "directory": "/"}
    return Agent(project="p", team="t", name=name, **(fields | more))


def wanted(name="dev", *, up=True, removed=False, generation=1, why="`hive deploy`", **more):
    return Wanted(agent=spec(name, **more), up=up, removed=removed, generation=generation, why=why)


RUNNING = Memory(
    agent=ID,
    state=State.READY,
    reason="it runs; it has no ready probe",
    since=NOW - 50,
    launch="1-aa",
    generation=1,
    server=SERVER,
    pane="%1",
    pid=10,
    started=100,
    boot="boot",
    began=NOW - 50,
    ready_since=NOW - 49,
)
OVER = replace(
    RUNNING, state=State.BACKING_OFF, began=0.0, ready_since=0.0, pid=0, started=0, due=NOW
)
OTHER = replace(RUNNING, agent="p/t/other")
PANE = Pane(id="%1", window="dev", session="p-t", agent=ID, launch="1-aa", pid=10, started=100)
DEAD = replace(PANE, dead=True, started=0, code=-9)
ROOT = Process(pid=10, parent=1, session=10, started=100, state="S", cpu=0.0, name="sh")
FULL = Room(agents=1)


def world(*memories, panes=(), room=None, **more):
    runs = any(not pane.dead for pane in panes)
    fields = {
        "boot": "boot",
        "sights": {"": Seen(server=SERVER, panes=panes)},
        "memory": {one.agent: one for one in memories},
        "trees": {ID: Tree(current=(ROOT,) if runs else ())},
        "room": room,
    }
    return World(**(fields | more))


def decide(given, *want, now=NOW):
    return plan({one.agent.id: one for one in want or (wanted(),)}, given, now)


def only(actions, kind):
    """The one action that is no Wait, which must be of this kind."""
    doing = [action for action in actions if not isinstance(action, act.Wait)]
    assert [type(action) for action in doing] == [kind]
    return doing[0]


def waits(actions):
    return [action.until - NOW for action in actions if isinstance(action, act.Wait)]


def started(actions):
    return [one.spec.name for one in actions if isinstance(one, act.Start)]


# room


@pytest.mark.parametrize(
    ("memory", "want", "state"),
    [
        pytest.param(Memory(agent=ID), wanted(), State.STARTING, id="never started"),
        pytest.param(OVER, wanted(), State.BACKING_OFF, id="died"),
        pytest.param(
            replace(OVER, cause="the tmux server ended"), wanted(), State.BACKING_OFF, id="lost"
        ),
        pytest.param(
            replace(OVER, state=State.FAILED, quarantined=True),
            wanted(),
            State.FAILED,
            id="a trial start",
        ),
        pytest.param(
            replace(OVER, state=State.FAILED, quarantined=True),
            wanted(generation=2),
            State.STARTING,
            id="quarantined, but asked",
        ),
        pytest.param(
            replace(OVER, state=State.STARTING), wanted(generation=2), State.STARTING, id="again"
        ),
    ],
)
def test_every_start_waits_for_room_and_says_so_once(memory, want, state):
    actions = decide(world(memory, OTHER, room=FULL), want)
    say = only(actions, act.Say)

    assert (say.after.state, say.why) == (state, "waiting for room: 1 of 1 agents run")
    assert (say.after.reason, say.after.generation) == (say.why, memory.generation)
    assert waits(actions) == [1]
    later = world(say.after, OTHER, replace(OTHER, agent="p/t/third"), room=FULL)
    assert [type(one) for one in decide(later, want, now=NOW + 1)] == [act.Wait]
    assert only(decide(world(say.after, room=FULL), want), act.Start)


WAITING = replace(
    OVER, reason="waiting for room: 1 of 1 agents run", state=State.STARTING, since=NOW - 90
)


@pytest.mark.parametrize(
    ("want", "kind"),
    [
        pytest.param(wanted(up=False, why="stopped by `hive stop`"), act.Say, id="stopped"),
        pytest.param(wanted(up=False, removed=True, why="not in the file"), act.Forget, id="gone"),
    ],
)
def test_one_that_is_no_longer_wanted_stops_waiting_at_once(want, kind):
    action = only(decide(world(WAITING, OTHER, room=FULL), want), kind)

    assert action.why == want.why
    if kind is act.Say:
        assert (action.after.state, action.after.reason) == (State.STOPPED, want.why)


def test_a_wait_for_room_uses_no_restart_of_the_team():
    team = TeamMemory(team="p/t", restarts=(NOW - 5,) * 15)
    say = only(decide(world(OVER, OTHER, room=FULL, teams={"p/t": team})), act.Say)

    assert say.why.startswith("waiting for room")


def test_a_held_team_is_told_before_a_want_of_room():
    team = TeamMemory(team="p/t", held=True)
    say = only(decide(world(OVER, OTHER, room=FULL, teams={"p/t": team})), act.Say)

    assert say.why.startswith("its team is held")


FRESH = [wanted(name, order=place) for place, name in enumerate(("a", "b", "c"))]


def over(name, **more):
    return replace(OVER, agent=f"p/t/{name}", **more)


LONG = {"reason": WAITING.reason, "since": NOW - 9}
LOW = wanted("a", order=0, priority="low")
HIGH = wanted("b", order=1, priority="high")


@pytest.mark.parametrize(
    ("memories", "want", "first"),
    [
        pytest.param((), FRESH, "a", id="as in the file"),
        pytest.param((), (LOW, HIGH, FRESH[2]), "b", id="by priority"),
        pytest.param((over("c", **LONG), over("b"), over("a")), FRESH, "c", id="who waits longest"),
        pytest.param(
            (over("a", **LONG), over("b")), (LOW, HIGH), "b", id="priority comes before patience"
        ),
        pytest.param((over("a"), over("b")), (*FRESH[:2], FRESH[2]), "c", id="who was asked for"),
        pytest.param(
            (over("a"),),
            (replace(HIGH, agent=replace(HIGH.agent, name="a")), FRESH[2]),
            "c",
            id="a person comes before priority",
        ),
        pytest.param(
            (over("a", **LONG), over("b", state=State.STARTING)),
            (replace(FRESH[0], generation=2), replace(FRESH[1], generation=2)),
            "b",
            id="one that ended to start again keeps its place",
        ),
        pytest.param(
            (over("a", **LONG), over("b", state=State.STARTING, **(LONG | {"since": NOW - 2}))),
            (replace(FRESH[0], generation=2), replace(FRESH[1], generation=2)),
            "a",
            id="but only as long as it does not wait",
        ),
    ],
)
def test_whose_turn_it_is(memories, want, first):
    actions = decide(world(*memories, room=FULL), *want)

    assert started(actions) == [first]


def test_starts_come_in_their_turn_and_each_counts_those_before_it():
    actions = decide(world(over("a"), over("b"), room=Room()), LOW, HIGH)

    assert started(actions) == ["b", "a"]
    assert [len(one.team.restarts) for one in actions] == [1, 2]


def test_many_of_one_program_start_slowly_and_nothing_is_said():
    want = [wanted(f"n{number:02}", order=number) for number in range(25)]
    actions = decide(world(room=Room()), *want)

    assert len(started(actions)) == 20
    assert [type(one) for one in actions[20:]] == [act.Wait]
    assert waits(actions) == [0.25]


# want of memory


def excess(**more):
    fields = {
        "agent": ID,
        "launch": "1-aa",
        "at": NOW - 1,
        "kind": "memory",
        "why": "out of memory: it used 531M of 512M",
        "seen": 531 * MIB,
        "limit": 512 * MIB,
        "whole": True,
        "largest": (Holding(pid=11, name="node", bytes=500 * MIB),),
    }
    return Excess(**(fields | more))


LIMITED = wanted(limits=Limits(memory=512 * MIB))


def end(memory, one, want=LIMITED, code=-9, now=NOW):
    given = world(memory, panes=(replace(DEAD, code=code),), excesses={ID: one})
    return only(decide(given, want, now=now), act.Ended)


@pytest.mark.parametrize(
    ("memory", "one", "blamed"),
    [
        pytest.param(RUNNING, excess(), True, id="all of it was ended"),
        pytest.param(RUNNING, excess(at=NOW - 40), True, id="all of it, a while ago"),
        pytest.param(RUNNING, excess(launch="1-99"), False, id="an earlier launch was"),
        pytest.param(RUNNING, excess(whole=False), True, id="a child was, a moment ago"),
        pytest.param(RUNNING, excess(whole=False, at=NOW - 11), False, id="a child was, long ago"),
        pytest.param(
            replace(RUNNING, dead_since=NOW - 2),
            excess(whole=False, at=NOW - 11),
            True,
            id="a child was, a moment before it died",
        ),
        pytest.param(
            replace(RUNNING, state=State.STOPPING, cause="its alive probe failed", counts=True),
            excess(),
            False,
            id="it was to end anyway",
        ),
    ],
)
def test_whether_an_end_is_for_want_of_memory(memory, one, blamed):
    ended = end(memory, one)

    assert (ended.cause == one.why) is blamed
    assert ended.largest == (one.largest if blamed else ())
    assert (ended.after.ooms, ended.after.seen) == ((1, 531 * MIB) if blamed else (0, 0))
    assert (ended.asked, ended.code, ended.after.deaths) == (False, -9, (NOW,))


def test_one_that_is_asked_to_end_ends_as_asked_whatever_it_took():
    stopping = replace(RUNNING, state=State.STOPPING, cause="stopped by `hive stop`")
    ended = end(stopping, excess(), wanted(up=False, why="stopped by `hive stop`"))

    assert (ended.asked, ended.cause, ended.largest) == (True, "stopped by `hive stop`", ())


def test_a_child_that_was_killed_is_no_decision():
    given = world(RUNNING, panes=(PANE,), excesses={ID: excess(whole=False)})

    assert decide(given, LIMITED) == ()


ROW = replace(RUNNING, ooms=1, seen=520 * MIB, deaths=(NOW - 60,))


@pytest.mark.parametrize(
    ("memory", "one", "want", "advice"),
    [
        pytest.param(RUNNING, excess(), LIMITED, "", id="once may be chance"),
        pytest.param(
            ROW,
            excess(),
            LIMITED,
            "out of memory twice in a row: its limit of 512M is too small, it had 531M; "
            "`hive limits set t/dev --memory 832MB`",
            id="twice",
        ),
        pytest.param(
            replace(ROW, ooms=2, seen=640 * MIB),
            excess(),
            LIMITED,
            "out of memory 3 times in a row: its limit of 512M is too small, it had 640M; "
            "`hive limits set t/dev --memory 960MB`",
            id="three times, the most it had",
        ),
        pytest.param(
            ROW,
            excess(limit=700 * MIB),
            wanted(),
            "out of memory twice in a row: it had 531M of 700M that were left; "
            "it has no limit of its own",
            id="the machine's limit",
        ),
        pytest.param(
            ROW,
            excess(limit=400 * MIB),
            LIMITED,
            "out of memory twice in a row: it had 531M of 400M that were left; its limit is 512M",
            id="the machine had less than its own limit",
        ),
        pytest.param(ROW, excess(kind="processes"), LIMITED, "", id="too many processes"),
        pytest.param(
            replace(ROW, ready_since=NOW - 600), excess(), LIMITED, "", id="after long health"
        ),
    ],
)
def test_what_is_said_of_a_limit_that_is_too_small(memory, one, want, advice):
    ended = end(memory, one, want)

    assert ended.why.startswith(f"{one.why}; starts again ")
    assert ended.next.partition("; ")[2] == advice
    assert ended.after.reason.startswith(f"{advice or one.why}; starts again ")


def test_quarantine_for_want_of_memory_says_what_to_do():
    ended = end(replace(ROW, deaths=tuple(NOW - at for at in (40, 30, 20, 10))), excess())

    assert ended.next.startswith("quarantined: one trial start in 15m; out of memory twice")
    assert ended.after.reason.startswith("5 deaths in 15m; the last: out of memory twice in a row")
    assert ended.after.state is State.FAILED


@pytest.mark.parametrize(
    ("policy", "next_", "ooms"),
    [
        pytest.param("on-failure", "starts again at once", 1, id="it is a failure"),
        pytest.param(
            "never",
            "stays stopped: it ended: out of memory: it used 531M of 512M; restart policy is never",
            1,
            id="never is never",
        ),
    ],
)
def test_an_end_for_want_of_memory_is_a_failure_whatever_its_code(policy, next_, ooms):
    want = wanted(restart=Restart(policy=policy))
    ended = end(RUNNING, excess(), want, code=0)

    assert (ended.next, ended.after.ooms) == (next_, ooms)


def test_another_death_ends_the_row():
    ended = only(decide(world(ROW, panes=(DEAD,)), LIMITED), act.Ended)

    assert (ended.after.ooms, ended.after.seen) == (0, 0)


def test_a_lost_launch_does_not_end_the_row():
    lost = only(decide(world(ROW, sights={"": NoServer()}), LIMITED), act.Lost)

    assert lost.after.ooms == 1


def test_a_person_and_health_forget_the_row():
    past = replace(OVER, ooms=2, seen=9)
    start = only(decide(world(past), replace(LIMITED, generation=2)), act.Start)
    healthy = replace(RUNNING, ooms=2, seen=9, ready_since=NOW - 600)
    forgive = only(decide(world(healthy, panes=(PANE,)), LIMITED), act.Forgive)

    assert (start.after.ooms, start.after.seen) == (0, 0)
    assert (forgive.after.ooms, forgive.after.seen) == (0, 0)
    assert only(decide(world(past), LIMITED), act.Start).after.ooms == 2


# age

OLD = replace(RUNNING, began=NOW - 43_200, ready_since=NOW - 43_000)
AGED = wanted(limits=Limits(max_age=43_200))
STILL = {ID: Use(quiet_since=NOW - 60)}


@pytest.mark.parametrize(
    ("memory", "uses", "room", "stops"),
    [
        pytest.param(OLD, STILL, None, True, id="old and quiet"),
        pytest.param(OLD, STILL, FULL, True, id="its own place is free again"),
        pytest.param(OLD, {}, None, False, id="nobody knows whether it is quiet"),
        pytest.param(OLD, {ID: Use()}, None, False, id="busy"),
        pytest.param(
            OLD, {ID: Use(quiet_since=NOW - 90, paused=True)}, None, False, id="quiet, for hive"
        ),
        pytest.param(OLD, {ID: Use(quiet_since=NOW - 59)}, None, False, id="not quiet for long"),
        pytest.param(replace(OLD, began=NOW - 43_199), STILL, None, False, id="not old"),
        pytest.param(replace(OLD, state=State.STARTING), STILL, None, False, id="not ready"),
        pytest.param(OLD, STILL, Room(closed="x"), False, id="it could not start again"),
    ],
)
def test_when_one_is_restarted_for_its_age(memory, uses, room, stops):
    actions = decide(world(memory, panes=(PANE,), uses=uses, room=room), AGED)

    assert any(isinstance(one, act.Stop) for one in actions) is stops


@pytest.mark.parametrize(
    ("began", "quiet", "until"),
    [
        pytest.param(NOW - 43_190, NOW - 500, 10, id="until it is old"),
        pytest.param(NOW - 50_000, NOW - 20, 40, id="until it was quiet for long enough"),
    ],
)
def test_the_moment_of_a_planned_restart_is_known(began, quiet, until):
    memory = replace(OLD, began=began)
    given = world(memory, panes=(PANE,), uses={ID: Use(quiet_since=quiet)})

    assert waits(decide(given, AGED)) == [until]


def test_a_planned_restart_counts_for_nothing():
    stop = only(decide(world(OLD, panes=(PANE,), uses=STILL), AGED), act.Stop)
    ended = only(decide(world(stop.after, panes=(DEAD,)), AGED), act.Ended)
    held = {"p/t": TeamMemory(team="p/t", held=True)}
    start = only(decide(world(ended.after, teams=held), AGED), act.Start)

    why = "planned restart: it has run for 12h (`max_age`)"
    assert (stop.why, stop.after.counts) == (why, False)
    assert (ended.asked, ended.cause, ended.next) == (True, why, "starts again at once")
    assert (ended.after.state, ended.after.reason) == (State.STARTING, why)
    assert (start.automatic, start.why, start.team) == (True, "planned restart", None)
    assert (start.after.deaths, start.after.restarts, start.after.cause) == ((), 0, "")


def test_what_a_person_wants_meanwhile_comes_before_a_planned_restart():
    stop = only(decide(world(OLD, panes=(PANE,), uses=STILL), AGED), act.Stop)
    down = replace(AGED, up=False, why="stopped by `hive stop`")
    ended = only(decide(world(stop.after, panes=(DEAD,)), down), act.Ended)

    assert ended.after.state is State.STOPPED
    again = replace(AGED, generation=2, why="restarted by `hive restart`")
    ended = only(decide(world(stop.after, panes=(DEAD,)), again), act.Ended)
    assert not only(decide(world(ended.after), again), act.Start).automatic


def test_a_healthy_past_is_forgotten_before_a_planned_restart():
    given = world(replace(OLD, restarts=2), panes=(PANE,), uses=STILL)

    assert only(decide(given, AGED), act.Forgive)
