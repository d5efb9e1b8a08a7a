from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import traceback
from contextlib import closing
from dataclasses import fields, replace

import pytest

from hive.adapters import store as storing
from hive.adapters import storefile
from hive.adapters.schema import SCHEMA
from hive.adapters.store import DEATHS, Death, Event, Record, Store
from hive.adapters.storefile import check, explain
from hive.adapters.storerows import Stale
from hive.core.spec import Agent, Probe, Restart, Stop
from hive.core.world import Memory, Server, State, TeamMemory, Wanted
from hive.errors import HiveError, TimedOut
from tests.conftest import eventually

NOON = 1_800_000_000.0
ADA = "task/web/ada"
BOB = "task/web/bob"
SECRET = "hunter2"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hive.db"


@pytest.fixture
def store(path):
    with Store.open(path, patience=60) as one:
        yield one


def agent(name="ada", **more):
    return Agent(
        project="task",
        team="web",
        name=name,
        role="dev",
        session="task-web",
        window=name,
        argv=("run", "--it"),
        directory="/tmp",
        **more,
    )


def event(text="x", name=ADA, kind="said"):
    return Event(agent=name, kind=kind, text=text, at=NOON)


def death(name=ADA, **more):
    given = {
        "at": NOON,
        "launch": "l1",
        "code": 1,
        "cause": "it crashed",
        "asked": False,
        "next": "restarted",
        "restarts": 1,
        "ran": 2.5,
        "screen": "a\nb",
    }
    return Death(agent=name, **{**given, **more})


def texts(events):
    return [one.text for one in events]


def raw(path, *statements):
    """Do this to the file behind the store's back, and give the last answer."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def other(value):
    """Give something else of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 7
    return f"{value} é\udcff" if isinstance(value, str) else (1.5, 2.5)


def test_every_field_of_a_memory_is_kept(store, path):
    given = {
        one.name: other(one.default)
        for one in fields(Memory)
        if one.name not in {"agent", "state", "server", "version"}
    }
    memory = Memory(agent=ADA, state=State.READY, server=Server(pid=3, started=4), **given)
    assert store.record([Record(memory=memory)], NOON) == [replace(memory, version=1)]
    with Store.open(path) as again:
        assert again.memory() == {ADA: replace(memory, version=1)}


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_kept(store, state):
    store.record([Record(memory=Memory(agent=ADA, state=state))], NOON)
    assert store.memory()[ADA].state is state
    assert raw(store._file.path, "SELECT state FROM agent") == [(state.value,)]


def test_an_unknown_state_is_refused_by_the_file_itself(store, path):
    store.record([Record(memory=Memory(agent=ADA))], NOON)
    with pytest.raises(sqlite3.IntegrityError):
        raw(path, "UPDATE agent SET state = 'odd'")


def test_what_is_wanted_comes_back_as_it_was(store, path):
    full = agent(
        env=(("KEY", "é\udcff"),),
        after=("task/web/x",),
        ready=Probe(kind="tcp", target="localhost:1"),
        restart=Restart(attempts=9),
        stop=Stop(keys=("C-c",)),
        port=80,
    )
    wanted = {
        ADA: Wanted(agent=full, up=False, generation=3, why="`hive stop`"),
        BOB: Wanted(agent=agent("bob"), removed=True),
    }
    store.want(wanted, events=[event("both")])
    with Store.open(path) as again:
        assert again.wanted() == wanted
        assert texts(again.events()) == ["both"]


def test_a_new_wish_replaces_only_its_own_agent_and_no_memory(store):
    store.want({ADA: Wanted(agent=agent()), BOB: Wanted(agent=agent("bob"))})
    [memory] = store.record([Record(memory=Memory(agent=ADA, launch="l1"))], NOON)
    changed = Wanted(agent=agent(port=80), generation=2)
    store.want({ADA: changed})
    assert store.wanted() == {ADA: changed, BOB: Wanted(agent=agent("bob"))}
    assert store.memory() == {ADA: memory}


def test_unknown_keys_of_a_newer_hive_are_left_out(store, path):
    store.record([Record(memory=Memory(agent=ADA, reason="r"))], NOON)
    raw(path, "UPDATE agent SET memory = json_set(memory, '$.mood', 'good')")
    raw(path, "UPDATE agent SET memory = json_remove(memory, '$.deaths', '$.due')")
    assert store.memory() == {ADA: Memory(agent=ADA, reason="r", version=1)}


def test_a_round_is_written_whole(store):
    team = TeamMemory(team="task/web", restarts=(1.0, 2.0), held=True, since=3.0)
    done = store.record(
        [
            Record(memory=Memory(agent=ADA), event=event("one"), death=death()),
            Record(team=team, event=event("two", name="")),
            Record(memory=Memory(agent=BOB), wanted=Wanted(agent=agent("bob"), up=False)),
        ],
        NOON,
    )
    assert done == [Memory(agent=ADA, version=1), Memory(agent=BOB, version=1)]
    assert store.memory() == {one.agent: one for one in done}
    assert store.teams() == {"task/web": replace(team, version=1)}
    assert store.wanted() == {BOB: Wanted(agent=agent("bob"), up=False)}
    assert texts(store.events()) == ["one", "two"]
    assert store.deaths(ADA) == [death()]


def test_nothing_to_write_is_fine(store):
    assert store.record([], NOON) == []
    store.want({})
    store.add([])


def test_of_several_memories_in_one_round_the_last_is_written(store):
    first = Memory(agent=ADA, reason="first")
    second = replace(first, reason="second")
    teams = [TeamMemory(team="task/web", since=1.0), TeamMemory(team="task/web", since=2.0)]
    rounds = [Record(memory=first, team=teams[0]), Record(memory=second, team=teams[1])]
    assert store.record(rounds, NOON)[-1] == replace(second, version=1)
    assert store.memory() == {ADA: replace(second, version=1)}
    assert store.teams()["task/web"] == replace(teams[1], version=1)


@pytest.mark.parametrize("version", [0, 1], ids=["the first write", "a later one"])
def test_a_lost_race_writes_nothing_of_its_round(store, path, version):
    mine = Memory(agent=ADA)
    for _ in range(version):
        [mine] = store.record([Record(memory=mine)], NOON)
    bob = Record(memory=Memory(agent=BOB), event=event("lost"), death=death(BOB))
    with Store.open(path) as faster:
        [theirs] = faster.record([Record(memory=replace(mine, reason="theirs"))], NOON)
    with pytest.raises(Stale):
        store.record([bob, Record(memory=replace(mine, reason="mine"))], NOON)
    assert store.memory() == {ADA: theirs}
    assert store.events() == []
    assert store.deaths(BOB) == []
    assert store.record([Record(memory=theirs)], NOON) == [replace(theirs, version=version + 2)]


def test_a_teams_lost_race_is_noticed_too(store):
    team = TeamMemory(team="task/web")
    store.record([Record(team=team)], NOON)
    with pytest.raises(Stale):
        store.record([Record(team=team)], NOON)


def test_a_forgotten_agent_is_not_remembered_again_by_a_late_write(store):
    store.want({ADA: Wanted(agent=agent())})
    [memory] = store.record([Record(memory=Memory(agent=ADA), death=death())], NOON)
    store.forget(ADA, event("gone"))
    assert store.wanted() == {}
    assert store.memory() == {}
    assert texts(store.events(agent=ADA)) == ["gone"]
    assert store.deaths(ADA) == [death()]
    with pytest.raises(Stale):
        store.record([Record(memory=memory)], NOON)
    assert store.memory() == {}


def test_events_are_told_in_order_from_either_end(store):
    store.add([event(str(n), name=ADA if n % 2 else BOB, kind=f"k{n % 3}") for n in range(10)])
    assert [one.id for one in store.events()] == list(range(1, 11))
    assert texts(store.events(limit=2)) == ["0", "1"]
    assert texts(store.events(limit=2, newest=True)) == ["8", "9"]
    assert texts(store.events(after=8)) == ["8", "9"]
    assert texts(store.events(after=7, limit=2, newest=True)) == ["8", "9"]
    assert texts(store.events(agent=ADA, limit=3)) == ["1", "3", "5"]
    assert texts(store.events(agents=[ADA, BOB], limit=2)) == ["0", "1"]
    assert store.events(agents=[]) == []
    assert texts(store.events(kinds=["k1", "k2"], after=5)) == ["5", "7", "8"]
    assert store.events(agent="nobody") == []


def test_only_the_newest_deaths_of_each_agent_are_kept(store):
    for n in range(DEATHS + 5):
        store.record([Record(death=death(at=float(n))), Record(death=death(BOB, at=0.5))], NOON)
    assert [one.at for one in store.deaths(ADA, 100)] == [
        float(n) for n in range(DEATHS + 4, 4, -1)
    ]
    assert store.deaths(ADA, 1) == [death(at=float(DEATHS + 4))]
    assert len(store.deaths(BOB, 100)) == DEATHS


def test_only_the_newest_events_are_kept_and_no_id_comes_twice(store, monkeypatch):
    monkeypatch.setattr(storing, "EVENTS", 1500)
    for _ in range(9):
        store.add([event("old")] * 399)
    store.record([Record(event=event("last"))], NOON)
    found = store.events(limit=10_000)
    assert 1500 <= len(found) < 2500
    assert found[-1].id == 9 * 399 + 1
    monkeypatch.setattr(storing, "EVENTS", 0)
    store.add([event("pruned")] * 1000)
    newest = store.events(newest=True, limit=1)
    store.add([event("after all")])
    assert store.events(newest=True, limit=1)[0].id == 9 * 399 + 1002
    assert all(one.id <= 9 * 399 + 1001 for one in newest)


def test_text_that_is_no_text_is_kept_as_well_as_it_can(store):
    store.add([event("a\udcffb\0c")])
    store.record([Record(death=death(screen="\ud800é"))], NOON)
    assert texts(store.events()) == ["a?b\0c"]
    assert store.deaths(ADA)[0].screen == "?é"


def test_facts_are_noted_over_older_ones(store):
    assert store.fact("boot") is None
    store.note("boot", "a")
    store.note("boot", "b")
    assert store.fact("boot") == "b"
    assert store.fact("schema") == str(SCHEMA)


def test_a_reset_forgives_these_agents_and_keeps_what_runs(store):
    failed = Memory(
        agent=ADA,
        state=State.FAILED,
        launch="l1",
        deaths=(1.0, 2.0),
        due=9.0,
        trials=2,
        quarantined=True,
        restarts=4,
        pid=7,
    )
    store.record(
        [
            Record(memory=failed, team=TeamMemory(team="task/web", restarts=(1.0,), held=True)),
            Record(memory=replace(failed, agent="task/api/eve")),
            Record(team=TeamMemory(team="task/api", held=True)),
        ],
        NOON,
    )
    store.reset([ADA, BOB], NOON + 1)
    assert store.memory() == {
        ADA: Memory(agent=ADA, state=State.FAILED, launch="l1", pid=7, version=2),
        "task/api/eve": replace(failed, agent="task/api/eve", version=1),
    }
    assert store.teams() == {
        "task/web": TeamMemory(team="task/web", since=NOON + 1, version=2),
        "task/api": TeamMemory(team="task/api", held=True, version=1),
    }
    assert [(one.agent, one.kind) for one in store.events()] == [(ADA, "reset"), (BOB, "reset")]


def test_a_backup_is_the_whole_store(store, tmp_path):
    store.want({ADA: Wanted(agent=agent())}, events=[event("one")])
    store.backup(tmp_path / "copy.db")
    store.add([event("two")])
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    with Store.open(tmp_path / "copy.db") as copy:
        assert copy.wanted() == store.wanted()
        assert texts(copy.events()) == ["one"]
    with pytest.raises(HiveError) as caught:
        store.backup(tmp_path / "gone" / "copy.db")
    assert caught.value.where == str(tmp_path / "gone" / "copy.db")


def test_the_files_are_private(path):
    path.touch(mode=0o644)
    with Store.open(path) as store:
        store.add([event()])
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == {"hive.db": 0o600, "hive.db-wal": 0o600, "hive.db-shm": 0o600}


def test_a_commit_waits_for_the_disk(store):
    ask = store._file.connection.exec_driver_sql
    assert ask("PRAGMA journal_mode").scalar() == "wal"
    assert ask("PRAGMA synchronous").scalar() == 2
    assert ask("PRAGMA foreign_keys").scalar() == 1
    assert ask("PRAGMA wal_autocheckpoint").scalar() == 0


def log_size(path):
    return path.with_name("hive.db-wal").stat().st_size


def test_a_long_log_is_worked_into_the_file(store, path, monkeypatch):
    store.add([event("x" * 100_000)])
    store.record([], NOON)
    assert log_size(path) > 100_000
    monkeypatch.setattr(storefile, "WAL_BYTES", 100_000)
    store.record([], NOON)
    assert log_size(path) == 0
    assert len(store.events()) == 1


def test_a_reader_in_the_way_of_that_stops_nobody(store, path, monkeypatch):
    monkeypatch.setattr(storefile, "WAL_BYTES", 1000)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM event").fetchall()
        store.record([Record(event=event("x" * 100_000))], NOON)
        assert log_size(path) > 100_000
    store.record([Record(event=event("y"))], NOON)
    assert log_size(path) == 0
    assert len(store.events()) == 2


OPEN = """
import sys
from pathlib import Path
from hive.adapters.store import Event, Store
sys.stdin.read()
with Store.open(Path(sys.argv[1]), patience=60) as store:
    for n in range(10):
        store.add([Event(agent="", kind="k", text=sys.argv[2], at=1.0)])
"""


def test_processes_that_open_a_new_store_at_once_share_it(path):
    opened = [
        subprocess.Popen([sys.executable, "-c", OPEN, path, str(n)], stdin=subprocess.PIPE)
        for n in range(4)
    ]
    for one in opened:
        one.stdin.close()
    assert [one.wait(120) for one in opened] == [0, 0, 0, 0]
    with Store.open(path) as store:
        assert sorted(texts(store.events())) == sorted("0123" * 10)


WRITE = """
import sys
from dataclasses import replace
from pathlib import Path
from hive.adapters.store import Death, Event, Record, Store
from hive.core.world import TeamMemory
store = Store.open(Path(sys.argv[1]), patience=60)
memories = list(store.memory().values())
team = store.teams()["task/web"]
while True:
    team = replace(team, restarts=(*team.restarts, 1.0)[-50:])
    changes = [
        Record(memory=one, event=Event(agent=one.agent, kind="k", text=str(one.version), at=1.0))
        for one in memories
    ]
    memories = store.record([Record(team=team), *changes], 1.0)
    team = replace(team, version=team.version + 1)
"""


def test_a_writer_killed_at_any_moment_leaves_no_half_round(path):
    names = [f"task/web/a{n}" for n in range(5)]
    with Store.open(path, patience=60) as store:
        start = [Record(memory=Memory(agent=name), event=event("0", name)) for name in names]
        store.record([*start, Record(team=TeamMemory(team="task/web"))], NOON)
        for _ in range(4):
            before = store.teams()["task/web"].version
            with subprocess.Popen([sys.executable, "-c", WRITE, path]) as writer:
                eventually(
                    lambda before=before: store.teams()["task/web"].version > before + 20, 60
                )
                writer.kill()
            rounds = store.teams()["task/web"].version
            assert {one.version for one in store.memory().values()} == {rounds}
            for name in names:
                told = texts(store.events(agent=name, limit=100_000))
                assert told == [str(n) for n in range(rounds)]
    assert check(path) is None


FULL = """
import resource, sys
from pathlib import Path
from hive.adapters.store import Event, Store
from hive.errors import HiveError

def add(text):
    store.add([Event(agent="", kind="k", text=text * 1000, at=1.0)])

store = Store.open(Path(sys.argv[1]))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
done = 0
try:
    for done in range(10_000):
        add("before")
except HiveError as error:
    print(error.what)
    print(error.where, bool(error.fix), type(error.__cause__).__name__)
assert len(store.events()) == done
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
add("after")
assert len(store.events()) == done + 1
store.close()
"""


def test_a_full_disk_is_told_and_writing_goes_on_when_there_is_room(path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert "can't be" in first
    assert second == f"{path} True OperationalError"
    assert check(path) is None
    with Store.open(path) as store:
        assert store.events(newest=True, limit=1)[0].text == "after" * 1000


def test_a_store_locked_too_long_is_told_and_works_afterwards(path):
    secret = Wanted(agent=agent(env=(("KEY", SECRET),)))
    with (
        Store.open(path, patience=0.1) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as blocker,
    ):
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(TimedOut, match="locked") as caught:
            store.want({ADA: secret})
        assert store.wanted() == {}
        blocker.execute("ROLLBACK")
        store.want({ADA: secret})
        assert store.wanted() == {ADA: secret}
    assert caught.value.where == str(path)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_failing_statement_shows_no_secrets(store, path):
    raw(path, "CREATE TRIGGER no BEFORE INSERT ON fact BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Exception, match="no") as caught:
        store.note("environment", SECRET)
    assert not isinstance(caught.value, HiveError)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    store.add([event("still usable")])


@pytest.mark.parametrize("content", [b"no database " * 1000, b"SQLite format 3\0" + b"x" * 9000])
def test_a_file_that_is_no_store_is_refused_and_kept(path, content):
    path.write_bytes(content)
    with pytest.raises(HiveError) as caught:
        Store.open(path)
    assert caught.value.where == str(path)
    assert "move it away" in caught.value.fix
    assert path.read_bytes() == content


def test_a_damaged_store_is_told(path):
    with Store.open(path) as store:
        store.add([event("x" * 3000) for _ in range(100)])
    assert check(path) is None
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * (path.stat().st_size - 2 * 4096))
    assert check(path) is not None
    with pytest.raises(HiveError, match="damaged"), Store.open(path) as store:
        store.events()


def test_a_store_of_a_newer_hive_is_not_touched(path):
    with Store.open(path) as store:
        store.note("schema", str(SCHEMA + 1))
    before = path.read_bytes()
    with pytest.raises(HiveError, match=r"newer hive \(schema \d+, this one knows \d+\)"):
        Store.open(path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["hive.db"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x)",
        "CREATE TABLE fact (key, value)",
    ],
)
def test_another_programs_database_is_not_touched(path, statement):
    raw(path, statement)
    before = path.read_bytes()
    with pytest.raises(HiveError, match="not a store of hive's"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_directory_in_its_place_is_refused(path):
    path.mkdir()
    with pytest.raises(HiveError) as caught:
        Store.open(path)
    assert caught.value.where == str(path)
    with pytest.raises(HiveError):
        Store.open(path / "gone" / "hive.db")


def test_a_deleted_store_is_told_instead_of_written_into_nothing(store, path):
    path.unlink()
    with pytest.raises(HiveError, match="deleted or replaced"):
        store.add([event()])
    with Store.open(path), pytest.raises(HiveError, match="deleted or replaced"):
        store.add([event()])


def test_a_store_that_may_only_be_read_is_told(path):
    Store.open(path).close()
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
        pytest.raises(sqlite3.OperationalError) as caught,
    ):
        connection.execute("DELETE FROM event")
    told = explain(caught.value, path)
    assert "can't be written" in told.what
    assert told.where == str(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_without_the_right_to_write_is_told(path):
    Store.open(path).close()
    path.chmod(0o400)
    with pytest.raises(HiveError) as caught, Store.open(path) as store:
        store.add([event()])
    assert caught.value.where == str(path)


def test_a_wrong_statement_is_a_bug_and_not_the_users(path):
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.OperationalError) as caught,
    ):
        connection.execute("SELECT * FROM nothing")
    assert explain(caught.value, path) is None


def test_the_store_does_not_load_the_orm():
    code = "import sys, hive.adapters.store; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "sqlalchemy" in loaded
    assert not {"sqlalchemy.orm", "alembic"} & loaded


def test_a_killed_reader_leaves_the_store_usable(path):
    with Store.open(path, patience=60) as store:
        store.add([event("one")])
        code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE')"
        code += "; print(1, flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", code, path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout.read(1) == b"1"
            holder.send_signal(signal.SIGKILL)
        store.add([event("two")])
        assert texts(store.events()) == ["one", "two"]
