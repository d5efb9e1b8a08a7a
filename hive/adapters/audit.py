"""What is left of this hive on this node: after `hive stop-all` it is nothing.

It only looks: at processes, panes, the socket and the lock.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hive.adapters import procs, scan
from hive.adapters.state import State, holder
from hive.errors import HiveError


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What is left: processes as (pid, command), panes and sockets as people find them."""

    processes: tuple[tuple[int, str], ...] = ()
    panes: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is left."""
        return not (self.processes or self.panes or self.sockets)

    def lines(self) -> list[str]:
        """Say it for a person: a line of each kind, and a line for each thing that is left."""
        shown = [f"{pid} {command}" for pid, command in self.processes]
        kinds = {"processes": shown, "panes": self.panes, "sockets": self.sockets}
        found: list[str] = []
        for kind, left in kinds.items():
            found.append(f"{kind} left: {len(left) or 'none'}")
            found += [f"  {one}" for one in left]
        return found

    def record(self) -> dict[str, Any]:
        """Give it as JSON-ready values."""
        return {
            "processes": [{"pid": pid, "command": command} for pid, command in self.processes],
            "panes": list(self.panes),
            "sockets": list(self.sockets),
        }


def audit(state: State, sockets: Iterable[str] = (), timeout: float = scan.TIMEOUT) -> Audit:
    """Look for all that is left; `sockets` are those tmux servers that agents are known to use.

    `timeout` is in seconds, for tmux. What can't be looked at counts as left.
    """
    return Audit(
        processes=tuple((one.pid, command(one.pid)) for one in scan.processes(state).all),
        panes=tuple(_panes(state, sockets, timeout)),
        sockets=tuple(_held(state)),
    )


def command(pid: int) -> str:
    """Give a process's command line as a person would type it, cut where it is long."""
    text = shlex.join(procs.command(pid)).replace("\n", " ")
    return text if len(text) <= 100 else f"{text[:99]}…"


def _panes(state: State, sockets: Iterable[str], timeout: float) -> list[str]:
    try:
        name = scan.instance(state)
    except HiveError as error:
        return [f"unknown: {error.what}"]
    seen = scan.panes(name, scan.sockets(sockets), timeout)
    return [*map(str, seen.found), *(f"unknown: {why}" for why in seen.hung)]


def _held(state: State) -> list[str]:
    found = [str(state.socket)] if state.socket.exists() else []
    try:
        by = holder(state)
    except HiveError as error:
        return [*found, f"{state.lock}: {error.what}"]
    return [*found, f"{state.lock}, held by pid {by.pid or 'unknown'}"] if by else found
