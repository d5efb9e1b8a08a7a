"""What people see of worktrees: a list, a diff, what came of a merge or a drop.

Pure functions of the records in docs/json.md, as in `screen`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hive.core.wording import clean, count
from hive.screen import folded, grid

Record = Mapping[str, Any]

STATES = {"ready": "green", "made": "yellow", "absent": "dim", "broken": "bold red"}
"""The colours of how far a worktree is."""

LINES = {"+": "green", "-": "red", "@": "cyan"}
"""The colours of the lines of a diff, by how they begin."""

ROWS = 8
"""How many files or commits of one worktree are shown at most."""


def listing(record: Record) -> RenderableType:
    """Draw worktrees: how far each is, and what is in it and nowhere else."""
    found = record["worktrees"]
    if not found:
        return Text("no agent has a worktree")
    table = grid("agent", "state", "branch", "has")
    for one in found:
        state = one["state"] or "unknown"
        table.add_row(
            Text(one["agent"]),
            Text(state, style=STATES.get(state, "")),
            Text(one["branch"]),
            Text(clean(has(one))),
        )
    return folded(table)


def has(one: Record) -> str:
    """Say what a worktree has, in a few words; or what is wrong with it, or under way in it."""
    trouble = one["trouble"].splitlines()[0] if one["trouble"] else ""
    told = [one["doing"], trouble, one.get("reason", "")]
    if one.get("uncommitted"):
        told.append(f"{count(len(one['uncommitted']), 'file')} not committed")
    if one.get("operation"):
        told.append(f"a {one['operation']} not over")
    if one.get("unmerged"):
        into = f" into {one['into']}" if one["into"] else ""
        safe = "" if one["commits"] else ", but pushed"
        told.append(f"{count(one['unmerged'], 'commit')} not merged{into}{safe}")
    if one.get("stashes"):
        told.append(f"{len(one['stashes'])} stashed")
    if one.get("inside"):
        told.append(f"{len(one['inside'])} inside")
    if one["stays"]:
        told.append("its agent is gone, and it stays")
    clear = one["state"] == "ready"
    return "; ".join(filter(None, told)) or ("nothing that is not merged" if clear else "")


def lost(one: Record) -> RenderableType:
    """Draw what would be lost with a worktree, one by one."""
    commits = [f"{commit['hash'][:8]} {commit['subject']}" for commit in one.get("commits", ())]
    parts: list[RenderableType] = []
    for title, rows in (
        ("not committed", one.get("uncommitted", ())),
        ("neither merged nor pushed", commits),
        ("stashed (it stays in the repository)", one.get("stashes", ())),
        ("repositories inside it, with work that is nowhere else", one.get("inside", ())),
    ):
        parts += _rows(title, rows)
    return Group(*parts) if parts else Text("nothing would be lost")


def diff(record: Record) -> RenderableType:
    """Draw a diff."""
    parts = []
    for line in record["text"].splitlines():
        head = line.startswith(("+++", "---"))
        parts.append(Text(clean(line), style="bold" if head else LINES.get(line[:1], "")))
    if record["cut"]:
        parts.append(Text("… the rest is left out: git diff shows all", style="dim"))
    new = list(_rows("new files that git does not have yet", record["untracked"]))
    empty = [] if parts or new else [Text("nothing was changed")]
    return Group(*parts, *new, *empty)


def merged(record: Record) -> Text:
    """Say what was merged."""
    if not record["commits"]:
        return Text(f"{record['branch']} has nothing that {record['into']} has not")
    proof = f"`{record['check']}` succeeded" if record["check"] else "no `--check` was run"
    done = f"{count(record['commits'], 'commit')}, {count(record['files'], 'file')}"
    return Text(clean(f"{record['branch']} is merged into {record['into']}: {done}; {proof}"))


def dropped(record: Record) -> RenderableType:
    """Say what became of a worktree, and which command brings it back."""
    branch = "with its branch" if record["branch_deleted"] else f"{record['branch']} is kept"
    parts: list[RenderableType] = [
        Text(f"the worktree of {record['agent']} is dropped, {branch}"),
        *(Text(clean(one), style="yellow") for one in record["warnings"]),
    ]
    if record["bundle"]:
        parts += [Text(f"all of it is in {record['bundle']}; to have it back:")]
        parts += [Text(f"  {record['restore']}", style="bold", overflow="fold")]
    return Group(*parts)


def finished(record: Record) -> RenderableType:
    """Say what was merged, and what became of the worktree."""
    parts: list[RenderableType] = [merged(record["merged"])]
    if record["dropped"]:
        parts.append(dropped(record["dropped"]))
    else:
        why = f": {record['stays']}" if record["stays"] else ""
        parts.append(Text(clean(f"its worktree stays{why}")))
    return Group(*parts)


def _rows(title: str, rows: Sequence[str]) -> Iterable[Text]:
    if not rows:
        return
    yield Text(f"{title}:", style="bold")
    for row in rows[:ROWS]:
        yield Text(f"  {clean(row)}", overflow="fold")
    if len(rows) > ROWS:
        yield Text(f"  … and {len(rows) - ROWS} more", style="dim")
