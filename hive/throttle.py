"""The throttle holds agents to their share of the processor where the kernel does not.

It works in the supervisor's loop: `want` at every pulse, `step` whenever it is due. What uses
no more than it may costs nothing but a sum at the pulse. What uses more is stopped and let go on
by turns. While a launch is held its lease lies beside its other files, so that it is freed
even if this process is killed.
"""

from __future__ import annotations

import time
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

SOON = 0.02
"""After how many seconds that is tried again which could not be done at once."""

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
        self._ends: dict[str, _End] = {}
        self._never: frozenset[int] = frozenset()

    def want(self, holds: Mapping[str, Hold], now: float, never: Collection[int] = ()) -> None:
        """Hold these agents from now on, and let all others go.

        `never` are pids that are no agent's whoever their parent is: tmux servers, supervisors.
        """
        self._never = frozenset(never)
        for agent in self._reins.keys() - holds.keys():
            self._reins.pop(agent).close()
        for agent, hold in holds.items():
            if hold.launch in self._ends:
                self._ends[hold.launch].know(hold.tree, self._never)
                continue
            rein = self._reins.get(agent)
            if rein is None or rein.launch != hold.launch:
                if rein is not None:
                    rein.close()
                rein = self._reins[agent] = _Rein(hold, now, self._folder, self._grips)
            rein.want(hold, now, self._never)

    def step(self, now: float) -> float | None:
        """Stop and let go on what is due; give when something will be due again, if ever.

        It also goes on with what `kill` began, for about a second for each such launch.
        """
        trouble = ""
        for rein in self._reins.values():
            if rein.due is not None and rein.due <= now:
                trouble = rein.step(now) or trouble
        for ending in list(self._ends.values()):
            if ending.due <= now:
                self._go_on(ending)
        dues = [rein.due for rein in self._reins.values() if rein.due is not None]
        self.trouble = trouble or (self.trouble if dues else "")
        return min([*dues, *(ending.due for ending in self._ends.values())], default=None)

    def held(self, agent: str) -> float:
        """Give the share of the last seconds in which an agent stood still, 0 to 1."""
        rein = self._reins.get(agent)
        return rein.share() if rein else 0.0

    def kill(self, hold: Hold) -> int:
        """End all processes of a launch but its root; give how many were killed by now.

        It takes about a second at most. What it could not stop by then (of a fork bomb) is what
        `step` goes on with; what it could, stands still until all is stopped and killed.
        """
        for agent in [one for one, rein in self._reins.items() if rein.launch == hold.launch]:
            self._ends[hold.launch] = self._reins.pop(agent).end()
        if hold.launch not in self._ends:
            self._ends[hold.launch] = _Rein(hold, 0.0, self._folder, self._grips).end()
        self._ends[hold.launch].know(hold.tree, self._never)
        return self._go_on(self._ends[hold.launch])

    def close(self) -> None:
        """Let everything go on."""
        for rein in self._reins.values():
            rein.close()
        for ending in self._ends.values():
            ending.close()
        self._reins, self._ends = {}, {}

    def _go_on(self, ending: _End) -> int:
        killed = ending.step()
        if ending.over:
            del self._ends[ending.launch]
            ending.close()
        return killed


class _Note:
    """The lease of one launch, as long as anything of it may stand still."""

    def __init__(self, folder: Path, launch: str) -> None:
        self._folder = folder
        self._launch = launch
        self._lease: Lease | None = None
        self._renewed = 0.0

    def renew(self, root: Process, brake: Brake, now: float) -> str:
        """Touch the lease, or write what it says now; give why it can't be written."""
        return self._write(
            Lease(root=(root.pid, root.started), also=brake.escaped, others=brake.others), now
        )

    def touch(self, now: float) -> str:
        """Touch the lease, if there is one: what was just let go on still seems to stand still."""
        return self._write(self._lease, now) if self._lease is not None else ""

    def _write(self, lease: Lease, now: float) -> str:
        changed = lease != self._lease
        if not changed and now < self._renewed + RENEWED:
            return ""
        try:
            leases.renew(self._folder, self._launch, lease, changed=changed)
        except OSError as error:
            return f"can't write {self._folder / self._launch}.held: {error.strerror}"
        self._lease, self._renewed = lease, now
        return ""

    def end(self) -> None:
        """Take it back."""
        if self._lease is not None:
            leases.end(self._folder, self._launch)
        self._lease = None


class _End:
    """One launch that is killed: its brake and its lease."""

    def __init__(self, launch: str, root: Process, brake: Brake, note: _Note) -> None:
        self.launch = launch
        self.over = False
        self.due = 0.0
        self._root = root
        self._brake = brake
        self._note = note

    def know(self, tree: tuple[Process, ...], never: frozenset[int]) -> None:
        """Take in how its processes are by now."""
        self._brake.know(tree, never)

    def step(self) -> int:
        """Kill for a while; give how many were killed. It goes on even without a lease."""
        self._note.renew(self._root, self._brake, time.monotonic())
        killed = self._brake.kill()
        self._note.renew(self._root, self._brake, time.monotonic())
        self.over = not self._brake.alive
        self.due = time.monotonic() + SOON
        return killed

    def close(self) -> None:
        """Let go on what still stands still."""
        self._brake.close()
        self._note.end()


class _Rein:
    """One launch: how it is paced, its brake and its lease.

    There is a brake only while it is watched or paused.
    """

    def __init__(self, hold: Hold, now: float, folder: Path, grips: Grips) -> None:
        self.launch = hold.launch
        self.due: float | None = None
        self._hold = hold
        self._at = now
        self._note = _Note(folder, hold.launch)
        self._grips = grips
        self._brake: Brake | None = None
        self._pace: Pace | None = None
        self._stops: deque[tuple[float, float]] = deque()
        self._since: float | None = None

    def want(self, hold: Hold, now: float, never: frozenset[int]) -> None:
        """Take in what is wanted by now, and how its processes are."""
        spent = 0.0
        if hold.tree != self._hold.tree:  # most agents do nothing from one look to the next
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
        self._pace = paced(self._pace, used=spent, allowed=self._hold.allowed, now=now)
        self.due = self._pace.due
        if self._pace.stopped is not None:
            return self._stop(self._brake, now)
        if self._pace.calm:
            self._release(now)
            return ""
        self._go(now)
        return self._note.touch(now)

    def share(self) -> float:
        """Give the share of the last seconds in which it stood still."""
        if not self._stops and self._since is None:
            return 0.0
        end = max([self._at, *(stop for _, stop in self._stops), self._since or 0.0])
        if self._pace is not None:
            end = max(end, self._pace.at)
        stops = [*self._stops, *([(self._since, end)] if self._since is not None else [])]
        return sum(max(0.0, stop - max(start, end - SPAN)) for start, stop in stops) / SPAN

    def end(self) -> _End:
        """Give what kills it: that takes over what stands still, with its lease."""
        brake = self._brake or Brake(self._hold.root, self._grips)
        return _End(self.launch, self._hold.root, brake, self._note)

    def close(self) -> None:
        """Let it go for good."""
        self._release(self._at)

    def _engage(self, never: frozenset[int]) -> None:
        if self._brake is None:
            self._brake = Brake(self._hold.root, self._grips)
            self._brake.know(self._hold.tree, never)
            self._brake.look()

    def _release(self, now: float) -> None:
        if self._brake is not None:
            self._go(now)
            self._brake.close()
        self._note.end()
        self._brake = self._pace = self.due = None

    def _stop(self, brake: Brake, now: float) -> str:
        """Stop it, with a lease before; and after, for what is known only then."""
        trouble = self._note.renew(self._hold.root, brake, now)
        if trouble:
            return trouble
        if not brake.stop():
            self.due = now + SOON
        if self._since is None:
            self._since = now
        return self._note.renew(self._hold.root, brake, now)

    def _go(self, now: float) -> None:
        if self._brake is not None:
            self._brake.go()
        if self._since is not None:
            self._stops.append((self._since, now))
            self._since = None
        while self._stops and self._stops[0][1] < now - SPAN:
            self._stops.popleft()


def _table(tree: tuple[Process, ...]) -> dict[tuple[int, int], Process]:
    return {(one.pid, one.started): one for one in tree}
