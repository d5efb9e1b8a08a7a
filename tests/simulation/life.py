"""Hours in the life of a hive: a storm of faults and wishes, then calm, then all is looked at."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from hive.core.admission import waiting
from hive.core.diff import apply, compare
from hive.core.limits import Limits
from hive.core.spec import Agent, Probe, Restart, Stop
from hive.core.world import Memory, State, TeamMemory, Wanted
from tests.simulation.keeping import Killed, Store, Supervisor
from tests.simulation.machine import NEVER, Broken, Machine, Program, Window
from tests.simulation.room import MIB, Space

HOUR = 3600.0
PULSE = 2.0
PROBE = Probe(kind="tcp", target="localhost:1")


def agent(
    team: str, name: str, socket: str = "", *, program: str = "program", **more: object
) -> Agent:
    return Agent(
        project="p",
        team=team,
        name=name,
        role=name,
        session=f"p-{team}",
        window=name,
        argv=(program, "1"),
        directory="/",
        socket=socket,
        stop=Stop(grace=5.0),
        **more,  # type: ignore[arg-type]  # a table of keywords
    )


FILE = [
    agent("a", "server", alive=PROBE, ready=PROBE),
    agent("a", "pm", after=("p/a/server",), limits=Limits(max_age=1800), priority="high"),
    agent("a", "dev", ready=PROBE, after=("p/a/pm",), restart=Restart(attempts=3, delay=10)),
    agent(
        "b",
        "task",
        "other",
        restart=Restart(policy="on-failure", attempts=20, longest=5),
        limits=Limits(memory=300 * MIB, max_age=900),
        program="big",
    ),
    agent("b", "loop", "other", alive=PROBE, restart=Restart(attempts=50, longest=1)),
    agent("b", "once", "other", restart=Restart(policy="never")),
    agent("c", "slow", restart=Restart(window=60, healthy_after=300), priority="low"),
]


class Life:
    """One seed's story."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.log: deque[str] = deque(maxlen=60)
        self.machine = Machine(self.chance)
        self.store = Store()
        self.space = Space()
        self.keeper = Supervisor(self.machine, self.space, self.store, self.log)
        self.file = list(FILE)
        self.up_at = 0.0
        self.due = 0.0
        self.restless_until = 0.0
        self.machine.programs = {one.id: Program() for one in FILE}
        for socket in ("", "other"):
            self.machine.open_by_hand(socket)
        self.deploy()

    def run(self, hours: float) -> None:
        """Live so many hours; raises Broken when a promise is."""
        end = self.machine.time + hours * HOUR
        while self.machine.time < end:
            self.storm(self.chance.uniform(600, 1.5 * HOUR))
            self.calm()

    # time

    def storm(self, seconds: float) -> None:
        machine = self.machine
        end = machine.time + seconds
        often = self.chance.choice([5.0, 60.0, 300.0, 900.0])
        while machine.time < end:
            burst = self.chance.random() < 0.4  # what goes wrong likes company
            gap = self.chance.uniform(0, 3) if burst else self.chance.expovariate(1 / often)
            self.live(machine.time + gap)
            fault = self.chance.choice(FAULTS)
            self.log.append(f"{machine.time:.2f} -- {fault.__name__}")
            fault(self)
            self.machine.changed = True
            self.check()

    def calm(self) -> None:
        """Nothing goes wrong any more: everything must come to rest as it is wanted."""
        self.log.append(f"{self.machine.time:.2f} -- calm")
        for one in FILE:
            self.machine.programs[one.id] = Program(ready_after=3.0 if one.ready else 0.0)
        for tmux in self.machine.servers.values():
            tmux.hidden_until = 0.0
        self.up_at = 0.0
        self.machine.changed = True
        self.space.frees()
        if self.chance.random() < 0.3:
            self.crowd()
        self.until(self.settled, 2 * HOUR)
        if self.chance.random() < 0.5:
            self.start(list(self.store.wanted))
            self.until(self.settled, 120)
        if self.chance.random() < 0.5:
            self.end()

    def crowd(self) -> None:
        """There is room for some only: so many run, and the others wait."""
        self.space.ceiling = self.chance.randrange(1, len(FILE))
        self.until(self.settled, 2 * HOUR)
        if self.chance.random() < 0.3:
            self.end()
        self.space.frees()

    def end(self) -> None:
        """All are wanted down: nothing may be left."""
        self.stop(list(self.store.wanted))
        if self.chance.random() < 0.3:
            self.deploy([])
        self.until(lambda: not self.left(), 60)
        self.live(self.machine.time + 120)
        if self.left():
            raise Broken(f"something came back: {self.left()}")
        self.file = list(FILE)
        self.deploy()
        self.until(self.settled, 120)

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = self.machine.time + seconds
        while not condition():
            if self.machine.time >= end:
                raise Broken(f"not within {seconds} s: {self.restless()} {self.left()}")
            self.live(min(end, self.machine.time + 2.0))

    def live(self, until: float) -> None:
        """Let time pass, and the supervisor tick when it is woken or due."""
        machine = self.machine
        while machine.time < until:
            if machine.changed:
                self.restless_until = machine.time + 10
                self.due = min(self.due, machine.time + 0.01)
                machine.changed = False
            tick = max(self.due, self.up_at)
            machine.advance(min(until, tick, machine.next_event()))
            self.check()
            if machine.time >= tick:
                self.tick()

    def tick(self) -> None:
        machine = self.machine
        try:
            busy, wait = self.keeper.tick()
        except Killed:
            self.log.append(f"{machine.time:.2f} -- supervisor killed")
            self.keeper.forget_questions()
            self.up_at = machine.time + self.chance.uniform(0.1, 10)
            self.due = self.up_at
            return
        rests = machine.time > self.restless_until and not self.restless()
        pulse = machine.time + (60 * PULSE if rests else PULSE)
        self.due = machine.time + 0.05 if busy else min(pulse, wait or pulse)
        self.due = max(self.due, machine.time + 0.01)
        machine.changed = machine.changed and not busy
        self.check()

    # what must be so

    def check(self) -> None:
        """Never two launches of one agent at once, but for what a person respawned."""
        launches: dict[str, set[str]] = {}
        for window in self.machine.windows():
            if self.machine.root(window) and not window.by_hand:
                launches.setdefault(window.agent, set()).add(window.launch)
        for name, found in launches.items():
            if len(found) > 1:
                raise Broken(f"{name} runs twice: {found}")

    def settled(self) -> bool:
        self.persist()
        return not self.restless()

    def persist(self) -> None:
        """A person lets held teams go."""
        held = [team for team, one in self.store.teams.items() if one.held]
        if held:
            self.start([name for name in self.store.wanted if name.rpartition("/")[0] in held])

    def restless(self) -> list[str]:
        """Name the agents that are not yet as they are wanted."""
        return [
            f"{name}: {self.memory(name).state} ({self.memory(name).reason})"
            for name, wanted in self.store.wanted.items()
            if not self.rests(name, wanted)
        ]

    def rests(self, name: str, wanted: Wanted) -> bool:
        memory = self.memory(name)
        if wanted.removed:
            return False
        if not wanted.up or memory.reason.startswith("it ended"):
            return memory.state is State.STOPPED and not self.machine.owned(name)
        if waiting(memory):
            return self.full()
        if self.waits(name):
            return memory.state is State.STARTING and "waits for" in memory.reason
        return memory.state is State.READY and len(self.machine.owned(name)) > 0

    def waits(self, name: str) -> bool:
        """Whether it rightly waits for one that is down, and does not run itself."""
        return not self.memory(name).live and any(
            other in self.store.wanted
            and (
                not self.store.wanted[other].up
                or self.memory(other).reason.startswith("it ended")
                or waiting(self.memory(other))
                or self.waits(other)
            )
            for other in self.store.wanted[name].agent.after
        )

    def full(self) -> bool:
        """Whether as many run as may."""
        running = {one.agent for one in self.machine.owned()}
        return self.space.ceiling is not None and len(running) >= self.space.ceiling

    def left(self) -> list[str]:
        """Name what is left of agents: processes, panes, states that are not at rest."""
        found = [f"process {one.pid} of {one.agent}" for one in self.machine.owned()]
        found += [f"pane {window.id} of {window.agent}" for window in self.machine.windows()]
        return found + [
            f"{name} {self.memory(name).state}"
            for name, wanted in self.store.wanted.items()
            if wanted.removed or self.memory(name).state is not State.STOPPED
        ]

    def memory(self, name: str) -> Memory:
        return self.store.memory.get(name, Memory(agent=name))

    # what people want

    def stop(self, names: list[str]) -> None:
        for name in names:
            wanted = self.store.wanted[name]
            self.store.wanted[name] = replace(wanted, up=False, why="stopped by `hive stop`")
        self.machine.changed = True

    def start(self, names: list[str]) -> None:
        for name in names:
            wanted, memory = self.store.wanted[name], self.memory(name)
            if wanted.removed or (memory.live and wanted.up and not memory.deadline):
                continue
            self.again(name)
        self.let_go(names)

    def again(self, name: str) -> None:
        one = self.store.wanted[name]
        self.store.wanted[name] = replace(
            one, up=True, generation=one.generation + 1, why="started by `hive start`"
        )

    def let_go(self, names: list[str]) -> None:
        for team in {name.rpartition("/")[0] for name in names}:
            self.store.teams[team] = TeamMemory(team=team)
            self.keeper.counted.pop(team, None)
            self.keeper.unrecorded.pop(team, None)
        self.machine.changed = True

    def deploy(self, agents: list[Agent] | None = None) -> None:
        agents = self.file if agents is None else agents
        changes = compare(self.store.wanted, agents, project="p")
        changed = apply(self.store.wanted, changes, agents)
        self.store.wanted.update(changed)
        self.let_go([name for name in changed if not changed[name].removed])

    def any_agent(self) -> str:
        return self.chance.choice(sorted(self.machine.programs))

    def any_window(self) -> tuple[str, Window] | None:
        found = [
            (socket, window)
            for socket, tmux in sorted(self.machine.servers.items())
            for window in tmux.windows
            if window.agent
        ]
        return self.chance.choice(found) if found else None


# what goes wrong


def crashes(life: Life) -> None:
    mine = life.machine.owned()
    if mine:
        life.machine.kill(life.chance.choice(mine))


def behaves_badly(life: Life) -> None:
    chance = life.chance
    life.machine.programs[life.any_agent()] = Program(
        life=chance.choice([0.2, 5.0, 100.0, NEVER]),
        code=chance.choice([0, 1, 3, -11]),
        ready_after=chance.choice([0.0, 5.0, 60.0]),
        slow=chance.choice([0.0, 1.0, 20.0]),
        deaf=chance.random() < 0.3,
        clings=chance.random() < 0.3,
        leaves=chance.choice([0, 0, 1, 3]),
        late_code=chance.choice([0.0, 0.0, 0.3, NEVER]),
    )


def behaves_well(life: Life) -> None:
    life.machine.programs[life.any_agent()] = Program()


def hangs(life: Life) -> None:
    program = life.machine.programs[life.any_agent()]
    program.hung = not program.hung


def stirs(life: Life) -> None:
    life.space.restless ^= {life.any_agent()}


def worktree_breaks(life: Life) -> None:
    """The place of an agent is not ready any more, or is again."""
    life.space.unready ^= {life.any_agent()}


def room_changes(life: Life) -> None:
    life.space.changes(life.chance)


def room_comes(life: Life) -> None:
    life.space.frees()


def exceeds(life: Life) -> None:
    """An agent takes more than it may have."""
    name = life.any_agent()
    wanted = life.store.wanted.get(name)
    if wanted:
        life.space.exceeds(life.machine, name, wanted.agent.limits.memory)


def window_closed(life: Life) -> None:
    found = life.any_window()
    if not found:
        return
    socket, window = found
    memory = life.memory(window.agent)
    known = memory.live and memory.launch == window.launch and memory.state is not State.STOPPING
    runs = life.machine.root(window) is not None
    life.machine.close_by_hand(socket, window)
    if known and runs and socket in life.machine.servers:
        life.keeper.closed[window.agent] = (window.launch, life.machine.lost)


def window_respawned(life: Life) -> None:
    found = life.any_window()
    if found:
        life.machine.respawn_by_hand(found[1])


def window_moved(life: Life) -> None:
    found = life.any_window()
    if found:
        found[1].session = life.chance.choice(["mine", "p-a", "p-b"])


def window_missed(life: Life) -> None:
    """A look or two do not show a window that is there."""
    found = life.any_window()
    if found and found[1].missed_until + 5 < life.machine.time:
        found[1].missed_until = life.machine.time + 0.8


def server_killed(life: Life) -> None:
    life.machine.kill_server(life.chance.choice(["", "other"]))


def user_opens_a_window(life: Life) -> None:
    socket = life.chance.choice(["", "other"])
    if len(life.machine.procs) < 40:
        life.machine.open_by_hand(socket)


def machine_rebooted(life: Life) -> None:
    if life.chance.random() < 0.3:
        life.machine.reboot()
        life.keeper.forget_questions()
        life.up_at = life.machine.time + life.chance.uniform(1, 60)


def server_hangs(life: Life) -> None:
    for tmux in life.machine.servers.values():
        tmux.hidden_until = life.machine.time + life.chance.choice([1.0, 30.0, 300.0])


def clock_jumps(life: Life) -> None:
    size = life.chance.choice([1.0, 60.0, HOUR, 24 * HOUR])
    life.machine.offset += life.chance.choice([-1, 1]) * size
    life.keeper.counted.clear()
    for window in life.machine.windows():
        window.missed_until = 0.0


def supervisor_killed(life: Life) -> None:
    life.keeper.fuel = life.chance.randrange(6)


def user_stops(life: Life) -> None:
    life.stop(life.chance.sample(sorted(life.store.wanted), min(2, len(life.store.wanted))))


def user_starts(life: Life) -> None:
    life.start(life.chance.sample(sorted(life.store.wanted), min(3, len(life.store.wanted))))


def user_restarts(life: Life) -> None:
    names = [name for name, one in sorted(life.store.wanted.items()) if not one.removed]
    if names:
        life.again(life.chance.choice(names))


def user_deploys(life: Life) -> None:
    """A change of some agents, of some agents' place, or an agent that comes or goes."""
    life.file = [
        replace(
            one,
            argv=("program", str(life.chance.randrange(3))),
            session=life.chance.choice([f"p-{one.team}", "elsewhere"]),
            socket=life.chance.choice([one.socket, one.socket, "", "other"]),
        )
        if life.chance.random() < 0.2
        else one
        for one in life.file
    ]
    present = {one.id for one in life.file}
    life.file += [one for one in FILE if one.id not in present]
    if life.chance.random() < 0.4:
        life.file.remove(life.chance.choice(life.file))
    life.deploy()


FAULTS: list[Callable[[Life], None]] = [
    crashes,
    crashes,
    crashes,
    behaves_badly,
    behaves_badly,
    behaves_well,
    hangs,
    stirs,
    worktree_breaks,
    room_changes,
    room_changes,
    room_comes,
    exceeds,
    exceeds,
    window_closed,
    window_respawned,
    window_moved,
    window_missed,
    server_killed,
    user_opens_a_window,
    machine_rebooted,
    server_hangs,
    clock_jumps,
    supervisor_killed,
    supervisor_killed,
    user_stops,
    user_starts,
    user_starts,
    user_restarts,
    user_deploys,
]
