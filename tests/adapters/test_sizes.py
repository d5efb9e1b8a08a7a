"""What real processes hold: read from /proc, and through psutil as elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from hive.adapters import portable
from hive.adapters.sizes import Sizes
from hive.core.trees import Process

KINDS = [pytest.param(portable, id="psutil")]
if sys.platform == "linux":
    from hive.adapters import procfs

    KINDS.insert(0, pytest.param(procfs, id="proc"))

MB = 1_000_000
FILL = "import os; filled = b'x' * {size}; {then}print(os.getpid(), flush=True); input()"


class Asked:
    """A source that counts what it is asked."""

    def __init__(self, kind):
        self.process = kind.process
        self.proportional = kind.proportional
        self.disk = kind.disk
        self.asked = []
        self._kind = kind

    def shared(self, pid):
        self.asked.append(pid)
        return self._kind.shared(pid)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def start():
    """Give a function that starts a program in Python, once it has said its pid."""
    with ExitStack() as stack:

        def started(code):
            child = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-ISc", code],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(child.kill)
            assert int(child.stdout.readline()) == child.pid
            return child

        yield started


def filled(start, megabytes, then=""):
    return start(FILL.format(size=megabytes * MB, then=then))


def ended(child):
    child.kill()
    child.wait()


def test_a_process_would_give_back_what_it_does_not_share(kind, start):
    one = kind.process(filled(start, 60).pid)
    sizes = Sizes(kind)
    found = sizes.of([one])[one.pid]

    assert 55 * MB < found < 150 * MB
    assert found + sizes.shared([one]) == one.memory


def test_what_is_shared_is_the_most_that_one_of_them_shares(kind, start):
    some = [kind.process(filled(start, size).pid) for size in (1, 2)]
    sizes = Sizes(kind)
    sizes.of(some)

    assert sizes.shared(some) == max(kind.shared(one.pid) for one in some)
    assert sizes.shared([]) == 0


def test_only_who_has_changed_is_asked_again(kind, start):
    source = Asked(kind)
    sizes = Sizes(source)
    child = filled(start, 1)
    one = kind.process(child.pid)
    grown = Process(**{**fields(one), "memory": one.memory + 5 * MB})
    young = Process(**{**fields(grown), "started": one.started + 1})
    little = Process(**{**fields(one), "memory": one.memory + 1000})

    for looked, times in ((one, 1), (one, 1), (little, 1), (grown, 2), (grown, 2), (young, 3)):
        sizes.of([looked])
        assert len(source.asked) == times


def fields(one):
    return {name: getattr(one, name) for name in one.__slots__}


def test_who_is_not_asked_for_is_forgotten(kind, start):
    source = Asked(kind)
    sizes = Sizes(source)
    one = kind.process(filled(start, 1).pid)
    sizes.of([one])
    sizes.of([])

    assert sizes.shared([one]) == 0
    sizes.of([one])
    assert source.asked == [one.pid, one.pid]


def test_what_ended_holds_nothing(kind, start):
    child = filled(start, 1)
    one = kind.process(child.pid)
    ended(child)
    sizes = Sizes(kind)

    assert sizes.proportional([one]) == {}
    assert sizes.disk([one]) == {}
    assert sizes.shared([one]) == 0
    assert kind.proportional(one.pid) is None
    assert kind.shared(one.pid) == 0


def test_a_pid_that_is_anothers_by_now_is_not_measured(kind, start):
    one = kind.process(filled(start, 1).pid)
    other = Process(**{**fields(one), "started": one.started + 1})

    assert Sizes(kind).proportional([other]) == {}


def test_a_zombie_holds_nothing(kind, start, eventually):
    child = filled(start, 1)
    one = kind.process(child.pid)
    child.kill()

    assert eventually(lambda: Sizes(kind).proportional([one]) == {})


def test_what_was_filled_before_a_fork_is_parted(kind, start, eventually):
    fork = "pid = os.fork(); pid or (os.read(0, 1), os._exit(0)); "
    parent = kind.process(filled(start, 60, then=fork).pid)
    child = eventually(
        lambda: next(
            (one for one in kind.Table().read().values() if one.parent == parent.pid), None
        )
    )
    both = Sizes(kind).proportional([parent, child])
    seem = Sizes(kind).of([parent, child])

    assert both.keys() == {parent.pid, child.pid}
    assert 55 * MB < sum(both.values()) < 100 * MB
    assert sum(seem.values()) > 110 * MB  # each looks as if all of it were its own


def test_who_may_not_be_measured_holds_what_it_would_give_back(kind, start):
    source = Asked(kind)
    source.proportional = lambda _: None
    one = kind.process(filled(start, 60).pid)

    assert 55 * MB < Sizes(source).proportional([one])[one.pid] < 150 * MB


@pytest.mark.skipif(not os.access("/proc/self/io", os.R_OK), reason="nobody tells here")
def test_what_is_written_to_disk_is_told_also_of_reaped_children(kind, start, tmp_path):
    file = tmp_path / "written"
    write = f"open({str(file)!r}, 'wb').write(b'x' * {5 * MB})"
    inner = f"os.fork() and os.wait() or ({write}, os._exit(0)); "
    child = filled(start, 0, then=inner)
    read, written = Sizes(kind).disk([kind.process(child.pid)])[child.pid]

    assert read >= 0
    assert written >= 5 * MB or in_memory(tmp_path)


def in_memory(path):
    """Whether a folder is on no disk at all, so that nothing is written to one."""
    done = subprocess.run(
        ["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() in {"tmpfs", "ramfs"}
