"""The throttle holds agents to their share of the processor where the kernel does not.

It works in the supervisor's loop: `want` at every pulse, `step` whenever it is due. What uses
no more than it may costs nothing but a sum at the pulse. What uses more is stopped and let go on
by turns. While a launch is held its lease lies beside its other files, so that it is freed
even if this process is killed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from hive.adapters import lease as leases
from hive.adapters.brake import Brake, Grips
from hive.adapters.lease import Lease, thaw
from hive.core.belonging import used
from hive.core.throttle import Pace, begin, paced
from hive.core.trees import Process

__all__ = ["Hold", "Throttle", "thaw"]

RENEWED = 1.0
"""How old (seconds) a lease gets before it is touched."""

SPAN = 10.0
"""The seconds that `held` looks back on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What one launch may use: `allowed` cores, or any (None).

    `root` is its launcher, `tree` all its living processes as the latest look found them.
    While it is `paused` it does not run at all.
    """

    launch: str
    root: Process
    tree: tuple[Process, ...]
    allowed: float | None = None
    paused: bool = False


class Throttle:
    """All launches that are held, by their agent; `folder` is where the files of launches are.

    `trouble` says why nothing can be held now: a lease can't be written. Times are those of
    `time.monotonic`.
    """

    def __init__(self, folder: Path) -> None:
        self.trouble = ""
        self._folder = folder
        self._grips = Grips()
        self._reins: dict[str, _Rein] = {}
        self._never: frozenset[int] = frozenset()

    def want(self, holds: Mapping[str, Hold], now: float, never: Collection[int] = ()) -> None:
        """Hold these agents from now on, and let all others go.

        `never` are pids that are no agent's whoever their parent is: tmux servers, supervisors.
        """
        self._never = frozenset(never)
        for agent in self._reins.keys() - holds.keys():
            self._reins.pop(agent).close()
        for agent, hold in holds.items():
            rein = self._reins.get(agent)
            if rein is None or rein.launch != hold.launch:
                if rein is not None:
                    rein.close()
                rein = self._reins[agent] = _Rein(hold, now, self._folder, self._grips)
            rein.want(hold, now, self._never)

    def step(self, now: float) -> float | None:
        """Stop and let go on what is due; give when something will be due again, if ever."""
        trouble = ""
        for rein in self._reins.values():
            if rein.due is not None and rein.due <= now:
                trouble = rein.step(now) or trouble
        dues = [rein.due for rein in self._reins.values() if rein.due is not None]
        self.trouble = trouble or (self.trouble if dues else "")
        return min(dues, default=None)

    def held(self, agent: str) -> float:
        """Give the share of the last seconds in which an agent stood still, 0 to 1."""
        rein = self._reins.get(agent)
        return rein.share() if rein else 0.0

    def kill(self, hold: Hold) -> int:
        """End all processes of a launch but its root; give how many were killed."""
        for agent, rein in list(self._reins.items()):
            if rein.launch == hold.launch:
                self._reins.pop(agent).close()
        rein = _Rein(hold, 0.0, self._folder, self._grips)
        try:
            return rein.kill(self._never)
        finally:
            rein.close()

    def close(self) -> None:
        """Let everything go on."""
        for rein in self._reins.values():
            rein.close()
        self._reins = {}


class _Rein:
    """One launch: how it is paced, its brake and its lease.

    There is a brake only while it is watched or paused.
    """

    def __init__(self, hold: Hold, now: float, folder: Path, grips: Grips) -> None:
        self.launch = hold.launch
        self.due: float | None = None
        self._hold = hold
        self._at = now
        self._folder = folder
        self._grips = grips
        self._brake: Brake | None = None
        self._pace: Pace | None = None
        self._lease: Lease | None = None
        self._renewed = 0.0
        self._stops: deque[tuple[float, float]] = deque()
        self._since: float | None = None

    def want(self, hold: Hold, now: float, never: frozenset[int]) -> None:
        """Take in what is wanted by now, and how its processes are."""
        spent = used(_table(self._hold.tree), _table(hold.tree))
        seconds = now - self._at
        self._hold, self._at = hold, now
        if self._brake is not None:
            self._brake.know(hold.tree, never)
        if hold.paused:
            self._engage(never)
            self._pace = None
            self.due = now
        elif hold.allowed is None:
            self._release(now)
        elif self._brake is None and spent <= hold.allowed * seconds:
            return
        elif self._pace is None:
            self._engage(never)
            self._pace = begin(now, used=spent, seconds=seconds, allowed=hold.allowed)
            self._go(now)
            self.due = now

    def step(self, now: float) -> str:
        """Look, and stop it or let it go on; give why it can't be held ("": it can)."""
        if self._brake is None:
            return ""
        spent = self._brake.look()
        if self._pace is None or self._hold.allowed is None:
            self.due = now + RENEWED
            return self._stop(self._brake, now)
        before = self._pace
        self._pace = paced(before, used=spent, allowed=self._hold.allowed, now=now)
        self.due = self._pace.due
        if self._pace.calm:
            self._release(now)
        elif self._pace.stopped is None:
            self._go(now)
        elif before.stopped is None:
            return self._stop(self._brake, now)
        return self._renew(self._brake, now) if self._lease else ""

    def share(self) -> float:
        """Give the share of the last seconds in which it stood still."""
        end = max([self._at, *(stop for _, stop in self._stops), self._since or 0.0])
        if self._pace is not None:
            end = max(end, self._pace.at)
        stops = [*self._stops, *([(self._since, end)] if self._since is not None else [])]
        return sum(max(0.0, stop - max(start, end - SPAN)) for start, stop in stops) / SPAN

    def kill(self, never: frozenset[int]) -> int:
        """End all its processes but the root."""
        brake = self._engage(never)
        brake.look()
        trouble = self._renew(brake, 0.0)
        return 0 if trouble else brake.kill()

    def close(self) -> None:
        """Let it go for good."""
        self._release(self._at)

    def _engage(self, never: frozenset[int]) -> Brake:
        if self._brake is None:
            self._brake = Brake(self._hold.root, self._grips)
            self._brake.know(self._hold.tree, never)
            self._brake.look()
        return self._brake

    def _release(self, now: float) -> None:
        if self._brake is not None:
            self._go(now)
            self._brake.close()
        if self._lease is not None:
            leases.end(self._folder, self.launch)
        self._brake = self._pace = self._lease = self.due = None

    def _stop(self, brake: Brake, now: float) -> str:
        """Stop it, with a lease before; and after, for what is known only then."""
        trouble = self._renew(brake, now)
        if trouble:
            return trouble
        brake.stop()
        if self._since is None:
            self._since = now
        return self._renew(brake, now)

    def _go(self, now: float) -> None:
        if self._brake is not None:
            self._brake.go()
        if self._since is not None:
            self._stops.append((self._since, now))
            self._since = None
        while self._stops and self._stops[0][1] < now - SPAN:
            self._stops.popleft()

    def _renew(self, brake: Brake, now: float) -> str:
        """Touch the lease, or write what it says now; give why it can't be written."""
        root = (self._hold.root.pid, self._hold.root.started)
        lease = Lease(root=root, also=brake.escaped, others=brake.others)
        changed = lease != self._lease
        if not changed and now < self._renewed + RENEWED:
            return ""
        try:
            leases.renew(self._folder, self.launch, lease, changed=changed)
        except OSError as error:
            return f"can't write {self._folder / self.launch}.held: {error.strerror}"
        self._lease, self._renewed = lease, now
        return ""


def _table(tree: tuple[Process, ...]) -> dict[tuple[int, int], Process]:
    return {(one.pid, one.started): one for one in tree}
