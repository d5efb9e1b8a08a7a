"""Work on real agents: who gets which task, and that nothing is lost, doubled or left behind.

One team of workers serves all of it; what an agent of words says is said in its name.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from hive.adapters import seal
from hive.adapters.channel import ask
from hive.adapters.store import Store
from hive.errors import HiveError
from tests.conftest import ROOT, Corner, _remove, eventually
from tests.postgres import cluster, postgres  # noqa: F401 - fixtures

FAKES = ROOT / "tests" / "fakes"

OVER = {"done", "dead", "cancelled", "held"}


class Shop:
    """A deployed team, and its verbs."""

    def __init__(self, corner):
        self.corner = corner
        self.path = corner.path

    def ask(self, verb, **args):
        return eventually(lambda: self._tried(verb, args))

    def _tried(self, verb, args):
        """Ask, also while the supervisor is started again; an empty answer is given as None."""
        try:
            return ask(str(self.corner.state / "hive.sock"), verb, args, timeout=20) or {"": None}
        except HiveError as error:
            if "no supervisor" in str(error) or "answer" in str(error):
                return None
            raise

    def add(self, text, *, needs=(), idem="", **job):
        one = {"job": {"text": text, "kind": "run", "retries": 0, "backoff": 0.1, **job}}
        one |= {"uid": uuid4().hex, "needs": list(needs), "idem": idem}
        return self.ask("add_tasks", tasks=[one])["tasks"][0]["task"]

    def prompt(self, words, **job):
        """Add a prompt that has the fake program run this."""
        return self.add(f"FAKE:sh {words} ;; FAKE:text so be it ;;", kind="prompt", **job)

    def task(self, name):
        return self.ask("task", name=name)["task"]

    def until(self, name, *states):
        def found():
            one = self.task(name)
            return one if one["state"] in states else None

        return eventually(found, pause=0.02)

    def over(self, name):
        return self.until(name, *OVER)

    def had(self, name):
        """Give who has a task, once it was delivered."""
        return eventually(lambda: one["agent"] if (one := self.task(name))["delivered"] else None)

    def said_to(self, agent):
        with Store.open(self.corner.state / "hive.db") as store:
            return [one.text for one in store.post.messages(agent=f"Task/{agent}", limit=1000)]

    def me(self, agent):
        """Give what proves that the agent of this name speaks."""
        name = f"Task/{agent}"
        with Store.open(self.corner.state / "hive.db") as store:
            launch = store.memory()[name].launch
        return {"agent": name, "launch": launch, "seal": seal.seal(self.corner.state, name, launch)}

    def supervisor(self):
        return self.ask("ping")["pid"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = Path(tempfile.mkdtemp(dir=os.environ["TEST_FOLDER"], prefix=""))
    corner = Corner(path)
    profiles = corner.home / ".config" / "hive" / "profiles"
    profiles.mkdir(parents=True)
    shutil.copy(FAKES / "profiles" / "fake.toml", profiles)
    worker = {"run": "hive worker", "profile": "worker", "count": 2, "role": "worker"}
    fake = {"run": str(FAKES / "tui.py"), "trust": True, "permission": "auto"}
    corner.write(
        {
            "back": {"w": {**worker, "skills": ["make"]}},
            "words": {
                "dev": {**fake, "count": 2, "skills": ["python"]},
                "judge": {**fake, "role": "reviewer"},
            },
        }
    )
    corner.hive("deploy")
    yield Shop(corner)
    corner.close()
    _remove(path)


def test_a_command_is_run_once_and_knows_for_which_task(shop):
    log = shop.path / "once"
    name = shop.add(f"echo $HIVE_TASK $HIVE_FENCE $HIVE_LEASE >> {log}; echo said")
    one = shop.over(name)
    assert (one["state"], one["outcome"], one["attempt"]) == ("done", "done", 1)
    assert "exit code 0" in one["result"]
    assert log.read_text() == f"{name} 1 {name}-1\n"


def test_what_fails_is_tried_again_and_then_a_dead_letter_with_every_reason(shop):
    log = shop.path / "again"
    name = shop.add(f"echo $HIVE_FENCE >> {log}; exit 3", retries=2)
    one = shop.over(name)
    assert (one["state"], one["attempt"]) == ("dead", 3)
    assert [why.split("\n")[0] for why in one["failures"]] == ["exit code 3"] * 3
    assert log.read_text().split() == ["1", "2", "3"]
    assert name in [each["task"] for each in shop.ask("dead")["tasks"]]


def test_a_check_decides(shop):
    good = shop.add("touch proof", check="test -e proof")
    bad = shop.add("true", check="echo it is not there; test -e nothing")
    assert shop.over(good)["state"] == "done"
    one = shop.over(bad)
    assert one["state"] == "dead"
    assert "it is not there" in one["failures"][0]


def test_what_needs_another_waits_for_it(shop):
    log = shop.path / "order"
    first = shop.add(f"sleep 0.2; echo 1 >> {log}")
    second = shop.add(f"echo 2 >> {log}", needs=[first])
    assert shop.over(second)["state"] == "done"
    assert log.read_text().split() == ["1", "2"]


def test_no_two_hold_what_one_alone_may_have(shop):
    log = shop.path / "locks"
    command = f"echo + >> {log}; sleep 0.1; echo - >> {log}"
    locks = [{"name": "path:src", "shared": False}], [{"name": "path:src/api", "shared": False}]
    names = [shop.add(command, locks=locks[number % 2]) for number in range(4)]
    assert [shop.over(name)["state"] for name in names] == ["done"] * 4
    assert log.read_text().split() == ["+", "-"] * 4
    assert not shop.ask("locks")["locks"]


def test_the_same_key_is_the_same_task(shop):
    name = shop.add("true", idem="once-only")
    assert shop.add("false", idem="once-only") == name


def test_a_command_that_is_cancelled_is_ended(shop):
    name = shop.add("sleep 300 & echo $! > pid; wait", title="long")
    eventually(lambda: (shop.path / "pid").exists() and (shop.path / "pid").read_text().strip())
    shop.ask("cancel_tasks", names=[name], why="no more")
    one = shop.over(name)
    assert one["state"] == "cancelled"
    assert "no more" in one["reason"]
    pid = int((shop.path / "pid").read_text())
    eventually(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))


def _is_zombie(pid):
    return " Z " in Path(f"/proc/{pid}/stat").read_text()


def test_what_runs_goes_on_while_the_supervisor_is_killed(shop):
    log = shop.path / "killed"
    name = shop.add(f"echo begun >> {log}; sleep 1; echo ended >> {log}")
    eventually(log.exists)
    os.kill(shop.supervisor(), signal.SIGKILL)
    one = shop.over(name)
    assert (one["state"], one["attempt"], one["fence"]) == ("done", 1, 1)
    assert log.read_text().split() == ["begun", "ended"]


def test_what_a_killed_worker_had_goes_to_another(shop):
    log = shop.path / "moved"
    name = shop.add(f"echo $PPID >> {log}; test $HIVE_FENCE -gt 1 || sleep 300", retries=1)
    eventually(lambda: log.exists() and log.read_text())
    os.kill(int(log.read_text()), signal.SIGKILL)
    one = shop.over(name)
    assert (one["state"], one["fence"]) == ("done", 2)
    assert "ended while it had it" in one["failures"][0]


def test_who_can_not_have_a_task_is_said(shop):
    name = shop.add("true", skills=["juggling"])
    eventually(lambda: "juggling" in shop.task(name)["reason"])
    record = shop.ask("task", name=name)
    assert {one["agent"] for one in record["agents"]} >= {"back/w-1", "back/w-2"}
    assert all(one["why"] for one in record["agents"])
    shop.ask("cancel_tasks", names=[name])
    assert shop.over(name)["state"] == "cancelled"


def test_a_late_answer_is_refused(shop):
    name = shop.add("sleep 0.1")
    assert shop.over(name)["state"] == "done"
    agent = shop.task(name)["agent"]
    with pytest.raises(HiveError, match="is done already"):
        shop.ask("task_fail", name=name, why="late", me=shop.me(agent), fence=1)
    other = {"back/w-1": "back/w-2", "back/w-2": "back/w-1"}[agent]
    with pytest.raises(HiveError, match="is not yours any more"):
        shop.ask("task_done", name=name, result="", me=shop.me(other), fence=1)


def test_a_task_that_takes_too_long_is_ended(shop):
    name = shop.add("sleep 300", timeout=0.5)
    one = shop.over(name)
    assert one["state"] == "dead"
    assert "took longer than" in one["failures"][0]


def test_what_was_done_before_is_not_done_again(shop):
    log = shop.path / "cached"
    first = shop.add(f"echo x >> {log}", cache=3600.0)
    assert shop.over(first)["state"] == "done"
    second = shop.over(shop.add(f"echo x >> {log}", cache=3600.0))
    assert (second["state"], second["agent"]) == ("done", None)
    assert first in second["reason"]
    assert log.read_text() == "x\n"


def done(*, sure="0.95", result="well"):
    return f"hive task done --result {result} --confidence {sure}"


def test_a_prompt_is_done_when_its_agent_is_sure(shop):
    one = shop.over(shop.prompt(done(), role="dev", skills=["python"]))
    assert (one["state"], one["result"], one["confidence"]) == ("done", "well", 0.95)
    assert one["agent"].startswith("words/dev")


def test_what_its_agent_is_hardly_sure_of_waits_for_a_person(shop):
    name = shop.prompt(done(sure="0.5"), role="dev")
    one = shop.over(name)
    assert (one["state"], one["report"]["text"]) == ("held", "well")
    assert "0.5" in one["reason"]
    assert name in [item["id"] for item in shop.ask("inbox")["items"]]
    shop.ask("release_tasks", names=[name])
    assert shop.over(name)["outcome"] == "done"


def test_what_its_agent_is_fairly_sure_of_is_reviewed(shop):
    name = shop.add("Do it well", kind="prompt", role="dev")
    shop.ask("task_done", name=name, result="well", confidence=0.75, me=shop.me(shop.had(name)))
    review = eventually(
        lambda: [one for one in shop.ask("tasks", limit=500)["tasks"] if one["parent"] == name]
    )[0]["task"]
    assert shop.had(review) == "words/judge"
    me = shop.me("words/judge")
    shop.ask("task_done", name=review, result="approve: it is fine", me=me)
    assert shop.over(name)["outcome"] == "done"


def test_a_failed_check_goes_back_to_the_agent_with_what_it_said(shop):
    flag = shop.path / "flag"
    words = f"test -e {flag}.1 && touch {flag}.2; touch {flag}.1; {done()}"
    name = shop.prompt(words, role="dev", check=f"echo nothing yet; test -e {flag}.2")
    eventually(lambda: shop.task(name)["rounds"] == 1)
    agent = shop.task(name)["agent"]
    eventually(lambda: any("nothing yet" in text for text in shop.said_to(agent)))
    Path(f"{flag}.2").touch()
    shop.ask("task_done", name=name, result="now", me=shop.me(agent))
    one = shop.over(name)
    assert (one["state"], one["attempt"], one["fence"]) == ("done", 1, 1)


def test_a_task_that_is_split_waits_for_its_parts_and_gets_what_they_said(shop):
    name = shop.add("Do it all", kind="prompt", role="dev")
    agent = shop.had(name)
    parts = [f"FAKE:sh {done(result=word)} ;;" for word in ("ham", "eggs")]
    made = shop.ask("split_task", name=name, parts=parts, me=shop.me(agent), uid=uuid4().hex)
    assert [shop.over(one)["outcome"] for one in made["parts"]] == ["done", "done"]
    one = eventually(lambda: it if (it := shop.task(name))["delivered"] else None)
    assert "ham" in one["text"]
    assert "eggs" in one["text"]
    shop.ask("task_done", name=name, result="all", me=shop.me(one["agent"]))
    assert shop.over(name)["result"] == "all"


def test_agents_are_asked_for_a_decision(shop):
    one = shop.ask("propose", question="merge?", voters=["dev"], quorum="2/2", uid=uuid4().hex)
    name = one["task"]["task"]
    votes = [each["task"] for each in one["needs"]]
    assert len(votes) == 2
    for vote in votes:
        agent = eventually(
            lambda vote=vote: shop.task(vote)["delivered"] and shop.task(vote)["agent"]
        )
        shop.ask("task_done", name=vote, result="approve", me=shop.me(agent))
    assert shop.over(name)["result"] == "approve"


def test_a_message_answered_twice_under_one_id_is_answered_once(shop):
    sent = shop.ask("send", names=["words/dev-1"], text="FAKE:text well;;")["messages"][0]
    name = sent["message"]
    eventually(lambda: shop.ask("message", name=name)["message"]["submitted"])
    told = {"name": name, "result": "did it", "me": shop.me("words/dev-1")}
    uid = uuid4().hex
    assert shop.ask("task_done", **told, uid=uid) == {"task": sent["message"]}
    assert shop.ask("task_done", **told, uid=uid) == {"task": sent["message"]}


def test_independent_answers_are_outvoted_and_named(shop):
    group = shop.add("What is it?", kind="prompt", role="dev", replicas=2, agree=2)
    copies = [one["task"] for one in shop.ask("task", name=group)["needs"]]
    for copy, answer in zip(copies, ("six", "seven"), strict=True):
        shop.ask("task_done", name=copy, result=answer, me=shop.me(shop.had(copy)))
    one = shop.over(group)
    assert one["state"] == "dead"
    assert {shop.task(copy)["agent"] for copy in copies} == {"words/dev-1", "words/dev-2"}


def test_the_work_may_lie_in_postgresql(corner, postgres):  # noqa: F811 - the fixture
    corner.env["HIVE_STORE"] = postgres
    corner.write({"back": {"w": {"run": "hive worker", "profile": "worker"}}})
    corner.hive("deploy")
    shop = Shop(corner)
    log = corner.path / "log"
    first = shop.add(f"sleep 0.5; echo one >> {log}", locks=[{"name": "db:test", "shared": False}])
    second = shop.add(f"echo two >> {log}", needs=[first])
    eventually(lambda: shop.task(first)["state"] == "leased")
    os.kill(shop.supervisor(), signal.SIGKILL)
    assert shop.over(second)["state"] == "done"
    assert log.read_text().split() == ["one", "two"]
    assert not (corner.state / "work.db").exists()
    del corner.env["HIVE_STORE"]
    corner.hive("stop-all")
    told = corner.json("task", "list", "--all")
    assert [one["state"] for one in told["tasks"]] == ["done", "done"]
    corner.env["HIVE_STORE"] = f"{postgres}&application_name=other"
    assert "lies elsewhere already" in corner.hive("deploy", code=2)
