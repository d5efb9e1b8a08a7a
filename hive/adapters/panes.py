"""What tmux is asked about panes, what it is told to do with them, and how its answers are read.

Every format ends with the only field that may hold any text, so that a bar in it does no harm.
A pane is made and marked in one line of commands: it is never seen, nor lost, half made.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hive.adapters.control import Reply, line
from hive.core.spec import Agent
from hive.core.world import Pane, Server

LOOK = (
    "#{pane_id}|#{window_id}|#{pane_pid}|#{pane_dead}|#{pane_dead_status}|#{pane_dead_signal}"
    "|#{@hive_launch}|#{@hive_agent}|#{session_name}"
)
MADE = "#{pane_id}|#{window_id}|#{pane_pid}|#{session_id}|#{session_name}"
PLACES = "#{session_id}|#{window_id}|#{@hive_order}"
SESSIONS = "#{session_id}|#{@hive_session}|#{session_name}"
MARKS = "#{pane_id}|#{pane_pid}|#{@hive}|#{@hive_own}|#{@hive_agent}|#{session_name}"
WIDTH, HEIGHT = "200", "50"

HALL = "_hive-"
"""How the session is named that hive keeps for itself for a moment, before the instance."""

_KEY = re.compile(
    r"(?:[CMS]-|\^)*(?:[!-~]|B?Tab|Enter|Escape|Space|BSpace|Up|Down|Left|Right|Home|End|Insert"
    r"|Delete|IC|DC|NPage|PPage|PageUp|PageDown|PgUp|PgDn|F[1-9]|F1[0-2])"
)


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


_MADE = re.compile(r"%\d+\|@\d+\|\d+\|\$\d+\|")


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
    there = ("-t", own)
    return " ; ".join(
        [made, kept, marked, *_dress(opening, instance, there), *_name(opening, there)]
    )


def new_hall(instance: str) -> str:
    """Make a session of hive's own, in which windows are made before they are moved.

    There a new window can be the current one, which commands without a target mean, while no
    person's view jumps to it.
    """
    own = f"={HALL}{instance}"
    made = line("new-session", "-d", "-s", own[1:], "-x", WIDTH, "-y", HEIGHT, "--", "cat", "-")
    options = {"destroy-unattached": "off", "@hive_session": instance}
    kept = [line("set-option", "-t", f"{own}:", *option) for option in options.items()]
    return " ; ".join(
        [made, *kept, line("set-option", "-p", "-t", f"{own}:", "@hive_own", instance)]
    )


def leave_hall(instance: str) -> str:
    """End the hall, where there is one."""
    own = f"={HALL}{instance}:"
    ours = f"#{{&&:#{{==:#{{session_name}},{own[1:-1]}}},#{{==:#{{@hive_session}},{instance}}}}}"
    return guarded(own, ours, [line("kill-session", "-t", own)])


def new_window(opening: Opening, instance: str, place: Sequence[str]) -> str:
    """Open a window in the hall, and move it to its place once it is marked."""
    made = line("new-window", "-t", f"={HALL}{instance}:", *_birth(opening))
    moved = line("move-window", "-d", *place)
    return " ; ".join([made, *_dress(opening, instance), *_name(opening), moved])


def respawn(opening: Opening, instance: str) -> str:
    """Run `argv` in a pane of ours in place of what ran there; an empty answer: not ours.

    Its window is left as it is: a person may have joined the pane to one of their own.
    """
    pane = ("-t", opening.pane)
    run = line(
        "respawn-pane", "-k", *pane, "-c", _literal(opening.spec.directory), "--", *opening.argv
    )
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
    return [line("set-option", "-p", *target, key, value) for key, value in options.items()]


def _name(opening: Opening, target: tuple[str, ...] = ()) -> list[str]:
    """Name a window that is ours alone, and have it stay so."""
    fixed = line("set-option", "-w", *target, "automatic-rename", "off")
    return [fixed, rename(opening.spec.window, target)]


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
    """Keep tmux from expanding formats in a name or a directory. It takes `#[` as it is."""
    return re.sub(r"(#+)(\[?)", lambda found: found[0] if found[2] else found[1] * 2, text)


def close(pane: Pane, instance: str) -> str:
    """Close a pane of ours in which nothing newer was launched."""
    same = f"#{{==:#{{@hive_launch}},{pane.launch}}}"
    return guarded(pane.id, f"#{{&&:{ours(instance)},{same}}}", [line("kill-pane", "-t", pane.id)])


def press(pane: str, keys: Sequence[str], instance: str) -> str:
    """Type keys into a pane of ours; in copy mode they would go to the copy mode."""
    typed = [
        line("send-keys", *([] if _KEY.fullmatch(key) else ["-l"]), "-t", pane, "--", key)
        for key in keys
        if key
    ]
    return guarded(pane, ours(instance), [line("copy-mode", "-q", "-t", pane), *typed])


class Batch:
    """Some openings, the commands that do them, and what became of each.

    `listed` answers `SESSIONS` and `PLACES`, and is empty where there is no server.
    """

    def __init__(self, openings: Sequence[Opening], instance: str, listed: Sequence[Reply]) -> None:
        self._openings = sorted(openings, key=lambda one: one.spec.order)
        self._instance = instance
        self._sessions = {one.name: one for one in sessions(listed[0].lines if listed else [])}
        self._places = places(listed[1].lines if listed else [])
        self._made: dict[str, Pane] = {}
        self._refused = {one.launch: why for one in openings if (why := self._refusal(one))}

    def _refusal(self, opening: Opening) -> str:
        """Say why the opening must not even be tried, or ""."""
        name = opening.spec.session
        if not name.isprintable() or set(name) & set(':."\\$') or name[:1] in {*"@%=", ""}:
            return f"tmux can't have a session named {name!r}"
        there = self._sessions.get(name)
        if not opening.pane and there and there.instance != self._instance:
            return f"session `{name}` exists and is not hive's"
        return ""

    def waiting(self) -> list[Opening]:
        """Give the openings of which it is not yet known what became of them."""
        done = self._made.keys() | self._refused.keys()
        return [one for one in self._openings if one.launch not in done]

    def first(self) -> list[tuple[Opening, str]]:
        """Give the commands that make the missing sessions, each with its first window."""
        missing: dict[str, Opening] = {}
        for one in self.waiting():
            if not one.pane and one.spec.session not in self._sessions:
                missing.setdefault(one.spec.session, one)
        return [(one, new_session(one, self._instance)) for one in missing.values()]

    def second(self) -> list[tuple[Opening, str]]:
        """Give the commands for all other windows, now that their sessions are known."""
        todo: list[tuple[Opening, str]] = []
        for one in self.waiting():
            session = self._sessions.get(one.spec.session)
            if one.pane:
                todo.append((one, respawn(one, self._instance)))
            elif session:
                place = beside(self._places, session.id, one.spec.order)
                todo.append((one, new_window(one, self._instance, place)))
            else:
                self._refused[one.launch] = f"session `{one.spec.session}` could not be made"
        return todo

    def hall(self) -> tuple[list[str], list[str]]:
        """Give the commands before and after the second ones: new windows need the hall."""
        if all(one.pane for one in self.waiting()):
            return [], []
        there = f"{HALL}{self._instance}" in self._sessions
        return [] if there else [new_hall(self._instance)], [leave_hall(self._instance)]

    def note(self, todo: Iterable[tuple[Opening, str]], replies: Iterable[Reply]) -> list[str]:
        """Take in what became of these; give the commands that undo what was done by halves."""
        undo: list[str] = []
        for (one, _), reply in zip(todo, replies, strict=True):
            made = next((text for text in reply.lines if _MADE.match(text)), "")
            if made and reply.ok:
                self._note(one, made)
            else:
                gone = f"pane `{one.pane}` is not hive's any more"
                self._refused[one.launch] = gone if reply.ok else reply.why
                undo += [_undo(made)] if made else []
        return undo

    def _note(self, opening: Opening, made: str) -> None:
        pane = _pane_made(opening, made)
        self._made[opening.launch] = pane
        if pane.session not in self._sessions:
            self._sessions[pane.session] = Session(made.split("|")[3], self._instance, pane.session)

    def made(self, opening: Opening) -> Pane | None:
        """Give the opening's pane, where it was made."""
        return self._made.get(opening.launch)

    def refusal(self, opening: Opening) -> Refused:
        """Say why an opening has no pane."""
        return Refused(why=self._refused.get(opening.launch, "tmux did not say"))


def _undo(made: str) -> str:
    """Close the very pane that was made and could not be marked."""
    pane, _, pid, *_ = made.split("|", 4)
    return guarded(pane, f"#{{==:#{{pane_pid}},{pid}}}", [line("kill-pane", "-t", pane)])


def _pane_made(opening: Opening, made: str) -> Pane:
    """Read `MADE`; a new window says it is still in hive's own session."""
    pane, window, pid, _, session = made.split("|", 4)
    return Pane(
        id=pane,
        window=window,
        session=session if opening.pane else opening.spec.session,
        agent=opening.spec.id,
        launch=opening.launch,
        pid=int(pid),
    )
