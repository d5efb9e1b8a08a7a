"""What is asked of the rhythm while no supervisor runs, answered from what was written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hive import handing, herald, replaying, rhythmviews, taskviews
from hive.adapters.queue import Queue
from hive.adapters.state import State
from hive.adapters.store import Store
from hive.core.standup import Facts, standup
from hive.foreman import DAY, MOST, OPEN, OVER
from hive.replaying import Replaying
from hive.views import VERSION, iso

if TYPE_CHECKING:
    from hive.offline import Offline

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question; `chosen` gives the agents (ids) that names mean, `store` is None where none is.

    Times are epoch seconds.
    """

    state: State
    store: Store | None
    chosen: Callable[[Sequence[str]], list[str]]
    offline: Offline
    now: float

    def checkins(self, names: Sequence[str] = (), limit: int = 0) -> Record:
        """Tell the latest check-in of each of these agents (all), or the `limit` latest of all."""
        if self.store is None:
            return rhythmviews.listing([])
        agents = self.chosen(names)
        if limit:
            return rhythmviews.listing(self.store.journal.check_ins(agents, limit=limit))
        latest = self.store.journal.latest(agents)
        return rhythmviews.listing(latest[one] for one in agents if one in latest)

    def standup(self, names: Sequence[str] = (), since: float | None = None) -> Record:
        """Tell what each team has done since, was doing, waits for, and does next."""
        begin = self.now - DAY if since is None else since
        teams = {agent.rpartition("/")[0] for agent in self.chosen(names)}
        status = self.offline.status()
        mine = [one for one in status["agents"] if one["id"].rpartition("/")[0] in teams]
        agents = [one["id"] for one in mine]
        told = (
            self.store.journal.check_ins(agents, since=begin, limit=MOST * 10) if self.store else []
        )
        facts = Facts(
            agents=mine,
            teams=status["teams"],
            tasks=self._tasks(begin),
            inbox=self.offline.inbox()["items"],
            checkins=told,
            named=bool(names),
        )
        return standup(facts, since=begin, now=self.now)

    def _tasks(self, since: float) -> list[Record]:
        where = self.state.queue()
        if "://" not in where and not Path(where).exists():
            return []
        with Queue.open(where) as queue:
            going = queue.tasks(states=OPEN, limit=MOST)
            over = queue.tasks(states=OVER, limit=MOST, newest=True)
        fresh = [one for one in over if max(one.finished, one.since) >= since]
        listed: list[Record] = taskviews.listing([*going, *fresh], {}, {})["tasks"]
        return listed

    def handoffs(self, names: Sequence[str] = (), run: str = "", limit: int = 20) -> Record:
        """List the latest handoffs: all, or those from and to these agents, or of a run."""
        chosen = self.chosen(names) if names else None
        return handing.listing(self.store.journal if self.store else None, chosen, run, limit)

    def notices(self) -> Record:
        """Tell what people were told lately."""
        return herald.kept(self.store) if self.store else herald.listed([], {})

    def replay(self, **args: Any) -> Record:
        """Tell in order what happened."""
        if self.store is None:
            until = args.get("until") or self.now
            span = {"since": iso(args.get("since") or 0.0), "until": iso(until)}
            return {"version": VERSION, **span, "moments": [], "next": None, "missing": ""}
        stories = partial(replaying.stories_at, self.state)
        past = Replaying(
            store=self.store, chosen=self.chosen, stories=stories, clock=lambda: self.now
        )
        return past.replay(**args)
