"""The process table on real processes: read from /proc, and through psutil as elsewhere."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from hive.adapters import portable, procs
from hive.core.belonging import belonging
from hive.core.trees import Tag

KINDS = [pytest.param(portable, id="psutil")]
if sys.platform == "linux":
    from hive.adapters import procfs

    KINDS.insert(0, pytest.param(procfs, id="proc"))

PYTHON = f"{shlex.quote(sys.executable)} -ISc"
SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
LEAVE = f"import os; os.fork() and os._exit(0); os.setsid(); {SLEEP}"
"""What a daemon does: its parent ends, and it has a session of its own."""


class Yard:
    """The processes of one test, and the hive whose tag some of them bear."""

    def __init__(self, state):
        self.state = state
        self._ended = []
        self._started = []

    def tag(self, agent="p/t/ada", launch="1"):
        return {"HIVE_STATE": self.state, "HIVE_AGENT": agent, "HIVE_LAUNCH": launch}

    def start(self, *argv, env=None, **options):
        child = subprocess.Popen(
            argv,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        self._started.append(child)
        return child

    def told(self, child):
        """Read the pid that a process says on its output."""
        pid = int(child.stdout.readline())
        self._ended.append((pid, portable.process(pid).started))
        return pid

    def close(self):
        for pid, started in self._ended:
            portable.signal(pid, started, signal.SIGKILL)
        for child in self._started:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with suppress(BrokenPipeError):  # what was not yet written to it is lost
                    pipe.close()


@pytest.fixture
def yard(tmp_path):
    one = Yard(str(tmp_path))
    yield one
    one.close()


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def seen(kind, yard):
    one = procs.Procs(yard.state, table=kind.Table(), tag=kind.tag)
    yield one
    one.close()


def test_a_look_shows_a_process_with_its_parent_and_session(seen, yard):
    child = yard.start("sleep", "600", start_new_session=True)
    found = seen.look()[child.pid]

    assert (found.pid, found.parent, found.session) == (child.pid, os.getpid(), child.pid)
    assert not found.dead
    assert os.getpid() in seen.look()


def test_a_process_is_the_same_at_every_look_and_alone(seen, kind, yard):
    child = yard.start("sleep", "600")
    first = seen.look()[child.pid]

    assert seen.look()[child.pid].started == first.started
    assert kind.process(child.pid).started == first.started


def test_what_ended_is_gone_from_the_next_look(seen, kind, yard):
    child = yard.start("sleep", "600")
    assert child.pid in seen.look()
    child.kill()
    child.wait()

    assert child.pid not in seen.look()
    assert kind.process(child.pid) is None


def test_a_zombie_is_seen_and_is_dead(seen, kind, yard, eventually):
    child = yard.start("true")

    assert eventually(lambda: seen.look()[child.pid].state == "Z")
    assert seen.look()[child.pid].dead
    assert not kind.signal(child.pid, seen.look()[child.pid].started, signal.SIGTERM)


def test_a_stopped_process_is_not_dead(seen, yard, eventually):
    child = yard.start("sleep", "600")
    child.send_signal(signal.SIGSTOP)

    assert eventually(lambda: seen.look()[child.pid].state == "T")
    assert not seen.look()[child.pid].dead


def test_a_name_may_hold_spaces_and_parentheses(seen, tmp_path, yard):
    odd = tmp_path / "a) Z (1"
    odd.symlink_to(shutil.which("sleep"))
    child = yard.start("sleep", "600", executable=odd)

    assert seen.look()[child.pid].parent == os.getpid()
    assert not seen.look()[child.pid].dead


BURN = "import time\nwhile time.process_time() < 0.3: pass"


def test_processor_time_grows_with_work(seen, eventually):
    before = seen.look()[os.getpid()].cpu
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass

    assert eventually(lambda: seen.look()[os.getpid()].cpu >= before + 0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells")
def test_processor_time_includes_children_that_were_waited_for(seen, yard):
    child = yard.start("sh", "-c", f"{PYTHON} '{BURN}'; echo $$; read line")
    yard.told(child)

    assert seen.look()[child.pid].cpu >= 0.2


def test_the_environment_and_the_command_are_as_given(kind, yard):
    child = yard.start(sys.executable, "-ISc", SLEEP, "", "wörd", env={"SOME": "a=b\nc"})
    yard.told(child)

    assert kind.environ(child.pid)["SOME"] == "a=b\nc"
    assert kind.command(child.pid)[1:] == ["-ISc", SLEEP, "", "wörd"]


def test_nothing_is_known_of_a_process_that_ended(kind, yard):
    child = yard.start("sleep", "600")
    child.kill()
    child.wait()

    assert kind.environ(child.pid) == {}
    assert kind.command(child.pid) == []
    assert kind.memory([child.pid]) == {}
    assert kind.tag(child.pid, yard.state) is None


def test_memory_is_what_a_process_would_give_back(kind, yard):
    child = yard.start(sys.executable, "-ISc", f"filled = b'x' * 60_000_000; {SLEEP}")
    yard.told(child)

    assert 55_000_000 < kind.memory([child.pid])[child.pid] < 200_000_000


def test_a_look_tells_what_is_resident(seen, kind, yard):
    child = yard.start(sys.executable, "-ISc", f"filled = b'x' * 60_000_000; {SLEEP}")
    yard.told(child)

    assert 60_000_000 < seen.look()[child.pid].memory < 200_000_000
    assert kind.process(child.pid).memory > 60_000_000


def test_a_signal_reaches_exactly_the_process_that_is_meant(kind, yard):
    child = yard.start("sleep", "600")
    started = kind.process(child.pid).started

    assert not kind.signal(child.pid, started + 1, signal.SIGKILL)  # as if the pid was reused
    assert child.poll() is None
    assert kind.signal(child.pid, started, signal.SIGTERM)
    assert child.wait(60) == -signal.SIGTERM
    assert not kind.signal(child.pid, started, signal.SIGTERM)


def test_a_boot_has_one_name(kind):
    assert kind.boot()
    assert kind.boot() == kind.boot()


def test_alive_is_only_the_process_that_is_meant(yard, eventually):
    child = yard.start("sleep", "600")
    started = procs.started(child.pid)

    assert procs.alive(child.pid, started)
    assert not procs.alive(child.pid, started + 1)
    child.kill()
    eventually(lambda: not procs.alive(child.pid, started))
    assert procs.started(child.pid) == started  # it is a zombie
    child.wait()
    assert procs.started(child.pid) is None


def test_only_processes_of_this_hives_agents_have_a_tag(seen, yard):
    mine = yard.start(sys.executable, "-ISc", SLEEP, env=yard.tag())
    other = yard.start(
        sys.executable, "-ISc", SLEEP, env={**yard.tag(), "HIVE_STATE": f"{yard.state}/other"}
    )
    person = yard.start(sys.executable, "-ISc", SLEEP, env={"HIVE_STATE": yard.state})
    for child in (mine, other, person):
        yard.told(child)
    seen.look()

    assert seen.tags() == {mine.pid: Tag(agent="p/t/ada", launch="1")}


def test_a_tag_is_inherited_by_a_daemon(seen, yard):
    daemon = yard.told(yard.start(sys.executable, "-ISc", LEAVE, env=yard.tag()))
    seen.look()

    assert seen.tags()[daemon].agent == "p/t/ada"


def test_the_environment_of_a_young_process_is_read_again(seen, yard, monkeypatch):
    monkeypatch.setattr(procs, "YOUNG", 3600)
    script = "echo $$; read line; exec env -i sh -c 'echo $$; read line'"
    child = yard.start("sh", "-c", script, env=yard.tag())
    pid = yard.told(child)
    seen.look()
    assert pid in seen.tags()

    child.stdin.write("\n")
    child.stdin.flush()
    child.stdout.readline()
    seen.look()

    assert pid not in seen.tags()


def test_the_environment_of_what_became_another_program_is_read_again(seen, yard, monkeypatch):
    monkeypatch.setattr(procs, "YOUNG", 0)
    script = f"echo $$; read line; exec env -i {PYTHON} '{SLEEP}'"
    child = yard.start("sh", "-c", script, env=yard.tag())
    pid = yard.told(child)
    seen.look()
    assert pid in seen.tags()

    child.stdin.write("\n")
    child.stdin.flush()
    child.stdout.readline()
    seen.look()

    assert pid not in seen.tags()


def test_a_settled_process_is_not_read_again(kind, yard, monkeypatch):
    monkeypatch.setattr(procs, "YOUNG", 0)
    asked = []

    def tag(pid, state):
        asked.append(pid)
        return kind.tag(pid, state)

    seen = procs.Procs(yard.state, table=kind.Table(), tag=tag)
    child = yard.start(sys.executable, "-ISc", SLEEP, env=yard.tag())
    yard.told(child)
    for _ in range(3):
        seen.look()
        assert child.pid in seen.tags()
    seen.close()

    assert asked.count(child.pid) == 1


def test_all_that_agents_started_is_found_with_nothing_remembered(yard):
    script = f"{PYTHON} '{LEAVE}'; echo $$; read line"
    child = yard.start("sh", "-c", script, env=yard.tag())
    daemon, shell = yard.told(child), yard.told(child)

    found = procs.pids_with(yard.state)

    assert found.keys() == {daemon, shell}
    assert procs.alive(daemon, found[daemon].started)


def test_what_drops_its_tag_and_leaves_its_parents_is_still_its_agents(seen, yard):
    inner = f"env -i {PYTHON} '{SLEEP}' & read line; exit"
    outer = f"sh -c \"$INNER\"; {PYTHON} '{SLEEP}'; exit"
    root = yard.start("sh", "-c", outer, env={**yard.tag(), "INNER": inner})
    escapee = yard.told(root)
    below = seen.look()
    known = belonging(below, seen.tags(), roots={}, current={"p/t/ada": "1"}).known

    root.stdin.write("\n")
    root.stdin.flush()
    next_child = yard.told(root)
    away = seen.look()
    found = belonging(away, seen.tags(), roots={}, current={"p/t/ada": "1"}, before=known)

    assert away[escapee].parent != below[escapee].parent
    assert escapee not in seen.tags()
    pids = {one.pid for one in found.trees["p/t/ada"].current}
    assert pids == {root.pid, escapee, next_child}


if sys.platform == "linux":

    def test_a_table_keeps_few_descriptors_where_few_may_be_open(yard):
        child = yard.start("sleep", "600")
        table = procfs.Table(keep=3)
        for _ in range(3):
            assert {os.getpid(), child.pid} <= table.read().keys()
        kept = [row for row in table._rows.values() if row.fd >= 0]
        assert len(kept) == 3

        table.close()
        assert {os.getpid(), child.pid} <= table.read().keys()
        table.close()

    def test_a_table_gives_back_the_descriptors_of_what_ended(yard):
        children = [yard.start("sleep", "600") for _ in range(3)]
        table = procfs.Table()
        table.read()
        kept = {child.pid: table._rows[child.pid].fd for child in children}
        for child in children:
            assert Path(f"/proc/self/fd/{kept[child.pid]}").readlink() == _stat(child.pid)
            child.kill()
            child.wait()
        table.read()

        assert not kept.keys() & table._rows.keys()
        for pid, fd in kept.items():
            with suppress(FileNotFoundError):  # else it is closed, and another's by now
                assert Path(f"/proc/self/fd/{fd}").readlink() != _stat(pid)
        table.close()

    def _stat(pid):
        return Path(f"/proc/{pid}/stat")
