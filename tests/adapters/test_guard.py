from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hive.adapters import guard, procs
from hive.adapters.supervisors import supervisors
from tests.conftest import end, eventually, tagged

LONG = 60
RUN = "import sys; from hive.adapters import guard; sys.exit(guard.run(sys.argv[2:], sys.argv[1]))"
FORGETFUL = RUN.replace("sys.argv[1])", "sys.argv[1], long_life=0)")
BEATING = RUN.replace("sys.argv[1])", "sys.argv[1], pulse=sys.argv[1], hung={})")
SLEEPER = 'echo $$ >> "$STARTS"; exec sleep 600'

TIDY = """
import os, signal, sys

def say(what):
    with open(os.environ["STARTS"], "a") as file:
        print(what, file=file)

def tidy(*_):
    say("tidied")
    sys.exit(3)

signal.signal(signal.SIGTERM, tidy)
say(os.getpid())
while True:
    signal.pause()
"""


class Guarded:
    """A guard in a process of its own, with a little program for a worker."""

    def __init__(self, path, command, code=RUN):
        self.starts = path / "starts"
        self.log = path / "supervisor.log"
        self.told = path / "told"
        with self.told.open("wb") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, self.log, *command],
                env={**os.environ, "STARTS": str(self.starts)},
                stderr=told,
            )

    def started(self):
        """What each start wrote down."""
        return self.starts.read_text().splitlines() if self.starts.exists() else []

    def worker(self, count):
        """Wait for this many starts, and give the pid the last one wrote."""
        eventually(lambda: len(self.started()) >= count, LONG)
        return int(self.started()[-1])

    def delays(self):
        """The pauses the guard announced."""
        return [float(one) for one in re.findall(r"again in (\S+) s", self.told.read_text())]

    def end(self):
        self.process.terminate()
        return self.process.wait(LONG)


@pytest.fixture
def guarded(tmp_path):
    made = []

    def make(script, **more):
        command = ["/bin/sh", "-c", script] if isinstance(script, str) else script
        made.append(Guarded(tmp_path, command, **more))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.end()


def gone(pid):
    found = procs.process(pid)
    return found is None or found.dead


def test_a_killed_worker_is_started_again(guarded):
    one = guarded(SLEEPER)
    for count in (1, 2, 3):
        os.kill(one.worker(count), signal.SIGKILL)
    last = one.worker(4)
    assert len(set(one.started())) == 4
    assert one.end() == 0
    assert gone(last)


@pytest.mark.parametrize("code", [0, guard.LOCKED], ids=["it ended well", "another is at work"])
def test_the_guard_ends_with_a_worker_that_need_not_come_back(guarded, code):
    one = guarded(f'echo $$ >> "$STARTS"; exit {code}')
    assert one.process.wait(LONG) == 0
    assert len(one.started()) == 1
    assert one.told.read_text() == ""


def test_a_worker_that_crashes_again_and_again_is_started_ever_slower(guarded):
    clock = "import os, time; print(time.monotonic(), file=open(os.environ['STARTS'], 'a'))"
    one = guarded([sys.executable, "-c", f"{clock}; raise SystemExit(1)"])
    eventually(lambda: len(one.started()) >= 4, LONG)
    times = [float(line) for line in one.started()]
    assert times[2] - times[1] >= 0.5
    assert times[3] - times[2] >= 1
    assert one.delays()[:3] == [0, 0.5, 1]
    assert one.end() == 0


def test_the_delays_end_where_they_are_bearable():
    assert guard.DELAYS == (0.0, 0.5, 1.0, 2.0, 4.0)


def test_a_long_life_forgets_earlier_crashes(guarded):
    one = guarded('echo $$ >> "$STARTS"; exit 1', code=FORGETFUL)
    eventually(lambda: len(one.started()) >= 8, LONG)
    assert set(one.delays()) == {0}
    assert one.end() == 0


def test_a_worker_without_a_sign_of_life_is_killed_and_another_started(guarded):
    one = guarded(SLEEPER, code=BEATING.format(1))

    eventually(lambda: len(one.started()) >= 2, LONG)

    first, second = one.started()[:2]
    assert first != second
    assert "no sign of life for 1 s" in one.told.read_text()
    assert one.end() == 0


def test_a_worker_that_shows_signs_of_life_is_left_alone(guarded):
    beats = 'echo $$ >> "$STARTS"; for i in 1 2 3 4 5 6 7 8 9 10; do echo beat >&2; sleep 1; done'
    one = guarded(beats, code=BEATING.format(8))  # on a slow machine a beat may come late

    eventually(lambda: one.process.poll() is not None, LONG)

    assert len(one.started()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_ends_the_guard_ends_the_worker_in_peace(guarded, number):
    one = guarded([sys.executable, "-c", TIDY])
    worker = one.worker(1)
    one.process.send_signal(number)
    assert one.process.wait(LONG) == 0
    assert one.started()[1:] == ["tidied"]
    assert gone(worker)


def test_a_hangup_ends_nobody(guarded):
    one = guarded(SLEEPER)
    worker = one.worker(1)
    one.process.send_signal(signal.SIGHUP)
    os.kill(worker, signal.SIGKILL)
    one.worker(2)
    assert one.end() == 0


def test_a_guard_asked_to_end_between_two_starts_ends(guarded):
    one = guarded("exit 1")
    eventually(lambda: len(one.delays()) >= 4, LONG)
    assert one.end() == 0


def test_a_program_that_can_not_be_started_is_tried_again(guarded):
    one = guarded(["/nonexistent/program"])
    eventually(lambda: len(one.delays()) >= 2, LONG)
    assert "can't start the supervisor" in one.told.read_text()
    assert one.end() == 0


def test_what_the_worker_says_of_its_errors_is_kept_in_the_log(guarded):
    one = guarded("echo printed; cat; echo failed >&2; exit 0")
    one.process.wait(LONG)
    assert one.log.read_text() == "failed\n"
    assert one.log.stat().st_mode & 0o777 == 0o600


def test_a_log_that_can_not_be_written_stops_nobody(guarded, tmp_path):
    (tmp_path / "supervisor.log").mkdir()
    one = guarded('echo $$ >> "$STARTS"; echo failed >&2; exit 0')
    assert one.process.wait(LONG) == 0
    assert len(one.started()) == 1


def test_a_worker_inherits_no_ignored_signals(guarded):
    probe = "import os, signal; print([signal.getsignal(one) == signal.SIG_DFL for one in (1, 15)],"
    probe += " signal.pthread_sigmask(0, []), file=open(os.environ['STARTS'], 'a'))"
    one = guarded([sys.executable, "-c", probe])
    one.process.wait(LONG)
    assert one.started() == ["[True, True] set()"]


# From here on the whole of it, with a hive whose supervisor does almost nothing.

MAIN = """
import os, sys, time
from hive.adapters import guard
assert sys.argv[1:] == ["supervise", "--worker"], sys.argv
root = os.environ["HIVE_STATE"]
with open(f"{root}/starts", "a") as file:
    print(os.getpid(), file=file)
while guard.parent_is_guard():
    time.sleep(0.02)
guard.become(root, os.environ)
"""

START = "import os, sys; from hive.adapters import guard\n"
START += "print(guard.start(sys.argv[1], os.environ))"


@pytest.fixture
def root(short_path):
    """A state directory, beside a hive whose supervisor only notes that it runs."""
    package = short_path / "lib" / "hive"
    (package / "adapters").mkdir(parents=True)
    for name in ("__init__.py", "adapters/__init__.py"):
        (package / name).touch()
    (package / "__main__.py").write_text(MAIN)
    (package / "adapters" / "guard.py").symlink_to(Path(guard.__file__))
    made = short_path / "state"
    made.mkdir()
    yield str(made)
    end(lambda: tagged("TEST_ROOT", str(made)))


def start(root, code=START, **options):
    lib = str(Path(root).parent / "lib")
    ours = {"PYTHONPATH": lib, "PYTHONDONTWRITEBYTECODE": "1", "TEST_ROOT": root}
    env = {**os.environ, **ours}
    command = [sys.executable, "-c", code, root]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=LONG, check=True, **options
    )
    return int(done.stdout)


def both(root):
    """Wait for a guard and a worker, and give their pids."""

    def found():
        kinds = {kind: pid for pid, _, kind in supervisors(root)}
        starts = Path(root, "starts")
        told = starts.read_text().split() if starts.exists() else []
        complete = len(kinds) == 2 and str(kinds["worker"]) in told
        return (kinds["guard"], kinds["worker"]) if complete else None

    return eventually(found, LONG)


def test_a_started_guard_belongs_to_nobody_else(root):
    pid = start(root)
    watching, worker = both(root)
    assert watching == pid
    assert os.getsid(pid) == pid
    assert os.getsid(worker) == pid
    for one in (pid, worker):
        environ = procs.environ(one)
        assert environ["HIVE_STATE"] == environ[guard.MARK] == root
    assert procs.environ(worker)[guard.PARENT] == str(pid)
    assert procs.process(worker).parent == pid
    assert [kind for _, _, kind in supervisors(root)] == ["guard", "worker"]
    assert supervisors(f"{root}x") == []
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not supervisors(root), LONG)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc shows what a process has open")
def test_a_started_guard_keeps_nothing_open(root):
    reader, writer = os.pipe()
    pid = start(root, pass_fds=[writer])
    os.close(writer)
    assert os.read(reader, 1) == b""  # nobody else has it
    os.close(reader)
    both(root)
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    files = {one.name: str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()}
    assert [files.pop(name) for name in "012"] == [
        "/dev/null",
        "/dev/null",
        f"{root}/supervisor.log",
    ]
    assert len(files) == 2
    assert all(name.startswith("pipe:") for name in files.values())


def test_whichever_of_the_two_is_killed_both_are_back(root):
    start(root)
    for victim in (0, 1, 0, 1):
        before = both(root)
        os.kill(before[victim], signal.SIGKILL)
        eventually(lambda dead=before[victim]: gone(dead), LONG)
        after = eventually(lambda b=before: (f := both(root)) != b and f, LONG)
        if victim == 0:
            assert after[0] == before[1]  # the worker took the guard's place
        else:
            assert after[0] == before[0]


FAIL = """
import os, sys
from hive.adapters import guard
sys.executable = sys.argv[2]
try:
    guard.start(sys.argv[1], os.environ)
except OSError as error:
    print(error.errno)
"""


@pytest.mark.parametrize(
    ("below", "python"),
    [
        pytest.param("", "/nonexistent/python", id="no python"),
        pytest.param("gone", sys.executable, id="no state directory"),
    ],
)
def test_a_guard_that_can_not_be_started_is_told(tmp_path, below, python):
    command = [sys.executable, "-c", FAIL, str(tmp_path / below), python]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=True)
    assert int(done.stdout) == errno.ENOENT


def test_a_guard_is_tiny():
    code = "import sys; before = set(sys.modules); import hive.adapters.guard\n"
    code += "print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LONG
    )
    big = {"subprocess", "typing", "pathlib", "logging", "json", "threading", "dataclasses", "re"}
    assert big & set(done.stdout.split()) == set()


@pytest.mark.parametrize(("text", "pid"), [("", 0), ("12", 12), ("x", 0)])
def test_a_process_knows_the_guard_that_started_it(monkeypatch, text, pid):
    monkeypatch.setenv(guard.PARENT, text)
    assert guard.parent() == pid
    assert not guard.parent_is_guard()
    monkeypatch.setenv(guard.PARENT, str(os.getppid()))
    assert guard.parent_is_guard()
