"""What holds of `plan` whatever is wanted, seen and remembered."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from re import sub

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive.core import actions as act
from hive.core.admission import waiting
from hive.core.limits import Limits
from hive.core.plan import plan
from hive.core.spec import Agent, Probe
from hive.core.trees import Process
from hive.core.world import (
    Excess,
    Memory,
    NoServer,
    Pane,
    Room,
    Seen,
    Server,
    State,
    TeamMemory,
    Tree,
    Unseen,
    Use,
    Verdict,
    Wanted,
    World,
)

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
NOW = 1_000_000.0
IDS = ("p/t/a", "p/t/b", "p/u/c")
STRANGER = "p/x/nobody"
EFFECTS = (
    act.Start,
    act.Adopt,
    act.Stop,
    act.Kill,
    act.Sweep,
    act.Ended,
    act.Lost,
    act.Closed,
    act.Forget,
)
PROBE = Probe(kind="tcp", target="h:1")

moments = st.sampled_from([0.0, NOW - 5000, NOW - 61, NOW - 3, NOW - 0.1, NOW, NOW + 2, NOW + 9e5])
servers = st.sampled_from([Server(pid=1, started=1), Server(pid=2, started=2)])
launches = st.sampled_from(["", "1-a", "2-b", "strange"])
pids = st.integers(10, 14)
reasons = st.sampled_from(
    [
        "runs",
        "runs; could not look: hung",
        "no longer ready: x",
        "waiting for room: 1 of 1 agents run",
        "waiting for its worktree: it is being made",
        "waiting for room: it needs about 64.0M, 1.2M are free above the reserve",
    ]
)


def processes():
    return st.lists(
        st.builds(
            Process,
            pid=pids,
            parent=pids,
            session=pids,
            started=pids,
            state=st.sampled_from("SSZ"),
            cpu=st.just(0.0),
            name=st.just("x"),
        ),
        max_size=3,
    ).map(tuple)


panes = st.builds(
    Pane,
    id=st.sampled_from(["%1", "%2", "%3"]),
    window=st.just("w"),
    session=st.sampled_from(["p-t", "mine"]),
    agent=st.sampled_from([*IDS, STRANGER]),
    launch=launches,
    pid=pids,
    started=pids,
    dead=st.booleans(),
    code=st.sampled_from([None, 0, 3, -9]),
)
sights = st.one_of(
    st.builds(
        Seen,
        server=servers,
        panes=st.lists(panes, max_size=5, unique_by=lambda pane: pane.id).map(tuple),
    ),
    st.builds(NoServer),
    st.builds(Unseen, why=st.just("hung")),
)
verdicts = st.builds(Verdict, good=st.sampled_from([None, True, False]), since=moments)


def memories(agent):
    return st.builds(
        Memory,
        agent=st.just(agent),
        state=st.sampled_from(State),
        reason=reasons,
        since=moments,
        launch=launches,
        generation=st.integers(0, 2),
        socket=st.sampled_from(["", "other"]),
        server=st.none() | servers,
        pane=st.sampled_from(["", "%1"]),
        pid=pids,
        started=pids,
        boot=st.sampled_from(["boot", "boot", "old"]),
        began=moments,
        ready_since=moments,
        deaths=st.lists(moments, max_size=5).map(lambda times: tuple(sorted(times))),
        due=moments,
        trials=st.integers(0, 3),
        quarantined=st.booleans(),
        restarts=st.integers(0, 3),
        deadline=moments,
        cause=st.sampled_from(
            ["", "the tmux server ended", "stopped by `hive stop`", "planned restart: old"]
        ),
        counts=st.booleans(),
        gone_since=moments,
        dead_since=moments,
        ooms=st.integers(0, 2),
        seen=st.just(5),
    )


rooms = st.none() | st.builds(
    Room,
    closed=st.sampled_from(["", "", "the disk is full"]),
    agents=st.sampled_from([None, 1, 2]),
    memory=st.sampled_from([None, -1, 100 << 20, 1 << 40]),
    cores=st.just(1.0),
    busy=st.sampled_from([0, 12]),
    needs=st.sampled_from([{}, {"x": 200 << 20}]),
    starting=st.sampled_from([{}, {"x": 0.5}]),
)


def excesses(agent):
    return st.builds(
        Excess,
        agent=st.just(agent),
        launch=launches,
        at=moments,
        kind=st.sampled_from(["memory", "processes"]),
        why=st.just("out of memory"),
        seen=st.just(9),
        limit=st.just(8),
        whole=st.booleans(),
    )


def wishes(agent):
    project, team, name = agent.split("/")
    return st.builds(
        Wanted,
        agent=st.builds(
            Agent,
            project=st.just(project),
            team=st.just(team),
            name=st.just(name),
            role=st.just(name),
            session=st.just("p-t"),
            window=st.just(name),
            argv=st.just(("x",)),
            directory=st.just("/"),
            after=st.sampled_from([(), ("p/t/a",)]) if agent != "p/t/a" else st.just(()),
            ready=st.sampled_from([None, PROBE]),
            alive=st.sampled_from([None, PROBE]),
            socket=st.sampled_from(["", "other"]),
            limits=st.sampled_from([Limits(), Limits(max_age=4000), Limits(memory=8)]),
            priority=st.sampled_from(["low", "normal", "high"]),
        ),
        up=st.booleans(),
        removed=st.booleans(),
        generation=st.integers(1, 2),
    )


wanted = st.fixed_dictionaries({name: wishes(name) for name in IDS})
worlds = st.builds(
    World,
    boot=st.just("boot"),
    sights=st.fixed_dictionaries({"": sights, "other": sights}),
    memory=st.fixed_dictionaries({}, optional={name: memories(name) for name in IDS}),
    teams=st.fixed_dictionaries(
        {}, optional={"p/t": st.builds(TeamMemory, team=st.just("p/t"), held=st.booleans())}
    ),
    trees=st.fixed_dictionaries(
        {},
        optional={
            name: st.builds(Tree, current=processes(), strays=processes())
            for name in (*IDS, STRANGER)
        },
    ),
    ready=st.fixed_dictionaries({}, optional=dict.fromkeys(IDS, verdicts)),
    alive=st.fixed_dictionaries({}, optional=dict.fromkeys(IDS, verdicts)),
    uses=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(IDS, st.builds(Use, quiet_since=moments, memory=pids))
    ),
    excesses=st.fixed_dictionaries({}, optional={name: excesses(name) for name in IDS}),
    room=rooms,
    unready=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(IDS, st.sampled_from(["it is being made", "its setup failed"]))
    ),
)


def owner(action):
    after = getattr(action, "after", None)
    return after.agent if isinstance(after, Memory) else getattr(action, "agent", "")


def remembered(world, name):
    return world.memory.get(name, Memory(agent=name))


def all_panes(world):
    return [
        pane for sight in world.sights.values() if isinstance(sight, Seen) for pane in sight.panes
    ]


def world_after(wanted, world, actions):
    """What hive knows once the records of these actions are written: a small model of the store."""
    memory, teams, left = dict(world.memory), dict(world.teams), dict(wanted)
    for action in actions:
        after = getattr(action, "after", None)
        if isinstance(after, Memory):
            memory[after.agent] = after
        if isinstance(after, TeamMemory):
            teams[after.team] = after
        if isinstance(action, act.Closed):
            left[after.agent] = replace(left[after.agent], up=False, why=action.why)
        if isinstance(action, act.Forget):
            del left[action.agent]
            memory.pop(action.agent, None)
    return left, replace(world, memory=memory, teams=teams)


@CALM
@given(wanted, worlds)
def test_the_same_look_gives_the_same_plan(wanted, world):
    assert plan(wanted, world, NOW) == plan(dict(reversed(wanted.items())), world, NOW)


@CALM
@given(wanted, worlds)
def test_at_most_one_effect_and_one_memory_an_agent_and_one_wait_at_the_end(wanted, world):
    actions = plan(wanted, world, NOW)
    effects = Counter(owner(one) for one in actions if isinstance(one, EFFECTS))
    records = Counter(
        owner(one) for one in actions if isinstance(getattr(one, "after", None), Memory)
    )

    assert all(number == 1 for number in (effects | records).values())
    assert not [one for one in actions[:-1] if isinstance(one, act.Wait)]
    assert all(one.until >= NOW for one in actions if isinstance(one, act.Wait))


@CALM
@given(wanted, worlds)
def test_no_agent_is_stopped_that_is_wanted_as_it_is(wanted, world):
    for action in plan(wanted, world, NOW):
        if isinstance(action, act.Stop) and not action.after.counts:
            one = wanted[action.spec.id]
            old = action.why.startswith("planned restart") and one.agent.limits.max_age
            assert one.removed or not one.up or action.after.generation < one.generation or old


@CALM
@given(wanted, worlds)
def test_nothing_is_started_that_lives_or_is_not_wanted(wanted, world):
    for action in plan(wanted, world, NOW):
        if not isinstance(action, act.Start):
            continue
        name = action.spec.id
        tree = world.trees.get(name, Tree())
        assert wanted[name].up and not wanted[name].removed
        assert name not in world.unready
        assert not [pane for pane in all_panes(world) if pane.agent == name and not pane.dead]
        assert all(process.dead for process in (*tree.current, *tree.strays))
        assert not remembered(world, name).live


@CALM
@given(wanted, worlds)
def test_only_what_bears_the_agents_own_mark_is_touched(wanted, world):
    for action in plan(wanted, world, NOW):
        name = owner(action) or getattr(getattr(action, "spec", None), "id", "")
        assert name != STRANGER
        tree = world.trees.get(name, Tree())
        assert set(getattr(action, "targets", ())) <= {*tree.current, *tree.strays}
        if isinstance(action, act.Close):
            assert action.pane.agent == name and action.pane.dead
            assert action.pane in all_panes(world)
        if isinstance(action, act.Start) and action.pane:
            mine = [one for one in all_panes(world) if one.agent == name and one.dead]
            assert action.pane in {pane.id for pane in mine}


@CALM
@given(wanted, worlds)
def test_what_could_not_be_looked_at_is_only_spoken_of(wanted, world):
    for action in plan(wanted, world, NOW):
        name = owner(action)
        if name not in wanted:
            continue
        memory = remembered(world, name)
        socket = memory.socket if memory.live else wanted[name].agent.socket
        if isinstance(world.sights[socket], Unseen):
            assert isinstance(action, act.Say)
            assert action.after.state is memory.state


@CALM
@given(wanted, worlds)
def test_an_agent_that_is_to_end_is_never_called_back(wanted, world):
    for action in plan(wanted, world, NOW):
        memory = remembered(world, owner(action))
        if memory.live and memory.state is State.STOPPING:
            allowed = (act.Kill, act.Sweep, act.Ended, act.Note, act.Say, act.Close, act.Adopt)
            assert isinstance(action, allowed)


@CALM
@given(wanted, worlds)
def test_two_ticks_are_one(wanted, world):
    """Without a change outside, what was done or said is not done or said again."""
    first = plan(wanted, world, NOW)
    started = {owner(one) for one in first if isinstance(one, act.Start | act.Adopt)}
    again = plan(*world_after(wanted, world, first), NOW)
    said = {what(one) for one in first}

    repeated = [
        one
        for one in again
        if not isinstance(one, act.Wait | act.Close)
        and what(one) in said
        and owner(one) not in started
    ]
    assert repeated == []


def what(action):
    """What an action is, but for figures; another reason for waiting is news."""
    waits = isinstance(action, act.Say) and waiting(action.after)
    return (type(action), owner(action), sub(r"[\d.]+[KMG]?", "", waits or ""))


@CALM
@given(wanted, worlds)
def test_what_starts_has_room(wanted, world):
    actions = plan(wanted, world, NOW)
    starts = [one.spec.id for one in actions if isinstance(one, act.Start)]
    room = world.room
    if not starts or room is None:
        return
    live = {name for name, one in world.memory.items() if one.live}

    assert not room.closed
    assert room.agents is None or len(live | set(starts)) <= room.agents
    if len(live | set(starts)) > 1 and room.memory is not None:
        least = min(room.needs.get("x", 64 << 20), 8)
        assert least * len(starts) <= room.memory


@CALM
@given(wanted, worlds)
def test_room_holds_up_starts_and_planned_restarts_only(wanted, world):
    free = plan(wanted, replace(world, room=None), NOW)
    held = plan(wanted, world, NOW)
    theirs = {
        owner(one) or one.spec.id for one in (*free, *held) if isinstance(one, act.Start | act.Stop)
    }
    least = (act.Wait, act.Note, act.Hold)

    assert [one for one in free if not isinstance(one, least) and owner(one) not in theirs] == [
        one for one in held if not isinstance(one, least) and owner(one) not in theirs
    ]


@CALM
@given(wanted, worlds)
def test_hive_comes_to_rest(wanted, world):
    """Whatever was found, records alone settle within a few ticks: nothing goes round."""
    for _ in range(6):
        actions = plan(wanted, world, NOW)
        if any(isinstance(one, act.Start | act.Adopt) for one in actions):
            return  # what follows is the world's doing
        wanted, world = world_after(wanted, world, actions)
    calm = (act.Wait, act.Close)
    assert [one for one in plan(wanted, world, NOW) if not isinstance(one, calm)] == []
