"""What is known of an agent that hands over, beside its tasks: its commits, questions, programs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Protocol

from hive.conversations import Conversations
from hive.core.handoff import Known
from hive.core.repository import Tree
from hive.core.spec import Agent
from hive.core.world import Wanted
from hive.errors import HiveError

Trees = Callable[[str], Tree | None]
"""Gives an agent's work tree as it is known, None where it has none; may raise HiveError."""


class Team(Protocol):
    """What must be known of the agents."""

    @property
    def wanted(self) -> Mapping[str, Wanted]: ...  # noqa: D102
    @property
    def talks(self) -> Conversations: ...  # noqa: D102


def known(team: Team, trees: Trees, agent: str) -> Known:
    """Give what is known of an agent; what can't be looked at is said."""
    tree, trouble = None, ""
    try:
        tree = trees(agent)
    except HiveError as error:
        trouble = error.what
    asks = tuple(
        f"{one.name} ({one.kind}): {one.asked}"
        for one in team.talks.post.requests()
        if one.agent == agent and one.launch
    )
    return Known(tree=tree, trouble=trouble, asks=asks, runs=_runs(team, agent))


def _runs(team: Team, agent: str) -> tuple[str, ...]:
    """Say which ports an agent's team has, and which plain programs it runs."""
    if agent not in team.wanted:
        return ()
    own = team.wanted[agent].agent
    mates = [
        one.agent
        for one in team.wanted.values()
        if one.up and (one.agent.project, one.agent.team) == (own.project, own.team)
    ]
    mates.sort(key=lambda one: one.place)
    return tuple(_program(one) for one in mates if one.voice is None or one.port)


def _program(spec: Agent) -> str:
    """Name a program of a team: a plain one with its command."""
    where = f" on port {spec.port}" if spec.port else ""
    return f"{spec.short}{where}{f': {_command(spec)}' if spec.voice is None else ''}"


def _command(spec: Agent) -> str:
    """Give the command of an agent as its file has it."""
    argv = spec.argv
    shell = len(argv) == 3 and argv[:2] == ("sh", "-c")
    return argv[2] if shell else shlex.join(argv)
