"""Work: who gets which task, and what becomes of the tasks that agents have.

`step` does all that is due. What it does is written down by the queue, one guarded statement each,
so it may be killed anywhere; the next step goes on. What goes wrong with one task stops no other.
Times are epoch seconds of the queue's clock.
"""

from __future__ import annotations

import json
import posixpath
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

from hive.adapters.queue import Queue
from hive.adapters.state import State as Place
from hive.core import transitions
from hive.core.dispatch import merits, refusals
from hive.core.handoff import Known
from hive.core.lateness import late
from hive.core.rules import Rules
from hive.core.rules import from_dict as rules_from
from hive.core.spec import Agent
from hive.core.tasks import MOVES, State, Task, parsed
from hive.core.transitions import CANCEL, LATE
from hive.core.world import Memory
from hive.errors import HiveError
from hive.evidence import Team
from hive.faults import Faults
from hive.handout import Handout
from hive.hands import Hands
from hive.known import Trees, known
from hive.rests import Rests
from hive.roster import fetches
from hive.runs import Runs
from hive.savings import Savings
from hive.verifying import Around, Verifying

RULES = "work:"
"""The fact under which is kept how a project's work is to be done, as its latest deploy said."""

RENEW = 2 / 3
"""A lease is renewed once less than this share of it is left."""

PULSE = 2.0
"""Seconds between two steps when nothing happens."""

RESUMING = 60.0
"""Seconds in which an agent that has died may go on with its task, in its conversation."""

ENDING = 15.0
"""Seconds that ending what runs may take; then its task is ended all the same."""


class Work:
    """Hands out the tasks of the queue to this node's agents, and looks after them."""

    def __init__(self, queue: Queue, team: Team, rules: Mapping[str, Rules]) -> None:
        self.queue = queue
        self.runs = Runs(queue)
        self._team = team
        self._rules = dict(rules)
        self.trees: Trees = lambda _agent: None
        self.runs.look = self.known
        self._hands = Hands(team.talks, self.runs.words)
        self.faults = Faults(queue.where, self._tell_fault)
        self.runs.apart = self.faults.apart
        self._rests = Rests(self._paused)
        team.talks.pauses.busy = self._busy
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
        self._handout = Handout(queue, team, self)
        self.mine: list[Task] = []
        self.changed = False
        self._ending: dict[str, float] = {}
        self._skew = 0.0

    @classmethod
    def open(cls, place: Place, team: Team, facts: Mapping[str, str]) -> Self:
        """Open the queue of this hive. Raises HiveError where that can't be done.

        `facts` are the projects' rules, by project, as they are kept.
        """
        rules = {project: rules_from(json.loads(text)) for project, text in facts.items()}
        queue = Queue.open(place.queue())
        try:
            return cls(queue, team, rules)
        except BaseException:
            queue.close()
            raise

    def close(self) -> None:
        """Give back everything; agents keep what they have."""
        self.verifying.close()
        self.savings.close()
        self.queue.close()

    def filenos(self) -> tuple[int, ...]:
        """Give the descriptors that are readable while there is something to go on with."""
        return self.verifying.fileno(), self.savings.fileno()

    @property
    def waits(self) -> Mapping[int, str]:
        """Why each ready task was given to nobody, by its number, as far as they were looked at."""
        return self._handout.waits

    @property
    def needy(self) -> Sequence[Task]:
        """The tasks among them that need a lock."""
        return self._handout.needy

    def rules(self, project: str) -> Rules:
        """Give how a project's work is to be done."""
        return self._rules.get(project) or Rules()

    def bind(self, project: str, rules: Rules) -> None:
        """Have a project's work done so from now on."""
        self._rules[project] = rules
        self.changed = True

    def step(self) -> float:
        """Do all that is due; gives the seconds until the next step."""
        again, self.changed = self.changed, False
        self.verifying.drain()  # first: what waits to be read would wake us again and again
        self.savings.read(time.time())
        now = self.queue.now()
        self._skew = now - time.time()
        moments = [now + PULSE]
        for one in self.verifying.ended():
            with self.faults.apart(f"the check of {one.key}", now):
                self.verifying.judge(one, now)
        with self.faults.apart("what waits", now):
            for run in self.runs.open(now):
                self._say("", "workflow", f"{run.name} ({run.workflow}) is {run.state}: {run.why}")
        self._hand_over()
        with self.faults.apart("the timetable", now):
            moments.append(self.runs.fire(now))
        moments.append(self.queue.wake() or now + PULSE)
        leased = self.queue.leased()
        self.mine = self._look_after(leased, now)
        if len(self.mine) < sum(task.agent in self._team.wanted for task in leased):
            moments.append(now)  # what waits for those that ended is looked at next
        with self.faults.apart("handing out work", now):
            self._hand_out(now, again=again)
        for name in self.faults.lasting(now):
            self._set_aside(name, now)
        return min(PULSE, max(0.01, min(moments) - now))

    def of(self, agent: str, launch: str = "") -> list[Task]:
        """Give the tasks that an agent has, or just those of this launch, the oldest first."""
        found = self.queue.tasks(states=[State.LEASED], agent=agent)
        return [task for task in found if launch in {"", task.launch}]

    def known(self, agent: str) -> Known:
        """Give what is known of an agent that hands over, beside its tasks."""
        return known(self._team, self.trees, agent)

    def refused(self, task: Task) -> tuple[dict[str, str], dict[str, str]]:
        """Say of each agent why it may not have a task now, and what speaks for it."""
        mine = [one for one in self.queue.leased() if one.agent in self._team.wanted]
        situation = self._handout.situation([task], mine, self.queue.now())
        return refusals(task, situation), merits(task, situation)

    # what agents have

    def _look_after(self, leased: Sequence[Task], now: float) -> list[Task]:
        """Renew what agents have, take back what nobody has any more; gives the first."""
        before = {task.lease: task for task in self.mine}
        self._rests.look(leased, self._team.governor.strain.paused, now, time.monotonic())
        kept = []
        for task in leased:
            after = task
            with self.faults.apart(task.name, now):
                after = self._seen_to(task, before, now)
            if after.state is State.LEASED and task.agent in self._team.wanted:
                kept.append(after)
        kept = self._renew(kept, now)
        known = {task.lease for task in kept}
        for lease, task in before.items():
            if lease not in known:
                with self.faults.apart(f"the end of {lease}", now):
                    self._let_go(task, now)
        self._ending = {lease: at for lease, at in self._ending.items() if lease in known}
        return kept

    def _seen_to(self, task: Task, before: Mapping[str, Task], now: float) -> Task:
        """Do what is due about a leased task, whoever has it, and give it as it then is."""
        if task.agent in self._team.wanted:
            return self._looked_after(task, now)
        if task.lease in before:
            return self.put_back(task, "its agent was removed", now)
        if task.until < now:
            why = f"nobody has renewed its lease, which {task.agent} had"
            return self.verifying.fail(task, why, now, blame="nobody")
        return task

    def _let_go(self, task: Task, now: float) -> None:
        """Have an agent learn that it has a task no more, unless it has done it."""
        fresh = self.queue.task(task.number)
        self.verifying.drop(task.lease)
        if fresh and fresh.state is not State.DONE:
            self._hands.forget(task, fresh.why, now)
        self._hands.over(task.lease)

    def _set_aside(self, name: str, now: float) -> None:
        """Have a person decide about a task that can't be gone on with."""
        number, why = parsed(name), self.faults.why(name)
        with self.faults.apart(f"{name}, as it is set aside", now):
            task = self.queue.task(number) if number else None
            if task and State.HELD in MOVES[task.state]:
                self.queue.change([transitions.held(task, why, now)])
            self.faults.forget(name)

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
        why = late(self._rests.spared(replace(task, heard=self._heard(task))), now)
        if why:
            (task,) = self.queue.change([transitions.asked_to_end(task, why, LATE)])
            return self._end(task, now)
        return self._served(task, now)

    def _served(self, task: Task, now: float) -> Task:
        """Have its agent get a task, and go on with it."""
        done = self._hands.serve(task, fetches(self._team.wanted[task.agent].agent), now)
        if done.change:
            (task,) = self.queue.change([done.change])
        if done.failed:
            self._hands.forget(task, done.failed, now)
            return self.verifying.fail(task, done.failed, now)
        return task

    def _heard(self, task: Task) -> float:
        """Give when the agent of a task last showed that it works."""
        line = self._team.talks.ears.lines.get(task.agent)
        seen = max(line.condition.worked, line.glimpse.output) if line else 0.0
        return max(task.heard, seen + self._skew)

    def _left(self, task: Task, memory: Memory | None, now: float) -> Task:
        """Decide about a task whose agent's launch is over: who goes on with it."""
        wanted = self._team.wanted[task.agent]
        if memory and memory.live:
            talk = self._team.talks.talks.get(task.agent)
            if talk and talk.resumed == memory.launch and not fetches(wanted.agent):
                why = "its agent was started again, and goes on with its conversation"
                return self.queue.change([transitions.moved(task, memory.launch, why, now)])[0]
        elif wanted.up and self._resumes(task, memory, now):
            return task
        reason = f"{wanted.agent.short}: {memory.reason}" if memory else "it is gone"
        if memory and memory.live:
            reason = f"{wanted.agent.short} was started anew, and knows nothing of it"
        self._hands.forget(task, f"its agent has left it: {reason}", now)
        if not wanted.up or (task.asked and task.asked.startswith(CANCEL)):
            return self.put_back(task, f"its agent was stopped: {wanted.why}", now)
        why = f"its agent ended while it had it: {reason}"
        return self.verifying.fail(task, why, now, blame="nobody" if task.asked else "agent")

    def put_back(self, task: Task, why: str, now: float) -> Task:
        """Let others have a task whose agent was stopped, or end it where that was asked for."""
        self.verifying.drop(task.lease)
        if task.asked.startswith(CANCEL):
            return self.queue.change([transitions.cancelled(task, task.asked, now)])[0]
        return self.queue.change([transitions.given_back(task, why, now)])[0]

    def _resumes(self, task: Task, memory: Memory | None, now: float) -> bool:
        """Whether a later launch of its agent may soon go on with the conversation it was in."""
        if memory is None or abs(now - self._skew - memory.since) >= RESUMING:
            return False
        voice = self._team.wanted[task.agent].agent.voice
        return voice is not None and bool(voice.profile.messages and voice.profile.session.resume)

    def _end(self, task: Task, now: float) -> Task:
        """End what runs for a task, and the task once that is over."""
        if task.report:  # its agent has done with it: only a check may run
            return self.ended(task, now)
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

    def _hand_out(self, now: float, *, again: bool) -> None:
        """Give agents what they are to do next, and have them begin."""
        for task in self._handout.given(self.mine, now, again=again):
            self.mine.append(task)
            with self.faults.apart(task.name, now):
                self._say(task.agent, "task", f"{task.name} begins: {task.job.name}")
                self._hands.serve(task, fetches(self._team.wanted[task.agent].agent), now)

    def _hand_over(self) -> None:
        """Say which phases have ended, once each."""
        ended, self.runs.ended = self.runs.ended, []
        for one in ended:
            self._say("", "handoff", f"r-{one.run}, {one.key}: {one.result.partition(chr(10))[0]}")

    # what the parts ask

    def _paused(self, agent: str, since: float) -> tuple[float, float]:
        """Give how long a person had an agent paused since a moment, and until when."""
        seconds, until = self._team.talks.pauses.lost(agent, since - self._skew)
        return seconds, until + self._skew if seconds else 0.0

    def _busy(self, agent: str) -> str:
        """Say which task an agent works on that fetches them; "" for none."""
        try:
            mine = [one.name for one in self.of(agent) if one.delivered and not one.report]
        except HiveError as error:
            return f"not known: {error.what}"
        return f"it works on {mine[0]}" if mine else ""

    def _spec(self, agent: str) -> Agent | None:
        wanted = self._team.wanted.get(agent)
        return wanted.agent if wanted else None

    def _has_role(self, role: str) -> bool:
        return any(one.agent.role == role and one.up for one in self._team.wanted.values())

    def _directory(self, task: Task) -> str:
        """Give where a task would be done: where the agents are that may have it; "": nowhere."""
        job, specs = task.job, [one.agent for one in self._team.wanted.values()]
        fit = [
            one.directory
            for one in specs
            if job.project in {"", one.project} and job.team in {"", one.team}
        ]
        return posixpath.join(min(fit), job.directory).rstrip("/") if fit else ""

    def _tell_fault(self, what: str, why: str) -> None:
        self._say("", "work", f"{what}: {why}")

    def _say(self, agent: str, kind: str, text: str) -> None:
        self._team.talks.say(agent, kind, text, self.queue.now())
