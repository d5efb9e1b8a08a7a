"""`hive pause`, `resume`: what is asked for, what is printed, how a paused agent is shown."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from hive import screen
from hive.cli import pause as commands
from hive.errors import WrongInput
from tests.cli.conftest import Answering

DONE = {"version": 1, "agents": ["frontend/dev", "frontend/pm"]}
NOBODY = {"version": 1, "agents": []}
PAUSE = {"since": "2026-11-21T10:05:00.000Z", "why": "", "frozen": True, "waits": ""}


def record(**changes):
    one = {
        "agent": "frontend/dev", "state": "working", "sub": "", "reason": "it calls Bash",
        "since": None, "restarts": 0, "cpu": None, "memory": None, "pid": 9, "limit": None,
        "paused": PAUSE,
    }  # fmt: skip
    return one | changes


def test_what_is_asked_for(supervisor: Answering):
    supervisor.answers = {"pause": DONE, "resume": DONE}
    commands.pause(["frontend"], now=True, why="a backup")
    commands.pause(every=True)
    commands.resume(["frontend/dev"])

    assert supervisor.asked == [
        ("pause", {"names": ["frontend"], "now": True, "why": "a backup", "every": False}),
        ("pause", {"names": [], "now": False, "why": "", "every": True}),
        ("resume", {"names": ["frontend/dev"], "every": False}),
    ]


def test_what_is_printed(supervisor: Answering, capsys: pytest.CaptureFixture[str]):
    supervisor.answers = {"pause": DONE, "resume": [DONE, NOBODY, NOBODY]}
    commands.pause(["frontend"])
    commands.resume(["frontend"])
    commands.resume(["frontend"])
    commands.resume(["frontend"], json=True)

    first, second, third, fourth = capsys.readouterr().out.splitlines()
    assert first.startswith("paused 2 agents: nothing more is given, frozen once the turn is over")
    assert (second, third) == ("resumed 2 agents", "nothing to resume")
    assert json.loads(fourth) == NOBODY


def test_a_refusal_is_a_persons_to_put_right(supervisor: Answering):
    with pytest.raises(WrongInput):
        commands.pause([])
    assert supervisor.asked[0][0] == "pause"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({}, "`; `hive resume frontend/dev`; it calls Bash", id="frozen"),
        pytest.param({"why": "a backup"}, "`hive pause` (a backup) since", id="why"),
        pytest.param({"frozen": False, "waits": "until then"}, ", until then; ", id="waits"),
    ],
)
def test_how_a_paused_agent_is_shown(changes, said):
    one = record(paused=PAUSE | changes)
    console = Console(width=300, file=StringIO())
    console.print(screen.agents_table([one], 0.0))
    text = console.file.getvalue()

    assert "paused by `hive pause`" in text
    assert said.removeprefix("`") in text
    assert screen.paused(record(paused=None)) == ""
