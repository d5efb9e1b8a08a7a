"""Who gets what, now: one decision over all that is ready and all who could have it.

Tasks are looked at one after another: by level, then the team that has the least, then by rank.
What one is given counts at once for those after it: agents, locks, copies, probes. Nothing waits
for what it does not need, and nothing is passed for ever:

- a level rises with time, so that at last nothing new can come before a task;
- a task that has long waited for locks keeps them from all of a later rank for a while, then does
  not for as long, and so on, twice as long each time: many small ones can't starve a big one, nor
  does one that gets nowhere stop all others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from hive.core.breaker import Breaker, of_agent, of_command, open_at, probed, watching
from hive.core.ordering import Turns, party
from hive.core.routing import (
    Candidate,
    Choice,
    Pool,
    Seat,
    Taken,
    may,
    occupied,
    said,
    score,
    short,
)
from hive.core.tasks import Held, Job, Task, Want
from hive.core.weights import Score
from hive.core.wording import span

__all__ = ["Candidate", "Decision", "Grant", "Situation", "dispatch", "merits", "refusals"]

Places = frozenset[int] | set[int]

PATIENCE = 60.0
"""After so many seconds a task that waits only for locks keeps them from those after it."""

STUBBORN = 3600.0
"""After so many seconds it does even while all who may have it are busy."""

KEEPERS = 5
"""So many tasks keep locks at once, at most."""

LATELY = 600.0
"""After so many seconds what a party was given counts half, when teams share."""

TRACE = 0.001
"""What is less of it is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a decision rests on.

    `apart` and `models` say, by group, which agents and which models have or had a copy; `own`, by
    a copy's number, which of them had that one alone: they may have it again. `turn` and
    `given` are what the decision before gave: whose turn it is, and how much each party was given
    lately (with the time of that). `room` says why the machine has none left ("": it has).
    """

    ready: Sequence[Task]
    agents: Sequence[Candidate]
    held: Sequence[Held] = ()
    apart: Mapping[int, frozenset[str]] = field(default_factory=dict)
    own: Mapping[int, frozenset[str]] = field(default_factory=dict)
    models: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    scores: Mapping[tuple[str, str], Score] = field(default_factory=dict)
    breakers: Mapping[str, Breaker] = field(default_factory=dict)
    strategy: str = "capability"
    now: float
    turn: int = 0
    given: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    room: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A task goes to an agent's launch, and why to that one."""

    task: Task
    agent: str
    launch: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is handed out, and, by number, why every other ready task goes to nobody now.

    `turn` and `given` are for the next decision.
    """

    grants: tuple[Grant, ...]
    waits: Mapping[int, str]
    turn: int = 0
    given: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def dispatch(situation: Situation) -> Decision:
    """Decide. The same situation always gives the same decision, in whatever order it is told."""
    table = _Table(situation)
    turns = table.turns()
    table.keep([task for _, _, task in reversed(turns.row) if task.job.locks])
    grants, left = _round(table, turns)
    # What was given may be of a batch whose others may now follow it to the same agent.
    more = grants
    while more and any(task.job.batch for task in left):
        more, left = _round(table, left)
        grants += more
    waits = {task.number: table.why_not(task) for task in left}
    return Decision(grants=tuple(grants), waits=waits, turn=table.turn, given=table.given())


def _round(table: _Table, tasks: Iterable[Task]) -> tuple[list[Grant], list[Task]]:
    """Give each of these tasks to somebody, one after another; gives what is left as well."""
    grants, left = [], []
    for task in tasks:
        grant = table.give(task)
        if grant:
            grants.append(grant)
        else:
            left.append(task)
    return grants, left


def refusals(task: Task, situation: Situation) -> dict[str, str]:
    """Say of each agent why it may not have this task now; "" where it may."""
    table = _Table(situation)
    return {seat.who.agent: table.refusal(task, seat) for seat in table.seats}


def merits(task: Task, situation: Situation) -> dict[str, str]:
    """Say what the strategy sees in each agent that could ever have this task."""
    table = _Table(situation)
    fit = table.fit(task)
    seats = [seat for seat in table.seats if seat.place in fit]
    return {seat.who.agent: said(task.job, seat, table.choice) for seat in seats}


class _Table:
    """One decision in the making."""

    def __init__(self, situation: Situation) -> None:
        agents = sorted(situation.agents, key=lambda one: one.agent)
        self._situation, self._now = situation, situation.now
        self.seats = [Seat(one, place, list(one.holds)) for place, one in enumerate(agents)]
        self._pool = Pool(agents)
        self._fits: dict[int, frozenset[int]] = {}
        many = max(len(agents), 1)
        self.turn = situation.turn % many
        self.choice = Choice(
            strategy=situation.strategy,
            scores=situation.scores,
            now=situation.now,
            turn=self.turn,
            size=many,
        )
        self._breakers = dict(situation.breakers)
        self._shut = [self._shut_why(seat.who) for seat in self.seats]
        self._free = {one.place for one in self.seats if not (one.full or self._shut[one.place])}
        self._scores: list[dict[str, tuple[float, float, int]]] = [{} for _ in agents]
        held = sorted(situation.held, key=lambda one: (one.at, one.name, one.task, one.agent))
        self._taken, self._kept = Taken(held), Taken()
        self._row: dict[int, int] = {}
        self._keepers = 0
        self._apart = {parent: set(agents) for parent, agents in situation.apart.items()}
        self._models = {parent: Counter(names) for parent, names in situation.models.items()}
        self._given: dict[str, float] = defaultdict(float)
        self._load: dict[str, float] = defaultdict(float)
        self._had: dict[str, dict[int, int]] = {}
        self._batches: dict[str, set[int]] = {}
        for seat in self.seats:
            for age, key in enumerate(seat.who.last, start=1):
                self._had.setdefault(key, {}).setdefault(seat.place, age)
            for task in seat.holds:
                self._note_keys(task.job, seat.place)
        self._said: dict[frozenset[int], str] = {}

    def turns(self) -> Turns:
        """Give the ready tasks in the order in which they are looked at."""
        fits: dict[str, set[frozenset[int]]] = {}
        for task in self._situation.ready:
            fits.setdefault(party(task.job), set()).add(self.fit(task))
        reach = {name: frozenset[int]().union(*found) for name, found in fits.items()}
        for name, (amount, at) in self._situation.given.items():
            left: float = 0.5 ** (max(self._now - at, 0.0) / LATELY)
            self._given[name] = amount * left
        self._load.update(self._given)
        for seat in self.seats:
            for name in (party(task.job) for task in seat.holds):
                self._load[name] += seat.place in reach.get(name, ())
        agents = {name: len(places) for name, places in reach.items()}
        return Turns(self._situation.ready, self._load, agents, self._now)

    def given(self) -> dict[str, tuple[float, float]]:
        """Give how much each party was given lately, for the next decision."""
        return {name: (many, self._now) for name, many in self._given.items() if many > TRACE}

    # who may have it

    def fit(self, task: Task) -> frozenset[int]:
        """Give the places of those that may have it, whatever they do now."""
        found = self._fits.get(task.number)
        if found is None:
            found = self._fits[task.number] = self._pool.fit(task.job)
        return found

    def _able(self, task: Task) -> frozenset[int]:
        """Give those of them that may: copies of a group go to different agents."""
        fit, had = self.fit(task), self._apart.get(task.parent)
        if not (task.apart and had):
            return fit
        had = had - self._situation.own.get(task.number, frozenset())
        return frozenset(place for place in fit if self.seats[place].who.agent not in had)

    def _open(self, task: Task, able: frozenset[int]) -> Places:
        """Give those of them that are free; where some work on its batch, these alone."""
        return self._free & (self._mates(task.job, able) or able)

    def _mates(self, job: Job, able: frozenset[int]) -> Places:
        """Give who works on its batch: while it does, the others of the batch wait for it."""
        return self._batches.get(job.batch, frozenset()) & able if job.batch else frozenset()

    def _shut_why(self, who: Candidate) -> str:
        breaker = self._breakers.get(of_agent(who.agent))
        return who.closed or (open_at(breaker, self._now) if breaker else "")

    def _stopped(self, job: Job) -> str:
        """Say why such a command is not run now; "" where it may be."""
        if not (self._breakers and job.kind == "run"):
            return ""
        breaker = self._breakers.get(of_command(job.text))
        why = open_at(breaker, self._now) if breaker else ""
        return f"this command is not run now: {why}" if why else ""

    def _in_way(self, task: Task) -> tuple[Want, Held] | None:
        """Give a lock that it can't have, and who has it or for whom it is kept."""
        wants = task.job.locks
        found = self._taken.in_way(wants) if wants else []
        if wants and self._keepers and not found:
            own = self._row[task.number]
            kept = self._kept.in_way(wants)
            found = [one for one in kept if self._row[one[1].task] < own]
        return found[0] if found else None

    def _unlocked(self, task: Task, places: Places) -> Places:
        """Give those of these that its locks allow: what an agent took is not in its own way."""
        found = self._in_way(task) if places else None
        if found is None:
            return places
        owner = "" if found[1].task else self._taken.owner(task.job.locks)
        return {place for place in places if self.seats[place].who.agent == owner}

    def keep(self, locked: Sequence[Task]) -> None:
        """Keep locks for those that have waited long, from all after them in the row."""
        self._row = {task.number: place for place, task in enumerate(locked)}
        for task in locked:
            if self._keepers < KEEPERS and self._keeps(task):
                self._keepers += 1
                self._kept.take(task, "", self._now)

    def _keeps(self, task: Task) -> bool:
        """Whether it keeps its locks now: for a while, then not for as long as that, and so on."""
        waited = self._now - max(task.since, task.due)
        if waited < PATIENCE:
            return False
        able = self._able(task)
        free = bool(self._open(task, able))
        whiles = int(waited // (PATIENCE if free else STUBBORN))
        return whiles.bit_length() % 2 == 1 and not all(self._shut[place] for place in able)

    # who gets it

    def give(self, task: Task) -> Grant | None:
        """Give a task to the one that should have it; None where nobody can now."""
        if self._situation.room or not self._free or self._stopped(task.job):
            return None
        places = self._unlocked(task, self._open(task, self._able(task)))
        if not places:
            return None
        place, why = self._best(task, places)
        who = self._record(task, self.seats[place])
        return Grant(task=task, agent=who.agent, launch=who.launch, why=why)

    def _best(self, task: Task, places: Places) -> tuple[int, str]:
        """Choose one of those that are free, and say why."""
        if len(places) == 1:
            return next(iter(places)), "the only one free that may have it"
        if task.apart:
            places = self._other_models(task.parent, places)
        for what, key in (("", task.job.sticky), ("batch ", task.job.batch)):
            ages = self._had.get(key, {}) if key else {}
            had = [(ages[place], place) for place in places if place in ages]
            if had:
                return min(had)[1], f"it had {what}`{key}` last"
        best = min(places, key=partial(self._score, task.job, task.job.signature))
        return best, f"{self.choice.strategy}: {said(task.job, self.seats[best], self.choice)}"

    def _score(self, job: Job, signature: str, place: int) -> tuple[float, float, int]:
        scores = self._scores[place]
        found = scores.get(signature)
        if found is None:
            found = scores[signature] = score(job, self.seats[place], self.choice)
        return found

    def _other_models(self, parent: int, places: Places) -> Places:
        """Give those whose models have had the fewest copies."""
        used = self._models.get(parent, Counter[str]())
        least = min(used[self.seats[place].who.model] for place in places)
        return {place for place in places if used[self.seats[place].who.model] == least}

    def _record(self, task: Task, seat: Seat) -> Candidate:
        """Have what was given count for all that comes after; gives to whom."""
        who, job = seat.who, task.job
        seat.holds.append(task)
        self._note_keys(job, seat.place)
        self._given[party(job)] += 1
        self._load[party(job)] += 2  # it runs, and it was given lately
        self._scores[seat.place] = {}
        self._taken.take(task, who.agent, self._now)
        if task.apart:
            self._apart.setdefault(task.parent, set()).add(who.agent)
            self._models.setdefault(task.parent, Counter())[who.model] += 1
        for name in watching(job, who.agent) if self._breakers else ():
            if name in self._breakers:
                self._breakers[name] = probed(self._breakers[name], self._now)
        self._shut[seat.place] = self._shut_why(who)
        if seat.full or self._shut[seat.place]:
            self._free.discard(seat.place)
        self.turn = (seat.place + 1) % self.choice.size
        return who

    def _note_keys(self, job: Job, place: int) -> None:
        for key in (job.sticky, job.batch):
            if key:
                self._had.setdefault(key, {})[place] = 0
        if job.batch:
            self._batches.setdefault(job.batch, set()).add(place)

    # why not

    def why_not(self, task: Task) -> str:
        """Say why it goes to nobody, as things stand after all was given."""
        why = self._situation.room or self._stopped(task.job)
        if why:
            return why
        able = self._able(task)
        if self._open(task, able):
            return self._locked(task)
        mates = self._mates(task.job, able)
        if mates:
            return self._batched(task.job, mates)
        if not able:
            copied = "all that may have it have or had another copy"
            return copied if self.fit(task) else self._pool.nobody(task.job)
        if able not in self._said:
            self._said[able] = self._occupied(able)
        return self._said[able]

    def refusal(self, task: Task, seat: Seat) -> str:
        """Say why one agent may not have it; "" where it may."""
        able, place = self._able(task), seat.place
        why = may(task.job, seat.who) or self._situation.room
        if not why and place not in able:
            why = "it has or had another copy"
        why = why or self._shut[place] or seat.busy
        mates = self._mates(task.job, able)
        if not why and mates and place not in mates:
            why = self._batched(task.job, mates)
        if not why and not self._unlocked(task, {place}):
            why = self._locked(task)
        return why or self._stopped(task.job)

    def _occupied(self, able: frozenset[int]) -> str:
        seats = [self.seats[place] for place in sorted(able)]
        shut = [(short(one.who.agent), self._shut[one.place]) for one in seats]
        return occupied(seats, [f"{who}: {why}" for who, why in shut if why], self._now)

    def _batched(self, job: Job, mates: Places) -> str:
        seat = self.seats[min(mates)]
        why = seat.busy or self._shut[seat.place]
        return f"its batch `{job.batch}` is with {short(seat.who.agent)}{why and f': {why}'}"

    def _locked(self, task: Task) -> str:
        found = self._in_way(task)
        if not found:
            return ""
        want, held = found
        other = f" (as `{held.name}`)" if held.name != want.name else ""
        if not held.agent:
            return f"waits for `{want.name}`, kept{other} for t-{held.task}, which is before it"
        who = f"t-{held.task} ({short(held.agent)})" if held.task else short(held.agent)
        return f"waits for `{want.name}`, held{other} by {who} for {span(self._now - held.at)}"
