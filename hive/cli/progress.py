"""Waiting, as a person sees it: a table that redraws itself, or a line for each change of state."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import typer

from hive.cli import output, remote
from hive.cli.remote import Progress, Record
from hive.core.wording import count
from hive.errors import HiveError


def wait(ids: Collection[str], timeout: float, *, quiet: bool) -> list[Record]:
    """Wait until these agents are what is wanted, showing how far they are; give their records.

    Raises TimedOut, HiveError where one failed or can't come, Exit on Ctrl-C, which ends the
    waiting only.
    """
    try:
        with _shown(quiet) as progress:
            records = remote.settle(ids, timeout, progress)
    except KeyboardInterrupt:
        output.note("stopped waiting; hive goes on with it")
        raise typer.Exit(output.INTERRUPTED) from None
    _refuse_bad(records)
    return records


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
    """Print a line for each agent whose state changed since the last look."""
    known: dict[str, str] = {}

    def progress(records: list[Record]) -> None:
        for one in records:
            if known.get(one["id"]) != one["state"]:
                known[one["id"]] = one["state"]
                output.say(line(one))

    return progress


def line(one: Record) -> str:
    """Say what an agent is, and why."""
    return f"{one['agent']}  {one['state']}: {one['reason']}"


def _redrawn() -> Iterator[Progress]:
    from rich.live import Live

    from hive import screen

    console = output.console()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda records: live.update(
            screen.progress(records, time.time(), console.height), refresh=True
        )
