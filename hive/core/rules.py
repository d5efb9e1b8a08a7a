"""The rules of work of one project, as the [work] table of its file says them.

Plain values: `core.model` reads them from the file. Durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Strategy = Literal["capability", "least-busy", "resource", "round-robin", "weighted"]

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
"""The ways to choose of the agents that may have a task the one that gets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the tasks of one project are handed out, and when they count as done.

    `strategy` chooses of the agents that may have a task. A lease of `lease` seconds is renewed
    while its agent lives. Of a task without a check, the agent's confidence decides: from
    `accept` on it is believed, from `log` on believed and noted, from `review` on reviewed by
    somebody of the role `reviewer`, and below that a person decides. After `rounds` failed checks
    an attempt has failed.

    The others are what a task has that doesn't say otherwise, as in `tasks.Job`.
    """

    strategy: Strategy = "capability"
    lease: float = 30.0
    accept: float = 0.9
    log: float = 0.8
    review: float = 0.7
    reviewer: str = "reviewer"
    rounds: int = 3
    retries: int = 2
    backoff: float = 5.0
    longest: float = 600.0
    delivery: float = 300.0
    progress: float = 0.0
    timeout: float = 0.0
    check_timeout: float = 600.0


def to_dict(rules: Rules) -> dict[str, Any]:
    """Give the rules as JSON-ready values."""
    return asdict(rules)


def from_dict(values: Mapping[str, Any]) -> Rules:
    """Read back what `to_dict` gave, after a trip through JSON; unknown keys are left out."""
    known = {one.name for one in fields(Rules)}
    return Rules(**{key: value for key, value in values.items() if key in known})
