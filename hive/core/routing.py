"""Who may have a task, and who of them should, by strategy. Refusals are short sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hive.core.locks import above
from hive.core.tasks import Held, Job, Task, Want
from hive.core.weights import Score, weight
from hive.core.wording import count, size, span

CORE = 2 << 30
"""So many bytes of memory weigh as much as one core, where the machine's room decides."""

NAMED = 3
"""So many tasks of a busy agent are named."""

Trait = tuple[str, str]
"""What a task may need of an agent: ("team", "backend"), ("skill", "react")."""

_WORK = {"prompt": "prompts", "run": "commands"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An agent that could be given work, as it stands.

    `takes` are the kinds of tasks it takes, `capacity` how many at once, `holds` what it has.
    `closed` says why it gets nothing now ("": it does). `cores` and `bytes` are what it uses of
    the machine, `model` what it thinks with. `last` are the keys (`sticky`, `batch`) of what it
    had, newest first.
    """

    agent: str
    project: str
    team: str
    role: str
    launch: str
    skills: frozenset[str]
    takes: frozenset[str]
    capacity: int = 1
    holds: tuple[Task, ...] = ()
    closed: str = ""
    cores: float = 0.0
    bytes: int = 0
    model: str = ""
    last: tuple[str, ...] = ()


@dataclass(slots=True)
class Seat:
    """A candidate in the course of a decision: `holds` grows with what it is given."""

    who: Candidate
    place: int
    holds: list[Task] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether it has as much as it can take."""
        return len(self.holds) >= self.who.capacity

    @property
    def busy(self) -> str:
        """Say that it has as much as it can take; "" where it has not."""
        return f"it has {named(self.holds)}" if self.full else ""

    @property
    def fresh(self) -> int:
        """How many tasks it was given in this decision."""
        return len(self.holds) - len(self.who.holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """By what is chosen: the strategy, what it has learned, and whose turn it is of how many."""

    strategy: str
    scores: Mapping[tuple[str, str], Score]
    now: float
    turn: int
    size: int

    def ring(self, seat: Seat) -> int:
        """Give how many others come before it in turn."""
        return (seat.place - self.turn) % self.size


def needs(job: Job) -> tuple[Trait, ...]:
    """Give what a job needs of the agent that gets it."""
    wants = (
        ("project", job.project),
        ("team", job.team),
        ("role", job.role),
        ("agent", job.agent),
        ("kind", job.kind),
        *(("skill", one) for one in job.skills),
    )
    return tuple(one for one in wants if one[1])


def traits(who: Candidate) -> frozenset[Trait]:
    """Give all that a job may need of this agent."""
    fixed = {
        ("project", who.project),
        ("team", who.team),
        ("role", who.role),
        ("agent", who.agent),
    }
    kinds = {("kind", one) for one in who.takes}
    return frozenset(fixed | kinds | {("skill", one) for one in who.skills})


def may(job: Job, who: Candidate) -> str:
    """Say why an agent can never have such a job, as it is; "" where it may."""
    has = traits(who)
    missing = [one for one in needs(job) if one not in has]
    if not missing:
        return ""
    kind, value = missing[0]
    if kind == "skill":
        lacks = [f"`{one}`" for _, one in missing]
        return f"it lacks the {'skill' if len(lacks) == 1 else 'skills'} {', '.join(lacks)}"
    if kind == "kind":
        return f"it takes no {_work(value)}"
    if kind == "agent":
        return f"only {short(value)} may have it"
    return f"its {kind} is `{getattr(who, kind)}`, not `{value}`"


class Pool:
    """All candidates, to be found by what they have."""

    def __init__(self, agents: Sequence[Candidate]) -> None:
        self._all = frozenset(range(len(agents)))
        self._with: dict[Trait, set[int]] = {}
        self._fits: dict[str, frozenset[int]] = {}
        for place, who in enumerate(agents):
            for trait in traits(who):
                self._with.setdefault(trait, set()).add(place)

    def fit(self, job: Job) -> frozenset[int]:
        """Give the places of those that may have such a job."""
        signature = job.signature
        found = self._fits.get(signature)
        if found is None:
            found = self._all
            for trait in needs(job):
                found &= self._with.get(trait, frozenset())
            self._fits[signature] = found
        return found

    def nobody(self, job: Job) -> str:
        """Say what it is that no agent has, where none may have the job."""
        left, team, skills = self._all, "", [f"`{one}`" for one in job.skills]
        for kind, value in needs(job) if left else ():
            left &= self._with.get((kind, value), frozenset())
            if left:
                team = f" in team `{value}`" if kind == "team" else team
            elif kind == "skill" and len(skills) > 1 and (kind, value) in self._with:
                return f"no agent{team} has all of {', '.join(skills)}"
            elif kind in {"project", "team"}:
                return f"there is no agent of {kind} `{value}`"
            elif kind == "agent":
                return f"{short(value)} can't have it, or is not there"
            elif kind == "kind":
                return f"no agent{team} takes {_work(value)}"
            else:
                return f"no agent{team} has {kind} `{value}`"
        return "there is no agent that takes work"


class Taken:
    """What is locked, found by its name without looking at all that is."""

    def __init__(self, held: Sequence[Held] = ()) -> None:
        self._bars: dict[tuple[str, bool, bool], list[Held]] = {}
        for one in held:
            self.add(one)

    def add(self, held: Held) -> None:
        """Add one."""
        for bar in _bars(held.name, held.shared):
            self._bars.setdefault(bar, []).append(held)

    def take(self, task: Task, agent: str, now: float) -> None:
        """Add all that a task wants; without an agent it is only kept for it."""
        of: dict[str, Any] = {"task": task.number, "agent": agent, "fence": task.fence, "at": now}
        for want in task.job.locks:
            self.add(Held(name=want.name, shared=want.shared, launch="", **of))

    def in_way(self, wants: Sequence[Want]) -> list[tuple[Want, Held]]:
        """Give those of these that can't be had, and what is in the way (of several, the first)."""
        bars = self._bars
        asked = [(want, ask) for want in wants for ask in _asks(want.name, want.shared)]
        return [(want, bars[ask][0]) for want, ask in asked if ask in bars]

    def owner(self, wants: Sequence[Want]) -> str:
        """Give the agent that took itself all that is in the way: it is not in its own way."""
        asked = [ask for want in wants for ask in _asks(want.name, want.shared)]
        found = {one for ask in asked for one in self._bars.get(ask, ())}
        agents = {"" if one.task else one.agent for one in found}
        return agents.pop() if len(agents) == 1 else ""


def score(job: Job, seat: Seat, choice: Choice) -> tuple[float, float, int]:
    """Give how little an agent is to be chosen: the lowest gets it.

    Where the strategy finds no difference, the one with the least to do, then the next in turn.
    """
    load = len(seat.holds) / max(seat.who.capacity, 1)
    return _LIKES[choice.strategy](job, seat, choice), load, choice.ring(seat)


def said(job: Job, seat: Seat, choice: Choice) -> str:
    """Say what the strategy sees in an agent: `1 skill to spare`, `it has 0 of 2 tasks`."""
    who = seat.who
    if choice.strategy == "capability":
        return f"{count(_spare(job, seat), 'skill')} to spare"
    if choice.strategy == "least-busy":
        return f"it has {len(seat.holds)} of {count(who.capacity, 'task')}"
    if choice.strategy == "resource":
        return f"it uses {who.cores:.1f} cores, {size(who.bytes)}"
    if choice.strategy == "weighted":
        return f"weight {_worth(job, seat, choice):.2f}"
    return f"{choice.ring(seat) + 1} of {choice.size} in turn"


def short(agent: str) -> str:
    """Give an agent's name as people say it: `team/name`."""
    return agent.partition("/")[2] if agent.count("/") > 1 else agent


def named(tasks: Sequence[Task]) -> str:
    """Name tasks: `t-3`, `t-3, t-4 and 7 more`."""
    names = ", ".join(task.name for task in tasks[:NAMED])
    return f"{names} and {len(tasks) - NAMED} more" if len(tasks) > NAMED else names


def occupied(seats: Sequence[Seat], shut: Sequence[str], now: float) -> str:
    """Say that none of these is free; `shut` are those that are not just busy, and why."""
    if len(seats) == 1:
        one = short(seats[0].who.agent)
        if shut:
            return f"the only one that may have it takes no work now; {shut[0]}"
        begun = [task.begun for task in seats[0].holds if task.begun]
        since = f" for {span(now - min(begun))}" if begun else ""
        return f"{one} is the only one that may have it, and has {named(seats[0].holds)}{since}"
    if not shut:
        return f"all {len(seats)} that may have it are busy"
    if len(shut) == len(seats):
        return f"none of the {len(seats)} that may have it takes work now; {shut[0]}"
    takes = "takes" if len(shut) == 1 else "take"
    some = f"{len(shut)} of the {len(seats)} that may have it {takes} no work now"
    return f"{some}, the rest are busy; {shut[0]}"


@lru_cache(maxsize=10_000)
def _bars(name: str, shared: bool) -> tuple[tuple[str, bool, bool], ...]:
    """Give what a lock bars: who asks for its name, or (last) for one that it lies in."""
    asked = (False,) if shared else (False, True)
    own = ((name, one, False) for one in asked)
    return (*own, *((higher, one, True) for one in asked for higher in above(name)))


@lru_cache(maxsize=10_000)
def _asks(name: str, shared: bool) -> tuple[tuple[str, bool, bool], ...]:
    """Give what may be barred to who asks for a lock, as `_bars` names it."""
    higher = ((one, shared, False) for one in above(name))
    return ((name, shared, False), *higher, (name, shared, True))


def _work(kind: str) -> str:
    return _WORK.get(kind, f"tasks of kind `{kind}`")


def _spare(job: Job, seat: Seat) -> int:
    return len(seat.who.skills.difference(job.skills))


def _worth(job: Job, seat: Seat, choice: Choice) -> float:
    """Give the mean of what it is worth at each skill, among those it already works for."""
    skills, agent = job.skills or ("",), seat.who.agent
    known = [
        choice.scores.get((agent, skill)) or Score(agent=agent, skill=skill) for skill in skills
    ]
    return sum(weight(one, choice.now) for one in known) / len(known) / (1 + len(seat.holds))


_LIKES: Mapping[str, Callable[[Job, Seat, Choice], float]] = {
    # what was given in this decision puts an agent at the end of the ring
    "round-robin": lambda _, seat, choice: seat.fresh * choice.size + choice.ring(seat),
    "least-busy": lambda _, seat, __: len(seat.holds) / max(seat.who.capacity, 1),
    # what was given in this decision uses nothing yet: it counts as a core
    "resource": lambda _, seat, __: seat.who.cores + seat.who.bytes / CORE + seat.fresh,
    "capability": lambda job, seat, _: _spare(job, seat),
    "weighted": lambda job, seat, choice: -_worth(job, seat, choice),
}
"""What each strategy dislikes in an agent."""
