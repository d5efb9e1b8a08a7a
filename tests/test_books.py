from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys

import pytest

from hive.adapters import procs
from hive.adapters.ledger import Ledger
from hive.adapters.network import Network
from hive.adapters.sizes import Sizes
from hive.books import Books
from hive.core.accounting import Rates
from hive.core.world import Tree, Use

NOON = 1_800_000_000.0
ADA = "task/web/ada"
BOB = "task/web/bob"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "usage.db"


@pytest.fixture
def counters():
    """What the disk counters say, by pid."""
    return {}


@pytest.fixture
def books(path, counters):
    one = Books(Ledger.open(path), Network(), lambda _: counters)
    yield one
    one.close()


def tree(*pids):
    return Tree(current=tuple(procs.process(pid) for pid in pids))


def noted(books, seconds, use, held=None, trees=None, start=0):
    """Look every two seconds, from `start` on."""
    for second in range(start, start + seconds + 1, 2):
        books.note(trees or {}, {ADA: use} if isinstance(use, Use) else use(second), held or {},
                   NOON + second)  # fmt: skip


def samples(path, agent=ADA):
    with Ledger.open(path) as ledger:
        return ledger.history([agent], 0)[agent]


def test_looks_become_samples_of_ten_seconds(books, path):
    def use(second):
        return {ADA: Use(cpu=1.0 if second % 4 else 0.0, memory=second, processes=second % 6)}

    noted(books, 20, use, {ADA: 0.5})
    first, second = samples(path)
    assert (first.at, first.span, first.memory, first.processes) == (NOON + 10, 10.0, 10, 4)
    assert first.cpu == pytest.approx(0.6)
    assert second.cpu == pytest.approx(0.4)
    assert first.held == pytest.approx(0.5)
    assert (second.at, second.span, second.memory) == (NOON + 20, 10.0, 20)
    assert (first.read, first.received) == (None, None)


def test_disk_counters_are_read_with_each_batch(books, path, counters):
    me = os.getpid()
    trees = {ADA: tree(me)}
    counters[me] = (1000, 500)
    noted(books, 8, Use(), trees=trees)
    assert books.rates(ADA) is None
    counters[me] = (3000, 600)
    noted(books, 2, Use(), trees=trees, start=10)
    assert samples(path)[0].read == 2000
    assert samples(path)[0].written == 100
    assert books.rates(ADA) == Rates(read=200.0, written=10.0, received=None, sent=None)


def test_who_can_not_be_read_has_no_disk_counters(books, path):
    noted(books, 10, Use(), trees={ADA: tree(os.getpid())})
    assert samples(path)[0].read is None


def test_the_networks_bytes_are_parted_among_the_next_batches(books, path):
    first = Network()
    first.traffic({"me": [os.getpid()]})
    if not first.traffic({"me": [os.getpid()]}):
        pytest.skip("this kernel does not list sockets")
    trees = {ADA: tree(os.getpid())}
    noted(books, 20, Use(), trees=trees)
    listener = socket.create_server(("127.0.0.1", 0))
    left = socket.create_connection(listener.getsockname())
    right, _ = listener.accept()
    with listener, left, right:
        left.sendall(b"x" * 30_001)
        got = 0
        while got < 30_001:
            got += len(right.recv(30_001))
        noted(books, 40, Use(), trees={ADA: tree(os.getpid())}, start=22)
    found = samples(path)
    assert [one.received for one in found[:2]] == [None, None]
    parts = [one.received for one in found[2:5]]
    assert sum(parts) >= 30_001
    assert max(parts) - min(parts) <= 1
    assert found[5].received < 10_000


def test_an_agent_that_comes_and_goes_has_samples_for_its_time(books, path):
    noted(books, 10, Use(memory=1))
    noted(books, 12, lambda second: {BOB: Use(memory=2)} if second < 26 else {}, start=12)
    noted(books, 20, Use(memory=3), start=26)
    assert sum(one.span for one in samples(path)) < 32
    assert sum(one.span for one in samples(path, BOB)) == 14


def test_a_clock_that_jumps_makes_no_strange_samples(books, path):
    noted(books, 10, Use(cpu=1.0))
    noted(books, 10, Use(cpu=1.0), start=-7200)
    noted(books, 10, Use(cpu=1.0), start=500_000)
    found = samples(path)
    assert all(0 < one.span <= 40 for one in found)
    assert all(one.cpu == pytest.approx(1.0) for one in found)


def test_old_samples_are_thinned(books, path):
    noted(books, 60, Use(memory=5, cpu=1.0))
    assert len(samples(path)) == 6
    noted(books, 0, Use(memory=5), start=7200)
    assert [one.span for one in samples(path) if one.at <= NOON + 60] == [60.0]


def test_the_peak_is_the_last_hours(books, path):
    assert books.peak(ADA) == 0
    noted(books, 10, Use(memory=900))
    noted(books, 10, Use(memory=300), start=1800)
    assert books.peak(ADA) == 900
    noted(books, 0, Use(memory=300), start=1800 + 3600)
    assert books.peak(ADA) == 300


def test_a_new_supervisor_knows_the_peak_of_the_last_hour(books, path):
    noted(books, 10, Use(memory=900))
    again = Books(Ledger.open(path), Network(), lambda _: {})
    again.note({}, {ADA: Use(memory=5)}, {}, NOON + 20)
    assert again.peak(ADA) == 900
    again.close()


def test_the_history_is_of_five_minutes(books):
    noted(books, 600, Use(memory=7, cpu=0.5))
    found = books.history([ADA, BOB], NOON + 600)
    assert [(one.at, one.memory) for one in found[ADA]] == [(NOON + 300, 7), (NOON + 600, 7)]
    assert found[BOB] == []


def test_a_ledger_that_can_not_be_written_is_said_once_and_stops_nothing(books, path, caplog):
    noted(books, 10, Use())
    path.unlink()
    with caplog.at_level(logging.WARNING):
        noted(books, 60, Use(memory=8), start=12)
    assert books.peak(ADA) == 8
    assert len(caplog.records) == 1
    assert "not written down" in caplog.text
    assert [one.at - NOON for one in samples(path)] == [30, 40, 50, 60, 70]


def test_what_a_real_process_wrote_is_counted(path, tmp_path):
    if Sizes().disk([procs.process(os.getpid())]) == {}:
        pytest.skip("disk counters can't be read here")
    code = "import os, sys; sys.stdin.readline(); fd = os.open(sys.argv[1], os.O_WRONLY|os.O_CREAT)"
    code += "; os.write(fd, b'x' * 4_000_000); os.fsync(fd); print(1, flush=True); sys.stdin.read()"
    books = Books(Ledger.open(path), Network(), Sizes().disk)
    command = [sys.executable, "-c", code, tmp_path / "file"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        trees = {ADA: tree(writer.pid)}
        noted(books, 8, Use(), trees=trees)
        writer.stdin.write(b"\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == b"1\n"
        noted(books, 2, Use(), trees=trees, start=10)
        writer.stdin.close()
    books.close()
    written = samples(path)[0].written
    if not written:
        pytest.skip("this file system is no disk")
    assert 4_000_000 <= written < 8_000_000
