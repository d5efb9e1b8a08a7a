from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from hive.adapters import brake, procs
from hive.adapters.brake import Brake, Grips
from tests.conftest import end, eventually, tagged

BUSY = "while :; do :; done"


class Family:
    """A root that only waits, with a program below it; everything bears HIVE_TEST_BRAKE."""

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
        return {one.status() for one in self.below()}

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


@pytest.fixture(params=["kernel", "ps", "nothing kept"])
def make(request):
    brakes = []

    def brake_of(one: Family) -> Brake:
        children = brake.children_by_ps if request.param == "ps" else brake.children_now
        if request.param == "nothing kept" and sys.platform != "linux":
            pytest.skip("nothing is ever kept here")
        grips = Grips(keep=0) if request.param == "nothing kept" else Grips()
        brakes.append(Brake(one.root, grips, children))
        return brakes[-1]

    yield brake_of
    for one in brakes:
        one.close()


def three(one: Family) -> bool:
    return len(one.below()) == 3


def test_all_below_the_root_stands_still_and_goes_on(family, make):
    one = family(f"({BUSY}) & ({BUSY}) & wait")
    eventually(lambda: three(one))
    held = make(one)
    held.look()
    held.stop()
    eventually(lambda: one.states() == {psutil.STATUS_STOPPED})
    assert psutil.Process(one.root.pid).status() != psutil.STATUS_STOPPED
    before = one.spent()
    assert held.look() >= 0
    assert one.spent() == before
    held.go()
    eventually(lambda: one.spent() > before + 0.05)
    assert psutil.STATUS_STOPPED not in one.states()


def test_it_can_be_stopped_again_and_again(family, make):
    one = family(BUSY)
    held = make(one)
    for _ in range(20):
        held.look()
        held.stop()
        eventually(lambda: one.states() == {psutil.STATUS_STOPPED})
        held.go()
    before = one.spent()
    eventually(lambda: one.spent() > before)


def stopped(one: Family, held: Brake) -> bool:
    """Stop what runs; whether nothing does any more: on a busy machine a stop takes a moment."""
    held.look()
    held.stop()
    return one.states() == {psutil.STATUS_STOPPED}


def test_what_forks_all_the_time_stands_still_too(family, make):
    one = family("while :; do sleep 0.01; done")
    held = make(one)
    for _ in range(5):
        eventually(lambda: stopped(one, held))
        held.go()


def test_what_somebody_else_stopped_stays_stopped(family, make):
    one = family("sleep 1000 & wait")
    (sleeper,) = eventually(one.child.children)
    sleeper.send_signal(signal.SIGSTOP)
    eventually(lambda: sleeper.status() == psutil.STATUS_STOPPED)
    held = make(one)
    held.look()
    assert [pid for pid, _ in held.others] == [sleeper.pid]
    held.stop()
    eventually(lambda: one.child.status() == psutil.STATUS_STOPPED)
    held.go()
    eventually(lambda: one.child.status() != psutil.STATUS_STOPPED)
    assert sleeper.status() == psutil.STATUS_STOPPED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what waits")
def test_what_the_person_suspends_meanwhile_stays_suspended(family):
    one = family("exec bash -c 'set -m; sleep 1000 & wait'")
    (sleeper,) = eventually(one.child.children)
    eventually(lambda: sleeper.name() == "sleep")
    held = Brake(one.root, Grips())
    try:
        held.look()
        held.stop()
        eventually(lambda: one.states() == {psutil.STATUS_STOPPED})
        sleeper.send_signal(signal.SIGTSTP)
        held.go()
        eventually(lambda: one.child.status() != psutil.STATUS_STOPPED)
        eventually(lambda: sleeper.status() == psutil.STATUS_STOPPED)
    finally:
        held.close()


def test_what_left_the_tree_is_held_where_it_is_known(family, make):
    one = family("(sleep 1000 &) ; exec sleep 1000")
    eventually(lambda: len(one.below()) == 2 and one.child.name() == "sleep")
    away = next(found for found in one.below() if found.pid != one.child.pid)
    held = make(one)
    held.know([procs.process(away.pid)])
    held.look()
    assert [pid for pid, _ in held.escaped] == [away.pid]
    held.stop()
    eventually(lambda: one.states() == {psutil.STATUS_STOPPED})


def test_what_is_nobodys_is_left_alone_with_all_below_it(family, make):
    one = family("sh -c 'sleep 1000 & wait' & wait")
    eventually(lambda: three(one))
    (foreign,) = one.child.children()
    held = make(one)
    held.know([], never=[foreign.pid])
    held.look()
    held.stop()
    eventually(lambda: one.child.status() == psutil.STATUS_STOPPED)
    assert foreign.status() != psutil.STATUS_STOPPED
    assert foreign.children()[0].status() != psutil.STATUS_STOPPED


def test_another_process_with_the_same_pid_is_never_signalled(family, make):
    one = family("exec sleep 1000")
    eventually(lambda: one.child.name() == "sleep")
    other = family("exec sleep 1000")
    past = procs.process(other.child.pid)
    values = {name: getattr(past, name) for name in past.__slots__}
    reused = type(past)(**values | {"started": past.started - 1})
    held = make(one)
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
    held = make(one)
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


def test_a_tree_that_grows_is_killed_to_the_last(family, make):
    one = family(
        "trap '' TERM HUP; i=0; while [ $i -lt 150 ]; do sleep 1000 & i=$((i+1)); done; wait"
    )
    eventually(lambda: len(one.below()) > 20)
    held = make(one)
    assert held.kill() > 20
    eventually(lambda: not one.below())


def test_what_is_stopped_is_killed_too(family, make):
    one = family("sleep 1000 & wait")
    eventually(lambda: len(one.below()) == 2)
    held = make(one)
    held.look()
    held.stop()
    eventually(lambda: one.states() == {psutil.STATUS_STOPPED})
    assert held.kill() == 2
    eventually(lambda: not one.below())


def test_what_has_gone_is_no_error(family, make):
    one = family("exec sleep 1000")
    held = make(one)
    held.look()
    one.child.kill()
    eventually(lambda: not one.child.is_running())
    held.stop()
    held.go()
    assert held.look() >= 0
    assert held.kill() == 0
