"""Audit and scan, on real processes, real tmux and real files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from hive.adapters import scan
from hive.adapters.audit import Audit, audit
from hive.adapters.state import NodeLock, State
from tests.conftest import Corner, eventually

Spawn = Callable[..., subprocess.Popen[bytes]]

WAIT = ["sleep", "600"]


@pytest.fixture
def state(corner: Corner) -> State:
    one = State(corner.state)
    one.prepare()
    return one


@pytest.fixture
def spawn(corner: Corner) -> Iterator[Spawn]:
    """Start a program that bears the tag of an agent (or other variables); it is ended."""
    started = []

    def start(command: list[str], **env: str) -> subprocess.Popen[bytes]:
        tag = env or {"HIVE_AGENT": "Task/frontend/a", "HIVE_LAUNCH": "1"}
        started.append(subprocess.Popen(command, env=corner.env | tag))
        return started[-1]

    yield start
    for one in started:
        with suppress(ProcessLookupError):
            one.send_signal(signal.SIGKILL)
        one.wait()


def pids(found: Audit) -> set[int]:
    return {pid for pid, _ in found.processes}


def pane(corner: Corner, instance: str, agent: str = "Task/frontend/a") -> str:
    """Open a window that bears this mark, and give its pane."""
    corner.tmux("new-session", "-d", "-s", "mine", "sleep 600")
    made = corner.tmux("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "mine:", "sleep 600")
    corner.tmux("set-option", "-p", "-t", made, "@hive", instance)
    corner.tmux("set-option", "-p", "-t", made, "@hive_agent", agent)
    return made


def test_where_hive_was_never_used_nothing_is_left(corner: Corner):
    found = audit(State(corner.state))

    assert found.clean
    assert found.lines() == ["processes left: none", "panes left: none", "sockets left: none"]
    assert not corner.state.exists()


def test_every_process_of_an_agent_is_left_wherever_it_went(corner: Corner, state, spawn):
    parent = spawn(["sh", "-c", "setsid env -i sleep 611 & setsid sleep 612 & exec sleep 613"])

    def all_there() -> Audit | None:
        seen = audit(state)
        lines = sorted(line for _, line in seen.processes)
        return seen if lines == ["sleep 611", "sleep 612", "sleep 613"] else None

    found = eventually(all_there)
    for pid, _ in found.processes:  # one of them has no tag of this test any more
        os.kill(pid, signal.SIGKILL)

    assert parent.pid in pids(found)
    assert "processes left: 3" in found.lines()
    assert f"  {parent.pid} sleep 613" in found.lines()


def test_a_shell_that_only_names_the_state_directory_is_not_ours(state, spawn):
    spawn(WAIT, OTHER="1")

    assert not audit(state).processes


def test_another_hives_agent_is_not_ours(corner: Corner, state, spawn):
    spawn(WAIT, HIVE_STATE=f"{corner.state}-2", HIVE_AGENT="Task/frontend/a")

    assert not audit(state).processes


def test_guard_worker_and_what_they_started_are_told_apart(corner: Corner, state, spawn):
    mark = {"HIVE_SUPERVISOR": str(corner.state)}
    forever = "while :; do sleep 600 & wait; done"
    guard = spawn(["sh", "-c", forever, "hive.adapters.guard"], **mark)
    worker = spawn(["sh", "-c", forever, "hive", "supervise", "--worker"], **mark)

    found = eventually(lambda: len((seen := scan.processes(state)).others) == 2 and seen)

    assert [one.pid for one in found.guards] == [guard.pid]
    assert [one.pid for one in found.workers] == [worker.pid]
    assert {one.parent for one in found.others} == {guard.pid, worker.pid}


def test_the_caller_and_its_ancestors_are_never_listed_but_known_as_inside(corner: Corner, state):
    code = (
        "from pathlib import Path; from hive.adapters import scan; "
        "from hive.adapters.audit import audit; from hive.adapters.state import State; "
        f"s = State(Path({str(corner.state)!r})); "
        "print(len(audit(s).processes), scan.inside(s), len(scan.own(s)))"
    )
    tag = {"HIVE_AGENT": "Task/frontend/a", "HIVE_LAUNCH": "1"}

    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", code],
        env=corner.env | tag,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.split() == ["0", "Task/frontend/a", "1"], done.stderr
    assert scan.inside(state) == ""
    assert scan.own(state) == ()


def test_panes_with_our_mark_are_left_and_others_are_not(corner: Corner, state):
    ours = pane(corner, state.instance)
    pane(corner, "0badcafe")

    found = audit(state, [str(corner.socket)])

    assert len(found.panes) == 1
    assert found.panes[0].startswith(f"{ours} of Task/frontend/a in mine on ")


def test_a_tmux_server_nobody_named_is_found_too(corner: Corner, state):
    ours = pane(corner, state.instance)

    eventually(lambda: [text.split()[0] for text in audit(state).panes] == [ours])


def test_only_panes_that_still_bear_the_mark_are_closed(corner: Corner, state):
    gone, kept = pane(corner, state.instance), pane(corner, state.instance)
    found = scan.panes(state.instance, scan.sockets([str(corner.socket)])).found
    corner.tmux("set-option", "-p", "-t", kept, "@hive", "0badcafe")

    scan.close(found)

    left = corner.tmux("list-panes", "-a", "-F", "#{pane_id}").split()
    assert gone not in left
    assert kept in left
    assert len(left) == 2


def test_a_tmux_server_that_hangs_counts_as_left(corner: Corner, state):
    pane(corner, state.instance)
    server = int(corner.tmux("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        found = audit(state, [str(corner.socket)], timeout=0.5)
    finally:
        os.kill(server, signal.SIGCONT)

    assert not found.clean
    assert [text for text in found.panes if str(corner.socket) in text and "did not" in text]


def test_a_socket_and_a_held_lock_are_left(state):
    lock = NodeLock(state)
    lock.take()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(state.socket))

        found = audit(state)

        lock.release()
    assert found.sockets == (str(state.socket), f"{state.lock}, held by pid {os.getpid()}")
    assert audit(state).sockets == (str(state.socket),)


def test_it_is_told_as_json(corner: Corner, state, spawn):
    one = spawn(WAIT)

    record = eventually(lambda: (seen := audit(state)).processes and seen.record())

    assert record == {
        "processes": [{"pid": one.pid, "command": "sleep 600"}],
        "panes": [],
        "sockets": [],
    }
