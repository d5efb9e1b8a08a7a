from __future__ import annotations

import json
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import text

from hive.adapters.migrations import migrate
from hive.adapters.schema import SCHEMA
from hive.adapters.store import Death, Record, Store
from hive.adapters.storefile import StoreFile
from hive.core.world import Holding, State, TeamMemory
from hive.errors import HiveError

ADA = "task/web/ada"

FIRST = """
CREATE TABLE fact (key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key));
CREATE TABLE agent (
    agent TEXT NOT NULL, spec TEXT, up BOOLEAN, removed BOOLEAN, generation INTEGER, why TEXT,
    state TEXT CHECK (state IN ('starting', 'ready', 'backing-off', 'failed', 'stopping',
        'stopped')),
    memory TEXT, written FLOAT, version INTEGER DEFAULT '0' NOT NULL, PRIMARY KEY (agent)
);
CREATE TABLE team (
    team TEXT NOT NULL, held BOOLEAN NOT NULL, since FLOAT NOT NULL, restarts TEXT NOT NULL,
    version INTEGER NOT NULL, PRIMARY KEY (team)
);
CREATE TABLE event (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, at FLOAT NOT NULL, agent TEXT NOT NULL,
    kind TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX event_of_agent ON event (agent, id);
CREATE TABLE death (
    id INTEGER NOT NULL, at FLOAT NOT NULL, agent TEXT NOT NULL, launch TEXT NOT NULL,
    code INTEGER, cause TEXT NOT NULL, asked BOOLEAN NOT NULL, next TEXT NOT NULL,
    restarts INTEGER NOT NULL, ran FLOAT NOT NULL, screen TEXT NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX death_of_agent ON death (agent, id);
"""

SPEC = {
    "project": "task",
    "team": "web",
    "name": "ada",
    "role": "dev",
    "session": "task-web",
    "window": "ada",
    "argv": ["run", "--it"],
    "directory": "/tmp",
    "stop": {"signal": "INT", "keys": [], "grace": 3.0},
}
MEMORY = {"reason": "it answers", "since": 5.0, "launch": "l2", "deaths": [1.0], "restarts": 1}
OLD = Death(
    agent=ADA,
    at=1.0,
    launch="l1",
    code=-9,
    cause="killed",
    asked=False,
    next="restarted",
    restarts=1,
    ran=2.5,
    screen="a\nb",
)


@pytest.fixture
def path(tmp_path):
    """Give a store of schema 1 with a row in each table."""
    file = tmp_path / "hive.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(FIRST)
        insert = "INSERT INTO agent VALUES (?, ?, 1, 0, 4, 'me', 'ready', ?, 6.0, 7)"
        connection.execute(insert, (ADA, json.dumps(SPEC), json.dumps(MEMORY)))
        connection.execute("INSERT INTO team VALUES ('task/web', 1, 3.0, '[1.0, 2.0]', 2)")
        connection.execute("INSERT INTO event VALUES (41, 1.0, ?, 'died', 'killed')", (ADA,))
        insert = (
            "INSERT INTO death VALUES (9, 1.0, ?, 'l1', -9, 'killed', 0, 'restarted', 1, 2.5, ?)"
        )
        connection.execute(insert, (ADA, "a\nb"))
        connection.execute("INSERT INTO fact VALUES ('schema', '1'), ('boot', 'b1')")
        connection.commit()
    file.chmod(0o600)
    return file


def ask(path, question):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()


def columns(path):
    return [row[1] for row in ask(path, "PRAGMA table_info(death)")]


def holds_all(path):
    """Check that what the first hive knew is there."""
    with Store.open(path, patience=60) as store:
        wanted = store.wanted()[ADA]
        assert (wanted.generation, wanted.why, wanted.agent.argv) == (4, "me", ("run", "--it"))
        memory = store.memory()[ADA]
        assert (memory.state, memory.deaths, memory.version) == (State.READY, (1.0,), 7)
        team = TeamMemory(team="task/web", restarts=(1.0, 2.0), held=True, since=3.0, version=2)
        assert store.teams() == {"task/web": team}
        assert [(one.id, one.text) for one in store.events()] == [(41, "killed")]
        assert store.deaths(ADA) == [OLD]
        assert (store.fact("boot"), store.fact("schema")) == ("b1", str(SCHEMA))


def test_an_older_store_is_brought_up_to_date_and_a_copy_stays(path):
    holds_all(path)
    holds_all(path)
    copy = path.with_name("hive.db.schema-1")
    assert sorted(one.name for one in path.parent.iterdir()) == ["hive.db", copy.name]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert ask(copy, "SELECT value FROM fact WHERE key = 'schema'") == [("1",)]
    assert ask(copy, "SELECT cause FROM death") == [("killed",)]
    assert "largest" not in columns(copy)


@pytest.mark.parametrize("number", range(2, SCHEMA))
def test_every_schema_there_was_is_brought_up_to_date(path, number):
    file = StoreFile(path)
    with file.writing() as connection:
        migrate(connection, 1, number)
        change = text("UPDATE fact SET value = :number WHERE key = 'schema'")
        connection.execute(change, {"number": str(number)})
    file.close()
    holds_all(path)
    assert path.with_name(f"hive.db.schema-{number}").exists()


def test_the_updated_store_keeps_what_is_new(path):
    hog = Holding(pid=7, name="node é", bytes=1 << 40)
    new = replace(OLD, launch="l2", largest=(hog, replace(hog, pid=8)))
    with Store.open(path) as store:
        store.record([Record(death=new)], 9.0)
        assert store.deaths(ADA) == [new, OLD]


def test_the_copy_can_take_the_stores_place_again(path):
    holds_all(path)
    path.with_name("hive.db.schema-1").replace(path)
    holds_all(path)


def test_an_updated_store_is_made_like_a_new_one(path, tmp_path):
    Store.open(path).close()
    Store.open(tmp_path / "new.db").close()
    told = 'SELECT m.name, c.name, c.type, c."notnull", c.pk FROM sqlite_master m'
    told += " JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.cid"
    assert ask(path, told) == ask(tmp_path / "new.db", told)
    indexed = "SELECT m.name, m.tbl_name, c.name FROM sqlite_master m"
    indexed += " JOIN pragma_index_info(m.name) c WHERE m.type = 'index' ORDER BY m.name, c.seqno"
    assert ask(path, indexed) == ask(tmp_path / "new.db", indexed)


def test_the_updated_store_keeps_a_journal_beside_the_old_events(path):
    with Store.open(path) as store:
        assert store.journal.keep_screen(ADA, 2.0, "died", "$ ")
        kept = store.journal.hand_off(3.0, ADA, "task/web/bob", {"note": "see README"})
    with Store.open(path) as store:
        assert [one.text for one in store.between(0.0, 1.0)] == ["killed"]
        assert store.ends(0.0, 1.0, [ADA]) == [OLD]
        assert store.journal.handoffs() == [kept]
        assert [one.text for one in store.journal.screens()] == ["$"]
        assert store.journal.latest() == {}


OPEN = """
import sys
from pathlib import Path
from hive.adapters.store import Store
sys.stdin.read()
Store.open(Path(sys.argv[1]), patience=60).close()
"""


def test_processes_that_open_an_older_store_at_once_update_it_once(path):
    opened = [
        subprocess.Popen([sys.executable, "-c", OPEN, path], stdin=subprocess.PIPE)
        for _ in range(3)
    ]
    for one in opened:
        one.stdin.close()
    assert [one.wait(120) for one in opened] == [0, 0, 0]
    assert columns(path).count("largest") == 1
    assert "largest" not in columns(path.with_name("hive.db.schema-1"))
    holds_all(path)


DIE = """
import os, signal, sys
from pathlib import Path
from hive.adapters import migrations
from hive.adapters.store import Store
step = migrations._STEPS[2]
def last(operations):
    step(operations)
    os.kill(os.getpid(), signal.SIGKILL)
migrations._STEPS[2] = last
Store.open(Path(sys.argv[1]))
"""


def test_an_update_that_was_killed_is_made_again_from_the_start(path):
    done = subprocess.run([sys.executable, "-c", DIE, path], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert "largest" not in columns(path)
    holds_all(path)


def test_where_no_copy_can_be_made_nothing_is_changed(path):
    copy = path.with_name("hive.db.schema-1")
    copy.mkdir()
    with pytest.raises(HiveError) as caught:
        Store.open(path)
    assert caught.value.where == str(copy)
    assert "largest" not in columns(path)
    copy.rmdir()
    holds_all(path)
