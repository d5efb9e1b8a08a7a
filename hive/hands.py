"""How an agent is given a task, and how it is taken from it again.

A worker fetches its task when its bell rings. Any other agent is given it as a message, which bears
the name of the lease, so that it is never given twice. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hive.adapters.bell import ring
from hive.conversations import Conversations
from hive.core import transitions
from hive.core.messages import HIVE, OVER, Message, Stage
from hive.core.signs import Turn
from hive.core.tasks import Change, Task

RING = 5.0
"""Seconds until a bell is rung again that nobody seems to have heard."""

QUIET = 20.0
"""Seconds for which an agent may say nothing of its task after its turn."""

REMINDERS = 2
"""How often an agent is reminded of a task of which it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What came of looking after a lease: a change to be written, or why it has failed."""

    change: Change | None = None
    failed: str = ""


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What was done about one lease: when its bell was rung, and how it was reminded."""

    rung: float = 0.0
    letter: Message | None = None
    reminded: int = 0
    at: float = 0.0


class Hands:
    """Gives tasks to agents, and takes them back."""

    def __init__(
        self, talks: Conversations, words: Callable[[Task], str] = lambda task: task.words
    ) -> None:
        self._talks = talks
        self._words = words
        self._seen: dict[str, _Seen] = {}

    def serve(self, task: Task, fetches: bool, now: float) -> Served:
        """Have an agent get its task, and remind it of one that it says nothing of."""
        seen = self._seen.setdefault(task.lease, _Seen())
        if fetches:
            if not task.delivered and not 0 <= now - seen.rung < RING:
                seen.rung = now
                self._ring(task.agent)
            return Served()
        letter = self._letter(task, seen)
        if letter is None:
            said = order(task, self._words(task))
            self._talks.send([_letter(task, said, now)], task.lease)
            return Served()
        if letter.stage in {Stage.FAILED, Stage.WITHDRAWN}:
            return Served(failed=f"{letter.name} did not reach it: {letter.reason}")
        if letter.stage not in {Stage.SUBMITTED, Stage.ANSWERED}:
            return Served()
        if not task.delivered:
            return Served(change=transitions.delivered(task, letter.proof, now))
        return Served(failed=self._remind(task, seen, now))

    def tell(self, task: Task, text: str) -> bool:
        """Tell an agent what became of its task; gives whether it can be told."""
        line = self._talks.ears.lines.get(task.agent)
        if line is None or not line.profile.messages:
            return False
        words = f"{task.name} is not done yet: {text}\n\nPut it right. {_how(task)}"
        letter = replace(_letter(task, words, task.heard), sender=HIVE)
        self._talks.send([letter], f"{task.lease}:{task.rounds}")
        return True

    def stop(self, task: Task, fetches: bool, now: float, *, first: bool) -> bool:
        """Have an agent end what it does for a task; gives whether it has."""
        if fetches:
            self._ring(task.agent)
            return task.delivered == 0
        line, mine = self._talks.ears.lines.get(task.agent), self._talks.outbox.of(task.agent)
        given = task.delivered or any(one.enters for one in mine if one.lease == task.lease)
        if line is None or line.condition.turn is not Turn.WORKING or not given:
            return True
        if first:
            self._talks.interrupt(task.agent, now)
        return False

    def over(self, lease: str) -> None:
        """Know no more of a lease that is over."""
        self._seen.pop(lease, None)

    def forget(self, task: Task, why: str, now: float) -> None:
        """Take back what an agent was told of a lease that is over.

        What stands in its composer already goes on: it would stay there as a draft.
        """
        self._seen.pop(task.lease, None)
        line = self._talks.ears.lines.get(task.agent)
        for one in self._talks.outbox.of(task.agent):
            typed = one.stage is Stage.TYPED and line is not None and one.launch == line.launch
            if one.lease == task.lease and not typed:
                after = replace(one, stage=Stage.WITHDRAWN, reason=why, since=now)
                self._talks.outbox.change(after, why)
        self._ring(task.agent)

    def _letter(self, task: Task, seen: _Seen) -> Message | None:
        """Give the message by which the agent got its task; None where none was sent."""
        mine = [one for one in self._talks.outbox.of(task.agent) if one.lease == task.lease]
        if mine:
            return mine[0]
        if seen.letter is None or seen.letter.stage not in OVER:
            sent = self._talks.post.answered(task.lease)
            seen.letter = self._talks.post.message(sent["messages"][0]) if sent else None
        return seen.letter

    def _remind(self, task: Task, seen: _Seen, now: float) -> str:
        """Remind an agent that has ended its turn and said nothing; gives why it is given up."""
        agent, talks = task.agent, self._talks
        line = talks.ears.lines.get(agent)
        if line is None or line.condition.turn is not Turn.READY or talks.outbox.of(agent):
            return ""
        if talks.closed(agent):  # as at a usage limit: it goes on by itself, or is told to
            return ""
        if now - max(task.heard, seen.at, line.condition.since) < QUIET:
            return ""
        if seen.reminded >= REMINDERS:
            return f"its agent ended its turn {seen.reminded + 1} times, and never said how it went"
        seen.reminded, seen.at = seen.reminded + 1, now
        words = f"Your turn ended, and you have not said how {task.name} went. {_how(task)}"
        talks.note(agent, words, now)
        return ""

    def _ring(self, agent: str) -> None:
        line = self._talks.ears.lines.get(agent)
        if line:
            ring(line.folder)


def order(task: Task, words: str) -> str:
    """Give what an agent is told of its task: these words, and how to report."""
    words = words.strip()
    gap = "\n\n" if "\n" in words else " "
    return f"{words}{gap}(This is task {task.name}. {_how(task)})"


def _how(task: Task) -> str:
    """Say how to report: under this lease alone, so that a late answer is known for one."""
    done = f'hive task done {task.lease} --result "WHAT YOU DID" --confidence C'
    fail = f'hive task fail {task.lease} --why "WHY"'
    return f"When it is done, run: {done} (C: how sure you are, 0 to 1). If it can't be: {fail}"


def _letter(task: Task, text: str, now: float) -> Message:
    return Message(
        number=0,
        agent=task.agent,
        sender=task.job.sender,
        text=text,
        created=now,
        since=now,
        lease=task.lease,
    )
