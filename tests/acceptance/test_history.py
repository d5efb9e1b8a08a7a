"""The whole history of one agent, with each real program, from its start to nothing left of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import Play, made
from tests.conftest import eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]


def test_a_whole_history(play: Play):
    began = time.monotonic()

    def past(step: str) -> None:
        print(f"{play.program.name}: {step} after {time.monotonic() - began:.1f} s", flush=True)

    subprocess.run(["git", "init", "-q", play.work], check=True)
    begins(play)
    past("ready and briefed")
    takes_a_task(play)
    past("a task by message")
    waits_for_a_person(play)
    past("an approval")
    reports_by_tool(play)
    past("a report by MCP")
    reports_by_command(play, "hive")
    reports_by_command(play, str(Path(sys.executable).with_name("hive")))
    past("a report by command")
    outlasts_a_refusal(play)
    past("a 429")
    survives_its_death(play)
    past("killed and gone on")
    every = {f"[hive m-{number}]": 1 for number in range(1, play.sent + 1)}
    assert play.model.given() == every, play.told()
    leaves_nothing(play)
    past("nothing left")


def begins(play: Play) -> None:
    play.deploy()
    play.state("ready")
    play.answered("m-1", "Briefed")


def takes_a_task(play: Play) -> None:
    name = play.send("FAKE:text The first is done")
    play.answered(name, "The first is done")


def waits_for_a_person(play: Play) -> None:
    first = play.send(play.program.asks)
    asked = play.asked()
    assert asked["kind"] == "approval" and "made" in asked["asked"], play.told(first)
    assert play.state("waiting")["sub"] == "approval"
    second = play.send("FAKE:text The second is done")
    meanwhile = play.corner.json("why", second)
    assert "approval" in meanwhile["next"]["text"], meanwhile
    assert meanwhile["message"]["stage"] == "queued"
    assert not made(play).exists()
    play.corner.hive("approve", asked["id"])
    play.stage(first, "answered")
    assert made(play).exists(), play.told(first)
    play.answered(second, "The second is done")


def reports_by_tool(play: Play) -> None:
    if not play.program.tool:
        return
    given = json.dumps({"name": play.coming, "result": "told by the tool"})
    name = play.send(f"FAKE:tool {play.program.tool} {given}")
    told = play.stage(name, "answered")
    assert (told["outcome"], told["result"]) == ("done", "told by the tool"), play.told(name)


def reports_by_command(play: Play, hive: str) -> None:
    command = f"{hive} task done {play.coming} --result by_command"
    name = play.send(play.program.shell.format(command))
    if not play.program.unasked:  # nor does it add what the command prints
        play.corner.hive("approve", play.asked()["id"])
        play.corner.hive("deny", play.asked()["id"])
    told = play.stage(name, "answered")
    assert (told["outcome"], told["result"]) == ("done", "by_command"), play.told(name)


def outlasts_a_refusal(play: Play) -> None:
    name = play.send("FAKE:http 429 x1")
    play.answered(name, "RECOVERED")


def survives_its_death(play: Play) -> None:
    before = play.agent
    name = play.send("FAKE:slow 90 It takes its time")
    play.stage(name, "submitted")
    play.state("working")
    play.kill()
    play.corner.hive("deploy", "--no-wait")
    eventually(lambda: play.agent["pid"] not in {None, before["pid"]}, 30)
    after = play.state("ready", timeout=60)
    play.stage(name, "answered")
    if play.program.resumes:
        assert after["session_id"] == before["session_id"], play.told(name)
    last = play.send("FAKE:text It goes on")
    play.answered(last, "It goes on")


def leaves_nothing(play: Play) -> None:
    play.corner.hive("stop-all")
    eventually(lambda: not play.corner.processes(), 30)
