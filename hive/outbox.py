"""What waits to be said to each agent, and how it goes: typed, posted, fetched, handed to a hook.

A message is handed over by one way only, and every way leaves its trace where the next supervisor
finds it. Times are epoch seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from hive.adapters import opencode
from hive.adapters.bell import ring
from hive.adapters.errands import Done, Errands
from hive.adapters.post import Post, Superseded
from hive.adapters.typist import Typist
from hive.core import gate
from hive.core.delivery import LATE, UNHEARD
from hive.core.hearing import hear
from hive.core.lines import formed
from hive.core.messages import HIVE, OVER, Message, Stage
from hive.core.moves import Seat
from hive.core.signs import Sign, Source, Turn, mark
from hive.core.wirings import reply
from hive.core.world import State
from hive.ears import Line
from hive.errors import HiveError
from hive.mouth import Mouth

AGAIN = 2.0
"""Seconds until what could not be said is tried again."""

LOOK = 1.0
"""Seconds between two looks whether a turn is over that nobody tells of."""

IDLE = 3600.0
"""Seconds until the next look where nothing waits."""

PATIENCE = 5.0
"""Seconds a program gets to take a message that is posted to it."""

WAITING = frozenset({Stage.QUEUED, Stage.TYPED})
"""The stages of what is not known to have arrived."""

MOVING = frozenset({Stage.TYPED, Stage.SUBMITTED})
"""The stages of what is under way."""

_log = logging.getLogger("hive")

HANDED = 10.0
"""Seconds in which a message that was handed to a hook shows in the program's records."""

POSTING = 0.2
"""Seconds between two looks at what became of what was posted."""

POSTED = "opencode"
"""The wiring of programs that take their messages over HTTP."""

Closed = Callable[[str], str]
"""Why an agent is to be given nothing now, "" where it may."""


class Outbox:
    """The messages that are not over, and their ways to the agents."""

    def __init__(self, post: Post, typist: Typist, closed: Closed) -> None:
        self._post = post
        self._mouth = Mouth(typist, lambda _before, after, why: self.change(after, why))
        self._closed = closed
        self._errands = Errands()
        self._posted: dict[int, float] = {}
        self._open: dict[str, list[Message]] = post.open()
        self.due = 0.0

    def of(self, agent: str) -> list[Message]:
        """Give an agent's messages that are not over, in order."""
        return [one for one in self._open.get(agent, []) if one.stage not in OVER]

    def briefs(self) -> dict[str, float]:
        """Give when each brief was given that is not answered."""
        return {
            one.agent: one.typed
            for queue in self._open.values()
            for one in queue
            if one.kind == "brief" and one.typed
        }

    def add(
        self, new: Sequence[Message], lines: Mapping[str, Line], uid: str = ""
    ) -> list[Message]:
        """Queue messages; programs that fetch theirs are told."""
        kept = self._post.add(new, uid=uid)
        for one in kept:
            self._open.setdefault(one.agent, []).append(one)
            line = lines.get(one.agent)
            if line:
                ring(line.folder)
        self.due = 0.0
        return kept

    def recall(
        self,
        agent: str,
        texts: Collection[str],
        why: str,
        now: float,
        stages: Collection[Stage] = WAITING,
    ) -> None:
        """Take back of what hive itself said what is not known to have arrived."""
        for one in self.of(agent):
            if one.kind == "note" and one.text in texts and one.stage in stages:
                self.change(replace(one, stage=Stage.WITHDRAWN, reason=why, since=now), why)

    def drop(self, agent: str, why: str, now: float) -> None:
        """Give up what waits for an agent that is gone for good."""
        for one in self.of(agent):
            self.change(replace(one, stage=Stage.WITHDRAWN, reason=why, since=now), why)

    def withdraw(self, one: Message, now: float) -> Message:
        """Take back a message. Raises HiveError where it may have gone already."""
        if one.stage not in {Stage.QUEUED, Stage.FAILED} or one.number in self._posted:
            stage = "being posted" if one.number in self._posted else str(one.stage)
            raise HiveError(
                f"{one.name} is {stage}: it can't be taken back", fix=f"hive why {one.name}"
            )
        after = replace(one, stage=Stage.WITHDRAWN, reason="withdrawn", since=now)
        return self.change(after, "taken back by a person")

    def note(self, agent: str, text: str, lines: Mapping[str, Line], now: float) -> None:
        """Have hive itself say something to an agent, unless just that still waits."""
        if any(one.text == text and one.stage is Stage.QUEUED for one in self.of(agent)):
            return
        new = Message(
            number=0, agent=agent, sender=HIVE, text=text, created=now, since=now, kind="note"
        )
        self.add([new], lines)

    def change(self, after: Message, why: str, uid: str = "") -> Message:
        """Write a message's new stage. Raises Superseded where it is not as it was."""
        (kept,) = self._post.change([(after, why)], time.time(), uid)
        mine = [one for one in self._open.get(kept.agent, []) if one.number != kept.number]
        if kept.stage not in OVER or kept.lost:
            mine = sorted([*mine, kept], key=lambda one: one.number)
        self._open[kept.agent] = mine
        self.due = 0.0
        return kept

    def reload(self) -> None:
        """Believe the store: something was changed there."""
        self._open = self._post.open()
        self.due = 0.0

    def say_again(self, agent: str, launch: str, now: float) -> None:
        """Have said again what a conversation that is lost had not answered."""
        why = "said again: the conversation it was in is lost"
        for one in self.of(agent):
            if one.stage is Stage.SUBMITTED and one.launch != launch:
                self.change(_anew(one, why, now), why)

    def claim(self, agent: str, launch: str, now: float) -> Message | None:
        """Give an agent the message it works on, or the next one, which it then has."""
        mine = self.of(agent)
        begun = [one for one in mine if one.stage is Stage.SUBMITTED and one.launch == launch]
        if begun:
            return begun[0]
        queued = [one for one in mine if one.stage is Stage.QUEUED]
        if not queued or self._closed(agent):
            return None
        why = "fetched by the agent"
        return self.change(_submitted(queued[0], launch, now, "the agent asked for it"), why)

    def hand_over(self, agent: str, line: Line, event: str, now: float) -> str:
        """Give what a hook at a turn's end is to print, so that the agent goes on with a message.

        "" where there is none, or its hook can't.
        """
        if Source.RECORDS not in line.ear.latest:
            return ""  # nothing would tell that it arrived
        wiring = line.profile.wiring
        queued = [one for one in self.of(agent) if one.stage is Stage.QUEUED]
        closed = self._closed(agent) or line.memory.state is State.STOPPING
        if not queued or closed or len(queued) < len(self.of(agent)):
            return ""
        text = f"{mark(queued[0].number)} {queued[0].text}"
        printed = reply(wiring, event, None, text)
        if printed:
            why = "handed to its hook at the end of a turn"
            one = replace(
                queued[0], stage=Stage.TYPED, reason=why, since=now, launch=line.launch,
                typed=now, enters=2, tries=queued[0].tries + 1, way="hook",
            )  # fmt: skip
            self.change(one, why)
        return printed

    def _lost(self, agent: str, line: Line, now: float) -> None:
        """Take back what a hook was handed and did not pass on: hive was killed in between.

        The program has ended its turn then, and its records have no trace of the message.
        """
        for one in self.of(agent):
            if not _is_handed(one, line) or 0 <= now - one.typed < HANDED:
                continue
            told = line.ear.latest.get(Source.RECORDS)
            if told is None:
                if now - one.typed >= LATE:
                    self.change(
                        replace(one, stage=Stage.FAILED, reason=UNHEARD, since=now), UNHEARD
                    )
                continue
            if told.turn is Turn.WORKING and told.at > one.typed:
                continue
            why = "its hook did not pass it on"
            self.change(_anew(one, why, now), why)
            ended = Sign(launch=line.launch, source=Source.HOOK, at=now, turn=Turn.READY, text=why)
            line.ear = hear(line.ear, ended)

    def speak(self, lines: Mapping[str, Line], now: float) -> None:
        """Go on with all that is being said."""
        self._took(lines, now)
        for agent, line in lines.items():
            self._lost(agent, line, now)
            if self._was_cut_off(agent, line):
                self.note(agent, line.profile.session.go_on, lines, now)
        posting = {agent for agent, line in lines.items() if line.profile.wiring == POSTED}
        seats = {
            agent: (self._seat(agent, line), self._typed(agent, line, posting))
            for agent, line in lines.items()
            if self._open.get(agent) and line.profile.messages
        }
        due: float | None = None
        try:
            due = self._mouth.step(seats, now) if seats else None
        except Superseded as error:
            _log.info("%s", error)
            self.reload()
            due = now
        except HiveError as error:
            _log.warning("can't type: %s", error)
            due = now + AGAIN
        waits = any(one.stage in MOVING for agent in seats for one in self.of(agent))
        self.due = min(now + (LOOK if waits else IDLE), now + IDLE if due is None else due)
        for agent in posting & seats.keys():
            self._post_next(agent, lines[agent], seats[agent][0], now)
        if self._posted:
            self.due = min(self.due, now + POSTING)

    def interrupt(self, agent: str, line: Line) -> bool:
        """Have a program that is posted to end its turn; gives whether it is one."""
        if line.profile.wiring != POSTED:
            return False
        work = partial(_aborted, line.folder, line.ear.session)
        self._errands.do((agent, 0), work)  # what comes of it shows in its records
        return True

    def close(self) -> None:
        """Wait for nothing any more."""
        self._errands.close()

    def _was_cut_off(self, agent: str, line: Line) -> bool:
        """Whether an earlier launch got a message, as the records of this one tell only now."""
        mine, text = self._open.get(agent, []), line.profile.session.go_on
        told = any(one.text == text and one.stage is Stage.SUBMITTED for one in mine)
        return not told and any(
            one.stage is Stage.TYPED and one.launch != line.launch and one.number in line.ear.heard
            for one in mine
            if one.text != text
        )

    def _typed(self, agent: str, line: Line, posting: set[str]) -> tuple[Message, ...]:
        """Give the messages that go by the terminal: queued ones are posted where that is known.

        A turn that was cut off is gone on with before anything else: until then nothing that was
        given in it is answered.
        """
        mine = _cut_off(self._open[agent], line) or self._open[agent]
        mine = [one for one in mine if not _is_handed(one, line)]
        if agent in posting:  # one that was posted before hive was killed may have been heard
            heard = line.ear.heard
            mine = [one for one in mine if one.stage is not Stage.QUEUED or one.number in heard]
        return tuple(mine)

    def _seat(self, agent: str, line: Line) -> Seat:
        stopping = "stopping" if line.memory.state is State.STOPPING else ""
        return Seat(
            agent=agent,
            socket=line.memory.socket,
            pane=line.memory.pane,
            launch=line.launch,
            profile=line.profile,
            folder=str(line.folder),
            condition=line.condition,
            glimpse=line.glimpse,
            ear=line.ear,
            closed=self._closed(agent) or stopping,
        )

    def _post_next(self, agent: str, line: Line, seat: Seat, now: float) -> None:
        """Post the next message to a program that takes them so, once it is ready."""
        mine = _cut_off(self.of(agent), line) or self.of(agent)
        if not mine or mine[0].stage is not Stage.QUEUED or mine[0].number in self._posted:
            return
        one = mine[0]
        if one.number in line.ear.heard:
            return
        closed = gate.gate(line.condition, line.glimpse, "", line.profile, now, seat.closed)
        if closed:
            if one.reason != closed:
                self.change(replace(one, reason=closed), closed)
            self.due = min(self.due, now + AGAIN)
            return
        text = formed(one, line.profile)
        self._posted[one.number] = now
        work = partial(_posted, line.folder, line.ear.session, text)
        self._errands.do((agent, one.number), work)

    def _took(self, lines: Mapping[str, Line], now: float) -> None:
        """Take in what became of what was posted."""
        for done in self._errands.read():
            agent, number = cast("tuple[str, int]", done.key)
            self._posted.pop(number, None)
            one = next((one for one in self.of(agent) if one.number == number), None)
            line = lines.get(agent)
            if one and line and one.stage is Stage.QUEUED:
                self._told(one, line, done, now)

    def _told(self, one: Message, line: Line, done: Done, now: float) -> None:
        if done.error is None:
            proof = "it took it over HTTP"
            self.change(_submitted(one, line.launch, now, proof), proof)
        elif isinstance(done.error, opencode.NotTaken):
            why = f"not taken: {done.error.what}"
            self.change(replace(one, reason=why), why)
            self.due = now + AGAIN
        else:
            why = f"posted; not known whether it was taken: {done.error}"
            after = replace(
                one, stage=Stage.TYPED, reason=why, since=now, launch=line.launch, typed=now,
                enters=2, tries=one.tries + 1,
            )  # fmt: skip
            self.change(after, why)


def _is_handed(one: Message, line: Line) -> bool:
    """Whether the launch's hook was handed it, and nothing shows yet that it was passed on."""
    handed = one.way == "hook" and one.stage is Stage.TYPED and one.launch == line.launch
    return handed and one.number not in line.ear.heard


def _cut_off(messages: Sequence[Message], line: Line) -> list[Message]:
    """Give what tells an agent to go on with a turn that was cut off, and is still to be given."""
    text = line.profile.session.go_on
    return [one for one in messages if one.text == text and one.stage in WAITING]


def _posted(folder: Path, session: str, text: str) -> None:
    """Post a prompt, in a conversation that is begun where there is none yet."""
    at = opencode.door(folder)
    opencode.prompt(at, session or opencode.begin(at), text, PATIENCE)


def _aborted(folder: Path, session: str) -> None:
    """End the turn of a conversation, where there is one."""
    if session:
        opencode.abort(opencode.door(folder), session, PATIENCE)


def _submitted(one: Message, launch: str, now: float, proof: str) -> Message:
    return replace(
        one,
        stage=Stage.SUBMITTED,
        reason=proof,
        since=now,
        launch=launch,
        submitted=now,
        proof=proof,
        tries=one.tries + 1,
    )


def _anew(one: Message, why: str, now: float) -> Message:
    return replace(
        one,
        stage=Stage.QUEUED,
        reason=why,
        since=now,
        launch="",
        typed=0.0,
        enters=0,
        submitted=0.0,
        proof="",
        way="",
    )
