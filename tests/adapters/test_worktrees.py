"""Worktrees of real git repositories: made, adopted, bundled, dropped, merged."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hive.adapters import plots, procs
from hive.adapters.bundles import bundle, drop, losses
from hive.adapters.git import git
from hive.adapters.merges import Conflicted, Unproven, merge
from hive.adapters.plots import Stand, read_note, standing, touched, write_note
from hive.adapters.worktrees import prepare
from hive.core.rhythm import Plot
from hive.errors import HiveError, WrongInput

ME = ("-c", "user.name=me", "-c", "user.email=me@x")


class Field:
    """A repository, and the plot of an agent beside it."""

    def __init__(self, path: Path, made: Path) -> None:
        self.path = path
        self.repo = path / "repo"
        shutil.copytree(made, self.repo)
        self.plot = Plot(repo=str(self.repo), path=str(path / "w" / "dev"), branch="hive/t/dev")
        self.own = Path(self.plot.path)
        self.said = []

    def git(self, *words, where=None):
        return git([*ME, *words], str(where or self.repo))

    def write(self, name, text, where=None):
        file = Path(where or self.repo, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, subject, where=None):
        self.git("add", "-A", where=where)
        self.git("commit", "-q", "-m", subject, where=where)
        return self.head(where)

    def head(self, where=None, name="HEAD"):
        return self.git("rev-parse", name, where=where).strip()

    def environ(self):
        return {"PATH": os.environ["PATH"], "TEST_RUN": os.environ["TEST_RUN"], "PORT": "4001"}

    def prepare(self, plot=None, **more):
        return prepare(plot or self.plot, self.environ(), self.said.append, agent="p/t/dev", **more)

    def merge(self, into="", check="", plot=None):
        return merge(
            plot or self.plot,
            into,
            check=check,
            agent="t/dev",
            environ=self.environ(),
            say=self.said.append,
        )

    def drop(self, *, force=False, plot=None):
        to = self.path / "bundles" / "dev.bundle"
        return drop(plot or self.plot, self.environ(), self.said.append, force=force, to=to)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made")
    git(["init", "-q", "-b", "main"], str(path))
    (path / "a.txt").write_text("one\n")
    (path / ".gitignore").write_text(".env\nbuild/\n")
    git(["add", "-A"], str(path))
    git([*ME, "commit", "-q", "-m", "first"], str(path))
    return path


@pytest.fixture
def field(tmp_path, made):
    return Field(tmp_path, made)


# made and adopted


def test_a_worktree_is_made_on_a_branch_of_its_own_and_found_again(field):
    assert standing(field.plot).state is Stand.ABSENT
    done = field.prepare()
    assert done.state is Stand.READY and done.base == field.head()
    assert field.git("branch", "--show-current", where=field.own).strip() == "hive/t/dev"
    assert (field.own / "a.txt").read_text() == "one\n"
    assert read_note(field.plot.path).onto == "main"
    assert field.git("status", "--porcelain", where=field.own) == ""
    said = list(field.said)
    assert field.prepare() == replace(done, warnings=()) and field.said == said


def test_it_begins_with_its_base(field):
    base = field.head()
    field.git("branch", "stable")
    field.write("b.txt", "later")
    field.commit("second")
    field.prepare(replace(field.plot, base="stable"))
    assert not (field.own / "b.txt").exists()
    note = read_note(field.plot.path)
    assert (note.base, note.onto) == (base, "stable")


@pytest.mark.parametrize(
    ("base", "said"), [("nowhere", "no commit `nowhere`"), ("--help", "no commit `--help`")]
)
def test_a_base_that_is_none_is_named(field, base, said):
    with pytest.raises(HiveError, match=said):
        field.prepare(replace(field.plot, base=base))


def test_a_repository_without_a_commit_is_named(field, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    field.git("init", "-q", where=empty)
    with pytest.raises(HiveError, match="no commit yet"):
        field.prepare(replace(field.plot, repo=str(empty)))


def test_a_branch_that_exists_is_taken_up_where_it_is(field):
    base = field.head()
    field.git("checkout", "-q", "-b", "hive/t/dev")
    field.write("b.txt", "more")
    tip = field.commit("work")
    with pytest.raises(HiveError, match="checked out in another worktree"):
        field.prepare()
    field.git("checkout", "-q", "main")
    field.prepare()
    assert field.head(field.own) == tip
    assert read_note(field.plot.path).base == base


@pytest.mark.parametrize("strange", ["a folder", "another repository", "a file"])
def test_what_is_not_ours_is_refused_and_left(field, strange):
    field.own.parent.mkdir()
    if strange == "a file":
        field.own.write_text("mine")
    else:
        field.own.mkdir()
        (field.own / "mine").write_text("mine")
    if strange == "another repository":
        field.git("init", "-q", where=field.own)
    assert standing(field.plot).state is Stand.BROKEN
    with pytest.raises(HiveError, match="no worktree of hive's"):
        field.prepare()
    with pytest.raises(HiveError):
        field.drop(force=True)
    assert (field.own if strange == "a file" else field.own / "mine").read_text() == "mine"


def test_a_worktree_that_a_person_made_in_its_place_is_taken_up(field):
    field.git("worktree", "add", "-q", "-b", "hive/t/dev", str(field.own))
    (field.own / "a.txt").write_text("changed")
    assert field.prepare().state is Stand.READY
    assert (field.own / "a.txt").read_text() == "changed"


def test_a_worktree_deleted_by_hand_is_made_again_with_its_commits(field):
    field.prepare()
    field.write("b.txt", "work", where=field.own)
    tip = field.commit("work", where=field.own)
    field.write("c.txt", "staged", where=field.own)
    field.git("add", "c.txt", where=field.own)
    subprocess.run(["rm", "-rf", str(field.own)], check=True)
    field.prepare()
    assert field.head(field.own) == tip
    (kept,) = field.git("for-each-ref", "--format=%(objectname)", "refs/hive/kept").split()
    assert field.git("show", f"{kept}:c.txt") == "staged"


def test_commits_on_no_branch_outlive_a_worktree_deleted_by_hand(field):
    field.prepare()
    field.git("checkout", "-q", "--detach", where=field.own)
    field.write("b.txt", "work", where=field.own)
    tip = field.commit("work", where=field.own)
    field.own.rename(field.own.with_name("elsewhere"))
    field.prepare()
    assert field.git("for-each-ref", "--format=%(objectname)", "refs/hive/kept").split() == [tip]


def test_others_worktrees_that_are_away_for_now_are_not_forgotten(field, tmp_path):
    field.git("worktree", "add", "-q", "-b", "disk", str(tmp_path / "disk"))
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    field.prepare()
    subprocess.run(["rm", "-rf", str(field.own)], check=True)
    field.prepare()
    assert {one.branch for one in plots.listed(field.plot.repo)} == {"main", "disk", "hive/t/dev"}


# as a kill leaves it: in git's own making, before the note, in the checkout, and so on
KILL_AT = ("add", "note", "checkout", "copied", "setup")


@pytest.mark.parametrize("point", KILL_AT)
def test_what_was_cut_short_is_gone_on_with(field, point):
    plot = replace(field.plot, copy=(".env",), setup="echo run >> build.log; echo x > done")
    field.write(".env", "KEY=1")
    words = ["worktree", "add", "-q", "--no-checkout", "-b", plot.branch, plot.path, "main"]
    field.git(*words)
    own = plots.admin(plot.path)
    if point == "add":
        (own / "locked").write_text("initializing")
        plots.BEGUN, before = 0.0, plots.BEGUN
    if point in {"checkout", "copied", "setup"}:
        write_note(plot.path, plots.Note(agent="p/t/dev", branch=plot.branch, onto="main"))
        (own / "index.lock").write_text("")
        (field.own / "a.txt").write_text("o")
    if point in {"copied", "setup"}:
        (own / "index.lock").unlink()
        field.git("checkout", "-q", "--force", plot.branch, where=field.own)
        write_note(plot.path, replace(read_note(plot.path), made=True))
        (field.own / ".env.hive").write_text("KE")
    if point == "setup":
        (field.own / "build.log").write_text("half\n")
    try:
        done = field.prepare(plot)
    finally:
        if point == "add":
            plots.BEGUN = before
    assert done.state is Stand.READY
    assert (field.own / "a.txt").read_text() == "one\n"
    assert (field.own / ".env").read_text() == "KEY=1"
    assert (field.own / "done").exists()
    assert standing(plot).state is Stand.READY


def test_a_setup_left_at_work_by_a_hive_that_was_killed_is_ended_first(field):
    field.prepare()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as left:
        note = read_note(field.plot.path)
        started = procs.started(left.pid)
        write_note(field.plot.path, replace(note, setup=None, pid=left.pid, started=started))
        field.prepare()
        assert left.wait(10) == -9
    assert read_note(field.plot.path).pid == 0


def test_several_are_made_in_one_repository_at_one_time(field):
    made = [replace(field.plot, path=f"{field.plot.path}-{n}", branch=f"hive/{n}") for n in "abcd"]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(field.prepare, made))
    assert [one.state for one in done] == [Stand.READY] * 4


# copied and set up


def test_files_that_git_does_not_have_are_copied_and_nothing_is_written_over(field):
    field.write(".env", "KEY=1")
    field.write("config/a.local", "a")
    field.write("config/b.local", "b")
    field.write("certs/x/key", "k")
    plot = replace(field.plot, copy=(".env", "config/*.local", "certs", "a.txt", "none*"))
    field.write("a.txt", "changed by the person")
    done = field.prepare(plot)
    assert done.warnings == (
        "nothing to copy is called `a.txt`",
        "nothing to copy is called `none*`",
    )
    assert (field.own / "config/b.local").read_text() == "b"
    assert (field.own / "certs/x/key").read_text() == "k"
    assert (field.own / "a.txt").read_text() == "one\n"
    assert losses(plot).uncommitted == ()
    (field.own / ".env").write_text("KEY=mine")
    (field.own / "config/a.local").write_text("mine")
    write_note(plot.path, replace(read_note(plot.path), setup=None))
    field.prepare(plot)
    assert (field.own / ".env").read_text() == "KEY=mine"
    assert losses(plot).uncommitted == ("config/a.local",)


@pytest.mark.parametrize("pattern", ["../x", "/etc/passwd"])
def test_nothing_from_outside_the_repository_is_copied(field, pattern):
    with pytest.raises(HiveError, match="does not lie in it"):
        field.prepare(replace(field.plot, copy=(pattern,)))


def test_a_setup_runs_once_with_the_agents_environment_and_its_lines_are_told(field):
    plot = replace(field.plot, setup="echo port $PORT; pwd >> build.log")
    field.prepare(plot)
    assert "port 4001" in field.said
    field.prepare(plot)
    assert (field.own / "build.log").read_text() == f"{field.own}\n"
    field.prepare(replace(plot, setup="echo new >> build.log"))
    assert (field.own / "build.log").read_text() == f"{field.own}\nnew\n"


def test_a_setup_that_fails_is_told_with_its_last_lines_and_runs_again(field):
    plot = replace(field.plot, setup="echo nothing here; test -e ok")
    with pytest.raises(HiveError, match="exit code 1\nnothing here"):
        field.prepare(plot)
    assert standing(plot) == plots.Standing(
        state=Stand.MADE, why="it is not set up", base=field.head()
    )
    (field.own / "ok").touch()
    assert field.prepare(plot).state is Stand.READY


def test_a_setup_is_ended_with_all_it_started_when_it_is_to_stop(field):
    stop = threading.Event()
    plot = replace(field.plot, setup="sleep 61 & echo begun; sleep 62")

    def say(text):
        if text == "begun":
            stop.set()

    with pytest.raises(HiveError, match="told to stop"):
        prepare(plot, field.environ(), say, agent="p/t/dev", stop=stop)


def test_submodules_are_fetched_and_that_they_cannot_be_had_keeps_nobody(field, tmp_path):
    sub = tmp_path / "sub"
    sub.mkdir()
    field.git("init", "-q", "-b", "main", where=sub)
    field.write("s.txt", "s", where=sub)
    field.commit("sub", where=sub)
    allow = ("-c", "protocol.file.allow=always")
    field.git(*allow, "submodule", "--quiet", "add", str(sub), "sub")
    field.commit("with a submodule")
    done = field.prepare()
    assert done.state is Stand.READY and "submodules can't be had" in done.warnings[0]
    field.git(*allow, "submodule", "--quiet", "update", "--init", where=field.own)
    assert not losses(field.plot).any
    field.write("s.txt", "work", where=field.own / "sub")
    field.commit("work inside", where=field.own / "sub")
    field.commit("with the new one", where=field.own)
    assert losses(field.plot).inside == ("sub",)
    with pytest.raises(HiveError, match="no bundle can hold that"):
        field.drop(force=True)


# what would be lost


def test_what_would_be_lost_is_told(field):
    field.prepare()
    assert not losses(field.plot).any
    field.write("b.txt", "work", where=field.own)
    tip = field.commit("work", where=field.own)
    field.write("a.txt", "stashed", where=field.own)
    field.git("stash", "-q", where=field.own)
    field.git("mv", "b.txt", "c d.txt", where=field.own)
    field.write("new.txt", "new", where=field.own)
    field.write("build/x", "ignored", where=field.own)
    field.git("init", "-q", str(field.own / "clone"))
    field.write("clone/x", "x", where=field.own)
    found = losses(field.plot)
    assert found.uncommitted == ("c d.txt", "b.txt", "new.txt")
    assert [one.hash for one in found.commits] == [tip]
    assert (found.unmerged, found.unpushed, found.onto) == (1, 2, "main")
    assert len(found.stashes) == 1 and found.inside == ("clone/",)


def test_what_is_on_a_remote_is_not_lost(field, tmp_path):
    field.prepare()
    field.write("b.txt", "work", where=field.own)
    field.commit("work", where=field.own)
    field.git("init", "-q", "--bare", str(tmp_path / "far"))
    field.git("remote", "add", "far", str(tmp_path / "far"))
    field.git("push", "-q", "far", "hive/t/dev", where=field.own)
    assert not losses(field.plot).any and losses(field.plot).unmerged == 1
    assert field.drop().branch_deleted is False
    assert field.head(name="hive/t/dev")


def test_a_clean_worktree_is_dropped_with_its_teardown_and_branch(field):
    plot = replace(field.plot, setup="true", teardown="echo down >> ../torn")
    field.prepare(plot)
    assert field.drop(plot=plot).branch_deleted
    assert not field.own.exists() and (field.own.parent / "torn").read_text() == "down\n"
    assert [one.branch for one in plots.listed(plot.repo)] == ["main"]
    assert not field.git("branch", "--list", "hive/*")
    assert field.drop(plot=plot).branch_deleted


def test_a_teardown_that_fails_keeps_the_worktree_unless_forced(field):
    plot = replace(field.plot, setup="true", teardown="echo no server; false")
    field.prepare(plot)
    with pytest.raises(HiveError, match="no server"):
        field.drop(plot=plot)
    assert field.own.exists()
    assert "no server" in field.drop(plot=plot, force=True).warnings[0]
    assert not field.own.exists()


def test_nothing_that_would_be_lost_is_dropped_and_a_bundle_brings_all_back(field, tmp_path):
    field.write(".env", "KEY=1")
    field.write("key.local", "KEY=2")
    field.plot = replace(field.plot, copy=(".env", "*.local"))
    field.prepare()
    field.write("b.txt", "work", where=field.own)
    field.git("add", "b.txt", where=field.own)
    field.git("commit", "-q", "-m", "work", where=field.own)
    tip = field.head(field.own)
    field.write("a.txt", "staged\n", where=field.own)
    field.git("add", "a.txt", where=field.own)
    field.write("a.txt", "not staged\n", where=field.own)
    field.write("new file", "new", where=field.own)
    before = field.git("status", "--porcelain", where=field.own)
    with pytest.raises(
        HiveError, match=r"this would be lost: 2 files \(a.txt, new file\) not committed; 1 commit"
    ):
        field.drop()
    kept = bundle(field.plot, tmp_path / "one.bundle")
    assert field.git("status", "--porcelain", where=field.own) == before
    assert field.head(field.own) == tip and not field.git("for-each-ref", "refs/hive")
    done = field.drop(force=True)
    assert not field.own.exists() and not field.git("branch", "--list", "hive/*")
    assert done.branch_deleted and len(done.losses.uncommitted) == 2 and kept.refs
    subprocess.run(done.restore, shell=True, check=True, capture_output=True)
    assert field.head(name="hive/t/dev") == tip
    assert field.git("show", "hive/t/dev-dropped:new file") == "new"
    assert field.git("show", "hive/t/dev-dropped:a.txt") == "not staged\n"
    assert field.git("show", "hive/t/dev-dropped~1:a.txt") == "staged\n"
    kept = field.git("ls-tree", "--name-only", "hive/t/dev-dropped").split("\n")
    assert ".env" not in kept and "key.local" not in kept
    field.git("clone", "-q", "-b", "hive/t/dev", done.bundle, str(tmp_path / "clone"))


def test_a_merge_that_is_not_over_is_kept_too(field):
    field.prepare()
    field.write("a.txt", "agent\n", where=field.own)
    tip = field.commit("agent", where=field.own)
    field.write("a.txt", "person\n")
    field.commit("person")
    with pytest.raises(HiveError):
        field.git("merge", "main", where=field.own)
    assert losses(field.plot).operation == "merge"
    done = field.drop(force=True)
    subprocess.run(done.restore, shell=True, check=True, capture_output=True)
    assert field.head(name="hive/t/dev-dropped~1") == tip
    assert "<<<<<<<" in field.git("show", "hive/t/dev-dropped:a.txt")


def test_nothing_is_deleted_where_the_bundle_cannot_be_kept(field):
    field.prepare()
    field.write("new", "new", where=field.own)
    (field.path / "bundles").write_text("in the way")
    with pytest.raises(HiveError, match="can't keep a bundle"):
        field.drop(force=True)
    assert (field.own / "new").exists() and not field.git("for-each-ref", "refs/hive")


def test_a_worktree_that_a_person_locked_stays(field):
    field.prepare()
    field.git("worktree", "lock", "--reason", "on a stick", str(field.own))
    with pytest.raises(HiveError, match="on a stick"):
        field.drop(force=True)
    subprocess.run(["rm", "-rf", str(field.own)], check=True)
    with pytest.raises(HiveError, match="on a stick"):
        field.prepare()


# merged


def worked(field, name="b.txt", text="work\n"):
    field.prepare()
    field.write(name, text, where=field.own)
    return field.commit(f"agent: {name}", where=field.own)


def test_work_is_merged_into_the_branch_that_is_checked_out(field):
    tip = worked(field)
    field.write("untracked", "mine")
    done = field.merge()
    assert (done.into, done.commit, done.commits, done.files) == ("main", tip, 1, 1)
    assert field.head() == tip and (field.repo / "b.txt").read_text() == "work\n"
    assert field.git("status", "--porcelain") == "?? untracked\n"
    assert field.merge().commits == 0


def test_both_sides_are_merged_and_the_agents_branch_is_brought_up_to_it(field):
    tip = worked(field)
    field.write("c.txt", "person")
    theirs = field.commit("person")
    done = field.merge(check="test -e b.txt && test -e c.txt && test $PORT = 4001")
    assert field.head() == done.commit == field.head(field.own)
    assert field.git("log", "-1", "--format=%P").split() == [theirs, tip]
    assert (field.own / "c.txt").exists() and (field.repo / "b.txt").exists()
    assert done.checked and not losses(field.plot).any
    assert touched(field.plot.path, field.head()) == frozenset()


def test_a_branch_that_is_checked_out_nowhere_is_advanced_without_a_work_tree(field):
    tip = worked(field)
    field.git("branch", "next")
    before = field.head()
    assert field.merge("next").commit == tip == field.head(name="next")
    assert field.head() == before


def test_a_conflict_is_named_with_both_sides_and_nothing_is_changed(field):
    tip = worked(field, "a.txt", "agent\n")
    field.write("a.txt", "person\n")
    theirs = field.commit("person: a.txt")
    with pytest.raises(
        Conflicted, match=r"a\.txt: `main` has .* person: a\.txt, the agent"
    ) as told:
        field.merge()
    (one,) = told.value.clashes
    assert (one.path, one.ours.hash, one.theirs.hash) == ("a.txt", theirs, tip)
    assert (field.head(), field.head(field.own)) == (theirs, tip)
    assert field.git("status", "--porcelain", where=field.own) == ""


def test_what_does_not_pass_its_check_is_not_merged(field):
    worked(field)
    before = field.head()
    with pytest.raises(Unproven, match="exit code 3\nbroken"):
        field.merge(check="echo broken; exit 3")
    assert field.head() == before


@pytest.mark.parametrize(
    ("awkward", "said"),
    [
        ("dirty", r"1 file \(new\) not committed"),
        ("detached", "on no branch"),
        ("person's changes", r"`main` is checked out there, with 1 file \(a\.txt\)"),
        ("itself", "into itself"),
        ("unknown", "no branch `unknown`"),
    ],
)
def test_what_may_not_be_merged_is_said(field, awkward, said):
    worked(field)
    before = field.head()
    if awkward == "dirty":
        field.write("new", "x", where=field.own)
    if awkward == "detached":
        field.git("checkout", "-q", "--detach", where=field.own)
    if awkward == "person's changes":
        field.write("a.txt", "mine")
    into = {"itself": "hive/t/dev", "unknown": "unknown"}.get(awkward, "")
    with pytest.raises((HiveError, WrongInput), match=said):
        field.merge(into)
    assert field.head() == before


def test_a_branch_that_moved_on_during_the_check_is_left_as_it_is(field):
    worked(field)
    field.git("branch", "next")
    other = f"$(git {' '.join(ME)} commit-tree -m x HEAD^{{tree}})"
    check = f"git -C {field.repo} update-ref refs/heads/next {other}"
    with pytest.raises(HiveError, match="moved on"):
        field.merge("next", check=check)


def test_what_another_agent_works_on_is_not_merged_into(field, tmp_path):
    worked(field)
    other = replace(field.plot, path=str(tmp_path / "w" / "qa"), branch="hive/t/qa")
    prepare(other, field.environ(), field.said.append, agent="p/t/qa")
    with pytest.raises(HiveError, match="is the branch of p/t/qa"):
        field.merge("hive/t/qa")
