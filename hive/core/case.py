"""One agent at one look: what is wanted, remembered and seen of it, brought together.

Here memory is also brought up to date with what is certain: a pane that moved or came back, and
times that lie in the future because the clock was set back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hive.core.restart import longest_delay, trial_delay
from hive.core.trees import Process
from hive.core.world import (
    Excess,
    Memory,
    Pane,
    Seen,
    Server,
    Sight,
    State,
    Tree,
    Unseen,
    Use,
    Verdict,
    Wanted,
    World,
)

SLACK = 5.0
"""Where the clock went back, a launch is taken to have begun so many seconds ago."""

REFUSED = 10.0
"""A start that tmux refused is tried again within so many seconds, whatever the agent's rule."""

BLIND = "; could not look: "
"""Stands between an agent's reason and why its tmux server could not be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A pane of the agent's, and the tmux server it was seen on."""

    pane: Pane
    socket: str
    server: Server


_NOTHING = Use()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that is decided upon for one agent; `excess` is of its latest launch.

    `end` is why it is to be started again though it runs ("" for nothing), `unready` why its
    place is not ready for it yet.
    """

    now: float
    boot: str
    wanted: Wanted
    memory: Memory
    sight: Sight
    places: tuple[Place, ...]
    tree: Tree
    ready: Verdict
    alive: Verdict
    use: Use = _NOTHING
    excess: Excess | None = None
    end: str = ""
    unready: str = ""

    @property
    def running(self) -> tuple[Place, ...]:
        """Its living panes, whatever launch they are of."""
        return tuple(place for place in self.places if not place.pane.dead)

    @property
    def dead(self) -> tuple[Place, ...]:
        """Its dead panes."""
        return tuple(place for place in self.places if place.pane.dead)

    @property
    def own(self) -> Place | None:
        """The pane of the launch that memory knows, the living one if there are several."""
        mine = [place for place in self.places if place.pane.launch == self.memory.launch]
        known = self.memory.pane
        return min(mine, key=lambda one: (one.pane.dead, one.pane.id != known), default=None)

    @property
    def strays(self) -> tuple[Process, ...]:
        """Living processes that belong to no launch that runs."""
        if self.memory.live:
            return alive(self.tree.strays)
        return alive((*self.tree.current, *self.tree.strays))

    @property
    def asked(self) -> bool:
        """Whether a person asked for a start since the latest launch."""
        return self.memory.generation < self.wanted.generation

    @property
    def down(self) -> bool:
        """Whether it is not to run at all."""
        return self.wanted.removed or not self.wanted.up


def alive(processes: Iterable[Process]) -> tuple[Process, ...]:
    """Give those that have not ended."""
    return tuple(process for process in processes if not process.dead)


def generation_of(launch: str) -> int:
    """Read the generation from a launch's id `GENERATION-hex`; 0 where it can't be read."""
    first = launch.partition("-")[0]
    return int(first) if first.isascii() and first.isdigit() else 0


def places_by_agent(world: World) -> dict[str, tuple[Place, ...]]:
    """Give every pane in sight, by the agent whose mark it bears."""
    found: dict[str, tuple[Place, ...]] = {}
    for socket, sight in sorted(world.sights.items()):
        if not isinstance(sight, Seen):
            continue
        for pane in sight.panes:
            place = Place(pane=pane, socket=socket, server=sight.server)
            found[pane.agent] = (*found.get(pane.agent, ()), place)
    return found


def case_of(wanted: Wanted, places: tuple[Place, ...], world: World, now: float) -> Case:
    """Bring together what concerns one agent, with its memory brought up to date."""
    name = wanted.agent.id
    memory = world.memory.get(name, Memory(agent=name))
    socket = memory.socket if memory.live else wanted.agent.socket
    sight = world.sights.get(socket, Unseen(why="it was not looked at"))
    excess = world.excesses.get(name)
    case = Case(
        now=now,
        boot=world.boot,
        wanted=wanted,
        memory=_timely(memory, wanted, now),
        sight=sight,
        places=places,
        tree=world.trees.get(name, Tree()),
        ready=world.ready.get(name, Verdict()),
        alive=world.alive.get(name, Verdict()),
        use=world.uses.get(name, _NOTHING),
        excess=excess if excess and excess.launch == memory.launch else None,
        end=world.ends.get(name, ""),
        unready=world.unready.get(name, ""),
    )
    news = {} if isinstance(sight, Unseen) else _news(case)
    return replace(case, memory=replace(case.memory, **news)) if news else case


def _timely(memory: Memory, wanted: Wanted, now: float) -> Memory:
    """Take back what lies in the future: the clock was set back, and nobody waits for a day."""
    rule = wanted.agent.restart
    longest = max(longest_delay(rule), REFUSED)
    patience = trial_delay(memory.trials) if memory.quarantined else longest
    grace = max(wanted.agent.stop.grace, 1.0)
    past = (memory.since, memory.began, memory.ready_since, memory.gone_since, memory.dead_since)
    if now >= max(*past, *memory.deaths, memory.due - patience, memory.deadline - grace):
        return memory
    return replace(
        memory,
        since=min(memory.since, now),
        began=memory.began if memory.began <= now else now - SLACK,
        ready_since=min(memory.ready_since, now),
        gone_since=min(memory.gone_since, now),
        dead_since=min(memory.dead_since, now),
        deaths=tuple(min(death, now) for death in memory.deaths),
        due=min(memory.due, now + patience),
        deadline=min(memory.deadline, now + grace),
    )


def _news(case: Case) -> dict[str, Any]:
    """Give the fields of the memory that the sight corrects, where that is no event."""
    memory, place = case.memory, case.own
    runs = place is not None and not place.pane.dead
    true: dict[str, Any] = {"reason": memory.reason.partition(BLIND)[0]}
    if memory.dead_since and not case.strays and (runs or not memory.live):
        true["dead_since"] = 0.0
    if memory.live and place is not None:
        true["gone_since"] = 0.0
        if runs:
            true |= _whereabouts(case, place)
    return {name: value for name, value in true.items() if getattr(memory, name) != value}


def _whereabouts(case: Case, place: Place) -> dict[str, Any]:
    """Give where a launch runs; a new process in the pane is no news once it is to end."""
    pane = place.pane
    where: dict[str, Any] = {
        "socket": place.socket,
        "server": place.server,
        "pane": pane.id,
        "boot": case.boot,
    }
    if case.memory.state is State.STOPPING:
        where |= {"pid": pane.pid, "started": pane.started}
    return where
