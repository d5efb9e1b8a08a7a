"""Runs the hook commands of a settings file, as Claude Code does.

Each gets its event as JSON on stdin, in the agent's own environment; what it prints as JSON is
its answer. `hooks=none` runs none, `hooks=late` runs them a second after the fact (and waits
only for the end of a turn; what asks is never late), `hooks=double` runs each twice.
"""

# Importing pathlib would take as long as all the rest:
# ruff: noqa: PTH111, PTH123

from __future__ import annotations

import json
import os
import threading
import time

from persona import Persona
from truth import Truth

Settings = dict[str, dict[str, list[dict[str, list[dict[str, str]]]]]]

LATE = 1.0
"""Seconds by which a late hook is late."""


class Hooks:
    """The hooks of one launch."""

    def __init__(self, settings: Settings, persona: Persona, truth: Truth) -> None:
        self._how = persona.value("hooks")
        self._truth = truth
        known = {} if self._how == "none" else settings.get("hooks", {})
        self._commands = {
            event: [
                (one["command"], one.get("timeout", 60)) for rule in rules for one in rule["hooks"]
            ]
            for event, rules in known.items()
        }

    def run(self, event: str, facts: dict[str, object]) -> list[dict[str, object]]:
        """Run the hooks of an event one after the other; the answers that are JSON objects."""
        line = json.dumps({**facts, "hook_event_name": event}).encode()
        commands = self._commands.get(event, []) * (2 if self._how == "double" else 1)
        if self._how == "late" and event == "Stop":
            time.sleep(LATE)
        elif self._how == "late" and event != "PermissionRequest":
            threading.Thread(target=self._late, args=(commands, line), daemon=True).start()
            return []
        return [found for one in commands if (found := self._one(*one, line))]

    def _late(self, commands: list[tuple[str, float]], line: bytes) -> None:
        time.sleep(LATE)
        for one in commands:
            self._one(*one, line)

    def _one(self, command: str, timeout: float, line: bytes) -> dict[str, object]:
        import subprocess  # takes half of what starting takes: not before it is needed

        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                input=line,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self._truth.tell("hook", command=command, code=None, error="timed out")
            return {}
        if done.returncode:
            self._truth.tell(
                "hook",
                command=command,
                code=done.returncode,
                error=done.stderr.decode(errors="replace")[-500:],
            )
        return _answer(done.returncode, done.stdout, done.stderr)


def _answer(code: int, out: bytes, error: bytes) -> dict[str, object]:
    """Read a hook's answer. Exit code 2 blocks, with what it said on stderr as the reason."""
    if code == 2:
        return {"decision": "block", "reason": error.decode(errors="replace").strip()}
    try:
        found = json.loads(out) if code == 0 and out.strip().startswith(b"{") else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def settings(given: str) -> Settings:
    """Read settings: a file, or JSON itself."""
    if not given or given.lstrip().startswith("{"):
        return json.loads(given or "{}")
    with open(os.path.expanduser(given), encoding="utf-8") as file:
        return json.load(file)
