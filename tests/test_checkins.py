"""Check-ins of real agents: who is asked, who answers, who does not, what their lead hears."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from hive.adapters.channel import ask
from hive.adapters.state import State
from tests import tally
from tests.conftest import ROOT, Corner, eventually

FAKES = ROOT / "tests" / "fakes"
ANSWERS = "sh=hive report working half of it"
"""What the one that answers does at the end of each of its turns."""

COMMITS = "sh=[ -e new.txt ] && git add -A && git commit -qm mine || echo new > new.txt"
"""What the one that keeps its work does: it makes a file, and commits that in its next turn."""


GIT = ("NAME", "EMAIL")


class Team:
    """One corner with a team of fakes that are looked at all the time."""

    def __init__(self, path: Path) -> None:
        self.corner = Corner(path)
        profiles = self.corner.home / ".config" / "hive" / "profiles"
        profiles.mkdir(parents=True)
        shutil.copy(FAKES / "profiles" / "fake.toml", profiles)
        agents = {
            "good": self.fake("good", ANSWERS),
            "mute": self.fake("mute"),
            "still": self.fake("still"),
            "pm": {**self.fake("pm"), "role": "pm"},
        }
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@b"]
        for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "begin"]):
            subprocess.run([*git, *words], cwd=path, env=self.corner.env, check=True)
        tree = {"directory": ".", "worktree": True}
        calm = {"idle": self.fake("idle"), "pm": {**self.fake("boss"), "role": "pm"}}
        agents["keeps"] = {**self.fake("keeps", COMMITS), **tree, "commit": "2s"}
        self.corner.write(
            {"web": agents, "calm": calm},
            defaults={"check_in": "2s"},
            escalation={"notify": []},
        )
        self.corner.hive("deploy")
        self.ask("pause", names=["web/still"])

    def fake(self, name: str, persona: str = "") -> dict:
        who = {f"GIT_{one}_{what}": "a@b" for one in ("AUTHOR", "COMMITTER") for what in GIT}
        env = {"FAKE_TRUTH": str(self.truth(name)), "FAKE_PERSONA": persona, **who}
        run = str(FAKES / "tui.py")
        return {"run": run, "trust": True, "permission": "auto", "env": env}

    def truth(self, name: str) -> Path:
        return self.corner.path / f"{name}.jsonl"

    def ask(self, verb: str, **args):
        return ask(str(State(self.corner.state).socket), verb, args, timeout=30)

    def give(self, agent: str, text: str) -> None:
        self.corner.hive("task", "add", text, "--agent", agent)

    def events(self, kind: str, agent: str) -> list[str]:
        found = self.ask("events", names=[agent], limit=500)["events"]
        return [one["text"] for one in found if one["kind"] == kind]

    def checkins(self, agent: str) -> list[dict]:
        return self.ask("checkins", names=[agent], limit=200)["checkins"]

    def agent(self, name: str) -> dict:
        return next(one for one in self.ask("status")["agents"] if one["agent"] == name)


@pytest.fixture(scope="module")
def team():
    path = Path(tempfile.mkdtemp(dir=os.environ["TEST_FOLDER"], prefix=""))
    made = Team(path)
    made.give("web/mute", "think about it")
    made.give("web/keeps", "write it")
    made.give("web/good", "build it")
    yield made
    made.corner.close()
    shutil.rmtree(path, ignore_errors=True)


def test_who_is_asked_answers_and_that_is_in_the_next_check_in(team):
    first = eventually(lambda: [one for one in team.checkins("web/good") if one["answer"]])[0]

    assert "half of it" in first["answer"]
    assert any("How far is t-" in one for one in tally.prompts(team.truth("good")))


def test_who_never_answers_has_missed_it_until_it_works_again(team):
    eventually(lambda: team.agent("web/mute")["state"] == "stalled")
    (item,) = (one for one in team.ask("inbox")["items"] if one["agent"] == "web/mute")
    assert "no answer how far" in item["why"]
    many = len(team.checkins("web/mute"))
    eventually(lambda: len(team.checkins("web/mute")) >= many + 3)
    assert {one["verdict"] for one in team.checkins("web/mute")[-3:]} == {"missed"}
    assert len(team.events("check-in", "web/mute")) == 2, "it is asked once, and missed once"
    asked = [one for one in tally.prompts(team.truth("mute")) if "How far is" in one]
    assert len(asked) == 1

    team.ask("send", names=["web/mute"], text="FAKE:sh hive report working again ;; FAKE:work 1.5")

    eventually(lambda: team.agent("web/mute")["state"] != "stalled")
    eventually(lambda: team.checkins("web/mute")[-1]["verdict"] == "working")


def test_the_lead_hears_what_changed_and_nothing_else_and_what_that_cost_is_told(team):
    told = lambda: [one.read_text() for one in team.corner.state.rglob("m-*.md")]
    eventually(lambda: any("mute: no answer how far t-1 " in one for one in told()))
    assert sum("mute: " in one for one in told()) <= 5, "it has missed it for all that time"
    cost = lambda: next(it for it in team.ask("standup")["teams"] if it["team"] == "web")["cost"]
    eventually(lambda: cost()["digests"]["tokens"])
    assert cost()["digests"]["tokens"] < cost()["tokens"]


def test_who_is_asked_to_commit_does_it_itself(team):
    eventually(lambda: "asked to commit its work" in team.events("checkpoint", "web/keeps"))
    tree = team.ask("worktrees", names=["web/keeps"])["worktrees"][0]["path"]
    log = ["git", "-C", tree, "log", "--format=%s"]
    said = lambda: subprocess.check_output(log, env=team.corner.env, text=True).split()
    assert eventually(lambda: said() == ["mine", "begin"])
    assert len(team.events("checkpoint", "web/keeps")) == 1


def test_nobody_types_anything_to_the_idle_and_the_paused(team):
    eventually(lambda: len(team.checkins("calm/idle")) >= 4)
    assert {one["verdict"] for one in team.checkins("calm/idle")} <= {"down", "idle"}
    for one in ("idle", "boss", "still"):
        assert [fact["bytes"] for fact in tally.facts(team.truth(one), what="bytes")] == []
    assert team.checkins("web/still")[-1]["verdict"] == "paused"
