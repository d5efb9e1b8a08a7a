"""Handoffs: what a note says, how it is made short, and who is given it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as some

from hive.core import handoff
from hive.core.handoff import Done, Fact, Handoff, Known, from_dict, text, to_dict
from hive.core.repository import Changed, Commit, Kind, Tree
from hive.core.tasks import Job, State, Task

NOW = 1_700_000_000.0
DEV, QA = "Shop/backend/dev", "Shop/backend/qa"
TREE = Tree(
    root="/r",
    branch="hive/dev",
    commits=(
        Commit(hash="b" * 40, at=NOW - 10, author="dev", subject="Add login"),
        Commit(hash="a" * 40, at=NOW - 900, author="dev", subject="Too old"),
    ),
    changed=(Changed(path="src/a.py", kind=Kind.MODIFIED),),
)
KNOWN = Known(
    tree=TREE, asks=("Q8 (question): Which database?",), runs=("backend/api on port 4000: make up",)
)
END = Task(number=9, uid="u:build", job=Job(text="e", kind="barrier"), key="build", run=7)


def task(number: int, agent: str = DEV, outcome: str = "done", **changes: object) -> Task:
    values: dict[str, object] = {"result": f"did {number}", "why": "its check passed", **changes}
    job = Job(text="do it", check="make test" if number == 1 else "")
    state = {"done": State.DONE, "": State.LEASED}.get(outcome, State.DEAD)
    return Task(
        number=number, uid=str(number), job=job, state=state, outcome=outcome, agent=agent,
        key=f"build.t{number}", **values,
    )  # fmt: skip


def known(agent: str) -> Known:
    return KNOWN if agent == DEV else Known()


def test_the_end_of_a_phase_says_who_did_what_and_what_did_not_go_well():
    tasks = [
        task(1, confidence=0.9),
        task(2, QA, "failed", why="no\nanswer"),
        task(3, "", "skipped", why="its `when` does not hold"),
    ]

    made = handoff.of_phase(END, tasks, known, NOW - 60, NOW)

    assert (made.why, made.run, made.phase) == ("phase build ended", "r-7", "build")
    assert text(made).splitlines() == [
        "Phase build of r-7 is over: 1 done, 1 failed, 1 skipped; not done: build.t2 (t-2)",
        "",
        "How it is run:",
        "- backend/api on port 4000: make up",
        "- check: make test",
        "",
        "backend/dev, on branch hive/dev:",
        "- build.t1 (t-1) done, 90% sure: did 1",
        "- commits: bbbbbbbb Add login",
        "- changed, not committed: src/a.py",
        "- not answered yet: Q8 (question): Which database?",
        "",
        "backend/qa:",
        "- build.t2 (t-2) failed: no answer",
        "",
        "Without an agent:",
        "- build.t3 (t-3) skipped: its `when` does not hold",
    ]


def test_who_hands_over_says_it_in_its_own_words_and_may_have_no_task():
    made = Handoff(source=DEV, note="API is at :4000", facts=handoff.facts([], known, NOW, DEV))

    lines = text(made).splitlines()

    assert lines[0] == "backend/dev hands over to you: API is at :4000"
    assert lines[5] == "backend/dev, on branch hive/dev:"
    assert not any("commits" in line for line in lines)
    assert text(Handoff(source=DEV)) == "backend/dev hands over to you"


def test_a_task_that_is_under_way_says_how_far_it_is():
    (fact,) = handoff.facts([task(1, outcome="", notes=("half",), result="")], known, NOW)

    assert [(one.outcome, one.result) for one in fact.done] == [("", "half")]
    assert "build.t1 (t-1) not over yet: half" in text(Handoff(source=DEV, facts=(fact,)))


def test_what_git_can_not_tell_is_said():
    facts = handoff.facts([], lambda _agent: Known(trouble="dubious ownership"), 0.0, DEV)

    assert "- git can't be asked: dubious ownership" in text(Handoff(source=DEV, facts=facts))


def many(tasks: int, result: str, commits: int = 0) -> Handoff:
    each = [
        Done(task=f"t-{n}", text=f"step {n}", outcome="done", result=result) for n in range(tasks)
    ]
    said = tuple(f"{n:08d} Commit" for n in range(commits))
    return Handoff(source=DEV, facts=(Fact(agent=DEV, done=tuple(each), commits=said),))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        pytest.param(many(2, "x" * 100), "", id="all of it fits"),
        pytest.param(many(1, "x" * 700), "(left out here: the end of 1 text)", id="a long result"),
        pytest.param(
            many(20, "x" * 200, commits=8),
            "(left out here: 5 commits, the end of 20 texts)", id="many of them",
        ),
    ],
)  # fmt: skip
def test_what_is_left_out_is_said(made: Handoff, said: str):
    whole = text(made)

    assert len(whole) <= handoff.LONGEST
    assert whole.endswith(said) and ("left out" in whole) == bool(said)


def test_of_very_many_tasks_the_first_are_told_and_the_rest_counted():
    whole = text(many(500, "x" * 100))

    assert len(whole) <= handoff.LONGEST
    assert "step 0 (t-0)" in whole and "more lines" in whole.splitlines()[-1]


@drawn(
    some.integers(0, 60), some.text(max_size=400), some.integers(0, 40),
    some.integers(300, handoff.LONGEST),
)  # fmt: skip
def test_a_note_is_never_too_long(tasks, result, commits, limit):
    assert len(text(many(tasks, result, commits), limit)) <= limit


NOTED = replace(END, state=State.DONE, outcome="done", result="Phase build of r-7 is over")


@pytest.mark.parametrize(
    ("mine", "needs", "notes"),
    [
        pytest.param({}, [NOTED], 1, id="after a phase"),
        pytest.param({}, [NOTED, replace(NOTED, number=10)], 2, id="after two"),
        pytest.param({}, [task(1)], 0, id="after a task"),
        pytest.param({}, [END], 0, id="it has not ended"),
        pytest.param({}, [replace(NOTED, result="")], 0, id="an end without a note"),
        pytest.param({"kind": "run"}, [NOTED], 0, id="a command"),
    ],
)
def test_who_is_given_what_was_handed_over(mine, needs, notes):
    one = Task(number=1, uid="u", job=Job(text="ship it\n", **mine))

    said = handoff.given(one, needs)

    assert said.count("Phase build of r-7 is over") == notes
    assert said.count(handoff.GIVEN) == bool(notes)
    assert said.startswith("ship it\n") and (notes or said == one.words)


def test_what_would_be_too_long_with_a_note_is_given_without():
    one = Task(number=1, uid="u", job=Job(text="x" * 50))

    assert handoff.given(one, [NOTED], most=60) == "x" * 50


def test_a_handoff_is_read_back_as_it_was_and_without_what_is_not_known():
    made = handoff.of_phase(END, [task(1, confidence=0.5)], known, NOW - 60, NOW)
    kept = json.loads(json.dumps(to_dict(made)))

    assert from_dict(kept) == made
    assert from_dict({**kept, "newer": 1, "facts": [{**kept["facts"][0], "newer": 2}]}) == made
