"""The order of a workflow's tasks, and what a run of one adds to the queue."""

from __future__ import annotations

import json
from graphlib import TopologicalSorter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.adapters import files
from hive.core import workflow, workflow_checks
from hive.core.config import read
from hive.core.spec import Agent
from hive.core.tasks import Want
from hive.core.workflow import Definition, expand
from hive.core.workflow_model import Workflow
from hive.errors import WrongInput

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def task(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "prompt": "x", **more}


def made(table: dict[str, object], **more: object) -> Definition:
    return workflow.definition("w", Workflow.model_validate(table), **more)


def phases(*each: tuple[str, list[dict[str, object]]], **more: object) -> dict[str, object]:
    tables = [{"name": name, "tasks": tasks} for name, tasks in each]
    return {"pattern": "hybrid", "phases": tables, **more}


def needs(definition: Definition) -> dict[str, tuple[str, ...]]:
    return {step.key: step.needs for step in definition.steps}


def test_sequential_is_each_after_the_one_before():
    found = made({"pattern": "sequential", "tasks": [task("a"), task("b"), task("c")]})

    assert needs(found) == {"a": (), "b": ("a",), "c": ("b",)}


def test_parallel_is_all_at_once_but_for_needs():
    found = made({"pattern": "parallel", "tasks": [task("a", needs="c"), task("b"), task("c")]})

    assert needs(found) == {"a": ("c",), "b": (), "c": ()}


def test_hybrid_is_phases_one_after_another():
    found = made(phases(("one", [task("a"), task("b")]), ("two", [task("a", needs=["one.b"])])))

    assert needs(found) == {
        "one.a": (),
        "one.b": (),
        "two.a": ("one", "one.b"),
        "one": ("one.a", "one.b"),
    }


def test_two_phases_meet_at_a_barrier():
    many = [task(name) for name in "abc"]
    found = made(phases(("one", many), ("two", [*many[:2], task("c", needs="a")])), project="p")
    barrier = found.steps[-1]

    assert (barrier.key, barrier.job.kind, barrier.job.project) == ("one", "barrier", "p")
    assert barrier.needs == ("one.a", "one.b", "one.c")
    assert needs(found)["two.a"] == ("one",)
    assert needs(found)["two.c"] == ("one", "two.a")


def test_a_task_for_a_failure_waits_for_what_it_is_for_and_for_nothing_else():
    found = made(
        phases(
            ("one", [task("a", on_failure="undo"), task("undo")]),
            ("two", [task("b", on_failure="one.undo"), task("c")]),
        )
    )
    undo = next(step for step in found.steps if step.key == "one.undo")

    assert undo.fallback
    assert undo.needs == ("one.a", "two.b")
    assert needs(found)["two.c"] == ("one",) and needs(found)["one"] == ("one.a",)
    assert {step.key: step.job.on_failure for step in found.steps if step.key != "one"} == {
        "one.a": "one.undo",
        "one.undo": "stop",
        "two.b": "one.undo",
        "two.c": "stop",
    }


def test_a_task_for_a_failure_is_never_ready_by_itself():
    found = made({"pattern": "sequential", "tasks": [task("a", on_failure="b"), task("b")]})

    assert [new.job.plain for new in expand(found, {}, "u")] == [True, False]


FILLED = {
    "pattern": "sequential",
    "params": {"version": {}, "who": "web", "skill": "", "test": "make test"},
    "tasks": [
        {
            "name": "a",
            "prompt": "Do {{ version }}",
            "team": "{{ who }}",
            "agent": "dev",
            "skills": ["{{ skill }}", "python"],
            "check": "{{ test }}",
            "locks": ["shared path:{{ who }}", "db:test"],
            "deadline": "1m",
            "sticky": "{{ who }}-{{ version }}",
        },
        {"name": "b", "run": "say {{ a.result | quote }} {{ version }}", "when": "who == 'web'"},
        {"name": "c", "prompt": "plain"},
    ],
}


def test_a_run_is_filled_in_with_its_parameters():
    found = expand(made(FILLED), {"version": "1.2"}, "u", project="p", sender="ann", now=100.0)
    first, second, third = (new.job for new in found)

    assert [(new.uid, new.key, new.needs) for new in found] == [
        ("u:a", "a", ()),
        ("u:b", "b", ("u:a",)),
        ("u:c", "c", ("u:b",)),
    ]
    assert (first.text, first.template, first.plain) == ("Do 1.2", False, True)
    assert (first.team, first.agent, first.skills) == ("web", "p/web/dev", ("python",))
    assert (first.check, first.sticky) == ("make test", "web-1.2")
    assert first.locks == (Want(name="db:test"), Want(name="path:web", shared=True))
    assert (first.deadline, second.deadline) == (160.0, 0.0)
    assert (first.project, first.sender, first.title) == ("p", "ann", "a")
    assert (second.kind, second.template) == ("run", True)
    assert dict(second.params) == {"version": "1.2", "who": "web"}
    assert third.plain


def test_what_is_filled_in_is_not_looked_at_again():
    (new,) = expand(
        made({"pattern": "parallel", "params": {"v": {}}, "tasks": [task("a", prompt="{{ v }}")]}),
        {"v": "{{ x }}"},
        "u",
    )

    assert (new.job.text, new.job.template) == ("{{ x }}", False)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        pytest.param({}, "workflow `w` needs `version`", id="lacking"),
        pytest.param(
            {"version": "1", "vresion": "2"},
            "workflow `w` has no parameter `vresion`; did you mean `version`?",
            id="unknown",
        ),
        pytest.param(
            {"version": "1", "who": "a b"},
            "workflow w, a: `team` may hold only letters, digits, `-` and `_`, and not begin with"
            " `-`, not 'a b'",
            id="no team",
        ),
        pytest.param(
            {"version": "1", "skill": "a,b"},
            "workflow w, a: `skills` must be words without blanks, `,` and `|`, not 'a,b'",
            id="no skill",
        ),
        pytest.param(
            {"version": "1", "who": ""},
            "workflow w, a: the lock `shared path:` does not say which path",
            id="no lock",
        ),
    ],
)
def test_a_run_that_can_not_be(params, message):
    with pytest.raises(WrongInput) as caught:
        expand(made(FILLED), params, "u")

    assert str(caught.value).startswith(message)


def test_a_definition_survives_the_way_through_json():
    found = made(FILLED, project="p")
    again = workflow.from_dict(json.loads(json.dumps(workflow.to_dict(found))))

    assert again == found


def test_a_file_defines_its_workflows_by_its_own_rules():
    text = 'project = "p"\n[work]\nretries = 7\n[workflows.w]\npattern = "parallel"\n'
    text += 'tasks = [{ name = "a", prompt = "x" }]'
    found = workflow.define(read(text))

    assert list(found) == ["w"]
    assert [(step.job.retries, step.job.project) for step in found["w"].steps] == [(7, "p")]


@pytest.mark.parametrize("name", sorted(files.templates("workflows")))
def test_a_template_that_comes_with_hive_can_be_run(name):
    found = files.ready_made(name, "p")
    params = dict.fromkeys((key for key, text in found.params.items() if text is None), "x")
    added = expand(found, params, "u")

    assert found.about.endswith(".")
    assert added
    assert all(new.job.project == "p" for new in added)
    assert {need for new in added for need in new.needs} <= {new.uid for new in added}


def test_there_is_a_template_for_each_thing_that_is_often_done():
    assert set(files.templates("workflows")) == {
        "fix-bug",
        "map-reduce",
        "nightly",
        "release",
        "review-panel",
    }
    with pytest.raises(WrongInput, match="did you mean `release`"):
        files.ready_made("relese")


AGENT = Agent(
    project="p",
    team="web",
    name="dev-1",
    role="dev",
    session="s",
    window="w",
    argv=("sh",),
    directory="/",
    skills=("python", "react"),
)


@pytest.mark.parametrize(
    ("wants", "told"),
    [
        pytest.param({}, "", id="anybody"),
        pytest.param({"team": "web", "role": "dev", "skills": "python"}, "", id="somebody"),
        pytest.param({"agent": "web/dev-1"}, "", id="the one"),
        pytest.param({"role": "{{ v }}"}, "", id="who knows"),
        pytest.param({"role": "pm"}, "role `pm`", id="no such role"),
        pytest.param({"skills": ["go", "react"]}, "skill `go`, skill `react`", id="no such skill"),
        pytest.param(
            {"team": "api", "role": "dev"}, "team `api`, role `dev`", id="not in this team"
        ),
    ],
)
def test_what_nobody_may_have_is_told(wants, told):
    table = {"pattern": "parallel", "params": {"v": "x"}, "tasks": [task("a", **wants)]}
    found = list(workflow_checks.unmatched(made(table, project="p"), [AGENT]))

    before = "workflow `w`: nobody may have `a`, which wants "
    assert found == ([before + told] if told else [])


NAMES = [f"t{place}" for place in range(6)]


@some.composite
def hybrids(draw: some.DrawFn) -> dict[str, object]:
    """Give any hybrid workflow; the last task of some phases is there for failures."""
    tables: list[tuple[str, list[dict[str, object]]]] = []
    known: list[str] = []
    for place in range(draw(some.integers(1, 4))):
        own = draw(some.lists(some.sampled_from(NAMES), min_size=1, unique=True))
        undo = own[-1] if len(own) > 1 and draw(some.booleans()) else ""
        hows = some.sampled_from(["stop", "continue", undo or "stop"])
        tasks: list[dict[str, object]] = []
        for number, name in enumerate(own):
            word = some.sampled_from([*known, *own[:number]] or [""])
            needs = draw(some.lists(word, max_size=2)) if known or number else []
            how = "stop" if name == undo or not number else draw(hows)
            tasks.append(task(name, needs=needs, on_failure=undo if undo and not number else how))
        known += [f"p{place}.{name}" for name in own if name != undo]
        tables.append((f"p{place}", draw(some.permutations(tasks))))
    return phases(*tables)


@CALM
@given(hybrids())
def test_the_order_has_no_circle_and_the_phases_follow_one_another(table):
    found = made(table)
    wants = needs(found)
    order = list(TopologicalSorter(wants).static_order())
    before: dict[str, set[str]] = {}
    for key in order:
        before[key] = {one for need in wants[key] for one in {need, *before[need]}}
    usual = [step for step in found.steps if not step.fallback and step.job.kind != "barrier"]

    for one in usual:
        for other in usual:
            if one.phase < other.phase:
                assert one.key in before[other.key]
            elif one.phase == other.phase and one.key in before[other.key]:
                assert other.key not in before[one.key]
    assert sum(map(len, wants.values())) <= 4 * len(wants) + 36
    assert {step.key for step in found.steps if step.fallback}.isdisjoint(
        need for needed in wants.values() for need in needed
    )


def test_a_thousand_tasks_in_two_phases_need_a_thousand_edges():
    many = [task(f"t{place}") for place in range(500)]
    found = expand(made(phases(("one", many), ("two", many))), {}, "u")

    assert (len(found), sum(len(new.needs) for new in found)) == (1001, 1000)
