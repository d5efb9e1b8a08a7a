"""Copies of a task, and the answer that enough of them agree on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.quorum import (
    copies,
    digest,
    faulty,
    fraction,
    needed,
    stance,
    verdict,
    word,
)
from hive.core.tasks import Job, New, State, Task, Want
from hive.errors import WrongInput

OUTCOMES = {State.DONE: "done", State.DEAD: "failed", State.CANCELLED: "cancelled"}


def group(replicas, **job):
    return Task(number=1, uid="g", job=Job(text="x", kind="group", replicas=replicas, **job))


def copy(number, agent, result="", state=State.DONE, kind="prompt", parent=1):
    return Task(
        number=number,
        uid=f"g#{number}",
        job=Job(text="x", kind=kind),
        state=state,
        parent=parent,
        agent=agent and f"task/back/{agent}",
        outcome=OUTCOMES.get(state, ""),
        result=result,
        finished=100.0 + number if state in OUTCOMES else 0.0,
    )


def answers(*given_, kind="prompt"):
    """Build copies from (agent, answer); None is one that is not over, False one that is dead."""
    states = {None: State.LEASED, False: State.DEAD}
    return [
        copy(number, agent, answer or "", states.get(answer, State.DONE), kind)
        for number, (agent, answer) in enumerate(given_, 2)
    ]


@pytest.mark.parametrize(
    ("replicas", "job", "given_", "settled", "result", "why"),
    [
        pytest.param(
            4,
            {},
            [("a", "7"), ("b", "7"), ("c", None), ("d", None)],
            False,
            "",
            "2 of 4 have answered, 3 must agree",
            id="not yet",
        ),
        pytest.param(
            4,
            {},
            [("a", "7"), ("b", "8"), ("c", " 7.0 "), ("d", "7")],
            True,
            "7",
            "3 of 4 agree: back/a, back/c, back/d; not so back/b",
            id="three of four",
        ),
        pytest.param(
            4,
            {},
            [("a", "7"), ("b", "7"), ("c", "7"), ("d", None)],
            True,
            "7",
            "3 of 4 agree: back/a, back/b, back/c",
            id="the last is not waited for",
        ),
        pytest.param(
            4,
            {},
            [("a", "7"), ("b", "8"), ("c", "8"), ("d", False)],
            True,
            "",
            "no quorum: 3 of 4 had to agree; "
            "answer 1: back/a; answer 2: back/b, back/c; no answer: back/d",
            id="no quorum",
        ),
        pytest.param(
            4,
            {},
            [("a", "7"), ("b", "8"), ("c", None), ("d", False)],
            True,
            "",
            "no quorum: 3 of 4 had to agree; answer 1: back/a; answer 2: back/b; no answer: back/d",
            id="it can't be reached any more",
        ),
        pytest.param(
            4,
            {"agree": 2},
            [("a", "7"), ("b", "7"), ("c", None), ("d", None)],
            True,
            "7",
            "2 of 4 agree: back/a, back/b",
            id="fewer are wanted",
        ),
        pytest.param(
            4,
            {"agree": 2},
            [("a", "8"), ("b", "7"), ("c", "7"), ("d", "8")],
            True,
            "7",
            "2 of 4 agree: back/b, back/c; not so back/a, back/d",
            id="who was first stays so",
        ),
        pytest.param(
            2,
            {},
            [("a", ""), ("b", "")],
            True,
            "",
            "no quorum: 2 of 2 had to agree; no answer: back/a, back/b",
            id="nothing is no answer",
        ),
        pytest.param(
            3,
            {},
            [("a", "7"), ("a", "7"), ("b", None)],
            False,
            "",
            "1 of 3 have answered, 2 must agree",
            id="an agent has one vote",
        ),
        pytest.param(
            3,
            {},
            [("a", "7"), ("a", "8"), ("b", "8")],
            True,
            "",
            "no quorum: 2 of 3 had to agree; answer 1: back/a; answer 2: back/b",
            id="its first",
        ),
        pytest.param(
            3,
            {},
            [("", "7"), ("a", "7"), ("b", None)],
            True,
            "7",
            "2 of 3 agree: t-2, back/a",
            id="a person spoke for one",
        ),
        pytest.param(
            3,
            {"judge": "check"},
            [("a", "did x"), ("b", False), ("c", "")],
            True,
            "did x",
            "2 of 3 agree: back/a, back/c; not so back/b",
            id="checks passed",
        ),
        pytest.param(
            3,
            {"judge": "check"},
            [("a", False), ("b", False), ("c", None)],
            True,
            "",
            "no quorum: 2 of 3 had to agree; failed: back/a, back/b",
            id="checks failed",
        ),
        pytest.param(
            3,
            {"judge": "vote"},
            [("a", "Approve: it is sound"), ("b", "**Reject**, no tests"), ("c", "approved")],
            True,
            "approve",
            "2 of 3 agree: back/a, back/c; not so back/b",
            id="approved",
        ),
        pytest.param(
            3,
            {"judge": "vote"},
            [("a", "no"), ("b", None), ("c", "reject")],
            True,
            "reject",
            "2 of 3 agree: back/a, back/c",
            id="rejected",
        ),
        pytest.param(
            4,
            {"judge": "vote"},
            [("a", "yes"), ("b", "no"), ("c", "I think so"), ("d", None)],
            True,
            "",
            "no quorum: 3 of 4 had to agree; approve: back/a; reject: back/b; no answer: back/c",
            id="undecided",
        ),
        pytest.param(
            4,
            {"judge": "vote"},
            [("a", "blue: it is calm"), ("b", "**Blue**"), ("c", "red"), ("d", "blue.")],
            True,
            "blue",
            "3 of 4 agree: back/a, back/b, back/d; not so back/c",
            id="a word that was asked for",
        ),
        pytest.param(
            2,
            {"judge": "vote"},
            [("a", "failed"), ("b", "passed")],
            True,
            "",
            "no quorum: 2 of 2 had to agree; failed: back/a; passed: back/b",
            id="words that hive uses itself",
        ),
    ],
)
def test_verdicts(replicas, job, given_, settled, result, why):
    found = verdict(group(replicas, **job), answers(*given_))
    assert (found.settled, found.result, found.why) == (settled, result, why)
    assert found.dissenters == tuple(
        f"task/{one}" for one in why.partition("; not so ")[2].split(", ") if one
    )


def test_the_first_answers_count_by_when_they_were_given():
    late, *others = answers(("a", "8"), ("a", "7"), ("b", "7"))
    found = verdict(group(3), [replace(late, finished=900.0), *others])
    assert (found.result, found.dissenters) == ("7", ())


def test_a_command_may_print_nothing():
    found = verdict(group(2), answers(("a", ""), ("b", ""), kind="run"))
    assert (found.settled, found.result) == (True, "done")


def ballot(number, about, agent, result, state=State.DONE):
    return copy(number, agent, result, state, parent=about)


@pytest.mark.parametrize(
    ("ballots", "settled", "result", "dissenters"),
    [
        pytest.param([], False, "", (), id="nobody has voted"),
        pytest.param([(2, "r", "approve"), (3, "r", None)], False, "", (), id="one is open"),
        pytest.param([(2, "r", "approve"), (3, "s", "yes, fine")], True, "x", (), id="both"),
        pytest.param(
            [(2, "r", "approve"), (3, "r", "reject"), (4, "r", "approve")],
            True,
            "x",
            ("task/back/b",),
            id="one is rejected",
        ),
        pytest.param([(2, "r", "reject"), (3, "r", "hm")], True, "", (), id="two are not"),
        pytest.param(
            [(2, "r", "approve"), (2, "s", "no"), (3, "r", "approve"), (4, "r", None)],
            False,
            "",
            (),
            id="half is not enough",
        ),
        pytest.param(
            [(2, "a", "approve"), (3, "b", "approve")], True, "", (), id="nobody judges itself"
        ),
        pytest.param(
            [(2, "r", "yes"), (2, "r", "yes"), (2, "s", "no"), (3, "r", "no")],
            True,
            "",
            (),
            id="a juror has one vote",
        ),
    ],
)
def test_a_jury_votes_on_each_answer(ballots, settled, result, dissenters):
    states = {None: State.LEASED}
    found = verdict(
        group(3, judge="vote", jury="reviewer", agree=2),
        answers(("a", "x"), ("b", "y"), ("c", "z")),
        [
            ballot(number, about, agent, said or "", states.get(said, State.DONE))
            for number, (about, agent, said) in enumerate(ballots, 10)
        ],
    )
    assert (found.settled, found.result, found.dissenters) == (settled, result, dissenters)


def test_answers_are_secret_until_the_verdict():
    found = verdict(group(4), answers(("a", "seven"), ("b", "eight"), ("c", None), ("d", None)))
    assert not found.settled
    assert "seven" not in repr(found)
    assert "back/" not in repr(found)


FAULTS = st.integers(1, 3)
LIES = st.sampled_from(["wrong", "other lie", "", None, False])


def polled(data, faults, liars):
    """Have honest agents and liars vote in any order; a liar lies, is silent, or votes twice."""
    many = 3 * faults + 1
    voters = [(f"liar-{place}", data.draw(LIES)) for place in range(liars)]
    voters += [(f"liar-{place}", "wrong") for place in range(liars) if data.draw(st.booleans())]
    voters += [(f"honest-{place}", " right\n") for place in range(many - liars)]
    return group(many), answers(*data.draw(st.permutations(voters)))


@given(data=st.data(), faults=FAULTS)
def test_up_to_f_liars_are_outvoted(data, faults):
    one, votes = polled(data, faults, data.draw(st.integers(0, faults)))
    found = verdict(one, votes)
    assert (found.settled, found.result.strip()) == (True, "right")
    assert all("liar" in one for one in found.dissenters)


@given(data=st.data(), faults=FAULTS)
def test_up_to_2f_liars_have_nothing_wrong_accepted(data, faults):
    one, votes = polled(data, faults, data.draw(st.integers(faults + 1, 2 * faults)))
    assert verdict(one, votes).result.strip() in {"", "right"}


@given(data=st.data(), faults=FAULTS, liars=st.integers(0, 4))
def test_what_is_settled_is_never_another_way_later(data, faults, liars):
    one, votes = polled(data, faults, min(liars, 3 * faults + 1))
    votes = [each for each in votes if each.state is not State.LEASED]
    now = [replace(each, state=State.LEASED, finished=0.0) for each in votes]
    seen = []
    for place, each in enumerate(votes):
        now[place] = each
        found = verdict(one, now)
        if found.settled:
            seen.append(found.result)
    assert len(set(seen)) <= 1


def test_a_task_without_copies_is_as_it_was():
    for job in (Job(text="x"), Job(text="x", kind="group", replicas=3)):
        new = New(uid="u", job=job)
        assert copies(new) == [new]


def test_a_task_becomes_its_copies_and_their_group():
    job = Job(
        text="{{ a.result }}",
        title="Sum",
        template=True,
        when="a.outcome == 'done'",
        skills=("sums",),
        locks=(Want(name="port:80"),),
        replicas=2,
        agree=2,
        judge="vote",
        jury="reviewer",
        cache=60.0,
        batch="sums",
        sticky="tree",
    )
    new = New(
        uid="u", job=job, needs=("n",), blocks=(7,), idem="k", run=3, key="b.sum", held="by hand"
    )
    one, two, whole = copies(new)

    assert [each.uid for each in (one, two, whole)] == ["u#1", "u#2", "u"]
    assert [each.key for each in (one, two, whole)] == ["b.sum#1", "b.sum#2", "b.sum"]
    assert [each.job.title for each in (one, two)] == ["Sum (1 of 2)", "Sum (2 of 2)"]
    assert (one.needs, one.blocks, one.idem, one.run) == (("n",), (), "", 3)
    assert one.apart
    assert one.held == "by hand"
    plain = Job(text="x")
    own = ("replicas", "agree", "judge", "jury", "cache", "batch", "sticky")
    assert all(getattr(one.job, name) == getattr(plain, name) for name in own)
    same = ("text", "kind", "template", "when", "skills", "locks")
    assert all(getattr(one.job, name) == getattr(job, name) for name in same)
    assert one.job.on_failure == "continue"

    assert (whole.needs, whole.blocks, whole.idem, whole.run) == (("u#1", "u#2"), (7,), "k", 3)
    assert (whole.apart, whole.held) == (False, "")
    assert (whole.job.kind, whole.job.when, whole.job.template) == ("group", "", False)
    assert (whole.job.replicas, whole.job.agree, whole.job.judge) == (2, 2, "vote")


@pytest.mark.parametrize(
    ("job", "what"),
    [
        ({"replicas": 3, "agree": 4}, "4 of 3 copies can't agree"),
        ({"replicas": 3, "agree": -1}, "-1 of 3 copies can't agree"),
        ({"replicas": 3, "agent": "task/back/dev"}, "each has its own agent"),
    ],
)
def test_copies_that_can_never_agree_are_refused(job, what):
    with pytest.raises(WrongInput) as error:
        copies(New(uid="u", job=Job(text="Sum up", **job)))
    assert what in error.value.what
    assert error.value.where == "task `Sum up`"


@pytest.mark.parametrize(
    ("voters", "wrong", "agree"),
    [
        (0, 0, 1),
        (1, 0, 1),
        (2, 0, 2),
        (3, 0, 2),
        (4, 1, 3),
        (5, 1, 4),
        (6, 1, 4),
        (7, 2, 5),
        (10, 3, 7),
    ],
)
def test_how_many_may_be_wrong_and_how_many_must_agree(voters, wrong, agree):
    assert faulty(voters) == wrong
    assert needed(Job(text="x", replicas=voters)) == agree
    assert needed(Job(text="x", replicas=voters, agree=1)) == 1


@pytest.mark.parametrize(
    ("text", "voters", "many"),
    [
        ("2/3", 3, 2),
        ("2/3", 4, 3),
        (" 2 / 3 ", 6, 4),
        ("1/1", 5, 5),
        ("60%", 5, 3),
        ("51%", 4, 3),
        ("100 %", 4, 4),
        ("3", 5, 3),
        ("majority", 4, 3),
        ("Majority", 5, 3),
        ("all", 5, 5),
    ],
)
def test_a_quorum_as_it_is_written(text, voters, many):
    assert fraction(text, voters) == many


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is no quorum"),
        ("most", "is no quorum"),
        ("0.6", "is no quorum"),
        ("2/0", "is no quorum"),
        ("-1", "is no quorum"),
        ("2/3%", "is no quorum"),
        ("0", "can't agree"),
        ("5", "`5` of 4 can't agree: that would be 5"),
        ("3/2", "can't agree"),
        ("0%", "can't agree"),
    ],
)
def test_what_is_no_quorum_is_refused(text, what):
    with pytest.raises(WrongInput) as error:
        fraction(text, 4)
    assert what in error.value.what
    assert error.value.fix


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Yes", "yes.", True),
        ("yes", '"YES"', True),
        ("true", "True", True),
        ("a  b\n", "a b", True),
        ("A b", "a b", False),
        ('{"a": 1, "b": [2.0]}', '{"b":[2],"a":1e0}', True),
        ('{"a": "X"}', '{"a": "x"}', False),
        ("[1, 2]", "[2, 1]", False),
        ("1", "true", False),
        ("7", "7.0", True),
        ("NaN", "nan", True),
        ("", " \n", True),
        (".git", "git", False),
        ("\ud800", "?", False),
        ("[" * 100_000, "[" * 99_999, False),
    ],
)
def test_which_answers_are_equal(one, other, same):
    assert (digest(one) == digest(other)) is same


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(JSON)
def test_how_json_is_written_does_not_matter(value):
    one = json.dumps(value, ensure_ascii=False)
    other = json.dumps(value, indent=2, sort_keys=True)
    assert digest(one) == digest(other)


@given(st.text(max_size=40) | st.integers(0, 3000).map(lambda deep: "[" * deep + "]" * deep))
def test_any_text_is_an_answer(text):
    assert digest(text) == digest(f" {text}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("approve", "approve"),
        ("Approved.", "approve"),
        ("YES - ship it", "approve"),
        ("`reject`: no tests", "reject"),
        ("No", "reject"),
        ("not sure", ""),
        ("I approve", ""),
        ("", ""),
    ],
)
def test_a_vote_is_the_first_word(text, expected):
    assert stance(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes, ship it", "approve"),
        ("Blue.", "blue"),
        ("`blue`: it is calm", "blue"),
        ("**blue:** it is calm", "blue"),
        ("blue is calm", ""),
        (" ", ""),
    ],
)
def test_a_vote_may_be_another_word(text, expected):
    assert word(text) == expected
