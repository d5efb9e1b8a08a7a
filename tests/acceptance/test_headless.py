"""One process of a real program for each prompt, on the terminal of a worker."""

from __future__ import annotations

import subprocess

import pytest

from tests.acceptance.conftest import Play, made
from tests.conftest import eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]


def test_each_prompt_is_done_by_a_process_of_its_own(play: Play):
    subprocess.run(["git", "init", "-q", play.work], check=True)
    play.deploy(mode="task", brief="Be brief.")
    for text in ("The first is done", "The second is done"):
        told = play.answered(play.send(f"FAKE:text {text}"), text)
        assert told["outcome"] == "done", told
    screen = play.corner.hive("logs", "play/one")
    assert "m-1: FAKE:text The first is done" in screen
    assert screen.index("The first is done") < screen.index("The second is done")
    if play.program.name != "aider":  # that asks on its terminal
        told = play.stage(play.send(play.program.asks), "answered")
        assert not made(play).exists(), told
    play.corner.hive("stop-all")
    eventually(lambda: not play.corner.processes(), 30)
