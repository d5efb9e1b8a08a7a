"""Which ports are in use, with real sockets."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from hive.adapters.ports import taken


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])  # noqa: S104
def test_a_port_that_somebody_listens_on_is_taken(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as listener:
        try:
            listener.bind((address, 0))
        except OSError:
            pytest.skip(f"{address} is no address here")
        listener.listen()
        port = listener.getsockname()[1]

        assert taken([port]) == {port}
    assert taken([port]) == set()


def test_the_rest_of_a_connection_that_was_ended_takes_no_port():
    with closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        server, _ = listener.accept()
        server.close()  # who ends first waits out its time
        client.close()

    assert taken([port]) == set()


def test_nothing_is_asked_for_no_ports():
    assert taken([]) == set()
