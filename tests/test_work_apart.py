"""Work where things go wrong around it: the queue is away, agents are removed, others share it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from hive.adapters.queue import Queue
from hive.errors import HiveError
from tests.conftest import ROOT, Corner, end, eventually
from tests.postgres import cluster as _cluster
from tests.postgres import postgres as _postgres
from tests.test_work import Shop

WORKER = {"run": "hive worker", "profile": "worker"}
LOCK = {"name": "db:test", "shared": False}


def away(cluster, database, *, yes):
    """Have nobody reach a database, as where its server is stopped; or reach it again."""
    cluster._admin.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS {not yes}')
    if yes:
        ask = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        cluster._admin.execute(ask, (database,))


cluster, postgres = _cluster, _postgres


@pytest.fixture
def shared(postgres, cluster):
    """Give the URL of a database, and its name."""
    return postgres, postgres.partition(":///")[2].partition("?")[0]


def test_agents_live_on_while_the_queue_is_away(corner, shared, cluster):
    url, database = shared
    corner.env["HIVE_STORE"] = url
    corner.write({"back": {"w": WORKER}})
    corner.hive("deploy")
    shop, log = Shop(corner), corner.path / "log"
    pid, seen = shop.supervisor(), shop.me("back/w")["launch"]
    name = shop.add(f"echo begun >> {log}; while test ! -e {log}.go; do sleep 0.1; done; echo well")
    eventually(log.exists)
    later = shop.add(f"echo later >> {log}", needs=[name])
    away(cluster, database, yes=True)
    Path(f"{log}.go").touch()
    items = eventually(lambda: shop.ask("inbox")["items"])
    assert [one["kind"] for one in items] == ["work rests"]
    with pytest.raises(HiveError):
        shop.ask("tasks")
    assert corner.agent("back/w")["state"] == "working"
    away(cluster, database, yes=False)
    eventually(lambda: not shop.ask("inbox")["items"])
    assert shop.over(later)["state"] == "done"
    one = shop.task(name)
    assert (one["state"], one["attempt"]) == ("done", 1)
    assert log.read_text().split() == ["begun", "later"]
    assert (shop.supervisor(), shop.me("back/w")["launch"]) == (pid, seen)


FAKES = ROOT / "tests" / "fakes"
FAKE = {"run": str(FAKES / "tui.py"), "trust": True, "permission": "auto"}


@pytest.fixture
def words(corner):
    """Give a corner whose agents may be the fake program."""
    profiles = corner.home / ".config" / "hive" / "profiles"
    profiles.mkdir(parents=True)
    shutil.copy(FAKES / "profiles" / "fake.toml", profiles)
    return corner


def test_what_an_agent_had_that_is_removed_or_stopped_goes_to_another(words):
    words.write({"a": {"dev": FAKE, "w": WORKER}})
    words.hive("deploy")
    shop = Shop(words)
    asked = shop.add("Do it", kind="prompt")
    ran = shop.add("test $HIVE_FENCE -gt 1 || sleep 300")
    assert shop.had(asked) == "a/dev"
    assert shop.had(ran) == "a/w"
    words.write({"b": {"dev": FAKE, "w": WORKER}})
    words.hive("deploy")
    assert eventually(lambda: (had := shop.had(asked)) == "b/dev" and had)
    assert shop.over(ran)["agent"] == "b/w"
    assert shop.task(asked)["attempt"] == 1
    shop.ask("stop", names=["b/dev"])
    one = shop.until(asked, "ready")
    assert (one["attempt"], one["fence"], one["failures"]) == (0, 2, [])


def test_two_hives_share_a_queue_and_leave_each_others_work_alone(corner, shared):
    (corner.path / "two").mkdir()
    other = Corner(corner.path / "two")
    try:
        shops = []
        for one, project in ((corner, "Task"), (other, "Other")):
            one.env["HIVE_STORE"] = shared[0]
            one.write({"back": {"w": WORKER}}, project=project, work={"lease": "2s"})
            one.hive("deploy")
            shops.append(Shop(one))
        mine, theirs = shops
        assert mine.ask("lock", name="db:test", me=mine.me("back/w"))["held"]
        first = mine.add("sleep 300", project="Task", retries=1, backoff=60.0)
        second = theirs.add("echo $HIVE_AGENT", project="Other", locks=[LOCK])
        third = theirs.add("echo $HIVE_AGENT", project="Other", cache=60.0, cache_files=True)
        assert "Other/back/w" in theirs.over(third)["result"]
        assert mine.had(first) == "back/w"
        mine.ask("unlock", name="db:test", me=mine.me("back/w"))
        assert "Other/back/w" in theirs.over(second)["result"]
        end(corner.processes)
        one = theirs.until(first, "failed")
        assert "nobody has renewed its lease" in one["failures"][0]
    finally:
        other.close()


def test_one_bad_task_stops_no_other(corner):
    corner.write({"back": {"w": WORKER}})
    corner.hive("deploy")
    shop = Shop(corner)
    killed = shop.add("true", check="kill -9 $$")
    missing = shop.add("true", check="true", directory="nowhere")
    good = shop.add("true", check="true")
    assert shop.over(good)["state"] == "done"
    assert "its check failed" in shop.over(killed)["failures"][0]
    assert shop.over(missing)["state"] == "dead"


def test_a_result_is_used_again_until_what_its_directory_holds_is_another(corner):
    (corner.path / "src").mkdir()
    corner.write({"back": {"w": WORKER}})
    corner.hive("deploy")
    shop, log = Shop(corner), corner.path / "log"
    job = {"directory": "src", "cache": 3600.0, "cache_files": True}
    first = shop.add(f"echo x >> {log}", **job)
    assert shop.over(first)["state"] == "done"
    again = shop.over(shop.add(f"echo x >> {log}", **job))
    assert (again["state"], again["agent"]) == ("done", None)
    (corner.path / "src" / "more").touch()
    eventually(lambda: shop.over(shop.add(f"echo x >> {log}", **job))["agent"], pause=1)
    assert log.read_text().split() == ["x", "x"]


def test_two_agents_that_wait_for_each_other_are_told_and_one_goes_on(corner):
    corner.write({"back": {"w": {**WORKER, "count": 2}}})
    corner.hive("deploy")
    shop = Shop(corner)
    one, two = (eventually(lambda name=name: shop.me(name)) for name in ("back/w-1", "back/w-2"))
    assert shop.ask("lock", name="port:1", me=one)["held"]
    assert shop.ask("lock", name="port:2", me=two)["held"]
    told = shop.ask("lock", name="port:2", me=one)
    assert (told["held"], told["by"]) == (False, "back/w-2")
    with pytest.raises(HiveError, match="port:1"):  # the youngest wait is the victim
        shop.ask("lock", name="port:1", me=two)
    assert [each["who"] for each in shop.ask("locks")["waits"]] == ["back/w-1"]
    shop.ask("unlock", name="port:2", me=two)
    assert shop.ask("lock", name="port:2", me=one)["held"]
    corner.hive("stop", "back/w-1")
    assert eventually(lambda: shop.ask("lock", name="port:2", me=two)["held"])


def test_a_breaker_opens_is_told_and_closes_after_a_probe(corner):
    corner.write({"back": {"w": WORKER}})
    corner.hive("deploy")
    shop, flag = Shop(corner), corner.path / "flag"
    names = [shop.add(f"test -e {flag}") for _ in range(6)]
    assert [shop.over(name)["state"] for name in names[:5]] == ["dead"] * 5
    found = eventually(
        lambda: [one for one in shop.ask("inbox")["items"] if one["kind"] == "open breaker"]
    )
    assert {one["agent"] for one in found} == {"back/w", "a command"}
    assert "5 failures in a row" in eventually(lambda: shop.task(names[5])["reason"])
    flag.touch()
    with Queue.open(str(corner.state / "work.db")) as queue:  # as if a minute had passed
        facts = queue.notebook.facts("breaker:")
        for name, text in facts.items():
            queue.notebook.note(f"breaker:{name}", json.dumps(json.loads(text) | {"until": 1.0}))
    os.kill(shop.supervisor(), signal.SIGKILL)
    assert shop.over(names[5])["state"] == "done"
    assert not [one for one in shop.ask("inbox")["items"] if one["kind"] == "open breaker"]
