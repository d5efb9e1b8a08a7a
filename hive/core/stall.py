"""When a turn without progress is a stall, and what is done then, one step after the other.

Progress is told by signals that do not depend on one another, and any of them is enough: a long
build writes, prints or computes, a frozen spinner does none of it. Times are epoch seconds, 0
where something never happened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from hive.core.profile import Profile, Stall
from hive.core.signs import Condition, Turn

PATIENT = 3.0
"""What is busy without any other progress, or waits for a tool, is given so many times as long."""

AGAIN = 3600.0
"""Who stalls again so soon after it was restarted for it is given to a person instead."""

ECHO = 10.0
"""Seconds for which what moves after keys were typed is their own echo."""

PROOF = 60.0
"""Seconds within which a brief should lead to some sign of work."""


class Step(StrEnum):
    """What was done last about a stall, each only where the one before did not help."""

    NONE = ""
    LOOK = "looked again"
    NUDGE = "nudged"
    INTERRUPT = "interrupted"
    RESTART = "restarted"
    PERSON = "given to a person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """When each signal of progress was last seen in a turn that began at `began`.

    `worked` is its own evidence of work, `grown` its records, `moved` its screen without spinner
    and timers, `wrote` its bytes on disks, `ran` when something that it started itself last used
    the processor. `busy` is when its whole tree last did: a spinner can use a third of a core, so
    that alone counts for a while only. `calls` are its open tool calls, `usual` the seconds that
    such a task takes (None: not known).
    """

    began: float = 0.0
    worked: float = 0.0
    grown: float = 0.0
    moved: float = 0.0
    wrote: float = 0.0
    ran: float = 0.0
    busy: float = 0.0
    calls: int = 0
    usual: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How far hive has gone against a stall: the step, when it was taken, and why.

    `restarted` is when it was last restarted for a stall; that outlives the stall.
    """

    step: Step = Step.NONE
    at: float = 0.0
    why: str = ""
    restarted: float = 0.0


def progress(life: Life, stall: Stall, now: float) -> float:
    """Give when there was the latest progress; what lies ahead of the clock counts as now."""
    last = max(life.began, life.worked, life.grown, life.moved, life.wrote, life.ran)
    busy = min(life.busy, last + (PATIENT - 1) * stall.after)
    return min(max(last, busy), now)


def due(life: Life, stall: Stall, now: float) -> float:
    """Give the moment at which the turn is a stall, should nothing move until then."""
    last = progress(life, stall, now)
    after = stall.after * (PATIENT if life.calls > 0 else 1)
    return max(last + after, min(life.began, now) + (life.usual or 0.0))


def decide(
    profile: Profile, watch: Watch, condition: Condition, life: Life, now: float, *, asked: bool
) -> Watch:
    """Say how far to go: where the step is another than before, it is to be taken now.

    `asked` says that somebody waits for a person's answer. Only a turn that goes on can stall:
    whoever waits, is limited, or has ended its turn does not.
    """
    stall, last = profile.stall, progress(life, profile.stall, now)
    none = Watch(restarted=watch.restarted)
    if condition.turn is not Turn.WORKING or asked:
        return none
    if watch.step is Step.NONE:
        late = now >= due(life, stall, now)
        return replace(none, step=Step.LOOK, at=now, why=_why(life, stall, now)) if late else none
    echo = ECHO if watch.step in {Step.NUDGE, Step.INTERRUPT} else 0.0
    if last > watch.at + echo:
        return none
    if now < watch.at:  # the clock was set back
        return replace(watch, at=now)
    if watch.step is Step.PERSON or now - watch.at < stall.step:
        return watch
    step = _next(profile, watch, condition, now)
    restarted = now if step is Step.RESTART else watch.restarted
    return replace(watch, step=step, at=now, restarted=restarted)


def _next(profile: Profile, watch: Watch, condition: Condition, now: float) -> Step:
    steps = list(Step)
    step = steps[steps.index(watch.step) + 1]
    if step is Step.NUDGE and not (profile.typing.busy == "queue" or not condition.closed):
        step = Step.INTERRUPT
    if step is Step.INTERRUPT and not profile.stall.interrupt:
        step = Step.RESTART
    if step is Step.RESTART and watch.restarted and now - watch.restarted < AGAIN:
        step = Step.PERSON
    return step


def _why(life: Life, stall: Stall, now: float) -> str:
    still = ["no output", "no work on disk", "nothing in its records"]
    tool = "a tool call is open" if life.calls > 0 else ""
    spins = "it only spins" if life.busy > progress(replace(life, busy=0.0), stall, now) else ""
    return "; ".join(filter(None, (", ".join(still), tool, spins)))


def outlook(stall: Stall, watch: Watch) -> float | None:
    """Give when the next step is due; None where nothing stalls, or a person has it."""
    return None if watch.step in {Step.NONE, Step.PERSON} else watch.at + stall.step


def unproven(briefed: float, worked: float, now: float, *, moved: float = 0.0) -> str:
    """Say that an agent got a brief and has shown no work since; "" where it has, or got none.

    `moved` is when the screen of one that has nothing better last changed: what it showed soon
    after the brief is the brief itself.
    """
    if not briefed or worked > briefed or moved > briefed + ECHO:
        return ""
    if 0 <= now - briefed < PROOF:
        return "its brief was given, no sign of work yet"
    return "no sign of work since its brief"
