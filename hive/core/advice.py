"""What limits an agent should have, from what it was seen to use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from hive.core.accounting import Sample
from hive.core.spec import Agent
from hive.core.trend import Leak, leak
from hive.core.wording import count, size, span

ENOUGH = 600.0
"""Seconds an agent must have been seen before anything is recommended."""

ROOM = 1.3
"""A limit leaves this much more than was used."""

AFTER_OOM = 1.5
"""And this much more than what it had when it was ended for it: nobody knows what it wanted."""

STEP = 64 << 20
"""Recommended memory is a multiple of this, in bytes."""

LEAST_CPU = 0.25
"""Nothing below this many cores is recommended."""

NEAR = 0.9
"""What uses this share of its limit is close to it."""

OFTEN = 0.05
"""What is slowed down for this share of its time needs more."""

Word = Literal["fits", "too small", "more than it needs", "no limit", "too little seen yet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was used, weighted by time; the peak is the highest sample."""

    median: float = 0.0
    most: float = 0.0
    peak: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is to be said of one limit: a word, and a sentence that says why."""

    word: Word
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What one agent used, what it may use, and what it should be allowed.

    `seconds` is how long it was seen. Memory is in bytes, CPU in cores. `held` is the share of
    the time in which it was slowed down. A recommendation is None where too little was seen.
    `leaking` is a sentence about `leak`, "" where there is none.
    """

    agent: str
    seconds: float
    memory: Figures
    cpu: Figures
    held: float
    ooms: int
    memory_limit: int | None
    cpu_limit: float | None
    memory_recommended: int | None
    cpu_recommended: float | None
    memory_verdict: Judgement
    cpu_verdict: Judgement
    leak: Leak | None = None
    leaking: str = ""


def advise(agent: Agent, samples: Sequence[Sample], ooms: int, seen: int, now: float) -> Advice:
    """Recommend limits for one agent from its samples, oldest first.

    `ooms` are its latest deaths in a row for want of memory, `seen` is the most bytes it had in
    one of them. Samples that ended after `now` are left out: the clock was set back.
    """
    used = [one for one in samples if one.at <= now]
    seconds = sum(one.span for one in used)
    memory = _figures(used, lambda one: one.memory)
    cpu = _figures(used, lambda one: one.cpu)
    held = sum(one.held * one.span for one in used) / seconds if seconds else 0.0
    limits, wise = agent.limits, seconds >= ENOUGH
    memory_to = _memory_for(memory, ooms, seen) if wise or ooms else None
    cpu_to = _cpu_for(cpu, held, limits.cpu) if wise else None
    grows = leak(used, limits.memory)
    return Advice(
        agent=agent.id,
        seconds=seconds,
        memory=memory,
        cpu=cpu,
        held=held,
        ooms=ooms,
        memory_limit=limits.memory,
        cpu_limit=limits.cpu,
        memory_recommended=memory_to,
        cpu_recommended=cpu_to,
        memory_verdict=_of_memory(limits.memory, memory_to, memory, ooms, seconds),
        cpu_verdict=_of_cpu(limits.cpu, cpu_to, cpu, held, seconds),
        leak=grows,
        leaking=_leaking(grows) if grows else "",
    )


def _figures(samples: Sequence[Sample], value: Callable[[Sample], float]) -> Figures:
    order = sorted((value(one), one.span) for one in samples)
    if not order:
        return Figures()
    return Figures(median=_at(order, 0.5), most=_at(order, 0.95), peak=order[-1][0])


def _at(order: Sequence[tuple[float, float]], share: float) -> float:
    """Give the value under which an agent was for this share of its time."""
    left = share * sum(weight for _, weight in order)
    for value, weight in order:
        left -= weight
        if left <= 0:
            return value
    return order[-1][0]


def _memory_for(memory: Figures, ooms: int, seen: int) -> int:
    wish = max(memory.peak * ROOM, seen * AFTER_OOM if ooms else 0.0)
    return max(1, math.ceil(wish / STEP)) * STEP


def _cpu_for(cpu: Figures, held: float, limit: float | None) -> float:
    """Give the cores; one that was slowed down would have used more than was seen."""
    wish = cpu.most * ROOM
    if limit is not None and held >= OFTEN:
        wish = max(wish, limit * AFTER_OOM)
    return max(LEAST_CPU, math.ceil(round(wish * 10, 6)) / 10)


def _of_memory(
    limit: int | None, wise: int | None, memory: Figures, ooms: int, seconds: float
) -> Judgement:
    if wise is None:
        return _unknown(seconds)
    peak, to = size(memory.peak), size(wise)
    if limit is None:
        text = f"it has no memory limit; it used {peak} at most, {to} would leave it room"
        return Judgement(word="no limit", text=text)
    if ooms and limit < wise:
        text = f"it was ended {count(ooms, 'time')} for want of memory: give it {to}"
        return Judgement(word="too small", text=text)
    if memory.peak > limit * NEAR:
        text = f"it used {peak} of {size(limit)}: give it {to}"
        return Judgement(word="too small", text=text)
    if limit > 2 * wise:
        text = f"it used {peak} of {size(limit)} at most: {to} would do"
        return Judgement(word="more than it needs", text=text)
    return Judgement(word="fits", text=f"it used {peak} of {size(limit)} at most")


def _of_cpu(
    limit: float | None, wise: float | None, cpu: Figures, held: float, seconds: float
) -> Judgement:
    if wise is None:
        return _unknown(seconds)
    most = f"{cpu.most:.2f}"
    if limit is None:
        text = f"it has no CPU limit; it used {most} cores or less nearly always, {wise:g} would do"
        return Judgement(word="no limit", text=text)
    if held >= OFTEN:
        text = f"its limit slowed it down for {held:.0%} of the time: give it {wise:g} cores"
        return Judgement(word="too small", text=text)
    if limit > 2 * wise:
        text = f"it used {most} of {limit:g} cores or less nearly always: {wise:g} would do"
        return Judgement(word="more than it needs", text=text)
    text = f"it used {most} of {limit:g} cores or less nearly always"
    return Judgement(word="fits", text=text)


def _unknown(seconds: float) -> Judgement:
    text = f"it was seen for {span(seconds)}; advice needs {span(ENOUGH)}"
    return Judgement(word="too little seen yet", text=text)


def _leaking(grows: Leak) -> str:
    text = f"its memory grew steadily for {span(grows.span)}, by {size(grows.rate)} an hour"
    if grows.left is None:
        return f"{text}: it may leak"
    return f"{text}: at that rate it reaches its limit in {span(grows.left)}"
