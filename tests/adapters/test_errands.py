"""Errands done by real threads."""

from __future__ import annotations

import os
import select
import threading

import pytest

from hive.adapters import errands as module
from hive.adapters.errands import THREADS, Done, Errands
from hive.errors import HiveError

LONG = 60.0


@pytest.fixture
def errands():
    one = Errands()
    yield one
    one.close()


def readable(one, timeout=LONG):
    return bool(select.select([one.fileno()], [], [], timeout)[0])


def gathered(one, count):
    """Read until so many came."""
    found = []
    while len(found) < count:
        assert readable(one)
        found += one.read()
    return found


def test_what_comes_of_an_errand_bears_its_key(errands):
    errands.do(("p/t/a", 3), lambda: "done")
    assert gathered(errands, 1) == [Done(key=("p/t/a", 3), value="done")]
    assert errands.read() == []
    assert not readable(errands, 0)


@pytest.mark.parametrize("error", [HiveError("it can't"), ZeroDivisionError("a bug")])
def test_what_an_errand_raises_is_told(errands, error):
    def work():
        raise error

    errands.do("a", work)
    (done,) = gathered(errands, 1)
    assert done.error is error
    errands.do("b", lambda: 1)
    assert gathered(errands, 1)[0].value == 1


def test_a_long_errand_holds_up_nobody(errands):
    go = threading.Event()
    for number in range(THREADS - 1):
        errands.do(number, lambda: go.wait(LONG))
    for number in range(20):
        errands.do(f"short {number}", lambda number=number: number)
    assert sorted(done.value for done in gathered(errands, 20)) == list(range(20))
    go.set()
    assert {done.key for done in gathered(errands, THREADS - 1)} == set(range(THREADS - 1))


def test_many_wait_their_turn_and_none_is_lost(errands):
    for number in range(500):
        errands.do(number, lambda number=number: number * 2)
    assert {done.key: done.value for done in gathered(errands, 500)} == {
        number: number * 2 for number in range(500)
    }


def test_closing_waits_for_no_errand_and_begins_none(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    one, go, begun = Errands(), threading.Event(), []
    started = threading.Semaphore(0)

    def work():
        started.release()
        go.wait(LONG)

    for _ in range(THREADS):
        one.do("long", work)
    for _ in range(THREADS):
        assert started.acquire(timeout=LONG)
    one.do("never", lambda: begun.append(1))
    descriptor = one.fileno()
    one.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    go.set()
    for thread in one._threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert begun == []


def test_closing_without_an_errand_is_quick():
    Errands().close()
