from __future__ import annotations

import json
import os
import time

import pytest

from hive.adapters import spool as spooling
from hive.adapters.reach import LONGEST
from hive.adapters.spool import MOST, STALE, Spool, at, refusal
from hive.errors import NotRunning
from tests.conftest import eventually

ME = {"agent": "Task/a/dev", "launch": "l1", "seal": "s"}
ARGS = {"state": "done", "text": "", "me": ME, "uid": "u1"}
FIRST = "1700000000000000000-0123456789abcdef"
SECOND = "1700000000500000000-0000000000000000"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def ask(folder, name=FIRST, verb="report", args=ARGS, old=5.0):
    """Leave a question that was written some seconds ago."""
    return leave(folder, f"{name}.q", json.dumps({"verb": verb, "args": args}).encode(), old)


def leave(folder, name, data, old=5.0):
    file = folder / name
    file.write_bytes(data)
    os.utime(file, (time.time() - old,) * 2)
    return file


def answered(folder, name=FIRST):
    return json.loads((folder / f"{name}.a").read_bytes())


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_questions_are_given_oldest_first_until_they_are_answered(folder):
    ask(folder, SECOND, "status", {"names": []})
    ask(folder)
    spool = Spool(folder)

    both = [(FIRST, "report", ARGS), (SECOND, "status", {"names": []})]
    assert spool.questions() == both
    assert Spool(folder).questions() == both, "also to a supervisor that was started anew"
    spool.answer(FIRST, {"result": 1})

    assert spool.questions() == both[1:]
    assert answered(folder) == {"result": 1}
    assert names(folder) == [f"{FIRST}.a", f"{SECOND}.q"]


def test_its_name_tells_when_it_was_asked():
    assert at(SECOND) == 1700000000.5


def test_nothing_is_looked_at_while_nothing_changes(folder):
    spool = Spool(folder)
    assert spool.changed(), "nobody looked yet"
    eventually(lambda: spool.questions() == [] and not spool.changed())

    ask(folder)

    assert spool.changed()
    assert len(spool.questions()) == 1
    spool.answer(FIRST, {"result": 1})
    eventually(lambda: spool.questions() == [] and not spool.changed())


def test_what_comes_at_the_same_tick_of_the_clock_is_not_missed(folder):
    spool = Spool(folder)
    ask(folder)
    spool.questions()
    when = folder.stat().st_mtime_ns
    ask(folder, SECOND)
    os.utime(folder, ns=(when, when))

    assert spool.changed()
    assert len(spool.questions()) == 2


def test_more_than_are_taken_at_once_come_later(folder):
    for number in range(MOST + 5):
        ask(folder, f"{number:019d}-0123456789abcdef")
    os.utime(folder, (1, 1))
    spool = Spool(folder)

    found = spool.questions()
    assert len(found) == MOST
    assert spool.changed()
    for name, _, _ in found:
        spool.answer(name, {"result": 1})
    assert len(spool.questions()) == 5


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"", "not a question", id="empty"),
        pytest.param(b'{"verb": "rep', "not a question", id="cut off"),
        pytest.param(b"\xff\xfe\0", "not a question", id="no text"),
        pytest.param(b"[1]", "not a question", id="no object"),
        pytest.param(b'{"verb": 1, "args": {}}', "not a question", id="no verb"),
        pytest.param(b'{"verb": "report", "args": []}', "not a question", id="no arguments"),
        pytest.param(b"[" * 100_000, "not a question", id="too deep"),
        pytest.param(b" " * (LONGEST + 1), "longer than", id="too long"),
        pytest.param(b'{"verb": "stop_all", "args": {}}', "can't be asked", id="what agents can't"),
        pytest.param(b'{"verb": "decide", "args": {}}', "can't be asked", id="its own approval"),
        pytest.param(b'{"verb": "send", "args": {}}', "can't be asked", id="in nobody's name"),
    ],
)
def test_what_is_no_question_is_told_so(folder, data, what):
    leave(folder, f"{FIRST}.q", data)

    assert Spool(folder).questions() == []

    error = answered(folder)["error"]
    assert what in error["what"]
    assert error["code"] == 2
    assert names(folder) == [f"{FIRST}.a"]


def test_a_question_that_is_still_being_written_is_waited_for(folder):
    leave(folder, f"{FIRST}.q", b'{"verb": "rep', old=0)
    os.utime(folder, (1, 1))
    spool = Spool(folder)

    assert spool.questions() == []
    assert spool.changed()

    ask(folder)
    assert len(spool.questions()) == 1


def test_nothing_but_plain_files_is_read(folder, tmp_path):
    secret = ask(tmp_path, "secret")
    (folder / f"{FIRST}.q").symlink_to(secret)
    os.mkfifo(folder / f"{SECOND}.q")
    (folder / f"{SECOND[:-1]}1.q").mkdir()

    assert Spool(folder).questions() == []

    assert secret.exists()
    assert names(folder) == [f"{SECOND[:-1]}1.q"], "a folder is left where it is"


@pytest.mark.parametrize("name", ["x.q", "..q", f"{FIRST}", f"{FIRST}.q.q", f" {FIRST}.q", "\n.q"])
def test_a_strange_name_is_no_question_and_goes_after_a_while(folder, name):
    ask(folder).rename(folder / name)
    spool = Spool(folder)

    assert spool.questions() == []
    assert names(folder) == [name]

    leave(folder, name, b"", old=STALE + 5)
    assert spool.questions() == []
    assert names(folder) == []


def test_an_answer_that_nobody_fetches_goes_after_a_while(folder):
    leave(folder, f"{FIRST}.a", b"{}", old=STALE + 5)

    Spool(folder).questions()

    assert names(folder) == []


def test_what_was_answered_before_the_supervisor_was_killed_is_not_asked_again(folder):
    ask(folder)
    leave(folder, f"{FIRST}.a", b'{"result": 1}')

    assert Spool(folder).questions() == []

    assert names(folder) == [f"{FIRST}.a"]


def test_an_answer_is_never_written_through_a_symlink(folder, tmp_path):
    (tmp_path / "mine").write_text("precious")
    for name in (f"{FIRST}.new", f"{FIRST}.a"):
        (folder / name).symlink_to(tmp_path / "mine")

    Spool(folder).answer(FIRST, {"result": 1})

    assert (tmp_path / "mine").read_text() == "precious"
    assert answered(folder) == {"result": 1}


@pytest.mark.parametrize("kind", ["gone", "a symlink", "a file"])
def test_a_launch_that_is_over_asks_nothing(folder, tmp_path, kind):
    ask(folder)
    path = tmp_path / "path"
    if kind == "a symlink":
        path.symlink_to(folder)
    if kind == "a file":
        path.write_text("")
    spool = Spool(path)

    assert spool.questions() == []
    spool.answer(FIRST, {"result": 1})

    assert names(folder) == [f"{FIRST}.q"]
    assert kind != "gone" or not spool.changed()


def test_a_refusal_is_what_the_socket_says():
    error = NotRunning("no", where="here", fix="do that")

    assert refusal(error) == {
        "error": {"what": "no", "where": "here", "fix": "do that", "code": 3},
    }


def test_an_agent_may_ask_in_files_whatever_it_says_of_itself():
    assert "report" in spooling.VERBS
    assert not {"decide", "answer", "stop", "deploy", "shut_down"} & spooling.VERBS
