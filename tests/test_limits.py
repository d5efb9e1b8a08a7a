"""Limits hold on real programs, nothing is left frozen, and what must wait says why."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from hive.adapters import groups, procs
from hive.errors import HiveError
from tests.conftest import Corner, eventually

MIB = 1 << 20
BUSY = "while :; do :; done"
NEVER = {"policy": "never"}

T = TypeVar("T")
EAT = """
import sys, time
held = []
while len(held) < int(sys.argv[1]):
    held.append(b"x" * (1 << 20))
    time.sleep(0.002)
time.sleep(600)
"""


def eater(corner: Corner, megabytes: int) -> str:
    """Write a program that takes so much memory; give the command that runs it."""
    script = corner.path / "eat.py"
    script.write_text(EAT)
    return f"{sys.executable} -S {script} {megabytes}"


def frozen(corner: Corner) -> list[int]:
    """Give the processes that are stopped."""
    found = []
    for pid, _ in corner.processes():
        seen = procs.process(pid)
        if seen and seen.state == "T":
            found.append(pid)
    return found


def limits_of(corner: Corner, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        one for one in corner.json("limits")["agents"] if one["agent"] == name
    )
    return found


def test_a_greedy_agent_is_throttled_and_said_to_be(corner: Corner) -> None:
    corner.write({"t": {"greedy": {"run": BUSY, "cpu": "2%"}, "modest": "sleep 600"}})
    corner.hive("deploy")
    eventually(lambda: limits_of(corner, "t/greedy")["held"] > 0.2)
    one = limits_of(corner, "t/greedy")
    assert one["means"] == "portable"
    assert one["cpu"]["limit"] == 0.02
    assert "held to 2% of a core" in one["doing"]
    assert limits_of(corner, "t/modest")["held"] == 0
    kinds = lambda: {event["kind"] for event in corner.json("events", "t/greedy")["events"]}
    eventually(lambda: "throttled" in kinds())


def test_all_agents_together_share_what_they_may(corner: Corner) -> None:
    limits = {"cpu": 0.04, "admission": False}
    agents = dict.fromkeys(("a", "b"), BUSY)
    corner.write({"t": {**agents, "idle": "sleep 600"}}, limits=limits)
    corner.hive("deploy")

    def shared() -> bool:
        found = {one["agent"]: one for one in corner.json("limits")["agents"]}
        return all(found[f"t/{name}"]["held"] > 0.3 for name in agents)

    eventually(shared)
    record = corner.json("limits")
    assert record["total"]["cpu"]["allowed"] == 0.04
    assert limits_of(corner, "t/idle")["held"] == 0


def test_nothing_stays_frozen_when_the_supervisor_is_killed(corner: Corner) -> None:
    corner.write({"t": {"greedy": {"run": BUSY, "cpu": "2%"}}})
    corner.hive("deploy")
    root = corner.agent("t/greedy")["pid"]
    for _ in range(3):
        worker = corner.json("status")["supervisor"]["pid"]
        eventually(lambda: frozen(corner), pause=0.01)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: not frozen(corner), pause=0.01)
        eventually(lambda: (corner.json("status")["supervisor"] or {}).get("pid"))
    assert corner.agent("t/greedy")["pid"] == root
    eventually(lambda: frozen(corner), pause=0.01)
    corner.hive("stop-all")
    assert not corner.processes()


def test_a_throttled_agent_stops_as_any_other(corner: Corner) -> None:
    script = f"trap 'echo bye > {corner.path}/bye; exit 0' TERM; {BUSY}"
    corner.write({"t": {"greedy": {"run": script, "cpu": "2%"}}})
    corner.hive("deploy")
    eventually(lambda: frozen(corner), pause=0.01)
    corner.hive("stop", "t/greedy")
    assert (corner.path / "bye").read_text() == "bye\n"


def test_keys_typed_into_a_throttled_agent_arrive(corner: Corner) -> None:
    heard = corner.path / "heard"
    script = f'({BUSY}) & while read -r line; do echo "$line" >> {heard}; done'
    corner.write({"t": {"greedy": {"run": script, "cpu": "10%"}}})
    corner.hive("deploy")
    eventually(lambda: frozen(corner), pause=0.01)
    pane = corner.agent("t/greedy")["pane"]
    for number in range(5):
        corner.tmux("send-keys", "-t", pane, f"line {number}", "Enter")
    expected = "".join(f"line {number}\n" for number in range(5))
    eventually(lambda: heard.exists() and heard.read_text() == expected)


def test_out_of_memory_is_on_the_certificate_and_twice_means_too_small(corner: Corner) -> None:
    agent = {"run": f"exec {eater(corner, 400)}", "memory": "48MB", "restart": {"delay": "0s"}}
    corner.write({"t": {"hungry": agent, "other": "sleep 600"}})
    corner.hive("deploy", "--no-wait")
    other = eventually(lambda: corner.agent("t/other")["pid"])
    record = eventually(lambda: corner.json("why", "t/hungry")["certificate"])
    assert record["cause"].startswith("out of memory: it used ")
    assert "of 48.0M" in record["cause"]
    assert record["largest"][0]["bytes"] > 30 * MIB
    told = lambda: [
        event["text"]
        for event in corner.json("events", "t/hungry")["events"]
        if "twice in a row" in event["text"]
    ]
    assert "too small" in eventually(told)[0]
    assert corner.agent("t/other")["pid"] == other
    assert "hive limits set" in told()[0]


def test_the_largest_child_goes_first_where_that_is_enough(corner: Corner) -> None:
    script = f"sleep 600 & {eater(corner, 400)} & wait $!; echo gone $?; wait"
    corner.write({"t": {"parent": {"run": script, "memory": "48MB"}}})
    corner.hive("deploy")
    pid = corner.agent("t/parent")["pid"]
    eventually(lambda: "gone 137" in corner.hive("logs", "t/parent"))
    assert corner.agent("t/parent")["pid"] == pid
    assert corner.agent("t/parent")["restarts"] == 0
    texts = lambda: [event["text"] for event in corner.json("events", "t/parent")["events"]]
    eventually(lambda: any("out of memory" in text for text in texts()))


def test_a_daemon_that_left_counts_too(corner: Corner) -> None:
    script = f"env -i setsid {eater(corner, 400)} & sleep 1; exec sleep 600"
    corner.write({"t": {"parent": {"run": script, "memory": "48MB"}}})
    corner.hive("deploy")
    eater_runs = lambda: [one for one in psutil.pids() if _is_eater(one, corner.path)]
    texts = lambda: [event["text"] for event in corner.json("events", "t/parent")["events"]]
    eventually(lambda: any("out of memory" in text for text in texts()))
    eventually(lambda: not eater_runs())


def _is_eater(pid: int, folder: Path) -> bool:
    return any(str(folder / "eat.py") in word for word in procs.command(pid))


def test_over_the_soft_limit_is_said(corner: Corner) -> None:
    agent = {"run": f"exec {eater(corner, 60)}", "memory": "400MB", "memory_soft": "40MB"}
    corner.write({"t": {"big": agent}})
    corner.hive("deploy")
    eventually(lambda: "over its soft limit" in (corner.agent("t/big")["limit"] or ""))
    assert "soft limit" in corner.hive("why", "t/big")
    assert corner.agent("t/big")["restarts"] == 0


def test_too_many_processes_end_with_their_agent(corner: Corner) -> None:
    script = "i=0; while [ $i -lt 120 ]; do sleep 600 & i=$((i+1)); done; wait"
    corner.write({"t": {"bomb": {"run": script, "processes": 40, "restart": NEVER}}})
    corner.hive("deploy", "--no-wait")
    record = eventually(lambda: corner.json("why", "t/bomb")["certificate"])
    assert record["cause"].startswith("too many processes")
    eventually(lambda: not [one for one in corner.processes() if "sleep 600" in one[1]])


def test_what_must_wait_for_room_says_so_and_starts_when_there_is(corner: Corner) -> None:
    agents = dict.fromkeys(("a", "b", "c"), "sleep 600")
    corner.write({"t": agents}, limits={"agents": 2, "reserve": "1MB"})
    corner.hive("deploy", "--no-wait")
    states = lambda: [one["state"] for one in corner.agents().values()]
    _unless_pressed(corner, lambda: states().count("ready") == 2)
    waiting = _unless_pressed(corner, lambda: _waiting(corner))
    _unless_pressed(corner, lambda: "2 of 2 agents run" in corner.agent(waiting[0])["reason"])
    assert len(waiting) == 1
    running = next(name for name in corner.agents() if name not in waiting)
    corner.hive("stop", running)
    _unless_pressed(corner, lambda: corner.agent(waiting[0])["state"] == "ready")


def _unless_pressed(corner: Corner, condition: Callable[[], T]) -> T:
    """Wait for it; on a machine that is loaded so much that hive admits nothing, skip the test."""

    def found() -> T:
        value = condition()
        if not value and corner.json("limits")["strain"]["level"]:
            pytest.skip("this machine is under pressure: hive rightly starts nothing")
        return value

    return eventually(found)


def _waiting(corner: Corner) -> list[str]:
    return [
        name
        for name, one in corner.agents().items()
        if one["reason"].startswith("waiting for room")
    ]


def test_limits_change_live(corner: Corner) -> None:
    corner.write({"t": {"greedy": {"run": BUSY, "cpu": "2%"}}})
    corner.hive("deploy")
    pid = corner.agent("t/greedy")["pid"]
    eventually(lambda: limits_of(corner, "t/greedy")["held"] > 0.3)
    corner.hive("limits", "set", "t/greedy", "--cpu", "none", "--memory", "200MB")
    eventually(lambda: limits_of(corner, "t/greedy")["held"] == 0)
    one = limits_of(corner, "t/greedy")
    assert (one["cpu"]["limit"], one["memory"]["limit"]) == (None, 200 * MIB)
    assert corner.agent("t/greedy")["pid"] == pid
    corner.hive("deploy")
    assert limits_of(corner, "t/greedy")["cpu"]["limit"] == 0.02
    assert corner.agent("t/greedy")["pid"] == pid


def test_the_command_line_goes_over_the_file(corner: Corner) -> None:
    corner.write({"t": {"a": {"run": "sleep 600", "memory": "100MB"}}})
    corner.hive("deploy", "--cpu-limit", "40", "--memory", "300MB")
    record = corner.json("limits")
    cores = record["machine"]["cores"]
    assert record["total"]["cpu"]["allowed"] == pytest.approx(0.4 * cores)
    assert record["agents"][0]["memory"]["limit"] == 300 * MIB


@pytest.fixture(name="grouped")
def _grouped(corner: Corner) -> Iterator[Corner]:
    """Give a corner whose supervisor has the kernel hold limits."""
    try:
        found = groups.find("c0ffee00", {"HIVE_LIMITS": "cgroup-v1"})
    except HiveError as error:
        pytest.skip(str(error))
    if found.groups:
        found.groups.leave()
    corner.env["HIVE_LIMITS"] = "cgroup-v1"
    yield corner
    corner.run("stop-all")


def _groups(corner: Corner) -> list[Path]:
    name = f"hive-{(corner.state / 'instance').read_text().strip()}"
    return list(Path("/sys/fs/cgroup").glob(f"*/**/{name}"))


def test_the_kernel_holds_what_it_can(grouped: Corner) -> None:
    hungry = {"run": f"exec {eater(grouped, 400)}", "memory": "48MB", "restart": NEVER}
    greedy = {"run": BUSY, "cpu": "2%"}
    grouped.write({"t": {"hungry": hungry, "greedy": greedy}})
    grouped.hive("deploy", "--no-wait")
    record = eventually(lambda: grouped.json("why", "t/hungry")["certificate"])
    assert record["cause"].startswith("out of memory")
    assert limits_of(grouped, "t/greedy")["means"] == "cgroup v1"
    eventually(lambda: limits_of(grouped, "t/greedy")["held"] > 0.2)
    assert not frozen(grouped)
    assert _groups(grouped)
    grouped.hive("stop-all")
    assert not _groups(grouped)


def test_a_limit_given_later_is_held_by_the_kernel_too(grouped: Corner) -> None:
    grouped.write({"t": {"a": f"sleep 600 & {BUSY}"}})
    grouped.hive("deploy")
    assert limits_of(grouped, "t/a")["means"] == "portable"
    grouped.hive("limits", "set", "t/a", "--cpu", "20%")
    eventually(lambda: limits_of(grouped, "t/a")["means"] == "cgroup v1")
    os.kill(grouped.json("status")["supervisor"]["pid"], signal.SIGKILL)
    eventually(lambda: limits_of(grouped, "t/a")["means"] == "cgroup v1")
