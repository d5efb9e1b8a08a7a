"""Every conversation with an agent: what is heard of it, what waits to be said, what was asked.

`observe` takes in each look of the keeper, `step` does what is due in between: it reads what the
programs have written, and goes on with what is being typed. Moments are epoch seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from hive.adapters.node import Looked
from hive.adapters.spool import at as asked_at
from hive.adapters.spool import refusal
from hive.adapters.state import State as Place
from hive.adapters.store import Event, Store
from hive.adapters.typist import Typist
from hive.core import sessions
from hive.core.limits import Ceiling
from hive.core.messages import Message, Request, Stage
from hive.core.sessions import End
from hive.core.shown import Shown
from hive.core.signs import Sign, Source, Turn
from hive.core.spec import Agent
from hive.core.talk import Talk
from hive.core.world import Memory, Use, Verdict, Wanted
from hive.dressing import Dressed, Dressing
from hive.ears import Ears, Line, talked, verdict
from hive.errors import HiveError, WrongInput
from hive.outbox import IDLE, Outbox
from hive.patience import BUDGET, GO_ON, Around, Patience, granted, nudge
from hive.pauses import Pauses
from hive.requests import Requests

OBSERVE = 0.9
"""All panes are looked at once in so many seconds at most, however often is looked."""

LISTEN = 0.5
"""Seconds between two looks at what the programs have written."""

REMOVED = "its agent was removed"

_log = logging.getLogger("hive")


class Measured(Protocol):
    """What is measured of the agents beside their conversations."""

    @property
    def uses(self) -> Mapping[str, Use]: ...  # noqa: D102
    @property
    def ceilings(self) -> Mapping[str, Ceiling]: ...  # noqa: D102
    def writes(self, agent: str) -> bool: ...  # noqa: D102


class Conversations:
    """All that is said on this node."""

    def __init__(self, place: Place, store: Store) -> None:
        self._store = store
        self.post = store.post
        self._typist = Typist(place.instance)
        self._dressing = Dressing(place, store.post)
        self.ears = Ears(self._typist, self._dressing.folder)
        self.talks: dict[str, Talk] = self.post.talks()
        self.requests = Requests(self.post, self._typist, self._dressing.folder)
        self.outbox = Outbox(store.post, self._typist, self.withheld)
        self.patience = Patience(store, self._typist, self.outbox, self.requests)
        self.pauses = Pauses(store, time.time)
        self.pauses.given, self.pauses.wake = self.outbox.of, self._wake
        self._looked = False
        self._early: dict[str, list[Sign]] = {}
        self._observed = 0.0
        self._listened = 0.0
        self._news: list[Event] = []
        self.changed = False
        self.environ: Callable[[Agent, str], Mapping[str, str]] = lambda _spec, _launch: {}
        self.answer: Callable[[str, Mapping[str, Any]], Any] = lambda _verb, _args: {}

    # launches

    def dress(
        self,
        spec: Agent,
        launch: str,
        end: End | None,
        inherit: Mapping[str, str],
        now: float,
    ) -> tuple[Agent, Mapping[str, str]]:
        """Give a launch what it is started with; a plain program gets nothing.

        Raises HiveError where that can't be written.
        """
        if spec.voice is None:
            return spec, inherit
        before = self.talks.get(spec.id, Talk(agent=spec.id))
        cut = sessions.cut_off(before, self.outbox.of(spec.id))
        dressed: Dressed = self._dressing.dress(spec, launch, before, end, inherit, now)
        self._remember([dressed.talk])
        self.outbox.reload()
        profile, recall = spec.voice.profile, self.outbox.recall
        if not dressed.talk.resumed:
            said = (profile.session.go_on, nudge(profile), GO_ON)
            recall(spec.id, said, "its conversation is lost", now)
            self.outbox.say_again(spec.id, launch, now)
        elif cut:
            recall(spec.id, [profile.session.go_on], "it is told once more", now, [Stage.TYPED])
            self.note(spec.id, profile.session.go_on, now)
        return dressed.spec, dressed.inherit

    def words(self, spec: Agent, launch: str, text: str) -> list[str] | None:
        """Give the command that has an agent's program do one prompt; None where it has none."""
        return self._dressing.words(spec, launch, text)

    # looking

    def observe(
        self,
        wanted: Mapping[str, Wanted],
        memory: Mapping[str, Memory],
        looked: Looked,
        around: Measured,
        now: float,
    ) -> None:
        """Take in a look: who runs, what their windows show, how the conversations stand."""
        running = {
            agent: (wanted[agent].agent, one)
            for agent, one in memory.items()
            if one.live and agent in wanted and wanted[agent].agent.voice
        }
        fresh = {one.launch for _, one in running.values()} - {
            line.launch for line in self.ears.lines.values()
        }
        if not fresh and 0 <= now - self._observed < OBSERVE:
            return
        self._observed = now
        self.ears.follow(running, self.talks, self.environ, self.requests.asked)
        self._catch_up()
        self._looked = True
        try:
            self.ears.look(looked.trees, now)
        except HiveError as error:  # what could not be seen now is seen at the next look
            _log.warning("can't look at the agents' windows: %s", error)
        for agent, line in self.ears.lines.items():
            line.wrote = now if around.writes(agent) else line.wrote
        self._listen(now)
        self._watch(around, now)

    def _watch(self, around: Measured, now: float) -> None:
        """Take what steps are due against agents, each written down before."""
        known = Around(
            uses=around.uses,
            talks=self.talks,
            briefs=self.outbox.briefs(),
            asking=self.requests.asking(),
            asked=self.requests.keys(),
            ceilings=around.ceilings,
            paused=self.pauses.until(now),
        )
        self.patience.watch(self.ears.lines, known, now)
        self._write_talks(self.ears.lines, now)
        self.patience.act(self.ears.lines, now)

    def step(self, now: float) -> float:
        """Do what is due between two looks; gives the moment of the next thing."""
        if not self.ears.lines:
            return now + OBSERVE
        if not 0 <= now - self._listened < LISTEN:
            self._listen(now)
        if not now < self.outbox.due <= now + IDLE:
            self._speak(now)
        return min(self._listened + LISTEN, self.outbox.due)

    def _speak(self, now: float) -> None:
        """Go on with what is being said to all that can answer."""
        lines = self.pauses.able(self.ears.lines, now)
        self.outbox.speak(lines, now)
        if len(lines) < len(self.ears.lines):
            self.outbox.due = min(self.outbox.due, self.pauses.due(now))

    def _listen(self, now: float) -> None:
        self._listened = now
        self.ears.listen(now)
        for agent, line in list(self.ears.lines.items()):
            if line.spool.changed():
                self._spooled(agent, line, now)
        self._judge(now)

    def _spooled(self, agent: str, line: Line, now: float) -> None:
        """Answer what an agent asked through its folder, from inside a sandbox."""
        for name, verb, args in line.spool.questions():
            me = args.get("me")
            if me and (me.get("agent"), me.get("launch")) != (agent, line.launch):
                wrong = WrongInput(f"this is the folder of `{agent}`, launch {line.launch}")
                line.spool.answer(name, refusal(wrong))
                continue
            more = {"at": min(asked_at(name), now)} if verb == "hook" else {}
            line.spool.answer(name, self._answered(verb, {**args, **more}))

    def _answered(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Have a question answered; whatever goes wrong becomes the answer."""
        try:
            return {"result": self.answer(verb, args)}
        except HiveError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001 - whoever asks gets an answer
            _log.exception("a bug in the answer to `%s`", verb)
            what = f"hive has a bug: {type(error).__name__}: {error}"
            return refusal(HiveError(what, fix="`supervisor.log` has the traceback; report it"))

    def hear(self, agent: str, signs: Sequence[Sign]) -> None:
        """Take in signs that came by themselves: a hook's, a report.

        What comes before its launch was looked at is kept until then.
        """
        if not self.ears.take(agent, signs):
            self._early.setdefault(agent, []).extend(signs)
            for sign in signs:
                self.requests.heard(agent, sign)
        self._listened = self.outbox.due = 0.0

    def _catch_up(self) -> None:
        """Hear what came before there was a line; what is of other launches changes nothing."""
        early, self._early = self._early, {}
        for agent, signs in early.items():
            if not self.ears.take(agent, signs):
                _log.info("%s: what it told is of a launch that is over", agent)

    def _judge(self, now: float) -> None:
        changed = self.ears.judge(now)
        if any(self.ears.lines[agent].condition.turn is Turn.LIMITED for agent in changed):
            self._observed = 0.0  # others of its account are not to run into it too
        self._write_talks(changed, now)
        known = self._looked  # before the first look nothing is known to be gone
        early = {one.launch for signs in self._early.values() for one in signs}
        if (known and self.requests.follow(self.ears.lines, now, early)) or changed:
            self.changed = True
            self.outbox.due = 0.0

    def _write_talks(self, agents: Iterable[str], now: float) -> None:
        """Remember how these conversations stand, where that has changed."""
        after = []
        for agent in agents:
            line = self.ears.lines[agent]
            before = self.talks.get(agent, Talk(agent=agent))
            known = talked(before, line)
            if known != before:
                after.append(known)
                if known.turn and (before.turn, before.sub) != (known.turn, known.sub):
                    text = f"{known.turn}{f' ({known.sub})' if known.sub else ''}: {known.text}"
                    self._news.append(Event(agent=agent, kind="talk", text=text, at=now))
        if after:
            self._remember(after)

    def _remember(self, talks: Sequence[Talk]) -> None:
        for one in self.post.remember(talks):
            self.talks[one.agent] = one

    # what is to be said

    def send(self, new: Sequence[Message], uid: str = "") -> list[Message]:
        """Queue messages, and have said what may be said at once."""
        self.changed = True
        return self.outbox.add(new, self.ears.lines, uid)

    def note(self, agent: str, text: str, now: float) -> None:
        """Have hive itself say something to an agent that reads it."""
        if agent not in self.ears.lines or self.ears.lines[agent].profile.reads:
            self.outbox.note(agent, text, self.ears.lines, now)

    def interrupt(self, agent: str, now: float) -> None:
        """End what an agent is doing, by its keys."""
        line = self.ears.lines.get(agent)
        if line:
            self.patience.interrupt(agent, line, now)

    def withheld(self, agent: str) -> str:
        """Say why an agent is to be given nothing now, whatever it does; "" where it may."""
        return self.pauses.closed(agent) or self.patience.closed(agent)

    def _wake(self) -> None:
        self.changed, self.outbox.due = True, 0.0

    def closed(self, agent: str) -> str:
        """Say why nothing may be typed into an agent now, "" where it may."""
        line = self.ears.lines.get(agent)
        if line is None:
            return "it does not run"
        return self.withheld(agent) or line.condition.closed

    def patient(self, one: Message) -> float:
        """Give how long the proof of a message may take, in seconds; 0 where nobody knows."""
        line = self.ears.lines.get(one.agent)
        return line.profile.typing.proof if line else 0.0

    def hooked(self, agent: str, event: str, found: Sequence[Sign], now: float) -> dict[str, Any]:
        """Say what a hook is to print at once, or which verdict it is to wait for."""
        self._judge(now)
        line, wait = self.ears.lines.get(agent), self.requests.waited_for(agent, found)
        over = any(sign.turn is Turn.READY for sign in found)
        if line is None or wait or not over:
            return {"print": "", "wait": wait}
        self._speak(now)  # what this turn answered is no longer in the way
        printed = self.outbox.hand_over(agent, line, event, now)
        if printed:
            text = "it goes on with the message that its hook was handed"
            goes_on = Sign(
                launch=line.launch, source=Source.HOOK, at=now, turn=Turn.WORKING, text=text
            )
            self.hear(agent, [goes_on])
        return {"print": printed, "wait": None}

    def decide(self, one: Request, *, allow: bool, text: str, now: float) -> Request:
        """Carry out a person's decision. Raises what `Requests.decide` raises."""
        kept = self.requests.decide(one, self.ears.lines, allow=allow, text=text, now=now)
        if kept.channel == "keys" and text:  # keys carry no words
            self.note(one.agent, f"{kept.name} is {kept.state} ({one.asked}): {text}", now)
        told = Sign(
            launch=one.launch,
            source=Source.REPORT,
            at=now,
            over=(one.key,),
            text=f"{kept.name} is {kept.state}",
        )
        self.hear(one.agent, [told])
        self.changed = True
        return kept

    def answer_to(self, one: Request, text: str, now: float) -> Request:
        """Give a person's answer to the agent that asked."""
        if one.key.startswith(BUDGET):
            amount = granted(text)
            kept = self.requests.answer(one, text, now)  # first: nothing is granted twice
            self.patience.grant(one.key, amount, now)
            return kept
        if one.key:
            return self.decide(one, allow=False, text=text, now=now)
        kept = self.requests.answer(one, text, now)
        self.note(one.agent, f"Answer to {one.name} ({one.asked}): {text}", now)
        return kept

    # what others need to know

    def shown(self, agent: str) -> Shown | None:
        """Give what is told of an agent's conversation; None for a plain program."""
        line, talk = self.ears.lines.get(agent), self.talks.get(agent)
        if line is None and talk is None:
            return None
        known = talk or Talk(agent=agent)
        doubt, step, following = self.patience.doubt(agent)
        return Shown(
            condition=line.condition if line else known.condition,
            profile=line.profile.name if line else "",
            session=known.session,
            closed=self.closed(agent),
            queue=sum(one.stage is Stage.QUEUED for one in self.outbox.of(agent)),
            doubt=doubt,
            step=step,
            next=following,
            tokens=known.tokens,
            cost=sum(known.spent.values()),
        )

    @property
    def ready(self) -> dict[str, Verdict]:
        """Whether each voice is ready, as a probe's verdict."""
        return {agent: verdict(line) for agent, line in self.ears.lines.items()}

    def say(self, agent: str, kind: str, text: str, now: float) -> None:
        """Write down what happened to an agent."""
        self._news.append(Event(agent=agent, kind=kind, text=text, at=now))

    @property
    def news(self) -> list[Event]:
        """Give what is to be written down, once."""
        news, self._news = [*self._news, *self.patience.news, *self.pauses.news], []
        self.patience.news.clear()
        self.pauses.news.clear()
        return news

    def forget(self, agent: str) -> None:
        """Strike an agent that is gone for good."""
        self.outbox.drop(agent, REMOVED, self._observed)
        self.requests.drop(agent, REMOVED, self._observed)
        self.pauses.forget(agent)
        self.post.forget(agent)
        self.talks.pop(agent, None)

    def tidy(self, launches: Collection[str], now: float) -> None:
        """Drop what nobody needs any more."""
        self._dressing.tidy(launches)
        self.post.tidy(now)

    def close(self) -> None:
        """Give back everything."""
        self.ears.close()
        self.outbox.close()
