"""End everything of this hive and nothing else, whatever is broken: the last resort.

It needs no supervisor, no store and no tmux that answers. Supervisors end first, because they
would start again what ends; then all processes, until a look finds none; then panes and files.
What could not be done is said, never passed over.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hive.adapters import groups, procs, scan
from hive.adapters.audit import command
from hive.adapters.state import State, holder
from hive.core.ending import launch_over
from hive.core.trees import Process
from hive.core.world import LIVE, Memory
from hive.core.world import State as Word
from hive.errors import HiveError

if TYPE_CHECKING:
    from hive.adapters.store import Record

ROUNDS = 5
"""How often it looks again for what came up meanwhile."""

GRACE = 3.0
"""Seconds a process has after TERM before it is killed."""

DYING = 5.0
"""Seconds after KILL before a process is taken for one that can't be ended."""

POLL = 0.05


def cleanup(state: State, *, grace: float = GRACE, timeout: float = scan.TIMEOUT) -> list[str]:
    """End guard, worker and every agent's processes, close our panes, put the files right.

    `grace` is in seconds, for each round of asking; `timeout` in seconds, for each tmux server.
    Gives what was done, and what could not be, as sentences.
    """
    known, said = known_sockets(state)
    seen = scan.sockets(known)
    said += end_everything(state, grace)
    said += _close_panes(state, seen, timeout)
    said += _leave_groups(state)
    by = _lock_held(state)
    said += [by] if by else [*_remove_files(state), *_put_store_right(state)]
    return said or ["nothing of this hive was left"]


def end_everything(state: State, grace: float = GRACE) -> list[str]:
    """End supervisors, then every other process of this hive; say what ended and what did not."""
    said = end_all(lambda: scan.processes(state).supervisors, grace, keep_stopped=True)
    return said + end_all(lambda: scan.processes(state).others, grace)


def end_all(
    find: Callable[[], Sequence[Process]], grace: float, *, keep_stopped: bool = False
) -> list[str]:
    """End whatever `find` gives until it gives nothing, five times at most; say what ended.

    Once found, a process stays meant, even if its parents and its tag are gone at the next look.
    """
    said: list[str] = []
    meant: dict[tuple[int, int], Process] = {}
    for _ in range(ROUNDS):
        meant |= {(one.pid, one.started): one for one in find()}
        meant = {key: one for key, one in meant.items() if procs.alive(*key)}
        if not meant:
            return said
        names = {key: command(one.pid) for key, one in meant.items()}
        left = end(list(meant.values()), grace, keep_stopped=keep_stopped)
        gone = meant.keys() - {(one.pid, one.started) for one in left}
        said += [f"ended process {key[0]}: {names[key]}" for key in sorted(gone)]
    return said + [
        f"could not end process {one.pid}: {command(one.pid)}"
        for key, one in sorted(meant.items())
        if procs.alive(*key)
    ]


def end(processes: Iterable[Process], grace: float, *, keep_stopped: bool = False) -> list[Process]:
    """Ask these processes to end, kill those that don't within `grace` seconds; give the rest.

    A stopped process is woken, because it can't act on TERM; with `keep_stopped` it sleeps on
    until it is killed: a supervisor that wakes would act once more.
    """
    alive = list(processes)
    for one in alive:
        procs.signal(one.pid, one.started, signal.SIGTERM)
        if not keep_stopped:
            procs.signal(one.pid, one.started, signal.SIGCONT)
    alive = _survivors(alive, grace)
    for one in alive:
        procs.signal(one.pid, one.started, signal.SIGKILL)
    return _survivors(alive, DYING)


def end_own(state: State, sockets: Iterable[str], verb: str) -> None:
    """End the agent whose program started the caller: its ancestors up to there, then the window.

    `sockets` are the tmux servers agents are known to use, `verb` is who ends it. It is the last
    thing a caller does: nothing it prints afterwards is seen by anyone. Raises HiveError where
    the panes' mark or the store can't be read.
    """
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    places = scan.panes(scan.instance(state), scan.sockets(sockets)).own
    write_down(state, f"ended by `{verb}`")
    end(scan.own(state), GRACE)
    scan.close(places)
    end_all(lambda: scan.processes(state).others, GRACE)


def _survivors(processes: list[Process], seconds: float) -> list[Process]:
    """Wait until all have ended, or the time is over; give those that live."""
    last = time.monotonic() + seconds
    while True:
        alive = [one for one in processes if procs.alive(one.pid, one.started)]
        if not alive or time.monotonic() > last:
            return alive
        time.sleep(POLL)


def known_sockets(state: State) -> tuple[set[str], list[str]]:
    """Read the tmux sockets from the store; say so where it can't be read."""
    if not state.db.exists():
        return set(), []
    try:
        from hive.adapters.store import Store

        with Store.open(state.db) as store:
            found = {one.agent.socket for one in store.wanted().values()}
            return found | {one.socket for one in store.memory().values()}, []
    except Exception as error:  # noqa: BLE001 - whatever the store has, the processes must end
        return set(), [f"could not read the store: {error}"]


def _close_panes(state: State, seen: dict[str, bool], timeout: float) -> list[str]:
    try:
        name = scan.instance(state)
    except HiveError as error:
        return [f"could not look for panes: {error.what}"]
    said: list[str] = []
    found = scan.panes(name, seen, timeout)
    for _ in range(ROUNDS):
        if not found.found:
            break
        scan.close(found.found, timeout)
        before, found = found.found, scan.panes(name, seen, timeout)
        said += [f"closed pane {place}" for place in before if place not in found.found]
    said += [f"could not close pane {place}" for place in found.found]
    return said + [f"could not ask {why}; it was left alone" for why in found.hung]


def _leave_groups(state: State) -> list[str]:
    """Remove the groups in which the kernel held launches, as far as they are empty by now."""
    try:
        left = groups.leave(scan.instance(state), os.environ)
    except (HiveError, OSError) as error:
        left = [str(error)]
    return [f"could not remove the kernel's groups: {why}" for why in left]


def _lock_held(state: State) -> str:
    """Say why the files can't be touched: someone still uses them; "" where nobody does."""
    try:
        by = holder(state)
    except HiveError as error:
        return f"could not look at the lock: {error.what}"
    return f"left the files as they are: pid {by.pid or 'unknown'} holds the lock" if by else ""


def _remove_files(state: State) -> list[str]:
    """Remove what supervisors leave, and the launches' files once no launch needs them."""
    paths = [state.lock] if state.lock.exists() else []
    if is_dead(state.socket):
        paths.append(state.socket)
    said = [_removed(path) for path in paths]
    if scan.processes(state).others or scan.own(state):
        return said
    folders = [one for one in (state.launches, state.voices) if one.is_dir()]
    left = [_removed(path) for folder in folders for path in folder.iterdir()]
    return said + [text for text in left if text.startswith("could not")]


def is_dead(path: Path) -> bool:
    """Whether the file is a socket that nobody listens on any more."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _removed(path: Path) -> str:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        return f"could not remove {path}: {error.strerror}"
    return f"removed {path}"


def _put_store_right(state: State) -> list[str]:
    """Write down that all has ended; a damaged store is moved aside, with its log."""
    try:
        from hive.adapters.storefile import check

        wrong = check(state.db) if state.db.exists() else None
        if wrong is None:
            return write_down(state, "ended by `hive emergency-cleanup`")
        if "locked" in wrong:
            return [f"could not check the store: {wrong}"]
        aside = dated(state.db, "broken")
        move_aside(state.db, aside)
    except Exception as error:  # noqa: BLE001 - the rest is done; this is said like all else
        return [f"could not put the store right: {error}"]
    return [f"the store is damaged ({wrong}): moved it to {aside}"]


def write_down(state: State, why: str) -> list[str]:
    """Write that every agent is wanted down and that none runs; say so where that is news.

    Otherwise the next supervisor would take closed windows for a person's doing, or start again
    what was just ended. Nobody else may have the store open for writing. Raises HiveError where
    the store can't be written.
    """
    if not state.db.exists():
        return []
    from hive.adapters.store import Event, Store

    now = time.time()
    with Store.open(state.db) as store:
        up = {agent: one for agent, one in store.wanted().items() if one.up}
        ran = [one for one in store.memory().values() if one.state in _OPEN]
        if not (up or ran):
            return []
        down = {agent: replace(one, up=False, why=why) for agent, one in up.items()}
        events = [Event(agent=agent, kind="stop", text=why, at=now) for agent in down]
        store.want(down, events=events)
        store.record([_over(memory, why, now) for memory in ran], now)
    agents = down.keys() | {one.agent for one in ran}
    return [f"wrote down that {len(agents)} of hive's agents are down: hive deploy starts them"]


_OPEN = LIVE | {Word.BACKING_OFF}
"""The states in which a supervisor would go on with an agent."""


def _over(memory: Memory, why: str, now: float) -> Record:
    """Give what is to be written of an agent whose launch, if there was one, is over."""
    from hive.adapters.store import Death, Event, Record

    after = replace(launch_over(memory, now), state=Word.STOPPED, reason=why)
    if not memory.live:
        return Record(memory=after)
    death = Death(
        agent=memory.agent,
        at=now,
        launch=memory.launch,
        code=None,
        cause=why,
        asked=True,
        next=f"stays stopped: {why}",
        restarts=memory.restarts,
        ran=max(0.0, now - memory.began),
        screen="",
    )
    event = Event(agent=memory.agent, kind="stopped", text=why, at=now)
    return Record(memory=after, death=death, event=event)


def files_of(db: Path) -> list[Path]:
    """Give those files of a SQLite store that exist: itself, its log, the log's index."""
    beside = [db.with_name(db.name + ending) for ending in ("", "-wal", "-shm")]
    return [path for path in beside if path.exists()]


def dated(db: Path, word: str) -> Path:
    """Give a path beside the store that is not taken yet: `hive.db.WORD-20260131-235959`."""
    path = db.with_name(f"{db.name}.{word}-{time.strftime('%Y%m%d-%H%M%S')}")
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"{path.name.partition('_')[0]}_{number}")
    return path


def move_aside(db: Path, to: Path) -> None:
    """Rename a store that nobody has open, and its log with it.

    Raises OSError.
    """
    for path in files_of(db):
        path.rename(to.with_name(path.name.replace(db.name, to.name, 1)))
