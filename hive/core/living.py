"""What is decided for an agent whose launch runs, or is found running.

First whether it is wanted, then whether it is alive, then whether it is ready. Health that
lasts makes its past forgotten.
"""

from __future__ import annotations

from dataclasses import replace

from hive.core.actions import Action, Adopt, Forgive, Ready, Say, Stop, Wait
from hive.core.case import Case, Place, alive, generation_of
from hive.core.ending import PLANNED, SETTLE, stopping, sweep
from hive.core.restart import NO_PAST, TRIAL_HEALTHY
from hive.core.starting import LOST, launched
from hive.core.trees import Process
from hive.core.units import as_text
from hive.core.wording import span
from hive.core.world import Memory, State, Verdict

UNREADY = "not ready yet: "
NO_LONGER = "no longer ready: "
RESPAWN = "respawned by hand"

QUIET = 60.0
"""Seconds for which an agent must have done next to nothing before it is restarted for its age."""


def adopt(case: Case) -> tuple[Action, ...]:
    """Take as the agent's launch the living pane that memory does not know.

    Of several the one of the newest generation is taken; the others become strays.
    """
    place = max(case.running, key=lambda one: (generation_of(one.pane.launch), one.pane.id))
    memory, launch = case.memory, place.pane.launch
    if memory.launch == launch:
        return _adopted(launched(case, memory.generation), place, RESPAWN)
    generation = generation_of(launch)
    automatic = memory.state in {State.BACKING_OFF, State.FAILED, State.STARTING}
    counts = automatic and not memory.live and memory.cause not in LOST
    after = launched(case, generation, counts=counts)
    return _adopted(after, place, f"launch {launch} was found running")


def living(case: Case, place: Place) -> tuple[Action, ...]:
    """Decide for an agent whose pane lives."""
    memory, pane = case.memory, place.pane
    if memory.state is State.STOPPING:
        return stopping(case)
    if (memory.pid, memory.started) != (pane.pid, pane.started):
        after = replace(launched(case, memory.generation), began=memory.began)
        return _adopted(after, place, RESPAWN)
    if case.down or case.asked:
        return (_stop(case, case.wanted.why),)
    if case.wanted.agent.alive and _bad(case.alive, memory):
        return (_stop(case, f"its alive probe failed: {case.alive.why}", counts=True),)
    if case.end:
        return (_stop(case, case.end, counts=True),)
    swept = sweep(case, case.strays) if case.strays else ()
    if any(not isinstance(action, Wait) for action in swept):
        return swept
    news = _starting(case) if memory.state is State.STARTING else _ready(case)
    return (*swept, *news)


def _adopted(after: Memory, place: Place, why: str) -> tuple[Action, ...]:
    pane = place.pane
    known = replace(
        after,
        reason=why,
        launch=pane.launch,
        socket=place.socket,
        server=place.server,
        pane=pane.id,
        pid=pane.pid,
        started=pane.started,
    )
    return (Adopt(after=known, why=f"pid {pane.pid}: {why}"),)


def _stop(case: Case, why: str, *, counts: bool = False) -> Stop:
    spec = case.wanted.agent
    after = replace(
        case.memory,
        state=State.STOPPING,
        reason=why,
        since=case.now,
        deadline=case.now + spec.stop.grace,
        cause=why,
        counts=counts,
    )
    return Stop(spec=spec, after=after, why=why, targets=_targets(case))


def _targets(case: Case) -> tuple[Process, ...]:
    """Give the agent's processes, the root last; a root with children ends when they do."""
    processes = alive(case.tree.current)
    pid = case.memory.pid
    rest = tuple(process for process in processes if process.pid != pid)
    if any(process.parent == pid for process in rest):
        return rest
    return (*rest, *(process for process in processes if process.pid == pid))


def _starting(case: Case) -> tuple[Action, ...]:
    memory, now, verdict = case.memory, case.now, case.ready
    agent = case.wanted.agent
    if agent.ready is None and agent.voice is None:
        settled = memory.began + SETTLE
        if now < settled:
            return (Wait(until=settled),)
        return (_is_ready(case, "it runs; it has no ready probe"),)
    if verdict.good and verdict.since >= memory.began:
        return (_is_ready(case, verdict.why or "its ready probe succeeds"),)
    if not _bad(verdict, memory):
        return ()
    before = NO_LONGER if memory.reason.startswith(NO_LONGER) else UNREADY
    return _say(case, f"{before}{verdict.why}")


def _is_ready(case: Case, why: str) -> Ready:
    now = case.now
    after = replace(case.memory, state=State.READY, reason=why, since=now, ready_since=now)
    return Ready(after=after, why=why)


def _ready(case: Case) -> tuple[Action, ...]:
    if case.wanted.agent.ready and _bad(case.ready, case.memory):
        after = replace(case.memory, ready_since=0.0)
        return _say(replace(case, memory=after), f"{NO_LONGER}{case.ready.why}")
    health = _health(case)
    if any(not isinstance(action, Wait) for action in health):
        return health
    return (*health, *_aged(case))


def _aged(case: Case) -> tuple[Action, ...]:
    """Restart one that has run for long enough, once it has been quiet for a while."""
    age, quiet = case.wanted.agent.limits.max_age, case.use.quiet_since
    if age is None or not quiet or case.use.paused:
        return ()
    due = max(case.memory.began + age, quiet + QUIET)
    if case.now < due:
        return (Wait(until=due),)
    return (
        _stop(case, f"{PLANNED}: it has run for {span(case.now - case.memory.began)} (`max_age`)"),
    )


def _health(case: Case) -> tuple[Action, ...]:
    """Forgive the past after enough health: soon to end a quarantine, later otherwise."""
    memory = case.memory
    if not (memory.quarantined or memory.deaths or memory.restarts or memory.ooms):
        return ()
    rule = case.wanted.agent.restart
    enough = TRIAL_HEALTHY if memory.quarantined else rule.healthy_after
    due = memory.ready_since + enough
    if case.now < due:
        return (Wait(until=due),)
    after = replace(memory, **NO_PAST)
    end = "; its quarantine is over" if memory.quarantined else ""
    why = f"healthy for {as_text(enough)}: earlier deaths no longer count{end}"
    return (Forgive(after=after, why=why),)


def _bad(verdict: Verdict, memory: Memory) -> bool:
    """Whether the probe says no, and of this launch: an older answer says nothing."""
    return verdict.good is False and verdict.since >= memory.began


def _say(case: Case, reason: str) -> tuple[Action, ...]:
    memory = case.memory
    if memory.state is State.STARTING and memory.reason == reason:
        return ()
    since = memory.since if memory.state is State.STARTING else case.now
    after = replace(memory, state=State.STARTING, reason=reason, since=since)
    return (Say(after=after, why=reason),)
