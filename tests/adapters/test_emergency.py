"""The last resort, on real processes, real tmux and real files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from hive.adapters import procs, scan
from hive.adapters.audit import audit
from hive.adapters.emergency import cleanup, end, is_dead
from hive.adapters.state import NodeLock, State
from hive.adapters.store import Event, Store
from hive.core.spec import Agent
from hive.core.world import Wanted
from tests.conftest import Corner, eventually

Spawn = Callable[..., subprocess.Popen[bytes]]

WAIT = ["sleep", "600"]
TAG = {"HIVE_AGENT": "Task/frontend/a", "HIVE_LAUNCH": "1"}
DEAF = "trap '' TERM HUP INT; touch \"$READY\"; while :; do sleep 0.1; done"


@pytest.fixture
def state(corner: Corner) -> State:
    one = State(corner.state)
    one.prepare()
    return one


@pytest.fixture
def spawn(corner: Corner) -> Iterator[Spawn]:
    """Start a program that bears the tag of an agent (or other variables); it is ended."""
    started = []

    def start(command: list[str], **env: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(command, env=corner.env | (env or TAG)))
        return started[-1]

    yield start
    for one in started:
        with suppress(ProcessLookupError):
            one.send_signal(signal.SIGKILL)
        one.wait()


def supervisor(corner: Corner) -> dict[str, str]:
    return {"HIVE_SUPERVISOR": str(corner.state)}


def seen(state: State, count: int) -> scan.Processes:
    """Wait until this many processes show what they are: a young one shows its parent's tags."""
    return eventually(lambda: len((found := scan.processes(state)).all) == count and found)


def ours(corner: Corner, state: State) -> str:
    """Open a window of ours beside one of the user's, and give its pane."""
    corner.tmux("new-session", "-d", "-s", "mine", "sleep 601")
    made = corner.tmux("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "mine:", "sleep 602")
    corner.tmux("set-option", "-p", "-t", made, "@hive", state.instance)
    return made


def test_where_nothing_is_left_nothing_is_done(corner: Corner):
    assert cleanup(State(corner.state)) == ["nothing of this hive was left"]
    assert not corner.state.exists()


def test_all_agents_end_and_what_is_not_ours_stays(corner: Corner, state, spawn):
    agent = spawn(["sh", "-c", "setsid sleep 611 & sleep 612 & exec sleep 613"])
    foreign = [
        spawn(WAIT, OTHER="1"),
        spawn(WAIT, HIVE_STATE=f"{corner.state}-2", HIVE_AGENT="Task/frontend/a"),
    ]
    lines = ["sleep 611", "sleep 612", "sleep 613"]
    eventually(lambda: sorted(line for _, line in audit(state).processes) == lines)

    said = cleanup(state)

    assert f"ended process {agent.pid}: sleep 613" in said
    assert not scan.processes(state).all
    assert [one.poll() for one in foreign] == [None, None]


def test_what_does_not_listen_is_killed(corner: Corner, state, spawn):
    ready = corner.path / "ready"
    deaf = spawn(["sh", "-c", DEAF], READY=str(ready), **TAG)
    eventually(ready.exists)

    cleanup(state, grace=0.5)

    assert deaf.wait(30) == -signal.SIGKILL


def test_who_is_stopped_is_woken_to_end_by_itself(corner: Corner, state, spawn):
    ready, told = corner.path / "ready", corner.path / "told"
    polite = f"trap 'touch {told}; exit 0' TERM; touch {ready}; while :; do sleep 0.1; done"
    agent = spawn(["sh", "-c", polite])
    eventually(ready.exists)
    agent.send_signal(signal.SIGSTOP)

    cleanup(state, grace=20)

    assert agent.wait(30) == 0
    assert told.exists()


def test_a_guard_that_starts_its_worker_again_ends_first(corner: Corner, state, spawn):
    worker = "while :; do sleep 0.1; done"
    again = f"while :; do sh -c '{worker}' hive supervise --worker; done"
    guard = spawn(["sh", "-c", again, "hive.adapters.guard"], **supervisor(corner))
    eventually(lambda: scan.processes(state).workers)

    said = cleanup(state)

    assert guard.wait(30) == -signal.SIGTERM
    assert not scan.processes(state).all
    assert [text for text in said if text.startswith(f"ended process {guard.pid}: ")]


def test_a_supervisor_that_hangs_is_killed_in_its_sleep(corner: Corner, state, spawn):
    ready, woken = corner.path / "ready", corner.path / "woken"
    code = f"trap 'touch {woken}; exit 0' TERM; touch {ready}; while :; do sleep 0.1; done"
    worker = spawn(["sh", "-c", code, "hive", "supervise", "--worker"], **supervisor(corner))
    eventually(ready.exists)
    worker.send_signal(signal.SIGSTOP)

    cleanup(state, grace=0.5)

    assert worker.wait(30) == -signal.SIGKILL
    assert not woken.exists()


def test_end_gives_those_that_are_another_process_by_now_no_signal(spawn):
    mine = spawn(WAIT, OTHER="1")
    found = eventually(lambda: procs.process(mine.pid))
    stale = type(found)(
        pid=found.pid,
        parent=found.parent,
        session=found.session,
        started=found.started + 1,
        state=found.state,
        cpu=found.cpu,
        name=found.name,
    )

    assert end([stale], 0.2) == []
    assert mine.poll() is None


def test_our_windows_are_closed_and_the_users_stay(corner: Corner, state):
    pane = ours(corner, state)

    said = cleanup(state)

    assert corner.tmux("list-panes", "-a", "-F", "#{pane_start_command}").strip('"') == "sleep 601"
    assert [text for text in said if text.startswith(f"closed pane {pane} ")]


def test_a_tmux_server_that_hangs_is_left_and_its_agents_end(corner: Corner, state, spawn):
    here = Agent(
        project="Task",
        team="frontend",
        name="a",
        role="dev",
        session="mine",
        window="a",
        argv=("sleep", "600"),
        directory="/",
        socket=str(corner.socket),
    )
    with Store.open(state.db) as store:
        store.want({here.id: Wanted(agent=here)})
    ours(corner, state)
    agent = spawn(WAIT)
    seen(state, 1)
    server = int(corner.tmux("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        said = cleanup(state, timeout=0.5)
    finally:
        os.kill(server, signal.SIGCONT)

    assert agent.wait(30) == -signal.SIGTERM
    assert [text for text in said if "left alone" in text]
    assert corner.tmux("list-sessions", "-F", "#S") == "mine"


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "damaged"])
def test_only_a_damaged_store_is_put_aside(state, whole):
    with Store.open(state.db) as store:
        store.add([Event(agent="", kind="supervisor", text="began", at=1.0)])
    if not whole:
        state.db.write_bytes(b"not a database at all " * 400)

    said = cleanup(state)

    aside = [path.name for path in state.root.glob("hive.db.broken-*")]
    assert state.db.exists() is whole
    assert len(aside) == (0 if whole else 1)
    assert any("the store is damaged" in text for text in said) is not whole


def test_files_that_nobody_uses_are_removed(state):
    lock = NodeLock(state)
    lock.take()
    lock.release()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(state.socket))
    (state.launches / "1").write_text("SECRET=1")
    (state.voices / "1-a" / "spool").mkdir(parents=True)

    said = cleanup(state)

    assert sorted(path.name for path in state.root.rglob("*")) == ["launches", "voices"]
    assert {f"removed {state.lock}", f"removed {state.socket}"} <= set(said)


def test_files_that_somebody_holds_are_left_and_told(state):
    lock = NodeLock(state)
    lock.take()

    said = cleanup(state)

    lock.release()
    assert said == [f"left the files as they are: pid {os.getpid()} holds the lock"]
    assert state.lock.exists()


def test_a_socket_somebody_listens_on_is_not_dead(state):
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(state.socket))
        bound = is_dead(state.socket)
        listener.listen()
        listening = is_dead(state.socket)

    assert (bound, listening, is_dead(state.socket)) == (True, False, True)
    assert not is_dead(state.root)


def test_it_works_without_the_store_and_its_library(corner: Corner, state, spawn):
    with Store.open(state.db) as store:
        store.add([Event(agent="", kind="supervisor", text="began", at=1.0)])
    agent = spawn(WAIT)
    seen(state, 1)
    code = (
        "import sys; sys.modules['sqlalchemy'] = None; sys.modules['typer'] = None\n"
        "from pathlib import Path; from hive.adapters.emergency import cleanup; "
        "from hive.adapters.state import State; "
        f"print(*cleanup(State(Path({str(corner.state)!r}))), sep='\\n')"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=corner.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert agent.wait(30) == -signal.SIGTERM
    assert "could not read the store" in done.stdout, done.stderr
    assert f"ended process {agent.pid}: sleep 600" in done.stdout


def test_it_may_be_called_in_an_agents_own_window(corner: Corner, state, spawn):
    beside = spawn(WAIT)
    seen(state, 1)
    code = (
        "from pathlib import Path; from hive.adapters.emergency import cleanup; "
        f"from hive.adapters.state import State; s = State(Path({str(corner.state)!r})); "
        "print(*cleanup(s), sep='\\n')"
    )

    done = subprocess.run(
        ["sh", "-c", f'sleep 614 & {sys.executable} -c "$0"; exit $?', code],
        env=corner.env | TAG,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert beside.wait(30) == -signal.SIGTERM
    assert "sleep 614" in done.stdout
