"""Torture of the queue: workers are killed and frozen at random while they take and finish tasks.

Run as a program it adds the tasks, forks the workers, disturbs them until all is done, and prints
what it found, as JSON: `wrong` must be empty. The evidence is the story in the store, and what
each worker wrote down itself, line by line, as it happened.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hive.adapters.queue import Queue, Superseded
from hive.core.locks import conflict, want
from hive.core.tasks import Claim, Job, New, State, Task, Want
from hive.core.transitions import done, failed

ROOT = Path(__file__).resolve().parent.parent

LOCKS = (
    *(f"db:{number}" for number in range(6)),
    "path:src", "path:src/api", "path:src/api/v1", "path:src/ui", "path:docs", "port:3000",
)  # fmt: skip
TEAMS = ("back", "front")
LONG = 100
"""One of so many tasks takes longer than its lease, which is then renewed on the way."""

TAKEN = "taken away"

FROZEN = 1.6
"""For how many leases a worker is frozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much torture: `every` and `lease` are in seconds."""

    where: str
    folder: str
    tasks: int
    workers: int
    seed: int
    every: float
    lease: float = 1.0
    work: float = 0.02


def tortured(plan: Plan, timeout: float) -> dict[str, Any]:
    """Run it in a process of its own, and give what it found."""
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    given = json.dumps({name: getattr(plan, name) for name in Plan.__slots__})
    command = [sys.executable, "-W", "error", "-m", "tests.queue_torture", given]
    out = subprocess.run(
        command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, timeout=timeout, check=True
    ).stdout
    found: dict[str, Any] = json.loads(out)
    return found


def batch(plan: Plan, lot: random.Random) -> list[New]:
    """Make the tasks: each may need some before it, and want some locks."""
    found = []
    for number in range(plan.tasks):
        before = range(max(0, number - 60), number)
        needs = lot.sample(before, min(len(before), lot.choice([0, 0, 1, 2, 3])))
        names = lot.sample(LOCKS, lot.choice([0, 0, 1, 2]))
        job = Job(
            text=f"task {number}",
            team=lot.choice(TEAMS),
            priority=lot.choice([25, 50, 75]),
            locks=tuple(Want(name=name, shared=lot.random() < 0.3) for name in sorted(names)),
        )
        found.append(New(uid=f"u{number}", job=job, needs=tuple(f"u{one}" for one in needs)))
    return found


# the workers


class Worker:
    """Takes tasks and finishes them, and writes down what it does."""

    def __init__(self, plan: Plan, name: str, parent: int) -> None:
        self._plan = plan
        self._name = name
        self._parent = parent
        self._lot = random.Random(f"{plan.seed} {name}")
        log = Path(plan.folder, f"{name}.log")
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def run(self) -> None:
        with Queue.open(self._plan.where, patience=60.0) as queue:
            signatures = [Job(text="", team=team).signature for team in TEAMS]
            while not Path(self._plan.folder, "over").exists() and os.getppid() == self._parent:
                if self._lot.random() < 0.2:
                    self._reap(queue)
                mine = self._lot.sample(signatures, self._lot.choice([1, 2]))
                asked = time.monotonic()
                claim = Claim(
                    agent=self._name, launch=f"{self._name}.1", signatures=tuple(mine),
                    lease=self._plan.lease, why="torture",
                )  # fmt: skip
                found = queue.claim([claim])
                for task in found:
                    self._write("begun", task, asked=asked)
                    self._do(queue, task)
                if not found:
                    time.sleep(self._plan.work / 4)

    def _reap(self, queue: Queue) -> None:
        """Take back what nobody has any more, as a supervisor does."""
        now = queue.now()
        for task in queue.expired():
            with suppress(Superseded):  # another was faster, or it was finished after all
                queue.change([failed(task, TAKEN, now, now)])
        queue.wake()

    def _do(self, queue: Queue, task: Task) -> None:
        if task.number % LONG == 0:
            for _ in range(5):
                time.sleep(self._plan.lease / 4)
                if queue.renew([(task.number, task.fence)], self._plan.lease):
                    self._write("lost", task)
                    return
        time.sleep(self._lot.random() * self._plan.work)
        now = queue.now()
        if self._lot.random() < 0.02:
            change = failed(task, "by chance", now + 0.02, now)
        else:
            change = done(task, f"{self._name} {task.fence}", "finished", now)
        self._write("ending", task)
        try:
            queue.change([change])
        except Superseded:
            self._write("refused", task)
        else:
            self._write("ended" if change.after.state is State.DONE else "failed", task)

    def _write(self, what: str, task: Task, **more: float) -> None:
        line = {"what": what, "task": task.number, "fence": task.fence, "at": time.monotonic()}
        os.write(self._log, f"{json.dumps(line | more)}\n".encode())


# the disturber


class Torture:
    """Starts the workers, and kills and freezes them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lot = random.Random(plan.seed)
        self._number = 0
        self._living: list[int] = []
        self._frozen: dict[int, float] = {}
        self.did: Counter[str] = Counter()

    def run(self) -> float:
        """Do it until all tasks are over; gives how many seconds that took."""
        with Queue.open(self._plan.where) as queue:
            queue.add(batch(self._plan, self._lot))
        began = time.monotonic()
        try:
            for _ in range(self._plan.workers):
                self._start()
            while self._open():
                time.sleep(self._plan.every)
                self._disturb()
            spent = time.monotonic() - began
            self._finish()
        finally:
            for pid in self._living:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return spent

    def _open(self) -> bool:
        with Queue.open(self._plan.where) as queue:
            counts = queue.counts()
        return counts.get(State.DONE, 0) < self._plan.tasks

    def _start(self) -> None:
        self._number += 1
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._living.append(pid)
            return
        code = 1
        try:
            Worker(self._plan, f"w{self._number}", parent).run()
            code = 0
        finally:
            os._exit(code)  # what the parent has is not this one's to clean up

    def _disturb(self) -> None:
        now = time.monotonic()
        for pid in [pid for pid, until in self._frozen.items() if now >= until]:
            del self._frozen[pid]
            os.kill(pid, signal.SIGCONT)
        awake = [pid for pid in self._living if pid not in self._frozen]
        if not awake:
            return
        pid = self._lot.choice(awake)
        if self._lot.random() < 0.5:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._living.remove(pid)
            self._start()
            self.did["killed"] += 1
        elif len(awake) > 1:
            os.kill(pid, signal.SIGSTOP)
            self._frozen[pid] = now + FROZEN * self._plan.lease
            self.did["frozen"] += 1

    def _finish(self) -> None:
        """Wake all up: what they still say comes too late."""
        for pid in self._frozen:
            os.kill(pid, signal.SIGCONT)
        Path(self._plan.folder, "over").touch()
        for pid in list(self._living):
            _, status = os.waitpid(pid, 0)
            self._living.remove(pid)
            self.did["crashed"] += status != 0


# the verdict


def lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Give all that the workers wrote down, whole lines only: the last one may be cut."""
    for path in sorted(folder.glob("*.log")):
        for line in path.read_text().splitlines():
            with suppress(ValueError):
                yield json.loads(line)


def judged(plan: Plan, queue: Queue) -> tuple[list[str], Counter[str]]:
    """Say what is wrong, and count what happened."""
    tasks = {one.number: one for one in queue.tasks(limit=plan.tasks + 1)}
    wrong = [] if len(tasks) == plan.tasks else [f"{len(tasks)} tasks of {plan.tasks} are there"]
    wrong += [f"{one.name} is {one.state}" for one in tasks.values() if one.state is not State.DONE]
    needs = {number: [one.number for one in queue.needs(number)] for number in tasks}
    said = list(lines(Path(plan.folder)))
    story = list(_steps(queue))
    count = Counter(one["what"] for one in said)
    count["taken away"] = sum(step.why == TAKEN for step in story)
    wrong += _story(tasks, needs, story)
    wrong += _logs(plan, tasks, needs, said)
    wrong += [f"{one.name} of t-{one.task} is still held" for one in queue.locks.held()]
    return wrong, count


def _steps(queue: Queue) -> Iterator[Any]:
    after = 0
    while found := queue.steps(after=after, limit=1000):
        yield from found
        after = found[-1].id


def _story(
    tasks: Mapping[int, Task], needs: Mapping[int, Sequence[int]], story: Sequence[Any]
) -> Iterator[str]:
    """Play the store's story again."""
    over: set[int] = set()
    has: dict[int, int] = {}
    for step in story:
        task = tasks[step.task]
        if step.state == State.LEASED:
            if has.get(step.task) != step.fence:
                if missing := [one for one in needs[step.task] if one not in over]:
                    yield f"{task.name} begins before {missing} are over"
                yield from _against(task, [tasks[one] for one in has])
            has[step.task] = step.fence
            continue
        fence = has.pop(step.task, None)
        if step.state == State.DONE:
            if step.task in over or fence is None:
                yield f"{task.name} is done twice, or by nobody"
            if fence != task.fence or task.result.split()[1:] != [str(fence)]:
                yield f"{task.name} was done under {fence}: {task.result}, {task.fence}"
            over.add(step.task)


def _against(task: Task, others: Sequence[Task]) -> Iterator[str]:
    """Say what is wrong with handing out a task while others are handed out."""
    for other in others:
        if other.number == task.number:
            yield f"{task.name} is handed out twice at once"
        elif pair := _overlap(task, other):
            yield f"{task.name} and {other.name} have {pair} at once"


def _logs(
    plan: Plan,
    tasks: Mapping[int, Task],
    needs: Mapping[int, Sequence[int]],
    said: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    """Hold what the workers saw against it: times are of one clock for all of them."""
    begun = {(one["task"], one["fence"]): one for one in said if one["what"] == "begun"}
    if len(begun) != sum(one["what"] == "begun" for one in said):
        yield "two workers had one lease"
    ending = {(one["task"], one["fence"]): one["at"] for one in said if one["what"] == "ending"}
    for one in said:
        right = one["fence"] == tasks[one["task"]].fence
        if one["what"] == "ended" and not right:
            yield f"a late answer was taken: t-{one['task']} under {one['fence']}"
        if (
            one["what"] == "refused"
            and right
            and tasks[one["task"]].result.endswith(f" {one['fence']}")
        ):
            yield f"the answer to t-{one['task']} was refused, and taken"
    last = {number: ending.get((number, task.fence), 0.0) for number, task in tasks.items()}
    for (number, _), one in begun.items():
        if early := [need for need in needs[number] if one["at"] < last[need]]:
            yield f"t-{number} was begun before {early} were ended"
    yield from _together(plan, tasks, begun, ending)


def _together(
    plan: Plan,
    tasks: Mapping[int, Task],
    begun: Mapping[tuple[int, int], Mapping[str, Any]],
    ending: Mapping[tuple[int, int], float],
) -> Iterator[str]:
    """Find tasks that were worked on at once though they were not to be.

    A worker that was frozen has a task no longer than its lease; long ones are renewed.
    """
    spans: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for (number, fence), one in begun.items():
        limit = one["asked"] + plan.lease if number % LONG else one["at"]
        end = min(ending.get((number, fence), limit), limit)
        if tasks[number].job.locks and end > one["at"]:
            spans[number].append((one["at"], end))
    order = sorted((begin, end, number) for number, all_ in spans.items() for begin, end in all_)
    open_: list[tuple[float, int]] = []
    for begin, end, number in order:
        open_ = [(until, other) for until, other in open_ if until > begin]
        for _, other in open_:
            if pair := _overlap(tasks[number], tasks[other]):
                yield f"t-{number} and t-{other} were at work with {pair} at once"
        open_.append((end, number))


def _overlap(one: Task, other: Task) -> str:
    pairs = ((a, b) for a in one.job.locks for b in other.job.locks if conflict(a, b))
    return next((f"{a.name} and {b.name}" for a, b in pairs), "")


def main(given: str) -> None:
    """Do it all, and print what was found."""
    plan = Plan(**json.loads(given))
    torture = Torture(plan)
    spent = torture.run()
    with Queue.open(plan.where) as queue:
        wrong, count = judged(plan, queue)
    if torture.did["crashed"]:
        wrong.append(f"{torture.did['crashed']} workers ended with an error")
    print(json.dumps({"wrong": wrong, "seconds": spent, **count, **torture.did}))


if __name__ == "__main__":
    assert all(want(name).name == name for name in LOCKS)
    main(sys.argv[1])
