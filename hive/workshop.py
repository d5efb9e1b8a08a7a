"""All that has to do with work, opened when it is first needed, and again after a failure.

Agents are kept alive also while the queue can't be reached: then only work rests, and says so.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hive import taskitems
from hive.adapters.state import State as Place
from hive.assignments import Assignments, Me
from hive.core.rules import from_dict, to_dict
from hive.core.spec import Agent
from hive.core.tasks import State, Task
from hive.errors import HiveError, NotRunning, TimedOut
from hive.jobs import Jobs
from hive.keeper import Keeper
from hive.known import Trees
from hive.lockkeeping import Lockkeeping
from hive.work import RULES, Work

AGAIN = 5.0
"""Seconds until it is tried again to open a queue that could not be opened."""

REST, LONGEST = 10.0, 60.0
"""A queue that can't be reached is tried again after so many times what the last try took, and
after so many seconds at most."""

_log = logging.getLogger("hive")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    """Why work rests: since when (epoch seconds), and until when (of the clock that only runs)."""

    error: HiveError
    since: float
    until: float


class Workshop:
    """The work of this node: its queue, its verbs, and the step that keeps it going."""

    def __init__(
        self,
        root: Path,
        keeper: Keeper,
        *,
        who: Callable[[Me], Agent],
        chosen: Callable[[Sequence[str]], list[str]],
        person: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._place = Place(root)
        self._keeper = keeper
        self._open: tuple[Work, Lockkeeping] | None = None
        self._failed: _Failed | None = None
        self.trees: Trees = lambda _agent: None
        self.jobs = Jobs(
            work=lambda: self._opened()[0],
            locking=lambda: self._opened()[1],
            chosen=chosen,
            roles=self._roles,
            person=person,
            bind=self._bind,
        )
        self.assignments = Assignments(
            work=lambda: self._opened()[0],
            locking=lambda: self._opened()[1],
            talks=keeper.talks,
            who=who,
            memory=lambda agent: keeper.memory.get(agent),  # noqa: PLW0108 - a reload makes another dict
            clock=clock,
        )

    @property
    def changed(self) -> bool:
        """Whether something was done that the next step goes on with."""
        return self._open is not None and self._open[0].changed

    def wake(self) -> None:
        """Have the next step done at once."""
        if self._open:
            self._open[0].changed = True

    def filenos(self) -> tuple[int, ...]:
        """Give the descriptors that are readable while there is something to go on with."""
        return self._open[0].filenos() if self._open else ()

    def step(self) -> float:
        """Do all that is due; gives the seconds until the next step. Raises HiveError."""
        work, locking = self._opened()
        with self._telling():
            after = work.step()
            locking.look(work.needy, self._live(), work.queue.now())
        return after

    def doing(self) -> dict[str, Task]:
        """Give the task that each agent had at the last step."""
        return {task.agent: task for task in reversed(self._open[0].mine)} if self._open else {}

    def items(self) -> list[dict[str, Any]]:
        """List what of the work waits for a person."""
        try:
            work = self._opened()[0]
            return self._listed(work)
        except HiveError as error:
            since = self._failed.since if self._failed else time.time()
            return [taskitems.resting(error, since)]

    def _listed(self, work: Work) -> list[dict[str, Any]]:
        held = work.queue.tasks(states=[State.HELD], limit=taskitems.SHOWN)
        dead = work.queue.tasks(states=[State.DEAD], limit=taskitems.SHOWN, newest=True)
        open_ = [one for one in work.verifying.breakers.values() if one.state == "open"]
        many = max(len(held), len(dead)) == taskitems.SHOWN
        return taskitems.items(held, dead, open_, work.queue.counts() if many else {})

    def close(self) -> None:
        """Give back everything; agents keep what they have."""
        if self._open:
            self._open[0].close()
            self._open = None

    def _opened(self) -> tuple[Work, Lockkeeping]:
        """Open the queue where it is not open; raises HiveError where that can't be done."""
        if self._failed and time.monotonic() < self._failed.until:
            raise self._failed.error
        if self._open is None:
            with self._telling():
                work = Work.open(self._place, self._keeper, self._keeper.store.facts(RULES))
            work.trees = lambda agent: self.trees(agent)  # noqa: PLW0108 - it may come later
            self._open = work, Lockkeeping(work.queue, self._note)
        return self._open

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Do what the work needs; where it can't be reached, all rests before it is tried again.

        Longer the longer a try takes: whoever waits for it keeps no agents alive meanwhile.
        """
        begun = time.monotonic()
        try:
            yield
        except HiveError as error:
            now = time.monotonic()
            since = self._failed.since if self._failed else time.time()
            away = isinstance(error, NotRunning | TimedOut)
            rest = min(LONGEST, (now - begun) * REST) if away else 0.0
            least = AGAIN if self._open is None else 0.0
            self._failed = _Failed(error=error, since=since, until=now + max(least, rest))
            raise
        except Exception as error:
            _log.exception("a bug stops the work")
            what = f"a bug in hive stops the work: {error!r}"
            raise HiveError(what, fix="look at supervisor.log, and report it") from error
        self._failed = None

    def _live(self) -> dict[str, list[str]]:
        """Give the launches that live, by agent; also the agents that have none."""
        live: dict[str, list[str]] = {agent: [] for agent in self._keeper.wanted}
        for agent, one in self._keeper.memory.items():
            live[agent] = [one.launch] if one.live else []
        return live

    def _bind(
        self, project: str, rules: Mapping[str, Any], workflows: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Have a project's work done by these rules, and its workflows begun as they now are."""
        known = from_dict(rules)
        work = self._opened()[0]
        work.runs.remember_definitions(project, workflows)
        self._keeper.store.note(RULES + project, json.dumps(to_dict(known)))
        work.bind(project, known)

    def _note(self, agent: str, text: str) -> None:
        if agent in self._keeper.talks.ears.lines:
            self._keeper.talks.note(agent, text, time.time())

    def _roles(self, role: str) -> list[str]:
        wanted = self._keeper.wanted.values()
        return [one.agent.id for one in wanted if one.agent.role == role and one.up]
