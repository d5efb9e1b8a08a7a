from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import pytest

from hive.adapters.attach import attach
from hive.errors import HiveError, NotRunning, TimedOut
from tests.conftest import ROOT, eventually

ATTACH = "import sys; from hive.adapters.attach import attach; attach(*sys.argv[1:])"


class Terminal:
    """A person's terminal in which a program runs."""

    def __init__(self, env: dict[str, str], argv: Sequence[str]) -> None:
        self.fd, inner = pty.openpty()
        self.process = subprocess.Popen(
            argv, env=env, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
        )
        os.close(inner)

    def read(self) -> bool:
        """Take what it shows, so that it never waits for us."""
        with suppress(OSError):  # it is over
            while select.select([self.fd], [], [], 0)[0]:
                os.read(self.fd, 65536)
        return True

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)
        os.close(self.fd)


@pytest.fixture
def terminal(bench):
    opened: list[Terminal] = []

    def start(*argv: str, **env: str) -> Terminal:
        known = os.environ | {"HOME": str(bench.path), "TERM": "xterm", "PYTHONPATH": str(ROOT)}
        opened.append(Terminal(known | env, argv))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def clients(bench) -> list[str]:
    said = bench.run("list-clients", "-F", "#{session_name} #{window_name} #{pane_id}")
    return said.split("\n") if said else []


@pytest.mark.parametrize("by", ["window", "id"])
def test_a_person_is_taken_to_the_agents_window(bench, terminal, by):
    bench.open("one")
    two = bench.open("two")
    target = two.window if by == "window" else two.id
    one = terminal(sys.executable, "-c", ATTACH, bench.socket, "Task-front", target)
    eventually(lambda: one.read() and clients(bench) == [f"Task-front Front-two {two.id}"])


def test_a_person_is_taken_to_a_teams_session(bench, terminal):
    first = bench.open("one")
    bench.open("other", session="Task-back")
    one = terminal(sys.executable, "-c", ATTACH, bench.socket, "Task-front")
    eventually(lambda: one.read() and clients(bench) == [f"Task-front Front-one {first.id}"])


def test_a_window_that_was_moved_is_found_where_it_is(bench, terminal):
    dev = bench.open("dev")
    bench.open("two")
    bench.run("new-session", "-d", "-s", "users", "cat", "-")
    bench.run("move-window", "-d", "-s", dev.id, "-t", "=users:")
    one = terminal(sys.executable, "-c", ATTACH, bench.socket, "Task-front", dev.window)
    eventually(lambda: one.read() and clients(bench) == [f"users Front-dev {dev.id}"])


def test_inside_the_same_server_the_client_is_switched(bench, terminal):
    dev = bench.open("dev")
    code = f"exec {sys.executable} -c '{ATTACH}' {bench.socket} Task-front {dev.window}"
    command = ["tmux", "-S", bench.socket, "new-session", "-s", "users", "sh", "-c"]
    one = terminal(
        *command, f"while ! tmux list-clients | grep .; do sleep 0.1; done; {code}; cat -"
    )
    eventually(lambda: one.read() and clients(bench) == [f"Task-front Front-dev {dev.id}"])


def test_inside_another_server_the_person_is_attached_all_the_same(bench, terminal):
    dev = bench.open("dev")
    one = terminal(
        sys.executable, "-c", ATTACH, bench.socket, "Task-front", dev.window, TMUX="/nowhere,1,0"
    )
    eventually(lambda: one.read() and clients(bench) == [f"Task-front Front-dev {dev.id}"])


def test_without_a_server_it_says_so(bench):
    with pytest.raises(NotRunning, match="no tmux server"):
        attach(bench.socket, "Task-front")


def test_without_the_session_it_says_so(bench):
    bench.open("dev")
    with pytest.raises(HiveError, match="no tmux session `Task-back`"):
        attach(bench.socket, "Task-back")


def test_without_a_terminal_it_says_so(bench, monkeypatch):
    bench.open("dev")
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115, PTH123
    with pytest.raises(HiveError, match="needs a terminal"):
        attach(bench.socket, "Task-front")
    sys.stdin.close()


def test_a_server_that_does_not_answer_is_no_reason_to_wait_for_ever(bench, monkeypatch):
    bench.open("dev")
    server = bench.tmux.look().server
    monkeypatch.setattr("hive.adapters.attach.TIMEOUT", 0.5)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimedOut):
            attach(bench.socket, "Task-front")
    finally:
        os.kill(server.pid, signal.SIGCONT)
