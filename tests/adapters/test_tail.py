"""Lines of a file that grows, bit by bit."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from hive.adapters.tail import Tail


def test_a_file_that_is_not_there_yet(tmp_path):
    tail = Tail(tmp_path / "log")
    assert tail.read() == []
    (tmp_path / "log").write_bytes(b"a\n")
    assert (tail.read(), tail.read()) == ([b"a"], [])


@given(st.lists(st.binary(max_size=30), max_size=6), st.integers(1, 40))
def test_every_line_comes_once_however_it_is_written_and_read(tmp_path_factory, chunks, most):
    path = tmp_path_factory.mktemp("tail") / "log"
    tail, found = Tail(path, most=most), []
    for chunk in chunks:
        with path.open("ab") as file:
            file.write(chunk)
        found += tail.read()
    for _ in range(200):
        found += tail.read()
    assert found == b"".join(chunks).split(b"\n")[:-1]


def test_a_file_in_its_place_is_read_from_its_start(tmp_path):
    path, other = tmp_path / "log", tmp_path / "other"
    path.write_bytes(b"one\nhalf")
    tail = Tail(path)
    assert tail.read() == [b"one"]
    other.write_bytes(b"two\nthree\nfour\n")
    other.replace(path)
    assert tail.read() == [b"two", b"three", b"four"]
    os.truncate(path, 0)
    with path.open("ab") as file:
        file.write(b"five\n")
    assert tail.read() == [b"five"]
