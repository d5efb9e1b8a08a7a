"""What hive knows of an agent at one moment without asking it: the facts of a check-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import takewhile
from typing import Protocol

from hive.adapters.node import Node
from hive.adapters.store import Store
from hive.conversations import Conversations
from hive.core.checkin import CheckIn, Evidence
from hive.core.messages import Stage
from hive.core.repository import Commit, Tree
from hive.core.shown import state
from hive.core.signs import Source
from hive.core.tasks import Task
from hive.core.world import Memory, Wanted
from hive.governor import Governor


class Team(Protocol):
    """What must be known of the agents, and where it is written down."""

    @property
    def environ(self) -> Callable[[str], Mapping[str, str]]: ...  # noqa: D102
    @property
    def store(self) -> Store: ...  # noqa: D102
    @property
    def wanted(self) -> Mapping[str, Wanted]: ...  # noqa: D102
    @property
    def memory(self) -> Mapping[str, Memory]: ...  # noqa: D102
    @property
    def talks(self) -> Conversations: ...  # noqa: D102
    @property
    def governor(self) -> Governor: ...  # noqa: D102
    @property
    def node(self) -> Node: ...  # noqa: D102


def gather(
    team: Team,
    agent: str,
    *,
    task: Task | None,
    tree: Tree | None,
    before: CheckIn | None,
    paused: str,
    now: float,
) -> Evidence:
    """Give all that is known of an agent now.

    `tree` is its work tree as it was just looked at (None: there is none), `before` its check-in
    before this one, `paused` why it is paused ("": it is not).
    """
    memory = team.memory.get(agent, Memory(agent=agent))
    shown, line = team.talks.shown(agent), team.talks.ears.lines.get(agent)
    known, sub, reason, since = state(memory, shown)
    reports = [one for one in shown.evidence if one.source is Source.REPORT] if shown else []
    found = Evidence(
        agent=agent,
        at=now,
        state=known,
        sub=sub,
        reason=reason,
        speaks=shown is not None and line is not None and line.profile.reads,
        paused=paused,
        turn_at=since,
        worked=shown.condition.worked if shown else 0.0,
        message=reports[0].text if reports else "",
        reported=reports[0].at if reports else 0.0,
        waits=_awaits(team, agent),
        cores=team.node.cores(agent),
        bytes=team.governor.bytes_of(agent),
        tokens=shown.tokens if shown else 0,
        cost=shown.cost if shown else 0.0,
    )
    return _with_tree(_with_task(found, task), tree, before.evidence if before else None)


def _awaits(team: Team, agent: str) -> str:
    """Say for what an agent waits that it was not given yet: an answer, a message."""
    asked = [one for one in team.talks.post.requests() if one.agent == agent]
    if asked:
        return f"a person's answer to {asked[0].name}"
    queued = [one for one in team.talks.outbox.of(agent) if one.stage is Stage.QUEUED]
    return f"{queued[0].name}, which is not typed yet" if queued else ""


def _with_task(found: Evidence, task: Task | None) -> Evidence:
    if task is None:
        return found
    checked = f"its check failed {task.rounds} times" if task.rounds > 1 else "its check failed"
    return replace(
        found,
        task=task.name,
        about=task.job.name,
        progress=task.notes[-1] if task.notes else "",
        progressed=task.heard,
        checked=checked if task.rounds else "",
        waits=found.waits or ("for hive to check what it reported" if task.report else ""),
    )


def _with_tree(found: Evidence, tree: Tree | None, before: Evidence | None) -> Evidence:
    if tree is None:
        return found
    trouble = f"a {tree.operation} is not ended" if tree.operation else ""
    return replace(
        found,
        branch=tree.branch,
        files=tuple(one.path for one in tree.changed),
        head=tree.commit,
        commits=tuple(one.subject for one in _since(tree, before)),
        trouble=trouble or ("" if tree.branch else "its HEAD is detached"),
    )


def _since(tree: Tree, before: Evidence | None) -> Iterator[Commit]:
    """Give the commits since the check-in before, the newest first.

    Where that one's is no more among them, after a rebase say, their times tell: whole seconds.
    """
    if before is None:
        return
    if before.head in {one.hash for one in tree.commits}:
        yield from takewhile(lambda one: one.hash != before.head, tree.commits)
    elif before.head != tree.commit:
        yield from (one for one in tree.commits if one.at >= int(before.at))
