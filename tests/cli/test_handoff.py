"""Handing over from the command line: what is sent, and what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from hive import letters, screen_workflows, taskviews
from hive.adapters import reach
from hive.cli import hot, voices, work
from hive.core.messages import Message
from hive.core.tasks import Job, Run, State, Task
from hive.errors import WrongInput

NOON = 1_700_000_000.0
ME = {"agent": "Shop/back/dev", "launch": "1-a", "seal": "s"}
LETTER = Message(
    number=31, agent="Shop/front/dev", sender="back/dev", text="API is at :4000", created=NOON
)
SENT = {**letters.sent([LETTER]), "text": "…", "task": None, "why": ""}
KEPT = {
    "number": 1, "time": "2023-11-14T22:13:20+00:00", "from": "back/dev", "to": "front/dev",
    "run": "r-7", "note": "API", "message": "m-31", "facts": [],
    "text": "back/dev hands over to you: API\n\nback/dev, on branch hive/dev:\n- " + "x" * 200
    + "\n- a\n- b\n- c",
}  # fmt: skip
NOTE = "Phase build of r-7 is over: 2 done\n\nback/dev:\n" + "\n".join(
    f"- build.t{n} (t-{n}) done: {'it is done and ' * 8}" for n in range(8)
)
RUN = Run(number=7, uid="r", workflow="ship", project="Shop", created=NOON)
END = Task(
    number=2, uid="r:build", job=Job(text="e", kind="barrier"), run=7, key="build",
    state=State.DONE, outcome="done", finished=NOON, result=NOTE,
)  # fmt: skip
STEP = replace(END, number=3, job=Job(text="make"), key="ship.it", state=State.READY, result="")


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setattr(work, "FIRST", 0.01)
    for name in ("AGENT", "LAUNCH", "SEAL"):
        monkeypatch.delenv(f"HIVE_{name}", raising=False)


@pytest.fixture
def agent(state, monkeypatch):
    for key, text in ME.items():
        monkeypatch.setenv(f"HIVE_{key.upper()}", text)


def drawn(renderable, width=80):
    console = Console(width=width, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    return [line.rstrip() for line in captured.get().splitlines()]


def record() -> dict[str, Any]:
    return taskviews.run_record(RUN, [END, STEP], {3: (2,)}, {})


def test_a_person_hands_over_for_an_agent(supervisor, capsys):
    supervisor.answers["hand_off"] = SENT
    words = ["back/dev", "front/dev", "ops", "--note", "API is at :4000"]

    assert hot.run(["handoff", *words]) == 0

    ((verb, args),) = supervisor.asked
    assert len(args.pop("uid")) == 32
    assert (verb, args) == (
        "hand_off",
        {
            "source": "back/dev", "targets": ["front/dev", "ops"], "note": "API is at :4000",
            "me": None, "task": False,
        },
    )  # fmt: skip
    assert capsys.readouterr().out == "m-31 to front/dev: queued\n"


@pytest.mark.parametrize("words", [["front/dev"], ["back/dev", "front/dev"]])
def test_an_agent_need_not_name_itself(supervisor, agent, capsys, words):
    supervisor.answers["hand_off"] = {**SENT, "task": "t-3"}

    assert hot.run(["handoff", *words, "--note", "n", "--task"]) == 0

    ((verb, args),) = supervisor.asked
    assert (verb, args["source"], args["targets"]) == ("hand_off", "", ["front/dev"])
    assert (args["me"], args["note"], args["task"]) == (ME, "n", True)
    assert capsys.readouterr().out.splitlines() == [
        "handed over to front/dev as m-31", "t-3 goes along: leave it",
    ]  # fmt: skip


def test_what_an_agent_hands_over_while_hive_is_away_is_noted(short_path, agent, monkeypatch):
    folder = short_path / "folder"
    (folder / "spool").mkdir(parents=True)
    monkeypatch.setenv("HIVE_FOLDER", str(folder))
    monkeypatch.setitem(reach.ask.__kwdefaults__, "away", 0.1)

    assert hot.run(["handoff", "front/dev", "--note", "n"]) == 0

    (question,) = (folder / "spool").glob("*.q")
    assert json.loads(question.read_text())["verb"] == "hand_off"


@pytest.mark.parametrize("words", [[], ["back/dev"], ["--note", "x"]])
def test_who_names_nobody_is_told_how_to(supervisor, capsys, words):
    assert hot.run(["handoff", *words]) == 2

    assert "hive handoff FROM TO" in capsys.readouterr().err
    assert supervisor.asked == []


def test_an_agent_that_names_nobody_is_told_how_to(supervisor, agent):
    with pytest.raises(WrongInput, match="it is not said to whom"):
        voices.run("handoff", ["back/dev"])


@pytest.mark.parametrize("mine", [False, True])
def test_what_was_handed_over_is_listed(supervisor, capsys, request, mine):
    if mine:
        request.getfixturevalue("agent")
    supervisor.answers["handoffs"] = {"version": 1, "handoffs": [KEPT]}

    assert hot.run(["handoff", "--list", "back"]) == 0
    assert hot.run(["handoff", "--list", "--json"]) == 0

    assert supervisor.asked[0] == ("handoffs", {"names": ["back"], "limit": 20})
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith("back/dev → front/dev  m-31  r-7")
    assert out[1] == "  back/dev hands over to you: API"
    assert json.loads(out[-1])["handoffs"] == [KEPT]


def test_without_a_supervisor_the_store_tells_what_was_handed_over(state, capsys):
    assert hot.run(["handoff", "--list"]) == 0

    assert capsys.readouterr().out.startswith("nothing was handed over: `hive handoff FROM TO")


def test_handoffs_fit_the_screen():
    lines = drawn(screen_workflows.handoffs({"handoffs": [KEPT]}))

    assert all(len(line) <= 80 for line in lines)
    assert lines[4].endswith("…") and lines[-1] == "  … 2 more lines: hive handoff --list --json"


def test_a_run_shows_what_its_phases_have_handed_over_folded():
    lines = drawn(screen_workflows.graph(record(), NOON))

    assert all(len(line) <= 80 for line in lines)
    at = lines.index("Phase build of r-7 is over: 2 done")
    assert lines[at + 1] == "  back/dev:" and lines[at + 2].startswith("  - build.t0 (t-0) done")
    assert lines[-1] == "  … 4 more lines: hive workflow show r-7 --notes"
    assert drawn(screen_workflows.graph(record(), NOON, 20))[-1].split()[1] == "it"


def test_all_of_a_note_is_shown_where_it_is_wanted(supervisor, capsys):
    supervisor.answers["workflow"] = record()

    assert hot.run(["workflow", "show", "r-7", "--notes"]) == 0

    out = capsys.readouterr().out
    assert all(f"build.t{n} (t-{n}) done" in out for n in range(8)) and "more line" not in out
    assert record()["handoffs"] == [
        {"phase": "build", "task": "t-2", "time": "2023-11-14T22:13:20.000Z", "note": NOTE}
    ]
