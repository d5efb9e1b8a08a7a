"""How many bytes each agent received and sent over TCP, as Linux counts them for each socket.

The kernel lists the TCP sockets with their counters (NETLINK_SOCK_DIAG, no privilege needed);
/proc/PID/fd says whose they are. What is not seen: UDP, so QUIC too; sockets in another network
namespace, as in a container; and of a connection what came after the last look at it. Elsewhere
nothing is known.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing

_SOCK_DIAG = 4
_BY_FAMILY = 20
_ERROR, _DONE = 2, 3
_DUMP = 0x301
_INFO = 2
_STATES = sum(1 << state for state in (1, 2, 3, 4, 5, 8, 9, 11))
"""All that may carry bytes: neither listening, nor waiting out its time."""

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI48x")
_NAMES = struct.Struct("=44xQ16xI")
"""An `inet_diag_msg`: the socket's cookie, and its inode. Attributes follow."""

_ATTRIBUTE = struct.Struct("=HH")
_COUNTERS = struct.Struct("=QQ")
_COUNTERS_AT = 120
"""Where `tcp_info` has bytes_acked and bytes_received."""

_PART = 1 << 18
_PATIENCE = 1.0

_HIDDEN = (FileNotFoundError, ProcessLookupError, PermissionError)
"""The process is gone, or is another user's."""

_UNABLE = {
    errno.EACCES,
    errno.EAFNOSUPPORT,
    errno.EINVAL,
    errno.ENOBUFS,
    errno.ENOENT,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EPROTONOSUPPORT,
}
"""What a kernel says that can't list sockets, or may not, or has too much to do."""

_Bytes = dict[int, tuple[int, int]]
"""Received and sent, by a socket's cookie: the kernel gives none twice."""


class Network:
    """The TCP traffic of agents, from one look to the next."""

    def __init__(self) -> None:
        self._before: dict[str, _Bytes] = {}
        self._inodes: dict[int, list[int]] = {}

    def traffic(
        self, trees: Mapping[str, Iterable[int]], idle: Collection[int] = ()
    ) -> dict[str, tuple[int, int]]:
        """Give the bytes that each agent's processes received and sent since the last call.

        `trees` are the pids by agent, `idle` those that did nothing since that call: they have
        the sockets they had. An agent that was not in the last call is left out, and all are
        where the platform can't tell.
        """
        known = {pid: self._inodes[pid] for pid in idle if pid in self._inodes}
        self._inodes = {
            pid: known[pid] if pid in known else list(_inodes(pid))
            for pids in trees.values()
            for pid in pids
        }
        owned = {
            agent: {inode for pid in pids for inode in self._inodes[pid]}
            for agent, pids in trees.items()
        }
        sockets = _sockets(set().union(*owned.values()))
        if sockets is None:
            self._before = {}
            return {}
        before, self._before = self._before, {}
        found = {}
        for agent, inodes in owned.items():
            counts = {sockets[one][0]: sockets[one][1:] for one in inodes & sockets.keys()}
            self._before[agent] = counts
            if agent in before:
                found[agent] = _gain(before[agent], counts)
        return found


def _gain(before: _Bytes, after: _Bytes) -> tuple[int, int]:
    """Give what was received and sent; a socket that was not there has all its bytes since."""
    received = sent = 0
    for cookie, (into, out) in after.items():
        was = before.get(cookie, (0, 0))
        received += max(0, into - was[0])
        sent += max(0, out - was[1])
    return received, sent


def _inodes(pid: int) -> Iterator[int]:
    """Give the inodes of the sockets that a process has open."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path for each costs as much as reading it
    except _HIDDEN:
        return
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - as above
        except OSError:  # closed meanwhile, or its name is too long
            continue
        if target.startswith("socket:["):
            yield int(target[8:-1])


def _sockets(inodes: set[int]) -> dict[int, tuple[int, int, int]] | None:
    """Give cookie, bytes received and bytes sent of those of these that are TCP, by inode.

    None where the kernel can't tell.
    """
    if sys.platform != "linux":
        return None
    if not inodes:
        return {}
    found: dict[int, tuple[int, int, int]] = {}
    try:
        with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG)) as kernel:
            kernel.settimeout(_PATIENCE)
            for family in (socket.AF_INET, socket.AF_INET6):
                for message in _dump(kernel, family):
                    cookie, inode = _NAMES.unpack_from(message)
                    if inode in inodes:
                        found[inode] = (cookie, *_counters(message))
    except OSError as error:  # no such protocol here, or it is forbidden
        if error.errno not in _UNABLE and not isinstance(error, TimeoutError):
            raise
        return None
    return found


def _dump(kernel: socket.socket, family: int) -> Iterator[bytes]:
    """Ask for all TCP sockets of a family, and give what is said of each."""
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, _STATES)
    header = _HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, family, 0)
    kernel.send(header + request)
    while True:
        part = kernel.recv(_PART)
        at = 0
        while at < len(part):
            size, kind, _, _, _ = _HEADER.unpack_from(part, at)
            body = part[at + _HEADER.size : at + size]
            if kind == _DONE:
                return
            if kind == _ERROR:
                code = -int.from_bytes(body[:4], sys.byteorder, signed=True)
                raise OSError(code, os.strerror(code))
            yield body
            at += _aligned(size)


def _counters(message: bytes) -> tuple[int, int]:
    """Give the bytes a socket received and sent; 0 where an old kernel does not count them."""
    at = _NAMES.size
    while at < len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        counters = at + _ATTRIBUTE.size + _COUNTERS_AT
        if kind == _INFO and counters + _COUNTERS.size <= at + size:
            sent, received = _COUNTERS.unpack_from(message, counters)
            return received, sent
        at += _aligned(size)
    return 0, 0


def _aligned(size: int) -> int:
    return (size + 3) & ~3
