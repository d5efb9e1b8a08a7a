"""Groups as scopes of the user's own systemd: no root is needed.

Each launch is the scope `hive-INSTANCE-LAUNCH.scope` in the slice `hive-INSTANCE.slice`, which
holds the ceiling. A scope is never empty: it comes with its first process, and goes with its
last. systemd is asked only where something changed; what the kernel counts is read from the
scope's cgroup. All of it was tried with a user's systemd that had no controllers, so no limit was
seen to hold yet.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from hive.adapters.groups import GroupUse
from hive.adapters.hierarchies import (
    GONE,
    THREADS,
    V2,
    Setting,
    descent,
    inside,
    killed,
    members,
    ooms,
    places,
    read,
    used,
    write,
)
from hive.adapters.launch import Berth
from hive.adapters.systemd import (
    TIMEOUT,
    Bus,
    Properties,
    amounts,
    flat,
    properties,
    reach,
    refused,
)
from hive.core.limits import Limits
from hive.errors import HiveError

MOVED = 1.0
"""Seconds in which systemd has to move a process after it has promised to."""

_PARENT = "hive.slice"
"""The slice that is above those of all instances, because of its name."""


class Scopes:
    """The scopes of one hive; `parent` is the directory of `hive.slice` in the cgroup tree."""

    name = "systemd scope"

    def __init__(self, instance: str, bus: Bus, parent: str) -> None:
        self._bus = bus
        self._slice = f"hive-{instance}.slice"
        self._prefix = f"hive-{instance}-"
        self._folder = f"{parent}/{self._slice}"
        self._wanted: dict[str, Limits] = {}
        self._told: dict[str, Limits] = {}
        self._last: dict[str, GroupUse] = {}
        self._ceiling: tuple[float | None, int | None] = (None, None)
        known = sum(_ooms(self._path(one)) for one in self._launches())
        self._gone = _ooms(self._folder) - known

    def prepare(self, agent: str, launch: str, limits: Limits) -> Berth:
        """Say how a launch's root gets into a scope with these limits before it runs anything.

        It is a shell that asks systemd to move it. Where that fails it runs outside: `holds`
        tells.
        """
        self._wanted[launch] = self._told[launch] = limits
        unit = self._unit(launch)
        start = self._bus.starting(unit, ["$$"], self._slice, *properties(agent, limits))
        command = self._bus.command(*start)
        at = command.index("$$")
        asked = (
            f"timeout {2 * TIMEOUT} {shlex.join(command[:at])} $$ {shlex.join(command[at + 1 :])}"
        )
        there = f"grep -q /{unit} /proc/$$/cgroup"
        script = (
            f"if {asked} </dev/null >/dev/null 2>&1; then n=0; "
            f"until {there} || [ $((n+=1)) -gt {round(MOVED / 0.01)} ]; do sleep 0.01; done; fi; "
            'exec "$@"'
        )
        return Berth(wrap=("/bin/sh", "-c", script, "hive"))

    def set(self, agent: str, launch: str, limits: Limits) -> None:
        """Change a launch's limits while it runs.

        Where it has no scope, they are those that `adopt` makes one with. The kernel kills what
        uses more memory than it may have from now on.
        """
        self._wanted[launch] = limits
        if self._told.get(launch) == limits or not self._there(launch):
            return
        if not all(_says(self._path(launch), one) for one in _settings(limits)):
            self._change(self._unit(launch), *properties(agent, limits)[1:])
        self._told[launch] = limits

    def adopt(self, agent: str, launch: str, pids: Iterable[int]) -> None:
        """Move running processes in, with all that descends from them; some may have ended."""
        roots = set(pids)
        if not self._there(launch) and not self._found(agent, launch, roots):
            return
        moved = set[int]()
        while outside := descent(roots | moved) - moved - self.holds(agent, launch):
            for pid in outside:
                _move(pid, f"{self._path(launch)}/cgroup.procs")
            moved |= outside

    def ceiling(self, cpu: float | None, memory: int | None) -> None:
        """Limit all launches of this hive together."""
        if self._ceiling == (cpu, memory):
            return
        self._bus.call("StartUnit", "ss", self._slice, "replace")
        self._change(self._slice, *amounts(cpu, memory))
        self._ceiling = (cpu, memory)

    def holds(self, agent: str, launch: str) -> frozenset[int]:  # noqa: ARG002 - launches are unique
        """Give the processes inside; none where there is no scope."""
        return members(self._path(launch))

    def use(self, agent: str, launch: str) -> GroupUse | None:  # noqa: ARG002 - see holds
        """Give what the kernel counted for a launch; None where there is no scope.

        A scope goes with its last process. Until `tidy` this gives then what was seen last, and
        lays to its charge what the slice counted of kills that no other launch explains.
        """
        if self._there(launch):
            self._last[launch] = used(V2, dict.fromkeys(V2.needs, self._path(launch)))
            return self._last[launch]
        last = self._last.get(launch)
        if last is None:
            return None
        unexplained = self._unexplained()
        if unexplained > 0:
            last = self._last[launch] = replace(last, oom_kills=last.oom_kills + unexplained)
        return last

    def kill(self, agent: str, launch: str) -> bool:  # noqa: ARG002 - see holds
        """Kill all that is inside at once; False where the kernel can't, and nothing was done."""
        return killed(self._path(launch))

    def tidy(self, keep: Collection[str]) -> None:
        """Forget all launches but these; systemd removes their scopes itself."""
        for launch in self._last.keys() - set(keep):
            if not self._there(launch):
                self._gone += self._last.pop(launch).oom_kills
        for known in (self._wanted, self._told):
            for launch in known.keys() - set(keep):
                del known[launch]

    def leave(self) -> None:
        """Stop the slice, if nothing is in it any more, and forget what it was told."""
        self.tidy(())
        if not _soon(lambda: b"populated 0" in read(f"{self._folder}/cgroup.events")):
            return
        self._bus.call("StopUnit", "ss", self._slice, "replace")
        self._bus.call("RevertUnitFiles", "as", "1", self._slice)
        self._ceiling, self._gone = (None, None), 0

    def _found(self, agent: str, launch: str, pids: Collection[int]) -> bool:
        """Make a launch's scope of its running processes; False where none runs any more."""
        limits = self._wanted.get(launch, Limits())
        unit, more = self._unit(launch), properties(agent, limits)
        while living := [str(pid) for pid in sorted(pids) if _exists(pid)]:
            try:
                self._bus.call(*self._bus.starting(unit, living, self._slice, *more))
            except HiveError:
                if all(_exists(int(pid)) for pid in living):
                    raise
                continue  # one ended before systemd looked at it, and it takes all or none
            self._told[launch] = limits
            return _soon(lambda: self._there(launch))
        return False

    def _change(self, unit: str, *properties: Properties) -> None:
        self._bus.call("SetUnitProperties", "sba(sv)", unit, "true", *flat(properties))

    def _unexplained(self) -> int:
        """Give how many kills the slice counted beyond those of all launches that are known."""
        running = set(self._launches())
        known = sum(_ooms(self._path(launch)) for launch in running)
        known += sum(one.oom_kills for name, one in self._last.items() if name not in running)
        return _ooms(self._folder) - known - self._gone

    def _launches(self) -> list[str]:
        units = [name for name in inside(self._folder) if name.startswith(self._prefix)]
        return [unit.removeprefix(self._prefix).removesuffix(".scope") for unit in units]

    def _unit(self, launch: str) -> str:
        return f"{self._prefix}{launch}.scope"

    def _path(self, launch: str) -> str:
        return f"{self._folder}/{self._unit(launch)}"

    def _there(self, launch: str) -> bool:
        return os.path.isdir(self._path(launch))  # noqa: PTH112 - asked for each launch at each pulse


def find(instance: str, environ: Mapping[str, str]) -> tuple[Scopes | None, str]:
    """Give the scopes of a hive, or in one clause why the user's systemd can't hold limits.

    A scope is really made for it, and removed.
    """
    bus, why = reach(environ)
    if bus is None:
        return None, why
    for tried in (bus, replace(bus, oom_policy=False)):
        try:
            scope, missing = _trial(tried)
        except HiveError as error:
            why = error.what
            if "OOMPolicy" in why:
                continue  # an older systemd: its scopes go on by themselves
            break
        if missing:
            lack = " and no ".join(missing)
            return None, f"its user manager has no {lack} controller"
        return Scopes(instance, tried, os.path.dirname(scope)), ""  # noqa: PTH120
    return None, why


def _trial(bus: Bus) -> tuple[str, tuple[str, ...]]:
    """Make a scope with limits; give its directory, and the controllers it should have had."""
    unit = f"hive-trial-{secrets.token_hex(4)}.scope"
    limits = Limits(cpu=1.0, memory=64 << 20)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as idle:
        more = properties("a trial", limits)
        bus.call(*bus.starting(unit, [str(idle.pid)], _PARENT, *more))
        if not _soon(lambda: _group(idle.pid).endswith(f"/{unit}")):
            raise refused("StartTransientUnit", "the process was not moved")
        path = _group(idle.pid)
        settings = _settings(limits)
        wrong = {one.controller for one in settings if not _says(path, one)}
    return path, tuple(one for one in V2.needs if one in wrong)


def _group(pid: int) -> str:
    """Give the directory of a process's group in the hierarchy of version 2; "" without one."""
    mounts = read("/proc/self/mountinfo").decode(errors="replace")
    place = places(mounts, read(f"/proc/{pid}/cgroup").decode(errors="replace")).get("")
    return place.own if place else ""


def _settings(limits: Limits) -> tuple[Setting, ...]:
    return V2.settings(limits.cpu, limits.memory, THREADS * limits.processes)


def _says(path: str, setting: Setting) -> bool:
    said = read(f"{path}/{setting.file}").decode().strip()
    return said == setting.value or (setting.optional and not said)


def _ooms(path: str) -> int:
    return ooms(V2, path)


def _move(pid: int, door: str) -> None:
    """Move a process, unless it has ended, or all inside have, and the scope with them."""
    try:
        write(door, str(pid))
    except OSError as error:
        if error.errno in GONE:
            return
        what = f"the kernel does not let hive move pid {pid}: {error.strerror}"
        raise HiveError(what, where=door, fix="hive restart its agent") from error


def _exists(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")  # noqa: PTH110


def _soon(condition: Callable[[], bool]) -> bool:
    """Wait until something that systemd has promised is so; False if it is not."""
    end = time.monotonic() + MOVED
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
