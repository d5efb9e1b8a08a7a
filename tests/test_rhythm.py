"""The rhythm of a real team: worktrees, check-ins, checkpoints, pauses, handoffs, merging back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from hive.adapters.channel import ask
from hive.adapters.state import State
from tests.conftest import ROOT, Corner, eventually

FAKES = ROOT / "tests" / "fakes"
ONE, TWO, THREE = "backend/dev-1", "backend/dev-2", "backend/dev-3"


class Field:
    """One corner with a repository, and a team of fake agents in worktrees of it."""

    def __init__(self, corner: Corner) -> None:
        self.corner = corner
        self.repo = corner.path / "repo"
        self.repo.mkdir()
        self.git("init", "-q", "-b", "main")
        for name, text in {"one.txt": "one\n", "two.txt": "two\n", ".gitignore": ".set\n"}.items():
            (self.repo / name).write_text(text)
        self.commit("begin")

    def git(self, *words: str, where: Path | None = None) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=A Person", "-c", "user.email=a@person", *words],
            cwd=where or self.repo,
            env=self.corner.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, text: str, where: Path | None = None) -> None:
        self.git("add", "-A", where=where)
        self.git("commit", "-q", "-m", text, where=where)

    def tree(self, agent: str) -> Path:
        return Path(self.worktree(agent)["path"])

    def worktree(self, agent: str) -> dict:
        found = self.ask("worktrees", names=[agent])["worktrees"]
        return next(one for one in found if one["agent"] == agent)

    def ask(self, verb: str, **args):
        return ask(str(State(self.corner.state).socket), verb, args, timeout=30)

    def verdict(self, agent: str) -> str:
        found = self.ask("checkins", names=[agent])["checkins"]
        return found[0]["verdict"] if found else ""

    def supervisor(self) -> int:
        return int(self.ask("ping")["pid"])

    def events(self, kind: str, agent: str) -> list[str]:
        found = self.ask("events", names=[agent], limit=500)["events"]
        return [one["text"] for one in found if one["kind"] == kind]


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    path = Path(tempfile.mkdtemp(dir=os.environ["TEST_FOLDER"], prefix=""))
    corner = Corner(path)
    profiles = corner.home / ".config" / "hive" / "profiles"
    profiles.mkdir(parents=True)
    shutil.copy(FAKES / "profiles" / "fake.toml", profiles)
    made = Field(corner)
    fake = {"run": str(FAKES / "tui.py"), "trust": True, "permission": "auto"}
    tree = {
        "setup": "echo $WEB_PORT $DB $HIVE_SUPERVISOR > .set",
        "ports": ["WEB_PORT"],
        "names": ["DB"],
    }
    corner.write(
        {
            "backend": {
                "directory": "repo",
                "agents": {
                    "dev": {**fake, "count": 3, "worktree": tree},
                    "pm": {**fake, "role": "pm"},
                },
            },
        },
        defaults={"check_in": "2s", "commit": "3s"},
        escalation={"notify": []},
    )
    corner.hive("deploy")
    yield made
    corner.close()
    shutil.rmtree(path, ignore_errors=True)


def test_each_agent_has_a_worktree_a_branch_and_ports_of_its_own(field):
    set_up = [(field.tree(one) / ".set").read_text().split() for one in (ONE, TWO)]
    assert len({port for port, *_ in set_up}) == len({name for _, name, _ in set_up}) == 2
    assert {mark for *_, mark in set_up} == {str(field.corner.state)}  # `stop-all` finds it by that
    assert field.git("branch", "--show-current", where=field.tree(ONE)) == "hive/backend/dev-1"
    assert field.git("status", "--porcelain") == ""
    assert "dev-1" in field.corner.hive("worktree", "list")


def test_all_check_in_and_the_idle_are_never_asked(field):
    eventually(lambda: len(field.ask("checkins", limit=50)["checkins"]) >= 6)
    for one in (ONE, TWO):
        assert field.events("check-in", one) == []
        eventually(lambda one=one: field.verdict(one) == "idle")
    assert ONE in field.corner.hive("checkins")
    now = field.corner.json("checkin", ONE)["checkins"][0]
    assert now["branch"] == "hive/backend/dev-1"


def test_what_an_idle_agent_left_is_committed_on_its_own_branch(field):
    tree = field.tree(ONE)
    (tree / "new.txt").write_text("news\n")
    (tree / ".env").write_text("TOKEN=x\n")
    eventually(lambda: any("saved as" in one for one in field.events("checkpoint", ONE)))
    said = field.git("log", "-1", "--format=%an %s%n%b", where=tree)
    assert "checkpoint: 1 file" in said and "Agent: backend/dev-1" in said
    assert field.git("show", "--name-only", "--format=", where=tree) == "new.txt"
    assert field.git("log", "--oneline", "main").count("\n") == 0
    assert any(".env" in one["why"] for one in field.ask("inbox")["items"])
    (tree / ".env").unlink()


def test_two_who_edit_the_same_file_are_told_of(field):
    for one in (ONE, TWO):
        (field.tree(one) / "one.txt").write_text(f"{one}\n")
    eventually(lambda: field.events("collision", ONE))
    risks = [risk for team in field.ask("standup")["teams"] for risk in team["risks"]]
    assert any("one.txt" in str(risk) for risk in risks)
    assert "one.txt" in field.corner.hive("standup")


def test_who_is_killed_finds_its_worktree_as_it_was(field):
    tree = field.tree(TWO)
    (tree / "precious.txt").write_text("mine\n")
    os.kill(field.supervisor(), signal.SIGKILL)
    field.corner.hive("restart", TWO)
    assert (tree / "precious.txt").read_text() == "mine\n"
    eventually(lambda: "precious.txt" in field.git("ls-tree", "--name-only", "hive/backend/dev-2"))


def test_finished_work_is_merged_back_once_its_check_passes(field):
    tree = field.tree(ONE)
    (tree / "done.txt").write_text("better\n")
    field.commit("better", where=tree)
    field.corner.hive("finish", ONE, "--check", "grep -q worse done.txt", code=1)
    assert not (field.repo / "done.txt").exists()
    field.corner.hive("finish", ONE, "--check", "grep -q better done.txt")
    assert (field.repo / "done.txt").read_text() == "better\n"
    assert field.git("status", "--porcelain") == ""


def test_what_can_not_be_merged_is_named_and_nothing_is_changed(field):
    tree = field.tree(TWO)
    for place, text in ((field.repo, "ours\n"), (tree, "theirs\n")):
        (place / "two.txt").write_text(text)
        field.commit(text.strip(), where=place)
    said = field.corner.hive("finish", TWO, code=1)
    assert "two.txt" in said
    assert (field.repo / "two.txt").read_text() == "ours\n"
    assert any(one["kind"] == "unmerged work" for one in field.ask("inbox")["items"])


def test_what_would_be_lost_is_said_and_kept_in_a_bundle(field):
    tree = field.tree(THREE)
    (tree / "rare.txt").write_text("rare\n")
    field.corner.hive("stop", THREE)
    said = field.corner.hive("worktree", "drop", THREE, code=1)
    assert "lost" in said
    field.corner.hive("worktree", "drop", THREE, "--force", "--yes")
    (bundle,) = (field.corner.state / "bundles").rglob("*.bundle")
    field.git("fetch", "-q", str(bundle), "+refs/*:refs/back/*")
    back = field.git("for-each-ref", "--format=%(refname)", "refs/back").split()
    assert any("rare.txt" in field.git("ls-tree", "--name-only", one) for one in back)


def test_who_is_paused_gets_nothing_until_it_is_resumed(field):
    field.corner.hive("pause", ONE)
    eventually(lambda: (field.corner.agent(ONE)["paused"] or {}).get("frozen"))
    name = field.ask("send", names=[ONE], text="say hello")["messages"][0]["message"]
    assert field.ask("message", name=name)["message"]["stage"] == "queued"
    field.corner.hive("resume", ONE)
    eventually(lambda: field.ask("message", name=name)["message"]["stage"] == "answered")


def test_a_handoff_is_made_of_facts_and_recorded(field):
    tree = field.tree(ONE)
    (tree / "api.txt").write_text("api\n")
    field.commit("serve the API", where=tree)
    field.corner.hive("checkin", ONE)
    field.corner.hive("handoff", ONE, "backend/pm", "--note", "API is at :4000")
    (one,) = field.ask("handoffs", names=[ONE])["handoffs"]
    assert "API is at :4000" in one["text"] and "serve the API" in one["text"]
    assert "API is at :4000" in field.corner.hive("replay", "backend", "--from", "1h")
