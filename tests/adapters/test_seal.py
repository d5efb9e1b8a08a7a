from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from hive.adapters.seal import good, seal
from hive.errors import HiveError

AGENT, LAUNCH = "Task/a/dev", "l1"


def test_a_launch_proves_itself_with_its_own_seal(tmp_path):
    mine = seal(tmp_path, AGENT, LAUNCH)

    assert good(tmp_path, AGENT, LAUNCH, mine)
    assert mine == seal(tmp_path, AGENT, LAUNCH), "also after a restart of the supervisor"


@pytest.mark.parametrize(
    ("agent", "launch"),
    [
        pytest.param("Task/a/pm", LAUNCH, id="another agent"),
        pytest.param(AGENT, "l2", id="another launch"),
        pytest.param(AGENT + LAUNCH, "", id="the same letters, cut elsewhere"),
    ],
)
def test_a_seal_is_of_one_launch(tmp_path, agent, launch):
    assert not good(tmp_path, agent, launch, seal(tmp_path, AGENT, LAUNCH))


@pytest.mark.parametrize("shown", ["", "x", "é", "\ud800", "0" * 64])
def test_anything_else_is_no_seal(tmp_path, shown):
    assert not good(tmp_path, AGENT, LAUNCH, shown)


def test_another_hive_has_other_seals(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert seal(tmp_path / "a", AGENT, LAUNCH) != seal(tmp_path / "b", AGENT, LAUNCH)


def test_the_secret_is_made_once_and_is_private(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        seals = set(pool.map(lambda _: seal(tmp_path, AGENT, LAUNCH), range(32)))

    file = tmp_path / "seal"
    assert len(seals) == 1
    assert list(tmp_path.iterdir()) == [file]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_bytes()) == 32


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 33])
def test_a_damaged_secret_is_told(tmp_path, data):
    (tmp_path / "seal").write_bytes(data)

    with pytest.raises(HiveError, match="damaged"):
        seal(tmp_path, AGENT, LAUNCH)


def test_a_symlink_is_no_secret(tmp_path):
    (tmp_path / "other").write_bytes(b"x" * 32)
    (tmp_path / "seal").symlink_to(tmp_path / "other")

    with pytest.raises(HiveError, match="can't read"):
        seal(tmp_path, AGENT, LAUNCH)


def test_a_state_directory_that_is_gone_is_told(tmp_path):
    with pytest.raises(HiveError, match="can't read"):
        seal(tmp_path / "gone", AGENT, LAUNCH)
