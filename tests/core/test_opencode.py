"""How opencode is dressed, and what its events are signs of: real ones, shortened."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hive.core.opencode import CONFIG, DOOR, PLUGIN, PRELUDE, Heard, hear, key, reply, signs, wire
from hive.core.outfit import Order
from hive.core.profile import Consent, Profile, Session
from hive.core.signs import Source, Sub, Turn
from hive.core.voice import Server, Voice

NOW = 1_795_281_900.0
SES = "ses_e00dcd83bffe5pHVc2m1yrT2n6"
SUB = "ses_e00d246d2ffevL6lUsTf4bZw5y"
PER = "per_1ff2349ba001QrPvPP0Q1EFDwG"
QUE = "que_1ff264912001IBpLn94RdOVvVX"

PROFILE = Profile(
    name="opencode",
    wiring="opencode",
    args=("--port", "{port}"),
    env=(("OPENCODE_DISABLE_AUTOUPDATE", "1"),),
    permission={"auto": ("--auto",)},
    brief=replace(Profile(name="").brief, how="argv", args=("--prompt", "{brief}")),
    session=Session(how="discovered", resume=("--session", "{session}")),
    consents=(Consent(name="x", about="", by="env", env=(("X", "{folder}"),)),),
)


def order(*, voice=None, **more):
    fields = {
        "agent": "p/t/dev", "launch": "1-a", "directory": "/w", "home": "/h", "folder": "/f/1-a",
        "hive": ("/opt/my hive",), "port": 4000, "me": {"HIVE_LAUNCH": "1-a", "HIVE_SEAL": "s"},
    }  # fmt: skip
    known = {"profile": PROFILE, "prelude": "You are one of a team."} | (voice or {})
    return Order(voice=Voice(**known), **(fields | more))


def config(outfit):
    return json.loads(outfit.files[CONFIG])


def test_a_launch_is_dressed_without_touching_anything_of_the_persons():
    outfit = wire(order(brief="[hive m-1] begin"))
    assert outfit.args == ("--port", "4000")
    assert outfit.last == ("--prompt", "[hive m-1] begin")
    assert outfit.env == {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_CONFIG": f"/f/1-a/{CONFIG}",
        "OPENCODE_SERVER_USERNAME": "opencode",
        "OPENCODE_SERVER_PASSWORD": key(order()),
    }
    assert set(outfit.files) == {CONFIG, PLUGIN, PRELUDE, DOOR}
    assert config(outfit) == {
        "$schema": "https://opencode.ai/config.json",
        "plugin": [f"file:///f/1-a/{PLUGIN}"],
        "instructions": [f"/f/1-a/{PRELUDE}"],
        "permission": {
            "edit": "ask",
            "webfetch": "ask",
            "bash": {"*": "ask", "'/opt/my hive' *": "allow", "'my hive' *": "allow"},
            "hive_*": "allow",
            "external_directory": {"/f/1-a/*": "allow"},
        },
        "mcp": {
            "hive": {
                "type": "local",
                "command": ["/opt/my hive", "mcp"],
                "environment": {"HIVE_LAUNCH": "1-a", "HIVE_SEAL": "s"},
                "enabled": True,
            }
        },
    }
    assert outfit.files[PRELUDE] == "You are one of a team.\n"
    assert json.loads(outfit.files[DOOR]) == {"port": 4000, "key": key(order())}


@pytest.mark.parametrize(
    ("permission", "args", "rules"),
    [
        ("ask", (), {"edit": "ask", "bash": "ask"}),
        ("edits", (), {"edit": "allow", "bash": "ask"}),
        ("auto", ("--auto",), {}),
    ],
)
def test_each_permission_has_its_rules(permission, args, rules):
    outfit = wire(order(voice={"permission": permission}))
    given = config(outfit)["permission"]
    assert outfit.args[2:] == args
    assert given.pop("hive_*") == "allow"
    assert given.pop("external_directory") == {"/f/1-a/*": "allow"}
    given.pop("webfetch", None)
    assert {name: one["*"] if name == "bash" else one for name, one in given.items()} == rules


def test_the_servers_of_the_file_come_beside_hives():
    servers = (
        Server(name="docs", url="http://127.0.0.1:9/mcp", headers=(("X", "1"),)),
        Server(name="db", command=("db", "-x"), env=(("PASS", "p"),)),
        Server(name="hive", command=("no",)),
    )
    given = config(wire(order(voice={"servers": servers})))["mcp"]
    remote = {"type": "remote", "url": "http://127.0.0.1:9/mcp", "headers": {"X": "1"}}
    assert given["docs"] == {**remote, "enabled": True}
    assert given["db"]["command"] == ["db", "-x"]
    assert given["db"]["environment"] == {"PASS": "p"}
    assert given["hive"]["command"] == ["/opt/my hive", "mcp"]


def test_a_conversation_is_gone_on_with_and_consents_are_given_where_trusted():
    resumed = wire(order(session=SES, resume=True, voice={"trust": True}))
    assert resumed.args == ("--port", "4000", "--session", SES)
    assert resumed.env["X"] == "/f/1-a"
    assert f'"sessionID": "{SES}"' in resumed.files[PLUGIN]
    assert "X" not in wire(order()).env


def test_without_instructions_there_is_no_file_of_them():
    outfit = wire(order(voice={"prelude": ""}))
    assert PRELUDE not in outfit.files
    assert "instructions" not in config(outfit)


def test_the_key_is_another_for_every_secret_and_none_without_one():
    keys = [key(order(me={"HIVE_SEAL": seal})) for seal in ("s", "t")]
    assert len({*keys, key(order())}) == 3
    assert all(len(one) == 32 for one in keys)
    bare = wire(order(me={}))
    assert "OPENCODE_SERVER_PASSWORD" not in bare.env
    assert json.loads(bare.files[DOOR])["key"] == ""


def test_it_has_no_hooks_to_reply_to():
    assert reply("PermissionRequest", True, "yes") == ""


def status(kind, session=SES, **more):
    return ("session.status", {"sessionID": session, "status": {"type": kind, **more}})


def session(tokens, cost, one=SES, parent=None):
    counts = {"input": tokens, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}
    return ("session", {"id": one, "parentID": parent, "cost": cost, "tokens": counts})


def said(text, role="assistant", one=SES):
    return ("text", {"sessionID": one, "role": role, "text": text})


def tool(call, status, one=SES):
    return ("tool", {"sessionID": one, "callID": call, "tool": "bash", "status": status})


def asked(one=SES):
    told = {
        "id": PER, "sessionID": one, "permission": "bash", "patterns": ["echo hi"],
        "metadata": {"command": "echo hi"}, "always": ["echo *"],
        "tool": {"messageID": "msg_1ff2328f4001bDO2eOE6Ma7aya", "callID": "call_544a65ef"},
    }  # fmt: skip
    return ("permission.asked", told)


def replied(one=SES):
    return ("permission.replied", {"sessionID": one, "requestID": PER, "reply": "once"})


QUESTION = (
    "question.asked",
    {
        "id": QUE,
        "sessionID": SES,
        "questions": [
            {
                "question": "Which db?",
                "header": "db",
                "options": [{"label": "pg", "description": "postgres"}, {"label": "my"}],
            },
            {"question": "Why?", "header": "why", "options": []},
        ],
    },
)


def run(*events, before=None):
    """Hear events one second apart; gives what was kept at last, and all signs."""
    known, found = before or Heard(), []
    for number, (event, told) in enumerate(events):
        known, new = hear(known, event, told, "1-a", NOW + number)
        found += new
    return known, found


def turns(*events):
    return [(one.turn, one.sub) for one in run(*events)[1] if one.turn]


GIVEN = said("[hive m-7] go", "user")
BUSY, READY, WORKING = status("busy"), (Turn.READY, ""), (Turn.WORKING, "")
ERROR = ("session.error", {"sessionID": SES, "name": "APIError", "message": "fake 401"})


def test_a_whole_turn_with_an_approval():
    _, found = run(
        ("started", {"briefed": False, "sessionID": ""}),
        session(0, 0.0),
        GIVEN,
        BUSY,
        tool("call_1", "pending"),
        asked(),
        tool("call_1", "running"),
        replied(),
        tool("call_1", "completed"),
        session(1020, 0.00104),
        BUSY,
        said("done now "),
        BUSY,
        status("idle"),
    )
    assert [one.turn for one in found] == [
        Turn.READY, Turn.WORKING, Turn.WORKING, None, Turn.WAITING, None, Turn.WORKING,
        None, None, Turn.WORKING, None, Turn.WORKING, Turn.READY,
    ]  # fmt: skip
    assert {one.source for one in found} == {Source.HOOK}
    assert {one.launch for one in found} == {"1-a"}
    assert {one.session for one in found[1:]} == {SES}
    assert found[1].heard == (7,)
    assert [one.call for one in found if one.call is not None] == [1, 1, 0, 0]
    assert [one.answer for one in found if one.answer] == ["done now "]
    assert [(one.tokens, one.cost) for one in found if one.tokens] == [(1020, 0.00104)]
    assert found[-1].answer == "done now "
    assert found[6].over == (PER,)


def test_what_is_asked_is_told_exactly():
    (sign,) = run(GIVEN, asked())[1][1:]
    assert (sign.sub, sign.ask.key, sign.ask.tool) == (Sub.APPROVAL, PER, "bash")
    assert sign.ask.detail == "echo hi"
    event, told = asked()
    other = {**told, "metadata": {"command": "echo ho"}}
    assert run(GIVEN, (event, other))[1][1].ask.digest != sign.ask.digest
    again = {**told, "id": "per_2"}
    assert run(GIVEN, (event, again))[1][1].ask.digest == sign.ask.digest


def test_an_edit_is_shown_with_its_change():
    diff = "--- a.txt\n+++ a.txt\n@@ -0,0 +1 @@\n+hello\n"
    told = {
        "id": PER, "sessionID": SES, "permission": "edit", "patterns": ["a.txt"],
        "metadata": {"filepath": "/w/a.txt", "diff": diff}, "always": ["*"],
    }  # fmt: skip
    assert run(("permission.asked", told))[1][0].ask.detail == f"/w/a.txt\n{diff}"
    bare = {**told, "metadata": {}, "patterns": ["/etc/*", "/opt/*"]}
    assert run(("permission.asked", bare))[1][0].ask.detail == "/etc/*, /opt/*"


def test_a_question_is_told_with_its_choices():
    (sign,) = run(GIVEN, QUESTION)[1][1:]
    assert (sign.turn, sign.sub) == (Turn.WAITING, Sub.QUESTION)
    assert (sign.ask.key, sign.ask.detail) == (QUE, "Which db? (pg / my)\nWhy?")


@pytest.mark.parametrize(
    ("name", "sub"),
    [
        ("APIError", Sub.FAILED),
        ("ContextOverflowError", Sub.FULL),
        ("ProviderAuthError", Sub.LOGIN),
        ("MessageAbortedError", Sub.INTERRUPTED),
        ("SomethingNew", Sub.FAILED),
    ],
)
def test_the_end_of_a_turn_says_why_it_failed(name, sub):
    error = ("session.error", {"sessionID": SES, "name": name, "message": "prompt is too long"})
    _, found = run(GIVEN, BUSY, error, status("idle"), status("idle"))
    assert [(one.turn, one.sub) for one in found[2:]] == [(Turn.READY, sub)] * 2
    assert found[-1].text == "its turn ended: prompt is too long"


def test_a_failure_it_went_on_after_is_none():
    assert turns(GIVEN, BUSY, ERROR, BUSY, status("idle"))[-1] == READY
    assert turns(GIVEN, ERROR, status("idle"), GIVEN, status("idle"))[-1] == READY


@pytest.mark.parametrize(
    ("more", "turn", "sub"),
    [
        ({"next": (NOW + 4) * 1000}, Turn.WORKING, Sub.RETRYING),
        ({"next": (NOW + 4000) * 1000}, Turn.LIMITED, Sub.USAGE),
        ({"next": (NOW + 4) * 1000, "action": {"reason": "free_tier_limit"}},
         Turn.LIMITED, Sub.USAGE),
        ({}, Turn.WORKING, Sub.RETRYING),
    ],
)  # fmt: skip
def test_a_short_wait_is_work_and_a_long_one_is_a_limit(more, turn, sub):
    _, found = run(GIVEN, status("retry", attempt=2, message="quota exceeded", **more))
    assert (found[-1].turn, found[-1].sub) == (turn, sub)
    assert found[-1].text == "quota exceeded (attempt 2)"
    assert found[-1].until == (more["next"] / 1000 if turn is Turn.LIMITED else 0.0)


def test_a_session_that_works_for_another_ends_no_turn_but_may_ask():
    child = session(5, 0.1, one=SUB, parent=SES)
    known, found = run(
        session(10, 0.2), GIVEN, BUSY, child, said("[hive m-9] sub", "user", SUB),
        status("busy", SUB), tool("c", "running", SUB), asked(SUB), replied(SUB),
        said("sub done", one=SUB), status("idle", SUB),
    )  # fmt: skip
    told = [one.turn for one in found if one.turn]
    assert told == [Turn.WORKING, Turn.WORKING, Turn.WAITING, Turn.WORKING]
    assert {one.session for one in found} == {SES}
    assert [one.heard for one in found if one.heard] == [(7,)]
    assert [one.tokens for one in found if one.tokens] == [15]
    assert known.answer == ""


def test_a_person_is_followed_into_another_session():
    other = said("look here", "user", SUB)
    known, found = run(GIVEN, BUSY, other, status("idle", SES), status("idle", SUB))
    assert [one.session for one in found] == [SES, SES, SUB, SUB]
    assert known.session == SUB


def test_two_questions_wait_until_both_are_answered():
    found = turns(GIVEN, asked(), QUESTION, replied(), BUSY)
    assert found == [WORKING, (Turn.WAITING, Sub.APPROVAL), (Turn.WAITING, Sub.QUESTION)]
    answered = ("question.replied", {"sessionID": SES, "requestID": QUE, "answers": [["pg"]]})
    assert turns(GIVEN, asked(), QUESTION, replied(), answered)[-1] == WORKING


def test_a_turn_that_ends_leaves_nothing_asked_and_no_call_open():
    known, found = run(GIVEN, tool("c", "running"), asked(), status("idle"))
    assert (found[-1].over, found[-1].call) == ((PER,), 0)
    assert (known.asks, known.calls) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("events", "ready"),
    [
        ([("started", {"briefed": False, "sessionID": ""})], 1),
        ([("started", {"briefed": True, "sessionID": ""})], 0),
        ([("started", {"briefed": False, "sessionID": SES})] * 2, 1),
        ([("started", {"briefed": True, "sessionID": ""})] * 2, 0),
        ([("started", {"briefed": False, "sessionID": ""}), GIVEN, BUSY,
          ("started", {"briefed": False, "sessionID": ""})], 1),
    ],
)  # fmt: skip
def test_it_is_ready_once_it_has_started_unless_its_brief_comes_first(events, ready):
    assert turns(*events).count(READY) == ready


def test_totals_are_told_once_each():
    _, found = run(GIVEN, session(10, 0.1), session(10, 0.1), session(30, 0.3))
    assert [one.tokens for one in found[1:]] == [10, 30]


def test_sessions_that_name_one_another_as_parents_end():
    _, found = run(GIVEN, session(1, 0.0, SES, SUB), session(2, 0.0, SUB, SES))
    assert found[0].heard == (7,)


@pytest.mark.parametrize("event", ["server.connected", "", "session.diff"])
def test_what_is_not_known_says_nothing(event):
    assert run((event, {"sessionID": SES})) == (Heard(), [])


def test_an_event_that_stands_alone_is_translated():
    event, told = status("idle")
    assert [one.turn for one in signs(event, told, "1-a", NOW)] == [Turn.READY]
