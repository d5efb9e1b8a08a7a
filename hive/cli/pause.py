"""`hive pause`, `resume`: have agents stand still, and go on where they were."""

from __future__ import annotations

from typing import Annotated

import typer

from hive.cli import output, remote
from hive.cli.options import Json
from hive.core.wording import count

Some = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME", help="Agents or teams: `team/agent` or `team`; `*` is any name."
    ),
]
Every = Annotated[bool, typer.Option("--all", help="Every agent of this machine.")]


def pause(
    names: Some = None,
    now: Annotated[
        bool, typer.Option("--now", help="At once, also in the middle of a turn.")
    ] = False,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Say why.")] = "",
    every: Every = False,
    json: Json = False,
) -> None:
    """Give agents nothing more, and freeze them at the end of their turns, until resumed.

    A command that a worker runs is finished first; a plain program is frozen at once. No time
    counts against a task of theirs meanwhile. It outlives the supervisor; `hive stop` works.
    """
    reply = remote.ask("pause", names=names or [], now=now, why=why, every=every)
    how = "now" if now else "once the turn is over"
    _say(reply, "pause", f": nothing more is given, frozen {how}; `hive status` says", json=json)


def resume(names: Some = None, every: Every = False, json: Json = False) -> None:
    """Let paused agents go on where they were, and have them get what waited."""
    reply = remote.ask("resume", names=names or [], every=every)
    _say(reply, "resume", "", json=json)


def _say(reply: remote.Record, verb: str, more: str, *, json: bool) -> None:
    if json:
        output.as_json(reply)
    elif not reply["agents"]:
        output.say(f"nothing to {verb}")
    else:
        output.say(f"{verb.rstrip('e')}ed {count(len(reply['agents']), 'agent')}{more}")
