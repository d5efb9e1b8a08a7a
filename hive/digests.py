"""Digests: who is in charge of a team is told what has changed in it, and what that costs.

A team in which nothing has changed costs nothing. Times are epoch seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from hive.adapters.store import Event
from hive.core.checkin import CheckIn
from hive.core.digest import digest
from hive.core.merging import Collision
from hive.core.spec import Agent
from hive.core.wording import count
from hive.evidence import Team

CHIEF = "pm"
"""The role that is told how its team gets on."""

TOLD = "digest:"
"""The fact under which is kept what an agent was told last of its team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one agent was told of its team: when, how often, and what its answers have cost.

    `check_in` is the newest check-in that it was told of, `paths` the collisions. While its turn
    for the latest digest goes on, `open`, `tokens` and `cost` are what it had used before; what
    they cost together is `spent_tokens` and `spent` (dollars).
    """

    at: float = 0.0
    times: int = 0
    check_in: int = 0
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
            if wanted and wanted.agent.role == CHIEF and _hears(one):
                self._tell(wanted.agent, collisions, now)

    def _tell(self, chief: Agent, collisions: Iterable[Collision], now: float) -> None:
        known = self.told.get(chief.id, Told())
        mates = [
            agent
            for agent, one in self._team.wanted.items()
            if (one.agent.project, one.agent.team) == (chief.project, chief.team)
        ]
        journal = self._team.store.journal
        kept = journal.check_ins(mates, since=known.at, limit=len(mates) * 50)
        before = {one.evidence.agent: one for one in kept if one.number <= known.check_in}
        after = [one for one in kept if one.number > known.check_in]
        paths = {
            one.path: one.agents
            for one in collisions
            if one.path not in known.paths and set(one.agents) & set(mates)
        }
        text = digest(chief.team, after, before, paths, reader=chief.id)
        if not text:
            return
        talks = self._team.talks
        talks.note(chief.id, text, now)
        shown = talks.shown(chief.id)
        self._keep(
            chief.id,
            replace(
                known,
                at=min((one.evidence.at for one in after), default=now),
                times=known.times + 1,
                check_in=max([known.check_in, *(one.number for one in after)]),
                paths=(*known.paths, *paths)[-100:],
                open=True,
                tokens=shown.tokens if shown else 0,
                cost=shown.cost if shown else 0.0,
            ),
        )
        text = f"told what changed in its team ({count(len(text.splitlines()), 'line')})"
        self.news.append(Event(agent=chief.id, kind="digest", text=text, at=now))

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


def _hears(one: CheckIn) -> bool:
    return one.evidence.speaks and not one.evidence.paused


def _told(text: str) -> Told:
    found = json.loads(text)
    return Told(**{**found, "paths": tuple(found.get("paths", ()))})
