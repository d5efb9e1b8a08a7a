"""What Codex writes down of a conversation: its rollout.

It is `sessions/YEAR/MONTH/DAY/rollout-TIME-SESSION.jsonl` in its folder (`~/.codex`, or
$CODEX_HOME), made with the first prompt. A conversation that is gone on with keeps its file.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from hive.adapters.tail import Tail
from hive.adapters.zones import zone
from hive.core.codex_rollout import Rollout
from hive.core.signs import Sign

SEARCH = 2.0
"""Seconds between two searches for the file."""

THOROUGH = 60.0
"""Seconds between two searches through the files of all days."""

START = 30.0
"""Seconds after its launch in which a program that tells no id must have begun to be found."""

_log = logging.getLogger("hive")


class CodexRecords:
    """What one launch has written down; what is older counts only for what it was given."""

    def __init__(self, launch: str, env: Mapping[str, str], directory: str, began: float) -> None:
        home = Path(env.get("CODEX_HOME") or Path(env.get("HOME", "")) / ".codex")
        self._sessions = home / "sessions"
        self._directory = os.path.realpath(directory)
        self._launch = launch
        self._began = began
        self._zone = zone(env)
        self._session = ""
        self._tail: Tail | None = None
        self._searched = self._combed = float("-inf")
        self._owners: dict[Path, str] = {}
        self._story = Rollout(launch, "", began, self._zone)

    def read(
        self,
        now: float,
        *,
        pids: Collection[int],  # noqa: ARG002 - every program's reader is asked alike
        session: str,
    ) -> tuple[Sign, ...]:
        """Give what has come since the last read.

        Raises OSError where there is something that can't be read.
        """
        if session and session != self._session:
            self._begin(session, None)
        if self._tail is None and not 0 <= now - self._searched < SEARCH:
            self._searched = now
            self._search(now)
        return tuple(self._lines())

    def files(self) -> tuple[str, ...]:
        """Give the files that tell of something new when they change; none while it searches."""
        return (os.fspath(self._tail.path),) if self._tail else ()

    def close(self) -> None:
        """Give back nothing: no descriptor is kept."""

    def _begin(self, session: str, path: Path | None) -> None:
        self._session, self._tail = session, Tail(path) if path else None
        self._searched = self._combed = float("-inf")
        self._story = Rollout(self._launch, session, self._began, self._zone)

    def _search(self, now: float) -> None:
        if not self._session:
            self._guess(now)
            return
        found = next((one for one in self._recent(now) if self._session in one.name), None)
        if found is None and not 0 <= now - self._combed < THOROUGH:
            self._combed = now
            found = next(self._sessions.glob(f"*/*/*/rollout-*-{self._session}.jsonl"), None)
        if found:
            self._tail = Tail(found)

    def _guess(self, now: float) -> None:
        """Take the one conversation that began here with this launch.

        Where there are two, only a hook can tell which is whose.
        """
        ids: dict[str, Path] = {}
        for path in self._recent(now):
            known = self._owners.get(path)
            owner = self._owner(path) if known is None else known
            if owner is not None:
                self._owners[path] = owner
            if owner:
                ids[owner] = path
        if len(ids) == 1:
            self._begin(*next(iter(ids.items())))

    def _owner(self, path: Path) -> str | None:
        """Give the id of a conversation that began here with this launch; "" for others.

        None where the file does not tell yet.
        """
        try:
            with path.open("rb") as file:
                told = json.loads(file.readline())["payload"]
            began = datetime.fromisoformat(told["timestamp"]).timestamp()
            here = os.path.realpath(told["cwd"]) == self._directory
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        mine = here and -1.0 <= began - self._began <= START and told.get("source") == "cli"
        return str(told["id"]) if mine else ""

    def _recent(self, now: float) -> Iterator[Path]:
        """Give the files of the days since its launch."""
        day = datetime.fromtimestamp(min(self._began, now), self._zone) - timedelta(days=1)
        last = datetime.fromtimestamp(now, self._zone)
        days = {day, day + timedelta(days=1), day + timedelta(days=2), last}
        for one in sorted(days, reverse=True):
            yield from (self._sessions / f"{one:%Y/%m/%d}").glob("rollout-*.jsonl")

    def _lines(self) -> Iterator[Sign]:
        for line in self._tail.read() if self._tail else ():
            try:
                sign = self._story.add(json.loads(line))
            except (ValueError, AttributeError):
                if line.strip():
                    _log.warning("%s: a line can't be read: %.200r", self._launch, line)
                continue
            if sign:
                yield sign
