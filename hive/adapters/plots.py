"""What there is of agents' git worktrees: what git lists, and what hive wrote down of each.

The note lies in the worktree's own git folder, so it goes where the worktree goes, and is never
in anybody's way.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from hive.adapters.git import GitError, git, head_of
from hive.core.rhythm import Plot
from hive.errors import HiveError

NOTE = "hive.json"

BEGUN = 5.0
"""How many seconds a `git worktree add` that somebody else began may take to be over."""

T = TypeVar("T")


class Stand(StrEnum):
    """How far a worktree is: `made` ones lack something, `broken` ones a person must look at."""

    ABSENT = "absent"
    MADE = "made"
    READY = "ready"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a worktree is, why, and the commit it began with; what was not as it should be."""

    state: Stand
    why: str = ""
    base: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What hive wrote down of a worktree.

    `base` is the commit it began with, `onto` the branch it is to be merged back into ("": not
    known). `made` says that its files were checked out, `setup` is the command that has set it up
    (None: none has yet). `copied` are the files that came from the repository's work tree. `pid`
    and `started` name what works on it now, or did when hive was killed.
    """

    agent: str
    branch: str
    base: str = ""
    onto: str = ""
    made: bool = False
    setup: str | None = None
    copied: tuple[str, ...] = ()
    pid: int = 0
    started: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One worktree of a repository, as git lists it; `locked` is why (None: it is not)."""

    path: str
    branch: str = ""
    commit: str = ""
    locked: str | None = None

    @property
    def there(self) -> bool:
        """Whether its folder is in place."""
        return Path(self.path, ".git").exists()


def standing(plot: Plot) -> Standing:
    """Look how far a worktree is, and touch nothing. Raises GitError where git can't say."""
    path = Path(plot.path)
    if not os.path.lexists(path) or _empty(path):
        return Standing(state=Stand.ABSENT, why="there is no worktree yet")
    own = admin(plot.path)
    if own is None or not own.is_dir():
        return Standing(state=Stand.BROKEN, why="there is a folder that is no worktree of hive's")
    if not common(plot.path).samefile(common(plot.repo)):
        return Standing(state=Stand.BROKEN, why="there is a worktree of another repository")
    note = read_note(plot.path)
    if note is None:
        return _unnoted(plot, own)
    if not note.made:
        return Standing(state=Stand.MADE, why="it is not checked out", base=note.base)
    if note.setup != plot.setup:
        return Standing(state=Stand.MADE, why="it is not set up", base=note.base)
    return Standing(state=Stand.READY, base=note.base)


def _unnoted(plot: Plot, own: Path) -> Standing:
    """Say of a worktree without a note whether it is one that was being made, or to be adopted."""
    half = not (own / "index").exists()
    if half and {one.name for one in Path(plot.path).iterdir()} - {".git"}:
        return Standing(state=Stand.BROKEN, why="there is a worktree that hive did not make")
    if not half and head(plot.path) != plot.branch:
        why = f"there is a worktree that hive did not make, and not on `{plot.branch}`"
        return Standing(state=Stand.BROKEN, why=why)
    return Standing(state=Stand.MADE, why="it is half made" if half else "it is not set up")


def listed(repo: str) -> tuple[Place, ...]:
    """List a repository's worktrees, the first one first. Raises GitError."""
    found = []
    words = ["worktree", "list", "--porcelain", "-z"]
    for block in repeated(lambda: git(words, repo)).split("\0\0"):
        rows = dict(line.partition(" ")[::2] for line in block.split("\0") if line)
        if "worktree" in rows:
            found.append(
                Place(
                    path=rows["worktree"],
                    branch=rows.get("branch", "").removeprefix("refs/heads/"),
                    commit=rows.get("HEAD", ""),
                    locked=rows.get("locked"),
                )
            )
    return tuple(found)


def repeated(work: Callable[[], T]) -> T:
    """Do it again where git fails only because a worktree beside it is just being made."""
    until = time.monotonic() + BEGUN
    while True:
        try:
            return work()
        except GitError as error:
            if not met_unmade(error.said) or time.monotonic() > until:
                raise
        time.sleep(0.02)


def met_unmade(said: str) -> bool:
    """Whether git could not read what it is just writing for another worktree."""
    return "failed to read" in said and "commondir" in said


def at(repo: str, path: str) -> Place | None:
    """Give the worktree that git knows at a path, whether its folder is in place or not."""
    real = os.path.realpath(path)
    return next((one for one in listed(repo) if os.path.realpath(one.path) == real), None)


def admin(path: str) -> Path | None:
    """Give a worktree's own git folder; None where the path is no linked worktree."""
    try:
        text = Path(path, ".git").read_text(errors="surrogateescape")
    except OSError:
        return None
    kind, _, where = text.strip().partition(": ")
    found = Path(path, where)
    return found if kind == "gitdir" and found.parent.name == "worktrees" else None


def common(where: str) -> Path:
    """Give the folder that all worktrees of a repository share. Raises GitError."""
    return Path(where, git(["rev-parse", "--git-common-dir"], where).rstrip("\n"))


def touched(path: str, base: str) -> frozenset[str]:
    """Give the files that commits since `base` changed in a worktree. Raises GitError."""
    if not base:
        return frozenset()
    found = git(["diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD"], path)
    return frozenset(filter(None, found.split("\0")))


def read_note(path: str) -> Note | None:
    """Give what hive wrote down of a worktree; None where it wrote nothing, or it is damaged."""
    own = admin(path)
    try:
        values: dict[str, Any] = json.loads((own / NOTE).read_bytes()) if own else {}
        known = {one.name for one in fields(Note)}
        found = {key: value for key, value in values.items() if key in known}
        return Note(**{**found, "copied": tuple(found.get("copied", ()))}) if found else None
    except (OSError, ValueError, TypeError):
        return None


def write_note(path: str, note: Note) -> Note:
    """Write down what is so of a worktree, whole or not at all. Raises HiveError."""
    own = admin(path)
    if own is None:
        raise HiveError("it is no worktree any more", where=path, fix="hive worktree list")
    draft = own / f"{NOTE}.{os.getpid()}"
    try:
        draft.write_text(json.dumps(asdict(note)))
        draft.replace(own / NOTE)
    except OSError as error:
        raise HiveError(f"can't write down how far it is: {error}", where=str(own)) from error
    return note


def head(where: str) -> str:
    """Give the branch that is checked out, "" for none."""
    return git(["symbolic-ref", "--quiet", "--short", "HEAD"], where, codes=(0, 1)).strip()


def onto(plot: Plot) -> str:
    """Give the branch that work is merged back into: its base, or what is checked out."""
    if plot.base and head_of(plot.repo, f"refs/heads/{plot.base}"):
        return plot.base
    local = plot.base.partition("/")[2]
    if local and head_of(plot.repo, f"refs/remotes/{plot.base}"):
        return local if head_of(plot.repo, f"refs/heads/{local}") else ""
    return head(plot.repo)


def author() -> dict[str, str]:
    """Give the variables by which hive itself makes a commit."""
    who = {"NAME": "hive", "EMAIL": "hive@localhost"}
    kinds = ("AUTHOR", "COMMITTER")
    return {f"GIT_{kind}_{key}": text for kind in kinds for key, text in who.items()}


def _empty(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())
