from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest

from hive.adapters.ledger import FINE, HOUR, HOURS, MINUTE, MINUTES, Ledger
from hive.core.accounting import Sample
from hive.errors import HiveError

NOON = 1_800_000_000
ADA = "task/web/ada"
BOB = "task/web/bob é"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "usage.db"


@pytest.fixture
def ledger(path):
    with Ledger.open(path, patience=60) as one:
        yield one


def sample(at=NOON, agent=ADA, **more):
    given = {
        "span": 10.0,
        "cpu": 0.5,
        "memory": 1000,
        "processes": 3,
        "read": 100,
        "written": 10,
        "received": 7,
        "sent": 5,
        "held": 0.25,
    }
    return Sample(agent=agent, at=at, **given | more)


def count(path, table):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608


def test_samples_come_back_as_they_were(ledger, path):
    nothing = sample(NOON + 10, read=None, written=None, received=None, sent=None)
    other = sample(agent=BOB, memory=1 << 50, cpu=63.9, held=1.0)
    ledger.add([sample(), other])
    ledger.add([nothing])
    ledger.add([])
    assert ledger.history([ADA, BOB, "x"], 0) == {
        ADA: [sample(), nothing],
        BOB: [other],
        "x": [],
    }
    assert ledger.history([], 0) == {}
    with Ledger.open(path) as again:
        again.add([sample(NOON + 20)])
        assert [one.at for one in again.history([ADA], 0)[ADA]] == [NOON, NOON + 10, NOON + 20]


def test_only_the_asked_time_is_given(ledger):
    ledger.add([sample(NOON + 10 * n) for n in range(6)])
    found = ledger.history([ADA], NOON + 10, NOON + 30)[ADA]
    assert [one.at for one in found] == [NOON + 20, NOON + 30]


def test_a_second_sample_of_the_same_second_replaces_the_first(ledger):
    ledger.add([sample(memory=1)])
    ledger.add([sample(memory=2)])
    assert ledger.history([ADA], 0)[ADA] == [sample(memory=2)]


def test_samples_of_an_hour_ago_become_minutes(ledger, path):
    ledger.add(
        [
            sample(NOON + 20, memory=9000, cpu=2.0, held=1.0, read=None),
            sample(NOON + 60, span=20.0, cpu=0.5, held=0.25, processes=8),
            sample(NOON + 61),
        ]
    )
    ledger.add([sample(NOON + 60, agent=BOB, received=None, sent=None)])
    ledger.thin(NOON + FINE + 59)
    assert count(path, "minute") == 0
    ledger.thin(NOON + FINE + 60)
    expected = sample(
        NOON + 60,
        span=30.0,
        cpu=pytest.approx(1.0),
        held=pytest.approx(0.5),
        memory=9000,
        processes=8,
        read=100,
        written=20,
        received=14,
        sent=10,
    )
    found = ledger.history([ADA, BOB], 0)
    assert found[ADA] == [expected, sample(NOON + 61)]
    assert found[BOB] == [sample(NOON + 60, agent=BOB, received=None, sent=None)]
    ledger.thin(NOON + FINE + 60)
    assert ledger.history([ADA, BOB], 0) == found


def test_what_comes_late_is_added_to_its_minute(ledger):
    ledger.add([sample(NOON + 20, read=None)])
    ledger.thin(NOON + 2 * FINE)
    ledger.add([sample(NOON + 50, span=30.0, cpu=1.5, held=0.25, memory=7)])
    ledger.thin(NOON + 2 * FINE)
    [found] = ledger.history([ADA], 0)[ADA]
    assert (found.at, found.span, found.cpu, found.memory) == (NOON + 60, 40.0, 1.25, 1000)
    assert (found.read, found.written, found.held) == (100, 20, 0.25)


@pytest.mark.parametrize("pace", [60, 600, 7200], ids=lambda one: f"every {one} s")
def test_nothing_is_lost_or_counted_twice_however_often_it_is_thinned(ledger, pace):
    long = 6 * HOUR
    start = NOON // HOUR * HOUR
    ledger.add(
        [
            sample(start + at, agent, cpu=at / long, memory=at, held=0.5)
            for at in range(30, long + 1, 30)
            for agent in (ADA, BOB)
        ]
    )
    for now in range(start, start + MINUTES + long + pace, pace * 12):
        ledger.thin(now)
        found = ledger.history([ADA, BOB], 0)
        for samples in found.values():
            assert sum(one.span for one in samples) == 10 * long / 30
            assert sum(one.read for one in samples) == 100 * long / 30
            assert max(one.memory for one in samples) == long
            whole = sum(one.cpu * one.span for one in samples)
            assert whole / (10 * long / 30) == pytest.approx(0.5, abs=0.01)
            assert [one.at for one in samples] == sorted({one.at for one in samples})


def test_minutes_of_three_days_ago_become_hours_and_those_of_a_year_ago_are_forgotten(ledger, path):
    hour = NOON // HOUR * HOUR
    ledger.add([sample(hour + at) for at in range(MINUTE, HOUR + 1, MINUTE)])
    ledger.thin(hour + 2 * HOUR)
    assert (count(path, "fine"), count(path, "minute")) == (0, 60)
    ledger.thin(hour + HOUR + MINUTES - 1)
    assert count(path, "minute") == 60
    ledger.thin(hour + HOUR + MINUTES)
    assert (count(path, "minute"), count(path, "hour")) == (0, 1)
    [found] = ledger.history([ADA], 0)[ADA]
    assert (found.at, found.span, found.sent) == (hour + HOUR, 600.0, 300)
    ledger.thin(hour + HOUR + HOURS)
    assert ledger.history([ADA], 0) == {ADA: []}


def test_a_history_can_be_asked_in_steps(ledger):
    ledger.add([sample(NOON + 10 * n, memory=n, cpu=n / 10) for n in range(1, 61)])
    ledger.add([sample(NOON + 10, BOB)])
    found = ledger.history([ADA, BOB], NOON, step=300)
    assert [(one.at, one.span, one.memory) for one in found[ADA]] == [
        (NOON + 300, 300.0, 30),
        (NOON + 600, 300.0, 60),
    ]
    assert found[ADA][0].cpu == pytest.approx(1.55)
    assert found[BOB] == [sample(NOON + 300, BOB)]


def test_peaks(ledger):
    ledger.add([sample(memory=9), sample(NOON + 10, memory=5), sample(NOON + 10, BOB, memory=3)])
    assert ledger.peaks(NOON) == {ADA: 5, BOB: 3}
    ledger.thin(NOON + 2 * FINE)
    assert ledger.peaks(0) == {ADA: 9, BOB: 3}


def test_the_file_is_private_and_no_commit_waits_for_the_disk(ledger, path):
    ledger.add([sample()])
    modes = {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == {0o600}
    assert ledger._file.connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1


def test_it_can_be_read_by_others_while_it_is_written(ledger, path):
    ledger.add([sample()])
    code = "import sys; from pathlib import Path; from hive.adapters.ledger import Ledger\n"
    code += "print(len(Ledger.open(Path(sys.argv[1])).history([sys.argv[2]], 0)[sys.argv[2]]))"
    done = subprocess.run(
        [sys.executable, "-c", code, path, ADA], capture_output=True, timeout=60, check=True
    )
    assert done.stdout == b"1\n"


def garbage(path):
    path.write_bytes(b"this is no database at all" * 100)


def strange(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")


def newer(path):
    Ledger.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("spoil", [garbage, strange, newer])
def test_a_file_it_can_not_use_is_set_aside_and_said_once(path, spoil, caplog):
    spoil(path)
    before = path.read_bytes()
    with caplog.at_level(logging.WARNING), Ledger.open(path) as ledger:
        ledger.add([sample()])
        assert ledger.history([ADA], 0)[ADA] == [sample()]
    Ledger.open(path).close()
    assert path.with_name("usage.db.damaged").read_bytes() == before
    assert [str(path) in one.message for one in caplog.records] == [True]


def test_one_that_gets_damaged_while_it_is_open_is_begun_anew(path, caplog):
    with Ledger.open(path) as ledger:
        ledger.add([sample(NOON - one, f"agent-{one}") for one in range(500)])
        ledger._file.connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
        with path.open("r+b") as file:
            file.seek(0)
            file.write(b"\xff" * path.stat().st_size)
        with Ledger.open(path) as other:  # it sets the file aside under the first one's feet
            other.add([sample()])
        with pytest.raises(HiveError, match="replaced"):
            ledger.add([sample(NOON + 10)])
        ledger.add([sample(NOON + 20)])
    with Ledger.open(path) as again:
        assert again.history([ADA], 0)[ADA] == [sample(), sample(NOON + 20)]
    assert len(caplog.records) == 1


def test_damage_that_a_write_finds_is_set_aside(path, caplog):
    with Ledger.open(path) as ledger:
        ledger.add([sample(NOON - one, f"agent-{one}") for one in range(500)])
    with Ledger.open(path) as ledger:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (path.stat().st_size - 4096))
        ledger.add([sample()])
        assert ledger.history([ADA], 0)[ADA] == [sample()]
    assert path.with_name("usage.db.damaged").exists()
    assert len(caplog.records) == 1


def test_a_killed_writer_leaves_it_usable(path):
    code = "import os, sys; from pathlib import Path; from hive.adapters.ledger import Ledger\n"
    code += "from hive.core.accounting import Sample\n"
    code += "one = Sample(agent='a', at=1, span=1.0, cpu=0, memory=0, processes=1)\n"
    code += "Ledger.open(Path(sys.argv[1])).add([one]); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, path], timeout=60, check=False)
    with Ledger.open(path) as ledger:
        assert ledger.history(["a"], 0)["a"][0].at == 1
        ledger.add([replace(sample(), agent="a")])


def test_a_file_that_can_not_be_made_is_told(tmp_path):
    ledger = Ledger.open(tmp_path / "gone" / "usage.db")
    with pytest.raises(HiveError) as caught:
        ledger.peaks(0)
    assert caught.value.where == str(tmp_path / "gone" / "usage.db")
