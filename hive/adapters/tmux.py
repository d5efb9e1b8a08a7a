"""A tmux server as hive uses it: look, open, close, read and press, in panes that bear our mark.

Panes, windows and sessions are addressed by id only, and whatever changes one is guarded on the
server by a check of the mark. Looking never starts a server. What could not be seen is said to
be unseen, never to be gone.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import socket as sockets
import subprocess
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from hive.adapters import panes, procs
from hive.adapters.control import Control, Gone, Reply, Silent, line, quote
from hive.adapters.panes import Mark, Opened, Opening, Place, Refused, Session
from hive.core.world import NoServer, Pane, Seen, Server, Sight, Unseen
from hive.errors import HiveError, NotRunning

STARTING = 3.0
"""Seconds in which a server that starts while another ends gets another chance."""

_KEY = re.compile(
    r"(?:[CMS]-|\^)*(?:[!-~]|[A-Z][A-Za-z]*Tab|Tab|Enter|Escape|Space|BSpace|Up|Down|Left|Right"
    r"|Home|End|NPage|PPage|PageUp|PageDown|PgUp|PgDn|IC|DC|Insert|Delete|F[1-9]|F1[0-2])"
)
_PRIVATE = ("TMUX", "TMUX_PANE")


def argv(socket: str) -> list[str]:
    """Give the tmux command for a socket; always explicit, so that `$TMUX` is not followed."""
    where = ["-S", socket] if "/" in socket else ["-L", socket or "default"]
    return ["tmux", "-u", *where]


def path(socket: str) -> Path:
    """Give the socket's file."""
    if "/" in socket:
        return Path(socket)
    base = os.environ.get("TMUX_TMPDIR") or "/tmp"  # noqa: S108 - that is tmux's place for it
    return Path(base, f"tmux-{os.getuid()}", socket or "default")


def environment(home: Path | None = None) -> dict[str, str]:
    """Give the environment of a tmux client, and of the server it may start."""
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in _PRIVATE and not key.startswith("HIVE_")
    }
    return env | {"HOME": str(home)} if home else env


def marks(socket: str, timeout: float, home: Path | None = None) -> list[Mark]:
    """Give every pane on this socket that bears a hive's mark, without a kept connection.

    Raises `Silent` where the server does not answer; no server has no panes.
    """
    command = [*argv(socket), "list-panes", "-a", "-F", panes.MARKS]
    try:
        done = subprocess.run(
            command, env=environment(home), capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Silent(_silence(timeout)) from error
    return list(panes.marks(done.stdout.decode(errors="replace").split("\n")[:-1]))


def answers(socket: str, timeout: float) -> bool:
    """Whether a server listens on the socket; one that hangs does too.

    Raises `HiveError` where that can't be known.
    """
    with sockets.socket(sockets.AF_UNIX) as caller:
        caller.settimeout(timeout)
        try:
            caller.connect(str(path(socket)))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (BlockingIOError, TimeoutError):
            return True
        except OSError as error:
            what = f"can't reach the tmux server: {error.strerror or error}"
            raise HiveError(what, where=str(path(socket))) from error
    return True


class Tmux:
    """The tmux server on `socket`, for the hive named `instance`.

    `home` is where a server that hive starts finds the user's configuration. `timeout` is in
    seconds, for one question. `known` is the server that was last seen here, if any: it is found
    again even if its socket's file was deleted.
    """

    def __init__(
        self,
        socket: str,
        instance: str,
        *,
        home: Path | None = None,
        timeout: float = 5.0,
        known: Server | None = None,
    ) -> None:
        self._socket = socket
        self._instance = instance
        self._home = home
        self._timeout = timeout
        self._server = known
        self._control: Control | None = None
        self._hall = ""

    def look(self) -> Sight:
        """See the panes that bear our mark. Never starts a server, never raises."""
        try:
            control = self._reach()
            if control is None or self._server is None:
                return NoServer()
            self._keep_socket(self._server)
            ask = line("list-panes", "-a", "-f", panes.ours(self._instance), "-F", panes.LOOK)
            (reply,) = control.run([ask], self._timeout)
        except Gone as error:
            return self._after(error)
        except HiveError as error:
            return Unseen(why=error.what)
        if not reply.ok:
            return Unseen(why=reply.why)
        return Seen(server=self._server, panes=panes.panes(reply.lines))

    def open(self, openings: Sequence[Opening]) -> list[Opened | Refused]:
        """Open windows, all at once; sessions and the server are made where they are missing."""
        try:
            return _Batch(self._start(), self._server, openings).open()
        except HiveError as error:
            return [Refused(why=error.what) for _ in openings]
