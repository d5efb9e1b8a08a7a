"""Files of tasks: read whole, and written to the queue in one transaction."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hive.cli import remote
from hive.core.tasks import New
from hive.errors import WrongInput

CHUNK = 500
"""How many tasks of a file are written at once."""


def lines(file: str) -> list[str]:
    """Give the lines of a file, or of stdin; raises WrongInput."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8-sig").split("\n")
    except OSError as error:
        fix = "name a file with one task a line, as JSON; `-` is stdin"
        raise WrongInput(f"can't read it: {error.strerror}", where=file, fix=fix) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        where = f"{'stdin' if file == '-' else file}:{line}"
        raise WrongInput("it is not UTF-8", where=where, fix="save it as UTF-8") from error


def written(new: Sequence[New], *, again: bool) -> int:
    """Write tasks to the queue, all or none, and give how many were there before.

    `again` says that they may have been, by their uids.
    """
    from hive.adapters.queue import Queue
    from hive.core.quorum import copies

    place, known = remote.state(), 0
    place.prepare()
    remote.join()
    with Queue.open(place.queue()) as queue, queue.batch(), _bar(len(new)) as advance:
        for start in range(0, len(new), CHUNK):
            part = new[start : start + CHUNK]
            before = {one.uid for one in part if again and queue.by_uid(one.uid)}
            added = {one.uid for one in queue.add([each for one in part for each in copies(one)])}
            known += sum(one.uid in before or one.uid not in added for one in part)
            advance(len(part))
    return known


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """Show how far it is where a person looks."""
    if not sys.stderr.isatty():
        yield lambda _many: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda many: progress.advance(task, many)
