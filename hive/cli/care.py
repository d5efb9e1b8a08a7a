"""What works when things are broken: reset, stop-all, emergency-cleanup, doctor, supervise."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from hive.cli import output, remote
from hive.cli.options import AnyNames, Json, duration
from hive.core.wording import count
from hive.errors import HiveError, WrongInput

VERSION = 1

Patience = Annotated[
    str,
    typer.Option(
        "--timeout", help="How long agents get before they are ended by force; by default as asked."
    ),
]
Hard = Annotated[
    bool, typer.Option("--hard", help="Begin with an empty store; the old one is kept as a backup.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def stop_all(timeout: Patience = "", json: Json = False) -> None:
    """End every agent of every team on this machine."""
    from hive.cli.stopping import Stopping

    patience = duration(timeout) if timeout else None
    stopping = Stopping(state=remote.state(), tell=output.note, timeout=patience)
    left = stopping.run()
    names, killed = stopping.stopped(), stopping.killed()
    if json:
        found = {"stopped": names, "forced": killed, "left": left.record()}
        output.as_json({"version": VERSION, **found})
    else:
        by_force = f", {len(killed)} of them by force" if killed else ""
        ran = "ended by force what ran" if stopping.forced else "nothing runs"
        output.say(f"stopped {count(len(names), 'agent')}{by_force}" if names else ran)
        _say_left(left.lines(), clean=left.clean)
    if stopping.me:
        _leave(stopping.me, stopping.sockets, "hive stop-all")
    if not left.clean:
        raise typer.Exit(1)


def emergency_cleanup(json: Json = False) -> None:
    """End by force all that hive ever started here, then look again."""
    from hive.adapters import emergency, scan
    from hive.adapters.audit import audit

    state = remote.state()
    me = scan.inside(state)
    sockets, _ = emergency.known_sockets(state)
    did = emergency.cleanup(state)
    left = audit(state, sockets)
    if json:
        output.as_json({"version": VERSION, "did": did, "left": left.record()})
    else:
        for line in did:
            output.say(line)
        _say_left(left.lines(), clean=not left.processes)
    if me:
        _leave(me, sockets, "hive emergency-cleanup")
    if left.processes:
        raise typer.Exit(1)


def reset(names: AnyNames = None, hard: Hard = False, yes: Yes = False, json: Json = False) -> None:
    """Forget deaths, backoffs and quarantines; history is kept."""
    if hard:
        _reset_hard(names or [], yes=yes, json=json)
        return
    record = _reset(names or [])
    if json:
        output.as_json(record)
    else:
        output.say(f"reset {count(len(record['agents']), 'agent')}")


def doctor(json: Json = False) -> None:
    """Look for what could keep hive from working here."""
    from hive.adapters.doctor import examine

    found = examine(remote.state(), os.environ)
    bad = [one for one in found if one.ok is False]
    if json:
        listed = [{"ok": one.ok, "what": one.what, "fix": one.fix} for one in found]
        output.as_json({"version": VERSION, "ok": not bad, "findings": listed})
    else:
        for one in found:
            output.say(f"{_MARKS[one.ok]:<5} {one.what}")
            if one.fix:
                output.say(f"      {'next: ' if one.ok is False else ''}{one.fix}")
        output.say(f"{count(len(bad), 'thing')} to put right" if bad else "all is well")
    if bad:
        raise typer.Exit(1)


def supervise() -> None:
    """Run the supervisor in this terminal until Ctrl-C; agents run on."""
    from hive.adapters import guard
    from hive.adapters.state import Locked, holder

    state = remote.state()
    state.prepare()
    by = holder(state)
    if by:
        raise Locked(state, by)
    environ = remote.for_supervisor()
    output.note(f"supervising {state.root}; what happens is in {state.log}")
    guard.become(str(state.root), environ)


_MARKS = {True: "ok", False: "WRONG", None: "note"}


def _reset(names: list[str]) -> Any:
    from hive.adapters.channel import Unreachable

    try:
        return remote.ask("reset", names=names)
    except Unreachable:
        from hive.offline import Offline

        return Offline(remote.state()).reset(names)


def _reset_hard(names: list[str], *, yes: bool, json: bool) -> None:
    if names:
        raise WrongInput("`--hard` is for everything", fix="leave out the names, or `--hard`")
    from hive.adapters.state import holder
    from hive.offline import Offline

    if holder(remote.state()):
        raise HiveError("a supervisor runs, and has the store open", fix="hive stop-all")
    if not yes:
        if not (sys.stdin.isatty() and output.interactive()):
            raise WrongInput("`--hard` asks first, and nobody is there", fix="add --yes")
        typer.confirm("Forget everything that hive knows of its agents?", abort=True)
    backup = Offline(remote.state()).start_afresh()
    if json:
        output.as_json({"version": VERSION, "backup": str(backup)})
    else:
        output.say(f"the store is empty; backup: {backup}")


def _leave(agent: str, sockets: set[str], verb: str) -> None:
    """End the agent in whose window this runs, the last of all."""
    from hive.adapters.emergency import end_own

    output.note(f"and now `{agent}`, which runs this")
    end_own(remote.state(), sockets, verb)


def _say_left(lines: list[str], *, clean: bool) -> None:
    for line in lines:
        output.say(line)
    if not clean:
        output.note("next: hive emergency-cleanup")
