"""How long from `kill -9` until the death is known, and until the replacement really runs."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.bench.measure import (
    all_started,
    command,
    fresh,
    milliseconds,
    starts,
    supervisord,
    table,
)
from tests.conftest import Corner, eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

AGENTS = 50
KILLED = 25


def kill(stamps: Path, name: str) -> float:
    """Kill an agent's program and give when."""
    pid, _ = starts(stamps, name)[0]
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    return at


def replaced(stamps: Path, name: str, killed: float) -> float:
    """Give how many seconds after its death an agent ran again."""
    eventually(lambda: len(starts(stamps, name)) > 1, timeout=60, pause=0.02)
    return starts(stamps, name)[1][1] - killed


def of_hive(corner: Corner) -> tuple[list[float], list[float]]:
    """Seconds until the death is written down, and until the agent runs again."""
    stamps = fresh(corner.path / "hive-stamps")
    names = [f"a{n}" for n in range(AGENTS)]
    corner.write({f"team-{name}": {name: command(stamps, name)} for name in names})
    corner.hive("deploy")
    all_started(stamps, names, time.time())
    known, back = [], []
    for name in names[:KILLED]:
        killed = kill(stamps, name)
        back.append(replaced(stamps, name, killed))
        known.append(death_of(corner, f"team-{name}/{name}") - killed)
        time.sleep(0.3)  # so that each is killed while nothing else happens
    return known, back


def death_of(corner: Corner, agent: str) -> float:
    """Give when hive wrote down the agent's last death (epoch seconds)."""
    certificate = eventually(lambda: corner.json("why", agent)["certificate"])
    return datetime.fromisoformat(certificate["time"]).timestamp()


def of_supervisord(corner: Corner) -> list[float]:
    stamps = fresh(corner.path / "supervisord-stamps")
    names = [f"a{n}" for n in range(AGENTS)]
    with supervisord(corner, {name: command(stamps, name) for name in names}):
        all_started(stamps, names, time.time())
        back = []
        for name in names[:KILLED]:
            back.append(replaced(stamps, name, kill(stamps, name)))
            time.sleep(0.3)
    return back


def test_death(corner: Corner) -> None:
    known, back = of_hive(corner)
    corner.hive("stop-all")
    rows = {
        "hive: the agent runs again": back,
        "hive: the death is written down": known,
        "supervisord: it runs again": of_supervisord(corner),
    }
    table(
        f"kill -9 of one of {AGENTS} agents",
        {name: milliseconds(values) for name, values in rows.items()},
    )
