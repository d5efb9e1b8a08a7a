"""Makes real git repositories of awkward shapes, each in a few milliseconds.

`SHAPES` has them all by name; each takes a folder that is not there yet and gives a `Repository`.
A repository carries its own identity and no hooks, so that nothing depends on who runs the tests.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

ENV = {
    **{key: text for key, text in os.environ.items() if not key.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_EDITOR": "true",
    "LC_ALL": "C.UTF-8",
}
CONFIG = """
[user]
\tname = Ada
\temail = ada@example.com
[commit]
\tgpgsign = false
[gc]
\tauto = 0
[protocol "file"]
\tallow = always
[advice]
\taddEmbeddedRepo = false
\tdetachedHead = false
"""


class Repository:
    """One work tree (or bare repository) at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *words: str, given: str = "", code: int | None = 0) -> str:
        """Run git in it and give what it prints; with `code` None it may end as it likes."""
        done = subprocess.run(
            ["git", *words],
            cwd=self.path,
            env=ENV,
            input=os.fsencode(given),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert code is None or done.returncode == code, done.stderr.decode(errors="replace")
        return os.fsdecode(done.stdout).rstrip("\n")

    def write(self, name: str, text: str | bytes = "text\n") -> Path:
        """Write one file, with the folders it needs."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(text))
        return path

    def read(self, name: str) -> str:
        """Give a file's text."""
        return os.fsdecode((self.path / name).read_bytes())

    def commit(self, subject: str = "work", files: Mapping[str, str] | None = None) -> str:
        """Write files, commit all there is, and give the commit's hash."""
        for name, text in (files or {}).items():
            self.write(name, text)
        self.git("add", "--all")
        self.git("commit", "-q", "--no-verify", "--allow-empty", "-m", subject)
        return self.head()

    def head(self, name: str = "HEAD") -> str:
        """Give the hash of a revision."""
        return self.git("rev-parse", name)

    def status(self) -> list[str]:
        """Give what `git status` lists: two letters, a space and the path."""
        return [one for one in self.git("status", "--porcelain", "-z", "-uall").split("\0") if one]

    def hook(self, name: str, script: str) -> None:
        """Set a hook, a shell script."""
        place = Path(self.git("rev-parse", "--path-format=absolute", "--git-path", f"hooks/{name}"))
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)

    def worktree(self, path: Path, branch: str = "work") -> Repository:
        """Add a linked worktree on a new branch."""
        self.git("worktree", "add", "-q", "-b", branch, str(path))
        return Repository(path)


def unborn(path: Path) -> Repository:
    """Make one without a commit."""
    path.mkdir(parents=True)
    made = Repository(path)
    made.git("init", "-q", "-b", "main", "--template=")
    with (path / ".git/config").open("a") as config:
        config.write(CONFIG)
    return made


def plain(path: Path) -> Repository:
    """Make one with a commit, on `main`: `a.txt`, `b.txt` and `src/c.txt`."""
    made = unborn(path)
    made.commit("first", {"a.txt": "a\n", "b.txt": "b\n", "src/c.txt": "1\n2\n3\n4\n5\n"})
    return made


def dirty(path: Path) -> Repository:
    """Make one with every plain kind of change, staged and not."""
    made = plain(path)
    made.write("a.txt", "changed\n")
    (path / "b.txt").unlink()
    made.git("mv", "src/c.txt", "src/d.txt")
    made.write("new.txt")
    made.write("deep/er/new.txt")
    made.write("staged.txt")
    made.git("add", "staged.txt")
    return made


def detached(path: Path) -> Repository:
    """Make one whose HEAD is on no branch."""
    made = plain(path)
    made.git("checkout", "-q", "--detach")
    return made


def _forked(path: Path) -> Repository:
    made = plain(path)
    made.git("checkout", "-q", "-b", "other")
    made.commit("theirs", {"a.txt": "theirs\n"})
    made.git("checkout", "-q", "main")
    made.commit("ours", {"a.txt": "ours\n"})
    return made


def merging(path: Path) -> Repository:
    """Make one in a merge with a conflict in `a.txt`."""
    made = _forked(path)
    made.git("merge", "-q", "other", code=1)
    return made


def rebasing(path: Path) -> Repository:
    """Make one in a rebase that stopped at a conflict."""
    made = _forked(path)
    made.git("rebase", "-q", "other", code=1)
    return made


def applying(path: Path) -> Repository:
    """Make one in which `git am` stopped at a patch that does not fit."""
    made = _forked(path)
    patch = made.git("format-patch", "--stdout", "-1", "other")
    made.git("am", "-q", given=f"{patch}\n", code=128)
    return made


def picking(path: Path) -> Repository:
    """Make one in a cherry-pick with a conflict."""
    made = _forked(path)
    made.git("cherry-pick", "other", code=1)
    return made


def reverting(path: Path) -> Repository:
    """Make one in a revert with a conflict."""
    made = _forked(path)
    made.commit("again", {"a.txt": "again\n"})
    made.git("revert", "--no-edit", "HEAD~1", code=1)
    return made


def bisecting(path: Path) -> Repository:
    """Make one in a bisect."""
    made = plain(path)
    made.git("bisect", "start")
    return made


def popped(path: Path) -> Repository:
    """Make one with a conflict left by `git stash pop`: no operation goes on."""
    made = plain(path)
    made.write("a.txt", "stashed\n")
    made.git("stash", "-q")
    made.commit("ours", {"a.txt": "ours\n"})
    made.git("stash", "pop", "-q", code=1)
    return made


def submodule(path: Path) -> Repository:
    """Make one with a submodule `sub` that has a new commit and a changed file."""
    made = plain(path)
    inner = plain(path / "sub")
    made.write(".gitmodules", '[submodule "sub"]\n\tpath = sub\n\turl = ../sub\n')
    made.commit("with a submodule")
    inner.commit("inner", {"a.txt": "inner\n"})
    inner.write("b.txt", "dirty\n")
    return made


def linked(path: Path) -> Repository:
    """Make a worktree on branch `work`, of the repository beside it at `PATH.main`."""
    return plain(path.with_name(f"{path.name}.main")).worktree(path)


def orphaned(path: Path) -> Repository:
    """Make a worktree whose repository is gone: its `.git` file points nowhere."""
    made = linked(path)
    path.with_name(f"{path.name}.main").rename(path.with_name(f"{path.name}.moved"))
    return made


def bare(path: Path) -> Repository:
    """Make a bare one."""
    path.mkdir(parents=True)
    made = Repository(path)
    made.git("init", "-q", "--bare", "-b", "main", "--template=")
    return made


def nothing(path: Path) -> Repository:
    """Make a folder without any git."""
    path.mkdir(parents=True)
    made = Repository(path)
    made.write("a.txt")
    return made


def broken(path: Path) -> Repository:
    """Make one whose HEAD is damaged."""
    made = plain(path)
    (path / ".git/HEAD").write_bytes(b"\0\0\0")
    return made


def nested(path: Path) -> Repository:
    """Make one with a repository of its own in `inner`, which git does not know."""
    made = plain(path)
    plain(path / "inner")
    return made


NAMES = (
    "with a space.txt",
    "line\nbreak.txt",
    "carriage\rreturn.txt",
    "tab\there.txt",
    os.fsdecode(b"latin-\xe9.txt"),
    "ünï.txt",
    "-leading",
    "*",
    ":(top)magic",
    'quo"te\\.txt',
    " edge ",
)


def names(path: Path) -> Repository:
    """Make one with new files of awkward names, `NAMES`."""
    made = plain(path)
    for one in NAMES:
        made.write(one)
    return made


def symlinks(path: Path) -> Repository:
    """Make one with new links: to a file, to a folder, to nothing, and out of it."""
    made = plain(path)
    for name, target in (("file", "a.txt"), ("dir", "src"), ("lost", "no"), ("out", "/etc/hosts")):
        (path / name).symlink_to(target)
    return made


def ignored(path: Path) -> Repository:
    """Make one in which `*.log` and `build` are ignored, and there."""
    made = plain(path)
    made.commit("ignore", {".gitignore": "*.log\nbuild\n"})
    for name in ("a.log", "build/out", "kept.txt"):
        made.write(name)
    return made


def huge(path: Path) -> Repository:
    """Make one with a new file of 20 MB (a hole: it takes no space)."""
    made = plain(path)
    os.truncate(made.write("huge.bin"), 20_000_000)
    return made


def refusing(path: Path) -> Repository:
    """Make one whose pre-commit hook refuses, with a change."""
    made = dirty(path)
    made.hook("pre-commit", "echo 'the linter found 3 mistakes' >&2; exit 1")
    return made


def changing(path: Path) -> Repository:
    """Make one whose pre-commit hook rewrites `a.txt` and adds it."""
    made = dirty(path)
    made.hook("pre-commit", "echo tidied >a.txt; git add a.txt")
    return made


def unidentified(path: Path) -> Repository:
    """Make one in which nobody says who commits."""
    made = dirty(path)
    config = path / ".git/config"
    config.write_text(config.read_text().replace("[user]", "[nobody]"))
    return made


def shallow(path: Path) -> Repository:
    """Make a clone with only the last of two commits, which follows `origin/main`."""
    source = plain(path.with_name(f"{path.name}.main"))
    source.commit("second", {"a.txt": "second\n"})
    source.git("clone", "-q", "--depth=1", "--template=", source.path.as_uri(), str(path))
    with (path / ".git/config").open("a") as config:
        config.write(CONFIG)
    return Repository(path)


def sparse(path: Path) -> Repository:
    """Make one that has only `src` and what lies at the top checked out, not `far`."""
    made = plain(path)
    made.commit("more", {"far/away.txt": "far\n"})
    made.git("sparse-checkout", "set", "src")
    return made


def dubious(path: Path) -> Repository:
    """Make one that belongs to somebody else; only root can."""
    made = plain(path)
    for one in (path, path / ".git"):
        os.chown(one, 12345, 12345)
    return made


def crowded(path: Path, files: int = 2500) -> Repository:
    """Make one with a new folder `heap` of very many files, beside a new `src/new.txt`."""
    made = plain(path)
    (path / "heap").mkdir()
    for number in range(files):
        (path / f"heap/{number}").touch()
    made.write("src/new.txt")
    made.write("other/new.txt")
    return made


def large(path: Path, files: int = 10_000) -> Repository:
    """Make a clean one of many files, 100 a folder, in two commands of git."""
    made = unborn(path)
    lines = ["commit refs/heads/main", "committer Ada <ada@example.com> 1700000000 +0000"]
    lines += ["data 5", "first"]
    for number in range(files):
        text = f"{number}\n" * 20
        lines += [f"M 100644 inline d{number // 100}/f{number}.txt", f"data {len(text)}", text]
    made.git("fast-import", "--quiet", given="\n".join([*lines, ""]))
    made.git("reset", "-q", "--hard")
    return made


SHAPES: dict[str, Callable[[Path], Repository]] = {
    make.__name__: make
    for make in (
        unborn, plain, dirty, detached, merging, rebasing, applying, picking, reverting,
        bisecting, popped, submodule, linked, orphaned, bare, nothing, broken, nested, names,
        symlinks, ignored, huge, refusing, changing, unidentified, shallow, sparse,
    )
}  # fmt: skip
"""All but `dubious`, which only root can make, and those that are slow: `crowded`, `large`."""
