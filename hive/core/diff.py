"""What a deploy changes: the file's agents against those that were wanted before.

What runs as it should is left alone. A change of what a program was started with needs a
restart; any other change takes hold without one. Values are never told: they may be secrets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from hive.core.spec import RUNS, Agent
from hive.core.world import Wanted

Kind = Literal["start", "restart", "update", "stop", "keep"]

VERB = "`hive deploy`"
GONE = "it is no longer in the file"

SAID = {
    "argv": "command",
    "env": "environment",
    "dress": "brief, or how it is started and spoken to,",
    "voice": "way of being spoken to",
    "socket": "tmux server",
    "window": "window's name",
    "order": "place",
    "ready": "ready probe",
    "alive": "alive probe",
    "restart": "restart rule",
    "stop": "stop rule",
    "after": "list of those it waits for",
    "plot": "worktree",
}
"""How people say a field, where it is not by its own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of one agent, by its id, and why."""

    agent: str
    kind: Kind
    why: str


def compare(
    wanted: Mapping[str, Wanted],
    agents: Sequence[Agent],
    *,
    project: str,
    teams: Collection[str] | None = None,
) -> tuple[Change, ...]:
    """Tell what a deploy of this project's `agents` changes, in the file's order.

    `teams` selects some teams; None is all, those included that the file no longer has.
    """
    chosen = [agent for agent in agents if teams is None or agent.team in teams]
    listed = {agent.id for agent in agents}
    gone = [
        name
        for name, one in wanted.items()
        if name not in listed
        and not one.removed
        and one.agent.project == project
        and (teams is None or one.agent.team in teams)
    ]
    return (
        *(_change(wanted.get(agent.id), agent) for agent in chosen),
        *(Change(agent=name, kind="stop", why=GONE) for name in sorted(gone)),
    )


def apply(
    wanted: Mapping[str, Wanted], changes: Sequence[Change], agents: Sequence[Agent]
) -> dict[str, Wanted]:
    """Give what is wanted once the changes are made, of those agents that change."""
    specs = {agent.id: agent for agent in agents}
    return {
        change.agent: _changed(wanted.get(change.agent), specs.get(change.agent), change)
        for change in changes
        if change.kind != "keep"
    }


def _change(before: Wanted | None, agent: Agent) -> Change:
    if before is None:
        return Change(agent=agent.id, kind="start", why="it is new")
    if before.removed:
        return Change(agent=agent.id, kind="start", why="it is in the file again")
    if not before.up:
        return Change(agent=agent.id, kind="start", why=_was(before.why))
    differing = _differing(before.agent, agent)
    if not differing:
        return Change(agent=agent.id, kind="keep", why="it is as it should be")
    changed = ", ".join(f"its {SAID.get(name, name)}" for name in differing)
    fresh = any(name in RUNS for name in differing)
    return Change(agent=agent.id, kind="restart" if fresh else "update", why=f"{changed} changed")


def _was(why: str) -> str:
    return f"was {why}" if why.startswith("stopped") else f"was down: {why}"


def _differing(before: Agent, after: Agent) -> list[str]:
    """Name the fields that differ, those that need a restart first."""
    names = [field.name for field in fields(Agent) if field.name not in RUNS]
    return [name for name in (*RUNS, *names) if getattr(before, name) != getattr(after, name)]


def _changed(before: Wanted | None, agent: Agent | None, change: Change) -> Wanted:
    if before is None or agent is None:
        return _born_or_gone(before, agent, change)
    if change.kind == "update":
        return replace(before, agent=agent)
    return Wanted(
        agent=agent,
        generation=before.generation + 1,
        why=VERB if change.kind == "start" else f"{VERB}: {change.why}",
    )


def _born_or_gone(before: Wanted | None, agent: Agent | None, change: Change) -> Wanted:
    if agent is not None:
        return Wanted(agent=agent, why=VERB)
    if before is None:
        raise ValueError(f"a change of an agent that nobody knows: {change.agent}")
    return replace(before, up=False, removed=True, why=change.why)
