"""This machine: everything `plan` needs to see of it, and everything an action does to it.

One look joins what tmux says with the process table and with what the launches themselves
reported. A pane's root is dead when the process table says so, whatever tmux believes.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hive.adapters import launch, procs
from hive.adapters.deaths import Deaths
from hive.adapters.launch import NOWHERE, Berth
from hive.adapters.panes import Opened, Opening, Refused
from hive.adapters.state import State
from hive.adapters.tmux import Tmux
from hive.core.actions import Stop
from hive.core.belonging import belonging, usage
from hive.core.spec import Agent
from hive.core.trees import Process, Tag
from hive.core.world import Memory, Pane, Seen, Server, Sight, Tree, Unseen, Wanted
from hive.errors import HiveError

SAMPLE = 1.0
"""CPU use is measured between two looks at least this many seconds apart."""

SCREEN = 200
"""How many lines of an agent's screen a certificate keeps."""

YOUNG = 600.0
"""Seconds for which a launch's file stays in any case: a tmux that hangs may still open it."""

_log = logging.getLogger("hive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one look at the machine showed: tmux by socket, processes by agent."""

    sights: Mapping[str, Sight]
    trees: Mapping[str, Tree]
    boot: str

    def dead_launches(self) -> set[str]:
        """Give the launches whose panes are dead."""
        return {
            pane.launch for sight in self.sights.values() for pane in _panes(sight) if pane.dead
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Launching:
    """One agent to launch: its launch id, a dead pane to reuse, the environment to inherit."""

    spec: Agent
    launch: str
    pane: str = ""
    inherit: Mapping[str, str] = field(repr=False)
    berth: Berth = NOWHERE


class Node:
    """The machine hive runs on, as this hive's state directory marks it.

    `never` are the pids that are no agent's whoever their parent is: tmux servers, and hive.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._procs = procs.Procs(state=str(state.root))
        self._known: Mapping[tuple[int, int], Tag] = {}
        self._instance = state.instance
        self._tmux: dict[str, Tmux] = {}
        self._boot = procs.boot()
        self._current: Mapping[str, str] = {}
        self.never: set[int] = set()
        self._looked = Looked(sights={}, trees={}, boot=self._boot)
        self._sample: tuple[float, Mapping[str, Tree]] = (0.0, {})
        self._cores: Mapping[str, float] = {}
        self.deaths = Deaths()

    def look(
        self, wanted: Mapping[str, Wanted], memory: Mapping[str, Memory], now: float
    ) -> Looked:
        """See every tmux server that matters, every process of ours, and watch their roots."""
        sockets = {one.agent.socket for one in wanted.values()}
        sockets |= {one.socket for one in memory.values() if one.launch}
        known = {one.socket: one.server for one in memory.values() if one.live}
        servers = {socket: self._server(socket, known.get(socket)) for socket in sorted(sockets)}
        sights = {socket: server.look() for socket, server in servers.items()}
        processes = self._procs.look()
        sights = {name: self._complete(name, sight, processes) for name, sight in sights.items()}
        self._current = {agent: one.launch for agent, one in memory.items()}
        self.never = {os.getpid(), os.getppid(), *_servers(sights, known, processes)}
        trees = self._trees(processes, sights)
        self._looked = Looked(sights=sights, trees=trees, boot=self._boot)
        self._watch(sights)
        self._measure(now)
        return self._looked

    def scan(self) -> Mapping[str, Tree]:
        """See the agents' processes as they are now, by what the last look saw of tmux."""
        return self._trees(self._procs.look(), self._looked.sights)

    def _trees(
        self, processes: Mapping[int, Process], sights: Mapping[str, Sight]
    ) -> Mapping[str, Tree]:
        found = belonging(
            processes,
            self._procs.tags(),
            roots=_roots(sights),
            current=self._current,
            never=self.never,
            before=self._known,
        )
        self._known = found.known
        return found.trees

    def launch(self, launchings: Sequence[Launching]) -> list[Opened | Refused]:
        """Start each in its window, as one batch a tmux server; answers come in the same order."""
        answers: dict[str, Opened | Refused] = {}
        openings: dict[str, list[Opening]] = {}
        for one in launchings:
            try:
                openings.setdefault(one.spec.socket, []).append(self._opening(one))
            except HiveError as error:
                answers[one.launch] = Refused(why=error.what)
        for socket, batch in openings.items():
            for opening, answer in zip(batch, self._server(socket).open(batch), strict=True):
                answers[opening.launch] = self._opened(answer)
        return [answers[one.launch] for one in launchings]

    def _opened(self, answer: Opened | Refused) -> Opened | Refused:
        """Name the root of a new pane for good, and watch it."""
        if isinstance(answer, Refused):
            return answer
        started = procs.started(answer.pane.pid) or 0
        self.deaths.watch(answer.pane.pid, started)
        return replace(answer, pane=replace(answer.pane, started=started))

    def _opening(self, one: Launching) -> Opening:
        spec = one.spec
        if not self._state.launches.is_dir():  # it was deleted
            self._state.prepare()
        extra = self.tags(spec, one.launch)
        argv = launch.prepare(self._state.launches, one.launch, spec, extra, one.inherit, one.berth)
        return Opening(spec=spec, launch=one.launch, argv=argv, pane=one.pane)

    def tags(self, spec: Agent, launched: str) -> dict[str, str]:
        """Give what marks everything this launch starts."""
        return {
            "HIVE_STATE": str(self._state.root),
            "HIVE_PROJECT": spec.project,
            "HIVE_TEAM": spec.team,
            "HIVE_AGENT": spec.id,
            "HIVE_ROLE": spec.role,
            "HIVE_LAUNCH": launched,
        }

    def ask_to_end(self, stop: Stop) -> None:
        """Type the agent's stop keys, or send its stop signal to its processes."""
        spec, memory = stop.spec, stop.after
        if spec.stop.keys and memory.pane:
            self._server(memory.socket).press(memory.pane, spec.stop.keys)
            return
        number = signal.Signals[f"SIG{spec.stop.signal}"]
        self._signal(stop.targets, number)

    def sweep(self, targets: Iterable[Process], *, force: bool) -> None:
        """End these processes: asked, or made to."""
        self._signal(targets, signal.SIGKILL if force else signal.SIGTERM)

    def _signal(self, targets: Iterable[Process], number: int) -> None:
        """Signal each, and wake it where it is stopped: a stopped process can't act on TERM."""
        for process in targets:
            procs.signal(process.pid, process.started, number)
            if number != signal.SIGKILL:
                procs.signal(process.pid, process.started, signal.SIGCONT)

    def close(self, socket: str, panes: Sequence[Pane]) -> None:
        """Close these panes of ours."""
        self._server(socket).close(panes)

    def last_screen(self, socket: str, pane: Pane | None, lines: int = SCREEN) -> list[str]:
        """Give the pane's last lines; none where there is no pane to read."""
        return self._server(socket).capture(pane.id, lines) if pane else []

    def screens(self, agents: Collection[str]) -> dict[str, list[str]]:
        """Give what the windows of these agents show now."""
        shown: dict[str, list[str]] = {}
        for socket, sight in self._looked.sights.items():
            ids = {pane.id: pane.agent for pane in _panes(sight) if pane.agent in agents}
            for pane, lines in self._server(socket).captures(list(ids)).items():
                shown[ids[pane]] = lines
        return shown

    def rename(self, memory: Memory, window: str) -> None:
        """Give the agent's window another name."""
        self._server(memory.socket).rename(memory.pane, window)

    def foreign(self, agents: Iterable[Agent]) -> list[str]:
        """Name the sessions these agents would need that exist and are not ours."""
        wanted: dict[str, set[str]] = {}
        for agent in agents:
            wanted.setdefault(agent.socket, set()).add(agent.session)
        return [
            name
            for socket, names in sorted(wanted.items())
            for name in self._server(socket).foreign(names)
        ]

    def pane(self, agent: str, launched: str) -> Pane | None:
        """Give the pane of this launch as the last look saw it."""
        for sight in self._looked.sights.values():
            for pane in _panes(sight):
                if pane.agent == agent and pane.launch == launched:
                    return pane
        return None

    def cores(self, agent: str) -> float:
        """How many cores the agent's processes used between the last two samples."""
        return self._cores.get(agent, 0.0)

    def launches(self, memory: Mapping[str, Memory]) -> set[str] | None:
        """Give the launches that run or may be respawned; None where a tmux could not be seen."""
        sights = self._looked.sights.values()
        if any(isinstance(sight, Unseen) for sight in sights):
            return None
        seen = {pane.launch for sight in sights for pane in _panes(sight)}
        return seen | {one.launch for one in memory.values()}

    def tidy(self, launches: Collection[str]) -> None:
        """Drop the files of all launches but these, and the young."""
        last = time.time() - YOUNG
        try:
            files = list(self._state.launches.iterdir())
            young = {file.name.partition(".")[0] for file in files if file.stat().st_mtime > last}
            launch.forget(self._state.launches, young | set(launches))
        except OSError as error:  # a file that stays does no harm
            _log.warning("can't tidy up the launches' files: %s", error)

    def leave(self) -> None:
        """Take back whatever hive keeps for itself on the tmux servers."""
        for server in self._tmux.values():
            try:
                server.leave()
            except HiveError as error:  # the other servers are left all the same
                _log.warning("can't leave tmux: %s", error)

    def release(self) -> None:
        """Look no more, and leave everything as it is."""
        self.deaths.close()
        self._procs.close()

    def _server(self, socket: str, known: Server | None = None) -> Tmux:
        if socket not in self._tmux:
            self._tmux[socket] = Tmux(socket, self._instance, known=known)
        return self._tmux[socket]

    def _complete(self, socket: str, sight: Sight, processes: Mapping[int, Process]) -> Sight:
        """Add to what tmux says what the process table and the launches know."""
        if not isinstance(sight, Seen):
            return sight
        panes = tuple(self._completed(pane, processes) for pane in sight.panes)
        if any(_owed(pane) for pane in panes):
            codes = self._remind(socket, sight.server)
            panes = tuple(
                replace(pane, code=codes.get((pane.id, pane.pid))) if _owed(pane) else pane
                for pane in panes
            )
        return replace(sight, panes=panes)

    def _completed(self, pane: Pane, processes: Mapping[int, Process]) -> Pane:
        root = processes.get(pane.pid)
        dead = pane.dead or root is None or root.dead
        if not dead and root:
            return replace(pane, started=root.started)
        reported = launch.report(self._state.launches, pane.launch)
        code = pane.code if reported is None else reported
        return replace(pane, dead=True, code=code)

    def _remind(self, socket: str, server: Server) -> dict[tuple[str, int], int | None]:
        """Repeat the SIGCHLD that tmux with utempter lost (tmux/tmux#311), and read the codes."""
        procs.signal(server.pid, server.started, signal.SIGCHLD)
        return {(pane.id, pane.pid): pane.code for pane in _panes(self._server(socket).look())}

    def _watch(self, sights: Mapping[str, Sight]) -> None:
        for sight in sights.values():
            if isinstance(sight, Seen):
                self.deaths.watch(sight.server.pid, sight.server.started)
            for pane in _panes(sight):
                if not pane.dead:
                    self.deaths.watch(pane.pid, pane.started)

    def _measure(self, now: float) -> None:
        then, before = self._sample
        if 0 <= now - then < SAMPLE:
            return
        trees = self._looked.trees
        self._cores = usage(before, trees, now - then) if before and now > then else {}
        self._sample = (now, trees)


def _owed(pane: Pane) -> bool:
    """Whether tmux has yet to say how this pane's root ended."""
    return pane.dead and pane.code is None


def _roots(sights: Mapping[str, Sight]) -> dict[int, Tag]:
    """Give the roots of the panes that live: a dead one's pid may be a stranger's by now."""
    return {
        pane.pid: Tag(agent=pane.agent, launch=pane.launch)
        for sight in sights.values()
        for pane in _panes(sight)
        if not pane.dead
    }


def _servers(
    sights: Mapping[str, Sight],
    known: Mapping[str, Server | None],
    processes: Mapping[int, Process],
) -> set[int]:
    """Give the pids of the tmux servers, also of those that could not be looked at this time."""
    found = {sight.server.pid for sight in sights.values() if isinstance(sight, Seen)}
    for server in known.values():
        process = processes.get(server.pid) if server else None
        if server and process and process.started == server.started:
            found.add(server.pid)
    return found


def _panes(sight: Sight) -> tuple[Pane, ...]:
    return sight.panes if isinstance(sight, Seen) else ()
