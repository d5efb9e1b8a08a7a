"""Which process belongs to which agent, and how much of the processor each agent uses.

Nearest wins: a process is what the pane it is the root of says, or what its own tag says, or
what it was at the last look, or what its parent is. So a process that drops its environment
and leaves its parents stays with its agent, as long as it was seen once before it left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hive.core.trees import Process, Tag
from hive.core.world import Tree

Key = tuple[int, int]
"""A process's pid and start time."""

Count = tuple[int, float]
"""A process's parent, and a counter of it that only grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """The processes by agent, and whose each process is: what the next look needs to know."""

    trees: Mapping[str, Tree]
    known: Mapping[Key, Tag]


def belonging(
    processes: Mapping[int, Process],
    tags: Mapping[int, Tag],
    *,
    roots: Mapping[int, Tag],
    current: Mapping[str, str],
    never: Collection[int] = (),
    before: Mapping[Key, Tag] | None = None,
) -> Belonging:
    """Find each agent's living processes.

    `roots` names the roots of panes, `current` each agent's latest launch: processes of another
    launch are strays. `never` are pids that belong to nobody, whatever they bear: tmux servers.
    `before` is what the last look knew.
    """
    look = _Look(processes, tags, roots, never, before or {})
    known: dict[Key, Tag] = {}
    mine: dict[str, list[Process]] = defaultdict(list)
    strays: dict[str, list[Process]] = defaultdict(list)
    for pid, process in processes.items():
        tag = look.owner(pid)
        if tag is None or process.dead:
            continue
        known[pid, process.started] = tag
        latest = current.get(tag.agent) == tag.launch
        (mine if latest else strays)[tag.agent].append(process)
    trees = {
        agent: Tree(current=tuple(mine.get(agent, ())), strays=tuple(strays.get(agent, ())))
        for agent in mine.keys() | strays.keys()
    }
    return Belonging(trees=trees, known=known)


class _Look:
    """One look, and the owners found in it so far."""

    def __init__(
        self,
        processes: Mapping[int, Process],
        tags: Mapping[int, Tag],
        roots: Mapping[int, Tag],
        never: Collection[int],
        before: Mapping[Key, Tag],
    ) -> None:
        self._processes = processes
        self._tags = tags
        self._roots = roots
        self._never = frozenset(never)
        self._before = before
        self._found: dict[int, Tag | None] = dict.fromkeys(self._never)

    def owner(self, pid: int) -> Tag | None:
        """Whose a process is: what it is itself, or what the nearest ancestor is."""
        path = []
        tag = None
        while pid in self._processes and pid not in self._found:
            path.append(pid)
            tag = self._itself(self._processes[pid])
            self._found[pid] = tag  # ends the walk, should the table ever hold a circle
            if tag:
                break
            pid = self._processes[pid].parent
        else:
            tag = self._found.get(pid)
        self._found.update(dict.fromkeys(path, tag))
        return tag

    def _itself(self, process: Process) -> Tag | None:
        pid = process.pid
        if pid in self._roots:
            return self._roots[pid]
        if pid in self._tags and not self._newborn(process):
            return self._tags[pid]
        return self._before.get((pid, process.started))

    def _newborn(self, process: Process) -> bool:
        """Whether a tmux server has just forked it, so that the tag it shows is the server's."""
        parent = self._processes.get(process.parent)
        return parent is not None and parent.pid in self._never and parent.name == process.name


def usage(
    before: Mapping[str, Tree], after: Mapping[str, Tree], seconds: float
) -> dict[str, float]:
    """Give the cores each agent used between two looks, its children that ended included.

    An agent that was not there at the earlier look is left out: when its processes used what
    they used is not known. The end of a child that was not waited for at once may count double.
    """
    if seconds <= 0:
        return {}
    return {
        agent: 0.0 if tree == before[agent] else used(_all(before[agent]), _all(tree)) / seconds
        for agent, tree in after.items()
        if agent in before
    }


def _all(tree: Tree) -> dict[Key, Process]:
    return {(one.pid, one.started): one for one in (*tree.current, *tree.strays)}


def used(before: Mapping[Key, Process], after: Mapping[Key, Process]) -> float:
    """Give the seconds used between two looks: what counters gained, less what they inherited."""
    return gained(
        {key: (one.parent, one.cpu) for key, one in before.items()},
        {key: (one.parent, one.cpu) for key, one in after.items()},
    )


def gained(before: Mapping[Key, Count], after: Mapping[Key, Count]) -> float:
    """Give what counters gained between two looks, less what they inherited.

    Where a process ends, the one that waits for it takes its counter over.
    """
    inherited = _inherited(before, after)
    total = 0.0
    for key, (_, count) in after.items():
        gain = count - (before[key][1] if key in before else 0.0)
        for past in sorted(inherited.get(key, ()), reverse=True):
            if past <= gain:  # else this child was not waited for here
                gain -= past
        total += max(0.0, gain)
    return total


def _inherited(before: Mapping[Key, Count], after: Mapping[Key, Count]) -> dict[Key, list[float]]:
    """Give, by the ancestor that may have waited for it, what each ended process had used."""
    keys = {pid: (pid, started) for pid, started in before}
    found: dict[Key, list[float]] = defaultdict(list)
    for gone in before.keys() - after.keys():
        heir = keys.get(before[gone][0])
        for _ in before:  # as many steps as there can be, should there ever be a circle
            if heir is None or heir in after:
                break
            heir = keys.get(before[heir][0])
        if heir is not None and heir in after:
            found[heir].append(before[gone][1])
    return found
