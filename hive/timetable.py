"""Workflows that the clock begins: each at each of its times once, whoever looks.

Times are epoch seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hive.adapters.queue import Queue
from hive.core.schedule import Schedule, due, following
from hive.core.tasks import Run
from hive.core.workflow import Definition, from_dict
from hive.errors import HiveError, WrongInput

DEFINITION = "definition:"
"""How the fact begins under which a workflow is kept that the clock begins."""

Start = Callable[[Definition, str, Mapping[str, str], str, str, float], Run]
"""Begins a workflow: of a project, with parameters, under a uid, for a sender, now."""


class Timetable:
    """The schedules of a queue, and the workflows they begin."""

    def __init__(self, queue: Queue, start: Start) -> None:
        self._queue = queue
        self._start = start

    def remember(self, project: str, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep workflows as they are now."""
        for name, values in definitions.items():
            text = json.dumps(values, ensure_ascii=False)
            self._queue.notebook.note(f"{DEFINITION}{project}/{name}", text)

    def definition(self, project: str, name: str) -> Definition:
        """Give a workflow as it was last kept; raises WrongInput where it never was."""
        text = self._queue.notebook.fact(f"{DEFINITION}{project}/{name}")
        if text is None:
            what = f"no workflow `{name}` of {project} is kept"
            raise WrongInput(what, fix="hive schedule add, where the file is that has it")
        return from_dict(json.loads(text))

    def fire(self, now: float) -> float:
        """Begin what the clock says is due; gives the next moment at which something is."""
        schedules = (one for one in self._queue.notebook.schedules() if not one.paused)
        return min((self._fired(one, now) for one in schedules), default=float("inf"))

    def _fired(self, schedule: Schedule, now: float) -> float:
        if schedule.next_at > now:
            return schedule.next_at
        notebook = self._queue.notebook
        try:
            times, later = due(schedule, now), following(schedule, now)
        except WrongInput as error:  # as where a time zone is not known any more
            with self._queue.batch():
                self._refused(schedule, now, now, error)
                notebook.put_schedule(replace(schedule, paused=True))
            return float("inf")
        for at, after in zip(times, [*times[1:], later], strict=False):
            with self._queue.batch():
                if notebook.fire(schedule, at, after):
                    self._begin(schedule, at, now)
        with self._queue.batch():  # where it began nothing, as the clock was set back, or by rule
            for one in notebook.schedules():
                same = (one.project, one.name) == (schedule.project, schedule.name)
                if same and one.next_at <= now:
                    notebook.put_schedule(replace(one, next_at=later))
        return later

    def _begin(self, schedule: Schedule, at: float, now: float) -> None:
        uid = f"schedule:{schedule.project}/{schedule.name}:{at:.0f}"
        sender = f"schedule {schedule.name}"
        try:
            found = self.definition(schedule.project, schedule.workflow)
            self._start(found, schedule.project, schedule.params, uid, sender, now)
        except WrongInput as error:
            self._refused(schedule, at, now, error)

    def _refused(self, schedule: Schedule, at: float, now: float, error: HiveError) -> None:
        """Tell that a scheduled workflow could not begin: as a run of it that failed."""
        run = Run(
            number=0,
            uid=f"schedule:{schedule.project}/{schedule.name}:{at:.0f}",
            workflow=schedule.workflow,
            project=schedule.project,
            state="failed",
            why=f"it could not begin: {error.what}",
            params=schedule.params,
            sender=f"schedule {schedule.name}",
            created=now,
            finished=now,
        )
        self._queue.add_run(run, [])
