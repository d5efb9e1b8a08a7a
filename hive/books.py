"""The books: what every agent used, summed up at each look and written down now and then.

Looks come every two seconds or so; a batch of samples is written every ten. Disk counters are
read with each batch, network counters with every third, their bytes being parted among the next
three. All moments are epoch seconds.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from hive.adapters.ledger import Ledger
from hive.adapters.network import Network
from hive.core.accounting import Counted, Rates, Sample, counted, moved
from hive.core.trees import Process
from hive.core.world import Tree, Use
from hive.errors import HiveError

BATCH = 10.0
"""Seconds between two batches of samples."""

ROUNDS = 3
"""The network is read with every so many batches."""

THIN = 60.0
"""Seconds between two thinnings of the ledger."""

STEP = 300
"""Seconds of one sample in `history`: finer, a day of a hundred agents takes seconds to read."""

LONGEST = 30.0
"""A look stands for at most so many seconds: nobody knows what was while none was made."""

T = TypeVar("T")

HOUR = 3600.0
DAY = 24 * HOUR

Disk = Callable[[Iterable[Process]], Mapping[int, tuple[int, int]]]
"""Gives the bytes that processes read from disk and wrote to it, by pid."""

_log = logging.getLogger("hive")


@dataclass(slots=True)
class _Sum:
    """What one agent used since the last batch."""

    seconds: float = 0.0
    cpu: float = 0.0
    held: float = 0.0
    memory: int = 0
    processes: int = 0

    def add(self, use: Use, held: float, seconds: float) -> None:
        self.seconds += seconds
        self.cpu += use.cpu * seconds
        self.held += held * seconds
        self.memory = max(self.memory, use.memory)
        self.processes = max(self.processes, use.processes)


@dataclass(slots=True)
class _Peaks:
    """The most bytes an agent had, minute by minute, for an hour."""

    minutes: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, memory: int, now: float) -> None:
        minute = now // 60
        if self.minutes and self.minutes[-1][0] == minute:
            self.minutes[-1] = (minute, max(memory, self.minutes[-1][1]))
        else:
            self.minutes.append((minute, memory))
        while self.minutes[0][0] < minute - 60:
            self.minutes.popleft()


class Books:
    """What every agent used, as one supervisor sees it."""

    def __init__(self, ledger: Ledger, network: Network, disk: Disk) -> None:
        self._ledger = ledger
        self._network = network
        self._disk = disk
        self._sums: dict[str, _Sum] = {}
        self._peaks: defaultdict[str, _Peaks] = defaultdict(_Peaks)
        self._opened = False
        self._disks: dict[str, Counted] = {}
        self._parts: dict[str, tuple[int, int]] = {}
        self._rates: dict[str, Rates] = {}
        self._seen: dict[int, Process] = {}
        self._round = 0
        self._looked = self._began = self._thinned = 0.0
        self._failed = ""

    def note(
        self,
        trees: Mapping[str, Tree],
        uses: Mapping[str, Use],
        held: Mapping[str, float],
        now: float,
    ) -> None:
        """Take in one look, and write down what is due.

        `held` is the share of the time, 0 to 1, in which each agent was slowed down. What can't
        be written is lost, and said once.
        """
        seconds = min(max(0.0, now - self._looked), LONGEST) if self._looked else 0.0
        self._looked = now
        for agent, use in uses.items():
            self._sums.setdefault(agent, _Sum()).add(use, held.get(agent, 0.0), seconds)
        if not self._opened:
            self._opened = True
            known = self._tried(lambda: self._ledger.peaks(now - HOUR)) or {}
            for agent, memory in known.items():
                self._peaks[agent].add(memory, now)
        for agent, use in uses.items():
            self._peaks[agent].add(use.memory, now)
        if not 0 <= now - self._began < BATCH:
            self._batch(trees, now)
        if not 0 <= now - self._thinned < THIN:
            self._thinned = now
            self._tried(lambda: self._ledger.thin(now))

    def rates(self, agent: str) -> Rates | None:
        """Give what the agent moved in the last batch; None where it was not in it."""
        return self._rates.get(agent)

    def peak(self, agent: str) -> int:
        """Give the most bytes the agent had in the last hour it ran; 0 where it was not seen."""
        peaks = self._peaks.get(agent)
        return max((memory for _, memory in peaks.minutes), default=0) if peaks else 0

    def history(self, agents: Iterable[str], now: float) -> dict[str, list[Sample]]:
        """Give each agent's last day in samples of five minutes.

        Raises `HiveError` where the ledger can't be read.
        """
        return self._ledger.history(agents, now - DAY, step=STEP)

    def close(self) -> None:
        """Give back what is open; what is not written yet is lost."""
        self._ledger.close()

    def _batch(self, trees: Mapping[str, Tree], now: float) -> None:
        """Write down what was summed up since the last batch."""
        sums, self._sums = self._sums, {}
        self._began = now
        disk = self._disk_moved(trees)
        if self._round == 0:
            self._parts = self._traffic(trees)
        samples = [
            _sample(agent, one, int(now), disk.get(agent), self._part(agent))
            for agent, one in sums.items()
            if one.seconds > 0
        ]
        self._round = (self._round + 1) % ROUNDS
        self._rates = {one.agent: _rates(one) for one in samples}
        self._tried(lambda: self._ledger.add(samples))

    def _traffic(self, trees: Mapping[str, Tree]) -> dict[str, tuple[int, int]]:
        """Give the bytes that each agent received and sent since this was last asked."""
        before = self._seen
        self._seen = {one.pid: one for tree in trees.values() for one in _all(tree)}
        idle = {pid for pid, one in self._seen.items() if before.get(pid) is one}
        pids = {agent: [one.pid for one in _all(tree)] for agent, tree in trees.items()}
        return self._network.traffic(pids, idle)

    def _disk_moved(self, trees: Mapping[str, Tree]) -> dict[str, tuple[int, int]]:
        """Give the bytes that each agent read and wrote; one that is new is left out."""
        counters = self._disk(one for tree in trees.values() for one in _all(tree))
        before = self._disks
        self._disks = {agent: counted(tree, counters) for agent, tree in trees.items()}
        return {
            agent: moved(before[agent], after)
            for agent, after in self._disks.items()
            if agent in before and after.read
        }

    def _part(self, agent: str) -> tuple[int, int] | None:
        """Give this batch's part of what the network moved; the parts add up to all of it."""
        if agent not in self._parts:
            return None
        done, until = self._round, self._round + 1
        received, sent = (
            whole * until // ROUNDS - whole * done // ROUNDS for whole in self._parts[agent]
        )
        return received, sent

    def _tried(self, work: Callable[[], T]) -> T | None:
        """Do it; where the ledger can't be used say so once, and go on without."""
        try:
            done = work()
        except HiveError as error:
            if error.what != self._failed:
                _log.warning("%s; what agents use is not written down", error)
            self._failed = error.what
            return None
        self._failed = ""
        return done


def _all(tree: Tree) -> tuple[Process, ...]:
    return (*tree.current, *tree.strays)


def _sample(
    agent: str,
    one: _Sum,
    at: int,
    disk: tuple[int, int] | None,
    network: tuple[int, int] | None,
) -> Sample:
    read, written = disk or (None, None)
    received, sent = network or (None, None)
    return Sample(
        agent=agent,
        at=at,
        span=one.seconds,
        cpu=one.cpu / one.seconds,
        memory=one.memory,
        processes=one.processes,
        read=read,
        written=written,
        received=received,
        sent=sent,
        held=one.held / one.seconds,
    )


def _rates(sample: Sample) -> Rates:
    def each(count: int | None) -> float | None:
        return None if count is None else count / sample.span

    return Rates(
        read=each(sample.read),
        written=each(sample.written),
        received=each(sample.received),
        sent=each(sample.sent),
    )
