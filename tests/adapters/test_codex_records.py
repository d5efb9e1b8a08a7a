"""Codex' own files, as they appear and grow."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.codex_records import SEARCH, THOROUGH, CodexRecords
from hive.adapters.zones import zone
from hive.core.signs import Turn

BEGAN = datetime(2026, 11, 21, 17, 0, tzinfo=UTC).timestamp()
ONE, TWO = "01a1ff30-f6a7-7c61-90e0-74af232b7bfa", "01a1ff34-3cc9-7613-9aa8-2d67ca49a71f"


class Writer:
    """Writes what Codex writes."""

    def __init__(self, home: Path, directory: Path) -> None:
        self.sessions = home / ".codex" / "sessions"
        self.directory = directory

    def file(self, session: str, day: str = "2026/11/21") -> Path:
        folder = self.sessions / day
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"rollout-{day.replace('/', '-')}T17-39-21-{session}.jsonl"

    def begin(self, session: str, second: float, **more: Any) -> None:
        began = datetime.fromtimestamp(BEGAN + second, UTC).isoformat()
        fields = {"id": session, "cwd": str(self.directory), "timestamp": began, "source": "cli"}
        self.line(session, second + 5, "session_meta", **(fields | more))

    def line(
        self, session: str, second: float, kind: str, day: str = "2026/11/21", **payload: Any
    ) -> None:
        at = datetime.fromtimestamp(BEGAN + second, UTC).isoformat()
        with self.file(session, day).open("a") as file:
            file.write(json.dumps({"timestamp": at, "type": kind, "payload": payload}) + "\n")

    def turn(self, session: str, second: float) -> None:
        self.line(session, second, "event_msg", type="task_started", turn_id="T-1")

    def prompt(self, session: str, second: float, text: str, day: str = "2026/11/21") -> None:
        content = [{"type": "input_text", "text": text}]
        fields = {"type": "message", "role": "user", "content": content}
        self.line(session, second, "response_item", day, **fields)


@pytest.fixture
def writer(tmp_path):
    directory = tmp_path / "src"
    directory.mkdir()
    return Writer(tmp_path, directory)


@pytest.fixture
def records(writer, tmp_path):
    env = {"HOME": str(tmp_path), "TZ": "UTC"}
    return CodexRecords("3-ab", env, str(writer.directory), BEGAN)


def read(records, second, session=""):
    return records.read(BEGAN + second, pids=(7,), session=session)


def test_where_there_is_nothing_nothing_is_told(records):
    assert read(records, 1) == ()
    assert read(records, 2, ONE) == ()


def test_a_conversation_is_found_by_its_id_and_read_on(records, writer):
    assert read(records, 1, ONE) == ()
    writer.begin(ONE, 1)
    writer.turn(ONE, 6)
    writer.begin(TWO, 1)
    assert read(records, 2, ONE) == ()
    (sign,) = read(records, 1 + SEARCH, ONE)
    assert (sign.turn, sign.session, sign.launch) == (Turn.WORKING, ONE, "3-ab")
    writer.prompt(ONE, 7, "[hive m-4] go")
    assert [one.heard for one in read(records, 4, ONE)] == [(4,)]
    assert read(records, 5, ONE) == ()


def test_without_an_id_the_one_that_began_here_with_the_launch_is_taken(records, writer):
    writer.begin(ONE, -500)
    writer.begin(TWO, 2)
    writer.begin("elsewhere", 2, cwd="/")
    writer.begin("helper", 2, source={"subagent": "review"})
    writer.turn(TWO, 6)
    assert [one.session for one in read(records, 10)] == [TWO]


def test_of_two_that_began_here_none_is_taken_until_its_id_is_told(records, writer):
    for session in (ONE, TWO):
        writer.begin(session, 2)
        writer.turn(session, 6)
    assert read(records, 10) == ()
    assert [one.session for one in read(records, 11, TWO)] == [TWO]


def test_an_id_that_is_told_goes_over_a_guess(records, writer):
    writer.begin(ONE, 2)
    writer.turn(ONE, 6)
    assert [one.session for one in read(records, 10)] == [ONE]
    writer.begin(TWO, 2)
    writer.turn(TWO, 6)
    assert [one.session for one in read(records, 11, TWO)] == [TWO]


def test_a_first_line_that_is_not_whole_is_read_again(records, writer):
    writer.begin(ONE, 2)
    whole = writer.file(ONE).read_text()
    writer.file(ONE).write_text(whole[:40])
    assert read(records, 6) == ()
    writer.file(ONE).write_text(whole)
    writer.turn(ONE, 7)
    assert [one.session for one in read(records, 6 + SEARCH)] == [ONE]


def test_a_resumed_conversation_of_another_day_gives_what_was_heard(records, writer):
    day = "2026/10/02"
    writer.prompt(ONE, -9999, "[hive m-1]", day)
    assert [(one.heard, one.turn) for one in read(records, 1, ONE)] == [((1,), None)]


def test_all_days_are_searched_only_now_and_then(records, writer):
    assert read(records, 1, ONE) == ()
    writer.prompt(ONE, 1, "[hive m-1]", "2026/10/02")
    assert read(records, 1 + SEARCH, ONE) == ()
    assert [one.heard for one in read(records, 1 + THOROUGH, ONE)] == [(1,)]


def test_its_folder_may_be_named(writer, tmp_path):
    env = {"HOME": "/nowhere", "CODEX_HOME": str(tmp_path / ".codex")}
    records = CodexRecords("3-ab", env, str(writer.directory), BEGAN)
    writer.begin(ONE, 1)
    writer.turn(ONE, 2)
    assert [one.turn for one in read(records, 3, ONE)] == [Turn.WORKING]
    records.close()


@pytest.mark.parametrize(("name", "hours"), [("Asia/Tokyo", 9), ("UTC", 0)])
def test_times_of_day_are_those_of_its_environment(name, hours):
    there = zone({"TZ": name})
    assert datetime.fromtimestamp(BEGAN, there).hour == (17 + hours) % 24


@pytest.mark.parametrize("env", [{}, {"TZ": "No/Where"}, {"TZ": "../../etc/passwd"}])
def test_a_zone_is_always_found(env):
    assert datetime.fromtimestamp(BEGAN, zone(env)).timestamp() == BEGAN
