from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from hive.adapters.network import Network

if sys.platform != "linux":
    pytest.skip("only Linux counts each socket's bytes", allow_module_level=True)

MEGABYTE = 1_000_000

TALK = """
import socket, sys
family, port = int(sys.argv[1]), int(sys.argv[2])
ends = []
for line in sys.stdin:
    word, *many = line.split()
    if word == "open":
        ends.append(socket.socket(family, socket.SOCK_STREAM))
        ends[-1].connect(("127.0.0.1" if family == socket.AF_INET else "::1", port))
    elif word == "send":
        ends[-1].sendall(b"x" * int(many[0]))
    elif word == "close":
        ends.pop().close()
    print("done", flush=True)
"""


class Talker:
    """A process that connects and sends as it is told; this process is the other end."""

    def __init__(self, family):
        self.listener = socket.create_server(("", 0), family=family)
        self.peers = []
        port = self.listener.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-c", TALK, str(int(family)), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self):
        return self.process.pid

    def tell(self, line):
        print(line, file=self.process.stdin, flush=True)
        if line == "open":
            self.listener.settimeout(60)
            self.peers.append(self.listener.accept()[0])
        if line.startswith("send"):
            self.take(int(line.split()[1]))
        assert self.process.stdout.readline() == "done\n"

    def take(self, many):
        self.peers[-1].settimeout(60)
        while many:
            many -= len(self.peers[-1].recv(many))

    def close(self):
        self.process.kill()
        self.process.communicate()
        for one in (*self.peers, self.listener):
            one.close()


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def talker(request):
    try:
        one = Talker(request.param)
    except OSError as error:
        pytest.skip(f"this machine has no such network: {error}")
    yield one
    one.close()


@pytest.fixture
def network():
    first = Network()
    first.traffic({"me": [os.getpid()]})
    if not first.traffic({"me": [os.getpid()]}):
        pytest.skip("this kernel does not list sockets")
    return Network()


def seen(network, talker, eventually, least):
    """Add up what the talker sent until it is that much: acknowledgements take a moment."""
    total = 0

    def enough():
        nonlocal total
        total += network.traffic({"ada": [talker.pid]})["ada"][1]
        return total >= least

    eventually(enough)
    return total


def test_what_is_sent_and_received_is_counted(network, talker, eventually):
    talker.tell("open")
    assert network.traffic({"ada": [talker.pid]}) == {}
    talker.tell(f"send {MEGABYTE}")
    assert seen(network, talker, eventually, MEGABYTE) < MEGABYTE + 1000
    assert network.traffic({"ada": [talker.pid]}) == {"ada": (0, 0)}
    talker.peers[-1].sendall(b"y" * 5000)
    eventually(lambda: network.traffic({"ada": [talker.pid]})["ada"][0] == 5000)


def test_a_new_connection_counts_from_its_start(network, talker, eventually):
    network.traffic({"ada": [talker.pid]})
    talker.tell("open")
    talker.tell("send 70000")
    assert 70_000 <= seen(network, talker, eventually, 70_000) < 71_000


def test_a_connection_that_closed_takes_nothing_back(network, talker, eventually):
    talker.tell("open")
    network.traffic({"ada": [talker.pid]})
    talker.tell("send 70000")
    seen(network, talker, eventually, 70_000)
    talker.tell("close")
    assert network.traffic({"ada": [talker.pid]}) == {"ada": (0, 0)}
    talker.tell("open")
    talker.tell("send 3000")
    assert 3000 <= seen(network, talker, eventually, 3000) < 4000


def test_each_agent_has_its_own_and_a_shared_socket_counts_once(network, talker, eventually):
    talker.tell("open")
    both = {"ada": [talker.pid, talker.pid], "bob": [os.getpid()], "eve": []}
    network.traffic(both)
    talker.tell("send 50000")
    total = {"ada": 0, "bob": 0, "eve": 0}

    def arrived():
        found = network.traffic(both)
        total["ada"] += found["ada"][1]
        total["bob"] += found["bob"][0]
        total["eve"] += sum(found["eve"])
        return total["ada"] >= 50_000 and total["bob"] >= 50_000

    eventually(arrived)
    assert total["eve"] == 0
    assert total["ada"] < 51_000
    assert total["bob"] < 51_000


def test_a_process_that_is_gone_has_no_traffic(network, talker):
    network.traffic({"ada": [talker.pid]})
    talker.process.kill()
    talker.process.wait()
    assert network.traffic({"ada": [talker.pid]}) == {"ada": (0, 0)}
