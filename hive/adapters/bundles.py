"""What would be lost with a worktree; a bundle that keeps it; and dropping the worktree.

A bundle is a file that git fetches from, and needs nothing else. Nothing is deleted before git
has verified it.
"""

from __future__ import annotations

import filecmp
import os
import shlex
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hive.adapters.git import GitError, git, git_folder, head_of, operation
from hive.adapters.plots import (
    Note,
    Stand,
    admin,
    at,
    author,
    head,
    onto,
    read_note,
    repeated,
    standing,
    write_note,
)
from hive.adapters.shell import Stop
from hive.adapters.worktrees import Environ, Say, command, forget, settled
from hive.core.merging import Losses, may_drop
from hive.core.repository import NOTES, Commit
from hive.core.rhythm import Plot
from hive.errors import HiveError

LONG = 1800.0
"""How many seconds git may take to read or write all of a worktree or a history."""

COMMITS = 1000
"""How many commits are told one by one at most."""

_LINE = "%H%x1f%ct%x1f%an%x1f%s"
_UNSAVED = (
    'test -z "$(git status --porcelain)$(git log --format=%h -1 HEAD --branches --not --remotes)"'
    ' || printf "%s\\0" "$displaypath"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A bundle: its file, what it holds, and the command that brings that back."""

    path: str
    refs: tuple[str, ...]
    restore: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What became of a dropped worktree: what was lost but for the bundle, its branch."""

    losses: Losses
    bundle: str = ""
    restore: str = ""
    branch_deleted: bool = False
    warnings: tuple[str, ...] = ()


def losses(plot: Plot) -> Losses:
    """Look what is in a worktree, or on its branch, and nowhere else. Raises GitError."""
    there = admin(plot.path) is not None and standing(plot).state is not Stand.BROKEN
    note = read_note(plot.path) if there else None
    into = note.onto if note else onto(plot)
    tips = [f"refs/heads/{plot.branch}"] if head_of(plot.repo, f"refs/heads/{plot.branch}") else []
    into = into if into and head_of(plot.repo, f"refs/heads/{into}") else ""
    where = plot.path if there else plot.repo
    if there and not head(plot.path):
        tips.append("HEAD")
    safe = [f"refs/heads/{into}"] if into else [f"--exclude=refs/heads/{plot.branch}", "--branches"]
    changed, nested = _uncommitted(plot, note) if there else ((), ())
    return Losses(
        uncommitted=changed,
        operation=operation(git_folder(plot.path)) if there else "",
        commits=_log(where, [f"-{COMMITS}", *tips, "--not", *safe, "--remotes"]) if tips else (),
        unmerged=_count(where, [*tips, "--not", *safe]) if tips else 0,
        unpushed=_count(where, [*tips, "--not", "--remotes"]) if tips else 0,
        stashes=_stashes(plot),
        inside=(*nested, *_submodules(plot)) if there else (),
        onto=into,
    )


def status(path: str, *, untracked: bool) -> list[tuple[str, str]]:
    """Give the files that differ from the last commit, each with git's two letters.

    What an agent's program wrote down for itself is left out, as if git ignored it.
    """
    which = f"--untracked-files={'all' if untracked else 'no'}"
    words = ["status", "--porcelain=v1", "-z", "--ignore-submodules=none", which]
    rows = iter(git(words, path, patience=LONG).split("\0"))
    found = []
    for row in rows:
        if row and not (row[:2] == "??" and NOTES.match(row[3:])):
            found.append((row[:2], row[3:]))
        if row[:1] in {"R", "C"}:
            found.append((row[:2], next(rows)))
    return found


def bundle(plot: Plot, to: Path) -> Kept:
    """Keep a worktree's branch and uncommitted files in a bundle, verified; touches nothing else.

    What was staged is a commit of its own before that of all files. Raises HiveError.
    """
    name = f"refs/hive/dropped/{plot.branch}"
    branch = f"refs/heads/{plot.branch}"
    tip = head_of(plot.repo, branch)
    last = _saved(plot) if admin(plot.path) else ""
    refs = [branch] if tip else []
    if last and not (tip and _within(plot.repo, last, branch)):
        git(["update-ref", name, last], plot.repo)
        refs.append(name)
    draft = to.with_name(f"{to.name}.part")
    try:
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        git(["bundle", "create", "--quiet", str(draft), *refs], plot.repo, patience=LONG)
        git(["bundle", "verify", "--quiet", str(draft)], plot.repo, patience=LONG)
        draft.chmod(0o600)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.rename(to)
    except OSError as error:
        raise HiveError(f"can't keep a bundle: {error}", where=str(to)) from error
    finally:
        with suppress(OSError):  # it was renamed, or never made
            draft.unlink()
        if name in refs:
            git(["update-ref", "-d", name], plot.repo)
    wishes = [f"{one}:{one}" if one == branch else f"{one}:{branch}-dropped" for one in refs]
    restore = shlex.join(["git", "-C", plot.repo, "fetch", str(to), *wishes])
    return Kept(path=str(to), refs=tuple(refs), restore=restore)


def drop(
    plot: Plot, environ: Environ, say: Say, *, force: bool, to: Path, stop: Stop | None = None
) -> Dropped:
    """Take a worktree down: its teardown, its folder, and its branch where that is merged.

    Refused where something would be lost; with `force` that is kept in the bundle `to` first.
    Raises HiveError; a bundle that was made is named then, too.
    """
    found, note = standing(plot), read_note(plot.path)
    if found.state is Stand.BROKEN or (found.state is not Stand.ABSENT and note is None):
        what = found.why if found.state is Stand.BROKEN else "hive did not make this worktree"
        raise HiveError(what, where=plot.path, fix="remove it by hand")
    place = at(plot.repo, plot.path)
    if place and place.locked is not None:
        fix = f"git -C {plot.repo} worktree unlock {plot.path}"
        raise HiveError(f"git keeps it locked: {place.locked}", where=plot.path, fix=fix)
    before = _droppable(plot, force=force)
    kept = None
    if before.any:
        say("git makes a bundle of what would be lost")
        kept = bundle(plot, to)
    warnings = _torn_down(plot, note, environ, say, stop, force=force) if note else ()
    if _droppable(plot, force=force) != before:
        raise HiveError("it was changed just now", where=plot.path, fix="try it again")
    if note:
        say("git removes the worktree")
        words = ["worktree", "remove", "--force", plot.path]
        repeated(lambda: git(words, plot.repo, patience=LONG))
    else:
        forget(plot)
    deleted = _deleted(plot, before, kept=kept is not None)
    shown = {"bundle": kept.path, "restore": kept.restore} if kept else {}
    return Dropped(losses=before, branch_deleted=deleted, warnings=warnings, **shown)


def _droppable(plot: Plot, *, force: bool) -> Losses:
    found = losses(plot)
    if why := may_drop(found, force=force):
        agent = _agent(plot)
        fix = "commit and push there" if found.inside else f"hive worktree drop {agent} --force"
        raise HiveError(why, where=plot.path, fix=f"hive finish {agent}, or: {fix}")
    return found


def _agent(plot: Plot) -> str:
    """Give the agent as people say it: its branch has its name."""
    return plot.branch.removeprefix("hive/")


def _torn_down(
    plot: Plot, note: Note, environ: Environ, say: Say, stop: Stop | None, *, force: bool
) -> tuple[str, ...]:
    """Run its teardown where it was set up; once, and with `force` whatever comes of it."""
    note = settled(plot, note)
    if note.setup is None or not plot.teardown:
        return ()
    done = command(plot, note, plot.teardown, environ, say, stop)
    why = "" if done.ok else f"its teardown `{plot.teardown}` failed: {done.why}"
    if why and not force:
        fix = f"put it right, or: hive worktree drop {_agent(plot)} --force"
        raise HiveError(why, where=plot.path, fix=fix)
    write_note(plot.path, replace(note, setup=None))
    return (why,) if why else ()


def _deleted(plot: Plot, before: Losses, *, kept: bool) -> bool:
    """Delete the branch where nothing is lost with it; whether there is none any more."""
    if not head_of(plot.repo, f"refs/heads/{plot.branch}"):
        return True
    merged = bool(before.onto) and not before.unmerged
    if not (merged or kept) or before.onto == plot.branch:
        return False
    repeated(lambda: git(["branch", "-D", "--quiet", "--", plot.branch], plot.repo))
    return True


def _uncommitted(plot: Plot, note: Note | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the files that are not committed, and the repositories that lie among them."""
    found = status(plot.path, untracked=True)
    copies = set(_copies(plot, note))
    nested = [path for code, path in found if code == "??" and path.endswith("/")]
    files = [path for _, path in found if path not in copies and path not in nested]
    return tuple(dict.fromkeys(files)), tuple(nested)


def _copies(plot: Plot, note: Note | None) -> list[str]:
    """Give the files that are still just as they were copied from the repository."""
    same = []
    for name in note.copied if note else ():
        with suppress(OSError):
            if filecmp.cmp(Path(plot.repo, name), Path(plot.path, name), shallow=False):
                same.append(name)
    return same


def _submodules(plot: Plot) -> tuple[str, ...]:
    own = admin(plot.path)
    if own is None or not (own / "modules").is_dir():
        return ()
    words = ["submodule", "foreach", "--quiet", "--recursive", _UNSAVED]
    return tuple(filter(None, git(words, plot.path, patience=LONG).split("\0")))


def _stashes(plot: Plot) -> tuple[str, ...]:
    rows = git(["stash", "list", "--format=%gd%x1f%gs"], plot.repo).splitlines()
    pairs = [row.partition("\x1f")[::2] for row in rows]
    on = (f"WIP on {plot.branch}:", f"On {plot.branch}:")
    return tuple(f"{name} {text}" for name, text in pairs if text.startswith(on))


def _log(where: str, words: list[str]) -> tuple[Commit, ...]:
    rows = git(["log", "-z", f"--format={_LINE}", *words], where, patience=LONG).split("\0")
    parts = [row.split("\x1f", 3) for row in rows if row]
    return tuple(
        Commit(hash=hash_, at=float(at_), author=by, subject=text) for hash_, at_, by, text in parts
    )


def last_commit(where: str, name: str, path: str) -> Commit | None:
    """Give the last commit that changed a file on a branch. Raises GitError."""
    return next(iter(_log(where, ["-1", name, "--", path])), None)


def _count(where: str, words: list[str]) -> int:
    return int(git(["rev-list", "--count", *words], where, patience=LONG))


def _within(where: str, one: str, other: str) -> bool:
    return not git(["rev-list", "-1", one, "--not", other], where).strip()


def _saved(plot: Plot) -> str:
    """Make commits of what is staged and of all files, by an index of their own; give the last."""
    last, own = head_of(plot.path, "HEAD"), admin(plot.path)
    if own is None or not (own / "index").exists():
        return last
    index = own / f"index.hive.{os.getpid()}"
    env = {"GIT_INDEX_FILE": str(index), **author()}
    new = {path for code, path in status(plot.path, untracked=True) if code == "??"}
    copies = new.intersection(_copies(plot, read_note(plot.path)))  # naming ignored ones fails
    apart = [f":(exclude,literal,top){one}" for one in copies]
    try:
        shutil.copy2(own / "index", index)
        with suppress(GitError):  # half merged: no tree can be made of what is staged
            last = _committed(plot, last, "staged, not committed", env)
        git(["add", "--all", "--", ":(top)", *apart], plot.path, env=env, patience=LONG)
        return _committed(plot, last, "not committed", env)
    finally:
        index.unlink(missing_ok=True)


def _committed(plot: Plot, on: str, text: str, env: dict[str, str]) -> str:
    """Make a commit of an index on another one, and give it; that other where nothing differs."""
    tree = git(["write-tree"], plot.path, env=env).strip()
    if on and tree == git(["rev-parse", f"{on}^{{tree}}"], plot.path).strip():
        return on
    parents = ["-p", on] if on else []
    words = ["commit-tree", tree, *parents, "-m", f"{plot.branch}: {text}"]
    return git(words, plot.path, env=env).strip()
