"""How commands print: text for people, one line of JSON for programs, errors on stderr.

It imports next to nothing, because the hot path uses it; rich comes when it is asked for.
"""

from __future__ import annotations

import json
import os
import sys

from hive.core.wording import clean
from hive.errors import HiveError

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rich.console import Console, RenderableType

UNBROKEN = 10_000
"""A width at which no line is broken."""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


def say(text: str = "") -> None:
    """Print one line for a person, at once."""
    print(clean(text), flush=True)


def note(text: str) -> None:
    """Print one line beside the result: on stderr, so that what is piped stays clean."""
    print(clean(text), file=sys.stderr, flush=True)


def as_json(record: Any) -> None:
    """Print a record as one line of JSON, at once."""
    print(json.dumps(record), flush=True)


def show(*parts: RenderableType, whole: bool = False) -> None:
    """Print tables and panels, as wide as the terminal.

    Into a pipe they go without trailing blanks, and with `whole` lines are not broken there.
    """
    target = console()
    if whole and not target.is_terminal:
        target.width = UNBROKEN
    if target.is_terminal:
        target.print(*parts, sep="\n")
        return
    with target.capture() as drawn:
        target.print(*parts, sep="\n")
    for line in drawn.get().splitlines():
        print(line.rstrip())
    sys.stdout.flush()  # who follows is not to wait until a buffer is full


def console() -> Console:
    """Give rich's console on stdout: in colour on a terminal unless NO_COLOR is set."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def interactive() -> bool:
    """Whether a person looks at what is printed."""
    return sys.stdout.isatty()


def wants_json(words: list[str]) -> bool:
    """Whether these words of a command line ask for JSON."""
    return "--json" in words[: words.index("--") if "--" in words else None]


def fail(error: HiveError, *, json_too: bool) -> int:
    """Tell an error on stderr, for programs on stdout too, and give its exit code."""
    if json_too:
        as_json({"version": 1, "error": as_record(error)})
    first, *more = f"error: {error}".splitlines()
    for line in (first, *more):
        note(line)
    return error.exit_code


def as_record(error: HiveError) -> dict[str, Any]:
    """Give an error as a JSON-ready record."""
    return {
        "code": error.exit_code,
        "what": error.what,
        "where": error.where,
        "fix": error.fix,
    }


def guarded(act: Callable[[], int], *, json_too: bool) -> int:
    """Do it and give its exit code; what a user can put right becomes a message.

    Ctrl-C ends it with 130, a reader that went away (`| head`) ends it quietly.
    """
    try:
        code = act()
        sys.stdout.flush()
    except HiveError as error:
        return fail(error, json_too=json_too)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
