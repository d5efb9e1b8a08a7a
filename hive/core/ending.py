"""What is decided when a launch is over: how it ended, what is left of it, what follows.

An agent that is asked to end gets the time its spec gives it, then it is made to. It is never
called back from that: once it has ended, what is wanted then decides. So it is with what a
launch leaves behind. "Not seen for a moment" is not yet gone. A launch that was killed for what
it took ended of that, whatever its exit code says; it is a failure like any other.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

from hive.core.actions import Action, Closed, Ended, Kill, Lost, Note, Sweep, Wait
from hive.core.amounts import as_size
from hive.core.case import Case, Place, alive
from hive.core.restart import (
    NO_PAST,
    TRIAL_HEALTHY,
    Quarantine,
    after_death,
    after_trial,
    within,
)
from hive.core.trees import Process
from hive.core.units import as_text
from hive.core.wording import size
from hive.core.world import Excess, Memory, Seen, State

SETTLE = 0.5
"""Seconds after which a program is taken as running."""

TOLD = 2.0
"""Seconds an exit code may take to be known; after that nobody knows it."""

TELLING = 0.05
"""Seconds between two looks for an exit code: no event tells of it."""

BELIEVE_GONE = 1.0
"""Seconds a pane must be missing until it is believed to be closed."""

SWEEP_GRACE = 2.0
"""Seconds that leftovers get to end before they are made to."""

AGAIN = 1.0
"""Seconds between two attempts to end the same processes by force."""

LOOK_AGAIN = 0.25
"""Seconds until the next look at processes that were asked to end: no event tells of them."""

BLAMED = 10.0
"""A launch that ends within so many seconds of a kill for what it took ended of that."""

ROUND = 64 << 20
"""A larger limit is suggested in steps of so many bytes."""

PAGE = 4096
"""The kernel holds memory limits to the page."""

CLOSED = "window closed by hand"
PLANNED = "planned restart"
SERVER_ENDED = "the tmux server ended"
REBOOTED = "the machine was restarted"
UNKNOWN = "ended; its exit code could not be learnt"

SIGNALS = {
    1: "HUP",
    2: "INT",
    3: "QUIT",
    4: "ILL",
    5: "TRAP",
    6: "ABRT",
    8: "FPE",
    9: "KILL",
    11: "SEGV",
    13: "PIPE",
    14: "ALRM",
    15: "TERM",
}
"""The signals whose numbers Linux and macOS share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequel:
    """What follows an end: a sentence, and the memory it makes."""

    text: str
    after: Memory


def dead(case: Case, place: Place | None) -> tuple[Action, ...]:
    """Decide for a launch whose root is dead, or whose pane is gone for good."""
    memory = case.memory
    left = alive(case.tree.current)
    if memory.state is State.STOPPING and left:
        root = (memory.pid, memory.started)
        patient = any((one.pid, one.started) == root for one in left)
        return stopping(case) if patient else sweep(case, left)
    code = place.pane.code if place else None
    if place and code is None:
        soon = Wait(until=case.now + TELLING)
        if not memory.dead_since:
            return (Note(after=replace(memory, dead_since=case.now)), soon)
        if case.now < memory.dead_since + TOLD:
            return (soon,)
    excess = _to_blame(case)
    cause = memory.cause if memory.state is State.STOPPING else cause_of(code)
    return (ended(case, place, code, excess.why if excess else cause),)


def is_planned(memory: Memory) -> bool:
    """Whether it is stopping only to start again, because it has run for long enough."""
    return memory.state is State.STOPPING and memory.cause.startswith(PLANNED)


def stopping(case: Case) -> tuple[Action, ...]:
    """Wait for an agent that was asked to end; when its time is over, make it."""
    memory, now = case.memory, case.now
    targets = alive(case.tree.current)
    if now < memory.deadline:
        return (Wait(until=memory.deadline),)
    if not targets:
        return (Wait(until=now + AGAIN),)
    after = replace(memory, deadline=now + AGAIN)
    grace = as_text(case.wanted.agent.stop.grace)
    why = f"it did not end within {grace}: killed {_processes(targets)}"
    return (Kill(agent=memory.agent, targets=targets, why=why, after=after),)


def absent(case: Case) -> tuple[Action, ...]:
    """Decide for a launch that should run and has no pane in sight."""
    memory, now = case.memory, case.now
    lost = _lost(case)
    if lost:
        return dead(case, None) if memory.state is State.STOPPING else (_lose(case, lost),)
    if not memory.gone_since:
        after = replace(memory, gone_since=now)
        return (Note(after=after), Wait(until=now + BELIEVE_GONE))
    believed = memory.gone_since + BELIEVE_GONE
    if now < believed:
        return (Wait(until=believed),)
    if memory.state is State.STOPPING:
        return dead(case, None)
    if case.down or case.asked:
        return (ended(case, None, None, CLOSED, asked=True),)
    after = replace(launch_over(case.memory, case.now), state=State.STOPPED, reason=CLOSED)
    return (Closed(after=after, why=CLOSED),)


def sweep(case: Case, left: tuple[Process, ...]) -> tuple[Action, ...]:
    """End what a launch left behind: ask first, force later, again until it is gone."""
    memory, now = case.memory, case.now
    count = _processes(left)
    if not memory.dead_since:
        after = replace(memory, dead_since=now)
        why = f"asked {count} left behind to end"
        soon_again = Wait(until=now + LOOK_AGAIN)
        return (Sweep(agent=memory.agent, targets=left, why=why, after=after), soon_again)
    due = memory.dead_since + SWEEP_GRACE
    ending = memory.live and memory.state is State.STOPPING
    if ending:
        due = min(due, max(memory.deadline, memory.dead_since + LOOK_AGAIN))
    if now < due:
        return (Wait(until=min(due, now + LOOK_AGAIN)),)
    after = replace(
        memory,
        dead_since=now - SWEEP_GRACE + AGAIN,
        deadline=now + AGAIN if ending else 0.0,
    )
    why = f"killed {count} left behind"
    return (Sweep(agent=memory.agent, targets=left, why=why, force=True, after=after),)


def ended(
    case: Case, place: Place | None, code: int | None, cause: str, *, asked: bool = False
) -> Ended:
    """Write the launch's certificate, with what follows."""
    memory = case.memory
    asked = asked or (memory.state is State.STOPPING and not memory.counts)
    excess = None if asked else _to_blame(case)
    sequel = _sequel(case, code, cause, asked=asked)
    return Ended(
        after=sequel.after,
        why=f"{cause}; {sequel.text}",
        code=code,
        cause=cause,
        asked=asked,
        next=sequel.text,
        pane=place.pane if place else None,
        largest=excess.largest if excess else (),
    )


def cause_of(code: int | None) -> str:
    """Say how a program ended: "exit code 3", "killed by signal 9 (KILL)"."""
    if code is None:
        return UNKNOWN
    if code >= 0:
        return f"exit code {code}"
    name = SIGNALS.get(-code)
    return f"killed by signal {-code}" + (f" ({name})" if name else "")


def _lost(case: Case) -> str:
    """Say what took the launch with it, if anything did: its machine's boot, its server."""
    memory = case.memory
    if memory.boot != case.boot:
        return REBOOTED
    same = isinstance(case.sight, Seen) and case.sight.server == memory.server
    return "" if same else SERVER_ENDED


def _lose(case: Case, why: str) -> Lost:
    over = launch_over(case.memory, case.now)
    if case.down:
        after = replace(over, state=State.STOPPED, reason=case.wanted.why)
    else:
        text = f"{why}; starts again at once"
        after = replace(over, state=State.BACKING_OFF, reason=text, due=case.now, cause=why)
    return Lost(after=after, why=why)


def launch_over(memory: Memory, now: float) -> Memory:
    """Give the memory without the launch that is over; its state is still to be filled in."""
    return replace(
        memory,
        since=now,
        pid=0,
        started=0,
        began=0.0,
        ready_since=0.0,
        due=0.0,
        deadline=0.0,
        cause="",
        counts=False,
        gone_since=0.0,
        dead_since=0.0,
    )


def _sequel(case: Case, code: int | None, cause: str, *, asked: bool) -> Sequel:
    wanted, over = case.wanted, launch_over(case.memory, case.now)
    if wanted.removed:
        after = replace(over, state=State.STOPPED, reason=wanted.why)
        return Sequel(text="is forgotten", after=after)
    if not wanted.up:
        after = replace(over, state=State.STOPPED, reason=wanted.why)
        return Sequel(text=f"stays stopped: {wanted.why}", after=after)
    if asked or case.asked:
        planned = is_planned(case.memory) and not case.asked
        reason, cause = (case.memory.cause, PLANNED) if planned else (wanted.why, "")
        after = replace(over, state=State.STARTING, reason=reason, cause=cause)
        return Sequel(text="starts again at once", after=after)
    over = _remembering_excess(case, _rested(case, over))
    stays = _stays(case, code)
    if stays:
        after = replace(over, state=State.STOPPED, reason=stays, quarantined=False, trials=0)
        return Sequel(text=f"stays stopped: {stays}", after=after)
    return _died(case, over, cause)


def _stays(case: Case, code: int | None) -> str:
    """Say why the restart policy leaves it ended; "" where it does not."""
    policy = case.wanted.agent.restart.policy
    excess = _to_blame(case)
    done = code == 0 and not case.memory.counts and not excess
    if policy == "always" or (policy == "on-failure" and not done):
        return ""
    told = excess.why if excess else case.memory.cause if case.memory.counts else ""
    how = told or cause_of(code)
    exited = code is not None and code >= 0 and not excess
    ended = f"it ended with {how}" if exited else f"it ended: {how}"
    return f"{ended}; restart policy is {policy}"


def _died(case: Case, over: Memory, cause: str) -> Sequel:
    """Count the death, and decide when it starts again."""
    now, rule = case.now, case.wanted.agent.restart
    deaths = (*within(over.deaths, rule.window, now), now)
    over = replace(over, deaths=deaths)
    chance = zlib.crc32(over.launch.encode(errors="surrogateescape")) / 2**32
    failed_trial = over.quarantined
    answer = after_trial(over.trials) if failed_trial else after_death(rule, deaths, now, chance)
    advice = _advice(case, over)
    cause, more = advice or cause, f"; {advice}" if advice else ""
    if isinstance(answer, Quarantine):
        after = replace(
            over,
            state=State.FAILED,
            reason=f"{answer.why}; the last: {cause}",
            due=now + answer.delay,
            quarantined=True,
        )
        text = f"quarantined: one trial start in {as_text(answer.delay)}{more}"
        return Sequel(text=text, after=after)
    after = replace(
        over,
        state=State.BACKING_OFF,
        reason=f"{cause}; {answer.why}",
        due=now + answer.delay,
    )
    return Sequel(text=f"{answer.why}{more}", after=after)


def _to_blame(case: Case) -> Excess | None:
    """Give the excess that its end is of, if it is: nobody asked it to end before."""
    memory, excess = case.memory, case.excess
    if excess is None or memory.state is State.STOPPING:
        return None
    after = (memory.dead_since or case.now) - excess.at
    return excess if excess.whole or abs(after) <= BLAMED else None


def _remembering_excess(case: Case, over: Memory) -> Memory:
    """Count an end for want of memory; any other ends the row."""
    excess = _to_blame(case)
    if excess is None or excess.kind != "memory":
        return replace(over, ooms=0, seen=0)
    return replace(over, ooms=over.ooms + 1, seen=max(over.seen, excess.seen))


def _advice(case: Case, over: Memory) -> str:
    """Say what is wrong where it ran out of memory again and again; "" where it did not."""
    excess, limit = case.excess, case.wanted.agent.limits.memory
    if over.ooms < 2 or excess is None:
        return ""
    row = f"out of memory {'twice' if over.ooms == 2 else f'{over.ooms} times'} in a row"
    if limit is None or abs(excess.limit - limit) >= PAGE:
        alone = "it has no limit of its own" if limit is None else f"its limit is {size(limit)}"
        return f"{row}: it had {size(over.seen)} of {size(excess.limit)} that were left; {alone}"
    enough = as_size(-(-over.seen * 3 // (2 * ROUND)) * ROUND)
    short = case.wanted.agent.short
    return (
        f"{row}: its limit of {size(limit)} is too small, it had {size(over.seen)}; "
        f"`hive limits set {short} --memory {enough}`"
    )


def _rested(case: Case, over: Memory) -> Memory:
    """Give the memory without its past where the launch was healthy for long enough."""
    memory = case.memory
    rule = case.wanted.agent.restart
    enough = TRIAL_HEALTHY if memory.quarantined else rule.healthy_after
    if not memory.ready_since or case.now - memory.ready_since < enough:
        return over
    return replace(over, **NO_PAST)


def _processes(targets: tuple[Process, ...]) -> str:
    return f"{len(targets)} process{'' if len(targets) == 1 else 'es'}"
