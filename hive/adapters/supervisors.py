"""Which processes supervise a state directory: its guard and its worker.

They are known by the mark in their environment together with what they run, so that what a
worker starts, which has the same environment, is not taken for one.
"""

from __future__ import annotations

from contextlib import closing
from typing import Literal

from hive.adapters import procs
from hive.adapters.guard import MARK

Kind = Literal["guard", "worker"]


def supervisors(state_root: str) -> list[tuple[int, int, Kind]]:
    """Give pid, kernel start time and kind of each, guards first."""
    with closing(procs.Procs(state_root)) as table:
        living = {pid: one for pid, one in table.look().items() if not one.dead}
    kinds = {pid: kind for pid in living if (kind := _kind(procs.command(pid)))}
    ours = {pid: kind for pid, kind in kinds.items() if procs.environ(pid).get(MARK) == state_root}
    found = [
        (pid, living[pid].started, kind)
        for pid, kind in ours.items()
        if ours.get(living[pid].parent) != kind  # a child just forked looks like its parent
    ]
    return sorted(found, key=lambda one: (one[2], one[0]))


def _kind(command: list[str]) -> Kind | None:
    if "hive.adapters.guard" in command:
        return "guard"
    if "supervise" in command and "--worker" in command:
        return "worker"
    return None
