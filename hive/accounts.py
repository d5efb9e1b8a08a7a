"""Records of limits: what agents use, what they may use, and what hive does about it.

Pure like `views`: values come in, the JSON-ready shapes that docs/json.md promises come out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from hive.core.accounting import Rates
from hive.core.admission import waiting
from hive.core.advice import Advice
from hive.core.amounts import as_size
from hive.core.limits import Total
from hive.core.names import pool
from hive.core.spec import Agent
from hive.core.vitals import Vitals
from hive.core.world import Memory, Use, Wanted
from hive.views import VERSION, Record, Strain, short, strain_record

BOUND = "limits:"
"""The fact under which the ceiling of a project's agents is kept."""

UNTIL = "the next `hive deploy`"
"""How long limits hold that were changed while agents run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One agent's limits and what it uses of them.

    `allowed` is how many cores it gets now: its limit, or its share of what all get; None is
    any. `peak` is the most bytes it was seen to use (0: unknown), `held` the share of the time
    in which it is kept from the processor, `rates` what it reads, writes, receives and sends.
    `means` holds the limits; `doing` says what hive does about them now, "" for nothing.
    """

    wanted: Wanted
    memory: Memory
    use: Use | None = None
    allowed: float | None = None
    peak: int = 0
    held: float = 0.0
    rates: Rates | None = None
    means: str = ""
    doing: str = ""


def limits(
    *,
    node: str,
    vitals: Vitals | None,
    total: Total,
    means: tuple[str, str],
    strain: Strain,
    agents: Sequence[Account],
    chosen: Container[str] | None = None,
) -> Record:
    """Build the answer to `limits`; `means` is by what limits are held, and how to do better.

    `vitals` are None, and the name of the means is empty, where no supervisor looks. `agents`
    are all there are, because totals are of all; only those `chosen` (ids) are listed, all of
    them where it is None.
    """
    name, better = means
    return {
        "version": VERSION,
        "node": node,
        "machine": _machine_record(vitals) if vitals else None,
        "total": _total_use(total, agents, seen=vitals is not None),
        "means": {"name": name, "better": better},
        "strain": strain_record(strain),
        "agents": [
            _account_record(one)
            for one in agents
            if chosen is None or one.wanted.agent.id in chosen
        ],
    }


def limits_set(*, agents: Iterable[Agent] = (), total: Total | None = None) -> Record:
    """Build the answer to `set_limits`: the limits that hold now for these agents, or for all."""
    return {
        "version": VERSION,
        "agents": [_limits_record(agent) for agent in agents],
        "total": _total_record(total) if total else None,
        "until": UNTIL,
    }


def advice(found: Iterable[Advice]) -> Record:
    """Build the answer to `advise`: what agents used, and the limits that would suit that."""
    listed = list(found)
    return {
        "version": VERSION,
        "agents": [_advice_record(one) for one in listed],
        "keep": _lines(listed),
    }


def table_of(agent: str) -> str:
    """Name the table of hive.toml that an agent (id) comes from; a pool's members share one."""
    _, team, name = agent.split("/")
    return f"[teams.{team}.agents.{pool(name) or name}]"


def _account_record(account: Account) -> Record:
    agent, use, own = account.wanted.agent, account.use, account.wanted.agent.limits
    rates = account.rates or Rates()
    return {
        "agent": agent.short,
        "id": agent.id,
        "team": agent.team,
        "state": account.memory.state.value,
        "priority": agent.priority,
        "means": account.means,
        "cpu": {
            "used": _rounded(use.cpu) if use else None,
            "allowed": _rounded(account.allowed),
            "limit": own.cpu,
        },
        "memory": {
            "used": use.memory if use else None,
            "soft": own.soft,
            "limit": own.memory,
            "peak": account.peak or None,
        },
        "processes": {"used": use.processes if use else None, "limit": own.processes},
        "max_age": own.max_age,
        "disk": _pair("read", rates.read, "written", rates.written),
        "network": _pair("received", rates.received, "sent", rates.sent),
        "held": round(account.held, 3),
        "doing": account.doing or (account.memory.reason if waiting(account.memory) else ""),
    }


def _total_use(total: Total, agents: Sequence[Account], *, seen: bool) -> Record:
    """Tell what all agents use together, of what they may."""
    uses = [one.use for one in agents if one.use]
    return {
        "cpu": {
            "used": _rounded(sum(one.cpu for one in uses)) if seen else None,
            "allowed": _rounded(total.cpu),
        },
        "memory": {
            "used": sum(one.memory for one in uses) if seen else None,
            "allowed": total.memory,
        },
        "agents": {
            "used": sum(one.memory.live for one in agents) if seen else None,
            "allowed": total.agents,
        },
        "reserve": total.reserve,
        "admission": total.admission,
    }


def _total_record(total: Total) -> Record:
    return {
        "cpu": _rounded(total.cpu),
        "memory": total.memory,
        "agents": total.agents,
        "reserve": total.reserve,
        "admission": total.admission,
    }


def _limits_record(agent: Agent) -> Record:
    own = agent.limits
    return {
        "agent": agent.short,
        "id": agent.id,
        "cpu": own.cpu,
        "memory": own.memory,
        "soft": own.soft,
        "max_age": own.max_age,
        "processes": own.processes,
    }


def _machine_record(vitals: Vitals) -> Record:
    return {
        "cores": vitals.cores,
        "memory": vitals.memory,
        "available": vitals.available,
        "load": round(vitals.load, 2),
        "busy": _rounded(vitals.busy),
        "stalls": {
            "cpu": vitals.cpu_stall,
            "memory": vitals.memory_stall,
            "memory_full": vitals.memory_full,
            "io": vitals.io_stall,
        },
    }


def _pair(name: str, rate: float | None, other: str, back: float | None) -> Record | None:
    """Give two rates, in bytes a second; None where nobody can tell them."""
    return None if rate is None or back is None else {name: round(rate), other: round(back)}


def _advice_record(one: Advice) -> Record:
    return {
        "agent": short(one.agent),
        "id": one.agent,
        "seen_for": round(one.seconds),
        "memory": {
            "typical": round(one.memory.median),
            "high": round(one.memory.most),
            "peak": round(one.memory.peak),
            "limit": one.memory_limit,
            "recommended": one.memory_recommended,
            "verdict": one.memory_verdict.word,
            "text": one.memory_verdict.text,
        },
        "cpu": {
            "typical": _rounded(one.cpu.median),
            "high": _rounded(one.cpu.most),
            "peak": _rounded(one.cpu.peak),
            "limit": one.cpu_limit,
            "recommended": one.cpu_recommended,
            "verdict": one.cpu_verdict.word,
            "text": one.cpu_verdict.text,
        },
        "held": round(one.held, 3),
        "ooms": one.ooms,
        "leak": one.leaking or None,
    }


def _lines(found: Iterable[Advice]) -> list[str]:
    """Write what is recommended instead of what is as lines of hive.toml.

    Of a pool's members the one that needs most counts.
    """
    cpus: dict[str, float] = {}
    memories: dict[str, int] = {}
    for one in found:
        table = table_of(one.agent)
        if one.cpu_recommended is not None and one.cpu_verdict.word != "fits":
            cpus[table] = max(cpus.get(table, 0.0), one.cpu_recommended)
        if one.memory_recommended is not None and one.memory_verdict.word != "fits":
            memories[table] = max(memories.get(table, 0), one.memory_recommended)
    lines: list[str] = []
    for table in dict.fromkeys((*cpus, *memories)):
        lines.append(table)
        lines += [f'cpu = "{cpus[table] * 100:.0f}%"'] if table in cpus else []
        lines += [f'memory = "{as_size(memories[table])}"'] if table in memories else []
    return lines


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
