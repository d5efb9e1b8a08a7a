"""The keeper looks, plans, acts and writes down: one tick.

Effects come first and their record after, all records of a round in one transaction. If hive
is killed between the two, the next look finds what was done and adopts it. An action that fails
holds up no other and is tried again. While the store can't be written, nothing more is done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from hive.adapters.launch import environment
from hive.adapters.node import Looked, Node
from hive.adapters.panes import Opened, Refused
from hive.adapters.store import Death, Event, Record, Store
from hive.conversations import Conversations
from hive.core import actions as act
from hive.core.plan import plan
from hive.core.spec import Agent
from hive.core.starting import NOT_OPENED
from hive.core.world import Memory, State, TeamMemory, Unseen, Verdict, Wanted, World
from hive.errors import HiveError
from hive.governor import Governor
from hive.launches import Launches
from hive.questions import Questions
from hive.turn import Turn

RETRY = 1.0
"""Seconds until the next try after a tick, or an action of one, that failed."""

REFUSED = 5.0
"""Seconds until an agent that tmux refused to open is tried again."""


_log = logging.getLogger("hive")


class Keeper:
    """Holds what is wanted and remembered, and makes it so, tick by tick."""

    def __init__(
        self,
        store: Store,
        node: Node,
        questions: Questions,
        governor: Governor,
        talks: Conversations,
    ) -> None:
        self.store = store
        self.node = node
        self.governor = governor
        self.talks = talks
        self.pauses = talks.pauses
        self.pauses.wanted, governor.stands = lambda: self.wanted, self.pauses.freezes
        self._launches = Launches(store, node, governor, talks)
        self._questions = questions
        self.environ: Callable[[str], Mapping[str, str]] = lambda _project: {}
        self.places: Callable[[float], Mapping[str, str]] = lambda _now: {}
        questions.environ = talks.environ = self._environment
        self.wanted: dict[str, Wanted] = {}
        self.memory: dict[str, Memory] = {}
        self.teams: dict[str, TeamMemory] = {}
        self.looked = Looked(sights={}, trees={}, boot="")
        self.ready: dict[str, Verdict] = {}
        self.alive: Mapping[str, Verdict] = {}
        self._said: dict[str, tuple[str, str]] = {}
        self._renames: dict[str, str] = {}
        self._failing: set[str] = set()
        self._failed: set[str] = set()
        self._doubt = ""
        self._do = self._handlers()
        self.reload()

    def _handlers(self) -> dict[type, Callable[[Any, Turn], None]]:
        """Give what carries out each kind of action."""
        return {
            act.Adopt: self._note_event("adopted"),
            act.Ready: self._note_event("ready"),
            act.Say: self._say,
            act.Note: self._note,
            act.Stop: self._stop,
            act.Kill: self._kill,
            act.Sweep: self._sweep,
            act.Ended: self._ended,
            act.Lost: self._note_event("lost"),
            act.Closed: self._closed,
            act.Close: self._close,
            act.Forgive: self._note_event("forgiven"),
            act.Hold: self._hold,
            act.Wait: self._wait,
            act.Start: lambda action, turn: turn.starts.append(action),
            act.Forget: lambda action, turn: turn.forgotten.append(action),
        }

    def reload(self) -> None:
        """Read what is wanted and remembered from the store."""
        self.wanted = self.store.wanted()
        self.memory = self.store.memory()
        self.teams = self.store.teams()

    def tick(self, now: float) -> tuple[bool, float | None]:
        """Look, plan, act and write once.

        Gives whether anything was done, and the moment of the next thing that is due by time
        alone. Raises HiveError when the store failed: the next tick repairs it.
        """
        self._failed, self._failing = self._failing, set()
        world = self.look(now)
        if self._doubt:
            self._prove(now)
            world = self.look(now)  # whose a process is depends on what is remembered
        self._rename()
        turns = [self._turn(world, now)]
        if turns[0].ended:  # what follows an end needs no second look; all else that was done does
            done = turns[0].touched - turns[0].ended
            world = replace(world, memory=self.memory, teams=self.teams)
            turns.append(self._turn(world, now, besides=done))
        self._try("can't ask the probes", lambda: self._ask(now))
        self._tell(now)
        busy = any(turn.busy for turn in turns)
        again = now + RETRY if self._failing else self.pauses.next(now)
        return busy, _earliest(turns[-1].wait, self._questions.next(now), again)

    def _turn(self, world: World, now: float, besides: Collection[str] = ()) -> Turn:
        """Plan on this world, act for all agents but those `besides`, and write."""
        turn = Turn(now=now, said=self._said)
        try:
            for action in plan(self.pauses.kept(self.wanted, self.memory), world, now):
                if act.whose(action) not in besides:
                    self._act(action, turn)
            self._try("can't start agents", lambda: self._start(turn))
        finally:
            with self._doubting():
                self._write(turn)
        return turn

    def _act(self, action: act.Action, turn: Turn) -> None:
        """Carry out one action. Where that fails, nothing of it is written: it is asked again."""
        agent = act.whose(action)
        turn.touched |= {agent} - {""}
        what = f"{agent}: could not carry out `{type(action).__name__}`"
        failed = self._try(what, lambda: self._do[type(action)](action, turn))
        if failed:
            turn.say(agent, "delayed", f"{failed}; it is tried again")
        turn.busy |= not failed and not isinstance(action, act.Wait | act.Note | act.Start)

    def _try(self, what: str, do: Callable[[], None]) -> str:
        """Do it, and give why that failed; it is logged once, and means another tick soon."""
        try:
            do()
        except HiveError as error:
            text = f"{what}: {error.what}"
            if text not in self._failed | self._failing:
                _log.warning("%s; it is tried again", text)
            self._failing.add(text)
            return text
        return ""

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        """Where a write fails, trust neither our memory nor the store until one succeeds."""
        try:
            yield
        except HiveError as error:
            self._doubt = error.what
            self._said.clear()
            raise

    def _prove(self, now: float) -> None:
        """Write to the store, then believe it. Raises HiveError where it still can't be written.

        Until then nothing is done: an effect whose record fails would be done again and again.
        """
        text = f"the store is written again; before: {self._doubt}"
        self.store.add([Event(agent="", kind="store", text=text, at=now)])
        self.reload()
        self._doubt = ""

    def look(self, now: float) -> World:
        """See everything once."""
        self.looked = self.node.look(self.wanted, self.memory, now)
        self.governor.observe(self.wanted, self.memory, self.looked, now)
        self.talks.observe(self.wanted, self.memory, self.looked, self.governor, now)
        if self.pauses.step(self.talks.ears.lines, self.wanted, self.memory, now):
            self.governor.hold_now()
        self._questions.read(now)
        self.ready, self.alive = self._questions.verdicts()
        told = self.talks.ready.items()
        self.ready |= {agent: one for agent, one in told if agent not in self.ready}
        return World(
            boot=self.looked.boot,
            sights=self.looked.sights,
            memory=self.memory,
            teams=self.teams,
            trees=self.looked.trees,
            ready=self.ready,
            alive=self.alive,
            uses=self.governor.uses,
            excesses=self.governor.excesses,
            room=self.governor.room,
            ends=self.talks.patience.ends,
            unready={**self.places(now), **self.pauses.unready},
        )

    def want(self, changes: Mapping[str, Wanted], events: Sequence[Event]) -> None:
        """Change what is wanted, in the store first."""
        self.store.want(changes, events=events)
        self.wanted.update(changes)
        for agent in changes:
            self._said.pop(agent, None)

    def let_go(self, teams: Sequence[str], now: float) -> None:
        """Have these teams restart by themselves again, as if they never had too often."""
        held = [one for name, one in self.teams.items() if one.held and name in teams]
        free = [replace(one, held=False, restarts=(), since=now) for one in held]
        if free:
            with self._doubting():
                self.store.record([Record(team=one) for one in free], now)
                self.teams = self.store.teams()

    def _environment(self, spec: Agent, launch: str) -> Mapping[str, str]:
        """Give what a probe's command inherits: what its agent does."""
        return environment(spec, self.node.tags(spec, launch), self.environ(spec.project))

    def _ask(self, now: float) -> None:
        """Put the probes' questions that are due to the agents that run."""
        running = {
            agent: self.wanted[agent].agent
            for agent, memory in self.memory.items()
            if agent in self.wanted and memory.state in {State.STARTING, State.READY}
            if memory.live and agent not in {*self.governor.strain.paused, *self.pauses.all}
        }
        launches = {agent: self.memory[agent].launch for agent in running}
        settled = {agent for agent in running if self.memory[agent].state is State.READY}
        self._questions.due(running, launches, now, self.node.screens, ready=settled)

    def _tell(self, now: float) -> None:
        """Write down what the governor did, and what was said."""
        news = [
            Event(agent=one.agent, kind=one.kind, text=one.text, at=now)
            for one in self.governor.news
        ]
        news += self.talks.news
        if news:
            self.store.add(news)
            self.governor.news.clear()

    def _start(self, turn: Turn) -> None:
        """Launch all that is to start in this round, as one batch."""
        begun = self._launches.begin(turn.starts, self.environ, turn.now) if turn.starts else []
        turn.busy |= bool(begun)
        for action, launch, answer in begun:
            if isinstance(answer, Refused):
                self._refused(action, answer, turn)
                continue
            after = _launched(action, launch, answer, self.looked.boot)
            why = f"pid {answer.pane.pid}: {action.why}"
            turn.add(after, "restarted" if action.automatic else "started", why, team=action.team)

    def _refused(self, action: act.Start, answer: Refused, turn: Turn) -> None:
        """Try again later; that the next try is one counts for no budget: this one did."""
        why = f"could not be started: {answer.why}; tried again in {REFUSED:.0f}s"
        known = self.memory.get(action.after.agent, Memory(agent=action.after.agent))
        after = replace(
            action.after,
            state=State.BACKING_OFF,
            reason=why,
            since=turn.now,
            due=turn.now + REFUSED,
            launch=known.launch,
            began=0.0,
            cause=NOT_OPENED,
        )
        turn.add(after, "refused", why, team=action.team)

    def _note_event(self, kind: str) -> Callable[[Any, Turn], None]:
        def handle(action: Any, turn: Turn) -> None:
            turn.add(action.after, kind, action.why)

        return handle

    def _say(self, action: act.Say, turn: Turn) -> None:
        turn.add(action.after, action.after.state.value, action.why)

    def _note(self, action: act.Note, turn: Turn) -> None:
        turn.records.append(Record(memory=action.after))

    def _stop(self, action: act.Stop, turn: Turn) -> None:
        self.node.ask_to_end(action)
        turn.add(action.after, "stopping", _asked(action))

    def _kill(self, action: act.Kill, turn: Turn) -> None:
        self.node.sweep(action.targets, force=True)
        turn.add(action.after, "killed", action.why)

    def _sweep(self, action: act.Sweep, turn: Turn) -> None:
        self.node.sweep(action.targets, force=action.force)
        if action.after:
            turn.add(action.after, "swept", action.why)
        else:
            turn.say(action.agent, "swept", action.why)

    def _ended(self, action: act.Ended, turn: Turn) -> None:
        before = self.memory[action.after.agent]
        screen = self.node.last_screen(before.socket, action.pane)
        death = Death(
            agent=before.agent,
            at=turn.now,
            launch=before.launch,
            code=action.code,
            cause=action.cause,
            asked=action.asked,
            next=action.next,
            restarts=before.restarts,
            ran=max(0.0, turn.now - before.began),
            screen="\n".join(screen),
            largest=action.largest,
        )
        turn.add(action.after, "stopped" if action.asked else "died", action.why, death=death)
        turn.ended.add(before.agent)

    def _closed(self, action: act.Closed, turn: Turn) -> None:
        wanted = self.wanted.get(action.after.agent)
        down = replace(wanted, up=False, why=action.why) if wanted else None
        turn.add(action.after, "closed", action.why, wanted=down)

    def _close(self, action: act.Close, _turn: Turn) -> None:
        self.node.close(action.socket, [action.pane])

    def _hold(self, action: act.Hold, turn: Turn) -> None:
        project, team = action.after.team.split("/", 1)
        event = Event(agent=f"{project}/{team}", kind="held", text=action.why, at=turn.now)
        turn.records.append(Record(team=action.after, event=event))

    def _wait(self, action: act.Wait, turn: Turn) -> None:
        turn.wait = action.until

    def _write(self, turn: Turn) -> None:
        """Write the round in one transaction, then remember it."""
        if turn.records:
            for memory in self.store.record(turn.records, turn.now):
                self.memory[memory.agent] = memory
            for record in turn.records:
                if record.wanted:
                    self.wanted[record.wanted.agent.id] = record.wanted
            if any(record.team for record in turn.records):
                self.teams = self.store.teams()
        for gone in turn.forgotten:
            event = Event(agent=gone.agent, kind="forgotten", text=gone.why, at=turn.now)
            self.store.forget(gone.agent, event)
            self.talks.forget(gone.agent)
            self.wanted.pop(gone.agent, None)
            self.memory.pop(gone.agent, None)

    def update(self, agents: Mapping[str, Agent]) -> None:
        """Carry out what changed of running agents without a restart: the window's name."""
        self._renames |= {agent: spec.window for agent, spec in agents.items()}

    def _rename(self) -> None:
        """Rename the windows that are to be; those of a server that does not answer wait."""
        for agent, window in list(self._renames.items()):
            memory = self.memory.get(agent)
            if memory and memory.live:
                if isinstance(self.looked.sights.get(memory.socket), Unseen):
                    continue
                what, rename = f"{agent}: can't rename its window", self.node.rename
                if self._try(what, partial(rename, memory, window)):
                    continue
            del self._renames[agent]


def _launched(action: act.Start, launch: str, opened: Opened, boot: str) -> Memory:
    return replace(
        action.after,
        launch=launch,
        socket=action.spec.socket,
        server=opened.server,
        pane=opened.pane.id,
        pid=opened.pane.pid,
        started=opened.pane.started,
        boot=boot,
    )


def _asked(action: act.Stop) -> str:
    if action.spec.stop.keys:
        return f"typed {' '.join(action.spec.stop.keys)}: {action.why}"
    count = len(action.targets)
    return f"asked {count} process{'es' if count != 1 else ''} to end: {action.why}"


def _earliest(*moments: float | None) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)
