"""The verb that tells what happened: from the store, and from the stories of tasks.

It is answered in the same words with a supervisor and without one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hive.adapters.queue import Queue
from hive.adapters.queue_reads import NumberedStep
from hive.adapters.state import State as Place
from hive.adapters.store import Store
from hive.core import replay as past
from hive.core.replay import Moment
from hive.errors import HiveError
from hive.views import VERSION, iso, short, shown

VERBS = ("replay",)

MOST = 5000
"""How much of each source is read at most for one answer."""

TITLED = 200
"""Of how many tasks at most the titles are told."""

LINES = 40
"""So many lines of a screen are told: the last."""

PAGE = 1000
"""How many steps are read at once."""

LATE = 60.0
"""Seconds by which a step may stand behind a younger one: clocks differ, and are set."""

EVERYBODYS = frozenset({"supervisor", "stop-all", "store", "pressure", "limits", "rhythm"})
"""The kinds of events of hive itself that concern all agents."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stories:
    """Steps of tasks by their time, and the titles of some of these tasks by number."""

    steps: tuple[NumberedStep, ...] = ()
    titles: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """Tells what happened.

    `chosen` gives the agents (ids) that names mean. `stories` gives at most so many steps of
    tasks from one moment to another; where it raises `HiveError` the rest is told.
    """

    store: Store
    chosen: Callable[[Sequence[str]], Sequence[str]]
    stories: Callable[[float, float, int], Stories]
    clock: Callable[[], float]

    def replay(
        self,
        names: Sequence[str] = (),
        since: float = 0.0,
        until: float | None = None,
        screens: bool = True,
        limit: int = 500,
    ) -> Record:
        """Tell in order what happened to these agents (all) from `since` until `until` (now).

        At most `limit` moments are told, the first; `next` is when the others begin, `missing`
        says what could not be read.
        """
        now = self.clock()
        since, until = max(0.0, since), now if until is None else min(until, now)
        agents = _with_teams(self.chosen(names)) if names else None
        limit = max(1, min(limit, MOST))
        work, missing = self._work(since, until)
        found, cut = self._found(work, since, until, agents, screens=limit if screens else 0)
        after = found[limit].at if len(found) > limit else cut
        return {
            "version": VERSION,
            "since": iso(since),
            "until": iso(until),
            "moments": [_record(one) for one in found[:limit]],
            "next": None if after is None else iso(after),
            "missing": missing,
        }

    def _work(self, since: float, until: float) -> tuple[Stories, str]:
        try:
            return self.stories(since, until, MOST), ""
        except HiveError as error:
            return Stories(), f"what became of tasks: {error.what}"

    def _found(
        self,
        work: Stories,
        since: float,
        until: float,
        agents: Collection[str] | None,
        *,
        screens: int,
    ) -> tuple[list[Moment], float | None]:
        """Give all moments, and from when on some are left out (None: none are).

        So many of them have their screens, the first ones.
        """
        journal = self.store.journal
        events = self.store.between(since, until, agents, limit=MOST)
        said = journal.said(agents, since, until, limit=MOST)
        check_ins = journal.check_ins(agents, since=since, until=until, limit=MOST, newest=False)
        ends = [rows[-1].at for rows in (events, said, work.steps) if len(rows) >= MOST]
        ends += [check_ins[-1].evidence.at] if len(check_ins) >= MOST else []
        cut = min(ends, default=None)
        kept = journal.screens(agents, since, until, limit=screens) if screens else ()
        concern = [one for one in events if _concerns(one.agent, one.kind, agents)]
        found = past.replay(
            past.happened(concern, {one.task for one in work.steps}),
            past.ended(self.store.ends(since, until, agents)),
            past.told(said),
            _of(agents, past.worked(_owned(work.steps), work.titles)),
            past.checked_in(check_ins),
            past.handed(journal.handoffs(agents, since=since, until=until, limit=MOST)),
            screens=kept,
            since=since,
            until=until if cut is None else math.nextafter(cut, 0.0),
        )
        return [one if screens else replace(one, screen="") for one in found], cut


def stories(queue: Queue, since: float, until: float, limit: int = MOST) -> Stories:
    """Give the first `limit` steps of tasks of this time. Raises `HiveError`."""
    found: list[NumberedStep] = []
    after = _before(queue, since - LATE)
    while len(found) < limit:
        page = queue.steps(after=after, limit=PAGE)
        found += [one for one in page if since <= one.at <= until]
        if len(page) < PAGE or page[-1].at > until + LATE:
            break
        after = page[-1].id
    found.sort(key=lambda one: (one.at, one.id))
    tasks = [queue.task(one) for one in list(dict.fromkeys(one.task for one in found))[:TITLED]]
    titles = {one.number: one.job.name for one in tasks if one}
    return Stories(steps=tuple(found[:limit]), titles=titles)


def stories_at(place: Place, since: float, until: float, limit: int = MOST) -> Stories:
    """Give the same, with the queue opened for it; none where there is no queue yet."""
    where = place.queue()
    if "://" not in where and not Path(where).exists():
        return Stories()
    with Queue.open(where) as queue:
        return stories(queue, since, until, limit)


def _before(queue: Queue, moment: float) -> int:
    """Give an id of a step before this moment, near to it: ids are in the order of time."""

    def early(after: int) -> bool:
        page = queue.steps(after=after, limit=1)
        return bool(page) and page[0].at < moment

    low, high = 0, 1
    while early(high):
        low, high = high, high * 2
    while high - low > PAGE // 2:  # a page is read at once all the same
        middle = (low + high) // 2
        low, high = (middle, high) if early(middle) else (low, middle)
    return low


def _owned(steps: Iterable[NumberedStep]) -> list[NumberedStep]:
    """Give the steps with the agent that had the task last, where they name none."""
    owners: dict[int, str] = {}
    found = []
    for one in steps:
        owner = owners[one.task] = one.agent or owners.get(one.task, "")
        found.append(replace(one, agent=owner))
    return found


def _of(agents: Collection[str] | None, moments: Iterable[Moment]) -> list[Moment]:
    return [one for one in moments if agents is None or (one.agent and one.agent in agents)]


def _with_teams(agents: Iterable[str]) -> set[str]:
    """Give the agents, their teams, and hive itself: what happens to these concerns them too."""
    found = set(agents)
    return found | {one.rpartition("/")[0] for one in found} | {""}


def _concerns(agent: str, kind: str, agents: Collection[str] | None) -> bool:
    return bool(agent) or agents is None or kind in EVERYBODYS


def _record(one: Moment) -> Record:
    return {
        "time": iso(one.at),
        "agent": short(one.agent),
        "kind": one.kind,
        "text": one.text,
        "screen": shown(one.screen.split("\n"))[-LINES:],
        "ref": one.ref,
    }
