"""Checks run as real commands."""

from __future__ import annotations

import os
import select
import time

import psutil
import pytest

from hive.adapters import checks as module
from hive.adapters.checks import LATE, LONGEST, MISSING, THREADS, Checks

LONG = 60.0


@pytest.fixture
def checks():
    one = Checks()
    yield one
    one.close()


def readable(one, timeout=LONG):
    return bool(select.select([one.fileno()], [], [], timeout)[0])


def begin(checks, command, key="t-1", directory="/", timeout=LONG, **environ):
    checks.begin(key, command, str(directory), {"PATH": os.environ["PATH"], **environ}, timeout)


def gathered(checks, count=1):
    found = []
    while len(found) < count:
        assert readable(checks)
        found += checks.read()
    return found


def alive(file):
    try:
        return psutil.Process(int(file.read_text())).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        pytest.param("echo fine", 0, "fine\n", id="it passes"),
        pytest.param("echo one; echo two >&2; exit 3", 3, "one\ntwo\n", id="it fails"),
        pytest.param("kill -TERM $$", -15, "", id="it is killed"),
        pytest.param("cat; pwd; echo $COLOR", 0, "/\nred\n", id="no input, its own environment"),
        pytest.param("printf 'a\\377b'", 0, "a�b", id="no text"),
        pytest.param("sleep 600 & echo over", 0, "over\n", id="it leaves something running"),
        pytest.param("exec >&- 2>&-; sleep 0.2; exit 4", 4, "", id="it closes its output"),
    ],
)
def test_a_command_is_run_to_its_end(checks, command, code, output):
    begin(checks, command, key=("t-1", 3), COLOR="red")
    (done,) = gathered(checks)
    assert (done.key, done.code, done.output) == (("t-1", 3), code, output)
    assert 0 < done.seconds < LONG
    assert not checks.running()
    assert not readable(checks, 0)


def test_of_much_output_the_end_is_kept_and_the_command_never_waits(checks):
    begin(checks, "seq 1 1000000; echo the end")
    (done,) = gathered(checks)
    assert done.code == 0
    assert done.output.startswith("… ")
    assert done.output.endswith("1000000\nthe end\n")
    assert len(done.output) == LONGEST


def test_at_its_timeout_the_whole_group_is_ended(checks, tmp_path, eventually):
    begin(checks, "sleep 600 & echo $! > pid; echo begun; wait", directory=tmp_path, timeout=0.5)
    (done,) = gathered(checks)
    assert done.code == LATE
    assert done.output == "begun\n\nhive ended it: it was not over within 0.5 s\n"
    eventually(lambda: not alive(tmp_path / "pid"))


def test_a_missing_directory_is_told(checks, tmp_path):
    begin(checks, "true", directory=tmp_path / "gone")
    (done,) = gathered(checks)
    assert done.code == MISSING
    assert "gone" in done.output


def test_what_is_stopped_ends_and_is_not_told(checks, tmp_path, eventually):
    pid = tmp_path / "pid"
    begin(checks, "echo $$ > new && mv new pid; exec sleep 600", directory=tmp_path)
    eventually(pid.exists)
    assert checks.running() == {"t-1"}
    checks.stop("t-1")
    checks.stop("another")
    assert checks.running() == set()
    eventually(lambda: not alive(pid))
    begin(checks, "echo later", key="t-2")
    assert [done.key for done in gathered(checks)] == ["t-2"]


def test_one_of_the_same_key_takes_the_place_of_the_other(checks, tmp_path):
    begin(checks, "exec sleep 600")
    begin(checks, "echo second")
    assert [done.output for done in gathered(checks)] == ["second\n"]
    assert not checks.running()


def test_what_was_not_read_yet_can_be_stopped(checks, eventually):
    begin(checks, "true")
    assert readable(checks)
    checks.stop("t-1")
    assert checks.read() == []
    begin(checks, "true", key="t-2")
    assert [done.key for done in gathered(checks)] == ["t-2"]


def test_many_take_turns_and_none_is_lost(checks):
    for number in range(THREADS * 5):
        begin(checks, f"exit {number}", key=number)
    assert {one.key: one.code for one in gathered(checks, THREADS * 5)} == {
        number: number for number in range(THREADS * 5)
    }


def test_a_bug_is_answered_too(checks, monkeypatch, caplog):
    monkeypatch.setattr(module, "_listen", lambda *_: 1 / 0)
    begin(checks, "true")
    (done,) = gathered(checks)
    assert (done.code, "ZeroDivisionError" in done.output) == (MISSING, True)
    assert "could not be run" in caplog.text


def test_closing_ends_what_runs_and_begins_nothing(tmp_path, eventually):
    one = Checks()
    for number in range(THREADS):
        begin(one, f"echo $$ > new{number} && mv new{number} {number}; exec sleep 600", key=number,
              directory=tmp_path)  # fmt: skip
    begin(one, "touch never", key="never", directory=tmp_path)
    eventually(lambda: all((tmp_path / str(number)).exists() for number in range(THREADS)))
    descriptor = one.fileno()
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 30
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    for number in range(THREADS):
        eventually(lambda file=tmp_path / str(number): not alive(file))
    for thread in one._threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert not (tmp_path / "never").exists()


def test_closing_without_a_check_is_quick():
    Checks().close()
