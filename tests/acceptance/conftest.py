"""A real agent program in a corner of its own, led by hive, with a fake model to talk to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.programs import PROGRAMS, Program
from tests.conftest import ROOT, Corner, eventually

FAR = 90
"""Seconds that a step of a real program may take on a busy machine."""

STRANGE = ("ANTHROPIC_", "CLAUDE", "OPENAI_", "CODEX_", "GEMINI_", "GOOGLE_", "OPENCODE_", "AIDER_")
"""How the variables of the person's own programs begin: none of these is to be used."""


class Model:
    """A fake model that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def asked(self) -> list[dict[str, Any]]:
        """Give all that it was asked, the oldest first."""
        with urllib.request.urlopen(f"{self.url}/_log", timeout=20) as answer:  # noqa: S310
            return json.load(answer)

    def given(self) -> Counter[str]:
        """Say how often each message stands in a conversation it was sent, at most."""
        found: Counter[str] = Counter()
        for one in self.asked():
            found |= Counter(one["marks"])
        return found


@pytest.fixture
def model() -> Iterator[Model]:
    command = [sys.executable, str(ROOT / "tests" / "fakes" / "model.py")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )  # it tells there of whoever hangs up
    assert process.stdout
    yield Model(process.stdout.readline().strip())
    process.kill()
    process.communicate(timeout=20)


class Play:
    """One real program as the agent `play/one`."""

    def __init__(self, corner: Corner, program: Program, model: Model) -> None:
        self.corner, self.program, self.model = corner, program, model
        self.work = corner.path / "work"
        self.work.mkdir()
        given = program.settings(corner.home, model.url)
        known = {key: text for key, text in corner.env.items() if not key.startswith(STRANGE)}
        del known["NO_COLOR"]  # people mostly have colours
        path = f"{program.folder}{os.pathsep}{known['PATH']}"
        (corner.path / "tmp").mkdir()  # some leave libraries there each time they start
        place = {"PATH": path, "TMPDIR": str(corner.path / "tmp"), "LANG": "C.UTF-8"}
        corner.env = {**known, **place, **given}
        self.sent = 0

    def deploy(self, **changes: Any) -> None:
        """Have it started by hive, with a brief."""
        one = {
            "run": self.program.run or self.program.name, "directory": "work", "trust": True,
            "brief": "FAKE:text Briefed", "permission": self.program.permission, **changes,
        }  # fmt: skip
        self.corner.write({"play": {"one": one}})
        self.corner.hive("deploy", "--no-wait")
        self.sent = 1 if one["brief"] else 0

    @property
    def agent(self) -> dict[str, Any]:
        """What `hive status` says of it."""
        return self.corner.agent("play/one")

    def state(self, *states: str, timeout: float = FAR) -> dict[str, Any]:
        """Wait until it is in one of these states."""

        def reached() -> dict[str, Any] | None:
            agent = self.agent
            return agent if agent["state"] in states else None

        try:
            return eventually(reached, timeout, pause=0.2)
        except AssertionError:
            raise AssertionError(f"never {states}:\n{self.told()}") from None

    def send(self, text: str) -> str:
        """Send it a message; gives its name. A program may put a mark of its own behind it."""
        (one,) = self.corner.json("send", "play/one", f"{text};;")["messages"]
        self.sent = int(one["message"].removeprefix("m-"))
        return one["message"]

    @property
    def coming(self) -> str:
        """How the next message will be called."""
        return f"m-{self.sent + 1}"

    def message(self, name: str) -> dict[str, Any]:
        """Give a message as it is now."""
        return self.corner.json("why", name)["message"]

    def stage(self, name: str, *stages: str, timeout: float = FAR) -> dict[str, Any]:
        """Wait until a message is at one of these stages."""

        def reached() -> dict[str, Any] | None:
            message = self.message(name)
            return message if message["stage"] in stages else None

        try:
            return eventually(reached, timeout, pause=0.2)
        except AssertionError:
            raise AssertionError(f"{name} never {stages}:\n{self.told(name)}") from None

    def answered(self, name: str, text: str) -> dict[str, Any]:
        """Wait until a message is answered, in these words."""
        message = self.stage(name, "answered")
        assert text in message["result"], self.told(name)
        return message

    def asked(self, timeout: float = FAR) -> dict[str, Any]:
        """Wait until it asks a person to allow something."""

        def found() -> list[dict[str, Any]]:
            items = self.corner.json("inbox")["items"]
            return [one for one in items if one["kind"] == "approval" and one["id"][:1] == "A"]

        try:
            return eventually(found, timeout, pause=0.2)[0]
        except AssertionError:
            raise AssertionError(f"nothing was asked:\n{self.told()}") from None

    def told(self, *names: str) -> str:
        """Say all that is known of it, for a test that fails."""
        whys = [self.corner.run("why", one).stdout for one in ("play/one", *names)]
        log = self.corner.state / "supervisor.log"
        asked = "\n".join(
            f"{one['api']} {one['verb']} {one['arg'][:60]!r} <- {one['user'][:100]!r}"
            for one in self.model.asked()[-12:]
        )
        pane = self.agent["pane"]
        screen = self.corner.tmux("capture-pane", "-p", "-t", pane) if pane else ""
        return "\n---\n".join([*whys, screen, asked, log.read_text()[-2000:]])

    def kill(self) -> None:
        """Kill its supervisor and the program itself, as a crash of both does."""
        supervisor = self.corner.json("status")["supervisor"]["pid"]
        for pid in (supervisor, self.agent["pid"]):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=PROGRAMS, ids=[one.name for one in PROGRAMS])
def program(request: pytest.FixtureRequest) -> Program:
    one: Program = request.param
    if not one.path.exists():
        pytest.skip(f"{one.name} is not installed here: `.ci/agents` says why")
    return one


@pytest.fixture
def play(corner: Corner, program: Program, model: Model) -> Play:
    return Play(corner, program, model)


def made(play: Play) -> Path:
    """Give the file that what must be allowed makes."""
    return play.work / "made"
