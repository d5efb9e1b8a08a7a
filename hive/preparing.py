"""The worktrees that agents wait for: made, told how far they are, given up and begun anew.

A setup that failed is not tried again by itself, but when a start is asked for anew. The place of
an agent that runs is only looked at: what it lacks is done before its next launch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from hive.adapters.plots import Stand, Standing, standing
from hive.adapters.shell import Stop
from hive.adapters.worktrees import Say, prepare
from hive.chores import Chore, Chores
from hive.core.rhythm import Plot
from hive.core.starting import UNMADE
from hive.core.wording import span
from hive.core.world import Wanted
from hive.views import short
from hive.yardwork import Lot, Trouble, flat, said


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    """Why a worktree could not be made, when, and for which request to start."""

    why: str
    at: float
    plot: Plot
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What came of a worktree that was to be made: its lot where it stands ready, what is told."""

    lot: Lot | None = None
    told: tuple[str, ...] = ()


class Preparing:
    """Has the worktrees made of all agents that are to be up."""

    def __init__(self, chores: Chores, clock: Callable[[], float]) -> None:
        self._chores = chores
        self._clock = clock
        self._ready: dict[str, Plot] = {}
        self._deferred: dict[str, Plot] = {}
        self._failed: dict[str, _Failed] = {}

    def look_after(self, one: Wanted, environ: Mapping[str, str], *, live: bool) -> Lot | None:
        """Begin to make an agent's worktree where it does not stand ready; gives it then."""
        agent, plot = one.agent.id, one.agent.plot
        if plot is None or self._stands(agent, plot) or self._chores.of(agent):
            return None
        failed = self._failed.get(agent)
        if failed and (failed.plot, failed.generation) == (plot, one.generation):
            return None
        if live and self._deferred.get(agent) == plot:
            return None
        lot = Lot(agent=agent, plot=plot, env=dict(one.agent.env))

        def work(say: Say, stop: Stop) -> tuple[Lot, Standing]:
            done = standing(plot) if live else prepare(plot, environ, say, agent=agent, stop=stop)
            return lot, done

        self._failed.pop(agent, None)
        self._chores.add("prepare", agent, work)
        return lot

    def _stands(self, agent: str, plot: Plot) -> bool:
        """Whether it was found ready, and nobody has taken its folder away since."""
        if self._ready.get(agent) != plot:
            return False
        if os.path.lexists(f"{plot.path}/.git"):
            return True
        del self._ready[agent]
        return False

    def taken_in(self, chore: Chore, one: Wanted | None) -> Prepared:
        """Take in what came of it; `one` is what is wanted of its agent now."""
        agent = chore.agent
        if chore.error is None:
            lot, done = chore.result
            if done.state is not Stand.READY:
                self._deferred[agent] = lot.plot
                return Prepared()
            self._ready[agent] = lot.plot
            told = [f"its worktree is ready: {lot.plot.path}"] if chore.said else []
            return Prepared(lot=lot, told=(*told, *done.warnings))
        if one is None or one.agent.plot is None or chore.stop.is_set():
            return Prepared()
        why = said(chore.error)
        self._failed[agent] = _Failed(
            why=why, at=self._clock(), plot=one.agent.plot, generation=one.generation
        )
        return Prepared(told=(f"its worktree can't be made: {flat(why)}",))

    def ready(self, agent: str, plot: Plot) -> bool:
        """Whether an agent may be started in it."""
        return self._ready.get(agent) == plot

    def why(self, agent: str) -> str:
        """Say how far it is where it is not ready, or what is wrong."""
        failed, chore = self._failed.get(agent), self._chores.of(agent)
        if failed:
            return f"{UNMADE}{failed.why.splitlines()[0]}; `hive start {short(agent)}` tries again"
        if chore is None or not chore.began:
            return "it is made soon"
        told = f": {chore.said}" if chore.said else ""
        what = "being made" if chore.verb == "prepare" else f"`{chore.verb}` is under way there"
        return f"{what}, {span(self._clock() - chore.began)}{told}"

    def trouble(self, agent: str) -> str:
        """Say why a worktree could not be made, with the last lines of its setup; else ""."""
        return self._failed[agent].why if agent in self._failed else ""

    def troubles(self) -> list[Trouble]:
        """List the worktrees that could not be made."""
        return [Trouble(agent=agent, why=one.why, at=one.at) for agent, one in self._failed.items()]

    def retry(self, agents: Collection[str]) -> None:
        """Try again to make those that could not be made."""
        for agent in agents:
            self._failed.pop(agent, None)

    def forget(self, agent: str) -> None:
        """Forget a worktree that there is no more, or that is wanted no more."""
        for known in (self._ready, self._deferred, self._failed):
            known.pop(agent, None)
