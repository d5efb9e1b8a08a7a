"""The hashes by which Codex trusts hive's hooks, as its own app server tells them.

A hash is of a hook's event, command and timeout: it is the same in every directory, and while
neither Codex' version nor hive's command changes.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from hive.core.codex import HOOKS, hooks, ours
from hive.errors import HiveError

PATIENCE = 20.0
"""Seconds that Codex may take to tell them; it takes half a second."""

_FIX = 'start `codex` by hand once, or set `wiring = "none"` in a profile that extends it'


def hashes(
    codex: Sequence[str],
    hive: Sequence[str],
    directory: str,
    env: Mapping[str, str],
    *,
    patience: float = PATIENCE,
) -> dict[str, str]:
    """Give the hash of each of hive's hooks by its key, waiting `patience` seconds at most.

    Raises HiveError where Codex does not tell all of them.
    """
    command = [*codex, *hooks(hive), "app-server"]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=directory,
            env=dict(env),
        )
    except OSError as error:
        what = f"`{codex[0]}` can't be started: {error.strerror}"
        raise HiveError(what, where=directory, fix=_FIX) from error
    try:
        listed = _Talk(process, time.monotonic() + patience).listed(directory)
    finally:
        process.kill()
        process.communicate()
    found = ours(listed, hive)
    if len(found) != len(HOOKS):
        what = f"`{codex[0]}` knows {len(found)} of hive's {len(HOOKS)} hooks"
        raise HiveError(what, where=directory, fix=_FIX)
    return found


class _Talk:
    """Questions and answers, a line of JSON each."""

    def __init__(self, process: subprocess.Popen[bytes], end: float) -> None:
        self._process = process
        self._end = end
        self._data = b""

    def listed(self, directory: str) -> list[dict[str, Any]]:
        """Give all hooks that it knows of."""
        client = {"name": "hive", "title": "hive", "version": "0"}
        self._ask(1, "initialize", {"clientInfo": client})
        self._say({"method": "initialized"})
        answer = self._ask(2, "hooks/list", {"cwds": [directory]})
        return [
            one
            for entry in answer.get("data") or ()
            for one in entry.get("hooks") or ()
            if "key" in one and "currentHash" in one
        ]

    def _ask(self, number: int, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self._say({"id": number, "method": method, "params": params})
        while True:
            try:
                answer = json.loads(self._line())
            except ValueError:
                continue  # not of its protocol
            if isinstance(answer, dict) and answer.get("id") == number:
                found = answer.get("result")
                return found if isinstance(found, dict) else {}

    def _say(self, what: Mapping[str, Any]) -> None:
        stdin = self._process.stdin
        if stdin:
            with suppress(BrokenPipeError):  # its silence is noticed as it is asked
                stdin.write(json.dumps(what).encode() + b"\n")
                stdin.flush()

    def _line(self) -> bytes:
        stdout = self._process.stdout
        while b"\n" not in self._data:
            left = self._end - time.monotonic()
            ready = stdout and left > 0 and select.select([stdout], [], [], left)[0]
            chunk = os.read(stdout.fileno(), 1 << 16) if stdout and ready else b""
            if not chunk:
                raise HiveError("Codex does not tell its hooks' hashes", fix=_FIX)
            self._data += chunk
        line, _, self._data = self._data.partition(b"\n")
        return line
