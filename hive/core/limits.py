"""What agents may use of the machine: each one's own limits, and what they share.

CPU is in cores, memory in bytes, time in seconds; None is no limit. These are plain values:
`core.model` reads them from the file, `core.checks` holds them against the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from hive.core.wording import size
from hive.errors import WrongInput

Priority = Literal["low", "normal", "high"]

PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")
"""In the order in which agents are given up under pressure."""

VARIABLE = "HIVE_LIMITS"
"""The environment variable that says by which means limits are held, whatever else there is."""

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
    person; None is `reserve_of`. `budget` is in dollars. `admission` says whether agents wait
    for room at all.
    """

    cpu: Portion | None = None
    memory: Portion | None = None
    agents: int | None = None
    reserve: Portion | None = None
    budget: float | None = None
    admission: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What all agents of this machine together may use: the strictest of all ceilings."""

    cpu: float | None = None
    memory: int | None = None
    agents: int | None = None
    reserve: int = 0
    budget: float | None = None
    admission: bool = True


_ALL = ("cpu", "memory", "reserve")
"""What of a ceiling is a portion of the machine."""

_SOFT = "give `--memory-soft` less than the limit, or a share of it such as `80%`"


def reserve_of(memory: int) -> int:
    """Give the reserve where nobody says one: a twentieth of the memory, 1 GiB at most."""
    return min(memory // 20, 1 << 30)


def together(ceilings: Iterable[Ceiling], *, cores: float, memory: int) -> Total:
    """Give the strictest of these ceilings on a machine with so many cores and so much memory."""
    found = list(ceilings)
    cpus = [one.cpu.of(cores) for one in found if one.cpu]
    memories = [one.memory.of(memory) for one in found if one.memory]
    agents = [one.agents for one in found if one.agents is not None]
    budgets = [one.budget for one in found if one.budget is not None]
    reserves = [one.reserve.of(memory) for one in found if one.reserve]
    return Total(
        cpu=min(cpus, default=None),
        memory=int(min(memories)) if memories else None,
        agents=min(agents, default=None),
        reserve=int(max(reserves)) if reserves else reserve_of(memory),
        budget=min(budgets, default=None),
        admission=all(one.admission for one in found),
    )


def changed(limits: Limits, changes: Mapping[str, Any], *, cores: float, memory: int) -> Limits:
    """Give an agent's limits with these changes, on a machine with so many cores and bytes.

    `soft` may be `{"share": 0.8}` of the hard limit; where only `memory` changes, it keeps its
    share. Raises WrongInput for what can't be.
    """
    values = {**asdict(limits), **changes}
    hard, soft = values["memory"], values["soft"]
    if "soft" not in changes and "memory" in changes:
        share = limits.soft / limits.memory if limits.soft and limits.memory else SOFT
        soft = int(hard * share) if hard else None
    elif isinstance(soft, Mapping):
        if not hard:
            raise WrongInput("a soft limit in percent needs a memory limit", fix=_SOFT)
        soft = int(hard * soft["share"])
    after = Limits(**{**values, "soft": soft})
    if after.soft and after.memory and after.soft > after.memory:
        what = f"the soft limit ({size(after.soft)}) is above the hard one ({size(after.memory)})"
        raise WrongInput(what, fix=_SOFT)
    _refuse_more(after.cpu, cores, "a CPU limit of {:g} cores is more than the {:g} there are")
    if after.memory and after.memory > memory:
        what = f"{size(after.memory)} is more memory than this machine has ({size(memory)})"
        raise WrongInput(what, fix="choose less, or `none` for no limit")
    return after


def changed_ceiling(
    ceiling: Ceiling, changes: Mapping[str, Any], *, cores: float, memory: int
) -> Ceiling:
    """Give a ceiling with these changes: portions as `to_dict` writes them.

    Raises WrongInput for more than the machine has.
    """
    values: dict[str, Any] = {
        key: Portion(**one) if one and key in _ALL else one for key, one in changes.items()
    }
    after = replace(ceiling, **values)
    if after.cpu:
        _refuse_more(after.cpu.of(cores), cores, "{:g} cores are more than the {:g} there are")
    if after.memory and after.memory.of(memory) > memory:
        what = f"{size(after.memory.of(memory))} is more than this machine has ({size(memory)})"
        raise WrongInput(what, fix="choose less, or `none` for no limit")
    if after.reserve and after.reserve.of(memory) >= memory:
        what = f"a reserve of {size(after.reserve.of(memory))} leaves nothing of {size(memory)}"
        raise WrongInput(what, fix="choose less")
    return after


def _refuse_more(wanted: float | None, cores: float, text: str) -> None:
    if wanted is not None and wanted > cores:
        fix = f"for percent write `{wanted:g}%`; `none` is no limit"
        raise WrongInput(text.format(wanted, cores), fix=fix)


def to_dict(ceiling: Ceiling) -> dict[str, Any]:
    """Give a ceiling as JSON-ready values."""
    return asdict(ceiling)


def from_dict(values: Mapping[str, Any]) -> Ceiling:
    """Read back what `to_dict` gave; keys it does not know are left out."""
    portions = {key: Portion(**values[key]) if values.get(key) else None for key in _ALL}
    return Ceiling(
        agents=values.get("agents"),
        budget=values.get("budget"),
        admission=values.get("admission", True),
        **portions,
    )
