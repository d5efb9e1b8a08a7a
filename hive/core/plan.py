"""The one decision: what to do now, from what is wanted, what was seen and what is remembered.

It is pure: the same arguments give the same actions. It asks for at most one effect an agent
and tick, so that each step is seen before the next is decided. Two ticks are one: what is done
is not asked for again. What could not be looked at is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hive.core.actions import Action, Close, Hold, Note, Say, Wait
from hive.core.admission import Admission
from hive.core.case import BLIND, Case, case_of, places_by_agent
from hive.core.ending import absent, dead
from hive.core.living import adopt, living
from hive.core.starting import Others, Rations, resting, turn
from hive.core.world import Memory, Unseen, Wanted, World


def plan(wanted: Mapping[str, Wanted], world: World, now: float) -> tuple[Action, ...]:
    """Decide what to do now, by agent in the order of their windows; what starts comes last.

    At most one action an agent has an effect, and at most one carries its memory. The last
    action is a `Wait` where time alone will change something.
    """
    others = {
        name: (one, world.memory.get(name, Memory(agent=name))) for name, one in wanted.items()
    }
    places = places_by_agent(world)
    decided: dict[str, tuple[Case, tuple[Action, ...]]] = {}
    for name in sorted(wanted, key=lambda name: wanted[name].agent.place):
        case = case_of(wanted[name], places.get(name, ()), world, now)
        decided[name] = (case, _decide(case, others))
    _ration(decided, wanted, world, now)
    actions: list[Action] = []
    for name, (case, mine) in decided.items():
        actions += _with_memory(case, others[name][1], mine)
    waits = [action.until for action in actions if isinstance(action, Wait)]
    doing = [action for action in actions if not isinstance(action, Wait)]
    return (*doing, *([Wait(until=max(min(waits), now))] if waits else []))


def _ration(
    decided: dict[str, tuple[Case, tuple[Action, ...]]],
    wanted: Mapping[str, Wanted],
    world: World,
    now: float,
) -> None:
    """Let those that would start do so, each in its turn, as far as they may.

    They come to the end of `decided`, in that order: each counts those before it.
    """
    turns = {name: turn(*mine) for name, mine in decided.items()}
    asking = [(at, name) for name, at in turns.items() if at is not None]
    if not asking:
        return
    admission = Admission(world.room, wanted, world, now) if world.room else None
    rations = Rations(dict(world.teams), admission)
    for _, name in sorted(asking):
        case, actions = decided.pop(name)
        decided[name] = (case, rations.allow(case, actions))


def _with_memory(case: Case, before: Memory, actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Add what was corrected in memory, where no action carries it."""
    if isinstance(case.sight, Unseen):
        return actions
    if any(not isinstance(action, Close | Hold | Wait) for action in actions):
        return actions
    return (*_remember(case, before), *actions)


def _decide(case: Case, others: Others) -> tuple[Action, ...]:
    if isinstance(case.sight, Unseen):
        return _blind(case, case.sight)
    if not case.memory.live:
        return adopt(case) if case.running else resting(case, others)
    place = case.own
    if place is None:
        return adopt(case) if case.running else absent(case)
    return dead(case, place) if place.pane.dead else living(case, place)


def _blind(case: Case, sight: Unseen) -> tuple[Action, ...]:
    """Conclude nothing; say once that it could not be looked at."""
    memory = case.memory
    if BLIND in memory.reason:
        return ()
    after = replace(memory, reason=f"{memory.reason}{BLIND}{sight.why}")
    return (Say(after=after, why=f"could not look: {sight.why}"),)


def _remember(case: Case, before: Memory) -> tuple[Action, ...]:
    """Write down what was corrected in memory, where no other action does."""
    if case.memory == before:
        return ()
    if case.memory.reason != before.reason:
        return (Say(after=case.memory, why=f"it is seen again: {case.memory.reason}"),)
    return (Note(after=case.memory),)
