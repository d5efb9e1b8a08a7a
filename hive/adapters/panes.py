"""What tmux is asked about panes, what it is told to do with them, and how its answers are read.

Every format ends with the only field that may hold any text, so that a bar in it does no harm.
A pane is made and marked in one line of commands: it is never seen, nor lost, half made.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hive.adapters.control import line
from hive.core.spec import Agent
from hive.core.world import Pane, Server

LOOK = (
    "#{pane_id}|#{window_id}|#{pane_pid}|#{pane_dead}|#{pane_dead_status}|#{pane_dead_signal}"
    "|#{@hive_launch}|#{@hive_agent}|#{session_name}"
)
MADE = "#{pane_id}|#{window_id}|#{pane_pid}|#{session_name}"
PLACES = "#{session_id}|#{window_id}|#{@hive_order}"
SESSIONS = "#{session_id}|#{@hive_session}|#{session_name}"
WIDTH, HEIGHT = "200", "50"
MARKS = "#{pane_id}|#{pane_pid}|#{@hive}|#{@hive_own}|#{@hive_agent}|#{session_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One window to open: `argv` is run in it. With `pane`, that dead pane of ours is reused."""

    spec: Agent
    launch: str
    argv: tuple[str, ...] = field(repr=False)
    pane: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A window was opened, on this server."""

    pane: Pane
    server: Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A window was not opened."""

    why: str


class Session(NamedTuple):
    """A tmux session; `instance` is the hive that made it, "" for anybody else's."""

    id: str
    instance: str
    name: str


class Mark(NamedTuple):
    """A pane that bears some hive's mark; `agent` is "" for the pane hive keeps for itself."""

    instance: str
    agent: str
    pane: str
    pid: int
    session: str


class Place(NamedTuple):
    """Where an agent's window stands in its session."""

    session: str
    window: str
    order: int


def panes(lines: Iterable[str]) -> tuple[Pane, ...]:
    """Read `LOOK`; a window linked into several sessions is one."""
    found = {pane.id: pane for pane in map(_pane, reversed(list(lines)))}
    return tuple(reversed(found.values()))


def _pane(text: str) -> Pane:
    pane, window, pid, dead, status, death, launch, agent, session = text.split("|", 8)
    return Pane(
        id=pane,
        window=window,
        session=session,
        agent=agent,
        launch=launch,
        pid=int(pid),
        dead=dead == "1",
        code=_code(status, death),
    )


def _code(status: str, death: str) -> int | None:
    """Give the exit code, or None: tmux before 3.3 knows no signals, and some lose a SIGCHLD."""
    if status:
        return int(status)
    if death:
        return -int(death) if death.isdigit() else -signal.Signals[f"SIG{death.upper()}"]
    return None


def sessions(lines: Iterable[str]) -> list[Session]:
    """Read `SESSIONS`."""
    return [Session(*text.split("|", 2)) for text in lines]


def places(lines: Iterable[str]) -> list[Place]:
    """Read `PLACES`."""
    rows = (text.split("|", 2) for text in lines)
    return [Place(session, window, int(order or 0)) for session, window, order in rows]


def marks(lines: Iterable[str]) -> Iterator[Mark]:
    """Read `MARKS`, leaving out what is no hive's."""
    for text in lines:
        pane, pid, instance, own, agent, session = text.split("|", 5)
        if instance or own:
            yield Mark(instance or own, agent, pane, int(pid), session)


def ours(instance: str) -> str:
    """Give the condition that is true for a pane of this hive."""
    return f"#{{==:#{{@hive}},{instance}}}"


def guarded(pane: str, condition: str, commands: Sequence[str]) -> str:
    """Do this to a pane if the condition holds when it is done; tmux does both in one step."""
    return line("if-shell", "-F", "-t", pane, condition, " ; ".join(commands))


def new_session(opening: Opening, instance: str) -> str:
    """Open the first window of a new session, which outlives its clients whatever is configured."""
    spec, own = opening.spec, f"={opening.spec.session}:"
    size = ("-x", WIDTH, "-y", HEIGHT)
    made = line("new-session", "-d", "-s", _literal(spec.session), *size, *_birth(opening))
    kept = line("set-option", "-t", own, "destroy-unattached", "off")
    marked = line("set-option", "-t", own, "@hive_session", instance)
    return " ; ".join([made, kept, marked, *_dress(opening, instance, ("-t", own))])


def new_window(opening: Opening, instance: str, hall: str, place: Sequence[str]) -> str:
    """Open a window in our own session, `hall`, and move it to its place once it is marked.

    There the new window can be the current one, which commands without a target mean, while no
    person's view jumps to it.
    """
    made = line("new-window", "-t", f"{hall}:", *_birth(opening))
    moved = line("move-window", "-d", *place)
    return " ; ".join([made, *_dress(opening, instance), moved])


def respawn(opening: Opening, instance: str) -> str:
    """Run `argv` in a pane of ours in place of what ran there; an empty answer: not ours."""
    pane = ("-t", opening.pane)
    run = line("respawn-pane", "-k", *pane, "-c", _literal(opening.spec.directory), "--", *opening.argv)
    steps = [*_dress(opening, instance, pane), run, line("clear-history", *pane)]
    told = line("display-message", "-p", *pane, MADE)
    return guarded(opening.pane, ours(instance), [*steps, told])


def _birth(opening: Opening) -> list[str]:
    spec = opening.spec
    name, directory = _literal(spec.window), _literal(spec.directory)
    return ["-P", "-F", MADE, "-n", name, "-c", directory, "--", *opening.argv]


def _dress(opening: Opening, instance: str, target: tuple[str, ...] = ()) -> list[str]:
    """Mark a pane, and shield it from what the user's configuration does to panes."""
    options = {
        "@hive": instance,
        "@hive_agent": opening.spec.id,
        "@hive_launch": opening.launch,
        "@hive_order": str(opening.spec.order),
        "remain-on-exit": "on",
        "allow-rename": "off",
    }
    return [
        *(line("set-option", "-p", *target, key, value) for key, value in options.items()),
        line("set-option", "-w", *target, "automatic-rename", "off"),
        rename(opening.spec.window, target),
    ]


def rename(name: str, target: tuple[str, ...]) -> str:
    """Name a window."""
    return line("rename-window", *target, "--", _literal(name))


def beside(places: Iterable[Place], session: str, order: int) -> list[str]:
    """Say where in a session a window of this order goes: before the next one, or at the end."""
    later = [place for place in places if place.session == session and place.order > order]
    if later:
        return ["-b", "-t", min(later, key=lambda place: place.order).window]
    return ["-a", "-t", f"{session}:{{end}}"]


def _literal(text: str) -> str:
    """Keep tmux from expanding formats in a name or a directory."""
    return text.replace("#", "#{l:##}")
