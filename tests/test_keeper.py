"""The keeper with a store, a disk or a tmux that fails: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hive.adapters import channel, procs
from hive.adapters.node import YOUNG, Looked, Node
from hive.adapters.probes import Probes
from hive.adapters.state import State
from hive.adapters.store import Event, Record, Store
from hive.conversations import Conversations
from hive.core.spec import Agent, Stop
from hive.core.world import State as Word
from hive.core.world import Wanted
from hive.errors import HiveError, WrongInput
from hive.governor import Governor
from hive.hive import Hive
from hive.keeper import Keeper
from hive.questions import Questions
from hive.supervisor import LONGEST, shorten
from tests.conftest import Corner, eventually

ONE = "frontend/a"
SLEEP = {"run": "exec sleep 600"}


class Bench:
    """A keeper on a real store and a real tmux server, ticked by hand."""

    def __init__(self, corner: Corner) -> None:
        self.corner = corner
        self.state = State(corner.state)
        self.state.prepare()
        self.store = Store.open(self.state.db, patience=0.1)
        self.node = Node(self.state)
        self.probes = Probes()
        self.governor = Governor(self.state, self.node, {"HIVE_LIMITS": "portable"})
        self.talks = Conversations(self.state, self.store)
        questions = Questions(self.probes)
        self.keeper = Keeper(self.store, self.node, questions, self.governor, self.talks)
        self.hive = Hive(self.keeper, time.time, self.state.root)

    def agent(self, name: str, **changes: Any) -> Agent:
        team, short = name.split("/")
        values: dict[str, Any] = {
            "project": "Task",
            "team": team,
            "name": short,
            "role": "dev",
            "session": f"Task-{team}",
            "window": short,
            "argv": ("sh", "-c", "exec sleep 600"),
            "directory": str(self.corner.path),
            "socket": str(self.corner.socket),
        }
        return Agent(**(values | changes))

    def want(self, *agents: Agent) -> None:
        self.keeper.want({one.id: Wanted(agent=one) for one in agents}, [])
        environ = json.dumps(self.corner.env)
        self.store.note("environ:Task", environ)

    def tick(self) -> tuple[bool, float | None]:
        return self.hive.tick()

    def until(self, name: str, state: Word) -> None:
        def there() -> bool:
            self.tick()
            found = self.keeper.memory.get(f"Task/{name}")
            return found is not None and found.state is state

        eventually(there)

    def launches(self) -> list[str]:
        """The launches of all panes there are."""
        return self.corner.tmux("list-panes", "-a", "-F", "#{@hive_launch}").split()

    def events(self, kind: str) -> list[str]:
        return [one.text for one in self.store.events(kinds=[kind])]

    def close(self) -> None:
        self.probes.close()
        self.node.release()
        self.store.close()


@pytest.fixture
def bench(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("TEST_CORNER", corner.tag)  # the tmux servers it starts are the corner's
    one = Bench(corner)
    yield one
    one.close()


def refused(bench: Bench) -> bool:
    try:
        bench.tick()
    except HiveError:
        return True
    return False


def test_what_was_started_and_could_not_be_written_is_adopted_and_not_started_again(bench: Bench):
    bench.want(bench.agent(ONE))
    with Store.open(bench.state.db) as other, other._file.writing():  # it is locked
        assert refused(bench)
        before = bench.launches()
        assert refused(bench)
        assert refused(bench)

        assert bench.launches() == before
        assert len(before) == 1

    bench.until(ONE, Word.READY)
    assert bench.launches() == before
    assert bench.keeper.memory[f"Task/{ONE}"].launch == before[0]
    assert bench.events("adopted")
    assert "locked" in bench.events("store")[0]


def test_what_dies_while_nothing_can_be_written_is_started_once_it_can(bench: Bench):
    bench.want(bench.agent(ONE, argv=("sh", "-c", "sleep 0.1")))
    with Store.open(bench.state.db) as other, other._file.writing():
        assert refused(bench)
        (pane,) = bench.launches()
        pid = bench.corner.tmux("list-panes", "-a", "-F", "#{pane_pid}")
        eventually(lambda: (found := procs.process(int(pid))) is None or found.dead)

        assert refused(bench)
        assert refused(bench)

        assert bench.launches() == [pane]
    bench.until(ONE, Word.STARTING)
    assert bench.launches() != [pane]


def test_a_memory_that_is_no_longer_the_newest_is_read_again(bench: Bench):
    bench.want(bench.agent(ONE))
    bench.until(ONE, Word.READY)
    with Store.open(bench.state.db) as other:
        (known,) = other.memory().values()
        other.record([Record(memory=known)], time.time())

    bench.hive.stop([ONE])

    assert refused(bench)
    bench.until(ONE, Word.STOPPED)


def test_a_start_that_was_written_though_the_store_failed_then_is_left_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    def fail() -> None:
        raise HiveError("the disk is full")

    bench.want(bench.agent(ONE))
    with monkeypatch.context() as patch:
        patch.setattr(bench.store._file, "checkpoint", fail)
        assert refused(bench)
    before = bench.launches()

    bench.until(ONE, Word.READY)

    assert bench.launches() == before
    assert bench.events("swept") == []
    assert bench.events("stopping") == []


def test_an_action_that_fails_holds_up_no_other_agent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    other = str(bench.corner.path / "other.sock")
    keys = Stop(keys=("q",))
    bench.want(bench.agent("frontend/a", socket=other, stop=keys), bench.agent("frontend/b"))
    bench.until("frontend/a", Word.READY)
    bench.until("frontend/b", Word.READY)
    look = bench.node.look
    server = bench.keeper.memory["Task/frontend/a"].server
    assert server is not None

    def look_then_hang(*args: Any) -> Looked:
        found = look(*args)
        os.kill(server.pid, signal.SIGSTOP)
        return found

    monkeypatch.setattr(bench.node, "look", look_then_hang)
    try:
        bench.hive.stop(["frontend"])
        bench.tick()

        assert bench.keeper.memory["Task/frontend/a"].state is Word.READY
        assert bench.keeper.memory["Task/frontend/b"].state is Word.STOPPING
        assert "did not answer" in bench.events("delayed")[0]
    finally:
        monkeypatch.undo()
        os.kill(server.pid, signal.SIGCONT)
    bench.until("frontend/a", Word.STOPPING)


def test_an_end_does_not_make_another_agents_new_server_look_gone(bench: Bench):
    other = str(bench.corner.path / "other.sock")
    bench.want(bench.agent("frontend/a"))
    bench.until(ONE, Word.READY)
    memory = bench.keeper.memory[f"Task/{ONE}"]
    bench.want(bench.agent("frontend/b", socket=other))
    procs.signal(memory.pid, memory.started, signal.SIGKILL)
    eventually(lambda: not procs.alive(memory.pid, memory.started))

    bench.until(ONE, Word.READY)
    bench.until("frontend/b", Word.READY)

    assert bench.events("lost") == []
    assert bench.events("adopted") == []


def test_what_is_adopted_in_the_moment_another_ends_is_not_taken_for_a_leftover(bench: Bench):
    bench.want(bench.agent("frontend/a"), bench.agent("frontend/b"))
    bench.until("frontend/a", Word.READY)
    bench.until("frontend/b", Word.READY)
    ending, found = (bench.keeper.memory[f"Task/frontend/{name}"] for name in "ab")
    bench.store.forget(found.agent, Event(agent=found.agent, kind="forgotten", text="", at=0.0))
    bench.want(bench.agent("frontend/b"))
    bench.keeper.reload()
    procs.signal(ending.pid, ending.started, signal.SIGKILL)
    eventually(lambda: not procs.alive(ending.pid, ending.started))

    bench.until("frontend/a", Word.READY)
    bench.until("frontend/b", Word.READY)

    assert bench.keeper.memory[found.agent].launch == found.launch
    assert procs.alive(found.pid, found.started)
    assert bench.events("adopted")
    assert not [one for one in bench.store.events(agent=found.agent) if one.kind == "swept"]


def test_a_start_that_is_refused_again_and_again_is_told_once_and_counts_once(bench: Bench):
    bench.corner.tmux("new-session", "-d", "-s", "Task-frontend", "sleep 600")
    bench.want(bench.agent(ONE))
    name = f"Task/{ONE}"
    bench.tick()
    for _ in range(3):
        memory = bench.keeper.memory[name]
        assert memory.state is Word.BACKING_OFF
        assert "is not hive's" in memory.reason
        bench.keeper.tick(memory.due + 0.1)

    assert len(bench.events("refused")) == 1
    assert bench.keeper.memory[name].restarts == 0
    assert bench.keeper.teams == {}
    bench.corner.tmux("kill-session", "-t", "Task-frontend")
    bench.keeper.tick(bench.keeper.memory[name].due + 0.1)
    assert bench.keeper.memory[name].restarts == 0
    assert bench.keeper.memory[name].live


def test_a_window_is_renamed_once_its_server_answers_again(bench: Bench):
    bench.want(bench.agent(ONE))
    bench.until(ONE, Word.READY)
    server = bench.keeper.memory[f"Task/{ONE}"].server
    assert server is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        bench.keeper.update({f"Task/{ONE}": bench.agent(ONE, window="new")})
        bench.tick()
    finally:
        os.kill(server.pid, signal.SIGCONT)

    def renamed() -> bool:
        bench.tick()
        return bench.corner.tmux("list-windows", "-F", "#{window_name}") == "new"

    eventually(renamed)


def test_nothing_is_written_while_nothing_happens(bench: Bench):
    bench.want(bench.agent("frontend/a"), bench.agent("frontend/b"))
    bench.until("frontend/a", Word.READY)
    bench.until("frontend/b", Word.READY)
    before = bench.store.memory(), bench.store.events()

    for _ in range(5):
        assert bench.tick()[0] is False

    assert (bench.store.memory(), bench.store.events()) == before


def test_files_of_launches_go_once_nobody_needs_them(bench: Bench):
    bench.want(bench.agent(ONE))
    bench.until(ONE, Word.READY)
    (used,) = bench.launches()
    files = bench.state.launches
    for name in ("1-0ld", "1-0ld.code", "1-young"):
        (files / name).touch()
    then = time.time() - 2 * YOUNG
    for name in (used, "1-0ld", "1-0ld.code"):
        os.utime(files / name, (then, then))

    bench.node.tidy(bench.node.launches({}) or ())

    assert sorted(file.name for file in files.iterdir()) == sorted([used, "1-young"])


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_a_verb_that_changes_agents_wants_them_named(bench: Bench, verb: str):
    bench.want(bench.agent(ONE))

    with pytest.raises(WrongInput, match="no agent is named"):
        bench.hive.answer(verb, {"names": []})

    assert bench.keeper.wanted[f"Task/{ONE}"].generation == 1


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_what_is_being_removed_can_not_be_started(bench: Bench, verb: str):
    gone = Wanted(agent=bench.agent(ONE), up=False, removed=True)
    bench.keeper.want({gone.agent.id: gone}, [])

    with pytest.raises(HiveError, match="is being removed"):
        bench.hive.answer(verb, {"names": [ONE]})

    assert bench.keeper.wanted[gone.agent.id] == gone


def test_a_question_with_a_wrong_argument_is_told_so(bench: Bench):
    with pytest.raises(WrongInput, match="does not take that"):
        bench.hive.answer("stop", {"name": "a"})


def test_a_long_log_keeps_its_end_and_whoever_writes_it_goes_on(short_path: Path):
    log = short_path / "log"
    with log.open("a") as writer:
        writer.writelines(f"line {number}\n" for number in range(LONGEST // 8))
        writer.flush()

        shorten(log)
        writer.write("the last\n")

    lines = log.read_text().splitlines()
    assert log.stat().st_size < LONGEST / 2
    assert lines[0].startswith("line ")
    assert lines[-2:] == [f"line {LONGEST // 8 - 1}", "the last"]


def worker(corner: Corner) -> int:
    """The pid of the supervisor that answers; 0 while none does."""
    return (corner.json("status").get("supervisor") or {"pid": 0})["pid"]


def test_a_full_disk_stops_nothing_that_runs_and_all_goes_on_when_it_is_over(corner: Corner):
    corner.write({"frontend": {"a": SLEEP, "b": SLEEP}})
    corner.hive("deploy")
    before, pid = corner.agents(), worker(corner)
    full = (corner.state / "hive.db-wal").stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    os.kill(before[ONE]["pid"], signal.SIGKILL)

    log = corner.state / "supervisor.log"
    eventually(lambda: "tick: " in log.read_text())
    assert corner.agent("frontend/b")["state"] == "ready"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

    eventually(lambda: (one := corner.agent(ONE))["state"] == "ready" and one["restarts"] == 1)
    assert worker(corner) == pid
    assert corner.agent("frontend/b")["pid"] == before["frontend/b"]["pid"]
    assert log.read_text().count("tick: ") == 1


def test_a_supervisor_that_was_asked_to_end_ends_though_its_guard_was_killed(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    pid = worker(corner)
    (guard,) = [one for one, command in corner.processes() if "hive.adapters.guard" in command]
    os.kill(pid, signal.SIGSTOP)
    os.kill(guard, signal.SIGKILL)
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGCONT)

    def ours() -> list[str]:
        return [command for _, command in corner.processes() if "hive" in command.split("/")[-1]]

    eventually(lambda: not [one for one in ours() if "launcher" not in one])
    assert not (corner.state / "hive.sock").exists()


def test_a_bug_that_ends_the_supervisor_is_in_the_log_and_it_is_started_again(corner: Corner):
    corner.write({"frontend": {"a": SLEEP}})
    corner.hive("deploy")
    before, pid = corner.agent(ONE), worker(corner)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3))  # nothing more can be opened

    eventually(lambda: worker(corner) not in {0, pid})

    log = (corner.state / "supervisor.log").read_text()
    assert "Traceback" in log
    assert "it is started again" in log
    assert corner.agent(ONE)["pid"] == before["pid"]
    assert channel.ask(str(corner.state / "hive.sock"), "ping", {})["pid"] != pid
