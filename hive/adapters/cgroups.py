"""Groups as directories of the kernel's control groups, version 1 and version 2.

Each launch is a directory `BASE/hive-INSTANCE/AGENT.LAUNCH`; version 1 has one for each of its
controllers, each in a hierarchy of its own. What the versions do differently is in `hierarchies`.
Memory that a process got before it was adopted stays counted where it got it.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hive.adapters.groups import GroupUse
from hive.adapters.hierarchies import (
    THREADS,
    V1,
    V2,
    Place,
    Setting,
    Version,
    bases,
    cores_above,
    cores_of,
    descent,
    enable,
    inside,
    killed,
    members,
    places,
    read,
    removed,
    used,
    write,
)
from hive.adapters.launch import Berth
from hive.core.limits import Limits
from hive.core.wording import size
from hive.errors import HiveError

_LEAVING = 1.0
"""Seconds in which the kernel has to see that processes have left a group."""

_LONGEST = 160
"""How much of an agent's id is in the name of its groups: a name has at most 255 characters."""

_PROBE = "-probe-"
"""What follows a hive's name in that of a group which is only made to try."""

_STRANGE = re.compile(r"[^A-Za-z0-9_.-]")

_KNOCK = 'for door; do echo 0 >"$door" || exit 1; done'
"""How a shell gets into a group."""


def find(version: Version, instance: str) -> tuple[Cgroups | None, str]:
    """Give the groups of a hive where this version can be used, or why it can't be.

    A group is made, limited, entered and removed to know it.
    """
    try:
        mounted = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
        member = os.fsdecode(Path("/proc/self/cgroup").read_bytes())
    except FileNotFoundError:
        return None, "only Linux has control groups"
    where = places(mounted, member)
    choices, why = (_choices_v1 if version is V1 else _choices_v2)(where)
    most = cores_above(where["cpu"]) if version.strict and choices else None
    for chosen in choices:
        why = _trial(Cgroups(version, f"{instance}{_PROBE}{os.getpid()}", chosen, most), chosen)
        if not why:
            return Cgroups(version, instance, chosen, most), ""
    return None, why


def _choices_v1(where: Mapping[str, Place]) -> tuple[list[dict[str, str]], str]:
    """Give the bases that version 1 could use, or why it can't."""
    lacks = [name for name in V1.needs if name not in where]
    if lacks:
        return [], f"the kernel has mounted no hierarchy for {' and '.join(lacks)}"
    found = {name: bases(V1, where[name]) for name in (*V1.needs, *V1.wishes) if name in where}
    closed = [name for name in V1.needs if not found[name]]
    if closed:
        return [], f"`{where[closed[0]].own}` may not be written: run hive as root"
    return [{name: paths[0] for name, paths in found.items() if paths}], ""


def _choices_v2(where: Mapping[str, Place]) -> tuple[list[dict[str, str]], str]:
    """Give the bases that version 2 could use, or why it can't."""
    if "" not in where:
        return [], "it is not mounted: boot with `systemd.unified_cgroup_hierarchy=1`"
    own = where[""].own
    why = f"`{own}` may not be written: run hive as root"
    choices, writable = [], bases(V2, where[""])
    for path in writable or [own]:
        has = read(f"{path}/cgroup.controllers").decode().split()
        lacks = [name for name in V2.needs if name not in has]
        if lacks:
            why = (
                f"`{path}` has no controller for {' and '.join(lacks)}: "
                "boot with `systemd.unified_cgroup_hierarchy=1`"
            )
        elif writable:
            choices.append({name: path for name in (*V2.needs, *V2.wishes) if name in has})
    return choices, why


def _trial(groups: Cgroups, chosen: Mapping[str, str]) -> str:
    """Use a group as a launch would; "" where that works, or why it does not."""
    base = chosen["memory"]
    try:
        if groups.name == V2.name:
            enable(base, chosen)
        berth = groups.prepare("probe", "1", Limits(cpu=0.5, memory=64 << 20))
        command = ["sh", "-c", _KNOCK, "sh", *berth.join]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stderr.strip() or "no process can enter") if done.returncode else ""
    except HiveError as error:
        return f"{error.where}: {error.what}"
    except OSError as error:
        if error.errno == errno.EBUSY:
            return f"`{base}` has processes of its own, so groups inside can't have limits"
        return f"`{base}` may not be changed: {error.strerror}"
    finally:
        groups.leave()


class Cgroups:
    """The groups of one hive, below `bases`: the directory of each controller.

    `most` is how many cores may be used in the bases themselves.
    """

    def __init__(
        self,
        version: Version,
        instance: str,
        bases: Mapping[str, str],
        most: float | None = None,
    ) -> None:
        self.name = version.name
        self._version = version
        parent = f"hive-{_STRANGE.sub('_', instance)}"
        self._parents = {controller: f"{base}/{parent}" for controller, base in bases.items()}
        self._unique = tuple(dict.fromkeys(self._parents.values()))
        self._most = most
        self._ceiling: tuple[float | None, int | None] | None = None
        self._settled = False
        self._limits: dict[str, Limits] = {}
        self._written: dict[str, dict[str, str]] = {}

    def prepare(self, agent: str, launch: str, limits: Limits) -> Berth:
        """Make a launch's group with its limits, and say how its launcher gets in."""
        self.set(agent, launch, limits)
        door = self._version.door
        return Berth(join=tuple(f"{one}/{door}" for one in self._places(_name(agent, launch))))

    def set(self, agent: str, launch: str, limits: Limits) -> None:
        """Change a launch's limits while it runs; make its group where there is none.

        Raises `HiveError` where version 1 can't take back memory that is in use; version 2
        kills instead.
        """
        name = _name(agent, launch)
        there = self._there(name)
        if there and self._limits.get(name) == limits:
            return
        if not there:
            self._make(name)
        self._apply(name, limits, agent)
        self._limits[name] = limits

    def adopt(self, agent: str, launch: str, pids: Iterable[int]) -> None:
        """Move running processes in, with all that descends from them; some may have ended."""
        doors = [f"{one}/cgroup.procs" for one in self._places(_name(agent, launch))]
        roots, moved = frozenset(pids), set[int]()
        while outside := descent(roots | moved) - moved - self.holds(agent, launch):
            for pid in outside:
                with _told(agent), suppress(ProcessLookupError):  # it has ended
                    for door in doors:
                        write(door, str(pid))
            moved |= outside

    def ceiling(self, cpu: float | None, memory: int | None) -> None:
        """Limit all launches of this hive together."""
        there = self._there()
        if there and self._settled and self._ceiling == (cpu, memory):
            return
        self._ceiling, self._settled = (cpu, memory), False
        if there:
            self._lower()
            self._apply_ceiling()
        else:
            self._make("")
        for name, limits in self._limits.items():
            if self._there(name):
                self._apply(name, limits, name)
        self._settled = True

    def holds(self, agent: str, launch: str) -> frozenset[int]:
        """Give the processes inside; none where there is no group."""
        last = self._unique[-1]  # what is in here is in all of them
        return members(f"{last}/{_name(agent, launch)}")

    def use(self, agent: str, launch: str) -> GroupUse | None:
        """Give what the kernel counted for a launch; None where there is no group.

        The CPU is 0 where version 1 lacks its `cpuacct`.
        """
        name = _name(agent, launch)
        return self._used(name) if self._there(name) else None

    def kill(self, agent: str, launch: str) -> bool:
        """Kill all that is inside at once; False where the kernel can't, and nothing was done."""
        return killed(f"{self._unique[0]}/{_name(agent, launch)}")

    def tidy(self, keep: Collection[str]) -> None:
        """Remove the groups of all launches but these, as far as they are empty."""
        kept = {_plain(launch) for launch in keep}
        for parent in self._unique:
            for name in inside(parent):
                if name.rpartition(".")[2] not in kept:
                    self._limits.pop(name, None)
                    self._remove(f"{parent}/{name}")

    def leave(self) -> None:
        """Remove every group of this hive that is empty, and their parent.

        With them goes what a hive that was killed had only made to try.
        """
        end = time.monotonic() + _LEAVING
        while True:
            self.tidy(())
            for parent in self._unique:
                base, _, own = parent.rpartition("/")
                tried = [one for one in inside(base) if one.startswith(f"{own}{_PROBE}")]
                for name in (own, *tried):
                    self._remove(f"{base}/{name}")
            if self.gone() or time.monotonic() > end:
                return
            time.sleep(0.01)

    def gone(self) -> bool:
        """Whether nothing of this hive is left, nor was ever made."""
        return not any(map(os.path.isdir, self._unique))

    def _places(self, name: str) -> list[str]:
        """Give the directories of a launch; those of the parent where the name is empty."""
        return [f"{parent}/{name}" if name else parent for parent in self._unique]

    def _there(self, name: str = "") -> bool:
        return all(map(os.path.isdir, self._places(name)))

    def _make(self, name: str) -> None:
        """Make what is missing of a launch's directories, and of their parents."""
        if name and not self._there():
            self._make("")
        for path in self._places(name):
            with _told(path), suppress(FileExistsError):
                os.mkdir(path)  # noqa: PTH102 - as everywhere here, for its speed
                self._written[path] = {}
        if not name:
            self._open()
            self._apply_ceiling()

    def _open(self) -> None:
        """Let the launches' groups have limits that count for all that is inside."""
        if not self._version.strict:
            with _told(self._unique[0]):
                enable(self._unique[0], self._parents)
        elif read(file := f"{self._parents['memory']}/memory.use_hierarchy").strip() == b"0":
            with _told(file):
                write(file, "1")

    def _remove(self, path: str) -> None:
        """Remove a directory, with those in it, as far as no process is inside."""
        if not removed(path):
            for name in inside(path):
                self._remove(f"{path}/{name}")
            removed(path)
        self._written.pop(path, None)

    def _apply_ceiling(self) -> None:
        cpu, memory = self._ceiling or (None, None)
        self._apply("", Limits(cpu=cpu, memory=memory), "all agents together")

    def _apply(self, name: str, limits: Limits, who: str) -> None:
        """Write what changed; what a file refuses for what the next one says, after that."""
        threads = THREADS * limits.processes if name else None
        wanted = self._version.settings(self._cores(limits.cpu), limits.memory, threads)
        late = [one for one in wanted if not self._put(name, one, who)]
        for one in late:
            self._put(name, one, who, last=True)

    def _put(self, name: str, one: Setting, who: str, *, last: bool = False) -> bool:
        """Write one setting if it is new; False where it should be tried once more."""
        if one.controller not in self._parents:
            return True
        path = self._path(one.controller, name)
        written = self._written.setdefault(path, {})
        if written.get(one.file) == one.value:
            return True
        try:
            write(f"{path}/{one.file}", one.value)
        except OSError as error:
            if error.errno == errno.EINVAL and not last:
                return False
            if not (error.errno == errno.ENOENT and one.optional):
                raise self._refused(error, name, one, who) from error
        written[one.file] = one.value
        return True

    def _refused(self, error: OSError, name: str, one: Setting, who: str) -> HiveError:
        if error.errno == errno.EBUSY and one.controller == "memory":
            uses = size(self._used(name).memory)
            return HiveError(
                f"it uses {uses}, so the kernel can't hold it to {size(int(one.value))}",
                where=who,
                fix=f"restart it: `hive restart {who}`" if name else "stop some agents",
            )
        file = f"{self._path(one.controller, name)}/{one.file}"
        return HiveError(f"the kernel refuses {one.value}: {error.strerror}", where=file)

    def _path(self, controller: str, name: str) -> str:
        parent = self._parents[controller]
        return f"{parent}/{name}" if name else parent

    def _cores(self, cpu: float | None) -> float | None:
        """Give the most that version 1 accepts: no more than those above have."""
        if cpu is None or not self._version.strict:
            return cpu
        above = (self._most, self._ceiling and self._ceiling[0])
        return min([cpu, *(one for one in above if one is not None)])

    def _lower(self) -> None:
        """Take from launches what version 1 would not let them have below a lower ceiling."""
        cores = self._cores(self._ceiling and self._ceiling[0])
        if cores is None or not self._version.strict:
            return
        for name in inside(self._parents["cpu"]):
            now = cores_of(f"{self._parents['cpu']}/{name}")
            if now is not None and now > cores:
                self._put(name, self._version.settings(cores, None, None)[0], name)

    def _used(self, name: str) -> GroupUse:
        return used(self._version, {one: self._path(one, name) for one in self._parents})


def _name(agent: str, launch: str) -> str:
    return f"{_STRANGE.sub('.', agent)[:_LONGEST]}.{_plain(launch)}"


def _plain(launch: str) -> str:
    """Give a launch's part of a name: the last one, so it has no dot."""
    return _STRANGE.sub("_", launch).replace(".", "_")


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Make a user's error of what the kernel refuses."""
    try:
        yield
    except OSError as error:
        raise HiveError(f"the kernel refuses it: {error.strerror}", where=where) from error
