"""Whether a task is done: what its agent says, what its check says, and what follows.

A report is written down before anything is done about it, so that a hive that is killed in between
judges it again. A check may run twice; a task ends once. Times are epoch seconds.
"""

from __future__ import annotations

import json
import logging
import posixpath
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from hive.adapters.checks import Checked, Checks
from hive.adapters.queue import Queue
from hive.core import breaker, retry, transitions
from hive.core.acceptance import Thresholds, judged
from hive.core.breaker import Breaker
from hive.core.parts import opinion
from hive.core.rules import Rules
from hive.core.spec import Agent
from hive.core.tasks import Change, Report, Task
from hive.core.weights import Score, learned
from hive.runs import Runs

BREAKER = "breaker:"
"""The fact under which a breaker is kept."""

KILLED = 3
"""How often a check may be killed until that counts as its failure."""

SHOWN = 2000
"""How many characters of a failed check's output its agent is told."""

Blame = Literal["all", "agent", "nobody"]
"""What a failure is held against: the agent and its command, the agent alone, or neither."""

_log = logging.getLogger("hive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What judging needs of the rest of hive.

    `rules` gives a project's; `spec` an agent by its id; `environ` what its commands inherit;
    `reviewers` whether anybody has a role; `tell` has an agent told that its check failed, and
    gives False where it can't be told; `inputs` is under which key its result is to be kept ("":
    not at all); `news` is told of whatever a person should know.
    """

    rules: Callable[[str], Rules]
    spec: Callable[[str], Agent | None]
    environ: Callable[[Agent, str], Mapping[str, str]]
    reviewers: Callable[[str], bool]
    tell: Callable[[Task, str], bool]
    inputs: Callable[[Task], str]
    news: Callable[[str, str, str], None]


class Verifying:
    """Judges what agents report, and learns from it."""

    def __init__(self, queue: Queue, runs: Runs, around: Around) -> None:
        self._queue = queue
        self._runs = runs
        self._around = around
        self._checks = Checks()
        self._begun: dict[str, Task] = {}
        self._ended: list[Checked] = []
        self._killed = ("", 0)
        notebook = queue.notebook
        kept = notebook.facts(BREAKER)
        self.breakers: dict[str, Breaker] = {
            name: breaker.from_dict(json.loads(text)) for name, text in kept.items()
        }
        self.scores: dict[tuple[str, str], Score] = notebook.scores()

    def fileno(self) -> int:
        """Give the descriptor that is readable while a check has ended."""
        return self._checks.fileno()

    def close(self) -> None:
        """End what runs: the next hive checks again."""
        self._checks.close()

    def settle(self, task: Task, now: float) -> Task:
        """Judge a leased task that has a report, and give it as it then is."""
        report = task.report
        if report is None or task.lease in self._begun:
            return task
        if report.outcome == "failed":
            why = report.text or "its agent says that it can't be done"
            return self.fail(task, why, now, permanent=report.permanent)
        return self._judge(task, report, None, now)

    def drain(self) -> None:
        """Take in the checks that have ended, whether or not the queue can be written."""
        self._ended += self._checks.read()

    def ended(self) -> Iterator[Checked]:
        """Give the checks that have ended, each once."""
        while self._ended:
            yield self._ended.pop(0)

    def judge(self, one: Checked, now: float) -> None:
        """Judge by a check that has ended."""
        begun = self._begun.pop(str(one.key), None)
        task = self._queue.task(begun.number) if begun else None
        if task is None or task.lease != one.key or task.report is None or task.asked:
            return  # it went back meanwhile, or was cancelled
        if one.code == 0:
            self._judge(task, task.report, True, now)
        elif one.code > 0 or one.output.strip() or self._often_killed(task):
            self._unproven(task, one, now)
        else:  # it was killed with its agent, or by nobody's fault
            self.settle(task, now)

    def _often_killed(self, task: Task) -> bool:
        """Whether its check was killed again and again: then nobody's fault is its own."""
        lease, times = self._killed
        self._killed = task.lease, times + 1 if lease == task.lease else 1
        return self._killed[1] >= KILLED

    def drop(self, lease: str) -> None:
        """Check no more for a lease that is over."""
        if self._begun.pop(lease, None):
            self._checks.stop(lease)

    def fail(
        self, task: Task, why: str, now: float, *, permanent: bool = False, blame: Blame = "all"
    ) -> Task:
        """End an attempt badly: another is due, or none is left."""
        self.drop(task.lease)
        due = retry.due(task, now, random.random(), permanent=permanent)  # noqa: S311 - jitter
        after = self._write(transitions.failed(task, why, due, now))
        if blame != "nobody":
            self._learn(task, why, now, ok=False, blame=blame)
        self._around.news(task.agent, "task", f"{task.name} failed: {why}")
        return after

    def _judge(self, task: Task, report: Report, checked: bool | None, now: float) -> Task:
        rules = self._around.rules(task.job.project)
        limits = Thresholds(accept=rules.accept, log=rules.log, review=rules.review)
        reviewers = self._around.reviewers(rules.reviewer)
        said = replace(report, confidence=None) if opinion(task) else report
        verdict = judged(task.job, said, limits, checked=checked, reviewers=reviewers)
        if verdict.how == "check":
            self._check(task)
            return task
        if verdict.how == "review":
            return self._runs.review(task, verdict.why, rules.reviewer, now)
        if verdict.how == "hold":
            self._around.news(task.agent, "task", f"{task.name} is held: {verdict.why}")
            return self._write(transitions.held(task, verdict.why, now))
        return self._accept(task, report, verdict.why, now)

    def _accept(self, task: Task, report: Report, why: str, now: float) -> Task:
        change = transitions.done(task, report.text, why, now, confidence=report.confidence)
        with self._queue.batch():
            after = self._write(change)
            inputs = self._around.inputs(task)
            if inputs:
                until = now + task.job.cache
                self._queue.notebook.keep(inputs, task.number, report.text, now, until)
        self._learn(task, "", now, ok=True)
        self._around.news(task.agent, "task", f"{task.name} is done: {why}")
        return after

    def _check(self, task: Task) -> None:
        spec = self._around.spec(task.agent)
        if spec is None:
            raise LookupError(f"a leased task's agent is not known: {task.agent}")
        where = posixpath.join(spec.directory, task.job.directory)
        environ = {**self._around.environ(spec, task.launch), **variables(task)}
        self._checks.begin(task.lease, task.job.check, where, environ, task.job.check_timeout)
        self._begun[task.lease] = task

    def _unproven(self, task: Task, one: Checked, now: float) -> None:
        """Send a task back whose check failed, or fail its attempt."""
        rules = self._around.rules(task.job.project)
        said = f"exit code {one.code}" if one.code >= 0 else f"ended by signal {-one.code}"
        why = f"its check failed: `{task.job.check}`: {said}"
        text = f"{why}\n{one.output[-SHOWN:].strip()}".strip()
        last = task.rounds + 1 >= rules.rounds
        if not last and self._around.tell(task, text):
            self._write(transitions.sent_back(task, why, now))
            return
        self.fail(task, text, now)

    def _learn(self, task: Task, why: str, now: float, *, ok: bool, blame: Blame = "all") -> None:
        """Remember how it went: who is good at what, and what fails again and again."""
        seconds = max(0.0, now - task.begun)
        for skill in task.job.skills or ("",):
            key = task.agent, skill
            before = self.scores.get(key) or Score(agent=task.agent, skill=skill)
            self.scores[key] = learned(before, ok=ok, seconds=seconds, now=now)
            self._queue.notebook.score(self.scores[key])
        agent = (breaker.of_agent(task.agent),)
        for name in agent if blame == "agent" else breaker.watching(task.job, task.agent):
            before_it = self.breakers.get(name) or Breaker(name=name)
            after = breaker.succeeded(before_it, now) if ok else breaker.failed(before_it, why, now)
            if after != before_it:
                self.trip(before_it, after)

    def trip(self, before: Breaker, after: Breaker) -> None:
        """Remember a breaker; that it opened or closed is told."""
        self.breakers[after.name] = after
        kept = json.dumps(breaker.to_dict(after))
        self._queue.notebook.note(BREAKER + after.name, kept)
        if after.state not in {before.state, "half-open"}:
            kind, _, what = after.name.partition(":")
            agent = what if kind == "agent" else ""
            about = "" if agent else "a command: "
            self._around.news(agent, "breaker", f"{about}{after.state}: {after.why}")

    def _write(self, change: Change) -> Task:
        (after,) = self._queue.change([change])
        return after


def variables(task: Task) -> dict[str, str]:
    """Give the variables by which commands know for which task they run, and under which fence."""
    return {"HIVE_TASK": task.name, "HIVE_FENCE": str(task.fence), "HIVE_LEASE": task.lease}
