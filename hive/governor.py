"""The governor holds agents inside their limits: by the kernel where it can, else by itself.

It works between the keeper's looks, and decides nothing of what an agent is: whom it ended, it
leaves as evidence, which `plan` finds with the dead launch. `observe` takes in each look, `step`
does what is due in between. Moments are epoch seconds in `observe`, monotonic ones in `step`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from hive.adapters import groups, procs
from hive.adapters.launch import Berth
from hive.adapters.ledger import Ledger
from hive.adapters.machine import Machine
from hive.adapters.network import Network
from hive.adapters.node import Looked, Node
from hive.adapters.sizes import Sizes
from hive.adapters.state import State as Place
from hive.berths import Berths, Running, running
from hive.books import Books
from hive.core.footprint import Footprint, Rules, Watched
from hive.core.limits import Ceiling, Total, reserve_of, together
from hive.core.news import News, Telling
from hive.core.shares import Wish, shares
from hive.core.spec import Agent
from hive.core.strain import Strain
from hive.core.trees import Process
from hive.core.wording import size
from hive.core.world import Excess, Memory, Room, Use, Wanted
from hive.pressure import Pressure
from hive.throttle import Hold, Throttle, thaw
from hive.tripwire import Tripwire
from hive.vacancy import Seen, Vacancy

OBSERVE = 0.9
"""Everything is measured at most once in so many seconds, however often is looked."""


QUIET = 0.02
"""An agent that uses fewer cores is quiet."""


IDLE = 0.05
"""Agents that use together less of the processor than this share are quiet."""

NEARLY = 0.8
"""The share of what all may use from which on it is shared out."""

SAY_AGAIN = 600.0
"""Seconds for which it is not said again that an agent is held back."""


_log = logging.getLogger("hive")


class Governor:
    """One machine's limits, and all that is measured for them."""

    def __init__(self, place: Place, node: Node, environ: Mapping[str, str]) -> None:
        self._node = node
        self._folder = place.launches
        self._machine = Machine()
        self._sizes = Sizes()
        self._throttle = Throttle(place.launches)
        self._tripwire = Tripwire(
            self._machine, self._sizes, place.launches, scan=node.scan, kill=self._kill
        )
        self._berths = Berths(groups.find(place.instance, environ))
        self.books = Books(Ledger.open(place.usage), Network(), self._sizes.disk)
        self.ceilings: dict[str, Ceiling] = {}
        self.vitals = self._machine.read()
        self.total = Total()
        self._pressure = Pressure()
        self.stands: Callable[[str, str], bool] = lambda _agent, _launch: False
        self.uses: Mapping[str, Use] = {}
        self.allowed: Mapping[str, float | None] = {}
        self.room: Room | None = None
        self._running: dict[str, Running] = {}
        self._observed = 0.0
        self._vacancy = Vacancy()
        self._said: dict[str, float] = {}
        self._telling = Telling()
        self._trouble = ""
        self._brake_at: float | None = None
        self._whole = 0
        self.news: list[News] = []
        thaw(place.launches)

    @property
    def means(self) -> tuple[str, str]:
        """The means by which limits are held here, and what would give a better one."""
        return self._berths.found.name, self._berths.found.better

    @property
    def strain(self) -> Strain:
        """How far hive has gone against the pressure on the machine."""
        return self._pressure.strain

    @property
    def _cpu(self) -> float | None:
        return self._pressure.cpu(self.total, self.vitals.cores)

    @property
    def excesses(self) -> Mapping[str, Excess]:
        """Whom the kernel or hive ended for having too much, by agent: the latest."""
        return self._tripwire.excesses

    def writes(self, agent: str) -> bool:
        """Whether an agent's processes have written to a disk lately."""
        rates = self.books.rates(agent)
        return bool(rates and rates.written)

    def bind(self, project: str, ceiling: Ceiling) -> None:
        """Hold a project's agents to this ceiling, from the next look on."""
        self.ceilings[project] = ceiling
        self._observed = 0.0

    def berth(self, spec: Agent, launch: str) -> Berth:
        """Make a place for a launch that is about to begin."""
        return self._berths.berth(spec, launch, self.total)

    def observe(
        self, wanted: Mapping[str, Wanted], memory: Mapping[str, Memory], looked: Looked, now: float
    ) -> None:
        """Take in one look at the machine, and hold everything to its limits."""
        before, self._running = self._running, running(wanted, memory, looked.trees)
        self._autopsy(wanted, memory, looked, now)
        notices = self._tripwire.notices()
        self._tell((News(agent=one, kind="memory", text=text) for one, text in notices), now)
        if _launches(before) != _launches(self._running):
            self._watch()
            self._hold()  # what is to end must not be stopped again
        if 0 <= now - self._observed < OBSERVE:
            return
        self._observed = now
        self.vitals = self._machine.read()
        self.total = together(
            [self.ceilings[one] for one in _active(wanted, memory) if one in self.ceilings],
            cores=self.vitals.cores,
            memory=self.vitals.memory,
        )
        self._berths.ceiling(self._cpu, self.total.memory)
        self._berths.keep(self._running, self.total, now)
        self._watch()
        self._tripwire.check(looked.trees, time.monotonic())
        self._measure(now)
        self._tell(self._pressure.step(self.vitals, self.total, self._running, self.uses, now), now)
        self._hold()
        held = {agent: self.held(agent) for agent in self._running}
        seen = Seen(running=self._running, uses=self.uses, held=held)
        self.room = self._vacancy.room(seen, self.vitals, self.total, self.strain, now)
        self.books.note({one: looked.trees[one] for one in self._running}, self.uses, held, now)
        self._collect(now)

    def step(self, now: float) -> float:
        """Do what is due between two looks; gives the moment of the next step."""
        glance = now + self._tripwire.step(now)
        if self._brake_at is not None and now >= self._brake_at:
            self._brake_at = self._throttle.step(now)
        return glance if self._brake_at is None else min(glance, self._brake_at)

    def hold_now(self) -> None:
        """Do at once what has changed of who is to stand still."""
        self._hold()
        self.step(time.monotonic())

    def means_of(self, agent: str) -> str:
        """Say by which means an agent is held."""
        one = self._running.get(agent)
        return self._berths.means(one.launch) if one else self._berths.found.name

    def held(self, agent: str) -> float:
        """Give the share of the last seconds in which an agent was kept from the processor."""
        one = self._running.get(agent)
        return max(self._throttle.held(agent), self._berths.slowed(one.launch) if one else 0.0)

    def doing(self, agent: str) -> str:
        """Say what hive is doing about an agent's limits now; "" for nothing."""
        if agent in self.strain.paused:
            return f"paused: {self.strain.why}"
        one, use = self._running.get(agent), self.uses.get(agent)
        if one is None or use is None:
            return ""
        said = []
        held, allowed = self.held(agent), self.allowed.get(agent)
        if held >= 0.01 and allowed is not None:
            said.append(f"held to {allowed:.0%} of a core, kept waiting {held:.0%} of the time")
        soft = one.spec.limits.soft
        if soft and use.memory >= soft:
            said.append(f"over its soft limit: {size(use.memory)} of {size(soft)}")
        return "; ".join(said)

    def bytes_of(self, agent: str) -> int:
        """Give how many bytes the end of an agent's processes would give back."""
        if agent in self.uses:
            return self.uses[agent].memory
        tree = self._running[agent].tree if agent in self._running else ()
        return sum(procs.memory([one.pid for one in tree]).values())  # it has just begun

    def evidence(self, agent: str) -> list[tuple[str, float]]:
        """Say what is so about an agent's limits, with the time of each (0: now)."""
        use, one = self.uses.get(agent), self._running.get(agent)
        if use is None or one is None:
            return []
        limits = one.spec.limits
        memory = f", limit {size(limits.memory)}" if limits.memory else ""
        cpu = f", limit {limits.cpu:.0%}" if limits.cpu else ""
        held = f"held by: {self.means_of(agent)}" if memory or cpu else "no limits of its own"
        said = f"memory {size(use.memory)}{memory}; cpu {use.cpu:.0%} of a core{cpu}; {held}"
        return [(text, 0.0) for text in (said, self.doing(agent)) if text]

    def tidy(self, launches: Collection[str]) -> None:
        """Drop what is kept of all launches but these."""
        self._said = {launch: at for launch, at in self._said.items() if launch in launches}
        self._tripwire.keep(launches)
        self._berths.tidy(launches)

    def leave(self) -> None:
        """Take back what hive keeps for itself in the kernel."""
        self._berths.leave()

    def close(self) -> None:
        """Let everything go, and leave it as it is."""
        self._throttle.close()
        self.books.close()
        self._machine.close()

    def _autopsy(
        self, wanted: Mapping[str, Wanted], memory: Mapping[str, Memory], looked: Looked, now: float
    ) -> None:
        """Ask the kernel whether it killed for want of memory: the dead, and now and then all."""
        if self._berths.found.groups is None:
            return
        everyone = self._berths.count_due(now)
        dead = looked.dead_launches()
        for agent, one in memory.items():
            if not one.live or agent not in wanted or not (everyone or one.launch in dead):
                continue
            limits = wanted[agent].agent.limits
            largest = self._tripwire.footprints.get(agent, Footprint()).largest
            known = self.excesses.get(agent)
            untold = one.launch in dead and (known is None or known.launch != one.launch)
            found = self._berths.killed(agent, one.launch, limits, largest, now, untold=untold)
            if found:
                self._tripwire.remember(found)
            if found and one.launch not in dead:  # else the end of the launch tells it
                self._tell([News(agent=agent, kind="memory", text=found.why)], now)

    def _watch(self) -> None:
        """Tell the tripwire whose memory and processes it holds."""
        watched = {
            agent: Watched(
                launch=one.launch,
                root_pid=one.root.pid,
                limits=one.spec.limits,
                priority=one.spec.priority,
                role=one.spec.role,
                kernel=self._berths.holds_memory(one.launch),
            )
            for agent, one in self._running.items()
        }
        total = None if self._berths.holds_all else self.total.memory
        rules = Rules(total=total, reserve=self._kept_free())
        used = sum(one.cpu for one in self.uses.values())
        quiet = used < IDLE * self.vitals.cores and len(self.uses) == len(watched)
        self._tripwire.watch(watched, rules, quiet=quiet)

    def _kept_free(self) -> int:
        """Give the reserve for whose sake agents are ended: only one that there was.

        Where more is to stay free than ever was, that ends nobody until the machine is really
        short: it admits, rations and pauses.
        """
        reserve = self.total.reserve
        if self.vitals.available >= reserve:
            self._whole = reserve
        usual = min(reserve, reserve_of(self.vitals.memory))
        return reserve if self._whole >= reserve else usual

    def _measure(self, now: float) -> None:
        """See what each agent uses."""
        before, self.uses = self.uses, {}
        uses = {}
        for agent, one in self._running.items():
            footprint = self._tripwire.footprints.get(agent, Footprint())
            cpu = self._node.cores(agent)
            quiet = before[agent].quiet_since if agent in before else 0.0
            paused = self._pauses(agent, one)
            slow = cpu < QUIET and not paused and not self.held(agent)
            uses[agent] = Use(
                cpu=cpu,
                memory=footprint.total,
                processes=footprint.processes,
                quiet_since=max(quiet or now, one.began) if slow else 0.0,
                paused=paused,
            )
        self.uses = uses

    def _pauses(self, agent: str, one: Running) -> bool:
        """Whether a launch is to stand still: for want of room, or as a person asked (`stands`)."""
        asked = self.stands(agent, one.launch) and not one.stopping
        return asked or self._pressure.pauses(agent, one)

    def _hold(self) -> None:
        """Give every agent its share of the processor, and hold to it whom the kernel does not."""
        total = self._cpu
        loose = {
            agent: one
            for agent, one in self._running.items()
            if not one.stopping and not self._berths.holds(one.launch)
        }
        self.allowed = {agent: one.spec.limits.cpu for agent, one in self._running.items()}
        if total is not None and self._crowded(total):
            wishes = {agent: self._wish(agent, one) for agent, one in loose.items()}
            less = {one: cpu for one, cpu in shares(total, wishes).items() if cpu is not None}
            self.allowed = {**self.allowed, **less}
        held = {
            agent: Hold(
                launch=one.launch,
                root=one.root,
                tree=one.tree,
                allowed=self.allowed[agent] if agent in loose else None,
                paused=self._pauses(agent, one),
            )
            for agent, one in self._running.items()
            if agent in loose or self._pauses(agent, one)
        }
        self._brake_at = time.monotonic()
        self._throttle.want(held, self._brake_at, self._node.never)

    def _crowded(self, total: float) -> bool:
        """Whether all together use nearly all they may, so that it must be shared out."""
        used = sum(one.cpu for one in self.uses.values())
        return used >= NEARLY * total or any(self._throttle.held(one) for one in self._running)

    def _wish(self, agent: str, one: Running) -> Wish:
        return Wish(
            use=self.uses.get(agent, Use()).cpu,
            limit=one.spec.limits.cpu,
            held=self._throttle.held(agent) > 0,
            priority=one.spec.priority,
        )

    def _collect(self, now: float) -> None:
        """Have it written down whom hive slows."""
        trouble, self._trouble = self._trouble, self._throttle.trouble
        if self._trouble not in {"", trouble}:
            text = f"{self._trouble}; until that works nobody is kept from the processor"
            _log.warning("%s", text)
            self._tell([News(agent="", kind="limits", text=text)], now)
        for agent, one in self._running.items():
            held, allowed = self.held(agent), self.allowed.get(agent)
            if held < 0.05 or allowed is None or self._pauses(agent, one):
                continue
            if 0 <= now - self._said.get(one.launch, 0.0) < SAY_AGAIN:
                continue
            self._said[one.launch] = now
            text = f"held to {allowed:.0%} of a core: it wants more"
            self._tell([News(agent=agent, kind="throttled", text=text)], now)

    def _kill(self, agent: str, targets: tuple[Process, ...] | None) -> None:
        """End these processes of an agent by force, or all that it has."""
        one = self._running.get(agent)
        if targets is not None:
            for process in targets:
                procs.signal(process.pid, process.started, 9)
        elif one and not self._berths.kill(agent, one.launch):
            self._throttle.kill(
                Hold(launch=one.launch, root=one.root, tree=one.tree, allowed=None, paused=False)
            )
            self._brake_at = time.monotonic()  # it may go on with that

    def _tell(self, news: Iterable[News], now: float) -> None:
        self.news += self._telling.fresh(news, now)


def _active(wanted: Mapping[str, Wanted], memory: Mapping[str, Memory]) -> set[str]:
    """Give the projects whose ceilings count: those with agents up; all, where none has."""
    live = {agent for agent, one in memory.items() if one.live}
    active = {one.agent.project for name, one in wanted.items() if one.up or name in live}
    return active or {one.agent.project for one in wanted.values()}


def _launches(running: Mapping[str, Running]) -> set[tuple[str, bool]]:
    return {(one.launch, one.stopping) for one in running.values()}
