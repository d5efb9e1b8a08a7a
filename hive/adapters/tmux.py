"""A tmux server as hive uses it: look, open, close, read and press, in panes that bear our mark.

Panes, windows and sessions are addressed by id only, and whatever changes one is guarded on the
server by a check of the mark. Looking never starts a server. What could not be seen is said to
be unseen, never to be gone.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hive.adapters import panes, procs
from hive.adapters.control import Gone, Reply, Silent, answers, argv, line, path, run
from hive.adapters.panes import Batch, Mark, Opened, Opening, Refused, Session
from hive.core.world import NoServer, Pane, Seen, Server, Sight, Unseen
from hive.errors import HiveError

__all__ = ["Tmux", "argv", "marks"]

ENDING = 0.5
"""Seconds a server that lost its socket's file has to end, before it is told to make it again."""

HUNG = 1.0
"""Seconds a server gets for an answer that gave none in time: others wait meanwhile."""

SLOW = 10
"""Every so many times it gets the full time again: it may be slow rather than hung."""

FULL = 50
"""How many lines of commands may take one timeout."""

_PID = line("display-message", "-p", "#{pid}")
_LIST_SESSIONS = line("list-sessions", "-F", panes.SESSIONS)


def marks(socket: str, timeout: float, home: Path | None = None) -> list[Mark]:
    """Give every pane on this socket that bears any hive's mark.

    No server has no panes. Raises `HiveError` where that can't be known, `Silent` where the
    server does not answer.
    """
    if not answers(socket, timeout):
        return []
    ask = line("list-panes", "-a", "-F", panes.MARKS)
    try:
        (reply,) = run(socket, [ask], timeout, home=home)
    except Gone:
        if answers(socket, timeout):
            raise
        return []
    if not reply.ok:
        raise HiveError(f"tmux did not list its panes: {reply.why}", where=str(path(socket)))
    return list(panes.marks(reply.lines))


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
        self._silences = 0
        self._server = known

    def look(self) -> Sight:
        """See the panes that bear our mark. Never starts a server, never raises."""
        ask = line("list-panes", "-a", "-f", panes.ours(self._instance), "-F", panes.LOOK)
        try:
            replies = self._run([_PID, ask])
        except HiveError as error:
            return Unseen(why=error.what)
        if not replies:
            return NoServer()
        who, found = replies
        if not found.ok:
            return Unseen(why=found.why)
        return Seen(server=self._met(who), panes=panes.panes(found.lines))

    def open(self, openings: Sequence[Opening]) -> list[Opened | Refused]:
        """Open windows, all at once; sessions and the server are made where they are missing.

        The answers come in the order of the openings. Never raises.
        """
        try:
            reused = all(one.pane for one in openings)
            batch, server = (self._reuse if reused else self._begin)(openings)
        except HiveError as error:
            return [Refused(why=error.what) for _ in openings]
        return [_opened(batch.made(one), server) or batch.refusal(one) for one in openings]

    def _reuse(self, openings: Sequence[Opening]) -> tuple[Batch, Server | None]:
        """Launch in dead panes of ours: nothing needs to be made, so one question is enough."""
        batch = Batch(openings, self._instance, ())
        todo = batch.second()
        *replies, who = self._told([*(command for _, command in todo), _PID])
        batch.note(todo, replies)
        return batch, self._met(who)

    def _begin(self, openings: Sequence[Opening]) -> tuple[Batch, Server | None]:
        """Open windows in sessions and a server that are made where they are missing."""
        batch, server = self._prepared(openings)
        if server:
            self._second(batch)
        return batch, server

    def _prepared(self, openings: Sequence[Opening]) -> tuple[Batch, Server | None]:
        """Make the server, and what sessions are missing; a server that just ends is waited for."""
        places = line("list-panes", "-a", "-F", panes.PLACES, "-f", panes.ours(self._instance))
        last = time.monotonic() + self._timeout
        while True:
            try:
                batch = Batch(openings, self._instance, self._run([_LIST_SESSIONS, places]))
                return batch, self._first(batch) if batch.waiting() else None
            except Gone:
                if time.monotonic() > last:
                    raise
            time.sleep(0.05)

    def _first(self, batch: Batch) -> Server:
        todo = batch.first()
        commands = [*(command for _, command in todo), _PID]
        *replies, who = self._told(commands, start=bool(todo))
        self._told(batch.note(todo, replies))
        return self._met(who)

    def _second(self, batch: Batch) -> None:
        """Open all other windows."""
        todo = batch.second()
        before, after = batch.hall()
        replies = self._told([*before, *(command for _, command in todo)])
        self._told(batch.note(todo, replies[len(before) :]))
        self._told(after)

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

    def close(self, closing: Iterable[Pane]) -> None:
        """Close these panes, unless something newer was launched in them.

        One after the other: tmux 3.3a may crash where all windows of a session go in one moment.
        Raises `HiveError` where tmux does not answer.
        """
        for pane in closing:
            self._run([panes.close(pane, self._instance)])

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
        """Give every session. Raises `HiveError` where tmux does not answer."""
        listed = self._run([_LIST_SESSIONS])
        return [session for reply in listed for session in panes.sessions(reply.lines)]

    def foreign(self, names: Collection[str]) -> list[str]:
        """Give those of these sessions that exist and are not ours.

        Raises `HiveError` where tmux does not answer.
        """
        theirs = [one.name for one in self.sessions() if one.instance != self._instance]
        return sorted(set(theirs) & set(names))

    def leave(self) -> None:
        """Take off the server what an `open` that was cut short left of hive's own."""
        with suppress(Silent):  # a later hive will do it
            self._run([panes.leave_hall(self._instance)])

    def _run(self, commands: Sequence[str]) -> list[Reply]:
        """Give the replies; none where there certainly is no server."""
        try:
            return self._told(commands)
        except Gone:
            if not self._listens():
                return []
        return self._told(commands)

    def _told(self, commands: Sequence[str], *, start: bool = False) -> list[Reply]:
        if not commands:
            return []
        hung = self._silences % SLOW
        patience = (min(HUNG, self._timeout) if hung else self._timeout) * (
            1 + len(commands) // FULL
        )
        try:
            replies = run(self._socket, commands, patience, home=self._home, start=start)
        except Silent:
            self._silences += 1
            raise
        self._silences = 0
        return replies

    def _met(self, who: Reply) -> Server:
        """Remember the server that answered `_PID`."""
        pid = int(who.lines[0])
        self._server = Server(pid=pid, started=procs.started(pid) or 0)
        return self._server

    def _listens(self) -> bool:
        """Whether there is a server; one that lost its socket's file is told to make it again."""
        began, told = time.monotonic(), False
        while not answers(self._socket, self._timeout):
            server, waited = self._server, time.monotonic() - began
            if server is None or not procs.alive(server.pid, server.started):
                return False
            if waited > ENDING + self._timeout:
                what = f"the tmux server, pid {server.pid}, lives but has no socket"
                raise HiveError(what, where=str(path(self._socket)))
            if waited > ENDING and not told:
                told = procs.signal(server.pid, server.started, signal.SIGUSR1)
            time.sleep(0.01)
        return True


def _opened(pane: Pane | None, server: Server | None) -> Opened | None:
    if pane is None or server is None:
        return None
    return Opened(pane=replace(pane, started=procs.started(pane.pid) or 0), server=server)


def _screen(lines: Sequence[str], most: int) -> list[str]:
    """Drop what is blank at the ends, and what is too old."""
    text = [one.rstrip() for one in lines]
    while text and not text[-1]:
        text.pop()
    return text[-most:]
