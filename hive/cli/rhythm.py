"""Commands about the rhythm: checkins, checkin, standup."""

from __future__ import annotations

import os
import time
from typing import Annotated, Any

import typer

from hive.cli import output, remote
from hive.cli.options import AnyNames, Json, Name
from hive.errors import WrongInput

DAY = "24h"
"""How far back a standup looks where nobody says."""

Record = dict[str, Any]

Many = Annotated[
    int | None,
    typer.Option(
        "--lines", "-n", metavar="N", min=1, help="So many of the latest, of all; else one of each."
    ),
]
Asking = Annotated[
    bool, typer.Option("--ask", help="Have the agent asked in words; it answers in its own time.")
]
Since = Annotated[
    str, typer.Option("--since", metavar="WHEN", help="`24h` (ago), `02:00`, or an ISO time.")
]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Write it as Markdown.")]


def checkins(names: AnyNames = None, lines: Many = None, json: Json = False) -> None:
    """Tell how agents get on: the latest check-in of each, or the latest of all."""
    record = remote.look("checkins", names=names or [], limit=lines or 0)
    if json:
        output.as_json(record)
        return
    from hive import screen_rhythm

    output.show(screen_rhythm.listing(record, time.time()), whole=True)


def checkin(name: Name, ask: Asking = False, json: Json = False) -> None:
    """Look now how one agent gets on, and tell all of it."""
    record = remote.ask("checkin", name=name, ask=ask)
    if json:
        output.as_json(record)
        return
    from hive import screen_rhythm

    now = time.time()
    output.show(*(screen_rhythm.checkin(one, now) for one in record["checkins"]), whole=True)
    for one in record["checkins"] if ask else ():
        output.note(_asked(one))


def _asked(one: Record) -> str:
    """Say whether an agent was asked just now, or why not."""
    name = one["agent"]
    if one["asked"] == one["time"]:
        return f"it is asked; its answer is in the next check-in: hive checkins {name}"
    if one["paused"]:
        return f"it is not asked while it is paused; next: hive resume {name}"
    return f"it is not asked: nothing can be typed into it; next: hive why {name}"


def standup(
    names: AnyNames = None, since: Since = DAY, markdown: AsMarkdown = False, json: Json = False
) -> None:
    """Tell of each team what is done, doing, blocked, next, and what may go wrong."""
    now = time.time()
    record = remote.look("standup", names=names or [], since=moment(since, now))
    if json:
        output.as_json(record)
        return
    from hive import screen_rhythm

    if markdown:
        for line in screen_rhythm.markdown(record).split("\n"):
            output.say(line)
    else:
        output.show(screen_rhythm.standup(record, now), whole=True)


def moment(text: str, now: float) -> float:
    """Read `--since` (epoch seconds); raises WrongInput for no moment, or one that lies ahead."""
    from hive.adapters import zones
    from hive.core import moments

    try:
        found = moments.moment(text, now, zones.zone(os.environ))
    except (ValueError, OverflowError) as error:
        raise WrongInput(
            f"`--since {text}` is no moment", fix=f"write {moments.EXAMPLES}"
        ) from error
    if found > now:
        raise WrongInput(f"`--since {text}` lies ahead", fix="name an earlier moment, or `24h`")
    return found
