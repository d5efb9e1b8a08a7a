from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import event as hooks

from hive.adapters import journal as journals
from hive.adapters.journal import DAY, LARGEST, LINES, SCREENS, end
from hive.adapters.store import Event, Store
from hive.core.checkin import CheckIn, Evidence, Verdict
from hive.core.journal import Screen
from hive.core.messages import Message, Stage

DEV, PM = "task/web/dev", "task/web/pm"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "hive.db") as one:
        yield one


@pytest.fixture
def journal(store):
    return store.journal


def check_in(at, agent=DEV, **changes):
    evidence = Evidence(
        agent=agent, at=at, state="working", files=("a.py", "ü\ud800.py"), commits=("Fix it",)
    )
    one = CheckIn(evidence=evidence, verdict=Verdict.WORKING, line=f"at {at:g}")
    return replace(one, **changes)


def times(check_ins):
    return [one.evidence.at for one in check_ins]


def test_check_ins_are_numbered_and_read_back_as_they_were(journal, store, tmp_path):
    new = [check_in(1.0, changes=("a commit",), asked=1.0), check_in(2.0, PM, answer="fine")]
    kept = journal.check_in(new)

    assert [one.number for one in kept] == [1, 2]
    with Store.open(tmp_path / "hive.db") as again:
        assert again.journal.check_ins() == kept


def test_check_ins_are_found_by_agent_and_time(journal):
    journal.check_in([check_in(at, agent) for at in (1.0, 2.0, 3.0) for agent in (DEV, PM)])

    assert times(journal.check_ins([DEV])) == [1.0, 2.0, 3.0]
    assert times(journal.check_ins([DEV], limit=2)) == [2.0, 3.0]
    assert times(journal.check_ins([DEV], limit=2, newest=False)) == [1.0, 2.0]
    assert times(journal.check_ins(since=2.0, until=2.0)) == [2.0, 2.0]
    assert journal.check_ins([]) == []


def test_the_latest_of_each_agent_is_found_at_once(journal, store):
    journal.check_in([check_in(at, agent) for at in (1.0, 2.0) for agent in (DEV, PM)])
    asked = []
    engine = store._file.connection.engine
    hooks.listen(engine, "before_cursor_execute", lambda *words: asked.append(words[2]))

    assert {agent: one.evidence.at for agent, one in journal.latest().items()} == {
        DEV: 2.0,
        PM: 2.0,
    }
    assert len(asked) == 1
    assert journal.latest([PM]).keys() == {PM}


def test_handoffs_are_found_by_their_ends_and_their_run(journal):
    body = {"note": "API is at :4000", "facts": [{"commits": ["a1"]}]}
    first = journal.hand_off(1.0, DEV, PM, body, run="r-7")
    second = journal.hand_off(2.0, PM, "", {})

    assert (first.number, first.body) == (1, body)
    assert journal.handoffs() == [first, second]
    assert journal.handoffs([DEV]) == [first]
    assert journal.handoffs([PM], limit=1) == [second]
    assert journal.handoffs(run="r-7") == [first]
    assert journal.handoffs(since=2.0) == [second]
    assert journal.handoffs(until=1.0) == [first]


def test_a_screen_like_the_last_one_is_noted_once(journal):
    assert journal.keep_screen(DEV, 1.0, "waits", "Allow?  \n\n")
    assert not journal.keep_screen(DEV, 2.0, "waits", "Allow?")
    assert journal.keep_screen(PM, 2.0, "waits", "Allow?")
    assert journal.keep_screen(DEV, 3.0, "goes on", "ok")
    assert journal.keep_screen(DEV, 4.0, "waits", "Allow?")

    assert [(one.at, one.text) for one in journal.screens([DEV])] == [
        (1.0, "Allow?"),
        (3.0, "ok"),
        (4.0, "Allow?"),
    ]
    assert [one.at for one in journal.screens(None, 2.0, 3.0, limit=1)] == [2.0]


def test_an_agent_has_so_many_screens_at_most(journal):
    many = [Screen(agent=DEV, at=float(n), why="", text=str(n)) for n in range(SCREENS + 5)]
    other = Screen(agent=PM, at=0.0, why="", text="x")
    assert journal.keep_screens([other, *many]) == SCREENS + 6
    assert [one.at for one in journal.screens([DEV])] == [float(n) for n in range(5, SCREENS + 5)]
    assert len(journal.screens([PM])) == 1


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("a\nb\n\n", "a\nb", id="no blanks behind"),
        pytest.param("\n".join("x" * 500), "\n".join("x" * LINES), id="the last lines"),
        pytest.param("ü\ud800", "ü?", id="no text"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_the_end_of_a_screen_is_kept(text, kept):
    assert end(text) == kept


def test_a_wide_screen_is_cut_between_lines():
    kept = end("\n".join(f"{number:03}{'x' * 300}" for number in range(150)))
    assert len(kept) <= LARGEST
    assert kept.startswith("0") and kept.endswith("x" * 300)
    assert {len(line) for line in kept.split("\n")} == {303}
    assert len(end("x" * 2 * LARGEST)) == LARGEST


def test_what_was_said_is_found_by_time_with_its_text(journal, store):
    new = [
        Message(
            number=0, agent=agent, sender="a person", text=f"to {agent}", created=1.0, since=1.0
        )
        for agent in (DEV, PM)
    ]
    first, _ = store.post.add(new)
    store.post.change([(replace(first, stage=Stage.TYPED, since=2.0), "pasted")])

    assert [(one.number, one.stage, one.text) for one in journal.said([DEV])] == [
        (1, "queued", f"to {DEV}"),
        (1, "typed", f"to {DEV}"),
    ]
    assert [one.agent for one in journal.said(until=1.0)] == [DEV, PM]
    assert len(journal.said(since=2.0)) == 1


def test_events_are_found_by_time(store):
    store.add(
        [Event(agent=one, kind="x", text="", at=at) for at in (3.0, 1.0) for one in (DEV, PM)]
    )

    assert [(one.at, one.id) for one in store.between(0.0, 3.0, [DEV])] == [(1.0, 3), (3.0, 1)]
    assert [one.at for one in store.between(0.0, 9.0, limit=2)] == [1.0, 1.0]
    assert store.between(1.5, 2.5) == []


def test_what_is_old_is_dropped_in_pieces_and_numbers_are_not_given_again(journal, monkeypatch):
    monkeypatch.setattr(journals, "PIECE", 2)
    monkeypatch.setattr(journals, "PIECES", 2)
    now = 1000 * DAY
    journal.check_in([check_in(now - 31 * DAY) for _ in range(5)])
    journal.keep_screen(DEV, now - 8 * DAY, "", "old")
    journal.keep_screen(DEV, now - 6 * DAY, "", "new")
    journal.hand_off(now - 366 * DAY, DEV, PM, {})
    journal.hand_off(now - 364 * DAY, DEV, PM, {})

    journal.tidy(now)
    assert len(journal.check_ins()) == 1
    journal.tidy(now)

    assert journal.check_ins() == []
    assert [one.text for one in journal.screens()] == ["new"]
    assert [one.number for one in journal.handoffs()] == [2]
    assert journal.check_in([check_in(now)])[0].number == 6
