"""Whether there is room for one more agent: every start asks here first.

What is given away in a tick counts at once, and what a young launch has not taken yet is kept
for it. CPU can be shared by many, so it alone refuses only a crowd. One agent may always run,
whatever it needs. Refusals are in figures, and are said once: figures that change are no news.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from hive.core.amounts import as_cores
from hive.core.case import alive
from hive.core.spec import Agent
from hive.core.wording import size
from hive.core.world import Memory, Room, Use, Wanted, World

WAITING = "waiting for room: "
"""How the reason of an agent begins that waits for room."""

NEED = 64 << 20
"""Bytes that a program is expected to take where none was seen yet."""

GROWS = 15.0
"""Seconds in which a launch comes to have what it needs."""

RECENT = 10.0
"""Seconds for which a launch counts as one of the latest."""

BURST = 20
"""So many launches of one program may always begin in one tick."""

LEAST = 0.1
"""The part of a core that every busy agent is to have left."""

TURN = 30.0
"""So long those behind a large one may pass it, then so long they wait for it; and again."""

Refusals = dict[str, str]
"""Why it can't start, in figures, by the kind of the reason; empty where it can."""

MANY = "many at once"
"""The kind of refusal that lasts for a moment only, and is never said."""

_KINDS = {
    "agents": re.compile(r"\d+ of \d+ agents run"),
    "memory": re.compile(r"it needs about \S+, \S+ are free above the reserve"),
    "cores": re.compile(r"\d+ agents? shares? \S+ cores? already"),
    "starting": re.compile(
        r"(?:\d+ )?launch(?:es)? of `(.*)` (?:is|are) still starting", re.DOTALL
    ),
}
_FIGURES = re.compile(r"\d[\d.,]*[KMGT]?")

_SHELLS = frozenset({"sh", "bash", "dash", "zsh"})
_QUOTED = r"""(?:'[^']*'|"[^"]*"|[^\s'"])"""
_FIRST = re.compile(rf"\s*+(?:(?:exec|[A-Za-z_]\w*+={_QUOTED}*+)\s++)*+([^\s;&|<>()]++)")


def program_of(argv: tuple[str, ...]) -> str:
    """Name the program that is run: `node`, also in `sh -c "PORT=1 exec node server.js"`."""
    name = _base(argv[0])
    if name in _SHELLS and argv[1:2] == ("-c",) and argv[2:]:
        found = _FIRST.match(argv[2])
        return _base(found[1].strip("'\"")) if found else name
    return name


def waiting(memory: Memory) -> str:
    """Say what it waits for, in figures; "" where it does not wait for room."""
    starts = not memory.live and memory.reason.startswith(WAITING)
    return memory.reason.removeprefix(WAITING) if starts else ""


def reason_for(memory: Memory, refusals: Refusals) -> str:
    """Give the reason for waiting: the known one as long as it is still of this kind."""
    known = waiting(memory)
    if known and any(_alike(known, kind, text) for kind, text in refusals.items()):
        return memory.reason
    return WAITING + next(iter(refusals.values()))


class Admission:
    """The room of one tick, and what of it is given away."""

    def __init__(self, room: Room, wanted: Mapping[str, Wanted], world: World, now: float) -> None:
        self._room = room
        self._now = now
        self._uses = world.uses
        self._live = {name for name, one in world.memory.items() if one.live}
        self._live |= {
            name for name, tree in world.trees.items() if alive((*tree.current, *tree.strays))
        }
        self._recent: Counter[str] = Counter()
        self._given: Counter[str] = Counter()
        self._first = ""
        young = 0
        for name in self._live & wanted.keys() & world.memory.keys():
            memory, spec = world.memory[name], wanted[name].agent
            if memory.live and now - memory.began < GROWS:
                young += max(0, self._need(spec) - self._use(name).memory)
            if memory.live and now - memory.began < RECENT:
                self._recent[program_of(spec.argv)] += 1
        self._left = None if room.memory is None else room.memory - young
        self._most = 0  # what there would be if all of hive's ended
        if room.memory is not None:
            self._most = room.memory + sum(self._use(name).memory for name in self._live)

    def refusals(self, spec: Agent) -> Refusals:
        """Say why it can't start now; what it uses itself counts as free."""
        room, found = self._room, {}
        if room.closed:
            found["closed"] = room.closed
        others = len(self._live) - (spec.id in self._live)
        if room.agents is not None and others >= room.agents:
            found["agents"] = f"{others} of {room.agents} agents run"
        if others:
            found |= self._crowd(spec) | self._memory(spec)
        program = program_of(spec.argv)
        if not found and self._given[program] >= max(BURST, 2 * self._recent[program]):
            found[MANY] = "many begin at once"
        return found

    def admit(self, spec: Agent) -> None:
        """Give it its room."""
        self._live.add(spec.id)
        self._given[program_of(spec.argv)] += 1
        if self._left is not None:
            self._left -= self._need(spec)

    def refused(self, spec: Agent, memory: Memory, refusals: Refusals) -> None:
        """Take note that it has to wait; a large one comes first after a while, then lets pass."""
        waits = self._now - memory.since if waiting(memory) else 0.0
        turn = int(waits / TURN) % 2 == 1
        if turn and not self._first and refusals.keys() == {"memory"}:
            self._first = spec.short if self._need(spec) <= self._most else ""

    def _crowd(self, spec: Agent) -> Refusals:
        """Say whether the processor is too crowded for it."""
        room, program = self._room, program_of(spec.argv)
        found = {}
        if room.starting.get(program, 0.0) >= room.cores / 2:
            found["starting"] = f"{_launches(self._recent[program], program)} still starting"
        if (room.busy + 1) * LEAST > room.cores:
            share = "agent shares" if room.busy == 1 else "agents share"
            found["cores"] = f"{room.busy} {share} {as_cores(room.cores)} already"
        return found

    def _memory(self, spec: Agent) -> Refusals:
        if self._left is None:
            return {}
        need, left = self._need(spec), self._left + self._use(spec.id).memory
        if need > left:
            free = size(max(0, left))
            return {"memory": f"it needs about {size(need)}, {free} are free above the reserve"}
        if self._first:
            return {"turn": f"{self._first} has waited longer and needs more memory"}
        return {}

    def _need(self, spec: Agent) -> int:
        need = self._room.needs.get(program_of(spec.argv), NEED)
        most = spec.limits.memory
        return need if most is None else min(need, most)

    def _use(self, name: str) -> Use:
        return self._uses.get(name, _NOTHING)


_NOTHING = Use()


def _alike(known: str, kind: str, text: str) -> bool:
    """Whether a reason that was said is this one, maybe with other figures."""
    if kind in _KINDS:
        return _KINDS[kind].fullmatch(known) is not None
    return _FIGURES.sub("", known) == _FIGURES.sub("", text)


def _launches(number: int, program: str) -> str:
    if number == 1:
        return f"1 launch of `{program}` is"
    return f"{number} launches of `{program}` are" if number else f"launches of `{program}` are"


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2] or path
