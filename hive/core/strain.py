"""What hive does while the machine is under lasting pressure, step by step, and back again.

First nothing more is admitted, then the processor is rationed, then agents are paused one by
one: lowest priority first, never those of high priority, which servers have. Each step
waits for the one before to help. Going back needs the pressure to be well below where it began,
and takes as many steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hive.core.limits import PRIORITIES, Priority, Total
from hive.core.vitals import Vitals
from hive.core.wording import size

NONE, CLOSED, RATIONED, PAUSING = range(4)
DOING = ("", "admits nothing", "rations the processor", "pauses agents where that helps")
"""What hive does at each level; a higher one does what is below as well."""

PATIENCE = (0.0, 10.0, 20.0, 15.0)
"""Seconds of pressure after which each level is left for the next; at the last, for one pause."""

CALM = 15.0
"""Seconds without pressure after which one step is taken back."""

RATION = 0.5
"""The share of the processor that agents get together while it is rationed."""

LOAD, EASED_LOAD = 8.0, 4.0
"""Load average for each core from which on it is too much, and below which it is well again."""

STALL, EASED_STALL = 10.0, 2.0
"""Percent of the time in which all work waits for memory, likewise."""

PART = 0.25
"""A high load counts only where agents use this share of the processor."""

CROWDED = 80.0
"""A high load counts only where some work waits for the processor so much (percent)."""

EASED = 1.25
"""Free memory is well again at so many times the reserve."""

WORTH = 0.1
"""An agent that uses fewer cores is not paused: that would free nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """Where we are. `since` is the time of the last step, `calm` since when all is well.

    `paused` are agents by id, the first paused first. Times are epoch seconds, 0 is never.
    """

    level: int = NONE
    why: str = ""
    since: float = 0.0
    calm: float = 0.0
    paused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An agent that may be paused: how much it uses, and how dear it is."""

    priority: Priority
    cpu: float
    memory: int


def pressure(vitals: Vitals, total: Total, used: float) -> str:
    """Say what presses the machine; "" while nothing does.

    `used` is how many cores all agents use: a load that others make is not hive's to lower, and
    agents need not wait for its end.
    """
    if vitals.available < total.reserve:
        return f"{size(vitals.available)} of memory are free, {size(total.reserve)} are to stay so"
    if vitals.memory_full is not None and vitals.memory_full >= STALL:
        return f"all work waits for memory {vitals.memory_full:.0f}% of the time"
    crowded = vitals.cpu_stall is None or vitals.cpu_stall >= CROWDED
    if crowded and vitals.load > LOAD * vitals.cores and used >= PART * vitals.cores:
        return f"the load is {vitals.load:.0f} on {vitals.cores:g} cores"
    return ""


def eased(vitals: Vitals, total: Total, used: float) -> bool:
    """Whether the machine is well below where pressure begins; `used` is as in `pressure`."""
    return (
        vitals.available >= total.reserve * EASED
        and (vitals.memory_full or 0.0) < EASED_STALL
        and (vitals.load < EASED_LOAD * vitals.cores or used < PART * vitals.cores)
    )


def step(
    strain: Strain,
    vitals: Vitals,
    total: Total,
    candidates: Mapping[str, Candidate],
    now: float,
) -> Strain:
    """Give where we are now; `candidates` are the running agents that are not paused."""
    strain = replace(strain, since=min(strain.since, now), calm=min(strain.calm, now))
    if not total.admission:
        return Strain()
    used = sum(one.cpu for one in candidates.values())
    pressed = pressure(vitals, total, used)
    if pressed:
        return _up(replace(strain, why=pressed, calm=0.0), candidates, now)
    if strain.level == NONE:
        return strain
    if not eased(vitals, total, used):
        return replace(strain, calm=0.0)
    return _down(strain, now)


def _up(strain: Strain, candidates: Mapping[str, Candidate], now: float) -> Strain:
    if strain.level and now - strain.since < PATIENCE[strain.level]:
        return strain
    level = min(strain.level + 1, PAUSING)
    victim = _victim(candidates) if level == PAUSING else ""
    if level == strain.level and not victim:
        return strain
    paused = (*strain.paused, victim) if victim else strain.paused
    return replace(strain, level=level, since=now, paused=paused)


def _down(strain: Strain, now: float) -> Strain:
    """Take back one step after a while of calm: the last paused agent, then a level."""
    if not strain.calm:
        return replace(strain, calm=now)
    if now - max(strain.calm, strain.since) < CALM:
        return strain
    if strain.paused:
        return replace(strain, since=now, paused=strain.paused[:-1])
    level = strain.level - 1
    return replace(strain, level=level, since=now, why=strain.why if level else "")


def _victim(candidates: Mapping[str, Candidate]) -> str:
    """Choose the agent whose pause costs least and helps most; "" where none would help."""
    able = {
        name: one for name, one in candidates.items() if one.priority != "high" and one.cpu >= WORTH
    }
    return min(
        able,
        key=lambda name: (PRIORITIES.index(able[name].priority), -able[name].cpu, name),
        default="",
    )
