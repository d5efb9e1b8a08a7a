"""Commands about schedules: add, list, remove, pause, resume."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from hive.cli import output, work
from hive.cli.options import File, Json
from hive.cli.workflows import Values, params
from hive.errors import WrongInput

MISSED = ("skip", "once", "all")
"""What may be done about the times at which hive did not run."""

Record = dict[str, Any]

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name: any word.")]
Cron = Annotated[
    str, typer.Option("--cron", metavar="CRON", help="When: `0 2 * * *` is every day at two.")
]
Workflow = Annotated[str, typer.Option("--workflow", metavar="NAME", help="What is run.")]
Zone = Annotated[
    str, typer.Option("--zone", metavar="ZONE", help="A time zone, `Europe/Berlin`; else yours.")
]
Missed = Annotated[
    str,
    typer.Option("--missed", metavar="HOW", help="Of times that passed: `skip`, `once` or `all`."),
]


def add(
    name: Name,
    *,
    cron: Cron,
    workflow: Workflow,
    zone: Zone = "",
    missed: Missed = "once",
    values: Values = None,
    file: File = None,
    json: Json = False,
) -> None:
    """Have a workflow run by the clock; a schedule of this name is replaced."""
    from hive.adapters import zones
    from hive.core.workflow import from_dict, given

    if missed not in MISSED:
        what = f"`--missed {missed}` is none of `skip`, `once` and `all`"
        raise WrongInput(what, fix="hive schedule add --help")
    project, definition = work.workflow(workflow, file)
    filled = params(values or [])
    given(from_dict(definition), filled)  # what lacks now would lack every night
    own = "" if zone else zones.name(os.environ)
    schedule = {
        "project": project, "name": name, "cron": cron, "zone": zone or own,
        "workflow": workflow, "params": filled, "missed": missed, "sender": work.sender(),
    }  # fmt: skip
    record = work.ask("add_schedule", values=schedule, definition=definition)
    _told(record, json=json)
    if not zone:
        meant = f"{own}, as this machine's clock" if own else "UTC: this machine's zone has no name"
        output.note(f"its times are in {meant}; --zone names another zone")


def list_(json: Json = False) -> None:
    """List which workflows run by the clock, and when next."""
    _told(work.ask("schedules"), json=json)


def remove(name: Name, json: Json = False) -> None:
    """Forget a schedule; what it began goes on."""
    record = work.ask("drop_schedule", project=work.project(), name=name)
    if json:
        output.as_json(record)
    else:
        output.say(f"`{name}` runs no more")


def pause(name: Name, json: Json = False) -> None:
    """Have a schedule begin nothing until it is resumed."""
    _told(_paused(name, paused=True), json=json)


def resume(name: Name, json: Json = False) -> None:
    """Have a paused schedule go on; what it missed meanwhile is left out."""
    _told(_paused(name, paused=False), json=json)


def _paused(name: str, *, paused: bool) -> Record:
    record: Record = work.ask("pause_schedule", project=work.project(), name=name, paused=paused)
    return record


def _told(record: Record, *, json: bool) -> None:
    if json:
        output.as_json(record)
        return
    from hive import screen_workflows

    output.show(screen_workflows.schedules(record), whole=True)
