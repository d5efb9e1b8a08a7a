"""The foreman keeps the rhythm: who checks in when, whose work is saved, who is told of it.

It brings together the worktrees, the rounds, the checkpoints, the digests and the notices, and
answers what is asked about them. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hive import yard
from hive.adapters.guard import MARK
from hive.adapters.state import State as Place
from hive.adapters.store import Event
from hive.checkpoints import Checkpoints
from hive.core.merging import Collision, collisions
from hive.core.signs import Turn
from hive.core.standup import Facts, standup
from hive.core.tasks import State
from hive.desk import Desk
from hive.digests import Digests
from hive.errors import HiveError, WrongInput
from hive.faults import Faults
from hive.herald import Herald
from hive.keeper import Keeper
from hive.keyframes import Keyframes
from hive.rhythmviews import listing
from hive.rounds import Around, Rounds
from hive.views import Record, iso, short
from hive.workshop import Workshop
from hive.yard import Yard

VERBS = ("checkins", "checkin", "standup")

DAY = 86_400.0

REST = 60.0
"""Seconds until the next step, at most: also where the clock was set back."""

MOST = 2000
"""So many tasks of each state, and so many check-ins of each agent, are read for a standup."""

OPEN = (State.LEASED, State.READY, State.WAITING, State.FAILED, State.HELD)
OVER = (State.DONE, State.DEAD, State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the foreman is told of others.

    `records` gives what `hive status` says of agents and teams, `chosen` the agents (ids) that
    names mean; `desk` knows what waits for a person, and who is one.
    """

    records: Callable[[], tuple[list[Record], list[Record]]]
    chosen: Callable[[Sequence[str]], list[str]]
    desk: Desk

    def items(self) -> list[Record]:
        """List what waits for a person."""
        found: list[Record] = self.desk.inbox()["items"]
        return found


class Foreman:
    """The rhythm of all agents of this node."""

    def __init__(
        self, root: Path, keeper: Keeper, shop: Workshop, told: Told, clock: Callable[[], float]
    ) -> None:
        self._keeper = keeper
        self._shop = shop
        self._told = told
        self._clock = clock
        ground = yard.Around(
            environ=lambda project: {**keeper.environ(project), MARK: str(root)},
            check=self._check,
            busy=self._busy,
            person=told.desk.person,
        )
        self.yard = Yard(Place(root), keeper.store, clock, ground)
        self.checkpoints = Checkpoints(keeper, shop.doing, keeper.pauses.closed)
        looked = Around(
            doing=shop.doing, paused=keeper.pauses.closed, looked=self.checkpoints.looked
        )
        self.rounds = Rounds(keeper, looked)
        self.digests = Digests(keeper)
        self.herald = Herald(
            keeper.store,
            told.items,
            projects=lambda: {one.agent.short: one.agent.project for one in keeper.wanted.values()},
            sockets=lambda: {one.agent.socket for one in keeper.wanted.values()},
            clock=clock,
        )
        self._frames = Keyframes(keeper.store, self._screen)
        self._faults = Faults(str(Place(root).db), self._fault)
        self._seen = max((one.id for one in keeper.store.events(limit=1, newest=True)), default=0)
        self._due = 0.0
        self.changed = False
        self.collisions: tuple[Collision, ...] = ()
        self._news: list[Event] = []
        shop.trees = self.rounds.tree
        keeper.places = self._places

    def deployed(self, unplaced: Mapping[str, str]) -> None:
        """Take in which agents can't have a worktree, as a deploy says, and why."""
        now = self._clock()
        self._news += [
            Event(agent=agent, kind="worktree", text=f"it has none: {why}", at=now)
            for agent, why in unplaced.items()
        ]
        self.wake()

    def filenos(self) -> tuple[int, ...]:
        """Give the descriptors that are readable while there is something to go on with."""
        parts = (self.yard, self.checkpoints, self.rounds, self.herald)
        return tuple(one.fileno() for one in parts)

    def wake(self) -> bool:
        """Have the next step done at once; gives whether a look must be taken: no."""
        self._due, self.changed = 0.0, True
        return False

    def close(self) -> None:
        """Give back everything."""
        for one in (self.yard, self.checkpoints, self.rounds, self.herald):
            one.close()

    def items(self) -> list[Record]:
        """List what of the rhythm waits for a person."""
        return [*self.yard.items(), *self.checkpoints.items()]

    def step(self, now: float) -> float:
        """Do what is due; gives the moment of the next step. What fails holds up nothing else."""
        self.changed = False
        self._keep_screens(now)
        if now < self._due <= now + REST:
            return self._due
        moments = [now + REST]
        with self._faults.apart("the worktrees", now):
            before = self.yard.unready.keys()
            self.yard.read()
            if before - self.yard.unready.keys():
                self._keeper.talks.changed = True  # who waited for its place can start
        with self._faults.apart("the checkpoints", now):
            self.checkpoints.step(now)
        known = {agent: one.number for agent, one in self.rounds.latest.items()}
        with self._faults.apart("the check-ins", now):
            moments.append(self.rounds.step(now))
            self._collide(now)
        latest = self.rounds.latest.items()
        fresh = [one for agent, one in latest if one.number != known.get(agent)]
        with self._faults.apart("the digests", now):
            self.digests.step(fresh, self.collisions, now)
        with self._faults.apart("the notices", now):
            moments.append(self.herald.step(now))
        self._tell()
        self._due = min(moments)
        return self._due

    def tidy(self, now: float) -> None:
        """Drop what is too old to be asked for."""
        self._keeper.store.journal.tidy(now)

    # verbs

    def checkins(self, names: Sequence[str] = (), limit: int = 0) -> Record:
        """Tell the latest check-in of each of these agents (all), or the `limit` latest of all."""
        agents = self._told.chosen(names)
        if limit:
            return listing(self._keeper.store.journal.check_ins(agents, limit=limit))
        return listing(self.rounds.latest[one] for one in agents if one in self.rounds.latest)

    def checkin(self, name: str, ask: bool = False) -> Record:
        """Look now how an agent gets on; with `ask` it is asked in words."""
        agents = self._told.chosen([name])
        if len(agents) != 1:
            raise WrongInput(f"`{name}` names {len(agents)} agents", fix="name one of them")
        one = self.rounds.ask_now(agents[0], self._clock(), ask=ask)
        self._tell()
        return listing([one])

    def standup(self, names: Sequence[str] = (), since: float | None = None) -> Record:
        """Tell what each team has done since, does, waits for, does next, and what may go wrong."""
        now = self._clock()
        begin = now - DAY if since is None else since
        return standup(self._facts(names, begin), since=begin, now=now)

    def _facts(self, names: Sequence[str], since: float) -> Facts:
        agents = set(self._told.chosen(names))
        teams = {agent.rpartition("/")[0] for agent in agents}
        records, held = self._told.records()
        wanted = self._keeper.wanted
        mine = [one for one in wanted if one.rpartition("/")[0] in teams]
        trees = {agent: self.rounds.trees[agent] for agent in mine if agent in self.rounds.trees}
        return Facts(
            agents=[one for one in records if one["id"] in mine],
            teams=held,
            tasks=self._tasks(since),
            inbox=self._told.items(),
            checkins=self._keeper.store.journal.check_ins(mine, since=since, limit=MOST * 10),
            collisions={one.path: one.agents for one in self.collisions},
            commits={
                agent: [one for one in tree.commits if one.at >= since and wanted[agent].agent.plot]
                for agent, tree in trees.items()
            },
            digests=self._spent(),
            named=bool(names),
        )

    def _tasks(self, since: float) -> list[Record]:
        jobs = self._shop.jobs
        try:
            going = jobs.tasks(states=OPEN, limit=MOST)["tasks"]
            over = jobs.tasks(states=OVER, limit=MOST, newest=True)["tasks"]
        except HiveError:  # that work rests is in the inbox
            return []
        begin = iso(since)
        return [*going, *(one for one in over if (one["finished"] or one["since"] or "") >= begin)]

    def _spent(self) -> dict[str, tuple[int, float]]:
        """Give what the digests of each team have cost: tokens, and dollars."""
        found: dict[str, tuple[int, float]] = {}
        for agent, one in self.digests.told.items():
            team = agent.rpartition("/")[0]
            tokens, dollars = found.get(team, (0, 0.0))
            found[team] = (tokens + one.spent_tokens, dollars + one.spent)
        return found

    # what happens

    def _places(self, now: float) -> Mapping[str, str]:
        """Say whose worktrees are not ready yet, after doing what is due about them."""
        with self._faults.apart("the worktrees", now):
            self.yard.step(self._keeper.wanted, self._keeper.memory, now)
        return self.yard.unready

    def _collide(self, now: float) -> None:
        """See who changes the same files, and tell those who just began to."""
        found = collisions(self.rounds.trees, self.rounds.touched)
        known = {(one.common, one.path, one.agents) for one in self.collisions}
        for one in found:
            if (one.common, one.path, one.agents) not in known:
                for agent in one.agents:
                    others = ", ".join(short(other) for other in one.agents if other != agent)
                    text = f"`{one.path}` was changed by {others} too, in another worktree"
                    self._news.append(Event(agent=agent, kind="collision", text=text, at=now))
        self.collisions = found

    def _check(self, agent: str) -> str:
        """Give the check of what an agent has, or had last: it says whether its work is good."""
        task = self._shop.doing().get(agent)
        if task is None:
            queue = self._shop.jobs.work().queue
            task = next(iter(queue.tasks(agent=agent, limit=1, newest=True)), None)
        return task.job.check if task else ""

    def _busy(self, agent: str) -> str:
        task = self._shop.doing().get(agent)
        line = self._keeper.talks.ears.lines.get(agent)
        working = line is not None and line.condition.turn is Turn.WORKING
        return f"it has {task.name}" if task else "it works" if working else ""

    def _keep_screens(self, now: float) -> None:
        """Keep what agents show to whom something just happened that may be asked about later."""
        fresh = self._keeper.store.events(after=self._seen, limit=500)
        if fresh:
            self._seen = fresh[-1].id
            self._frames.see(fresh, now)

    def _screen(self, agent: str, lines: int) -> Sequence[str]:
        memory = self._keeper.memory.get(agent)
        pane = self._keeper.node.pane(agent, memory.launch) if memory else None
        return self._keeper.node.last_screen(memory.socket, pane, lines) if memory and pane else ()

    def _fault(self, what: str, why: str) -> None:
        text = f"{what}: {why}"
        self._news.append(Event(agent="", kind="rhythm", text=text, at=self._clock()))

    def _tell(self) -> None:
        """Write down what was done."""
        parts = (self.yard, self.checkpoints, self.rounds, self.digests, self.herald)
        news = [*self._news, *(event for one in parts for event in one.news)]
        if news:
            self._keeper.store.add(news)
            for part in (self._news, *(one.news for one in parts)):
                part.clear()
