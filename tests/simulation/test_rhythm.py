"""A week of a team of ten, in a made-up clock that jumps: check-ins, questions, commits, digests.

Agents work, idle, fall silent, crash, forget to commit, and wait for a person who is away at
night; hive itself is down for hours. After each step the promises are looked at. They are kept by
`real`, the time that passes, while hive knows only `now`, the time that the clock shows. A jump of
that begins each interval anew; a commit made before it was set back may count once more.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from hive.core import checkin, checkpoint
from hive.core.checkin import SAVED, CheckIn, Evidence, Verdict
from hive.core.checkpoint import GRACE, Past, Step
from hive.core.digest import digest
from hive.core.repository import Changed, Commit, Kind, Tree
from hive.core.rhythm import Plot, Rhythm
from tests.simulation.machine import Broken

DAY = 86_400.0
WEEK = 7 * DAY
TICK = 300.0
LOOK = 600.0
"""So often hive looks whether there is something to commit, in seconds."""

AGENTS = 10
RHYTHM = Rhythm()
EVERY, COMMIT = RHYTHM.check_in, RHYTHM.commit

AT_ONCE = 7
"""Of ten agents fewer are looked at in one step after an absence."""


@dataclass(slots=True)
class Mate:
    """An agent, as it truly is, and what hive keeps of it."""

    id: str
    plot: Plot
    state: str = "ready"
    waits: str = ""
    paused: str = ""
    task: int = 0
    lazy: bool = False
    left: int = 0
    turn_at: float = 0.0
    worked: float = 0.0
    progress: str = ""
    progressed: float = 0.0
    message: str = ""
    reported: float = 0.0
    files: dict[str, int] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    operation: str = ""
    tokens: int = 0
    dirty: float = 0.0
    told: int = 0
    past: Past = field(default_factory=Past)
    due: float = 0.0
    latest: CheckIn | None = None
    looked: float = 0.0
    look: float = 0.0
    asked: bool = False

    @property
    def tree(self) -> Tree:
        changed = tuple(
            Changed(path=path, kind=Kind.MODIFIED, bytes=size) for path, size in self.files.items()
        )
        return Tree(
            root=self.plot.path, branch=self.plot.branch, linked=True, operation=self.operation,
            changed=changed, commits=tuple(reversed(self.commits[-5:])),
        )  # fmt: skip


class Team:
    """Ten agents, the person, the clock, and what hive does about them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.real = 0.0
        self.ahead = 1_700_000_000.0
        self.down = 0.0
        self.begun = 0.0
        self.back = self.jumped = 0.0
        self.tasks = 0
        self.mates = [self._mate(number) for number in range(AGENTS)]
        self.told: dict[str, CheckIn] = {}
        self.known: dict[str, tuple[object, ...]] = {}
        self.seen = {"check-ins": 0, "questions": 0, "missed": 0, "digests": 0, "saved": 0}

    @property
    def now(self) -> float:
        return self.real + self.ahead

    def _mate(self, number: int) -> Mate:
        name = f"Task/web/dev-{number}"
        plot = Plot(repo="/repo", path=f"/trees/dev-{number}", branch=f"hive/web/dev-{number}")
        return Mate(id=name, plot=plot, due=checkin.spread(name, EVERY, self.now))

    # what happens

    def live(self) -> None:
        """Let time pass, and everybody do what they do."""
        chance = self.chance
        self.real += TICK
        if chance.random() < 0.002:
            jump = chance.choice([-DAY, -7200, -600, -30, 30, 600, 7200, DAY])
            self.ahead, self.jumped = self.ahead + jump, self.real
            self.back = self.real if jump < 0 else self.back
        if chance.random() < 0.001:
            self.down = self.real + chance.uniform(TICK, 6 * 3600)
        for one in self.mates:
            self._do(one)

    def _person(self) -> bool:
        return 9 <= self.real % DAY / 3600 < 18 and self.real % WEEK < 5 * DAY

    def _do(self, one: Mate) -> None:
        chance = self.chance
        if one.state == "failed":
            if chance.random() < 0.3:
                self._turn(one, "ready")
            return
        if one.state in {"waiting", "limited"} or one.waits or one.paused:
            free = self._person() if one.state != "limited" else True
            if free and chance.random() < 0.2:
                one.waits = one.paused = ""
                self._turn(one, "working" if one.task else "ready")
            return
        if chance.random() < 0.002:
            one.task = one.task if chance.random() < 0.5 else 0
            self._turn(one, "failed")
        elif one.state == "working":
            self._work(one)
        elif one.task:
            self._between(one)
        elif self._person() and chance.random() < 0.1:
            self.tasks += 1
            one.task, one.left, one.progress = self.tasks, chance.randrange(2, 60), ""
            one.lazy = chance.random() < 0.2
            self._turn(one, "working")

    def _turn(self, one: Mate, state: str) -> None:
        one.state, one.turn_at = state, self.now

    def _work(self, one: Mate) -> None:
        """Let an agent go on with its turn: it edits, commits, says something, or ends it."""
        chance = self.chance
        one.worked, one.tokens, one.left = self.now, one.tokens + 900, one.left - 1
        if chance.random() < 0.4:
            one.files[f"f{chance.randrange(2)}"] = chance.randrange(9_000)
            one.dirty = one.dirty or self.real
        if one.files and chance.random() < 0.05:
            self._commit(one, "Go on with it")
        if chance.random() < 0.03:
            one.operation = "rebase" if not one.operation else ""
        if chance.random() < 0.05:
            one.progress, one.progressed = f"{one.left} left", self.now
        if one.left <= 0:
            one.message, one.reported, one.task = "done", self.now, 0
            self._turn(one, "ready")
        elif chance.random() < 0.1:
            self._turn(one, chance.choice(["ready", "ready", "ready", "waiting", "limited"]))
            one.waits = "a person's answer" * (one.state == "ready" and chance.random() < 0.2)
            one.paused = "by a person" * (one.state == "ready" and chance.random() < 0.1)

    def _between(self, one: Mate) -> None:
        """Let an agent whose turn is over begin the next one; a lazy one must be asked, or more."""
        if one.asked:
            one.asked = False
            if self.chance.random() < 0.7:
                one.message, one.reported = "going on", self.now
                self._turn(one, "working")
                return
        nudged = one.latest and one.latest.verdict is Verdict.MISSED
        if self.chance.random() < (0.5 if nudged else 0.0 if one.lazy else 0.6):
            self._turn(one, "working")

    def _commit(self, one: Mate, subject: str) -> None:
        one.commits.append(Commit(hash="a" * 40, at=self.now, author="a", subject=subject))
        one.files, one.dirty = {}, 0.0

    # what hive does

    def step(self) -> None:
        """Do all that is due; raises Broken."""
        if self.real < self.down:
            self.begun = 0.0
            return
        self.begun = self.begun or self.real
        absent = all(abs(self.now - one.due) > EVERY for one in self.mates)
        fresh = [self._check_in(one) for one in self.mates if self._is_due(one)]
        if absent and len(fresh) >= AT_ONCE:
            raise Broken(f"{len(fresh)} agents are looked at at once")
        for one in self.mates:
            self._save(one)
        self._tell(fresh)
        for one in self.mates:
            self._check(one)

    def _is_due(self, one: Mate) -> bool:
        one.due = checkin.due(one.due, EVERY, self.now)
        return one.due <= self.now

    def _evidence(self, one: Mate) -> Evidence:
        return Evidence(
            agent=one.id, at=self.now, state=one.state, speaks=True, paused=one.paused,
            turn_at=one.turn_at, worked=one.worked, task=f"t-{one.task}" if one.task else "",
            about="do it" if one.task else "", progress=one.progress if one.task else "",
            progressed=one.progressed, waits=one.waits, message=one.message,
            reported=one.reported, branch=one.plot.branch, files=tuple(one.files),
            commits=tuple(made.subject for made in one.commits[one.told :]), tokens=one.tokens,
            cost=one.tokens / 1000,
        )  # fmt: skip

    def _check_in(self, one: Mate) -> CheckIn:
        before = one.latest
        made = checkin.judge(self._evidence(one), before, every=EVERY)
        one.told = len(one.commits)
        if checkin.to_ask(made, before, every=EVERY):
            self._ask(one, before)
            made = replace(made, asked=self.now)
        one.due = checkin.following(one.due, EVERY, self.now)
        if one.due <= self.now:
            raise Broken(f"{one.id} is looked at twice at once")
        one.latest, one.looked = made, self.real
        self.seen["check-ins"] += 1
        self.seen["missed"] += made.verdict is Verdict.MISSED
        return made

    def _ask(self, one: Mate, before: CheckIn | None) -> None:
        self.seen["questions"] += 1
        if one.state != "ready" or one.waits or one.paused or not one.task:
            raise Broken(f"{one.id} was asked, and it is {one.state} with task {one.task}")
        if before and before.asked == before.evidence.at and one.asked:
            raise Broken(f"{one.id} was asked twice in a row")
        one.asked = True

    def _save(self, one: Mate) -> None:
        """Have an agent's work committed: by itself where it is asked and does so, or by hive."""
        if self.now < one.look <= self.now + LOOK:
            return
        tree = one.tree
        one.past = checkpoint.follow(one.past, tree, self.now)
        busy = one.state == "working" or bool(one.task)
        found = checkpoint.decide(tree, one.plot, RHYTHM, one.past, busy=busy, now=self.now)
        one.look = min(self.now + LOOK, found.until or self.now + LOOK)
        if found.step is Step.ASK:
            one.past = replace(one.past, asked=self.now)
            if one.state == "working" and self.chance.random() < 0.5:
                self._commit(one, "Save it")
        elif found.step is Step.SAVE:
            text = checkpoint.message(tree.changed, agent=one.id)
            self._commit(one, text.partition("\n")[0])
            one.past = Past()
            self.seen["saved"] += 1

    def _tell(self, fresh: list[CheckIn]) -> None:
        if not fresh:
            return
        text = digest("web", fresh, self.told)
        changed = {one.evidence.agent: _facts(one) for one in fresh}
        subjects = [subject for one in fresh for subject in one.evidence.commits]
        commits = any(not subject.startswith(SAVED) for subject in subjects)  # hive's own are none
        if (
            text
            and not commits
            and all(self.known.get(who) == facts for who, facts in changed.items())
        ):
            raise Broken(f"there is nothing new, and it is told: {text}")
        if not text and (commits or any(_new_task(one, self.told) for one in fresh)):
            raise Broken("there is something new, and nothing is told")
        self.seen["digests"] += bool(text)
        self.told |= {one.evidence.agent: one for one in fresh}
        self.known |= changed

    # the promises

    def _check(self, one: Mate) -> None:
        gone = self.real - max(one.looked, self.begun, self.jumped)
        if gone > 2 * EVERY + TICK:
            raise Broken(f"{one.id} was not looked at for {gone:.0f} s")
        if not one.dirty:
            return
        if checkpoint.allowed(one.tree, one.plot):
            one.dirty = self.real
        since = max(one.dirty, self.begun, self.back)  # set back, a clock begins anew
        old = self.real - since
        again = COMMIT if self.back and self.real - self.back < 2 * DAY else 0.0
        if old > COMMIT + GRACE + LOOK + 2 * TICK + again:
            raise Broken(f"the changes of {one.id} are not committed for {old:.0f} s")


def _facts(one: CheckIn) -> tuple[object, ...]:
    """Give what a digest may tell of an agent: with what it is busy all day is not among it."""
    seen = one.evidence
    calm = one.verdict in {Verdict.WORKING, Verdict.IDLE}
    return (
        "" if calm else one.verdict, seen.state if not calm else "", seen.task, seen.progress,
        seen.progressed if seen.task else 0, seen.waits, seen.message, seen.reported, seen.files,
    )  # fmt: skip


def _new_task(one: CheckIn, told: dict[str, CheckIn]) -> bool:
    last = told.get(one.evidence.agent)
    return last is not None and one.evidence.task != last.evidence.task


@pytest.mark.timeout(0)
def test_a_week_of_a_team_keeps_its_rhythm_whatever_happens(seed, hours):
    team = Team(seed)
    try:
        for _ in range(int(WEEK / TICK)):
            team.live()
            team.step()
    except Broken as broken:
        pytest.fail(f"seed {seed}: {broken}\nagain: pytest {__file__} --seed {seed}")

    assert 4000 < team.seen["check-ins"] < AGENTS * WEEK / EVERY * 1.2
    assert all(team.seen.values()), team.seen
    assert team.seen["questions"] < 0.1 * team.seen["check-ins"]


def test_a_team_without_work_is_told_nothing_and_asked_nothing():
    team = Team(1)
    for _ in range(int(DAY / TICK)):
        team.real += TICK
        team.step()

    assert team.seen["check-ins"] >= AGENTS * (DAY / EVERY - 1)
    assert {name for name, many in team.seen.items() if many} == {"check-ins"}
