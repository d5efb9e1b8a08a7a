"""The kernel's hold on launches: what every means has in common, and which one is used.

Each launch has a group of its own, so what the kernel counts for it is its own too, also after
the supervisor was restarted. All groups of a hive share a parent, which holds the ceiling.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hive.adapters.launch import Berth
from hive.core.limits import VARIABLE, Limits
from hive.errors import HiveError, WrongInput

PORTABLE = "portable"
"""The means that needs no kernel's help: looking, and stopping what is too fast."""

ORDER = ("systemd scope", "cgroup v2", "cgroup v1")
"""The kernel's means, best first."""

WORDS = {
    "systemd": "systemd scope",
    "cgroup-v2": "cgroup v2",
    "cgroup-v1": "cgroup v1",
    PORTABLE: PORTABLE,
}
"""What `HIVE_LIMITS` may say, and the means each word names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupUse:
    """What the kernel counted for one group.

    `cpu` are the seconds of processor time it ever used, `throttled` the seconds it had to wait
    for its CPU limit. `memory` is what its end would give back now, `peak` the most it ever held,
    its file cache included (bytes; 0 where the kernel does not keep it). `oom_kills` counts its
    processes that the kernel killed for want of memory.
    """

    cpu: float
    memory: int
    peak: int
    oom_kills: int
    throttled: float


class Groups(Protocol):
    """One means by which the kernel holds launches inside their limits.

    Every method raises `HiveError` for what a user can put right. An agent is named by its id, a
    launch by its name; cores and bytes, None is no limit.
    """

    @property
    def name(self) -> str:
        """The means, as people know it: one of `ORDER`."""

    def prepare(self, agent: str, launch: str, limits: Limits) -> Berth:
        """Make a launch's group with its limits, and say how its launcher gets in."""

    def set(self, agent: str, launch: str, limits: Limits) -> None:
        """Change a launch's limits while it runs; make its group where there is none.

        It costs next to nothing where nothing changed. Raises `HiveError` where the launch uses
        more memory than it may have from now on, and the kernel refuses.
        """

    def adopt(self, agent: str, launch: str, pids: Iterable[int]) -> None:
        """Move running processes in, with all that descends from them; some may have ended.

        The group must be there: `set` makes it.
        """

    def ceiling(self, cpu: float | None, memory: int | None) -> None:
        """Limit all launches of this hive together."""

    def holds(self, agent: str, launch: str) -> frozenset[int]:
        """Give the processes inside; none where there is no group."""

    def use(self, agent: str, launch: str) -> GroupUse | None:
        """Give what the kernel counted for a launch; None where there is no group."""

    def kill(self, agent: str, launch: str) -> bool:
        """Kill all that is inside at once; False where the kernel can't, and nothing was done."""

    def tidy(self, keep: Collection[str]) -> None:
        """Remove the groups of all launches but these, as far as they are empty."""

    def leave(self) -> None:
        """Remove every group of this hive that is empty, and their parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The means that is used: `groups` is None where it is the portable one.

    `better` says what would give a better means, and how to get it; "" where it is the best.
    """

    groups: Groups | None
    name: str
    better: str = ""


def find(instance: str, environ: Mapping[str, str]) -> Found:
    """Choose the best means this machine gives a hive, or the one that HIVE_LIMITS names.

    Each means is tried for real before it is chosen. Raises `WrongInput` where HIVE_LIMITS names
    a means that can't be used here, or none at all.
    """
    word = environ.get(VARIABLE, "")
    if word:
        return _named(word, instance, environ)
    reasons: list[str] = []
    for name in ORDER:
        groups, why = _try(name, instance, environ)
        if groups is not None:
            return Found(groups=groups, name=name, better="; ".join(reasons))
        reasons.append(f"{name}: {why}")
    return Found(groups=None, name=PORTABLE, better="; ".join(reasons))


def leave(instance: str, environ: Mapping[str, str]) -> list[str]:
    """Remove what any of the kernel's means has left of a hive, as far as it is empty.

    A hive may have been held by another means before. Gives what could not be removed and why.
    """
    said: list[str] = []
    for name in ORDER:
        groups, _ = _try(name, instance, environ)
        try:
            if groups:
                groups.leave()
        except HiveError as error:
            said.append(f"{name}: {error.what}")
    return said


def _named(word: str, instance: str, environ: Mapping[str, str]) -> Found:
    if word not in WORDS:
        words = ", ".join(f"`{one}`" for one in WORDS)
        raise WrongInput(
            f"`{word}` is no means to hold limits: it is one of {words}",
            where=VARIABLE,
            fix=f"unset {VARIABLE}, and hive takes the best there is",
        )
    name = WORDS[word]
    if name == PORTABLE:
        return Found(groups=None, name=PORTABLE, better=f"unset {VARIABLE}")
    groups, why = _try(name, instance, environ)
    if groups is None:
        raise WrongInput(
            f"`{word}` can't be used here: {why}",
            where=VARIABLE,
            fix=f"unset {VARIABLE}, and hive takes the best there is",
        )
    return Found(groups=groups, name=name)


def _try(name: str, instance: str, environ: Mapping[str, str]) -> tuple[Groups | None, str]:
    """Give a means that works here, or why it does not."""
    if name == "systemd scope":
        from hive.adapters import scopes

        return scopes.find(instance, environ)
    from hive.adapters import cgroups, hierarchies

    return cgroups.find(hierarchies.V2 if name == "cgroup v2" else hierarchies.V1, instance)
