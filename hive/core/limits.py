"""What agents may use of the machine: each one's own limits, and what they share.

CPU is in cores, memory in bytes, time in seconds; None is no limit. These are plain values:
`core.model` reads them from the file, `core.checks` holds them against the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Priority = Literal["low", "normal", "high"]

PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")
"""In the order in which agents are given up under pressure."""

PROCESSES = 1000
"""How many processes an agent may have where nobody says how many: a fork bomb has more."""

SOFT = 0.8
"""The soft limit's share of the hard one where nobody says what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one agent's whole process tree may use.

    `soft` is in bytes too: from there on hive says so. After `max_age` the agent is restarted
    at a quiet moment.
    """

    cpu: float | None = None
    memory: int | None = None
    soft: int | None = None
    max_age: float | None = None
    processes: int = PROCESSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """An amount, or a share (`of_machine`, 0.5 is half) of what the machine has."""

    amount: float
    of_machine: bool = False

    def of(self, whole: float) -> float:
        """Give the amount on a machine that has `whole`."""
        return self.amount * whole if self.of_machine else self.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What all agents together may use, as one file's [limits] says it.

    `cpu` is in cores, `memory` and `reserve` in bytes. `reserve` is what stays free for the
    person; None is `reserve_of`. `admission` says whether agents wait for room at all.
    """

    cpu: Portion | None = None
    memory: Portion | None = None
    agents: int | None = None
    reserve: Portion | None = None
    admission: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What all agents of this machine together may use: the strictest of all ceilings."""

    cpu: float | None = None
    memory: int | None = None
    agents: int | None = None
    reserve: int = 0
    admission: bool = True


def reserve_of(memory: int) -> int:
    """Give the reserve where nobody says one: a twentieth of the memory, 1 GiB at most."""
    return min(memory // 20, 1 << 30)


def together(ceilings: Iterable[Ceiling], *, cores: int, memory: int) -> Total:
    """Give the strictest of these ceilings on a machine with so many cores and so much memory."""
    found = list(ceilings)
    cpus = [one.cpu.of(cores) for one in found if one.cpu]
    memories = [one.memory.of(memory) for one in found if one.memory]
    agents = [one.agents for one in found if one.agents is not None]
    reserves = [one.reserve.of(memory) for one in found if one.reserve]
    return Total(
        cpu=min(cpus, default=None),
        memory=int(min(memories)) if memories else None,
        agents=min(agents, default=None),
        reserve=int(max(reserves)) if reserves else reserve_of(memory),
        admission=all(one.admission for one in found),
    )


def to_dict(ceiling: Ceiling) -> dict[str, Any]:
    """Give a ceiling as JSON-ready values."""
    return asdict(ceiling)


def from_dict(values: Mapping[str, Any]) -> Ceiling:
    """Read back what `to_dict` gave; keys it does not know are left out."""
    portions = {
        key: Portion(**values[key]) if values.get(key) else None
        for key in ("cpu", "memory", "reserve")
    }
    return Ceiling(agents=values.get("agents"), admission=values.get("admission", True), **portions)
