"""The yard with real git repositories: what is wanted goes in, worktrees come of it."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from hive import screen_yard, yardwork
from hive.adapters.git import git
from hive.adapters.state import State as Place
from hive.adapters.store import Store
from hive.core.rhythm import Plot
from hive.core.spec import Agent
from hive.core.world import Memory, State, Wanted
from hive.errors import HiveError, WrongInput
from hive.yard import VERBS, Around, Yard
from tests.conftest import eventually

ME = ("-c", "user.name=me", "-c", "user.email=me@x")
DEV, QA = "p/t/dev", "p/t/qa"


class Farm:
    """A repository, two agents that are to have worktrees of it, and the yard of both."""

    def __init__(self, path: Path, made: Path) -> None:
        self.path, self.repo, self.now = path, path / "repo", 1_000_000.0
        shutil.copytree(made, self.repo)
        self.place = Place(path / "state")
        self.place.prepare()
        self.store = Store.open(self.place.db)
        self.checks = {}
        self.at_work = {}
        self.wanted = {}
        self.memory = {}
        for name in ("dev", "qa"):
            self.want(name)
        self.yard = self.open()

    def open(self):
        around = Around(
            environ=lambda _project: {
                "PATH": os.environ["PATH"],
                "TEST_RUN": os.environ["TEST_RUN"],
            },
            check=lambda agent: self.checks.get(agent, ""),
            busy=lambda agent: self.at_work.get(agent, ""),
        )
        return Yard(self.place, self.store, lambda: self.now, around)

    def again(self):
        """Have another hive begin where this one was killed."""
        self.yard.close()
        self.yard = self.open()

    def want(self, name, *, up=True, removed=False, generation=1, **plot):
        own = self.path / "state" / "worktrees" / "p" / "t" / name
        one = Plot(repo=str(self.repo), path=str(own), branch=f"hive/t/{name}", **plot)
        agent = Agent(
            project="p", team="t", name=name, role="dev", session="p-t", window=name,
            argv=("sh",), directory=str(own), env=(("PORT", "4001"),), plot=one,
        )  # fmt: skip
        self.wanted[agent.id] = Wanted(agent=agent, up=up, removed=removed, generation=generation)

    def live(self, agent):
        self.memory[agent] = Memory(agent=agent, state=State.READY, launch="l", began=1.0)

    def git(self, *words, where=None):
        return git([*ME, *words], str(where or self.repo))

    def commit(self, subject, where=None):
        self.git("add", "-A", where=where)
        self.git("commit", "-q", "-m", subject, where=where)
        return self.git("rev-parse", "HEAD", where=where).strip()

    def own(self, name="dev"):
        return self.path / "state" / "worktrees" / "p" / "t" / name

    def worked(self, name="dev", file="b.txt", text="work\n"):
        (self.own(name) / file).write_text(text)
        return self.commit(f"{name}: {file}", where=self.own(name))

    def step(self):
        self.yard.step(self.wanted, self.memory, self.now)
        select.select([self.yard.fileno()], [], [], 0.05)
        self.yard.read()

    def until(self, condition):
        def look():
            self.step()
            return condition()

        return eventually(look, pause=0.0)

    def ready(self):
        self.until(lambda: not self.yard.unready)

    def done(self, answer):
        """Wait for a job, and give what came of it."""

        def over():
            return self.yard.worktree_job(answer["job"])["state"] in {"done", "failed"}

        self.until(over)
        return self.yard.worktree_job(answer["job"])

    def listed(self, *names):
        found = self.done(self.yard.worktrees(names))["result"]["worktrees"]
        return {one["agent"]: one for one in found}

    def told(self):
        return [one.text for one in self.yard.news]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made")
    git(["init", "-q", "-b", "main"], str(path))
    (path / "a.txt").write_text("one\n")
    git(["add", "-A"], str(path))
    git([*ME, "commit", "-q", "-m", "first"], str(path))
    return path


@pytest.fixture
def farm(tmp_path, made):
    one = Farm(tmp_path, made)
    yield one
    one.yard.close()
    one.store.close()


def shown(drawn):
    console = Console(width=80)
    with console.capture() as text:
        console.print(drawn)
    assert all(len(line) <= 80 for line in text.get().splitlines())
    return text.get()


def test_worktrees_are_made_before_agents_start(farm):
    farm.want("gone", up=False)
    farm.yard.step(farm.wanted, farm.memory, farm.now)
    assert farm.yard.unready.keys() == {DEV, QA}
    farm.ready()
    assert (farm.own("dev") / "a.txt").exists() and (farm.own("qa") / "a.txt").exists()
    assert not farm.own("gone").exists()
    told = {f"its worktree is ready: {farm.own(one)}" for one in ("dev", "qa")}
    assert set(farm.told()) == told
    subprocess.run(["rm", "-rf", str(farm.own("qa"))], check=True)
    farm.ready()
    farm.until((farm.own("qa") / "a.txt").exists)


def test_how_far_a_setup_is_is_said_and_a_stop_ends_it(farm):
    farm.want("dev", setup="echo building $((3 + 4)) of 9; sleep 6307")
    farm.until(lambda: "building 7 of 9" in farm.yard.unready.get(DEV, ""))
    farm.now += 12
    assert farm.yard.unready[DEV] == "being made, 12s: building 7 of 9"
    farm.want("dev", up=False, setup="echo building $((3 + 4)) of 9; sleep 6307")
    farm.until(lambda: not farm.yard.unready)
    eventually(lambda: "sleep 6307" not in subprocess.check_output(["ps", "ax"], text=True))
    assert farm.yard.items() == []


def test_a_setup_that_fails_waits_for_a_person_and_a_start_tries_again(farm):
    farm.want("dev", setup="echo no network; test -e ok")
    farm.until(farm.yard.items)
    (one,) = farm.yard.items()
    assert (one["id"], one["kind"], one["answer"]) == ("t/dev", "worktree", "hive start t/dev")
    assert "exit code 1: no network" in one["why"]
    assert farm.yard.unready[DEV].endswith("`hive start t/dev` tries again")
    assert "\n" not in farm.yard.unready[DEV]
    for _ in range(3):
        farm.step()
    assert len(farm.yard.items()) == 1
    (farm.own() / "ok").touch()
    farm.want("dev", generation=2, setup="echo no network; test -e ok")
    farm.ready()
    assert farm.yard.items() == []


def test_a_setup_that_failed_is_tried_again_when_that_is_asked_for(farm):
    farm.want("dev", setup="test -e ok")
    farm.until(farm.yard.items)
    (farm.own() / "ok").touch()
    farm.yard.retry([DEV])
    farm.ready()


def test_a_new_hive_adopts_worktrees_and_tells_nothing_of_it(farm):
    farm.ready()
    farm.again()
    farm.yard.step(farm.wanted, farm.memory, farm.now)
    assert farm.yard.unready.keys() == {DEV, QA}
    farm.ready()
    assert farm.told() == []


def test_a_setup_that_changed_waits_until_the_agent_runs_no_more(farm):
    farm.ready()
    farm.live(DEV)
    farm.want("dev", setup="touch done")
    for _ in range(5):
        farm.step()
    assert not (farm.own() / "done").exists() and DEV in farm.yard.unready
    farm.memory[DEV] = Memory(agent=DEV)
    farm.ready()
    assert (farm.own() / "done").exists()


# agents that are gone


def test_the_worktree_of_a_removed_agent_goes_once_nothing_is_lost_with_it(farm):
    farm.want("dev", setup="true", teardown="touch ../torn")
    farm.ready()
    farm.worked()
    farm.live(DEV)
    farm.want("dev", removed=True, up=False)
    farm.step()
    assert farm.own().exists()
    del farm.memory[DEV], farm.wanted[DEV]
    farm.until(lambda: any("stays" in one for one in farm.told()))
    one = farm.listed("t/dev")["t/dev"]
    assert one["wanted"] == "removed" and "1 commit" in one["stays"]
    assert [commit["subject"] for commit in one["commits"]] == ["dev: b.txt"]
    farm.again()
    farm.git("merge", "-q", "hive/t/dev")
    farm.until(lambda: not farm.own().exists())
    farm.until(lambda: any("dropped" in one for one in farm.told()))
    assert (farm.own().parent / "torn").exists()
    assert farm.listed().keys() == {"t/qa"}


def test_an_agent_that_moves_out_leaves_its_worktree_first(farm):
    farm.ready()
    farm.live(DEV)
    spec = replace(farm.wanted[DEV].agent, plot=None, directory=str(farm.repo))
    farm.wanted[DEV] = Wanted(agent=spec, generation=2)
    for _ in range(3):
        farm.step()
    assert farm.own().exists()
    farm.memory[DEV] = replace(farm.memory[DEV], generation=2)
    farm.until(lambda: not farm.own().exists())


# verbs


def test_worktrees_are_listed_with_what_is_in_them(farm):
    farm.ready()
    farm.worked()
    (farm.own("qa") / "new").write_text("x")
    known = farm.yard.worktrees()
    assert [one["state"] for one in known["worktrees"]] == [None, None]
    farm.done(known)
    found = farm.listed()
    dev, qa = found["t/dev"], found["t/qa"]
    assert (dev["state"], dev["into"], dev["unmerged"], dev["wanted"]) == ("ready", "main", 1, "up")
    assert qa["uncommitted"] == ["new"] and qa["lost"] == "1 file (new) not committed"
    text = shown(screen_yard.listing({"worktrees": list(found.values())}))
    assert "1 commit not merged into main" in text and "1 file not committed" in text
    assert "dev: b.txt" in shown(screen_yard.lost(dev))
    with pytest.raises(WrongInput, match="no agent or team"):
        farm.yard.worktrees(["t/nobody"])


def test_a_diff_tells_what_was_changed_since_the_branch_began(farm):
    farm.ready()
    farm.worked("dev", "a.txt", "two\n")
    (farm.own() / "a.txt").write_text("three\n")
    (farm.own() / "new").write_text("x")
    (farm.repo / "person.txt").write_text("p")
    farm.commit("person")
    found = farm.done(farm.yard.worktree_diff("t/dev"))["result"]
    assert "-one" in found["text"] and "+three" in found["text"]
    assert found["untracked"] == ["new"] and "person" not in found["text"]
    assert "+three" in shown(screen_yard.diff(found))
    stat = farm.done(farm.yard.worktree_diff("t/dev", stat=True))["result"]["text"]
    assert "1 file changed" in stat


def test_work_is_finished_and_the_agent_goes_on_from_there(farm):
    farm.ready()
    tip = farm.worked()
    farm.live(DEV)
    farm.at_work[DEV] = "it works on t-7"
    with pytest.raises(HiveError, match="at work: it works on t-7"):
        farm.yard.finish("t/dev")
    del farm.at_work[DEV]
    farm.checks[DEV] = "test -e b.txt"
    done = farm.done(farm.yard.finish("t/dev"))
    assert done["state"] == "done", done
    assert done["result"]["merged"]["commit"] == tip and done["result"]["dropped"] is None
    assert (farm.repo / "b.txt").exists() and farm.own().exists()
    assert "`test -e b.txt` succeeded" in shown(screen_yard.finished(done["result"]))
    assert any("its work is merged into `main`" in one for one in farm.told())


def test_the_worktree_of_a_stopped_agent_goes_when_it_is_finished_and_comes_again(farm):
    farm.ready()
    farm.worked()
    farm.want("dev", up=False)
    farm.step()
    done = farm.done(farm.yard.finish("t/dev"))
    assert done["result"]["dropped"]["branch_deleted"] and not farm.own().exists()
    assert "is dropped" in shown(screen_yard.finished(done["result"]))
    farm.want("dev", generation=2)
    farm.ready()
    assert (farm.own() / "b.txt").exists()


def test_a_conflict_waits_for_a_person_until_the_work_is_merged(farm):
    farm.ready()
    farm.worked("dev", "a.txt", "agent\n")
    (farm.repo / "a.txt").write_text("person\n")
    before = farm.commit("person: a.txt")
    done = farm.done(farm.yard.finish("t/dev"))
    assert done["state"] == "failed" and "a.txt" in done["error"]["what"]
    assert farm.git("rev-parse", "main").strip() == before
    farm.again()
    (one,) = farm.yard.items()
    assert one["kind"] == "unmerged work" and "person: a.txt" in one["why"]
    assert "hive finish t/dev" in one["answer"]
    facts = (farm.store.facts(key) for key in (yardwork.LOT, yardwork.UNMERGED))
    assert yardwork.unmerged(*facts) == [one]  # also while no supervisor runs
    farm.ready()
    with pytest.raises(HiveError):
        farm.git("merge", "main", where=farm.own())
    (farm.own() / "a.txt").write_text("both\n")
    farm.commit("both", where=farm.own())
    assert farm.done(farm.yard.worktree_merge("t/dev"))["state"] == "done"
    assert farm.yard.items() == [] and (farm.repo / "a.txt").read_text() == "both\n"


def test_two_merges_into_one_repository_are_done_one_after_the_other(farm):
    farm.ready()
    farm.worked("dev", "d.txt")
    farm.worked("qa", "q.txt")
    check = "sleep 0.2"
    jobs = [farm.yard.worktree_merge(f"t/{one}", check=check) for one in ("dev", "qa")]
    states = [farm.yard.worktree_job(one["job"])["state"] for one in jobs]
    assert states == ["running", "waiting"]
    assert [farm.done(one)["state"] for one in jobs] == ["done", "done"]
    assert (farm.repo / "d.txt").exists() and (farm.repo / "q.txt").exists()


def test_a_worktree_is_dropped_only_without_its_agent_and_by_force_with_a_bundle(farm):
    farm.ready()
    tip = farm.worked()
    with pytest.raises(HiveError, match="works in it"):
        farm.yard.worktree_drop("t/dev", force=True)
    farm.want("dev", up=False)
    farm.step()
    done = farm.done(farm.yard.worktree_drop("t/dev"))
    assert "this would be lost: 1 commit" in done["error"]["what"] and farm.own().exists()
    done = farm.done(farm.yard.worktree_drop("t/dev", force=True))["result"]
    assert Path(done["bundle"]).parent == farm.place.root / "bundles"
    assert not farm.own().exists() and not farm.git("branch", "--list", "hive/t/dev")
    drawn = "".join(shown(screen_yard.dropped(done)).split())
    assert "".join(done["restore"].split()) in drawn
    subprocess.run(done["restore"], shell=True, check=True, capture_output=True)
    assert farm.git("rev-parse", "hive/t/dev").strip() == tip


def test_a_job_that_nobody_knows_is_said(farm):
    with pytest.raises(WrongInput, match="no job `w-1`"):
        farm.yard.worktree_job("w-1")


def test_every_verb_is_there():
    assert all(callable(getattr(Yard, verb)) for verb in VERBS)
