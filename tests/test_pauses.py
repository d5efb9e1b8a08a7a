"""Pause and resume on real agents: nothing more comes to them, they stand still, they go on.

One hive serves all of it: a plain program, a worker, and an agent of words.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from hive import pauses
from hive.adapters.channel import ask
from hive.adapters.store import Store
from hive.errors import HiveError, WrongInput
from tests import tally
from tests.conftest import ROOT, Corner, _remove, eventually

FAKES = ROOT / "tests" / "fakes"


class Team:
    """A deployed team, and its verbs."""

    def __init__(self, corner):
        self.corner = corner
        self.path = corner.path
        self.truth = corner.path / "dev.truth"

    def deploy(self, program="web"):
        self.corner.write(
            {
                "team": {
                    "web": {
                        "run": f"while :; do echo {program} >> {self.path}/web; sleep 0.2; done"
                    },
                    "w": {"run": "hive worker", "profile": "worker"},
                    "dev": {
                        "run": str(FAKES / "tui.py"),
                        "trust": True,
                        "permission": "auto",
                        "env": {"FAKE_TRUTH": str(self.truth)},
                    },
                }
            }
        )
        self.corner.hive("deploy")

    def ask(self, verb, **args):
        """Ask, also while the supervisor is started again."""

        def tried():
            try:
                return ask(str(self.corner.state / "hive.sock"), verb, args, timeout=20)
            except WrongInput:
                raise
            except HiveError:
                return None

        return eventually(tried)

    def agent(self, name):
        return self.ask("status", names=[f"team/{name}"])["agents"][0]

    def pause(self, *names, **how):
        return self.ask("pause", names=[f"team/{name}" for name in names], **how)["agents"]

    def resume(self, *names):
        return self.ask("resume", names=[f"team/{name}" for name in names])["agents"]

    def add(self, text, agent="w", **job):
        one = {"text": text, "kind": "run", "retries": 0, "agent": f"team/{agent}", **job}
        return self.ask("add_tasks", tasks=[{"job": one, "uid": uuid4().hex, "needs": []}])[
            "tasks"
        ][0]["task"]

    def task(self, name):
        return self.ask("task", name=name)["task"]

    def over(self, name):
        return eventually(lambda: one if (one := self.task(name))["finished"] else None)

    def send(self, text):
        return self.ask("send", names=["team/dev"], text=text)["messages"][0]["message"]

    def stage(self, message):
        return self.ask("message", name=message)["message"]["stage"]

    def given(self):
        return [tally.MARK.sub("", one).strip() for one in tally.prompts(self.truth)]

    def still(self, name):
        """Whether it says that it is frozen, and all of it but its launcher is stopped."""
        one = self.agent(name)
        if not one["pid"] or not one["paused"] or not one["paused"]["frozen"]:
            return False
        below = psutil.Process(one["pid"]).children(recursive=True)
        with suppress(psutil.NoSuchProcess):
            return bool(below) and all(each.status() == "stopped" for each in below)
        return False

    def kinds(self, name):
        with Store.open(self.corner.state / "hive.db") as store:
            found = store.events(agent=f"Task/team/{name}")
        return [one.kind for one in found if one.kind in {"paused", "frozen", "resumed"}]

    def kill_hive(self):
        before = self.ask("ping")["pid"]
        os.kill(before, signal.SIGKILL)
        eventually(lambda: self.ask("ping")["pid"] != before)


@pytest.fixture(scope="module")
def team():
    path = Path(tempfile.mkdtemp(dir=os.environ["TEST_FOLDER"], prefix=""))
    corner = Corner(path)
    profiles = corner.home / ".config" / "hive" / "profiles"
    profiles.mkdir(parents=True)
    shutil.copy(FAKES / "profiles" / "fake.toml", profiles)
    try:
        one = Team(corner)
        one.deploy()
        yield one
    finally:
        corner.close()
        _remove(path)


def test_a_plain_program_stands_still_at_once_and_goes_on(team):
    assert team.pause("web", why="a backup") == ["team/web"]
    eventually(lambda: team.still("web"))
    log = team.path / "web"
    before = log.read_text()
    told = team.agent("web")
    assert (told["state"], told["paused"]["why"], told["settled"]) == ("ready", "a backup", True)
    assert team.pause("web") == []
    with Store.open(team.corner.state / "hive.db") as store:
        written = pauses.written(store.facts(pauses.PAUSED))
    assert written["Task/team/web"] == {**told["paused"], "frozen": False}
    why = team.ask("why", name="team/web")["next"]["text"]
    assert why == "nothing: `hive resume team/web` lets it go on"
    assert log.read_text() == before

    assert team.resume("web") == ["team/web"]
    eventually(lambda: log.read_text() != before)
    assert team.agent("web")["paused"] is None
    eventually(lambda: team.kinds("web") == ["paused", "frozen", "resumed"])
    assert team.resume("web") == []


def test_a_turn_is_its_last_and_what_waited_is_delivered(team):
    first = team.send("FAKE:work 1")
    eventually(lambda: team.agent("dev")["state"] == "working")
    team.pause("dev")
    second = team.send("and then this")
    assert "until its turn is over" in eventually(lambda: team.agent("dev")["paused"]["waits"])
    assert not team.still("dev")

    eventually(lambda: team.still("dev"))
    assert (team.stage(first), team.stage(second)) == ("answered", "queued")
    assert team.agent("dev")["closed"] == "paused by `hive pause`"
    assert team.given()[-1] == "FAKE:work 1"

    team.resume("dev")
    eventually(lambda: team.stage(second) == "answered")
    assert team.given()[-1] == "and then this"


def test_a_worker_ends_its_command_first_and_gets_no_other(team):
    log = team.path / "ran"
    first = team.add(f"echo begun >> {log}; sleep 1; echo ended >> {log}")
    eventually(log.exists)
    team.pause("w")
    second = team.add(f"echo second >> {log}")
    assert team.over(first)["state"] == "done"
    eventually(lambda: team.still("w"))
    assert log.read_text().split() == ["begun", "ended"]
    assert "paused" in str(eventually(lambda: team.ask("task", name=second)["agents"]))
    team.resume("w")
    assert team.over(second)["state"] == "done"


def test_now_is_in_the_middle_and_outlives_hive_and_costs_no_task_its_time(team):
    log = team.path / "long"
    name = team.add(f"for one in 1 2 3 4 5 6; do echo $one >> {log}; sleep 0.1; done", timeout=3)
    eventually(log.exists)
    assert team.pause("w", now=True) == ["team/w"]
    begun = time.time()
    eventually(lambda: team.still("w"))
    team.kill_hive()
    eventually(lambda: team.still("w"))
    before = log.read_text()
    eventually(lambda: time.time() > begun + 3.5)  # longer than it may take
    assert log.read_text() == before
    assert team.task(name)["state"] == "leased"

    team.resume("w")
    one = team.over(name)
    assert (one["state"], one["attempt"]) == ("done", 1)
    assert log.read_text().split() == list("123456")


def test_who_dies_or_is_changed_waits_to_be_resumed(team):
    team.pause("web")
    eventually(lambda: team.still("web"))
    before = team.agent("web")["pid"]
    team.deploy("changed")
    assert team.agent("web")["pid"] == before
    os.kill(before, signal.SIGKILL)
    eventually(lambda: team.agent("web")["reason"].startswith("waiting to be resumed"))
    assert team.agent("web")["pid"] is None

    team.resume("web")
    eventually(lambda: team.agent("web")["state"] == "ready")
    eventually(lambda: "changed" in (team.path / "web").read_text())


def test_who_is_paused_is_stopped_and_a_start_resumes_it(team):
    team.pause("web", now=True)
    eventually(lambda: team.still("web"))
    team.ask("stop", names=["team/web"])
    eventually(lambda: team.agent("web")["state"] == "stopped")
    assert team.agent("web")["paused"]
    assert team.pause("web") == []

    team.ask("start", names=["team/web"])
    eventually(lambda: team.agent("web")["state"] == "ready")
    assert team.agent("web")["paused"] is None


def test_everyone_is_meant_only_where_that_is_said(team):
    for verb in ("pause", "resume"):
        with pytest.raises(WrongInput, match="no agent is named"):
            team.ask(verb, names=[])
        with pytest.raises(WrongInput, match="name none"):
            team.ask(verb, names=["team/web"], every=True)
    assert len(team.ask("pause", every=True)["agents"]) == 3
    assert len(team.ask("resume", every=True)["agents"]) == 3
