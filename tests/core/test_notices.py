"""Notices: when people are told of what waits for them, and how rarely."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core import notices
from hive.core.escalation import Escalation, quiet
from hive.core.notices import DAY, HOUR, Decision, Memory, Notice, decide

MIDNIGHT = 1_700_006_400.0
NOON = MIDNIGHT + 12 * HOUR
MINUTE = 60.0
RULES = Escalation()
NIGHT = Escalation(quiet=quiet("22:00-07:00"), urgent=("budget",))


def item(name: str = "Q8", kind: str = "question", **changes: Any) -> dict[str, Any]:
    record = {
        "id": name, "kind": kind, "agent": "backend/dev", "asked": "Which one?",
        "why": "backend/dev asks a person", "since": None, "meanwhile": "it waits",
        "answer": f'hive answer {name} "…"',
    }  # fmt: skip
    return record | changes


def clock(now: float) -> float:
    return (now - MIDNIGHT) % DAY / MINUTE


def at(
    now: float, *items: dict[str, Any], memory: Memory | None = None, rules: Escalation = RULES
) -> Decision:
    return decide(items, memory or Memory(), rules, now, clock(now))


class Thing(NamedTuple):
    """Something that waits for a person from one moment to another."""

    name: str
    kind: str
    begins: float
    ends: float


Notified = list[tuple[float, Notice]]


def simulated(
    things: Iterable[Thing], rules: Escalation, end: float, start: float = NOON
) -> Notified:
    """Decide whenever something happens or is due."""
    listed = list(things)
    moments = sorted({start, *(at for one in listed for at in (one.begins, one.ends))})
    told, memory, now = [], Memory(), start
    while now < end:
        items = [item(one.name, one.kind) for one in listed if one.begins <= now < one.ends]
        found = decide(items, memory, rules, now, clock(now))
        assert found.due is None or found.due > now
        if found.notice:
            told.append((now, found.notice))
        memory = found.memory
        after = next((one for one in moments if one > now), end)
        now = min(after, end if found.due is None else found.due)
    return told


def test_what_is_over_at_once_is_never_told_and_what_stays_is():
    first = at(NOON, item())
    assert first.notice is None and first.due == NOON + 90

    assert at(NOON + 59, memory=first.memory).memory == Memory()
    later = at(NOON + 90, item(), memory=first.memory)

    assert later.notice and later.notice.keys == ("question Q8",)
    assert later.due == NOON + 90 + 4 * HOUR


def test_what_comes_soon_after_another_is_told_with_it():
    things = [
        Thing("Q1", "question", NOON, NOON + DAY),
        Thing("A2", "approval", NOON + 20, NOON + DAY),
        Thing("Q3", "question", NOON + 31, NOON + DAY),
    ]

    first, second = simulated(things, RULES, NOON + HOUR)

    assert (first[0], first[1].keys) == (NOON + 90, ("question Q1", "approval A2"))
    assert second[1].keys == ("question Q3",)


@pytest.mark.parametrize(
    ("items", "text"),
    [
        pytest.param(
            [item()],
            'backend/dev waits for you: question Q8: Which one?; hive answer Q8 "…"',
            id="one",
        ),
        pytest.param(
            [item("backend/dev", "dialog", answer="hive attach backend/dev")],
            "backend/dev waits for you: dialog: Which one?; hive attach backend/dev",
            id="an agent itself",
        ),
        pytest.param(
            [item("A7", "approval", asked="a\x1b[2J\nb", answer="hive approve A7   # or: deny")],
            "backend/dev waits for you: approval A7: a [2J b; hive approve A7",
            id="control characters, and a command with a remark",
        ),
        pytest.param(
            [item(), item("Q9"), item("t-4", "held task")],
            "3 things wait for you (question ×2, held task); hive inbox",  # noqa: RUF001
            id="several",
        ),
    ],
)  # fmt: skip
def test_a_notice_says_what_waits_and_which_command_to_run(items, text):
    notice = at(NOON + 90, *items, memory=at(NOON, *items).memory).notice

    assert notice and notice.text == text
    assert notice.text.endswith(notice.command)


def test_what_was_told_before_is_only_counted():
    told = at(NOON + 90, item(), memory=at(NOON, item()).memory).memory
    again = at(NOON + HOUR, item(), item("Q9"), memory=told).memory

    found = at(NOON + HOUR + 90, item(), item("Q9"), memory=again).notice

    assert found and found.keys == ("question Q9",)
    assert "(and 1 more); hive answer Q9" in found.text


def test_what_is_asked_is_cut_down_and_very_many_are_counted():
    items = [item(f"Q{number}", asked="x" * 900) for number in range(30)]

    notice = at(NOON + 90, *items, memory=at(NOON, *items).memory).notice

    assert notice and len(notice.keys) == 30 and len(notice.items) == notices.LISTED
    assert {len(one["asked"]) for one in notice.items} == {notices.LONGEST}
    assert notice.text.startswith("30 things")


def test_a_thing_that_flickers_is_one():
    told = at(NOON + 90, item(), memory=at(NOON, item()).memory).memory
    gone = at(NOON + 100, memory=told)
    back = at(NOON + 110, item(), memory=gone.memory)

    assert gone.memory.things and back.due == NOON + 90 + 4 * HOUR
    assert at(NOON + 200, memory=gone.memory).memory.things == {}


def test_in_quiet_hours_only_what_is_urgent_is_told_and_the_rest_in_one_summary():
    late = MIDNIGHT + 21 * HOUR
    things = [
        Thing("Q1", "question", late, late + DAY),
        Thing("Q2", "question", late + 2 * HOUR, late + DAY),
        Thing("Task", "budget", late + 3 * HOUR, late + 9 * HOUR),
        Thing("Q3", "question", late + 4 * HOUR, late + 5 * HOUR),
        Thing("Q4", "question", late + 6 * HOUR, late + DAY),
    ]

    evening, night, again, morning = simulated(things, NIGHT, late + 12 * HOUR, late)

    assert (evening[0], night[0]) == (late + 90, late + 3 * HOUR + 90)
    assert again[0] == night[0] + 4 * HOUR
    assert night[1].keys == again[1].keys == ("budget Task",)
    assert morning[0] == MIDNIGHT + 31 * HOUR
    assert morning[1].keys == ("question Q1", "question Q2", "question Q4")


def test_a_clock_set_back_silences_nothing_and_one_set_forward_tells_once():
    told = at(NOON + 90, item(), memory=at(NOON, item()).memory).memory

    back = at(NOON - DAY, item(), memory=told)
    forward = at(NOON + 9 * DAY, item(), memory=told)

    assert back.notice is None and back.due == NOON - DAY + 4 * HOUR
    assert forward.notice and "still waits" in forward.notice.text
    assert forward.due == NOON + 9 * DAY + 4 * HOUR


def test_what_reached_nobody_counts_as_not_told():
    before = at(NOON, item()).memory
    found = at(NOON + 90, item(), memory=before)

    assert found.notice
    after = notices.untold(found.memory, before, found.notice, NOON + 90)

    assert after == before
    assert at(NOON + 91, item(), memory=after).notice


def test_what_is_remembered_comes_back_from_json():
    memory = at(NOON + 90, item(), memory=at(NOON, item(), item("Q9")).memory).memory

    assert notices.from_dict(json.loads(json.dumps(notices.to_dict(memory)))) == memory
    assert notices.from_dict({}) == Memory()


def test_never_told_again_where_nobody_wants_that():
    rules = Escalation(remind=0.0)

    assert (
        len(simulated([Thing("Q1", "question", NOON, NOON + 9 * DAY)], rules, NOON + 9 * DAY)) == 1
    )


def stream(seed: int, end: float, patience: float, pause: float = HOUR) -> list[Thing]:
    """Give what a team of ten asks from noon on, each now and then, if each is open so long."""
    chance = random.Random(seed)
    found = []
    for agent in range(10):
        now = NOON
        while (now := now + chance.expovariate(1 / pause)) < end:
            kind = chance.choice(["question", "approval", "held task", "dialog"])
            found.append(Thing(f"{agent}-{len(found)}", kind, now, now + patience))
    return found


@pytest.mark.parametrize("rules", [RULES, NIGHT])
def test_a_week_of_a_team_of_ten_tells_an_absent_person_little_and_all_of_it(rules):
    week = NOON + 7 * DAY
    things = stream(7, week, 8 * DAY, 4 * HOUR)

    told = simulated(things, rules, week)

    days = [sum(NOON + n * DAY <= at < NOON + (n + 1) * DAY for at, _ in told) for n in range(7)]
    assert len(things) > 200
    assert max(days) <= 36
    known = {key for _, notice in told for key in notice.keys}
    last = week - 12 * HOUR
    assert {f"{one.kind} {one.name}" for one in things if one.begins < last} <= known


def test_a_person_who_answers_is_told_sooner_than_one_who_does_not():
    end = NOON + 4 * HOUR

    answers = simulated(stream(3, end, 5 * MINUTE), RULES, end)
    absent = simulated(stream(3, end, DAY), RULES, end)

    assert len(answers) > 2 * len(absent)


def test_a_team_that_answers_itself_all_day_is_told_of_rarely():
    told = simulated(stream(5, NOON + DAY, 2 * MINUTE), RULES, NOON + DAY)

    assert len(told) <= notices.OFTEN + 24


THINGS = st.lists(
    st.tuples(
        st.integers(0, 2 * 24 * 60),
        st.integers(0, 24 * 60),
        st.sampled_from(["question", "budget", "failed"]),
    ),
    max_size=25,
)
SETS = st.builds(
    Escalation,
    quiet=st.sampled_from([None, (1320, 420), (600, 660), (0, 1)]),
    wait=st.sampled_from([0.0, 60.0, 600.0]),
    group=st.sampled_from([0.0, 30.0, 900.0]),
    remind=st.sampled_from([0.0, 1800.0, 4 * HOUR]),
    urgent=st.sampled_from([(), ("budget",)]),
)


def made(found: list[tuple[int, int, str]]) -> list[Thing]:
    return [
        Thing(str(number), kind, NOON + begin * MINUTE, NOON + (begin + long) * MINUTE)
        for number, (begin, long, kind) in enumerate(found)
    ]


@given(THINGS, SETS)
def test_no_thing_is_told_too_early_too_often_or_in_quiet_hours(found, rules):
    things = {f"{one.kind} {one.name}": one for one in made(found)}
    told = simulated(things.values(), rules, NOON + 4 * DAY)

    times: dict[str, list[float]] = {}
    for at_, notice in told:
        assert notice.text.endswith(notice.command) and notice.command
        for key in notice.keys:
            times.setdefault(key, []).append(at_)
    for key, moments in times.items():
        one = things[key]
        assert one.begins + rules.wait <= moments[0] < one.ends
        pairs = list(itertools.pairwise(moments))
        assert all(rules.remind and after - before >= rules.remind for before, after in pairs)
        assert one.kind in rules.urgent or not any(rules.rest(clock(one)) for one in moments)
    moments = [one for one, _ in told]
    assert all(after - before >= rules.group for before, after in itertools.pairwise(moments))
    hours = zip(moments, moments[notices.MOST :], strict=False)
    assert all(after - before >= HOUR for before, after in hours)


@given(THINGS, SETS)
def test_nothing_that_stays_is_never_told(found, rules):
    things = made(found)
    told = {key for _, one in simulated(things, rules, NOON + 4 * DAY) for key in one.keys}

    few = 0.0 if len(things) <= notices.FREE and not rules.remind else HOUR
    enough = rules.wait + max(rules.group, notices.LEAST) + few
    for one in things:
        if loud(one, rules, enough):
            assert f"{one.kind} {one.name}" in told


def loud(one: Thing, rules: Escalation, enough: float) -> bool:
    """Whether a thing was open for long enough at a stretch outside of quiet hours."""
    since, now = one.begins, one.begins
    while now + MINUTE <= one.ends:
        now += MINUTE
        if rules.rest(clock(now)) and one.kind not in rules.urgent:
            since = now
        if now - since > enough:
            return True
    return False
