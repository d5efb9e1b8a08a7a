"""The gate: every reason, and which comes first."""

from __future__ import annotations

import pytest

from hive.core import gate
from hive.core.faint import solid
from hive.core.profile import Profile, Screen
from hive.core.signs import Condition, Glimpse, Turn

NOW = 1_000_000.0
TUI = Profile(name="tui", screen=Screen(composer=r"^> (?P<draft>.*)$"))
BARE = Profile(name="bare")


def condition(**more):
    return Condition(**({"launch": "1-a", "turn": Turn.READY, "closed": ""} | more))


def glimpse(**more):
    return Glimpse(**({"launch": "1-a", "pane": "%1", "raw": True} | more))


def ask(known=None, seen=None, draft="", profile=TUI, **more):
    return gate.gate(known or condition(), seen or glimpse(), draft, profile, NOW, **more)


@pytest.mark.parametrize(
    ("reason", "given"),
    [
        ("", {}),
        ("parked: usage limit", {"also": "parked: usage limit"}),
        ("approval", {"known": condition(closed="approval")}),
        (gate.DEAD, {"seen": glimpse(dead=True)}),
        (gate.OTHER, {"seen": glimpse(launch="2-b")}),
        ("", {"known": condition(launch=""), "seen": glimpse(launch="2-b")}),
        (gate.MODE, {"seen": glimpse(mode=True)}),
        (gate.SHUT, {"seen": glimpse(shut=True)}),
        (gate.BUSY, {"seen": glimpse(foreground=False)}),
        ("a person typed 0 s ago", {"seen": glimpse(person=NOW)}),
        ("a person typed 9 s ago", {"seen": glimpse(person=NOW - 9.2)}),
        ("a person typed 0 s ago", {"seen": glimpse(person=NOW + 5)}),
        ("", {"seen": glimpse(person=NOW - gate.PERSON)}),
        (gate.DRAFT, {"draft": "half a sent"}),
        ("", {"draft": " \n "}),
        (gate.NO_COMPOSER, {"draft": None}),
        ("", {"draft": None, "profile": BARE}),
        ("", {"seen": glimpse(raw=False), "line": "x" * gate.LONGEST}),
        (gate.TOO_LONG, {"seen": glimpse(raw=False), "line": "é" * 512}),
        ("", {"seen": glimpse(raw=True), "line": "x" * 9999}),
        ("", {"seen": glimpse(raw=None), "line": "x" * 9999}),
    ],
)
def test_each_reason(reason, given):
    assert ask(**given) == reason


def test_the_first_reason_is_the_one_that_others_hang_on():
    everything = {
        "also": "paused",
        "known": condition(closed="dialog"),
        "seen": glimpse(dead=True, launch="2-b", mode=True, shut=True, person=NOW, raw=False),
        "draft": None,
        "line": "x" * 2000,
    }
    assert ask(**everything) == "paused"
    assert ask(**(everything | {"also": ""})) == "dialog"
    assert ask(**(everything | {"also": "", "known": None})) == gate.DEAD


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(["plain  ", "", "  "], ["plain"], id="blanks at the ends go"),
        pytest.param(["a\x1b[2mbc\x1b[0md"], ["a  d"], id="faint until all is reset"),
        pytest.param(["a\x1b[1;2mbc\x1b[22md"], ["a  d"], id="faint until weight is reset"),
        pytest.param(["a\x1b[2mb\x1b[md"], ["a d"], id="an empty style resets"),
        pytest.param(["\x1b[2mb\x1b[1mc", "d\x1b[31me"], [], id="it goes on, over rows"),
        pytest.param(["\x1b[38;2;2;2;2mred\x1b[m"], ["red"], id="a colour's 2 is no style"),
        pytest.param(["\x1b[38;5;2mgreen"], ["green"], id="nor is one of a palette"),
        pytest.param(["\x1b[48;5;2;2mgone"], [], id="but one behind it is"),
        pytest.param(["\x1b[38:2::2:2:2mred\x1b[4:2mline"], ["redline"], id="parts by colons"),
        pytest.param(["\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"], ["link"], id="a link"),
        pytest.param(["\x0eqqx\x0f \x1b(Bend\x1b[K"], ["qqx end"], id="other controls"),
        pytest.param(["caf\x1b[2mé é\x1b[22m x"], ["caf    x"], id="one blank for one character"),
    ],
)
def test_what_is_faint_is_not_there(rows, shown):
    assert solid(rows) == shown
