"""opencode as it runs: what its plugin writes down, and the HTTP server of its terminal.

The server listens on this machine alone, and everything it is asked has a timeout.
"""

from __future__ import annotations

import json
import logging
import os
from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from hive.core.opencode import DOOR, EVENTS, USER, Heard, hear
from hive.core.signs import Sign, Source
from hive.errors import NotRunning, TimedOut

TIMEOUT = 10.0
"""Seconds for an answer: mostly 30 ms, but up to 2 s where the machine is busy."""

_MOST = 1 << 22
"""Bytes of events or of an answer that are read at once."""

_log = logging.getLogger("hive")


class NotTaken(NotRunning):
    """It certainly did not take what it was asked: it may be asked again."""


class NotKnown(TimedOut):
    """It was asked, and nobody knows whether it took it: it must not be asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where a launch's server is, and its password."""

    port: int
    key: str = field(default="", repr=False)


class OpencodeRecords:
    """What the plugin of one launch has written down, read on from where it was read last."""

    def __init__(
        self,
        launch: str,
        env: Mapping[str, str],
        directory: str,  # noqa: ARG002 - every program's reader is made alike
        began: float,  # noqa: ARG002
    ) -> None:
        self._launch = launch
        self._file = Path(env["HIVE_FOLDER"]) / EVENTS
        self._offset = 0
        self._heard = Heard()

    def read(
        self,
        now: float,  # noqa: ARG002 - every program's reader is asked alike
        *,
        pids: Collection[int],  # noqa: ARG002
        session: str,  # noqa: ARG002
    ) -> tuple[Sign, ...]:
        """Give the signs of what was written since the last read.

        Raises OSError where there is something that can't be read.
        """
        try:
            if self._file.stat().st_size <= self._offset:
                return ()
            with self._file.open("rb") as file:
                file.seek(self._offset)
                whole = file.read(_MOST)
        except FileNotFoundError:
            return ()  # it has not started yet
        end = whole.rfind(b"\n") + 1
        self._offset += end
        return tuple(sign for line in whole[:end].splitlines() for sign in self._signs(line))

    def files(self) -> tuple[str, ...]:
        """Give the files that tell of something new when they change; none while it searches."""
        return (os.fspath(self._file),)

    def close(self) -> None:
        """Give back nothing: no descriptor is kept."""

    def _signs(self, line: bytes) -> tuple[Sign, ...]:
        try:
            event = json.loads(line)
            at, kind, told = float(event["at"]), str(event["type"]), event["told"]
        except (ValueError, KeyError, TypeError):
            _log.warning("%s: a line of %s can't be read: %.200r", self._launch, self._file, line)
            return ()
        self._heard, signs = hear(self._heard, kind, told, self._launch, at)
        return tuple(replace(sign, source=Source.RECORDS) for sign in signs)


def door(folder: Path) -> Door:
    """Give where the server of the launch with this folder is. Raises NotTaken where none is."""
    try:
        known = json.loads((folder / DOOR).read_text())
        return Door(port=int(known["port"]), key=str(known["key"]))
    except (OSError, ValueError, KeyError) as error:
        raise NotTaken(f"can't read where opencode listens: {error}", where=str(folder)) from error


def begin(at: Door, timeout: float = TIMEOUT) -> str:
    """Begin a session, show it in the window, and give its id.

    Raises NotTaken or NotKnown.
    """
    session = str(_ask(at, "POST", "/session", {}, timeout)["id"])
    _ask(at, "POST", "/tui/select-session", {"sessionID": session}, timeout)
    return session


def prompt(at: Door, session: str, text: str, timeout: float = TIMEOUT) -> None:
    """Give a session a prompt; it is taken at once, and worked on when the session is free.

    Raises NotTaken where it certainly was not taken, NotKnown where that can't be told.
    """
    body = {"parts": [{"type": "text", "text": text}]}
    _ask(at, "POST", f"/session/{session}/prompt_async", body, timeout)


def abort(at: Door, session: str, timeout: float = TIMEOUT) -> None:
    """Have a session end what it is at. Raises NotTaken or NotKnown."""
    _ask(at, "POST", f"/session/{session}/abort", {}, timeout)


def decide(at: Door, key: str, allow: bool, text: str = "", timeout: float = TIMEOUT) -> None:
    """Answer what was asked under this key.

    A question is answered with a line of the text for each of its parts; without one, it can
    only be rejected.

    Raises NotTaken where it certainly was not taken (it is not asked any more), NotKnown where
    that can't be told.
    """
    if not key.startswith("que"):
        said = {"message": text} if text and not allow else {}
        reply = {"reply": "once" if allow else "reject", **said}
        _ask(at, "POST", f"/permission/{key}/reply", reply, timeout)
    elif text:
        answers = {"answers": [[line] for line in text.splitlines()]}
        _ask(at, "POST", f"/question/{key}/reply", answers, timeout)
    elif allow:
        raise NotTaken("asks a question: it needs an answer in words", fix="hive deny NAME TEXT")
    else:
        _ask(at, "POST", f"/question/{key}/reject", {}, timeout)


def sessions(at: Door, timeout: float = TIMEOUT) -> dict[str, str]:
    """Give the sessions that are at work, by id: `busy` or `retry`.

    Raises NotTaken or NotKnown.
    """
    found = _ask(at, "GET", "/session/status", None, timeout)
    return {str(one): str(status["type"]) for one, status in found.items()}


def _ask(at: Door, method: str, path: str, body: Any, timeout: float) -> Any:
    """Ask the server one thing, and give what it answers."""
    where = f"opencode on port {at.port}"
    connection = HTTPConnection("127.0.0.1", at.port, timeout=timeout)
    try:
        try:
            connection.connect()
        except OSError as error:
            raise NotTaken(f"does not answer: {error}", where=where) from error
        try:
            status, answer = _exchange(connection, method, path, body, at.key)
        except (OSError, HTTPException, ValueError) as error:
            what = f"was asked, and gave no answer: {error or type(error).__name__}"
            raise NotKnown(what, where=where, fix="look at its window: `hive attach`") from error
    finally:
        connection.close()
    if 200 <= status < 300:
        return answer
    told = f"answered {status}: {str(answer)[:300]}"
    if status < 500:
        raise NotTaken(told, where=where)
    raise NotKnown(told, where=where, fix="look at its window: `hive attach`")


def _exchange(
    connection: HTTPConnection, method: str, path: str, body: Any, key: str
) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Basic {b64encode(f'{USER}:{key}'.encode()).decode()}"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    whole = response.read(_MOST)
    if response.status >= 300:
        return response.status, whole.decode(errors="replace")
    return response.status, json.loads(whole) if whole else None
