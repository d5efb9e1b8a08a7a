"""Work: who gets which task, and what becomes of the tasks that agents have.

`step` does all that is due. What it does is written down by the queue, one guarded statement each,
so it may be killed anywhere; the next step goes on. Times are epoch seconds of the queue's clock.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Self

from hive.adapters.queue import Queue
from hive.adapters.state import State as Place
from hive.core import breaker, transitions
from hive.core.dispatch import Candidate, Decision, Situation, dispatch, merits, refusals
from hive.core.lateness import late
from hive.core.rules import Rules
from hive.core.rules import from_dict as rules_from
from hive.core.spec import Agent
from hive.core.strain import CLOSED, DOING
from hive.core.tasks import Claim, State, Task
from hive.core.transitions import CANCEL, LATE
from hive.core.world import Memory
from hive.hands import Hands
from hive.roster import Team, candidates, fetches
from hive.runs import Runs
from hive.savings import Savings
from hive.verifying import Around, Verifying

RULES = "work:"
"""The fact under which is kept how a project's work is to be done, as its latest deploy said."""

RENEW = 2 / 3
"""A lease is renewed once less than this share of it is left."""

PULSE = 2.0
"""Seconds between two steps when nothing happens."""

WINDOW = 50
"""How many ready tasks of each kind are looked at in one step."""

RESUMING = 60.0
"""Seconds in which an agent that has died may go on with its task, in its conversation."""

ENDING = 15.0
"""Seconds that ending what runs may take; then its task is ended all the same."""

_log = logging.getLogger("hive")


class Work:
    """Hands out the tasks of the queue to this node's agents, and looks after them."""

    def __init__(self, queue: Queue, team: Team, rules: Mapping[str, Rules]) -> None:
        self.queue = queue
        self.runs = Runs(queue)
        self._team = team
        self._rules = dict(rules)
        self._hands = Hands(team.talks)
        self.savings = Savings(queue, self._directory)
        around = Around(
            rules=self.rules,
            spec=self._spec,
            environ=team.talks.environ,
            reviewers=self._has_role,
            tell=self._hands.tell,
            inputs=self.savings.inputs,
            news=self._say,
        )
        self.verifying = Verifying(queue, self.runs, around)
        self.waits: dict[int, str] = {}
        self.mine: list[Task] = []
        self.changed = False
        self._last: dict[str, tuple[str, ...]] = {}
        self._ending: dict[str, float] = {}
        self._turn = 0
        self._given: Mapping[str, tuple[float, float]] = {}

    @classmethod
    def open(cls, place: Place, team: Team, facts: Mapping[str, str]) -> Self:
        """Open the queue of this hive. Raises HiveError where that can't be done.

        `facts` are the projects' rules, by project, as they are kept.
        """
        rules = {project: rules_from(json.loads(text)) for project, text in facts.items()}
        return cls(Queue.open(place.queue()), team, rules)

    def close(self) -> None:
        """Give back everything; agents keep what they have."""
        self.verifying.close()
        self.savings.close()
        self.queue.close()

    def filenos(self) -> tuple[int, ...]:
        """Give the descriptors that are readable while there is something to go on with."""
        return self.verifying.fileno(), self.savings.fileno()

    def rules(self, project: str) -> Rules:
        """Give how a project's work is to be done."""
        return self._rules.get(project) or Rules()

    def bind(self, project: str, rules: Rules) -> None:
        """Have a project's work done so from now on."""
        self._rules[project] = rules
        self.changed = True

    def step(self) -> float:
        """Do all that is due; gives the seconds until the next step."""
        self.changed = False
        self.verifying.drain()  # first: what waits to be read would wake us again and again
        self.savings.read(time.time())
        now = self.queue.now()
        self.verifying.read(now)
        for run in self.runs.open(now):
            self._say("", "workflow", f"{run.name} ({run.workflow}) is {run.state}: {run.why}")
        moments = [self.runs.fire(now), self.queue.wake() or now + PULSE]
        self.mine = self._look_after(self.queue.leased(), now)
        self._hand_out(self.mine, now)
        return min(PULSE, max(0.01, min(moments) - now))

    def of(self, agent: str, launch: str = "") -> list[Task]:
        """Give the tasks that an agent has, or just those of this launch, the oldest first."""
        found = self.queue.tasks(states=[State.LEASED], agent=agent)
        return [task for task in found if launch in {"", task.launch}]

    def refused(self, task: Task) -> tuple[dict[str, str], dict[str, str]]:
        """Say of each agent why it may not have a task now, and what speaks for it."""
        mine = [one for one in self.queue.leased() if one.agent in self._team.wanted]
        situation = self._situation([task], mine, self.queue.now())
        return refusals(task, situation), merits(task, situation)

    # what agents have

    def _look_after(self, leased: Sequence[Task], now: float) -> list[Task]:
        """Renew what agents have, take back what nobody has any more; gives the first."""
        kept = []
        for task in leased:
            if task.agent in self._team.wanted:
                after = self._looked_after(task, now)
                kept += [after] if after.state is State.LEASED else []
            elif task.until < now:
                why = f"nobody has renewed its lease, which {task.agent} had"
                self.verifying.fail(task, why, now, blame=False)
        kept = self._renew(kept, now)
        known = {task.lease for task in kept}
        self._ending = {lease: at for lease, at in self._ending.items() if lease in known}
        return kept

    def _renew(self, kept: Sequence[Task], now: float) -> list[Task]:
        """Renew the leases of these tasks, where that is due; gives those that still have one."""
        leases: dict[float, list[tuple[int, int]]] = defaultdict(list)
        for task in kept:
            lease = self.rules(task.job.project).lease
            if not 0 <= task.until - now <= lease or task.until - now < lease * RENEW:
                leases[lease].append((task.number, task.fence))
        lost = {
            number for lease, ours in leases.items() for number in self.queue.renew(ours, lease)
        }
        return [task for task in kept if task.number not in lost]

    def _looked_after(self, task: Task, now: float) -> Task:
        """Do what is due about one leased task, and give it as it then is."""
        memory = self._team.memory.get(task.agent)
        if memory is None or not memory.live or memory.launch != task.launch:
            return self._left(task, memory, now)
        if task.asked:
            return self._end(task, now)
        if task.report:
            return self.verifying.settle(task, now)
        spec = self._team.wanted[task.agent].agent
        done = self._hands.serve(task, fetches(spec), now)
        if done.change:
            (task,) = self.queue.change([done.change])
        if done.failed:
            self._hands.forget(task, done.failed, now)
            return self.verifying.fail(task, done.failed, now)
        why = late(replace(task, heard=max(task.heard, self._alive(task))), now)
        if why:
            (task,) = self.queue.change([transitions.asked_to_end(task, why, LATE)])
            return self._end(task, now)
        return task

    def _alive(self, task: Task) -> float:
        """Give when the agent of a task last showed that it works."""
        line = self._team.talks.ears.lines.get(task.agent)
        return max(line.condition.worked, line.glimpse.output) if line else 0.0

    def _left(self, task: Task, memory: Memory | None, now: float) -> Task:
        """Decide about a task whose agent's launch is over: who goes on with it."""
        wanted = self._team.wanted[task.agent]
        if memory and memory.live:
            talk = self._team.talks.talks.get(task.agent)
            if talk and talk.resumed == memory.launch and not fetches(wanted.agent):
                why = "its agent was started again, and goes on with its conversation"
                return self.queue.change([transitions.moved(task, memory.launch, why, now)])[0]
        elif wanted.up and memory and now - memory.since < RESUMING and self._resumes(task):
            return task
        reason = f"{wanted.agent.short}: {memory.reason}" if memory else "it is gone"
        self._hands.forget(task, f"its agent has left it: {reason}", now)
        if not wanted.up or (task.asked and task.asked.startswith(CANCEL)):
            return self.put_back(task, f"its agent was stopped: {wanted.why}", now)
        why = f"its agent ended while it had it: {reason}"
        return self.verifying.fail(task, why, now, blame=not task.asked)

    def put_back(self, task: Task, why: str, now: float) -> Task:
        """Let others have a task whose agent was stopped, or end it where that was asked for."""
        self.verifying.drop(task.lease)
        if task.asked.startswith(CANCEL):
            return self.queue.change([transitions.cancelled(task, task.asked, now)])[0]
        return self.queue.change([transitions.given_back(task, why, now)])[0]

    def _resumes(self, task: Task) -> bool:
        """Whether a later launch of its agent may go on with the conversation it was in."""
        voice = self._team.wanted[task.agent].agent.voice
        return voice is not None and bool(voice.profile.messages and voice.profile.session.resume)

    def _end(self, task: Task, now: float) -> Task:
        """End what runs for a task, and the task once that is over."""
        begun = self._ending.setdefault(task.lease, now)
        spec = self._team.wanted[task.agent].agent
        ended = self._hands.stop(task, fetches(spec), now, first=begun == now)
        if not ended and 0 <= now - begun < ENDING:
            return task
        return self.ended(task, now)

    def ended(self, task: Task, now: float) -> Task:
        """End a task that was asked to end, as what ran for it has ended."""
        how, _, why = task.asked.partition(": ")
        self._hands.forget(task, why, now)
        self.verifying.drop(task.lease)
        if how == CANCEL:
            return self.queue.change([transitions.cancelled(task, why, now)])[0]
        return self.verifying.fail(task, why, now)

    # who gets what

    def _hand_out(self, mine: Sequence[Task], now: float) -> None:
        """Give agents what they are to do next."""
        signatures = self.queue.signatures()
        ready = self.queue.ready(list(signatures), WINDOW) if signatures else []
        spared = {task.number: self.savings.spare(task, now) for task in ready}
        ready = [task for task in ready if spared[task.number] is None]
        self.waits = {number: why for number, why in spared.items() if why}
        if not ready:
            return
        situation = self._situation(ready, mine, now)
        decision = dispatch(situation)
        self.waits |= decision.waits
        self._turn, self._given = decision.turn, decision.given
        if decision.grants:
            self._claim(decision, situation, now)

    def _situation(self, ready: Sequence[Task], mine: Sequence[Task], now: float) -> Situation:
        holds: dict[str, list[Task]] = defaultdict(list)
        for task in mine:
            holds[task.agent].append(task)
        agents = candidates(self._team, holds, self._last)
        groups = {task.parent for task in ready if task.apart}
        models = {one.agent: one.model for one in agents}
        had = {
            parent: [one.agent for one in self.queue.tasks(parent=parent) if one.agent]
            for parent in groups
        }
        strain = self._team.governor.strain
        return Situation(
            ready=ready,
            agents=agents,
            held=self.queue.locks.held(),
            apart={parent: frozenset(agents) for parent, agents in had.items()},
            models={
                parent: tuple(models.get(agent, "") for agent in agents)
                for parent, agents in had.items()
            },
            scores=self.verifying.scores,
            breakers=self.verifying.breakers,
            strategy=self._strategy(agents),
            now=now,
            turn=self._turn,
            given=self._given,
            room=f"hive {DOING[CLOSED]}: {strain.why}" if strain.level >= CLOSED else "",
        )

    def _strategy(self, agents: Iterable[Candidate]) -> str:
        """Give the strategy of most agents' projects: they are chosen among together."""
        found = Counter(self.rules(one.project).strategy for one in agents)
        return found.most_common(1)[0][0] if found else Rules().strategy

    def _claim(self, decision: Decision, situation: Situation, now: float) -> None:
        claims = [
            Claim(
                agent=one.agent,
                launch=one.launch,
                number=one.task.number,
                lease=self.rules(one.task.job.project).lease,
                why=one.why,
            )
            for one in decision.grants
        ]
        for task in self.queue.claim(claims):
            self.mine.append(task)
            self._say(task.agent, "task", f"{task.name} begins: {task.job.name}")
            keys = [key for key in (task.job.sticky, task.job.batch) if key]
            if keys:
                known = self._last.get(task.agent, ())
                self._last[task.agent] = (*keys, *(one for one in known if one not in keys))[:8]
            for name in breaker.watching(task.job, task.agent):
                known_breaker = situation.breakers.get(name)
                if known_breaker and known_breaker.state != "closed":
                    self.verifying.trip(known_breaker, breaker.probed(known_breaker, now))
            spec = self._team.wanted[task.agent].agent
            self._hands.serve(task, fetches(spec), now)

    # what the parts ask

    def _spec(self, agent: str) -> Agent | None:
        wanted = self._team.wanted.get(agent)
        return wanted.agent if wanted else None

    def _has_role(self, role: str) -> bool:
        return any(one.agent.role == role and one.up for one in self._team.wanted.values())

    def _directory(self, task: Task) -> str:
        """Give where a task would be done: where the agents are that may have it."""
        if task.job.directory.startswith("/"):
            return task.job.directory
        specs = [one.agent for one in self._team.wanted.values()]
        fit = [one for one in specs if task.job.team in {"", one.team}]
        folder = min((one.directory for one in fit), default="/")
        return f"{folder}/{task.job.directory}".rstrip("/")

    def _say(self, agent: str, kind: str, text: str) -> None:
        self._team.talks.say(agent, kind, text, self.queue.now())
