"""`hive worker` on a real terminal, with commands that are run for real."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time

import pytest

from hive.adapters.spool import Spool
from hive.cli.worker import headers, tail
from tests.cli.conftest import Answering
from tests.conftest import eventually

ME = {"agent": "Task/back/build", "launch": "l1", "seal": "s"}
NONE = {"task": None}
START = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from hive.cli import output, worker
worker.AGAIN = 0.2
worker.reach.ask.__kwdefaults__["away"] = 0.3
raise SystemExit(output.guarded(lambda: worker.run([]), json_too=False))
"""


class Window:
    """A terminal in which a worker runs; `text` is what it shows."""

    def __init__(self, environ):
        self._screen, terminal = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", START],
            stdin=terminal, stdout=terminal, stderr=terminal,
            env=os.environ | environ, start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._screen, 4096)
            except OSError:  # nobody has the terminal any more
                return
            self.text += data.decode()

    def type(self, text):
        os.write(self._screen, text.encode())

    def shows(self, text):
        eventually(lambda: text in self.text, pause=0.01)

    def end(self, number=signal.SIGTERM):
        """End the worker and give its exit code; everything else on the terminal ends too."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        code = self.process.wait(timeout=60)
        self._thread.join(timeout=60)
        return code

    def close(self):
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        self._thread.join(timeout=60)
        os.close(self._screen)


@pytest.fixture
def place(short_path):
    """Give the environment of the worker's launch."""
    (short_path / "state").mkdir()
    (short_path / "folder" / "spool").mkdir(parents=True)
    found = {f"HIVE_{key.upper()}": text for key, text in ME.items()}
    return found | {
        "HIVE_STATE": str(short_path / "state"),
        "HIVE_FOLDER": str(short_path / "folder"),
    }


@pytest.fixture
def folder(short_path):
    return short_path / "folder"


@pytest.fixture
def supervisor(short_path, place):
    one = Answering(short_path / "state")
    one.answers = {"next_task": NONE, "task_done": {}, "task_fail": {}, "logs": {"lines": []}}
    yield one
    if not one._over:
        one.close()


@pytest.fixture
def window(place):
    windows = []

    def opened():
        windows.append(Window(place))
        return windows[-1]

    yield opened
    for one in windows:
        one.close()


def task(text, name="m-1"):
    return {"task": {"name": name, "text": text, "from": "back/pm"}}


def reports(supervisor):
    """Give what was reported, without who reports."""
    found = []
    for verb, args in supervisor.asked:
        if verb in {"task_done", "task_fail"}:
            assert args["me"] == ME
            found.append((verb, {key: args[key] for key in args.keys() - {"me", "uid"}}))
    return found


def reported(supervisor, count=1):
    return eventually(lambda: (found := reports(supervisor))[count - 1 :] and found, pause=0.01)


def done(result, name="m-1"):
    return ("task_done", {"name": name, "result": result, "confidence": None})


def failed(why, name="m-1"):
    return ("task_fail", {"name": name, "why": why})


def test_commands_are_run_one_by_one_on_the_terminal(supervisor, window):
    supervisor.answers["next_task"] = [
        task("test -t 0 && test -t 1 && echo on a terminal"),
        task("echo two\nexit 3", "m-2"),
        NONE,
    ]
    supervisor.answers["logs"] = [
        {"lines": ["$ test -t 0 && test -t 1 && echo on a terminal", "on a terminal"]},
        {"lines": ["older", "$ echo two", "> exit 3", "two"]},
    ]
    one = window()

    assert reported(supervisor, 2) == [
        done("exit code 0\non a terminal"),
        failed("exit code 3\ntwo", "m-2"),
    ]
    asked = [args for verb, args in supervisor.asked if verb == "logs"]
    assert {tuple(sorted(args)) for args in asked} == {("lines", "name")}
    one.shows("$ echo two\r\n> exit 3\r\ntwo\r\n")
    assert "\non a terminal\r\n" in one.text
    assert one.end() == 0


def test_the_bell_is_heard_at_once(supervisor, window, folder):
    one = window()
    eventually(lambda: supervisor.asked)
    time.sleep(0.3)
    assert len(supervisor.asked) == 1, "while all is quiet nobody is asked"
    supervisor.answers["next_task"] = [task("true"), NONE]

    (folder / "bell").touch()

    assert reported(supervisor) == [done("exit code 0")]
    assert one.end() == 0


def test_what_a_person_types_goes_to_the_command(supervisor, window):
    supervisor.answers["next_task"] = [
        task('echo ready; read line; test "$line" = yes'),
        NONE,
    ]
    one = window()
    one.shows("\nready")

    one.type("yes\n")

    assert reported(supervisor) == [done("exit code 0")]


def test_ctrl_c_ends_the_command_and_not_the_worker(supervisor, window):
    supervisor.answers["next_task"] = [
        task("echo ready; while :; do sleep 0.01; done"),
        task("true", "m-2"),
        NONE,
    ]
    one = window()
    one.shows("\nready")

    one.type("\x03")

    assert reported(supervisor, 2) == [failed("ended by SIGINT"), done("exit code 0", "m-2")]
    assert one.process.poll() is None


def test_ctrl_z_stops_nothing(supervisor, window):
    supervisor.answers["next_task"] = [task("echo ready; read line; exit 4"), NONE]
    one = window()
    one.shows("\nready")

    one.type("\x1a")
    one.shows("^Z")
    one.type("\n")

    assert reported(supervisor) == [failed("exit code 4")]


def test_a_command_that_leaves_the_terminal_strange_leaves_it_so_for_nobody(supervisor, window):
    supervisor.answers["next_task"] = [
        task("stty raw -echo"),
        task("stty -a | grep -w icanon | grep -qw echo", "m-2"),
        NONE,
    ]
    window()

    assert reported(supervisor, 2) == [done("exit code 0"), done("exit code 0", "m-2")]


def test_term_ends_the_command_first(supervisor, window):
    supervisor.answers["next_task"] = [
        task("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done"),
        NONE,
    ]
    one = window()
    one.shows("\nready")

    assert one.end() == 0

    assert reports(supervisor) == [failed("exit code 5\nthe worker was stopped")]
    assert "bye" in one.text


def test_what_was_cut_off_is_reported_and_never_run_again(supervisor, window, folder):
    supervisor.answers["next_task"] = task(f"echo run >> {folder}/runs; echo ready; sleep 60")
    first = window()
    first.shows("\nready")
    first.end(signal.SIGKILL)
    supervisor.answers["next_task"] = [supervisor.answers["next_task"], NONE]

    window()

    ((verb, args),) = reported(supervisor)
    assert verb == "task_fail"
    assert args["why"].startswith("cut off")
    assert (folder / "runs").read_text() == "run\n"


def test_a_report_that_was_not_heard_is_made_again_and_nothing_run_again(
    supervisor, window, folder
):
    asked = task(f"echo run >> {folder}/runs")
    supervisor.answers["next_task"] = [asked, asked, asked, NONE]
    window()

    assert reported(supervisor, 3) == [done("exit code 0")] * 3

    assert (folder / "runs").read_text() == "run\n"
    uids = {args["uid"] for verb, args in supervisor.asked if verb == "task_done"}
    assert len(uids) == 1, "so it is one report"


def test_it_outlives_a_supervisor(supervisor, window, folder, short_path):
    supervisor.answers["next_task"] = task(f"echo ready; until [ -e {folder}/go ]; do :; done")
    one = window()
    one.shows("\nready")
    supervisor.close()

    (folder / "go").touch()
    spool = Spool(folder / "spool")
    ((name, verb, args),) = eventually(lambda: [q for q in spool.questions() if q[1] != "logs"])
    again = Answering(short_path / "state")
    try:
        logs = {"lines": []}
        again.answers = {"next_task": [task("true", "m-2"), NONE], "task_done": {}, "logs": logs}
        spool.answer(name, {"result": {}})
        assert reported(again) == [done("exit code 0", "m-2")]
    finally:
        again.close()

    assert (verb, args["name"]) == ("task_done", "m-1")
    assert one.process.poll() is None


def test_a_supervisor_that_refuses_a_report_does_not_stop_the_others(supervisor, window):
    del supervisor.answers["task_done"]
    supervisor.answers["next_task"] = [task("true"), task("exit 1", "m-2"), NONE]
    one = window()

    assert reported(supervisor, 2) == [done("exit code 0"), failed("exit code 1", "m-2")]
    one.shows("m-1 is not reported: no answer to `task_done`")


def test_a_launch_that_is_over_ends_the_worker(supervisor, window):
    del supervisor.answers["next_task"]
    one = window()

    assert one.ended() == 2
    assert "error: no answer to `next_task`" in one.text


def test_a_damaged_memory_is_told_and_nothing_is_run(supervisor, window, folder):
    (folder / "worker.json").write_text("{")
    supervisor.answers["next_task"] = task("true")
    one = window()

    assert one.ended() == 1
    assert "the worker's memory is damaged" in one.text
    assert supervisor.asked == []


def test_without_a_terminal_commands_run_too(supervisor, place):
    supervisor.answers["next_task"] = [task("exit 7"), NONE]
    code = "from hive.cli import worker; raise SystemExit(worker.run([]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | place,
    )

    assert reported(supervisor) == [failed("exit code 7")]
    process.terminate()
    assert process.wait(timeout=60) == 0


def test_what_is_begun_is_written_down_first(supervisor, window, folder):
    supervisor.answers["next_task"] = [task(f"cp {folder}/worker.json {folder}/seen"), NONE]
    window()

    reported(supervisor)

    assert json.loads((folder / "seen").read_text())["task"] == "m-1"


@pytest.mark.parametrize(
    ("lines", "text", "shown"),
    [
        pytest.param([], "make", [], id="nothing is known"),
        pytest.param(["a", "$ make", "b", "c"], "make", ["b", "c"], id="behind the command"),
        pytest.param(["$ make", "a", "$ make", "b"], "make", ["b"], id="the same twice"),
        pytest.param(["$ a", "> b", "> c"], "a\nb", ["> c"], id="several lines"),
        pytest.param([f"{n}" for n in range(99)], "x", [f"{n}" for n in range(79, 99)], id="much"),
    ],
)
def test_the_last_lines_are_those_of_the_command(lines, text, shown):
    assert tail(lines, headers(text)) == shown
