"""How long from the command until every agent of a new team really runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bench.measure import (
    LONG,
    all_started,
    command,
    fresh,
    milliseconds,
    others,
    supervisord,
    table,
)
from tests.conftest import Corner, end, eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

SIZES = (10, 50, 100, 300)
ROUNDS = {10: 5, 50: 5, 100: 3, 300: 3}

LIBTMUX = """
import json, sys
import libtmux
socket, file = sys.argv[1:]
server = libtmux.Server(socket_path=socket)
lines = list(json.load(open(file)).items())
session = server.new_session("bench", window_name=lines[0][0], window_command=lines[0][1])
for name, line in lines[1:]:
    session.new_window(window_name=name, attach=False, window_shell=line)
"""


def lines_of(stamps: Path, size: int) -> dict[str, str]:
    return {name: command(stamps, name) for name in (f"a{n}" for n in range(size))}


def of_hive(corner: Corner, size: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds until all run, and until `hive deploy` returns, with a supervisor that runs."""
    running, returned = [], []
    idle = {"idle": {"sleeper": "exec sleep 99999"}}
    for turn in range(rounds):
        corner.write(idle)
        corner.hive("deploy")
        eventually(lambda: len(corner.agents()) == 1, timeout=LONG)
        stamps = fresh(corner.path / f"hive-{turn}")
        lines = lines_of(stamps, size)
        corner.write({**idle, "bench": dict(lines)})
        began = time.time()
        done = corner.run("deploy", timeout=LONG)
        returned.append(time.time() - began)
        assert done.returncode == 0, done.stderr
        running.append(all_started(stamps, list(lines), began))
    corner.hive("stop-all")
    return running, returned


def by_script(
    corner: Corner, name: str, size: int, rounds: int, argv: Sequence[str]
) -> list[float]:
    """Seconds until all run, for a program that makes a tmux session from a file and ends."""
    taken = []
    for turn in range(rounds):
        stamps = fresh(corner.path / f"{name}-{turn}")
        lines = lines_of(stamps, size)
        file = stamps.with_suffix(".json")
        windows = [
            {"window_name": one, "window_shell": line, "panes": [None]}
            for one, line in lines.items()
        ]
        tmuxp = {"session_name": "bench", "windows": windows}
        file.write_text(json.dumps(lines if name == "libtmux" else tmuxp))
        began = time.time()
        subprocess.run(
            [*argv, str(file)], env=corner.env, check=True, capture_output=True, timeout=LONG
        )
        taken.append(all_started(stamps, list(lines), began))
        end(corner.processes)
    return taken


def of_supervisord(corner: Corner, size: int, rounds: int) -> list[float]:
    """Seconds until all run, with a supervisord that runs and is told to read its file again."""
    taken = []
    for turn in range(rounds):
        stamps = fresh(corner.path / f"supervisord-{turn}")
        lines = lines_of(stamps, size)
        with supervisord(corner, {"idle": "exec sleep 99999"}) as daemon:
            daemon.write({"idle": "exec sleep 99999", **lines})
            began = time.time()
            daemon.control("update")
            taken.append(all_started(stamps, list(lines), began))
    return taken


@pytest.mark.parametrize("size", SIZES)
def test_deploy(corner: Corner, size: int) -> None:
    rounds, programs = ROUNDS[size], others()
    socket = str(corner.socket)
    running, returned = of_hive(corner, size, rounds)
    end(corner.processes)
    libtmux = [str(programs / "python"), "-c", LIBTMUX, socket]
    tmuxp = [str(programs / "tmuxp"), "load", "-d", "-y", "-S", socket]
    rows = {
        "hive: all agents run": running,
        "hive: `hive deploy` has returned": returned,
        "libtmux: all run": by_script(corner, "libtmux", size, rounds, libtmux),
        "tmuxp: all run": by_script(corner, "tmuxp", size, rounds, tmuxp),
        "supervisord: all run": of_supervisord(corner, size, rounds),
    }
    table(f"deploy {size} agents", {name: milliseconds(one) for name, one in rows.items()})


def test_the_machine() -> None:
    version = subprocess.check_output(["tmux", "-V"], text=True).strip()
    print(f"\n{version}, Python {sys.version.split()[0]}, {shutil.which('bash')}")
