"""Templates and conditions: what they name, and what they become."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core import conditions
from hive.core.conditions import context, holds, names, render, templated, unquoted
from hive.core.tasks import Job, State, Task
from hive.errors import WrongInput

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def over(key: str, **more: object) -> Task:
    fields = {"state": State.DONE, "outcome": "done", "result": f"{key} did", "number": 7}
    return Task(uid=key, key=key, **(fields | {"job": Job(text="x")} | more))


KNOWN = context(
    [
        over("build.api", confidence=0.75, agent="p/web/dev-1", notes=("half", "all")),
        over("build.ui", state=State.DEAD, outcome="failed", result="", why="it broke"),
        over("plan"),
    ],
    {"version": "1.2", "env": "prod"},
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("nothing at all {", set(), id="no template"),
        pytest.param("{{ version }}", {"version"}, id="a parameter"),
        pytest.param(
            "{{ build.api.result }} {{build.ui.why}}",
            {"build.api.result", "build.ui.why"},
            id="two",
        ),
        pytest.param("{{ a.b.result.split() }}", {"a.b.result.split"}, id="a method"),
        pytest.param("{{ a['b'].result }}", {"a.b.result"}, id="by key"),
        pytest.param("{{ a.result | upper | quote }}", {"a.result"}, id="filters"),
        pytest.param("{% if x %}{{ y }}{% endif %}", {"x", "y"}, id="a branch"),
        pytest.param("{% for one in a.notes %}{{ one }}{% endfor %}", {"a.notes"}, id="a loop"),
        pytest.param("{% set n = v %}{{ n }}", {"v"}, id="a name of its own"),
        pytest.param("{% raw %}{{ x }}{% endraw %}{# {{ y }} #}", set(), id="text and comments"),
        pytest.param("{{ true }} {{ none }}", set(), id="constants"),
        pytest.param("{{ range(3) }}", {"range"}, id="nothing is there unasked"),
    ],
)
def test_the_names_of_a_template(text, found):
    assert names(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("build.api.outcome == 'done'", {"build.api.outcome"}, id="equal"),
        pytest.param("a.confidence > 0.8 and not b.result", {"a.confidence", "b.result"}, id="and"),
        pytest.param("'x' in a.result or env == 'prod'", {"a.result", "env"}, id="in"),
        pytest.param("true", set(), id="constant"),
    ],
)
def test_the_names_of_a_condition(text, found):
    assert names(text, expression=True) == found


@pytest.mark.parametrize(
    ("text", "expression", "message"),
    [
        pytest.param("{{ a", False, "this is no template: unexpected end of template", id="open"),
        pytest.param("a\n{% if %}", False, "(in its line 2)", id="a line"),
        pytest.param("{% include 'x' %}", False, "can't take in others", id="another template"),
        pytest.param("a ==", True, "this is no condition: ", id="half"),
        pytest.param("a }} {{ b", True, "this is no condition: ", id="more than one"),
        pytest.param("", True, "this is no condition: ", id="nothing"),
    ],
)
def test_what_can_not_be_read(text, expression, message):
    with pytest.raises(WrongInput) as caught:
        names(text, expression=expression)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("echo {{ a.result }}", {"a.result"}, id="as it is"),
        pytest.param("echo {{ a.result | quote }}", set(), id="quoted"),
        pytest.param("echo {{ a.result | quote | upper }}", {"a.result"}, id="quoted too early"),
        pytest.param("{% if a.outcome %}x{% endif %}", set(), id="only asked"),
        pytest.param("{{ 'x' if b else a.result }}", {"a.result", "b"}, id="somewhere in it"),
    ],
)
def test_what_a_template_writes_without_quotes(text, found):
    assert unquoted(text) == found


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        pytest.param("v{{ version }}\n", "v1.2", id="a parameter"),
        pytest.param("{{ build.api.result }}", "build.api did", id="a result"),
        pytest.param("{{ build.api.notes }}", "half\nall", id="notes"),
        pytest.param("{{ build.api.agent }}", "web/dev-1", id="an agent as people say it"),
        pytest.param("{{ build.api.confidence }}", "0.75", id="a number"),
        pytest.param("{{ build.ui.why }}", "it broke", id="why"),
        pytest.param("{{ plan.task }}", "t-7", id="a task of no phase"),
        pytest.param("{{ plan.result | quote }}", "'plan did'", id="for a shell"),
        pytest.param("{{ plan.result | upper }}", "PLAN DID", id="a filter"),
        pytest.param("{% if env == 'prod' %}\nyes\n{% endif %}\n", "yes\n", id="a branch"),
    ],
)
def test_a_template_is_filled(text, filled):
    assert render(text, KNOWN) == filled


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{{ nobody }}", id="an unknown name"),
        pytest.param("{{ build.nobody.result }}", id="an unknown task"),
        pytest.param("{{ build.api.colour }}", id="an unknown attribute"),
        pytest.param("{{ build.api.__class__ }}", id="what Python has"),
        pytest.param("{{ version.__class__.__mro__ }}", id="what a text has"),
        pytest.param("{{ 1 / 0 }}", id="arithmetic"),
    ],
)
def test_what_can_not_be_filled_is_an_error(text):
    with pytest.raises(WrongInput, match="the template can't be filled"):
        render(text, KNOWN)


@pytest.mark.parametrize(
    ("text", "true"),
    [
        pytest.param("build.api.outcome == 'done'", True, id="it is"),
        pytest.param("build.ui.outcome == 'done'", False, id="it is not"),
        pytest.param("build.api.confidence >= 0.8", False, id="less sure"),
        pytest.param("plan.confidence >= 0.8", True, id="who says nothing is sure"),
        pytest.param("build.ui.confidence > 0", False, id="who failed is not"),
        pytest.param("'did' in plan.result and env == 'prod'", True, id="both"),
        pytest.param("build.ui.result", False, id="an empty text"),
    ],
)
def test_a_condition_holds_or_not(text, true):
    assert holds(text, KNOWN) is true


@pytest.mark.parametrize(
    "text", ["nobody", "build.nobody.result", "version > 1", "plan.result.__class__", "a ==="]
)
def test_a_condition_that_can_not_be_decided_is_an_error(text):
    with pytest.raises(WrongInput, match="`when` can't be decided"):
        holds(text, KNOWN)


def test_only_the_steps_of_a_run_may_be_named():
    others = [
        over("build", job=Job(text="x", kind="barrier")),
        over("plan#1", parent=3),
        over("", parent=4),
    ]

    assert context(others, {"v": "1"}) == {"v": "1"}


WORDS = some.sampled_from(
    ["{{ version }}", "{{build.api.result}}", "{{ build.api.notes }}", "}", "%}", "\n", " a", "é"]
)


@CALM
@given(some.lists(WORDS).map("".join))
def test_what_holds_names_alone_becomes_what_it_is_in_jinja2(text):
    assert render(text, KNOWN) == conditions._template(text).render(KNOWN)


@CALM
@given(some.lists(WORDS | some.sampled_from(["{", "{{", "}}", "{%", "#}", "{#"])).map("".join))
def test_any_text_is_read_or_refused(text):
    try:
        names(text)
        render(text, KNOWN)
    except WrongInput:
        assert templated(text)
