"""What one tick of the keeper did, gathered for one write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hive.adapters.store import Event, Record
from hive.core import actions as act
from hive.core.world import Memory


@dataclass
class Turn:
    """What one tick did, gathered for one write; `said` is the last event of each agent."""

    now: float
    said: dict[str, tuple[str, str]]
    records: list[Record] = field(default_factory=list)
    starts: list[act.Start] = field(default_factory=list)
    forgotten: list[act.Forget] = field(default_factory=list)
    wait: float | None = None
    busy: bool = False
    touched: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)

    def add(self, after: Memory, kind: str, why: str, **more: Any) -> None:
        """Remember a change of one agent, with its event."""
        event = self._event(after.agent, kind, why)
        self.records.append(Record(memory=after, event=event, **more))

    def say(self, agent: str, kind: str, why: str) -> None:
        """Remember an event that changes nothing."""
        if event := self._event(agent, kind, why):
            self.records.append(Record(event=event))

    def _event(self, agent: str, kind: str, why: str) -> Event | None:
        """Give the event; none for what is tried again and again, each time in vain."""
        if self.said.get(agent) == (kind, why):
            return None
        self.said[agent] = (kind, why)
        return Event(agent=agent, kind=kind, text=why, at=self.now)
