"""`hive notify`: what people were told of what waits for them, and whether they can be told."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from hive.adapters.notify import COMMAND
from hive.cli import output, remote
from hive.cli.options import Json
from hive.core.wording import span
from hive.errors import NotRunning, TimedOut

PATIENCE = COMMAND + 15
"""Seconds until every way has ended."""

POLL = 0.1
"""Seconds between two looks how far a test is."""

Project = Annotated[
    str, typer.Option("--project", metavar="NAME", help="Only the ways of this project.")
]


def notify_list(json: Json = False) -> None:
    """Tell what people were told lately, how, and what does not come through."""
    record = remote.look("notices")
    if json:
        output.as_json(record)
        return
    from hive.screen import moment

    for one in reversed(record["notices"]):
        ways = ", ".join(_short(way) for way in one["ways"])
        output.say(f"{moment(one['time'])}  {one['project']}  {one['text']}  ({ways})")
    if not record["notices"]:
        output.say("nobody was told anything yet")
    for project in record["projects"]:
        for way in project["ways"]:
            if way["failing"]:
                output.say(f"{project['project']}: {way['way']} fails: {way['failing']}")


def notify_test(project: Project = "", json: Json = False) -> None:
    """Tell a test in every way there is, now, and say what came of each."""
    record = remote.ask("notify_test", project=project)
    last = time.monotonic() + PATIENCE
    while not record["over"]:
        if time.monotonic() > last:
            raise TimedOut(f"not every way ended within {span(PATIENCE)}", fix="hive notify test")
        time.sleep(POLL)
        record = _further(record)
    if json:
        output.as_json(record)
    else:
        for one in record["ways"]:
            output.say(f"{one['way']}: {'told: ' if one['told'] else 'failed: '}{one['how']}")
    if not all(one["told"] for one in record["ways"]):
        raise typer.Exit(1)


def _further(record: remote.Record) -> remote.Record:
    """Look how far a test is; the same where no supervisor answers just now."""
    try:
        now: remote.Record = remote.ask("notify_test", number=record["number"])
    except NotRunning:
        return record
    return now


def _short(one: remote.Record) -> str:
    way = str(one["way"]).partition(":")[0]
    return way if one["told"] else f"{way} failed" if one["how"] else f"{way} under way"
