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
GROWING = """
import os, sys, time
made = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
until = time.monotonic() + 60
while os.write(made, b"x") and os.fstat(made).st_size <= int(sys.argv[2]):
    os.fork()
time.sleep(max(0, until - time.monotonic()))
"""
"""Every process forks, and so do its children, until all together tried so often."""

HOLDER = """
import json, sys, time
from pathlib import Path
from hive.core.trees import Process
from hive.throttle import Hold, Throttle

folder, facts = Path(sys.argv[1]), json.loads(sys.argv[2])
tree = tuple(Process(**one) for one in facts)
throttle = Throttle(folder)
hold = Hold(launch="one", root=tree[0], tree=tree, paused=True)
end = time.monotonic() + 60
throttle.want({"dev": hold}, time.monotonic())
due = throttle.step(time.monotonic())
print("held", flush=True)
while due < end:
    time.sleep(max(0, due - time.monotonic()))
    due = throttle.step(time.monotonic())
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
        self.seen: set[psutil.Process] = set()

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
            found = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        self.seen.update(found)
        return found

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
                pulse = now + 0.3
            due = self.throttle.step(now)
            time.sleep(max(0.0, min(pulse, due or pulse) - time.monotonic()))
            return until()

        eventually(turn, pause=0)

    def all_stopped(self) -> bool:
        return self.states() == {"T"}

    def all_go(self) -> bool:
        return "T" not in self.states()

    def states(self) -> set[str]:
        return {one.state for one in self.tree() if one.pid != self.pid}

    def close(self) -> None:
        self.throttle.close()
        self.below()
        for one in self.seen:  # one of them may bear nothing
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


def test_a_greedy_tree_gets_its_share_until_it_is_modest_again(launched):
    one = launched(f"({BUSY}) & ({BUSY}) & wait")
    eventually(lambda: len(one.below()) == 3)
    busy = [found for found in one.below() if not found.children()]
    one.keep(lambda: one.throttle.held("dev") > 0.02, allowed=0.2)
    assert one.lease.exists()
    before, begin = sum(map(cpu, busy)), time.monotonic()
    one.keep(lambda: time.monotonic() > begin + 1, allowed=0.2)
    rate = (sum(map(cpu, busy)) - before) / (time.monotonic() - begin)
    assert 0.01 < rate < 0.6
    for found in busy:
        found.kill()
    now = time.monotonic()
    one.throttle.want({"dev": one.hold()}, now)
    before = one.throttle.held("dev")
    one.throttle.want({"dev": one.hold()}, now + 100)
    assert before > one.throttle.held("dev") == 0.0
    assert one.all_go()
    assert not one.lease.exists()


def test_a_modest_tree_is_left_alone(launched):
    one = launched("while :; do sleep 0.1; done")
    begin = time.monotonic()
    one.keep(lambda: time.monotonic() > begin + 0.7, allowed=4.0)
    assert one.throttle.step(time.monotonic()) is None
    assert one.throttle.held("dev") == 0.0
    assert not one.lease.exists()


def test_a_paused_tree_stands_still_with_all_its_daemons_and_goes_on(launched):
    one = launched("setsid sleep 60 & env -i setsid sleep 61 & trap '' TERM; wait")
    eventually(lambda: len([1 for found in one.below() if found.name() == "sleep"]) == 2)
    one.keep(one.all_stopped, paused=True)
    assert one.lease.exists()
    one.keep(one.all_go)
    assert not one.lease.exists()
    assert one.throttle.held("dev") > 0


def test_a_paused_agent_that_is_wanted_no_more_is_let_go_at_once(launched):
    one = launched("sleep 60 & wait; exit 3")
    eventually(lambda: len(one.below()) == 2)
    one.keep(one.all_stopped, paused=True)
    one.throttle.want({}, time.monotonic())
    assert one.all_go()
    assert not one.lease.exists()
    one.process.terminate()
    assert one.process.wait(60) == 143


def test_children_end_as_they_do_while_it_is_held(launched):
    one = launched(
        "for i in 1 2 3; do bash -c 'for ((i=0; i<50000; i++)); do :; done'; done; exit 7"
    )
    one.keep(lambda: one.process.poll() is not None or not one.below(), allowed=0.2)
    assert one.process.wait(60) == 7


def test_keys_typed_into_a_stopped_agent_arrive(launched):
    above, below = pty.openpty()
    try:
        one = launched('read line; echo "got $line" > told; sleep 60', stdin=below)
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
    one = launched("sleep 60 & wait", patience="1")
    eventually(lambda: len(one.below()) == 2)
    holder(one).kill()
    eventually(one.all_go)
    eventually(lambda: not one.lease.exists())


def test_the_next_supervisor_frees_what_a_killed_one_held(launched, holder):
    one = launched("setsid sleep 60 & env -i setsid sleep 61 & wait", patience="1000")
    eventually(lambda: len(one.below()) == 3)
    holder(one).kill()
    assert thaw(one.folder) == 3
    assert one.all_go()
    assert not one.lease.exists()
    assert thaw(one.folder) == 0


@pytest.mark.parametrize("text", [b"", b"root x y\n", b"\xff\xfe\n", b"root 1\nalso\n"])
def test_a_damaged_note_keeps_no_supervisor_from_beginning(tmp_path, text):
    note = tmp_path / "1-a.held"
    note.write_bytes(text)
    (tmp_path / "1-b.held").mkdir()
    assert thaw(tmp_path) == 0
    assert not note.exists()


def test_a_lease_that_is_gone_is_written_again(launched):
    one = launched("sleep 60 & wait")
    one.keep(one.all_stopped, paused=True)
    one.lease.unlink()
    one.keep(one.lease.exists, paused=True)


def test_without_a_lease_nothing_is_stopped_but_what_is_to_end_ends(launched):
    one = launched("sleep 60 & wait")
    eventually(lambda: len(one.below()) == 2)
    one.throttle = Throttle(one.folder / "gone")
    one.keep(lambda: one.throttle.trouble, paused=True)
    assert "gone/one.held" in one.throttle.trouble
    assert one.all_go()
    assert one.throttle.kill(one.hold()) == 2
    assert one.process.wait(60) == 137


def test_killing_leaves_the_launcher_which_tells_how_it_ended(launched):
    one = launched("trap '' TERM; sleep 60 & sleep 60 & wait")
    eventually(lambda: len(one.below()) == 3)
    one.keep(one.all_stopped, paused=True)
    assert one.throttle.kill(one.hold()) == 3
    assert one.process.wait(60) == 137
    assert launch.report(one.folder, "one") == -9
    assert not one.lease.exists()


def kill_all(one: Launched) -> None:
    """Kill it as a supervisor does, which goes on with it in its loop."""
    one.throttle.kill(Hold(launch="one", root=one.root, tree=(one.root,)))
    eventually(lambda: one.throttle.step(time.monotonic()) is None)


def test_what_forks_and_forks_is_killed_to_the_last(launched):
    one = launched(f"exec {sys.executable} -ISc '{GROWING}' made 400")
    eventually(lambda: len(one.below()) > 50)
    kill_all(one)
    assert one.process.wait(60) == 137
    eventually(lambda: not one.found())
    assert not one.lease.exists()


@pytest.fixture
def cage():
    """A group of the kernel that never holds more than 200 processes."""
    path = Path(f"/sys/fs/cgroup/pids/test-{os.getpid()}")
    try:
        path.mkdir()
    except OSError:
        pytest.skip("no group of the kernel can be made here")
    try:
        (path / "pids.max").write_text("200")
        yield path
    finally:
        end(lambda: [(int(pid), "") for pid in (path / "cgroup.procs").read_text().split()])
        path.rmdir()


def test_a_fork_bomb_is_killed_to_the_last(launched, cage):
    """It is bounded: by its group, by what each process may use, and by time."""
    bomb = "b() { b | b & }; b 2>/dev/null; sleep 30"
    one = launched(
        f"echo 0 > {cage}/cgroup.procs && grep -q {cage.name} /proc/self/cgroup || exit 9; "
        f"ulimit -t 20; exec timeout -s KILL 60 bash -c '{bomb}'"
    )
    inside = cage / "cgroup.procs"
    eventually(lambda: len(inside.read_text().split()) > 150)
    kill_all(one)
    eventually(lambda: not inside.read_text())
    assert one.process.wait(60) == 137
