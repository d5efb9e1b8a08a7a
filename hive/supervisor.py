"""The loop and nothing else: wait for an event or the pulse, tick, repeat.

What wakes it: a request on the socket, a death (pidfd or kqueue), a probe's answer, the moment
something is due, and every two seconds the pulse. It is the worker that the guard keeps alive,
and it becomes the guard if the guard dies.
"""

from __future__ import annotations

import logging
import os
import resource
import selectors
import signal
import socket
import time
from pathlib import Path

from hive.adapters import guard, procs
from hive.adapters.listener import Listener
from hive.adapters.node import Node
from hive.adapters.probes import Probes
from hive.adapters.state import Locked, NodeLock, State
from hive.adapters.store import Event, Store
from hive.conversations import Conversations
from hive.errors import HiveError
from hive.governor import Governor
from hive.hive import Hive
from hive.keeper import RETRY, Keeper
from hive.questions import Questions

PULSE = 2.0
"""Seconds between two looks when nothing happens."""

SOON = 0.05
"""Seconds between two looks while something is being done."""

AGAIN = 1
"""The exit code after which the guard starts another worker."""

TIDY = 600.0
"""Seconds between two times at which files that nobody needs any more are dropped."""

FILES = 8192
"""How many files the supervisor may have open: a few for each agent's processes."""

LONGEST = 1 << 20
KEPT = 1 << 18
"""A log of more than `LONGEST` bytes is cut down to its last `KEPT`."""

_log = logging.getLogger("hive")


class Lost(Exception):  # noqa: N818 - it says what happened
    """The node's lock is no longer ours: whoever comes next takes it anew."""


class Supervisor:
    """One node's loop, from the lock to the last request."""

    def __init__(self, state: State, lock: NodeLock) -> None:
        self._state = state
        self._lock = lock
        self._store = Store.open(state.db)
        self._node = Node(state)
        self._probes = Probes()
        self._governor = Governor(state, self._node, os.environ)
        self._talks = Conversations(state, self._store)
        questions = Questions(self._probes)
        self._keeper = Keeper(self._store, self._node, questions, self._governor, self._talks)
        self._hive = Hive(self._keeper, time.time, state.root)
        self._selector = selectors.DefaultSelector()
        self._listener = self._listen()
        self._hive.asking = lambda: self._listener.asking
        self._guard = guard.parent()
        self._orphaned = False
        self._ended = False
        self._shop = self._hive.workshop
        self._foreman = self._hive.foreman
        self._heard: set[int] = set()
        self._failure = self._idle = self._late = ""
        self._tidy_at = 0.0
        self._signals = self._catch_signals()

    def run(self) -> int:
        """Loop until asked to end; gives the exit code: 0, or `AGAIN` where the guard has died."""
        self._begin()
        due = step = talk = work = beat = 0.0
        while not (self._ended or self._orphaned or self._over()):
            woken = self._wait(min(due, step, talk, work, beat))
            if time.monotonic() >= step:
                step = self._governor.step(time.monotonic())
            if woken or time.monotonic() >= talk:
                talk = time.monotonic() + self._talk()
            if woken or time.monotonic() >= due:
                due = time.monotonic() + self._tick()
                work = 0.0  # an agent may have become ready, or be gone
            if self._shop.changed or time.monotonic() >= work:
                work = time.monotonic() + self._work()
            if self._foreman.changed or time.monotonic() >= beat:
                beat = time.monotonic() + self._beat()
        if not (self._ended or self._hive.ending):
            return AGAIN
        _log.info("supervisor ended, as it was asked to")
        return 0

    def close(self) -> None:
        """Give back everything, and leave the agents as they are."""
        leave = [self._node.leave, self._governor.leave] if self._hive.ending else []
        closing = (
            self._governor.close,
            self._foreman.close,
            self._shop.close,
            self._talks.close,
            self._listener.close,
            self._probes.close,
            self._node.release,
            self._store.close,
        )
        for give_back in (*leave, *closing):
            try:
                give_back()
            except (HiveError, OSError):  # the rest is given back all the same
                _log.exception("could not give everything back")

    def _begin(self) -> None:
        self._selector.register(self._node.deaths.fileno(), selectors.EVENT_READ, self._died)
        self._selector.register(self._probes.fileno(), selectors.EVENT_READ, self._answered)
        for number in self._foreman.filenos():
            self._selector.register(number, selectors.EVENT_READ, self._foreman.wake)
        if self._guard:
            self._node.deaths.watch(self._guard, procs.started(self._guard) or 0)
        text = f"supervisor started, pid {os.getpid()}"
        _log.info(text)
        try:
            self._store.add([Event(agent="", kind="supervisor", text=text, at=time.time())])
        except HiveError as error:  # the agents are watched all the same
            _log.warning("%s", error)

    def _listen(self) -> Listener:
        listener = Listener(str(self._state.socket), self._hive.answer)
        listener.register(self._selector)
        return listener

    def _catch_signals(self) -> socket.socket:
        """Turn TERM and INT into a readable socket, so that the loop ends between two ticks."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._finish)
        # Not SIG_IGN: what this process starts, the tmux server too, would inherit that.
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        self._waker = theirs
        self._selector.register(ours, selectors.EVENT_READ, lambda: bool(ours.recv(64)))
        return ours

    def _finish(self, _number: int, _frame: object) -> None:
        self._ended = True

    def _over(self) -> bool:
        return self._hive.ending and not self._listener.busy()

    def _wait(self, due: float) -> bool:
        """Wait for the next event or until `due`; gives whether to tick at once."""
        patience = max(0.0, due - time.monotonic())
        woken = False
        for key, events in self._selector.select(patience):
            if callable(key.data):
                woken = bool(key.data()) or woken
            else:
                self._listener.handle(key, events)
        return woken or self._hive.changed or self._talks.changed

    def _died(self) -> bool:
        pids = self._node.deaths.read()
        self._orphaned |= self._guard in pids
        return bool(pids)

    def _answered(self) -> bool:
        return True

    def _tick(self) -> float:
        """Tick once; gives the seconds until the next."""
        self._upkeep()
        try:
            busy, moment = self._hive.tick()
        except HiveError as error:
            if str(error) != self._failure:
                _log.warning("tick: %s", error)
            self._failure = str(error)
            return RETRY
        self._failure = ""
        if time.monotonic() >= self._tidy_at:
            self._tidy()
        if busy:
            return SOON
        rest = PULSE if moment is None else moment - time.time()
        return min(PULSE, max(SOON / 5, rest))

    def _talk(self) -> float:
        """Go on with what is being said; gives the seconds until the next time."""
        now = time.time()
        try:
            return min(PULSE, max(0.0, self._talks.step(now) - now))
        except HiveError as error:
            if str(error) != self._failure:
                _log.warning("talking: %s", error)
            self._failure = str(error)
            return RETRY

    def _work(self) -> float:
        """Go on with the work; gives the seconds until the next time."""
        try:
            rest = self._shop.step()
        except HiveError as error:
            if str(error) != self._idle:
                _log.warning("work: %s", error)
            self._idle = str(error)
            return RETRY
        self._idle = ""
        for number in set(self._shop.filenos()) - self._heard:
            self._heard.add(number)
            self._selector.register(number, selectors.EVENT_READ, self._checked)
        return 0.0 if self._shop.changed else rest

    def _beat(self) -> float:
        """Keep the rhythm; gives the seconds until the next time."""
        now = time.time()
        try:
            return min(PULSE, max(0.0, self._foreman.step(now) - now))
        except HiveError as error:
            if str(error) != self._late:
                _log.warning("the rhythm: %s", error)
            self._late = str(error)
            return RETRY

    def _checked(self) -> bool:
        self._shop.wake()
        return False

    def _tidy(self) -> None:
        self._tidy_at = time.monotonic() + TIDY
        launches = self._node.launches(self._keeper.memory)
        if launches is not None:
            self._node.tidy(launches)
            self._talks.tidy(launches, time.time())
            self._governor.tidy(launches)
            self._foreman.tidy(time.time())
        shorten(self._state.log)

    def _upkeep(self) -> None:
        if self._listener.missing():
            self._listener.close()
            self._listener = self._listen()
        self._listener.upkeep(time.monotonic())
        if self._guard and not guard.parent_is_guard():
            self._orphaned = True
        if not self._lock.held:  # its file was deleted: another could take it too
            raise Lost
        self._lock.beat()


def run(root: Path) -> int:
    """Supervise this node until asked to end; gives the exit code for the guard.

    Where the guard is gone, and nobody asked for an end, this process becomes the guard.
    """
    state = State(root)
    state.prepare()
    _see_more_files()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    lock = NodeLock(state)
    try:
        lock.take()
    except Locked as error:
        _log.info("%s", error)
        return guard.LOCKED
    code = _supervise(state, lock)
    if code and guard.parent() and not guard.parent_is_guard():
        _log.warning("the guard is gone: taking its place")
        guard.become(str(root), dict(os.environ))
    lock.release()
    return code


def _supervise(state: State, lock: NodeLock) -> int:
    """Supervise with the lock held; whatever ends that is in the log, bugs with a traceback."""
    try:
        supervisor = Supervisor(state, lock)
        try:
            return supervisor.run()
        finally:
            supervisor.close()
    except Lost:
        _log.warning("the lock's file is gone: starting anew")
    except HiveError as error:
        _log.error("%s", error)
    except Exception:  # noqa: BLE001 - even a bug must be in the log, and end in a new worker
        _log.exception("a bug ended the supervisor; it is started again")
    return AGAIN


def _see_more_files() -> None:
    """Have room for a few open files an agent, where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < room:
        resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))


def shorten(log: Path) -> None:
    """Keep the end of a log that has grown long; who has it open appends behind what is kept."""
    try:
        if log.stat().st_size <= LONGEST:
            return
        with log.open("r+b") as file:
            file.seek(-KEPT, os.SEEK_END)
            kept = file.read().partition(b"\n")[2]
            file.seek(0)
            file.write(kept)
            file.truncate()
    except OSError as error:  # a long log does no harm
        _log.warning("can't shorten the log: %s", error)
