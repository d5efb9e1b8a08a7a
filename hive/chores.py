"""What is done in worktrees in the background: one thing at a time in each, and what came of it.

A chore that must wait for another one is begun when that is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from hive.adapters.errands import Errands
from hive.adapters.shell import Stop
from hive.adapters.worktrees import Say
from hive.errors import HiveError

KEPT = 200
"""How many chores that are over can still be asked about."""

Work = Callable[[Say, Stop], Any]


@dataclass(slots=True, kw_only=True)
class Chore:
    """One thing to do: for which agent's worktree ("" for none), how far it is, what came of it.

    `alone` are things that only one chore may have at a time. `said` is the last line it told,
    `at` when it was added and `began` when it began (0: not yet), epoch seconds.
    """

    name: str
    verb: str
    agent: str
    work: Work
    alone: frozenset[str]
    at: float
    began: float = 0.0
    said: str = ""
    over: bool = False
    result: Any = None
    error: Exception | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def state(self) -> str:
        """How far it is, in one word."""
        if not self.over:
            return "running" if self.began else "waiting"
        return "failed" if self.error else "done"

    def say(self, text: str) -> None:
        """Take down how far it is; from any thread."""
        self.said = text


class Chores:
    """Has chores done, and tells what came of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._errands = Errands()
        self._known: dict[str, Chore] = {}
        self._open: list[Chore] = []
        self._held: set[str] = set()
        self._born = f"{int(clock()):x}"
        self._count = 0

    def add(self, verb: str, agent: str, work: Work, alone: Collection[str] = ()) -> Chore:
        """Have this done, as soon as nothing else has what it must have for itself alone."""
        self._count += 1
        own = {f"agent {agent}"} if agent else set()
        chore = Chore(
            name=f"w-{self._born}-{self._count}",
            verb=verb,
            agent=agent,
            work=work,
            alone=frozenset({*alone, *own}),
            at=self._clock(),
        )
        self._known[chore.name] = chore
        self._open.append(chore)
        self._begin()
        return chore

    def get(self, name: str) -> Chore | None:
        """Give a chore by its name; None where it is not known any more."""
        return self._known.get(name)

    def of(self, agent: str) -> Chore | None:
        """Give what is done, or waits to be done, in an agent's worktree."""
        return next((one for one in self._open if one.agent == agent), None)

    def fileno(self) -> int:
        """Give the descriptor that is readable while something is over."""
        return self._errands.fileno()

    def read(self) -> list[Chore]:
        """Give the chores that are over since the last read, and begin what waited for them."""
        over = []
        for done in self._errands.read():
            chore = self._known[str(done.key)]
            chore.over, chore.result, chore.error = True, done.value, done.error
            self._open.remove(chore)
            self._held -= chore.alone
            over.append(chore)
        self._begin()
        ended = [name for name, one in self._known.items() if one.over]
        for name in ended[:-KEPT]:
            del self._known[name]
        return over

    def close(self) -> None:
        """End what is being done; it is gone on with another time."""
        for one in self._open:
            one.stop.set()
        self._errands.close()

    def _begin(self) -> None:
        before: set[str] = set()
        for one in self._open:
            if not one.began and not one.alone & (self._held | before):
                one.began = self._clock()
                self._held |= one.alone
                self._errands.do(one.name, lambda one=one: _done(one))  # type: ignore[misc]
            before |= one.alone  # nobody is overtaken


def _done(one: Chore) -> Any:
    if one.stop.is_set():
        raise HiveError("it was told to stop before it began")
    return one.work(one.say, one.stop)
