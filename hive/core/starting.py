"""What is decided for an agent that does not run: clean up first, then start it if it may.

A start that a person asked for waits for no delay, quarantine or held team. An automatic one
waits for all of them; both wait for the agents named in `after`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hive.core.actions import Action, Close, Forget, Hold, Say, Start, Wait
from hive.core.case import Case, Place
from hive.core.ending import REBOOTED, SERVER_ENDED, sweep
from hive.core.restart import HELD, counted
from hive.core.world import Memory, State, TeamMemory, Wanted

STAGGER = 10
"""At most so many automatic starts in one tick."""

PAUSE = 0.25
"""Seconds until the next of them."""

NOT_OPENED = "tmux had not opened its window"

LOST = frozenset({SERVER_ENDED, REBOOTED, NOT_OPENED})
"""The causes that are not the agent's fault: such a start counts for no budget."""

Others = Mapping[str, tuple[Wanted, Memory]]


def resting(case: Case, others: Others) -> tuple[Action, ...]:
    """Decide for an agent that does not run and has no living pane."""
    if case.strays:
        return sweep(case, case.strays)
    if case.wanted.removed:
        forget = Forget(agent=case.memory.agent, why=case.wanted.why)
        return _close(case, case.dead) or (forget,)
    if not case.wanted.up:
        closing = _close(case, case.dead)
        return (*closing, *_say(case, State.STOPPED, case.wanted.why))
    if case.asked or (case.memory.state is State.STOPPED and not case.memory.launch):
        return _start(case, others, automatic=False)
    if case.memory.state is State.STOPPED:
        return ()
    if case.now < case.memory.due:
        return (Wait(until=case.memory.due),)
    return _start(case, others, automatic=True)


def launched(case: Case, generation: int, *, counts: bool = False) -> Memory:
    """Give the memory of a launch that begins now; `counts` where it is a counted restart."""
    memory, now = case.memory, case.now
    fresh = replace(
        memory,
        state=State.STARTING,
        since=now,
        generation=generation,
        boot=case.boot,
        began=now,
        ready_since=0.0,
        due=0.0,
        deadline=0.0,
        cause="",
        counts=False,
        gone_since=0.0,
        dead_since=0.0,
    )
    if generation > memory.generation:
        return replace(fresh, deaths=(), restarts=0, trials=0, quarantined=False)
    if counts:
        trials = memory.trials + memory.quarantined
        return replace(fresh, restarts=memory.restarts + 1, trials=trials)
    return fresh


@dataclass(slots=True)
class Rations:
    """What one tick may still start by itself."""

    teams: dict[str, TeamMemory]
    left: int = STAGGER

    def allow(self, case: Case, actions: Iterable[Action]) -> tuple[Action, ...]:
        """Let through what is allowed, and say why the rest is not."""
        allowed: list[Action] = []
        for action in actions:
            if isinstance(action, Start) and action.automatic:
                allowed += self._automatic(case, action)
            else:
                allowed.append(action)
        return tuple(allowed)

    def _automatic(self, case: Case, start: Start) -> tuple[Action, ...]:
        if self.left == 0:
            return (Wait(until=case.now + PAUSE),)
        if case.memory.cause in LOST:
            self.left -= 1
            return (start,)
        name = f"{start.spec.project}/{start.spec.team}"
        team = self.teams.get(name, TeamMemory(team=name))
        if team.held:
            return _say(case, case.memory.state, HELD)
        after = counted(team, case.now)
        if after is None:
            held = replace(team, held=True, since=case.now)
            self.teams[name] = held
            return (Hold(after=held, why=HELD), *_say(case, case.memory.state, HELD))
        self.teams[name] = after
        self.left -= 1
        return (replace(start, team=after),)


def _start(case: Case, others: Others, *, automatic: bool) -> tuple[Action, ...]:
    waits = _waits(case, others)
    if waits:
        return _say(case, State.STARTING, waits)
    memory, spec = case.memory, case.wanted.agent
    reused = _reused(case)
    extra = _close(case, tuple(place for place in case.dead if place is not reused))
    counts = automatic and memory.cause not in LOST
    after = launched(case, case.wanted.generation, counts=counts)
    why = _why(case, automatic=automatic)
    starting = "started; waits for its ready probe" if spec.ready else "started"
    start = Start(
        spec=spec,
        after=replace(after, reason=starting),
        why=why,
        pane=reused.pane.id if reused else "",
        automatic=automatic,
    )
    return (*extra, start)


def _why(case: Case, *, automatic: bool) -> str:
    memory = case.memory
    if not automatic:
        return case.wanted.why
    if memory.cause in LOST:
        return memory.cause
    if memory.quarantined:
        return f"trial start {memory.trials + 1}"
    return f"restart {memory.restarts + 1}"


def _reused(case: Case) -> Place | None:
    """Find the dead pane to start in: where it was, unless the session it belongs in changed."""
    spec = case.wanted.agent
    usable = [
        place
        for place in case.dead
        if place.socket == spec.socket and (place.pane.session == spec.session or not case.asked)
    ]
    memory = case.memory
    return min(
        usable,
        key=lambda place: (place.pane.launch != memory.launch, place.pane.id),
        default=None,
    )


def _waits(case: Case, others: Others) -> str:
    """Say which agent it waits for; "" where all that it needs are ready."""
    for name in case.wanted.agent.after:
        if name not in others or others[name][0].removed:
            continue
        wanted, memory = others[name]
        short = wanted.agent.short
        if not wanted.up:
            return f"waits for {short}, which is stopped"
        if memory.state is not State.READY or memory.generation < wanted.generation:
            return f"waits for {short} to be ready"
    return ""


def _close(case: Case, places: tuple[Place, ...]) -> tuple[Action, ...]:
    agent = case.memory.agent
    return tuple(Close(agent=agent, socket=place.socket, pane=place.pane) for place in places)


def _say(case: Case, state: State, reason: str) -> tuple[Action, ...]:
    memory = case.memory
    if (memory.state, memory.reason) == (state, reason):
        return ()
    since = memory.since if memory.state is state else case.now
    return (Say(after=replace(memory, state=state, reason=reason, since=since), why=reason),)
