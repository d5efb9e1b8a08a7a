"""`hive replay`: what happened, in order, with the screens of the moments that count."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from hive.cli import output, remote
from hive.cli.options import AnyNames, Json
from hive.errors import WrongInput

LONGEST = 5.0
"""So many seconds at most nothing is printed while it is played."""

From = Annotated[
    str,
    typer.Option(
        "--from", metavar="WHEN", help="`02:00`, `2h` (ago), `yesterday 22:00`, or an ISO time."
    ),
]
To = Annotated[str, typer.Option("--to", metavar="WHEN", help="The same; until now without it.")]
NoScreens = Annotated[bool, typer.Option("--no-screens", help="Leave the screens out.")]
Play = Annotated[bool, typer.Option("--play", help="Print it as it went, only faster.")]
Speed = Annotated[
    float, typer.Option("--speed", metavar="N", min=0.1, help="So many times as fast as it was.")
]
Most = Annotated[int, typer.Option("--lines", "-n", metavar="N", min=1, help="How many moments.")]

Record = dict[str, Any]


def replay(
    names: AnyNames = None,
    *,
    since: From = "12h",
    until: To = "",
    no_screens: NoScreens = False,
    play: Play = False,
    speed: Speed = 60.0,
    lines: Most = 500,
    json: Json = False,
) -> None:
    """Tell in order what happened, with screens at the moments that count."""
    from hive.adapters import zones
    from hive.core.moments import window

    if play and json:
        what = "`--play` is for people, `--json` for programs"
        raise WrongInput(what, fix="leave one of them out")
    begin, end = window(since, until, time.time(), zones.zone(os.environ))
    record = remote.look(
        "replay", names=names or [], since=begin, until=end, screens=not no_screens, limit=lines
    )
    if json:
        output.as_json(record)
        return
    if not record["moments"]:
        output.note("nothing happened then")
    elif play:
        for one, before in _as_it_went(record, speed):
            _show(one, before)
    else:
        _show_all(record)
    _tell_rest(record)


def _as_it_went(record: Record, speed: float) -> Iterator[tuple[Record, Record | None]]:
    """Give each moment when it is its turn, with the one before."""
    from hive.core.replay import pauses

    found = record["moments"]
    times = [datetime.fromisoformat(one["time"]).timestamp() for one in found]
    waits = pauses(times, speed, LONGEST)
    for one, before, wait in zip(found, [None, *found[:-1]], waits, strict=True):
        time.sleep(wait)
        yield one, before


def _show(one: Record, before: Record | None) -> None:
    from hive import screen_replay

    output.show(*screen_replay.drawn(one, before), whole=True)


def _show_all(record: Record) -> None:
    from hive import screen_replay

    found = record["moments"]
    pairs = zip(found, [None, *found[:-1]], strict=True)
    parts = [part for one, before in pairs for part in screen_replay.drawn(one, before)]
    output.show(*parts, whole=True)


def _tell_rest(record: Record) -> None:
    """Say what is not told, beside the result."""
    if record["missing"]:
        output.note(f"not told: {record['missing']}")
    if record["next"]:
        local = datetime.fromisoformat(record["next"]).astimezone()
        output.note(f"there is more: --from {local:%Y-%m-%dT%H:%M:%S}, or --lines for more at once")
