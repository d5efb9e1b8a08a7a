"""Where control groups are, as kernels tell it; and the files of version 2, as plain ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.adapters.cgroups import Cgroups
from hive.adapters.groups import GroupUse
from hive.adapters.hierarchies import V1, V2, Place, bases, cores_above, enable, places
from hive.core.limits import Limits

V1_MOUNTS = """\
23 1 0:21 / / rw - overlay overlay rw,lowerdir=/a
32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime shared:9 master:4 - cgroup cgroup rw,memory
40 31 0:37 {root} /sys/fs/cgroup/systemd rw - cgroup systemd rw,xattr,name=systemd
"""
V2_MOUNT = "30 24 0:26 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_OWN = "4:memory:{path}\n2:cpu,cpuacct:{path}\n1:name=systemd:{path}\n"


@pytest.mark.parametrize(
    ("root", "path", "below"),
    [
        ("/", "/", ""),
        ("/", "/user.slice/user-0.slice", "/user.slice/user-0.slice"),
        ("/docker/4f5e", "/docker/4f5e", ""),
        ("/docker/4f5e", "/docker/4f5e/mine", "/mine"),
        ("/docker/4f5e", "/docker/4f5e6d", ""),
        ("/", "/../..", "/../.."),
    ],
)
def test_version_1_has_a_place_for_each_controller(root: str, path: str, below: str) -> None:
    found = places(V1_MOUNTS.format(root=root), V1_OWN.format(path=path))
    cpu, memory = "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory"
    assert found["cpu"] == found["cpuacct"] == Place(cpu, cpu + below)
    assert found["memory"] == Place(memory, memory + below)
    assert "pids" not in found and "" not in found


@pytest.mark.parametrize(
    ("root", "path", "below"),
    [("/", "/", ""), ("/", "/user.slice/a b", "/user.slice/a b"), ("/kube/1", "/kube/1/2", "/2")],
)
def test_version_2_has_one_place(root: str, path: str, below: str) -> None:
    found = places(V2_MOUNT.format(root=root), f"0::{path}\n")
    assert found == {"": Place("/sys/fs/cgroup", f"/sys/fs/cgroup{below}")}


def test_both_versions_may_be_there() -> None:
    mounts = V1_MOUNTS.format(root="/") + V2_MOUNT.format(root="/")
    found = places(mounts, V1_OWN.format(path="/a") + "0::/b\n")
    assert found["memory"].own == "/sys/fs/cgroup/memory/a"
    assert found[""].own == "/sys/fs/cgroup/b"


def _tree(top: Path, limited: str, file: str, value: str, free: str) -> Place:
    """Make groups `a/b/c`, hive in the last; one of them is limited."""
    path = top / "a" / "b" / "c"
    path.mkdir(parents=True)
    for one in (path, *path.parents[:2]):
        (one / file).write_text(f"{value if one.name == limited else free}\n")
    return Place(str(top), str(path))


@pytest.mark.parametrize(
    ("version", "file", "value", "free"),
    [
        (V1, "memory.limit_in_bytes", "536870912", "9223372036854771712"),
        (V1, "cpu.cfs_quota_us", "50000", "-1"),
        (V1, "pids.max", "500", "max"),
        (V2, "memory.max", "536870912", "max"),
        (V2, "cpu.max", "50000 100000", "max 100000"),
        (V2, "memory.swap.max", "0", "max"),
    ],
)
@pytest.mark.parametrize(
    ("limited", "highest"), [("", ""), ("a", "a"), ("b", "a/b"), ("c", "a/b/c")]
)
def test_no_limit_is_left_behind(
    tmp_path: Path, version: object, file: str, value: str, free: str, limited: str, highest: str
) -> None:
    found = bases(version, _tree(tmp_path, limited, file, value, free))
    assert found[0] == str(tmp_path / highest)
    assert found[-1] == str(tmp_path / "a" / "b" / "c")


def test_the_cores_above_are_the_fewest_of_all(tmp_path: Path) -> None:
    place = _tree(tmp_path, "b", "cpu.cfs_quota_us", "150000", "400000")
    assert cores_above(place) is None
    for file in tmp_path.rglob("cpu.cfs_quota_us"):
        file.with_name("cpu.cfs_period_us").write_text("100000\n")
    assert cores_above(place) == 1.5


def test_only_controllers_that_are_there_and_not_given_are_enabled(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory\n")
    given = tmp_path / "cgroup.subtree_control"
    given.write_text("cpu\n")
    enable(str(tmp_path), ("memory", "cpu", "pids"))
    assert given.read_text().startswith("+memory")
    given.write_text("cpu memory\n")
    enable(str(tmp_path), ("memory", "cpu", "pids"))
    assert given.read_text() == "cpu memory\n"


@pytest.mark.parametrize(
    ("version", "cpu", "memory", "threads", "values"),
    [
        (V1, None, None, None, ["-1", "-1", "-1", "max"]),
        (V1, 0.5, 512 << 20, 30, ["50000", "536870912", "536870912", "30"]),
        (V1, 0.001, 1, 1, ["1000", "1", "1", "1"]),
        (V2, None, None, None, ["max 100000", "max", "max", "max"]),
        (V2, 2.5, 512 << 20, 30, ["250000 100000", "536870912", "0", "30"]),
        (V2, 0.001, 1, 1, ["1000 100000", "1", "0", "1"]),
    ],
)
def test_limits_as_the_kernel_reads_them(
    version: object, cpu: float, memory: int, threads: int, values: list[str]
) -> None:
    assert [one.value for one in version.settings(cpu, memory, threads)] == values


VERSION_2 = {
    "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nnr_throttled 7\nthrottled_usec 1500000\n",
    "memory.current": "1000000\n",
    "memory.stat": "anon 5\nfile 9\nactive_file 3\ninactive_file 400000\n",
    "memory.peak": "2000000\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n",
}


def _written(folder: Path) -> dict[str, str]:
    files = ("cpu.max", "memory.max", "memory.swap.max", "pids.max")
    return {name: (folder / name).read_text() for name in files if (folder / name).exists()}


def test_version_2_is_one_directory_for_all(tmp_path: Path) -> None:
    """The kernel makes a group's files with its directory; here they are there before."""
    parent = tmp_path / "hive-test"
    group = parent / "Task.front.dev.3-ab"
    group.mkdir(parents=True)
    for name in ("cpu.max", "memory.max", "pids.max"):  # a kernel without swap
        (parent / name).touch()
        (group / name).touch()
    for name, text in VERSION_2.items():
        (group / name).write_text(text)
    groups = Cgroups(V2, "test", dict.fromkeys(("memory", "cpu", "pids"), str(tmp_path)))
    berth = groups.prepare("Task/front/dev", "3-ab", Limits(cpu=0.5, memory=64, processes=7))
    assert berth.join == (str(group / "cgroup.procs"),)
    assert _written(group) == {"cpu.max": "50000 100000", "memory.max": "64", "pids.max": "70"}
    groups.ceiling(1.5, 4096)
    assert _written(parent) == {"cpu.max": "150000 100000", "memory.max": "4096", "pids.max": "max"}
    assert groups.use("Task/front/dev", "3-ab") == GroupUse(
        cpu=2.5, memory=600000, peak=2000000, oom_kills=2, throttled=1.5
    )
    (group / "memory.peak").unlink()  # as before Linux 5.19
    found = groups.use("Task/front/dev", "3-ab")
    assert found and found.peak == 0
