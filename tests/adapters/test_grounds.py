"""Where agents work that are to have worktrees, in real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hive.adapters.git import GitError
from hive.adapters.grounds import ground, planted
from hive.core.plots import NO_REPOSITORY, OURS, UNBORN, Ground, Wish
from hive.core.spec import Agent
from hive.errors import WrongInput

WHO = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "init.defaultBranch=main")


def git(where: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *WHO, *words],
        cwd=where,
        env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Give a repository with one commit: it has a folder `web`."""
    repo = tmp_path / "repo"
    (repo / "web").mkdir(parents=True)
    (repo / "web" / "a").touch()
    git(repo, "init", "-q")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "first")
    return repo


def agent(folder: Path, name: str = "dev") -> Agent:
    return Agent(
        project="Task", team="web", name=name, role="dev", session="Task-web", window=name,
        argv=("x",), directory=str(folder),
    )  # fmt: skip


def test_a_folder_of_a_repository_is_told_with_what_is_checked_out(repo):
    head = git(repo, "rev-parse", "HEAD")

    assert ground(str(repo)) == Ground(root=str(repo), commit=head)
    assert ground(str(repo / "web")) == Ground(root=str(repo), prefix="web", commit=head)


def test_a_base_is_looked_up_and_may_lack_the_folder(repo):
    git(repo, "switch", "-q", "--orphan", "empty")
    git(repo, "commit", "-q", "--allow-empty", "-m", "nothing")
    empty = git(repo, "rev-parse", "HEAD")
    git(repo, "switch", "-q", "main")

    assert ground(str(repo / "web"), "empty") == Ground(
        root=str(repo), prefix="web", commit=empty, there=False
    )
    assert ground(str(repo), "mian").commit == ""


def test_a_detached_head_is_as_good_as_a_branch(repo):
    git(repo, "switch", "-q", "--detach")

    assert ground(str(repo)).commit == git(repo, "rev-parse", "HEAD")


def test_in_a_linked_worktree_it_is_that_one(repo, tmp_path):
    git(repo, "worktree", "add", "-q", "-b", "side", "../side")
    git(tmp_path / "side", "commit", "-q", "--allow-empty", "-m", "more")

    found = ground(str(tmp_path / "side" / "web"))

    assert (found.root, found.prefix) == (str(tmp_path / "side"), "web")
    assert found.commit == git(repo, "rev-parse", "side") != git(repo, "rev-parse", "main")


def test_through_a_link_it_is_the_repository_itself(repo, tmp_path):
    (tmp_path / "link").symlink_to(repo)

    assert ground(str(tmp_path / "link" / "web")).root == str(repo)


def test_what_is_no_work_tree_has_none(repo, tmp_path):
    (tmp_path / "plain").mkdir()
    git(tmp_path, "init", "-q", "--bare", "bare")
    git(tmp_path, "init", "-q", "unborn")

    for name in ("plain", "bare", "repo/.git"):
        assert ground(str(tmp_path / name)) == Ground(lacks=NO_REPOSITORY), name
    assert ground(str(tmp_path / "unborn")) == Ground(root=str(tmp_path / "unborn"))


def test_a_broken_repository_is_no_reason_to_work_elsewhere(repo, tmp_path):
    git(repo, "worktree", "add", "-q", "-b", "side", "../side")
    (repo / ".git" / "worktrees" / "side" / "HEAD").unlink()

    with pytest.raises(GitError):
        ground(str(tmp_path / "side"))


def test_agents_are_planted_and_those_that_can_not_be_are_told(repo, tmp_path):
    state = tmp_path / "state"
    unborn = tmp_path / "unborn"
    ours = state / "worktrees" / "Task" / "web" / "other"
    git(tmp_path, "init", "-q", "unborn")
    git(repo, "worktree", "add", "-q", "-b", "hive/web/other", str(ours))
    agents = [
        agent(repo / "web"),
        agent(tmp_path, "plain"),
        agent(unborn, "early"),
        agent(ours, "inside"),
        agent(repo, "without"),
    ]
    wishes = {one.id: Wish(setup="make") for one in agents[:-1]}

    found, lacking = planted(agents, wishes, str(state))

    path = f"{state}/worktrees/Task/web/dev"
    assert found[0].plot is not None
    assert (found[0].plot.repo, found[0].plot.path) == (str(repo), path)
    assert (found[0].plot.setup, found[0].directory) == ("make", f"{path}/web")
    assert found[1:] == tuple(agents[1:])
    assert lacking == {
        "Task/web/plain": NO_REPOSITORY,
        "Task/web/early": UNBORN,
        "Task/web/inside": OURS,
    }
    assert not Path(path).exists()


def test_a_base_that_is_not_there_is_refused(repo, tmp_path):
    with pytest.raises(WrongInput, match="`base` names `mian`"):
        planted([agent(repo)], {"Task/web/dev": Wish(base="mian")}, str(tmp_path / "state"))
