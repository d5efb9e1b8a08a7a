"""What is done in worktrees while nobody waits for it, and the records that come of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from hive.adapters import bundles, merges
from hive.adapters.git import git, head_of
from hive.adapters.merges import Merged
from hive.adapters.plots import Stand, read_note, standing
from hive.adapters.shell import Stop
from hive.adapters.worktrees import Say
from hive.core.merging import Losses, lost
from hive.core.rhythm import Plot, plot_from
from hive.errors import HiveError
from hive.views import iso, short

LONGEST = 1 << 20
"""How many characters of a diff are told at most."""

Record = dict[str, Any]


LOT, UNMERGED = "plot:", "unmerged:"
"""The facts under which worktrees that were made are kept, and work that could not be merged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """The worktree of one agent (its id), as it was made; `env` is what the file adds for it."""

    agent: str
    plot: Plot
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def project(self) -> str:
        """The project of its agent."""
        return self.agent.partition("/")[0]


def to_text(lot: Lot) -> str:
    """Write a lot down as the store keeps it."""
    return json.dumps({"plot": asdict(lot.plot), "env": dict(lot.env)})


def from_text(agent: str, text: str) -> Lot:
    """Read an agent's lot back."""
    values = json.loads(text)
    return Lot(agent=agent, plot=plot_from(values["plot"]), env=values.get("env", {}))


def looked(lot: Lot) -> Record:
    """Look how a worktree is, and what is in it and nowhere else. Raises HiveError."""
    stand, note = standing(lot.plot), read_note(lot.plot.path)
    return {
        "state": stand.state.value,
        "reason": stand.why,
        "base": stand.base or (note.base if note else ""),
        **losses(bundles.losses(lot.plot)),
    }


def losses(found: Losses) -> Record:
    """Give what would be lost as a record."""
    commits = [
        {"hash": one.hash, "time": iso(one.at), "author": one.author, "subject": one.subject}
        for one in found.commits
    ]
    return {
        "into": found.onto,
        "uncommitted": list(found.uncommitted),
        "operation": found.operation,
        "commits": commits,
        "unmerged": found.unmerged,
        "unpushed": found.unpushed,
        "stashes": list(found.stashes),
        "inside": list(found.inside),
        "lost": lost(found) if found.any else "",
    }


def diff(lot: Lot, *, stat: bool) -> Record:
    """Tell what was changed in a worktree since its base, committed or not. Raises HiveError."""
    note = read_note(lot.plot.path)
    if note is None:
        raise HiveError("there is no worktree", where=lot.plot.path, fix="hive worktree list")
    into = note.onto if head_of(lot.plot.path, f"refs/heads/{note.onto}") else ""
    since = git(["merge-base", into or note.base, "HEAD"], lot.plot.path, codes=(0, 1)).strip()
    shown = ["--stat=80"] if stat else []
    text = git(["diff", "--no-color", "--no-ext-diff", *shown, since or note.base], lot.plot.path)
    new = [path for code, path in bundles.status(lot.plot.path, untracked=True) if code == "??"]
    return {
        "agent": short(lot.agent),
        "branch": lot.plot.branch,
        "since": since or note.base,
        "text": text[:LONGEST],
        "cut": len(text) > LONGEST,
        "untracked": new,
    }


def merged(
    lot: Lot, into: str, check: str, environ: Mapping[str, str], say: Say, stop: Stop
) -> Record:
    """Merge an agent's work back; raises HiveError where that may not be, or fails."""
    done = merges.merge(
        lot.plot,
        into,
        check=check,
        agent=short(lot.agent),
        environ=environ,
        say=say,
        stop=stop,
    )
    return _merged(lot, done)


def _merged(lot: Lot, done: Merged) -> Record:
    return {
        "agent": short(lot.agent),
        "branch": lot.plot.branch,
        "into": done.into,
        "commit": done.commit,
        "commits": done.commits,
        "files": done.files,
        "check": done.checked,
    }


def dropped(
    lot: Lot, to: Path, environ: Mapping[str, str], say: Say, stop: Stop, *, force: bool
) -> Record:
    """Drop a worktree; raises HiveError where something would be lost."""
    done = bundles.drop(lot.plot, environ, say, force=force, to=to, stop=stop)
    return {
        "agent": short(lot.agent),
        "path": lot.plot.path,
        "branch": lot.plot.branch,
        "branch_deleted": done.branch_deleted,
        "bundle": done.bundle,
        "restore": done.restore,
        "lost": lost(done.losses) if done.losses.any else "",
        "warnings": list(done.warnings),
    }


def tidied(
    lot: Lot,
    to: Path,
    environ: Mapping[str, str],
    say: Say,
    stop: Stop,
    *,
    merged: Record,
    drop: bool,
) -> Record:
    """Drop a worktree whose work is merged; that it has to stay is no failure, and is told."""
    try:
        gone = dropped(lot, to, environ, say, stop, force=False) if drop else None
    except HiveError as error:
        return {"merged": merged, "dropped": None, "stays": error.what}
    return {"merged": merged, "dropped": gone, "stays": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What keeps a worktree from being made (`into` is ""), or its work from being merged.

    `unproven` is work that would fit, but whose check fails.
    """

    agent: str
    why: str
    at: float
    into: str = ""
    unproven: bool = False


def item(one: Trouble, path: str, *, speaks: bool) -> Record:
    """List a trouble as `hive inbox` does; `path` is the worktree of an agent that `speaks`."""
    name = short(one.agent)
    if not one.into:
        return {
            "id": name,
            "kind": "worktree",
            "agent": name,
            "asked": "to put right what keeps its worktree from being made",
            "why": flat(one.why),
            "since": iso(one.at),
            "meanwhile": "it is not started; the others go on",
            "answer": f"hive start {name}",
        }
    then = f"then: hive finish {name}"
    if speaks:
        first = f"Merge {one.into} into your branch, put right what does not fit, and commit."
        text = "Put right what your check finds wrong, and commit." if one.unproven else first
        answer = f'hive send {name} "{text}"   # {then}'
    else:
        first = f"cd {quote(path)}" if one.unproven else f"git -C {quote(path)} merge {one.into}"
        answer = f"{first}   # put it right and commit; {then}"
    return {
        "id": name,
        "kind": "unmerged work",
        "agent": name,
        "asked": "to have its check pass" if one.unproven else f"to have its work fit `{one.into}`",
        "why": flat(one.why),
        "since": iso(one.at),
        "meanwhile": f"`{one.into}` is as it was, and its work stays in its worktree",
        "answer": answer,
    }


def unmerged(lots: Mapping[str, str], troubles: Mapping[str, str]) -> list[Record]:
    """List work that could not be merged, from what the store has of it by agent."""
    found = [Trouble(**json.loads(text)) for text in troubles.values()]
    paths = {agent: from_text(agent, text).plot.path for agent, text in lots.items()}
    return [item(one, paths[one.agent], speaks=False) for one in found if one.agent in paths]


def said(error: Exception) -> str:
    """Say what went wrong in a chore."""
    return error.what if isinstance(error, HiveError) else f"a bug in hive: {error!r}"


def flat(text: str) -> str:
    """Give what went wrong and the output that goes with it in one line."""
    head, *rest = text.splitlines() or [""]
    return f"{head}: {' / '.join(rest)}" if rest else head


def failure(error: Exception) -> Record:
    """Give what went wrong as a record, as a command line tells it."""
    if not isinstance(error, HiveError):
        return {"code": 1, "what": said(error), "where": "", "fix": "look at supervisor.log"}
    return {"code": error.exit_code, "what": error.what, "where": error.where, "fix": error.fix}


def look_at_all(lots: Sequence[Lot], say: Say, stop: Stop) -> dict[str, Record]:
    """Look at worktrees, one after the other; gives the records by agent."""
    found = {}
    for lot in lots:
        if stop.is_set():
            break
        say(short(lot.agent))
        try:
            found[lot.agent] = looked(lot)
        except HiveError as error:
            found[lot.agent] = {"state": Stand.BROKEN.value, "reason": error.what}
    return found
