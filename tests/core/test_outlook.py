"""What hive says it does next: one sentence for each state of affairs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core.limits import Limits
from hive.core.outlook import how, outlook
from hive.core.spec import Agent, Probe, Restart
from hive.core.world import Memory, State, TeamMemory, Wanted

NOON = 1_700_000_000.0
AGENT = Agent(
    project="Task",
    team="web",
    name="dev",
    role="dev",
    session="Task-web",
    window="Web-Dev",
    argv=("sleep", "600"),
    directory="/srv",
)
PROBE = Probe(kind="tcp", target="localhost:3000")
TEAM = TeamMemory(team="Task/web")
HELD = replace(TEAM, held=True)
WANTED = Wanted(agent=AGENT)
STOP = "`hive stop`"
MEMORY = Memory(agent=AGENT.id, state=State.READY, launch="1-a", generation=1, began=NOON - 9)


def agent(**changes: object) -> Wanted:
    return Wanted(agent=replace(AGENT, **changes))


OLD = agent(limits=Limits(max_age=8.0))
PLACE = "waiting for its worktree: its setup failed with exit code 1"
PAUSED = "waiting to be resumed: `hive resume web/dev`"
ROOM = "waiting for room: 5 of 5 agents run"


def memory(state: State, **changes: object) -> Memory:
    return replace(MEMORY, state=state, **changes)


@pytest.mark.parametrize(
    ("wanted", "remembered", "team", "text", "at"),
    [
        pytest.param(
            WANTED, MEMORY, TEAM,
            "watches it; starts it again when it ends", None,
            id="ready",
        ),
        pytest.param(
            agent(restart=Restart(policy="on-failure")), MEMORY, TEAM,
            "watches it; starts it again if it fails", None,
            id="ready, restarted on failure only",
        ),
        pytest.param(
            agent(restart=Restart(policy="never")), MEMORY, TEAM,
            "watches it; leaves it ended when it ends", None,
            id="ready, never restarted",
        ),
        pytest.param(
            OLD, MEMORY, TEAM,
            "restarts it at a quiet moment: it has run for 9s", None,
            id="ready, and has run for long enough",
        ),
        pytest.param(
            OLD, memory(State.READY, began=NOON - 7), TEAM,
            "watches it; starts it again when it ends", None,
            id="ready, and has not run for long enough",
        ),
        pytest.param(
            WANTED, Memory(agent=AGENT.id, state=State.STARTING, reason=ROOM), TEAM,
            "starts it as soon as there is room: 5 of 5 agents run", None,
            id="waits for room, never started",
        ),
        pytest.param(
            WANTED, memory(State.BACKING_OFF, began=0.0, reason=ROOM, due=NOON - 9), TEAM,
            "starts it as soon as there is room: 5 of 5 agents run", None,
            id="waits for room, after a death",
        ),
        pytest.param(
            WANTED, memory(State.BACKING_OFF, began=0.0, reason=ROOM, due=NOON - 9), HELD,
            "nothing by itself: team `web` is held; `hive start web` lets it go", None,
            id="waits for room, and its team is held",
        ),
        pytest.param(
            WANTED, Memory(agent=AGENT.id, state=State.STARTING, reason=PLACE), TEAM,
            "starts it once its worktree is ready: its setup failed with exit code 1", None,
            id="waits for its worktree, never started",
        ),
        pytest.param(
            WANTED, memory(State.BACKING_OFF, began=0.0, reason=PLACE, due=NOON - 9), HELD,
            "nothing by itself: team `web` is held; `hive start web` lets it go", None,
            id="waits for its worktree, and its team is held",
        ),
        pytest.param(
            WANTED, Memory(agent=AGENT.id, state=State.STARTING, reason=PAUSED), TEAM,
            "starts it once it is resumed: `hive resume web/dev`", None,
            id="waits to be resumed",
        ),
        pytest.param(
            replace(WANTED, up=False, why=STOP),
            memory(State.STARTING, began=0.0, reason=ROOM), TEAM,
            "nothing: `hive stop`", None,
            id="waited for room, and is stopped",
        ),
        pytest.param(
            WANTED, memory(State.STARTING), TEAM,
            "watches it", None,
            id="starting without a probe",
        ),
        pytest.param(
            agent(ready=PROBE), memory(State.STARTING), TEAM,
            "asks tcp `localhost:3000` every 2s until it is ready", None,
            id="starting with a probe",
        ),
        pytest.param(
            WANTED, Memory(agent=AGENT.id), TEAM,
            "starts it: `hive deploy`", None,
            id="never started",
        ),
        pytest.param(
            agent(after=("Task/db/one",)), Memory(agent=AGENT.id), TEAM,
            "starts it as soon as db/one is ready", None,
            id="waits for another",
        ),
        pytest.param(
            agent(after=("Task/db/one", "Task/db/two")), Memory(agent=AGENT.id), TEAM,
            "starts it as soon as db/one, db/two are ready", None,
            id="waits for two others",
        ),
        pytest.param(
            replace(WANTED, generation=2, why="`hive restart`"), MEMORY, TEAM,
            "ends it, then starts it anew: `hive restart`", None,
            id="to be started anew",
        ),
        pytest.param(
            WANTED, memory(State.BACKING_OFF, due=NOON + 4, deaths=(NOON - 8, NOON - 2)), TEAM,
            "starts it again in 4s (2nd of 5 deaths in 15m)", NOON + 4,
            id="backing off",
        ),
        pytest.param(
            WANTED, memory(State.BACKING_OFF, due=NOON - 1, deaths=(NOON - 1000,)), TEAM,
            "starts it again now", NOON - 1,
            id="due now, with no death that counts",
        ),
        pytest.param(
            WANTED, memory(State.BACKING_OFF, due=NOON - 1), HELD,
            "nothing by itself: team `web` is held; `hive start web` lets it go", None,
            id="its team is held",
        ),
        pytest.param(
            WANTED, memory(State.FAILED, quarantined=True, due=NOON + 1500), TEAM,
            "one trial start in 25m; `hive start web/dev` starts it at once", NOON + 1500,
            id="quarantined",
        ),
        pytest.param(
            WANTED, memory(State.FAILED, quarantined=True, due=NOON - 1), HELD,
            "nothing by itself: team `web` is held; `hive start web` lets it go", None,
            id="quarantined in a held team",
        ),
        pytest.param(
            WANTED, memory(State.FAILED), TEAM,
            "nothing by itself; `hive start web/dev` starts it at once", None,
            id="failed for good",
        ),
        pytest.param(
            WANTED, memory(State.STOPPED, reason="exit code 0"), TEAM,
            "nothing: exit code 0; `hive start web/dev` starts it", None,
            id="ended by its policy",
        ),
        pytest.param(
            replace(WANTED, up=False, why=STOP), memory(State.STOPPED), TEAM,
            f"nothing: {STOP}", None,
            id="down as wanted",
        ),
        pytest.param(
            replace(WANTED, up=False, why=STOP), MEMORY, TEAM,
            f"ends it: {STOP}", None,
            id="to be ended",
        ),
        pytest.param(
            replace(WANTED, up=False), memory(State.STOPPING, deadline=NOON + 7), TEAM,
            "kills it in 7s if it has not ended", NOON + 7,
            id="asked to end",
        ),
        pytest.param(
            replace(WANTED, up=False), memory(State.STOPPING, deadline=NOON), TEAM,
            "kills it now", NOON,
            id="its grace is over",
        ),
        pytest.param(
            WANTED, memory(State.STOPPING, deadline=NOON + 7), TEAM,
            "kills it in 7s if it has not ended; starts it anew once it has ended", NOON + 7,
            id="ending in order to start anew",
        ),
        pytest.param(
            replace(WANTED, up=False), memory(State.STOPPING), TEAM,
            "ends it", None,
            id="ending without a deadline",
        ),
        pytest.param(
            replace(WANTED, removed=True), MEMORY, TEAM,
            "ends it, then forgets it", None,
            id="removed, still there",
        ),
        pytest.param(
            replace(WANTED, removed=True), memory(State.STOPPED), TEAM,
            "forgets it", None,
            id="removed and ended",
        ),
    ],
)  # fmt: skip
def test_outlook(wanted, remembered, team, text, at):
    assert outlook(wanted, remembered, team, NOON) == (text, at)


@pytest.mark.parametrize(
    ("code", "cause", "text"),
    [
        pytest.param(3, "exit code 3", "exit code 3", id="by itself"),
        pytest.param(-9, "", "killed by signal 9 (KILL)", id="no cause is known"),
        pytest.param(0, "`hive stop`", "`hive stop`; exit code 0", id="asked for"),
    ],
)
def test_how_a_launch_ended_is_said_once(code, cause, text):
    assert how(code, cause) == text
