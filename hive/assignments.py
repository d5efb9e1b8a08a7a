"""The verbs by which agents get their work and hand it in, and take locks.

An agent's word is believed for the lease it is under alone: what comes under an older one is
refused, and said. What is asked for under an id (`uid`) that was answered is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hive import letters, taskviews
from hive.conversations import Conversations
from hive.core.delivery import clean
from hive.core.messages import OVER as ENDED
from hive.core.messages import Message, Stage
from hive.core.messages import parsed as message_number
from hive.core.signs import Sign, Source, Turn
from hive.core.spec import Agent
from hive.core.tasks import Report, State, Task, parsed
from hive.core.transitions import delivered, progressed, reported
from hive.core.world import Memory
from hive.core.world import State as Life
from hive.errors import HiveError, WrongInput
from hive.lockkeeping import Lockkeeping
from hive.work import Work

PARTS = 100
"""Into how many parts a task may be split."""

CHECKED = "hive runs its check now: if that fails, you are told why, and go on"
"""What an agent is told whose task is to be checked before it counts as done."""

Me = Mapping[str, str]
Record = dict[str, Any]


class Late(HiveError):  # noqa: N818 - an error's name says what is wrong
    """An answer came under a lease that is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignments:
    """What agents ask about their tasks and messages.

    `who` gives the agent that speaks, or refuses it; `memory` what is remembered of one.
    """

    work: Callable[[], Work]
    locking: Callable[[], Lockkeeping]
    talks: Conversations
    who: Callable[[Me], Agent]
    memory: Callable[[str], Memory | None]
    clock: Callable[[], float]

    def next_task(self, me: Me) -> Record:
        """Give an agent what it has begun, else the next task or message that is for it."""
        agent, work = self.who(me), self.work()
        now = self.clock()
        task = self._leased(agent, me["launch"])
        begun = [one for one in self.talks.outbox.of(agent.id) if one.launch == me["launch"]]
        if task is None and not begun and work.changed:
            work.step()
            task = self._leased(agent, me["launch"])
        if task is None or (begun and not begun[0].lease):
            one = self.talks.outbox.claim(agent.id, me["launch"], now)
            return {"task": self._letter(agent, one, me) if one else None}
        if not task.delivered:
            (task,) = work.queue.change([delivered(task, "it has fetched it", work.queue.now())])
            self._fetched(task, now)
        return {"task": self._record(agent, task)}

    def show_task(self, name: str, me: Me) -> Record:
        """Show an agent one of its tasks or messages."""
        agent = self.who(me)
        if parsed(name) is None and name:
            return {"task": letters.task(self._message(name, agent))}
        return {"task": self._record(agent, self._task(name, agent, me))}

    def progress(self, text: str, me: Me, name: str = "", uid: str = "") -> Record:  # noqa: ARG002 - told twice is told
        """Note how far an agent is."""
        agent, now = self.who(me), self.clock()
        text = clean(text)
        working = Sign(
            launch=me["launch"], source=Source.REPORT, at=now, turn=Turn.WORKING,
            text=f"it reports `working`: {text}", worked=True,
        )  # fmt: skip
        self.talks.hear(agent.id, [working])
        self.talks.say(agent.id, "report", text, now)
        task = self._of(name, agent, me)
        if task:
            queue = self.work().queue
            queue.change([progressed(task, text, queue.now())])
        return {"agent": agent.short}

    def task_done(
        self,
        name: str,
        result: str,
        me: Me,
        confidence: float | None = None,
        uid: str = "",
        fence: int = 0,
    ) -> Record:
        """Hear that an agent has done a task, or what a message asked."""
        if confidence is not None and not 0 <= confidence <= 1:
            raise WrongInput(f"confidence must be from 0 to 1, not {confidence:g}")
        report = Report(outcome="done", text=clean(result), at=self.clock(), confidence=confidence)
        return self._handed_in(name, me, uid, fence, report)

    def task_fail(
        self,
        name: str,
        why: str,
        me: Me,
        uid: str = "",
        fence: int = 0,
        permanent: bool = False,
    ) -> Record:
        """Hear that an agent could not do a task, or what a message asked.

        Where that is `permanent`, it is not tried again.
        """
        report = Report(outcome="failed", text=clean(why), at=self.clock(), permanent=permanent)
        return self._handed_in(name, me, uid, fence, report)

    def split_task(self, parts: list[str], me: Me, name: str = "", uid: str = "") -> Record:  # noqa: ARG002 - its parts have ids of their own
        """Have an agent's task wait for parts of it, which others do."""
        agent, work = self.who(me), self.work()
        texts = [clean(one) for one in parts if one.strip()]
        if not 0 < len(texts) <= PARTS:
            what = f"a task is split into 1 to {PARTS} parts, not {len(texts)}"
            raise WrongInput(what, fix="hive task split a.md b.md")
        task = self._task(name, agent, me)
        work.runs.split(task, texts, work.queue.now())
        work.changed = True
        self._fetched(task, self.clock())
        made = work.queue.tasks(parent=task.number, limit=len(texts), newest=True)
        return {"task": task.name, "parts": [one.name for one in made]}

    def lock(self, name: str, me: Me, shared: bool = False, uid: str = "") -> Record:  # noqa: ARG002 - taken twice is held once
        """Take a lock for an agent, or say who has it."""
        agent, now = self.who(me), self.work().queue.now()
        held = self.locking().take(name, shared, agent.id, me["launch"], now)
        if not held:
            return {"held": True, "by": agent.short, "since": now}
        one = held[0]
        by = one.agent.split("/", 1)[-1]
        task = f" for t-{one.task}" if one.task else ""
        return {"held": False, "by": f"{by}{task}", "since": one.at}

    def unlock(self, name: str, me: Me, uid: str = "") -> Record:  # noqa: ARG002 - given back twice is free
        """Give back an agent's lock."""
        agent = self.who(me)
        if not self.locking().give(name, agent.id):
            raise WrongInput(f"you do not hold the lock `{name}`")
        self.work().changed = True
        return {"held": False, "by": ""}

    def _handed_in(self, name: str, me: Me, uid: str, fence: int, report: Report) -> Record:
        agent = self.who(me)
        known = self.talks.post.answered(uid) if uid else None
        if known is not None:
            return dict(known)
        name = self._meant(name)
        if message_number(name) or not (name or self.work().of(agent.id, me["launch"])):
            return self._answered(name, agent, uid, report)
        if self._repeated(name, me, report):
            return {"task": name, "state": State.DONE.value, "why": "you have said so before"}
        task = self._task(name, agent, me, fence)
        work = self.work()
        now = work.queue.now()
        memory = self.memory(agent.id)
        if task.asked:
            after = work.ended(task, now)
        elif report.outcome == "failed" and memory and memory.state is Life.STOPPING:
            after = work.put_back(task, "its agent was stopped", now)
        else:
            (task,) = work.queue.change([reported(task, replace(report, at=now), now)])
            after = work.verifying.settle(task, now)
        work.changed = True
        self._fetched(task, self.clock())
        why = CHECKED if after.state is State.LEASED else after.why
        return {"task": after.name, "state": after.state.value, "why": why}

    def _meant(self, name: str) -> str:
        """Give the name of the task that a message gave to its agent, for that of the message."""
        found = message_number(name)
        one = self.talks.post.message(found[1]) if found and found[0] == "m" else None
        return one.lease.rpartition("-")[0] if one and one.lease else name

    def _repeated(self, name: str, me: Me, report: Report) -> bool:
        """Whether just this was said of a task before, and believed."""
        number = parsed(name)
        task = self.work().queue.task(number) if number else None
        said = task.report if task and task.state is State.DONE else None
        mine = task is not None and task.launch == me["launch"]
        return mine and said is not None and (said.outcome, said.text) == ("done", report.text)

    def _fetched(self, task: Task, now: float) -> None:
        """Note that the message of a lease needs not be said, or was answered."""
        for one in self.talks.outbox.of(task.agent):
            if one.lease != task.lease:
                continue
            stage = Stage.WITHDRAWN if one.stage is Stage.QUEUED else Stage.ANSWERED
            if stage is Stage.WITHDRAWN or task.report:
                why = f"{task.name} was fetched" if not task.report else f"{task.name} is reported"
                after = replace(one, stage=stage, reason=why, since=now, answered=now)
                self.talks.outbox.change(after, why)

    def _record(self, agent: Agent, task: Task) -> Record:
        """Give what an agent is told of its task."""
        words = self.work().runs.words(task)
        record = taskviews.for_agent(task, words)
        argv = self.talks.words(agent, task.launch, words)
        if argv and task.job.kind == "prompt":
            return record | {"argv": argv}
        return record

    def _letter(self, agent: Agent, one: Message, me: Me) -> Record:
        """Give what an agent is told of a message that it fetches."""
        argv = self.talks.words(agent, me["launch"], one.text)
        return letters.task(one) | ({"argv": argv, "kind": "prompt"} if argv else {})

    def _leased(self, agent: Agent, launch: str) -> Task | None:
        """Give the task that an agent is to work on: the one it has begun, else the oldest."""
        found = [one for one in self.work().of(agent.id, launch) if not one.report]
        found = [one for one in found if not one.asked]
        return min(found, key=lambda one: (not one.delivered, one.begun), default=None)

    def _of(self, name: str, agent: Agent, me: Me) -> Task | None:
        """Give the task that is meant: of this name, or the only one that the agent has."""
        if name and parsed(name) is None:
            return None
        if name:
            return self._task(name, agent, me)
        mine = self.work().of(agent.id, me["launch"])
        return mine[0] if len(mine) == 1 else None

    def _task(self, name: str, agent: Agent, me: Me, fence: int = 0) -> Task:
        """Give a task of this launch's. Raises `Late` where it is not its own any more."""
        if not name:
            mine = self.work().of(agent.id, me["launch"])
            if len(mine) != 1:
                what = f"you have {len(mine) or 'no'} task{'s' * (len(mine) != 1)}"
                raise WrongInput(what, fix="name one, such as t-12" if mine else "hive task next")
            return mine[0]
        number = parsed(name)
        task = self.work().queue.task(number) if number else None
        if task is None:
            raise WrongInput(f"there is no task `{name}`", fix="hive task next")
        if (task.agent, task.launch) != (agent.id, me["launch"]) or fence not in {0, task.fence}:
            raise self._late(task, agent)
        if task.state is not State.LEASED:
            what = f"{task.name} is {task.state} already: {task.why}"
            raise Late(what, fix="end your turn: the next one comes by itself")
        return task

    def _late(self, task: Task, agent: Agent) -> Late:
        """Refuse an answer that is too late, and say so where the task is looked at."""
        now = self.clock()
        by = task.agent.split("/", 1)[-1] if task.state is State.LEASED else ""
        whose = (
            f"{by or 'nobody'} has it now" if task.state is State.LEASED else f"it is {task.state}"
        )
        self.talks.say(agent.id, "late", f"its answer to {task.name} is refused: {whose}", now)
        what = f"{task.name} is not yours any more: {whose}"
        return Late(what, fix="stop working on it, and end your turn")

    # messages

    def _message(self, name: str, agent: Agent) -> Message:
        """Give a message of this agent's; without a name, the one that it was given and has."""
        given = [] if name else [it for it in self.talks.outbox.of(agent.id) if it.launch]
        if not name and len(given) != 1:
            what = f"{len(given) or 'no'} message{'s are' if given else ' is'} open for you"
            raise WrongInput(what, fix="name one, such as m-31" if given else "hive task next")
        found = message_number(name or given[0].name)
        one = self.talks.post.message(found[1]) if found and found[0] == "m" else None
        if one is None:
            raise WrongInput(f"there is no message `{name}`", fix="hive task next")
        if one.agent != agent.id:
            raise WrongInput(f"{name} is not for you", fix="hive task next")
        if one.stage in ENDED and one.stage is not Stage.FAILED and one.outcome:
            raise WrongInput(f"{name} is {one.stage} already", fix="hive task next")
        return one

    def _answered(self, name: str, agent: Agent, uid: str, report: Report) -> Record:
        """Note what an agent says of a message."""
        now, one = self.clock(), self._message(name, agent)
        after = replace(
            one,
            confidence=report.confidence,
            stage=Stage.ANSWERED,
            outcome=report.outcome,
            result=report.text,
            reason=f"reported {report.outcome}{f': {report.text}' if report.text else ''}",
            submitted=one.submitted or now,
            answered=now,
            since=now,
        )
        self.talks.outbox.change(after, f"the agent reports it {report.outcome}", uid)
        return {"task": one.name}


VERBS = (
    "next_task",
    "show_task",
    "progress",
    "task_done",
    "task_fail",
    "split_task",
    "lock",
    "unlock",
)
"""What is answered here."""
