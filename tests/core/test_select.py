"""Which agents a person means by a word."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive.core.select import select
from hive.errors import WrongInput

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
IDS = (
    "Task/frontend/pm",
    "Task/frontend/dev-1",
    "Task/frontend/dev-2",
    "Task/frontend/dev-tools",
    "Task/backend/dev",
    "Task/backend/dev-9",
)
SHOP = ("Shop/frontend/pm", "Shop/web/pm")
BOTH = (*IDS, *SHOP)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param("frontend/pm", [0], id="an agent as people say it"),
        pytest.param("Task/frontend/pm", [0], id="an agent by its whole name"),
        pytest.param("frontend", [0, 1, 2, 3], id="a team"),
        pytest.param("Task/frontend", [0, 1, 2, 3], id="a team with its project"),
        pytest.param("frontend/", [0, 1, 2, 3], id="a team with a slash too many"),
        pytest.param("Task", [0, 1, 2, 3, 4, 5], id="a project"),
        pytest.param("frontend/dev", [1, 2], id="a pool is its members, not what sounds alike"),
        pytest.param("Task/frontend/dev", [1, 2], id="a pool with its project"),
        pytest.param("backend/dev", [4], id="an agent of that name wins over a pool"),
        pytest.param("frontend/*", [0, 1, 2, 3], id="a pattern"),
        pytest.param("*/dev-?", [1, 2, 5], id="a pattern over teams"),
        pytest.param("front*", [0, 1, 2, 3], id="a pattern for teams"),
        pytest.param("*", [0, 1, 2, 3, 4, 5], id="everything"),
    ],
)
def test_one_word(word, expected):
    assert select([word], IDS) == tuple(IDS[place] for place in expected)


def test_no_words_mean_all():
    assert select([], IDS) == IDS
    assert select([], ()) == ()


def test_several_words_add_up_without_repeating():
    assert select(["backend", "frontend/pm", "*/pm"], IDS) == (IDS[0], IDS[4], IDS[5])


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        pytest.param("fronted", "frontend", id="a team"),
        pytest.param("frontend/pn", "frontend/pm", id="an agent"),
        pytest.param("tasc", "Task", id="a project, its case too"),
    ],
)
def test_a_slip_of_the_hand_is_answered_with_what_was_meant(word, meant):
    with pytest.raises(WrongInput) as caught:
        select([word], IDS)

    assert caught.value.what == f"there is no agent or team `{word}`; did you mean `{meant}`?"
    assert "hive status" in caught.value.fix


@pytest.mark.parametrize(
    ("word", "ids", "project", "offered"),
    [
        pytest.param("pm", IDS, None, "`frontend/pm`", id="one agent"),
        pytest.param("dev", IDS, None, "`frontend/dev` or `backend/dev`", id="a pool and an agent"),
        pytest.param("Dev-9", IDS, None, "`backend/dev-9`", id="its case too"),
        pytest.param(
            "pm",
            BOTH,
            None,
            "`Task/frontend/pm`, `Shop/frontend/pm` or `Shop/web/pm`",
            id="of several projects by their whole names",
        ),
        pytest.param("pm", BOTH, "Shop", "`frontend/pm` or `web/pm`", id="where the person is"),
        pytest.param("dev-1", BOTH, "Shop", "`frontend/dev-1`", id="or only another one has it"),
        pytest.param(
            "x",
            [f"Task/t{number}/x" for number in range(9)],
            None,
            "`t0/x`, `t1/x`, `t2/x` or `t3/x`",
            id="of many a few",
        ),
    ],
)
def test_the_last_part_of_a_name_is_answered_with_the_agents_that_have_it(
    word, ids, project, offered
):
    with pytest.raises(WrongInput) as caught:
        select([word], ids, project=project)

    assert caught.value.what == f"there is no agent or team `{word}`; did you mean {offered}?"


def test_what_is_offered_for_the_last_part_of_a_name_can_be_said():
    with pytest.raises(WrongInput) as caught:
        select(["dev"], IDS)

    offered = caught.value.what.split("`")[3::2]
    assert select(offered, IDS) == (IDS[1], IDS[2], IDS[4])


@pytest.mark.parametrize("word", ["", "/", "zzz", "frontend/zzz/zzz", "z*"])
def test_a_word_that_means_nothing_is_refused(word):
    with pytest.raises(WrongInput, match="there is no agent or team"):
        select([word], IDS)


def test_where_nothing_is_deployed_the_way_out_is_a_deploy():
    with pytest.raises(WrongInput) as caught:
        select(["frontend"], ())

    assert caught.value.fix == "hive deploy"


@pytest.mark.parametrize("word", ["frontend", "frontend/pm", "frontend/*"])
def test_a_short_name_in_two_projects_is_not_guessed(word):
    with pytest.raises(WrongInput) as caught:
        select([word], BOTH)

    assert caught.value.what == f"`{word}` is in 2 projects: `Shop`, `Task`"
    assert caught.value.fix == f"name one: Shop/{word}"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param("frontend", ["Shop/frontend/pm"], id="where the person is"),
        pytest.param("Task/frontend/pm", ["Task/frontend/pm"], id="unless the project is named"),
        pytest.param("backend/dev", ["Task/backend/dev"], id="or only another one has it"),
    ],
)
def test_the_project_where_the_person_is_comes_first(word, expected):
    assert list(select([word], BOTH, project="Shop")) == expected


@CALM
@given(st.lists(st.sampled_from(BOTH), unique=True))
def test_every_agent_can_be_named_by_its_id(ids):
    for name in ids:
        assert select([name], ids) == (name,)
