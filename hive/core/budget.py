"""What the agents of a project have cost against what they may cost, in dollars.

What a program tells is a total of one conversation. So the highest total of each counts, and the
sum of these goes on when a conversation ends, is lost, or is resumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import fsum, isfinite

NEARLY = 0.8
"""The share of a budget from which on it is said that it will be used up."""


def counted(spent: Mapping[str, float], session: str, cost: float) -> Mapping[str, float]:
    """Add what a conversation is told to have cost; a total never goes down.

    What has no name yet is told again as soon as it has one, so it is not counted.
    """
    if not session or not isfinite(cost) or cost <= spent.get(session, 0.0):
        return spent
    return {**spent, session: cost}


def total(costs: Iterable[Mapping[str, float]]) -> float:
    """Give what all these agents' conversations have cost together."""
    return fsum(cost for spent in costs for cost in spent.values())


def used_up(spent: float, budget: float | None, granted: float = 0.0) -> str:
    """Say that a budget is used up; "" while it is not, or where there is none.

    `granted` is what a person has allowed on top of it.
    """
    if budget is None or spent < budget + granted:
        return ""
    return f"the budget is used up: {_dollars(spent)} of {_allowed(budget, granted)}"


def nearly(spent: float, budget: float | None, granted: float = 0.0) -> str:
    """Say that a budget will soon be used up; "" while it will not, or already is."""
    if budget is None or not NEARLY * (budget + granted) <= spent < budget + granted:
        return ""
    return f"the budget is nearly used up: {_dollars(spent)} of {_allowed(budget, granted)}"


def _allowed(budget: float, granted: float) -> str:
    return f"{_dollars(budget)} and {_dollars(granted)} on top" if granted else _dollars(budget)


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}"
