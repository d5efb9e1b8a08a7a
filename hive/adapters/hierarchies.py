"""The kernel's control groups as files: what version 1 and 2 are like, and where they are.

Nothing is assumed about paths: the kernel tells what is mounted, and which group hive is in.
Plain strings and descriptors instead of `Path`: all of it is asked for each launch at each look.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from hive.adapters.groups import GroupUse

THREADS = 10
"""The kernel counts threads, a limit says processes: so many may each have on average."""

_PERIOD = 100_000
"""Microseconds in which a group may use its CPU limit: the kernel's own default."""

_LEAST = 1000
"""The fewest microseconds in a period that the kernel accepts."""

_ENDLESS = 1 << 60
"""Bytes that no machine has: version 1 shows the largest number of whole pages there is."""

_PART = 65536

GONE = {errno.ENOENT, errno.ENODEV, errno.ESRCH}
"""The file, its group, or the process it tells of is not there any more."""

_KEPT = {errno.EBUSY, errno.ENOTEMPTY, errno.EACCES, errno.EPERM}
"""Something is inside a group, or another user made it."""


class Setting(NamedTuple):
    """What a controller's file is to say; one that is `optional` is not in every kernel."""

    controller: str
    file: str
    value: str
    optional: bool = False


class Counter(NamedTuple):
    """A number that a controller's file gives, in its line `key` or as its only one."""

    controller: str
    file: str
    key: bytes = b""
    unit: float = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What one version of control groups is like.

    `needs` are the controllers it is no use without, `wishes` the others. `door` is the file that
    a program of one thread writes `0` into to get in. `settings` turns cores, bytes and threads
    into files. `strict` says that no group may have more CPU than the one it is in.
    """

    name: str
    needs: tuple[str, ...]
    wishes: tuple[str, ...]
    door: str
    settings: Callable[[float | None, int | None, int | None], tuple[Setting, ...]]
    strict: bool
    cpu: Counter
    throttled: Counter
    memory: Counter
    cache: Counter
    peak: Counter
    oom_kills: Counter


def _quota(cpu: float) -> int:
    return max(_LEAST, int(cpu * _PERIOD))


def _v1(cpu: float | None, memory: int | None, threads: int | None) -> tuple[Setting, ...]:
    quota = -1 if cpu is None else _quota(cpu)
    limit = str(-1 if memory is None else memory)
    return (
        Setting("cpu", "cpu.cfs_quota_us", str(quota)),
        Setting("memory", "memory.limit_in_bytes", limit),
        Setting("memory", "memory.memsw.limit_in_bytes", limit, optional=True),
        Setting("pids", "pids.max", _or_max(threads)),
    )


def _v2(cpu: float | None, memory: int | None, threads: int | None) -> tuple[Setting, ...]:
    quota = "max" if cpu is None else _quota(cpu)
    swap = "max" if memory is None else "0"
    return (
        Setting("cpu", "cpu.max", f"{quota} {_PERIOD}"),
        Setting("memory", "memory.max", _or_max(memory)),
        Setting("memory", "memory.swap.max", swap, optional=True),
        Setting("pids", "pids.max", _or_max(threads)),
    )


def _or_max(value: int | None) -> str:
    return "max" if value is None else str(value)


V1 = Version(
    name="cgroup v1",
    needs=("memory", "cpu"),
    wishes=("pids", "cpuacct"),
    door="tasks",  # moves one thread in 0.1 ms; `cgroup.procs` first waits for every processor
    settings=_v1,
    strict=True,
    cpu=Counter("cpuacct", "cpuacct.usage", unit=1e-9),
    throttled=Counter("cpu", "cpu.stat", b"throttled_time", 1e-9),
    memory=Counter("memory", "memory.usage_in_bytes"),
    cache=Counter("memory", "memory.stat", b"total_inactive_file"),
    peak=Counter("memory", "memory.max_usage_in_bytes"),
    oom_kills=Counter("memory", "memory.oom_control", b"oom_kill"),
)

V2 = Version(
    name="cgroup v2",
    needs=("memory", "cpu"),
    wishes=("pids",),
    door="cgroup.procs",
    settings=_v2,
    strict=False,
    cpu=Counter("cpu", "cpu.stat", b"usage_usec", 1e-6),
    throttled=Counter("cpu", "cpu.stat", b"throttled_usec", 1e-6),
    memory=Counter("memory", "memory.current"),
    cache=Counter("memory", "memory.stat", b"inactive_file"),
    peak=Counter("memory", "memory.peak"),
    oom_kills=Counter("memory", "memory.events", b"oom_kill"),
)


class Place(NamedTuple):
    """Where a hierarchy is mounted, and the directory of the group that hive is in."""

    mount: str
    own: str


def places(mountinfo: str, membership: str) -> dict[str, Place]:
    """Find each controller's place in /proc/self/mountinfo and /proc/self/cgroup.

    The one hierarchy of version 2 is named "".
    """
    own: dict[str, str] = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)
    found: dict[str, Place] = {}
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        root, mount = fields.split(" ")[3:5]
        kind, _, options = rest.split(" ", 2)
        names = {"cgroup": options.split(","), "cgroup2": [""]}.get(kind, [])
        for name in own.keys() & set(names) - found.keys():
            found[name] = Place(mount, mount + _below(root, own[name]))
    return found


def _below(root: str, path: str) -> str:
    """Give the part of a path below what is mounted; "" where it is not below."""
    root = root.rstrip("/")
    return path[len(root) :].rstrip("/") if path.startswith(f"{root}/") else ""


def bases(version: Version, place: Place) -> list[str]:
    """Give the groups that hive may make groups in, the highest first.

    That is its own and those above, as long as nobody's limit is left behind: from the highest,
    a hive finds its groups again whichever terminal it is started from.
    """
    found: list[str] = []
    for path in _upwards(place):
        if os.access(path, os.W_OK | os.X_OK):
            found.insert(0, path)
        if _limited(version, path):
            break
    return found


def cores_above(place: Place) -> float | None:
    """Give the fewest cores that hive's version 1 group, or one above it, may use."""
    return min(filter(None, map(cores_of, _upwards(place))), default=None)


def _upwards(place: Place) -> Iterator[str]:
    path = place.own
    while path != place.mount:
        yield path
        path = path.rpartition("/")[0]
    yield path


def _limited(version: Version, path: str) -> bool:
    """Whether a group has any limit of its own."""
    for _, file, free, _ in version.settings(None, None, None):
        text = read(f"{path}/{file}").decode().split()
        if text and text[0] != free.split()[0] and not _endless(text[0]):
            return True
    return False


def _endless(text: str) -> bool:
    """Whether version 1 means no limit of memory by this number."""
    return text.isdecimal() and int(text) >= _ENDLESS


def enable(path: str, controllers: Iterable[str]) -> None:
    """Let the groups in a version 2 group have those of these controllers that it has.

    Raises OSError where the kernel refuses: EBUSY where processes are in the group itself.
    """
    file = f"{path}/cgroup.subtree_control"
    has, given = (read(one).decode().split() for one in (f"{path}/cgroup.controllers", file))
    missing = [f"+{one}" for one in controllers if one in has and one not in given]
    if missing:
        write(file, " ".join(missing))


def cores_of(path: str) -> float | None:
    """Give the cores that a version 1 group itself may use; None for any."""
    quota, period = read(f"{path}/cpu.cfs_quota_us"), read(f"{path}/cpu.cfs_period_us")
    return int(quota) / int(period) if period and int(quota) > 0 else None


def inside(path: str) -> list[str]:
    """Name the groups in a group; none where it is gone."""
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def removed(path: str) -> bool:
    """Remove a directory; False where something is inside, or it is another user's."""
    try:
        os.rmdir(path)  # noqa: PTH106
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in _KEPT:
            return False
        raise
    return True


def members(path: str) -> frozenset[int]:
    """Give the processes in a group; none where it is gone."""
    return frozenset(map(int, read(f"{path}/cgroup.procs").split()))


def killed(path: str) -> bool:
    """Kill all that is in a group at once; False where it is gone, or Linux is before 5.14.

    Raises OSError where the kernel refuses it otherwise.
    """
    try:
        write(f"{path}/cgroup.kill", "1")
    except OSError as error:
        if error.errno in GONE:
            return False
        raise
    return True


def used(version: Version, folders: Mapping[str, str]) -> GroupUse:
    """Read what the kernel counted for a group; `folders` are its directories by controller.

    What the kernel does not tell is 0.
    """
    cpu, throttled, memory, cache, peak, oom_kills = (
        _count(folders.get(one.controller, ""), one)
        for one in (
            *(version.cpu, version.throttled, version.memory),
            *(version.cache, version.peak, version.oom_kills),
        )
    )
    return GroupUse(
        cpu=cpu,
        memory=max(0, int(memory - cache)),
        peak=int(peak),
        oom_kills=int(oom_kills),
        throttled=throttled,
    )


def ooms(version: Version, folder: str) -> int:
    """Read how many of a group's processes the kernel killed for want of memory."""
    return int(_count(folder, version.oom_kills))


def _count(folder: str, counter: Counter) -> float:
    text = read(f"{folder}/{counter.file}") if folder else b""
    if counter.key:
        text = (b"\n" + text).partition(b"\n" + counter.key + b" ")[2].partition(b"\n")[0]
    return int(text or 0) * counter.unit


def descent(pids: Iterable[int]) -> set[int]:
    """Give these processes and all that descend from them; what has ended has no children."""
    found, todo = set[int](), set(pids)
    while todo:
        found |= todo
        todo = {child for pid in todo for child in _children(pid)} - found
    return found


def _children(pid: int) -> list[int]:
    """Give a process's children, whichever of its threads made them."""
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
        files = [read(f"/proc/{pid}/task/{thread}/children") for thread in threads]
        return [int(child) for text in files for child in text.split()]
    return []


def read(file: str) -> bytes:
    """Read a small file whole; empty where it, or what it tells of, is gone."""
    parts = []
    try:
        fd = os.open(file, os.O_RDONLY)
        try:
            while part := os.read(fd, _PART):
                parts.append(part)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in GONE:
            raise
    return b"".join(parts)


def write(file: str, value: str) -> None:
    """Say something to the kernel; raises OSError where it is refused."""
    fd = os.open(file, os.O_WRONLY)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
