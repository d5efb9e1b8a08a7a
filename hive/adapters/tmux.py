"""A tmux server as hive uses it: look, open, close, read and press, in panes that bear our mark.

Panes, windows and sessions are addressed by id only, and whatever changes one is guarded on the
server by a check of the mark. Looking never starts a server. What could not be seen is said to
be unseen, never to be gone.
"""

from __future__ import annotations

import os
import signal
import socket as sockets
import subprocess
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hive.adapters import panes, procs
from hive.adapters.control import Control, Gone, Reply, Silent, line
from hive.adapters.panes import Batch, Mark, Opened, Opening, Refused, Session
from hive.core.world import NoServer, Pane, Seen, Server, Sight, Unseen
from hive.errors import HiveError

STARTING = 3.0
"""Seconds in which a server that starts while another one ends gets another chance."""

ENDING = 1.0
"""Seconds a server without a socket has to end, or to make its socket again."""

PER_WINDOW = 0.1
"""Seconds of patience for each window that is opened, beside the timeout."""

HALL = "_hive-"
"""How the session that hive keeps for itself is named, before the instance."""

_LIST_SESSIONS = line("list-sessions", "-F", panes.SESSIONS)


def argv(socket: str) -> list[str]:
    """Give the tmux command for a socket; always explicit, so that `$TMUX` is not followed."""
    where = ["-S", socket] if "/" in socket else ["-L", socket or "default"]
    return ["tmux", "-u", *where]


def path(socket: str) -> Path:
    """Give the socket's file."""
    if "/" in socket:
        return Path(socket)
    base = os.environ.get("TMUX_TMPDIR") or "/tmp"  # noqa: S108 - tmux's own choice
    return Path(base, f"tmux-{os.getuid()}", socket or "default")


def environment(home: Path | None = None) -> dict[str, str]:
    """Give the environment of a tmux client, and of the server it may start."""
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in {"TMUX", "TMUX_PANE"} and not key.startswith("HIVE_")
    }
    return env | {"HOME": str(home)} if home else env


def answers(socket: str, timeout: float) -> bool:
    """Whether a server listens on the socket; one that hangs does, too.

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
            what = f"can't reach tmux: {error.strerror or error}"
            raise HiveError(what, where=str(path(socket))) from error
    return True


def marks(socket: str, timeout: float, home: Path | None = None) -> list[Mark]:
    """Give every pane on this socket that bears a hive's mark, without a kept connection.

    No server has no panes. Raises `Silent` where the server does not answer, `HiveError` where
    it can't be asked.
    """
    if not answers(socket, timeout):
        return []
    command = [*argv(socket), "list-panes", "-a", "-F", panes.MARKS]
    try:
        done = subprocess.run(
            command, env=environment(home), capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Silent(_silence(timeout)) from error
    except FileNotFoundError as error:
        raise _missing() from error
    if done.returncode and answers(socket, timeout):
        what = done.stderr.decode(errors="replace").strip()
        raise HiveError(f"tmux did not list its panes: {what}", where=str(path(socket)))
    return list(panes.marks(done.stdout.decode(errors="replace").split("\n")[:-1]))


class Tmux:
    """The tmux server on `socket`, for the hive named `instance`.

    `home` is where a server that hive starts finds the user's configuration. `timeout` is in
    seconds, for one question. `known` is the server last seen here: it is found again even where
    its socket's file was deleted.
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
        ask = line("list-panes", "-a", "-f", panes.ours(self._instance), "-F", panes.LOOK)
        try:
            found = self._look(ask)
        except Gone as gone:
            found = self._look_again(gone)
        except Silent:
            found = Unseen(why=_silence(self._timeout))
        except HiveError as error:
            found = Unseen(why=error.what)
        return found

    def _look(self, ask: str) -> Sight:
        control = self._reach()
        if control is None or self._server is None:
            return NoServer()
        self._keep_socket(self._server)
        (reply,) = control.run([ask], self._timeout)
        if not reply.ok:
            return Unseen(why=reply.why)
        return Seen(server=self._server, panes=panes.panes(reply.lines))

    def _look_again(self, gone: Gone) -> Sight:
        """Tell a server that ended under our eyes from one that only let go of us."""
        try:
            return Unseen(why=gone.what) if self._listens() else NoServer()
        except HiveError as error:
            return Unseen(why=error.what)

    def open(self, openings: Sequence[Opening]) -> list[Opened | Refused]:
        """Open windows, all at once; sessions and the server are made where they are missing.

        The answers come in the order of the openings. Never raises.
        """
        try:
            control, server = self._start()
            batch = self._batch(control, openings)
            patience = self._timeout + PER_WINDOW * len(openings)
            for stage in (batch.first, batch.second):
                todo = stage()
                replies = control.run([command for _, command in todo], patience)
                control.run(batch.note(todo, replies), self._timeout)
        except Silent:
            return [Refused(why=_silence(self._timeout)) for _ in openings]
        except HiveError as error:
            return [Refused(why=error.what) for _ in openings]
        return [_opened(batch.answer(one), server) for one in openings]

    def _batch(self, control: Control, openings: Sequence[Opening]) -> Batch:
        ours = panes.ours(self._instance)
        places = line("list-panes", "-a", "-f", ours, "-F", panes.PLACES)
        listed = control.run([_LIST_SESSIONS, places], self._timeout)
        return Batch(openings, self._instance, self._hall, listed)

    def capture(self, pane: str, lines: int = 200, *, visible: bool = False) -> list[str]:
        """Give the last lines of a pane, or with `visible` those of its screen.

        A pane that is not there has none. Raises `HiveError` where tmux does not answer.
        """
        return self._captures([pane], lines, visible=visible).get(pane, [])

    def captures(self, wanted: Sequence[str], lines: int = 200) -> dict[str, list[str]]:
        """Give the visible screens of many panes; one that is not there is left out.

        Raises `HiveError` where tmux does not answer.
        """
        return self._captures(wanted, lines, visible=True)

    def _captures(
        self, wanted: Sequence[str], lines: int, *, visible: bool
    ) -> dict[str, list[str]]:
        past = () if visible else ("-S", f"-{lines}")
        asked = [line("capture-pane", "-p", "-J", *past, "-t", pane) for pane in wanted]
        replies = zip(wanted, self._run(asked), strict=False)
        return {pane: _screen(reply.lines, lines) for pane, reply in replies if reply.ok}

    def close(self, closing: Sequence[Pane]) -> None:
        """Close these panes, unless something newer was launched in them.

        Raises `HiveError` where tmux does not answer.
        """
        self._run([panes.close(pane, self._instance) for pane in closing])

    def press(self, pane: str, keys: Sequence[str]) -> None:
        """Type tmux key names into a pane of ours; a word that is no key is typed as it is.

        Raises `HiveError` where tmux does not answer.
        """
        self._run([panes.press(pane, keys, self._instance)])

    def rename(self, pane: str, window: str) -> None:
        """Name the window of a pane of ours. Raises `HiveError` where tmux does not answer."""
        rename = panes.rename(window, ("-t", pane))
        self._run([panes.guarded(pane, panes.ours(self._instance), [rename])])

    def sessions(self) -> list[Session]:
        """Give every session but hive's own. Raises `HiveError` where tmux does not answer."""
        found = [panes.sessions(reply.lines) for reply in self._run([_LIST_SESSIONS])]
        return [one for some in found for one in some if not one.name.startswith(HALL)]

    def foreign(self, names: Collection[str]) -> list[str]:
        """Give those of these sessions that exist and are not ours.

        Raises `HiveError` where tmux does not answer.
        """
        theirs = [one.name for one in self.sessions() if one.instance != self._instance]
        return sorted(set(theirs) & set(names))

    def fileno(self) -> int | None:
        """Give what becomes readable when tmux says something or ends; None while unconnected."""
        return self._control.fileno() if self._control else None

    def leave(self) -> None:
        """Take hive's own session off the server, which ends if there is nothing else on it."""
        if not self._control:
            return
        alone = line(
            "if-shell", "-F", "#{==:#{session_attached},1}", line("kill-session", "-t", self._hall)
        )
        with suppress(Gone, Silent):  # gone is what was asked for; tmux ends it without us, too
            self._control.run([alone], self._timeout)
        self.hang_up()

    def hang_up(self) -> None:
        """Drop the connection, and leave everything else as it is."""
        if self._control:
            self._control.close()
            self._control = None

    def _run(self, commands: Sequence[str]) -> list[Reply]:
        """Give the replies; none where there is no server."""
        control = self._reach() if commands else None
        return control.run(commands, self._timeout) if control else []

    def _reach(self) -> Control | None:
        """Give the connection, made anew where it ended; None where there is no server."""
        if self._control and self._control.alive():
            return self._control
        self.hang_up()
        return self._connect("-N") if self._listens() else None

    def _start(self) -> tuple[Control, Server]:
        """Connect, to a new server where there is none.

        One that just ends may be in the way for a while.
        """
        last = time.monotonic() + STARTING
        while True:
            try:
                control = self._reach() or self._connect()
            except Gone:
                if time.monotonic() > last:
                    raise
            else:
                if self._server:
                    return control, self._server
            time.sleep(0.05)

    def _connect(self, *flags: str) -> Control:
        """Attach to a session of hive's own, which tmux ends as soon as we are gone."""
        name = f"{HALL}{self._instance}"
        there = ["-t", f"={name}:"]
        command = [*argv(self._socket), *flags, "-C", "new-session", "-A", "-s", name]
        command += ["-x", panes.WIDTH, "-y", panes.HEIGHT, "-c", "/", "-f", "no-output,ignore-size"]
        command += ["cat", "-", ";", "set-option", *there, "destroy-unattached", "on"]
        command += [";", "set-option", "-p", *there, "@hive_own", self._instance]
        try:
            control = Control(command, environment(self._home), self._timeout)
        except FileNotFoundError as error:
            raise _missing() from error
        (who,) = control.run([line("display-message", "-p", panes.WHO)], self._timeout)
        pid, self._hall = who.lines[0].split("|")
        self._server = Server(pid=int(pid), started=procs.started(int(pid)) or 0)
        self._control = control
        return control

    def _listens(self) -> bool:
        """Whether there is a server; one that lost its socket's file is told to make it again."""
        if answers(self._socket, self._timeout):
            return True
        if self._server is None or _ended(self._server, ENDING):
            return False
        procs.signal(self._server.pid, self._server.started, signal.SIGUSR1)
        last = time.monotonic() + ENDING
        while not answers(self._socket, self._timeout):
            if time.monotonic() > last:
                what = f"the tmux server, pid {self._server.pid}, lives but has no socket"
                raise HiveError(what, where=str(path(self._socket)))
            time.sleep(0.01)
        return True

    def _keep_socket(self, server: Server) -> None:
        """Have a deleted socket's file made again, for the people who want to attach."""
        if not path(self._socket).exists():
            procs.signal(server.pid, server.started, signal.SIGUSR1)


def _ended(server: Server, timeout: float) -> bool:
    """Whether the server is gone, or goes within `timeout` seconds."""
    last = time.monotonic() + timeout
    while procs.alive(server.pid, server.started):
        if time.monotonic() > last:
            return False
        time.sleep(0.01)
    return True


def _opened(answer: Pane | Refused, server: Server) -> Opened | Refused:
    if isinstance(answer, Refused):
        return answer
    pane = replace(answer, started=procs.started(answer.pid) or 0)
    return Opened(pane=pane, server=server)


def _screen(lines: Sequence[str], most: int) -> list[str]:
    """Drop what is blank at the ends, and what is too old."""
    text = [one.rstrip() for one in lines]
    while text and not text[-1]:
        text.pop()
    return text[-most:]


def _silence(timeout: float) -> str:
    return f"tmux did not answer within {timeout:g} s"


def _missing() -> HiveError:
    return HiveError("`tmux` is not installed", fix="install tmux 3.2a or newer")
