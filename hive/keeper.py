"""The keeper looks, plans, acts and writes down: one tick.

Effects come first and their record after, all records of a round in one transaction. If hive
is killed between the two, the next look finds what was done and adopts it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hive.adapters.launch import environment
from hive.adapters.node import Launching, Looked, Node
from hive.adapters.panes import Opened, Refused
from hive.adapters.store import Death, Event, Record, Store
from hive.core import actions as act
from hive.core.plan import plan
from hive.core.spec import Agent
from hive.core.world import Memory, State, TeamMemory, Verdict, Wanted, World
from hive.questions import Questions

RETRY = 1.0
"""Seconds until the next try after a tick that failed."""

REFUSED = 5.0
"""Seconds until an agent that tmux refused to open is tried again."""


@dataclass
class _Round:
    """What one tick did, gathered for one write."""

    now: float
    records: list[Record] = field(default_factory=list)
    starts: list[act.Start] = field(default_factory=list)
    forgotten: list[act.Forget] = field(default_factory=list)
    wait: float | None = None
    busy: bool = False
    ended: bool = False

    def add(self, after: Memory, kind: str, why: str, **more: Any) -> None:
        """Remember a change of one agent, with its event."""
        event = Event(agent=after.agent, kind=kind, text=why, at=self.now)
        self.records.append(Record(memory=after, event=event, **more))

    def say(self, agent: str, kind: str, why: str) -> None:
        """Remember an event that changes nothing."""
        self.records.append(Record(event=Event(agent=agent, kind=kind, text=why, at=self.now)))


class Keeper:
    """Holds what is wanted and remembered, and makes it so, tick by tick."""

    def __init__(self, store: Store, node: Node, questions: Questions) -> None:
        self.store = store
        self.node = node
        self._questions = questions
        self.environ: Callable[[str], Mapping[str, str]] = lambda _project: {}
        questions.environ = self._environment
        self.wanted: dict[str, Wanted] = {}
        self.memory: dict[str, Memory] = {}
        self.teams: dict[str, TeamMemory] = {}
        self.looked = Looked(sights={}, trees={}, boot="")
        self.ready: Mapping[str, Verdict] = {}
        self.alive: Mapping[str, Verdict] = {}
        self._do: dict[type, Callable[[Any, _Round], None]] = {
            act.Adopt: self._adopt,
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
        self.reload()

    def reload(self) -> None:
        """Read what is wanted and remembered from the store."""
        self.wanted = self.store.wanted()
        self.memory = self.store.memory()
        self.teams = self.store.teams()

    def tick(self, now: float) -> tuple[bool, float | None]:
        """Look, plan, act and write once.

        Gives whether anything was done, and the moment of the next thing that is due by time
        alone. Raises HiveError when the store or tmux failed: the next tick repairs it.
        """
        world = self.look(now)
        first = self._turn(world, now)
        turns = [first]
        if first.ended:  # what follows an end needs no second look
            world = replace(world, memory=self.memory, teams=self.teams)
            turns.append(self._turn(world, now))
        self._ask(now)
        busy = any(turn.busy for turn in turns)
        return busy, _earliest(turns[-1].wait, self._questions.next(now))

    def _turn(self, world: World, now: float) -> _Round:
        """Plan on this world, act and write."""
        turn = _Round(now=now)
        try:
            for action in plan(self.wanted, world, now):
                turn.busy = turn.busy or not isinstance(action, act.Wait | act.Note)
                self._do[type(action)](action, turn)
            self._start(turn)
        finally:
            self._write(turn)
        return turn

    def look(self, now: float) -> World:
        """See everything once."""
        self.looked = self.node.look(self.wanted, self.memory, now)
        self._questions.read(now)
        self.ready, self.alive = self._questions.verdicts()
        return World(
            boot=self.looked.boot,
            sights=self.looked.sights,
            memory=self.memory,
            teams=self.teams,
            trees=self.looked.trees,
            ready=self.ready,
            alive=self.alive,
        )

    def want(self, changes: Mapping[str, Wanted], events: Sequence[Event]) -> None:
        """Change what is wanted, in the store first."""
        self.store.want(changes, events=events)
        self.wanted.update(changes)

    def let_go(self, teams: Sequence[str], now: float) -> None:
        """Have these teams restart by themselves again, as if they never had too often."""
        held = [one for name, one in self.teams.items() if one.held and name in teams]
        free = [replace(one, held=False, restarts=(), since=now) for one in held]
        if free:
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
            if memory.live
        }
        launches = {agent: self.memory[agent].launch for agent in running}
        settled = {agent for agent in running if self.memory[agent].state is State.READY}
        self._questions.due(running, launches, now, self.node.screens, ready=settled)

    def _start(self, turn: _Round) -> None:
        """Launch all that is to start in this round, as one batch."""
        launchings = [
            Launching(
                spec=action.spec,
                launch=f"{action.after.generation}-{secrets.token_hex(4)}",
                pane=action.pane,
                inherit=self.environ(action.spec.project),
            )
            for action in turn.starts
        ]
        answers = self.node.launch(launchings) if launchings else []
        for action, one, answer in zip(turn.starts, launchings, answers, strict=True):
            if isinstance(answer, Refused):
                self._refused(action, answer, turn)
                continue
            after = _launched(action, one, answer, self.looked.boot)
            why = f"pid {answer.pane.pid}: {action.why}"
            turn.add(after, "restarted" if action.automatic else "started", why, team=action.team)

    def _refused(self, action: act.Start, answer: Refused, turn: _Round) -> None:
        why = f"could not be started: {answer.why}; tried again in {REFUSED:.0f}s"
        known = self.memory.get(action.after.agent, Memory(agent=action.after.agent))
        after = replace(
            action.after,
            version=known.version,
            state=State.BACKING_OFF,
            reason=why,
            since=turn.now,
            due=turn.now + REFUSED,
            launch=known.launch,
            began=0.0,
        )
        turn.add(after, "refused", why)

    def _note_event(self, kind: str) -> Callable[[Any, _Round], None]:
        def handle(action: Any, turn: _Round) -> None:
            turn.add(action.after, kind, action.why)

        return handle

    def _adopt(self, action: act.Adopt, turn: _Round) -> None:
        turn.add(action.after, "adopted", action.why)

    def _say(self, action: act.Say, turn: _Round) -> None:
        turn.add(action.after, action.after.state.value, action.why)

    def _note(self, action: act.Note, turn: _Round) -> None:
        turn.records.append(Record(memory=action.after))

    def _stop(self, action: act.Stop, turn: _Round) -> None:
        self.node.ask_to_end(action)
        turn.add(action.after, "stopping", _asked(action))

    def _kill(self, action: act.Kill, turn: _Round) -> None:
        self.node.sweep(action.targets, force=True)
        turn.add(action.after, "killed", action.why)

    def _sweep(self, action: act.Sweep, turn: _Round) -> None:
        self.node.sweep(action.targets, force=action.force)
        if action.after:
            turn.add(action.after, "swept", action.why)
        else:
            turn.say(action.agent, "swept", action.why)

    def _ended(self, action: act.Ended, turn: _Round) -> None:
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
        )
        turn.add(action.after, "stopped" if action.asked else "died", action.why, death=death)
        turn.ended = True

    def _closed(self, action: act.Closed, turn: _Round) -> None:
        wanted = self.wanted.get(action.after.agent)
        down = replace(wanted, up=False, why=action.why) if wanted else None
        turn.add(action.after, "closed", action.why, wanted=down)

    def _close(self, action: act.Close, _turn: _Round) -> None:
        self.node.close(action.socket, [action.pane])

    def _hold(self, action: act.Hold, turn: _Round) -> None:
        project, team = action.after.team.split("/", 1)
        event = Event(agent=f"{project}/{team}", kind="held", text=action.why, at=turn.now)
        turn.records.append(Record(team=action.after, event=event))

    def _wait(self, action: act.Wait, turn: _Round) -> None:
        turn.wait = action.until

    def _write(self, turn: _Round) -> None:
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
            self.wanted.pop(gone.agent, None)
            self.memory.pop(gone.agent, None)

    def update(self, agents: Mapping[str, Agent]) -> None:
        """Carry out what changed of running agents without a restart: the window's name."""
        for agent, spec in agents.items():
            memory = self.memory.get(agent)
            if memory and memory.live:
                self.node.rename(memory, spec.window)


def _launched(action: act.Start, one: Launching, opened: Opened, boot: str) -> Memory:
    return replace(
        action.after,
        launch=one.launch,
        socket=one.spec.socket,
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
    known = [moment for moment in moments if moment is not None]
    return min(known) if known else None
