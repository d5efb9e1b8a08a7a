"""Waiting, as a person sees it: a table that redraws itself, or a line for each change of state."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import typer

from hive.cli import output, remote
from hive.cli.remote import Progress, Record
from hive.errors import HiveError


def wait(
    ids: Collection[str],
    timeout: float,
    *,
    quiet: bool,
    after: Mapping[str, Collection[str]] | None = None,
) -> list[Record]:
    """Wait until these agents are settled, showing how far they are, and give their records.

    Raises TimedOut, HiveError where one failed, Exit on Ctrl-C (which ends the waiting only).
    """
    try:
        with _shown(quiet) as progress:
            records = remote.settle(ids, timeout, progress, after)
    except KeyboardInterrupt:
        output.note("stopped waiting; hive goes on with it")
        raise typer.Exit(output.INTERRUPTED) from None
    _refuse_failed(records)
    return records


def _refuse_failed(records: list[Record]) -> None:
    """Raise HiveError where an agent failed, naming all that did and those that wait for them."""
    failed = [one for one in records if one["state"] == "failed"]
    if not failed:
        return
    names = ", ".join(f"`{one['agent']}`" for one in failed)
    waiting = [f"\n    {one['agent']}  {one['reason']}" for one in records if not one["settled"]]
    raise HiveError(
        f"{names} failed: {failed[0]['reason']}" + "".join(waiting),
        fix=f"hive why {failed[0]['agent']}",
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
                output.say(f"{one['agent']}  {one['state']}: {one['reason']}")

    return progress


def _redrawn() -> Iterator[Progress]:
    from rich.live import Live

    from hive import screen

    console = output.console()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda records: live.update(
            screen.progress(records, time.time(), console.height), refresh=True
        )
