"""How aider is dressed, and what its input history says: a real one."""

from __future__ import annotations

import subprocess

import pytest

from hive.core.aider import (
    BACK,
    HISTORY,
    MESSAGE,
    PRELUDE,
    TALK,
    back,
    given,
    reply,
    said,
    signs,
    wire,
)
from hive.core.outfit import Order
from hive.core.profile import Consent, Profile
from hive.core.signs import Source, Turn
from hive.core.voice import Voice

NOW = 1_795_282_983.5

PROFILE = Profile(
    name="aider",
    wiring="aider",
    args=("--no-check-update",),
    prelude=("--read", "{folder}/prelude.md"),
    permission={"auto": ("--yes-always",)},
    consents=(Consent(name="x", about="", by="args", args=("--no-gitignore",)),),
)


def order(folder="/f/1-a", **voice):
    known = {"profile": PROFILE, "prelude": "You are one of a team."} | voice
    return Order(
        agent="p/t/dev", launch="1-a", directory="/w", home="/h", folder=folder,
        hive=("/opt/hive",), brief="[hive m-1] begin", voice=Voice(**known),
    )  # fmt: skip


def test_a_launch_is_dressed_by_arguments():
    outfit = wire(order(permission="auto", trust=True))
    assert outfit.args == (
        "--notifications", "--notifications-command", f": >/f/1-a/{BACK}",
        "--read", f"/f/1-a/{MESSAGE}",
        "--no-check-update", "--no-gitignore", "--yes-always", "--read", "/f/1-a/prelude.md",
    )  # fmt: skip
    assert outfit.last == ()
    assert outfit.env == {
        "AIDER_INPUT_HISTORY_FILE": f"/f/1-a/{HISTORY}",
        "AIDER_LLM_HISTORY_FILE": f"/f/1-a/{TALK}",
    }
    assert outfit.files == {MESSAGE: "", PRELUDE: "You are one of a team.\n"}
    assert wire(order(prelude="")).files == {MESSAGE: ""}
    assert wire(order(prelude="")).args.count("--read") == 1


def test_its_command_touches_a_file(tmp_path):
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    command = wire(order(str(folder))).args[2]
    for _ in range(2):
        subprocess.run(["sh", "-c", command], check=True)
    assert (folder / BACK).read_bytes() == b""


LINES = """
# 2026-11-21 17:43:02.579098
+[hive m-1] FAKE:text all done

# 2026-11-21 17:43:04.988539
+n

# 2026-11-21 17:43:07.320984
+line one
+line two [hive m-5]

# 2026-11-21 17:43:09.000000
+/tokens
"""


def test_the_history_says_what_was_typed():
    found = given(LINES, "1-a", NOW)
    assert [(one.turn, one.heard) for one in found] == [
        (Turn.WORKING, (1,)), (None, ()), (Turn.WORKING, (5,)), (None, ()),
    ]  # fmt: skip
    assert {(one.launch, one.at, one.source) for one in found} == {("1-a", NOW, Source.RECORDS)}


@pytest.mark.parametrize("line", ["y", "N", "yes", "d", "all", "/add x.py", "!ls"])
def test_an_answer_or_a_command_begins_no_turn(line):
    (sign,) = given(f"\n# 2026-11-21 17:43:02.5\n+{line}\n", "1-a", NOW)
    assert sign.turn is None


@pytest.mark.parametrize("line", ["yes, do it", "now", "nothing", "d x", "+1"])
def test_everything_else_is_a_prompt(line):
    (sign,) = given(f"\n# 2026-11-21 17:43:02.5\n+{line}\n", "1-a", NOW)
    assert sign.turn is Turn.WORKING


def test_nothing_typed_says_nothing():
    assert given("", "1-a", NOW) == ()
    assert given("\n# 2026-11-21 17:43:02.579098\n", "1-a", NOW) == ()


def test_back_at_its_prompt_it_is_ready():
    assert (back("1-a", NOW).turn, back("1-a", NOW).at) == (Turn.READY, NOW)


def test_it_has_no_hooks():
    assert signs("Stop", {}, "1-a", NOW) == ()
    assert reply("Stop", None, "go on") == ""


TALKED = """\
TO LLM 2026-11-21T17:43:02
-------
USER [hive m-1] begin
LLM RESPONSE 2026-11-21T17:43:03
ASSISTANT first
TO LLM 2026-11-21T17:43:04
-------
ASSISTANT first
USER [hive m-2] more
LLM RESPONSE 2026-11-21T17:43:05
ASSISTANT It is done:
ASSISTANT
ASSISTANT     indented
""".replace("ASSISTANT\n", "ASSISTANT \n")


@pytest.mark.parametrize(
    ("talk", "answer"),
    [
        pytest.param(TALKED, "It is done:\n\n    indented", id="the latest of two"),
        pytest.param(TALKED[:90], "", id="none yet"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_its_answer_is_read_from_its_talk_with_the_model(talk, answer):
    assert said(talk) == answer
