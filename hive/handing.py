"""The verbs by which agents hand over: to others, with what is known of their work as facts.

An agent hands over its own work alone, a person anybody's. What was asked for under an id (`uid`)
is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hive import letters
from hive.conversations import Conversations
from hive.core import handoff, transitions
from hive.core.delivery import clean
from hive.core.handoff import Handoff
from hive.core.journal import Kept
from hive.core.messages import Message
from hive.core.spec import Agent
from hive.core.tasks import Claim, State, Task
from hive.core.world import Memory, Wanted
from hive.errors import WrongInput
from hive.views import VERSION, iso, short
from hive.work import Work

LONGEST = 2000
"""The longest note, in characters: it goes to its readers whole."""

DAY = 86_400.0
"""Seconds that are looked back where an agent has handed over nothing before."""

MOST = 20
"""How many tasks of an agent are told at most: its latest."""

FIX = 'hive handoff FROM TO… --note "TEXT"'

Me = Mapping[str, str]
Record = dict[str, Any]


class Journal(Protocol):
    """What keeps the handoffs."""

    def hand_off(  # noqa: D102
        self, at: float, source: str, target: str, body: Mapping[str, Any], run: str = ""
    ) -> Kept: ...
    def handoffs(  # noqa: D102
        self, agents: Collection[str] | None = None, *, run: str = "", limit: int = 100
    ) -> list[Kept]: ...


class Team(Protocol):
    """What must be known of the agents."""

    @property
    def wanted(self) -> Mapping[str, Wanted]: ...  # noqa: D102
    @property
    def memory(self) -> Mapping[str, Memory]: ...  # noqa: D102
    @property
    def talks(self) -> Conversations: ...  # noqa: D102


class _Stays(Exception):  # noqa: N818 - an error's name says what is so
    """A task can't go along, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """What is handed over, and what was.

    `chosen` gives the agents (ids) that names mean, `who` the agent that speaks; `person` refuses
    what only a person may ask for.
    """

    team: Team
    journal: Journal
    work: Callable[[], Work]
    chosen: Callable[[Sequence[str]], list[str]]
    who: Callable[[Me], Agent]
    person: Callable[[], None]
    clock: Callable[[], float]

    def hand_off(
        self,
        source: str,
        targets: Sequence[str],
        note: str = "",
        me: Me | None = None,
        uid: str = "",
        task: bool = False,
    ) -> Record:
        """Give others the facts of an agent's work, with a note, and tell their receipts.

        With `task` the task that it has goes along, if it can.
        """
        agent = self._source(source, me)
        known = self.team.talks.post.answered(uid) if uid else None
        if known is not None:
            return self._repeated(known["messages"])
        to = self._targets(agent, targets)
        note = _note(note)
        made = self._made(agent, to, note)
        moved = self._moved(agent, to, asked=me is None) if task else None
        sent = self._sent(made, uid)
        self._written(made, sent)
        return _answer(sent, made, moved)

    def handoffs(self, names: Sequence[str] = (), run: str = "", limit: int = 20) -> Record:
        """List the latest handoffs: all, or those from and to these agents, or of a run."""
        return listing(self.journal, self.chosen(names) if names else None, run, limit)

    # who, and to whom

    def _source(self, name: str, me: Me | None) -> Agent:
        """Give the agent whose work it is; raises WrongInput for another agent's word."""
        if me is None:
            self.person()
            found = self.chosen([name]) if name else []
            if len(found) != 1:
                what = f"`{name}` names {len(found)} agents" if name else "nobody is named"
                raise WrongInput(f"{what}: one hands over", fix=FIX)
            return self.team.wanted[found[0]].agent
        agent = self.who(me)
        if name and self.chosen([name]) != [agent.id]:
            what = f"`{agent.short}` hands over its own work alone, not that of `{name}`"
            raise WrongInput(what, fix='hive handoff TO… --note "TEXT"')
        return agent

    def _targets(self, source: Agent, names: Sequence[str]) -> list[Agent]:
        """Give the agents that get it; raises WrongInput where one that is named can't."""
        if not names:
            raise WrongInput("it is not said to whom", fix=FIX)
        found: dict[str, Agent] = {}
        for name in names:
            each = [self.team.wanted[one] for one in self.chosen([name]) if one != source.id]
            if not each:
                raise WrongInput(f"`{source.short}` can't hand over to itself", fix=FIX)
            able = {one.agent.id: one.agent for one in each if not _deaf(one)}
            if not able:
                what, _, fix = _deaf(each[0]).partition("\n")
                raise WrongInput(f"`{each[0].agent.short}` {what}", fix=fix)
            found |= able
        return list(found.values())

    # the facts

    def _made(self, source: Agent, targets: Sequence[Agent], note: str) -> Handoff:
        """Give the handoff, with all that is known of the work of its source."""
        work = self.work()
        now = work.queue.now()
        last = self.journal.handoffs([source.id])
        before = (one.body.get("at", one.at) for one in last if one.source == source.id)
        since = max(max(before, default=0.0), now - DAY)
        mine = work.queue.tasks(agent=source.id, newest=True, limit=10 * MOST)
        recent = [one for one in mine if one.state is State.LEASED or one.finished >= since]
        found = handoff.facts(recent[-MOST:], work.known, since, source.id)
        if not (note or any(one.done or one.commits or one.files for one in found)):
            what = f"`{source.short}` has nothing to hand over that is not handed over already"
            raise WrongInput(what, fix=FIX)
        runs = [one.run for one in recent if one.run]
        return Handoff(
            source=source.id,
            targets=tuple(one.id for one in targets),
            note=note,
            at=now,
            run=f"r-{runs[-1]}" if runs else "",
            facts=found,
        )

    # the task that goes along

    def _moved(self, source: Agent, targets: Sequence[Agent], *, asked: bool) -> tuple[str, str]:
        """Give the task of the source to the target; gives its name, and why it stays if it does.

        It keeps its text and its notes. Where a person `asked` for it, its agent is told.
        """
        work = self.work()
        mine = [one for one in work.of(source.id) if not (one.report or one.asked)]
        if len(mine) != 1:
            return "", f"{source.short} has {len(mine) or 'none'} under way"
        task, target = mine[0], targets[0]
        if len(targets) > 1:
            return task.name, f"only one of {len(targets)} can have it"
        try:
            self._claimed(task, target, f"{source.short} handed it over", work.queue.now())
        except _Stays as why:
            return task.name, str(why)
        work.verifying.drop(task.lease)
        work.changed = True
        if asked:
            words = f"{task.name} was handed over to {target.short}: leave it, and end your turn."
            self.team.talks.note(source.id, words, self.clock())
        return task.name, ""

    def _claimed(self, task: Task, target: Agent, why: str, now: float) -> None:
        """Take a task from who has it, and give it to this agent: both, or raise `_Stays`."""
        work, memory = self.work(), self.team.memory.get(target.id)
        with work.queue.batch():
            (free,) = work.queue.change([transitions.given_back(task, why, now)])
            refusal = work.refused(free)[0].get(target.id, "it takes no tasks")
            if refusal or memory is None:
                raise _Stays(refusal or "it was not started yet")
            lease = work.rules(task.job.project).lease
            claim = Claim(
                agent=target.id, launch=memory.launch, number=task.number, lease=lease, why=why
            )
            if not work.queue.claim([claim]):
                raise _Stays("somebody else was quicker")

    # telling and writing down

    def _sent(self, made: Handoff, uid: str) -> list[Message]:
        now, words = self.clock(), clean(handoff.text(made))
        new = [
            Message(
                number=0, agent=one, sender=short(made.source), text=words, created=now, since=now
            )
            for one in made.targets
        ]
        return self.team.talks.send(new, uid)

    def _written(self, made: Handoff, sent: Sequence[Message]) -> None:
        """Keep it for each of its targets, with an event of each agent that has to do with it."""
        now, talks = self.clock(), self.team.talks
        for one in sent:
            body = handoff.to_dict(replace(made, targets=(one.agent,))) | {"message": one.name}
            self.journal.hand_off(now, made.source, one.agent, body, made.run)
            said = f"{short(made.source)} hands over to it: {one.name}"
            talks.say(one.agent, "handoff", said, now)
        whom = ", ".join(f"{short(one.agent)} ({one.name})" for one in sent)
        talks.say(made.source, "handoff", f"it hands over to {whom}", now)

    def _repeated(self, numbers: Sequence[int]) -> Record:
        found = [self.team.talks.post.message(number) for number in numbers]
        return {**letters.sent([one for one in found if one]), "text": "", "task": None, "why": ""}


def listing(
    journal: Journal | None, agents: Collection[str] | None, run: str, limit: int
) -> Record:
    """Build the answer to `handoffs`, the latest last; without a journal there are none."""
    kept = journal.handoffs(agents, run=run, limit=limit) if journal else []
    return {"version": VERSION, "handoffs": [_record(one) for one in kept]}


VERBS = ("hand_off", "handoffs")
"""What is answered here."""


def _record(one: Kept) -> Record:
    """Build the record of a handoff; it is told also where a newer hive has written it."""
    made = handoff.from_dict(one.body)
    return {
        "number": one.number,
        "time": iso(one.at),
        "from": short(one.source),
        "to": short(one.target),
        "run": one.run or None,
        "note": made.note,
        "message": one.body.get("message", ""),
        "text": handoff.text(made),
        "facts": handoff.to_dict(made)["facts"],
    }


def _answer(sent: Sequence[Message], made: Handoff, moved: tuple[str, str] | None) -> Record:
    name, why = moved or ("", "")
    return {
        **letters.sent(sent),
        "text": handoff.text(made),
        "task": name if name and not why else None,
        "why": f"{name or 'no task'} does not go along: {why}" if why else "",
    }


def _note(text: str) -> str:
    """Give a note as it is passed on; raises WrongInput for one that is too long."""
    text = clean(text).strip()
    if len(text) > LONGEST:
        what = f"the note has {len(text)} characters, more than {LONGEST}"
        raise WrongInput(what, fix="put it into a file, and name that in the note")
    return text


def _deaf(one: Wanted) -> str:
    """Say why an agent can be told nothing, and in a second line what to do; "" where it can."""
    if one.removed:
        return "is being removed\nput it back into the file, and `hive deploy`"
    if one.agent.voice is None:
        fix = 'set its `profile` ("generic" suits any program that reads lines)'
        return f"is a plain program: hive types nothing into it\n{fix}"
    if not one.agent.voice.headless and not one.agent.voice.profile.reads:
        return "runs commands: it would take a note for one\nhand over to an agent that reads"
    return ""
