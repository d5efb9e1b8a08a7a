"""`hive replay`: how it asks, what it prints, and how it is played."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from hive import screen_replay
from hive.cli import app, output, remote
from hive.cli import replay as command
from hive.core.units import as_text
from hive.errors import WrongInput

LONG = "it seems to make no progress: its screen has not moved for ten minutes, nor its records"


@pytest.fixture(autouse=True)
def zone(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("NO_COLOR", "1")


def moment(time: str, **changes: Any) -> dict[str, Any]:
    record = {
        "time": f"2026-11-{time}.000Z", "agent": "web/dev", "kind": "stall", "text": LONG,
        "screen": [], "ref": "",
    }  # fmt: skip
    return record | changes


SCREEN = ["$ make", "x" * 200, "\x1b[31mred"]
NIGHT = [
    moment("21T23:59:58", kind="ready", text="it answers"),
    moment("22T00:00:10", screen=SCREEN),
]


def answer(moments: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    record = {
        "version": 1, "since": "2026-11-21T20:00:00.000Z", "until": "2026-11-22T06:00:00.000Z",
        "moments": moments, "next": None, "missing": "",
    }  # fmt: skip
    return record | changes


@pytest.fixture
def asked(monkeypatch):
    """Give what the command asks; `answers` is what it is told."""
    found: dict[str, Any] = {"answer": answer(NIGHT)}

    def look(verb: str, **args: Any) -> Any:
        found.update(args, verb=verb)
        return found["answer"]

    monkeypatch.setattr(remote, "look", look)
    return found


def drawn(moments: list[dict[str, Any]], width: int = 80) -> list[str]:
    console = Console(width=width, markup=False, highlight=False)
    with console.capture() as captured:
        for one, before in zip(moments, [None, *moments[:-1]], strict=True):
            console.print(*screen_replay.drawn(one, before), sep="\n")
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_night_is_drawn_by_day_with_its_screens_at_the_width_of_a_terminal(monkeypatch):
    lines = drawn(NIGHT)

    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line.endswith("2026")] == [
        "Saturday, Nov 21, 2026",
        "Sunday, Nov 22, 2026",
    ]
    assert "23:59:58  web/dev  ready  it answers" in lines
    start = next(number for number, line in enumerate(lines) if line.startswith("00:00:10"))
    assert " ".join(line.strip() for line in lines[start : start + 2]).endswith(LONG)
    assert lines[start + 1].startswith(" " * 10)
    assert lines[start + 2 :] == [
        f"{' ' * 10}┌",
        f"{' ' * 10}│ $ make",
        f"{' ' * 10}│ {'x' * 67}…",
        f"{' ' * 10}│  [31mred",
        f"{' ' * 10}└",
    ]


def test_into_a_pipe_each_moment_is_a_line(asked, capsys):
    assert app.run(["replay", "web", "--from", "2026-11-21T20:00"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert f"00:00:10  web/dev  stall  {LONG}" in lines
    assert f"{' ' * 10}│ {'x' * 200}" in lines
    assert not [line for line in lines if line != line.rstrip()]


def test_it_asks_for_what_was_said(asked):
    words = ["web", "--from", "2026-11-21T20:00", "--to", "2026-11-22", "--no-screens", "-n", "7"]
    app.run(["replay", *words])
    assert asked | {"answer": None} == {
        "verb": "replay", "names": ["web"], "since": 1795291200.0, "until": 1795305600.0,
        "screens": False, "limit": 7, "answer": None,
    }  # fmt: skip


def test_without_a_time_it_is_the_last_twelve_hours(asked):
    app.run(["replay"])
    assert as_text(round(asked["until"] - asked["since"])) == "12h"
    assert (asked["names"], asked["screens"]) == ([], True)


def test_as_json_it_is_the_record_on_one_line(asked, capsys):
    app.run(["replay", "--json"])
    assert json.loads(capsys.readouterr().out) == asked["answer"]


def test_what_is_not_told_is_said_beside_it(asked, capsys):
    asked["answer"] = answer(NIGHT, next="2026-11-22T01:00:00.000Z", missing="tasks: no answer")
    app.run(["replay"])
    said = capsys.readouterr().err
    assert "not told: tasks: no answer" in said
    assert "--from 2026-11-22T01:00:00" in said


def test_a_quiet_night_is_said_to_be_one(asked, capsys):
    asked["answer"] = answer([])
    app.run(["replay"])
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "nothing happened then\n")


def test_it_is_played_as_it_went(asked, capsys, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr(command.time, "sleep", waited.append)
    app.run(["replay"])
    whole = capsys.readouterr().out

    app.run(["replay", "--play", "--speed", "6"])

    assert capsys.readouterr().out == whole
    assert waited == [0.0, 2.0]


def test_playing_is_ended_cleanly(asked, capsys, monkeypatch):
    def interrupt(seconds: float) -> None:
        if seconds:
            raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", interrupt)
    code = output.guarded(lambda: app.run(["replay", "--play"]), json_too=False)
    told = capsys.readouterr()
    assert code == output.INTERRUPTED
    assert "it answers" in told.out and LONG not in told.out
    assert told.err == ""


@pytest.mark.parametrize(
    "words", [["--from", "noon"], ["--from", "1h", "--to", "2h"], ["--play", "--json"]]
)
def test_what_can_not_be_is_refused(asked, words):
    with pytest.raises(WrongInput):
        app.run(["replay", *words])
    assert "verb" not in asked
