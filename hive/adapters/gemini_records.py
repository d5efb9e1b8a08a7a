"""The record that Gemini CLI keeps of a chat, read on from where it was read last.

It lies in its own folder, `~/.gemini/tmp/PROJECT/chats/session-DATE-ID.jsonl`, where ID are the
first letters of the session's id. A chat that is gone on with may have several.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from hive.core.gemini import entry
from hive.core.signs import Sign

SEARCH = 1.0
"""Seconds between two searches for the first file."""

SEARCH_AGAIN = 10.0
"""Seconds between two searches for one more: a chat that is gone on with stays in its first."""

_MOST = 1 << 22
"""Bytes that are read at once."""

_log = logging.getLogger("hive")


class GeminiRecords:
    """What one launch has written down of its chat; what is older counts only for the totals."""

    def __init__(
        self,
        launch: str,
        env: Mapping[str, str],
        directory: str,  # noqa: ARG002 - every program's reader is made alike
        began: float,
    ) -> None:
        self._launch = launch
        home = env.get("GEMINI_CLI_HOME") or env.get("HOME", "")
        self._folder = Path(home) / ".gemini" / "tmp"
        self._began = began
        self._searched = float("-inf")
        self._offsets: dict[Path, int] = {}
        self._tokens: dict[str, int] = {}
        self._total = 0

    def read(
        self,
        now: float,
        *,
        pids: Collection[int],  # noqa: ARG002 - every program's reader is asked alike
        session: str,
    ) -> tuple[Sign, ...]:
        """Give the signs of what was written since the last read.

        Raises OSError where there is something that can't be read.
        """
        pause = SEARCH_AGAIN if self._offsets else SEARCH
        if session and not 0 <= now - self._searched < pause:
            self._searched = now
            for file in self._folder.glob(f"*/chats/session-*-{session[:8]}.jsonl"):
                self._offsets.setdefault(file, 0)
        lines = [line for file in self._offsets for line in self._lines(file)]
        return tuple(replace(sign, session=session) for sign in self._signs(lines))

    def files(self) -> tuple[str, ...]:
        """Give the files that tell of something new when they change; none while it searches."""
        return tuple(os.fspath(file) for file in self._offsets)

    def close(self) -> None:
        """Give back nothing: no descriptor is kept."""

    def _lines(self, file: Path) -> list[bytes]:
        offset = self._offsets[file]
        try:
            if file.stat().st_size <= offset:
                return []
            with file.open("rb") as open_:
                open_.seek(offset)
                whole = open_.read(_MOST)
        except FileNotFoundError:
            return []  # a person has deleted the chat
        end = whole.rfind(b"\n") + 1
        if not end and len(whole) == _MOST:
            end = _MOST  # a longer line only says the past again
        self._offsets[file] = offset + end
        return whole[:end].splitlines()

    def _signs(self, lines: Iterable[bytes]) -> Iterable[Sign]:
        for line in lines:
            try:
                found = entry(json.loads(line), self._launch)
            except (ValueError, AttributeError):
                _log.warning("%s: a line of its chat can't be read: %.200r", self._launch, line)
                continue
            if found is None:
                continue
            self._total += found.tokens - self._tokens.get(found.id, 0)
            self._tokens[found.id] = found.tokens
            if found.sign.at >= self._began:
                yield replace(found.sign, tokens=self._total)
