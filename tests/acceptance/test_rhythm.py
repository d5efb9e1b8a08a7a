"""The rhythm with each real program: a worktree of its own, check-ins, checkpoints, pauses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import FAR, Play
from tests.acceptance.test_tasks import add, delivered
from tests.conftest import eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

BRANCH = "hive/play/one"
SAYS = ["-c", "user.name=A Person", "-c", "user.email=a@person"]


def test_rhythm(play: Play):
    begin(play)
    play.deploy(worktree=True, check_in="15s", commit="4s")
    play.state("ready")
    play.answered("m-1", "Briefed")
    what_it_leaves_is_saved(play)
    it_is_asked_where_nothing_came_of_its_task(play)
    it_is_frozen_and_goes_on(play)
    what_it_did_is_merged_back(play)
    play.corner.hive("stop-all")
    eventually(lambda: not play.corner.processes(), 30)


def git(play: Play, *words: str, where: Path | None = None) -> str:
    command = ["git", *SAYS, *words]
    done = subprocess.run(
        command, cwd=where or play.work, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def begin(play: Play) -> None:
    git(play, "init", "-q", "-b", "main")
    (play.work / "one.txt").write_text("one\n")
    git(play, "add", "-A")
    git(play, "commit", "-q", "-m", "begin")


def tree(play: Play) -> Path:
    (one,) = play.corner.json("worktree", "list")["worktrees"]
    return Path(one["path"])


def checked_in(play: Play) -> dict[str, Any]:
    found = play.corner.json("checkins", "play/one")["checkins"]
    return found[0] if found else {"asked": None, "answer": "", "verdict": ""}


def what_it_leaves_is_saved(play: Play) -> None:
    """An idle program's work is committed on its branch, and it is not asked for that."""
    asked = len(play.model.asked())
    (tree(play) / "made.txt").write_text("made\n")
    eventually(lambda: "made.txt" in git(play, "ls-tree", "--name-only", BRANCH), FAR, pause=0.5)
    assert "Agent: play/one" in git(play, "log", "-1", "--format=%b", BRANCH)
    assert len(play.model.asked()) == asked
    assert git(play, "log", "--format=%s", "main") == "begin"


def it_is_asked_where_nothing_came_of_its_task(play: Play) -> None:
    """A task whose turn is over without a word of it is asked about, once, and it may go on."""
    name = add(play, "FAKE:text I have a look;;")
    delivered(play, name)
    asked = eventually(lambda: checked_in(play)["asked"], FAR, pause=0.5)
    eventually(lambda: checked_in(play)["answer"] or checked_in(play)["verdict"] == "working", FAR)
    assert asked
    play.corner.hive("task", "cancel", name)
    play.state("ready")


def it_is_frozen_and_goes_on(play: Play) -> None:
    play.corner.hive("pause", "play/one")
    eventually(lambda: (play.agent["paused"] or {}).get("frozen"), FAR, pause=0.3)
    name = play.corner.json("send", "play/one", "FAKE:text I am back;;")["messages"][0]["message"]
    assert play.message(name)["stage"] == "queued"
    play.corner.hive("resume", "play/one")
    play.answered(name, "I am back")


def what_it_did_is_merged_back(play: Play) -> None:
    play.state("ready")
    play.corner.hive("finish", "play/one", "--check", "test -e made.txt")
    assert (play.work / "made.txt").read_text() == "made\n"
