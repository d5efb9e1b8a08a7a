"""What hive teaches an agent: a template, filled."""

from __future__ import annotations

import re

import pytest

from hive.adapters import files
from hive.cli import phrases
from hive.core.prelude import Facts, Mate, render
from hive.errors import WrongInput

MATES = tuple(Mate(name=f"web/dev-{number}", role="dev") for number in range(1, 15))
FACTS = Facts(
    agent="web/pm", role="planner", team="web", project="Task", hive="/opt/hive", mates=MATES
)
ALONE = Facts(agent="web/pm", role="planner", team="web", project="Task", hive="/opt/hive")
OURS = files.message("prelude")


def test_ours_has_at_most_25_lines():
    assert len(OURS.splitlines()) <= 25


@pytest.mark.parametrize(
    "said",
    [
        "`web/pm`, planner of the team `web` in the project `Task`",
        "`web/dev-1` (dev), `web/dev-2` (dev),",
        "`web/dev-12` (dev) and 2 more.",
        *(f"/opt/hive task {verb}" for verb in ("next", "show", "progress", "done", "fail")),
        '/opt/hive ask "QUESTION"',
        '/opt/hive send AGENT "TEXT"',
        "/opt/hive report working|blocked|done",
        "`[hive m-N]`",
        "task done t-N --result",
        "Never sleep",
        "next_task, show_task, task_done, task_fail, progress, split_task, ask_human, send, lock",
    ],
)
def test_ours_tells_an_agent_all_that_it_has_to_know(said):
    assert said in render(OURS, FACTS)


def test_ours_names_only_options_that_there_are():
    assert set(re.findall(r"--[a-z-]+", OURS)) == {"--result", "--why", "--confidence"}
    assert {"--result", "--why", "--confidence"} <= set(phrases.OPTIONS["task"])


def test_ours_speaks_of_no_teammates_where_there_are_none():
    assert "teammates" not in render(OURS, ALONE)
    assert "\n\n\n" not in render(OURS, ALONE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("{{ agent }}, {{ team }}", "web/pm, web", id="names"),
        pytest.param("{{ mates | length }}", "14", id="a filter"),
        pytest.param("{% set x = 1 %}{{ x }}", "1", id="a name of its own"),
        pytest.param("<b> & {{ '<' }}", "<b> & <", id="no HTML"),
        pytest.param("\n a\n", "a", id="nothing around it"),
    ],
)
def test_a_template_is_filled(text, told):
    assert render(text, FACTS) == told


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        pytest.param("a\n{{ agnet }}", "f:2", "`agnet` is nothing that", id="an unknown name"),
        pytest.param("{{ agnet }}", "f:1", "did you mean `agent`?", id="a near miss"),
        pytest.param("{% if false %}\n{{ x }}{% endif %}", "f:2", "`x` is", id="not even reached"),
        pytest.param("\n{% if %}", "f:2", "expected an expression", id="no template"),
        pytest.param("\n\n{{ mates[0].nme }}", "f:3", "has no attribute `nme`", id="no such part"),
        pytest.param("{{ 1 / 0 }}", "f:1", "division by zero", id="a sum that can't be"),
        pytest.param("\n{{ agent() }}", "f:2", "not callable", id="a call of what is none"),
        pytest.param("{{ agent | nope }}", "f:1", "no filter named `nope`", id="no such filter"),
        pytest.param(
            "{{ agent.__class__.mro }}", "f:1", "is unsafe", id="a way out of the sandbox"
        ),
        pytest.param("\n{% include 'x' %}", "f:2", "no loader", id="another file"),
        pytest.param(
            "{% for i in range(10 ** 9) %}{% endfor %}", "f:1", "range too big", id="endless"
        ),
    ],
)
def test_a_mistake_in_a_template_is_told_with_its_line(text, where, what):
    with pytest.raises(WrongInput) as caught:
        render(text, FACTS, "f")

    assert caught.value.where == where
    assert what in caught.value.what
    assert "agent, role, team, project, hive, mates" in caught.value.fix
