"""All that has to do with work, opened when it is first needed, and again after a failure.

Agents are kept alive also while the queue can't be reached: then only work rests, and says so.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hive import taskitems
from hive.adapters.state import State as Place
from hive.assignments import Assignments, Me
from hive.core.rules import from_dict, to_dict
from hive.core.spec import Agent
from hive.core.tasks import State, Task
from hive.errors import HiveError
from hive.jobs import Jobs
from hive.keeper import Keeper
from hive.lockkeeping import Lockkeeping
from hive.work import RULES, Work

AGAIN = 5.0
"""Seconds until it is tried again to open a queue that could not be opened."""

_log = logging.getLogger("hive")


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
        self._failed: tuple[float, HiveError] | None = None
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
        after = work.step()
        live = {one.launch for one in self._keeper.memory.values() if one.live}
        locking.look(self._waiting(work), live, work.queue.now())
        return after

    def doing(self) -> dict[str, Task]:
        """Give the task that each agent had at the last step."""
        return {task.agent: task for task in reversed(self._open[0].mine)} if self._open else {}

    def items(self) -> list[dict[str, Any]]:
        """List what of the work waits for a person."""
        if not self._open:
            return []
        work = self._open[0]
        held = work.queue.tasks(states=[State.HELD], limit=100)
        dead = work.queue.tasks(states=[State.DEAD], limit=20, newest=True)
        open_ = [one for one in work.verifying.breakers.values() if one.state == "open"]
        return taskitems.items(held, dead, open_)

    def close(self) -> None:
        """Give back everything; agents keep what they have."""
        if self._open:
            self._open[0].close()
            self._open = None

    def _opened(self) -> tuple[Work, Lockkeeping]:
        """Open the queue where it is not open; raises HiveError where that can't be done."""
        if self._open is None:
            if self._failed and 0 <= time.monotonic() - self._failed[0] < AGAIN:
                raise self._failed[1]
            try:
                work = Work.open(self._place, self._keeper, self._keeper.store.facts(RULES))
            except HiveError as error:
                self._failed = time.monotonic(), error
                raise
            self._open = work, Lockkeeping(work.queue, self._note)
            self._failed = None
        return self._open

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

    def _waiting(self, work: Work) -> list[Task]:
        """Give the tasks that are ready, need a lock, and are given to nobody."""
        found = (work.queue.task(number) for number in work.waits)
        return [one for one in found if one and one.job.locks]

    def _roles(self, role: str) -> list[str]:
        wanted = self._keeper.wanted.values()
        return [one.agent.id for one in wanted if one.agent.role == role and one.up]
