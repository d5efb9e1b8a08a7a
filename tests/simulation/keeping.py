"""A supervisor for the made-up machine: it looks, plans, acts and writes as the real one does.

It may be killed between any two steps. What it wrote before is kept, the rest is lost.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace

from hive.core import actions as act
from hive.core.ending import is_planned
from hive.core.health import History
from hive.core.plan import plan
from hive.core.restart import TEAM_RESTARTS, TEAM_WINDOW
from hive.core.starting import STAGGER
from hive.core.world import (
    Memory,
    Seen,
    State,
    TeamMemory,
    Unseen,
    Verdict,
    Wanted,
    World,
)
from tests.simulation import room
from tests.simulation.machine import Broken, Machine
from tests.simulation.room import Space

EFFECTS = (act.Start, act.Stop, act.Kill, act.Sweep, act.Close, act.Forget)
ENDS = (act.Ended, act.Lost, act.Closed)
AGENT_EFFECTS = (act.Start, act.Stop, act.Kill, act.Sweep, act.Adopt, act.Forget, *ENDS)


class Killed(Exception):  # noqa: N818 - it says what happened
    """The supervisor was killed."""


@dataclass
class Store:
    """What outlives the supervisor."""

    wanted: dict[str, Wanted] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    teams: dict[str, TeamMemory] = field(default_factory=dict)


class Supervisor:
    """Ticks, and holds each tick against what was promised."""

    def __init__(self, machine: Machine, space: Space, store: Store, log: deque[str]) -> None:
        self.machine = machine
        self.space = space
        self.store = store
        self.log = log
        self.fuel = -1
        self.counted: dict[str, list[float]] = {}
        self.unrecorded: Counter[str] = Counter()
        self.lines: dict[str, tuple[str, History, History]] = {}
        self.closed: dict[str, tuple[str, int]] = {}
        self._over: set[str] = set()
        self._launches = 0

    def tick(self) -> tuple[bool, float | None]:
        """Look, plan, act, write; gives whether anything was done, and when to look again."""
        machine, store, now = self.machine, self.store, self.machine.now
        world = self._look(now)
        actions = plan(dict(store.wanted), world, now)
        self._check(actions, world)
        records: list[act.Action] = []
        for action in sorted(actions, key=lambda one: isinstance(one, act.Start)):
            records.append(self._carry_out(action))
            self._step(records)
        self._write(records)
        busy = any(not isinstance(action, act.Wait | act.Note) for action in actions)
        waits = [action.until for action in actions if isinstance(action, act.Wait)]
        return busy, waits[0] - now + machine.time if waits else None

    def forget_questions(self) -> None:
        """A new supervisor has asked nothing yet, and knows of no excess before it."""
        self.lines = {}
        self.space.excesses.clear()

    def _step(self, done: list[act.Action]) -> None:
        """One step further; raises Killed where it is the last, and nothing is written."""
        if self.fuel == 0:
            self.fuel = -1
            teams = [one.team.team for one in done if isinstance(one, act.Start) and one.team]
            self.unrecorded.update(teams)
            raise Killed
        self.fuel -= self.fuel > 0

    def _look(self, now: float) -> World:
        store, machine = self.store, self.machine
        sockets = {one.agent.socket for one in store.wanted.values()}
        sockets |= {one.socket for one in store.memory.values() if one.launch}
        sights = machine.sights(sockets)
        ready, alive = self._ask(now)
        return World(
            boot=str(machine.boots),
            sights=sights,
            memory=dict(store.memory),
            teams=dict(store.teams),
            trees=machine.trees(store.memory, sights),
            ready=ready,
            alive=alive,
            uses=room.uses(machine, self.space),
            excesses=dict(self.space.excesses),
            room=self.space.room(machine),
            unready=self.space.places(machine.chance),
        )

    def _ask(self, now: float) -> tuple[dict[str, Verdict], dict[str, Verdict]]:
        """Answer the probes of what runs; a launch's history begins with it."""
        self.lines = {name: one for name, one in self.lines.items() if name in self.store.wanted}
        for agent, memory in self.store.memory.items():
            running = memory.live and memory.state is not State.STOPPING
            works = self.machine.works(agent, memory.launch) if running else None
            launch, ready, alive = self.lines.get(agent, ("", History(), History()))
            if launch != memory.launch or not running:
                ready, alive = History(), History(threshold=2)
            if works is not None:
                ready = ready.heard(works, "no answer" * (not works), now)
                if memory.state is State.READY:
                    alive = alive.heard(works, "no answer" * (not works), now)
            self.lines[agent] = (memory.launch, ready, alive)
        specs = {name: self.store.wanted[name].agent for name in self.store.wanted}
        return (
            {name: one[1].verdict for name, one in self.lines.items() if specs[name].ready},
            {name: one[2].verdict for name, one in self.lines.items() if specs[name].alive},
        )

    def _carry_out(self, action: act.Action) -> act.Action:
        """Do what an action says; gives it with the record it leaves."""
        machine = self.machine
        if not isinstance(action, act.Wait | act.Note):
            self.log.append(f"{machine.time:.2f} {said(action)}")
        if isinstance(action, act.Start):
            return self._start(action)
        if isinstance(action, act.Stop):
            machine.signal(action.spec.id, action.targets, force=False)
        elif isinstance(action, act.Kill):
            machine.signal(action.agent, action.targets, force=True)
        elif isinstance(action, act.Sweep):
            machine.signal(action.agent, action.targets, force=action.force)
        elif isinstance(action, act.Close):
            machine.close(action.agent, action.socket, action.pane.id)
        return action

    def _start(self, action: act.Start) -> act.Start:
        self._launches += 1
        launch = f"{action.after.generation}-{self._launches:x}"
        server, window = self.machine.start(action.spec, launch, action.pane)
        if action.team:
            self.counted.setdefault(action.team.team, []).append(self.machine.now)
        after = replace(
            action.after,
            launch=launch,
            socket=action.spec.socket,
            server=server,
            pane=window.id,
            pid=window.pid,
            started=window.started,
            boot=str(self.machine.boots),
        )
        return replace(action, after=after)

    def _write(self, actions: list[act.Action]) -> None:
        store = self.store
        for action in actions:
            if isinstance(action, act.Hold):
                store.teams[action.after.team] = action.after
                continue
            after = getattr(action, "after", None)
            if isinstance(after, Memory):
                self._once(action, after)
                store.memory[after.agent] = after
            if isinstance(action, act.Start) and action.team:
                store.teams[action.team.team] = action.team
            if isinstance(action, act.Closed):
                agent = action.after.agent
                store.wanted[agent] = replace(store.wanted[agent], up=False, why=action.why)
            if isinstance(action, act.Forget):
                store.wanted.pop(action.agent)
                store.memory.pop(action.agent, None)

    # the promises

    def _once(self, action: act.Action, after: Memory) -> None:
        """A launch ends once, unless it was found running again."""
        if isinstance(action, act.Adopt):
            self._over.discard(after.launch)
        if isinstance(action, ENDS):
            if after.launch in self._over:
                raise Broken(f"{after.agent}: the launch {after.launch} ended twice")
            self._over.add(after.launch)

    def _check(self, actions: tuple[act.Action, ...], world: World) -> None:
        effects = Counter(owner(one) for one in actions if isinstance(one, AGENT_EFFECTS))
        if any(number > 1 for number in effects.values()):
            raise Broken(f"two effects for one agent in one tick: {effects}")
        written = Counter(
            owner(one) for one in actions if isinstance(getattr(one, "after", None), Memory)
        )
        if any(number > 1 for number in written.values()):
            raise Broken(f"two memories of one agent in one tick: {written}")
        if any(isinstance(one, act.Wait) for one in actions[:-1]):
            raise Broken("a wait that is not the last action")
        starts = [one for one in actions if isinstance(one, act.Start)]
        if sum(one.automatic for one in starts) > STAGGER:
            raise Broken("too many automatic starts in one tick")
        room.check_starts(actions, world, self.machine, self.space)
        for action in actions:
            self._check_one(action, world)

    def _check_one(self, action: act.Action, world: World) -> None:
        agent = owner(action)
        wanted = self.store.wanted.get(agent)
        if isinstance(action, act.Start):
            self._check_start(action)
        self._check_limits(action, agent, world)
        if isinstance(action, act.Sweep):
            self._check_sweep(agent, world)
        if isinstance(action, act.Closed):
            self._check_closed(agent)
        if isinstance(action, act.Forget) and (wanted is None or not wanted.removed):
            raise Broken(f"{agent} was forgotten, and nobody asked for it")
        if wanted and isinstance(action, (*EFFECTS, *ENDS)):
            memory = self.store.memory.get(agent, Memory(agent=agent))
            socket = memory.socket if memory.live else wanted.agent.socket
            if isinstance(world.sights[socket], Unseen):
                raise Broken(f"{agent} could not be looked at, yet: {said(action)}")
        if isinstance(action, ENDS):
            self._check_end(agent, world)

    def _check_limits(self, action: act.Action, agent: str, world: World) -> None:
        memory, now = self.store.memory.get(agent, Memory(agent=agent)), self.machine.now
        if isinstance(action, act.Start):
            room.check_planned_start(action, memory)
        if isinstance(action, act.Stop) and is_planned(action.after):
            room.check_planned(action, memory, world, now)
        if isinstance(action, act.Ended):
            room.check_end(action, memory, world, now)
        if isinstance(action, act.Say):
            room.check_said(action, memory)

    def _check_start(self, action: act.Start) -> None:
        spec, now = action.spec, self.machine.now
        wanted = self.store.wanted[spec.id]
        if wanted.removed or not wanted.up:
            raise Broken(f"{spec.id} was started and is wanted down")
        if action.after.generation != wanted.generation:
            raise Broken(f"{spec.id} was started in an old generation")
        memory = self.store.memory.get(spec.id, Memory(agent=spec.id))
        if action.automatic and self.closed.get(spec.id) == (memory.launch, self.machine.lost):
            raise Broken(f"{spec.id} was restarted, and a person had closed its window")
        if memory.quarantined and action.automatic and now < memory.due:
            raise Broken(f"{spec.id} was started in quarantine before its time")
        if action.team is None:
            return
        team = action.team.team
        held = self.store.teams.get(team, TeamMemory(team=team)).held
        recent = [at for at in self.counted.get(team, []) if now - at <= TEAM_WINDOW]
        if held or len(recent) >= TEAM_RESTARTS + self.unrecorded[team]:
            raise Broken(f"{spec.id} was restarted, and its team has had {len(recent)} restarts")
        rule = spec.restart
        deaths = [at for at in memory.deaths if now - at <= rule.window]
        if len(deaths) >= rule.attempts and not memory.quarantined:
            raise Broken(f"{spec.id} was restarted after {len(deaths)} deaths")

    def _check_sweep(self, agent: str, world: World) -> None:
        """What runs in a pane is adopted, not swept away, where hive remembers no launch."""
        if not self.store.memory.get(agent, Memory(agent=agent)).live and any(
            pane.agent == agent and not pane.dead
            for sight in world.sights.values()
            if isinstance(sight, Seen)
            for pane in sight.panes
        ):
            raise Broken(f"{agent} was swept away, and it runs in a pane")

    def _check_closed(self, agent: str) -> None:
        launch = self.store.memory[agent].launch
        for window in self.machine.windows(agent):
            if window.launch == launch and self.machine.root(window):
                raise Broken(f"{agent} was taken as closed, and its window is there")

    def _check_end(self, agent: str, world: World) -> None:
        """An end is only told where no pane of that launch lives in sight."""
        launch = self.store.memory[agent].launch
        for sight in world.sights.values():
            for pane in sight.panes if isinstance(sight, Seen) else ():
                if pane.agent == agent and pane.launch == launch and not pane.dead:
                    raise Broken(f"{agent} was told to have ended, and it runs")


def owner(action: act.Action) -> str:
    """Whose action it is; a team's for Hold, nobody's for Wait."""
    if isinstance(action, act.Wait):
        return ""
    if isinstance(action, act.Hold):
        return action.after.team
    after = getattr(action, "after", None)
    return after.agent if isinstance(after, Memory) else action.agent


def said(action: act.Action) -> str:
    """An action in one line."""
    why = getattr(action, "why", "")
    return f"{type(action).__name__} {owner(action)}: {why}"
