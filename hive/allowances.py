"""The verbs about limits: what is used and allowed, and changes of it.

Limits given to a running team hold until the next deploy, which takes the file's.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hive import accounts
from hive.accounts import BOUND
from hive.core import limits
from hive.core.limits import Ceiling, changed, changed_ceiling
from hive.core.strain import DOING
from hive.core.world import Memory, Wanted
from hive.errors import HiveError
from hive.keeper import Keeper
from hive.views import Strain


class Allowances:
    """What all agents of this node may use, together and each."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._governor = keeper.governor
        for project in self._projects():
            self._bound(project)

    @property
    def strain(self) -> Strain:
        """What hive does against pressure on the machine, as records tell it."""
        strain = self._governor.strain
        return (strain.level, DOING[strain.level], strain.why, strain.since)

    def show(self, chosen: Collection[str]) -> dict[str, Any]:
        """Tell what these agents, and all together, use and may use."""
        governor = self._governor
        return accounts.limits(
            node=platform.node(),
            vitals=governor.vitals,
            total=governor.total,
            means=governor.means,
            strain=self.strain,
            agents=[self._account(one) for one in _in_order(self._keeper.wanted)],
            chosen=chosen,
        )

    def changed(
        self, agents: Sequence[str], changes: Mapping[str, Any]
    ) -> tuple[dict[str, Wanted], dict[str, Any]]:
        """Give these agents with changed limits, and the record that tells of it.

        Raises WrongInput for what the machine can't give.
        """
        vitals = self._governor.vitals
        wanted = {}
        for agent in agents:
            one = self._keeper.wanted[agent]
            after = changed(one.agent.limits, changes, cores=vitals.cores, memory=vitals.memory)
            wanted[agent] = replace(one, agent=replace(one.agent, limits=after))
        return wanted, accounts.limits_set(agents=[one.agent for one in wanted.values()])

    def change_all(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change what all agents share; raises WrongInput for what the machine can't give."""
        vitals, projects = self._governor.vitals, self._projects()
        if not projects:
            raise HiveError("there are no agents yet", fix="hive deploy")
        after = {
            project: changed_ceiling(
                self._governor.ceilings.get(project, Ceiling()),
                changes,
                cores=vitals.cores,
                memory=vitals.memory,
            )
            for project in projects
        }
        for project, ceiling in after.items():
            self.bind(project, limits.to_dict(ceiling))
        total = limits.together(after.values(), cores=vitals.cores, memory=vitals.memory)
        return accounts.limits_set(total=total)

    def differs(self, project: str, ceiling: Mapping[str, Any]) -> bool:
        """Whether this is another ceiling than a project's agents have now."""
        now = self._governor.ceilings.get(project, Ceiling())
        return limits.from_dict(ceiling) != now

    def bind(self, project: str, ceiling: Mapping[str, Any]) -> None:
        """Hold a project's agents to this ceiling from now on."""
        self._keeper.store.note(BOUND + project, json.dumps(ceiling))
        self._bound(project)

    def _account(self, wanted: Wanted) -> accounts.Account:
        governor, agent = self._governor, wanted.agent.id
        return accounts.Account(
            wanted=wanted,
            memory=self._keeper.memory.get(agent, Memory(agent=agent)),
            use=governor.uses.get(agent),
            allowed=governor.allowed.get(agent),
            peak=governor.books.peak(agent),
            held=governor.held(agent),
            rates=governor.books.rates(agent),
            means=governor.means_of(agent),
            doing=governor.doing(agent),
        )

    def _projects(self) -> set[str]:
        return {one.agent.project for one in self._keeper.wanted.values()}

    def _bound(self, project: str) -> None:
        values = json.loads(self._keeper.store.fact(BOUND + project) or "{}")
        self._governor.bind(project, limits.from_dict(values))


def _in_order(wanted: Mapping[str, Wanted]) -> list[Wanted]:
    return sorted(wanted.values(), key=lambda one: one.agent.place)
