from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core.messages import Message, Stage
from hive.core.profile import Profile, Session
from hive.core.sessions import End, choose, cut_off, digest, first_prompt, refused
from hive.core.talk import Talk
from hive.core.voice import Voice

CHOSEN = Session(how="chosen", new=("--session-id", "{session}"), resume=("--resume", "{session}"))
KNOWN = Talk(agent="a", session="old", launch="1-a", resumed="1-a", taken=True)


def voice(**profile):
    return Voice(profile=Profile(name="x", **profile), brief="build it", prelude="you are dev")


@pytest.mark.parametrize(
    ("session", "talk", "end", "chosen"),
    [
        (Session(), KNOWN, None, ("", False)),
        (CHOSEN, Talk(agent="a"), None, ("new", False)),
        (CHOSEN, KNOWN, None, ("old", True)),
        (CHOSEN, replace(KNOWN, taken=False), None, ("new", False)),
        (CHOSEN, KNOWN, End(launch="1-a", code=1, ran=3.0), ("new", False)),
        (CHOSEN, KNOWN, End(launch="1-a", code=1, ran=60.0), ("old", True)),
        (CHOSEN, KNOWN, End(launch="1-a", code=-9, ran=1.0), ("old", True)),
        (CHOSEN, KNOWN, End(launch="1-a", code=None, ran=1.0), ("old", True)),
        (CHOSEN, KNOWN, End(launch="0-z", code=1, ran=1.0), ("old", True)),
        (replace(CHOSEN, how="discovered"), Talk(agent="a"), None, ("", False)),
        (replace(CHOSEN, how="discovered"), KNOWN, None, ("old", True)),
        (replace(CHOSEN, resume=()), KNOWN, None, ("new", False)),
    ],
)
def test_a_conversation_is_gone_on_with_unless_that_was_refused(session, talk, end, chosen):
    assert choose(voice(session=session), talk, end, "new") == chosen


def test_only_a_launch_that_was_to_go_on_can_have_been_refused():
    end = End(launch="1-a", code=1, ran=1.0)

    assert refused(KNOWN, end)
    assert not refused(replace(KNOWN, resumed=""), end)


def test_a_brief_is_known_by_its_digest():
    assert digest("a") != digest("b")
    assert digest("") == ""
    assert len(digest("\ud800")) == 16


def test_instructions_come_before_the_brief_where_there_is_no_other_way_for_them():
    assert first_prompt(voice()) == "you are dev\n\nbuild it"
    assert first_prompt(voice(prelude=("--system", "{prelude}"))) == "build it"
    assert first_prompt(voice(wiring="opencode")) == "build it"
    assert first_prompt(replace(voice(), brief="")) == ""


@pytest.mark.parametrize(
    ("turn", "stage", "cut"),
    [
        ("ready", Stage.QUEUED, False),
        ("working", Stage.QUEUED, True),
        ("ready", Stage.SUBMITTED, True),
        ("", Stage.TYPED, False),
    ],
)
def test_a_turn_was_cut_off_where_it_worked_or_owes_an_answer(turn, stage, cut):
    one = Message(number=1, agent="a", sender="b", text="t", created=1.0, stage=stage)

    assert cut_off(replace(KNOWN, turn=turn), [one]) is cut
