"""The note that a launch is held: as long as it is touched, somebody will let the launch go on.

`FOLDER/LAUNCH.held` is written before the first process is stopped, and deleted when the last
was let go. The launcher that is the root of the launch lets everything go when nobody touches
the note any more. Each line is a word, a pid and a start time: `root` is the launcher, `also`
what is held and may have left its tree, `not` what somebody else had stopped.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT

from hive.adapters import procs
from hive.core.belonging import Key
from hive.core.trees import Process, tag

_SUFFIX = ".held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who is held: each process by its pid and start time."""

    root: Key
    also: frozenset[Key] = frozenset()
    others: frozenset[Key] = frozenset()


def renew(folder: Path, launch: str, lease: Lease, *, changed: bool) -> None:
    """Touch the note, or write it where it is missing or says something else.

    Raises `OSError` where it can't be written: then nothing may be stopped.
    """
    file = folder / f"{launch}{_SUFFIX}"
    if not changed:
        try:
            os.utime(file)
        except FileNotFoundError:
            pass  # its launcher thought that we had gone
        else:
            return
    lines = [("root", lease.root)]
    lines += [("also", key) for key in sorted(lease.also)]
    lines += [("not", key) for key in sorted(lease.others)]
    draft = file.with_name(f"{file.name}.new")
    draft.write_text("".join(f"{word} {pid} {started}\n" for word, (pid, started) in lines))
    draft.replace(file)


def end(folder: Path, launch: str) -> None:
    """Delete the note, if there is one."""
    (folder / f"{launch}{_SUFFIX}").unlink(missing_ok=True)


def thaw(folder: Path) -> int:
    """Let go on what any note says is held, delete the notes, and give how many went on.

    For whoever begins or ends to supervise: nobody may hold anything at that moment.
    """
    files = sorted(folder.glob(f"*{_SUFFIX}"))
    if not files:
        return 0
    table = procs.Procs("")
    try:
        processes = table.look()
    finally:
        table.close()
    count = 0
    for file in files:
        for one in _frozen(file, _read(file), processes):
            count += procs.signal(one.pid, one.started, SIGCONT)
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            file.unlink()  # the launcher may have been quicker; what is no note of ours stays
    return count


def _read(file: Path) -> Lease:
    """Read a note; of a damaged one, what can be read: its launch is still known by the tag."""
    try:
        lines = file.read_text("ascii", "replace").split("\n")
    except OSError:
        lines = []
    found: dict[str, set[Key]] = {"root": {(0, 0)}, "also": set(), "not": set()}
    for line in lines:
        match line.split():
            case [word, pid, started] if word in found and (pid + started).isdecimal():
                found[word].add((int(pid), int(started)))
    return Lease(
        root=max(found["root"]), also=frozenset(found["also"]), others=frozenset(found["not"])
    )


def _frozen(file: Path, lease: Lease, processes: Mapping[int, Process]) -> list[Process]:
    """Find what stands still of a launch, children before their parents."""
    found = []
    for one in processes.values():
        key = (one.pid, one.started)
        if one.state != "T" or key in lease.others or key == lease.root:
            continue
        path = list(_path(one, processes))
        ours = lease.root in path or not lease.also.isdisjoint(path)
        bears = tag(procs.environ(one.pid), str(file.parent.parent))
        if ours or (bears is not None and bears.launch == file.stem):
            found.append((len(path), one))
    return [one for _, one in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _path(one: Process | None, processes: Mapping[int, Process]) -> Iterator[Key]:
    """Give a process and its ancestors, nearest first."""
    seen: Collection[int] = set()
    while one is not None and one.pid not in seen:
        seen = {*seen, one.pid}
        yield one.pid, one.started
        one = processes.get(one.parent)
