"""Where an agent works that is to have a worktree, and why some have none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core.plots import (
    NO_REPOSITORY,
    OURS,
    UNBORN,
    Ground,
    Wish,
    is_ours,
    plotted,
    told,
)
from hive.core.rhythm import Plot, Rhythm
from hive.core.spec import Agent
from hive.errors import WrongInput

STATE = "/home/ann/.hive"
AGENT = Agent(
    project="Task", team="web", name="dev", role="dev", session="Task-web", window="Web-Dev",
    argv=("x",), directory="/src/shop/web", rhythm=Rhythm(push="origin"),
)  # fmt: skip
GROUND = Ground(root="/src/shop", prefix="web", commit="c0ffee")
PATH = f"{STATE}/worktrees/Task/web/dev"


def test_an_agent_works_where_its_folder_is_in_a_worktree_of_its_own():
    wish = Wish(base="main", copy=(".env",), setup="a", teardown="b", ports=("P",), names=("N",))
    found, why = plotted(AGENT, wish, GROUND, STATE)

    assert why == ""
    assert found == replace(
        AGENT,
        directory=f"{PATH}/web",
        plot=Plot(
            repo="/src/shop",
            path=PATH,
            branch="hive/web/dev",
            base="main",
            copy=(".env",),
            setup="a",
            teardown="b",
            ports=("P",),
            names=("N",),
        ),
    )


def test_at_the_top_of_a_repository_it_works_at_the_top_of_its_worktree():
    found, _ = plotted(AGENT, Wish(), replace(GROUND, prefix=""), STATE)

    assert found.directory == PATH


@pytest.mark.parametrize(
    ("ground", "why"),
    [
        pytest.param(Ground(lacks=NO_REPOSITORY), NO_REPOSITORY, id="no repository"),
        pytest.param(Ground(root="/src/shop"), UNBORN, id="no commit"),
        pytest.param(replace(GROUND, root=f"{STATE}/worktrees/Task/web/pm"), OURS, id="ours"),
        pytest.param(
            replace(GROUND, there=False), "git has no `web` in the last commit", id="not in git"
        ),
    ],
)
def test_what_can_not_have_a_worktree_stays_where_it_is_and_is_pushed_nowhere(ground, why):
    found, said = plotted(AGENT, Wish(), ground, STATE)

    assert said == why
    assert found == replace(AGENT, rhythm=Rhythm())


def test_a_base_that_is_not_there_is_a_mistake_and_no_reason_to_work_elsewhere():
    with pytest.raises(WrongInput) as caught:
        plotted(AGENT, Wish(base="mian"), replace(GROUND, commit="", there=False), STATE)

    assert "`base` names `mian`, which is no commit of /src/shop" in str(caught.value)


def test_a_state_directory_with_a_similar_name_is_another():
    assert is_ours(f"{STATE}/worktrees/a", STATE)
    assert not is_ours(f"{STATE}/worktrees", STATE)
    assert not is_ours(f"{STATE}-2/worktrees/a", STATE)


def test_who_has_no_worktree_is_told_by_the_reason():
    lacking = {"p/web/dev": UNBORN, "p/web/pm": UNBORN, "p/db/one": NO_REPOSITORY}

    assert told(lacking) == [
        "web/dev, web/pm have no worktree: its repository has no commit yet",
        "db/one has no worktree: its folder is in no work tree of git",
    ]
    assert told({}) == []
