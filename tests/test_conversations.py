"""Conversations that outlive what ends around them: agents, their tmux server, hive itself.

The whole of hive in a corner, with the fake agent: what it was really given is in its truth file.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

from hive.adapters.store import Store
from hive.core.messages import Message, Request
from tests import tally
from tests.conftest import ROOT, Corner, eventually

FAKES = ROOT / "tests" / "fakes"
AT_ONCE = {"delay": "100ms", "longest": "200ms", "attempts": 1000, "window": "1m"}
GO_ON = "You were restarted in the middle of your work. Go on where you were."


class Team:
    """Fake agents of these personas in a corner, each with a brief."""

    def __init__(self, corner: Corner, personas: dict[str, str], **more: Any) -> None:
        self.corner = corner
        profiles = corner.home / ".config" / "hive" / "profiles"
        profiles.mkdir(parents=True)
        shutil.copy(FAKES / "profiles" / "fake.toml", profiles)
        self._personas = personas
        self.deploy("the brief", **more)

    def deploy(self, brief: str, **more: Any) -> None:
        agents = {
            name: {
                "run": str(FAKES / "tui.py"),
                "brief": brief,
                "trust": True,
                "account": name,
                "restart": AT_ONCE,
                "env": {"FAKE_PERSONA": words, "FAKE_TRUTH": str(self.truth(name))},
            }
            | more
            for name, words in self._personas.items()
        }
        self.corner.write({"team": agents})
        self.corner.hive("deploy")

    def truth(self, name: str) -> Path:
        return self.corner.path / f"{name}.truth"

    def given(self, name: str) -> list[str]:
        """Give every prompt it ever got, without marks."""
        return [
            tally.MARK.sub("", text.removeprefix(tally.HOOKED)).strip()
            for text in tally.prompts(self.truth(name))
        ]

    def sessions(self, name: str) -> list[str]:
        return [one["session"] for one in tally.facts(self.truth(name), what="prompt")]

    def begin(self, name: str, text: str) -> None:
        """Have it begin a turn, and known to have."""
        self.corner.hive("send", f"team/{name}", text)
        eventually(lambda: text in self.given(name))
        eventually(lambda: self.message(name, text).stage == "submitted")

    def message(self, name: str, text: str) -> Message:
        with Store.open(self.corner.state / "hive.db") as store:
            found = store.post.messages(agent=f"Task/team/{name}", limit=1000)
        return next(one for one in reversed(found) if text in one.text)

    def answered(self, name: str, text: str) -> Message:
        return eventually(
            lambda: one if (one := self.message(name, text)).stage == "answered" else None
        )

    def asked(self, text: str) -> Request:
        def found() -> list[Request]:
            with Store.open(self.corner.state / "hive.db") as store:
                return [one for one in store.post.requests() if text in one.asked]

        return eventually(found)[0]

    def kill(self, name: str) -> None:
        os.kill(self.corner.agent(f"team/{name}")["pid"], signal.SIGKILL)

    def kill_hive(self) -> None:
        """Kill the worker, and wait for the next."""
        before = self._workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: self._workers() - before)

    def _workers(self) -> set[int]:
        return {pid for pid, line in self.corner.processes() if "supervise --worker" in line}


def test_who_is_cut_off_goes_on_with_the_turn_once(corner: Corner) -> None:
    team = Team(corner, {"cut": "", "lost": "resume-missing"})
    for name in ("cut", "lost"):
        team.begin(name, "FAKE:work 8")

    team.kill("cut")
    team.kill("lost")

    one = team.answered("cut", "FAKE:work 8")
    assert team.given("cut") == ["the brief", "FAKE:work 8", GO_ON]
    assert len(set(team.sessions("cut"))) == 1
    assert GO_ON[:20] in one.result  # what was answered is what came of going on
    team.answered("lost", "FAKE:work 8")
    assert team.given("lost") == ["the brief", "FAKE:work 8"] * 2
    assert len(set(team.sessions("lost"))) == 2
    assert team.message("lost", GO_ON).stage == "withdrawn"


def test_a_new_brief_and_a_dead_tmux_server_end_no_conversation(corner: Corner) -> None:
    team = Team(corner, {"a": ""})
    team.answered("a", "the brief")

    before = corner.agent("team/a")["pid"]
    corner.tmux("kill-server")
    eventually(lambda: corner.agent("team/a")["pid"] not in {None, before})
    team.deploy("another brief")

    team.answered("a", "another brief")
    assert team.given("a") == ["the brief", "another brief"]
    assert len(set(team.sessions("a"))) == 1


def test_an_approval_outlives_hive_and_is_put_to_a_person_once(corner: Corner) -> None:
    team = Team(corner, {"a": ""})
    team.begin("a", "FAKE:approval make x")
    one = team.asked("make x")

    team.kill_hive()
    eventually(lambda: corner.run("approve", one.name).returncode == 0)

    team.answered("a", "FAKE:approval")
    assert tally.answers(team.truth("a")) == [("make x", "yes", "hook")]
    team.begin("a", "FAKE:work 0.5 ;; FAKE:approval make y")
    team.kill_hive()  # what is asked meanwhile is heard by the next
    other = team.asked("make y")
    corner.hive("deny", other.name, "use z")
    team.answered("a", "make y")
    assert tally.answers(team.truth("a"))[1:] == [("make y", "no", "hook")]
    assert other.number == one.number + 1  # what the screen shows meanwhile was not asked again
