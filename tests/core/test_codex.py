"""How Codex is dressed, and what its hooks and its rollout amount to."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core import codex, toml_args
from hive.core.codex_rollout import Rollout, failure
from hive.core.outfit import Order
from hive.core.profile import Brief, Profile, Session
from hive.core.signs import Source, Sub, Turn
from hive.core.voice import Server, Voice

PROFILE = Profile(
    name="codex",
    wiring="codex",
    records="codex",
    args=("--no-daemon",),
    permission={"ask": ("-s", "read-only"), "edits": ("--add-dir", "{folder}")},
    brief=Brief(how="argv", args=("--", "{brief}")),
    session=Session(how="discovered", resume=("resume", "{session}")),
)
HIVE = ("/opt/my hive/hive",)
HASHES = {"/<session-flags>/config.toml:stop:0:0": "sha256:ab"}


def order(**more: Any) -> Order:
    voice = {"profile": PROFILE, "prelude": 'You are "web/dev".\nReport.', "found": HASHES}
    voice |= more.pop("voice", {})
    fields = {
        "agent": "p/web/dev",
        "launch": "3-ab",
        "directory": '/src "x"',
        "home": "/home/me",
        "folder": "/state/3-ab",
        "hive": HIVE,
        "voice": Voice(**voice),
        "brief": "-x [hive m-1]",
        "me": {"HIVE_SEAL": "it's secret"},
    }
    return Order(**(fields | more))


def settings(args: tuple[str, ...]) -> dict[str, Any]:
    """Read the `-c` arguments as Codex does: a dotted key, and TOML behind it."""
    found: dict[str, Any] = {}
    for word, value in pairwise(args):
        if word == "-c":
            key, _, text = value.partition("=")
            found[key] = tomllib.loads(f"x={text}")["x"]
    return found


def test_a_launch_has_trusted_hooks_instructions_and_its_brief_last():
    outfit = codex.wire(order())
    found = settings(outfit.args)
    assert found["developer_instructions"] == 'You are "web/dev".\nReport.'
    assert found["hooks.state"] == {next(iter(HASHES)): {"trusted_hash": "sha256:ab"}}
    hook = found["hooks.PermissionRequest"][0]["hooks"][0]
    assert hook == {
        "type": "command",
        "command": "'/opt/my hive/hive' hook PermissionRequest",
        "timeout": 86400,
    }
    assert "notify" not in found and "projects" not in found
    assert outfit.args[-3:] == ("--no-daemon", "-s", "read-only")
    assert outfit.last == ("--", "-x [hive m-1]")


def test_what_its_hooks_trust_depends_on_is_the_same_at_every_launch():
    one, two = (codex.wire(order(launch=name, folder=name, brief="")) for name in ("1-a", "2-b"))
    hooks = codex.hooks(HIVE)
    assert one.args[: len(hooks)] == two.args[: len(hooks)] == hooks


def test_without_hashes_it_only_tells_when_a_turn_is_over():
    found = settings(codex.wire(order(voice={"found": {}})).args)
    assert found["notify"] == [*HIVE, "hook", "notify"]
    assert not [key for key in found if key.startswith("hooks")]


def test_it_goes_on_with_its_conversation_behind_all_else():
    outfit = codex.wire(order(session="S-1", resume=True, brief="", voice={"permission": "edits"}))
    assert outfit.args[-4:] == ("--add-dir", "/state/3-ab", "resume", "S-1")
    assert outfit.last == ()


def test_with_consent_its_directory_is_trusted_whatever_its_name():
    found = settings(codex.wire(order(voice={"trust": True})).args)
    assert found["projects"] == {'/src "x"': {"trust_level": "trusted"}}


def test_secrets_stand_in_files_and_variables_and_not_on_the_command_line():
    servers = (
        Server(name="db", command=("db-mcp", "a b"), env=(("PASSWORD", "hunter'2"),)),
        Server(name="my-web", url="http://127.0.0.1:1/mcp", headers=(("Authorization", "t0ken"),)),
        Server(name="open", url="http://127.0.0.1:2/mcp"),
    )
    outfit = codex.wire(order(voice={"servers": servers}))
    words = " ".join((*outfit.args, *outfit.last))
    assert not [one for one in ("hunter", "t0ken", "secret") if one in words]
    found = settings(outfit.args)
    assert found["mcp_servers.db"] == {"command": "/bin/sh", "args": ["/state/3-ab/mcp-db.sh"]}
    db = ["""export PASSWORD='hunter'"'"'2'""", "exec db-mcp 'a b'", ""]
    assert outfit.files["mcp-db.sh"].splitlines() == db[:2]
    hive = ["""export HIVE_SEAL='it'"'"'s secret'""", "exec '/opt/my hive/hive' mcp"]
    assert outfit.files["mcp-hive.sh"].splitlines() == hive
    assert found["mcp_servers.hive"]["default_tools_approval_mode"] == "approve"
    assert found["mcp_servers.my-web"] == {
        "url": "http://127.0.0.1:1/mcp",
        "env_http_headers": {"Authorization": "HIVE_MCP_MY_WEB_0"},
    }
    assert outfit.env == {"HIVE_MCP_MY_WEB_0": "t0ken"}
    assert found["mcp_servers.open"] == {"url": "http://127.0.0.1:2/mcp"}


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('ab"\\.é\n'), inner),
    max_leaves=8,
)


@given(VALUES)
def test_a_value_is_read_back_as_it_was(value):
    text = toml_args.text(value)
    assert tomllib.loads(f"x = {text}")["x"] == value
    assert "\n" not in text and "\0" not in text


def test_half_a_character_is_replaced_and_an_unknown_kind_refused():
    assert toml_args.text("a\ud800") == '"a\ufffd"'
    with pytest.raises(TypeError, match="NoneType"):
        toml_args.text(None)


# what its hooks tell; the payloads are those of version 0.169.0, shortened

COMMON = {"session_id": "S-1", "turn_id": "T-1", "cwd": "/src", "model": "gpt-5"}
BASH = {"tool_name": "Bash", "tool_input": {"command": "touch a"}, "tool_use_id": "call_1"}
ASKED = {"tool_name": "Bash", "tool_input": {"command": "touch a", "description": "I need it"}}


def hook(event: str, **payload: Any):
    (sign,) = codex.signs(event, COMMON | {"hook_event_name": event} | payload, "3-ab", 100.0)
    assert (sign.launch, sign.source, sign.at) == ("3-ab", Source.HOOK, 100.0)
    return sign


@pytest.mark.parametrize(
    ("event", "payload", "expected"),
    [
        ("SessionStart", {"source": "startup"}, {"turn": None, "session": "S-1"}),
        ("SessionStart", {"source": "compact"}, {"turn": None, "session": "S-1"}),
        (
            "UserPromptSubmit",
            {"prompt": "[hive m-7] Rebase"},
            {"turn": Turn.WORKING, "heard": (7,), "worked": False},
        ),
        ("PreToolUse", BASH, {"turn": Turn.WORKING, "worked": True, "call": 1}),
        ("PostToolUse", BASH, {"turn": Turn.WORKING, "worked": True, "call": 0}),
        ("PermissionRequest", ASKED, {"turn": Turn.WAITING, "sub": Sub.APPROVAL}),
        ("Stop", {"last_assistant_message": "hi "}, {"turn": Turn.READY, "answer": "hi "}),
        ("Interrupt", {}, {"turn": Turn.READY, "sub": Sub.INTERRUPTED}),
        ("Stop", {"agent_id": "a"}, {"turn": None, "session": "", "worked": True}),
        ("SomethingNew", {}, {"turn": None, "worked": False}),
    ],
)
def test_a_hook_as_a_sign(event, payload, expected):
    sign = hook(event, **payload)
    assert {name: getattr(sign, name) for name in expected} == expected


def notified(*prompts: str):
    payload = {
        "type": "agent-turn-complete",
        "thread-id": "S-1",
        "turn-id": "T-1",
        "input-messages": list(prompts),
        "last-assistant-message": "hi ",
    }
    return codex.signs("notify", payload, "3-ab", 100.0)


def test_the_end_of_a_turn_is_told_without_hooks_too():
    (sign,) = notified("[hive m-2] do it", "[hive m-3] and that")
    assert (sign.turn, sign.session, sign.answer) == (Turn.READY, "S-1", "hi ")
    assert sign.heard == (2, 3)


def test_a_title_that_it_makes_up_is_no_turn():
    title = "Generate a concise, single-line task title of at most 60 characters: [hive m-2]"
    assert notified(title) == ()


@pytest.mark.parametrize(
    ("event", "allow", "text", "decision"),
    [
        ("PermissionRequest", True, "", {"behavior": "allow"}),
        ("PermissionRequest", False, "", {"behavior": "deny", "message": "A person has said no."}),
        ("PermissionRequest", False, "staging", {"behavior": "deny", "message": "staging"}),
    ],
)
def test_what_is_printed_for_an_approval(event, allow, text, decision):
    found = json.loads(codex.reply(event, allow, text))["hookSpecificOutput"]
    assert found == {"hookEventName": event, "decision": decision}


def test_nothing_is_printed_where_nothing_is_decided():
    assert codex.reply("PermissionRequest", None, "") == ""
    assert codex.reply("Stop", None, "") == ""
    assert json.loads(codex.reply("Stop", None, "next")) == {"decision": "block", "reason": "next"}


def test_only_hives_own_hooks_are_trusted():
    ours = {
        "key": "k1",
        "currentHash": "h1",
        "source": "sessionFlags",
        "command": "'/opt/my hive/hive' hook Stop",
    }
    listed = [
        ours,
        ours | {"key": "k2", "source": "user"},
        ours | {"key": "k3", "command": "/evil/hive hook Stop"},
        ours | {"key": "k4", "command": f"{ours['command']} && evil"},
    ]
    assert codex.ours(listed, HIVE) == {"k1": "h1"}


# its rollout; the lines are those of version 0.169.0, shortened

BEGAN = datetime(2026, 11, 21, 17, 0, tzinfo=UTC).timestamp()


def line(kind: str, second: int, **payload: Any) -> dict[str, Any]:
    at = datetime.fromtimestamp(BEGAN + second, UTC).isoformat().replace("+00:00", "Z")
    return {"timestamp": at, "ordinal": 0, "type": kind, "payload": payload}


def event(second: int, kind: str, **more: Any) -> dict[str, Any]:
    return line("event_msg", second, type=kind, **more)


def given_text(second: int, text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return line("response_item", second, type="message", role="user", content=content)


def call(second: int, name: str, number: str = "c1", **more: Any) -> dict[str, Any]:
    fields = {"type": "function_call", "name": name, "call_id": number} | more
    return line("response_item", second, **fields)


def result(second: int, number: str = "c1") -> dict[str, Any]:
    return line("response_item", second, type="function_call_output", call_id=number, output="")


def rollout() -> Rollout:
    return Rollout("3-ab", "S-1", BEGAN, UTC)


def test_a_turn_with_a_call_that_was_asked_for():
    story = rollout()
    begun = story.add(event(1, "task_started", turn_id="T-1"))
    assert (begun.turn, begun.session, begun.at) == (Turn.WORKING, "S-1", BEGAN + 1)
    heard = story.add(given_text(2, "[hive m-4] do it"))
    assert (heard.heard, heard.turn, heard.worked) == ((4,), None, False)
    made = story.add(call(3, "exec_command", arguments='{"cmd": "touch a", "justification": "x"}'))
    assert (made.call, made.worked, made.turn) == (1, True, None)
    ask = hook("PermissionRequest", **ASKED).ask
    assert ask.detail == "touch a"
    over = story.add(result(4))
    assert (over.call, over.turn, over.over) == (0, Turn.WORKING, (ask.key,))
    assert hook("PostToolUse", **BASH).over == (ask.key,)
    total = {"total_token_usage": {"total_tokens": 2040}}
    assert story.add(event(5, "token_count", info=total)).tokens == 2040
    ended = story.add(event(6, "task_complete", last_agent_message="hi "))
    assert (ended.turn, ended.sub, ended.answer, ended.call) == (Turn.READY, "", "hi ", 0)


@pytest.mark.parametrize(
    ("made", "tool"),
    [
        (
            {"name": "task_done", "namespace": "mcp__hive", "arguments": '{"id": "T1"}'},
            {"tool_name": "mcp__hive__task_done", "tool_input": {"id": "T1"}},
        ),
        ({"name": "shell", "arguments": '{"command": "touch a"}'}, ASKED),
        (
            {"name": "apply_patch", "type": "custom_tool_call", "input": "*** Begin"},
            {"tool_name": "apply_patch", "tool_input": {"command": "*** Begin"}},
        ),
    ],
)
def test_a_call_is_named_as_its_hook_names_it(made, tool):
    story = rollout()
    story.add(event(1, "task_started", turn_id="T-1"))
    story.add(call(2, **made))
    kind = made.get("type", "function_call") + "_output"
    over = story.add(line("response_item", 3, type=kind, call_id="c1"))
    assert over.over == (hook("PermissionRequest", **tool).ask.key,)


@pytest.mark.parametrize("arguments", ["not json", "[]", '"text"'])
def test_a_call_that_can_not_be_read_is_counted(arguments):
    story = rollout()
    assert story.add(call(1, "strange", arguments=arguments)).call == 1
    assert story.add(result(2)).call == 0


CONTEXT = "Codex ran out of room in the model's context window."
RETRIED = "exceeded retry limit, last status: 429 Too Many Requests"
FAILED = {"response_too_many_failed_attempts": {"http_status_code": 429}}


@pytest.mark.parametrize(
    ("kind", "text", "turn", "sub"),
    [
        ("context_window_exceeded", CONTEXT, Turn.WAITING, Sub.FULL),
        (FAILED, RETRIED, Turn.LIMITED, Sub.USAGE),
        ("usage_limit_exceeded", "You've hit your usage limit.", Turn.LIMITED, Sub.USAGE),
        ("unauthorized", "", Turn.WAITING, Sub.LOGIN),
        ("other", "unexpected status 401 Unauthorized", Turn.WAITING, Sub.LOGIN),
        ({"http_connection_failed": {"http_status_code": 401}}, "", Turn.WAITING, Sub.LOGIN),
        ("other", "The model `x` does not exist", Turn.WAITING, Sub.MODEL),
        ("other", "fake 400", Turn.READY, Sub.FAILED),
        (None, "", Turn.READY, Sub.FAILED),
    ],
)
def test_a_turn_that_ends_in_an_error(kind, text, turn, sub):
    assert failure(kind, text) == (turn, sub)
    error = {"message": text, "codex_error_info": kind}
    sign = rollout().add(event(1, "task_complete", last_agent_message=None, error=error))
    assert (sign.turn, sign.sub, sign.text) == (turn, sub, text)


@pytest.mark.parametrize(
    ("text", "limits", "until"),
    [
        ("try again in 2 hours.", None, BEGAN + 9 + 7200),
        ("try again at 8:05 PM.", None, BEGAN + 3 * 3600 + 300),
        (
            "You've hit your usage limit.",
            {
                "primary": {"used_percent": 100.0, "resets_at": 1795300000},
                "secondary": {"used_percent": 30.0, "resets_at": 1795900000},
            },
            1795300000.0,
        ),
        ("You've hit your usage limit.", {"primary": None, "secondary": None}, 0.0),
    ],
)
def test_when_a_usage_limit_ends(text, limits, until):
    story = rollout()
    story.add(event(1, "token_count", info=None, rate_limits=limits))
    error = {"message": text, "codex_error_info": "usage_limit_exceeded"}
    sign = story.add(event(9, "task_complete", error=error))
    assert (sign.turn, sign.until) == (Turn.LIMITED, until)


def test_an_interrupted_turn():
    sign = rollout().add(event(1, "turn_aborted", reason="interrupted"))
    assert (sign.turn, sign.sub) == (Turn.READY, Sub.INTERRUPTED)


def test_a_text_that_a_hook_hands_over_has_the_turn_go_on():
    text = '<hook_prompt hook_run_id="stop:6">[hive m-6] go on</hook_prompt>'
    sign = rollout().add(given_text(1, text))
    assert (sign.heard, sign.turn) == ((6,), Turn.WORKING)


def test_an_earlier_launch_leaves_what_was_heard_and_no_turn():
    story = rollout()
    assert story.add(event(-9, "task_started", turn_id="T-0")) is None
    assert story.add(given_text(-8, "[hive m-1]")).heard == (1,)
    assert story.add(given_text(-8, "[hive m-1]")).turn is None
    assert story.add(call(-7, "exec_command", arguments="{}")) is None
    assert story.add(call(1, "exec_command", arguments="{}", number="c2")).call == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "session_meta"},
        line("session_meta", 1, id="S-1"),
        line("compacted", 1, message="[hive m-3]"),
        line("event_msg", 1, type="item_completed"),
        line(
            "response_item", 1, type="message", role="developer", content=[{"text": "[hive m-3]"}]
        ),
    ],
)
def test_what_tells_nothing(entry):
    assert rollout().add(entry) is None
