"""The record of a chat of Gemini CLI, in real files."""

from __future__ import annotations

import json

import pytest

from hive.adapters.gemini_records import SEARCH, SEARCH_AGAIN, GeminiRecords

SESSION = "cdd9a0fd-1905-4201-b1fd-fe7ac54cfe9f"
BEGAN = 1_795_282_734.0  # 2026-11-21T17:38:54Z


def line(number, kind, content, second, tokens=0):
    told = {"id": f"id-{number}", "timestamp": f"2026-11-21T17:38:{second:06.3f}Z", "type": kind}
    return json.dumps({**told, "content": content, "tokens": {"total": tokens}}) + "\n"


def given(number, second):
    return line(f"u{number}", "user", [{"text": f"[hive m-{number}] go"}], second)


HEAD = json.dumps({"sessionId": SESSION, "kind": "main"}) + "\n"
SET = json.dumps({"$set": {"lastUpdated": "2026-11-21T17:38:54.390Z"}}) + "\n"


@pytest.fixture
def chats(tmp_path):
    folder = tmp_path / ".gemini" / "tmp" / "work" / "chats"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def records(tmp_path):
    one = GeminiRecords("1-a", {"HOME": str(tmp_path)}, "/work", BEGAN)
    yield one
    one.close()


def read(one, now=BEGAN, session=SESSION):
    return one.read(now, pids=(), session=session)


def add(file, *lines):
    with file.open("a") as open_:
        open_.write("".join(lines))


def test_a_chat_is_found_and_read_as_it_grows(records, chats):
    assert read(records) == ()
    file = chats / "session-2026-11-21T17-38-cdd9a0fd.jsonl"
    add(chats / "session-2026-11-21T17-38-00000000.jsonl", given(9, 55))
    add(file, HEAD, SET, given(1, 55), SET)
    assert read(records, BEGAN + SEARCH / 2) == ()
    (sign,) = read(records, BEGAN + SEARCH)
    assert (sign.heard, sign.session) == ((1,), SESSION)
    assert sign.at == BEGAN + 1
    add(file, line(1, "gemini", "", 56, 1020), line(1, "gemini", "", 56, 1020)[:40])
    assert [(one.worked, one.tokens) for one in read(records)] == [(True, 1020)]
    assert read(records) == ()
    add(file, line(1, "gemini", "", 56, 1020)[40:], line(2, "gemini", "done", 57, 1000))
    assert [(one.answer, one.tokens) for one in read(records)] == [("", 1020), ("done", 2020)]


def test_what_an_earlier_launch_was_given_counts_only_for_the_totals(records, chats):
    file = chats / "session-2026-11-21T17-30-cdd9a0fd.jsonl"
    add(file, HEAD, given(1, 50), line(1, "gemini", "old", 51, 500))
    assert read(records) == ()
    other = chats / "session-2026-11-21T17-38-cdd9a0fd.jsonl"
    add(other, HEAD, given(2, 55), line(2, "gemini", "new", 56, 70))
    found = read(records, BEGAN + SEARCH_AGAIN)
    assert [(one.heard, one.answer, one.tokens) for one in found] == [
        ((2,), "", 500),
        ((), "new", 570),
    ]


def test_without_a_session_nothing_is_read(records, chats):
    add(chats / "session-2026-11-21T17-38-cdd9a0fd.jsonl", given(1, 55))
    assert read(records, session="") == ()


def test_a_chat_that_was_deleted_says_nothing(records, chats):
    file = chats / "session-2026-11-21T17-38-cdd9a0fd.jsonl"
    add(file, given(1, 55))
    assert len(read(records)) == 1
    file.unlink()
    assert read(records) == ()


def test_a_damaged_line_is_told_and_left_out(records, chats, caplog):
    file = chats / "session-2026-11-21T17-38-cdd9a0fd.jsonl"
    add(file, "{\n", "[]\n", '{"type": "user", "timestamp": "x"}\n', given(1, 55))
    assert [one.heard for one in read(records)] == [(1,)]
    assert caplog.text.count("can't be read") == 3


def test_its_home_may_be_named(tmp_path, chats):
    add(chats / "session-2026-11-21T17-38-cdd9a0fd.jsonl", given(1, 55))
    env = {"HOME": "/nowhere", "GEMINI_CLI_HOME": str(tmp_path)}
    assert len(read(GeminiRecords("1-a", env, "/work", BEGAN))) == 1
