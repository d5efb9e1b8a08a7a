"""What the machine has left for agents that are to start, and what their programs need of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hive.berths import Running
from hive.core.admission import program_of
from hive.core.limits import Total
from hive.core.strain import Strain
from hive.core.vitals import Vitals
from hive.core.world import Room, Use

YOUNG = 10.0
"""For so many seconds a launch counts as starting."""

BUSY = 0.05
"""An agent that uses more cores, or is held back, wants a share of the processor."""

FORGOTTEN = 1800.0
"""Seconds after which half of what a program once needed, and needs no more, is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All agents at one look: who runs, what each uses, and how much each is held back (0 to 1)."""

    running: Mapping[str, Running]
    uses: Mapping[str, Use]
    held: Mapping[str, float]


class Vacancy:
    """How much room there is, look by look; `now` is in epoch seconds."""

    def __init__(self) -> None:
        self._needs: dict[str, int] = {}
        self._learnt = 0.0

    def room(
        self, seen: Seen, vitals: Vitals, total: Total, strain: Strain, now: float
    ) -> Room | None:
        """Say what is left; None where nobody has to wait for room."""
        self._learn(seen, now)
        if not total.admission:
            return None
        left = vitals.available - total.reserve
        if total.memory is not None:
            left = min(left, total.memory - sum(one.memory for one in seen.uses.values()))
        busy = [
            agent
            for agent, use in seen.uses.items()
            if use.cpu >= BUSY or seen.held.get(agent, 0.0) > 0
        ]
        return Room(
            closed=strain.why if strain.level else "",
            agents=total.agents,
            memory=left,
            cores=total.cpu or vitals.cores,
            busy=len(busy),
            needs=dict(self._needs),
            starting=_starting(seen.running, now),
        )

    def _learn(self, seen: Seen, now: float) -> None:
        """Learn what programs need; what one of them once had counts less and less."""
        left = 0.5 ** (max(0.0, now - self._learnt) / FORGOTTEN)
        self._learnt = now
        self._needs = {program: int(need * left) for program, need in self._needs.items()}
        for agent, one in seen.running.items():
            if now - one.began > YOUNG:
                program = program_of(one.spec.argv)
                memory = seen.uses[agent].memory
                self._needs[program] = max(self._needs.get(program, 0), memory)


def _starting(running: Mapping[str, Running], now: float) -> dict[str, float]:
    """Give by program how many cores its young launches have used since they began."""
    found: dict[str, float] = {}
    for one in running.values():
        age = now - one.began
        if 0 <= age < YOUNG:
            program = program_of(one.spec.argv)
            cores = sum(process.cpu for process in one.tree) / max(age, 0.5)
            found[program] = found.get(program, 0.0) + cores
    return found
