"""Safe names, and names made from others."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core import names

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", ["Task", "a", "9", "_x", "dev-1", "A_b-C", "x" * 64])
def test_a_safe_name_stays_as_it_is(name):
    assert names.safe(name) == name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("a.b", "only letters", id="a dot means a pane to tmux"),
        pytest.param("a:b", "only letters", id="a colon means a window to tmux"),
        pytest.param("a b", "only letters", id="a space"),
        pytest.param("a/b", "only letters", id="a slash parts team and agent"),
        pytest.param("-a", "not begin with", id="it would read as an option"),
        pytest.param("a\n", "only letters", id="a newline at the end"),
        pytest.param("é", "only letters", id="a letter that some locales lack"),
        pytest.param("x" * 65, "at most 64", id="too long"),
    ],
)
def test_an_unsafe_name_is_refused(name, told):
    with pytest.raises(ValueError, match=told):
        names.safe(name)


@pytest.mark.parametrize(
    ("team", "agent", "window"),
    [
        ("frontend", "pm", "Frontend-PM"),
        ("frontend", "dev", "Frontend-Dev"),
        ("frontend", "server", "Frontend-Server"),
        ("frontend", "qa2", "Frontend-QA2"),
        ("frontend", "dev-2", "Frontend-Dev-2"),
        ("ui", "go", "UI-GO"),
        ("web", "code-review", "Web-Code-Review"),
        ("web", "code-qa", "Web-Code-QA"),
        ("web", "my-app", "Web-My-App"),
        ("web", "iOS", "Web-IOS"),
        ("data_base", "db", "Data_base-DB"),
        ("1", "2", "1-2"),
        ("a-", "b--c", "A--B--C"),
    ],
)
def test_a_window_is_named_after_team_and_agent(team, agent, window):
    assert names.window(team, agent) == window


@pytest.mark.parametrize(
    ("key", "role"),
    [("dev", "dev"), ("dev2", "dev"), ("dev-12", "dev"), ("7", "7"), ("k8s", "k8s")],
)
def test_a_role_is_the_key_without_final_digits(key, role):
    assert names.role(key) == role


def test_a_session_is_project_and_team():
    assert names.session("Task", "frontend") == "Task-frontend"


def test_members_of_a_pool_are_counted_from_one():
    assert names.member("dev", 1) == "dev-1"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("comand", "; did you mean `command`?"),
        ("COMMAND", "; did you mean `command`?"),
        ("xyz", ""),
    ],
)
def test_a_near_miss_is_told(word, told):
    assert names.did_you_mean(word, ["command", "count"]) == told


SAFE = some.from_regex(names.PATTERN.replace("$", r"\Z"))


@CALM
@given(SAFE, SAFE)
def test_a_window_of_safe_names_is_safe_but_for_its_length(team, agent):
    window = names.window(team[:30], agent[:30])

    assert names.safe(window) == window
    assert window.lower() == f"{team[:30]}-{agent[:30]}".lower()
