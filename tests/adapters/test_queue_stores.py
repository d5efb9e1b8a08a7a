"""The queue's two stores themselves: opening, sharing, failing; its locks and its notebook."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from hive.adapters import migrations, queue_base, queue_postgres
from hive.adapters.queue import Queue
from hive.adapters.storefile import check
from hive.core import transitions
from hive.core.schedule import Schedule
from hive.core.tasks import Claim, Job, New, Want
from hive.core.weights import Score
from hive.errors import HiveError, NotRunning, TimedOut
from tests.postgres import cluster, postgres  # noqa: F401 - fixtures

ADA, BOB = "task/web/ada", "task/web/bob"


@pytest.fixture(params=["sqlite", "postgres"])
def where(request, tmp_path):
    """Give the place where there is no queue yet."""
    if request.param == "sqlite":
        return str(tmp_path / "work.db")
    return request.getfixturevalue("postgres")


@pytest.fixture
def queue(where):
    with Queue.open(where) as one:
        yield one


@pytest.fixture
def shared(postgres):  # noqa: F811
    """Give two connections to one PostgreSQL."""
    with Queue.open(postgres) as one, Queue.open(postgres) as other:
        yield one, other


def new(uid, *needs, **about):
    return New(uid=uid, needs=needs, job=Job(text=uid, **about))


def claims(*numbers, agent=ADA):
    return [Claim(agent=agent, launch="1-a", number=number) for number in numbers]


def later(verb):
    """Run a verb in a thread, and give what ends the wait for its answer."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(verb()))
    thread.start()

    def answer():
        thread.join(30)
        return answers[0]

    return answer


def blocks(queue):
    """Whether somebody waits for what this connection has not yet committed."""
    ask = "SELECT 1 FROM pg_locks WHERE NOT granted"
    return queue._base.rows(f"{ask} AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")


# Its locks


def test_an_agent_takes_a_lock_unless_somebody_is_in_the_way(queue):
    want, below = Want(name="path:src"), Want(name="path:src/api")
    assert queue.locks.take(want, ADA, "1-a") == []
    assert queue.locks.take(want, ADA, "2-a") == queue.locks.take(below, ADA, "2-a") == []
    (held, _) = queue.locks.held()
    assert (held.name, held.agent, held.launch, held.task) == ("path:src", ADA, "2-a", 0)
    assert [one.name for one in queue.locks.take(below, BOB, "1-b")] == ["path:src", "path:src/api"]

    queue.add([New(uid="a", job=Job(text="a", locks=(below,)))])
    assert queue.claim(claims(1, agent=BOB)) == []
    assert len(queue.claim(claims(1, agent=ADA))) == 1  # what an agent took is not in its own way
    assert not queue.locks.give("path:src", BOB)
    assert queue.locks.give("path:src", ADA)
    queue.locks.release(["3-a"])
    assert len(queue.locks.held()) == 2
    queue.locks.release(["2-a"])
    assert [one.task for one in queue.locks.held()] == [1]


def test_a_shared_lock_has_many_holders(queue):
    shared, alone = Want(name="db:x", shared=True), Want(name="db:x")
    assert queue.locks.take(shared, ADA, "1-a") == queue.locks.take(shared, BOB, "1-b") == []
    assert [one.agent for one in queue.locks.take(alone, ADA, "1-a")] == [BOB]
    queue.locks.give("db:x", BOB)
    assert queue.locks.take(alone, ADA, "1-a") == []
    assert queue.locks.take(shared, ADA, "1-a") == []
    assert [one.shared for one in queue.locks.held()] == [False]


# Its notebook


def test_facts_results_and_scores_are_kept(queue):
    book = queue.notebook
    book.note("breaker:a%", "1")
    book.note("breaker:a%", "ü")
    book.note("breakers", "3")
    assert (book.fact("breaker:a%"), book.fact("none")) == ("ü", None)
    assert book.facts("breaker:") == {"a%": "ü"}
    book.strike("breaker:a%")
    assert book.facts("breaker:") == {}

    book.keep("k", 1, "old", 5.0, 10.0)
    book.keep("k", 2, "new", 6.0, 11.0)
    assert book.cached("k", 10.0) == (2, "new", 6.0)
    assert book.cached("k", 11.0) is book.cached("other", 0.0) is None

    first = Score(agent=ADA, skill="", done=1.5, failed=0.5, seconds=3.0, at=5.0)
    second = Score(agent=ADA, skill="python")
    for one in (Score(agent=ADA, skill=""), first, second):
        book.score(one)
    assert book.scores() == {(ADA, ""): first, (ADA, "python"): second}


def test_a_schedule_fires_once_for_each_time_whoever_tries(queue, where):
    one = Schedule(
        project="p", name="n", cron="0 2 * * *", workflow="release", params={"v": "1"}, next_at=5.0
    )
    queue.notebook.put_schedule(one)
    assert queue.notebook.schedules() == [one]
    with Queue.open(where) as other:
        assert other.notebook.fire(one, 5.0, 10.0)
        assert not queue.notebook.fire(one, 5.0, 10.0)
        assert queue.notebook.schedules()[0].next_at == 10.0
        assert queue.notebook.fire(one, 10.0, 15.0)
    assert queue.notebook.drop_schedule("p", "n")
    assert not queue.notebook.drop_schedule("p", "n")


# Opening and failing


def test_a_newer_store_is_refused_and_kept(where):
    with Queue.open(where) as queue:
        queue.notebook.note("schema", "99")
    with pytest.raises(HiveError, match="by a newer hive") as caught:
        Queue.open(where)
    assert caught.value.fix == "update hive; nothing was changed"


def test_an_older_store_is_brought_up_to_date(where, monkeypatch):
    with Queue.open(where) as queue:
        queue.add([new("a")])
    step = lambda operations: operations.execute("ALTER TABLE fact ADD COLUMN more TEXT")
    monkeypatch.setitem(migrations.QUEUE, 2, step)
    monkeypatch.setattr(queue_base, "SCHEMA", 2)
    monkeypatch.setattr(queue_postgres, "SCHEMA", 2)
    with Queue.open(where) as queue:
        assert queue.notebook.fact("schema") == "2"
        assert queue._base.rows("SELECT more FROM fact") == [(None,)]
        assert queue.by_uid("a").number == 1
    copy = Path(f"{where}.schema-1")
    if not where.startswith("postgres"):
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT uid FROM task").fetchall() == [("a",)]


def test_something_else_is_no_queue(tmp_path):
    file = tmp_path / "work.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE task (x)")
    with pytest.raises(HiveError, match="not a queue of hive's"):
        Queue.open(str(file))
    file.write_bytes(b"no database " * 1000)
    with pytest.raises(HiveError, match="not a store of hive's"):
        Queue.open(str(file))


def test_a_full_disk_is_told_and_nothing_is_damaged(tmp_path):
    file = tmp_path / "work.db"
    with Queue.open(str(file)) as queue:
        (task,) = queue.add([new("a")])
        pages = queue._base.rows("PRAGMA page_count")[0][0]
        queue._base.rows(f"PRAGMA max_page_count = {pages + 4}")
        with pytest.raises(HiveError, match="the disk is full"):
            queue.add([New(uid=f"u{one}", job=Job(text="x" * 5000)) for one in range(9)])
        (leased,) = queue.claim(claims(task.number))
        big = transitions.done(leased, "x" * 90_000, "", 9.0)
        with pytest.raises(HiveError, match="the disk is full"):
            queue.change([big])
        assert queue.task(1) == leased
        queue._base.rows("PRAGMA max_page_count = 100000")
        assert queue.change([big])[0].result == "x" * 90_000
    assert check(file) is None
    assert sorted(one.name for one in tmp_path.iterdir()) == ["work.db", "work.db.lock"]


def test_a_writer_that_stands_still_is_not_waited_for_for_ever(tmp_path):
    file = tmp_path / "work.db"
    with Queue.open(str(file), patience=0.1) as queue:
        gate = os.open(f"{file}.lock", os.O_RDWR)
        fcntl.flock(gate, fcntl.LOCK_EX)
        with pytest.raises(TimedOut, match="locked by another process"):
            queue.add([new("a")])
        assert queue.counts() == {}
        fcntl.flock(gate, fcntl.LOCK_UN)
        os.close(gate)
        queue.add([new("a")])
        assert queue.counts() == {"ready": 1}


def test_what_was_written_is_on_the_disk_before_anybody_is_told_so(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("hive.adapters.storefile._sync", lambda file: synced.append(os.fstat(file)))
    file = tmp_path / "work.db"
    with Queue.open(str(file)) as queue:
        before = len(synced)
        with queue.batch():
            (one,) = queue.add([new("a")])
            queue.claim(claims(one.number))
        assert len(synced) == before + 1
        assert os.path.samestat(synced[-1], Path(f"{file}-wal").stat())

        def broken(_file):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("hive.adapters.storefile._sync", broken)
        with pytest.raises(HiveError, match="Input/output error; the last change may be lost"):
            queue.add([new("b")])


def test_a_long_log_is_worked_in_by_whoever_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr("hive.adapters.storefile.QUEUED_BYTES", 100_000)
    with Queue.open(str(tmp_path / "work.db")) as queue:
        queue.add([New(uid=f"u{one}", job=Job(text="x" * 500)) for one in range(400)])
        assert (tmp_path / "work.db-wal").stat().st_size == 0


WRITER = """
import sys
from hive.adapters.queue import Queue
from hive.core import transitions
from hive.core.tasks import Claim, Job, New
where, me = sys.argv[1:]
with Queue.open(where, patience=60) as queue:
    queue.add([New(uid=f"{me}{one}", job=Job(text="x")) for one in range(50)])
    while found := queue.claim([Claim(agent=me, launch="1", signatures=tuple(queue.signatures()))]):
        queue.change([transitions.done(one, me, "", 9.0) for one in found])
"""


def test_processes_share_it_and_nothing_is_done_twice(where):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, where, me]) for me in "ab"]
    assert [one.wait(120) for one in writers] == [0, 0]
    with Queue.open(where) as queue:
        assert queue.counts() == {"done": 100}
        assert {one.fence for one in queue.tasks()} == {1}
        assert all(len(queue.story(one)) == 3 for one in range(1, 101))


def test_only_a_url_makes_it_import_psycopg():
    code = "import sys; import hive.adapters.queue; assert 'psycopg' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# PostgreSQL


def test_what_another_is_just_taking_is_passed_by(shared):
    one, other = shared
    one.add([new("a"), new("b")])
    mine = Claim(agent=ADA, launch="1-a", signatures=tuple(one.signatures()))
    with one.batch():
        assert [task.uid for task in one.claim([mine])] == ["a"]
        assert other.claim(claims(1)) == []
        assert [task.uid for task in other.claim([mine])] == ["b"]


def test_a_lock_that_another_is_just_deciding_about_is_left_for_later(shared):
    one, other = shared
    locks = [(Want(name="path:src"),), (Want(name="path:src/api"),), (Want(name="db:x"),)]
    one.add([New(uid=str(each), job=Job(text="x", locks=each)) for each in locks])
    mine = Claim(agent=ADA, launch="1-a", signatures=tuple(one.signatures()))
    with one.batch():
        one.claim(claims(1))
        assert other.claim(claims(2)) == []
        assert [task.number for task in other.claim([mine] * 2)] == [3]
    assert other.claim(claims(2)) == []


def test_copies_that_are_handed_out_at_once_go_to_different_agents(shared):
    one, other = shared
    (group,) = one.add([New(uid="g", job=Job(text="g", kind="group"))])
    job = Job(text="x")
    one.add([New(uid=uid, job=job, parent=group.number, apart=True) for uid in "ab"])
    with one.batch():
        one.claim(claims(2))
        assert other.claim(claims(3)) == []
    assert other.claim(claims(3)) == []
    assert len(other.claim(claims(3, agent=BOB))) == 1


def test_needs_that_end_at_the_same_time_are_both_counted(shared, eventually):
    one, other = shared
    one.add([new("a"), new("b"), new("child", "a", "b")])
    first, second = one.claim(claims(1, 2))
    with one.batch():
        one.change([transitions.done(first, "", "", 9.0)])
        answer = later(lambda: other.change([transitions.done(second, "", "", 9.0)]))
        eventually(lambda: blocks(one))
    assert answer()[0].state == "done"
    assert (one.task(3).state, one.task(3).blocked) == ("ready", 0)


def test_a_need_that_is_just_ending_is_waited_for(shared, eventually):
    one, other = shared
    one.add([new("a")])
    (leased,) = one.claim(claims(1))
    with one.batch():
        one.change([transitions.done(leased, "", "", 9.0)])
        answer = later(lambda: other.add([new("child", "a")]))
        eventually(lambda: blocks(one))
    assert (answer()[0].state, answer()[0].blocked) == ("ready", 0)


def test_the_same_added_twice_at_once_is_there_once(shared, eventually):
    one, other = shared
    with one.batch():
        one.add([new("a")])
        answer = later(lambda: other.add([new("a"), new("b", "a")]))
        eventually(lambda: blocks(one))
    assert [task.uid for task in answer()] == ["a", "b"]
    assert one.counts() == {"ready": 1, "waiting": 1}


def test_a_lost_connection_is_made_anew(shared):
    one, other = shared
    one.add([new("a")])
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    end += " AND datname = current_database()"
    one._base.rows(end)
    assert other.counts() == {"ready": 1}
    one._base.rows(end)
    assert len(other.claim(claims(1))) == 1
    with pytest.raises(NotRunning, match="can't be reached"), other.batch():  # noqa: PT012
        other.add([new("b")])
        one._base.rows(end)
        other.add([new("c")])
    assert other.counts() == {"leased": 1}


def test_what_is_wrong_with_a_server_is_said_without_its_password(postgres, tmp_path):  # noqa: F811
    here = postgres.partition("?")[2]
    with pytest.raises(HiveError) as caught:
        Queue.open(f"postgresql://someone:secret@/nowhere?{here}", patience=1)
    assert caught.value.where == "postgresql://someone@/nowhere"
    assert "secret" not in str(caught.value)
    with pytest.raises(NotRunning, match="can't be reached"):
        Queue.open(f"postgresql://someone:secret@/nowhere?host={tmp_path}", patience=1)


def test_one_that_waits_too_long_for_another_is_told(postgres):  # noqa: F811
    with Queue.open(postgres) as one, Queue.open(postgres, patience=0.05) as other:
        one.add([new("a")])
        (leased,) = one.claim(claims(1))
        done = [transitions.done(leased, "", "", 9.0)]
        with one.batch():
            one.change(done)
            with pytest.raises(TimedOut, match="locked by somebody else"):
                other.change(done)
