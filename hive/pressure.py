"""What hive does while the machine is under pressure, kept from look to look, and told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hive.berths import Running
from hive.core import strain
from hive.core.limits import Total
from hive.core.news import News
from hive.core.strain import Candidate, Strain
from hive.core.vitals import Vitals
from hive.core.world import Use


class Pressure:
    """How far hive has gone against the pressure on the machine."""

    def __init__(self) -> None:
        self.strain = Strain()
        self._launches: dict[str, str] = {}

    def pauses(self, agent: str, one: Running) -> bool:
        """Whether this launch is to stand still; never one that is to end, nor the next one."""
        return self._launches.get(agent) == one.launch and not one.stopping

    def cpu(self, total: Total, cores: float) -> float | None:
        """Give how many cores all agents may use together now; None is all there are."""
        if self.strain.level < strain.RATIONED:
            return total.cpu if total.cpu is not None and total.cpu < cores else None
        return min(total.cpu or cores, cores * strain.RATION)

    def step(
        self,
        vitals: Vitals,
        total: Total,
        running: Mapping[str, Running],
        uses: Mapping[str, Use],
        now: float,
    ) -> list[News]:
        """Go on or back where it is time to; gives what is to be written down."""
        before = self.strain
        candidates = {
            agent: Candidate(
                priority=one.spec.priority, cpu=uses[agent].cpu, memory=uses[agent].memory
            )
            for agent, one in running.items()
            if agent not in before.paused and not one.stopping and one.spec.role != "server"
        }
        after = strain.step(before, vitals, total, candidates, now)
        known = self._launches
        self._launches = {
            agent: known.get(agent, running[agent].launch)
            for agent in after.paused
            if agent in running
        }
        paused = (one for one in self._launches if self.pauses(one, running[one]))
        self.strain = replace(after, paused=tuple(paused))
        self._launches = {agent: self._launches[agent] for agent in self.strain.paused}
        return list(_told(before, self.strain, running))


def _told(before: Strain, after: Strain, running: Mapping[str, Running]) -> Iterator[News]:
    if after.level != before.level:
        doing = strain.DOING[after.level] or "does as always"
        over = f"there is {'less' if after.level else 'no more'} pressure"
        why = after.why if after.level > before.level else over
        yield News(agent="", kind="pressure", text=f"hive {doing}: {why}")
    for agent in after.paused:
        if agent not in before.paused:
            yield News(agent=agent, kind="paused", text=after.why)
    for agent in before.paused:
        if agent not in after.paused and agent in running and not running[agent].stopping:
            yield News(agent=agent, kind="resumed", text="there is room again")
