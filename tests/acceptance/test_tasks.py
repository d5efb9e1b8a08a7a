"""The tasks of the queue, done by each real program from its own shell, whatever happens to it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any

import pytest

from tests.acceptance.conftest import FAR, Play
from tests.conftest import eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

SURE = "--confidence 0.95"


def test_tasks(play: Play):
    began = time.monotonic()

    def past(step: str) -> None:
        print(f"{play.program.name}: {step} after {time.monotonic() - began:.1f} s", flush=True)

    subprocess.run(["git", "init", "-q", play.work], check=True)
    play.deploy()
    play.state("ready")
    play.answered("m-1", "Briefed")
    past("ready")
    a_check_decides(play)
    past("a check, failed and passed")
    an_unsure_one_is_held(play)
    past("held and released")
    one_is_cancelled(play)
    past("cancelled")
    one_is_split(play)
    past("split")
    one_is_done_while_nobody_looks(play)
    past("done without a supervisor")
    one_outlasts_the_death_of_its_program(play)
    past("its program killed")
    given = play.model.given()
    assert set(given.values()) == {1}, given
    play.corner.hive("stop-all")
    eventually(lambda: not play.corner.processes(), 30)


def add(play: Play, *words: str) -> str:
    return play.corner.json("task", "add", *words)["tasks"][0]["task"]


def task(play: Play, name: str) -> dict[str, Any]:
    return play.corner.json("task", "show", name)["task"]


def does(play: Play, *commands: str) -> str:
    """Give what has its model run these commands, one after the other."""
    if not play.program.unasked:  # in one block, so that they are asked for once
        return play.program.shell.format("\\n".join(commands)) + ";;"
    return "".join(f"{play.program.shell.format(one)};;" for one in commands)


def until(play: Play, name: str, *states: str) -> dict[str, Any]:
    """Wait until a task is in one of these states."""

    def reached() -> dict[str, Any] | None:
        allow(play)
        found = task(play, name)
        return found if found["state"] in states else None

    try:
        return eventually(reached, FAR, pause=0.3)
    except AssertionError:
        raise AssertionError(f"{name} never {states}:\n{play.told(name)}") from None


def allow(play: Play) -> None:
    """Allow what has to be asked for; only who has no other way has to ask for hive's command."""
    for one in play.corner.json("inbox")["items"]:
        if one["kind"] == "approval":
            assert not play.program.unasked, f"{one}\n{play.told()}"
            play.corner.run("deny" if "output" in one["asked"] else "approve", one["id"])


def a_check_decides(play: Play) -> None:
    again = does(play, f"hive task done --result again {SURE}")
    (play.corner.path / "again").write_text(again)
    check = f"test -e seen || {{ touch seen; cat {play.corner.path}/again; exit 1; }}"
    words = does(play, "hive task progress half_way", f"hive task done t-1-1 --result first {SURE}")
    name = add(play, words, "--check", check)
    one = until(play, name, "done", "dead", "held")
    assert (one["state"], one["result"], one["fence"]) == ("done", "again", 1), play.told(name)
    story = play.corner.hive("why", name)
    assert all(text in story for text in ("half_way", "its check failed", "passed")), story


def an_unsure_one_is_held(play: Play) -> None:
    name = add(play, does(play, "hive task done --result hardly --confidence 0.5"))
    assert until(play, name, "held", "done", "dead")["state"] == "held"
    play.corner.hive("task", "release", name)
    assert until(play, name, "done", "dead")["result"] == "hardly"


def one_is_cancelled(play: Play) -> None:
    name = add(play, "FAKE:slow 90 It takes its time;;")
    eventually(lambda: allow(play) or works_on(play, name), FAR, pause=0.3)
    play.corner.hive("task", "cancel", name)
    assert until(play, name, "cancelled", "done", "dead")["state"] == "cancelled"
    play.state("ready")


def works_on(play: Play, name: str) -> bool:
    return task(play, name)["state"] == "leased" and play.agent["state"] == "working"


def delivered(play: Play, name: str) -> dict[str, Any]:
    """Wait until its agent has a task."""

    def reached() -> dict[str, Any] | None:
        allow(play)
        found = task(play, name)
        return found if found["delivered"] else None

    try:
        return eventually(reached, FAR, pause=0.2)
    except AssertionError:
        raise AssertionError(f"{name} never came:\n{play.told(name)}") from None


def one_is_split(play: Play) -> None:
    files = [play.work / "ham.md", play.work / "eggs.md"]
    for file in files:
        file.write_text(does(play, f"hive task done --result {file.stem} {SURE}"))
    name = add(play, "Do both of it")
    delivered(play, name)
    play.send(does(play, f"hive task split {name} ham.md eggs.md"))
    until(play, name, "waiting")
    one = until(play, name, "leased")
    assert all(file.stem in one["text"] for file in files), one
    delivered(play, name)
    play.send(does(play, f"hive task done {name} --result both {SURE}"))
    assert until(play, name, "done", "dead")["result"] == "both"


def one_is_done_while_nobody_looks(play: Play) -> None:
    if not play.program.unasked:
        return  # nobody would allow it
    name = add(play, f"FAKE:late 4 hive task done --result alone {SURE};;")
    delivered(play, name)
    os.kill(play.corner.json("status")["supervisor"]["pid"], signal.SIGKILL)
    eventually(lambda: went_on(play), FAR, pause=0.2)
    play.corner.hive("deploy", "--no-wait")
    assert until(play, name, "done", "dead")["result"] == "alone"


def went_on(play: Play) -> bool:
    """Whether its model has seen what came of the command that was to come late."""
    verbs = [one["verb"] for one in play.model.asked() if one["marks"]]
    return "late" in verbs[:-1]


def one_outlasts_the_death_of_its_program(play: Play) -> None:
    words = "FAKE:slow 90 It takes its time;;"
    if not play.program.resumes:
        told = play.program.shell.format(f"hive task done --result survived {SURE}")
        words = f"FAKE:slow 8 {told.removeprefix('FAKE:text ')}\\nwell;;"
    name = add(play, words)
    before = delivered(play, name)
    old = play.state("working")
    os.kill(old["pid"], signal.SIGKILL)
    eventually(lambda: play.agent["pid"] not in {None, old["pid"]}, 30)
    if play.program.resumes:
        play.state("ready")
        moved = task(play, name)
        assert (moved["state"], moved["fence"]) == ("leased", before["fence"]), play.told(name)
        assert play.agent["session_id"] == old["session_id"]
        play.send(does(play, f"hive task done {before['lease']} --result survived {SURE}"))
    one = until(play, name, "done", "dead", "held")
    assert (one["state"], one["result"]) == ("done", "survived"), play.told(name)
    assert one["fence"] == before["fence"] + (not play.program.resumes), play.told(name)
