"""Commands about worktrees: list, diff, merge, drop; and finish."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hive.cli import output, remote, work
from hive.cli.options import AnyNames, Json, Name, NoWait, duration
from hive.errors import KINDS, HiveError, WrongInput

Record = dict[str, Any]

Stat = Annotated[bool, typer.Option("--stat", help="Only how much of each file was changed.")]
Into = Annotated[
    str, typer.Option("--into", metavar="BRANCH", help="Else the branch that it began with.")
]
Check = Annotated[
    str, typer.Option("--check", metavar="CMD", help="Merge only if this command succeeds.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the worktree in any case.")]
Force = Annotated[
    bool, typer.Option("--force", help="Also with work in it; a bundle keeps what would be lost.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Patience = Annotated[
    str, typer.Option("--timeout", metavar="TIME", help="Wait so long: `90s`; else for ever.")
]


def list_(names: AnyNames = None, json: Json = False) -> None:
    """List the worktrees of agents, and what is in each and nowhere else."""
    record = {"version": 1, **_listed(names or [])}
    if json:
        output.as_json(record)
        return
    from hive import screen_yard

    output.show(screen_yard.listing(record), whole=True)


def diff(name: Name, stat: Stat = False, json: Json = False) -> None:
    """Show what an agent has changed since its branch began, committed or not."""
    record = _done(remote.ask("worktree_diff", name=name, stat=stat), "", quiet=True)
    if json:
        output.as_json({"version": 1, **record})
        return
    from hive import screen_yard

    output.show(screen_yard.diff(record), whole=True)


def merge(
    name: Name,
    *,
    into: Into = "",
    check: Check = "",
    no_wait: NoWait = False,
    timeout: Patience = "",
    json: Json = False,
) -> None:
    """Merge an agent's work back: only if it is clean, passes its check and fits."""
    job = remote.ask("worktree_merge", name=name, into=into, check=check)
    _told(job, timeout, "merged", no_wait=no_wait, json=json)


def drop(
    name: Name,
    *,
    force: Force = False,
    yes: Yes = False,
    no_wait: NoWait = False,
    timeout: Patience = "",
    json: Json = False,
) -> None:
    """Remove an agent's worktree: only if nothing is lost, or kept in a bundle with --force."""
    if force:
        _sure(name, yes=yes or json)
    job = remote.ask("worktree_drop", name=name, force=force)
    _told(job, timeout, "dropped", no_wait=no_wait, json=json)


def finish(
    name: Name,
    *,
    into: Into = "",
    check: Check = "",
    keep: Keep = False,
    no_wait: NoWait = False,
    timeout: Patience = "",
    json: Json = False,
) -> None:
    """Merge an agent's work back, checked; then drop its worktree if nobody needs it any more."""
    job = remote.ask("finish", name=name, into=into, check=check, keep=keep)
    _told(job, timeout, "finished", no_wait=no_wait, json=json)


def _listed(names: list[str]) -> Record:
    return _done(remote.ask("worktrees", names=names), "", quiet=True)


def _sure(name: str, *, yes: bool) -> None:
    """Say what would be lost, and ask."""
    from hive import screen_yard

    for one in _listed([name])["worktrees"]:
        output.note(f"{one['agent']}: {one['path']}")
        if not yes:
            output.show(screen_yard.lost(one), whole=True)
    if yes:
        return
    if not output.interactive():
        raise WrongInput("`--force` asks first, and nobody is there", fix="add --yes")
    typer.confirm("Drop it, and keep all of this in a bundle?", abort=True)


def _told(job: Record, timeout: str, drawn: str, *, no_wait: bool, json: bool) -> None:
    """Wait for a job and tell what came of it; or say that it is under way."""
    if no_wait:
        if json:
            output.as_json(job)
        else:
            output.say("hive is at it; `hive worktree list` shows what came of it")
        return
    record = _done(job, timeout, quiet=json)
    if json:
        output.as_json({"version": 1, **record})
        return
    from hive import screen_yard

    output.show(getattr(screen_yard, drawn)(record), whole=True)


def _done(job: Record, timeout: str, *, quiet: bool) -> Record:
    """Wait for a job, telling how far it is, and give what came of it; raises what it met."""
    patience = duration(timeout) if timeout else None
    now: Record = {"said": "", "state": ""}

    def look() -> bool:
        before = now["said"]
        now.update(remote.ask("worktree_job", job=job["job"]))
        if now["said"] != before and not quiet:
            output.note(now["said"])
        return now["state"] in {"done", "failed"}

    work.until(look, patience, lambda: f"`{now['verb']}`: {now['said'] or now['state']}")
    if now["error"]:
        error = now["error"]
        kind = KINDS.get(error["code"], HiveError)
        raise kind(error["what"], where=error["where"], fix=error["fix"])
    found: Record = now["result"]
    return found
