from __future__ import annotations

import os
import stat
import threading

import pytest

from hive.adapters.bell import NAME, Bell, ring
from hive.errors import HiveError

LONG = 60.0


@pytest.fixture
def bell(tmp_path):
    one = Bell(tmp_path)
    yield one
    one.close()


def test_it_wakes_who_waits(tmp_path, bell):
    rung = threading.Timer(0.05, ring, [tmp_path])
    rung.start()

    assert bell.wait(LONG)
    rung.join()


def test_it_is_heard_also_later_and_once(tmp_path, bell):
    for _ in range(3):
        ring(tmp_path)

    assert bell.wait(LONG)
    assert not bell.wait(0.0), "however often it was rung"
    assert not bell.wait(0.0), "nor does it end when who rang has gone"


def test_it_waits_for_other_things_too(bell):
    out, into = os.pipe()
    os.write(into, b"x")

    assert not bell.wait(LONG, out)

    os.close(out)
    os.close(into)


def test_to_ring_never_blocks_however_often(tmp_path, bell):
    for _ in range(70_000):
        ring(tmp_path)

    assert bell.wait(0.0)


def test_to_ring_needs_nobody_who_listens(tmp_path):
    ring(tmp_path / "gone")
    ring(tmp_path)
    assert not any(tmp_path.iterdir()), "it makes nothing"
    Bell(tmp_path).close()

    ring(tmp_path)


def test_who_is_started_again_listens_again(tmp_path):
    Bell(tmp_path).close()
    one = Bell(tmp_path)
    ring(tmp_path)

    assert one.wait(LONG)
    one.close()


def test_a_plain_file_of_an_earlier_hive_is_rung_by_its_time(tmp_path):
    file = tmp_path / NAME
    file.write_text("kept")
    os.utime(file, (1, 1))

    ring(tmp_path)

    assert file.stat().st_mtime > 1
    assert file.read_text() == "kept"


def test_a_plain_file_gives_way_to_who_listens(tmp_path):
    (tmp_path / NAME).touch()
    one = Bell(tmp_path)
    ring(tmp_path)

    assert one.wait(LONG)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    one.close()


def test_nothing_else_is_followed(tmp_path):
    other = tmp_path / "other"
    other.touch()
    os.utime(other, (1, 1))
    (tmp_path / NAME).symlink_to(other)

    ring(tmp_path)

    assert other.stat().st_mtime == 1


def test_where_it_can_not_be_made_that_is_told(tmp_path):
    (tmp_path / NAME).mkdir()

    with pytest.raises(HiveError, match="can't make the bell") as caught:
        Bell(tmp_path)

    assert caught.value.where == str(tmp_path / NAME)
