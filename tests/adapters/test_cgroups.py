"""Real groups of the real kernel where it lets us make some, and plain files where it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hive.adapters import cgroups, hierarchies
from hive.adapters.cgroups import Cgroups
from hive.adapters.groups import GroupUse
from hive.adapters.hierarchies import V1, V2
from hive.core.limits import Limits
from hive.errors import HiveError
from tests.conftest import eventually, group_name

AGENT = "Task/front/dev"
MEGA = 1 << 20
ENTER = 'for door; do [ "$door" = -- ] && break; echo 0 >"$door" || exit 99; shift; done; shift'
BUSY = ("sh", "-c", "while :; do :; done")
SLEEP = ("sleep", "1000")
EAT = "data = bytearray(256 << 20)"
KEEP = "data = bytearray(96 << 20); print(1, flush=True); import time; time.sleep(1000)"
BOMB = """
import os, time
made = 0
try:
    while made < 60 and os.fork():
        made += 1
    if made == 60: print(made, flush=True)
except BlockingIOError:
    print(made, flush=True)
time.sleep(1000)
"""


class Hold:
    """The groups of a hive that exists for one test, and what runs in them."""

    def __init__(self, groups: Cgroups) -> None:
        self.groups = groups
        self._started: list[subprocess.Popen[str]] = []

    def run(self, launch: str, limits: Limits, *argv: str) -> subprocess.Popen[str]:
        """Start a program inside a new group, the way the launcher does."""
        join = self.groups.prepare(AGENT, launch, limits).join
        return self.outside("sh", "-c", f'{ENTER}; exec "$@"', "sh", *join, "--", *argv)

    def outside(self, *argv: str) -> subprocess.Popen[str]:
        """Start a program where the test itself is."""
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._started.append(process)
        return process

    def use(self, launch: str) -> GroupUse:
        found = self.groups.use(AGENT, launch)
        assert found
        return found

    def file(self, controller: str, name: str, launch: str = "") -> str:
        """Give what a file of the kernel says for a launch, or for all."""
        below = cgroups._name(AGENT, launch) if launch else ""
        return Path(self.groups._parents[controller], below, name).read_text().strip()

    def _members(self) -> set[int]:
        files = [file for one in self.groups._unique for file in Path(one).rglob("cgroup.procs")]
        return {int(pid) for file in files for pid in file.read_text().split()}

    def _gone(self) -> bool:
        for pid in self._members():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.groups.leave()
        return self.groups.gone()

    def close(self) -> None:
        """End all that runs, and remove every group."""
        for process in self._started:
            process.kill()
            process.stdout.close()
            process.wait(30)
        eventually(self._gone)


def found(version: hierarchies.Version) -> Cgroups:
    groups, why = cgroups.find(version, group_name())
    if groups is None:
        pytest.skip(f"{version.name}: {why}")
    return groups


@pytest.fixture(params=[V1, V2], ids=["v1", "v2"])
def hold(request: pytest.FixtureRequest) -> Iterator[Hold]:
    one = Hold(found(request.param))
    yield one
    one.close()


@pytest.fixture
def old() -> Iterator[Hold]:
    one = Hold(found(V1))
    yield one
    one.close()


@pytest.fixture
def unified() -> Iterator[Hold]:
    """Give groups in version 2's hierarchy, whichever controllers it has."""
    where = hierarchies.places(*(Path(f"/proc/self/{name}").read_text() for name in PROC))
    bases = hierarchies.bases(V2, where[""]) if "" in where else []
    if not bases:
        pytest.skip("no writable hierarchy of version 2")
    one = Hold(Cgroups(V2, group_name(), {"none": bases[0]}))
    yield one
    one.close()


PROC = ("mountinfo", "cgroup")


def test_cpu_is_held(hold: Hold) -> None:
    busy = hold.run("1", Limits(cpu=0.1), *BUSY)
    eventually(lambda: busy.pid in hold.groups.holds(AGENT, "1"))
    before, began = hold.use("1").cpu, time.monotonic()
    eventually(lambda: hold.use("1").cpu - before > 0.1 and hold.use("1").throttled > 0.5)
    used = hold.use("1").cpu - before
    assert used < 0.1 + 0.25 * (time.monotonic() - began)


def test_memory_is_held_and_the_kill_is_counted(hold: Hold) -> None:
    eater = hold.run("1", Limits(memory=64 * MEGA), sys.executable, "-c", EAT)
    assert eater.wait(60) == -signal.SIGKILL
    eventually(lambda: hold.use("1").oom_kills == 1)
    assert hold.use("1").peak <= 64 * MEGA


def test_the_count_survives_the_supervisor(hold: Hold) -> None:
    hold.run("1", Limits(memory=64 * MEGA), sys.executable, "-c", EAT).wait(60)
    bases = {name: str(Path(one).parent) for name, one in hold.groups._parents.items()}
    instance = Path(hold.groups._unique[0]).name.removeprefix("hive-")
    again = Cgroups(hold.groups._version, instance, bases)
    again.tidy({"1"})
    found = again.use(AGENT, "1")
    assert found and found.oom_kills == 1


def test_use_tells_what_the_end_would_give_back(hold: Hold) -> None:
    keeper = hold.run("1", Limits(), sys.executable, "-c", KEEP)
    assert keeper.stdout.readline()
    assert 96 * MEGA < hold.use("1").memory < 400 * MEGA
    assert hold.use("1").oom_kills == 0
    assert hold.groups.use(AGENT, "2") is None
    assert hold.groups.holds(AGENT, "2") == frozenset()


def test_what_does_not_fit_is_refused_by_version_1(old: Hold) -> None:
    keeper = old.run("1", Limits(memory=512 * MEGA), sys.executable, "-c", KEEP)
    assert keeper.stdout.readline()
    with pytest.raises(HiveError, match=r"it uses .* can't hold it to 32\.0M") as caught:
        old.groups.set(AGENT, "1", Limits(memory=32 * MEGA))
    assert caught.value.where == AGENT
    assert keeper.poll() is None
    old.groups.set(AGENT, "1", Limits(memory=256 * MEGA))
    assert old.file("memory", "memory.limit_in_bytes", "1") == str(256 * MEGA)


def test_limits_change_while_it_runs(old: Hold) -> None:
    old.run("1", Limits(cpu=0.5, memory=64 * MEGA, processes=5), *SLEEP)
    for memory in (128 * MEGA, 32 * MEGA):
        old.groups.set(AGENT, "1", Limits(cpu=1.5, memory=memory, processes=7))
        assert old.file("memory", "memory.limit_in_bytes", "1") == str(memory)
        assert old.file("cpu", "cpu.cfs_quota_us", "1") == "150000"
        assert old.file("pids", "pids.max", "1") == "70"
    old.groups.set(AGENT, "1", Limits())
    assert int(old.file("memory", "memory.limit_in_bytes", "1")) > 1 << 60
    assert old.file("cpu", "cpu.cfs_quota_us", "1") == "-1"


def test_only_what_changed_is_written(old: Hold) -> None:
    old.groups.prepare(AGENT, "1", Limits(cpu=0.5, memory=64 * MEGA))
    quota = Path(old.groups._parents["cpu"], cgroups._name(AGENT, "1"), "cpu.cfs_quota_us")
    quota.write_text("20000")
    old.groups.set(AGENT, "1", Limits(cpu=0.5, memory=32 * MEGA))
    assert quota.read_text() == "20000\n"
    assert old.file("memory", "memory.limit_in_bytes", "1") == str(32 * MEGA)


def test_a_group_that_vanished_is_made_again(old: Hold) -> None:
    limits = Limits(cpu=0.5, memory=64 * MEGA)
    old.groups.ceiling(2, None)
    old.groups.prepare(AGENT, "1", limits)
    for parent in old.groups._unique:
        Path(parent, cgroups._name(AGENT, "1")).rmdir()
        Path(parent).rmdir()
    old.groups.set(AGENT, "1", limits)
    assert old.file("cpu", "cpu.cfs_quota_us") == "200000"
    assert old.file("cpu", "cpu.cfs_quota_us", "1") == "50000"
    assert old.file("memory", "memory.limit_in_bytes", "1") == str(64 * MEGA)


def test_a_running_tree_is_adopted_whole(hold: Hold) -> None:
    tree = "sleep 1000 & setsid sh -c 'sleep 1000 & echo $$ $!; wait' & wait"
    root = hold.outside("sh", "-c", tree)
    known = {root.pid, *map(int, root.stdout.readline().split())}
    hold.groups.set(AGENT, "1", Limits(cpu=0.5))
    ended = hold.outside("true")
    ended.wait(30)
    hold.groups.adopt(AGENT, "1", [root.pid, ended.pid])
    inside = hold.groups.holds(AGENT, "1")
    assert known < inside and len(inside) == 4
    for controller in hold.groups._parents:
        members = hold.file(controller, "cgroup.procs", "1").split()
        assert set(map(int, members)) == inside


def test_adopting_ends_although_the_tree_grows(hold: Hold) -> None:
    root = hold.outside("sh", "-c", "while :; do (true); sleep 0.01 & done")
    hold.groups.set(AGENT, "1", Limits(cpu=0.2, processes=20))
    hold.groups.adopt(AGENT, "1", [root.pid])
    assert root.pid in hold.groups.holds(AGENT, "1")


def test_nothing_is_adopted_without_a_group(hold: Hold) -> None:
    with pytest.raises(HiveError, match="No such file"):
        hold.groups.adopt(AGENT, "1", [hold.outside(*SLEEP).pid])


def test_the_ceiling_holds_two_groups_together(hold: Hold) -> None:
    hold.groups.ceiling(0.1, None)
    for launch in ("1", "2"):
        hold.run(launch, Limits(cpu=0.5), *BUSY)
    total: Callable[[], float] = lambda: sum(hold.use(one).cpu for one in ("1", "2"))
    eventually(lambda: min(hold.use(one).cpu for one in ("1", "2")) > 0)
    before, began = total(), time.monotonic()
    eventually(lambda: total() - before > 0.1)
    assert total() - before < 0.1 + 0.25 * (time.monotonic() - began)


def test_the_ceiling_holds_their_memory(hold: Hold) -> None:
    hold.groups.ceiling(None, 64 * MEGA)
    eater = hold.run("1", Limits(memory=1024 * MEGA), sys.executable, "-c", EAT)
    assert eater.wait(60) == -signal.SIGKILL
    eventually(lambda: hold.use("1").oom_kills == 1)


def test_a_ceiling_that_was_refused_is_not_forgotten(old: Hold) -> None:
    assert old.run("1", Limits(), sys.executable, "-c", KEEP).stdout.readline()
    for _ in range(2):
        with pytest.raises(HiveError, match="all agents together: it uses"):
            old.groups.ceiling(None, 32 * MEGA)
    old.groups.ceiling(None, 512 * MEGA)
    assert old.file("memory", "memory.limit_in_bytes") == str(512 * MEGA)


def test_a_ceiling_may_move_past_the_limits_of_launches(old: Hold) -> None:
    quota = lambda launch="": int(old.file("cpu", "cpu.cfs_quota_us", launch))
    old.groups.prepare(AGENT, "1", Limits(cpu=4))
    old.groups.prepare(AGENT, "2", Limits(cpu=0.25))
    seen = []
    for cores in (2, 0.5, 8, None):
        old.groups.ceiling(cores, None)
        seen.append((quota(), quota("1"), quota("2")))
    assert seen == [
        (200000, 200000, 25000),
        (50000, 50000, 25000),
        (800000, 400000, 25000),
        (-1, 400000, 25000),
    ]


def test_a_new_supervisor_lowers_what_an_old_one_gave(old: Hold) -> None:
    old.groups.ceiling(4, None)
    old.groups.prepare(AGENT, "1", Limits(cpu=4))
    bases = {name: str(Path(one).parent) for name, one in old.groups._parents.items()}
    instance = Path(old.groups._unique[0]).name.removeprefix("hive-")
    again = Cgroups(V1, instance, bases)
    again.ceiling(1, None)
    again.set(AGENT, "1", Limits(cpu=4))
    assert old.file("cpu", "cpu.cfs_quota_us", "1") == "100000"
    again.ceiling(None, None)
    assert old.file("cpu", "cpu.cfs_quota_us", "1") == "400000"


def test_a_fork_bomb_is_stopped(hold: Hold) -> None:
    bomb = hold.run("1", Limits(cpu=0.5, processes=3), sys.executable, "-c", BOMB)
    assert 0 < int(bomb.stdout.readline()) < 30
    assert len(hold.groups.holds(AGENT, "1")) <= 30


def test_tidy_removes_what_is_empty_and_not_kept(hold: Hold) -> None:
    for launch in ("1-a", "2-b"):
        hold.groups.prepare(AGENT, launch, Limits())
    sleeper = hold.run("3-c", Limits(), *SLEEP)
    eventually(lambda: hold.groups.holds(AGENT, "3-c"))
    hold.groups.tidy({"1-a"})
    assert [bool(hold.groups.use(AGENT, one)) for one in ("1-a", "2-b", "3-c")] == [1, 0, 1]
    sleeper.kill()
    sleeper.wait(30)
    eventually(lambda: (hold.groups.leave(), hold.groups.gone())[1])
    hold.groups.leave()
    hold.groups.tidy(())


def test_tidy_removes_the_groups_that_an_agent_made_in_its_own(hold: Hold) -> None:
    hold.groups.prepare(AGENT, "1", Limits())
    Path(hold.groups._unique[0], cgroups._name(AGENT, "1"), "inner", "most").mkdir(parents=True)
    hold.groups.tidy(())
    assert hold.groups.use(AGENT, "1") is None


def test_the_kernel_of_version_1_can_not_kill(old: Hold) -> None:
    sleeper = old.run("1", Limits(), *SLEEP)
    assert not old.groups.kill(AGENT, "1")
    assert sleeper.poll() is None


def test_version_2_moves_counts_kills_and_removes(unified: Hold) -> None:
    sleeper = unified.run("1", Limits(), *SLEEP)
    eventually(lambda: sleeper.pid in unified.groups.holds(AGENT, "1"))
    other = unified.outside("sh", "-c", "sleep 1000 & wait")
    unified.groups.adopt(AGENT, "1", [other.pid])
    assert {sleeper.pid, other.pid} < unified.groups.holds(AGENT, "1")
    if not Path(unified.groups._unique[0], cgroups._name(AGENT, "1"), "cgroup.kill").exists():
        pytest.skip("the kernel is older than cgroup.kill")
    assert unified.groups.kill(AGENT, "1")
    assert sleeper.wait(60) == other.wait(60) == -signal.SIGKILL
    eventually(lambda: (unified.groups.tidy(()), unified.groups.use(AGENT, "1"))[1] is None)
    assert not unified.groups.kill(AGENT, "1")
