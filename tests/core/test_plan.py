"""What is decided for one agent, case by case; test_plan_properties.py has what always holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core import actions as act
from hive.core.plan import plan
from hive.core.spec import Agent, Probe, Restart, Stop
from hive.core.trees import Process
from hive.core.world import (
    Memory,
    NoServer,
    Pane,
    Seen,
    Server,
    State,
    TeamMemory,
    Tree,
    Unseen,
    Verdict,
    Wanted,
    World,
)

NOW = 1_000_000.0
ID = "p/t/dev"
SERVER = Server(pid=1, started=1)
PROBE = Probe(kind="tcp", target="localhost:1")


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
STARTING = replace(RUNNING, state=State.STARTING, reason="started", ready_since=0.0)
STOPPING = replace(RUNNING, state=State.STOPPING, deadline=NOW + 5, cause="stopped by `hive stop`")
OVER = replace(
    RUNNING, state=State.BACKING_OFF, began=0.0, ready_since=0.0, pid=0, started=0, due=NOW
)
STAYS = replace(OVER, state=State.STOPPED, reason="it ended with exit code 0")
QUARANTINED = replace(OVER, state=State.FAILED, quarantined=True)
TRIAL = replace(RUNNING, quarantined=True, trials=1)

PANE = Pane(id="%1", window="dev", session="p-t", agent=ID, launch="1-aa", pid=10, started=100)
DEAD = replace(PANE, dead=True, started=0, code=3)
ROOT = Process(pid=10, parent=1, session=10, started=100, state="S", cpu=0.0, name="sh")
CHILD = replace(ROOT, pid=11, parent=10, started=101)
ORPHAN = replace(ROOT, pid=12, parent=1, started=102)
ZOMBIE = replace(ROOT, pid=13, parent=10, started=103, state="Z")
TREE = Tree(current=(ROOT, CHILD))


def world(memory=RUNNING, *panes, sight=None, tree=None, **more):
    runs = any(not pane.dead for pane in panes)
    fields = {
        "boot": "boot",
        "sights": {"": sight or Seen(server=SERVER, panes=panes)},
        "memory": memory if isinstance(memory, dict) else {memory.agent: memory} if memory else {},
        "trees": {ID: tree or (TREE if runs else Tree())},
    }
    return World(**(fields | more))


def decide(given, want=None, now=NOW):
    one = want or wanted()
    return plan({one.agent.id: one}, given, now)


def only(actions, kind):
    """The one action that is no Wait, which must be of this kind."""
    doing = [action for action in actions if not isinstance(action, act.Wait)]
    assert [type(action) for action in doing] == [kind]
    return doing[0]


def waits(actions):
    return [action.until - NOW for action in actions if isinstance(action, act.Wait)]


STOPPED = wanted(up=False, why="stopped by `hive stop`")
REMOVED = wanted(up=False, removed=True, why="it is no longer in the file")
AFRESH = wanted(generation=2, why="restarted by `hive restart`")
PROBED = wanted(ready=PROBE)
GUARDED = wanted(alive=PROBE)
NEVER = wanted(restart=Restart(policy="never"))
ON_FAILURE = wanted(restart=Restart(policy="on-failure"))
GOOD = {ID: Verdict(good=True, why="it accepts", since=NOW - 1)}
BAD = {ID: Verdict(good=False, why="no answer", since=NOW - 1)}
OLD = {ID: Verdict(good=False, why="no answer", since=NOW - 60)}
NEWER = replace(PANE, id="%2", launch="1-bb", pid=20, started=200)


@pytest.mark.parametrize(
    ("given", "want", "kinds"),
    [
        # one that runs
        pytest.param(world(RUNNING, PANE), None, [], id="runs and is wanted: nothing"),
        pytest.param(world(RUNNING, PANE), STOPPED, [act.Stop], id="wanted down: stop"),
        pytest.param(world(RUNNING, PANE), REMOVED, [act.Stop], id="removed: stop"),
        pytest.param(world(RUNNING, PANE), AFRESH, [act.Stop], id="of an old generation: stop"),
        pytest.param(world(RUNNING, PANE, alive=BAD), GUARDED, [act.Stop], id="not alive: stop"),
        pytest.param(
            world(RUNNING, PANE, alive=OLD), GUARDED, [], id="a verdict on an earlier launch: no"
        ),
        pytest.param(
            world(RUNNING, PANE, alive=BAD), None, [], id="a verdict without a probe: nothing"
        ),
        pytest.param(
            world(STARTING, PANE), None, [act.Ready], id="starting, without a probe: ready"
        ),
        pytest.param(
            world(replace(STARTING, began=NOW - 0.4), PANE),
            None,
            [act.Wait],
            id="starting, a moment ago: wait",
        ),
        pytest.param(world(STARTING, PANE), PROBED, [], id="starting, nothing known: nothing"),
        pytest.param(
            world(STARTING, PANE, ready=GOOD), PROBED, [act.Ready], id="starting, probe says yes"
        ),
        pytest.param(
            world(STARTING, PANE, ready=BAD), PROBED, [act.Say], id="starting, probe says no"
        ),
        pytest.param(world(RUNNING, PANE, ready=BAD), PROBED, [act.Say], id="ready, probe says no"),
        # one that is asked to end
        pytest.param(world(STOPPING, PANE), STOPPED, [act.Wait], id="stopping: it has its time"),
        pytest.param(world(STOPPING, PANE), None, [act.Wait], id="stopping, wanted again: goes on"),
        pytest.param(
            world(replace(STOPPING, deadline=NOW), PANE),
            STOPPED,
            [act.Kill],
            id="stopping, its time is over: kill",
        ),
        pytest.param(world(STOPPING, DEAD), STOPPED, [act.Ended], id="stopping and dead: ended"),
        pytest.param(
            world(STOPPING, DEAD, tree=Tree(current=(ORPHAN,))),
            STOPPED,
            [act.Sweep, act.Wait],
            id="stopping and dead, with a process left: sweep",
        ),
        pytest.param(
            world(STOPPING, DEAD, tree=Tree(current=(ZOMBIE,))),
            STOPPED,
            [act.Ended],
            id="a zombie is no process that is left",
        ),
        pytest.param(
            world(STOPPING, sight=NoServer()), STOPPED, [act.Ended], id="stopping, server gone"
        ),
        pytest.param(
            world(STOPPING, sight=NoServer(), tree=TREE),
            STOPPED,
            [act.Wait],
            id="stopping, server gone, root lives: it has its time",
        ),
        pytest.param(
            world(replace(STOPPING, deadline=NOW), sight=NoServer(), tree=TREE),
            STOPPED,
            [act.Kill],
            id="stopping, server gone, root lives, time over: kill",
        ),
        # one that died
        pytest.param(world(RUNNING, DEAD), None, [act.Ended], id="died: ended"),
        pytest.param(
            world(RUNNING, replace(DEAD, code=None)),
            None,
            [act.Note, act.Wait],
            id="died, exit code not known yet: note and wait",
        ),
        pytest.param(
            world(replace(RUNNING, dead_since=NOW - 2), replace(DEAD, code=None)),
            None,
            [act.Ended],
            id="died, exit code not known for long enough: ended",
        ),
        # one whose pane is gone
        pytest.param(world(RUNNING), None, [act.Note, act.Wait], id="gone: note and wait"),
        pytest.param(
            world(replace(RUNNING, gone_since=NOW - 0.5)), None, [act.Wait], id="gone: still wait"
        ),
        pytest.param(
            world(replace(RUNNING, gone_since=NOW - 1)), None, [act.Closed], id="gone: closed"
        ),
        pytest.param(
            world(replace(RUNNING, gone_since=NOW - 1), tree=TREE),
            None,
            [act.Closed],
            id="gone, though its root ignores it: closed",
        ),
        pytest.param(
            world(replace(RUNNING, gone_since=NOW - 1)),
            AFRESH,
            [act.Ended],
            id="gone, and a person wants it afresh: ended",
        ),
        pytest.param(
            world(replace(STOPPING, gone_since=NOW - 1)), STOPPED, [act.Ended], id="gone on request"
        ),
        pytest.param(
            world(replace(RUNNING, gone_since=NOW - 9), PANE),
            None,
            [act.Note],
            id="gone and back: noted",
        ),
        pytest.param(world(RUNNING, sight=NoServer()), None, [act.Lost], id="no server: lost"),
        pytest.param(
            world(RUNNING, sight=Seen(server=Server(pid=2, started=2))),
            None,
            [act.Lost],
            id="another server: lost",
        ),
        pytest.param(world(RUNNING, boot="next"), None, [act.Lost], id="another boot: lost"),
        # one that could not be looked at
        pytest.param(
            world(RUNNING, sight=Unseen(why="hung")), STOPPED, [act.Say], id="unseen: only said"
        ),
        pytest.param(
            world(None, sight=Unseen(why="hung")), None, [act.Say], id="unseen, never started"
        ),
        pytest.param(
            world(replace(RUNNING, reason="runs; could not look: x"), sight=Unseen(why="hung")),
            STOPPED,
            [],
            id="unseen again: said once",
        ),
        pytest.param(
            world(replace(RUNNING, reason="runs; could not look: x"), PANE),
            None,
            [act.Say],
            id="seen again: said",
        ),
        # one that memory does not know
        pytest.param(world(OVER, NEWER), None, [act.Adopt], id="not live, but a pane is: adopt"),
        pytest.param(world(None, PANE), None, [act.Adopt], id="never heard of, but runs: adopt"),
        pytest.param(
            world(RUNNING, NEWER), None, [act.Adopt], id="its pane gone, another lives: adopt"
        ),
        pytest.param(
            world(RUNNING, replace(PANE, pid=30, started=300)),
            None,
            [act.Adopt],
            id="another process in its pane: adopt",
        ),
        pytest.param(
            world(STOPPING, replace(PANE, pid=30, started=300)),
            STOPPED,
            [act.Note, act.Wait],
            id="another process in a pane that is to end: noted",
        ),
        pytest.param(
            world(RUNNING, replace(PANE, id="%9")), None, [act.Note], id="the pane moved: noted"
        ),
        pytest.param(
            world(RUNNING, PANE, NEWER, tree=Tree(current=(ROOT,), strays=(ORPHAN,))),
            None,
            [act.Sweep, act.Wait],
            id="two live panes: the other one's processes are swept",
        ),
        # one that does not run
        pytest.param(world(None), None, [act.Start], id="never started: start"),
        pytest.param(world(OVER), None, [act.Start], id="due: start"),
        pytest.param(world(replace(OVER, due=NOW + 3)), None, [act.Wait], id="not due: wait"),
        pytest.param(
            world(replace(OVER, due=NOW + 3)), AFRESH, [act.Start], id="not due, but asked: start"
        ),
        pytest.param(
            world(replace(QUARANTINED, due=NOW + 3)), None, [act.Wait], id="quarantined: wait"
        ),
        pytest.param(world(QUARANTINED), None, [act.Start], id="quarantined and due: a trial"),
        pytest.param(
            world(replace(QUARANTINED, due=NOW + 3)), AFRESH, [act.Start], id="quarantined, asked"
        ),
        pytest.param(world(STAYS), None, [], id="ended for good: nothing"),
        pytest.param(world(STAYS), AFRESH, [act.Start], id="ended for good, but asked: start"),
        pytest.param(world(OVER, sight=NoServer()), None, [act.Start], id="no server: start"),
        pytest.param(
            world(OVER, tree=Tree(current=(ORPHAN,))),
            None,
            [act.Sweep, act.Wait],
            id="leftovers of the latest launch are swept before a start",
        ),
        pytest.param(
            world(OVER, tree=Tree(strays=(ORPHAN,))),
            AFRESH,
            [act.Sweep, act.Wait],
            id="strays are swept before a start that was asked for",
        ),
        pytest.param(world(OVER), STOPPED, [act.Say], id="wanted down: said"),
        pytest.param(
            world(replace(STAYS, reason=STOPPED.why), DEAD),
            STOPPED,
            [act.Close],
            id="wanted down: its dead pane is closed",
        ),
        pytest.param(world(replace(STAYS, reason=STOPPED.why)), STOPPED, [], id="down: nothing"),
        pytest.param(world(STAYS, DEAD), None, [], id="ended for good: the dead pane stays"),
        pytest.param(world(STAYS, DEAD), REMOVED, [act.Close], id="removed: the pane is closed"),
        pytest.param(world(STAYS), REMOVED, [act.Forget], id="removed and gone: forget"),
        pytest.param(
            world(STAYS, tree=Tree(strays=(ORPHAN,))),
            REMOVED,
            [act.Sweep, act.Wait],
            id="removed, with a process left: sweep",
        ),
    ],
)
def test_what_is_decided(given, want, kinds):
    assert [type(action) for action in decide(given, want)] == kinds


def test_a_stop_says_who_wanted_it_and_gives_the_time_the_spec_grants():
    want = wanted(up=False, why="stopped by `hive stop`", stop=Stop(grace=7))
    stop = only(decide(world(RUNNING, PANE), want), act.Stop)

    assert stop.why == "stopped by `hive stop`"
    assert (stop.after.state, stop.after.deadline) == (State.STOPPING, NOW + 7)
    assert not stop.after.counts


def test_a_failed_alive_probe_counts_as_a_death():
    stop = only(decide(world(RUNNING, PANE, alive=BAD), GUARDED), act.Stop)
    assert stop.after.counts and stop.why == "its alive probe failed: no answer"

    ended = only(decide(world(stop.after, DEAD), GUARDED), act.Ended)
    assert not ended.asked
    assert ended.cause == "its alive probe failed: no answer"
    assert ended.after.deaths == (NOW,)


@pytest.mark.parametrize(
    ("tree", "targets"),
    [
        pytest.param((ROOT, CHILD), [11], id="a root with children ends when they do"),
        pytest.param((ROOT,), [10], id="a root without children is asked itself"),
        pytest.param((ROOT, ORPHAN), [12, 10], id="the root comes last"),
        pytest.param((ROOT, CHILD, ORPHAN, ZOMBIE), [11, 12], id="zombies are left alone"),
    ],
)
def test_who_is_asked_to_end(tree, targets):
    stop = only(decide(world(RUNNING, PANE, tree=Tree(current=tree)), STOPPED), act.Stop)

    assert [process.pid for process in stop.targets] == targets


def test_a_kill_takes_all_and_comes_again_each_second():
    actions = decide(world(replace(STOPPING, deadline=NOW - 1), PANE), STOPPED)
    kill = only(actions, act.Kill)

    assert [process.pid for process in kill.targets] == [10, 11]
    assert kill.after.deadline == NOW + 1
    assert waits(decide(world(kill.after, PANE), STOPPED)) == [1]


def test_leftovers_are_asked_first_then_made_to_then_again():
    left = world(OVER, tree=Tree(current=(ORPHAN,)))
    asked = only(decide(left), act.Sweep)
    later = world(asked.after, tree=Tree(current=(ORPHAN,)))

    assert not asked.force
    assert waits(decide(later)) == [0.25]
    forced = only(decide(later, now=NOW + 2), act.Sweep)
    assert forced.force
    again = world(forced.after, tree=Tree(current=(ORPHAN,)))
    assert [type(one) for one in decide(again, now=NOW + 2.5)] == [act.Wait]
    assert only(decide(again, now=NOW + 3), act.Sweep).force


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        pytest.param(0, "exit code 0", id="success is an end too"),
        pytest.param(3, "exit code 3", id="an exit code"),
        pytest.param(-9, "killed by signal 9 (KILL)", id="a signal with a name"),
        pytest.param(-40, "killed by signal 40", id="a signal without one"),
    ],
)
def test_the_cause_of_an_end(code, cause):
    ended = only(decide(world(RUNNING, replace(DEAD, code=code))), act.Ended)

    assert (ended.code, ended.cause, ended.asked) == (code, cause, False)
    assert ended.why == f"{cause}; starts again at once"


def test_an_exit_code_that_nobody_knows_is_said_to_be_unknown():
    memory = replace(RUNNING, dead_since=NOW - 2)
    ended = only(decide(world(memory, replace(DEAD, code=None))), act.Ended)

    assert (ended.code, ended.cause) == (None, "ended; its exit code could not be learnt")


MANY = replace(RUNNING, deaths=tuple(NOW - at for at in (40, 30, 20, 10)))


@pytest.mark.parametrize(
    ("memory", "want", "code", "state", "sentence"),
    [
        pytest.param(
            RUNNING, None, 1, State.BACKING_OFF, "starts again at once", id="the first death"
        ),
        pytest.param(
            MANY, None, 1, State.FAILED, "quarantined: one trial start in 15m", id="the fifth death"
        ),
        pytest.param(
            replace(TRIAL, ready_since=NOW - 59),
            None,
            1,
            State.FAILED,
            "quarantined: one trial start in 30m",
            id="a failed trial",
        ),
        pytest.param(
            replace(TRIAL, ready_since=NOW - 60, deaths=MANY.deaths),
            None,
            1,
            State.BACKING_OFF,
            "starts again at once",
            id="a trial that was healthy for long enough",
        ),
        pytest.param(
            replace(MANY, ready_since=NOW - 600),
            None,
            1,
            State.BACKING_OFF,
            "starts again at once",
            id="after long health the past is forgotten",
        ),
        pytest.param(
            RUNNING,
            NEVER,
            1,
            State.STOPPED,
            "stays stopped: it ended with exit code 1; restart policy is never",
            id="never is never",
        ),
        pytest.param(
            RUNNING,
            ON_FAILURE,
            0,
            State.STOPPED,
            "stays stopped: it ended with exit code 0; restart policy is on-failure",
            id="on-failure leaves what is done",
        ),
        pytest.param(
            RUNNING, ON_FAILURE, -9, State.BACKING_OFF, "starts again at once", id="a signal"
        ),
        pytest.param(
            replace(STOPPING, counts=True, cause="its alive probe failed: x"),
            ON_FAILURE,
            0,
            State.BACKING_OFF,
            "starts again at once",
            id="a failed probe is a failure, whatever the exit code",
        ),
        pytest.param(
            STOPPING,
            STOPPED,
            0,
            State.STOPPED,
            "stays stopped: stopped by `hive stop`",
            id="stopped on request",
        ),
        pytest.param(STOPPING, AFRESH, 0, State.STARTING, "starts again at once", id="restarted"),
        pytest.param(MANY, AFRESH, 1, State.STARTING, "starts again at once", id="died, but asked"),
        pytest.param(STOPPING, REMOVED, 0, State.STOPPED, "is forgotten", id="removed"),
    ],
)
def test_what_follows_an_end(memory, want, code, state, sentence):
    ended = only(decide(world(memory, replace(DEAD, code=code)), want), act.Ended)

    assert (ended.after.state, ended.next) == (state, sentence)
    assert not ended.after.live
    assert ended.after.launch == memory.launch


def test_a_second_death_waits_for_about_the_delay_always_the_same():
    memory = replace(RUNNING, deaths=(NOW - 10,))
    first, second = (only(decide(world(memory, DEAD)), act.Ended).after for _ in range(2))

    assert first == second
    assert 0.8 <= first.due - NOW <= 1.2


def test_quarantine_says_why():
    ended = only(decide(world(MANY, DEAD)), act.Ended)

    assert ended.after.reason == "5 deaths in 15m; the last: exit code 3"
    assert ended.after.quarantined and ended.after.due == NOW + 900


def test_a_lost_launch_counts_for_nothing_and_starts_again():
    lost = only(decide(world(RUNNING, sight=NoServer())), act.Lost)
    start = only(decide(world(lost.after, sight=NoServer())), act.Start)

    assert lost.why == "the tmux server ended"
    assert (start.automatic, start.team, start.why) == (True, None, "the tmux server ended")
    assert (start.after.deaths, start.after.restarts) == ((), 0)


def test_a_closed_window_stays_closed():
    closed = only(decide(world(replace(RUNNING, gone_since=NOW - 2))), act.Closed)
    down = wanted(up=False, why=closed.why)

    assert (closed.after.state, closed.after.reason) == (State.STOPPED, "window closed by hand")
    assert decide(world(closed.after), down) == ()


def test_a_start_that_was_asked_for_begins_with_a_clean_slate():
    past = replace(QUARANTINED, deaths=(NOW - 5,), restarts=4, trials=2, due=NOW + 900)
    start = only(decide(world(past), AFRESH), act.Start)

    assert (start.automatic, start.team, start.why) == (False, None, AFRESH.why)
    after = start.after
    assert (after.deaths, after.restarts, after.trials, after.quarantined) == ((), 0, 0, False)
    assert (after.generation, after.began, after.state) == (2, NOW, State.STARTING)


def test_an_automatic_start_is_counted_for_the_agent_and_the_team():
    team = TeamMemory(team="p/t", restarts=(NOW - 700, NOW - 5), version=3)
    start = only(decide(world(OVER, teams={"p/t": team})), act.Start)

    assert start.automatic and start.why == "restart 1"
    assert start.after.restarts == 1
    assert start.team == replace(team, restarts=(NOW - 5, NOW))


def test_a_trial_start_is_counted():
    start = only(decide(world(QUARANTINED)), act.Start)

    assert (start.why, start.after.trials, start.after.quarantined) == ("trial start 1", 1, True)


@pytest.mark.parametrize(
    ("memory", "pane", "want", "reused"),
    [
        pytest.param(OVER, DEAD, None, "%1", id="its own dead pane is used again"),
        pytest.param(OVER, replace(DEAD, session="mine"), None, "%1", id="wherever it was moved"),
        pytest.param(OVER, DEAD, AFRESH, "%1", id="for a start that was asked for too"),
        pytest.param(
            OVER,
            DEAD,
            wanted(generation=2, session="new"),
            "",
            id="but not where the agent's session changed",
        ),
    ],
)
def test_where_it_starts(memory, pane, want, reused):
    actions = decide(world(memory, pane), want)
    start = actions[-1]

    assert isinstance(start, act.Start) and start.pane == reused
    assert [type(action) for action in actions[:-1]] == ([] if reused else [act.Close])


def test_only_one_dead_pane_is_kept():
    other = replace(DEAD, id="%0", launch="1-99")
    close, start = decide(world(OVER, other, DEAD))

    assert (close.pane, start.pane) == (other, "%1")


def test_of_several_unknown_panes_the_newest_generation_is_adopted():
    panes = [replace(NEWER, id=f"%{n}", launch=launch) for n, launch in enumerate(["9-a", "10-b"])]
    adopt = only(decide(world(OVER, *panes), wanted(generation=10)), act.Adopt)

    assert (adopt.after.launch, adopt.after.generation, adopt.after.pane) == ("10-b", 10, "%1")


def test_an_adopted_launch_whose_id_says_nothing_is_of_no_generation():
    adopt = only(decide(world(OVER, replace(NEWER, launch="strange"))), act.Adopt)

    assert (adopt.after.generation, adopt.after.state) == (0, State.STARTING)


def test_adopting_a_restart_that_was_not_written_down_counts_it():
    adopt = only(decide(world(QUARANTINED, NEWER)), act.Adopt)

    assert (adopt.after.restarts, adopt.after.trials) == (1, 1)


def test_a_respawn_by_hand_is_taken_as_it_is():
    adopt = only(decide(world(RUNNING, replace(PANE, pid=30, started=300))), act.Adopt)

    assert (adopt.after.pid, adopt.after.started, adopt.after.restarts) == (30, 300, 0)
    assert adopt.why == "pid 30: respawned by hand"
    assert only(decide(world(adopt.after, replace(PANE, pid=30, started=300))), act.Ready)


@pytest.mark.parametrize(
    ("memory", "verdict", "reason"),
    [
        pytest.param(STARTING, BAD, "not ready yet: no answer", id="while it starts"),
        pytest.param(RUNNING, BAD, "no longer ready: no answer", id="once it was ready"),
    ],
)
def test_unreadiness_is_said_once(memory, verdict, reason):
    say = only(decide(world(memory, PANE, ready=verdict), PROBED), act.Say)

    assert (say.after.state, say.after.reason, say.after.ready_since) == (
        State.STARTING,
        reason,
        0.0,
    )
    assert decide(world(say.after, PANE, ready=verdict), PROBED) == ()


@pytest.mark.parametrize(
    ("memory", "since", "kind"),
    [
        pytest.param(replace(RUNNING, restarts=2), 600, act.Forgive, id="restarts, ten minutes"),
        pytest.param(replace(RUNNING, deaths=(NOW - 700,)), 600, act.Forgive, id="a death"),
        pytest.param(replace(RUNNING, restarts=2), 599, act.Wait, id="not yet"),
        pytest.param(TRIAL, 60, act.Forgive, id="a trial needs a minute"),
        pytest.param(TRIAL, 59, act.Wait, id="a trial, not yet"),
    ],
)
def test_health_makes_the_past_forgotten(memory, since, kind):
    actions = decide(world(replace(memory, ready_since=NOW - since), PANE))

    assert [type(action) for action in actions] == [kind]
    if kind is act.Forgive:
        after = actions[0].after
        assert not (after.deaths or after.restarts or after.trials or after.quarantined)
        assert decide(world(after, PANE)) == ()
    else:
        assert waits(actions) == [1]


PM = Memory(agent="p/t/pm", state=State.READY, generation=1, launch="1-pm", reason="runs")


@pytest.mark.parametrize(
    ("pm", "memory", "reason"),
    [
        pytest.param(wanted("pm"), replace(PM, state=State.STARTING), "to be ready", id="starting"),
        pytest.param(wanted("pm"), None, "to be ready", id="never started"),
        pytest.param(wanted("pm", generation=2), PM, "to be ready", id="about to be restarted"),
        pytest.param(wanted("pm", up=False), PM, "which is stopped", id="stopped"),
        pytest.param(wanted("pm"), PM, "", id="ready"),
        pytest.param(wanted("pm", up=False, removed=True), PM, "", id="on its way out"),
        pytest.param(None, None, "", id="no longer in the file"),
    ],
)
def test_waiting_for_another_agent(pm, memory, reason):
    dev = wanted(after=("p/t/pm",))
    given = world({"p/t/pm": memory} if memory else {})
    actions = plan({ID: dev} | ({"p/t/pm": pm} if pm else {}), given, NOW)
    mine = [one for one in actions if isinstance(one, act.Start | act.Say) and is_dev(one)]

    assert [type(one) for one in mine] == [act.Say if reason else act.Start]
    if reason:
        assert mine[0].after.state is State.STARTING
        assert mine[0].after.reason.startswith("waits for t/pm") and reason in mine[0].why


def is_dev(action):
    return action.after.agent == ID


def crowd(size, **more):
    names = [f"p/t/a{number:02}" for number in range(size)]
    want = {f"p/t/{one.agent.name}": one for one in (wanted(n.split("/")[2]) for n in names)}
    memory = {name: replace(OVER, agent=name, **more) for name in names}
    return want, memory


def test_automatic_starts_are_staggered():
    want, memory = crowd(25, cause="the tmux server ended")
    actions = plan(want, world(memory), NOW)

    assert [type(one) for one in actions] == [*[act.Start] * 10, act.Wait]
    assert waits(actions) == [0.25]


def test_starts_that_were_asked_for_are_not_staggered():
    want, memory = crowd(25, generation=0)

    assert len(plan(want, world(memory), NOW)) == 25


def test_a_team_that_restarts_too_often_is_held():
    want, memory = crowd(3)
    team = TeamMemory(team="p/t", restarts=tuple(NOW - 20 + at for at in range(14)), version=2)
    actions = plan(want, world(memory, teams={"p/t": team}), NOW)

    start, hold, *says = actions
    assert start.team == replace(team, restarts=(*team.restarts, NOW))
    assert hold.after == replace(start.team, held=True, since=NOW)
    assert [type(one) for one in says] == [act.Say] * 2
    assert "its team is held: 15 restarts in 10 min" in says[0].after.reason
    assert says[0].after.state is State.BACKING_OFF


def test_starts_of_one_tick_are_all_counted():
    want, memory = crowd(3)
    teams = [one.team.restarts for one in plan(want, world(memory), NOW)]

    assert teams == [(NOW,), (NOW, NOW), (NOW, NOW, NOW)]


HELD = {"p/t": TeamMemory(team="p/t", held=True)}


@pytest.mark.parametrize(
    ("memory", "want", "kind"),
    [
        pytest.param(OVER, None, act.Say, id="an automatic start is not"),
        pytest.param(QUARANTINED, None, act.Say, id="nor a trial"),
        pytest.param(OVER, AFRESH, act.Start, id="one that was asked for is"),
        pytest.param(
            replace(OVER, cause="the machine was restarted"), None, act.Start, id="a lost one is"
        ),
    ],
)
def test_what_is_started_in_a_held_team(memory, want, kind):
    assert isinstance(only(decide(world(memory, teams=HELD), want), kind), kind)


DAY = 86_400.0


@pytest.mark.parametrize(
    ("memory", "pane", "until"),
    [
        pytest.param(replace(OVER, due=NOW + DAY), None, 360, id="a delay"),
        pytest.param(replace(QUARANTINED, due=NOW + DAY), None, 900, id="a quarantine"),
        pytest.param(replace(STOPPING, deadline=NOW + DAY), PANE, 10, id="a deadline"),
        pytest.param(replace(RUNNING, gone_since=NOW + DAY), None, 1, id="a missing pane"),
        pytest.param(
            replace(RUNNING, dead_since=NOW + DAY),
            replace(DEAD, code=None),
            pytest.approx(0.05),
            id="a dead root",
        ),
        pytest.param(replace(TRIAL, ready_since=NOW + DAY), PANE, 60, id="health"),
    ],
)
def test_a_clock_that_was_set_back_makes_nobody_wait_for_a_day(memory, pane, until):
    actions = decide(world(memory, *([pane] if pane else [])))

    assert only(actions, act.Note)
    assert waits(actions) == [until]


def test_the_first_of_several_moments_is_waited_for():
    want, memory = crowd(3)
    memory = {name: replace(one, due=NOW + 5 - n) for n, (name, one) in enumerate(memory.items())}

    assert waits(plan(want, world(memory), NOW)) == [3]
