"""What the documentation says is so: its commands are run, its files are read."""

from __future__ import annotations

import random
import re
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from hive.adapters import files
from hive.cli.hot import COMMANDS, SPOKEN
from hive.core.spec import Restart
from hive.core.units import as_text
from hive.core.world import State
from tests.conftest import ROOT, Corner, eventually

README = ROOT / "README.md"
PAGES = sorted((ROOT / "hive" / "docs").glob("*.md"))
REST = "…"
"""Stands for any lines."""

HIDDEN = {"complete", "supervise"}
KNOWN = {name.split()[0] for name in (*COMMANDS, *SPOKEN)} | HIDDEN
"""The first word of every command."""


def blocks(page: Path, language: str) -> list[str]:
    """Give the fenced blocks of a page that are in this language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def toml_blocks() -> list[object]:
    return [
        pytest.param(block, id=f"{named(page)} {number}")
        for page in (README, *PAGES)
        for number, block in enumerate(blocks(page, "toml"), 1)
    ]


def masked(line: str) -> str:
    """Give a line without what differs from run to run: times, numbers, widths of columns."""
    line = re.sub(r"^[A-Z][a-z]{2} \d+ [\d:]{8}", "TIME", line)
    line = re.sub(r"\d+(\.\d+)?(ms|[smhdKMGB%])?", "#", line)
    return " ".join(line.split())


def steps(block: str) -> list[tuple[str, list[str]]]:
    """Give the commands of a console block, each with the lines it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        elif line.strip() != REST:
            found[-1][1].append(line)
    return found


def free_ports(many: int) -> list[int]:
    """Find ports that nobody listens on now, and that the system gives to nobody by itself."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as one:
            if len(found) < many and one.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found


def keep_to_itself(corner: Corner) -> None:
    """Give the file a tmux server and ports of its own."""
    text = corner.file.read_text("utf-8")
    wanted = re.findall(r"^port = (\d+)$", text, re.MULTILINE)
    for before, port in zip(wanted, free_ports(len(wanted)), strict=True):
        text = text.replace(f"port = {before}\n", f"port = {port}\n")
    corner.file.write_text(f'{text}\n[tmux]\nsocket = "{corner.socket}"\n', "utf-8")


def test_the_readme_does_what_it_shows(corner: Corner) -> None:
    (block,) = blocks(README, "console")
    for command, lines in steps(block):
        program, *words = shlex.split(command)
        assert program == "hive"
        said = corner.hive(*words)
        if words[0] == "init":
            keep_to_itself(corner)
        output = [masked(line) for line in said.splitlines()]
        missing = [line for line in lines if masked(line) not in output]
        assert missing == [], f"$ {command}\n{said}"
    eventually(lambda: not corner.processes())


def test_the_demo_shows_what_it_promises_and_leaves_nothing(corner: Corner) -> None:
    place = corner.path / "demo"
    done = subprocess.run(
        [ROOT / ".ci" / "demo"], env=corner.env | {"DEMO": str(place)}, cwd=corner.path,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    _, *said = re.split(r"^\$ (.*)\n", done.stdout, flags=re.MULTILINE)
    shown = dict(zip(said[::2], said[1::2], strict=True))
    assert "killed by signal 9" in shown["hive why web/server"]
    assert re.search(r"web/server +restarted", shown["hive events"])
    assert "processes left: none" in shown["hive stop-all"]
    assert not place.exists()
    eventually(lambda: not corner.processes())


@pytest.mark.parametrize("block", toml_blocks())
def test_a_toml_block_is_a_file_that_hive_can_read(block, tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("npm", "claude", "codex", "aider"):
        (programs / program).write_text("#!/bin/sh\n")
        (programs / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    text = block if re.search(r"^project *=", block, re.MULTILINE) else f'project = "Task"\n{block}'
    (tmp_path / "hive.toml").write_text(text, "utf-8")

    assert files.load(tmp_path / "hive.toml").project


def mentioned(page: Path) -> set[str]:
    """Give every word that a page writes after `hive` as a command."""
    text = page.read_text("utf-8")
    code = "\n".join(
        [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)]
    )
    return set(re.findall(r"(?:^|[$(`|]\s*)hive ([a-z][a-z-]*)", code, re.MULTILINE))


@pytest.mark.parametrize("page", [README, *PAGES], ids=named)
def test_every_command_that_is_mentioned_exists(page):
    assert mentioned(page) - KNOWN == set()


def test_the_readme_shows_the_first_steps():
    path = {"init", "check", "deploy", "status", "why", "logs", "attach", "monitor", "stop-all"}
    assert path <= mentioned(README)


def test_every_page_is_listed_by_help(corner: Corner) -> None:
    listed = {line.split()[0] for line in corner.hive("help").splitlines()}
    assert {page.stem for page in PAGES} <= listed
    for page in PAGES:
        assert corner.hive("help", page.stem) == page.read_text("utf-8")


def test_links_between_pages_lead_somewhere():
    for page in (README, *PAGES, ROOT / "CHANGELOG.md"):
        targets = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
        local = [one for one in targets if "://" not in one]
        assert [one for one in local if not (page.parent / one).exists()] == []


def test_the_page_of_states_has_them_all_and_the_numbers_that_hold():
    text = (ROOT / "hive" / "docs" / "states.md").read_text("utf-8")
    assert [state for state in State if f"| `{state}` |" not in text] == []
    rule = Restart()
    for key, value in (("delay", rule.delay), ("longest", rule.longest),
                       ("healthy_after", rule.healthy_after)):  # fmt: skip
        (row,) = [line for line in text.splitlines() if line.endswith(f"`{key}` |")]
        assert as_text(value) in row.replace(" s ", "s ").replace(" min ", "m ")


@pytest.mark.parametrize("code", [1, 2, 3, 4, 130])
def test_the_readme_explains_every_exit_code(code):
    assert re.search(rf"^\| {code} \| \w", README.read_text("utf-8"), re.MULTILINE)
