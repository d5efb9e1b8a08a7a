"""A hive whose agents and clock are made up: its queue, decisions and moves are the real ones.

Agents take what the real `Work` hands out, need a while for it, and die. Only the time that hive
itself takes is real; the made-up clock goes on by that, too.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

from hive import handout
from hive import work as work_module
from hive.adapters import profiles, queue_base
from hive.adapters.queue import Queue
from hive.core import transitions
from hive.core.locks import conflict
from hive.core.rules import Rules
from hive.core.spec import Agent
from hive.core.strain import Strain
from hive.core.tasks import Report, State, Task
from hive.core.voice import Voice
from hive.core.world import Memory, Wanted
from hive.core.world import State as Life
from hive.work import PULSE, Work

BACK = 10.0
"""Seconds until an agent that died is there again."""


@dataclass(slots=True)
class Clock:
    """Stands in for the module `time` where hive looks at it."""

    now: float = 1_700_000_000.0

    def time(self) -> float:
        """Give the made-up time."""
        return self.now

    def monotonic(self) -> float:
        """Give a time by which also can be told how long something really takes."""
        return self.now + time.perf_counter()


@dataclass(slots=True)
class Spent:
    """How long hive took for each of a kind of thing, in seconds of this machine."""

    steps: list[float] = field(default_factory=list)
    decisions: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    @property
    def whole(self) -> float:
        """Give all of it; decisions are part of the steps."""
        return sum(self.steps) + sum(self.others)


@dataclass(order=True, slots=True)
class Event:
    """Something that is to happen to an agent; `task` is what it then had."""

    at: float
    place: int
    what: Callable[[], None] = field(compare=False)


class Simulated:
    """Agents that do what the real `Work` gives them, one after another."""

    def __init__(
        self,
        path: Path,
        agents: Sequence[Agent],
        *,
        seed: int,
        lasts: Callable[[Task], float],
        failing: float = 0.0,
        patch: Callable[[object, str, object], None],
    ) -> None:
        self.clock, self.spent = Clock(), Spent()
        self._chance, self._lasts, self._failing = random.Random(seed), lasts, failing
        for module in (queue_base, work_module, handout):
            patch(module, "time", self.clock)
        patch(handout, "dispatch", self._timed(handout.dispatch, self.spent.decisions))
        self.queue = Queue.open(str(path))
        self.memory = {one.id: self._begun(one.id, 1) for one in agents}
        lines = dict.fromkeys(self.memory, self._line(path.parent))
        talks = SimpleNamespace(
            ears=SimpleNamespace(lines=lines),
            withheld=lambda agent: "",  # noqa: ARG005
            pauses=SimpleNamespace(lost=lambda *_: (0.0, 0.0)),
            outbox=SimpleNamespace(of=lambda agent: ()),  # noqa: ARG005
            environ=lambda *_: {},
            say=lambda *_: None,
            talks={},
        )
        team = SimpleNamespace(
            wanted={one.id: Wanted(agent=one) for one in agents},
            memory=self.memory,
            talks=talks,
            governor=SimpleNamespace(strain=Strain(), bytes_of=lambda agent: 0),  # noqa: ARG005
            node=SimpleNamespace(cores=lambda agent: 0.0),  # noqa: ARG005
        )
        self.work = Work(self.queue, team, {"p": Rules()})
        self.began: Counter[str] = Counter()
        self.ended: Counter[int] = Counter()
        self.refused = self.died = 0
        self._has: dict[str, Task] = {}
        self._events: list[Event] = []

    def close(self) -> None:
        """Close the queue."""
        self.work.close()

    def live(self, *, deaths: float = 0.0, until: Callable[[], bool]) -> float:
        """Go on until that is so; gives how many made-up seconds that took.

        So many agents die in a second, on average.
        """
        began = self.clock.now
        if deaths:
            self._later(self._chance.expovariate(deaths), lambda: self._die(deaths))
        while not until():
            self._step()
            due = self._events[0].at if self._events else float("inf")
            self.clock.now = max(self.clock.now, min(due, self.clock.now + PULSE))
            while self._events and self._events[0].at <= self.clock.now:
                heapq.heappop(self._events).what()
        return self.clock.now - began

    def taking(self, act: Callable[[], object]) -> None:
        """Do something of hive's: it is timed, and the made-up clock goes on by that."""
        before = time.perf_counter()
        act()
        took = time.perf_counter() - before
        self.spent.others.append(took)
        self.clock.now += took

    def _step(self) -> None:
        before = time.perf_counter()
        self.work.step()
        took = time.perf_counter() - before
        self.spent.steps.append(took)
        self.clock.now += took
        for task in self.work.mine:
            known = self._has.get(task.agent)
            if known is None or known.lease != task.lease:
                self._begin(task)

    def _begin(self, task: Task) -> None:
        """Have an agent fetch its task, and say some time later how it went."""
        self.began[task.lease] += 1
        for other in self._has.values():
            for one in task.job.locks:
                assert not any(conflict(one, its) for its in other.job.locks), (task, other)
        assert all(one.state is State.DONE for one in self.queue.needs(task.number)), task
        self._has[task.agent] = task
        self.taking(lambda: self._fetch(task))
        self._later(self._lasts(task), lambda: self._report(task))

    def _fetch(self, task: Task) -> None:
        fresh = self.queue.task(task.number)
        assert fresh is not None
        self.queue.change([transitions.delivered(fresh, "it has fetched it", self.clock.now)])

    def _report(self, task: Task) -> None:
        """Say how it went, also where the agent has died since: that is refused."""
        now = self.queue.task(task.number)
        assert now is not None
        if now.lease != task.lease or now.state is not State.LEASED:
            self.refused += 1
            return
        bad = self._chance.random() < self._failing
        report = Report(outcome="failed" if bad else "done", text="said", at=self.clock.now)
        del self._has[task.agent]
        self.ended[task.number] += not bad
        self.taking(lambda: self._judged(now, report))

    def _judged(self, task: Task, report: Report) -> None:
        (task,) = self.queue.change([transitions.reported(task, report, self.clock.now)])
        self.work.verifying.settle(task, self.clock.now)
        self.work.changed = True

    def _die(self, deaths: float) -> None:
        """End an agent, whatever it has; it is there again a little later."""
        self._later(self._chance.expovariate(deaths), lambda: self._die(deaths))
        agent = self._chance.choice(sorted(self.memory))
        before = self.memory[agent]
        if not before.live:
            return
        self._has.pop(agent, None)
        self.died += 1
        self.memory[agent] = replace(before, state=Life.BACKING_OFF, reason="it was killed")
        number = int(before.launch) + 1
        self._later(BACK, lambda: self.memory.update({agent: self._begun(agent, number)}))

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        place = len(self._events) + self._chance.randrange(1 << 30)
        heapq.heappush(self._events, Event(self.clock.now + seconds, place, what))

    def _begun(self, agent: str, launch: int) -> Memory:
        return Memory(
            agent=agent,
            state=Life.READY,
            launch=str(launch),
            generation=1,
            began=self.clock.now,
            since=self.clock.now,
        )

    def _line(self, folder: Path) -> SimpleNamespace:
        seen = SimpleNamespace(worked=0.0)
        return SimpleNamespace(folder=folder, condition=seen, glimpse=SimpleNamespace(output=0.0))

    def _timed(self, act: Callable[..., object], found: list[float]) -> Callable[..., object]:
        def timed(*given: object) -> object:
            before = time.perf_counter()
            answer = act(*given)
            found.append(time.perf_counter() - before)
            return answer

        return timed


def workers(many: int, teams: Sequence[str], skills: Mapping[str, Sequence[str]]) -> list[Agent]:
    """Give so many agents that run commands, spread over teams."""
    voice = Voice(profile=profiles.load({})["worker"])
    return [
        Agent(
            project="p",
            team=(team := teams[number % len(teams)]),
            name=f"w-{number}",
            role="w",
            session="s",
            window="w",
            argv=("hive", "worker"),
            directory="/",
            voice=voice,
            skills=tuple(skills.get(team, ())),
        )
        for number in range(many)
    ]
