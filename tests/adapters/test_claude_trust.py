"""Consent that is written into Claude Code's own settings, and nothing else."""

from __future__ import annotations

import json

import pytest

from hive.adapters.claude_trust import accept
from hive.errors import HiveError

TRUSTED = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}


@pytest.fixture
def src(tmp_path):
    (tmp_path / "src").mkdir()
    return str(tmp_path / "src")


def test_a_fresh_home_gets_a_file_that_nobody_else_reads(tmp_path, src):
    assert accept(src, {"HOME": str(tmp_path)}) is True
    file = tmp_path / ".claude.json"
    assert json.loads(file.read_text()) == {
        "hasCompletedOnboarding": True,
        "projects": {src: TRUSTED},
    }
    assert file.stat().st_mode & 0o777 == 0o600


def test_everything_else_and_the_mode_stay(tmp_path, src):
    file = tmp_path / ".claude.json"
    known = {"theme": "hell ☀", "projects": {"/a": {"x": 1}, src: {"history": ["é"]}}}
    file.write_text(json.dumps(known))
    file.chmod(0o640)
    assert accept(src, {"HOME": str(tmp_path)}) is True
    found = json.loads(file.read_text())
    assert found == {
        "theme": "hell ☀",
        "hasCompletedOnboarding": True,
        "projects": {"/a": {"x": 1}, src: {"history": ["é"]} | TRUSTED},
    }
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(one.name for one in tmp_path.iterdir()) == [".claude.json", "src"]


def test_where_it_is_so_already_nothing_is_written(tmp_path, src):
    env = {"HOME": "/nowhere", "CLAUDE_CONFIG_DIR": str(tmp_path)}
    accept(src, env)
    before = (tmp_path / ".claude.json").stat()
    assert accept(src, env) is False
    after = (tmp_path / ".claude.json").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_a_linked_file_stays_linked_and_a_linked_directory_is_named_as_it_is(tmp_path, src):
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "claude.json"
    real.write_text("{}")
    (tmp_path / ".claude.json").symlink_to(real)
    (tmp_path / "link").symlink_to(src)
    assert accept(str(tmp_path / "link"), {"HOME": str(tmp_path)}) is True
    assert (tmp_path / ".claude.json").is_symlink()
    assert list(json.loads(real.read_text())["projects"]) == [src]


@pytest.mark.parametrize("text", ["{broken", "[]"])
def test_a_file_that_can_not_be_read_is_left_as_it_is(tmp_path, src, text):
    file = tmp_path / ".claude.json"
    file.write_text(text)
    with pytest.raises(HiveError, match="is trusted") as told:
        accept(src, {"HOME": str(tmp_path)})
    assert told.value.where == str(file)
    assert file.read_text() == text
