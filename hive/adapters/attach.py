"""Take a person to a window, by way of libtmux.

libtmux knows no time limit, so the server is first asked in a way that has one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hive.adapters import control
from hive.errors import HiveError, NotRunning

if TYPE_CHECKING:
    from libtmux import Server, Session

TIMEOUT = 5.0
"""Seconds the server has to answer."""


def attach(socket: str, session: str, target: str | None = None) -> None:
    """Show `session`, and in it the window `target` (`@N`, or a pane `%N`), to who runs this.

    In a client of the same server it switches that client; else this process becomes a tmux
    client. Raises `HiveError` where there is no terminal or no such place, `NotRunning` where
    there is no server, `TimedOut` where it does not answer.
    """
    try:
        control.run(socket, ["display-message -p here"], TIMEOUT)
    except control.Gone as error:
        what = "no tmux server runs there"
        raise NotRunning(what, where=str(control.path(socket)), fix="hive status") from error
    server = _server(socket)
    place = _select(_session(server, session, target), target)
    if _inside(socket):
        _switch(server, place)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise HiveError("attaching needs a terminal", where=session)
    command = [*control.argv(socket), "attach-session", "-t", place]
    os.execvpe(command[0], command, control.environment())  # noqa: S606 - no shell is wanted


def _server(socket: str) -> Server:
    from libtmux import Server

    return Server(socket_path=str(control.path(socket)))


def _session(server: Server, name: str, target: str | None) -> Session:
    """Find the session by its name or id; the one that has the target, where it was moved."""
    found = [one for one in server.sessions if name in {one.session_name, one.session_id}]
    holders = [one for one in server.sessions if target and _has(one, target)]
    for one in [*(one for one in holders if one in found), *holders, *found]:
        return one
    raise HiveError(f"there is no tmux session `{name}`", fix="hive status")


def _has(session: Session, target: str) -> bool:
    windows = {one.window_id for one in session.windows}
    return target in windows | {one.pane_id for one in session.panes}


def _select(session: Session, target: str | None) -> str:
    """Make the target the current window, and give the id to attach to."""
    for window in session.windows if target else []:
        for pane in window.panes:
            if target in {window.window_id, pane.pane_id}:
                window.select()
                if target == pane.pane_id:
                    pane.select()
    return session.session_id or ""


def _inside(socket: str) -> bool:
    """Whether this runs in a pane of that very server."""
    outer = os.environ.get("TMUX", "").split(",")[0]
    try:
        return bool(outer) and Path(outer).samefile(control.path(socket))
    except FileNotFoundError:
        return False


def _switch(server: Server, place: str) -> None:
    """Switch the client in whose pane this runs."""
    from libtmux.exc import LibTmuxException

    try:
        server.switch_client(place)
    except LibTmuxException as error:
        raise HiveError(f"tmux did not switch: {error}", fix="hive attach") from error
