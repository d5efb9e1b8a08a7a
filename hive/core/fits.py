"""Whether limits fit: the machine, and one another.

Pure: what the machine has is an argument. A limit beyond that could never hold anything: it was
written for another machine, or by a slip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hive.core.amounts import as_cores, as_size
from hive.core.expand import Entry
from hive.core.limits import Ceiling, Portion, changed
from hive.core.mistakes import Wrong
from hive.core.positions import Path
from hive.core.spec import Agent
from hive.core.vitals import Vitals

if TYPE_CHECKING:  # pydantic takes a tenth of a second to import
    from hive.core import model

_HAIR = 1e-9
"""What two amounts may differ by and still be the same: shares are not exact."""

_PERCENT = range(17, 101)
"""So many cores, where there are fewer, were meant as percent."""

_NEEDS = "`memory_soft` needs `memory`: it is where hive warns before that"


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """What a command line says in place of a file: the CPU of all agents, the memory of each."""

    cpu: Portion | None = None
    memory: int | None = None


def misfits(
    file: model.File, entries: Sequence[Entry], machine: Vitals, lost: frozenset[Path]
) -> Iterator[Wrong]:
    """Find limits of a file that fit neither the machine nor one another.

    `lost` are the places of what was left out of the file because it is wrong in itself.
    """
    shared = file.limits
    yield from _together(shared, machine)
    tables: dict[Path, model.Defaults] = {("defaults",): file.defaults}
    tables.update({entry.path: entry.table for entry in entries})
    for path, table in tables.items():
        if table.cpu:
            what = _beyond("`cpu`", table.cpu, None, machine.cores, as_cores)
            yield from _told((*path, "cpu"), what)
        if table.memory:
            what = _beyond("`memory`", table.memory, shared.memory, machine.memory, as_size)
            yield from _told((*path, "memory"), what)
    for entry in entries:
        yield from _soft(entry, lost)
    yield from _soft_for_none(file, entries, lost)


def overridden(agents: Sequence[Agent], over: Over, machine: Vitals) -> tuple[Agent, ...]:
    """Give the agents with the memory that a command line says; soft limits keep their share."""
    if over.memory is None:
        return tuple(agents)
    cores, memory = machine.cores, machine.memory
    change = {"memory": over.memory}
    return tuple(
        replace(one, limits=changed(one.limits, change, cores=cores, memory=memory))
        for one in agents
    )


def refusal(ceiling: Ceiling, over: Over, machine: Vitals) -> str:
    """Say by its name which option of a command line can't be, and why; "" where all can.

    `ceiling` is the file's. What an agent may use of the processor may be more than all get: they
    share what there is, and less of it can be had by one without harm.
    """
    if not over.memory:
        return ""
    return _beyond("`--memory`", over.memory, ceiling.memory, machine.memory, as_size)


def _together(table: model.Limits, machine: Vitals) -> Iterator[Wrong]:
    """Find what all agents together can't have."""
    if table.cpu:
        cpu = table.cpu.of(machine.cores)
        yield from _told(("limits", "cpu"), _beyond("`cpu`", cpu, None, machine.cores, as_cores))
    if table.memory:
        memory, path = table.memory.of(machine.memory), ("limits", "memory")
        yield from _told(path, _beyond("`memory`", memory, None, machine.memory, as_size))
    if table.reserve and table.reserve.of(machine.memory) >= machine.memory:
        what = f"`reserve` leaves nothing of this machine's memory ({as_size(machine.memory)})"
        yield Wrong(path=("limits", "reserve"), what=what)


def _beyond(
    called: str,
    wanted: float,
    total: Portion | None,
    whole: float,
    written: Callable[[float], str],
) -> str:
    """Say why so much can't be: the machine has less, or all agents together; "" where it can."""
    most = total.of(whole) if total else whole
    if wanted > whole + _HAIR:
        what = f"{called} {written(wanted)} is more than this machine has ({written(whole)})"
        slip = written is as_cores and wanted in _PERCENT
        return f"{what}; for percent write `{wanted:g}%`" if slip else what
    if wanted > most + _HAIR:
        return f"{called} {written(wanted)} is more than all agents together get ({written(most)})"
    return ""


def _soft(entry: Entry, lost: frozenset[Path]) -> Iterator[Wrong]:
    """Find a soft limit above the hard one, or of an agent that has none."""
    limits, own = entry.agents[0].limits, entry.table.model_fields_set
    for key in ("memory", "memory_soft"):
        inherited = key not in own and ("defaults", key) in lost
        if inherited or (*entry.path, key) in lost:
            return
    if limits.memory is None and "memory_soft" in own:
        yield Wrong(path=(*entry.path, "memory_soft"), what=_NEEDS)
    if limits.memory and limits.soft and limits.soft > limits.memory:
        what = f"`memory_soft` ({as_size(limits.soft)}) is more than `memory`"
        keys = [(*entry.path, key) for key in ("memory_soft", "memory") if key in own]
        path: Path = next(iter(keys), ("defaults", "memory_soft"))
        yield Wrong(path=path, what=f"{what} ({as_size(limits.memory)})")


def _soft_for_none(
    file: model.File, entries: Sequence[Entry], lost: frozenset[Path]
) -> Iterator[Wrong]:
    """Find a soft limit for all where nobody has a hard one."""
    needed = "memory_soft" in file.defaults.model_fields_set and file.defaults.memory is None
    if not needed or any(path[-1] == "memory" for path in lost):
        return
    if not any(entry.agents[0].limits.memory for entry in entries):
        yield Wrong(path=("defaults", "memory_soft"), what=_NEEDS)


def _told(path: Path, what: str) -> Iterator[Wrong]:
    if what:
        yield Wrong(path=path, what=what)
