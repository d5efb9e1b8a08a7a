from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from hive.adapters import brake, launch, procs
from hive.adapters.brake import Brake, Grips
from hive.core.trees import Process
from tests.conftest import end, eventually, tagged

BUSY = "while :; do :; done"
JOB = "import subprocess; subprocess.run(['sleep', '60'], process_group=0)"
"""A program with a child in a group of its own, as a shell has it: only that can be suspended."""


class Family:
    """A root that only waits, with a program below it; everything bears BRAKE_TEST."""

    def __init__(self, path, script: str) -> None:
        self.tag = str(path)
        self.process = subprocess.Popen(
            ["sh", "-c", 'sh -c "$0" & echo $!; wait', script],
            env=os.environ | {"BRAKE_TEST": self.tag},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.child = psutil.Process(int(self.process.stdout.readline()))
        self.root = procs.process(self.process.pid)

    def below(self) -> list[psutil.Process]:
        return [psutil.Process(pid) for pid, _ in self.found() if pid != self.root.pid]

    def found(self):
        return tagged("BRAKE_TEST", self.tag)

    def states(self) -> set[str]:
        found = [procs.process(one.pid) for one in self.below()]
        return {one.state for one in found if one is not None and not one.dead}

    def stands_still(self) -> bool:
        return self.states() == {"T"}

    def spent(self) -> float:
        times = [one.cpu_times() for one in self.below()]
        return sum(sum(one[:2]) for one in times)

    def close(self) -> None:
        end(self.found)
        self.process.communicate(timeout=30)


@pytest.fixture
def family(short_path):
    started = []

    def start(script: str) -> Family:
        started.append(Family(short_path, script))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def make():
    """Give a function that makes a brake, with the arguments of Brake."""
    brakes = []

    def brake_of(root: Process, grips: Grips | None = None, **values) -> Brake:
        brakes.append(Brake(root, grips or Grips(), **values))
        return brakes[-1]

    yield brake_of
    for one in brakes:
        one.close()


@pytest.fixture(params=["kernel", "ps", "nothing kept"])
def make_any(request, make):
    """Give a function that makes a brake of one kind."""
    if request.param == "nothing kept" and sys.platform != "linux":
        pytest.skip("nothing is ever kept here")
    kinds = {
        "kernel": lambda one: make(one.root),
        "ps": lambda one: make(one.root, children=brake.children_by_ps),
        "nothing kept": lambda one: make(one.root, Grips(keep=0)),
    }
    return kinds[request.param]


def three(one: Family) -> bool:
    return len(one.below()) == 3


def test_all_below_the_root_stands_still_and_goes_on(family, make_any):
    one = family(f"({BUSY}) & ({BUSY}) & wait")
    eventually(lambda: three(one))
    held = make_any(one)
    for _ in range(3):
        held.look()
        assert held.stop()
        eventually(one.stands_still)
        assert psutil.Process(one.root.pid).status() != psutil.STATUS_STOPPED
        before = one.spent()
        assert held.look() >= 0
        assert one.spent() == before
        held.go()
        assert "T" not in one.states()
    eventually(lambda: one.spent() > before + 0.05)


def nothing_runs(one: Family, held: Brake) -> bool:
    """Stop what runs; whether nothing does: a shell may wait (D) for a child it has just born."""
    held.look()
    held.stop()
    return one.states() <= {"T", "D"}


def test_what_forks_all_the_time_stands_still_too(family, make_any):
    one = family("while :; do sleep 0.01; done")
    held = make_any(one)
    for _ in range(5):
        eventually(lambda: nothing_runs(one, held))
        held.go()


SHELL = ("bash", "--norc", "-i")
READS = "bash -c 'echo on; for i in 1 2 3; do read it; all=$all-$it; done; echo got$all'"


def test_a_shell_does_not_see_its_job_stop_and_typed_keys_arrive_in_order(bench, make):
    """The shell of a pane says so, and takes the terminal back, when its job stops before it."""
    folder = bench.path / "launches"
    folder.mkdir()
    env = dict(os.environ) | {"HOME": str(bench.path)}
    launch.prepare(folder, "one", bench.spec("dev", argv=SHELL), {}, env)
    pane = bench.open("dev", *launch.launcher(folder / "one"))
    bench.screen(pane.id, "$" if os.getuid() else "#")
    bench.run("send-keys", "-t", pane.id, READS, "Enter")
    eventually(lambda: "on" in bench.tmux.capture(pane.id))
    held = make(procs.process(pane.pid))
    for turn in range(30):
        held.look()
        eventually(held.stop, pause=0.005)
        if turn % 10 == 0:
            bench.run("send-keys", "-t", pane.id, "-l", f"a{turn}b")
            bench.run("send-keys", "-t", pane.id, "Enter")
        held.go()
    shown = bench.screen(pane.id, "got-")
    assert "got-a0b-a10b-a20b" in shown
    assert not [line for line in shown if "Stopped" in line]


def test_what_somebody_else_stopped_stays_stopped(family, make):
    one = family("sleep 60 & wait")
    (sleeper,) = eventually(one.child.children)
    sleeper.send_signal(signal.SIGSTOP)
    eventually(lambda: sleeper.status() == psutil.STATUS_STOPPED)
    held = make(one.root)
    held.look()
    assert [pid for pid, _ in held.others] == [sleeper.pid]
    held.stop()
    eventually(lambda: one.child.status() == psutil.STATUS_STOPPED)
    held.go()
    eventually(lambda: one.child.status() != psutil.STATUS_STOPPED)
    assert sleeper.status() == psutil.STATUS_STOPPED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what waits")
def test_what_the_person_suspends_meanwhile_stays_suspended(family, make):
    one = family(f'exec {sys.executable} -ISc "{JOB}"')
    (sleeper,) = eventually(one.child.children)
    eventually(lambda: sleeper.name() == "sleep")
    held = make(one.root)
    held.look()
    held.stop()
    eventually(one.stands_still)
    sleeper.send_signal(signal.SIGTSTP)
    held.go()
    eventually(lambda: one.child.status() != psutil.STATUS_STOPPED)
    eventually(lambda: sleeper.status() == psutil.STATUS_STOPPED)


def test_what_left_the_tree_is_held_where_it_is_known(family, make):
    one = family("(sleep 60 &) ; exec sleep 60")
    eventually(lambda: len(one.below()) == 2 and one.child.name() == "sleep")
    away = next(found for found in one.below() if found.pid != one.child.pid)
    held = make(one.root)
    held.know([procs.process(away.pid)])
    held.look()
    assert [pid for pid, _ in held.escaped] == [away.pid]
    held.stop()
    eventually(one.stands_still)


def test_what_is_nobodys_is_left_alone_with_all_below_it(family, make):
    one = family("sh -c 'sleep 60 & wait' & wait")
    eventually(lambda: three(one))
    (foreign,) = one.child.children()
    held = make(one.root)
    held.know([], never=[foreign.pid])
    held.look()
    held.stop()
    eventually(lambda: one.child.status() == psutil.STATUS_STOPPED)
    assert foreign.status() != psutil.STATUS_STOPPED
    assert foreign.children()[0].status() != psutil.STATUS_STOPPED


def test_another_process_with_the_same_pid_is_never_signalled(family, make):
    one = family("exec sleep 60")
    eventually(lambda: one.child.name() == "sleep")
    other = family("exec sleep 60")
    past = procs.process(other.child.pid)
    values = {name: getattr(past, name) for name in past.__slots__}
    reused = type(past)(**values | {"started": past.started - 1})
    held = make(one.root)
    held.know([reused])
    held.look()
    held.stop()
    eventually(lambda: one.child.status() == psutil.STATUS_STOPPED)
    assert other.child.status() != psutil.STATUS_STOPPED
    assert not Grips().signal((reused.pid, reused.started), signal.SIGKILL)
    assert other.child.is_running()


def test_what_children_used_counts_once(family, make):
    one = family(
        'i=0; while [ $i -lt 20 ]; do perl -e "1 for 1..200000"; i=$((i+1)); done; sleep 9'
    )
    held = make(one.root)
    spent = 0.0

    def ended() -> bool:
        nonlocal spent
        spent += held.look()
        return any(found.name() == "sleep" for found in one.below())

    eventually(ended)
    spent += held.look()
    times = one.child.cpu_times()
    assert spent <= sum(times[:4]) + 0.1
    assert spent >= sum(times[:4]) / 2


def test_a_tree_that_grows_is_killed_to_the_last(family, make_any):
    one = family(
        "trap '' TERM HUP; i=0; while [ $i -lt 150 ]; do sleep 60 & i=$((i+1)); done; wait"
    )
    eventually(lambda: len(one.below()) > 20)
    held = make_any(one)
    killed = held.kill()
    while held.alive:
        killed += held.kill()
    assert killed > 20
    eventually(lambda: not one.below())


def test_what_takes_longer_to_kill_stands_still_meanwhile(family, make):
    one = family("sleep 60 & sleep 60 & wait")
    eventually(lambda: three(one))
    held = make(one.root)
    assert held.kill(seconds=0) == 0
    assert held.alive
    held.stop()
    eventually(one.stands_still)
    assert held.kill() == 3
    assert not held.alive
    eventually(lambda: not one.below())


def test_what_has_gone_is_no_error(family, make):
    one = family("exec sleep 60")
    held = make(one.root)
    held.look()
    one.child.kill()
    eventually(lambda: not one.child.is_running())
    held.stop()
    held.go()
    assert held.look() >= 0
    assert held.kill() == 0
