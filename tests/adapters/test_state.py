from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hive.adapters import procs
from hive.adapters import state as places
from hive.adapters.state import Locked, NodeLock, State, holder, locate
from hive.errors import HiveError, WrongInput

HOLD = """
import sys
from pathlib import Path
from hive.adapters.state import NodeLock, State
lock = NodeLock(State(Path(sys.argv[1])))
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def state(short_path):
    one = State(short_path / "state")
    one.prepare()
    return one


@pytest.fixture
def other(state):
    """A process of its own that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        pytest.param({"HIVE_STATE": "/a/b", "HOME": "/h"}, "/a/b", id="what is named counts"),
        pytest.param({"HIVE_STATE": "/a/../b/", "HOME": "/h"}, "/b", id="one name for one place"),
        pytest.param({"HIVE_STATE": "b", "HOME": "/h"}, f"{Path.cwd()}/b", id="a relative name"),
        pytest.param({"HIVE_STATE": "", "HOME": "/h"}, "/h/.local/state/hive", id="an empty one"),
        pytest.param({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/hive", id="the desktop's way"),
        pytest.param({"XDG_STATE_HOME": "x", "HOME": "/h"}, "/h/.local/state/hive", id="a bad one"),
        pytest.param({"HOME": "/h"}, "/h/.local/state/hive", id="at home"),
    ],
)
def test_the_environment_says_where_the_state_is(environ, root):
    assert locate(environ).root == Path(root)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_without_a_home_the_variable_to_set_is_named(environ):
    with pytest.raises(WrongInput) as caught:
        locate(environ)
    assert "HIVE_STATE" in caught.value.fix


def test_the_directory_is_made_private_with_its_parents(short_path):
    state = State(short_path / "far" / "away")
    state.prepare()
    state.prepare()
    assert mode(state.root) == 0o700
    assert mode(state.launches) == 0o700


def test_a_directory_open_to_others_is_closed(state):
    state.root.chmod(0o755)
    state.prepare()
    assert mode(state.root) == 0o700


def test_a_symlink_is_refused(short_path):
    (short_path / "link").symlink_to(short_path)
    before = mode(short_path)
    with pytest.raises(HiveError, match="symlink") as caught:
        State(short_path / "link").prepare()
    assert caught.value.where == str(short_path / "link")
    assert mode(short_path) == before


def test_a_file_in_its_place_is_refused(short_path):
    (short_path / "file").touch()
    with pytest.raises(HiveError, match="not a directory"):
        State(short_path / "file").prepare()
    with pytest.raises(HiveError) as caught:
        State(short_path / "file" / "state").prepare()
    assert "HIVE_STATE" in caught.value.fix


def test_somebody_elses_directory_is_refused(short_path):
    foreign = Path("/usr")
    if foreign.stat().st_uid == os.geteuid():
        foreign = short_path / "theirs"
        foreign.mkdir(mode=0o755)
        os.chown(foreign, 12345, -1)
    before = mode(foreign)
    with pytest.raises(HiveError, match="belongs to another user"):
        State(foreign).prepare()
    assert mode(foreign) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_can_not_be_written_is_refused(short_path):
    (short_path / "state").mkdir(mode=0o500)
    with pytest.raises(HiveError, match="not writable"):
        State(short_path / "state").prepare()


def test_a_path_too_long_for_a_socket_is_refused_at_once(short_path):
    state = State(short_path / ("x" * 100))
    with pytest.raises(HiveError, match="100 bytes") as caught:
        state.prepare()
    assert caught.value.fix == "set `HIVE_STATE` to a shorter path"
    assert not state.root.exists()


def test_the_instance_is_made_once(state):
    name = state.instance
    assert len(name) == 8
    assert int(name, 16) >= 0
    assert State(state.root).instance == name
    assert mode(state.root / "instance") == 0o600


def test_processes_that_make_the_instance_at_once_agree(state):
    code = "import sys, pathlib; from hive.adapters.state import State\n"
    code += "sys.stdin.read(); print(State(pathlib.Path(sys.argv[1])).instance)"
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(state.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for maker in makers:
        maker.stdin.close()
    names = set()
    for maker in makers:
        with maker:
            names.add(maker.stdout.read())
    assert names == {state.instance + "\n"}
    assert [path.name for path in state.root.glob("instance*")] == ["instance"]


def test_a_damaged_instance_is_told_and_kept(state):
    (state.root / "instance").write_bytes(b"\xff\0")
    with pytest.raises(HiveError, match="damaged"):
        _ = state.instance
    assert (state.root / "instance").read_bytes() == b"\xff\0"


def test_the_lock_says_who_has_it(state, monkeypatch):
    monkeypatch.setenv("HIVE_GUARD", str(os.getppid()))
    lock = NodeLock(state)
    lock.take()
    found = holder(state)
    assert (found.pid, found.started) == (os.getpid(), procs.started(os.getpid()))
    assert found.guard == os.getppid()
    assert found.since > 0
    assert mode(state.lock) == 0o600
    lock.release()
    assert holder(state) is None


def test_only_a_living_parent_counts_as_guard(state, monkeypatch):
    monkeypatch.setenv("HIVE_GUARD", str(os.getpid()))
    lock = NodeLock(state)
    lock.take()
    assert holder(state).guard == 0
    lock.release()


def test_a_second_supervisor_is_refused_and_told_the_first(state, other):
    lock = NodeLock(state)
    with pytest.raises(Locked) as caught:
        lock.take()
    assert f"pid {other.pid}," in caught.value.what
    assert "hive stop-all" in caught.value.fix
    assert not lock.held
    assert holder(state).pid == other.pid


def test_a_killed_holder_holds_nothing_whatever_its_file_says(state, other):
    other.kill()
    other.wait()
    assert json.loads(state.lock.read_text())["pid"] == other.pid
    assert holder(state) is None
    lock = NodeLock(state)
    lock.take()
    assert holder(state).pid == os.getpid()
    lock.release()


def test_a_file_that_says_nothing_still_locks(state, other):
    state.lock.write_text("{")
    assert holder(state).pid == 0
    with pytest.raises(Locked, match="pid unknown"):
        NodeLock(state).take()


def test_nobody_holds_a_lock_that_never_was(state):
    assert holder(state) is None


def test_the_holders_children_do_not_hold_it(state):
    lock = NodeLock(state)
    lock.take()
    with subprocess.Popen(["sleep", "600"], close_fds=False) as child:
        lock.release()
        assert holder(state) is None
        child.kill()


def test_a_deleted_lock_is_noticed_and_can_be_taken_anew(state):
    lock = NodeLock(state)
    lock.take()
    lock.take()
    assert lock.held
    state.lock.unlink()
    assert not lock.held
    lock.release()
    lock.take()
    assert lock.held
    lock.release()
    assert not lock.held


def test_who_only_asks_keeps_nobody_from_taking_it(state, monkeypatch):
    monkeypatch.setattr(places, "PATIENCE", 60)
    state.lock.touch()
    asking = os.open(state.lock, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    answered = threading.Timer(0.2, os.close, [asking])
    answered.start()
    lock = NodeLock(state)
    lock.take()
    answered.join()
    assert lock.held
    lock.release()


def test_a_lock_replaced_while_it_is_taken_does_not_count(state, monkeypatch):
    flock = fcntl.flock
    replaced = []

    def replace(fd, operation):
        flock(fd, operation)
        if not replaced:
            state.lock.unlink()
            state.lock.touch()
            replaced.append(fd)

    monkeypatch.setattr(fcntl, "flock", replace)
    lock = NodeLock(state)
    lock.take()
    assert lock.held
    lock.release()
    assert replaced


def test_a_state_directory_that_is_gone_is_told(short_path):
    with pytest.raises(HiveError) as caught:
        NodeLock(State(short_path / "never")).take()
    assert caught.value.where == str(short_path / "never" / "supervisor.lock")
