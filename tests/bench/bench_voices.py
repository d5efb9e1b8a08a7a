"""What it costs to listen to 100 agents, how soon they have a message, and a state is seen.

The agents are fakes of a real agent program: they run hooks, write records, set titles. What they
write down themselves, with its time, is the truth that hive is held against.
"""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from hive.adapters.channel import ask
from tests import tally
from tests.bench.bench_pulse import percent
from tests.conftest import ROOT, Corner, eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

AGENTS, ROUNDS = 100, 8
FAKES = ROOT / "tests" / "fakes"
TEXT = "All work and no play makes a dull agent. " * 12
LOOKS, WORK = 0.01, 1.5


def deploy(corner: Corner, count: int) -> list[str]:
    """Have so many fakes ready, and give their names."""
    profiles = corner.home / ".config" / "hive" / "profiles"
    profiles.mkdir(parents=True)
    shutil.copy(FAKES / "profiles" / "fake.toml", profiles)
    names = [f"a{number}" for number in range(count)]
    agents = {
        name: {
            "run": str(FAKES / "tui.py"),
            "trust": True,
            "env": {"FAKE_TRUTH": str(truth(corner, name))},
        }
        for name in names
    }
    corner.write({"team": agents})
    corner.hive("deploy", "--timeout", "10m")
    wait = lambda: {one["state"] for one in status(corner)["agents"]} == {"ready"}
    eventually(wait, timeout=600, pause=0.5)
    return names


def truth(corner: Corner, name: str) -> Path:
    return corner.path / f"{name}.jsonl"


def status(corner: Corner) -> Any:
    return ask(str(corner.state / "hive.sock"), "status", {})


def send(corner: Corner, names: list[str], text: str) -> float:
    """Send a text, and give when that was asked for (epoch seconds)."""
    now = time.time()
    ask(str(corner.state / "hive.sock"), "send", {"names": names, "text": text})
    return now


def first(corner: Corner, name: str, what: str, since: float) -> float:
    """Give when the fake first wrote down something of this kind; 0 while it has not."""
    found = [fact["at"] for fact in tally.facts(truth(corner, name), what=what)]
    return next((at for at in found if at >= since), 0.0)


def ready(corner: Corner, names: list[str]) -> None:
    """Wait until these agents' turns are over and nothing waits for them."""
    agents = {f"team/{name}" for name in names}

    def there() -> bool:
        mine = [one for one in status(corner)["agents"] if one["agent"] in agents]
        return all(one["state"] == "ready" and not one["queue"] for one in mine)

    eventually(there, timeout=300, pause=0.2)
    time.sleep(1)  # one that was just given something is not seen to work yet
    eventually(there, timeout=300, pause=0.2)


def test_listening(corner: Corner) -> None:
    deploy(corner, AGENTS)
    watched = {
        "hive: supervisor": psutil.Process(status(corner)["supervisor"]["pid"]),
        "tmux server": psutil.Process(int(corner.tmux("display-message", "-p", "#{pid}"))),
    }
    time.sleep(15)  # what happened before is over
    found = percent(watched)
    print(f"\nlistening to {AGENTS} quiet agents with hooks, records, titles and screens")
    for name, process in watched.items():
        memory = process.memory_info().rss / 2**20
        print(f"{name:22}{found[name]:>12.2f} % of one core{memory:>8.1f} MiB")
    corner.hive("stop-all")


def test_a_message_and_what_follows(corner: Corner) -> None:
    names = deploy(corner, AGENTS)
    one, told = names[:1], []
    working, over = [], []
    for _ in range(ROUNDS):
        ready(corner, one)
        began = send(corner, ["team/a0"], TEXT)
        eventually(lambda at=began: first(corner, "a0", "bytes", at), pause=LOOKS)
        told.append(first(corner, "a0", "bytes", began) - began)
        ready(corner, one)
        asked = send(corner, ["team/a0"], f"FAKE:work {WORK}")
        seen = _seen(corner, "working")
        began = eventually(lambda at=asked: first(corner, "a0", "prompt", at), pause=LOOKS)
        working.append(seen - began)
        over.append(_seen(corner, "ready") - began - WORK)
    print(f"\na message of {len(TEXT)} characters to one of {AGENTS} ready agents")
    print(f"  until its first byte is there   {statistics.median(told) * 1000:.0f} ms")
    print(f"  its turn begins until seen      {statistics.median(working) * 1000:.0f} ms")
    print(f"  its turn ends until seen        {statistics.median(over) * 1000:.0f} ms")
    ready(corner, names)
    began = send(corner, ["team"], TEXT)
    arrived = lambda: all(first(corner, name, "bytes", began) for name in names)
    eventually(arrived, timeout=120, pause=LOOKS)
    last = max(first(corner, name, "bytes", began) for name in names) - began
    print(f"  to all {AGENTS}: until the last has it  {last * 1000:.0f} ms")
    corner.hive("stop-all")


def _seen(corner: Corner, state: str) -> float:
    """Give when hive tells that the first agent is in this state."""
    eventually(lambda: status(corner)["agents"][0]["state"] == state, pause=LOOKS)
    return time.time()
