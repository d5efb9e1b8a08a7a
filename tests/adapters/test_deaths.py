"""Deaths of real processes, children or not."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from hive.adapters import procs
from hive.adapters.deaths import Deaths


@pytest.fixture
def deaths():
    one = Deaths()
    yield one
    one.close()


@pytest.fixture
def sleeper():
    """Start processes that sleep; they are ended and waited for at the end."""
    started = []

    def start():
        child = subprocess.Popen(["sleep", "600"])
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


def readable(deaths, timeout):
    return bool(select.select([deaths.fileno()], [], [], timeout)[0])


def test_a_death_makes_the_descriptor_readable_and_is_told_once(deaths, sleeper):
    child, other = sleeper(), sleeper()
    for one in (child, other):
        assert deaths.watch(one.pid, procs.started(one.pid))
    assert deaths.read() == []
    assert not readable(deaths, 0)

    child.kill()

    assert readable(deaths, 60)
    assert deaths.read() == [child.pid]
    assert deaths.read() == []
    assert not readable(deaths, 0)


def test_the_death_of_another_processs_child_is_told(deaths):
    script = "sleep 600 & echo $!; read line; kill -9 $!; wait; read line"
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        pid = int(shell.stdout.readline())
        assert deaths.watch(pid, procs.started(pid))
        shell.stdin.write("\n")
        shell.stdin.flush()

        assert readable(deaths, 60)
        assert deaths.read() == [pid]
        shell.stdin.write("\n")


def test_many_deaths_are_told_each(deaths, sleeper, eventually):
    children = [sleeper() for _ in range(20)]
    for child in children:
        assert deaths.watch(child.pid, procs.started(child.pid))
    for child in children:
        child.kill()
    told = []

    eventually(lambda: told.extend(deaths.read()) or len(told) == 20)
    assert sorted(told) == sorted(child.pid for child in children)


def test_what_has_ended_can_not_be_watched(deaths, sleeper, eventually):
    child = sleeper()
    started = procs.started(child.pid)
    child.kill()
    eventually(lambda: not procs.alive(child.pid, started))

    assert not deaths.watch(child.pid, started)  # a zombie
    child.wait()
    assert not deaths.watch(child.pid, started)
    assert deaths.read() == []


def test_a_reused_pid_is_not_the_process_that_was_meant(deaths, sleeper):
    child = sleeper()

    assert not deaths.watch(child.pid, procs.started(child.pid) + 1)


def test_to_watch_twice_tells_once(deaths, sleeper):
    child = sleeper()
    started = procs.started(child.pid)
    assert deaths.watch(child.pid, started)
    assert deaths.watch(child.pid, started)
    child.kill()

    assert readable(deaths, 60)
    assert deaths.read() == [child.pid]
    assert not readable(deaths, 0)


def test_nothing_is_told_of_what_is_no_longer_watched(deaths, sleeper):
    child, other = sleeper(), sleeper()
    for one in (child, other):
        deaths.watch(one.pid, procs.started(one.pid))
    deaths.unwatch(child.pid)
    deaths.unwatch(child.pid)
    child.kill()
    child.wait()
    other.send_signal(signal.SIGTERM)

    assert readable(deaths, 60)
    assert deaths.read() == [other.pid]


@pytest.mark.skipif(sys.platform != "linux", reason="it looks at pidfds")
def test_all_descriptors_are_given_back(sleeper):
    deaths = Deaths()
    child = sleeper()
    deaths.watch(child.pid, procs.started(child.pid))
    kept = [deaths.fileno(), deaths._watched[child.pid][0]]
    for fd in kept:
        os.fstat(fd)
    deaths.close()

    for fd in kept:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
