"""What Claude Code writes down: how each of its processes stands, and its conversation.

`sessions/PID.json` in its folder (`~/.claude`, or $CLAUDE_CONFIG_DIR) says whose turn it is, and
which conversation it has; it is left behind by a process that was killed. The conversation is
`projects/DIRECTORY/SESSION.jsonl`. Neither is documented; both are as version 2.1 writes them.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hive.adapters.tail import Tail
from hive.adapters.zones import zone
from hive.core.claude import QUESTION
from hive.core.claude_transcript import Transcript
from hive.core.signs import Sign, Source, Sub, Turn

SEARCH = 5.0
"""Seconds between two searches through all directories for a conversation."""

SETTLE = 0.25
"""Seconds after a turn's end in which the line may still come that says it was an error."""

EARLY = 5.0
"""Seconds by which a process may have been started before its launch was noted."""

_log = logging.getLogger("hive")


class ClaudeRecords:
    """What one launch has written down; what is older counts only for what it was given."""

    def __init__(self, launch: str, env: Mapping[str, str], directory: str, began: float) -> None:
        home = Path(env.get("CLAUDE_CONFIG_DIR") or Path(env.get("HOME", "")) / ".claude")
        self._states = home / "sessions"
        self._projects = home / "projects"
        self._slug = re.sub(r"[^A-Za-z0-9]", "-", os.path.realpath(directory))
        self._launch = launch
        self._began = began
        self._zone = zone(env)
        self._pid = 0
        self._seen = (0, 0)
        self._state: dict[str, Any] = {}
        self._told: tuple[Any, ...] = ()
        self._session = ""
        self._tail: Tail | None = None
        self._files: tuple[str, ...] = ()
        self._searched = float("-inf")
        self._story = Transcript(launch, "", began, self._zone)

    def read(self, now: float, *, pids: Collection[int], session: str) -> tuple[Sign, ...]:
        """Give what has come since the last read; the first time, how it stands.

        Raises OSError where there is something that can't be read.
        """
        self._follow(pids)
        self._turn_to(str(self._state.get("sessionId") or session), now)
        story = self._tail.path if self._tail else self._place()
        self._files = (os.fspath(self._states / f"{self._pid}.json"), os.fspath(story))
        found = list(self._lines())
        stands = self._stands(now)
        return tuple([*found, stands] if stands else found)

    def files(self) -> tuple[str, ...]:
        """Give the files that tell of something new when they change; none while it searches."""
        return self._files if self._pid else ()

    def close(self) -> None:
        """Give back nothing: no descriptor is kept."""

    def _follow(self, pids: Collection[int]) -> None:
        """Read how its process stands, if that has changed; find its process first."""
        if self._pid not in pids:
            self._pid, self._seen, self._state = 0, (0, 0), {}
            for pid in self._candidates(pids):
                found = self._load(pid)
                if found and not self._older(found):
                    self._pid, self._state = pid, found
        if self._pid:
            self._state = self._load(self._pid) or self._state

    def _older(self, found: Mapping[str, Any]) -> bool:
        """Whether another process is rather the agent itself: it was there before."""
        known = self._state.get("startedAt")
        return known is not None and known <= found["startedAt"]

    def _candidates(self, pids: Collection[int]) -> list[int]:
        try:
            names = [file.name for file in self._states.iterdir()] if pids else []
        except FileNotFoundError:
            return []
        return [pid for name in names if (pid := _number(name)) in pids]

    def _load(self, pid: int) -> dict[str, Any] | None:
        """Read a process's file; None where it is as it was, or is not whole or not of now."""
        file = self._states / f"{pid}.json"
        try:
            known = file.stat()
            seen = (known.st_mtime_ns, known.st_size)
            if pid == self._pid and seen == self._seen:
                return None
            found = json.loads(file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(found, dict) or not isinstance(found.get("startedAt"), int | float):
            return None
        if found["startedAt"] / 1000 < self._began - EARLY:
            return None  # of a process that had the same number before
        if pid == self._pid:
            self._seen = seen
        return found

    def _turn_to(self, session: str, now: float) -> None:
        """Read this conversation from now on: it has begun another, or is found at last."""
        if session != self._session:
            self._session, self._tail, self._searched = session, None, float("-inf")
            self._story = Transcript(self._launch, session, self._began, self._zone)
        if self._tail is None and session:
            path = self._place()
            if not path.exists():
                if 0 <= now - self._searched < SEARCH:
                    return
                self._searched = now
                found = next(self._projects.glob(f"*/{session}.jsonl"), None)
                if found is None:
                    return
                path = found
            self._tail = Tail(path)

    def _place(self) -> Path:
        """Give where its conversation should be."""
        return self._projects / self._slug / f"{self._session}.jsonl"

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

    def _stands(self, now: float) -> Sign | None:
        """Say whose turn it is, if that is new."""
        sign = self._turn(now)
        if sign is None:
            return None
        told = (sign.turn, sign.sub, sign.text, sign.session, sign.at)
        if told == self._told:
            return None
        self._told = told
        return sign

    def _turn(self, now: float) -> Sign | None:
        status = self._state.get("status")
        changed = self._state.get("statusUpdatedAt") or self._state.get("startedAt") or 0
        sign = Sign(
            launch=self._launch,
            source=Source.RECORDS,
            at=max(float(changed) / 1000, self._began),
            session=self._session,
            text=f"its status is {status}",
        )
        match status:
            case "busy":
                return replace(sign, turn=Turn.WORKING)
            case "waiting":
                return self._waits(sign)
            case "idle":
                return self._idle(sign, now)
        return None

    def _idle(self, sign: Sign, now: float) -> Sign | None:
        trouble = self._story.trouble
        if trouble and trouble.turn:
            return replace(trouble, at=max(trouble.at, sign.at))
        if not self._story.answer and 0 <= now - sign.at < SETTLE:
            return None
        return replace(sign, turn=Turn.READY, answer=self._story.answer)

    def _waits(self, sign: Sign) -> Sign:
        """Say for what it waits: the latest call that is open, as it shows one dialog at a time."""
        why = str(self._state.get("waitingFor") or "")
        call = next(reversed(self._story.open.values()), None)
        text = f"{why}: {call.tool}: {call.detail}" if call else why
        sub = Sub.DIALOG
        if why == "input needed" or (call and call.tool == QUESTION):
            sub = Sub.QUESTION
        elif why == "permission prompt":
            sub = Sub.APPROVAL
        return replace(sign, turn=Turn.WAITING, sub=sub, text=text)


def _number(name: str) -> int:
    stem, _, kind = name.partition(".")
    return int(stem) if kind == "json" and stem.isdecimal() else 0
