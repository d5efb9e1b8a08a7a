"""Locks that agents ask for by themselves: who has which, who waits, and how circles are broken.

A wait is known for as long as its agent goes on asking. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from hive.adapters.queue import Queue
from hive.core.contention import nudges
from hive.core.locks import Wait, cycle, in_way, sentence, victim, want
from hive.core.tasks import Held, Task, Want
from hive.errors import HiveError

ASKED = 6.0
"""Seconds after which a wait is over that nobody asks for any more."""

LOOK = 30.0
"""Seconds between two looks whether somebody holds for long what others wait for."""


class Circle(HiveError):  # noqa: N818 - an error's name says what is wrong
    """A wait was ended because nobody in its circle could ever have gone on."""


@dataclass(slots=True, kw_only=True)
class _Wait:
    """One agent's wait for a lock: since when, and when it last asked."""

    want: Want
    since: float
    asked: float


class Lockkeeping:
    """Gives locks to agents, and says who waits for whom."""

    def __init__(self, queue: Queue, tell: Callable[[str, str], None]) -> None:
        self._queue = queue
        self._tell = tell
        self._waits: dict[tuple[str, str], _Wait] = {}
        self._ended: dict[tuple[str, str], tuple[str, float]] = {}
        self._looked = 0.0
        self._live: set[str] = set()
        self._told: dict[str, float] = {}

    def take(self, text: str, shared: bool, agent: str, launch: str, now: float) -> list[Held]:
        """Take a lock for an agent; gives those in the way, none where it is its own.

        Raises `Circle` where this wait has to end so that others can go on, and WrongInput for a
        name that is none.
        """
        wish = want(f"shared {text}" if shared else text)
        key = agent, wish.name
        self._ended = {key: one for key, one in self._ended.items() if now - one[1] <= ASKED}
        if key in self._ended:
            self._waits.pop(key, None)
            raise Circle(self._ended.pop(key)[0], fix="give back what you hold, then ask again")
        held = self._queue.locks.take(wish, agent, launch)
        if not held:
            self._waits.pop(key, None)
            return []
        known = self._waits.get(key)
        self._waits[key] = _Wait(want=wish, since=known.since if known else now, asked=now)
        self._break(now)
        if key in self._ended:
            return self.take(text, shared, agent, launch, now)
        return held

    def give(self, text: str, agent: str) -> bool:
        """Give back an agent's lock; gives whether it had it."""
        return self._queue.locks.give(want(text).name, agent)

    def waits(self, ready: Iterable[Task], now: float) -> list[Wait]:
        """Say who waits for a lock, and for whom: agents that ask, and tasks that are ready."""
        held = self._queue.locks.held()
        found = []
        for (agent, name), one in self._asking(now).items():
            found += [
                Wait(who=agent, wants=name, holder=it.agent, since=one.since, priority=50)
                for it in in_way([one.want], held)
                if it.agent != agent
            ]
        for task in ready:
            found += [
                Wait(
                    who=task.name,
                    wants=it.name,
                    holder=it.agent,
                    since=task.since,
                    priority=task.job.priority,
                )
                for it in in_way(task.job.locks, held, task.number)
            ]
        return found

    def look(self, ready: Iterable[Task], live: Mapping[str, Collection[str]], now: float) -> None:
        """Let go what launches held that are over, and remind who holds for long.

        `live` are the launches of each agent of this node's. Locks of others are left alone: in a
        store that machines share they are for theirs to let go.
        """
        known, self._live = self._live, {launch for each in live.values() for launch in each}
        held = self._queue.locks.held()
        mine = {one.launch for one in held if not one.task and one.agent in live}
        gone = (mine | known) - self._live
        if any(one.launch in gone for one in held if not one.task):
            self._queue.locks.release(gone)
            held = self._queue.locks.held()
        if 0 <= now - self._looked < LOOK:
            return
        self._looked = now
        for agent, text in nudges(held, self.waits(ready, now), now, self._told):
            self._told[agent] = now
            self._tell(agent, text)

    def _asking(self, now: float) -> dict[tuple[str, str], _Wait]:
        self._waits = {key: one for key, one in self._waits.items() if now - one.asked <= ASKED}
        return self._waits

    def _break(self, now: float) -> None:
        """End one wait of every circle: whoever waits in it waits for ever."""
        waits = self.waits((), now)
        while circle := cycle(waits):
            one = victim(circle)
            self._ended[one.who, one.wants] = sentence(circle), now
            waits = [it for it in waits if (it.who, it.wants) != (one.who, one.wants)]
