"""The governor on real processes: what it does under pressure, and what it never does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from hive.adapters import groups, procs
from hive.adapters.node import Node
from hive.adapters.state import State as Place
from hive.core.limits import Ceiling, Limits, Portion
from hive.core.spec import Agent
from hive.core.world import Memory, State, Wanted
from hive.errors import HiveError
from hive.governor import Governor
from tests.conftest import Corner, eventually

NOW = 1_000_000.0
BUSY = "while :; do :; done"
MIB = 1 << 20
ABSURD = Ceiling(reserve=Portion(amount=2.0, of_machine=True))
EASY = Ceiling(admission=False)


class Small:
    """A governor with agents of its own, without tmux: `now` is what the test says it is."""

    def __init__(self, path: Path) -> None:
        self.place = Place(path)
        self.place.prepare()
        self.node = Node(self.place)
        self.governor = Governor(self.place, self.node, {"HIVE_LIMITS": "portable"})
        self.wanted: dict[str, Wanted] = {}
        self.memory: dict[str, Memory] = {}
        self.children: list[subprocess.Popen[bytes]] = []
        self.launches = 0
        self.now = NOW

    def begin(self, name: str, script: str, *, began: float = NOW - 100, **more: Any) -> str:
        """Start an agent: a root that waits for the program; gives its id."""
        spec = Agent(
            **{"role": "dev", "directory": "/", "project": "p", "team": "t", "name": name}
            | {"session": "s", "window": name, "argv": (f"program-of-{name}",)}
            | {"socket": str(self.place.root / "no.sock")}
            | more
        )
        self.launches += 1
        launch = f"1-{self.launches:08x}"
        child = subprocess.Popen(
            ["sh", "-c", f"({script}) & wait"],
            env={**os.environ, **self.node.tags(spec, launch)},
            start_new_session=True,
        )
        self.children.append(child)
        self.wanted[spec.id] = Wanted(agent=spec)
        self.memory[spec.id] = Memory(
            agent=spec.id,
            state=State.READY,
            launch=launch,
            pid=child.pid,
            started=procs.started(child.pid) or 0,
            began=began,
        )
        return spec.id

    def change(self, agent: str, **more: Any) -> None:
        """Remember something else of an agent."""
        self.memory[agent] = Memory(
            **{name: getattr(self.memory[agent], name) for name in ("agent", "launch", "pid")}
            | {name: getattr(self.memory[agent], name) for name in ("state", "started", "began")}
            | more
        )

    def look(self, seconds: float = 1.0) -> Governor:
        """Look once, so many seconds later; gives the governor that did."""
        self.now += seconds
        looked = self.node.look(self.wanted, self.memory, self.now)
        self.governor.observe(self.wanted, self.memory, looked, self.now)
        self.governor.step(time.monotonic())
        return self.governor

    def press(self, ceiling: Ceiling = ABSURD) -> None:
        """Have the machine under pressure for so long that agents are paused."""
        self.governor.bind("p", ceiling)
        for seconds in (1, 10, 18):
            self.look(seconds)
        before = {agent: self.used(agent) for agent in self.memory}
        eventually(lambda: all(self.goes_on(one) > used + 0.5 for one, used in before.items()))
        self.look(2)

    def goes_on(self, agent: str) -> float:
        """Do what is due; give the processor time an agent has used by then."""
        self.governor.step(time.monotonic())
        return self.used(agent)

    def used(self, agent: str) -> float:
        """Give the processor time an agent has used."""
        return sum(sum(one.cpu_times()[:2]) for one in self._below(agent))

    def still(self, agent: str) -> bool:
        """Whether something of it is stopped."""
        return any(one.status() == psutil.STATUS_STOPPED for one in self._below(agent))

    def kinds(self, agent: str = "") -> list[str]:
        """Name what is to be written down of an agent."""
        return [one.kind for one in self.governor.news if one.agent == agent]

    def _below(self, agent: str) -> list[psutil.Process]:
        return psutil.Process(self.memory[agent].pid).children(recursive=True)

    def close(self) -> None:
        """End all of it."""
        self.governor.close()
        self.node.release()
        for child in self.children:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@pytest.fixture(name="small")
def _small(short_path: Path) -> Iterator[Small]:
    one = Small(short_path / "state")
    try:
        yield one
    finally:
        one.close()


def test_under_lasting_pressure_the_least_dear_is_paused_and_let_go_again(small: Small) -> None:
    low = small.begin("low", BUSY, priority="low")
    server = small.begin("web", BUSY, priority="low", role="server")
    small.press()
    governor = small.governor
    assert governor.strain.paused == (low,)
    assert governor.room is not None
    assert "are to stay so" in governor.room.closed
    eventually(lambda: small.still(low))
    before = small.used(server)
    eventually(lambda: small.goes_on(server) > before + 0.2)
    assert governor.doing(low).startswith("paused: ")
    assert small.kinds().count("pressure") == 3
    assert small.kinds(low) == ["paused"]
    governor.bind("p", EASY)  # whatever else presses this machine just now
    small.look()
    assert not small.still(low)
    assert small.kinds(low) == ["paused", "resumed"]
    assert governor.strain.level == 0
    assert not governor.doing(low).startswith("paused")


def test_a_paused_agent_that_is_to_end_is_let_go_for_good(small: Small) -> None:
    low = small.begin("low", BUSY, priority="low")
    small.press()
    eventually(lambda: small.still(low))
    small.change(low, state=State.STOPPING)
    small.look(0.1)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert not small.still(low)
        small.look(0.3)
        time.sleep(0.05)
    assert "resumed" not in small.kinds(low)


def test_the_next_launch_of_a_paused_agent_is_not_paused(small: Small) -> None:
    low = small.begin("low", BUSY, priority="low")
    small.press()
    os.killpg(small.memory[low].pid, signal.SIGKILL)
    small.children.pop().wait()
    small.begin("other", "sleep 600")
    small.begin("low", BUSY, priority="low", began=small.now)
    small.look(0.3)
    before = small.used(low)
    eventually(lambda: small.goes_on(low) > before + 0.3)
    small.look(1)
    assert small.governor.strain.paused == ()
    assert not small.governor.uses[low].paused


def test_who_supervises_next_lets_go_and_begins_anew(small: Small) -> None:
    low = small.begin("low", BUSY, priority="low")
    small.press()
    eventually(lambda: small.still(low))
    another = Governor(small.place, small.node, {"HIVE_LIMITS": "portable"})
    try:
        assert not small.still(low)
        assert another.strain.level == 0
    finally:
        another.close()


def test_nobody_is_ended_for_a_reserve_that_never_was(small: Small) -> None:
    held = "a = bytearray(b'x' * (64 << 20)); import time; time.sleep(600)"
    big = small.begin("big", f'exec {sys.executable} -S -c "{held}"')
    eventually(lambda: small.look(0.1).bytes_of(big) > 60 * MIB)
    small.governor.bind("p", ABSURD)
    small.look(1)
    for _ in range(10):
        small.governor.step(time.monotonic())
        small.look(1)
    assert not small.governor.excesses
    assert small.governor.strain.level > 0


def test_what_a_program_once_needed_is_forgotten(small: Small) -> None:
    held = "a = bytearray(b'x' * (64 << 20)); import time; time.sleep(600)"
    big = small.begin("big", f'exec {sys.executable} -S -c "{held}"')

    def needs() -> Mapping[str, int]:
        return small.governor.room.needs if small.governor.room else {}

    eventually(lambda: small.look(1) and needs().get("program-of-big", 0) > 60 * MIB)
    small.governor.bind("p", Ceiling())
    small.look(1)
    assert needs()["program-of-big"] > 60 * MIB
    del small.wanted[big], small.memory[big]
    small.look(1)
    assert needs()["program-of-big"] > 60 * MIB
    small.look(24 * 3600)
    assert needs()["program-of-big"] < MIB


def test_who_is_held_back_is_not_quiet(small: Small) -> None:
    slow = small.begin("slow", BUSY, limits=Limits(cpu=0.01))
    idle = small.begin("idle", "sleep 600")
    eventually(lambda: small.look(1).held(slow) > 0.1)
    small.look(1)
    assert small.governor.uses[slow].quiet_since == 0
    assert small.governor.uses[idle].quiet_since > 0


def test_without_a_place_for_notes_nobody_is_stopped_and_it_is_said_once(small: Small) -> None:
    busy = small.begin("busy", BUSY, limits=Limits(cpu=0.01))
    shutil.rmtree(small.place.launches)
    eventually(lambda: small.look(1) and "limits" in small.kinds())
    for _ in range(20):
        small.look(1)
        assert not small.still(busy)
    assert small.kinds().count("limits") == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "\0\0", '{"agent": "p/t/a"}', '{"largest": [], "at": null, "agent": "p/t/a"}'],
)
def test_a_damaged_note_of_a_kill_holds_up_nothing(short_path: Path, text: str) -> None:
    place = Place(short_path / "state")
    place.prepare()
    (place.launches / "1-aa.oom").write_text(text)
    (place.launches / "1-bb.oom").mkdir()
    node = Node(place)
    governor = Governor(place, node, {"HIVE_LIMITS": "portable"})
    try:
        assert not governor.excesses
    finally:
        governor.close()
        node.release()


def test_what_all_share_is_changed_for_every_project_until_its_next_deploy(corner: Corner) -> None:
    agents = {"t": {"a": "sleep 600"}}
    free = {"admission": False}
    corner.write(agents, project="One", limits={"agents": 8, "reserve": "1MB", **free})
    corner.hive("deploy")
    corner.write(agents, project="Two", limits={"agents": 9, "reserve": "2MB", **free})
    corner.hive("deploy")
    total: Callable[[], dict[str, Any]] = lambda: corner.json("limits")["total"]
    eventually(lambda: total()["agents"]["allowed"] == 8)
    corner.hive("limits", "set", "--agents", "20")
    eventually(lambda: total()["agents"]["allowed"] == 20)
    assert total()["reserve"] == 2 * MIB
    worker = corner.json("status")["supervisor"]["pid"]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: (corner.json("status")["supervisor"] or {}).get("pid", worker) != worker)
    eventually(lambda: total()["agents"]["allowed"] == 20)
    corner.hive("deploy")
    eventually(lambda: total()["agents"]["allowed"] == 9)


@pytest.fixture(name="grouped")
def _grouped(corner: Corner) -> Iterator[Corner]:
    """Give a corner whose supervisor has the kernel hold limits."""
    try:
        found = groups.find("c0ffee01", {"HIVE_LIMITS": "cgroup-v1"})
    except HiveError as error:
        pytest.skip(str(error))
    if found.groups:
        found.groups.leave()
    corner.env["HIVE_LIMITS"] = "cgroup-v1"
    yield corner
    corner.run("stop-all")


def eat(corner: Corner, megabytes: int) -> str:
    """Give a command that takes so much memory and keeps it."""
    script = corner.path / "eat.py"
    script.write_text("import sys, time\na = b'x' * (int(sys.argv[1]) << 20)\ntime.sleep(600)\n")
    return f"{sys.executable} -S {script} {megabytes}"


def test_hive_holds_what_the_kernel_refuses_to_hold(grouped: Corner) -> None:
    agent = {"run": f"exec {eat(grouped, 100)}", "memory": "300MB", "restart": {"policy": "never"}}
    grouped.write({"t": {"big": agent}})
    grouped.hive("deploy")
    used = lambda: grouped.json("limits")["agents"][0]["memory"]["used"]
    eventually(lambda: (used() or 0) > 90 * MIB)
    grouped.hive("limits", "set", "t/big", "--memory", "50MB")
    record = eventually(lambda: grouped.json("why", "t/big")["certificate"])
    assert record["cause"].startswith("out of memory")


def test_a_kill_by_the_kernel_is_told_once_whoever_supervises(grouped: Corner) -> None:
    script = f"{eat(grouped, 200)} & wait $!; echo gone $?; exec sleep 600"
    grouped.write({"t": {"parent": {"run": script, "memory": "60MB"}}})
    grouped.hive("deploy")
    events = lambda: grouped.json("events", "t/parent")["events"]
    told = lambda: [one["text"] for one in events() if one["kind"] == "memory"]
    eventually(told)
    count = len(told())
    worker = grouped.json("status")["supervisor"]["pid"]
    os.kill(worker, signal.SIGKILL)
    means = lambda: grouped.json("limits")["agents"][0]["means"]
    eventually(lambda: (grouped.json("status")["supervisor"] or {}).get("pid", worker) != worker)
    eventually(lambda: means() == "cgroup v1")
    assert len(told()) == count


def test_a_kill_by_the_kernel_while_nobody_looked_is_found(grouped: Corner) -> None:
    go = grouped.path / "go"
    script = f"while [ ! -e {go} ]; do sleep 0.05; done; exec {eat(grouped, 200)}"
    agent = {"run": script, "memory": "60MB", "restart": {"policy": "never"}}
    grouped.write({"t": {"a": agent}})
    grouped.hive("deploy")
    root = grouped.agent("t/a")["pid"]
    worker = grouped.json("status")["supervisor"]["pid"]
    os.kill(worker, signal.SIGSTOP)
    go.touch()
    eventually(lambda: not procs.alive(root, procs.started(root) or 0))
    os.kill(worker, signal.SIGKILL)
    record = eventually(lambda: grouped.json("why", "t/a")["certificate"])
    assert record["cause"].startswith("out of memory: the kernel killed it")
