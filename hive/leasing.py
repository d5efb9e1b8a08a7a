"""Ports and names that are leased to agents, kept in the store over deploys and restarts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from hive.adapters import ports
from hive.adapters.store import Store
from hive.core.leases import Key, Want, allot
from hive.core.spec import Agent
from hive.core.world import Wanted

FACT = "leases"
"""The fact under which they are kept: by agent and variable."""


def lease(
    store: Store | None,
    agents: Sequence[Agent],
    wanted: Mapping[str, Wanted],
    *,
    keep: bool = True,
) -> list[Agent]:
    """Give the agents of a file with what they lease in their environment.

    Whoever is wanted, of this file or another, keeps what they have; what is held by an agent
    that is neither wanted nor in the file is let go. Where it is not to be kept (a dry run)
    nothing is written. Raises WrongInput where no port is left.
    """
    before = _held(store)
    if not before and not any(one.plot for one in agents):
        return list(agents)
    known = {name: one.agent for name, one in wanted.items()} | {one.id: one for one in agents}
    held = {key: value for key, value in before.items() if key[0] in known}
    told = {one.port for one in known.values() if one.port}
    found = _allotted([_want(one) for one in agents], held, told)
    if keep and store and found != before:
        store.note(FACT, json.dumps(_by_agent(found), sort_keys=True))
    return [_leased(one, found) for one in agents]


def _held(store: Store | None) -> dict[Key, str]:
    """Give what is held, by agent and variable."""
    text = store.fact(FACT) if store else None
    kept: Mapping[str, Mapping[str, str]] = json.loads(text or "{}")
    return {(agent, one): value for agent, all_ in kept.items() for one, value in all_.items()}


def _allotted(
    wanted: Sequence[Want], held: Mapping[Key, str], told: Collection[int]
) -> dict[Key, str]:
    """Allot until no port that is new is in use by some other program."""
    taken: set[int] = set()
    while True:
        found = allot(wanted, held, taken=taken, told=told)
        new = {value for key, value in found.items() if held.get(key) != value}
        busy = ports.taken(int(value) for value in new if value.isdecimal())
        if not busy:
            return found
        taken |= busy


def _want(agent: Agent) -> Want:
    plot = agent.plot
    if plot is None:
        return Want(agent=agent.id)
    return Want(agent=agent.id, ports=plot.ports, names=plot.names)


def _leased(agent: Agent, found: Mapping[Key, str]) -> Agent:
    """Give an agent with what it leases after the variables of its file."""
    want = _want(agent)
    extra = [(one, found[agent.id, one]) for one in (*want.ports, *want.names)]
    return replace(agent, env=(*agent.env, *extra)) if extra else agent


def _by_agent(found: Mapping[Key, str]) -> dict[str, dict[str, str]]:
    kept: dict[str, dict[str, str]] = {}
    for (agent, variable), value in found.items():
        kept.setdefault(agent, {})[variable] = value
    return kept
