"""The doctor, on a machine that is well and on one where something is wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
from contextlib import closing
from pathlib import Path

import pytest

from hive.adapters import doctor, groups, scan
from hive.adapters.doctor import Finding, examine
from hive.adapters.queue import Queue
from hive.adapters.state import NodeLock, State
from hive.adapters.store import Event, Store
from hive.core.tasks import Job, New
from tests.conftest import Corner, eventually

HERE = Path(sysconfig.get_path("scripts"))


@pytest.fixture
def state(corner: Corner) -> State:
    one = State(corner.state)
    one.prepare()
    return one


def look(corner: Corner, **env: str) -> list[Finding]:
    """Examine the corner; a tmux server of somebody else's that hangs must not cost much."""
    return examine(State(corner.state), corner.env | env, answer=1.0)


def bad(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.ok is False]


def about(found: list[Finding], *words: str) -> Finding:
    hits = [one for one in found if all(word in one.what for word in words)]
    assert len(hits) == 1, found
    return hits[0]


def test_a_machine_that_is_well_has_nothing_to_put_right(corner: Corner, state):
    with Store.open(state.db) as store:
        store.add([Event(agent="", kind="supervisor", text="began", at=1.0)])

    found = look(corner)

    assert bad(found) == []
    assert about(found, "python 3").ok
    assert about(found, "tmux 3", ", /").ok
    assert about(found, "the store is whole").ok
    assert about(found, "no supervisor runs").ok
    assert about(found, "folder of yours alone").ok


def test_agent_programs_are_told_with_their_versions(corner: Corner, tmp_path):
    for name, version in (("claude", "2.1.197 (Claude Code)"), ("codex", "codex-cli 0.0.1")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)

    found = look(corner, PATH=f"{tmp_path}:{corner.env['PATH']}")

    assert about(found, "agent programs: claude 2.1.197").ok
    untried = about(found, "codex 0.0.1 is none that hive was tried with")
    assert (untried.ok, untried.fix) == (None, "to see what works: hive profile test codex")


def test_where_hive_was_never_used_it_makes_nothing(corner: Corner):
    found = look(corner)

    assert bad(found) == []
    assert about(found, "is not there yet").ok is None
    assert not corner.state.exists()


def test_whatever_is_wrong_comes_with_what_to_do(corner: Corner, state):
    state.root.chmod(0o755)
    state.db.write_bytes(b"not a database at all " * 400)

    found = look(corner, PATH=str(corner.path))

    assert len(bad(found)) >= 3
    assert all(one.fix for one in found if not one.ok)


def test_tmux_that_is_missing_is_told(corner: Corner):
    assert about(look(corner, PATH=str(corner.path)), "tmux is not installed").ok is False


def test_tmux_that_is_too_old_is_told(corner: Corner):
    program = corner.path / "tmux-old"
    program.mkdir()
    (program / "tmux").write_text("#!/bin/sh\necho tmux 3.1c\n")
    (program / "tmux").chmod(0o755)

    old = about(look(corner, PATH=f"{program}{os.pathsep}{corner.env['PATH']}"), "tmux 3.1c, ")

    assert old.ok is False
    assert "3.2a" in old.fix


def test_another_hive_before_this_one_is_told(corner: Corner):
    other = corner.path / "other"
    other.mkdir()
    (other / "hive").write_text("#!/bin/sh\necho warehouse\n")
    (other / "hive").chmod(0o755)

    shadow = look(corner, PATH=f"{other}{os.pathsep}{corner.env['PATH']}")
    none = look(corner, PATH=str(corner.path))

    assert about(shadow, "another `hive`", str(other / "hive"), str(HERE)).ok is False
    assert about(none, "`hive` is not on PATH").ok is None


@pytest.mark.parametrize("name", [".tmux.conf", ".config/tmux/tmux.conf"])
def test_what_surprises_in_the_users_tmux_configuration_is_noted(corner: Corner, name):
    file = corner.home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("set -g mouse on\nset -g destroy-unattached on\n")

    note = about(look(corner), f"{file}:2", "destroy-unattached on")

    assert note.ok is None
    assert note.fix


@pytest.mark.parametrize("name", ["", "hive.db", "supervisor.lock", "supervisor.log"])
def test_what_others_may_read_is_told_with_the_command_to_change_it(corner: Corner, state, name):
    path = state.root / name
    if name:
        path.touch()
    path.chmod(0o755 if path.is_dir() else 0o644)

    wrong = about(look(corner), "others may look into", f"{path} (")

    assert wrong.ok is False
    assert wrong.fix == f"chmod {'600' if name else '700'} {path}"


def test_a_state_directory_that_is_a_symlink_is_told(corner: Corner):
    (corner.path / "real").mkdir(mode=0o700)
    corner.state.symlink_to(corner.path / "real")

    assert about(look(corner), "is a symlink").ok is False


def test_a_path_too_long_for_a_socket_is_told(corner: Corner):
    deep = State(corner.path / ("d" * 120))

    found = examine(deep, corner.env, answer=1.0)

    assert about(found, "the socket's path has").ok is False


def test_a_damaged_store_is_told(corner: Corner, state):
    state.db.write_bytes(b"not a database at all " * 400)
    state.db.chmod(0o600)

    wrong = about(look(corner), "the store is damaged")

    assert wrong.ok is False
    assert "emergency-cleanup" in wrong.fix


def test_the_queue_is_opened_and_said_where_it_lies(corner: Corner, state):
    with Queue.open(state.queue()) as queue:
        queue.add([New(uid="u", job=Job(text="a"))])

    assert about(look(corner), "the queue of work opens", "1 task", str(state.work)).ok

    for file in state.root.glob("work.db*"):
        file.write_bytes(b"not a database at all " * 400)
    assert about(bad(look(corner)), "database").fix


def test_a_supervisor_that_hangs_is_told(corner: Corner, state):
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(state.socket))
        state.socket.chmod(0o600)
        listener.listen()

        found = look(corner)

    assert about(found, "the supervisor hangs").ok is False


def test_a_held_lock_without_an_answer_is_told(corner: Corner, state):
    lock = NodeLock(state)
    lock.take()

    found = look(corner)

    lock.release()
    assert about(found, f"pid {os.getpid()} holds the lock").ok is False


def test_agents_without_a_supervisor_are_told(corner: Corner, state):
    tag = {"HIVE_AGENT": "Task/frontend/a", "HIVE_LAUNCH": "1"}
    agent = subprocess.Popen(["sleep", "600"], env=corner.env | tag)
    try:
        eventually(lambda: scan.processes(state).all)  # a young one may not show its tags yet
        found = look(corner)
    finally:
        agent.kill()
        agent.wait()

    wrong = about(found, "without a supervisor", str(agent.pid))
    assert wrong.ok is False
    assert "hive stop-all" in wrong.fix


def test_files_nobody_uses_are_noted(corner: Corner, state):
    (state.launches / "1").touch()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(state.socket))
        state.socket.chmod(0o600)

    found = look(corner)

    assert bad(found) == []
    assert about(found, f"nobody listens on {state.socket}").ok is None
    assert about(found, "1 file of launches").ok is None


def test_a_tmux_server_that_hangs_is_told(corner: Corner, state):
    assert state.instance
    corner.tmux("new-session", "-d", "-s", "mine", "sleep 600")
    server = int(corner.tmux("display-message", "-p", "#{pid}"))
    default = Path(corner.env["TMUX_TMPDIR"], f"tmux-{os.getuid()}", "default")
    default.parent.mkdir(mode=0o700)
    default.symlink_to(corner.socket)
    code = (
        "import os; from pathlib import Path; from hive.adapters.doctor import examine; "
        "from hive.adapters.state import State; "
        f"s = State(Path({str(corner.state)!r})); "
        "print(*(f.what for f in examine(s, os.environ, answer=1.0) if f.ok is False), sep='\\n')"
    )
    os.kill(server, signal.SIGSTOP)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=corner.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.kill(server, signal.SIGCONT)

    assert done.stdout.startswith(f"the tmux server on {default}: "), done.stderr


def test_the_means_that_hold_limits_and_the_free_memory_are_told(corner: Corner):
    found = look(corner)

    means = about(found, "inside their limits")
    memory = about(found, "memory is free")
    assert means.ok is not False
    assert means.what.endswith((*groups.ORDER, groups.PORTABLE))
    assert memory.ok is not False


def test_the_means_that_a_variable_names_is_told(corner: Corner):
    chosen = about(look(corner, HIVE_LIMITS="portable"), "inside their limits")
    unknown = about(look(corner, HIVE_LIMITS="magic"), "`magic` is no means")

    assert chosen.ok is None
    assert chosen.what.endswith("without the kernel's help: portable")
    assert "unset HIVE_LIMITS" in chosen.fix
    assert unknown.ok is False
    assert unknown.fix


def test_what_would_give_a_better_means_comes_from_what_stands_in_its_way():
    if sys.platform != "linux":
        assert "Linux" in doctor._better("systemd scope: only Linux has systemd")
        return
    why = "systemd scope: its user manager has no cpu controller"

    assert doctor._better("") == ""
    assert doctor._better(why).endswith(why)
    assert ("Delegate=" in doctor._better(why)) is Path("/run/systemd/system").is_dir()


def test_looking_changes_nothing(corner: Corner, state):
    with Store.open(state.db) as store:
        store.add([Event(agent="", kind="supervisor", text="began", at=1.0)])
    before = sorted((path.name, path.stat().st_mode) for path in state.root.rglob("*"))

    look(corner)

    after = sorted((path.name, path.stat().st_mode) for path in state.root.rglob("*"))
    assert after == before
    eventually(lambda: not corner.processes())
