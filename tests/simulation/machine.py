"""A made-up machine: processes, tmux servers and a clock, where time passes only when told.

It knows who owns what, and refuses to let anything foreign be touched.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from hive.core.admission import program_of
from hive.core.belonging import belonging
from hive.core.spec import Agent
from hive.core.trees import Process, Tag
from hive.core.world import Memory, NoServer, Pane, Seen, Server, Sight, Tree, Unseen

NEVER = float("inf")


class Broken(AssertionError):  # noqa: N818 - it says what happened
    """A promise was broken."""


@dataclass
class Program:
    """How an agent's program behaves, until something makes it behave otherwise."""

    life: float = NEVER
    code: int = 0
    ready_after: float = 0.0
    slow: float = 0.1
    deaf: bool = False
    clings: bool = False
    leaves: int = 0
    hung: bool = False
    late_code: float = 0.0


@dataclass(eq=False)
class Proc:
    pid: int
    parent: int
    started: int
    agent: str = ""
    launch: str = ""
    born: float = 0.0
    dies_at: float = NEVER
    code: int = 0
    slow: float = 0.0
    main: bool = False
    deaf: bool = False
    clings: bool = False
    late_code: float = 0.0
    program: str = "program"


@dataclass(eq=False)
class Window:
    """A tmux window of one pane; without an agent it is the user's own."""

    id: str
    session: str
    agent: str = ""
    launch: str = ""
    pid: int = 0
    started: int = 0
    code: int | None = None
    code_at: float = NEVER
    by_hand: bool = False
    missed_until: float = 0.0
    program: str = "program"


@dataclass(eq=False)
class Tmux:
    server: Server
    windows: list[Window] = field(default_factory=list)
    hidden_until: float = 0.0


class Machine:
    """One machine, from boot to boot."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.time = 1_000_000_000.0
        self.offset = 0.0
        self.boots = 1
        self.lost = 0
        self.changed = True
        self.programs: dict[str, Program] = {}
        self.procs: dict[int, Proc] = {}
        self.servers: dict[str, Tmux] = {}
        self._next_pid = 100
        self._next_start = 1
        self._next_pane = 1

    @property
    def now(self) -> float:
        """What the clock on the wall says."""
        return self.time + self.offset

    def advance(self, until: float) -> None:
        """Let time pass; what is to die dies in its order."""
        while True:
            due = [proc for proc in self.procs.values() if proc.dies_at <= until]
            if not due:
                break
            first = min(due, key=lambda proc: (proc.dies_at, proc.pid))
            self.time = max(self.time, first.dies_at)
            self._die(first, first.code)
        self.time = max(self.time, until)

    def next_event(self) -> float:
        moments = [proc.dies_at for proc in self.procs.values()]
        moments += [tmux.hidden_until for tmux in self.servers.values()]
        return min((at for at in moments if at > self.time), default=NEVER)

    def owned(self, agent: str = "") -> list[Proc]:
        return [one for one in self.procs.values() if one.agent and agent in {"", one.agent}]

    def windows(self, agent: str = "") -> list[Window]:
        found = [window for tmux in self.servers.values() for window in tmux.windows]
        return [window for window in found if window.agent and agent in {"", window.agent}]

    def root(self, window: Window) -> Proc | None:
        """The root process of a pane, if it lives."""
        proc = self.procs.get(window.pid)
        return proc if proc and proc.started == window.started else None

    def works(self, agent: str, launch: str) -> bool | None:
        """What a probe of this launch would find now; None where nothing answers."""
        mine = [one for one in self.owned(agent) if one.launch == launch]
        born = [one.born for one in mine if one.main]
        if not born:
            return None
        program = self.programs[agent]
        age = self.time - max(born)
        return not program.hung and age >= program.ready_after

    # what hive sees

    def sights(self, sockets: set[str]) -> dict[str, Sight]:
        return {socket: self._sight(socket) for socket in sorted(sockets)}

    def trees(self, memory: dict[str, Memory], sights: dict[str, Sight]) -> dict[str, Tree]:
        processes = {one.pid: self._process(one) for one in self.procs.values()}
        seen = [sight for sight in sights.values() if isinstance(sight, Seen)]
        return dict(
            belonging(
                processes,
                {one.pid: Tag(agent=one.agent, launch=one.launch) for one in self.owned()},
                roots={
                    pane.pid: Tag(agent=pane.agent, launch=pane.launch)
                    for sight in seen
                    for pane in sight.panes
                    if not pane.dead
                },
                current={agent: one.launch for agent, one in memory.items()},
                never={sight.server.pid for sight in seen},
            ).trees
        )

    def _sight(self, socket: str) -> Sight:
        tmux = self.servers.get(socket)
        if tmux is None:
            return NoServer()
        if tmux.hidden_until > self.time:
            return Unseen(why="no answer within 2s")
        return Seen(
            server=tmux.server,
            panes=tuple(
                self._pane(window)
                for window in tmux.windows
                if window.agent and window.missed_until <= self.time
            ),
        )

    def _pane(self, window: Window) -> Pane:
        pane = Pane(
            id=window.id,
            window=window.agent,
            session=window.session,
            agent=window.agent,
            launch=window.launch,
            pid=window.pid,
        )
        if self.root(window):
            return replace(pane, started=window.started)
        return replace(pane, dead=True, code=window.code if self.time >= window.code_at else None)

    def _process(self, proc: Proc) -> Process:
        return Process(
            pid=proc.pid,
            parent=proc.parent,
            session=proc.pid,
            started=proc.started,
            state="S",
            cpu=0.0,
            name="program",
        )

    # what hive does

    def start(self, spec: Agent, launch: str, pane: str) -> tuple[Server, Window]:
        """Launch an agent in its own dead pane or a new window, as tmux would."""
        if self.owned(spec.id):
            raise Broken(f"{spec.id} was started beside its own living processes")
        tmux = self._server(spec.socket)
        if tmux.hidden_until > self.time:
            raise Broken(f"{spec.id} was started on a server that does not answer")
        mine = [one for one in tmux.windows if one.id == pane]
        if pane and not mine:
            raise Broken(f"{spec.id} was started in a pane {pane} that does not exist")
        window = mine[0] if mine else Window(id=self._pane_id(), session=spec.session)
        if mine and (window.agent != spec.id or self.root(window)):
            raise Broken(f"{spec.id} was started in a pane that is not its own dead one")
        if not mine:
            tmux.windows.append(window)
        window.agent, window.program = spec.id, program_of(spec.argv)
        self._run(window, launch)
        return tmux.server, window

    def signal(self, agent: str, targets: tuple[Process, ...], *, force: bool) -> None:
        for target in targets:
            proc = self.procs.get(target.pid)
            if proc is None or proc.started != target.started:
                continue
            if proc.agent != agent:
                raise Broken(f"a process of {proc.agent or 'a stranger'} was signalled for {agent}")
            if force:
                self._die(proc, -9)
            elif not proc.deaf and proc.dies_at > self.time + proc.slow:
                proc.dies_at, proc.code = self.time + proc.slow, -15

    def close(self, agent: str, socket: str, pane: str) -> None:
        tmux = self.servers.get(socket)
        for window in [one for one in tmux.windows if one.id == pane] if tmux else []:
            if window.agent != agent or self.root(window):
                raise Broken(f"a pane was closed for {agent} that is not its own dead one")
            self._remove(socket, window)

    # what happens to it

    def kill(self, proc: Proc) -> None:
        self._die(proc, -9)

    def close_by_hand(self, socket: str, window: Window) -> None:
        self._remove(socket, window)

    def respawn_by_hand(self, window: Window) -> None:
        root = self.root(window)
        if root:
            self._die(root, -9)
        self._run(window, window.launch)
        window.by_hand = True

    def open_by_hand(self, socket: str) -> None:
        """The user opens a window of their own, with a program in it."""
        window = Window(id=self._pane_id(), session="mine")
        self._server(socket).windows.append(window)
        proc = self._proc(parent=1)
        window.pid, window.started = proc.pid, proc.started

    def kill_server(self, socket: str) -> None:
        """The server is gone at once, and so is what hangs on its windows."""
        tmux = self.servers.pop(socket, None)
        if tmux is None:
            return
        self.lost += 1
        self.procs.pop(tmux.server.pid, None)
        for window in tmux.windows:
            self._hang_up(window)

    def reboot(self) -> None:
        self.procs.clear()
        self.servers.clear()
        self.boots += 1
        self.lost += 1
        self.changed = True

    def _server(self, socket: str) -> Tmux:
        if socket not in self.servers:
            proc = self._proc(parent=1)
            self.servers[socket] = Tmux(Server(pid=proc.pid, started=proc.started))
        return self.servers[socket]

    def _pane_id(self) -> str:
        self._next_pane += 1
        return f"%{self._next_pane}"

    def _proc(self, parent: int, agent: str = "", launch: str = "") -> Proc:
        while self._next_pid in self.procs:
            self._next_pid += 1
        proc = Proc(self._next_pid, parent, self._next_start, agent, launch, born=self.time)
        self._next_pid = 100 if self._next_pid > 160 else self._next_pid + 1  # pids come again
        self._next_start += 1
        self.procs[proc.pid] = proc
        return proc

    def _run(self, window: Window, launch: str) -> None:
        """Run the agent's program in a pane: the shim, its child, what that leaves behind."""
        agent = window.agent
        program = self.programs[agent]
        root = self._proc(1, agent, launch)
        root.slow, root.clings = 0.05, program.clings
        window.launch, window.pid, window.started = launch, root.pid, root.started
        window.code, window.code_at, window.by_hand = None, NEVER, False
        main = self._proc(root.pid, agent, launch)
        main.main, main.code, main.late_code = True, program.code, program.late_code
        main.program = window.program
        main.deaf, main.slow, main.clings = program.deaf, program.slow, program.clings
        if program.life < NEVER:
            main.dies_at = self.time + self.chance.uniform(0.5, 1.5) * program.life
        for _ in range(program.leaves):
            left = self._proc(root.pid, agent, launch)
            left.clings, left.deaf, left.slow = True, self.chance.random() < 0.3, 0.1
        self.changed = True

    def _die(self, proc: Proc, code: int) -> None:
        """End a process; the shim ends with its program and says how that ended."""
        self._take(proc)
        window = self._window_of(proc)
        if window:
            self._over(window, code, proc)
        parent = self.procs.get(proc.parent)
        if proc.main and parent and parent.agent == proc.agent:
            root_of = self._window_of(parent)
            self._take(parent)
            if root_of:
                self._over(root_of, code, proc)

    def _over(self, window: Window, code: int, proc: Proc) -> None:
        window.code, window.code_at = code, self.time + proc.late_code
        self._hang_up(window)

    def _take(self, proc: Proc) -> None:
        """Take a process off the table; its children are nobody's from now on."""
        self.procs.pop(proc.pid, None)
        for child in self.procs.values():
            if child.parent == proc.pid:
                child.parent = 1
        self.changed = True

    def _window_of(self, root: Proc) -> Window | None:
        for window in self.windows():
            if (window.pid, window.started) == (root.pid, root.started):
                return window
        return None

    def _hang_up(self, window: Window) -> None:
        """The terminal is gone: what hangs on it ends, unless it clings to life."""
        mine = [one for one in self.owned(window.agent) if one.launch == window.launch]
        for proc in mine if window.agent else []:
            if not proc.clings:
                self._take(proc)
        if not window.agent:
            self.procs.pop(window.pid, None)
        self.changed = True

    def _remove(self, socket: str, window: Window) -> None:
        tmux = self.servers[socket]
        tmux.windows.remove(window)
        self._hang_up(window)
        if not tmux.windows:
            self.kill_server(socket)  # tmux exits with its last window
