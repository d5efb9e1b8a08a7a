"""The locks in the queue's store: those of leased tasks, and those that agents took themselves."""

from __future__ import annotations

import json
from collections.abc import Collection

from hive.adapters.queue_base import Base
from hive.adapters.queue_rows import higher, root, words
from hive.core.locks import in_way
from hive.core.tasks import Held, Want

_ALL = "SELECT name, shared, task, agent, launch, fence, at FROM held ORDER BY name, at, task"
_TAKE = (
    "INSERT INTO held (name, task, agent, shared, above, launch, fence, at)"
    " VALUES (:name, 0, :agent, :shared, :above, :launch, 0, :now)"
    " ON CONFLICT (name, task, agent) DO UPDATE SET launch = excluded.launch,"
    " shared = held.shared AND excluded.shared"
)
_GIVE = "DELETE FROM held WHERE task = 0 AND name = :name AND agent = :agent RETURNING name"
_RELEASE = "DELETE FROM held WHERE task = 0 AND launch {among:launches}"


class Locks:
    """What is locked, by whom."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def held(self) -> list[Held]:
        """Give every lock that is held, by name."""
        return [
            Held(
                name=name,
                shared=bool(shared),
                task=task,
                agent=agent,
                launch=launch,
                fence=fence,
                at=at,
            )
            for name, shared, task, agent, launch, fence, at in self._base.rows(_ALL)
        ]

    def take(self, want: Want, agent: str, launch: str) -> list[Held]:
        """Take a lock for an agent, and give those that are in the way: none, and it is its own.

        What the agent holds already, itself or for a task, is not in its way.
        """
        return self._base.write(lambda: self._take(want, agent, launch), again=True)

    def _take(self, want: Want, agent: str, launch: str) -> list[Held]:
        name = words(want.name)
        self._base.decide(root(name))
        others = [one for one in self.held() if one.agent != words(agent)]
        if found := in_way([want], others):
            return found
        values = {"name": name, "agent": words(agent), "launch": words(launch)}
        self._base.rows(_TAKE, values | {"shared": want.shared, "above": higher(name)})
        return []

    def give(self, name: str, agent: str) -> bool:
        """Give back a lock that an agent took; gives whether it had it."""
        values = {"name": words(name), "agent": words(agent)}
        return bool(self._base.write(lambda: self._base.rows(_GIVE, values)))

    def release(self, launches: Collection[str]) -> None:
        """Let go every lock that an agent took in one of these launches."""
        values = {"launches": json.dumps(sorted(words(launch) for launch in launches))}
        self._base.write(lambda: self._base.rows(_RELEASE, values), again=True)
