"""How Claude Code is dressed, and what its hooks and its transcript amount to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core import asking, claude, resets
from hive.core.claude_transcript import Transcript
from hive.core.fill import fill
from hive.core.outfit import Order
from hive.core.profile import Brief, Consent, Profile, Session
from hive.core.signs import Source, Sub, Turn
from hive.core.voice import Server, Voice

PROFILE = Profile(
    name="claude",
    wiring="claude",
    records="claude",
    args=("--prompt-suggestions", "false"),
    prelude=("--append-system-prompt", "{prelude}"),
    permission={"ask": ("--permission-mode", "default"), "auto": ("--permission-mode", "auto")},
    brief=Brief(how="argv", args=("--", "{brief}")),
    session=Session(
        how="chosen", new=("--session-id", "{session}"), resume=("--resume", "{session}")
    ),
    consents=(Consent(name="folder", about="", by="claude"),),
)
HIVE = ("/opt/my hive/hive",)


def order(**more: Any) -> Order:
    voice = {"profile": PROFILE, "prelude": "You are web/dev.", "trust": True}
    voice |= more.pop("voice", {})
    fields = {
        "agent": "p/web/dev",
        "launch": "3-ab",
        "directory": "/src",
        "home": "/home/me",
        "folder": "/state/3-ab",
        "hive": HIVE,
        "voice": Voice(**voice),
        "session": "S-1",
        "brief": "-x {hive} [hive m-1]",
        "me": {"HIVE_AGENT": "p/web/dev", "HIVE_SEAL": "secret"},
    }
    return Order(**(fields | more))


def test_a_launch_has_hives_files_then_what_its_profile_says_then_its_brief():
    outfit = claude.wire(order())
    assert outfit.args == (
        *("--settings", "/state/3-ab/claude.json", "--mcp-config=/state/3-ab/claude-mcp.json"),
        *("--prompt-suggestions", "false", "--permission-mode", "default"),
        *("--session-id", "S-1", "--append-system-prompt", "You are web/dev."),
    )
    assert outfit.last == ("--", "-x {hive} [hive m-1]")
    assert outfit.env == {}


def test_a_launch_goes_on_with_its_conversation_and_may_have_nothing_to_say():
    outfit = claude.wire(order(resume=True, brief="", voice={"prelude": "", "permission": "auto"}))
    assert outfit.args[3:] == (
        *("--prompt-suggestions", "false", "--permission-mode", "auto", "--resume", "S-1"),
    )
    assert outfit.last == ()


def test_its_hooks_call_hive_and_an_approval_may_wait_for_a_day():
    settings = json.loads(claude.wire(order()).files["claude.json"])
    assert settings["hooks"]["PermissionRequest"] == [
        {
            "hooks": [
                {
                    "type": "command",
                    "command": "'/opt/my hive/hive' hook PermissionRequest",
                    "timeout": 86400,
                }
            ]
        }
    ]
    assert set(settings["hooks"]) >= {"UserPromptSubmit", "Stop", "StopFailure", "SessionStart"}
    assert settings["permissions"] == {
        "allow": ["Bash('/opt/my hive/hive' *)", "Bash(hive *)", "mcp__hive"],
        "additionalDirectories": ["/state/3-ab"],
    }


@pytest.mark.parametrize("trust", [True, False])
def test_only_with_consent_is_a_question_of_its_first_start_answered(trust):
    settings = json.loads(claude.wire(order(voice={"trust": trust})).files["claude.json"])
    assert ("tui" in settings) is trust


def test_secrets_stand_in_files_and_not_on_the_command_line():
    servers = (
        Server(name="db", command=("db-mcp", "--all"), env=(("PASSWORD", "hunter2"),)),
        Server(name="web", url="http://127.0.0.1:1/mcp", headers=(("Authorization", "t0ken"),)),
    )
    outfit = claude.wire(order(voice={"servers": servers}))
    words = " ".join((*outfit.args, *outfit.last))
    assert not [one for one in ("hunter2", "t0ken", "secret") if one in words]
    assert json.loads(outfit.files["claude-mcp.json"])["mcpServers"] == {
        "db": {
            "type": "stdio",
            "command": "db-mcp",
            "args": ["--all"],
            "env": {"PASSWORD": "hunter2"},
        },
        "web": {
            "type": "http",
            "url": "http://127.0.0.1:1/mcp",
            "headers": {"Authorization": "t0ken"},
        },
        "hive": {
            "type": "stdio",
            "command": "/opt/my hive/hive",
            "args": ["mcp"],
            "env": {"HIVE_AGENT": "p/web/dev", "HIVE_SEAL": "secret"},
        },
    }


@given(st.text())
def test_what_is_filled_in_is_not_filled_again(text):
    assert fill(("a{brief}b", "{other}"), order(brief=text)) == (f"a{text}b", "{other}")


# what its hooks tell; the payloads are those of version 2.1.197, shortened

COMMON = {"session_id": "S-1", "cwd": "/src", "prompt_id": "11-22-33", "permission_mode": "default"}
BASH = {"tool_name": "Bash", "tool_input": {"command": "touch a", "description": "d"}}
ASKS = {
    "tool_name": "AskUserQuestion",
    "tool_input": {
        "questions": [
            {"question": "Which db?", "options": [{"label": "staging"}, {"label": "prod"}]}
        ]
    },
}
FULL = {
    "error": "invalid_request",
    "error_details": '400 {"message":"prompt is too long: 250000 tokens > 200000 maximum"}',
    "last_assistant_message": "Prompt is too long",
}


def hook(event: str, **payload: Any):
    (sign,) = claude.signs(event, COMMON | {"hook_event_name": event} | payload, "3-ab", 100.0)
    assert (sign.launch, sign.source, sign.at) == ("3-ab", Source.HOOK, 100.0)
    return sign


@pytest.mark.parametrize(
    ("event", "payload", "expected"),
    [
        ("SessionStart", {"source": "startup"}, {"turn": None, "session": "S-1"}),
        (
            "UserPromptSubmit",
            {"prompt": "[hive m-7] Rebase [hive m-9]"},
            {"turn": Turn.WORKING, "heard": (7, 9), "worked": False, "session": "S-1"},
        ),
        ("PreToolUse", BASH, {"turn": Turn.WORKING, "worked": True, "call": 1}),
        ("PostToolUse", BASH, {"turn": Turn.WORKING, "worked": True, "call": 0}),
        ("PostToolUse", BASH | {"agent_id": "a1"}, {"turn": None, "worked": True, "call": None}),
        ("PermissionRequest", BASH, {"turn": Turn.WAITING, "sub": Sub.APPROVAL}),
        ("PermissionRequest", BASH | {"agent_id": "a1"}, {"turn": Turn.WAITING}),
        ("PermissionRequest", ASKS, {"turn": Turn.WAITING, "sub": Sub.QUESTION}),
        ("Notification", {"notification_type": "permission_prompt"}, {"turn": None}),
        ("Notification", {"notification_type": "idle_prompt"}, {"turn": Turn.READY}),
        (
            "Notification",
            {"notification_type": "elicitation_dialog"},
            {"turn": Turn.WAITING, "sub": Sub.QUESTION},
        ),
        ("Stop", {"last_assistant_message": "done"}, {"turn": Turn.READY, "answer": "done"}),
        ("SubagentStop", {"agent_id": "a1"}, {"turn": None, "worked": True, "answer": ""}),
        ("StopFailure", FULL, {"turn": Turn.WAITING, "sub": Sub.FULL}),
        ("StopFailure", FULL | {"agent_id": "a1"}, {"turn": None, "sub": ""}),
        ("StopFailure", {"error": "rate_limit"}, {"turn": Turn.LIMITED, "sub": Sub.USAGE}),
        (
            "StopFailure",
            {"error": "authentication_failed", "last_assistant_message": "Please run /login"},
            {"turn": Turn.WAITING, "sub": Sub.LOGIN, "text": "Please run /login"},
        ),
        ("StopFailure", {"error": "model_not_found"}, {"turn": Turn.WAITING, "sub": Sub.MODEL}),
        ("StopFailure", {"error": "server_error"}, {"turn": Turn.READY, "sub": Sub.FAILED}),
        ("PreCompact", {"trigger": "auto"}, {"turn": None, "worked": True}),
        ("SessionEnd", {"reason": "clear"}, {"turn": None}),
        ("SomethingNew", {}, {"turn": None, "worked": False}),
    ],
)
def test_a_hook_as_a_sign(event, payload, expected):
    sign = hook(event, **payload)
    assert {name: getattr(sign, name) for name in expected} == expected


def test_an_ask_is_over_with_its_call_and_only_with_its_own():
    ask = hook("PermissionRequest", **BASH).ask
    assert (ask.tool, ask.detail) == ("Bash", "touch a")
    after = BASH | {"tool_input": {"command": "touch a"}}  # without the description
    assert hook("PostToolUse", **after).over == (ask.key,)
    assert hook("PostToolUse", **after, prompt_id="44-55-66").over != (ask.key,)
    other = BASH | {"tool_input": {"command": "touch b"}}
    assert hook("PostToolUse", **other).over != (ask.key,)


def test_a_digest_tells_all_that_is_asked_however_long():
    long = "x" * 10_000
    asks = [asking.ask("Write", {"file_path": "/a", "content": long + end}, "t") for end in "ab"]
    assert asks[0].detail == asks[1].detail
    assert asks[0].digest != asks[1].digest
    assert asks[0].detail.startswith('/a {"content": "xxx')


@pytest.mark.parametrize(
    "payload", [{}, {"tool_input": "text"}, {"tool_input": None}, {"prompt": None}]
)
def test_a_hook_that_tells_nothing_known_raises_nothing(payload):
    for event in ("PermissionRequest", "PostToolUse", "UserPromptSubmit", "Stop", "StopFailure"):
        assert len(claude.signs(event, payload, "3-ab", 1.0)) == 1


@pytest.mark.parametrize(
    ("event", "allow", "text", "printed"),
    [
        ("PermissionRequest", None, "", None),
        ("PermissionRequest", True, "", {"behavior": "allow"}),
        ("PermissionRequest", False, "", {"behavior": "deny", "message": "A person has said no."}),
        ("PermissionRequest", False, "staging", {"behavior": "deny", "message": "staging"}),
    ],
)
def test_what_is_printed_for_an_approval(event, allow, text, printed):
    found = claude.reply(event, allow, text)
    told = {"hookEventName": "PermissionRequest", "decision": printed}
    assert found == ("" if printed is None else json.dumps({"hookSpecificOutput": told}))


def test_a_turn_ends_or_goes_on_with_a_text():
    assert claude.reply("Stop", None, "") == ""
    assert json.loads(claude.reply("Stop", None, "next")) == {"decision": "block", "reason": "next"}
    assert claude.reply("UserPromptSubmit", None, "next") == ""


# its transcript; the lines are those of version 2.1.197, shortened

BEGAN = datetime(2026, 11, 21, 17, 0, tzinfo=UTC).timestamp()


def line(kind: str, second: int, **more: Any) -> dict[str, Any]:
    at = datetime.fromtimestamp(BEGAN + second, UTC).isoformat().replace("+00:00", "Z")
    return {"type": kind, "timestamp": at, "isSidechain": False, "promptId": "P-1", **more}


def user(second: int, content: Any, **more: Any) -> dict[str, Any]:
    return line("user", second, message={"role": "user", "content": content}, **more)


def said(second: int, *parts: Any, number: str = "m1", tokens: int = 20) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": tokens, "cache_read_input_tokens": 0}
    message = {"id": number, "role": "assistant", "content": list(parts), "usage": usage}
    return line("assistant", second, message=message)


def error(second: int, kind: str, text: str) -> dict[str, Any]:
    message = {
        "id": "e",
        "model": "<synthetic>",
        "content": [{"type": "text", "text": text}],
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    return line("assistant", second, message=message, error=kind, isApiErrorMessage=True)


TEXT = {"type": "text", "text": "all done"}
CALL = {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "touch a"}}
RESULT = [{"type": "tool_result", "tool_use_id": "c1", "content": "[hive m-99] is no prompt"}]


def transcript() -> Transcript:
    return Transcript("3-ab", "S-1", BEGAN, UTC)


def test_a_turn_with_a_call_of_a_tool():
    story = transcript()
    given = story.add(user(1, "[hive m-4] do it"))
    assert (given.heard, given.worked, given.turn, given.at) == ((4,), False, None, BEGAN + 1)
    call = story.add(said(2, CALL))
    assert (call.call, call.worked, call.tokens) == (1, True, 1020)
    assert [one.detail for one in story.open.values()] == ["touch a"]
    result = story.add(user(3, RESULT))
    assert (result.call, result.worked, result.heard) == (0, True, ())
    ask = claude.signs("PermissionRequest", BASH | {"prompt_id": "P-1"}, "3-ab", 2.0)[0].ask
    assert result.over == (ask.key,)
    assert story.add(said(4, TEXT, number="m2", tokens=30)).tokens == 2050
    assert story.answer == "all done"


def test_a_message_with_several_lines_counts_once():
    story = transcript()
    story.add(said(1, TEXT, tokens=10))
    assert story.add(said(2, CALL, tokens=25)).tokens == 1025


@pytest.mark.parametrize(
    ("entry", "heard"),
    [
        (user(1, [{"type": "text", "text": "[hive m-4]"}]), (4,)),
        (user(1, "This session is being continued: [hive m-4]", isCompactSummary=True), None),
        (user(1, "Stop hook feedback:\n[hive m-6] go on", isMeta=True), (6,)),
        (
            line("attachment", 1, attachment={"type": "queued_command", "prompt": "[hive m-5]"}),
            (5,),
        ),
        (line("attachment", 1, attachment={"type": "task_reminder", "content": []}), None),
        ({"type": "queue-operation", "operation": "enqueue", "content": "[hive m-5]"}, None),
        ({"type": "last-prompt", "lastPrompt": "[hive m-5]"}, None),
        (user(-9, "[hive m-4] of an earlier launch"), (4,)),
        (user(-9, "of an earlier launch"), None),
    ],
)
def test_what_was_given_is_heard(entry, heard):
    sign = transcript().add(entry)
    assert (sign.heard if sign else None) == heard


def test_a_text_that_a_hook_hands_over_has_the_turn_go_on():
    sign = transcript().add(user(1, "Stop hook feedback:\n[hive m-6] go on", isMeta=True))
    assert sign.turn is Turn.WORKING


def test_an_earlier_launch_leaves_no_turn_no_work_and_no_open_call():
    story = transcript()
    story.add(user(-9, "[hive m-1]"))
    assert story.add(said(-8, CALL)) is None
    assert story.add(error(-7, "rate_limit", "limit")) is None
    assert (story.open, story.trouble, story.answer) == ({}, None, "")
    assert story.add(said(1, TEXT, number="m2")).tokens == 2040


@pytest.mark.parametrize(
    ("kind", "text", "turn", "sub", "until"),
    [
        ("rate_limit", "API Error: Request rejected (429)", Turn.LIMITED, Sub.USAGE, 0.0),
        (
            "rate_limit",
            "You've hit your session limit · resets 8pm",
            Turn.LIMITED,
            Sub.USAGE,
            BEGAN + 3 * 3600,
        ),
        ("authentication_failed", "Please run /login", Turn.WAITING, Sub.LOGIN, 0.0),
        ("model_not_found", "There's an issue with", Turn.WAITING, Sub.MODEL, 0.0),
        ("invalid_request", "Prompt is too long", Turn.WAITING, Sub.FULL, 0.0),
        ("server_error", "API Error: 529", Turn.READY, Sub.FAILED, 0.0),
    ],
)
def test_an_error_ends_a_turn_until_the_next_prompt(kind, text, turn, sub, until):
    story = transcript()
    story.add(user(1, "go"))
    story.add(error(2, kind, text))
    trouble = story.trouble
    assert (trouble.turn, trouble.sub, trouble.text, trouble.until) == (turn, sub, text, until)
    story.add(user(3, "go on"))
    assert story.trouble is None


def test_an_interruption_is_no_answer():
    story = transcript()
    story.add(said(1, CALL))
    story.add(user(2, [{"type": "text", "text": "[Request interrupted by user for tool use]"}]))
    assert (story.trouble.turn, story.trouble.sub) == (Turn.READY, Sub.INTERRUPTED)
    assert story.open == {}


@pytest.mark.parametrize(
    "entry", [{}, {"type": "user", "timestamp": "never"}, {"type": "assistant"}]
)
def test_a_line_without_a_time_is_said_to_be_unreadable(entry):
    if entry:
        with pytest.raises(ValueError, match="isoformat"):
            transcript().add(entry)
    else:
        assert transcript().add(entry) is None


# when a limit ends

NOW = datetime(2026, 11, 21, 17, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("You've hit your limit · resets 8pm", "2026-11-21T20:00+00:00"),
        ("You've hit your session limit · resets 8:30pm (UTC)", "2026-11-21T20:30+00:00"),
        ("You've hit your limit · resets 5pm", "2026-11-22T17:00+00:00"),
        ("resets 12am", "2026-11-22T00:00+00:00"),
        ("resets 12pm", "2026-11-22T12:00+00:00"),
        ("You've hit your weekly limit · resets Nov 24 at 3pm", "2026-11-24T15:00+00:00"),
        ("resets Nov 24, 3pm", "2026-11-24T15:00+00:00"),
        ("resets Jan 2, 9:15am", "2027-01-02T09:15+00:00"),
        ("Claude AI usage limit reached|1795300000", "2026-11-21T22:26:40+00:00"),
        ("You've hit your usage limit. Try again at 8:05 PM.", "2026-11-21T20:05+00:00"),
        ("or try again at Nov 24th, 2026 3:05 PM.", "2026-11-24T15:05+00:00"),
        ("try again in 3 days 4 hours 5 minutes.", "2026-11-24T21:35+00:00"),
        ("Please try again in 90s", "2026-11-21T17:31:30+00:00"),
        ("resets at 20:00", "2026-11-21T20:00+00:00"),
    ],
)
def test_when_a_limit_ends(text, moment):
    assert resets.until(text, NOW, UTC) == datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize(
    "text", ["", "please retry later", "resets soon", "resets 8", "resets Foo 3 at 5pm", "25:99pm"]
)
def test_a_text_that_tells_no_end(text):
    assert resets.until(text, NOW, UTC) == 0.0


def test_a_time_of_day_is_in_the_programs_zone():
    there = timezone(timedelta(hours=-8))
    told = resets.until("resets 8pm", NOW, there)
    assert datetime.fromtimestamp(told, there).hour == 20
    assert NOW < told <= NOW + 86400


@given(st.text(alphabet="resets tryagain in at 0123456789:apm,NovJand|"))
def test_no_text_raises(text):
    assert resets.until(f"resets {text}", NOW, UTC) >= 0.0
