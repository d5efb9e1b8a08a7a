"""One history of an agent, with each real program: from its brief to its end.

Every message is looked for where it counts: in what the model was sent.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Corner, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

NAME = "team/agent"
BRIEF = "This is your brief: say hello."
LONG = 180.0
"""Seconds that a program may take to be ready for the first time."""


class History:
    """An agent of this program in a corner, and what hive says of it."""

    def __init__(self, corner: Corner, home: Any, model: Any) -> None:
        self.corner, self.home, self.model = corner, home, model

    def deploy(self) -> None:
        agent = {"run": self.home.run, "trust": True, "brief": BRIEF, **self.home.table}
        work = self.corner.path / "work"
        work.mkdir()
        self.corner.write({"team": {"directory": str(work), "agents": {"agent": agent}}})
        self.corner.hive("deploy", "--no-wait")

    def agent(self) -> dict[str, Any]:
        return self.corner.agent(NAME)

    def wait(self, condition: Callable[[], Any], timeout: float = 60) -> Any:
        """Wait; what fails shows the agent, its messages and its screen."""
        try:
            return eventually(condition, timeout=timeout, pause=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}") from error

    def told(self) -> str:
        screen = self.corner.tmux("capture-pane", "-p", "-t", "=Task-team:")
        why = self.corner.run("why", NAME).stdout
        asked = "\n".join(json.dumps(one)[:600] for one in self.model.log()[-6:])
        return f"why:\n{why}\nscreen:\n{screen}\nthe model was asked:\n{asked}"

    def is_(self, state: str, sub: str = "", timeout: float = 60) -> None:
        """Wait for a state."""
        right = lambda one: one["state"] == state and (not sub or one["sub"] == sub)
        self.wait(lambda: right(self.agent()), timeout)

    def send(self, text: str) -> str:
        """Send a message, and give its name."""
        (one,) = self.corner.json("send", NAME, text)["messages"]
        return str(one["message"])

    def message(self, name: str) -> dict[str, Any]:
        return self.corner.json("why", name)["message"]

    def stage(self, name: str, *stages: str, timeout: float = 60) -> dict[str, Any]:
        """Wait until a message is in one of these stages."""
        self.wait(lambda: self.message(name)["stage"] in stages, timeout)
        return self.message(name)

    def once(self, name: str) -> None:
        """The model has seen a message, and once."""
        self.wait(lambda: self.model.seen(f"[hive {name}]"))
        assert self.model.seen(f"[hive {name}]") == 1, self.told()

    def tool(self, name: str) -> str:
        """Give how the program calls a tool of hive's."""
        return next(one for one in self.model.tools() if one.endswith(name) and "hive" in one)


@pytest.fixture
def history(corner: Corner, home: Any, model: Any) -> History:
    return History(corner, home, model)


def test_from_the_brief_to_the_end(history: History) -> None:
    history.deploy()
    history.is_("ready", timeout=LONG)
    history.once("m-1")
    task = history.send("a task: FAKE:text I have done it")
    assert history.stage(task, "answered")["proof"]
    history.once(task)
    if history.home.tools:
        an_approval_is_held(history)
        it_reports(history)
    a_refusal_passes(history)
    session = history.agent().get("session_id")
    it_is_killed_and_goes_on(history)
    assert history.agent().get("session_id") == session
    assert "processes left: none" in history.corner.hive("stop-all")
    history.wait(lambda: not history.corner.processes())


def an_approval_is_held(history: History) -> None:
    """Nothing is typed while a person is asked; what was allowed is done, and only that."""
    path = history.corner.path / "allowed"
    asking = history.send(f"{history.home.asks.format(path=path)};;FAKE:text it was allowed")
    history.is_("waiting", "approval")
    held = history.send("later: FAKE:text here I am")
    (item,) = history.wait(lambda: history.corner.json("inbox")["items"])
    assert item["kind"] == "approval" and str(path) in item["asked"]
    history.wait(lambda: history.message(held)["stage"] == "queued")
    assert history.message(held)["reason"]
    assert not path.exists()
    history.corner.hive("approve", item["id"])
    history.wait(path.exists)
    history.stage(asking, "answered")
    history.stage(held, "answered")
    for name in (asking, held):
        history.once(name)


def it_reports(history: History) -> None:
    """By hive's command from its own shell, and by hive's server of tools."""
    hive = Path(history.corner.env["PATH"].split(os.pathsep)[1]) / "hive"
    given = {"result": "by MCP", "confidence": 0.9}
    for text, result in (
        (f"FAKE:sh {hive} task done --result by-hand;;FAKE:text reported", "by-hand"),
        (f"FAKE:tool {history.tool('task_done')} {json.dumps(given)};;FAKE:text told", "by MCP"),
    ):
        name = history.send(text)
        history.wait(lambda name=name: approved(history) or history.message(name)["outcome"])
        history.wait(lambda name=name: history.message(name)["outcome"] == "done")
        assert history.message(name)["result"] == result
        history.is_("ready")
        history.once(name)


def approved(history: History) -> bool:
    """Allow what is asked for, if anything is; programs differ in what they ask for."""
    asked = [one for one in history.corner.json("inbox")["items"] if one["kind"] == "approval"]
    for one in asked:
        history.corner.hive("approve", one["id"])
    return False


def a_refusal_passes(history: History) -> None:
    name = history.send("FAKE:http 429 x1")
    history.stage(name, "answered", timeout=120)
    assert "RECOVERED" in history.message(name)["result"] or history.home.name == "aider"
    history.is_("ready")


def it_is_killed_and_goes_on(history: History) -> None:
    before = history.agent()
    os.kill(before["pid"], signal.SIGKILL)
    history.wait(lambda: history.agent()["pid"] not in {before["pid"], None})
    history.is_("ready", timeout=LONG)
    name = history.send("after all: FAKE:text I am back")
    assert history.stage(name, "answered")["result"] or not history.home.tools
    history.once(name)
