"""What aider writes down, in real files."""

from __future__ import annotations

import os

import pytest

from hive.adapters.aider_records import AiderRecords
from hive.core.aider import BACK, HISTORY, TALK
from hive.core.signs import Turn

AT = 1_795_282_983.5


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def records(folder):
    one = AiderRecords("1-a", {"HIVE_FOLDER": str(folder)}, "/", 0.0)
    yield one
    one.close()


def read(one):
    return one.read(AT, pids=(), session="")


def write(file, text, at):
    with file.open("a") as open_:
        open_.write(text)
    os.utime(file, (at, at))


def test_what_is_typed_and_what_comes_back_is_told_once(records, folder):
    assert read(records) == ()
    write(folder / HISTORY, "\n# 2026-11-21 17:43:02.5\n+[hive m-1] begin\n", AT)
    (sign,) = read(records)
    assert (sign.turn, sign.heard, sign.at) == (Turn.WORKING, (1,), AT)
    write(folder / BACK, "", AT + 2)
    (sign,) = read(records)
    assert (sign.turn, sign.at) == (Turn.READY, AT + 2)
    assert read(records) == ()
    write(folder / HISTORY, "\n# 2026-11-21 17:43:09.5\n+[hive m-2] more\n", AT + 5)
    assert [one.heard for one in read(records)] == [(2,)]
    write(folder / BACK, "", AT + 6)
    assert [one.turn for one in read(records)] == [Turn.READY]


def test_read_anew_it_says_the_same_at_last(records, folder):
    write(folder / HISTORY, "\n# x\n+[hive m-1] a\n\n# y\n+[hive m-2] b\n", AT)
    write(folder / BACK, "", AT + 2)
    found = read(records)
    assert [one.heard for one in found] == [(1,), (2,), ()]
    assert max(found, key=lambda one: one.at).turn is Turn.READY


def test_its_answer_comes_with_its_being_back_and_its_talk_does_not_grow_for_ever(records, folder):
    talk = folder / TALK
    long = "USER long\n" * 120_000
    talk.write_text(f"TO LLM x\n{long}LLM RESPONSE y\nASSISTANT done\n")
    write(folder / BACK, "", AT)
    assert [one.answer for one in read(records)] == ["done"]
    assert talk.stat().st_size == 0
    talk.write_text("TO LLM x\nUSER b\nLLM RESPONSE y\nASSISTANT done again\n")
    write(folder / BACK, "", AT + 1)
    assert [one.answer for one in read(records)] == ["done again"]
    assert talk.stat().st_size > 0
