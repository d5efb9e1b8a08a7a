"""Which processes belong to which agent.

A process is an agent's when it descends from the root of the agent's pane, or when its
environment bears the agent's tag, or when it descends from one that does. What once was an
agent's stays an agent's, so that a process which left its parents is still found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STATE = "HIVE_STATE"
"""The variable that names the state directory of the hive that started a process."""

AGENT = "HIVE_AGENT"
LAUNCH = "HIVE_LAUNCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process at one look.

    `started` is the kernel's start time: with `pid` it names the process for good. Its unit is
    the platform's; who started later has no smaller one. `cpu` is in seconds, reaped children
    included. `state` is the kernel's letter; `Z` and `X` are dead, `T` is stopped. `memory` is
    what is resident, in bytes, pages that others share included.
    """

    pid: int
    parent: int
    session: int
    started: int
    state: str
    cpu: float
    name: str
    memory: int = 0

    @property
    def dead(self) -> bool:
        """Whether it has ended and only waits to be reaped."""
        return self.state in {"Z", "X"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """What hive put into the environment of everything an agent starts."""

    agent: str
    launch: str


def tag(environ: Mapping[str, str], state: str) -> Tag | None:
    """Read the tag that the hive of this state directory put into an environment, if it did."""
    if environ.get(STATE) != state or not environ.get(AGENT):
        return None
    return Tag(agent=environ[AGENT], launch=environ.get(LAUNCH, ""))
