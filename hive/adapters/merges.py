"""Merging an agent's branch back: computed first, checked where the agent works, then advanced.

The merged state is computed without any work tree. Where it has no conflict the agent's own
branch is brought up to it, in its own worktree, so that the check runs where everything that it
needs is set up. Only when that succeeds the other branch is advanced, never forced. Killed at any
point, both branches are whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hive.adapters.bundles import LONG, last_commit, losses, status
from hive.adapters.git import GitError, git, git_folder, head_of, operation
from hive.adapters.plots import (
    Place,
    Stand,
    author,
    head,
    listed,
    read_note,
    standing,
)
from hive.adapters.shell import Stop
from hive.adapters.worktrees import Environ, Say, command
from hive.core.merging import Clash, conflict, may_merge, some
from hive.core.rhythm import Plot
from hive.errors import HiveError, WrongInput

USAGE = 129
"""Git's exit code for words that it does not know."""


class Conflicted(HiveError):  # noqa: N818 - an error's name says what is wrong
    """Files can't be merged; nothing was changed."""

    def __init__(self, clashes: Sequence[Clash], into: str, branch: str) -> None:
        """Say which files, and what each side has."""
        fix = f"have the agent merge `{into}` into `{branch}` and commit; then finish it again"
        super().__init__(conflict(clashes, into), fix=fix)
        self.clashes = tuple(clashes)
        self.into = into


class Unproven(HiveError):  # noqa: N818
    """The check failed on the merged state; the branch merged into was not changed."""

    def __init__(self, check: str, why: str, into: str, where: str) -> None:
        """Say which check, and what it printed last."""
        fix = f"have the agent put it right there, where `{into}` is merged already, and commit"
        super().__init__(f"the check `{check}` failed: {why}", where=where, fix=fix)
        self.into = into


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What was merged: into which branch, its commit now, how many commits and files came."""

    into: str
    commit: str
    commits: int = 0
    files: int = 0
    checked: str = ""


def merge(
    plot: Plot,
    into: str,
    *,
    check: str,
    agent: str,
    environ: Environ,
    say: Say,
    stop: Stop | None = None,
) -> Merged:
    """Merge a worktree's branch into another ("": the one it began with).

    Refused unless the worktree is clean, `check` succeeds on the merged state ("": there is
    none), and there is no conflict. Raises Conflicted, Unproven, and HiveError for the rest.
    """
    into = _target(plot, into)
    home = _home(plot, into)
    target, tip = head_of(plot.repo, f"refs/heads/{into}"), head_of(plot.path, "HEAD")
    new = int(git(["rev-list", "--count", tip, "--not", target], plot.repo))
    if not new:
        return Merged(into=into, commit=target)
    say(f"git merges {plot.branch} into {into}")
    merged = _merged(plot, into, target, tip, agent)
    if merged != tip:
        git(["merge", "--ff-only", "--quiet", merged], plot.path, patience=LONG)
    if check:
        _prove(plot, into, check, environ, say, stop)
    changed = git(["diff", "--name-only", "-z", target, merged], plot.repo).count("\0")
    _advance(plot, home, into, target, merged)
    return Merged(into=into, commit=merged, commits=new, files=changed, checked=check)


def _target(plot: Plot, into: str) -> str:
    """Give the branch to be merged into; raises HiveError where the worktree may not be merged."""
    found = standing(plot)
    if found.state in {Stand.ABSENT, Stand.BROKEN}:
        raise HiveError(found.why, where=plot.path, fix="hive worktree list")
    lost = losses(plot)
    into = into or lost.onto
    why = may_merge(branch=plot.branch, on=head(plot.path), losses=lost, into=into)
    if why:
        fix = "--into BRANCH" if not into else "have the agent commit what it has, and try again"
        raise HiveError(f"it can't be merged now: {why}", where=plot.path, fix=fix)
    if not head_of(plot.repo, f"refs/heads/{into}"):
        raise WrongInput(f"there is no branch `{into}`", where=plot.repo, fix="git branch")
    return into


def _home(plot: Plot, into: str) -> Place | None:
    """Give the work tree in which a branch is checked out, None where it is in none.

    Raises HiveError where that is another agent's, or has changes of its own.
    """
    home = next((one for one in listed(plot.repo) if one.branch == into and one.there), None)
    if home is None:
        return None
    if (note := read_note(home.path)) is not None:
        what = f"`{into}` is the branch of {note.agent}, which works on it"
        raise HiveError(what, where=home.path, fix="merge into another branch: --into BRANCH")
    changed = [path for _, path in status(home.path, untracked=False)]
    begun = operation(git_folder(home.path))
    if changed or begun:
        has = f"a {begun} that is not over" if begun else f"{some(changed, 'file')} not committed"
        what = f"`{into}` is checked out there, with {has}"
        raise HiveError(what, where=home.path, fix="commit or stash there, and try again")
    return home


def _merged(plot: Plot, into: str, target: str, tip: str, agent: str) -> str:
    """Give the commit in which both are, without touching any work tree. Raises Conflicted."""
    if not git(["rev-list", "-1", target, "--not", tip], plot.repo).strip():
        return tip
    words = ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", target, tip]
    try:
        told = git(words, plot.repo, patience=LONG, codes=(0, 1))
    except GitError as error:
        if error.code != USAGE:
            raise
        raise HiveError(
            "git is older than 2.38, and can't try a merge", fix="update git"
        ) from error
    tree, *paths = told.rstrip("\0").split("\0")
    if paths:
        clashes = [
            Clash(
                path=path,
                ours=last_commit(plot.repo, target, path),
                theirs=last_commit(plot.repo, tip, path),
            )
            for path in sorted(set(paths))
        ]
        raise Conflicted(clashes, into, plot.branch)
    text = f"Merge branch '{plot.branch}' into {into}\n\nThe work of {agent}, merged by hive."
    words = ["commit-tree", tree, "-p", target, "-p", tip, "-m", text]
    return git(words, plot.repo, env=_identity(plot)).strip()


def _identity(plot: Plot) -> dict[str, str]:
    """Give hive's own name where git does not know the person's."""
    try:
        git(["var", "GIT_COMMITTER_IDENT"], plot.repo)
        git(["var", "GIT_AUTHOR_IDENT"], plot.repo)
    except GitError:
        return author()
    return {}


def _prove(
    plot: Plot, into: str, check: str, environ: Environ, say: Say, stop: Stop | None
) -> None:
    note = read_note(plot.path)
    if note is None:
        raise HiveError("it is no worktree of hive's any more", where=plot.path)
    done = command(plot, note, check, environ, say, stop)
    if not done.ok:
        raise Unproven(check, done.why, into, plot.path)


def _advance(plot: Plot, home: Place | None, into: str, target: str, merged: str) -> None:
    """Have a branch be at the merged commit, if it is still where it was."""
    if home is not None and head(home.path) == into:
        try:
            git(["merge", "--ff-only", "--quiet", merged], home.path, patience=LONG)
        except GitError as error:
            what = f"`{into}` could not be brought forward: {error.said or error.what}"
            raise HiveError(what, where=home.path, fix="look there, and try again") from error
        return
    words = ["update-ref", "-m", f"hive: merge {plot.branch}", f"refs/heads/{into}"]
    try:
        git([*words, merged, target], plot.repo)
    except GitError as error:
        what = f"`{into}` has moved on meanwhile"
        raise HiveError(what, where=plot.repo, fix="try it again") from error
