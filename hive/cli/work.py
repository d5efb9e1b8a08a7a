"""Asking about work: the supervisor, or the queue itself where none runs.

The queue lies beside the supervisor and needs none to be read or added to.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hive.adapters.channel import Unreachable
from hive.cli import output, remote
from hive.core.names import did_you_mean
from hive.core.tasks import parsed
from hive.errors import NotRunning, TimedOut, WrongInput

if TYPE_CHECKING:
    from hive.adapters.files import Loaded
    from hive.core.rules import Rules
    from hive.core.tasks import Job
    from hive.core.workflow import Definition

PERSON = "a person"
"""Who asks for something where no agent does."""

FIRST, LAST = 0.1, 1.0
"""Seconds between two looks of one wait: at the beginning, and when it takes long."""

SHARE, LONGEST = 10, 3.0
"""So many times as long as a look took nobody looks again, but for seconds at most."""

_RUN = re.compile(r"[rR]-([0-9]{1,15})")

Record = dict[str, Any]


def ask(verb: str, **args: Any) -> Any:
    """Have it done or answered; raises NotRunning where that needs a supervisor and none runs."""
    try:
        return remote.ask(verb, **args)
    except Unreachable:
        from hive import offline_tasks

        remote.join()
        known = offline_tasks.OfflineTasks(remote.state())
        if not hasattr(known, verb):
            raise
        return getattr(known, verb)(**args)


def tasks(names: Iterable[str]) -> list[str]:
    """Give the names of tasks as hive writes them; raises WrongInput where one is none."""
    found = []
    for name in names:
        number = parsed(name)
        if number is None:
            run = run_name(name)
            fix = f"hive workflow show {run}" if run else "name one like `t-12`: hive task list"
            raise WrongInput(f"`{name}` is {'a run, ' if run else ''}not a task", fix=fix)
        found.append(f"t-{number}")
    return list(dict.fromkeys(found))


def run_name(name: str) -> str | None:
    """Give the name of a run as hive writes it, `r-7`; None for any other word."""
    found = _RUN.fullmatch(name)
    return f"r-{int(found[1])}" if found else None


def project() -> str:
    """Give the project that is meant here: the agent's own, or that of the nearest hive.toml.

    Empty where there is neither.
    """
    own = os.environ.get("HIVE_AGENT", "").partition("/")[0]
    found = None if own else loaded()
    return own or (found.project if found else "")


def rules() -> Rules:
    """Give how work is done here, as the nearest hive.toml says, or as usual."""
    from hive.core.rules import Rules

    found = loaded()
    return found.rules if found else Rules()


def strangers(jobs: Iterable[Job]) -> list[str]:
    """Say what these tasks want that no agent of the nearest hive.toml is, each thing once."""
    from hive.core.workflow_checks import unmet

    found = loaded()
    if found is None:
        return []
    own = {job.signature: job for job in jobs if job.project == found.project}
    return list(dict.fromkeys(filter(None, (unmet(job, found.agents) for job in own.values()))))


def span(text: str, option: str) -> str:
    """Give how far away a moment is, `2026-11-22T10:00`; another text is given as it is.

    Raises WrongInput for a moment that is over.
    """
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except ValueError:
        return text
    left = round(moment.timestamp() - time.time())
    if left <= 0:
        raise WrongInput(f"`{option} {text}` is over", fix="name a later moment, or `30m`")
    return f"{left}s"


@cache
def loaded() -> Loaded | None:
    """Read the hive.toml here or in the nearest folder above; None where there is none.

    Raises WrongInput where it is wrong.
    """
    from hive.adapters import files

    here = Path.cwd()
    if not any((folder / files.NAME).is_file() for folder in (here, *here.parents)):
        return None
    return files.load()


def workflow(name: str, file: Path | None) -> tuple[str, Record]:
    """Give the project that a workflow is run for, and its definition: the file's, or hive's own.

    Raises WrongInput where there is none of that name.
    """
    from hive.adapters import files
    from hive.core.workflow import to_dict

    found = files.load(file) if file else loaded()
    named, rules = (found.project, found.rules) if found else (project(), None)
    if found and name in found.workflows:
        return named, to_dict(found.workflows[name])
    _known(name, [*(found.workflows if found else ()), *files.templates("workflows")])
    return named, to_dict(files.ready_made(name, named, rules))


def workflows(name: str) -> Record:
    """Give the record of all workflows that can be run here, or of one with its text.

    Raises WrongInput where there is none of that name.
    """
    from hive.adapters import files

    found = loaded()
    own = found.workflows if found else {}
    listed = [_workflow(one, str(found.path)) for one in own.values()] if found else []
    listed += [
        _workflow(files.ready_made(one), "hive")
        for one in files.templates("workflows")
        if one not in own
    ]
    if name:
        _known(name, [one["workflow"] for one in listed])
        listed = [one for one in listed if one["workflow"] == name]
        if name not in own:
            listed[0]["text"] = files.template(name, "workflows")
    return {"version": 1, "workflows": listed}


def _known(name: str, names: Sequence[str]) -> None:
    """Raise WrongInput where there is no workflow of that name."""
    if name not in names:
        near = did_you_mean(name, names)
        raise WrongInput(f"no workflow `{name}`{near}", fix="hive workflow templates")


def _workflow(one: Definition, source: str) -> Record:
    """Build the record of a workflow that can be run; of the user's own the text is in the file."""
    return {
        "workflow": one.name,
        "source": source,
        "about": one.about,
        "pattern": one.pattern,
        "params": dict(one.params),
        "text": None,
        "steps": [
            {
                "key": step.key,
                "phase": step.phase,
                "needs": list(step.needs),
                "kind": step.job.kind,
                "text": step.job.text,
                "team": step.job.team,
                "role": step.job.role,
                "when": step.job.when,
            }
            for step in one.steps
        ],
    }


def sender() -> str:
    """Say who asks: the agent in whose window this runs, or a person."""
    return os.environ.get("HIVE_AGENT") or PERSON


def until(look: Callable[[], bool], timeout: float | None, what: Callable[[], str]) -> None:
    """Look again and again until that says that it is over, through restarts of the supervisor.

    Raises TimedOut after `timeout` seconds, with `what` then is, and Exit on Ctrl-C, which ends
    the waiting only.
    """
    last = None if timeout is None else time.monotonic() + timeout
    pause, begun = FIRST, time.monotonic()
    try:
        while not _looked(look):
            now = time.monotonic()
            if last is not None and now > last:
                raise TimedOut(f"not over yet, and hive goes on with it: {what()}")
            time.sleep(max(pause, min(SHARE * (now - begun), LONGEST)))
            pause, begun = min(pause * 1.3, LAST), time.monotonic()
    except KeyboardInterrupt:
        output.note("stopped waiting; hive goes on with it")
        raise typer.Exit(output.INTERRUPTED) from None


def _looked(look: Callable[[], bool]) -> bool:
    try:
        return look()
    except (NotRunning, TimedOut):  # it ended before it answered, and is started again
        return False
