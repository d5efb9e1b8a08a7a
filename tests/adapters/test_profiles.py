"""Profiles from real files, and what real programs tell of their versions."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from hive.adapters import itself, profiles
from hive.core.profile import Profile
from hive.errors import WrongInput
from tests.conftest import tagged


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Give an environment with an empty home and a folder for programs."""
    (tmp_path / "bin").mkdir()
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / ".config" / "hive" / "profiles"
    folder.mkdir(parents=True)
    return folder


def program(environ: dict[str, str], script: str) -> Profile:
    """Put a program `tool` there, and give a profile that asks it for its version."""
    path = Path(environ["PATH"].split(":")[0], "tool")
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Profile(name="tool", version=("tool", "--version"))


def test_those_of_ours_are_there_without_any_of_the_users(environ):
    found = profiles.load(environ)

    assert {"shell", "worker", "generic"} <= set(found)
    assert {name for name in found if not found[name].reads} == {"shell", "worker"}
    assert all(map(profiles.shipped, (one for (one,) in profiles.sources(environ).values())))


def test_the_users_go_over_ours_and_add_to_them(environ, own):
    (own / "shell.toml").write_text('about = "mine"\n[screen]\nrows = 3\n')
    (own / "mine.toml").write_text('extends = "shell"\nprograms = ["xonsh"]\n')
    (own / "notes.txt").write_text("no profile")
    (own / ".hidden.toml").write_text("no profile")

    found, files = profiles.load(environ), profiles.sources(environ)

    assert (found["shell"].about, found["shell"].screen.rows) == ("mine", 3)
    assert "bash" in found["shell"].programs
    assert found["mine"].screen == found["shell"].screen
    assert [profiles.shipped(path) for path in files["shell"]] == [True, False]
    assert files["mine"] == (own / "mine.toml",)
    assert list(found)[-1] == "mine"


def test_the_folder_is_where_the_user_keeps_configuration(environ, tmp_path):
    assert profiles.own(environ) == tmp_path / ".config" / "hive" / "profiles"
    elsewhere = {**environ, "XDG_CONFIG_HOME": "/else"}
    assert profiles.own(elsewhere) == Path("/else/hive/profiles")
    relative = {**environ, "XDG_CONFIG_HOME": "else"}
    assert profiles.own(relative) == profiles.own(environ)


def test_every_mistake_of_every_file_is_told_with_file_and_line(environ, own):
    (own / "a.toml").write_text('\nabot = "x"\n')
    (own / "b.toml").write_bytes(b"\xff")
    (own / "c.toml").mkdir()
    (own / "d.toml").write_text('wiring = "cloude"\n')

    with pytest.raises(WrongInput) as caught:
        profiles.load(environ)

    told = str(caught.value).splitlines()
    assert f"{own}/a.toml:2: unknown key `abot`; did you mean `about`?" in told
    assert f"{own}/b.toml: the file is not UTF-8 text: see byte 0" in told
    assert f"{own}/c.toml: this is no file" in told
    assert any(line.startswith(f"{own}/d.toml:1: `wiring` must be one of") for line in told)


def test_a_folder_that_is_a_file_is_told(environ, own):
    own.rmdir()
    own.write_text("")

    with pytest.raises(WrongInput, match="the folder can't be read"):
        profiles.load(environ)


@pytest.mark.parametrize(
    ("script", "version"),
    [
        pytest.param("echo 2.1.197 '(Some Code)'", "2.1.197", id="a number"),
        pytest.param("echo tool-cli v0.169.0-alpha.2", "0.169.0-alpha.2", id="with letters"),
        pytest.param("echo tool 1.2. >&2", "1.2", id="on the other output"),
        pytest.param("echo none", profiles.UNKNOWN, id="none"),
        pytest.param("echo 1.2; exit 1", profiles.UNKNOWN, id="a failure"),
        pytest.param("kill -9 $$", profiles.UNKNOWN, id="a crash"),
        pytest.param('echo "$A.5"', "7.5", id="its environment"),
        pytest.param("read line && echo 1.2", profiles.UNKNOWN, id="nothing to read"),
    ],
)
def test_a_program_tells_its_version(environ, script, version):
    one = program(environ, script)

    assert profiles.installed(one, {**environ, "A": "7"}) == version


def test_a_program_that_is_not_there_has_no_version(environ):
    assert profiles.installed(Profile(name="x", version=("no-such",)), environ) == ""
    assert profiles.installed(Profile(name="x"), environ) == ""


def test_one_that_can_not_be_run_does_not_tell(environ):
    one = program(environ, "")
    Path(environ["PATH"].split(":")[0], "tool").write_bytes(b"\x7fELF nothing")

    assert profiles.installed(one, environ) == profiles.UNKNOWN


def test_one_that_takes_too_long_is_ended_with_all_it_started(environ, eventually):
    one = program(environ, "sleep 600 & wait")
    tag = uuid4().hex

    found = profiles.installed(one, {**environ, "TEST_PROFILE": tag}, patience=0.3)

    assert found == profiles.UNKNOWN
    assert eventually(lambda: not tagged("TEST_PROFILE", tag), timeout=10)


def test_all_are_asked(environ):
    one = program(environ, "echo 1.2")
    other = Profile(name="other")

    assert profiles.versions({"tool": one, "other": other}, environ) == {"tool": "1.2", "other": ""}


def test_hives_command_is_a_program_by_its_whole_path():
    first = itself.command()[0]

    assert Path(first).is_absolute() and os.access(first, os.X_OK)
