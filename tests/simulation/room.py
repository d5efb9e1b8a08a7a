"""What the made-up machine has for agents: memory, a ceiling of them, worktrees that are ready."""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import dataclass, field

from hive.core import actions as act
from hive.core.admission import program_of, waiting
from hive.core.case import BLIND
from hive.core.ending import BLAMED, PLANNED
from hive.core.living import QUIET
from hive.core.spec import Agent
from hive.core.world import Excess, Holding, Memory, Room, State, Use, World
from tests.simulation.machine import Broken, Machine

MIB = 1 << 20
MEMORY = 1024 * MIB
NEEDS = {"program": 100 * MIB, "big": 400 * MIB}
GROWTH = 5.0
"""Seconds until a program has the memory it needs."""

CORES = 2.0


@dataclass
class Space:
    """What agents may have of the machine; it comes and goes."""

    ceiling: int | None = None
    closed: str = ""
    outside: int = 0
    busy: int = 0
    starting: float = 0.0
    restless: set[str] = field(default_factory=set)
    unready: set[str] = field(default_factory=set)
    excesses: dict[str, Excess] = field(default_factory=dict)

    def changes(self, chance: random.Random) -> None:
        """Something else takes room, or gives it back; a person sets a ceiling."""
        self.ceiling = chance.choice([None, None, 1, 3, 5, 7])
        self.closed = chance.choice(["", "", "", "12% of memory are free", "the disk is full"])
        self.outside = chance.choice([0, 0, 300, 700, 900, 2000]) * MIB
        self.busy = chance.choice([0, 3, 19, 20, 50])
        self.starting = chance.choice([0.0, 0.0, 0.9, 1.0])

    def frees(self) -> None:
        """There is room for everything."""
        self.ceiling, self.closed, self.outside, self.busy, self.starting = None, "", 0, 0, 0.0
        self.restless.clear()
        self.unready.clear()

    def places(self, chance: random.Random) -> dict[str, str]:
        """Say whose worktree is not ready, and how far it is: never twice the same."""
        return {name: f"{chance.randrange(100)} files are there" for name in sorted(self.unready)}

    def room(self, machine: Machine) -> Room:
        """What hive is told; its figures are never twice the same."""
        free = MEMORY - self.outside - sum(one.memory for one in uses(machine, self).values())
        return Room(
            closed=self.closed.replace("12", str(machine.chance.randrange(1, 99))),
            agents=self.ceiling,
            memory=free - machine.chance.randrange(MIB),
            cores=CORES,
            busy=self.busy,
            needs=NEEDS,
            starting={"program": self.starting},
        )

    def exceeds(self, machine: Machine, agent: str, limit: int | None) -> None:
        """Have the kernel kill all of a launch, or one process of it, for what it took."""
        chance = machine.chance
        mine = machine.owned(agent)
        if not mine:
            return
        launch = mine[-1].launch
        kind = chance.choice(["memory", "memory", "processes"])
        whole = chance.random() < 0.6
        most = limit or MEMORY
        self.excesses[agent] = Excess(
            agent=agent,
            launch=launch,
            at=machine.now,
            kind=kind,
            why=f"too much {kind}",
            seen=most + chance.randrange(64 * MIB),
            limit=most,
            whole=whole,
            largest=(Holding(pid=mine[-1].pid, name="program", bytes=most),),
        )
        of_launch = [one for one in mine if one.launch == launch]
        below = [one for one in of_launch if one.parent in {each.pid for each in of_launch}]
        for one in of_launch if whole else below[-1:]:
            machine.kill(one)


def uses(machine: Machine, space: Space) -> dict[str, Use]:
    """What every agent's processes use now."""
    found: dict[str, Use] = {}
    for one in machine.owned():
        if one.main:
            age = machine.time - one.born
            share = 1.0 if age >= GROWTH else 0.1
            use = found.get(one.agent, Use())
            found[one.agent] = Use(
                memory=use.memory + round(NEEDS[one.program] * share),
                processes=use.processes + 1,
                quiet_since=0.0 if one.agent in space.restless else one.born + machine.offset,
            )
    return found


# the promises


def check_starts(
    actions: Collection[act.Action], world: World, machine: Machine, space: Space
) -> None:
    """Nothing starts while all is closed, and never more than there is room for."""
    starts = [one.spec for one in actions if isinstance(one, act.Start)]
    if not starts:
        return
    if space.unready & {one.id for one in starts}:
        raise Broken(f"one of {starts} was started, and its worktree is not ready")
    if space.closed:
        raise Broken(f"{starts[0].id} was started, and all is closed")
    running = {one.agent for one in machine.owned()}
    together = len(running) + len(starts)
    if space.ceiling is not None and together > space.ceiling:
        raise Broken(f"{together} run, and the ceiling is {space.ceiling}")
    if together == 1:
        return
    free = world.room.memory if world.room else None
    if free is not None and sum(need(spec) for spec in starts) > free:
        raise Broken(f"{len(starts)} were started, and only {free} bytes are left")
    if space.busy >= CORES * 10:
        raise Broken("one more was started, and the processor is crowded")
    programs = [program_of(spec.argv) for spec in starts]
    alone = not running and programs.count("program") == 1
    if "program" in programs and not alone and space.starting >= CORES / 2:
        raise Broken("one more was started, and those before it still start")


def need(spec: Agent) -> int:
    return min(NEEDS[program_of(spec.argv)], spec.limits.memory or MEMORY)


def check_planned(action: act.Stop, memory: Memory, world: World, now: float) -> None:
    """Only what has run for long enough, and is quiet, is restarted for its age."""
    age, use = action.spec.limits.max_age, world.uses.get(action.spec.id, Use())
    if age is None or now - memory.began < age:
        raise Broken(f"{memory.agent} was to be restarted, and is not old")
    if not use.quiet_since or now - use.quiet_since < QUIET:
        raise Broken(f"{memory.agent} was to be restarted, and is not quiet")
    if world.room and world.room.closed:
        raise Broken(f"{memory.agent} was to be restarted, and could not start again")


def check_planned_start(action: act.Start, memory: Memory) -> None:
    """It comes back by itself, and counts for nothing."""
    counted = action.team or action.after.restarts > memory.restarts
    if memory.cause == PLANNED and action.automatic and counted:
        raise Broken(f"{memory.agent} was restarted for its age, and it counted")


def check_end(action: act.Ended, memory: Memory, world: World, now: float) -> None:
    """An end for want of memory is told as that, and its like in a row are counted."""
    excess = world.excesses.get(memory.agent)
    blamed = None
    if excess and excess.launch == memory.launch and memory.state is not State.STOPPING:
        soon = abs((memory.dead_since or now) - excess.at) <= BLAMED
        blamed = excess if excess.whole or soon else None
    if blamed and not action.asked and action.cause != blamed.why:
        raise Broken(f"{memory.agent} ended of {blamed.why}, and {action.cause} was told")
    if not blamed and (action.largest or "too much" in action.cause):
        raise Broken(f"{memory.agent} was told to have ended of {action.cause}")
    again = action.after.state in {State.BACKING_OFF, State.FAILED}
    row = bool(blamed and blamed.kind == "memory")
    if again and action.after.ooms not in ({memory.ooms + 1, 1} if row else {0}):
        raise Broken(f"{memory.agent} ran out of memory {action.after.ooms} times in a row")
    if again and row and action.after.seen < excess.seen:
        raise Broken(f"{memory.agent} had more memory than is remembered")


def check_said(action: act.Say, memory: Memory) -> None:
    """The same reason for waiting is not said again and again."""
    before, after = waiting(memory), waiting(action.after)
    same = before and memory.state is action.after.state and BLIND not in before + after
    if same and figureless(before) == figureless(after):
        raise Broken(f"{memory.agent} was said again to wait: {after}")


def figureless(text: str) -> str:
    return re.sub(r"[\d.]+[KMG]?", "", text)
