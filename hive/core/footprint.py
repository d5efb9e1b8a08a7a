"""How much memory each agent's processes hold, and who must end when that is too much.

A tree's footprint is what its processes would each give back by ending, with the most that one
of them shares counted once. Sizes are in bytes. Nobody is ruled against while everyone is
inside: a ruling says which limit was passed, and by how much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from hive.core.limits import PRIORITIES, Limits, Priority
from hive.core.trees import Process
from hive.core.wording import clean, size
from hive.core.world import Holding

LARGEST = 5
"""How many processes are named where an agent had too much."""

CALM = 0.9
"""The share of a limit under which an agent counts as well inside again."""

WORTH = 32 << 20
"""Nobody is ended for the machine's sake who would give back less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one tree holds.

    `shared` is the part of `total` that other trees may hold as well. `sizes` is by pid what
    each process would give back; others than this tree's may be in it.
    """

    total: int = 0
    shared: int = 0
    tree: tuple[Process, ...] = ()
    sizes: Mapping[int, int] = field(default_factory=dict, repr=False)

    @property
    def processes(self) -> int:
        """How many there are."""
        return len(self.tree)

    @property
    def largest(self) -> tuple[Holding, ...]:
        """The processes that hold most, the biggest first."""
        order = sorted(self.tree, key=lambda one: (-self.sizes.get(one.pid, 0), one.pid))
        return tuple(
            Holding(pid=one.pid, name=clean(one.name), bytes=self.sizes.get(one.pid, 0))
            for one in order[:LARGEST]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What must be known of an agent to hold it to its limits.

    `root_pid` is the root of its pane. With `kernel` a cgroup holds it to its own memory limit.
    """

    launch: str
    root_pid: int
    limits: Limits
    priority: Priority = "normal"
    role: str = ""
    kernel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for all: `total` is for all agents together, `reserve` is to stay free."""

    total: int | None = None
    reserve: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """Who must end: the processes `targets`, or the whole tree where that is None.

    `rule` names whose limit was passed: the agent's `own`, the `total` of all agents, or the
    `machine` has too little left. `seen` is how much the agent had, `limit` what it could have
    (0 where the machine was short).
    """

    agent: str
    kind: Literal["memory", "processes"] = "memory"
    rule: Literal["own", "total", "machine"]
    why: str
    seen: int
    limit: int
    targets: tuple[int, ...] | None = None


def footprint(tree: tuple[Process, ...], sizes: Mapping[int, int], shared: int) -> Footprint:
    """Give a tree's footprint from its processes' sizes, and the most that one of them shares."""
    own = sum([sizes.get(one.pid, 0) for one in tree])
    return Footprint(total=own + shared, shared=shared, tree=tree, sizes=sizes)


def together(footprints: Iterable[Footprint]) -> int:
    """Give what several trees hold: as in one tree, what may be shared counts once."""
    own = shared = 0
    for one in footprints:
        own += one.total - one.shared
        shared = max(shared, one.shared)
    return own + shared


def judge(
    watched: Mapping[str, Watched],
    footprints: Mapping[str, Footprint],
    available: int,
    rules: Rules,
) -> tuple[Ruling, ...]:
    """Say who must end now; `available` is what the machine has left.

    For the machine's sake at most one ends, and only where nothing else gives memory back.
    """
    left = {agent: footprints[agent] for agent in sorted(watched) if agent in footprints}
    found: list[Ruling] = []
    for agent, held in tuple(left.items()):
        ruling = _own(agent, watched[agent], held)
        if ruling:
            found.append(ruling)
            left[agent] = _without(held, ruling.targets)
    if rules.total is not None:
        found += _beyond(watched, left, rules.total)
    if available * 2 < rules.reserve and not any(one.kind == "memory" for one in found):
        found += _short(watched, left, available)
    return tuple(found)


def over_soft(
    watched: Mapping[str, Watched], footprints: Mapping[str, Footprint], told: Collection[str]
) -> frozenset[str]:
    """Give the launches that reached their soft limit and are not yet well inside it again.

    `told` are those which were so at the last look.
    """
    return frozenset(
        one.launch
        for agent, one in watched.items()
        if one.limits.soft is not None and agent in footprints
        if footprints[agent].total >= one.limits.soft * (CALM if one.launch in told else 1)
    )


def warning(limits: Limits, held: Footprint) -> str:
    """Say that an agent reached its soft limit."""
    of = f" of {size(limits.memory)}" if limits.memory is not None else ""
    return f"it uses {size(held.total)}{of}: its soft limit is {size(limits.soft or 0)}"


def _own(agent: str, watched: Watched, held: Footprint) -> Ruling | None:
    """Hold one agent against its own limits."""
    limits = watched.limits
    if held.processes > limits.processes:
        return Ruling(
            agent=agent,
            kind="processes",
            rule="own",
            why=f"too many processes: {held.processes}, it may have {limits.processes}",
            seen=held.processes,
            limit=limits.processes,
        )
    if watched.kernel or limits.memory is None or held.total <= limits.memory:
        return None
    return Ruling(
        agent=agent,
        rule="own",
        why=f"out of memory: it used {size(held.total)} of {size(limits.memory)}",
        seen=held.total,
        limit=limits.memory,
        targets=_branch(held, watched.root_pid, limits.memory),
    )


def _branch(held: Footprint, root: int, limit: int) -> tuple[int, ...] | None:
    """Give the largest child and all below it, if the agent can go on without them.

    None where the rest would still be too much. The agent's program itself is never meant (the
    eldest below the root: what lost its parent comes there later), nor what bears most of the
    tree.
    """
    children = defaultdict(list)
    for one in held.tree:
        children[one.parent].append(one)
    program = min(children[root], key=lambda one: (one.started, one.pid), default=None)
    spared = {root} | ({program.pid} if program else set())
    order = sorted(held.tree, key=lambda one: (-held.sizes.get(one.pid, 0), one.pid))
    for one in order:
        if one.pid in spared:
            continue
        branch = _below(one.pid, children)
        if len(branch) * 2 <= len(held.tree):
            rest = _without(held, branch)
            return branch if rest.total <= limit * CALM else None
    return None


def _below(pid: int, children: Mapping[int, list[Process]]) -> tuple[int, ...]:
    """Give a process and all that descend from it."""
    found = {pid: None}  # in order, and safe should the table ever hold a circle
    queue = [pid]
    while queue:
        for one in children.get(queue.pop(), ()):
            if one.pid not in found:
                found[one.pid] = None
                queue.append(one.pid)
    return tuple(found)


def _without(held: Footprint, gone: tuple[int, ...] | None) -> Footprint:
    """Give what is left of a tree once these have ended; nothing where that is the whole tree."""
    if gone is None:
        return Footprint()
    tree = tuple(one for one in held.tree if one.pid not in gone)
    freed = sum(held.sizes.get(pid, 0) for pid in gone)
    return replace(held, total=max(0, held.total - freed), tree=tree)


def _rank(watched: Watched) -> int:
    """Give an agent's place in the order in which they are given up: servers last."""
    return PRIORITIES.index(watched.priority) + len(PRIORITIES) * (watched.role == "server")


def _beyond(
    watched: Mapping[str, Watched], left: Mapping[str, Footprint], total: int
) -> Iterable[Ruling]:
    """Choose whose end makes all the others fit: of those above their fair part."""
    used = together(left.values())
    if used <= total:
        return
    above = _above(watched, left, total)
    order = sorted(above, key=lambda agent: (_rank(watched[agent]), -above[agent], agent))
    rest, victims = dict(left), []
    for agent in order:
        if together(rest.values()) <= total:
            break
        victims.append(agent)
        del rest[agent]
    for agent in tuple(victims):  # who was chosen early may not have had to
        if together([*rest.values(), left[agent]]) <= total:
            rest[agent] = left[agent]
            victims.remove(agent)
    for agent in victims:
        why = f"out of memory: all agents together used {size(used)} of {size(total)}"
        yield _end(agent, left, why, rule="total", limit=total)


def _above(
    watched: Mapping[str, Watched], left: Mapping[str, Footprint], total: int
) -> dict[str, float]:
    """Give by how much agents are above their fair part of the total; no others.

    The parts are as the agents' own limits; who has none counts as the average of those.
    """
    limits = {agent: watched[agent].limits.memory for agent in left}
    known = [limit for limit in limits.values() if limit]
    usual = sum(known) // len(known) if known else 1
    parts = {agent: limit or usual for agent, limit in limits.items()}
    whole = sum(parts.values())
    return {
        agent: left[agent].total - total * part / whole
        for agent, part in parts.items()
        if left[agent].total * whole > total * part
    }


def _short(
    watched: Mapping[str, Watched], left: Mapping[str, Footprint], available: int
) -> Iterable[Ruling]:
    """Choose the one whose end helps the machine most."""
    worth = [agent for agent, held in left.items() if held.total - held.shared >= WORTH]
    if worth:
        agent = min(worth, key=lambda one: (_rank(watched[one]), -left[one].total, one))
        why = f"out of memory: the machine had only {size(available)} left"
        yield _end(agent, left, why, rule="machine", limit=0)


def _end(
    agent: str,
    left: Mapping[str, Footprint],
    why: str,
    *,
    rule: Literal["total", "machine"],
    limit: int,
) -> Ruling:
    """Have one agent's whole tree end for the sake of the others."""
    seen = left[agent].total
    most = "it used most: " if seen == max(one.total for one in left.values()) else "it used "
    return Ruling(agent=agent, rule=rule, why=f"{why}; {most}{size(seen)}", seen=seen, limit=limit)
