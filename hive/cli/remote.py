"""Asking the supervisor: with patience, with the store in its place, or starting it first.

Reading verbs never need a supervisor. Changing ones wait a moment for one that is being started
again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from typing import Any

from hive.adapters.channel import Unreachable
from hive.adapters.channel import ask as ask_socket
from hive.adapters.state import State, locate
from hive.cli import output
from hive.core.limits import VARIABLE
from hive.core.wording import count, span
from hive.errors import HiveError, NotRunning, TimedOut, WrongInput

PATIENCE = 5.0
"""Seconds a changing verb waits for a supervisor that left its socket and may come back."""

SILENCE = 10.0
"""Seconds a reading verb waits for a supervisor that runs and says nothing."""

STARTUP = 20.0
"""Seconds a supervisor gets to come up: long enough for a machine that is busy."""

STORE = "HIVE_STORE"
"""The variable that names the database in which the work is to lie."""

AWAY = 30.0
"""Seconds a wait goes on while no supervisor answers."""

POLL = 0.1
"""Seconds between two questions of one wait."""

AFRESH = 1.0
"""Seconds in which hive begins anew with a worktree that could not be made before."""

NOT_UP = frozenset({"failed", "stopped", "waiting"})
"""The states that last, and in which what waits for an agent is not started."""

Record = dict[str, Any]
Progress = Callable[[list[Record]], None]


def state() -> State:
    """Give this user's hive on this machine."""
    return locate(os.environ)


def ask(verb: str, **args: Any) -> Any:
    """Have the supervisor do it; raises Unreachable where none comes back in time."""
    socket = state().socket
    last = time.monotonic() + PATIENCE
    while True:
        try:
            return _asked(verb, args)
        except Unreachable:
            if time.monotonic() > last or not socket.exists():
                raise
        time.sleep(POLL)


def look(verb: str, **args: Any) -> Any:
    """Have a reading verb answered: by the supervisor, or from the store where none answers."""
    try:
        return _asked(verb, args, timeout=SILENCE)
    except Unreachable:
        pass
    except TimedOut as error:
        output.note(f"{error.what}: what follows is what it wrote last")
    from hive.offline import RHYTHM, Offline

    offline = Offline(state())
    return offline.rhythm(verb, **args) if verb in RHYTHM else getattr(offline, verb)(**args)


def _asked(verb: str, args: Record, timeout: float = 30.0) -> Any:
    """Ask; raises HiveError where the supervisor is one of an older hive, and can't do it."""
    socket = str(state().socket)
    try:
        return ask_socket(socket, verb, args, timeout=timeout)
    except WrongInput as error:
        if not error.what.startswith((f"hive has no verb `{verb}`", f"`{verb}` does not take")):
            raise
        pid = ask_socket(socket, "ping", {}, timeout=PATIENCE)["pid"]
        what = f"the supervisor that runs is that of an older hive, and can't do it: pid {pid}"
        fix = f"kill {pid}; hive deploy   # agents run on, the new hive takes them over"
        raise HiveError(what, fix=fix) from error


def answers() -> bool:
    """Whether a supervisor answers now."""
    try:
        ask_socket(str(state().socket), "ping", {}, timeout=PATIENCE)
    except (Unreachable, TimedOut):
        return False
    return True


def born() -> dict[str, str]:
    """Give the environment that agents inherit: the caller's, without hive's and tmux's own."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("HIVE_") and key not in {"TMUX", "TMUX_PANE"}
    }


def for_supervisor() -> dict[str, str]:
    """Give a supervisor's environment: as agents inherit it, and how limits are to be held.

    Raises WrongInput where that is a means that there is not.
    """
    if not os.environ.get(VARIABLE):
        return born()
    from hive.adapters import groups, scan

    groups.find(scan.instance(state()) or "deploy", os.environ)
    return born() | {VARIABLE: os.environ[VARIABLE]}


def ensure() -> None:
    """Start a supervisor where none answers, and wait until it does.

    Raises NotRunning, with the end of its log, where it does not come up, and WrongInput where
    it is told to hold limits by a means that there is not, or to keep its work where it is not.
    """
    join()
    if answers():
        return
    from hive.adapters import guard

    ours, environ = state(), for_supervisor()
    ours.prepare()
    try:
        guard.start(str(ours.root), environ)
    except OSError as error:
        raise NotRunning(f"can't start the supervisor: {error}", where=str(ours.root)) from error
    last = time.monotonic() + STARTUP
    while not answers():
        if time.monotonic() > last:
            raise NotRunning(
                f"the supervisor does not answer after {span(STARTUP)}{_log(ours)}",
                where=str(ours.log),
                fix="hive doctor",
            )
        time.sleep(POLL)


def join() -> None:
    """Have the work lie in the database that `HIVE_STORE` names, if it does and can be reached.

    Raises WrongInput where the work lies elsewhere already.
    """
    url, ours = os.environ.get(STORE), state()
    if not url or ours.queue() == url:
        return
    from hive.adapters.queue import Queue

    if not url.startswith(("postgresql://", "postgresql+psycopg://", "postgres://")):
        fix = f"{STORE}=postgresql://HOST/NAME hive deploy"
        raise WrongInput(f"`{STORE}` is no URL of a PostgreSQL database", fix=fix)
    ours.prepare()
    Queue.open(url).close()
    ours.join(url)


def settle(
    ids: Collection[str], timeout: float, progress: Progress = lambda _records: None
) -> list[Record]:
    """Wait until these agents are what is wanted or can't become it, and give their records.

    Those that are forgotten meanwhile are left out. An agent of a held team, or one that waits
    for an agent that does not come, is not waited for. Raises TimedOut, naming those that are
    not there yet.
    """
    began = time.monotonic()
    last = began + timeout
    while True:
        status = _status(last)
        records = [one for one in status["agents"] if one["id"] in ids]
        progress(records)
        stuck = hopeless(status)
        if time.monotonic() > began + AFRESH:
            stuck |= unmade(status)
        open_ = [one for one in records if not one["settled"] and one["id"] not in stuck]
        if not open_:
            return records
        if time.monotonic() > last:
            bad = [one for one in records if one["id"] in stuck or one["state"] == "failed"]
            raise late(open_, timeout, bad)
        time.sleep(POLL)


def late(records: list[Record], timeout: float, bad: list[Record]) -> TimedOut:
    """Build the error that names who is not there in time, and who is not waited for any more."""
    others = f"\n  and {count(len(bad), 'agent')} did not come up:{listed(bad)}" if bad else ""
    return TimedOut(
        f"not done after {span(timeout)}, and hive goes on with "
        f"{count(len(records), 'agent')}:{listed(records)}{others}",
        fix=f"hive why {records[0]['agent']}",
    )


def listed(records: list[Record]) -> str:
    """Give each agent on a line of its own, with its state and the reason."""
    from hive.core.shown import told

    return "".join(f"\n    {one['agent']}  {one['state']}: {told(one)}" for one in records)


def hopeless(status: Record) -> set[str]:
    """Name the agents (ids) that do not come up unless a person helps.

    Their team is held, or what they wait for has failed, is down, or waits for a person itself.
    """
    held = {(team["project"], team["team"]) for team in status["teams"] if team["held"]}
    wanted = [one for one in status["agents"] if one["wanted"] != "removed"]
    gone = {one["id"] for one in wanted if one["settled"] and one["state"] in NOT_UP}
    stuck = {
        one["id"]
        for one in wanted
        if one["wanted"] == "up" and one["state"] == "backing-off"
        if (one["project"], one["team"]) in held
    }
    waiting = {one["id"]: one["after"] for one in wanted if _waits(one)}
    while more := {agent for agent, needed in waiting.items() if (gone | stuck) & set(needed)}:
        stuck |= more
        waiting = {agent: needed for agent, needed in waiting.items() if agent not in more}
    return stuck


def unmade(status: Record) -> set[str]:
    """Name the agents (ids) whose worktrees can't be made unless a person helps."""
    from hive.core.starting import UNMADE, UNPLACED

    said = f"{UNPLACED}{UNMADE}"
    return {one["id"] for one in status["agents"] if str(one["reason"]).startswith(said)}


def _waits(one: Record) -> bool:
    """Whether an agent is to come up and has not been launched yet."""
    return bool(one["wanted"] == "up" and one["state"] == "starting" and not one["pid"])


def _status(enough: float) -> Record:
    """Ask what all agents are, through a restart of the supervisor.

    One that is silent is waited for until `enough`, but gets a moment for each answer.
    """
    last = time.monotonic() + AWAY
    while True:
        left = min(enough, last) - time.monotonic()
        try:
            found: Record = ask_socket(
                str(state().socket), "status", {"names": []}, timeout=max(PATIENCE, left)
            )
        except TimedOut:
            if time.monotonic() > min(enough, last):
                raise
        except NotRunning:
            if time.monotonic() > last:
                raise
            time.sleep(POLL)
        else:
            return found


def _log(ours: State) -> str:
    """Give the last lines of the supervisor's log."""
    try:
        lines = ours.log.read_text(errors="replace").splitlines()[-5:]
    except OSError as error:
        return f"; its log can't be read: {error.strerror}"
    return "; its log ends:" + "".join(f"\n    {line}" for line in lines)
