"""Who is paused by a person, who of them stands still, and for how long that was.

What a person asked for is kept in the store: the next supervisor goes on with it. Who is frozen is
decided anew from what is seen. Times are epoch seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from hive.adapters.store import Event, Store
from hive.core import pausing
from hive.core.messages import Message, Stage
from hive.core.pausing import Do, Life, Pause, Span
from hive.core.profile import Profile
from hive.core.signs import Condition
from hive.core.wording import span
from hive.core.world import Memory, State, Wanted
from hive.errors import WrongInput
from hive.views import changed, iso, short

VERBS = ("pause", "resume")
"""What is answered here."""

PAUSED = "paused:"
"""The fact under which is kept that an agent is paused."""

RESTED = "rested:"
"""The fact under which is kept when an agent was paused lately: no task's time ran then."""

KEPT = 20
"""So many of an agent's latest pauses are remembered."""

THAW = 1.0
"""Seconds that an agent gets after a pause to tell what it had not told before."""

BEGINS = 10.0
"""Seconds in which an agent begins the turn for a message that it was given."""

LONG = 3600.0
"""Seconds until nothing that is known of is due."""

UNKNOWN = "what it does is not known yet"

Record = dict[str, Any]


class Line(Protocol):
    """What must be known of a conversation."""

    @property
    def launch(self) -> str: ...  # noqa: D102
    @property
    def condition(self) -> Condition: ...  # noqa: D102
    @property
    def profile(self) -> Profile: ...  # noqa: D102


L = TypeVar("L", bound=Line)


class Pauses:
    """The pauses of this node's agents, by id.

    `wanted` are all agents, `chosen` gives those that names mean, and all for none; `wake` has the
    next look taken at once. `given` are the messages of an agent that are not over, `busy` says
    what else it has begun ("" for nothing): both are to be over before it is frozen.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._wished = {
            agent: pausing.from_dict(json.loads(text))
            for agent, text in store.facts(PAUSED).items()
        }
        self._rested: dict[str, list[Span]] = {
            agent: [(start, end) for start, end in json.loads(text)]
            for agent, text in store.facts(RESTED).items()
        }
        self._launches: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._thawed: dict[str, float] = {}
        self._waits: dict[str, str] = {}
        self.wanted: Callable[[], Mapping[str, Wanted]] = dict
        self.chosen: Callable[[Sequence[str]], list[str]] = list
        self.wake: Callable[[], None] = lambda: None
        self.given: Callable[[str], Sequence[Message]] = lambda _agent: ()
        self.busy: Callable[[str], str] = lambda _agent: UNKNOWN
        self.news: list[Event] = []

    # what others need to know

    def __contains__(self, agent: object) -> bool:
        """Whether an agent is paused, standing still or not."""
        return agent in self._wished

    @property
    def all(self) -> frozenset[str]:
        """Give every agent that is paused."""
        return frozenset(self._wished)

    @property
    def frozen(self) -> frozenset[str]:
        """Give those of them that stand still."""
        return frozenset(self._launches)

    @property
    def unready(self) -> dict[str, str]:
        """Say of each agent that is paused why it is not started."""
        return {
            agent: f"{pausing.UNSTARTED}: `hive resume {short(agent)}`" for agent in self._wished
        }

    def freezes(self, agent: str, launch: str) -> bool:
        """Whether just this launch is to stand still."""
        return self._launches.get(agent) == launch

    def closed(self, agent: str) -> str:
        """Say why an agent is to be given nothing now; "" where it may."""
        return pausing.WITHHELD if agent in self._wished else ""

    def until(self, now: float) -> dict[str, float]:
        """Give until when each agent was paused the last time: now, where it still is."""
        last = {agent: spans[-1][1] for agent, spans in self._rested.items() if spans}
        return last | dict.fromkeys(self._wished, now)

    def able(self, lines: Mapping[str, L], now: float) -> Mapping[str, L]:
        """Give the lines to those who can tell what they got: silence proves nothing of others."""
        self._thawed = {one: at for one, at in self._thawed.items() if 0 <= now - at < THAW}
        mute = self._launches.keys() | self._thawed.keys()
        return {agent: one for agent, one in lines.items() if agent not in mute} if mute else lines

    def next(self, now: float) -> float | None:
        """Give when to look again whether a turn is over; None where nobody's is waited for."""
        return now + pausing.SETTLED if self._waits else None

    def due(self, now: float) -> float:
        """Give when the next of those who were let go can tell."""
        return min((at + THAW for at in self._thawed.values()), default=now + LONG)

    def lost(self, agent: str, since: float) -> Span:
        """Give how many seconds since a moment an agent was paused, and until when (0: none)."""
        now, spans = self._clock(), self._rested.get(agent, [])
        pause = self._wished.get(agent)
        return pausing.lost([*spans, *([(pause.at, now)] if pause else [])], since, now)

    def shown(self, agent: str) -> Record | None:
        """Give the record of an agent's pause; None where it is not paused."""
        pause, frozen = self._wished.get(agent), agent in self._launches
        if pause is None:
            return None
        return record(pause, frozen=frozen, waits=self._waits.get(agent, ""))

    def kept(
        self, wanted: Mapping[str, Wanted], memory: Mapping[str, Memory]
    ) -> Mapping[str, Wanted]:
        """Give what is wanted now: who is paused is not ended to be started anew."""
        mine = {
            agent: replace(wanted[agent], generation=memory[agent].generation)
            for agent in self._wished
            if agent in wanted and agent in memory and memory[agent].live
        }
        return {**wanted, **mine} if mine else wanted

    # the step

    def step(
        self,
        lines: Mapping[str, Line],
        wanted: Mapping[str, Wanted],
        memory: Mapping[str, Memory],
        now: float,
    ) -> bool:
        """Decide who is to stand still from now on; gives whether that has changed."""
        before, self._waits = dict(self._launches), {}
        for agent in self._wished:
            known = memory.get(agent)
            do, why = self._decided(agent, lines.get(agent), wanted.get(agent), known, now)
            if do is Do.FREEZE and known:
                if before.get(agent) != known.launch:
                    self._tell(agent, "frozen", f"it stands still: {why}", now)
                self._launches[agent] = known.launch
                continue
            self._launches.pop(agent, None)
            if do is Do.WITHHOLD and known and known.live:
                self._waits[agent] = why
        before, self._known = self._known, dict(self._launches)
        return before != self._known

    def _decided(
        self,
        agent: str,
        line: Line | None,
        wanted: Wanted | None,
        memory: Memory | None,
        now: float,
    ) -> tuple[Do, str]:
        pause = self._wished.get(agent)
        if memory is None or wanted is None or not memory.live:
            return pausing.decide(pause, Life(runs=False), now)
        frozen = self._launches.get(agent) == memory.launch
        heard = line if line and line.launch == memory.launch else None
        condition = heard.condition if heard else Condition()
        voice = wanted.agent.voice
        asks = voice and not frozen and pause and not pause.now
        life = Life(
            stopping=memory.state is State.STOPPING,
            condition=condition if voice and voice.profile.messages else None,
            begun=self._begun(agent, heard, now) if asks else "",
            frozen=frozen,
        )
        return pausing.decide(pause, life, now)

    def _begun(self, agent: str, line: Line | None, now: float) -> str:
        """Say what an agent has begun, also where its turn does not show that yet."""
        if line is None:
            return UNKNOWN
        fetches = not line.profile.messages  # it has what it fetched until it reports
        for one in self.given(agent):
            if one.launch != line.launch:
                continue
            fresh = line.condition.since < one.submitted and 0 <= now - one.submitted < BEGINS
            entered = one.stage is Stage.TYPED and one.enters > 0
            if entered or (one.stage is Stage.SUBMITTED and (fetches or fresh)):
                return f"it was given {one.name}"
        return self.busy(agent) if fetches else ""

    # what people ask for

    def pause(
        self, names: Sequence[str] = (), now: bool = False, why: str = "", every: bool = False
    ) -> Record:
        """Give these agents nothing more, and freeze them: at the end of their turns, or now."""
        wanted, at = self.wanted(), self._clock()
        chosen = [agent for agent in self._named(names, "pause", every=every) if wanted[agent].up]
        fresh = []
        for agent in chosen:
            before = self._wished.get(agent)
            after = before or Pause(at=at, why=why)
            after = replace(after, now=after.now or now, why=why or after.why)
            if after == before:
                continue
            self._store.note(PAUSED + agent, json.dumps(pausing.to_dict(after)))
            self._wished[agent] = after
            how = "at once" if after.now else "once its turn is over"
            said = f" ({after.why})" if after.why else ""
            text = f"by {pausing.BY}{said}: it gets nothing more, and stands still {how}"
            self._tell(agent, "paused", text, at)
            fresh.append(agent)
        self.wake()
        return changed(fresh)

    def resume(self, names: Sequence[str] = (), every: bool = False) -> Record:
        """Let these agents go on, and have them get what waited."""
        chosen = self._named(names, "resume", every=every)
        return changed(self.let_go(chosen, "`hive resume`"))

    def let_go(self, agents: Sequence[str], by: str) -> list[str]:
        """Have these agents be paused no more; gives those that were."""
        now, found = self._clock(), [agent for agent in agents if agent in self._wished]
        for agent in found:
            start = self._wished[agent].at
            spans = [*self._rested.get(agent, []), (min(start, now), now)][-KEPT:]
            self._store.note(RESTED + agent, json.dumps(spans))
            self._store.strike(PAUSED + agent)
            self._rested[agent] = spans
            del self._wished[agent]
            self._waits.pop(agent, None)
            if self._launches.pop(agent, None):
                self._thawed[agent] = now
            self._tell(agent, "resumed", f"by {by}, after {span(now - start)}", now)
        if found:
            self.wake()
        return found

    def forget(self, agent: str) -> None:
        """Strike an agent that is gone for good."""
        if self._wished.pop(agent, None):
            self._store.strike(PAUSED + agent)
        if self._rested.pop(agent, None):
            self._store.strike(RESTED + agent)
        self._launches.pop(agent, None)
        self._thawed.pop(agent, None)
        self._waits.pop(agent, None)

    def _named(self, names: Sequence[str], verb: str, *, every: bool) -> list[str]:
        """Give the agents named, or every one where that was said, and nothing else."""
        if not names and not every:
            fix = f"`hive {verb} --all` means every agent of this node"
            raise WrongInput("no agent is named", fix=fix)
        if names and every:
            raise WrongInput("`--all` means every agent: name none", fix=f"hive {verb} --all")
        wanted = self.wanted()
        return [agent for agent in self.chosen(names) if not wanted[agent].removed]

    def _tell(self, agent: str, kind: str, text: str, now: float) -> None:
        self.news.append(Event(agent=agent, kind=kind, text=text, at=now))


def record(pause: Pause, *, frozen: bool, waits: str) -> Record:
    """Build the record of an agent's pause."""
    return {"since": iso(pause.at), "why": pause.why, "frozen": frozen, "waits": waits}


def written(facts: Mapping[str, str]) -> dict[str, Record]:
    """Give the record of each pause from the store's facts (`PAUSED`), while no supervisor runs."""
    return {
        agent: record(pausing.from_dict(json.loads(text)), frozen=False, waits="")
        for agent, text in facts.items()
    }
