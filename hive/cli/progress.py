"""Waiting, as a person sees it: a table that redraws itself, or a line for each change of state."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import typer

from hive.cli import output, remote
from hive.cli.remote import Progress, Record
from hive.core.wording import count, span
from hive.errors import HiveError, TimedOut

BEAT = 15.0
"""Seconds between two lines of how far the worktree of one agent is."""


def wait(ids: Collection[str], timeout: float, *, quiet: bool) -> list[Record]:
    """Wait until these agents are what is wanted, showing how far they are; give their records.

    Raises TimedOut, HiveError where one failed or can't come, Exit on Ctrl-C, which ends the
    waiting only.
    """
    latest: list[Record] = []

    def seen(records: list[Record]) -> None:
        latest[:] = records
        progress(records)

    try:
        with _shown(quiet) as progress:
            records = remote.settle(ids, timeout, seen)
    except KeyboardInterrupt:
        output.note("stopped waiting; hive goes on with it")
        raise typer.Exit(output.INTERRUPTED) from None
    except TimedOut as error:
        raise _for_room(latest, timeout, error) from None
    _refuse_bad(records)
    return records


def _for_room(records: list[Record], timeout: float, error: TimedOut) -> TimedOut:
    """Give the error that says so where all that is not done yet is only short of room."""
    open_ = [one for one in records if not one["settled"]]
    if not open_ or error.what != remote.late(open_, timeout, []).what:
        return error
    short = {one["id"] for one in open_ if waits_for_room(one)}
    while more := {one["id"] for one in open_ if short & set(one["after"])} - short:
        short |= more
    if len(short) < len(open_):
        return error
    return TimedOut(
        f"after {span(timeout)} there is no room yet for {count(len(open_), 'agent')}, and each "
        f"starts by itself as soon as there is:{remote.listed(open_)}",
        fix="hive limits",
    )


def waits_for_room(one: Record) -> bool:
    """Whether an agent is not started because the machine has no room for it."""
    from hive.core.admission import WAITING

    return str(one["reason"]).startswith(WAITING)


def _refuse_bad(records: list[Record]) -> None:
    """Raise HiveError where agents failed or wait for such, naming each with its reason."""
    bad = [one for one in records if one["state"] == "failed" or not one["settled"]]
    if not bad:
        return
    raise HiveError(
        f"{count(len(bad), 'agent')} of {len(records)} did not come up:{remote.listed(bad)}",
        fix=f"hive why {bad[0]['agent']}",
    )


@contextmanager
def _shown(quiet: bool) -> Iterator[Progress]:
    if quiet:
        yield lambda _records: None
    elif output.interactive():
        yield from _redrawn()
    else:
        yield lines()


def lines() -> Progress:
    """Print a line for each agent whose state changed, or that began to wait for room.

    Now and then, too, for one whose worktree is made: a setup may take long.
    """
    from hive.core.starting import UNPLACED

    known: dict[str, tuple[str, bool, int]] = {}
    began = time.monotonic()

    def progress(records: list[Record]) -> None:
        for one in records:
            made = str(one["reason"]).startswith(UNPLACED)
            beat = int((time.monotonic() - began) / BEAT) if made else 0
            now = (one["state"], waits_for_room(one), beat)
            if known.get(one["id"]) != now:
                known[one["id"]] = now
                output.say(line(one))

    return progress


def line(one: Record) -> str:
    """Say what an agent is, and why."""
    from hive.core.shown import told

    return f"{one['agent']}  {one['state']}: {told(one)}"


def _redrawn() -> Iterator[Progress]:
    from rich.live import Live

    from hive import screen

    console = output.console()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda records: live.update(
            screen.progress(records, time.time(), console.height), refresh=True
        )
