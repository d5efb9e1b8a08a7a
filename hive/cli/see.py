"""Commands that look and change nothing: status, monitor, why, logs, events, attach."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from hive.adapters.channel import Unreachable
from hive.cli import output, remote
from hive.cli.hot import EVENTS, LINES
from hive.cli.options import AnyNames, Follow, Json, Name
from hive.core.tasks import parsed
from hive.errors import HiveError, NotRunning, TimedOut

PAUSE = 0.5
"""Seconds between two looks of a command that follows."""

Events = Annotated[int, typer.Option("--lines", "-n", metavar="N", min=1, help="How many events.")]
Lines = Annotated[int, typer.Option("--lines", "-n", metavar="N", min=1, help="How many lines.")]

Record = dict[str, Any]


def status(names: AnyNames = None, json: Json = False) -> None:
    """Tell what each agent is, and why."""
    record = remote.look("status", names=names or [])
    if json:
        output.as_json(record)
        return
    from hive import screen

    output.show(screen.status(asked(record), time.time()), whole=True)


def asked(record: Record) -> Record:
    """Give a status with how many things wait for a person (`inbox`).

    A supervisor of an older hive, which knows nothing of conversations, is not asked.
    """
    if not any("queue" in one for one in record["agents"]):
        return record
    return {**record, "inbox": len(remote.look("inbox")["items"])}


def monitor(json: Json = False) -> None:
    """Show everything on one screen, as it changes."""
    if json:
        status(json=True)
        return
    from hive.cli import monitor as live

    live.run()


def why(name: Name, json: Json = False) -> None:
    """Tell all that is known of one agent, message, request, task or run, and what is next."""
    from hive.cli.letters import why_letter

    if why_letter(name, json) or _why_work(name, json):
        return
    record = remote.look("why", name=name)
    if json:
        output.as_json(record)
        return
    from hive import screen

    output.show(screen.why(record, time.time()), whole=True)


def _why_work(name: str, json: bool) -> bool:
    """Tell all of a task or a run; False where the name is neither."""
    from hive.cli import tasks, work, workflows

    run = work.run_name(name)
    if run:
        workflows.told_run(run, json=json)
    elif parsed(name) is not None:
        tasks.told(work.tasks([name])[0], json=json)
    return bool(run) or parsed(name) is not None


def logs(name: Name, follow: Follow = False, lines: Lines = LINES, json: Json = False) -> None:
    """Print the last lines of an agent's window, or of its last end."""
    record = remote.look("logs", name=name, lines=lines)
    if json:
        output.as_json(record)
    else:
        if record["source"] == "certificate":
            output.note(f"it has no window now; this is what it showed at {record['time']}:")
        _print_lines(record["lines"])
    seen = record["lines"]
    while follow:
        time.sleep(PAUSE)
        record = _again("logs", name=name, lines=lines)
        fresh = news(seen, record["lines"])
        if fresh and json:
            output.as_json({**record, "lines": fresh})
        elif fresh:
            _print_lines(fresh)
        seen = record["lines"]


def events(
    names: AnyNames = None, follow: Follow = False, lines: Events = EVENTS, json: Json = False
) -> None:
    """Print what happened, oldest first."""
    chosen = names or []
    record = remote.look("events", names=chosen, after=0, limit=lines, newest=True)
    tell: Callable[[Record], None] = _events_as_json if follow else output.as_json
    tell = tell if json else _print_events
    tell(record)
    last = _latest(record, 0)
    while follow:
        time.sleep(PAUSE)
        record = _again("events", names=chosen, after=last, limit=1000, newest=False)
        tell(record)
        last = _latest(record, last)


def attach(name: Name, json: Json = False) -> None:
    """Go to an agent's window, or to a team's session."""
    place = _place(name)
    if json:
        output.as_json({"version": 1, **place})
        return
    from hive.adapters.attach import attach as go

    go(place["socket"], place["session"], place["pane"])


def news(seen: list[str], now: list[str]) -> list[str]:
    """Give the lines of a window that were not there at the last look.

    Lines scroll out at the top; the last one may have been unfinished, and is given again where
    it changed. A screen that was drawn anew is given whole.
    """
    for gone in range(len(seen)):
        kept = seen[gone:-1]
        if now[: len(kept)] == kept and (kept or now[:1] == seen[-1:]):
            rest = now[len(kept) :]
            return rest[1:] if rest[:1] == seen[-1:] else rest
    return now


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        output.say(line)


def _print_events(record: Record) -> None:
    if not record["events"]:
        return
    from hive import screen

    output.show(*(screen.event(one) for one in record["events"]), whole=True)


def _events_as_json(record: Record) -> None:
    """Print each event as a line of its own: a stream has no end to close a list with."""
    for one in record["events"]:
        output.as_json(one)


def _latest(record: Record, last: int) -> int:
    return max((one["id"] for one in record["events"]), default=last)


def _again(verb: str, **args: Any) -> Record:
    """Look until it is answered: a supervisor that is started again ends no following."""
    last = time.monotonic() + remote.AWAY
    while True:
        try:
            record: Record = remote.look(verb, **args)
        except (NotRunning, TimedOut):
            if time.monotonic() > last:
                raise
            time.sleep(PAUSE)
        else:
            return record


def _place(name: str) -> Record:
    """Say where a window is; from the store where no supervisor answers."""
    try:
        place: Record = remote.ask("attach", name=name)
    except Unreachable:
        shown = [one for one in remote.look("status", names=[name])["agents"] if one["pane"]]
        if not shown:
            raise HiveError(f"`{name}` has no window now", fix=f"hive why {name}") from None
        exact = len(shown) == 1
        first = shown[0]
        return {
            "socket": first["socket"],
            "session": first["session"],
            "window": first["window"] if exact else None,
            "pane": first["pane"] if exact else None,
        }
    return place
