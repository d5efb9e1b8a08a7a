"""Who gets which of the tasks that are ready.

Where nothing has changed since a decision that gave nobody anything, it is made again only after a
while: what waits costs next to nothing. Times are epoch seconds of the queue's clock.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from hive.adapters.queue import Queue
from hive.core import breaker
from hive.core.dispatch import Candidate, Grant, Situation, dispatch
from hive.core.rules import Rules
from hive.core.strain import CLOSED, DOING
from hive.core.tasks import Claim, Task
from hive.evidence import Team
from hive.faults import Faults
from hive.roster import candidates
from hive.savings import Savings
from hive.verifying import Verifying

WINDOW = 50
"""How many ready tasks of each kind are looked at in one step."""

ALL = 1_000_000

REST, LONGEST = 300.0, 30.0
"""A decision that gave nothing is made again after so many times what it took, and after so many
seconds at most."""


class Rest(Protocol):
    """The parts of the work that a decision asks."""

    @property
    def faults(self) -> Faults: ...  # noqa: D102
    @property
    def savings(self) -> Savings: ...  # noqa: D102
    @property
    def verifying(self) -> Verifying: ...  # noqa: D102
    def rules(self, project: str, /) -> Rules: ...  # noqa: D102


class Handout:
    """Decides who gets what, and has them get it.

    `waits` says why each task that was looked at was given to nobody, `needy` are those of them
    that need a lock.
    """

    def __init__(self, queue: Queue, team: Team, rest: Rest) -> None:
        self._queue = queue
        self._team = team
        self._parts = rest
        self.waits: dict[int, str] = {}
        self.needy: list[Task] = []
        self._last: dict[str, tuple[str, ...]] = {}
        self._turn = 0
        self._given: Mapping[str, tuple[float, float]] = {}
        self._shape: object = None
        self._until = 0.0

    def given(self, mine: Sequence[Task], now: float, *, again: bool) -> list[Task]:
        """Give agents what they are to do next, and give that; `mine` is what they have.

        `again` where something may have changed.
        """
        signatures, begun = self._queue.signatures(), time.monotonic()
        situation = self.situation((), mine, now)
        shape = _shape(signatures, situation)
        if not again and shape == self._shape and begun < self._until:
            return []
        self._shape, self.needy = None, []
        ready = self._queue.ready(list(signatures), WINDOW) if signatures else []
        ready = self._looked_at(ready, now)
        grants = self._decided(ready, situation) if ready else ()
        if grants:
            return self._claimed(grants, now)
        over = time.monotonic()
        self._shape, self._until = shape, over + min(LONGEST, (over - begun) * REST)
        return []

    def situation(self, ready: Sequence[Task], mine: Sequence[Task], now: float) -> Situation:
        """Give what a decision about these tasks rests on."""
        holds: dict[str, list[Task]] = defaultdict(list)
        for task in mine:
            holds[task.agent].append(task)
        agents = candidates(self._team, holds, self._last)
        strain = self._team.governor.strain
        found = Situation(
            ready=(),
            agents=agents,
            held=self._queue.locks.held(),
            scores=self._parts.verifying.scores,
            breakers=self._parts.verifying.breakers,
            strategy=self._strategy(agents),
            now=now,
            turn=self._turn,
            given=self._given,
            room=f"hive {DOING[CLOSED]}: {strain.why}" if strain.level >= CLOSED else "",
        )
        return self._among(found, ready) if ready else found

    def _looked_at(self, ready: Sequence[Task], now: float) -> list[Task]:
        """Give those ready tasks that are to be handed out."""
        self.waits, left = {}, []
        faults = self._parts.faults
        for task in ready:
            why: str | None = ""
            with faults.apart(task.name, now):
                why = self._parts.savings.spare(task, now)
            if why is None:
                left.append(task)
            else:
                self.waits[task.number] = why or faults.why(task.name)
        return left

    def _decided(self, ready: Sequence[Task], situation: Situation) -> Sequence[Grant]:
        decision = dispatch(self._among(situation, ready))
        self.waits |= decision.waits
        self.needy = [one for one in ready if one.job.locks and one.number in decision.waits]
        self._turn, self._given = decision.turn, decision.given
        return decision.grants

    def _among(self, situation: Situation, ready: Sequence[Task]) -> Situation:
        """Give a situation in which these tasks are ready."""
        apart: dict[int, frozenset[str]] = {}
        own: dict[int, frozenset[str]] = {}
        for parent in {task.parent for task in ready if task.apart}:
            had = {
                one.number: {step.agent for step in self._queue.story(one.number) if step.agent}
                for one in self._queue.tasks(parent=parent, limit=ALL)
                if one.apart
            }
            count = Counter(agent for agents in had.values() for agent in agents)
            apart[parent] = frozenset(count)
            for number, agents in had.items():
                own[number] = frozenset(agent for agent in agents if count[agent] == 1)
        models = {one.agent: one.model for one in situation.agents}
        used = {
            parent: tuple(models.get(agent, "") for agent in sorted(agents))
            for parent, agents in apart.items()
        }
        return replace(situation, ready=ready, apart=apart, own=own, models=used)

    def _strategy(self, agents: Iterable[Candidate]) -> str:
        """Give the strategy of most agents' projects: they are chosen among together."""
        found = Counter(self._parts.rules(one.project).strategy for one in agents)
        return found.most_common(1)[0][0] if found else Rules().strategy

    def _claimed(self, grants: Sequence[Grant], now: float) -> list[Task]:
        claims = [
            Claim(
                agent=one.agent,
                launch=one.launch,
                number=one.task.number,
                lease=self._parts.rules(one.task.job.project).lease,
                why=one.why,
            )
            for one in grants
        ]
        claimed = self._queue.claim(claims)
        for task in claimed:
            self._note(task, now)
        return claimed

    def _note(self, task: Task, now: float) -> None:
        """Remember what an agent had, and that a breaker is tried."""
        keys = [key for key in (task.job.sticky, task.job.batch) if key]
        if keys:
            known = self._last.get(task.agent, ())
            self._last[task.agent] = (*keys, *(one for one in known if one not in keys))[:8]
        verifying = self._parts.verifying
        for name in breaker.watching(task.job, task.agent):
            before = verifying.breakers.get(name)
            if before and before.state != "closed":
                verifying.trip(before, breaker.probed(before, now))


def _shape(signatures: Mapping[str, int], situation: Situation) -> object:
    """Give all that a decision rests on but time: where it is the same, so is the decision."""
    agents = [
        (one.agent, one.launch, bool(one.closed), [task.lease for task in one.holds])
        for one in situation.agents
    ]
    return signatures, agents, situation.held, dict(situation.breakers), situation.room
