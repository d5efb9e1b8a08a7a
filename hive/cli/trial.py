"""`hive profile test`: which of a program's signals work with the version that is installed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

from hive.cli import output, remote
from hive.cli.options import Json, Timeout, duration
from hive.core.names import did_you_mean
from hive.core.wording import clean, count
from hive.errors import WrongInput

PATIENCE = "60s"
"""How long it may take to be ready, and to answer a prompt."""

MARKS = {True: "ok", False: "WRONG", None: "note"}

Record = dict[str, Any]

Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="`hive profile list` has them.")]
Run = Annotated[
    str, typer.Option("--run", metavar="COMMAND", help="Run this, not the profile's program.")
]
Prompt = Annotated[
    str, typer.Option("--prompt", metavar="TEXT", help="Give it this, too: that costs tokens.")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Answer the questions of its first start in that folder.")
]


def profile_test(
    name: Profile,
    *,
    run: Run = "",
    prompt: Prompt = "",
    trust: Trust = False,
    timeout: Timeout = PATIENCE,
    json: Json = False,
) -> None:
    """Start a profile's program, with your own login, and tell which signals work."""
    from hive.adapters import profiles
    from hive.trial import Trial

    environ = remote.for_supervisor()
    known = profiles.load(environ)
    if name not in known:
        near = did_you_mean(name, known)
        raise WrongInput(f"there is no profile `{name}`{near}", fix="hive profile list")
    trial = Trial(
        profile=known[name],
        environ=environ,
        tell=output.note,
        run=run,
        prompt=prompt,
        trust=trust,
        patience=duration(timeout),
    )
    with _ending_cleanly():
        record = trial.carry_out()
    if json:
        output.as_json(record)
    else:
        _show(record)
    if not record["ok"]:
        raise typer.Exit(1)


def _show(record: Record) -> None:
    for one in record["signals"]:
        after = "" if one["after"] is None else f" ({one['after']:.1f}s)"
        output.say(f"{MARKS[one['ok']]:<5} {one['signal']:<12} {clean(one['text'])}{after}")
    bad = sum(one["ok"] is False for one in record["signals"])
    if not record["prompted"]:
        output.say("no prompt was given: --prompt TEXT gives one, and costs tokens")
    output.say(f"{count(bad, 'signal')} to look at" if bad else "all that was tried works")


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Have TERM and HUP end us as an exception does: what was started must not be left."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _end) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _end(number: int, _frame: Any) -> NoReturn:
    raise SystemExit(128 + number)
