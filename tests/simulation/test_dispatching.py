"""Thousands of tasks through a hundred agents that finish, fail and die, in a made-up clock.

First a storm of work and deaths, then calm, in which all must end. After each step the promises
are looked at: none lost or doubled, no lock or capacity exceeded, nobody starves.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import combinations

import pytest

from hive.core import breaker, transitions
from hive.core.breaker import Breaker
from hive.core.dispatch import Candidate, Decision, Grant, Situation, dispatch
from hive.core.locks import conflict, wants
from hive.core.ordering import level, rank
from hive.core.routing import may
from hive.core.rules import STRATEGIES
from hive.core.tasks import OVER, Change, Held, Job, State, Task
from hive.core.weights import Score, learned
from tests.simulation.machine import Broken

HOUR = 3600.0
TICK = 20.0
AGENTS = 100
LONGEST = 600.0
"""No attempt takes longer, in seconds."""

WINDOW = 50
"""So many ready tasks of each signature are looked at."""

PATIENT = 2 * HOUR
"""No task that may go to many agents is ready for longer, whatever it needs."""

SKILLS = ["python", "react", "sql", "rust"]
LOCKS = ["port:1", "port:2", "db:test", "shared db:test"]
LOCKS += [
    f"{how}path:{top}{sub}" for how in ("", "shared ") for top in "uvwxyz" for sub in ("", "/a")
]


@dataclass(slots=True)
class Attempt:
    """What an agent does for a task, and how it will end."""

    task: int
    fence: int
    agent: str
    ends: float
    good: bool


@dataclass(slots=True)
class Book:
    """A queue in memory: what a store does, and nothing it would not."""

    tasks: dict[int, Task] = field(default_factory=dict)
    open: dict[int, Task] = field(default_factory=dict)
    needs: dict[int, set[int]] = field(default_factory=dict)
    needed: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    had: dict[int, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    ends: Counter[int] = field(default_factory=Counter)

    def add(self, job: Job, now: float, needs: tuple[int, ...] = (), parent: int = 0) -> int:
        number = len(self.tasks) + 1
        task = Task(
            number=number, uid=f"u{number}", job=job, created=now, parent=parent, apart=parent > 0
        )
        self.tasks[number] = self.open[number] = task
        self.needs[number] = {one for one in needs if self.tasks[one].state not in OVER}
        for one in self.needs[number]:
            self.needed[one].add(number)
        if not self.needs[number]:
            self.write(transitions.ready(task, "nothing is in its way", now))
        return number

    def write(self, change: Change) -> Task:
        before, after = self.tasks[change.after.number], change.after
        if after.version != before.version:
            raise Broken(f"{after.name} was changed by two at once")
        self._put(replace(after, version=after.version + 1))
        if after.state in OVER:
            self.ends[after.number] += 1
            for number in sorted(self.needed.pop(after.number, ())):
                self.needs[number].discard(after.number)
                if not self.needs[number]:
                    why = "all it needs is over"
                    self.write(transitions.ready(self.tasks[number], why, after.since))
        return self.tasks[after.number]

    def by_state(self, state: State) -> list[Task]:
        return [task for task in self.open.values() if task.state is state]

    def ready(self, now: float) -> list[Task]:
        lines: dict[str, list[Task]] = defaultdict(list)
        for task in self.by_state(State.READY):
            if task.due <= now:
                lines[task.job.signature].append(task)
        key = lambda task: (rank(task.job, task.created), task.number)
        return [task for line in lines.values() for task in heapq.nsmallest(WINDOW, line, key)]

    def held(self) -> list[Held]:
        return [
            Held(
                name=lock.name,
                shared=lock.shared,
                task=task.number,
                agent=task.agent,
                launch=task.launch,
                fence=task.fence,
                at=task.begun,
            )
            for task in self.by_state(State.LEASED)
            for lock in task.job.locks
        ]

    def claim(self, grant: Grant, now: float) -> Task:
        task = self.tasks[grant.task.number]
        if task != grant.task or task.state is not State.READY or task.due > now:
            raise Broken(f"{task.name} was granted, and it is {task.state}")
        if task.apart:
            mates = {who for number, who in self.had[task.parent].items() if number != task.number}
            if grant.agent in mates:
                raise Broken(f"{task.name}: {grant.agent} has had another copy")
            self.had[task.parent][task.number] = grant.agent
        leased = replace(
            task,
            state=State.LEASED,
            agent=grant.agent,
            launch=grant.launch,
            fence=task.fence + 1,
            attempt=task.attempt + 1,
            begun=now,
            version=task.version + 1,
        )
        self._put(leased)
        return leased

    def _put(self, task: Task) -> None:
        self.tasks[task.number] = self.open[task.number] = task
        if task.state in OVER:
            del self.open[task.number]


class Hive:
    """Agents that take what they are given, and a clock."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.book = Book()
        self.now = 1_000_000_000.0
        self.strategy = self.chance.choice(STRATEGIES)
        self.agents = {one.agent: one for one in map(self._agent, range(AGENTS))}
        self.down: dict[str, float] = {}
        self.attempts: list[Attempt] = []
        self.breakers: dict[str, Breaker] = {}
        self.scores: dict[tuple[str, str], Score] = {}
        self.last: dict[str, tuple[str, ...]] = defaultdict(tuple)
        self.decision = Decision(grants=(), waits={})

    def _agent(self, number: int) -> Candidate:
        chance, team = self.chance, "abcd"[number % 4]
        return Candidate(
            agent=f"p/{team}/x{number}",
            project="p",
            team=team,
            role="dev",
            launch=f"{number}-0",
            skills=frozenset(chance.sample(SKILLS, 1 + number % 3)),
            takes=frozenset({"prompt", "run"}),
            capacity=chance.choice([1, 1, 1, 2]),
            model=chance.choice(["red", "green", "blue"]),
        )

    # what happens

    def storm(self) -> None:
        """Let work come and agents die, for one step."""
        chance, book = self.chance, self.book
        for _ in range(chance.choice([3, 6, 12])):
            self._add()
        if chance.random() < 0.02:
            for _ in range(60):
                book.add(Job(text="flood", project="p", sender="p/a/x0"), self.now)
        if chance.random() < 0.1:
            who = chance.choice(sorted(self.agents))
            self.down[who] = self.now + chance.uniform(0, 300)

    def _add(self) -> None:
        chance, book = self.chance, self.book
        locks = wants(chance.sample(LOCKS, chance.choice([0] * 40 + [1, 1, 2])))
        if chance.random() < 0.001:
            locks = wants(["path:.", "port:1"])
        job = Job(
            text=f"do {chance.randrange(40)}",
            kind=chance.choice(["prompt", "run"]),
            project="p",
            team=chance.choice(["", "", "a", "b", "c"]),
            skills=tuple(chance.sample(SKILLS, chance.choice([0, 0, 1]))),
            priority=50 if locks else chance.choice([25, 50, 50, 50, 75, 100]),
            deadline=chance.choice([0.0, 0.0, self.now + HOUR]) if not locks else 0.0,
            locks=locks,
            sticky=f"s{chance.randrange(9)}" if chance.random() < 0.1 else "",
            batch=f"b{chance.randrange(200)}" if chance.random() < 0.05 else "",
            sender=chance.choice(["a person", "p/a/x0", "p/d/x3"]),
        )
        open_ones = [*book.open][-50:]
        needs = tuple(chance.sample(open_ones, min(len(open_ones), chance.choice([0, 0, 0, 1, 2]))))
        if chance.random() < 0.02:
            parent = 1_000_000 + len(book.tasks)
            for _ in range(4):
                book.add(replace(job, locks=(), batch=""), self.now, needs, parent)
            return
        book.add(job, self.now, needs)

    def step(self) -> None:
        """Let time pass, and do all that is due; raises Broken."""
        self.now += TICK
        self._die()
        self._finish()
        for task in self.book.by_state(State.FAILED):
            if task.due <= self.now:
                self.book.write(transitions.ready(task, "its next attempt", self.now, due=task.due))
        self._hand_out()
        self._check()

    def _die(self) -> None:
        self.down = {who: until for who, until in self.down.items() if until > self.now}
        for task in self.book.by_state(State.LEASED):
            if task.agent in self.down:
                if self.chance.random() < 0.5:
                    self.book.write(transitions.given_back(task, "its agent died", self.now))
                else:
                    self.book.write(transitions.failed(task, "it died", self.now + 5, self.now))

    def _finish(self) -> None:
        """End what is due; what comes from a lease that is over is refused."""
        due = [one for one in self.attempts if one.ends <= self.now]
        self.attempts = [one for one in self.attempts if one.ends > self.now]
        for one in due:
            task = self.book.tasks[one.task]
            if task.state is not State.LEASED or task.fence != one.fence:
                continue
            self._learn(task, good=one.good)
            if one.good:
                self.book.write(transitions.done(task, "ok", "its agent says so", self.now))
            else:
                again = self.now + 10 if task.attempt <= task.job.retries else None
                self.book.write(transitions.failed(task, "exit code 1", again, self.now))

    def _learn(self, task: Task, *, good: bool) -> None:
        for skill in task.job.skills or ("",):
            key = task.agent, skill
            before = self.scores.get(key) or Score(agent=task.agent, skill=skill)
            self.scores[key] = learned(before, good, self.now - task.begun, self.now)
        for name in breaker.watching(task.job, task.agent):
            one = self.breakers.get(name) or Breaker(name=name)
            self.breakers[name] = (
                breaker.succeeded(one, self.now) if good else breaker.failed(one, "1", self.now)
            )

    def _candidates(self) -> list[Candidate]:
        holds: dict[str, list[Task]] = defaultdict(list)
        for task in self.book.by_state(State.LEASED):
            holds[task.agent].append(task)
        return [
            replace(
                one,
                holds=tuple(holds[who]),
                closed="it is down" if who in self.down else "",
                last=self.last[who],
            )
            for who, one in self.agents.items()
        ]

    def _hand_out(self) -> None:
        situation = Situation(
            ready=self.book.ready(self.now),
            agents=self._candidates(),
            held=self.book.held(),
            apart={parent: frozenset(had.values()) for parent, had in self.book.had.items()},
            models={
                parent: tuple(self.agents[who].model for who in had.values())
                for parent, had in self.book.had.items()
            },
            scores=self.scores,
            breakers=self.breakers,
            strategy=self.strategy,
            now=self.now,
            turn=self.decision.turn,
            given=self.decision.given,
        )
        self.decision = dispatch(situation)
        self._check_decision(situation)
        for grant in self.decision.grants:
            task = self.book.claim(grant, self.now)
            for name in breaker.watching(task.job, task.agent):
                if name in self.breakers:
                    self.breakers[name] = breaker.probed(self.breakers[name], self.now)
            keys = [key for key in (task.job.sticky, task.job.batch) if key]
            self.last[task.agent] = (*keys, *self.last[task.agent])[:8]
            ends = self.now + self.chance.uniform(
                10, LONGEST if self.chance.random() < 0.2 else 200
            )
            good = self.chance.random() < 0.95
            self.attempts.append(Attempt(task.number, task.fence, task.agent, ends, good))

    # the promises

    def _check_decision(self, situation: Situation) -> None:
        grants, waits = self.decision.grants, self.decision.waits
        said = [*(one.task.number for one in grants), *waits]
        if sorted(said) != sorted(one.number for one in situation.ready) or not all(waits.values()):
            raise Broken("a ready task is neither granted nor said to wait, or twice")
        who = {one.agent: one for one in situation.agents}
        for grant in grants:
            agent = who[grant.agent]
            if agent.closed or may(grant.task.job, agent):
                raise Broken(f"{grant.task.name} went to {grant.agent}, which may not have it")
            if breaker.open_at(
                self.breakers.get(f"agent:{grant.agent}", Breaker(name="")), self.now
            ):
                raise Broken(f"{grant.agent} was given a task, and its breaker is open")
        self._check_order(situation)

    def _check_order(self, situation: Situation) -> None:
        """Nobody gets an agent that a waiting one of a higher level could have had."""
        lowest = {
            grant.agent: min(
                self._level(one.task) for one in self.decision.grants if one.agent == grant.agent
            )
            for grant in self.decision.grants
        }
        got = [one for one in situation.agents if one.agent in lowest]
        for task in situation.ready:
            job = task.job
            if task.number in self.decision.waits and not (task.apart or job.locks or job.batch):
                mine = self._level(task)
                if any(lowest[one.agent] < mine and not may(job, one) for one in got) and (
                    "this command" not in self.decision.waits[task.number]
                ):
                    raise Broken(f"{task.name} was passed by a lower one")

    def _level(self, task: Task) -> int:
        return level(rank(task.job, task.created), self.now)

    def _check(self) -> None:
        leased = self.book.by_state(State.LEASED)
        has = Counter(task.agent for task in leased)
        for who, many in has.items():
            if many > self.agents[who].capacity or who in self.down:
                raise Broken(f"{who} has {many} tasks")
        locked = [task for task in leased if task.job.locks]
        for one, other in combinations(locked, 2):
            if any(conflict(mine, its) for mine in one.job.locks for its in other.job.locks):
                raise Broken(f"{one.name} and {other.name} have the same lock")
        running = {(one.task, one.fence) for one in self.attempts}
        if any((task.number, task.fence) not in running for task in leased):
            raise Broken("a leased task is done by nobody")
        if self.book.ends.total() != len(self.book.ends):
            raise Broken("a task has ended twice")
        for task in self.book.by_state(State.READY):
            waited = self.now - max(task.since, task.due)
            if waited > PATIENT:
                why = self.decision.waits.get(task.number)
                raise Broken(f"{task.name} is ready for {waited:.0f} s: {why}: {task.job}")


@pytest.mark.timeout(0)
def test_work_is_handed_out_whatever_happens(seed, hours):
    hive = Hive(seed)
    again = f"again: pytest {__file__} --seed {seed}"
    try:
        for _ in range(int(hours * HOUR / TICK)):
            hive.storm()
            hive.step()
        for _ in range(int(2 * PATIENT / TICK)):
            if not hive.book.open:
                break
            hive.step()
    except Broken as broken:
        pytest.fail(f"seed {seed}: {broken}\n{again}")

    assert not hive.book.open, f"{[*hive.book.open]} are left: {hive.decision.waits}\n{again}"
    assert len(hive.book.ends) == len(hive.book.tasks) > 900 * hours
