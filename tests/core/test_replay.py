"""What happened, put together from all that tells of it; and the moments people name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.checkin import CheckIn, Evidence, Verdict
from hive.core.journal import Kept, Said, Screen
from hive.core.moments import moment, window
from hive.core.replay import (
    Moment,
    called,
    checked_in,
    ended,
    excerpt,
    handed,
    happened,
    pauses,
    replay,
    told,
    worked,
)
from hive.errors import WrongInput

DEV, PM = "Task/web/dev", "Task/web/pm"
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True, kw_only=True)
class Event:
    at: float
    kind: str
    text: str
    agent: str = DEV
    id: int = 0


@dataclass(frozen=True, kw_only=True)
class Death:
    at: float
    agent: str = DEV
    launch: str = "l1"
    code: int | None = 3
    cause: str = "it exited"
    asked: bool = False
    next: str = "restarted"
    restarts: int = 1
    ran: float = 2.0
    screen: str = "last\nwords\n\n"
    largest: tuple = ()


@dataclass(frozen=True, kw_only=True)
class Step:
    at: float
    state: str
    task: int = 12
    agent: str = DEV
    why: str = "so"


def happening(at, kind="ready", text="it answers", agent=DEV):
    return Event(at=at, kind=kind, text=text, agent=agent)


def check_in(at, verdict=Verdict.WORKING, **changes):
    evidence = Evidence(agent=DEV, at=at, state="working", task="t-12")
    return CheckIn(evidence=evidence, verdict=verdict, line=f"{verdict} at {at:g}", **changes)


def said(at, stage, why="so", number=31):
    return Said(at=at, agent=DEV, number=number, stage=stage, why=why, text="Please\nrebase")


def told_of(*sources, screens=(), since=0.0, until=1e9):
    found = replay(*sources, screens=screens, since=since, until=until)
    return [(one.at, one.kind, one.text) for one in found]


def test_all_sources_are_told_in_the_order_of_time():
    note = {"note": "API is at :4000"}
    handoff = Kept(number=1, at=40.0, source=PM, target=DEV, run="r-7", body=note)
    found = told_of(
        happened([happening(60.0, "stall", "nudged: no progress")]),
        ended([Death(at=50.0)]),
        told([said(10.0, "queued", "from a person")]),
        worked([Step(at=20.0, state="done")], {12: "Fix it"}),
        checked_in([check_in(30.0, changes=("2 commits",))]),
        handed([handoff]),
    )

    assert found == [
        (10.0, "message", 'm-31 queued: from a person: "Please rebase"'),
        (20.0, "task", "t-12 (Fix it) done: so"),
        (30.0, "check-in", "working at 30"),
        (40.0, "handoff", 'it hands over to web/dev: "API is at :4000"'),
        (50.0, "died", "it exited; exit code 3; then hive: restarted"),
        (60.0, "stall", "nudged: no progress"),
    ]


def test_what_lies_outside_of_the_time_is_left_out():
    events = [happening(at, text=f"it is {chr(at)}") for at in range(100, 105)]
    assert [at for at, _, _ in told_of(happened(events), since=101, until=103)] == [101, 102, 103]


def test_an_end_is_told_once_with_its_screen():
    event = happening(50.0, "died", "exit code 3, restarted in 2s")
    (found,) = replay(happened([event]), ended([Death(at=50.0)]), since=0, until=99)
    assert (found.text, found.screen) == ("exit code 3, restarted in 2s", "last\nwords")


def test_a_message_is_told_once_with_what_it_says_and_how_far_it_came():
    steps = [said(1.0, "queued", "from a person"), said(2.0, "typed"), said(4.0, "answered")]
    events = [happening(one.at, "message", f"m-31 {one.stage}: {one.why}") for one in steps]
    (found,) = replay(happened(events), told(steps), since=0, until=9)
    assert found.text == 'm-31 queued: from a person: "Please rebase" → typed → answered'
    assert found.ref == "m-31"


def test_a_handoff_to_several_is_told_once_with_its_note():
    event = happening(5.0, "handoff", "it hands over to web/a (m-1), web/b (m-2)", PM)
    kept = [
        Kept(number=n, at=5.0, source=PM, target=f"Task/web/{n}", run="", body={"note": "see x"})
        for n in range(2)
    ]
    assert told_of(happened([event]), handed(kept)) == [
        (5.0, "handoff", 'it hands over to web/a (m-1), web/b (m-2): "see x"')
    ]


def test_a_task_that_tells_its_story_itself_is_not_told_by_events_too():
    events = [happening(1.0, "task", "t-12 begins: Fix it"), happening(2.0, "task", "t-9 begins")]
    steps = worked([Step(at=1.0, state="leased"), Step(at=0.5, state="ready")], {})
    assert [text for _, _, text in told_of(happened(events, {12}), steps)] == [
        "t-12 leased: so",
        "t-9 begins",
    ]


def test_check_ins_are_told_where_they_say_something_new_or_are_missing():
    ones = [
        check_in(1.0, changes=("a commit",)),
        check_in(2.0),
        check_in(3.0, Verdict.MISSED),
    ]
    assert [one.at for one in checked_in(ones)] == [1.0, 3.0]


def test_noise_is_one_line_until_something_else_happens():
    held = [happening(at, "throttled", f"held to {at}%") for at in range(12)]
    turns = [happening(at, "talk", text) for at, text in ((20, "working: a"), (21, "ready: b"))]
    late = [happening(31, "throttled", "held to 31%")]
    found = told_of(happened([*held, *turns, happening(30, "stall", "nudged"), *late]))
    assert found == [
        (0, "throttled", "12 times in 11s, at last: held to 11%"),
        (20, "talk", "2 times in 1s, at last: ready: b"),
        (30, "stall", "nudged"),
        (31, "throttled", "held to 31%"),
    ]


def test_what_is_alike_but_for_numbers_is_one_line_and_what_is_not_is_told():
    tries = [happening(at, "refused", f"try {at}") for at in (1, 2, 3)]
    others = [happening(at, "talk", f"waiting (approval): {at}") for at in (4, 2000)]
    assert [text for _, _, text in told_of(happened([*tries, *others]))] == [
        "3 times in 2s, at last: try 3",
        "waiting (approval): 4",
        "waiting (approval): 2000",
    ]


def test_what_one_agent_does_does_not_part_what_another_one_does():
    events = [happening(1, "throttled", "a"), happening(2, "died", "b", PM)]
    events += [happening(3, "throttled", "c")]
    found = told_of(happened(events))
    assert [kind for _, kind, _ in found] == ["throttled", "died"]


def test_a_screen_stands_at_its_moment_and_alone_where_that_is_gone():
    events = [happening(5.0, "ready", "x"), happening(5.0, "talk", "waiting (approval): ls")]
    screens = [
        Screen(agent=DEV, at=5.0, why=called("talk", "waiting (approval): ls"), text="ls?"),
        Screen(agent=DEV, at=7.0, why="stall: nudged", text="…"),
        Screen(agent=DEV, at=99.0, why="later", text="no"),
    ]
    found = replay(happened(events), screens=screens, since=0, until=9)
    assert [(one.kind, one.screen) for one in found] == [
        ("ready", ""),
        ("talk", "ls?"),
        ("screen", "…"),
    ]


def test_what_has_a_screen_is_not_folded_away():
    events = [happening(at, "stall", "looked again") for at in (1.0, 2.0, 3.0)]
    screens = [Screen(agent=DEV, at=2.0, why="stall: looked again", text="frozen")]
    found = replay(happened(events), screens=screens, since=0, until=9)
    assert [(one.at, one.screen) for one in found] == [(1.0, ""), (2.0, "frozen"), (3.0, "")]


MOMENTS = st.lists(
    st.builds(
        Moment,
        at=st.integers(0, 3000).map(float),
        agent=st.sampled_from([DEV, PM, ""]),
        kind=st.sampled_from(["died", "talk", "throttled", "message", "stall"]),
        text=st.sampled_from(["working: a", "waiting: b", "m-1 typed: c", "x 1", "x 2"]),
        screen=st.sampled_from(["", "a screen"]),
    ),
    max_size=30,
)


@given(MOMENTS, MOMENTS)
def test_it_is_in_order_and_told_again_it_is_the_same(first, second):
    found = replay(first, second, since=0, until=3000)
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert replay(first, second, since=0, until=3000) == found
    assert replay(first, second, first, second, since=0, until=3000) == found


@given(MOMENTS)
def test_nobodys_moments_are_lost(moments):
    found = replay(moments, since=0, until=3000)
    assert {(one.agent, one.kind) for one in found} == {(one.agent, one.kind) for one in moments}
    assert any(one.screen for one in found) == any(one.screen for one in moments)


def test_an_excerpt_is_one_short_line():
    assert excerpt("a\n  b") == "a b"
    assert len(excerpt("x" * 500)) == 100


def test_it_is_played_as_it_went_but_never_waits_long():
    assert pauses([0, 6, 6, 4, 6000], speed=60, longest=5) == [0, 0.1, 0, 0, 5]
    assert pauses([], speed=1, longest=5) == []


# the moments people name


def at(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("text", "now", "meant"),
    [
        pytest.param("02:00", "2026-06-10T09:00", "2026-06-10T02:00", id="today"),
        pytest.param("22:30", "2026-06-10T09:00", "2026-06-09T22:30", id="the day before"),
        pytest.param("9:00:00", "2026-06-10T09:00", "2026-06-10T09:00", id="just now"),
        pytest.param("2h", "2026-06-10T09:00", "2026-06-10T07:00", id="ago"),
        pytest.param("1h30m ago", "2026-06-10T09:00", "2026-06-10T07:30", id="ago, said so"),
        pytest.param("now", "2026-06-10T09:00", "2026-06-10T09:00", id="now"),
        pytest.param("yesterday 22:00", "2026-06-10T23:00", "2026-06-09T22:00", id="yesterday"),
        pytest.param("Yesterday", "2026-06-10T09:00", "2026-06-09T00:00", id="all of yesterday"),
        pytest.param("today 08:00", "2026-06-10T09:00", "2026-06-10T08:00", id="of today"),
        pytest.param("2026-05-01", "2026-06-10T09:00", "2026-05-01T00:00", id="a date"),
        pytest.param("2026-05-01 22:00", "2026-06-10T09:00", "2026-05-01T22:00", id="date, time"),
        pytest.param("2026-05-01T20:00Z", "2026-06-10T09:00", "2026-05-01T22:00", id="in UTC"),
        # the clock is set forward on 2026-03-29 at 02:00, to 03:00
        pytest.param("02:30", "2026-03-29T09:00", "2026-03-29T03:00", id="left out: the jump"),
        pytest.param("01:30", "2026-03-29T09:00", "2026-03-29T01:30", id="before the jump"),
        pytest.param("12h", "2026-03-29T09:00", "2026-03-28T20:00", id="elapsed over the jump"),
        pytest.param("22:00", "2026-03-29T09:00", "2026-03-28T22:00", id="the evening before"),
        # it is set back on 2026-10-25 at 03:00, to 02:00
        pytest.param("02:00", "2026-10-26T09:00", "2026-10-26T02:00", id="the day after"),
        pytest.param("12h", "2026-10-25T09:00", "2026-10-24T22:00", id="elapsed over the hour"),
    ],
)
def test_a_moment_is_read_in_the_zone_of_who_says_it(text, now, meant):
    assert moment(text, at(now), BERLIN) == at(meant)


def test_a_time_that_comes_twice_is_the_later_one_that_has_passed():
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()  # 02:30, summer
    assert moment("02:30", first + 7200, BERLIN) == first + 3600
    assert moment("02:30", first + 60, BERLIN) == first


@pytest.mark.parametrize(
    "text", ["", "25:00", "2:60", "2", "2 hours", "-1h", "tomorrow", "yesterday noon", "2026-13-01"]
)
def test_what_is_no_moment_is_refused_with_what_would_be(text):
    with pytest.raises(WrongInput, match="--from") as caught:
        window(text, "", at("2026-06-10T09:00"), BERLIN)
    assert "02:00" in caught.value.fix


@pytest.mark.parametrize(
    ("since", "until", "now", "end"),
    [
        pytest.param("02:00", "06:30", "09:00", "2026-06-10T06:30", id="of today"),
        pytest.param("22:00", "06:30", "09:00", "2026-06-10T06:30", id="over midnight"),
        pytest.param("22:00", "23:00", "09:00", "2026-06-09T23:00", id="of yesterday"),
        pytest.param("02:00", "06:30", "05:00", "2026-06-10T05:00", id="not over yet"),
        pytest.param("02:00", "", "09:00", "2026-06-10T09:00", id="until now"),
        pytest.param("4h", "1h", "09:00", "2026-06-10T08:00", id="ago"),
    ],
)
def test_the_end_is_the_first_such_time_after_the_beginning(since, until, now, end):
    assert window(since, until, at(f"2026-06-10T{now}"), BERLIN)[1] == at(end)


@pytest.mark.parametrize(("since", "until"), [("2027-01-01", ""), ("1h", "2h"), ("now", "")])
def test_a_time_that_is_none_is_refused(since, until):
    with pytest.raises(WrongInput):
        window(since, until, at("2026-06-10T09:00"), BERLIN)


@given(
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(1_700_000_000, 1_900_000_000),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_a_time_of_day_has_passed_within_the_last_day(hour, minute, now, zone):
    found = moment(f"{hour:02}:{minute:02}", now, ZoneInfo(zone))
    assert now - 25.5 * 3600 <= found <= now
