"""What hive does while the machine is under pressure, kept from look to look, and told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from hive.berths import Running
from hive.core import strain
from hive.core.limits import Total
from hive.core.strain import Candidate, Strain
from hive.core.vitals import Vitals
from hive.core.world import Use


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something to be written down: `agent` is "" where it concerns them all."""

    agent: str
    kind: str
    text: str


class Pressure:
    """How far hive has gone against the pressure on the machine."""

    def __init__(self) -> None:
        self.strain = Strain()

    def cpu(self, total: Total, cores: float) -> float | None:
        """Give how many cores all agents may use together now; None is any."""
        if self.strain.level < strain.RATIONED:
            return total.cpu
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
            if agent not in before.paused and not one.stopping
        }
        after = strain.step(before, vitals, total, candidates, now)
        paused = tuple(agent for agent in after.paused if agent in running)
        self.strain = replace(after, paused=paused)
        return list(_told(before, self.strain, running))


def _told(before: Strain, after: Strain, running: Mapping[str, Running]) -> Iterator[News]:
    if after.level != before.level:
        doing = strain.DOING[after.level] or "does as always"
        why = after.why or "the pressure is over"
        yield News(agent="", kind="pressure", text=f"hive {doing}: {why}")
    for agent in after.paused:
        if agent not in before.paused:
            yield News(agent=agent, kind="paused", text=after.why)
    for agent in before.paused:
        if agent not in after.paused and agent in running:
            yield News(agent=agent, kind="resumed", text="there is room again")
