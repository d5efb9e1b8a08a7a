"""An agent whose worktree is not ready waits for it, and says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core import actions as act
from hive.core.plan import plan
from hive.core.spec import Agent
from hive.core.world import Memory, Pane, Room, Seen, Server, State, TeamMemory, Wanted, World

NOW = 1_000_000.0
ID = "p/t/dev"
SERVER = Server(pid=1, started=1)
AGENT = Agent(
    project="p", team="t", name="dev", role="dev", session="p-t", window="dev", argv=("x",),
    directory="/state/worktrees/p/t/dev",
)  # fmt: skip
NEW = Memory(agent=ID)
OVER = Memory(
    agent=ID, state=State.BACKING_OFF, reason="exit code 3", since=NOW - 9, launch="1-aa",
    generation=1, deaths=(NOW - 9,), due=NOW,
)  # fmt: skip
FAILED = replace(OVER, state=State.FAILED, quarantined=True)
WHY = "`npm ci` runs"
SAID = f"waiting for its worktree: {WHY}"
PANE = Pane(id="%1", window="dev", session="p-t", agent=ID, launch="1-aa", pid=10, started=100)


def decide(memory, *panes, why=WHY, generation=1, **more):
    world = World(
        boot="boot",
        sights={"": Seen(server=SERVER, panes=panes)},
        memory={ID: memory},
        unready={ID: why} if why else {},
        **more,
    )
    return plan({ID: Wanted(agent=AGENT, generation=generation)}, world, NOW)


def kinds(actions):
    return [type(action) for action in actions]


@pytest.mark.parametrize(
    ("memory", "generation", "state"),
    [
        pytest.param(NEW, 1, State.STARTING, id="never started"),
        pytest.param(OVER, 2, State.STARTING, id="a person asked for it"),
        pytest.param(OVER, 1, State.BACKING_OFF, id="started again by itself"),
        pytest.param(FAILED, 1, State.FAILED, id="a trial start"),
    ],
)
def test_one_that_is_to_start_waits_and_says_for_what(memory, generation, state):
    (said,) = decide(memory, generation=generation)

    assert isinstance(said, act.Say)
    assert (said.after.state, said.after.reason, said.why) == (state, SAID, SAID)
    assert said.after.deaths == memory.deaths
    assert decide(said.after, generation=generation) == ()


@pytest.mark.parametrize(("memory", "generation"), [(NEW, 1), (OVER, 2), (OVER, 1), (FAILED, 1)])
def test_it_starts_as_soon_as_its_worktree_is_ready(memory, generation):
    (said,) = decide(memory, generation=generation)
    (start,) = decide(said.after, generation=generation, why="")

    assert isinstance(start, act.Start)
    assert start.after.restarts == decide(memory, generation=generation, why="")[0].after.restarts


def test_how_its_worktree_gets_on_is_remembered_and_no_event():
    (said,) = decide(NEW)
    (note,) = decide(said.after, why="`npm test` runs")

    assert isinstance(note, act.Note)
    assert note.after == replace(said.after, reason="waiting for its worktree: `npm test` runs")


def test_a_wait_for_a_worktree_counts_for_no_budget():
    team = TeamMemory(team="p/t", restarts=(NOW - 5,))
    actions = decide(OVER, teams={"p/t": team})

    assert kinds(actions) == [act.Say]


def test_what_waits_for_its_worktree_takes_no_room():
    other = replace(AGENT, name="other", window="other", order=1)
    world = World(
        sights={"": Seen(server=SERVER)}, unready={ID: WHY}, room=Room(agents=1),
    )  # fmt: skip
    actions = plan({ID: Wanted(agent=AGENT), other.id: Wanted(agent=other)}, world, NOW)

    assert [one.spec.name for one in actions if isinstance(one, act.Start)] == ["other"]


def test_one_that_still_waits_to_be_started_again_does_that_first():
    (wait,) = decide(replace(OVER, due=NOW + 5))

    assert wait == act.Wait(until=NOW + 5)


def test_one_that_runs_is_left_alone():
    running = replace(
        OVER, state=State.READY, pane="%1", pid=10, started=100, began=NOW - 50, server=SERVER,
        ready_since=NOW - 49, deaths=(), boot="boot",
    )  # fmt: skip

    assert decide(running, PANE) == ()
