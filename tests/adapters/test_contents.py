"""Digests of real directories, in git and out of it."""

from __future__ import annotations

import os
import subprocess

import pytest

from hive.adapters import contents
from hive.adapters.contents import digest
from hive.errors import HiveError

WHO = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")


def git(place, *words):
    environ = {"PATH": os.environ["PATH"], "HOME": str(place), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *WHO, *words], cwd=place, env=environ, check=True, capture_output=True)


def commit(place):
    git(place, "add", "-A")
    git(place, "commit", "-qm", "more")


@pytest.fixture
def plain(tmp_path):
    place = tmp_path / "plain"
    (place / "src").mkdir(parents=True)
    (place / "src" / "a.py").write_text("one\n")
    (place / "read\nme").write_text("two\n")
    return place


@pytest.fixture
def repo(plain):
    git(plain, "init", "-q", "-b", "main")
    (plain / ".gitignore").write_text("*.log\nbuild/\n")
    commit(plain)
    return plain


def edit(place):
    (place / "src" / "a.py").write_text("changed\n")


def add(place):
    (place / "src" / "b.py").write_text("")


def remove(place):
    (place / "src" / "a.py").unlink()


def rename(place):
    (place / "src" / "a.py").rename(place / "src" / "c.py")


def allow(place):
    (place / "src" / "a.py").chmod(0o755)


def link(place):
    remove(place)
    (place / "src" / "a.py").symlink_to("nowhere")


CHANGES = [edit, add, remove, rename, allow, link]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_changes_it(plain, change):
    before = digest(plain)
    assert digest(plain) == before
    change(plain)
    assert digest(plain) != before


@pytest.mark.parametrize("change", CHANGES)
def test_in_git_a_change_changes_it_and_a_commit_does_not(repo, change):
    before = digest(repo)
    assert digest(repo) == before
    change(repo)
    after = digest(repo)
    assert after != before
    git(repo, "add", "-A")
    assert digest(repo) == after
    commit(repo)
    assert digest(repo) == after
    git(repo, "checkout", "-q", "HEAD~1")
    assert digest(repo) == before


def test_in_git_what_is_ignored_does_not_count(repo):
    before = digest(repo)
    (repo / "src" / "a.log").write_text("noise")
    (repo / "build").mkdir()
    (repo / "build" / "out").write_text("noise")
    os.utime(repo / "src" / "a.py", (1, 1))
    assert digest(repo) == before
    inside = digest(repo / "build")  # git knows nothing of it: it is read as it is
    (repo / "build" / "out").write_text("other")
    assert digest(repo / "build") != inside


def test_a_part_of_a_work_tree_is_only_that_part(repo):
    before = digest(repo / "src")
    (repo / "other").write_text("x")
    assert digest(repo / "src") == before
    edit(repo)
    assert digest(repo / "src") != before


def test_a_repository_in_it_counts_too(repo):
    inner = repo / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "a").write_text("one")
    before = digest(repo)
    (inner / "a").write_text("two")
    changed = digest(repo)
    assert changed != before
    commit(inner)
    commit(repo)  # as a gitlink
    known = digest(repo)
    (inner / "a").write_text("three")
    assert digest(repo) != known


def test_sides_that_are_being_merged_count_as_they_lie_there(repo):
    git(repo, "checkout", "-qb", "other")
    edit(repo)
    commit(repo)
    git(repo, "checkout", "-q", "main")
    (repo / "src" / "a.py").write_text("mine\n")
    commit(repo)
    with pytest.raises(subprocess.CalledProcessError):
        git(repo, "merge", "other")
    before = digest(repo)
    (repo / "src" / "a.py").write_text("both\n")
    after = digest(repo)
    assert after != before
    commit(repo)
    assert digest(repo) == after


def test_without_git_it_is_read(plain, repo, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    before = digest(repo)
    (repo / ".git" / "noise").write_text("x")
    assert digest(repo) == before
    edit(repo)
    assert digest(repo) != before


def test_nothing_is_written_into_the_repository(repo):
    edit(repo)
    add(repo)
    seen = lambda: sorted(
        (str(one), one.stat().st_mtime_ns) for one in (repo / ".git").rglob("*") if one.is_file()
    )
    before = seen()
    digest(repo)
    assert seen() == before


@pytest.mark.parametrize("bound", ["MOST", "BYTES"])
def test_too_much_is_an_error_with_a_step(plain, monkeypatch, bound):
    monkeypatch.setattr(contents, bound, 1)
    with pytest.raises(HiveError, match="to read") as caught:
        digest(plain)
    assert ".gitignore" in caught.value.fix


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(HiveError, match="no such directory"):
        digest(tmp_path / "gone")


def test_a_pipe_in_it_is_passed_over(plain):
    before = digest(plain)
    os.mkfifo(plain / "pipe")
    assert digest(plain) == before
