from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.judge import AGREED, BELIEVED, REPORTING, STEADY, hear, judge
from hive.core.profile import Profile, Screen, Title, Typing
from hive.core.screens import Look
from hive.core.signs import Ask, Condition, Ear, Glimpse, Sign, Source, Sub, Turn

NOW = 1000.0
READY, WORKING, WAITING, LIMITED = Turn.READY, Turn.WORKING, Turn.WAITING, Turn.LIMITED

PATTERNS = {
    "screen": Screen(composer=r"^> (?P<draft>.*)\Z"),
    "title": Title(ready=("^R",), working=("^W",), approval=("^A",)),
}
TELLS = Profile(name="t", wiring="w", records="r", **PATTERNS)
HOOKS = Profile(name="h", wiring="w", **PATTERNS)
SHOWS = Profile(name="s", **PATTERNS)
GENERIC = Profile(name="g")
SHELL = Profile(name="sh", typing=Typing(form="{text}"))

IDLE = Look(turn=READY, text="its composer", draft="")
BUSY = Look(turn=WORKING, text="* 3s", draft="")
LOST = Look()
MENU = Look(turn=WAITING, sub=Sub.APPROVAL, text="Do you want to proceed?")
USED = Look(turn=LIMITED, sub=Sub.USAGE, text="You've hit your limit", draft="")
FULL = Look(turn=WAITING, sub=Sub.FULL, text="Context limit reached", draft="")
ASK = Ask(key="k", tool="Bash", detail="rm -rf build", digest="d")


def sign(source=Source.RECORDS, turn=READY, at=NOW - 10, **more):
    return Sign(launch="1-a", source=source, turn=turn, at=at, **more)


def records(turn=READY, at=NOW - 10, **more):
    return sign(Source.RECORDS, turn, at, **more)


def hook(turn=READY, at=NOW - 10, **more):
    return sign(Source.HOOK, turn, at, **more)


def report(turn=WORKING, at=NOW - 10, **more):
    return sign(Source.REPORT, turn, at, **more)


def heard(*signs):
    ear = Ear(launch="1-a")
    for one in signs:
        ear = hear(ear, one)
    return ear


def judged(*signs, look=IDLE, profile=TELLS, now=NOW, before=None, started=NOW - 500, **glimpse):
    return judge(
        heard(*signs),
        Glimpse(launch="1-a", pane="%1", **glimpse),
        look,
        profile,
        now,
        before or Condition(launch="1-a"),
        started=started,
    )


def told(one):
    return one.turn, one.sub, one.source, one.closed


NOTHING = (None, "", Source.PROCESS, "not ready")


@pytest.mark.parametrize(
    ("signs", "more", "result"),
    [
        pytest.param([], {}, NOTHING, id="nothing heard: what shows is not enough"),
        pytest.param([records()], {}, (READY, "", "records", ""), id="ready"),
        pytest.param([records(WORKING)], {}, (WORKING, "", "records", "working"), id="working"),
        pytest.param(
            [records(WORKING), hook(READY, NOW - 5)], {}, (READY, "", "hook", ""), id="a newer hook"
        ),
        pytest.param(
            [records(WORKING), hook(READY, NOW - 11)],
            {},
            (WORKING, "", "records", "working"),
            id="an older hook",
        ),
        pytest.param(
            [records(WORKING), hook(READY, NOW - 10)],
            {},
            (WORKING, "", "records", "working"),
            id="of the same moment the records count",
        ),
        pytest.param(
            [records()], {"dead": True}, (None, "", "process", "dead"), id="dead whatever is said"
        ),
        pytest.param([records()], {"mode": True}, (READY, "", "records", "copy mode"), id="mode"),
        pytest.param([records()], {"shut": True}, (READY, "", "records", "input is off"), id="off"),
        pytest.param(
            [records()],
            {"foreground": False},
            (READY, "", "records", "a shell instead of the agent"),
            id="not in the foreground",
        ),
        pytest.param(
            [records()], {"look": None}, (READY, "", "records", "not ready"), id="not looked at yet"
        ),
        pytest.param(
            [records()], {"look": LOST}, (READY, "", "records", "not ready"), id="no composer"
        ),
        pytest.param(
            [records()], {"look": BUSY}, (READY, "", "records", "working"), id="what shows forbids"
        ),
        pytest.param(
            [records()], {"title": "W"}, (READY, "", "records", "working"), id="the title forbids"
        ),
        pytest.param(
            [records(WORKING)],
            {"title": "R"},
            (WORKING, "", "records", "working"),
            id="what shows never says ready alone",
        ),
        pytest.param(
            [records(WORKING)],
            {"look": MENU},
            (WAITING, Sub.APPROVAL, "screen", "approval"),
            id="what shows adds that a person is waited for",
        ),
        pytest.param(
            [records(READY)],
            {"title": "A"},
            (WAITING, Sub.APPROVAL, "title", "approval"),
            id="so does the title",
        ),
        pytest.param(
            [hook(WAITING, sub=Sub.APPROVAL, ask=ASK), records(WORKING, NOW - 5)],
            {},
            (WAITING, Sub.APPROVAL, "hook", "approval"),
            id="an open question, though the screen has scrolled",
        ),
        pytest.param(
            [hook(WAITING, ask=ASK), records(READY, NOW - 5)],
            {},
            (READY, "", "records", ""),
            id="a question of a turn that is over",
        ),
        pytest.param(
            [hook(None, ask=ASK), hook(WORKING, NOW - 5, over=("k",))],
            {},
            (WORKING, "", "hook", "working"),
            id="a question that was answered",
        ),
        pytest.param(
            [records(READY, sub=Sub.FAILED, text="API error")],
            {},
            (READY, Sub.FAILED, "records", ""),
            id="a turn that failed",
        ),
        pytest.param(
            [records(WORKING, sub=Sub.RETRYING)],
            {},
            (WORKING, Sub.RETRYING, "records", "retrying"),
            id="retrying",
        ),
        pytest.param(
            [records(LIMITED, sub=Sub.USAGE, until=NOW + 1)],
            {},
            (LIMITED, Sub.USAGE, "records", "usage limit"),
            id="limited",
        ),
        pytest.param(
            [records(LIMITED, sub=Sub.USAGE, until=NOW)],
            {"look": replace(USED, turn=READY, sub="")},
            (READY, "", "records", ""),
            id="no longer limited",
        ),
        pytest.param(
            [records(LIMITED, NOW - BELIEVED - 1, sub=Sub.USAGE)],
            {},
            (READY, "", "records", ""),
            id="nobody told when it ends: it must be tried",
        ),
        pytest.param(
            [records()],
            {"look": USED},
            (LIMITED, Sub.USAGE, "screen", "usage limit"),
            id="only the screen tells a limit",
        ),
        pytest.param(
            [records(WORKING)],
            {"look": FULL},
            (WORKING, "", "records", "working"),
            id="a notice of an earlier turn",
        ),
        pytest.param(
            [records()],
            {"look": FULL},
            (WAITING, Sub.FULL, "screen", "context full"),
            id="a notice of this turn",
        ),
        pytest.param(
            [records()],
            {"look": replace(FULL, sub=Sub.MODEL)},
            (WAITING, Sub.MODEL, "screen", ""),
            id="to another model one may switch by typing",
        ),
        pytest.param(
            [report(WORKING), records(READY, NOW - 20)],
            {},
            (WORKING, "", "report", "working"),
            id="a report of work",
        ),
        pytest.param(
            [report(WORKING), records(READY, NOW - 5)],
            {},
            (READY, "", "records", ""),
            id="a report of work in a turn that is over",
        ),
        pytest.param(
            [records(WORKING), report(READY, NOW - 5, text="done")],
            {},
            (WORKING, "", "records", "working"),
            id="who reports a task done is still in its turn",
        ),
        pytest.param(
            [records(WORKING), report(WAITING, NOW - 5, sub=Sub.BLOCKED)],
            {},
            (WAITING, Sub.BLOCKED, "report", "working"),
            id="blocked, in its turn",
        ),
        pytest.param(
            [report(WAITING, sub=Sub.BLOCKED), records(READY, NOW - 5)],
            {},
            (WAITING, Sub.BLOCKED, "report", ""),
            id="blocked: it may be told what helps",
        ),
        pytest.param(
            [report(WAITING, sub=Sub.BLOCKED), hook(None, NOW - 9, worked=True),
             records(READY, NOW - 5)],
            {},
            (WAITING, Sub.BLOCKED, "report", ""),
            id="blocked: reporting itself is work",
        ),
        pytest.param(
            [report(WAITING, sub=Sub.BLOCKED), records(READY, NOW - 9), records(WORKING, NOW - 5)],
            {},
            (WORKING, "", "records", "working"),
            id="blocked until its next turn",
        ),
        pytest.param(
            [report(WAITING, NOW - REPORTING - 9, sub=Sub.BLOCKED),
             hook(WORKING, NOW - 5, worked=True)],
            {},
            (WORKING, "", "hook", "working"),
            id="blocked until it works on",
        ),
        pytest.param(
            [report(WAITING, sub=Sub.BLOCKED), records(READY, NOW - 5)],
            {"look": MENU},
            (WAITING, Sub.APPROVAL, "screen", "approval"),
            id="blocked, and a dialog is open",
        ),
    ],
)  # fmt: skip
def test_whose_turn_it_is_where_the_program_tells(signs, more, result):
    assert told(judged(*signs, **more)) == result


def steady(profile, look, after, *signs, **glimpse):
    first = judged(*signs, profile=profile, look=look, now=NOW, **glimpse)
    return judged(*signs, profile=profile, look=look, now=NOW + after, before=first, **glimpse)


@pytest.mark.parametrize(
    ("profile", "look", "after", "signs", "glimpse", "result"),
    [
        pytest.param(TELLS, IDLE, STEADY - 1, [], {}, NOTHING, id="not long enough"),
        pytest.param(TELLS, IDLE, STEADY, [], {}, (READY, "", "screen", ""), id="long enough"),
        pytest.param(
            TELLS, IDLE, STEADY, [], {"title": "W"}, (WORKING, "", "title", "working"),
            id="the title says something else",
        ),
        pytest.param(
            TELLS, LOST, STEADY, [], {"title": "R"}, (READY, "", "title", "not ready"),
            id="the title alone: ready, but no composer is seen",
        ),
        pytest.param(
            TELLS, MENU, STEADY, [], {}, (WAITING, Sub.APPROVAL, "screen", "approval"),
            id="a dialog as it starts",
        ),
        pytest.param(
            TELLS, IDLE, AGREED, [records(WORKING)], {"title": "R"},
            (WORKING, "", "records", "working"), id="records are never overruled",
        ),
        pytest.param(
            HOOKS, IDLE, AGREED, [hook(WORKING)], {"title": "R"}, (READY, "", "title", ""),
            id="a hook that was lost: both must say ready, for long",
        ),
        pytest.param(
            HOOKS, IDLE, AGREED - 1, [hook(WORKING)], {"title": "R"},
            (WORKING, "", "hook", "working"), id="not that long",
        ),
        pytest.param(
            HOOKS, IDLE, AGREED, [hook(WORKING)], {}, (WORKING, "", "hook", "working"),
            id="one of them is not enough",
        ),
        pytest.param(
            HOOKS, BUSY, 1, [hook(READY)], {}, (WORKING, "", "screen", "working"),
            id="hooks alone do not tell all that begins",
        ),
        pytest.param(
            TELLS, USED, BELIEVED, [records()], {}, (READY, "", "records", ""),
            id="a limit that stays on the screen",
        ),
        pytest.param(
            TELLS, USED, BELIEVED - 1, [records()], {},
            (LIMITED, Sub.USAGE, "screen", "usage limit"), id="it is believed for a while",
        ),
    ],
)  # fmt: skip
def test_what_shows_for_long(profile, look, after, signs, glimpse, result):
    assert told(steady(profile, look, after, *signs, **glimpse)) == result


def test_what_tells_nothing_before_its_first_prompt_is_ready_sooner():
    began = NOW - 500
    early = replace(TELLS, wiring="codex")
    for profile, ready in ((early, True), (TELLS, False)):
        before = judged(profile=profile, title="R", now=began + 10, started=began)
        then = judged(profile=profile, title="R", now=began + 12.5, started=began, before=before)
        assert (then.turn is READY) is ready


def test_records_that_do_not_tell_whose_turn_it_is_leave_that_to_what_shows():
    profile = replace(TELLS, wiring="gemini", records="gemini")
    assert told(judged(profile=profile, title="R"))[0] is READY
    assert told(judged(profile=profile, title="W"))[0] is WORKING
    assert told(judged(profile=profile, title="R", look=MENU))[3] == "approval"


def test_it_says_which_better_source_is_silent():
    assert steady(TELLS, IDLE, STEADY).text == (
        "its screen says ready; its hooks and records are silent"
    )


@pytest.mark.parametrize(
    ("profile", "more", "result"),
    [
        pytest.param(SHOWS, {}, (READY, "", "screen", ""), id="the screen"),
        pytest.param(SHOWS, {"look": BUSY}, (WORKING, "", "screen", "working"), id="it works"),
        pytest.param(SHOWS, {"look": LOST}, NOTHING, id="nothing is known"),
        pytest.param(SHOWS, {"look": None}, NOTHING, id="not looked at yet"),
        pytest.param(
            SHOWS, {"look": MENU}, (WAITING, Sub.APPROVAL, "screen", "approval"), id="it asks"
        ),
        pytest.param(SHOWS, {"title": "R"}, (READY, "", "title", ""), id="the title comes first"),
        pytest.param(
            SHOWS, {"title": "R", "look": BUSY}, (READY, "", "title", "working"), id="both"
        ),
        pytest.param(
            GENERIC,
            {"look": LOST, "output": NOW - 3, "raw": True},
            (READY, "", "silence", ""),
            id="silent",
        ),
        pytest.param(
            GENERIC,
            {"look": LOST, "output": NOW - 2, "raw": True},
            (WORKING, "", "silence", "working"),
            id="it has output",
        ),
        pytest.param(
            GENERIC,
            {"look": LOST, "output": NOW - 30, "raw": False},
            NOTHING,
            id="it reads no keys",
        ),
        pytest.param(
            GENERIC, {"look": LOST, "output": NOW - 30, "raw": None}, NOTHING, id="who knows"
        ),
        pytest.param(
            GENERIC,
            {"look": LOST, "output": NOW - 30, "raw": True, "foreground": False},
            (READY, "", "silence", "a shell instead of the agent"),
            id="something else has its terminal",
        ),
        pytest.param(SHELL, {}, (READY, "", "process", ""), id="a shell at its prompt"),
        pytest.param(
            SHELL, {"foreground": False}, (WORKING, "", "process", "working"), id="a command runs"
        ),
        pytest.param(SHELL, {"dead": True}, (None, "", "process", "dead"), id="a shell that ended"),
    ],
)
def test_whose_turn_it_is_where_it_must_be_guessed(profile, more, result):
    assert told(judged(profile=profile, **more)) == result


@pytest.mark.parametrize(
    ("ago", "shown", "turn"), [(10, 5, READY), (10, 20, WORKING), (AGREED + 1, 90, READY)]
)
def test_a_report_of_work_counts_until_its_program_looks_ready_again(ago, shown, turn):
    before = judged(profile=SHOWS, now=NOW - shown)
    assert judged(report(at=NOW - ago), profile=SHOWS, before=before).turn is turn


@pytest.mark.parametrize(("shown", "turn"), [(1, WORKING), (5, READY)])
def test_a_report_of_work_from_behind_a_turn_ends_once_it_looks_ready(shown, turn):
    signs = [records(READY, NOW - 20), report(at=NOW - 10)]
    before = judged(*signs, now=NOW - shown)
    assert before.turn is WORKING
    assert judged(*signs, before=before).turn is turn


def test_what_disagrees_is_shown_with_its_times_the_most_trustworthy_first():
    one = judged(
        hook(WORKING, NOW - 30), records(READY, NOW - 10, text="end_turn"), title="W", look=IDLE
    )
    assert [(each.source, each.text, each.at) for each in one.evidence] == [
        ("process", "launched", NOW - 500),
        ("records", "ready: end_turn", NOW - 10),
        ("hook", "working", NOW - 30),
        ("title", "working: its title says so", NOW),
        ("screen", "ready: its screen says so", NOW),
    ]


def test_since_when_it_is_so():
    first = judged(records(WORKING, NOW - 50))
    again = judged(records(WORKING, NOW - 5), before=first, now=NOW + 9)
    ready = judged(records(READY, NOW + 3), before=again, now=NOW + 9)
    other = judged(records(READY), before=replace(ready, launch="2-b"), now=NOW + 9)

    assert [one.since for one in (first, again, ready, other)] == [NOW - 50, NOW - 50, NOW + 3,
                                                                  NOW - 10]  # fmt: skip


@pytest.mark.parametrize("back", [10.0, 100_000.0])
def test_a_clock_that_was_set_back_opens_nothing(back):
    one = judged(records(WORKING), now=NOW - back)
    assert one.closed == "working" and one.since <= NOW - back


def test_a_spinner_that_turns_is_no_news():
    first = judged(records(WORKING), look=replace(BUSY, text="* 3s"), title="W 1")
    later = judged(records(WORKING), look=replace(BUSY, text="* 4s"), title="W 2", before=first)
    assert later == first


# hearing

SOURCES = (Source.RECORDS, Source.HOOK, Source.REPORT, Source.TITLE)


@st.composite
def signs(draw):
    """Make signs of one launch at distinct times, whose totals grow as totals do."""
    times = draw(st.lists(st.integers(1, 40), min_size=1, max_size=5, unique=True))
    found = []
    for at in times:
        ask = draw(st.none() | st.sampled_from("ab"))
        found.append(
            Sign(
                launch="1-a",
                source=draw(st.sampled_from(SOURCES)),
                at=float(at),
                turn=draw(st.none() | st.sampled_from(Turn)),
                session=draw(st.sampled_from(("", "s"))) if at < 20 else "t",
                heard=tuple(draw(st.sets(st.integers(1, 3), max_size=2))),
                answer=draw(st.sampled_from(("", f"answer {at}"))),
                tokens=at % 20,
                cost=at % 20 / 10,
                worked=draw(st.booleans()),
                call=draw(st.none() | st.integers(0, 3)),
                ask=Ask(key=f"{ask}{at}", tool="Bash", detail="", digest="") if ask else None,
                over=tuple(f"{key}{old}" for old in times if old < at for key in "ab"[: at % 3]),
            )
        )
    return found


def known(ear):
    """What an ear amounts to; the keys that are over are a set."""
    return replace(ear, over=dict(sorted(ear.over.items())))


@given(signs(), st.data())
def test_a_sign_that_is_doubled_changes_nothing(found, data):
    once = heard(*found)
    again = data.draw(st.sampled_from(found))

    assert known(heard(*found, again)) == known(once)


@given(signs(), st.randoms(use_true_random=False))
def test_the_order_in_which_signs_are_heard_changes_nothing(found, chance):
    other = list(found)
    chance.shuffle(other)
    assert known(heard(*other)) == known(heard(*found))


def test_a_sign_of_another_launch_is_not_heard():
    ear = heard(records())
    assert hear(ear, replace(records(WORKING, NOW), launch="2-b", session="x")) is ear


def test_of_signs_of_one_moment_the_later_counts():
    assert heard(records(WORKING), records(READY)).latest[Source.RECORDS].turn is READY


def test_a_question_that_is_told_late_stays_over():
    asked, over = hook(None, NOW - 5, ask=ASK), hook(None, NOW - 4, over=("k",))
    for order in permutations((asked, over)):
        assert heard(*order).asks == {}


def test_a_new_session_counts_anew():
    ear = heard(records(session="s", cost=3.0, tokens=9), records(at=NOW, session="t", cost=0.5))
    assert (ear.session, ear.cost, ear.tokens) == ("t", 0.5, 0)
    late = hear(ear, records(at=NOW - 1, session="s", cost=4.0))
    assert (late.session, late.cost) == ("t", 0.5)


def test_no_call_is_open_when_a_turn_has_ended():
    assert heard(hook(WORKING, NOW - 5, call=2), records(READY, NOW)).calls == 0
    assert heard(records(READY, NOW), hook(WORKING, NOW - 5, call=2)).calls == 0


TURNS = st.none() | st.sampled_from(Turn)
SUBS = st.sampled_from(["", *Sub])
SHOWN = st.builds(Look, turn=TURNS, sub=SUBS, text=st.just("x"), draft=st.none() | st.just(""))
LOOKS = st.none() | SHOWN.filter(lambda one: one.turn or not one.sub)


@given(
    found=signs(),
    look=LOOKS,
    title=st.sampled_from(("", "R", "W", "A")),
    profile=st.sampled_from((TELLS, HOOKS, SHOWS, GENERIC, SHELL)),
    now=st.floats(-100, 2000),
    since=st.floats(0, 2000),
)
def test_only_what_is_positively_ready_is_open(found, look, title, profile, now, since):
    before = judged(*found, look=look, profile=profile, now=since, title=title)
    one = judged(*found, look=look, profile=profile, now=now, title=title, before=before)
    if one.closed:
        return
    assert one.turn is READY or one.sub in {Sub.BLOCKED, Sub.MODEL}
    assert title not in {"W", "A"} or not profile.title.working
    assert look is None or look.sub not in {Sub.APPROVAL, Sub.QUESTION, Sub.DIALOG}
    assert not profile.screen.composer or look.draft is not None


def test_what_is_over_can_be_asked_again_in_the_same_turn():
    later = hook(None, NOW - 3, ask=ASK)
    again = heard(hook(None, NOW - 5, ask=ASK), hook(None, NOW - 4, over=("k",)), later)
    assert list(again.asks) == ["k"]
