"""Which TCP ports of this machine are in use now."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from contextlib import closing

from hive.errors import HiveError

_PLACES = (
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET, "0.0.0.0"),  # noqa: S104 - it is only asked whether somebody else has it
    (socket.AF_INET6, "::"),
)
_BUSY = frozenset({errno.EADDRINUSE, errno.EACCES})
_ABSENT = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})
"""What a system without IPv6 says."""


def taken(ports: Iterable[int]) -> set[int]:
    """Give those of these ports that a program here could not listen on now.

    Raises HiveError where the system gives no socket to try it with.
    """
    return {port for port in ports if any(_busy(port, *place) for place in _PLACES)}


def _busy(port: int, family: socket.AddressFamily, address: str) -> bool:
    """Whether a port can't be listened on, though nobody's earlier connections are in the way."""
    try:
        with closing(socket.socket(family, socket.SOCK_STREAM)) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address, port))
    except OSError as error:
        if error.errno in _BUSY:
            return True
        if error.errno in _ABSENT:
            return False
        what = f"can't try the port {port}: {os.strerror(error.errno or 0)}"
        raise HiveError(what, where=address, fix="hive doctor") from error
    return False
