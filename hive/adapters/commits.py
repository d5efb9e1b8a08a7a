"""Commits that hive makes of an agent's work, and pushes of an agent's branch.

A commit is made through an index of its own, `hive-index-PID` in the work tree's git folder: that
is the last commit with exactly the given paths as they are in the work tree now. So what the
agent has staged and hive does not take stays staged, and is not in the commit. The agent's own
index is written only after the commit, and only where the commit's files are concerned, with
`index.lock` held for that moment. Hooks run as ever and see the new index; nothing is signed, as
it is not a person's commit.

What hive is killed in: before the commit, nothing has changed; after it, the agent's index may
still be the old one. The next `save` (or `mend`) sees the index that is left, and whether it
became the last commit, and brings the agent's up to date. An `index.lock` is known as a dead
hive's because it is the same file as one of hive's own beside it (a hard link); any other is left
alone and told. Where git itself was killed with hive, while it wrote the branch, its lock on that
is removed once it is STALE; where it runs still, with a slow hook, it is ended.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from stat import S_ISREG

from hive.adapters import procs
from hive.adapters.git import GitError, git, git_folder, head_of, operation
from hive.core.checkpoint import HUGE
from hive.core.repository import Changed, Kind

PATIENCE = 300.0
"""How many seconds a commit may take with its hooks, and a push."""

MAIL = "hive@localhost"
"""The address of an author who has none."""

LIMIT = 262_144
"""How many bytes of a file are looked at for secrets."""

ALL = 64_000_000
"""How many bytes are looked at in all."""

LOCKED = 2.0
"""How many seconds are waited for the agent's own git to let go of its index."""

STALE = 10.0
"""A branch is locked for milliseconds: after so many seconds its lock is one of a git that died."""

_STAGE, _INDEX, _NEXT = "hive-stage-", "hive-index-", "hive-next-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A commit that hive made: its full hash, its first line, and how many files it changed."""

    hash: str
    subject: str
    files: int


def save(
    path: str,
    paths: Sequence[str],
    message: str,
    author: str,
    *,
    env: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> Saved | None:
    """Commit these paths of the work tree whose root is `path`; None where nothing is new.

    `author` is `NAME <EMAIL>`, or a name; the committer is who git is configured for, else the
    author.
    `env` goes to git and its hooks. Raises GitError where a hook refuses, something was begun and
    not ended, or another git holds the index: nothing has changed then. One at a time for a work
    tree.
    """
    folder = Path(git_folder(path))
    author = author if "<" in author else f"{author} <{MAIL}>"
    mend(path)
    _refuse_unfit(path, folder)
    stage, mine = folder / f"{_STAGE}{os.getpid()}", folder / f"{_INDEX}{os.getpid()}"
    try:
        if not _staged(path, folder, stage, paths):
            return None
        stage.rename(mine)
        more = {**(env or {}), **_committer(path, author), "GIT_INDEX_FILE": str(mine)}
        _commit(path, folder, message, author, more, patience)
    except BaseException as error:
        _drop(mine)
        if isinstance(error, OSError):
            raise GitError(f"the work in `{path}` can't be committed: {error}") from error
        raise
    finally:
        _drop(stage)
    made, files = _catch_up(path, folder)
    return Saved(hash=made, subject=message.partition("\n")[0], files=files)


def mend(path: str) -> bool:
    """Bring to its end what a hive that was killed left in a work tree; false: it did nothing.

    What another hive that runs is doing is left alone, and everything where another git holds the
    index.
    """
    folder = Path(git_folder(path))
    left = [one for one in folder.glob("hive-*-*") if _abandoned(one)]
    _end_gits(left)
    lock = folder / "index.lock"
    if any(_same(lock, one) for one in left):
        lock.unlink()
    if not left or lock.exists() or _refs_held(path, left):
        return False
    tree = head_of(path) and git(["rev-parse", "HEAD^{tree}"], path).strip()
    for one in left:
        if tree and one.name.startswith(_INDEX) and _tree(path, one) == tree:
            _catch_up(path, folder)
        _drop(one)
    return True


def push(path: str, remote: str, branch: str, *, patience: float = PATIENCE) -> None:
    """Push this branch alone, to the branch of the same name; never by force. Raises GitError."""
    words = ["push", "--quiet", "--no-follow-tags", "--recurse-submodules=no", "--", remote]
    try:
        git([*words, f"refs/heads/{branch}:refs/heads/{branch}"], path, patience=patience)
    except GitError as error:
        if "[rejected]" not in error.said:
            raise
        raise GitError(
            f"`{remote}` has commits on `{branch}` that are not here, so nothing was pushed",
            said=error.said,
            code=error.code,
            fix=f"see `git fetch {remote}` and `git log {branch}..{remote}/{branch}`",
        ) from error


def samples(root: str, changed: Iterable[Changed], limit: int = LIMIT) -> dict[str, bytes]:
    """Give the beginnings of changed files, by their paths: what can't be read is left out."""
    plain = [one for one in changed if 0 < one.bytes <= HUGE and one.kind is not Kind.DELETED]
    most = min(limit, ALL // max(1, len(plain)))
    found = {}
    for one in plain:
        with suppress(OSError):  # it is gone, or nobody may read it: git will say so
            found[one.path] = _beginning(Path(root) / one.path, most)
    return found


def _beginning(path: Path, most: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        return file.read(most) if S_ISREG(os.fstat(fd).st_mode) else b""


def _refuse_unfit(path: str, folder: Path) -> None:
    if (folder / "index.lock").exists():
        raise GitError(
            f"another git is at work in `{path}`: it holds `index.lock`",
            fix=f"wait for it; where no git runs, `rm {folder / 'index.lock'}`",
        )
    if begun := operation(str(folder)):
        raise GitError(
            f"`{path}` is in the middle of a {begun}",
            fix=f"end it there: see `git -C {path} status`",
        )


def _staged(path: str, folder: Path, stage: Path, paths: Sequence[str]) -> bool:
    """Write the index of the commit; false where it would hold nothing new."""
    head = head_of(path)
    with suppress(FileNotFoundError):  # nothing was ever staged
        if head:
            # What it knows of files makes it quick; by its time git sees which of that may be old.
            shutil.copy2(folder / "index", stage)
    own = {"GIT_INDEX_FILE": str(stage)}
    git(["read-tree", *(["--reset", "HEAD"] if head else ["--empty"])], path, env=own)
    words = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"]
    git(words, path, env=own, given="".join(f"{one}\0" for one in paths))
    if not head:
        return bool(git(["ls-files", "--cached", "-z"], path, env=own))
    return bool(git(["diff-index", "--cached", "--name-only", "-z", "HEAD", "--"], path, env=own))


def _committer(path: str, author: str) -> dict[str, str]:
    """Give what says who commits, where git is not configured for anybody."""
    words = ["config", "--name-only", "--get-regexp", r"^(user|committer)\.(name|email)$"]
    known = {one.partition(".")[2] for one in git(words, path, codes=(0, 1)).split()}
    if known == {"name", "email"}:
        return {}
    name, _, mail = author.rstrip("> ").partition("<")
    return {"GIT_COMMITTER_NAME": name.strip(), "GIT_COMMITTER_EMAIL": mail.strip()}


def _commit(
    path: str, folder: Path, message: str, author: str, env: Mapping[str, str], patience: float
) -> None:
    words = ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "i18n.commitEncoding=UTF-8"]
    words += ["commit", "--quiet", "--no-gpg-sign", "--cleanup=whitespace", "--file=-"]
    _refuse_unfit(path, folder)  # now, as the agent may have begun something meanwhile
    try:
        git([*words, f"--author={author}"], path, env=env, given=message, patience=patience)
    except GitError as error:
        if error.code != 1:
            raise
        last = error.said.splitlines()[-1] if error.said else "it said nothing"
        raise GitError(
            f"a hook of `{path}` refused the commit: {last}",
            said=error.said,
            code=error.code,
            fix="put right what the hook finds; until then this work is not committed",
        ) from error


def _catch_up(path: str, folder: Path) -> tuple[str, int]:
    """Let the agent's index know of the last commit's files; gives its hash, and how many.

    Where another git holds the index for long, hive's own index stays for `mend`.
    """
    words = ["diff-tree", "-r", "-z", "--root", "--no-renames", "--no-commit-id", "HEAD"]
    made = head_of(path)
    parts = git(words, path).split("\0")[:-1]
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    lines = [f"{meta.split()[1]} {meta.split()[3]}\t{name}\0" for meta, name in pairs]
    until = time.monotonic() + LOCKED
    while not (done := _written(path, folder, "".join(lines))) and time.monotonic() < until:
        time.sleep(0.05)
    if done:
        _drop(folder / f"{_INDEX}{os.getpid()}")
    return made, len(pairs)


def _written(path: str, folder: Path, lines: str) -> bool:
    """Write the agent's index anew with some entries changed; false where it is another's now."""
    index, lock, own = folder / "index", folder / "index.lock", folder / f"{_NEXT}{os.getpid()}"
    if lock.exists():
        return False
    before = _stamp(index)
    try:
        if before:
            shutil.copy2(index, own)
        words = ["update-index", "-z", "--index-info"]
        git(words, path, env={"GIT_INDEX_FILE": str(own)}, given=lines)
        lock.hardlink_to(own)
        if _stamp(index) != before:
            lock.unlink()
            return False
        lock.replace(index)
        return True
    except FileExistsError:  # another git took it in between
        return False
    finally:
        _drop(own)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


def _abandoned(path: Path) -> bool:
    """Whether the hive that made a file is gone, or is this one."""
    pid = path.name.removesuffix(".lock").rpartition("-")[2]
    if not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _end_gits(left: Sequence[Path]) -> None:
    """End what a git of a dead hive does still: without its index it would commit no file at all.

    Asked first, it takes its locks away.
    """
    names = {str(one).removesuffix(".lock") for one in left}
    gits = procs.bearing("GIT_INDEX_FILE", names) if names else []
    for number in (SIGTERM, SIGKILL):
        for one in gits:
            procs.signal(one.pid, one.started, number)
        until = time.monotonic() + 1.0
        while gits and time.monotonic() < until:
            gits = [one for one in gits if procs.alive(one.pid, one.started)]
            time.sleep(0.01)


def _same(lock: Path, own: Path) -> bool:
    try:
        return lock.samefile(own)
    except FileNotFoundError:
        return False


def _refs_held(path: str, left: Sequence[Path]) -> bool:
    """Whether a git still writes what HEAD is; the locks of one killed in a commit are removed."""
    if not any(one.name.startswith(_INDEX) for one in left):
        return False
    names = ["HEAD", git(["symbolic-ref", "--quiet", "HEAD"], path, codes=(0, 1)).strip()]
    words = [word for name in names if name for word in ("--git-path", f"{name}.lock")]
    told = git(["rev-parse", "--path-format=absolute", *words], path)
    locks = [lock for one in told.splitlines() if (lock := Path(one)).exists()]
    for lock in locks:
        with suppress(FileNotFoundError):  # it was no dead one's
            if time.time() - lock.stat().st_mtime > STALE:
                lock.unlink()
    return any(lock.exists() for lock in locks)


def _tree(path: str, index: Path) -> str:
    try:
        return git(["write-tree"], path, env={"GIT_INDEX_FILE": str(index)}).strip()
    except GitError:
        return ""  # it was not written to its end


def _drop(*paths: Path) -> None:
    for one in paths:
        one.unlink(missing_ok=True)
        one.with_name(f"{one.name}.lock").unlink(missing_ok=True)
