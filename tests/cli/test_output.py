"""How results and errors are printed, and which exit code follows."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hive.cli import output
from hive.errors import HiveError, NotRunning, TimedOut, WrongInput


def raising(error: BaseException):
    def act() -> int:
        raise error

    return act


def test_an_error_says_what_where_and_what_next(capsys):
    error = WrongInput("unknown key `comand`", where="hive.toml:5", fix="hive check")

    code = output.fail(error, json_too=False)

    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err == "error: hive.toml:5: unknown key `comand`\n  next: hive check\n"


def test_with_json_an_error_is_a_record_too(capsys):
    output.fail(NotRunning("nobody answers", where="there", fix="hive deploy"), json_too=True)

    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "version": 1,
        "error": {"code": 3, "what": "nobody answers", "where": "there", "fix": "hive deploy"},
    }
    assert err.startswith("error: there: nobody answers\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HiveError("it"), 1),
        (WrongInput("it"), 2),
        (NotRunning("it"), 3),
        (TimedOut("it"), 4),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_kind_of_end_has_its_exit_code(error, code):
    assert output.guarded(raising(error), json_too=False) == code


def test_what_ends_well_keeps_its_code():
    assert output.guarded(lambda: 7, json_too=False) == 7


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        output.guarded(raising(ZeroDivisionError()), json_too=False)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        pytest.param(["status", "--json"], True, id="asked for"),
        pytest.param(["status"], False, id="not asked for"),
        pytest.param(["complete", "bash", "--", "--json"], False, id="a word to complete"),
    ],
)
def test_json_is_asked_for_before_the_double_dash(words, wanted):
    assert output.wants_json(words) is wanted


def test_what_is_said_can_not_steer_the_terminal(capsys):
    output.say("red \x1b[31m and\x07 bell")

    assert capsys.readouterr().out == "red  [31m and  bell\n"


def test_a_reader_that_went_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hive", "--help"],
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (1, b"")


def test_a_terminal_without_utf8_gets_what_it_can_show():
    show = "from hive.cli import output; output.say('cut … here')"
    reconfigured = "import hive.__main__, sys; sys.argv = ['hive', 'version']; hive.__main__.main()"
    done = subprocess.run(
        [sys.executable, "-c", f"{reconfigured}; {show}"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("cut ? here\n")
