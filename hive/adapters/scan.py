"""Find everything of this hive without its supervisor, its store or tmux's good will.

Processes are known by what is in their environment, panes by their mark, and both only count
where they name exactly this state directory or this instance. The caller and its ancestors are
never among them: a person may type `hive` in an agent's own window.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hive.adapters import control, guard, procs, tmux
from hive.adapters.panes import Mark
from hive.adapters.state import State
from hive.adapters.supervisors import supervisors
from hive.core.trees import Process
from hive.errors import HiveError

TIMEOUT = 3.0
"""Seconds a tmux server gets to answer before it is taken for hung."""

BRIEF = 1.0
"""The same, for a server that hive is not known to use."""

BATCH = 50
"""How many panes one tmux command closes: tmux takes 16 KiB of words at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """What runs of this hive: guards, workers, and the rest.

    The rest is what agents started, whoever its parent is by now, and what a worker started for
    itself (a probe's command, a tmux client).
    """

    guards: tuple[Process, ...] = ()
    workers: tuple[Process, ...] = ()
    others: tuple[Process, ...] = ()

    @property
    def all(self) -> tuple[Process, ...]:
        """All of them, in the order in which they are to end."""
        return (*self.guards, *self.workers, *self.others)

    @property
    def supervisors(self) -> tuple[Process, ...]:
        """Guards and workers."""
        return (*self.guards, *self.workers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A pane that bears our mark, and the path of its tmux server's socket."""

    socket: str
    mark: Mark

    def __str__(self) -> str:
        """As a person would look for it."""
        whose = self.mark.agent or "hive itself"
        return f"{self.mark.pane} of {whose} in {self.mark.session} on {self.socket}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panes:
    """Our panes, the one the caller itself sits in (`own`), and servers that can't be asked."""

    found: tuple[Place, ...] = ()
    own: tuple[Place, ...] = ()
    hung: tuple[str, ...] = ()


def lineage() -> tuple[int, ...]:
    """Give this process and its ancestors, the nearest first."""
    found: list[int] = []
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.append(pid)
        one = procs.process(pid)
        pid = one.parent if one else 0
    return tuple(found)


def processes(state: State) -> Processes:
    """Find the living processes of this hive, the caller and its ancestors left out."""
    root = str(state.root)
    table = procs.Procs(state=root)
    try:
        seen = {pid: one for pid, one in table.look().items() if not one.dead}
        tagged = set(table.tags())
    finally:
        table.close()
    marked = {pid for pid in seen if procs.environ(pid).get(guard.MARK) == root}
    kinds = {pid: kind for pid, _, kind in supervisors(root) if pid in seen}
    guards = {pid for pid, kind in kinds.items() if kind == "guard"}
    workers = kinds.keys() - guards
    mine = set(lineage())
    roots = tagged | marked | _launchers(seen, f"{state.launches}/")
    others = _with_children(seen, roots) - guards - workers - mine
    return Processes(
        guards=_sorted(seen, guards - mine),
        workers=_sorted(seen, workers - mine),
        others=_sorted(seen, others),
    )


def own(state: State) -> tuple[Process, ...]:
    """Give those of the caller's ancestors that an agent of this hive started, nearest first."""
    tagged = procs.pids_with(str(state.root))
    return tuple(tagged[pid] for pid in lineage()[1:] if pid in tagged)


def inside(state: State) -> str:
    """Give the id of the agent of this hive whose program started the caller, or ""."""
    table = procs.Procs(state=str(state.root))
    try:
        table.look()
        tags = table.tags()
    finally:
        table.close()
    return next((tags[pid].agent for pid in lineage() if pid in tags), "")


def sockets(known: Iterable[str]) -> dict[str, bool]:
    """Give the paths of all tmux sockets to look at.

    `known` are sockets as agents name them. True stands for those that hive is known to use: only
    they matter when they don't answer. The others are of whatever tmux servers run here.
    """
    named = {str(control.path(socket)) for socket in ("", *known)}
    found = {path: True for path in named if Path(path).exists()}
    table = procs.Procs(state="")
    try:
        servers = [pid for pid, one in table.look().items() if one.name.startswith("tmux")]
    finally:
        table.close()
    beside = control.path("").parent
    paths = {_server_socket(pid) for pid in servers}
    paths |= {str(path) for path in beside.iterdir()} if beside.is_dir() else set()
    for path in paths:
        if path and Path(path).is_socket():
            found.setdefault(path, False)
    return found


def panes(instance: str, looked_at: Mapping[str, bool], timeout: float = TIMEOUT) -> Panes:
    """Find the panes that bear the mark of `instance` on these sockets (see `sockets`)."""
    if not instance or not looked_at or shutil.which("tmux") is None:
        return Panes()
    with ThreadPoolExecutor(max_workers=min(8, len(looked_at))) as pool:
        waits = [timeout if known else min(timeout, BRIEF) for known in looked_at.values()]
        answers = list(pool.map(_marks, looked_at, waits))
    mine = set(lineage())
    ours, hung = [], []
    for path, answer in zip(looked_at, answers, strict=True):
        if not isinstance(answer, str):
            ours += [Place(socket=path, mark=mark) for mark in answer if mark.instance == instance]
        elif looked_at[path]:
            hung.append(f"the tmux server on {path}: {answer}")
    return Panes(
        found=tuple(one for one in ours if one.mark.pid not in mine),
        own=tuple(one for one in ours if one.mark.pid in mine),
        hung=tuple(hung),
    )


def close(places: Collection[Place], timeout: float = TIMEOUT) -> None:
    """Close these panes, each only if it still bears the mark it was found with.

    A server that does not answer in time keeps them.
    """
    for socket in sorted({place.socket for place in places}):
        words = [_closing(place.mark) for place in places if place.socket == socket]
        for at in range(0, len(words), BATCH):
            joined = [word for one in words[at : at + BATCH] for word in (*one, ";")][:-1]
            _tmux(socket, joined, timeout)


def instance(state: State) -> str:
    """Give the name of this hive, "" where it was never used; makes nothing.

    Raises HiveError where the name is damaged.
    """
    return state.instance if (state.root / "instance").exists() else ""


def _launchers(seen: Mapping[int, Process], folder: str) -> set[int]:
    """Give the roots of our panes: they bear no tag, but name a launch file of ours."""
    found = set()
    for pid, one in seen.items():
        if one.name.lower().startswith(("perl", "python")):
            words = procs.command(pid)
            if words and words[-1].startswith(folder) and "launcher." in " ".join(words[:-1]):
                found.add(pid)
    return found


def _with_children(seen: Mapping[int, Process], roots: set[int]) -> set[int]:
    """Add all descendants; a tmux server is no one's child, however it was started."""
    children: dict[int, list[int]] = {}
    for pid, one in seen.items():
        if not one.name.startswith("tmux: server"):
            children.setdefault(one.parent, []).append(pid)
    found, waiting = set(roots), list(roots)
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return found


def _sorted(seen: Mapping[int, Process], pids: Iterable[int]) -> tuple[Process, ...]:
    return tuple(seen[pid] for pid in sorted(pids))


def _server_socket(pid: int) -> str:
    """Give the socket a tmux process was told to use; "" where its words don't say."""
    words = iter(procs.command(pid)[1:])
    for word in words:
        if not word.startswith("-"):
            break
        if word[:2] in {"-S", "-L"}:
            return _named(pid, word[:2], word[2:] or next(words, ""))
        if word[:2] in {"-f", "-c", "-T"} and len(word) == 2:
            next(words, "")
    return ""


def _named(pid: int, option: str, value: str) -> str:
    if option == "-S":
        return value if value.startswith("/") else ""
    base = procs.environ(pid).get("TMUX_TMPDIR") or "/tmp"  # noqa: S108 - tmux's own default
    return str(Path(base, f"tmux-{os.getuid()}", value))


def _marks(path: str, timeout: float) -> list[Mark] | str:
    """Ask one server; gives why where it can't be asked."""
    try:
        return tmux.marks(path, timeout)
    except HiveError as error:
        return error.what


def _closing(mark: Mark) -> tuple[str, ...]:
    ours = f"#{{||:#{{==:#{{@hive}},{mark.instance}}},#{{==:#{{@hive_own}},{mark.instance}}}}}"
    return ("if-shell", "-F", "-t", mark.pane, ours, f"kill-pane -t {mark.pane}")


def _tmux(socket: str, words: list[str], timeout: float) -> None:
    command = [*control.argv(socket), *words]
    try:
        subprocess.run(
            command,
            env=control.environment(),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return  # the next look still finds them
