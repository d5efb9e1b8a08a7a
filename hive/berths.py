"""Which launches the kernel holds inside their limits, and whom it killed for want of memory.

A launch gets into its group as it begins, or is moved there once it has a limit. Where that
fails it is told once, and the launch is held by the portable means.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from hive.adapters.groups import Found, Groups, GroupUse
from hive.adapters.launch import NOWHERE, Berth
from hive.core.limits import Limits, Total
from hive.core.spec import Agent
from hive.core.trees import Process
from hive.core.wording import size
from hive.core.world import Excess, Holding, Memory, State, Tree, Wanted
from hive.errors import HiveError

RECHECK = 30.0
"""Seconds until it is looked again whether all of a launch is in its group, or tried again."""

ENTERING = 2.0
"""Seconds a launch has to get into its group by itself."""

COUNT = 10.0
"""Seconds until it is asked again whom the kernel has killed."""

T = TypeVar("T")

_FIGURES = re.compile(r"\d[\d.,]*")

_log = logging.getLogger("hive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A launch that runs: what is wanted of it, its pane's root, and all its processes."""

    spec: Agent
    launch: str
    root: Process
    tree: tuple[Process, ...]
    stopping: bool = False
    began: float = 0.0


def running(
    wanted: Mapping[str, Wanted], memory: Mapping[str, Memory], trees: Mapping[str, Tree]
) -> dict[str, Running]:
    """Give the launches that run, with their pane's root and all that belongs to it."""
    found = {}
    for agent, one in memory.items():
        if not one.live or agent not in wanted or agent not in trees:
            continue
        tree = trees[agent].current
        root = next((process for process in tree if process.pid == one.pid), None)
        if root is not None and root.started == one.started:
            found[agent] = Running(
                spec=wanted[agent].agent,
                launch=one.launch,
                root=root,
                tree=tree,
                stopping=one.state is State.STOPPING,
                began=one.began,
            )
    return found


class Berths:
    """The kernel's hold on launches, where there is one."""

    def __init__(self, found: Found) -> None:
        """`holds_all` says whether the kernel holds all agents together to their memory."""
        self.found = found
        self._groups = found.groups
        self._checked: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._born: set[str] = set()
        self._held: set[str] = set()
        self._kills: dict[str, int] = {}
        self._waited: dict[str, tuple[float, float]] = {}
        self._slowed: dict[str, float] = {}
        self._counted = 0.0
        self._failed: set[str] = set()
        self.holds_all = found.groups is not None

    def berth(self, spec: Agent, launch: str, total: Total) -> Berth:
        """Make a place for a launch that is about to begin."""
        if self._groups is None or not _limited(spec.limits, total):
            return NOWHERE
        try:
            berth = self._groups.prepare(spec.id, launch, spec.limits)
        except (HiveError, OSError) as error:
            self._tell(spec.id, error)
            return NOWHERE
        self._born.add(launch)
        self._held.add(launch)
        return berth

    def ceiling(self, cpu: float | None, memory: int | None) -> None:
        """Hold all launches together to so many cores and bytes."""
        if self._groups is None:
            return
        try:
            self._groups.ceiling(cpu, memory)
            self.holds_all = True
        except (HiveError, OSError) as error:
            self._tell("all agents", error)
            self.holds_all = False

    def keep(self, running: Mapping[str, Running], total: Total, now: float) -> None:
        """Have every launch that has a limit in its group, with its limits as they are now."""
        launches = {one.launch for one in running.values()}
        self._held &= launches | self._born
        self._checked = {one: at for one, at in self._checked.items() if one in launches}
        self._refused = {one: at for one, at in self._refused.items() if one in launches}
        if self._groups is None:
            return
        for agent, one in running.items():
            if now < self._refused.get(one.launch, 0.0):
                continue
            if not _limited(one.spec.limits, total) and one.launch not in self._held:
                continue
            try:
                self._groups.set(agent, one.launch, one.spec.limits)
                if now >= self._checked.get(one.launch, one.began + ENTERING):
                    self._place(agent, one)
                    self._checked[one.launch] = now + RECHECK
            except (HiveError, OSError) as error:
                self._tell(agent, error)
                self._refused[one.launch] = now + RECHECK
                self._held.discard(one.launch)
                self._born.discard(one.launch)

    def _place(self, agent: str, one: Running) -> None:
        """Move in what is outside, and see whether that was all."""
        if self._groups is None:
            return
        outside = self._outside(agent, one)
        if outside:
            self._groups.adopt(agent, one.launch, outside)
            outside = {pid for pid in self._outside(agent, one) if pid == one.root.pid}
        (self._held.discard if outside else self._held.add)(one.launch)

    def _outside(self, agent: str, one: Running) -> set[int]:
        inside = self._groups.holds(agent, one.launch) if self._groups else frozenset()
        return {process.pid for process in (one.root, *one.tree)} - inside

    def holds(self, launch: str) -> bool:
        """Whether the kernel holds this launch inside its limits."""
        return launch in self._held

    def holds_memory(self, launch: str) -> bool:
        """Whether all its memory is the kernel's to hold: what was used before it got in is not."""
        return launch in self._held and launch in self._born

    def means(self, launch: str) -> str:
        """Say by which means a launch is held."""
        return self.found.name if self._groups and self.holds(launch) else "portable"

    def use(self, agent: str, launch: str) -> GroupUse | None:
        """Give what the kernel counted for a launch it holds."""
        return self._tried(agent, lambda groups: groups.use(agent, launch), None)

    def kill(self, agent: str, launch: str) -> bool:
        """Kill a whole launch at once; False where the kernel does not do that here."""
        if not self.holds(launch):
            return False
        return self._tried(agent, lambda groups: groups.kill(agent, launch), otherwise=False)

    def killed(
        self,
        agent: str,
        launch: str,
        limits: Limits,
        largest: tuple[Holding, ...],
        now: float,
        *,
        untold: bool,
    ) -> Excess | None:
        """Say whether the kernel has killed some of a launch since that was last asked.

        What it killed before this supervisor asked at all counts only where it is `untold`.
        """
        use = self.use(agent, launch)
        if use is None:
            return None
        self._compare(launch, use.throttled, now)
        first = 0 if untold or launch in self._born else use.oom_kills
        before, self._kills[launch] = self._kills.get(launch, first), use.oom_kills
        if use.oom_kills <= before:
            return None
        limit = limits.memory
        of = f"its limit of {size(limit)}" if limit else "the limit of all agents together"
        return Excess(
            agent=agent,
            launch=launch,
            at=now,
            kind="memory",
            why=f"out of memory: the kernel killed it at {of}",
            seen=max(limit or 0, sum(one.bytes for one in largest)),
            limit=limit or 0,
            whole=False,
            largest=largest,
        )

    def _compare(self, launch: str, waited: float, now: float) -> None:
        """See for which share of the time since the last count a launch had to wait."""
        then, before = self._waited.get(launch, (now, waited))
        self._waited[launch] = (now, waited)
        if now > then:
            self._slowed[launch] = min(1.0, max(0.0, waited - before) / (now - then))

    def slowed(self, launch: str) -> float:
        """Give the share of the last seconds in which the kernel kept a launch waiting."""
        return self._slowed.get(launch, 0.0) if launch in self._held else 0.0

    def count_due(self, now: float) -> bool:
        """Whether it is time again to ask of each launch whom the kernel has killed."""
        if 0 <= now - self._counted < COUNT:
            return False
        self._counted = now
        return True

    def tidy(self, keep: Collection[str]) -> None:
        """Remove the groups of launches that are over."""
        self._kills = {launch: kills for launch, kills in self._kills.items() if launch in keep}
        self._born &= set(keep)
        self._waited = {launch: one for launch, one in self._waited.items() if launch in keep}
        self._slowed = {launch: one for launch, one in self._slowed.items() if launch in keep}
        self._tried("all agents", lambda groups: groups.tidy(keep), None)

    def leave(self) -> None:
        """Remove every group that is empty."""
        self._tried("all agents", lambda groups: groups.leave(), None)

    def _tried(self, whose: str, work: Callable[[Groups], T], otherwise: T) -> T:
        """Ask the groups, if there are any; where they refuse, say so once."""
        if self._groups is None:
            return otherwise
        try:
            return work(self._groups)
        except (HiveError, OSError) as error:
            self._tell(whose, error)
            return otherwise

    def _tell(self, whose: str, error: HiveError | OSError) -> None:
        """Say once, whatever the figures are, why the kernel does not hold it."""
        text = f"{whose}: {error.what if isinstance(error, HiveError) else error}"
        known = _FIGURES.sub("", text)
        if known not in self._failed:
            self._failed.add(known)
            _log.warning("%s; it is held by the portable means", text)


def _limited(limits: Limits, total: Total) -> bool:
    """Whether there is anything for the kernel to hold."""
    own = limits.cpu is not None or limits.memory is not None
    return own or total.cpu is not None or total.memory is not None
