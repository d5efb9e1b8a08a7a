"""Digests: who is in charge of a team is told what has changed in it, and what that costs.

A team in which nothing has changed costs nothing. Times are epoch seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from hive.adapters.store import Event
from hive.core.checkin import CheckIn
from hive.core.digest import changes, digest
from hive.core.merging import Collision
from hive.core.signs import Turn
from hive.core.spec import Agent
from hive.core.wording import count
from hive.core.world import State
from hive.evidence import Team

CHIEF = "pm"
"""The role that is told how its team gets on."""

TOLD = "digest:"
"""The fact under which is kept what an agent was told last of its team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one agent was told of its team: when, how often, and what its answers have cost.

    `at` is when the latest digest was written, `begin` the moment of the oldest check-in that was
    new to it then, `check_in` the newest one. `seen` has by agent the check-in (its number) that
    what comes later is compared with, `paths` the collisions that it was told of. While its turn
    for the latest digest goes on, `open`, `tokens` and `cost` are what it had used before; what
    they cost together is `spent_tokens` and `spent` (dollars).
    """

    at: float = 0.0
    begin: float = 0.0
    times: int = 0
    check_in: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    open: bool = False
    tokens: int = 0
    cost: float = 0.0
    spent_tokens: int = 0
    spent: float = 0.0


class Digests:
    """What everybody who is in charge was told of their team."""

    def __init__(self, team: Team) -> None:
        self._team = team
        facts = team.store.facts(TOLD)
        self.told = {agent: _told(text) for agent, text in facts.items()}
        self.news: list[Event] = []

    def step(
        self,
        fresh: Iterable[CheckIn],
        collisions: Iterable[Collision],
        now: float,
    ) -> None:
        """Tell those whose own check-in is among the `fresh` ones, but for who is paused."""
        self._settle()
        for one in fresh:
            wanted = self._team.wanted.get(one.evidence.agent)
            if wanted and wanted.agent.role == CHIEF and self._hears(one):
                self._tell(wanted.agent, collisions, now)

    def _tell(self, chief: Agent, collisions: Iterable[Collision], now: float) -> None:
        known = self.told.get(chief.id, Told())
        mates = [
            agent
            for agent, one in self._team.wanted.items()
            if (one.agent.project, one.agent.team) == (chief.project, chief.team)
        ]
        journal = self._team.store.journal
        kept = journal.check_ins(mates, since=known.begin, limit=len(mates) * 50)
        after = [one for one in kept if one.number > known.check_in and not _begins(one)]
        seen = {agent: known.seen[agent] for agent in mates if agent in known.seen}
        before = journal.numbered(seen.values())
        paths = {
            one.path: one.agents
            for one in collisions
            if one.path not in known.paths and set(one.agents) & set(mates)
        }
        told = changes(after, before, reader=chief.id)
        latest = {one.evidence.agent: one.number for one in after}
        # Of whom there is nothing to tell stays compared with what was told: else who is quiet and
        # working by turns would be told of each time.
        fresh = {one: latest[one] for one in latest if one in told or one not in before}
        text = digest(chief.team, after, before, paths, reader=chief.id)
        now_known = replace(
            known,
            begin=min((one.evidence.at for one in after), default=known.begin),
            check_in=max([known.check_in, *latest.values()]),
            seen={**seen, **fresh},
            paths=(*known.paths, *paths)[-100:],
        )
        self._keep(chief.id, self._told(chief.id, now_known, text, now) if text else now_known)

    def _told(self, chief: str, known: Told, text: str, now: float) -> Told:
        """Say it; gives what is known of the one who is told then."""
        talks = self._team.talks
        talks.note(chief, text, now)
        said = f"told what changed in its team ({count(len(text.splitlines()), 'line')})"
        self.news.append(Event(agent=chief, kind="digest", text=said, at=now))
        shown = talks.shown(chief)
        return replace(
            known,
            at=now,
            times=known.times + 1,
            open=True,
            tokens=known.tokens if known.open or not shown else shown.tokens,
            cost=known.cost if known.open or not shown else shown.cost,
        )

    def _hears(self, one: CheckIn) -> bool:
        """Whether it can be told now; while it works, no more than one digest waits for it."""
        known = self.told.get(one.evidence.agent, Told())
        busy = known.open and one.evidence.state == Turn.WORKING
        return one.evidence.speaks and not one.evidence.paused and not busy

    def _settle(self) -> None:
        """See what the latest digests have cost, once their readers' turns are over."""
        talks = self._team.talks
        for agent, known in self.told.items():
            line, shown = talks.ears.lines.get(agent), talks.shown(agent)
            if not known.open or line is None or shown is None or line.ear.ended <= known.at:
                continue
            self._keep(
                agent,
                replace(
                    known,
                    open=False,
                    spent_tokens=known.spent_tokens + max(0, shown.tokens - known.tokens),
                    spent=known.spent + max(0.0, shown.cost - known.cost),
                ),
            )

    def _keep(self, agent: str, known: Told) -> None:
        self._team.store.note(TOLD + agent, json.dumps(asdict(known)))
        self.told = {**self.told, agent: known}


def _begins(one: CheckIn) -> bool:
    """Whether it just starts: how that goes on is what its lead is told."""
    return one.evidence.state == State.STARTING.value and not one.evidence.sub


def _told(text: str) -> Told:
    found = json.loads(text)
    return Told(**{**found, "paths": tuple(found.get("paths", ()))})
