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

import psutil
import pytest

from hive.adapters.bell import ring
from hive.adapters.spool import Spool
from hive.cli.worker import headers, tail
from tests.cli.conftest import Answering
from tests.conftest import eventually

ME = {"agent": "Task/back/build", "launch": "l1", "seal": "s"}
NONE = {"task": None}
START = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from hive.cli import output, worker, workplace
worker.AGAIN = workplace.GRACE = 0.2
worker.Worker._ask.__kwdefaults__["away"] = 0.3
raise SystemExit(output.guarded(lambda: worker.run(sys.argv[1:]), json_too=False))
"""


class Window:
    """A terminal in which a worker runs; `text` is what it shows."""

    def __init__(self, environ, words):
        self._screen, terminal = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, *words],
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

    def opened(*words):
        windows.append(Window(place, words))
        return windows[-1]

    yield opened
    for one in windows:
        one.close()


def task(text, name="m-1"):
    return {"task": {"name": name, "text": text, "from": "back/pm"}}


def work(text, number=1, fence=1, kind="run", **more):
    """Give a task of the queue."""
    name = f"t-{number}"
    own = {"name": name, "kind": kind, "fence": fence, "lease": f"{name}-{fence}"}
    return {
        "task": {"text": text, "from": "a person", "argv": None, "directory": "", **own, **more}
    }


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


def done(result, name="m-1", **more):
    return ("task_done", {"name": name, "result": result, "confidence": None, **more})


def failed(why, name="m-1", **more):
    return ("task_fail", {"name": name, "why": why, **more})


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

    ring(folder)

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
    assert tail(lines, headers({"name": "m-1", "text": text})) == shown


def test_a_task_runs_where_it_belongs_and_is_reported_under_its_lease(supervisor, window, folder):
    (folder / "there").mkdir()
    asked = "test $HIVE_TASK,$HIVE_FENCE,$HIVE_LEASE = t-12,3,t-12-3 && test -e ../spool"
    supervisor.answers["next_task"] = [
        work(asked, 12, 3, directory=str(folder / "there")),
        work("exit 75", 13),
        NONE,
    ]
    window()

    assert reported(supervisor, 2) == [
        done("exit code 0", "t-12", fence=3),
        failed("exit code 75", "t-13", fence=1),
    ]


def test_a_prompt_is_done_by_its_own_program_without_a_shell(supervisor, window):
    text = 'say "$HOME"; and\nmore'
    supervisor.answers["next_task"] = [
        work(text, kind="prompt", argv=["printf", "%s\n", text]),
        NONE,
    ]
    supervisor.answers["logs"] = {"lines": ['t-1: say "$HOME"; and', "> more", *text.split("\n")]}
    one = window("--prompts")

    assert reported(supervisor) == [done(text, "t-1", fence=1)], "what it said, and that alone"
    one.shows('t-1: say "$HOME"; and\r\n> more\r\nsay "$HOME"; and\r\nmore\r\n')


def test_what_is_written_as_the_result_is_the_result(supervisor, window):
    supervisor.answers["next_task"] = [
        work("echo shown; echo the answer > $HIVE_RESULT"),
        work("true", 2),
        work("echo the answer > $HIVE_RESULT; exit 1", 3),
        NONE,
    ]
    window()

    assert reported(supervisor, 3) == [
        done("the answer", "t-1", fence=1),
        done("exit code 0", "t-2", fence=1),
        failed("exit code 1\nthe answer", "t-3", fence=1),
    ]


@pytest.mark.parametrize("code", [64, 78, 126, 127])
def test_what_would_end_the_same_again_is_said_to_be_permanent(supervisor, window, code):
    supervisor.answers["next_task"] = [work(f"exit {code}"), task(f"exit {code}"), NONE]
    window()

    assert reported(supervisor, 2) == [
        failed(f"exit code {code}", "t-1", fence=1, permanent=True),
        failed(f"exit code {code}"),
    ]


@pytest.mark.parametrize(
    ("more", "code"),
    [({"argv": ["no-such-program"]}, 127), ({"directory": "/no/such/place"}, 127)],
    ids=["program", "directory"],
)
def test_what_can_not_be_started_has_failed_for_good(supervisor, window, more, code):
    supervisor.answers["next_task"] = [work("true", **more), NONE]
    one = window()

    assert reported(supervisor) == [failed(f"exit code {code}", "t-1", fence=1, permanent=True)]
    one.shows("hive worker: can't run it: ")


@pytest.mark.parametrize(
    ("words", "asked", "refused"),
    [
        pytest.param([], work("rm x", kind="prompt"), True, id="a prompt, and no program for it"),
        pytest.param(["--prompts"], work("true"), False, id="a command"),
        pytest.param(["--prompts"], task("rm x"), True, id="a message that is for a program"),
    ],
)
def test_a_prompt_is_never_taken_for_a_command(supervisor, window, words, asked, refused):
    supervisor.answers["next_task"] = [asked, NONE]
    window(*words)

    ((verb, args),) = reported(supervisor)

    assert (verb == "task_fail") is refused
    assert args.get("why", "").startswith("this worker has no command for it") is refused


def test_a_task_is_run_again_under_another_lease_alone(supervisor, window, folder):
    count = f"echo run >> {folder}/runs"
    supervisor.answers["next_task"] = [work(count), work(count), work(count, fence=2), NONE]
    window()

    first, again, other = reported(supervisor, 3)

    assert first == again == done("exit code 0", "t-1", fence=1)
    assert other == done("exit code 0", "t-1", fence=2)
    assert (folder / "runs").read_text() == "run\n" * 2


@pytest.mark.parametrize(
    ("text", "then"),
    [
        pytest.param("echo ready; exec sleep 60", NONE, id="taken back"),
        pytest.param("echo ready; exec sleep 60", work("true", fence=2), id="another lease"),
        pytest.param("trap '' TERM; echo ready; sleep 60; sleep 60", NONE, id="does not heed"),
        pytest.param("sleep 60 & echo $! > $HIVE_FOLDER/child; echo ready; wait", NONE, id="child"),
    ],
)
def test_what_is_no_longer_its_own_is_ended_and_said_to_be(supervisor, window, folder, text, then):
    supervisor.answers["next_task"] = work(text)
    one = window()
    one.shows("\nready")
    more = [] if then == NONE else [then]
    supervisor.answers["next_task"] = [then, *more, work("true", 2), NONE]

    ring(folder)

    (verb, told), *others = reported(supervisor, 2 + len(more))
    assert (verb, told["name"], told["fence"]) == ("task_fail", "t-1", 1)
    assert told["why"].startswith("it was taken back, or is over")
    assert others[-1] == done("exit code 0", "t-2", fence=1)
    assert [args["fence"] for _, args in others[:-1]] == [2] * len(more)
    if (folder / "child").exists():
        eventually(lambda: not psutil.pid_exists(int((folder / "child").read_text())))


def test_a_bell_for_something_else_ends_nothing(supervisor, window, folder):
    supervisor.answers["next_task"] = work(f"echo ready; until [ -e {folder}/go ]; do :; done")
    one = window()
    one.shows("\nready")
    asked = len(supervisor.asked)
    ring(folder)
    eventually(lambda: len(supervisor.asked) > asked, pause=0.01)
    supervisor.answers["next_task"] = [work("true", 2), NONE]

    (folder / "go").touch()

    first, second = reported(supervisor, 2)
    assert first == done("exit code 0", "t-1", fence=1)
    assert second == done("exit code 0", "t-2", fence=1)


def test_nobody_who_answers_ends_nothing(supervisor, window, folder):
    supervisor.answers["next_task"] = work(f"echo ready; until [ -e {folder}/go ]; do :; done")
    one = window()
    one.shows("\nready")
    supervisor.close()

    ring(folder)
    (folder / "go").touch()

    spool = Spool(folder / "spool")
    ((_, verb, args),) = eventually(lambda: [q for q in spool.questions() if q[1] == "task_done"])
    assert (verb, args["name"], args["fence"]) == ("task_done", "t-1", 1)
