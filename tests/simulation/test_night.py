"""A night of a team of fake agents, in minutes: real git, a clock that jumps, hive killed at will.

The agents write, commit, amend, bisect, detach, fall silent, crash and go idle in worktrees of
their own. Hive is a process of its own that is told the time; it is killed at any instant, and a
new one goes on with the same store. After each step the promises are looked at.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hive import rounds, yard
from hive.adapters.plots import read_note
from hive.adapters.state import State as Place
from hive.adapters.store import Store
from hive.checkpoints import Checkpoints
from hive.core.checkpoint import GRACE
from hive.core.merging import collisions
from hive.core.profile import Profile
from hive.core.rhythm import Plot, Rhythm
from hive.core.shown import Shown
from hive.core.signs import Condition, Turn
from hive.core.spec import Agent, Voice
from hive.core.tasks import Job, Task
from hive.core.world import Memory, State, Wanted
from hive.digests import Digests
from tests.repositories import ENV, Repository, plain, submodule, unidentified
from tests.simulation.machine import Broken

HOUR, TICK = 3600.0, 300.0
RHYTHM = Rhythm()
LATEST = RHYTHM.commit + GRACE + RHYTHM.commit / rounds.LOOKS + 2 * TICK
STILL = 0.5 * HOUR
"""The end of a night: what was left over is saved, and all that happened was told."""

CALM = LATEST + 2 * RHYTHM.check_in + STILL
"""When nobody has anything to do any more: the last change is saved by then, is seen at its
agent's check-in, and is told at that of the lead."""

KILLED = 0.15
"""In so many steps hive is killed."""

PATHS = ("a.txt", "new.txt", "deep/er/new.txt", "with a space.txt", "ünï.txt", "-x")
CHIEF = "p/t/pm"
PROFILE = Profile(name="fake", records="claude")


@dataclass(slots=True)
class Mate:
    """An agent as it truly is: its work tree as it left it, and its commits."""

    id: str
    plot: Plot
    begun: bool = False
    turn: str = "ready"
    task: int = 0
    since: float = 0.0
    files: dict[str, str | None] = field(default_factory=dict)
    own: list[str] = field(default_factory=list)
    apart: str = ""
    asked: bool = False
    dirty: float = 0.0

    @property
    def idle(self) -> bool:
        return self.turn == "failed" or (self.turn == "ready" and not self.task)

    def git(self, *words: str, now: float = 0.0) -> str:
        """Run git as the agent does: while another git holds its index it tries again."""
        env = {**ENV, "GIT_COMMITTER_DATE": f"{now:.0f} +0000"} if now else ENV
        until = time.monotonic() + 10
        while True:
            done = subprocess.run(
                ["git", "-c", "user.name=Ada", "-c", "user.email=a@x", *words],
                cwd=self.plot.path, env=env, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if not done.returncode:
                return done.stdout.strip()
            if ".lock" not in done.stderr or time.monotonic() > until:
                raise Broken(f"{self.id}: git {' '.join(words)}: {done.stderr}")
            time.sleep(0.02)


class Known:
    """What hive needs to know of the agents beside git: who they are, and whose turn it is."""

    def __init__(
        self, root: Path, wanted: dict[str, Wanted], store: Store, told: Connection
    ) -> None:
        self.wanted, self.store, self.memory = wanted, store, {}
        self.environ = lambda _project: {"PATH": f"{root}/bin:{os.environ['PATH']}"}
        self.governor = SimpleNamespace(bytes_of=lambda _agent: 1)
        self.node = SimpleNamespace(cores=lambda _agent: 0.1)
        self.tasks: dict[str, Task] = {}
        self.talks = SimpleNamespace(
            note=lambda agent, text, _now: told.send(("note", agent, text)),
            shown=self._shown,
            ears=SimpleNamespace(lines={}),
            outbox=SimpleNamespace(of=lambda _agent: [], recall=lambda *_words: None),
            post=SimpleNamespace(requests=list),
            patience=SimpleNamespace(missed={}),
        )

    def _shown(self, agent: str) -> Shown | None:
        line = self.talks.ears.lines.get(agent)
        return Shown(condition=line.condition, profile="fake") if line else None

    def learn(self, seen: list[tuple[str, str, int, float]]) -> None:
        for agent, turn, task, since in seen:
            state = State.FAILED if turn == "failed" else State.READY
            self.memory[agent] = Memory(agent=agent, state=state, launch="l", since=since)
            lines = self.talks.ears.lines
            lines.pop(agent, None)
            if turn != "failed":
                condition = Condition(turn=Turn(turn), text="so it is", since=since)
                lines[agent] = SimpleNamespace(
                    condition=condition, ear=SimpleNamespace(ended=since), profile=PROFILE
                )
            self.tasks.pop(agent, None)
            if task:
                job = Job(text=f"do {task}")
                self.tasks[agent] = Task(number=task, uid=str(task), job=job, agent=agent)


class Hive:
    """The parts of hive that keep the rhythm, as its foreman brings them together."""

    def __init__(self, root: Path, wanted: dict[str, Wanted], told: Connection) -> None:
        self.now = 0.0
        self.store = Store.open(Place(root).db)
        self.known = Known(root, wanted, self.store, told)
        around = yard.Around(environ=lambda _project: dict(os.environ))
        self.yard = yard.Yard(Place(root), self.store, lambda: self.now, around)
        doing = lambda: self.known.tasks
        paused = lambda _agent: ""
        self.checkpoints = Checkpoints(self.known, doing, paused)
        looked = rounds.Around(doing=doing, paused=paused, looked=self.checkpoints.looked)
        self.rounds = rounds.Rounds(self.known, looked)
        self.digests = Digests(self.known)

    def step(self, now: float) -> list[str]:
        """Do all that is due; gives those whose worktrees are not ready."""
        self.now = now
        while True:
            self.yard.step(self.known.wanted, self.known.memory, now)
            self.yard.read()
            self.checkpoints.step(now)
            before = {agent: one.number for agent, one in self.rounds.latest.items()}
            self.rounds.step(now)
            latest = self.rounds.latest.items()
            fresh = [one for agent, one in latest if one.number != before.get(agent)]
            found = collisions(self.rounds.trees, self.rounds.touched)
            self.digests.step(fresh, found, now)
            if not (self.rounds._asked or self.checkpoints._saving or self.yard._chores._open):
                return [*self.yard.unready]
            parts = (self.yard, self.checkpoints, self.rounds)
            select.select([one.fileno() for one in parts], [], [], 0.05)


def live(root: Path, wanted: dict[str, Wanted], told: Connection) -> None:
    """Be a hive until killed."""
    os.setsid()
    one = Hive(root, wanted, told)
    while True:
        now, seen = told.recv()
        one.known.learn(seen)
        told.send(("over", one.step(now), [event.text for event in one.checkpoints.news]))
        one.checkpoints.news.clear()


class Night:
    """The agents, the clock, the repositories, and the hive of the moment."""

    def __init__(self, path: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.begun = self.now = 1_700_000_000.0
        self.root, self.tasks, self.usual = path / "state", 0, 0.5
        Place(self.root).prepare()
        self._tell_git_the_time()
        self.repos = [plain(path / "r0"), unidentified(path / "r1"), submodule(path / "r2")]
        for repo in self.repos:
            repo.hook("pre-commit", "sleep 0.02")
            repo.write("the user's own.txt")
        self.before = [self._people(repo) for repo in self.repos]
        self.mates = [self._mate(number) for number in range(4)]
        self.wanted = {one.id: Wanted(agent=self._spec(one), up=True) for one in self.mates}
        chief = Agent(
            project="p", team="t", name="pm", role="pm", session="p-t", window="pm", argv=("x",),
            directory=str(path), voice=Voice(profile=PROFILE), rhythm=RHYTHM,
        )  # fmt: skip
        self.wanted[CHIEF] = Wanted(agent=chief, up=True)
        self.process: Any = None
        self.row = self.longest = 0
        self.seen = dict.fromkeys(("kills", "notes", "digests", "saved", "commits"), 0)

    def _tell_git_the_time(self) -> None:
        """Have the commits that hive makes bear the time of the night."""
        self.clock, own = self.root / "clock", self.root / "bin" / "git"
        own.parent.mkdir()
        words = f"GIT_COMMITTER_DATE=\"$(cat '{self.clock}') +0000\" exec {shutil.which('git')}"
        own.write_text(f'#!/bin/sh\n{words} "$@"\n')
        own.chmod(0o755)

    def _people(self, repo: Repository) -> list[str]:
        return [repo.git("rev-parse", "HEAD", "main"), *repo.status()]

    def _mate(self, number: int) -> Mate:
        path = self.root / "worktrees" / f"dev-{number}"
        repo = self.repos[(0, 0, 1, 2)[number]].path
        plot = Plot(repo=str(repo), path=str(path), branch=f"hive/dev-{number}", setup="true")
        return Mate(id=f"p/t/dev-{number}", plot=plot)

    def _spec(self, one: Mate) -> Agent:
        name = one.id.rpartition("/")[2]
        return Agent(
            project="p", team="t", name=name, role="dev", session="p-t", window=name, argv=("x",),
            directory=one.plot.path, plot=one.plot, rhythm=RHYTHM,
            voice=Voice(profile=PROFILE),
        )  # fmt: skip

    # the agents

    def act(self, one: Mate, *, calm: bool) -> None:
        """Let an agent do what it does in a few minutes."""
        chance = self.chance.random
        if calm:
            if not one.idle:
                self._turn(one, "ready", task=0)
        elif one.turn == "failed":
            if chance() < 0.3:
                self._turn(one, "ready", task=one.task)
        elif one.turn == "ready":
            if one.task or chance() < 0.3:
                self.tasks += not one.task
                if not one.task or chance() < 0.4:
                    self._turn(one, "working", task=one.task or self.tasks)
        else:
            self._work(one)
        if calm and one.apart:
            self._together(one)

    def _turn(self, one: Mate, turn: str, task: int) -> None:
        one.turn, one.task, one.since = turn, task, self.now

    def _work(self, one: Mate) -> None:
        chance = self.chance.random
        for path in PATHS:
            if chance() < 0.2:
                self._write(one, path, None if one.files.get(path) and chance() < 0.2 else "text")
        if one.apart:
            if chance() < 0.3:
                self._together(one)
        elif chance() < (0.5 if one.asked else 0.08):
            self._commit(one)
        elif chance() < 0.06:
            one.apart = self.chance.choice(["bisect", "detached"])
            words = ("bisect", "start") if one.apart == "bisect" else ("checkout", "-q", "--detach")
            one.git(*words)
        one.asked = False
        if chance() < 0.15:
            turn = self.chance.choice(["ready", "ready", "failed"])
            self._turn(one, turn, task=one.task if chance() < 0.6 else 0)

    def _write(self, one: Mate, path: str, text: str | None) -> None:
        place = Path(one.plot.path, path)
        if text is None:
            place.unlink()
        else:
            text = f"{text} {self.chance.random()}\n"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        one.files[path] = text
        one.dirty = one.dirty or self.now

    def _commit(self, one: Mate) -> None:
        one.git("add", "--all", ":!sub")
        if one.git("diff", "--cached", "--name-only"):
            more = ["--amend"] if one.own and self.chance.random() < 0.3 else []
            head = one.git("rev-parse", "HEAD")
            if more and head == one.own[-1]:
                one.own.pop()
            elif more:
                more = []
            one.git("commit", "-q", "-m", "work", *more, now=self.now)
            one.own.append(one.git("rev-parse", "HEAD"))
            self.seen["commits"] += 1

    def _together(self, one: Mate) -> None:
        one.git(*(("bisect", "reset") if one.apart == "bisect" else ("switch", "-q", "-")))
        one.apart = ""

    # hive

    def step(self, *, kill: bool, calm: bool) -> None:
        """Let five minutes pass, and hive do what is due, or be killed in it."""
        self.now += TICK
        self.clock.write_text(f"{self.now:.0f}")
        for one in self.mates:
            if one.begun:
                self.act(one, calm=calm)
        if self.process is None:
            context = get_context("fork")
            self.told, end = context.Pipe()
            self.process = context.Process(target=live, args=(self.root, self.wanted, end))
            self.process.start()
            end.close()
        seen = [(one.id, one.turn, one.task, one.since) for one in self.mates if one.begun]
        began = time.monotonic()
        self.told.send((self.now, [*seen, (CHIEF, "ready", 0, self.begun)]))
        left = self.usual * 1.2 * self.chance.random() if kill else 60.0
        over = self._listen(began + left)
        self.row = self.row + 1 if kill else 0
        self.longest = max(self.longest, self.row)
        if kill:
            self.kill()
        elif not over:
            raise Broken("hive ended by itself, or is stuck")
        else:
            self.usual = 0.5 * self.usual + 0.5 * (time.monotonic() - began)

    def _listen(self, until: float) -> bool:
        """Take in what hive says until its step is over; false where it is not, in that time."""
        while self.told.poll(max(0.0, until - time.monotonic())):
            try:
                kind, *said = self.told.recv()
            except (EOFError, ConnectionResetError):  # it was killed, perhaps in a word
                return False
            if kind == "over":
                self._over(*said)
                return True
            self._noted(*said)
        return False

    def _over(self, unready: list[str], news: list[str]) -> None:
        self.seen["saved"] += sum(text.startswith("saved") for text in news)
        for one in self.mates:
            one.begun = one.begun or one.id not in unready

    def _noted(self, agent: str, text: str) -> None:
        kind = "digests" if agent == CHIEF else "notes"
        self.seen[kind] += 1
        if self.now > self.until - STILL:
            raise Broken(f"{agent} is told something though nothing happens: {text}")
        if agent != CHIEF:
            one = next(one for one in self.mates if one.id == agent)
            one.asked = True
            if one.idle:
                raise Broken(f"{agent} is idle, and is told: {text}")

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self._listen(time.monotonic() + 1.0)
        self.told.close()
        self.process = None
        self.seen["kills"] += 1

    # the promises

    def check(self) -> None:
        for one in self.mates:
            for path, text in one.files.items():
                place = Path(one.plot.path, path)
                if (place.read_text() if place.exists() else None) != text:
                    raise Broken(f"{place} is not as {one.id} left it")
            if not one.dirty or one.apart:
                one.dirty = self.now if one.dirty else 0.0
            elif not one.git("status", "--porcelain", "--ignore-submodules=all"):
                one.dirty = 0.0
            elif self.now - one.dirty > LATEST + (2 + self.longest) * TICK:
                raise Broken(f"{one.id} has uncommitted work of {self.now - one.dirty:.0f} s")
        for repo, before in zip(self.repos, self.before, strict=True):
            if self._people(repo) != before:
                raise Broken(f"{repo.path} is not as its user left it")

    def check_all(self) -> None:
        """Look at all that must be so in the morning."""
        for one in self.mates:
            if status := one.git("status", "--porcelain"):
                raise Broken(f"{one.id} has uncommitted work in the morning: {status}")
            for commit in one.own:
                one.git("merge-base", "--is-ancestor", commit, one.plot.branch)
            one.git("fsck", "--no-dangling", "--no-progress")
            folder = Path(one.git("rev-parse", "--absolute-git-dir"))
            left = [*folder.glob("hive-*-*"), *folder.rglob("*.lock"), *folder.glob("hive.json.*")]
            note = read_note(one.plot.path)
            if left or not note or note.pid:
                raise Broken(f"{one.id}: left behind: {left} {note}")
            empty = one.git("log", "--format=%H", "--diff-filter=D", "--", "b.txt", "src/c.txt")
            if empty:
                raise Broken(f"{one.id}: {empty} deletes what nobody deleted")
        with Store.open(Place(self.root).db) as store:
            for agent in self.wanted:
                kept = store.journal.check_ins([agent])
                times = [one.evidence.at for one in kept]
                gaps = [after - before for before, after in pairwise(times)]
                if not gaps or max(gaps) > RHYTHM.check_in + (2 + self.longest) * TICK:
                    raise Broken(f"{agent} was not looked at for {max(gaps, default=0):.0f} s")

    def close(self) -> None:
        if self.process:
            self.kill()


@pytest.mark.timeout(0)
def test_a_night_with_a_hive_that_is_killed_loses_nothing(tmp_path, seed, hours):
    if hours <= 1 and seed > 1:
        pytest.skip("one night is enough beside the long runs")
    length = min(9.0, 4 * hours) * HOUR
    night = Night(tmp_path, seed)
    night.until = night.now + length
    try:
        while night.now < night.until:
            calm = night.now > night.until - CALM
            night.step(kill=not calm and night.chance.random() < KILLED, calm=calm)
            night.check()
        night.check_all()
    except Broken as broken:
        pytest.fail(f"seed {seed}: {broken}\nagain: pytest {__file__} --seed {seed}")
    finally:
        night.close()
        print(night.seen)

    assert all(night.seen.values()), night.seen
