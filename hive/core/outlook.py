"""What hive does next with an agent, and when: the sentence that `hive why` ends with.

It tells what `plan` will decide if nothing else happens; it decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable

from hive.core.admission import waiting
from hive.core.ending import cause_of
from hive.core.pausing import UNSTARTED
from hive.core.restart import within
from hive.core.starting import UNMADE, unplaced
from hive.core.units import as_text
from hive.core.wording import ordinal, span
from hive.core.world import Memory, State, TeamMemory, Wanted

Outlook = tuple[str, float | None]
"""What is next, and the moment of it where time alone brings it."""


def outlook(wanted: Wanted, memory: Memory, team: TeamMemory, now: float) -> Outlook:
    """Say what hive does next with this agent, and when (None: no time is set)."""
    if memory.state is State.STOPPING:
        return _stopping(wanted, memory, now)
    if wanted.removed:
        return ("ends it, then forgets it" if memory.live else "forgets it"), None
    if not wanted.up:
        return (f"ends it: {wanted.why}" if memory.live else f"nothing: {wanted.why}"), None
    asked = memory.generation != wanted.generation
    if memory.reason.startswith(UNSTARTED):
        return f"starts it once it is resumed{memory.reason.removeprefix(UNSTARTED)}", None
    free, room, worktree = asked or not team.held, waiting(memory), unplaced(memory)
    if free and (room or worktree):
        return _waiting(room, worktree), None
    if asked:
        return _afresh(wanted, memory), None
    return _BY_STATE[memory.state](wanted, memory, team, now)


def how(code: int | None, cause: str) -> str:
    """Say how a launch ended and why, once where both are the same."""
    ending = cause_of(code)
    return ending if ending == cause or not cause else f"{cause}; {ending}"


def _waiting(room: str, worktree: str) -> str:
    if worktree.startswith(UNMADE):
        return "nothing: its worktree can't be made, and that is tried again only when asked"
    if worktree:
        return f"starts it once its worktree is ready: {worktree}"
    return f"starts it as soon as there is room: {room}"


def _afresh(wanted: Wanted, memory: Memory) -> str:
    """Say what happens to an agent that is to be started, or started anew."""
    if memory.live:
        return f"ends it, then starts it anew: {wanted.why}"
    if wanted.agent.after:
        names = ", ".join(agent.split("/", 1)[-1] for agent in wanted.agent.after)
        return (
            f"starts it as soon as {names} {'is' if len(wanted.agent.after) == 1 else 'are'} ready"
        )
    return f"starts it: {wanted.why}"


def _stopping(wanted: Wanted, memory: Memory, now: float) -> Outlook:
    comes = "starts it anew once it has ended" if wanted.up and not wanted.removed else "ends it"
    if memory.deadline <= 0:
        return comes, None
    patience = span(memory.deadline - now) if memory.deadline > now else ""
    force = f"kills it in {patience} if it has not ended" if patience else "kills it now"
    return f"{force}; {comes}" if wanted.up else force, memory.deadline


def _starting(wanted: Wanted, _memory: Memory, _team: TeamMemory, _now: float) -> Outlook:
    probe = wanted.agent.ready
    if probe is None:
        return "watches it", None
    return (
        f"asks {probe.kind} `{probe.target}` every {as_text(probe.interval)} until it is ready",
        None,
    )


def _ready(wanted: Wanted, memory: Memory, _team: TeamMemory, now: float) -> Outlook:
    age = wanted.agent.limits.max_age
    if age is not None and now - memory.began >= age:
        return f"restarts it at a quiet moment: it has run for {span(now - memory.began)}", None
    then = {
        "always": "starts it again when it ends",
        "on-failure": "starts it again if it fails",
        "never": "leaves it ended when it ends",
    }
    return f"watches it; {then[wanted.agent.restart.policy]}", None


def _backing_off(wanted: Wanted, memory: Memory, team: TeamMemory, now: float) -> Outlook:
    if team.held:
        return _held(wanted), None
    rule = wanted.agent.restart
    deaths = len(within(memory.deaths, rule.window, now))
    place = f" ({ordinal(deaths)} of {rule.attempts} deaths in {as_text(rule.window)})"
    when = f"in {span(memory.due - now)}" if memory.due > now else "now"
    return f"starts it again {when}{place if deaths else ''}", memory.due or None


def _failed(wanted: Wanted, memory: Memory, team: TeamMemory, now: float) -> Outlook:
    if team.held:
        return _held(wanted), None
    again = f"`hive start {wanted.agent.short}` starts it at once"
    if not memory.due:
        return f"nothing by itself; {again}", None
    when = f"in {span(memory.due - now)}" if memory.due > now else "now"
    return f"one trial start {when}; {again}", memory.due


def _stopped(wanted: Wanted, memory: Memory, _team: TeamMemory, _now: float) -> Outlook:
    return f"nothing: {memory.reason}; `hive start {wanted.agent.short}` starts it", None


def _held(wanted: Wanted) -> str:
    team = wanted.agent.team
    return f"nothing by itself: team `{team}` is held; `hive start {team}` lets it go"


_BY_STATE: dict[State, Callable[[Wanted, Memory, TeamMemory, float], Outlook]] = {
    State.STARTING: _starting,
    State.READY: _ready,
    State.BACKING_OFF: _backing_off,
    State.FAILED: _failed,
    State.STOPPED: _stopped,
}
