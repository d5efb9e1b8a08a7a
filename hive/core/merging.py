"""Whether work may be merged back or its worktree dropped, what that would lose, who edits alike.

The sentences are for people: "" says that nothing is in the way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hive.core.repository import Commit
from hive.core.repository import Tree as Look
from hive.core.wording import count

SHOWN = 3
"""How many files or commits are named in a sentence at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What is in a worktree, or on its branch, and nowhere else.

    `uncommitted` are files that differ from the last commit, `operation` is what was begun there
    and not ended. `commits` are those that are neither in `onto`, the branch it is to be merged
    into, nor on any remote; `unmerged` counts those that are not in `onto`, `unpushed` those that
    no remote has. `stashes` were made on its branch; they outlive it. `inside` are repositories
    of their own in it (submodules and others) with work that is nowhere else: no bundle of this
    repository can hold that.
    """

    uncommitted: tuple[str, ...] = ()
    operation: str = ""
    commits: tuple[Commit, ...] = ()
    unmerged: int = 0
    unpushed: int = 0
    stashes: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    onto: str = ""

    @property
    def any(self) -> bool:
        """Whether anything would be lost."""
        return bool(
            self.uncommitted or self.operation or self.commits or self.stashes or self.inside
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A file that both sides changed so that they can't be merged, and the last commit of each.

    `ours` is that of the branch that is merged into, `theirs` the agent's.
    """

    path: str
    ours: Commit | None = None
    theirs: Commit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """One file that several agents have changed, each in a worktree of the same repository."""

    path: str
    agents: tuple[str, ...]
    common: str = ""


def collisions(
    trees: Mapping[str, Look], touched: Mapping[str, Collection[str]] | None = None
) -> tuple[Collision, ...]:
    """Find the files that were changed in two worktrees of one repository, in order of path.

    `trees` is by agent; `touched` are by agent the files that its commits since its base changed.
    Agents that share one work tree see each other's files: that is no collision.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for agent, tree in sorted(trees.items()):
        own = {path for one in tree.changed for path in (one.path, one.before) if path}
        for path in sorted(own | set((touched or {}).get(agent, ()))):
            found.setdefault((tree.common, path), {})[agent] = tree.root
    return tuple(
        Collision(path=path, agents=tuple(sorted(roots)), common=common)
        for (common, path), roots in sorted(found.items(), key=lambda one: (one[0][1], one[0][0]))
        if common and len(set(roots.values())) > 1
    )


def may_merge(*, branch: str, on: str, losses: Losses, into: str) -> str:
    """Say why a branch may not be merged into another now; `on` is what its worktree is on."""
    if not into:
        return "nobody said into which branch: the one it began with is not known"
    if into == branch:
        return f"`{branch}` can't be merged into itself"
    if losses.operation:
        return f"a {losses.operation} was begun in its worktree and is not over"
    if on != branch:
        where = f"on `{on}`" if on else "on no branch (its HEAD is detached)"
        return f"its worktree is {where}, not on its own branch `{branch}`"
    if losses.uncommitted:
        return f"{some(losses.uncommitted, 'file')} not committed"
    return ""


def may_drop(losses: Losses, *, force: bool) -> str:
    """Say why a worktree may not be dropped: what would be lost, or can't be kept in a bundle."""
    if losses.inside:
        return (
            f"{some(losses.inside, 'repository', 'repositories')} inside it with work that is "
            "nowhere else: no bundle can hold that"
        )
    return "" if force or not losses.any else f"this would be lost: {lost(losses)}"


def lost(losses: Losses) -> str:
    """Say what would be lost, in one sentence; "nothing" where that is so."""
    parts = []
    if losses.uncommitted:
        parts.append(f"{some(losses.uncommitted, 'file')} not committed")
    if losses.operation:
        parts.append(f"a {losses.operation} that is not over")
    if losses.commits:
        subjects = [f"{one.hash[:8]} {one.subject}" for one in losses.commits]
        where = f"neither in `{losses.onto}` nor" if losses.onto else "not"
        parts.append(f"{some(subjects, 'commit')} {where} on a remote")
    if losses.stashes:
        parts.append(some(losses.stashes, "stash", "stashes"))
    if losses.inside:
        parts.append(some(losses.inside, "repository", "repositories") + " inside it")
    return "; ".join(parts) or "nothing"


def some(names: Sequence[str], thing: str, things: str = "") -> str:
    """Say how many there are, and name the first: `4 files (a, b, c and 1 more)`."""
    many = f"{len(names)} {things}" if things and len(names) != 1 else count(len(names), thing)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{many} ({', '.join(names[:SHOWN])}{more})"


def conflict(clashes: Sequence[Clash], into: str) -> str:
    """Say which files can't be merged, and the last commit of each side."""
    named = [f"{one.path}: {_sides(one, into)}" for one in clashes[:SHOWN]]
    more = f"; and {count(len(clashes) - SHOWN, 'file')} more" if len(clashes) > SHOWN else ""
    return f"{count(len(clashes), 'file')} can't be merged into `{into}`: {'; '.join(named)}{more}"


def _sides(one: Clash, into: str) -> str:
    ours = f"{one.ours.hash[:8]} {one.ours.subject}" if one.ours else "nothing"
    theirs = f"{one.theirs.hash[:8]} {one.theirs.subject}" if one.theirs else "nothing"
    return f"`{into}` has {ours}, the agent {theirs}"
