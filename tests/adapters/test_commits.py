from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from hive.adapters import commits, procs
from hive.adapters.commits import Saved, mend, push, samples, save
from hive.adapters.git import GitError, look
from hive.core.checkpoint import chosen
from tests import repositories
from tests.conftest import eventually
from tests.repositories import NAMES, SHAPES, Repository

AUTHOR = "frontend/dev-1 <hive@localhost>"
MESSAGE = "checkpoint: t-1 Fix it\n\n# not a comment\n\nCheckpoint-By: hive\n"


def saved(made: Repository, *paths: str, **more) -> Saved | None:
    """Save these paths, or all that hive would."""
    return save(str(made.path), paths or _chosen(made).paths, MESSAGE, AUTHOR, **more)


def _chosen(made: Repository):
    tree = look(str(made.path))
    assert tree
    return chosen(tree.changed, samples(str(made.path), tree.changed))


def files(made: Repository, revision: str = "HEAD") -> list[str]:
    return made.git("ls-tree", "-r", "-z", "--name-only", revision).split("\0")[:-1]


def leftovers(made: Repository) -> list[str]:
    folder = Path(made.git("rev-parse", "--absolute-git-dir"))
    names = [one.name for one in folder.iterdir()]
    return [one for one in names if "hive" in one or one.endswith(".lock")]


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_it_commits_the_work_tree_as_it_is(tmp_path):
    made = repositories.dirty(tmp_path / "r")

    done = saved(made)

    assert done == Saved(hash=made.head(), subject="checkpoint: t-1 Fix it", files=7)
    assert made.status() == leftovers(made) == []
    assert made.git("log", "-1", "--format=%an <%ae>|%cn|%B|%P") == (
        f"{AUTHOR}|Ada|{MESSAGE}|{made.head('HEAD~1')}"
    )
    assert files(made) == [
        "a.txt",
        "deep/er/new.txt",
        "new.txt",
        "src/d.txt",
        "staged.txt",
    ]
    assert saved(made, "a.txt", "new.txt") is None


@pytest.mark.parametrize("shape", ["names", "symlinks", "linked", "ignored", "shallow", "sparse"])
def test_it_commits_in_awkward_repositories(shape, tmp_path):
    made = SHAPES[shape](tmp_path / "r")
    made.write("src/more.txt")
    before = set(files(made))
    new = {one[3:] for one in made.status()}

    done = saved(made)

    assert done and done.files == len(new)
    assert made.status() == leftovers(made) == []
    assert set(files(made)) == before | new
    assert shape != "names" or set(NAMES) <= new


def test_a_change_of_the_same_size_at_the_same_moment_is_seen(tmp_path):
    made = repositories.plain(tmp_path / "r")
    made.git("config", "core.trustctime", "false")
    moment = (time.time() - 60,) * 2
    os.utime(made.write("a.txt", "1\n"), moment)
    made.commit()
    os.utime(made.write("a.txt", "2\n"), moment)
    os.utime(made.path / ".git/index", moment)

    saved(made, "a.txt")

    assert made.git("show", "HEAD:a.txt") == "2"


def test_an_author_may_be_a_name_alone(tmp_path):
    made = repositories.dirty(tmp_path / "r")

    save(str(made.path), ["a.txt"], MESSAGE, "front/dev")

    assert made.git("log", "-1", "--format=%an <%ae>") == "front/dev <hive@localhost>"


def test_the_first_commit_of_all(tmp_path):
    made = repositories.unborn(tmp_path / "r")
    made.write("a.txt")
    made.write("b.txt")

    done = saved(made, "a.txt")

    assert done and done.files == 1
    assert (files(made), made.status()) == (["a.txt"], ["?? b.txt"])


def test_what_is_refused_stays_staged_and_out_of_the_commit(tmp_path):
    made = repositories.plain(tmp_path / "r")
    made.write(".env", "TOKEN=1\n")
    made.write("b.txt", "staged\n")
    made.git("add", "--all")
    made.write("a.txt", "changed\n")
    made.write("b.txt", "staged, and changed again\n")

    done = saved(made, "a.txt")

    assert done and done.files == 1
    assert made.status() == ["A  .env", "MM b.txt"]
    assert made.git("show", "HEAD:b.txt") == "b"
    assert [one.path for one in _chosen(made).files] == ["b.txt"]


def test_a_file_became_a_folder_and_a_folder_a_file(tmp_path):
    made = repositories.plain(tmp_path / "r")
    (made.path / "a.txt").unlink()
    made.write("a.txt/deep")
    shutil.rmtree(made.path / "src")
    made.write("src")

    saved(made)

    assert (files(made), made.status()) == (["a.txt/deep", "b.txt", "src"], [])


def test_what_vanished_since_the_look_is_no_error(tmp_path):
    made = repositories.dirty(tmp_path / "r")

    done = saved(made, "a.txt", "never.txt", "staged.txt")
    (made.path / "staged.txt").unlink()
    again = saved(made, "staged.txt")

    assert done and again and (done.files, again.files) == (2, 1)


def test_a_hook_that_refuses_leaves_all_as_it_was(tmp_path):
    made = SHAPES["refusing"](tmp_path / "r")
    before, head, index = made.status(), made.head(), (made.path / ".git/index").read_bytes()

    with pytest.raises(GitError, match="refused the commit: the linter found 3 mistakes"):
        saved(made)

    assert (made.status(), made.head(), leftovers(made)) == (before, head, [])
    assert (made.path / ".git/index").read_bytes() == index


def test_a_hook_may_change_and_add_files(tmp_path):
    made = SHAPES["changing"](tmp_path / "r")

    saved(made)

    assert (made.git("show", "HEAD:a.txt"), made.status()) == ("tidied", [])


def test_hooks_see_the_environment_they_are_given(tmp_path):
    made = repositories.dirty(tmp_path / "r")
    made.hook("commit-msg", 'echo "Told: $WORD" >>"$1"')

    saved(made, env={"WORD": "hello"})

    assert made.git("log", "-1", "--format=%B").splitlines()[-1] == "Told: hello"


def test_where_nobody_is_configured_the_agent_commits(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    made = SHAPES["unidentified"](tmp_path / "r")

    saved(made)

    assert made.git("log", "-1", "--format=%an <%ae>|%cn <%ce>") == f"{AUTHOR}|{AUTHOR}"


@pytest.mark.parametrize("shape", ["merging", "rebasing", "picking", "reverting", "applying"])
def test_nothing_is_committed_in_the_middle_of_something(shape, tmp_path):
    made = SHAPES[shape](tmp_path / "r")
    made.write("new.txt")
    head = made.head()

    with pytest.raises(GitError, match="in the middle of a"):
        saved(made, "new.txt")

    assert (made.head(), leftovers(made)) == (head, [])


def test_an_index_that_another_git_holds_is_left_alone(tmp_path):
    made = repositories.dirty(tmp_path / "r")
    lock = made.path / ".git/index.lock"
    lock.touch()
    head = made.head()

    with pytest.raises(GitError, match=r"it holds `index.lock`") as caught:
        saved(made)

    assert (made.head(), leftovers(made)) == (head, ["index.lock"])
    assert str(lock) in caught.value.fix


def test_an_index_held_after_the_commit_is_brought_up_to_date_later(tmp_path, monkeypatch):
    monkeypatch.setattr(commits, "LOCKED", 0.1)
    made = repositories.dirty(tmp_path / "r")
    made.write(".env", "TOKEN=1\n")
    made.git("add", "--force", ".env")
    lock = made.path / ".git/index.lock"
    made.hook("post-commit", f"touch {lock}")

    done = saved(made, "a.txt", "new.txt")
    assert done and done.hash == made.head()
    assert "MM a.txt" in made.status()
    assert not mend(str(made.path))
    lock.unlink()

    assert mend(str(made.path)) and not mend(str(made.path))
    assert made.status()[0] == "A  .env" and "a.txt" not in str(made.status())
    assert leftovers(made) == []


def test_the_lock_of_a_dead_hive_is_known_as_its_own(tmp_path):
    made = repositories.dirty(tmp_path / "r")
    own = made.path / f".git/hive-next-{dead_pid()}"
    shutil.copyfile(made.path / ".git/index", own)
    (made.path / ".git/index.lock").hardlink_to(own)

    assert saved(made)

    assert made.status() == leftovers(made) == []


@pytest.mark.parametrize("lock", ["worktrees/r/HEAD.lock", "refs/heads/work.lock"])
def test_the_lock_on_a_branch_of_a_git_that_was_killed_is_removed_in_time(lock, tmp_path):
    made = SHAPES["linked"](tmp_path / "r")
    made.write("a.txt", "changed\n")
    held = tmp_path / "r.main/.git" / lock
    held.touch()
    _grow_old(made)
    with pytest.raises(GitError, match="cannot lock ref"):
        saved(made)  # no hive died here: it is nobody's to remove
    left = tmp_path / f"r.main/.git/worktrees/r/hive-index-{dead_pid()}"
    left.touch()
    held.touch()
    with pytest.raises(GitError, match="cannot lock ref"):
        saved(made)  # that git may still be at work
    assert left.exists()
    _grow_old(made)

    assert saved(made)

    assert made.status() == leftovers(made) == [] and not held.exists()


def test_what_another_hive_that_runs_is_doing_is_left_alone(tmp_path):
    made = repositories.dirty(tmp_path / "r")
    with subprocess.Popen(["sleep", "60"]) as process:
        (made.path / f".git/hive-stage-{process.pid}").touch()
        (made.path / ".git/hive-index-of-mine").touch()

        done = mend(str(made.path))
        process.kill()

    assert not done
    assert len(leftovers(made)) == 2


def test_killed_at_any_instant_nothing_is_lost_and_the_next_one_works(tmp_path):
    made = SHAPES["linked"](tmp_path / "r")
    made.hook("pre-commit", "git diff --cached --quiet && exit 1; exit 0")
    chance, where = random.Random(7), str(made.path)
    made.write(".env", "TOKEN=1\n")
    made.git("add", "--force", ".env")
    made.write("a.txt", "warm up\n")
    began = time.monotonic()
    assert save(where, ["a.txt"], MESSAGE, AUTHOR)
    usual = time.monotonic() - began

    for turn in range(12):
        wrote = {"a.txt": f"a {turn}\n", f"new-{turn}.txt": f"new {turn}\n", "b.txt": f"{turn}\n"}
        for name, text in wrote.items():
            made.write(name, text)
        _kill(_forked(where, [*wrote]), after=usual * (turn + chance.random()) / 12)
        assert {name: made.read(name) for name in wrote} == wrote
        _grow_old(made)

        save(where, [*wrote], MESSAGE, AUTHOR)

        assert {name: f"{made.git('show', f'HEAD:{name}')}\n" for name in wrote} == wrote
        assert (made.status(), leftovers(made)) == (["A  .env"], [])
    assert made.git("log", "--merges") == "" and made.git("fsck", "--no-dangling") == ""


def test_a_git_that_a_killed_hive_left_in_a_hook_commits_nothing_any_more(tmp_path):
    made = SHAPES["linked"](tmp_path / "r")
    made.hook("pre-commit", f"touch {tmp_path}/began; test -e {tmp_path}/go || sleep 30")
    made.write("a.txt", "mine\n")
    first, before = _forked(str(made.path), ["a.txt"]), made.head()
    eventually((tmp_path / "began").exists)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    left = {f"{made.git('rev-parse', '--absolute-git-dir')}/{one}" for one in leftovers(made)}
    assert procs.bearing("GIT_INDEX_FILE", left)

    assert mend(str(made.path)) and not procs.bearing("GIT_INDEX_FILE", left)
    (tmp_path / "go").touch()
    assert (made.head(), made.status(), leftovers(made)) == (before, [" M a.txt"], [])
    assert save(str(made.path), ["a.txt"], MESSAGE, AUTHOR)
    assert made.git("show", "--format=", "--name-only") == "a.txt"


def _forked(where: str, paths: list[str]) -> int:
    pid = os.fork()
    if pid == 0:  # the tests must not go on in here, whatever happens
        try:
            save(where, paths, MESSAGE, AUTHOR)
        finally:
            os._exit(0)
    return pid


def _kill(pid: int, *, after: float) -> None:
    """Kill a process and all it started, wherever they are by then."""
    time.sleep(after)
    process = psutil.Process(pid)
    process.send_signal(signal.SIGSTOP)
    for one in [*process.children(recursive=True), process]:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            assert one is not process
    os.waitpid(pid, 0)


def _grow_old(made: Repository) -> None:
    """Let a minute go by for the locks of a git that was killed."""
    common = Path(made.git("rev-parse", "--path-format=absolute", "--git-common-dir"))
    for lock in common.rglob("*.lock"):
        os.utime(lock, (time.time() - 60,) * 2)


def test_only_its_branch_is_pushed_and_never_by_force(tmp_path):
    remote = repositories.bare(tmp_path / "remote")
    made = repositories.linked(tmp_path / "r")
    where = str(made.path)
    made.git("tag", "-a", "v1", "-m", "a tag")
    made.git("config", "push.followTags", "true")
    made.git("remote", "add", "up", str(remote.path))
    push(where, "up", "work")
    assert remote.git("for-each-ref", "--format=%(refname)") == "refs/heads/work"
    theirs = made.commit("theirs")
    push(where, "up", "work")
    made.git("reset", "-q", "--hard", "HEAD~1")
    made.commit("another way", {"a.txt": "other\n"})

    with pytest.raises(GitError, match="`up` has commits on `work` that are not here"):
        push(where, "up", "work")

    assert remote.head("work") == theirs


@pytest.mark.parametrize("remote", ["no-such", "--mirror", "/no/such"])
def test_a_remote_that_is_not_there_is_an_error(remote, tmp_path):
    with pytest.raises(GitError, match="git push"):
        push(str(repositories.plain(tmp_path / "r").path), remote, "main")


def test_samples_are_the_beginnings_of_plain_files(tmp_path):
    made = repositories.symlinks(tmp_path / "r")
    made.write("long.txt", "0123456789")
    made.write("empty.txt", "")
    made.write("latin-\udce9", "x")
    os.truncate(made.write("huge.bin"), 20_000_000)
    tree = look(str(made.path))
    assert tree
    made.write("gone.txt").unlink()

    found = samples(str(made.path), tree.changed, 4)

    assert found == {"long.txt": b"0123", "latin-\udce9": b"x"}
