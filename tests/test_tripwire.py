"""The tripwire on real processes: what has too much ends, the reason stays, the rest goes on."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from hive import tripwire
from hive.adapters import procs
from hive.adapters.machine import Machine
from hive.adapters.sizes import Sizes
from hive.core.footprint import Rules, Watched
from hive.core.limits import Limits
from hive.core.vitals import Glance
from hive.core.world import Excess, Holding, Tree
from hive.tripwire import Tripwire

M, G = 1 << 20, 1 << 30

SAY = "import os, time; print(os.getpid(), flush=True); input(); "
GROW = "kept = [time.sleep(0.02) or bytearray(b'x') * (4 << 20) for _ in range(60)]; "
STAY = "time.sleep(600)"
HOLD = "kept = bytearray(b'x') * ({size} << 20); " + "{then}" + SAY + STAY
CHILD = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-ISc', {code!r}]); "
COUSINS = "[os.fork() or (time.sleep(600), os._exit(0)) for _ in range({many})]; "
"""Copies of a process, which share all that it held when it made them."""


class Scale:
    """A real machine, but for what a test says is free or how many tasks there are."""

    def __init__(self):
        self.machine = Machine()
        self.available = None
        self.tasks = None

    def glance(self):
        found = self.machine.glance()
        return Glance(
            available=found.available if self.available is None else self.available,
            tasks=found.tasks if self.tasks is None else self.tasks,
        )


class Counted(Sizes):
    """Real sizes, and how often they were measured the costly way."""

    times = 0

    def proportional(self, processes):
        self.times += 1
        return super().proportional(processes)


class Field:
    """A few agents' real processes, watched by a tripwire; an agent's root is its first one."""

    def __init__(self, folder):
        self.folder = folder
        self.scale = Scale()
        self.sizes = Counted()
        self.table = procs.Procs(str(folder))
        self.roots = {}
        self.killed = []
        self.kills = True
        self.scans = 0
        self.now = 1000.0
        self.wire = self.again()

    def again(self):
        return Tripwire(
            self.scale, self.sizes, self.folder, scan=self.scan, kill=self.kill, fall=16 * M
        )

    def scan(self):
        self.scans += 1
        return {agent: Tree(current=self.tree(root.pid)) for agent, root in self.roots.items()}

    def tree(self, root):
        """Give a process and all below it that lives."""
        look = self.table.look()
        found = [look[root]] if root in look else []
        for one in found:
            found += [other for other in look.values() if other.parent == one.pid]
        return tuple(one for one in found if not one.dead)

    def kill(self, agent, processes):
        self.killed.append((agent, processes and [one.pid for one in processes]))
        assert (self.folder / f"{agent}.oom").exists()  # the reason is there before the deed
        if self.kills:
            for one in self.tree(self.roots[agent].pid) if processes is None else processes:
                procs.signal(one.pid, one.started, signal.SIGKILL)

    def watch(self, rules=None, **agents):
        self.wire.watch(
            {
                agent: Watched(
                    launch=agent,
                    root_pid=self.roots[agent].pid,
                    limits=Limits(
                        **{
                            key: one.pop(key)
                            for key in ("memory", "soft", "processes") & one.keys()
                        }
                    ),
                    **one,
                )
                for agent, one in agents.items()
            },
            rules or Rules(),
        )

    def check(self, after=2.0):
        """Make a look as at a pulse, so many seconds after the last."""
        self.now += after
        self.wire.check(self.scan(), self.now)
        return self.killed

    def step(self, after=0.1):
        self.now += after
        return self.wire.step(self.now)

    def dead(self, agent):
        return not self.tree(self.roots[agent].pid)

    def close(self):
        for root in self.roots.values():
            for one in self.tree(root.pid):
                procs.signal(one.pid, one.started, signal.SIGKILL)
        self.table.close()
        self.scale.machine.close()


@pytest.fixture
def field(tmp_path):
    one = Field(tmp_path)
    yield one
    one.close()


@pytest.fixture
def start(field):
    """Give a function that starts an agent, once it has said that all is as it is to be."""
    with ExitStack() as stack:

        def started(agent, code):
            child = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-ISc", code],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(lambda: [one.kill() for one in [child] if one.poll() is None])
            stack.callback(lambda: end_below(field, child.pid))
            field.roots[agent] = child
            assert child.stdout.readline()
            return child

        yield started


def end_below(field, pid):
    for one in field.tree(pid):
        procs.signal(one.pid, one.started, signal.SIGKILL)


def holds(megabytes, then=""):
    return HOLD.format(size=megabytes, then=then)


def with_child(megabytes, own=0):
    """Give the code of a root whose program has a child with so many megabytes."""
    child = f"kept = bytearray(b'x') * ({megabytes} << 20); " + SAY.replace("input(); ", "") + STAY
    program = f"kept = bytearray(b'x') * ({own} << 20); " + CHILD.format(code=child) + STAY
    return "import time; " + CHILD.format(code="import time; " + program) + STAY


def go_on(child):
    child.stdin.write("\n")
    child.stdin.flush()


def test_who_stays_inside_is_left_alone(field, start):
    start("ada", holds(20))
    field.watch(ada={"memory": 200 * M, "soft": 160 * M})

    assert field.check() == []
    assert 20 * M < field.wire.footprints["ada"].total < 200 * M
    assert field.wire.footprints["ada"].processes == 1
    assert field.wire.notices() == []
    assert field.wire.excesses == {}
    assert list(field.folder.iterdir()) == []


def test_who_has_too_much_ends_and_the_reason_stays(field, start, eventually):
    child = start("ada", holds(60))
    before = time.time()
    field.watch(ada={"memory": 40 * M})

    assert field.check() == [("ada", None)]
    assert child.wait(60) == -signal.SIGKILL
    found = field.wire.excesses["ada"]
    assert (found.agent, found.launch, found.kind, found.whole) == ("ada", "ada", "memory", True)
    assert found.seen > 60 * M
    assert found.limit == 40 * M
    assert found.why.startswith("out of memory: it used ")
    assert found.why.endswith("M of 40.0M")
    assert found.largest[0].pid == child.pid
    assert before <= found.at <= time.time()
    assert field.again().excesses == {"ada": found}


def test_growth_is_seen_by_steps_and_pulses(field, start, eventually):
    child = start("ada", SAY + GROW + STAY)
    field.watch(ada={"memory": 64 * M})
    field.check()
    go_on(child)

    turns = itertools.count(1)

    def turn():
        field.step()
        if next(turns) % 20 == 0 and not field.killed:
            field.check()
        return field.killed

    eventually(turn)
    assert field.killed == [("ada", None)]
    assert child.wait(60) == -signal.SIGKILL


def test_a_glance_alone_looks_at_no_processes(field, start):
    start("ada", holds(1))
    field.scale.available = 4 * G
    field.scale.tasks = 100
    field.watch(ada={"memory": G})
    field.check()
    scans = field.scans

    assert field.step() == tripwire.STEP
    field.scale.available -= 15 * M
    field.scale.tasks += 150
    field.step()
    assert field.scans == scans


@pytest.mark.parametrize(
    ("available", "tasks", "kernel", "looks"),
    [
        pytest.param(-17 * M, 0, False, True, id="memory went"),
        pytest.param(-17 * M, 0, True, False, id="memory went, and the kernel holds it"),
        pytest.param(+90 * M, 0, False, False, id="memory came back"),
        pytest.param(0, 201, False, True, id="many tasks came"),
        pytest.param(0, 201, True, True, id="many tasks came, whom the kernel does not count"),
        pytest.param(0, -900, False, False, id="many tasks ended"),
    ],
)
def test_a_great_change_has_the_processes_looked_at(field, start, available, tasks, kernel, looks):
    start("ada", holds(1))
    field.scale.available = 4 * G
    field.scale.tasks = 1000
    field.watch(ada={"memory": G, "kernel": kernel})
    field.check()
    scans = field.scans
    field.scale.available += available
    field.scale.tasks += tasks
    field.step()
    field.step()

    assert field.scans == scans + looks


def test_a_fall_is_counted_from_the_best_since_the_last_look(field, start):
    start("ada", holds(1))
    field.scale.available = 4 * G
    field.watch(ada={"memory": G})
    field.check()
    scans = field.scans
    field.scale.available += 50 * M
    field.step()
    field.scale.available -= 20 * M
    field.step()

    assert field.scans == scans + 1


def test_for_a_moment_after_a_fall_who_is_near_its_limit_is_looked_at_at_every_step(field, start):
    start("ada", holds(20))
    field.scale.available = 4 * G
    field.watch(ada={"memory": 60 * M})
    field.check()
    scans = field.scans
    field.scale.available -= 17 * M
    for _ in range(3):
        field.step()
    assert field.scans == scans + 3

    field.now += tripwire.FAST
    field.step()
    assert field.scans == scans + 3


def test_the_largest_child_ends_first_and_the_agent_goes_on(field, start):
    root = start("ada", with_child(80, own=8))
    field.watch(ada={"memory": 90 * M})
    (program,) = [one for one in field.tree(root.pid) if one.parent == root.pid]
    (child,) = [one for one in field.tree(root.pid) if one.parent == program.pid]

    assert field.check() == [("ada", [child.pid])]
    found = field.wire.excesses["ada"]
    assert not found.whole
    assert found.largest[0].pid == child.pid
    (notice,) = field.wire.notices()
    assert notice[0] == "ada"
    assert notice[1].startswith(f"killed {child.name} ({child.pid}, ")
    assert notice[1].endswith(found.why)
    assert field.wire.notices() == []
    assert field.check() == [("ada", [child.pid])]
    assert procs.alive(program.pid, program.started)


def test_what_was_killed_does_not_count_until_it_should_be_gone(field, start):
    start("ada", holds(60))
    field.kills = False  # as if it took long to end
    field.watch(ada={"memory": 40 * M, "soft": 30 * M})
    field.check()
    field.check(after=tripwire.DYING - 0.1)
    assert field.killed == [("ada", None)]
    assert field.wire.footprints["ada"].processes == 0

    field.check(after=0.2)
    assert field.killed == [("ada", None)] * 2
    assert field.wire.notices() == []  # who is ended is not warned as well


def test_nobody_is_killed_who_has_ended_since_the_look(field, start):
    child = start("ada", holds(60))
    field.watch(ada={"memory": 40 * M})
    trees = field.scan()
    child.kill()
    child.wait()
    field.wire.check(trees, field.now)

    assert field.killed == []


def test_memory_that_copies_share_is_no_excess_and_is_not_measured_at_every_look(field, start):
    start("ada", holds(40, then="import os, time; " + COUSINS.format(many=4)))
    field.watch(ada={"memory": 140 * M})

    assert field.check() == []
    held = field.wire.footprints["ada"]
    assert held.processes == 5
    assert sum(held.sizes[one.pid] for one in held.tree) < 140 * M  # once measured
    assert field.sizes.times == 1
    assert field.check() == []
    assert field.wire.footprints["ada"].total < 140 * M
    assert field.sizes.times == 1
    field.check(after=tripwire.TRUSTED)
    assert field.sizes.times == 2


def test_too_many_processes_end_all(field, start, eventually):
    child = start("ada", "import os, time; " + COUSINS.format(many=120) + SAY + STAY)
    start("bob", holds(1))
    field.watch(ada={"processes": 50}, bob={"processes": 50})

    assert field.check() == [("ada", None)]
    found = field.wire.excesses["ada"]
    assert (found.kind, found.seen, found.limit, found.whole) == ("processes", 121, 50, True)
    assert found.why == "too many processes: 121, it may have 50"
    assert child.wait(60) == -signal.SIGKILL
    assert not field.dead("bob")


def test_a_bomb_between_two_pulses_is_seen(field, start):
    child = start("ada", SAY + COUSINS.format(many=120) + "print(flush=True); " + STAY)
    field.scale.tasks = 300
    field.watch(ada={"processes": 50})
    field.check()
    go_on(child)
    assert child.stdout.readline()
    field.scale.tasks = 501  # those of 120 real ones may be hidden by what ends elsewhere

    field.step()
    assert field.killed == [("ada", None)]
    assert child.wait(60) == -signal.SIGKILL


def test_of_all_together_the_one_with_most_ends(field, start):
    start("ada", holds(30))
    big = start("bob", holds(80))
    field.watch(Rules(total=100 * M), ada={}, bob={})

    assert field.check() == [("bob", None)]
    found = field.wire.excesses["bob"]
    assert found.why.startswith("out of memory: all agents together used ")
    assert found.limit == 100 * M
    assert big.wait(60) == -signal.SIGKILL
    assert field.check() == [("bob", None)]


def test_when_the_machine_is_short_one_ends_then_it_is_looked_again(field, start):
    small, big = start("ada", holds(40)), start("bob", holds(80))
    field.watch(Rules(reserve=G), ada={}, bob={})
    field.check()
    field.scale.available = 300 * M

    field.step()
    assert field.killed == [("bob", None)]
    why = field.wire.excesses["bob"].why
    assert why.startswith("out of memory: the machine had only 300M left; it used most: ")
    big.wait(60)
    field.step()  # the memory that is free by now may not show yet
    assert field.killed == [("bob", None)]

    field.step(after=tripwire.AFTER_KILL)
    assert field.killed == [("bob", None), ("ada", None)]
    small.wait(60)


def test_while_one_dies_for_the_machine_no_other_does(field, start):
    start("ada", holds(40))
    start("bob", holds(80))
    field.kills = False  # as if it took long to end
    field.scale.available = 300 * M
    field.watch(Rules(reserve=G), ada={}, bob={})
    field.check()
    field.check(after=tripwire.AFTER_KILL - 0.1)
    field.check(after=tripwire.AFTER_KILL)
    assert field.killed == [("bob", None)]

    field.check(after=tripwire.DYING)
    assert field.killed == [("bob", None)] * 2


def test_nobody_ends_for_the_machine_who_would_give_back_next_to_nothing(field, start):
    start("ada", holds(1))
    field.scale.available = 300 * M
    field.watch(Rules(reserve=G), ada={})
    scans = field.scans

    for _ in range(5):
        field.step()
    assert field.killed == []
    assert field.scans == scans + 1  # and it is not looked for at every step


def test_the_soft_limit_is_told_once(field, start):
    start("ada", holds(60))
    field.watch(ada={"memory": 200 * M, "soft": 50 * M})
    field.check()
    field.check()

    ((agent, text),) = field.wire.notices()
    assert agent == "ada"
    assert text.endswith("of 200M: its soft limit is 50.0M")
    field.check()
    assert field.wire.notices() == []
    assert field.killed == []


def test_where_nothing_can_be_written_down_it_ends_all_the_same(field, start):
    child = start("ada", holds(60))
    field.watch(ada={"memory": 40 * M})
    (field.folder / "ada.oom").mkdir()

    field.check()
    assert child.wait(60) == -signal.SIGKILL
    ((agent, text),) = field.wire.notices()
    assert agent == "ada"
    assert text.startswith("can't write down why it was killed: Is a directory (out of memory: ")
    assert field.wire.excesses["ada"].whole


def excess(agent="ada", launch="ada", at=1.0):
    return Excess(
        agent=agent,
        launch=launch,
        at=at,
        kind="memory",
        why="out of memory: it used 531M of 512M",
        seen=531 * M,
        limit=512 * M,
        whole=True,
        largest=(Holding(pid=7, name="nöde", bytes=400 * M),),
    )


def test_what_another_ended_is_remembered_too_and_the_latest_counts(field):
    field.wire.remember(excess(at=1.0, launch="1"))
    field.wire.remember(excess(at=3.0, launch="3"))
    field.wire.remember(excess(at=2.0, launch="2"))
    field.wire.remember(excess("bob", launch="4"))

    assert field.again().excesses == {"ada": excess(at=3.0, launch="3"), "bob": excess("bob", "4")}


def test_the_excesses_of_launches_that_are_over_are_forgotten(field):
    field.wire.remember(excess(launch="1"))
    field.wire.remember(excess("bob", launch="2"))
    field.wire.keep({"2", "3"})

    assert field.wire.excesses == {"bob": excess("bob", "2")}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"largest": [{}]}', '{"largest": []}'])
def test_a_damaged_file_is_nobodys_reason(field, text):
    (field.folder / "1.oom").write_text(text)
    field.wire.remember(excess(launch="2"))

    assert field.again().excesses == {"ada": excess(launch="2")}


def test_what_is_written_down_is_json(field):
    field.wire.remember(excess())

    assert json.loads((field.folder / "ada.oom").read_bytes())["largest"][0]["name"] == "nöde"
    assert [one.name for one in field.folder.iterdir()] == ["ada.oom"]
