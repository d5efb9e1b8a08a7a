"""Answer on the unix socket, inside the supervisor's own loop, and never wait for anybody.

A client sends one line of JSON and gets one back; then the connection ends. Whatever a client
does or leaves undone, nobody else notices.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hive.errors import HiveError, WrongInput

log = logging.getLogger("hive")

LONGEST = 8 << 20
"""The longest question, in bytes."""

CHUNK = 1 << 18

IDLE = 30.0
"""Seconds of silence after which a client is let go."""

CROWD = 256
"""How many clients are served at once; the others wait in line."""

Answer = Callable[[str, dict[str, Any]], Any]


@dataclass(slots=True, kw_only=True, eq=False)
class _Client:
    """One connection: what came so far, what is still to be sent, since when it is silent."""

    link: socket.socket
    pid: int = 0
    inbox: bytearray = field(default_factory=bytearray)
    outbox: memoryview | None = None
    quiet_since: float | None = None


class Listener:
    """The supervisor's socket: 0600, in a directory of ours, its questions given to `answer`.

    `answer(verb, args)` gives what can be JSON; a `HiveError` it raises goes to the client. While
    it is asked, `asking` is the caller's pid (0: not known).
    Registers with `data=self`, so a loop can say `key.data.handle(key, events)`.
    """

    def __init__(self, path: str | Path, answer: Answer) -> None:
        """Take the path over; whoever does this holds the node's lock.

        Raises `HiveError` where another process answers there, or it can't be bound.
        """
        self._path = Path(path)
        self._answer = answer
        self._clients: dict[int, _Client] = {}
        self._selector: selectors.BaseSelector | None = None
        self._open = False
        self.asking = 0
        try:
            _clear(self._path)
            self._server, self._identity = _bind(self._path)
        except OSError as error:
            what = f"can't listen on the socket: {error.strerror or error}"
            fix = "set `HIVE_STATE` to a directory of your own"
            raise HiveError(what, where=str(path), fix=fix) from error

    def register(self, selector: selectors.BaseSelector) -> None:
        """Join the loop."""
        self._selector = selector
        self._admit(True)

    def handle(self, key: selectors.SelectorKey, events: int) -> None:
        """Do what the loop found possible; nothing a client does makes this raise."""
        if key.fd == self._server.fileno():
            self._accept()
            return
        client = self._clients.get(key.fd)
        if client is None:
            return
        client.quiet_since = None
        try:
            if events & selectors.EVENT_READ:
                self._read(client)
            elif events & selectors.EVENT_WRITE:
                self._write(client)
        except OSError as error:
            log.debug("a client left: %s", error)
            self._drop(client)

    def upkeep(self, now: float) -> None:
        """Let go of clients that have been silent for `IDLE` seconds; `now` is in seconds."""
        for client in list(self._clients.values()):
            if client.quiet_since is None:
                client.quiet_since = now
            elif now - client.quiet_since >= IDLE:
                self._drop(client)
        self._admit(len(self._clients) < CROWD)

    def busy(self) -> bool:
        """Say whether an answer is still on its way."""
        return any(client.outbox for client in self._clients.values())

    def missing(self) -> bool:
        """Say whether the socket's file was deleted or replaced: nobody finds us any more."""
        return _identity(self._path) != self._identity

    def close(self) -> None:
        """Leave the loop, and delete the socket's file if it is still ours."""
        for client in list(self._clients.values()):
            self._drop(client)
        self._admit(False)
        self._server.close()
        if not self.missing():
            self._path.unlink(missing_ok=True)

    def _admit(self, wanted: bool) -> None:
        """Take part in the loop or not: a crowd waits in the kernel's line."""
        if self._selector is None or wanted == self._open:
            return
        if wanted:
            self._selector.register(self._server, selectors.EVENT_READ, self)
        else:
            self._selector.unregister(self._server)
        self._open = wanted

    def _accept(self) -> None:
        try:
            link, _ = self._server.accept()
        except (BlockingIOError, ConnectionError):
            return  # it left while it waited
        except OSError as error:  # no file descriptor is left: look again at the next upkeep
            log.warning("can't take a client's call: %s", error)
            self._admit(False)
            return
        link.setblocking(False)
        pid, ours = _caller(link)
        if not ours:
            log.warning("refused a call from another user")
            link.close()
            return
        self._clients[link.fileno()] = _Client(link=link, pid=pid)
        self._loop.register(link, selectors.EVENT_READ, self)
        self._admit(len(self._clients) < CROWD)

    @property
    def _loop(self) -> selectors.BaseSelector:
        if self._selector is None:
            raise RuntimeError("register the listener first")
        return self._selector

    def _read(self, client: _Client) -> None:
        try:
            chunk = client.link.recv(CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._drop(client)
            return
        client.inbox += chunk
        if b"\n" in chunk:
            line = bytes(client.inbox[: client.inbox.index(b"\n")])
            self.asking = client.pid
            self._send(client, self._reply(line))
            self.asking = 0
        elif len(client.inbox) > LONGEST:
            error = WrongInput(f"a question is longer than {LONGEST} bytes", fix="ask for less")
            self._send(client, _refusal(error))

    def _reply(self, line: bytes) -> bytes:
        """Have one question answered; whatever goes wrong becomes the answer."""
        try:
            verb, args = _question(line)
            return json.dumps({"result": self._answer(verb, args)}).encode() + b"\n"
        except HiveError as error:
            return _refusal(error)
        except Exception as error:
            log.exception("a bug in the answer to %.200r", line)
            what = f"hive has a bug: {type(error).__name__}: {error}"
            return _refusal(HiveError(what, fix="`supervisor.log` has the traceback; report it"))

    def _send(self, client: _Client, reply: bytes) -> None:
        if self._clients.get(client.link.fileno()) is not client:
            return  # the answer was to close everything
        client.inbox = bytearray()
        client.outbox = memoryview(reply)
        self._loop.modify(client.link, selectors.EVENT_WRITE, self)
        self._write(client)

    def _write(self, client: _Client) -> None:
        """Send what the client takes now; the connection ends with the last byte."""
        while client.outbox:
            try:
                sent = client.link.send(client.outbox[:CHUNK])
            except BlockingIOError:
                return
            client.outbox = client.outbox[sent:]
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        del self._clients[client.link.fileno()]
        self._loop.unregister(client.link)
        client.link.close()
        self._admit(len(self._clients) < CROWD)


def _question(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        asked = json.loads(line)
        verb, args = asked["verb"], asked["args"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WrongInput("this is not a question", fix="ask through `hive`") from error
    if not isinstance(verb, str) or not isinstance(args, dict):
        raise WrongInput("this is not a question", fix="ask through `hive`")
    return verb, args


def _refusal(error: HiveError) -> bytes:
    told = {"what": error.what, "where": error.where, "fix": error.fix, "code": error.exit_code}
    return json.dumps({"error": told}).encode() + b"\n"


def _clear(path: Path) -> None:
    """Delete a dead socket's file; refuse one that lives or is something else."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise HiveError("this is not a socket", where=str(path), fix="move it away")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # its line is full: it lives
    fix = "`hive status` asks it; `hive stop-all` ends it"
    raise HiveError("another process answers on the socket", where=str(path), fix=fix)


def _bind(path: Path) -> tuple[socket.socket, tuple[int, int]]:
    server = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        server.bind(str(path))
        server.listen(1024)
        server.setblocking(False)
    except OSError:
        server.close()
        raise
    finally:
        os.umask(before)
    return server, _identity(path) or (0, 0)


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(FileNotFoundError, NotADirectoryError):  # then it is missing
        found = path.lstat()
        return found.st_dev, found.st_ino
    return None


def _caller(link: socket.socket) -> tuple[int, bool]:
    """Give the caller's pid (0 where that is not known), and whether it is our user or root.

    Off Linux the file's mode says so.
    """
    if sys.platform != "linux":
        return 0, True
    credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", credentials)
    return pid, uid in {0, os.geteuid()}
