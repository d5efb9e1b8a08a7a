"""The rounds: hive goes round its agents, looks how each gets on, and writes it down.

All is gathered at hand, at no token's cost. An agent is asked only where that says too little.
Git is looked at in the background, so that nobody waits for it. Times are epoch seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hive import evidence
from hive.adapters import commits
from hive.adapters.errands import Errands
from hive.adapters.git import look
from hive.adapters.itself import command
from hive.adapters.plots import read_note, touched
from hive.adapters.store import Event
from hive.core import checkin
from hive.core.checkin import CheckIn, Verdict
from hive.core.repository import Tree
from hive.core.rhythm import CHECK_IN
from hive.core.spec import Agent
from hive.core.tasks import Task
from hive.core.world import Wanted
from hive.errors import HiveError

LOOKS = 3.0
"""So many times within the time in which work is saved is looked whether there is any."""

LATE = 60.0
"""A look of git that has not ended after so many seconds is done without."""

FAR = 60.0
"""Seconds until the next step where nothing is due before."""

_log = logging.getLogger("hive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known beside the agents themselves.

    `doing` gives the task of each agent, `paused` why an agent is paused ("": it is not), and
    `looked` is told each work tree that was looked at, and gives when to look again (0: as usual).
    """

    doing: Callable[[], Mapping[str, Task]]
    paused: Callable[[str], str]
    looked: Callable[[str, Tree | None, float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """A work tree, and the files that its commits changed since its base."""

    tree: Tree
    touched: Collection[str] = ()


class Rounds:
    """Every agent's check-ins, and what its work tree was like at the latest look."""

    def __init__(self, team: evidence.Team, around: Around) -> None:
        self._team = team
        self._around = around
        self._errands = Errands()
        self._looks: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._looked: dict[str, float] = {}
        self._seen_once: set[str] = set()
        self.due: dict[str, float] = {}
        self.latest: dict[str, CheckIn] = team.store.journal.latest()
        self.trees: dict[str, Tree] = {}
        self.touched: dict[str, Collection[str]] = {}
        self.troubles: dict[str, str] = {}
        self.news: list[Event] = []
        self._miss()

    def fileno(self) -> int:
        """Give the descriptor that is readable while there is something to go on with."""
        return self._errands.fileno()

    def close(self) -> None:
        """Give back everything."""
        self._errands.close()

    def step(self, now: float) -> float:
        """Do what is due; gives the moment of the next step. Raises HiveError."""
        self._read(now)
        mine = {agent: one.agent for agent, one in self._team.wanted.items() if _looked_after(one)}
        for gone in self._looks.keys() - mine.keys():
            del self._looks[gone]
        for gone in self.due.keys() - mine.keys():
            del self.due[gone]
        for agent, spec in mine.items():
            self._plan(agent, spec, now)
        due = [
            agent
            for agent in mine
            if self.due.get(agent, now + 1) <= now and self._seen(agent, now)
        ]
        if due:
            self._check_in({agent: mine[agent] for agent in due}, now)
        waiting = (max(at, self._patient(agent)) for agent, at in self.due.items())
        return min([*self._looks.values(), *waiting, now + FAR])

    def tree(self, agent: str) -> Tree | None:
        """Give an agent's work tree as it was last. Raises HiveError where it can't be seen."""
        if self.troubles.get(agent):
            raise HiveError(self.troubles[agent])
        return self.trees.get(agent)

    def ask_now(self, agent: str, now: float, *, ask: bool) -> CheckIn:
        """Check an agent in at once; with `ask` it is asked in words. Raises HiveError."""
        spec = self._team.wanted[agent].agent
        found: _Looked | HiveError | None
        try:
            found = _look(spec)
        except HiveError as error:  # a check-in tells of it
            found = error
        self._take(agent, found, now)
        (one,) = self._check_in({agent: spec}, now, ask=ask)
        return one

    # looking

    def _plan(self, agent: str, spec: Agent, now: float) -> None:
        """See when an agent is to be looked at next, and begin the look that is due."""
        every, commit = spec.rhythm.check_in, spec.rhythm.commit if spec.plot else 0.0
        if every:
            last = self.latest[agent].evidence.at if agent in self.latest else 0.0
            first = (
                checkin.spread(agent, every, now)
                if not last
                else checkin.due(last + every, every, now)  # one that a killed hive missed is now
            )
            self.due[agent] = checkin.due(self.due.get(agent, first), every, now)
        else:
            self.due.pop(agent, None)
        span = min(one for one in (every, commit / LOOKS) if one) if every or commit else 0.0
        if not span:
            self._looks.pop(agent, None)
            return
        at = self._looks.setdefault(agent, now)
        stale = self._looked.get(agent, 0.0) < self.due.get(agent, now) <= now
        if at <= now or at > now + span or (stale and agent not in self._asked):
            self._looks[agent] = now + span
            if agent not in self._asked or now - self._asked[agent] > LATE:
                self._asked[agent] = now
                work = _look if agent in self._seen_once else _first_look
                self._seen_once.add(agent)
                self._errands.do(agent, partial(work, spec))

    def _seen(self, agent: str, now: float) -> bool:
        """Whether the look of git that a check-in needs has come, or is not waited for any more."""
        return now >= self._patient(agent)

    def _patient(self, agent: str) -> float:
        """Give until when a check-in waits for the look that is under way; 0 where none is."""
        return self._asked[agent] + LATE if agent in self._asked else 0.0

    def _read(self, now: float) -> None:
        for done in self._errands.read():
            agent = str(done.key)
            self._asked.pop(agent, None)
            if agent in self._team.wanted:
                self._take(agent, done.error or done.value, now)

    def _take(self, agent: str, found: _Looked | Exception | None, now: float) -> None:
        """Take in what a look gave: a work tree, none, or why there was nothing to see."""
        trouble = str(getattr(found, "what", found)) if isinstance(found, Exception) else ""
        if trouble and self.troubles.get(agent) != trouble:
            _log.warning("%s: its work tree can't be looked at: %s", agent, trouble)
        self.troubles[agent] = trouble
        self._looked[agent] = now
        tree = found.tree if isinstance(found, _Looked) else None
        self.trees.pop(agent, None)
        self.touched.pop(agent, None)
        if isinstance(found, _Looked):
            self.trees[agent], self.touched[agent] = found.tree, found.touched
        again = self._around.looked(agent, tree, now)
        if again and agent in self._looks:
            self._looks[agent] = max(now, min(self._looks[agent], again))

    # checking in

    def _check_in(
        self, mine: Mapping[str, Agent], now: float, *, ask: bool = False
    ) -> list[CheckIn]:
        """Write down how these agents get on, and ask those of whom too little is known."""
        doing = self._around.doing()
        made = []
        for agent, spec in mine.items():
            before = self.latest.get(agent)
            found = evidence.gather(
                self._team,
                agent,
                task=doing.get(agent),
                tree=self._own(agent),
                before=before,
                paused=self._around.paused(agent),
                now=now,
            )
            if self.troubles.get(agent):
                found = replace(found, trouble=self.troubles[agent])
            every = spec.rhythm.check_in or CHECK_IN
            one = checkin.judge(found, before, every=every)
            if one.verdict is Verdict.MISSED and (not before or before.verdict is not one.verdict):
                text = f"missed: {one.line}"
                self.news.append(Event(agent=agent, kind="check-in", text=text, at=now))
            made.append(self._asking(one, before, every, now, ask=ask))
            if spec.rhythm.check_in:
                self.due[agent] = checkin.following(self.due.get(agent, now), every, now)
        kept: list[CheckIn] = self._team.store.journal.check_in(made)
        self.latest |= {one.evidence.agent: one for one in kept}
        self._miss()
        return kept

    def _own(self, agent: str) -> Tree | None:
        """Give its work tree; where others work in the same one nobody knows whose changes are."""
        tree = self.trees.get(agent)
        if tree and sum(tree.root == one.root for one in self.trees.values()) > 1:
            return replace(tree, changed=(), commits=())
        return tree

    def _miss(self) -> None:
        """Have it known who did not answer the latest check-in."""
        self._team.talks.patience.missed = {
            agent: (one.line, one.evidence.at)
            for agent, one in self.latest.items()
            if one.verdict is Verdict.MISSED
        }

    def _asking(
        self, one: CheckIn, before: CheckIn | None, every: float, now: float, *, ask: bool
    ) -> CheckIn:
        """Put the question to an agent that must be asked."""
        agent, known = one.evidence.agent, one.evidence
        why = "a person wants to know" if ask else checkin.to_ask(one, before, every=every)
        if not why or not known.speaks or known.paused:
            return one
        self._team.talks.note(agent, checkin.question(" ".join(command()), known.task), now)
        self.news.append(Event(agent=agent, kind="check-in", text=f"asked: {why}", at=now))
        return replace(one, asked=now, answer="")


def _looked_after(one: Wanted) -> bool:
    return one.up and not one.removed


def _first_look(spec: Agent) -> _Looked | None:
    """Look for the first time, once what a hive that was killed left there is put right."""
    if spec.plot and Path(spec.plot.path).is_dir():
        commits.mend(spec.plot.path)
    return _look(spec)


def _look(spec: Agent) -> _Looked | None:
    """Look at an agent's work tree; a folder that is not there yet has none. Raises GitError."""
    if not Path(spec.directory).is_dir():
        return None
    note = read_note(spec.plot.path) if spec.plot else None
    base = note.base if note else ""
    tree = look(spec.directory, base=base)
    if tree is None:
        return None
    return _Looked(tree=tree, touched=touched(tree.root, base) if base and tree.commits else ())
