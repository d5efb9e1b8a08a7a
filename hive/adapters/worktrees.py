"""Git worktrees of agents' own: made, adopted after a crash, set up by command.

What is so is written down before each step that may be cut short: whoever finds it goes on from
there. Only what is ours is touched; a folder that is no worktree of ours is refused.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hive.adapters import plots, procs, shell
from hive.adapters.git import GitError, git, head_of
from hive.adapters.plots import (
    Note,
    Place,
    Stand,
    Standing,
    admin,
    at,
    author,
    common,
    listed,
    met_unmade,
    onto,
    read_note,
    repeated,
    standing,
    write_note,
)
from hive.adapters.shell import Ran, Stop
from hive.core.rhythm import Plot
from hive.errors import HiveError

SETUP = 1800.0
"""How many seconds a setup, a teardown or a checkout may take."""

_MAKING = threading.Lock()
"""Git makes one worktree at a time: it trips over another one that is half made."""

Say = Callable[[str], None]
Environ = Mapping[str, str]


def prepare(
    plot: Plot, environ: Environ, say: Say, *, agent: str, stop: Stop | None = None
) -> Standing:
    """Have the worktree stand ready: made or adopted, its files copied, set up.

    `environ` is all that its commands get; `say` is told how far it is. Raises HiveError where
    that can't be done, with the reason; then nothing is lost, and it may be tried again.
    """
    found = standing(plot)
    if found.state is Stand.READY:
        return found
    if found.state is Stand.BROKEN:
        fix = f"look what it is; then move it away: mv {plot.path} {plot.path}.old"
        raise HiveError(found.why, where=plot.path, fix=fix)
    note = settled(plot, _begun(plot, agent, say))
    if not note.made:
        note = _check_out(plot, note, environ, say, stop)
    note, warnings = _copy(plot, note, say)
    warnings += _submodules(plot, note, environ, say, stop)
    if note.setup != plot.setup:
        note = _set_up(plot, note, environ, say, stop)
    for warning in warnings:
        say(warning)
    return Standing(state=Stand.READY, base=note.base, warnings=warnings)


def _begun(plot: Plot, agent: str, say: Say) -> Note:
    """Have there be a worktree with its note, perhaps without its files."""
    with _MAKING:
        return repeated(lambda: _begin(plot, agent, say))


def _begin(plot: Plot, agent: str, say: Say) -> Note:
    note = read_note(plot.path)
    if note is not None:
        return note
    own = admin(plot.path)
    if own is not None and (own / "index").exists():
        return write_note(plot.path, replace(_first_note(plot, agent), made=True))
    say("git makes a worktree")
    forget(plot)
    first = _first_note(plot, agent)
    if head_of(plot.repo, f"refs/heads/{plot.branch}"):
        _refuse_elsewhere(plot)
        words = [plot.path, plot.branch]
    else:
        words = ["--no-track", "-b", plot.branch, plot.path, first.base]
    git(["worktree", "add", "--quiet", "--no-checkout", *words], plot.repo)
    return write_note(plot.path, first)


def forget(plot: Plot) -> None:
    """Have git forget a worktree that is gone, or that was never made whole; ours only.

    What only it knew, commits on no branch and staged files, stays in the repository.
    """
    place, until = at(plot.repo, plot.path), time.monotonic() + plots.BEGUN
    while place and place.locked == "initializing" and time.monotonic() < until:
        time.sleep(0.05)  # perhaps it is just being made
        place = at(plot.repo, plot.path)
    if place is None:
        return
    if place.locked not in {None, "initializing"}:
        what = f"git keeps a worktree here locked: {place.locked or 'nobody said why'}"
        fix = f"git -C {plot.repo} worktree unlock {plot.path}"
        raise HiveError(what, where=plot.path, fix=fix)
    if not place.there:
        _rescue(plot, place)
    git(["worktree", "remove", "--force", "--force", plot.path], plot.repo)


def _rescue(plot: Plot, place: Place) -> None:
    """Keep what only a worktree's git folder knows once its files were deleted."""
    kept = "" if place.branch else place.commit
    for index in common(plot.repo).glob("worktrees/*/index"):
        if _leads_to(index.with_name("gitdir"), plot.path) and place.commit:
            with suppress(GitError):  # half merged: no tree can be made of it
                kept = _staged(plot, index, place.commit) or kept
    if kept:
        git(["update-ref", f"refs/hive/kept/{plot.branch}/{kept[:12]}", kept], plot.repo)


def _leads_to(file: Path, path: str) -> bool:
    try:
        return os.path.realpath(file.read_text().strip()) == f"{os.path.realpath(path)}/.git"
    except OSError:
        return False


def _staged(plot: Plot, index: Path, on: str) -> str:
    """Make a commit of what is staged, and give it; "" where nothing is. Raises GitError."""
    env = {"GIT_INDEX_FILE": str(index), **author()}
    tree = git(["write-tree"], plot.repo, env=env).strip()
    if tree == git(["rev-parse", f"{on}^{{tree}}"], plot.repo).strip():
        return ""
    text = f"what was staged in {plot.path} when it was deleted"
    return git(["commit-tree", tree, "-p", on, "-m", text], plot.repo, env=env).strip()


def _refuse_elsewhere(plot: Plot) -> None:
    for one in listed(plot.repo):
        if one.branch == plot.branch:
            what = f"its branch `{plot.branch}` is checked out in another worktree: {one.path}"
            fix = f"git -C {plot.repo} worktree move {one.path} {plot.path}"
            raise HiveError(what, where=plot.path, fix=fix)


def _first_note(plot: Plot, agent: str) -> Note:
    base = head_of(plot.repo, plot.base or "HEAD")
    if not base:
        what = f"there is no commit `{plot.base}`" if plot.base else "it has no commit yet"
        fix = "set `base` of its worktree" if plot.base else "make a first commit"
        raise HiveError(what, where=plot.repo, fix=fix)
    if head_of(plot.repo, f"refs/heads/{plot.branch}"):
        words = ["merge-base", base, f"refs/heads/{plot.branch}"]
        base = git(words, plot.repo, codes=(0, 1)).strip() or base
    return Note(agent=agent, branch=plot.branch, base=base, onto=onto(plot))


def settled(plot: Plot, note: Note) -> Note:
    """End what a hive that was killed has left at work in it."""
    if note.pid and procs.alive(note.pid, note.started):
        shell.end_group(note.pid)
    own = admin(plot.path)
    if own is not None and not note.made:
        (own / "index.lock").unlink(missing_ok=True)  # no agent was ever in it
    return write_note(plot.path, replace(note, pid=0, started=0)) if note.pid else note


def _check_out(plot: Plot, note: Note, environ: Environ, say: Say, stop: Stop | None) -> Note:
    words = ["git", "checkout", "--force", "--progress", note.branch]
    done = _run(plot, note, words, environ, say, stop)
    until = time.monotonic() + plots.BEGUN
    while met_unmade(done.why) and time.monotonic() < until:
        done = _run(plot, note, words, environ, say, stop)
    if not done.ok:
        raise HiveError(f"its files can't be checked out: {done.why}", where=plot.path)
    return write_note(plot.path, replace(note, made=True))


def _copy(plot: Plot, note: Note, say: Say) -> tuple[Note, tuple[str, ...]]:
    """Copy the files that git does not have, and that are not there yet."""
    copied, warnings = list(note.copied), []
    for pattern in plot.copy:
        names = _matching(plot.repo, pattern)
        if not names:
            warnings.append(f"nothing to copy is called `{pattern}`")
        for name in names:
            target = Path(plot.path, name)
            if os.path.lexists(target):
                continue
            say(f"copies {name}")
            _copy_one(Path(plot.repo, name), target)
            copied.append(name)
    if tuple(copied) != note.copied:
        note = write_note(plot.path, replace(note, copied=tuple(copied)))
    return note, tuple(warnings)


def _matching(repo: str, pattern: str) -> list[str]:
    """Give the files a pattern means, by paths below the repository's; none that git has."""
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise HiveError(f"`{pattern}` does not lie in it", where=repo, fix="change `copy`")
    root = Path(repo)
    found = {file for one in root.glob(pattern) for file in (one.rglob("*"), (one,))[one.is_file()]}
    names = {str(one.relative_to(root)) for one in found if one.is_file()}
    names = {one for one in names if ".git" not in one.split("/")}
    known = git(["--literal-pathspecs", "ls-files", "-z", "--", *names], repo) if names else ""
    return sorted(names - set(known.split("\0")))


def _copy_one(source: Path, target: Path) -> None:
    draft = target.with_name(f"{target.name}.hive")  # one cut short is written over
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, draft)
        draft.rename(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise HiveError(f"can't copy it: {error}", where=str(source)) from error


def _submodules(
    plot: Plot, note: Note, environ: Environ, say: Say, stop: Stop | None
) -> tuple[str, ...]:
    """Fetch submodules where there are any; that they can't be had keeps nobody from starting."""
    if note.setup is not None or not Path(plot.path, ".gitmodules").exists():
        return ()
    say("git fetches its submodules")
    words = ["git", "submodule", "update", "--init", "--recursive"]
    done = _run(plot, note, words, environ, say, stop)
    return () if done.ok else (f"its submodules can't be had: {done.why}",)


def _set_up(plot: Plot, note: Note, environ: Environ, say: Say, stop: Stop | None) -> Note:
    if plot.setup:
        done = command(plot, note, plot.setup, environ, say, stop)
        if not done.ok:
            fix = "put it right, then: hive start NAME"
            raise HiveError(f"its setup `{plot.setup}` failed: {done.why}", fix=fix)
    return write_note(plot.path, replace(note, setup=plot.setup))


def command(
    plot: Plot, note: Note, text: str, environ: Environ, say: Say, stop: Stop | None
) -> Ran:
    """Run a command for the shell in a worktree, and give what came of it. Raises HiveError."""
    say(f"`{text}`")
    return _run(plot, note, ["/bin/sh", "-c", text], environ, say, stop)


def _run(
    plot: Plot, note: Note, words: list[str], environ: Environ, say: Say, stop: Stop | None
) -> Ran:
    def began(pid: int) -> None:
        write_note(plot.path, replace(note, pid=pid, started=procs.started(pid) or 0))

    plain = {key: text for key, text in environ.items() if not key.startswith("GIT_")}
    own = {"GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true"} if words[0] == "git" else {}
    try:
        done = shell.run(
            words, plot.path, {**plain, **own}, timeout=SETUP, say=say, stop=stop, began=began
        )
    except OSError as error:
        raise HiveError(f"can't run `{words[0]}`: {error}", where=plot.path) from error
    write_note(plot.path, note)
    return done
