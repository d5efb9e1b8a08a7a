"""Claude Code's own files, as they appear, grow, change and go."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.claude_records import SEARCH, SETTLE, ClaudeRecords
from hive.core.signs import Sub, Turn

BEGAN = 1_795_280_000.0
SESSION = "a9af349c-3d83-435f-9d21-149c0b78c7ee"


class Writer:
    """Writes what Claude Code writes."""

    def __init__(self, home: Path, directory: Path) -> None:
        self.folder = home / ".claude"
        self.directory = directory
        (self.folder / "sessions").mkdir(parents=True)

    def state(self, second: float, status: str, pid: int = 7, **more: Any) -> None:
        fields = {
            "pid": pid,
            "sessionId": SESSION,
            "startedAt": int((BEGAN + 1) * 1000),
            "status": status,
            "statusUpdatedAt": int((BEGAN + second) * 1000),
        }
        file = self.folder / "sessions" / f"{pid}.json"
        file.write_text(json.dumps(fields | more))

    def transcript(self, session: str = SESSION) -> Path:
        slug = str(self.directory).replace("/", "-").replace("_", "-").replace(".", "-")
        folder = self.folder / "projects" / slug
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{session}.jsonl"

    def line(self, second: float, kind: str, session: str = SESSION, **more: Any) -> None:
        at = datetime.fromtimestamp(BEGAN + second, UTC).isoformat()
        with self.transcript(session).open("a") as file:
            file.write(json.dumps({"type": kind, "timestamp": at} | more) + "\n")

    def prompt(self, second: float, text: str, **more: Any) -> None:
        self.line(second, "user", message={"role": "user", "content": text}, **more)

    def answer(self, second: float, text: str) -> None:
        content = [{"type": "text", "text": text}]
        message = {"id": f"m{second}", "content": content, "usage": {"output_tokens": 5}}
        self.line(second, "assistant", message=message)


@pytest.fixture
def writer(tmp_path):
    directory = tmp_path / "src_1"
    directory.mkdir()
    return Writer(tmp_path, directory)


@pytest.fixture
def records(writer, tmp_path):
    env = {"HOME": str(tmp_path), "TZ": "UTC"}
    return ClaudeRecords("3-ab", env, str(writer.directory), BEGAN)


def read(records, second, pids=(5, 7), session=""):
    signs = records.read(BEGAN + second, pids=pids, session=session)
    assert {one.launch for one in signs} <= {"3-ab"}
    return signs


def turns(signs):
    return [(one.turn, one.sub) for one in signs if one.turn]


def test_where_there_is_nothing_nothing_is_told(records):
    assert read(records, 1) == ()


def test_the_first_read_tells_how_it_stands_and_the_next_only_what_is_new(records, writer):
    writer.state(2, "idle")
    (sign,) = read(records, 10)
    assert (sign.turn, sign.at, sign.session) == (Turn.READY, BEGAN + 2, SESSION)
    assert read(records, 11) == ()
    writer.state(12, "busy")
    assert turns(read(records, 12)) == [(Turn.WORKING, "")]
    assert read(records, 13) == ()


def test_a_turn_from_its_prompt_to_its_answer(records, writer):
    writer.state(2, "busy")
    writer.prompt(3, "[hive m-4] go")
    signs = read(records, 3)
    assert signs[0].heard == (4,)
    assert turns(signs) == [(Turn.WORKING, "")]
    writer.answer(5, "all done")
    (sign,) = read(records, 5)
    assert (sign.worked, sign.tokens, sign.turn) == (True, 5, None)
    writer.state(6, "idle")
    (sign,) = read(records, 6)
    assert (sign.turn, sign.answer) == (Turn.READY, "all done")


def test_a_line_that_is_not_whole_waits_and_a_broken_one_is_left_out(records, writer):
    writer.state(1, "busy")
    writer.prompt(2, "[hive m-1]")
    read(records, 2)
    whole = writer.transcript().read_text()
    with writer.transcript().open("a") as file:
        file.write("{broken\n[1]\n" + whole.replace("m-1", "m-2")[:60])
    assert read(records, 3) == ()
    with writer.transcript().open("a") as file:
        file.write(whole.replace("m-1", "m-2")[60:])
    assert [one.heard for one in read(records, 4)] == [(2,)]


def test_a_file_that_is_written_anew_is_read_from_its_start(records, writer):
    writer.state(1, "busy")
    writer.prompt(2, "[hive m-1]" + "x" * 500)
    read(records, 2)
    writer.transcript().unlink()
    assert read(records, 3) == ()
    writer.prompt(4, "[hive m-2]")
    assert [one.heard for one in read(records, 4)] == [(2,)]


def test_a_resumed_conversation_gives_what_was_heard_and_no_turn(records, writer):
    writer.prompt(-50, "[hive m-1]")
    writer.answer(-40, "old answer")
    writer.prompt(-30, "[hive m-2]")
    signs = read(records, 1, session=SESSION)
    assert [one.heard for one in signs] == [(1,), (2,)]
    assert turns(signs) == []
    writer.state(2, "idle")
    (sign,) = read(records, 3)
    assert (sign.turn, sign.answer) == (Turn.READY, "")


def test_an_error_stands_for_the_end_of_its_turn_also_where_its_line_comes_late(records, writer):
    writer.state(2, "idle")
    assert read(records, 2 + SETTLE / 2, session=SESSION) == ()
    content = [{"type": "text", "text": "You've hit your limit · resets 11pm"}]
    more = {"isApiErrorMessage": True, "error": "rate_limit"}
    writer.line(1.9, "assistant", message={"content": content}, **more)
    found = read(records, 2 + SETTLE / 2)
    assert turns(found) == [(Turn.LIMITED, Sub.USAGE)]
    assert datetime.fromtimestamp(found[-1].until, UTC).hour == 23
    assert turns(read(records, 5)) == []
    writer.prompt(9, "try again")
    writer.state(9, "busy")
    assert turns(read(records, 9)) == [(Turn.WORKING, "")]


def test_without_an_error_it_is_ready_a_moment_later(records, writer):
    writer.state(2, "idle")
    assert read(records, 2.1) == ()
    assert turns(read(records, 2 + SETTLE)) == [(Turn.READY, "")]


@pytest.mark.parametrize(
    ("waits", "tool", "sub"),
    [
        ("permission prompt", "Bash", Sub.APPROVAL),
        ("permission prompt", "AskUserQuestion", Sub.QUESTION),
        ("input needed", "Bash", Sub.QUESTION),
        ("something new", "Bash", Sub.DIALOG),
    ],
)
def test_what_it_waits_for(records, writer, waits, tool, sub):
    call = {"type": "tool_use", "id": "c", "name": tool, "input": {"command": "touch a"}}
    writer.state(3, "waiting", waitingFor=waits)
    writer.line(2, "assistant", message={"id": "m", "content": [call]})
    sign = read(records, 3)[-1]
    assert (sign.turn, sign.sub) == (Turn.WAITING, sub)
    assert sign.text == f"{waits}: {tool}: touch a"


def test_a_file_of_an_earlier_process_with_the_same_number_is_not_its(records, writer):
    writer.state(2, "busy", startedAt=int((BEGAN - 1000) * 1000))
    assert read(records, 3) == ()


def test_of_several_processes_the_first_is_the_agent(records, writer):
    writer.state(5, "busy", pid=5, sessionId="other", startedAt=int((BEGAN + 4) * 1000))
    writer.state(2, "idle", pid=7)
    (sign,) = read(records, 6)
    assert (sign.turn, sign.session) == (Turn.READY, SESSION)
    assert read(records, 7, pids=(99,)) == ()


def test_a_conversation_that_was_cleared_is_followed_by_the_next(records, writer):
    writer.state(2, "idle")
    writer.prompt(1, "[hive m-1]")
    read(records, 3)
    writer.state(4, "idle", sessionId="next")
    writer.line(4, "user", "next", message={"content": "[hive m-2]"})
    signs = read(records, 5)
    assert (signs[0].heard, signs[0].session) == ((2,), "next")


def test_a_conversation_is_found_in_whichever_directory_it_is(records, writer):
    writer.prompt(1, "[hive m-1]")
    elsewhere = writer.folder / "projects" / "elsewhere"
    writer.transcript().parent.rename(elsewhere)
    assert [one.heard for one in read(records, 2, session=SESSION)] == [(1,)]


def test_a_search_is_not_made_again_at_once(records, writer):
    assert read(records, 1, session=SESSION) == ()
    writer.prompt(1, "[hive m-1]")
    writer.transcript().parent.rename(writer.folder / "projects" / "elsewhere")
    assert read(records, 1.5, session=SESSION) == ()
    assert [one.heard for one in read(records, 1 + SEARCH, session=SESSION)] == [(1,)]


def test_its_folder_may_be_named(writer, tmp_path):
    env = {"HOME": "/nowhere", "CLAUDE_CONFIG_DIR": str(writer.folder)}
    records = ClaudeRecords("3-ab", env, str(writer.directory), BEGAN)
    writer.state(2, "busy")
    assert turns(read(records, 3)) == [(Turn.WORKING, "")]
    records.close()
