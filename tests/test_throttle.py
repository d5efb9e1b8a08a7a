from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hive.adapters import launch, procs
from hive.core.spec import Agent
from hive.throttle import Hold, Throttle, thaw
from tests.conftest import ROOT, end, eventually, tagged

BUSY = "while :; do :; done"
HOLDER = """
import json, sys, time
from pathlib import Path
from hive.core.trees import Process
from hive.throttle import Hold, Throttle

folder, facts = Path(sys.argv[1]), json.loads(sys.argv[2])
tree = tuple(Process(**one) for one in facts)
throttle = Throttle(folder)
hold = Hold(launch="one", root=tree[0], tree=tree, paused=True)
throttle.want({"dev": hold}, time.monotonic())
throttle.step(time.monotonic())
print("held", flush=True)
time.sleep(1000)
"""


class Launched:
    """A program below a real launcher, in a launch named `one`."""

    def __init__(self, path: Path, script: str, patience: str = "10", stdin: int = -3) -> None:
        self.tag = str(path)
        self.folder = path / "launches"
        self.folder.mkdir()
        spec = Agent(
            project="Task", team="t", name="dev", role="dev", session="s", window="w",
            argv=("bash", "-c", script), directory=str(path),
        )  # fmt: skip
        env = dict(os.environ) | {"THROTTLE_TEST": self.tag}
        launch.prepare(self.folder, "one", spec, {"HIVE_LAUNCH": "one"}, env)
        self.process = subprocess.Popen(
            (*launch.launcher(self.folder / "one"), patience),
            env=env,
            stdin=stdin,
            stdout=stdin,
            start_new_session=True,
        )
        self.pid = self.process.pid
        self.root = procs.process(self.pid)
        self.throttle = Throttle(self.folder)

    @property
    def lease(self) -> Path:
        return self.folder / "one.held"

    def found(self) -> list[tuple[int, str]]:
        return tagged("THROTTLE_TEST", self.tag)

    def tree(self) -> tuple[procs.Process, ...]:
        """The launcher and all below it, by descent alone."""
        pids = [self.pid, *(one.pid for one in self.below())]
        found = [procs.process(pid) for pid in pids]
        return tuple(one for one in found if one is not None and not one.dead)

    def below(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def hold(self, **values: object) -> Hold:
        return Hold(launch="one", root=self.root, tree=self.tree(), **values)

    def keep(self, until: Callable[[], object], **values: object) -> None:
        """Hold it as a supervisor's loop does, until this is so."""
        pulse = 0.0

        def turn() -> object:
            nonlocal pulse
            now = time.monotonic()
            if now >= pulse:
                self.throttle.want({"dev": self.hold(**values)}, now)
                pulse = now + 0.5
            due = self.throttle.step(now)
            time.sleep(max(0.0, min(pulse, due or pulse) - time.monotonic()))
            return until()

        eventually(turn, pause=0)

    def all_stopped(self) -> bool:
        return {one.status() for one in self.below()} == {psutil.STATUS_STOPPED}

    def all_go(self) -> bool:
        return psutil.STATUS_STOPPED not in {one.status() for one in self.below()}

    def close(self) -> None:
        self.throttle.close()
        for one in self.below():  # one of them may bear nothing
            with suppress(psutil.NoSuchProcess):
                one.kill()
        end(self.found)
        self.process.communicate(timeout=30)


@pytest.fixture
def launched(short_path):
    started = []

    def start(script: str, **values) -> Launched:
        started.append(Launched(short_path, script, **values))
        eventually(started[-1].below)
        return started[-1]

    yield start
    for one in started:
        one.close()


def cpu(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:4])


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_greedy_tree_gets_its_share(launched, jobs):
    one = launched(" & ".join([f"({BUSY})"] * jobs) + " & wait")
    eventually(lambda: len(one.below()) == jobs + 1)
    busy = [found for found in one.below() if not found.children()]
    one.keep(lambda: one.throttle.held("dev") > 0.05, allowed=0.2)
    before, begin = sum(map(cpu, busy)), time.monotonic()
    one.keep(lambda: time.monotonic() > begin + 4, allowed=0.2)
    rate = (sum(map(cpu, busy)) - before) / (time.monotonic() - begin)
    assert 0.02 < rate < 0.4
    assert one.lease.exists()
    one.throttle.close()
    assert one.all_go()
    assert not one.lease.exists()


def test_a_modest_tree_is_left_alone(launched):
    one = launched("while :; do sleep 0.1; done")
    begin = time.monotonic()
    one.keep(lambda: time.monotonic() > begin + 2, allowed=4.0)
    assert one.throttle.step(time.monotonic()) is None
    assert one.throttle.held("dev") == 0.0
    assert not one.lease.exists()


def test_a_paused_tree_stands_still_with_all_its_daemons_and_goes_on(launched):
    one = launched("setsid sleep 1000 & env -i setsid sleep 1001 & trap '' TERM; wait")
    eventually(lambda: len([1 for found in one.below() if found.name() == "sleep"]) == 2)
    one.keep(one.all_stopped, paused=True)
    assert one.lease.exists()
    one.keep(one.all_go)
    assert not one.lease.exists()
    assert one.throttle.held("dev") > 0


def test_a_paused_agent_that_is_wanted_no_more_is_let_go_at_once(launched):
    one = launched("sleep 1000 & wait; exit 3")
    eventually(lambda: len(one.below()) == 2)
    one.keep(one.all_stopped, paused=True)
    one.throttle.want({}, time.monotonic())
    assert one.all_go()
    assert not one.lease.exists()
    one.process.terminate()
    assert one.process.wait(60) == 143


def test_children_end_as_they_do_while_it_is_held(launched):
    one = launched(
        "for i in 1 2 3; do bash -c 'for ((i=0; i<300000; i++)); do :; done'; done; exit 7"
    )
    one.keep(lambda: one.process.poll() is not None or not one.below(), allowed=0.2)
    assert one.process.wait(60) == 7


def test_keys_typed_into_a_stopped_agent_arrive(launched):
    above, below = pty.openpty()
    try:
        one = launched('read line; echo "got $line" > told; sleep 1000', stdin=below)
        one.keep(one.all_stopped, paused=True)
        os.write(above, b"hello\n")
        one.keep(one.all_go)
        told = one.folder.parent / "told"
        eventually(lambda: told.exists() and told.read_text() == "got hello\n")
    finally:
        os.close(above)
        os.close(below)


@pytest.fixture
def holder():
    """Give a function that starts a small supervisor, which pauses a launch."""
    started = []

    def start(one: Launched) -> subprocess.Popen[str]:
        facts = [{name: getattr(p, name) for name in p.__slots__} for p in one.tree()]
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(one.folder), json.dumps(facts)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        eventually(one.all_stopped)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def test_the_launcher_frees_what_a_killed_supervisor_held(launched, holder):
    one = launched("sleep 1000 & wait", patience="1")
    eventually(lambda: len(one.below()) == 2)
    holder(one).kill()
    eventually(one.all_go)
    eventually(lambda: not one.lease.exists())


def test_the_next_supervisor_frees_what_a_killed_one_held(launched, holder):
    one = launched("setsid sleep 1000 & env -i setsid sleep 1001 & wait", patience="1000")
    eventually(lambda: len(one.below()) == 3)
    holder(one).kill()
    assert thaw(one.folder) == 3
    assert one.all_go()
    assert not one.lease.exists()
    assert thaw(one.folder) == 0


def test_a_lease_that_is_gone_is_written_again(launched):
    one = launched("sleep 1000 & wait")
    one.keep(one.all_stopped, paused=True)
    one.lease.unlink()
    one.keep(one.lease.exists, paused=True)


def test_without_a_lease_nothing_is_stopped(launched):
    one = launched("sleep 1000 & wait")
    one.throttle = Throttle(one.folder / "gone")
    one.keep(lambda: one.throttle.trouble, paused=True)
    assert "gone/one.held" in one.throttle.trouble
    assert one.all_go()


def test_killing_leaves_the_launcher_which_tells_how_it_ended(launched):
    one = launched("trap '' TERM; sleep 1000 & sleep 1000 & wait")
    eventually(lambda: len(one.below()) == 3)
    one.keep(one.all_stopped, paused=True)
    assert one.throttle.kill(one.hold()) == 3
    assert one.process.wait(60) == 137
    assert launch.report(one.folder, "one") == -9
    assert not one.lease.exists()
