"""The machine's vitals: the real ones, and those of machines made of files."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from hive.adapters import portable
from hive.adapters.machine import Linux, Machine

KINDS = [pytest.param(portable.Machine, id="psutil")]
if sys.platform == "linux":
    KINDS.insert(0, pytest.param(Linux, id="proc"))

K, M, G = 1 << 10, 1 << 20, 1 << 30
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


@pytest.fixture(params=KINDS)
def real(request):
    one = request.param()
    yield one
    one.close()


def test_the_real_machine_has_memory_cores_and_load(real):
    found = real.read()

    assert 0 < found.available <= found.memory <= psutil.virtual_memory().total
    assert 0 < found.cores <= psutil.cpu_count()
    assert found.load >= 0


def test_a_glance_shows_what_is_free(real):
    found = real.glance()

    assert 0 < found.available < psutil.virtual_memory().total
    assert found.tasks > 0 or isinstance(real, portable.Machine)


def test_how_busy_it_is_is_known_from_the_second_look_on(real, eventually):
    assert real.read().busy is None
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass

    busy = eventually(lambda: real.read().busy)
    assert 0 < busy <= 1


def test_the_platforms_own_is_used():
    one = Machine()
    assert isinstance(one, Linux) == (sys.platform == "linux")
    one.close()


if sys.platform == "linux":

    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    def test_descriptors_are_kept_and_closed():
        one = Linux()
        one.read()
        before = descriptors()
        for _ in range(5):
            one.glance()
            one.read()
        assert descriptors() == before

        one.close()
        assert descriptors() < before
        assert one.glance().tasks > 0
        one.close()

    class Made:
        """A machine of 8 GiB, made of files."""

        def __init__(self, root: Path) -> None:
            self.root = root
            self.write("proc/meminfo", f"MemTotal: {8 * M} kB\nMemAvailable:  {6 * M} kB\n")
            self.write("proc/loadavg", "1.25 0.50 0.10 3/417 999\n")
            self.write("proc/stat", "cpu 10 0 10 70 10 0 0 0 0 0\ncpu0 1 1 1 1\n")
            self.write("proc/self/cgroup", "0::/\n")
            self.machine = Linux(root)

        def write(self, name: str, text: str) -> None:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def group(self, folder: str, **files: object) -> None:
            """Write a cgroup's files; `__` in a name stands for a dot."""
            for name, value in files.items():
                self.write(f"sys/fs/cgroup/{folder}/{name.replace('__', '.')}", f"{value}\n")

    @pytest.fixture
    def made(tmp_path):
        one = Made(tmp_path)
        yield one
        one.machine.close()

    def test_what_the_files_say(made):
        found = made.machine.read()

        assert (found.memory, found.available, found.load) == (8 * G, 6 * G, 1.25)
        assert found.cores == CORES
        assert made.machine.glance().tasks == 417

    def test_a_machine_that_does_not_tell_what_is_free_is_never_short(made):
        made.write("proc/meminfo", f"MemTotal: {8 * M} kB\nMemFree: 1 kB\n")
        assert made.machine.glance().available == 8 * G

    def test_busy_is_what_was_neither_idle_nor_waiting_for_disks(made):
        made.machine.read()
        made.write("proc/stat", "cpu 40 0 20 110 30 0 0 0 0 0\n")
        assert made.machine.read().busy == pytest.approx(0.4)
        assert made.machine.read().busy is None  # no time has passed

    def test_stalls_are_told_where_the_kernel_tells_them(made):
        assert made.machine.read().cpu_stall is None
        some = "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n"
        made.write("proc/pressure/cpu", some)
        made.write("proc/pressure/memory", f"{some}full avg10=0.25 avg60=0.00 total=1\n")
        made.write("proc/pressure/io", some.replace("1.50", "22.00"))
        found = made.machine.read()

        assert (found.cpu_stall, found.io_stall) == (1.5, 22.0)
        assert (found.memory_stall, found.memory_full) == (1.5, 0.25)

    def test_a_container_has_what_its_cgroup_gives_it(made):
        stat = f"anon 5\ninactive_file {100 * M}\n"
        made.group(
            "", memory__max=2 * G, memory__current=G, memory__stat=stat, cpu__max="50000 100000"
        )
        found = made.machine.read()

        assert (found.memory, found.available) == (2 * G, G + 100 * M)
        assert found.cores == 0.5

    def test_a_glance_sees_what_a_container_uses_meanwhile(made):
        made.group("", memory__max=2 * G, memory__current=G, memory__stat="inactive_file 0")
        made.machine.read()
        made.group("", memory__current=2 * G - 5 * M)
        assert made.machine.glance().available == 5 * M
        made.group("", memory__current=3 * G)
        assert made.machine.glance().available == 0

    def test_the_tightest_on_the_way_up_counts(made):
        made.write("proc/self/cgroup", "0::/user/hive\n")
        made.group("user/hive", memory__max="max", cpu__max="max 100000")
        made.group("user", memory__max=G, memory__current=M, cpu__max="25000 100000")
        made.group("", memory__max=2 * G, memory__current=2 * G - M, cpu__max="90000 100000")
        found = made.machine.read()

        assert (found.memory, found.available, found.cores) == (G, M, 0.25)

    def test_version_1_counts_as_well(made):
        made.write("proc/self/cgroup", "4:memory:/box\n3:cpu,cpuacct:/box\n1:name=systemd:/\n")
        made.group(
            "memory/box",
            memory__limit_in_bytes=G,
            memory__usage_in_bytes=G // 2,
            memory__stat=f"inactive_file 1\ntotal_inactive_file {K}",
        )
        made.group("memory", memory__limit_in_bytes=9223372036854771712)
        made.group("cpu/box", cpu__cfs_quota_us=20000, cpu__cfs_period_us=100000)
        made.group("cpu", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100000)
        found = made.machine.read()

        assert (found.memory, found.available, found.cores) == (G, G // 2 + K, 0.2)

    def test_a_path_of_the_host_shows_only_its_top_in_a_container(made):
        made.write("proc/self/cgroup", "4:memory:/docker/0123\n0::/docker/0123\n")
        made.group("memory", memory__limit_in_bytes=G, memory__usage_in_bytes=0)

        assert made.machine.read().memory == G

    def test_a_limit_above_the_machine_is_none(made):
        made.group("", memory__max=9 * G, memory__current=7 * G, cpu__max=f"{CORES}00001 100000")
        found = made.machine.read()

        assert (found.memory, found.available, found.cores) == (8 * G, 6 * G, CORES)

    def test_a_cgroup_that_is_gone_leaves_the_machine(made):
        made.group("", memory__max=G, memory__current=0)
        assert made.machine.read().memory == G
        (made.root / "sys/fs/cgroup/memory.max").unlink()
        assert made.machine.read().memory == 8 * G
