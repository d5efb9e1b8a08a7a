"""Captures made by ourselves of the real programs, 120 and 80 columns wide, and what they say.

A capture's first row is `expect: TURN/SUB draft=DRAFT`; `none` stands for nothing known.
"""

from __future__ import annotations

import ast
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core import profile as profiles
from hive.core.profile import Profile, Screen, Title
from hive.core.screens import Look, masked, read, title
from hive.core.signs import Sub, Turn
from tests.conftest import ROOT

CAPTURES = sorted((ROOT / "tests" / "captures").glob("*/*.txt"))


def load(name):
    file = ROOT / "hive" / "profiles" / f"{name}.toml"
    return profiles.from_dict({"name": name, **tomllib.loads(file.read_text("utf-8"))})


def rows(path):
    return path.read_text("utf-8").split("\n")[1:]


def expected(path):
    told = path.read_text("utf-8").split("\n", 1)[0].removeprefix("expect: ")
    what, draft = told.split(" draft=", 1)
    turn, _, sub = what.partition("/")
    return (
        None if turn == "none" else Turn(turn),
        sub,
        None if draft == "none" else ast.literal_eval(draft),
    )


@pytest.mark.parametrize("path", CAPTURES, ids=lambda one: f"{one.parent.name}/{one.stem}")
def test_what_a_real_screen_says(path):
    look = read(rows(path), load(path.parent.name))
    assert (look.turn, look.sub, look.draft) == expected(path), look.text


@pytest.mark.parametrize("path", CAPTURES, ids=lambda one: f"{one.parent.name}/{one.stem}")
def test_no_screen_that_asks_looks_ready_when_a_row_is_lost(path):
    """A screen can be caught while it is drawn: that may cost a delay, and nothing else."""
    if expected(path)[1] not in {Sub.APPROVAL, Sub.QUESTION, Sub.DIALOG}:
        return
    profile, shown = load(path.parent.name), rows(path)
    for number in range(len(shown)):
        look = read([*shown[:number], *shown[number + 1 :]], profile)
        assert look.turn is not Turn.READY or look.draft, f"without {shown[number]!r}"


@pytest.mark.parametrize("name", sorted({path.parent.name for path in CAPTURES}))
def test_a_spinner_that_turns_is_no_progress(name):
    first, later = (ROOT / "tests" / "captures" / name / f"{one}.txt" for one in WHILE)
    if later.exists():
        assert masked(rows(first)) == masked(rows(later))
    assert masked(rows(first)) != masked(rows(first.with_name("idle.txt")))


WHILE = ("working", "working-later")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("✻ Bloviating… (2s · ↓ 10 tokens)", "✽ Tempering… (9s)", True, id="claude"),
        pytest.param("• Working (3s • esc to interrupt)", "◦ Working (12s • esc to interrupt)",
                     True, id="codex"),
        pytest.param("  12.3K (14%)  ctrl+p", "  12.9K (15%)  ctrl+p", False, id="a count"),
        pytest.param("  1m 5s", "  1m 6s", True, id="a timer"),
        pytest.param("17:25:01 idle", "17:25:02 idle", True, id="a clock"),
        pytest.param("compiled a.c", "compiled b.c", False, id="output"),
        pytest.param("test 12 of 300", "test 13 of 300", False, id="output that counts"),
        pytest.param("a", "\x1b[31ma\x1b[0m  ", True, id="colours and blanks"),
    ],
)  # fmt: skip
def test_what_counts_as_another_screen(one, other, same):
    assert (masked([one]) == masked([other])) is same


CLAUDE = Profile(
    name="c",
    screen=Screen(
        composer=r"^─{5,}\n>(?P<draft>.*(?:\n(?!─).*)*)\n─{5,}",
        empty=('Try "[^"]*"',),
        approval=(r"^(?P<text>\w[^\n]*\?)\n > 1\. Yes",),
        full=(r"^⎿ Context limit(?:\n(?!> ).*)*\Z",),
        working=("^✻ ",),
    ),
    title=Title(working=("^⠂",), ready=("^✳",), approval=("^!",)),
)
RULE = "─────────"
MENU = ["Do you want to proceed?", " > 1. Yes", "   2. No"]


@pytest.mark.parametrize(
    ("lines", "look"),
    [
        pytest.param([], Look(), id="nothing"),
        pytest.param(["", " "], Look(), id="blank"),
        pytest.param(["$ ls", "a b"], Look(), id="unknown"),
        pytest.param(
            [RULE, "> ", RULE], Look(turn=Turn.READY, text="its composer", draft=""), id="ready"
        ),
        pytest.param(
            [RULE, '> Try "fix it"', RULE],
            Look(turn=Turn.READY, text="its composer", draft=""),
            id="what stands there by itself",
        ),
        pytest.param(
            [RULE, "> \x1b[2mrun the tests\x1b[0m", RULE],
            Look(turn=Turn.READY, text="its composer", draft=""),
            id="a faint suggestion",
        ),
        pytest.param(
            [f"\x1b[2m{RULE}\x1b[0m", "> hi\x1b[2m there\x1b[22m", f"\x1b[2m{RULE}\x1b[0m"],
            Look(turn=Turn.READY, text="its composer", draft="hi"),
            id="a faint completion, between faint rules",
        ),
        pytest.param([*MENU], Look(turn=Turn.WAITING, sub=Sub.APPROVAL, text=MENU[0]), id="a menu"),
        pytest.param(
            [*MENU, RULE, "> ", RULE],
            Look(turn=Turn.READY, text="its composer", draft=""),
            id="a menu that is quoted",
        ),
        pytest.param(
            [RULE, "> ", RULE, *MENU],
            Look(turn=Turn.WAITING, sub=Sub.APPROVAL, text=MENU[0], draft=""),
            id="a menu below a composer that is quoted",
        ),
        pytest.param(
            ["⎿ Context limit", RULE, "> ", RULE],
            Look(turn=Turn.WAITING, sub=Sub.FULL, text="⎿ Context limit", draft=""),
            id="a notice",
        ),
        pytest.param(
            ["⎿ Context limit", "> again", "all well", RULE, "> ", RULE],
            Look(turn=Turn.READY, text="its composer", draft=""),
            id="a notice of an earlier turn",
        ),
        pytest.param(
            ["⎿ Context limit", "✻ Thinking", RULE, "> ", RULE],
            Look(turn=Turn.WAITING, sub=Sub.FULL, text="⎿ Context limit", draft=""),
            id="a notice comes before work",
        ),
        pytest.param(
            ["✻ Thinking", *["."] * 30, RULE, "> ", RULE],
            Look(turn=Turn.READY, text="its composer", draft=""),
            id="too far up",
        ),
    ],
)
def test_how_a_screen_is_read(lines, look):
    assert read(lines, CLAUDE) == look


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("⠂ Claude Code", Turn.WORKING),
        ("✳ Claude Code", Turn.READY),
        ("! it asks", Turn.WAITING),
        ("Gi=31,s=1", None),
        ("", None),
    ],
)
def test_what_a_title_says(text, turn):
    assert title(text, CLAUDE).turn is turn


def test_a_profile_without_patterns_says_nothing():
    assert read(["> ", "> "], Profile(name="x")) == Look()


@given(st.lists(st.text(max_size=40), max_size=60))
def test_any_screen_can_be_read(lines):
    look = read(lines, CLAUDE)
    assert look.turn is not Turn.READY or look.draft is not None
    assert masked(lines) == masked([*lines, "  ", ""])
