"""How long a person waits for a command, with 50 agents that run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.measure import (
    command,
    fresh,
    milliseconds,
    others,
    supervisord,
    table,
    timed,
)
from tests.conftest import Corner

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

AGENTS = 50
ROUNDS = 20
HIVE = str(Path(sys.executable).with_name("hive"))


def seconds(corner: Corner, *argv: str) -> list[float]:
    """Give how long the command takes, each time."""

    def once() -> None:
        subprocess.run(argv, env=corner.env, cwd=corner.path, capture_output=True, check=True)

    once()  # the first one reads everything from the disk
    return milliseconds([timed(once) for _ in range(ROUNDS)])


def test_commands(corner: Corner) -> None:
    stamps = fresh(corner.path / "stamps")
    lines = {f"a{n}": command(stamps, f"a{n}") for n in range(AGENTS)}
    corner.write({"bench": dict(lines)})
    corner.hive("deploy")
    tmux = ("tmux", "-S", str(corner.socket), "list-panes", "-a", "-F", "#{pane_id} #{pane_pid}")
    rows = {
        "python -c pass": seconds(corner, sys.executable, "-c", "pass"),
        "hive --help": seconds(corner, HIVE, "--help"),
        f"hive status, {AGENTS} agents": seconds(corner, HIVE, "status"),
        f"hive status --json, {AGENTS} agents": seconds(corner, HIVE, "status", "--json"),
        "hive complete (TAB)": seconds(corner, HIVE, "complete", "bash", "--", "why", "bench/"),
        "hive why": seconds(corner, HIVE, "why", "bench/a7"),
        "hive deploy, nothing to do": seconds(corner, HIVE, "deploy"),
        "tmux list-panes": seconds(corner, *tmux),
    }
    corner.hive("stop-all")
    rows |= of_others(corner, lines)
    table("how long a command takes", rows)


def of_others(corner: Corner, lines: dict[str, str]) -> dict[str, list[float]]:
    """Measure what comes closest in other tools."""
    programs = others()
    with supervisord(corner, lines):
        control = str(programs / "supervisorctl")
        file = str(corner.path / "supervisord.conf")
        taken = seconds(corner, control, "-c", file, "status")
    return {
        f"supervisorctl status, {AGENTS}": taken,
        "tmuxp --help": seconds(corner, str(programs / "tmuxp"), "--help"),
    }


def test_imports() -> None:
    """How many modules each start imports: unlike a time, it is the same on every machine."""
    script = "import sys, json; sys.argv[:] = {}; from hive.__main__ import main; main(); "
    script += "print(json.dumps(len(sys.modules)), file=sys.stderr)"
    for words in (["hive", "--version"], ["hive", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", script.format(words)],
            env=os.environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        print(f"{' '.join(words):20}{json.loads(done.stderr.splitlines()[-1]):>6} modules")
