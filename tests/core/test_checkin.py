"""What a check-in comes to, when an agent is asked, and when the next one is due."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core import checkin, checkpoint
from hive.core.checkin import (
    WORDLESS,
    CheckIn,
    Evidence,
    Verdict,
    due,
    following,
    from_dict,
    judge,
    missed,
    question,
    spread,
    to_ask,
    to_dict,
)
from hive.core.repository import Changed, Kind

NOON = 1_700_000_000.0
EVERY = 900.0
EVIDENCE = Evidence(
    agent="Task/web/dev", at=NOON, state="ready", speaks=True, turn_at=NOON - 60,
    task="t-12", about="Fix the login bug\nof the form", reason="its records say so",
)  # fmt: skip
TASK = "t-12 Fix the login bug"


def later(one: Evidence, after: float = EVERY, **changes: object) -> Evidence:
    return replace(one, at=one.at + after, **changes)


def row(*steps: Evidence, ask: bool = True) -> list[CheckIn]:
    """Make check-ins one after the other; where an agent is to be asked it is."""
    found: list[CheckIn] = []
    for one in steps:
        before = found[-1] if found else None
        made = judge(one, before, every=EVERY)
        if ask and to_ask(made, before, every=EVERY):
            made = replace(made, asked=one.at)
        found.append(made)
    return found


@pytest.mark.parametrize(
    ("changes", "verdict", "line"),
    [
        pytest.param({"state": "working"}, "working", f"working on {TASK}", id="turn"),
        pytest.param(
            {"state": "working", "progress": "half way"}, "working",
            "working on t-12 Fix the login bug: half way", id="progress",
        ),
        pytest.param(
            {"task": ""}, "quiet", "nothing new of its brief Fix the login bug in 15m", id="brief"
        ),
        pytest.param({"task": "", "about": ""}, "idle", "idle: it has no task", id="no task"),
        pytest.param({}, "quiet", "nothing new of t-12 Fix the login bug in 15m", id="nothing"),
        pytest.param({"speaks": False}, "working", f"working on {TASK}", id="worker"),
        pytest.param(
            {"commits": ("a", "b"), "files": ("x", "y", "z"), "checked": "check failed once"},
            "working",
            "working on t-12 Fix the login bug; 3 files changed; 2 commits in 15m; "
            "check failed once",
            id="commits",
        ),
        pytest.param(
            {"state": "waiting", "sub": "approval", "reason": "Bash: rm -r"}, "waiting",
            "waiting: approval: Bash: rm -r", id="approval",
        ),
        pytest.param(
            {"state": "limited", "sub": "usage limit", "reason": "usage limit until 5"}, "waiting",
            "limited: usage limit until 5", id="limited",
        ),
        pytest.param(
            {"waits": "a person's answer to Q8"}, "waiting", "waits: a person's answer to Q8",
            id="its own question",
        ),
        pytest.param({"sub": "login needed"}, "waiting", "ready: login needed: its records say so",
                     id="login"),
        pytest.param(
            {"state": "stalled", "sub": "nudged", "reason": "no output"}, "quiet",
            "stalled: nudged: no output", id="stalled",
        ),
        pytest.param({"paused": "by a person"}, "paused", "paused: by a person", id="paused"),
        pytest.param({"state": "failed", "reason": "exit code 1"}, "down", "failed: exit code 1",
                     id="failed"),
        pytest.param({"state": "starting", "reason": ""}, "down", "starting", id="starting"),
        pytest.param(
            {"trouble": "a rebase is not ended", "message": "ok", "reported": NOON + 9}, "working",
            "working on t-12 Fix the login bug; a rebase is not ended", id="trouble",
        ),
    ],
)  # fmt: skip
def test_what_the_evidence_comes_to(changes, verdict, line):
    changes = {"about": EVIDENCE.about, **changes}
    start = replace(EVIDENCE, **{key: changes[key] for key in ("task", "about") if key in changes})
    if changes.keys() & {"paused", "waits"}:
        start = replace(start, **changes)

    one = row(start, later(start, **changes))[-1]

    assert (one.verdict, one.line) == (verdict, line)


def test_the_first_check_in_has_nothing_to_compare_with():
    (one,) = row(EVIDENCE)

    assert (one.verdict, one.changes) == (Verdict.WORKING, ())
    assert not to_ask(one, None, every=EVERY)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"cores": 2.0, "bytes": 5, "tokens": 9, "cost": 0.009, "turn_at": NOON}, []),
        ({"cost": 0.25}, ["cost $0.25 more"]),
        ({"state": "waiting", "sub": "dialog"}, ["is waiting (dialog), was ready"]),
        ({"paused": "by a person"}, ["paused: by a person"]),
        ({"task": "", "about": ""}, ["has t-12 no more"]),
        ({"task": "t-13", "about": "b"}, ["has t-12 no more", "has t-13 b"]),
        ({"progress": "half", "progressed": NOON}, ["says of t-12: half"]),
        ({"checked": "check failed once"}, ["check failed once"]),
        ({"waits": "Q8"}, ["waits: Q8"]),
        ({"commits": tuple("abcde")}, ["committed 5 commits: a, b, c, 2 more"]),
        ({"files": ("b", "a")}, ["changed 2 files: a, b"]),
        ({"trouble": "a merge"}, ["git: a merge"]),
        ({"message": "hi\x1b[2J\nthere", "reported": NOON}, ["reports: hi [2J there"]),
    ],
)
def test_what_is_new_is_said_in_sentences(changes, said):
    assert list(row(EVIDENCE, later(EVIDENCE, **changes))[-1].changes) == said


def test_what_is_over_is_said_too():
    busy = replace(EVIDENCE, files=("a",), trouble="a merge", paused="yes")

    assert row(busy, later(busy, files=(), trouble="", paused=""))[-1].changes == (
        "goes on after its pause",
        "nothing in its work tree is uncommitted any more",
        "what git had in the way is gone",
    )


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ({}, True),
        ({"sub": "interrupted"}, True),
        ({"sub": "turn failed"}, True),
        ({"state": "working"}, False),
        ({"state": "stalled"}, False),
        ({"state": "waiting"}, False),
        ({"state": "limited"}, False),
        ({"state": "failed"}, False),
        ({"state": "starting"}, False),
        ({"paused": "by a person"}, False),
        ({"waits": "its check runs"}, False),
        ({"sub": "blocked"}, False),
        ({"task": "", "about": ""}, False),
        ({"speaks": False}, False),
    ],
)
def test_only_who_has_something_to_do_and_does_nothing_is_asked(changes, asks):
    same = replace(EVIDENCE, **changes)

    first, second = row(same, later(same), ask=False)

    assert bool(to_ask(second, first, every=EVERY)) == asks


@pytest.mark.parametrize(
    "changes",
    [
        {"turn_at": NOON + 5}, {"worked": NOON + 5}, {"progressed": NOON + 5}, {"progress": "more"},
        {"reported": NOON + 5}, {"files": ("a",)}, {"commits": ("a",)}, {"tokens": 7},
        {"task": "t-13"}, {"checked": "its check passed"}, {"turn_at": NOON - 9000},
    ],
)  # fmt: skip
def test_nobody_is_asked_of_whom_there_is_any_news(changes):
    first, second = row(EVIDENCE, later(EVIDENCE, **changes), ask=False)

    assert second.verdict is Verdict.WORKING
    assert not to_ask(second, first, every=EVERY)


def test_a_look_soon_after_another_takes_nobody_for_quiet():
    first, second, third = row(EVIDENCE, later(EVIDENCE, 10), later(EVIDENCE, EVERY))

    assert [first.verdict, second.verdict] == [Verdict.WORKING] * 2
    assert third.verdict is Verdict.QUIET and third.asked


def test_what_hive_itself_commits_is_no_sign_of_life():
    saved = checkpoint.message([Changed(path="a", kind=Kind.MODIFIED)], agent="web/dev")
    dirty = replace(EVIDENCE, files=("a",))

    found = row(dirty, later(dirty, files=(), commits=(saved.partition("\n")[0],)))

    assert found[-1].verdict is Verdict.QUIET and found[-1].asked


def test_who_is_asked_and_says_nothing_has_missed_it_and_is_not_asked_again():
    steps = [later(EVIDENCE, EVERY * number) for number in range(6)]

    found = row(*steps)

    assert [one.verdict.value for one in found] == ["working", "quiet", *["missed"] * 4]
    assert {one.asked for one in found[1:]} == {NOON + EVERY}
    assert found[2].line == "no answer how far t-12 Fix the login bug is, asked 15m ago"


def test_a_look_in_between_does_not_make_an_answer_late():
    asked = row(EVIDENCE, later(EVIDENCE))[-1]

    soon = judge(later(EVIDENCE, EVERY + 300), asked, every=EVERY)

    assert soon.verdict is Verdict.QUIET
    assert not to_ask(soon, asked, every=EVERY)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"reported": NOON + 5, "message": "nearly done"}, "nearly done"),
        ({"progressed": NOON + 5, "progress": "half"}, "half"),
    ],
)
def test_any_word_of_life_is_an_answer_and_the_next_question_takes_two_check_ins(changes, answer):
    now = later(EVIDENCE, 2 * EVERY, **changes)

    found = row(EVIDENCE, later(EVIDENCE), now, later(now), later(now, 2 * EVERY))

    verdicts = ["working", "quiet", "working", "quiet", "missed"]
    assert [one.verdict.value for one in found] == verdicts
    assert [one.answer for one in found[1:]] == ["", answer, "", ""]
    assert [one.asked - NOON for one in found[1:]] == [EVERY, EVERY, 3 * EVERY, 3 * EVERY]


def test_a_bare_turn_is_an_answer_until_the_next_check_in_only():
    now = later(EVIDENCE, 2 * EVERY, turn_at=NOON + 5, tokens=9)

    found = row(EVIDENCE, later(EVIDENCE), now, later(now), later(now, 2 * EVERY))

    verdicts = ["working", "quiet", "working", "missed", "missed"]
    assert [one.verdict.value for one in found] == verdicts
    assert [one.answer for one in found[1:]] == ["", WORDLESS, "", ""]
    assert {one.asked for one in found[1:]} == {NOON + EVERY}


def test_who_goes_on_after_a_bare_turn_is_asked_anew_once_it_is_quiet():
    now = later(EVIDENCE, 2 * EVERY, turn_at=NOON + 5)
    after = later(now, EVERY, files=("a.txt",))

    found = row(EVIDENCE, later(EVIDENCE), now, after, later(after))

    verdicts = ["working", "quiet", "working", "working", "quiet"]
    assert [one.verdict.value for one in found] == verdicts
    assert found[-1].asked == found[-1].evidence.at


def test_that_hive_calls_it_stalled_is_no_answer():
    asked = row(EVIDENCE, later(EVIDENCE), later(EVIDENCE, 2 * EVERY))
    stalled = later(EVIDENCE, 3 * EVERY, state="stalled", sub="person", reason="no answer")

    after = row(*[one.evidence for one in asked], stalled, later(EVIDENCE, 4 * EVERY))

    assert [one.verdict.value for one in after[2:]] == ["missed"] * 3
    assert {one.asked for one in after[1:]} == {NOON + EVERY}


def test_who_has_nothing_to_do_any_more_owes_no_answer():
    asked = row(EVIDENCE, later(EVIDENCE))[-1]

    for gone in ({"task": "", "about": ""}, {"state": "failed"}, {"paused": "by a person"}):
        one = judge(later(EVIDENCE, 2 * EVERY, **gone), asked, every=EVERY)
        assert (one.asked, one.verdict is Verdict.MISSED) == (0.0, False)


def test_a_clock_that_is_set_back_makes_nothing_late_at_once_and_not_for_ever():
    asked = row(EVIDENCE, later(EVIDENCE))[-1]

    back = judge(later(EVIDENCE, -80_000), asked, every=EVERY)
    after = judge(later(EVIDENCE, -80_000 + EVERY), back, every=EVERY)

    assert (back.verdict, after.verdict) == (Verdict.QUIET, Verdict.MISSED)


@pytest.mark.parametrize(
    ("asked", "reported", "after", "late"),
    [(NOON, 0, EVERY, True), (NOON, 0, 600, False), (NOON, NOON + 1, EVERY, False),
     (0, 0, EVERY, False), (NOON, NOON - 1, 810, True)],
)  # fmt: skip
def test_what_is_missed(asked, reported, after, late):
    assert missed(asked, reported, NOON + after, EVERY) is late


def test_the_question_is_one_line_that_says_how_to_answer_it():
    asked, brief = question("hive", "t-12"), question("/opt/hive", "")

    assert "\n" not in asked and "`hive task progress" in asked and "t-12" in asked
    assert '`/opt/hive report working "…"`' in brief and "task progress" not in brief


def test_fifty_agents_are_not_looked_at_at_once():
    first = [spread(f"Task/web/dev-{n}", EVERY, NOON) for n in range(50)]

    assert first == [spread(f"Task/web/dev-{n}", EVERY, NOON) for n in range(50)]
    assert all(NOON <= one < NOON + EVERY for one in first)
    minutes = {int((one - NOON) // 60) for one in first}
    assert len(minutes) >= 13


@given(
    last=st.floats(1, 4e9),
    every=st.floats(1, 1e6),
    gone=st.floats(-1e9, 1e9),
)
def test_the_next_one_is_within_an_interval_whatever_the_clock_did(last, every, gone):
    now = last + gone

    assert now < following(last, every, now) <= now + every * 1.0001


@given(at=st.floats(1e9, 4e9), gone=st.floats(-1e8, 1e8))
def test_what_is_due_stays_so_unless_the_clock_jumped(at, gone):
    now = at + gone
    found = due(at, EVERY, now)

    assert found == at if abs(gone) <= EVERY else now < found <= now + EVERY


def test_after_an_absence_there_is_one_check_in_and_its_second_is_kept():
    now = NOON + 86_400 + 5

    assert following(NOON, EVERY, NOON) == NOON + EVERY
    assert following(NOON, EVERY, now) == NOON + 86_400 + EVERY
    assert following(NOON, EVERY, NOON - 86_400 - 5) == NOON - 86_400
    assert following(NOON, 0, now) == math.inf


def test_a_check_in_is_read_back_as_it_was_written():
    one = row(EVIDENCE, later(EVIDENCE, files=("ä",), commits=("c",), cost=0.5))[-1]
    written = json.loads(json.dumps(to_dict(replace(one, asked=NOON, answer="yes", number=7))))

    assert from_dict(written) == replace(one, asked=NOON, answer="yes", number=7)
    newer = {**written, "new": 1, "evidence": {**written["evidence"], "new": 2}}
    assert from_dict(newer) == from_dict(written)


def test_long_words_are_cut():
    wordy = later(EVIDENCE, state="working", progress="so " * 200, commits=("c" * 500,))

    one = row(EVIDENCE, wordy)[-1]

    assert len(one.line) < 250 and all(len(said) < 250 for said in one.changes)
    assert checkin.short("a\n b") == "a b"
