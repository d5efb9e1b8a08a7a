"""What is decided for an agent that does not run: clean up first, then start it if it may.

A start that a person asked for waits for no delay, quarantine or held team. An automatic one
waits for all of them; both wait for the agents named in `after`, for their worktree, and for room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hive.core.actions import Action, Close, Forget, Hold, Note, Say, Start, Stop, Wait
from hive.core.admission import MANY, Admission, reason_for, waiting
from hive.core.case import Case, Place
from hive.core.ending import PLANNED, REBOOTED, SERVER_ENDED, is_planned, sweep
from hive.core.limits import PRIORITIES
from hive.core.pausing import UNSTARTED
from hive.core.restart import HELD, NO_PAST, counted
from hive.core.world import Memory, State, TeamMemory, Wanted

STAGGER = 10
"""At most so many automatic starts in one tick."""

PAUSE = 0.25
"""Seconds until the next of them."""

NOT_OPENED = "tmux had not opened its window"

UNPLACED = "waiting for its worktree: "
"""What the reason of an agent begins with whose place is not ready for it."""

UNMADE = "it can't be made: "
"""What follows where hive does not go on with that place by itself."""

ROOM_AGAIN = 1.0
"""Seconds until the next look whether there is room: no event tells of it."""

LOST = frozenset({SERVER_ENDED, REBOOTED, NOT_OPENED, PLANNED})
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
        return replace(fresh, **NO_PAST)
    if counts:
        trials = memory.trials + memory.quarantined
        return replace(fresh, restarts=memory.restarts + 1, trials=trials)
    return fresh


@dataclass(slots=True)
class Rations:
    """What one tick may still start: by itself, and at all (`admission` None: nobody waits)."""

    teams: dict[str, TeamMemory]
    admission: Admission | None = None
    left: int = STAGGER

    def allow(self, case: Case, actions: Iterable[Action]) -> tuple[Action, ...]:
        """Let through what is allowed, and say why the rest is not."""
        allowed: list[Action] = []
        for action in actions:
            if isinstance(action, Start):
                allowed += self._start(case, action)
            elif not _is_planned_stop(action) or self._has_room_again(case):
                allowed.append(action)
        return tuple(allowed)

    def _start(self, case: Case, start: Start) -> tuple[Action, ...]:
        counts = start.automatic and case.memory.cause not in LOST
        team = self._team(start)
        if start.automatic and self.left == 0:
            return (Wait(until=case.now + PAUSE),)
        if counts and team.held:
            return _say(case, case.memory.state, HELD)
        waits = self._room(case, automatic=start.automatic)
        if waits:
            return waits
        if counts:
            after = counted(team, case.now)
            if after is None:
                held = replace(team, held=True, since=case.now)
                self.teams[team.team] = held
                return (Hold(after=held, why=HELD), *_say(case, case.memory.state, HELD))
            self.teams[team.team] = after
            start = replace(start, team=after)
        self.left -= start.automatic
        if self.admission:
            self.admission.admit(start.spec)
        return (start,)

    def _team(self, start: Start) -> TeamMemory:
        name = f"{start.spec.project}/{start.spec.team}"
        return self.teams.get(name, TeamMemory(team=name))

    def _room(self, case: Case, *, automatic: bool) -> tuple[Action, ...]:
        """Have it wait where there is no room for it; empty where there is."""
        spec, memory = case.wanted.agent, case.memory
        refusals = self.admission.refusals(spec) if self.admission else {}
        if not refusals or not self.admission:
            return ()
        if MANY in refusals:
            return (Wait(until=case.now + PAUSE),)
        self.admission.refused(spec, memory, refusals)
        state = memory.state if automatic else State.STARTING
        again = Wait(until=case.now + ROOM_AGAIN)
        return (*_say(case, state, reason_for(memory, refusals)), again)

    def _has_room_again(self, case: Case) -> bool:
        """Whether one that is to be restarted could start again; then its room is kept for it."""
        if self.admission is None:
            return True
        if self.admission.refusals(case.wanted.agent):
            return False
        self.admission.admit(case.wanted.agent)
        return True


def turn(case: Case, actions: Iterable[Action]) -> tuple[Any, ...] | None:
    """Give when it is its turn to ask for room, as a key to sort by; None where it needs none.

    What ended only to start again comes first: the room is its own. Then what a person asked for,
    then by priority; then who has waited longest, then as in the file.
    """
    for action in actions:
        if isinstance(action, Start) or _is_planned_stop(action):
            spec, memory = case.wanted.agent, case.memory
            waits = bool(waiting(memory))
            again = memory.state is State.STARTING and bool(memory.launch) and not waits
            automatic = isinstance(action, Start) and action.automatic
            kind = 3 if isinstance(action, Stop) else 0 if again else 1 + automatic
            since = memory.since if waits else case.now
            return (kind, -PRIORITIES.index(spec.priority), since, spec.place)
    return None


def _is_planned_stop(action: Action) -> bool:
    return isinstance(action, Stop) and is_planned(action.after)


def unplaced(memory: Memory) -> str:
    """Say what an agent's worktree lacks that waits for it; "" where it does not wait for that."""
    return memory.reason.removeprefix(UNPLACED) if memory.reason.startswith(UNPLACED) else ""


def _start(case: Case, others: Others, *, automatic: bool) -> tuple[Action, ...]:
    if case.unready:
        return _unready(case, case.memory.state if automatic else State.STARTING)
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


def _unready(case: Case, state: State) -> tuple[Action, ...]:
    """Have it wait for its worktree, or to be resumed; how that gets on is no event each time."""
    place = "" if case.unready.startswith(UNSTARTED) else UNPLACED
    memory, reason = case.memory, f"{place}{case.unready}"
    if memory.state is state and unplaced(memory) and memory.reason != reason:
        return (Note(after=replace(memory, reason=reason)),)
    return _say(case, state, reason)


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
