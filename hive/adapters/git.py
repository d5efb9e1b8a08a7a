"""Git, through its own command: asked in words that are made for programs, never for a password.

`look` gives what a work tree is like now, and takes no lock for it.

Raises `GitError` for what git refuses, with what git itself said.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

from hive.core.checkpoint import FETCHED
from hive.core.repository import NOTES, Changed, Commit, Kind, Tree
from hive.errors import HiveError

PATIENCE = 60.0
"""How many seconds one command of git may take where nobody says how long."""

MOST_NEW = 2000
"""New folders with more files than this are given as one path that ends with `/`."""

MOST_UNPUSHED = 1000
"""How far commits that no remote has are counted."""

_PLAIN = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
}
"""What keeps git from asking, paging, translating, and from being in an agent's way."""

_KEPT = {
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH",
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_CEILING_DIRECTORIES",
}  # fmt: skip
"""What a person may say of git anywhere; the rest names one repository, and not this one."""

_OPERATIONS = {
    "rebase-merge": "rebase",
    "rebase-apply/applying": "am",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "sequencer": "cherry-pick",
    "BISECT_LOG": "bisect",
}
"""The files of a git folder that say that something was begun and not ended."""

_ADVICE = re.compile(r"^\s*(git config --global --add safe\.directory .+)$", re.MULTILINE)


class GitError(HiveError):
    """Git refused, is missing, or took too long. `code` is its exit code, `said` what it said."""

    def __init__(self, what: str, *, said: str = "", code: int = 0, fix: str = "") -> None:
        """Say what failed; `fix` is what a person can do."""
        super().__init__(what, fix=fix or "see what git says, and put it right by hand")
        self.said = said
        self.code = code


def git(
    words: Sequence[str],
    where: str,
    *,
    env: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
    codes: Sequence[int] = (0,),
    given: str | None = None,
) -> str:
    """Run `git WORDS` in a folder and give what it prints. Raises GitError.

    `env` goes over this process's own environment. Exit codes other than `codes` are refusals.
    `given` is what it reads. Bytes that are no UTF-8 stay what they are, as in `os.fsdecode`.
    What takes too long is ended with all that it started.
    """
    shown = f"git {' '.join(words[:3])}"
    with _begun(words, where, env) as process:
        try:
            out, err = process.communicate(_bytes(given or ""), patience)
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise GitError(f"`{shown}` took longer than {patience:g}s in `{where}`") from error
        except BaseException:
            _end(process)
            raise
    if process.returncode not in codes:
        said = _text(err).strip() or _text(out).strip()
        raise GitError(
            f"`{shown}` failed in `{where}`: {said.splitlines()[0] if said else 'it said nothing'}",
            said=said,
            code=process.returncode,
        )
    return _text(out)


def look(
    directory: str, *, base: str = "", commits: int = 20, now: float | None = None
) -> Tree | None:
    """Look at the work tree a folder is in; None where there is none. Raises GitError.

    `commits` are the newest ones that `base` does not have, so many at most; without a base, or
    where it is not known, the newest of all. The root is told by the path that was asked for, as
    far as that goes. New files of folders with very many of them, and of those that a tool made
    (`node_modules`), are not told one by one: the folder is, with `/` at its end.
    """
    found = _found(directory)
    if found is None:
        return None
    top, prefix, folder, common = found
    root = _as_asked(directory, top, prefix)
    head, entries = _status(top)
    commit = "" if head["oid"] == "(initial)" else head["oid"]
    return Tree(
        root=root,
        prefix=prefix,
        common=common,
        branch="" if head["head"] == "(detached)" else head["head"],
        commit=commit,
        operation=operation(folder),
        linked=folder != common,
        changed=tuple(entries),
        commits=_commits(top, base, commits) if commit and commits else (),
        upstream=head.get("upstream", ""),
        unpushed=_unpushed(top) if commit else 0,
        at=time.time() if now is None else now,
    )


def operation(folder: str) -> str:
    """Give what was begun and not ended, told by the files of a work tree's git folder."""
    place = Path(folder)
    return next((name for file, name in _OPERATIONS.items() if (place / file).exists()), "")


def head_of(directory: str, name: str = "HEAD") -> str:
    """Give the full hash of the commit that a name means, "" where it means none."""
    words = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    return git(words, directory, codes=(0, 1)).strip()


def branches(directory: str) -> dict[str, str]:
    """Give the local branches, each with the full hash of its last commit."""
    form = "--format=%(refname:lstrip=2)%00%(objectname)"
    lines = git(["for-each-ref", form, "refs/heads"], directory).splitlines()
    return {name: commit for name, _, commit in (line.partition("\0") for line in lines)}


def git_folder(directory: str) -> str:
    """Give the git folder that is this work tree's own. Raises GitError."""
    return git(["rev-parse", "--absolute-git-dir"], directory).removesuffix("\n")


def _begun(
    words: Sequence[str], where: str, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    kept = {
        key: text for key, text in os.environ.items() if not key.startswith("GIT_") or key in _KEPT
    }
    try:
        return subprocess.Popen(
            ["git", *words],
            cwd=where,
            env={**kept, **_PLAIN, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # no terminal to ask on, and it can be ended whole
        )
    except OSError as error:
        if not os.path.isdir(where):  # noqa: PTH112 - a text is what is at hand
            raise GitError(f"`{where}` is no folder", fix="see where it is now") from error
        if isinstance(error, FileNotFoundError):
            raise GitError("git is not installed", fix="install git") from error
        raise GitError(f"git can't be started in `{where}`: {error}") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and all that it started; asked first, it takes its locks away."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):  # none of them is left
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):  # then it is killed
            process.wait(1)


def _found(directory: str) -> tuple[str, str, str, str] | None:
    """Give the top folder, the prefix, the git folder and the common one."""
    wanted = ("--show-toplevel", "--show-prefix", "--absolute-git-dir", "--git-common-dir")
    try:
        told = git(["rev-parse", "--path-format=absolute", *wanted], directory)
    except GitError as error:
        if "must be run in a work tree" in error.said:
            return None  # a bare one, or inside a git folder
        if "not a git repository (or any" in error.said and not _claimed(directory):
            return None
        raise _explained(error, directory) from error
    parts = told.split("\n")
    if len(parts) != 5:
        raise GitError(f"the path `{directory}` has a line break", fix="rename the folder")
    top, prefix, folder, common, _ = parts
    return top, prefix, folder, common


def _claimed(directory: str) -> bool:
    place = Path(directory).absolute()
    return any((one / ".git").exists() for one in (place, *place.parents))


def _explained(error: GitError, directory: str) -> GitError:
    if advice := _ADVICE.search(error.said):
        what = f"git does not trust `{directory}`: it belongs to another user"
        return GitError(what, said=error.said, code=error.code, fix=f"`{advice[1]}`")
    if error.code == 128:
        first = error.said.splitlines()[0] if error.said else "it said nothing"
        return GitError(
            f"git can't read the repository of `{directory}`: {first}",
            said=error.said,
            code=error.code,
            fix=f"see `git -C {directory} status`; `git worktree repair` in the repository "
            "helps where folders were moved",
        )
    return error


def _as_asked(directory: str, top: str, prefix: str) -> str:
    """Give the root by the path that was asked for: through links, it is not as git says it."""
    asked = Path(os.path.abspath(directory))  # noqa: PTH100 - links must stay
    parts = Path(prefix).parts
    if parts and asked.parts[-len(parts) :] != parts:
        return top
    root = asked.parents[len(parts) - 1] if parts else asked
    return str(root) if os.path.realpath(root) == os.path.realpath(top) else top


def _status(top: str) -> tuple[dict[str, str], list[Changed]]:
    words = ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal"]
    items = iter(git([*words, "--no-ahead-behind"], top).split("\0"))
    head: dict[str, str] = {}
    found: dict[str, Changed] = {}
    folders: list[str] = []
    for item in items:
        if item.startswith("# branch."):
            key, _, value = item.removeprefix("# branch.").partition(" ")
            head[key] = value
        elif item.startswith("? "):
            new = item[2:]
            if NOTES.match(new):
                continue
            if new.endswith("/"):
                folders.append(new)
            else:
                _add(found, _changed(top, new, Kind.UNTRACKED))
        elif item:
            _add(found, _entry(top, item, items))
    folders += [f"{path}/" for path in found if _became_a_folder(top, found[path])]
    for new in _unfolded(top, folders):
        _add(found, _changed(top, new, Kind.UNTRACKED))
    return head, sorted(found.values(), key=lambda one: one.path)


def _became_a_folder(top: str, one: Changed) -> bool:
    """Whether a file is a folder now: git does not tell of that by itself."""
    place = Path(top) / one.path
    return one.kind is Kind.DELETED and place.is_dir() and not place.is_symlink()


def _add(found: dict[str, Changed], one: Changed) -> None:
    """Add one; what was taken out of the index and is there still is only modified."""
    kind = Kind.MODIFIED if one.path in found else one.kind
    found[one.path] = Changed(path=one.path, kind=kind, bytes=one.bytes, before=one.before)


def _entry(top: str, item: str, items: Iterator[str]) -> Changed:
    sort, letters, sub, rest = item.split(" ", 3)
    path = rest.split(" ", {"1": 5, "2": 6, "u": 7}[sort])[-1]
    before = next(items) if sort == "2" else ""
    if sort == "u":
        return _changed(top, path, Kind.CONFLICTED)
    if sub.startswith("S"):
        return _changed(top, path, Kind.SUBMODULE)
    if letters[1] == "D" or letters == "D.":
        return _changed(top, path, Kind.DELETED)
    if before and "R" in letters:
        return _changed(top, path, Kind.RENAMED, before)
    added = before or "A" in letters
    return _changed(top, path, Kind.ADDED if added else Kind.MODIFIED)


def _changed(top: str, path: str, kind: Kind, before: str = "") -> Changed:
    place = os.path.join(top, path)  # noqa: PTH118 - a Path would drop the `/` at the end
    if path.endswith("/") and os.path.lexists(f"{place}.git"):
        return Changed(path=path.rstrip("/"), kind=Kind.SUBMODULE)
    size = 0
    with suppress(OSError):  # it is gone by now
        seen = os.lstat(place)
        size = seen.st_size if S_ISREG(seen.st_mode) else 0
    return Changed(path=path, kind=kind, bytes=size, before=before)


def _unfolded(top: str, folders: Sequence[str]) -> list[str]:
    """Give the new files of new folders; a folder itself where there are too many."""
    open_ones = [one for one in folders if Path(one).name not in FETCHED]
    found = [one for one in folders if Path(one).name in FETCHED]
    listed = _listed(top, open_ones) if open_ones else []
    if listed is not None:
        return found + listed
    for one in open_ones:
        listed = _listed(top, [one])
        found += [one] if listed is None else listed
    return found


def _listed(top: str, folders: Sequence[str]) -> list[str] | None:
    """Give the new files of folders, None where there are too many of them."""
    words = ["--literal-pathspecs", "ls-files", "-z", "--others", "--exclude-standard"]
    words += [f"--exclude={name}/" for name in FETCHED]
    with _begun([*words, "--", *folders], top, None) as process:
        text = b""
        while process.stdout and (part := os.read(process.stdout.fileno(), 1 << 16)):
            text += part
            if text.count(b"\0") > MOST_NEW:
                _end(process)
                return None
    names = [one for one in _text(text).split("\0") if one]
    return names + [one for one in folders if not any(name.startswith(one) for name in names)]


def _commits(top: str, base: str, most: int) -> tuple[Commit, ...]:
    words = ["log", "-z", f"--max-count={most}", "--format=%H%x1f%ct%x1f%an%x1f%s", "HEAD"]
    try:
        told = git([*words, *([f"^{base}"] if base else []), "--"], top)
    except GitError:
        if not base or head_of(top, base):
            raise
        told = git([*words, "--"], top)
    rows = (one.split("\x1f", 3) for one in told.split("\0") if one)
    return tuple(
        Commit(hash=name, at=float(at), author=author, subject=subject)
        for name, at, author, subject in rows
    )


def _unpushed(top: str) -> int:
    words = ["rev-list", "--count", f"--max-count={MOST_UNPUSHED}", "HEAD", "--not", "--remotes"]
    return int(git(words, top))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(told: bytes) -> str:
    return told.decode("utf-8", "surrogateescape")
