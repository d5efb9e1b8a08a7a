"""How Gemini CLI is dressed, and what the record of its chat says: real lines, shortened."""

from __future__ import annotations

import shlex
import tomllib

import pytest

from hive.core.gemini import POLICY, entry, reply, signs, wire
from hive.core.outfit import Order
from hive.core.profile import Brief, Consent, Profile, Session
from hive.core.signs import Source
from hive.core.voice import Voice

PROFILE = Profile(
    name="gemini",
    wiring="gemini",
    args=("--policy", "{folder}/policy.toml"),
    permission={"edits": ("--approval-mode", "auto_edit")},
    brief=Brief(how="argv", args=("--prompt-interactive", "{brief}")),
    session=Session(how="chosen", new=("--session-id", "{session}"), resume=("-r", "{session}")),
    consents=(Consent(name="trust", about="", by="args", args=("--skip-trust",)),),
)


def order(*, voice=None, **more):
    fields = {
        "agent": "p/t/dev", "launch": "1-a", "directory": "/w", "home": "/h", "folder": "/f/1-a",
        "hive": ("/opt/hive",), "session": "5a0e5f7a-3bc4",
    }  # fmt: skip
    known = {"profile": PROFILE, "prelude": "You are one of a team."} | (voice or {})
    return Order(voice=Voice(**known), **(fields | more))


def test_a_launch_is_dressed_by_arguments_and_a_policy():
    voice = {"permission": "edits", "trust": True}
    outfit = wire(order(voice=voice, brief="[hive m-1] begin {hive}"))
    assert outfit.args == (
        "--policy", "/f/1-a/policy.toml", "--skip-trust", "--approval-mode", "auto_edit",
        "--session-id", "5a0e5f7a-3bc4",
    )  # fmt: skip
    assert outfit.last == (
        "--prompt-interactive",
        "[hive m-1] begin {hive}\n\nYou are one of a team.",
    )
    assert outfit.env == {}


@pytest.mark.parametrize("hive", [("/opt/hive",), ("/a b/python3", "-m", "hive"), ('/q"\\',)])
def test_its_policy_allows_hives_command_alone(hive):
    rules = tomllib.loads(wire(order(hive=hive)).files[POLICY])["rule"]
    said = [tuple(shlex.split(rule.pop("commandPrefix"))) for rule in rules]
    assert said == [hive] if len(hive) > 1 else [hive, (hive[0][1:].removeprefix("opt/"),)]
    known = {"toolName": "run_shell_command", "decision": "allow", "priority": 500}
    assert rules == [known] * len(said)


def test_what_goes_on_needs_no_instructions_again():
    outfit = wire(order(resume=True))
    assert outfit.args[-2:] == ("-r", "5a0e5f7a-3bc4")
    assert outfit.last == ()
    assert wire(order(voice={"prelude": ""}, brief="x")).last[1] == "x"


def test_it_has_no_hooks():
    assert signs("AfterAgent", {"prompt_response": "done"}, "1-a", 1.0) == ()
    assert reply("BeforeTool", True, "") == ""


AT = "2026-11-21T17:38:54.927Z"
EPOCH = 1_795_282_734.927
TOKENS = {"input": 1000, "output": 20, "cached": 0, "thoughts": 0, "tool": 0, "total": 1020}
RESULT = {"functionResponse": {"id": "run_1", "name": "run_shell_command", "response": {}}}


@pytest.mark.parametrize(
    ("line", "heard", "worked", "answer", "tokens", "text"),
    [
        ({"type": "user", "content": [{"text": "[hive m-1] FAKE:sh echo hi"}]},
         (1,), False, "", 0, "it was given a prompt"),
        ({"type": "user", "content": [RESULT]}, (), True, "", 0, ""),
        ({"type": "gemini", "content": "", "thoughts": [], "tokens": TOKENS},
         (), True, "", 1020, "it has answered"),
        ({"type": "gemini", "content": "all done", "tokens": TOKENS},
         (), True, "all done", 1020, "it has answered"),
        ({"type": "gemini", "content": [{"text": "all done "}], "tokens": None},
         (), True, "all done ", 0, "it has answered"),
        ({"type": "error", "content": "[API Error: quota exceeded]"},
         (), False, "", 0, "[API Error: quota exceeded]"),
    ],
)  # fmt: skip
def test_a_line_of_the_record_is_a_sign(line, heard, worked, answer, tokens, text):
    found = entry({"id": "780e69fd", "timestamp": AT, **line}, "1-a")
    sign = found.sign
    assert (sign.launch, sign.source, sign.turn) == ("1-a", Source.RECORDS, None)
    assert (sign.heard, sign.worked, sign.answer, sign.text) == (heard, worked, answer, text)
    assert sign.at == pytest.approx(EPOCH)
    assert (found.id, found.tokens) == ("780e69fd", tokens)


@pytest.mark.parametrize(
    "line",
    [
        {"sessionId": "cdd9a0fd-1905", "startTime": AT, "lastUpdated": AT, "kind": "main"},
        {"$set": {"lastUpdated": AT}},
        {"$set": {"messages": [{"type": "user", "content": [{"text": "[hive m-1] old"}]}]}},
        {"id": "1", "timestamp": AT, "type": "info", "content": "Request cancelled."},
    ],
)
def test_what_says_nothing_new_is_left_out(line):
    assert entry(line, "1-a") is None


def test_a_line_without_a_time_is_refused():
    with pytest.raises(ValueError, match="isoformat"):
        entry({"type": "user", "content": "x"}, "1-a")
