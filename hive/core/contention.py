"""Whom to ask for a lock that others have been waiting for too long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hive.core.locks import Wait, conflict, want
from hive.core.tasks import Held
from hive.core.wording import span
from hive.errors import WrongInput

PATIENCE = 300.0
"""How many seconds somebody waits for a lock before its holder is asked."""

AGAIN = 600.0
"""How many seconds pass before the same holder is asked again."""


def nudges(
    held: Sequence[Held], waits: Iterable[Wait], now: float, told: Mapping[str, float]
) -> list[tuple[str, str]]:
    """Give the agents to be asked to let go of what others wait for, each with what to tell it.

    A wait's holder is an agent's id or a task's name. `told` is by agent when it was last asked.
    """
    lines: dict[str, list[str]] = {}
    for wait in sorted(waits, key=lambda one: (-one.priority, one.since)):
        if now - wait.since < PATIENCE:
            continue
        one = _holding(wait, held)
        if one is None or now - told.get(one.agent, -AGAIN) < AGAIN:
            continue
        lines.setdefault(one.agent, []).append(_line(wait, one, now))
    return [(agent, "\n".join(dict.fromkeys(said))) for agent, said in lines.items()]


def _holding(wait: Wait, held: Sequence[Held]) -> Held | None:
    """Give the lock that is in the way of a wait; None for a wait for anything else."""
    try:
        wanted = want(wait.wants)
    except WrongInput:  # `a reply` is no lock
        return None
    mine = (one for one in held if wait.holder in {one.agent, f"t-{one.task}"})
    return next((one for one in mine if conflict(wanted, one)), None)


def _line(wait: Wait, held: Held, now: float) -> str:
    who = wait.who.split("/", 1)[-1]  # an agent without its project
    since = f"{who} has waited {span(now - wait.since)} for {wait.wants}"
    if held.task:
        what = f"your task t-{held.task} has {held.name}: finish it soon, or say why not"
        return f"{since}; {what}: hive task progress"
    return f"{since}; let go of {held.name} as soon as you can: hive unlock {held.name}"
