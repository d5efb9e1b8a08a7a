from __future__ import annotations

import os

import psutil
import pytest

from hive.adapters import bundles
from hive.adapters import git as module
from hive.adapters.git import GitError, branches, git, git_folder, head_of, look
from hive.core.repository import Changed, Kind
from tests import repositories
from tests.repositories import NAMES, SHAPES

M, A, D, R = Kind.MODIFIED, Kind.ADDED, Kind.DELETED, Kind.RENAMED
U, C, S = Kind.UNTRACKED, Kind.CONFLICTED, Kind.SUBMODULE

SEEN = {
    "unborn": ("main", "", {}),
    "plain": ("main", "", {}),
    "dirty": (
        "main",
        "",
        {
            "a.txt": M,
            "b.txt": D,
            "deep/er/new.txt": U,
            "new.txt": U,
            "src/d.txt": R,
            "staged.txt": A,
        },
    ),
    "detached": ("", "", {}),
    "merging": ("main", "merge", {"a.txt": C}),
    "rebasing": ("", "rebase", {"a.txt": C}),
    "applying": ("main", "am", {}),
    "picking": ("main", "cherry-pick", {"a.txt": C}),
    "reverting": ("main", "revert", {"a.txt": C}),
    "bisecting": ("main", "bisect", {}),
    "popped": ("main", "", {"a.txt": C}),
    "submodule": ("main", "", {"sub": S}),
    "linked": ("work", "", {}),
    "nested": ("main", "", {"inner": S}),
    "names": ("main", "", dict.fromkeys(NAMES, U)),
    "symlinks": ("main", "", dict.fromkeys(("dir", "file", "lost", "out"), U)),
    "ignored": ("main", "", {"kept.txt": U}),
    "huge": ("main", "", {"huge.bin": U}),
    "shallow": ("main", "", {}),
    "sparse": ("main", "", {}),
}


def _runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("shape", SEEN)
def test_what_it_sees_of_each_shape(shape, tmp_path):
    made = SHAPES[shape](tmp_path / "r")

    tree = look(str(made.path), now=7.0)

    assert tree is not None
    assert (tree.root, tree.prefix, tree.at) == (str(made.path), "", 7.0)
    assert tree.commit == ("" if shape == "unborn" else made.head())
    assert tree.linked == (shape == "linked")
    kinds = {one.path: one.kind for one in tree.changed}
    assert (tree.branch, tree.operation, kinds) == SEEN[shape]


def test_what_an_agents_program_notes_for_itself_is_no_work(tmp_path):
    made = SHAPES["plain"](tmp_path / "r")
    for name in (
        ".aider.chat.history.md",
        ".aider.tags.cache.v4/cache.db",
        ".aiders",
        "a/.aider.x",
    ):
        made.write(name, "x")

    tree = look(str(made.path))

    assert tree is not None
    assert [one.path for one in tree.changed] == [".aiders", "a/.aider.x"]
    told = [path for _, path in bundles.status(str(made.path), untracked=True)]
    assert told == [".aiders", "a/.aider.x"]


@pytest.mark.parametrize("shape", ["nothing", "bare"])
def test_where_there_is_no_work_tree_there_is_none(shape, tmp_path):
    assert look(str(SHAPES[shape](tmp_path / "r").path)) is None


def test_inside_a_git_folder_there_is_none(tmp_path):
    assert look(str(repositories.unborn(tmp_path / "r").path / ".git")) is None


@pytest.mark.parametrize("shape", ["broken", "orphaned"])
def test_a_broken_repository_is_an_error_that_says_what_to_do(shape, tmp_path):
    made = SHAPES[shape](tmp_path / "r")

    with pytest.raises(GitError, match="can't read the repository") as caught:
        look(str(made.path))

    assert f"git -C {made.path} status" in caught.value.fix


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_another_comes_with_gits_own_advice(tmp_path):
    made = repositories.dubious(tmp_path / "r")

    with pytest.raises(GitError, match="belongs to another user") as caught:
        look(str(made.path))

    assert caught.value.fix == f"`git config --global --add safe.directory {made.path}`"


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(GitError, match="is no folder"):
        look(str(tmp_path / "no"))


def test_a_folder_below_the_root_has_a_prefix(tmp_path):
    made = repositories.plain(tmp_path / "r")

    tree = look(str(made.path / "src"))

    assert tree and (tree.root, tree.prefix) == (str(made.path), "src/")


def test_the_root_is_told_by_the_path_that_was_asked_for(tmp_path):
    made = repositories.plain(tmp_path / "r")
    (tmp_path / "link").symlink_to(made.path)
    (tmp_path / "deep").symlink_to(made.path / "src")

    roots = [look(str(tmp_path / one)) for one in ("link", "link/src", "deep")]

    assert [one and one.root for one in roots] == [str(tmp_path / "link")] * 2 + [str(made.path)]


def test_worktrees_of_one_repository_share_its_folder(tmp_path):
    made = SHAPES["linked"](tmp_path / "r")

    first, other = look(str(tmp_path / "r.main")), look(str(made.path))

    assert first and other and first.common == other.common == str(tmp_path / "r.main/.git")


def test_sizes_and_where_files_were(tmp_path):
    made = repositories.dirty(tmp_path / "r")
    (made.path / "link").symlink_to("a.txt")

    tree = look(str(made.path))

    assert tree
    found = {one.path: one for one in tree.changed}
    assert found["src/d.txt"] == Changed(path="src/d.txt", kind=R, bytes=10, before="src/c.txt")
    assert (found["a.txt"].bytes, found["b.txt"].bytes, found["link"].bytes) == (8, 0, 0)


def test_what_left_the_index_but_is_there_is_modified(tmp_path):
    made = repositories.plain(tmp_path / "r")
    made.git("rm", "-q", "--cached", "a.txt")

    tree = look(str(made.path))

    assert tree and tree.changed == (Changed(path="a.txt", kind=M, bytes=2),)


def test_commits_that_the_base_has_not_and_how_many_no_remote_has(tmp_path):
    made = SHAPES["shallow"](tmp_path / "r")
    made.git("checkout", "-q", "-b", "work")
    hashes = [made.commit(f"step {number}: ünï") for number in range(3)]

    tree = look(str(made.path), base="main")

    assert tree and [one.hash for one in tree.commits] == hashes[::-1]
    assert (tree.commits[0].subject, tree.commits[0].author) == ("step 2: ünï", "Ada")
    assert (tree.unpushed, tree.upstream) == (3, "")
    few, gone = (look(str(made.path), base=base, commits=2) for base in ("main", "--no such"))
    assert few and gone and few.commits == gone.commits == tree.commits[:2]


def test_the_branch_it_follows(tmp_path):
    tree = look(str(SHAPES["shallow"](tmp_path / "r").path))

    assert tree and (tree.upstream, tree.unpushed) == ("origin/main", 0)


def test_a_new_folder_of_very_many_files_is_one_path(tmp_path):
    made = repositories.crowded(tmp_path / "r", files=module.MOST_NEW + 1)
    for name in ("node_modules/x/y.js", "other/node_modules/z.js", "only/node_modules/z.js"):
        made.write(name)

    tree = look(str(made.path))

    assert tree and [one.path for one in tree.changed] == [
        "heap/",
        "node_modules/",
        "only/",
        "other/new.txt",
        "src/new.txt",
    ]


def test_it_writes_nothing(tmp_path):
    made = repositories.dirty(tmp_path / "r")
    (made.path / ".git/index.lock").touch()
    index = (made.path / ".git/index").stat()

    tree = look(str(made.path))

    assert tree and len(tree.changed) == 6
    assert (made.path / ".git/index").stat() == index


def test_names_of_commits_and_branches(tmp_path):
    made = repositories.linked(tmp_path / "r")
    made.commit("more")
    where = str(made.path)

    assert branches(where) == {"main": head_of(where, "main"), "work": made.head()}
    assert (head_of(where), head_of(where, "nope"), head_of(where, "-x")) == (made.head(), "", "")
    assert git_folder(where) == str(tmp_path / "r.main/.git/worktrees/r")
    assert head_of(str(repositories.unborn(tmp_path / "u").path)) == ""


def test_it_is_not_led_astray_by_the_environment(tmp_path, monkeypatch):
    made = repositories.dirty(tmp_path / "r")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no"))

    tree = look(str(made.path))

    assert tree and len(tree.changed) == 6


def test_what_takes_too_long_is_ended_with_all_it_started(tmp_path, eventually):
    made = repositories.dirty(tmp_path / "r")
    made.hook("pre-commit", "echo $$ >pid; exec sleep 60")

    with pytest.raises(GitError, match=r"`git commit -qam late` took longer than 0.3s"):
        git(["commit", "-qam", "late"], str(made.path), patience=0.3)

    pid = int(made.read("pid"))
    eventually(lambda: not _runs(pid))
    assert not (made.path / ".git/index.lock").exists()
