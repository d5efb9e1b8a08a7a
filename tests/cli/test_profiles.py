"""`hive profile list` and `show`: what they print."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from hive.cli import profiles
from hive.core.profile import from_dict
from hive.core.profile_layers import assemble, read
from hive.errors import WrongInput

TOOL = """
about = "a tool"
programs = ["tool"]
version = ["tool", "--version"]
tested = ["1.2"]
args = ["--fast"]
[[consents]]
name = "folder"
about = "trusts the folder that it runs in"
by = "args"
args = ["--trust"]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a home with a profile `tool` of its own, whose program is installed; no other is."""
    own = tmp_path / ".config" / "hive" / "profiles"
    own.mkdir(parents=True)
    (own / "tool.toml").write_text(TOOL)
    (own / "shell.toml").write_text('about = "my shell"\n')
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "tool"
    program.write_text("#!/bin/sh\necho 1.3\n")
    program.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def test_the_list_tells_what_is_installed_and_whether_it_was_tried(home, capsys):
    profiles.profile_list()
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}

    assert rows["tool"].split()[1:] == ["*", "1.3", "(not", "tried)", "tool", "a", "tool"]
    assert rows["generic"].split()[1] == "-"
    assert rows["*"] == "* from your own file: `hive profile show NAME` tells which"

    (home / "bin" / "tool").write_text("#!/bin/sh\necho 1.2\n")
    profiles.profile_list()
    assert "(not tried)" not in capsys.readouterr().out


def test_the_list_is_a_record_too(home, capsys):
    profiles.profile_list(json=True)
    record = json.loads(capsys.readouterr().out)
    rows = {row["profile"]: row for row in record["profiles"]}

    own = home / ".config" / "hive" / "profiles"
    assert record["version"] == 1
    assert rows["tool"] == {
        "profile": "tool",
        "about": "a tool",
        "programs": ["tool"],
        "installed": "1.3",
        "tested": ["1.2"],
        "tried": False,
        "files": [str(own / "tool.toml")],
        "own": True,
    }
    assert not rows["generic"]["own"]
    assert (rows["shell"]["own"], rows["shell"]["about"]) == (True, "my shell")
    assert rows["shell"]["files"][1] == str(own / "shell.toml")


def test_a_profile_is_shown_as_a_file_that_says_the_same(home, capsys):
    profiles.profile_show("tool")
    text = capsys.readouterr().out

    own = home / ".config" / "hive" / "profiles"
    assert f"# profile tool, from {own}/tool.toml\n" in text
    assert "# trust = true would answer for you:\n#   folder: trusts the folder" in text
    assert tomllib.loads(text)["args"] == ["--fast"]
    again = assemble({"tool": [read("tool", text, "f")]})
    assert again == assemble({"tool": [read("tool", TOOL, "f")]})


def test_a_profile_that_goes_over_ours_tells_both_files(home, capsys):
    profiles.profile_show("shell")
    text = capsys.readouterr().out

    assert "shell.toml (comes with hive)\n# and over that " in text
    assert "would answer nothing" in text
    assert 'about = "my shell"' in text


def test_a_profile_is_a_record_too(home, capsys):
    profiles.profile_show("tool", json=True)
    record = json.loads(capsys.readouterr().out)

    (folder,) = record["trust"]
    assert from_dict(record["profile"]).args == ("--fast",)
    assert (folder["name"], folder["by"]) == ("folder", "args")
    assert len(record["files"]) == 1


def test_a_profile_that_is_none_is_refused(home):
    with pytest.raises(WrongInput, match="no profile `tol`; did you mean `tool`") as caught:
        profiles.profile_show("tol")

    assert caught.value.fix == "hive profile list"
