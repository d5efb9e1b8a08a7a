"""A user's systemd, asked through `busctl`: how it is reached, and what it is told of limits.

Written for systemd 240 and newer; tried with 252.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from hive.adapters.hierarchies import THREADS
from hive.core.limits import Limits
from hive.errors import HiveError

TIMEOUT = 5
"""Seconds in which systemd has to answer."""

_ENDLESS = str(2**64 - 1)
"""What systemd takes for no limit."""

Properties = tuple[str, ...]
"""What `busctl` is told of a unit, one property after the other: a name, a type, a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """The way to a user's systemd: the socket of its D-Bus, and the program that speaks to it.

    `oom_policy` is whether scopes know `OOMPolicy`, which they do since systemd 253.
    """

    socket: str
    busctl: str = "busctl"
    oom_policy: bool = True

    def command(self, method: str, *words: str) -> tuple[str, ...]:
        """Give the command that calls a method; `words` are its signature and its values."""
        name = "org.freedesktop.systemd1"
        address = f"--address=unix:path={quote(self.socket)}"
        where = (name, f"/{name.replace('.', '/')}", f"{name}.Manager")
        return (self.busctl, address, f"--timeout={TIMEOUT}", "call", *where, method, *words)

    def call(self, method: str, *words: str) -> None:
        """Call a method. Raises `HiveError` where systemd refuses or does not answer."""
        command = self.command(method, *words)
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=2 * TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise refused(method, f"no answer for {2 * TIMEOUT} s") from error
        except OSError as error:
            raise refused(method, f"can't run {self.busctl}: {error.strerror}") from error
        if done.returncode != 0:
            raise refused(method, " ".join(done.stderr.split()) or f"code {done.returncode}")

    def starting(
        self, unit: str, pids: Iterable[str], slice_: str, *more: Properties
    ) -> tuple[str, ...]:
        """Give the call that makes a scope of these processes."""
        members = tuple(pids)
        properties = (
            ("PIDs", "au", str(len(members)), *members),
            ("Slice", "s", slice_),
            ("CollectMode", "s", "inactive-or-failed"),
            *((("OOMPolicy", "s", "continue"),) if self.oom_policy else ()),
            *more,
        )
        signature = "ssa(sv)a(sa(sv))"
        return ("StartTransientUnit", signature, unit, "fail", *flat(properties), "0")


def reach(environ: Mapping[str, str]) -> tuple[Bus | None, str]:
    """Give the way to the user's systemd, or why there is none."""
    if sys.platform != "linux":
        return None, "only Linux has systemd"
    runtime = environ.get("XDG_RUNTIME_DIR")
    if not runtime:
        return None, "no systemd user session: XDG_RUNTIME_DIR is not set"
    if not _is_socket(f"{runtime}/systemd/private"):
        return None, f"no systemd user session: none runs in {runtime}"
    if not _is_socket(f"{runtime}/bus"):
        return None, f"its user session has no D-Bus: {runtime}/bus is not there"
    busctl = shutil.which("busctl", path=environ.get("PATH"))
    if busctl is None:
        return None, "`busctl` is not on PATH"
    return Bus(socket=f"{runtime}/bus", busctl=busctl), ""


def properties(agent: str, limits: Limits) -> tuple[Properties, ...]:
    """Give what systemd is told of a launch; its description comes first."""
    tasks = ("TasksMax", "t", str(THREADS * limits.processes))
    return (("Description", "s", f"hive: {agent}"), *amounts(limits.cpu, limits.memory), tasks)


def amounts(cpu: float | None, memory: int | None) -> tuple[Properties, ...]:
    """Give what systemd is told of cores and bytes."""
    quota = _ENDLESS if cpu is None else str(max(1, round(cpu * 1_000_000)))
    return (
        ("CPUQuotaPerSecUSec", "t", quota),
        ("MemoryMax", "t", _ENDLESS if memory is None else str(memory)),
        ("MemorySwapMax", "t", _ENDLESS if memory is None else "0"),
    )


def flat(properties: Collection[Properties]) -> tuple[str, ...]:
    """Give properties as words for `busctl`, their number first."""
    return (str(len(properties)), *(word for one in properties for word in one))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:  # not there, or not for us: it can't be used
        return False


def refused(method: str, why: str) -> HiveError:
    """Give the error for what systemd does not do."""
    return HiveError(
        f"the user's systemd refuses {method}: {why}",
        where="systemd --user",
        fix="systemctl --user status; or set HIVE_LIMITS=portable",
    )
