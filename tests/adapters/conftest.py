"""A tmux server of its own for a test, which is ended and waited for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hive.adapters.panes import Opened, Opening
from hive.adapters.tmux import Tmux
from hive.core.spec import Agent
from hive.core.world import Pane, Seen
from tests.conftest import end, eventually

INSTANCE = "0123abcd"


class Bench:
    """A private tmux server, and a hive's view of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = str(path / "s")
        self.tag = str(path)
        self.tmux = Tmux(self.socket, INSTANCE, home=path, timeout=20)

    def configure(self, text: str) -> None:
        """Write the user's ~/.tmux.conf."""
        (self.path / ".tmux.conf").write_text(text)

    def run(self, *words: str) -> str:
        """Run a tmux command as a user would; its output."""
        command = ["tmux", "-u", "-S", self.socket, *words]
        done = subprocess.run(
            command,
            env=os.environ | {"HOME": str(self.path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.rstrip("\n")

    def spec(self, name: str, **changes: object) -> Agent:
        """Give an agent that fits this server."""
        values = {
            "project": "Task",
            "team": "front",
            "name": name,
            "role": "dev",
            "session": "Task-front",
            "window": f"Front-{name}",
            "argv": ("sleep", "1000"),
            "directory": str(self.path),
            "socket": self.socket,
        }
        return Agent(**(values | changes))  # type: ignore[arg-type]  # a table of mixed values

    def opening(self, name: str, *argv: str, pane: str = "", **changes: object) -> Opening:
        """Give an opening whose launch is named like its agent, or `NAME-2` in a `pane`."""
        spec = self.spec(name, **changes)
        launch = f"{name}-2" if pane else name
        return Opening(spec=spec, launch=launch, argv=argv or spec.argv, pane=pane)

    def open(self, name: str, *argv: str, **changes: object) -> Pane:
        """Open one window."""
        (answer,) = self.tmux.open([self.opening(name, *argv, **changes)])
        assert isinstance(answer, Opened), answer
        return answer.pane

    def seen(self) -> dict[str, Pane]:
        """Look, and give the panes by their agent's name."""
        sight = self.tmux.look()
        assert isinstance(sight, Seen), sight
        return {pane.agent.rpartition("/")[2]: pane for pane in sight.panes}

    def screen(self, pane: str, text: str) -> list[str]:
        """Wait until a pane shows this text."""
        shown = lambda: [] if text not in "\n".join(self.tmux.capture(pane)) else [1]
        eventually(shown)
        return self.tmux.capture(pane)

    def _left(self) -> list[tuple[int, str]]:
        found = []
        for process in psutil.process_iter(["environ", "status", "name"]):
            seen = process.info
            env = seen["environ"] or {}
            if env.get("HOME") == self.tag and seen["status"] != psutil.STATUS_ZOMBIE:
                found.append((process.pid, seen["name"]))
        return found

    def close(self) -> None:
        """End the server and everything that was started under it."""
        end(self._left)


@pytest.fixture
def bench(short_path: Path) -> Iterator[Bench]:
    one = Bench(short_path)
    yield one
    one.close()


@pytest.fixture
def leave_nothing() -> Iterator[Callable[[subprocess.Popen[bytes]], subprocess.Popen[bytes]]]:
    """Give a function that takes note of a process; all of them are ended."""
    started: list[subprocess.Popen[bytes]] = []

    def note(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        started.append(process)
        return process

    yield note
    for process in started:
        with suppress(ProcessLookupError):  # it ended by itself
            process.kill()
        if process.stdout:
            process.stdout.close()  # a grandchild may hold the other end
        process.wait(30)
