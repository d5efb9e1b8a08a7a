"""What git says of one work tree at one look."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

NOTES = re.compile(r"\.aider(?:\.[^/]*)?(?:/|$)")
"""New files of these names are what an agent's own program wrote down for itself: no work."""


class Kind(StrEnum):
    """How a file differs from the last commit."""

    MODIFIED = "modified"
    ADDED = "added"
    DELETED = "deleted"
    RENAMED = "renamed"
    UNTRACKED = "untracked"
    CONFLICTED = "conflicted"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One file that is not as in the last commit: its path from the work tree's root.

    `bytes` is its size now (0: it is gone, or no plain file), `before` its path before it was
    renamed.
    """

    path: str
    kind: Kind
    bytes: int = 0
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit: its full hash, when (epoch seconds), by whom, and the first line it says."""

    hash: str
    at: float
    author: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One work tree at one look.

    `root` is its top folder and `prefix` where the folder that was asked about lies below it
    ("" or `a/b/`), `common` the repository's own folder, the same for all its worktrees.
    `branch` is "" while its HEAD is detached, `commit` "" before the first. `operation` is what
    was begun and not ended (`merge`, `rebase`, `cherry-pick`, `revert`, `am`, `bisect`), "" for
    none. `linked` says that it is a worktree beside the repository's first one. `commits` are
    those that are not in the base that was asked about, the newest first; `unpushed` counts the
    commits of its branch that no remote has, `upstream` is what the branch follows.
    `at` is when it was looked at.
    """

    root: str
    prefix: str = ""
    common: str = ""
    branch: str = ""
    commit: str = ""
    operation: str = ""
    linked: bool = False
    changed: tuple[Changed, ...] = ()
    commits: tuple[Commit, ...] = ()
    upstream: str = ""
    unpushed: int = 0
    at: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether nothing in it differs from its last commit."""
        return not self.changed and not self.operation
