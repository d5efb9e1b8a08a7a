"""The tripwire holds agents to their memory and their number of processes where no kernel does.

At every pulse it measures all trees. In between it only glances at the machine, ten times a
second, and measures again when memory goes fast. Before anything is killed for its memory that
is confirmed by what the kernel says each process really holds (PSS), and the reason is written
down, so that it outlives the supervisor. Moments are monotonic seconds; nothing here waits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from hive.adapters.sizes import Sizes
from hive.core.footprint import (
    CALM,
    Footprint,
    Rules,
    Ruling,
    Watched,
    footprint,
    judge,
    over_soft,
    warning,
)
from hive.core.trees import Process
from hive.core.vitals import Glance
from hive.core.wording import clean, size
from hive.core.world import Excess, Holding, Tree

STEP = 0.1
"""Seconds between two glances."""

IDLE = 0.4
"""Seconds between two glances while all is quiet: to wake up costs more than to look."""

FALL = 100 << 20
"""How many bytes the machine must have lost since the last look at the trees for another one."""

RISE = 200
"""How many tasks the machine must have gained since then for another one."""

FAST = 0.5
"""Seconds for which, after such a fall, the trees are looked at in every step."""

NEAR = 0.3
"""The share of its limit from which on a tree is looked at so closely."""

AFTER_KILL = 0.5
"""Seconds after a kill until the machine's free memory says something again."""

DYING = 5.0
"""Seconds in which what was killed should have ended; until then it does not count."""

SHORT_AGAIN = 1.0
"""Seconds between two looks at the trees while the machine is short of memory."""

TRUSTED = 10.0
"""Seconds for which it is remembered how much less a tree really holds than it seems to."""


class Gauge(Protocol):
    """Where the machine's free memory is read."""

    def glance(self) -> Glance:
        """Give the free memory, and how many tasks there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A tree that seemed to hold `seemed` bytes, and held `less` fewer, until it changes much."""

    seemed: int
    less: int
    until: float


class Tripwire:
    """Watches trees, and ends what has too much.

    `folder` is where reasons are kept (`LAUNCH.oom`). `scan` makes a fresh pass over the process
    table; `kill(agent, processes)` ends those, `kill(agent, None)` the whole tree. `clock` gives
    epoch seconds. `excesses` is by agent the latest reason for a kill, also by a supervisor
    before this one; `footprints` is what the last look at the trees found.
    """

    def __init__(
        self,
        machine: Gauge,
        sizes: Sizes,
        folder: Path,
        *,
        scan: Callable[[], Mapping[str, Tree]],
        kill: Callable[[str, tuple[Process, ...] | None], None],
        fall: int = FALL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._machine = machine
        self._sizes = sizes
        self._folder = folder
        self._scan = scan
        self._kill = kill
        self._fall = fall
        self._clock = clock
        self._watched: Mapping[str, Watched] = {}
        self._rules = Rules()
        self._quiet = False
        self._mark = machine.glance()
        self._fast_until = self._short_again = self._calm_at = 0.0
        self._dying: dict[tuple[int, int], float] = {}
        self._measured: dict[str, _Measured] = {}
        self._told: frozenset[str] = frozenset()
        self._notices: list[tuple[str, str]] = []
        self.footprints: Mapping[str, Footprint] = {}
        self.excesses: dict[str, Excess] = _read(folder)

    def watch(self, watched: Mapping[str, Watched], rules: Rules, *, quiet: bool = False) -> None:
        """Say who is held to what from now on, and whether all of them do next to nothing."""
        self._watched, self._rules, self._quiet = watched, rules, quiet

    def check(self, trees: Mapping[str, Tree], now: float) -> None:
        """Measure these trees, just seen, and end what has too much."""
        self._look(trees, self._machine.glance(), now)

    def step(self, now: float) -> float:
        """Glance at the machine, and look at the trees if need be.

        Gives the seconds until the next step.
        """
        glance = self._machine.glance()
        if self._watched and self._due(glance, now):
            self._look(self._scan(), glance, now)
        restless = now < self._fast_until or self._near() or self._scarce(glance)
        return STEP if restless or not self._quiet else IDLE

    def notices(self) -> list[tuple[str, str]]:
        """Give what happened since this was last asked, and did not end an agent: (agent, text)."""
        found, self._notices = self._notices, []
        return found

    def remember(self, excess: Excess) -> None:
        """Keep why something was killed, here and in the file that outlives us."""
        self.excesses[excess.agent] = excess
        try:
            _write(self._folder / f"{excess.launch}.oom", excess)
        except OSError as error:  # what must end must end, all the same
            text = f"can't write down why it was killed: {error.strerror} ({excess.why})"
            self._notices.append((excess.agent, text))

    def keep(self, launches: Collection[str]) -> None:
        """Forget the excesses of all other launches; their files go with the launches' own."""
        self.excesses = {
            agent: one for agent, one in self.excesses.items() if one.launch in launches
        }

    def _due(self, glance: Glance, now: float) -> bool:
        """Whether so much has changed since the last look at the trees that they need another."""
        mark = self._mark
        self._mark = Glance(
            available=max(mark.available, glance.available), tasks=min(mark.tasks, glance.tasks)
        )
        if mark.available - glance.available > self._fall and self._bounded():
            self._fast_until = now + FAST
            return True
        if glance.tasks - mark.tasks > RISE or (now < self._fast_until and self._near()):
            return True
        return self._short(glance, now)

    def _bounded(self) -> bool:
        """Whether anybody's memory is ours to hold."""
        return self._rules.total is not None or any(
            one.limits.memory is not None and not one.kernel for one in self._watched.values()
        )

    def _near(self) -> bool:
        """Whether a tree was not far from its limit."""
        return any(
            one.limits.memory is not None
            and not one.kernel
            and agent in self.footprints
            and self.footprints[agent].total > NEAR * one.limits.memory
            for agent, one in self._watched.items()
        )

    def _scarce(self, glance: Glance) -> bool:
        """Whether little more than the reserve is free."""
        return glance.available < 2 * self._rules.reserve

    def _short(self, glance: Glance, now: float) -> bool:
        """Whether the machine is short of memory, and the trees were not just looked at for it."""
        if glance.available * 2 >= self._rules.reserve or now < self._short_again:
            return False
        return now >= self._calm_at

    def _look(self, trees: Mapping[str, Tree], glance: Glance, now: float) -> None:
        """Measure the trees, then judge."""
        self._mark = glance
        self._dying = {key: until for key, until in self._dying.items() if now < until}
        held = {agent: self._alive(trees[agent], now) for agent in self._watched if agent in trees}
        self._measured = {agent: one for agent, one in self._measured.items() if agent in held}
        sizes = self._sizes.of([one for tree in held.values() for one in tree])
        self.footprints = {
            agent: self._believed(agent, footprint(tree, sizes, self._sizes.shared(tree)), now)
            for agent, tree in held.items()
        }
        self._warn(self._judge(glance, now), now)

    def _alive(self, tree: Tree, now: float) -> tuple[Process, ...]:
        """Give what counts of a tree: not what was killed and is not gone yet."""
        if not self._dying:
            return tree.current
        alive = tuple(one for one in tree.current if (one.pid, one.started) not in self._dying)
        if len(alive) < len(tree.current):
            self._calm_at = max(self._calm_at, now + STEP)  # it still holds its memory
        return alive

    def _judge(self, glance: Glance, now: float) -> set[str]:
        """Find who has too much, and end that; nobody by an estimate alone.

        Gives the agents that were ended as a whole.
        """
        rules = self._rules
        if glance.available * 2 < rules.reserve:
            if now < self._calm_at:
                rules = replace(rules, reserve=0)  # the last kill does not show yet
            self._short_again = now + SHORT_AGAIN
        measured: set[str] = set()
        while True:
            found = judge(self._watched, self.footprints, glance.available, rules)
            guessed = {
                one.agent for one in found if one.kind == "memory" and one.rule != "machine"
            } - measured
            if not guessed:
                break
            self._measure(guessed, now)
            measured |= guessed
        ended = set()
        for ruling in found:
            if ruling.rule == "machine" and self._machine.glance().available * 2 >= rules.reserve:
                continue  # there is enough by now
            self._end(ruling, now)
            if ruling.targets is None:
                ended.add(ruling.agent)
        return ended

    def _warn(self, ended: Collection[str], now: float) -> None:
        """Say who has reached its soft limit, unless it was just ended; nobody by an estimate."""
        watched = {agent: one for agent, one in self._watched.items() if agent not in ended}
        found = over_soft(watched, self.footprints, self._told)
        new = {agent for agent, one in watched.items() if one.launch in found - self._told}
        if new:
            self._measure(new, now)
            found = over_soft(watched, self.footprints, self._told)
        for agent, one in watched.items():
            if one.launch in found - self._told:
                text = warning(one.limits, self.footprints[agent])
                self._notices.append((agent, text))
        self._told = found

    def _measure(self, agents: Iterable[str], now: float) -> None:
        """Replace the estimate of these trees by what they really hold."""
        footprints = dict(self.footprints)
        for agent in agents:
            before = footprints[agent]
            real = self._sizes.proportional(before.tree)
            tree = tuple(one for one in before.tree if one.pid in real)
            after = footprint(tree, real, 0)
            footprints[agent] = after
            known = self._measured.get(agent)
            seemed = before.total + (known.less if known else 0)
            less = seemed - after.total
            self._measured[agent] = _Measured(seemed=seemed, less=less, until=now + TRUSTED)
        self.footprints = footprints

    def _believed(self, agent: str, seems: Footprint, now: float) -> Footprint:
        """Correct an estimate by what is known of this tree, while that is new and it no smaller.

        Else a tree that only seems to hold too much would be measured at every look.
        """
        known = self._measured.get(agent)
        if known is None:
            return seems
        if now >= known.until or seems.total < known.seemed * CALM or known.less <= 0:
            del self._measured[agent]
            return seems
        total = max(0, seems.total - known.less)
        return replace(seems, total=total, shared=min(seems.shared, total))

    def _end(self, ruling: Ruling, now: float) -> None:
        """Write down why, then kill, and remember who is dying."""
        held = self.footprints[ruling.agent]
        whole = ruling.targets is None
        targets = tuple(one for one in held.tree if whole or one.pid in (ruling.targets or ()))
        self.remember(
            Excess(
                agent=ruling.agent,
                launch=self._watched[ruling.agent].launch,
                at=self._clock(),
                kind=ruling.kind,
                why=ruling.why,
                seen=ruling.seen,
                limit=ruling.limit,
                whole=whole,
                largest=held.largest,
            )
        )
        self._kill(ruling.agent, None if whole else targets)
        self._dying |= {(one.pid, one.started): now + DYING for one in targets}
        self._measured.pop(ruling.agent, None)
        self._calm_at = self._short_again = now + AFTER_KILL
        if not whole:
            self._notices.append((ruling.agent, _killed(targets, held, ruling.why)))


def _killed(targets: Iterable[Process], held: Footprint, why: str) -> str:
    """Say which of an agent's processes were killed, and why."""
    order = sorted(targets, key=lambda one: -held.sizes.get(one.pid, 0))
    names = [f"{clean(one.name)} ({one.pid}, {size(held.sizes.get(one.pid, 0))})" for one in order]
    return f"killed {', '.join(names)}: {why}"


def _write(file: Path, excess: Excess) -> None:
    """Write it whole or not at all."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(json.dumps(asdict(excess)), encoding="utf-8")
    draft.replace(file)


def _read(folder: Path) -> dict[str, Excess]:
    """Read what was written down, by agent the latest."""
    found = [one for file in folder.glob("*.oom") if (one := _excess(file))]
    return {one.agent: one for one in sorted(found, key=lambda one: one.at)}


def _excess(file: Path) -> Excess | None:
    """Read back one reason; None where the file is damaged, as by a power cut, or not readable."""
    try:
        values = json.loads(file.read_bytes())
        largest = tuple(Holding(**one) for one in values["largest"])
        return Excess(**{**values, "at": float(values["at"]), "largest": largest})
    except (OSError, ValueError, KeyError, TypeError):
        return None
