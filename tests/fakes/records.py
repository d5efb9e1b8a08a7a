"""The files that Claude Code 2.1.197 keeps of itself, in its own formats.

`sessions/PID.json` says what the process does now, `projects/CWD/SESSION.jsonl` is the
conversation. `no-records` keeps neither.
"""

# Importing pathlib would take as long as all the rest:
# ruff: noqa: PTH103, PTH105, PTH107, PTH109, PTH110, PTH118, PTH120, PTH123

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress

from persona import Persona

VERSION = "2.1.197"
USAGE = {
    "input_tokens": 1000, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    "output_tokens": 20, "service_tier": "standard",
}  # fmt: skip
NOTHING_USED = dict.fromkeys(list(USAGE)[:4], 0)


class Refused(Exception):  # noqa: N818 - what the real one says
    """The conversation that was asked for can't be had; says why, as the real one does."""


class Records:
    """The records of one process."""

    def __init__(self, persona: Persona) -> None:
        home = os.environ.get("HOME", "/")
        config = os.environ.get("CLAUDE_CONFIG_DIR")
        self.folder = config or os.path.join(home, ".claude")
        self._settings = os.path.join(config or home, ".claude.json")
        self._kept = "no-records" not in persona
        self._file = os.path.join(self.folder, "sessions", f"{os.getpid()}.json")
        self._began = int(time.time() * 1000)
        self._last: str | None = None
        self.session = ""

    @property
    def transcript(self) -> str:
        """Where the conversation is kept."""
        place = re.sub("[^a-zA-Z0-9]", "-", os.getcwd())
        return os.path.join(self.folder, "projects", place, f"{self.session}.jsonl")

    def begin(self, session: str, resume: str, *, missing: bool) -> None:
        """Take up a conversation, or begin one. Raises Refused.

        `missing` says that no conversation is ever found.
        """
        self.session = resume or session or new_id()
        exists = os.path.exists(self.transcript)
        if resume and (missing or not exists):
            raise Refused(f"No conversation found with session ID: {resume}")
        if session and not resume and exists:
            raise Refused(f"Error: Session ID {session} is already in use.")
        if exists:
            with open(self.transcript, encoding="utf-8") as file:
                lines = file.read().splitlines()
            self._last = json.loads(lines[-1])["uuid"] if lines else None

    def renew(self) -> None:
        """Begin another conversation in the same process."""
        self.session, self._last = new_id(), None

    def status(self, status: str, waiting: str = "") -> None:
        """Say what the process does: idle, busy or waiting (for what)."""
        now = int(time.time() * 1000)
        values = {
            "pid": os.getpid(), "sessionId": self.session, "cwd": os.getcwd(),
            "startedAt": self._began, "procStart": _started(), "version": VERSION,
            "peerProtocol": 1, "kind": "interactive", "entrypoint": "cli",
            "status": status, "updatedAt": now, "statusUpdatedAt": now,
        }  # fmt: skip
        if waiting:
            values["waitingFor"] = waiting
        if self._kept:
            os.makedirs(os.path.dirname(self._file), exist_ok=True)
            with open(self._file + ".new", "w", encoding="utf-8") as file:
                json.dump(values, file)
            os.replace(self._file + ".new", self._file)

    def gone(self) -> None:
        """Remove the record of the process, as it ends properly."""
        with suppress(FileNotFoundError):
            os.remove(self._file)

    def user(self, content: object, **more: object) -> None:
        """Add what the agent was given: a prompt (text) or a tool's result (blocks)."""
        self._add("user", {"message": {"role": "user", "content": content}, **more})

    def assistant(self, block: dict[str, object]) -> None:
        """Add a piece of an answer: text, or the use of a tool."""
        stop = "tool_use" if block["type"] == "tool_use" else "end_turn"
        self._add("assistant", {"message": _message([block], stop, "claude-opus-4-8", USAGE)})

    def error(self, text: str, kind: str, status: int, details: str = "") -> None:
        """Add the provider's refusal, as it stands in place of an answer."""
        block = {"type": "text", "text": text}
        more: dict[str, object] = {"errorDetails": details} if details else {}
        message = _message([block], "stop_sequence", "<synthetic>", NOTHING_USED)
        facts = {"error": kind, **more, "isApiErrorMessage": True, "apiErrorStatus": status}
        self._add("assistant", {"message": message, **facts})

    def system(self, kind: str, **facts: object) -> None:
        """Add a note of the program's own: a turn's length, what its hooks said."""
        self._add("system", {"subtype": kind, **facts})

    def _add(self, kind: str, facts: dict[str, object]) -> None:
        if not self._kept:
            return
        now = time.time()
        stamp = (
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}Z"
        )
        entry = {
            "parentUuid": self._last, "isSidechain": False, **facts, "type": kind,
            "uuid": new_id(), "timestamp": stamp, "userType": "external", "entrypoint": "cli",
            "cwd": os.getcwd(), "sessionId": self.session, "version": VERSION,
        }  # fmt: skip
        self._last = entry["uuid"]
        path = self.transcript
        os.makedirs(os.path.dirname(path), exist_ok=True)
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
        with open(path, "ab", buffering=0) as file:
            file.write(line)

    @property
    def trusted(self) -> bool:
        """Whether its own settings say that this folder is trusted."""
        try:
            with open(self._settings, encoding="utf-8") as file:
                known = json.load(file)
        except FileNotFoundError:
            return False
        place = known.get("projects", {}).get(os.getcwd(), {})
        return bool(place.get("hasTrustDialogAccepted"))

    @property
    def limited_until(self) -> float:
        """When the account's usage limit ends, epoch seconds; 0 where it was never hit.

        All who share a home share an account.
        """
        try:
            with open(os.path.join(self.folder, "fake-limit"), encoding="utf-8") as file:
                return float(file.read())
        except FileNotFoundError:
            return 0.0

    def limit(self, until: float) -> None:
        """Say that the account has nothing left until then."""
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, "fake-limit"), "w", encoding="utf-8") as file:
            file.write(str(until))


def new_id() -> str:
    """Make up an id, as UUIDs of version 4 look."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _message(
    content: list[dict[str, object]], stop: str, model: str, usage: dict[str, object]
) -> dict[str, object]:
    return {
        "id": f"msg_{os.urandom(12).hex()}", "type": "message", "role": "assistant",
        "model": model, "content": content, "stop_reason": stop, "stop_sequence": None,
        "usage": usage,
    }  # fmt: skip


def _started() -> str:
    """Give the kernel's start time of this process, "" where it can't be read."""
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""
