"""The ground truth: what really came to the fake, one JSON line each, whatever happens to it.

Every line has `at` (epoch seconds), `pid`, `agent` ($HIVE_AGENT) and `what`; README.md says what
each kind holds. A line is one write to a file that is only appended to: several may share a file.
"""

from __future__ import annotations

import json
import os
import time


class Truth:
    """Writes what happens to the file $FAKE_TRUTH names; to nowhere without one."""

    def __init__(self, path: str, agent: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(path or os.devnull, flags, 0o600)
        self._agent = agent

    def tell(self, what: str, **facts: object) -> None:
        """Write one line."""
        line = {"at": time.time(), "pid": os.getpid(), "agent": self._agent, "what": what, **facts}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def got(self, given: bytes, state: str) -> None:
        """Write down the bytes it got, with the state it was in."""
        self.tell("bytes", bytes=given.decode("utf-8", "surrogateescape"), state=state)
