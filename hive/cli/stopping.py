"""Stop everything and leave nothing: gracefully while a supervisor can, by force where none does.

Whatever is killed meanwhile, it looks again: a guard may start another worker, and a worker may
become a guard. So each round asks whoever answers now, and only a look at the processes ends it.
Inside an agent's window that agent is stopped last, because it is the caller.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hive.adapters import channel, emergency, guard, scan
from hive.adapters.audit import Audit, audit
from hive.adapters.channel import Unreachable
from hive.adapters.state import State, holder
from hive.adapters.supervisors import supervisors
from hive.cli import remote
from hive.errors import HiveError, NotRunning, TimedOut, WrongInput
from hive.views import short

POLL = 0.1
"""Seconds between two looks."""

SPARE = 30.0
"""Seconds beyond the longest grace before agents that still run are ended by force."""

AGAIN = 2.0
"""Seconds after which supervisors that are still there are asked again to end."""

LEAVING = 10.0
"""Seconds that what was ended gets to be gone from every table."""

ANSWER = 10.0
"""Seconds a supervisor gets for an answer before it is taken for hung."""

GRACE = 10.0
"""Seconds an agent's grace is taken for where the store can't be read."""

Record = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Stopping:
    """One `hive stop-all`: `tell` gets each step as a sentence; `timeout` is in seconds or None.

    With None, agents get what their own grace asks for, and 30 seconds more. Afterwards `forced`
    says in sentences what was ended by force; `me` is the agent (its id) whose program started
    the caller, if any: it is left to be ended; `sockets` are the tmux servers agents may use.
    """

    state: State
    tell: Callable[[str], None]
    timeout: float | None = None
    forced: list[str] = field(default_factory=list)
    me: str = ""
    sockets: set[str] = field(default_factory=set)
    _ran: set[str] = field(default_factory=set)
    _stopped: set[str] = field(default_factory=set)
    _last: float = 0.0
    _told: str = ""

    def run(self) -> Audit:
        """Stop everything, and give what is left all the same."""
        self.me = scan.inside(self.state)
        if self.me:
            _be_deaf()
        self._last = time.monotonic() + self._patience()
        while self._needed() and time.monotonic() < self._last:
            try:
                self._round()
            except Unreachable:
                time.sleep(POLL)  # it is being started again
            except TimedOut as error:
                self._say(error.what)
                self._end_worker()
            except NotRunning as error:
                self._say(error.what)
                time.sleep(POLL)
            except HiveError as error:
                self._say(f"the supervisor can't do it: {error.what}")
                break
            else:
                if self.me:
                    break
        self._force()
        self._clear()
        return self._audit()

    def stopped(self) -> list[str]:
        """Name the agents that ran and were stopped, gracefully or not."""
        return sorted(short(one) for one in self._ran - {self.me})

    def killed(self) -> list[str]:
        """Name those of them that did not stop by being asked."""
        left = self._ran - self._stopped - {self.me} if self.forced else set()
        return sorted(map(short, left))

    def _needed(self) -> bool:
        """Whether anything runs, or is remembered to run."""
        if scan.processes(self.state).all:
            return True
        try:
            return holder(self.state) is not None or self._want_down()
        except HiveError as error:
            self._say(f"the store can't be used: {error.what}")
            return False

    def _want_down(self) -> bool:
        """Write that all is wanted down; say whether a supervisor must still see it through."""
        from hive.offline import Offline

        return Offline(self.state).stop_all()

    def _round(self) -> None:
        """Have the supervisor that answers now stop all and end; start one where there is none."""
        if not self._supervised():
            self._start()
        others = [one["id"] for one in self._agents() if one["id"] != self.me]
        if self.me and others:
            self._ask("stop", names=others)
        if not self.me:
            self._ask("stop_all")
        while open_ := self._open():
            if time.monotonic() > self._last:
                self._say(f"not stopped in time: {', '.join(open_)}")
                break
            time.sleep(POLL)
        if self.me:
            self._ask("stop_all")
        self._ask("shut_down")
        self._wait_gone()
        if not (open_ or self.me or self._supervised()):  # what hive began for itself: a setup
            emergency.end_all(lambda: scan.processes(self.state).others, emergency.GRACE)

    def _start(self) -> None:
        """Start a supervisor; whether it then answers is seen by asking it."""
        self._want_down()  # or what is wanted up would be started first
        self.state.prepare()
        try:
            environ = remote.for_supervisor()
        except WrongInput:  # by whatever means limits are held, all must end
            environ = remote.born()
        try:
            guard.start(str(self.state.root), environ)
        except OSError as error:
            raise HiveError(f"can't start the supervisor: {error}") from error

    def _open(self) -> list[str]:
        """Name the agents that are not stopped yet, but for the one we run in."""
        found = [one for one in self._agents() if one["id"] != self.me]
        self._stopped |= {one["id"] for one in found if one["state"] == "stopped"}
        again = [one["id"] for one in found if one["wanted"] == "up"]
        if again:  # someone started it meanwhile
            self._ask("stop", names=again)
        return [one["agent"] for one in found if one["state"] != "stopped"]

    def _agents(self) -> list[Record]:
        agents: list[Record] = self._ask("status", names=[])["agents"]
        self._learn(agents)
        return agents

    def _learn(self, agents: list[Record]) -> None:
        self.sockets |= {one["socket"] for one in agents}
        self._ran |= {one["id"] for one in agents if one["state"] != "stopped"}

    def _ask(self, verb: str, **args: Any) -> Any:
        return channel.ask(str(self.state.socket), verb, args, timeout=ANSWER)

    def _supervised(self) -> bool:
        return bool(supervisors(str(self.state.root)))

    def _wait_gone(self) -> None:
        """Wait until no guard and no worker is left; one that just started must be asked again."""
        last = time.monotonic() + AGAIN
        while self._supervised() and time.monotonic() < last:
            time.sleep(POLL)

    def _end_worker(self) -> None:
        """End a worker that hangs: its guard starts another, which can end agents gracefully."""
        emergency.end(scan.processes(self.state).workers, 0.0, keep_stopped=True)

    def _force(self) -> None:
        """End by force what did not end by being asked."""
        self.forced = emergency.end_everything(self.state)
        for text in self.forced:
            self._say(text)
        if self.forced and not self._supervised():
            try:
                emergency.write_down(self.state, "ended by `hive stop-all`")
            except HiveError as error:
                self._say(f"the store can't be written: {error.what}")

    def _clear(self) -> None:
        """Close the panes that are left, and remove the socket of a supervisor that was killed."""
        try:
            found = scan.panes(scan.instance(self.state), scan.sockets(self.sockets))
            scan.close(found.found)
            if holder(self.state) is None and emergency.is_dead(self.state.socket):
                self.state.socket.unlink(missing_ok=True)
        except HiveError as error:
            self._say(f"can't clear up: {error.what}")

    def _audit(self) -> Audit:
        """Look until nothing is left, or it stays: what was just ended may need a moment."""
        last = time.monotonic() + LEAVING
        found = audit(self.state, self.sockets)
        while not found.clean and time.monotonic() < last:
            time.sleep(POLL)
            found = audit(self.state, self.sockets)
        return found

    def _patience(self) -> float:
        """Give the seconds for a graceful end, and learn from the store what ran, and where."""
        from hive.offline import Offline

        grace = GRACE
        try:
            offline = Offline(self.state)
            self.sockets |= offline.sockets()
            self._learn(offline.status()["agents"])
            grace = max(grace, offline.longest_grace())
        except HiveError as error:
            self._say(f"the store can't be used: {error.what}")
        return grace + SPARE if self.timeout is None else self.timeout

    def _say(self, text: str) -> None:
        """Tell it, once where it comes again and again."""
        if text != self._told:
            self._told = text
            self.tell(text)


def _be_deaf() -> None:
    """Outlive what ends our own agent: its stop signals and its window's end reach us too."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
