"""Locks: what a name means, which ones are in each other's way, and who waits in a circle.

A name is `kind:value` (`port:3000`, `db:test`) or one plain word. A path is below the project's
directory, or absolute; it overlaps with every path that it lies in or that lies in it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hive.core.tasks import Held, Want
from hive.errors import WrongInput

_KIND = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):(.*)", re.DOTALL)
_WORD = re.compile(r"[\w.#@+-]+")
_SHARED = re.compile(r"shared\s+(.*)|(.*?)\s*\(shared\)", re.DOTALL)
_LONGEST = 500
_FORM = "name what it guards: `port:3000`, `path:src/api`, `db:test`, or one word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Who waits since when for what somebody has: a lock by its name, or `a reply`."""

    who: str
    wants: str
    holder: str
    since: float
    priority: int


def want(value: str | Mapping[str, object]) -> Want:
    """Read one lock: `port:3000`, `shared path:src`, `path:src (shared)`, {name, shared}.

    Raises WrongInput.
    """
    if isinstance(value, str):
        found = _SHARED.fullmatch(value.strip())
        text = (found[1] or found[2] or "") if found else value
        return Want(name=_name(text, value), shared=found is not None)
    name, shared = value.get("name"), value.get("shared", False)
    if (
        not isinstance(name, str)
        or not isinstance(shared, bool)
        or value.keys() - {"name", "shared"}
    ):
        what = f"{dict(value)} is no lock"
        raise WrongInput(what, fix='write it as in { name = "path:src", shared = true }')
    return Want(name=_name(name, name), shared=shared)


def wants(values: Iterable[str | Mapping[str, object]]) -> tuple[Want, ...]:
    """Read the locks of one task, in the order in which they are taken; raises WrongInput.

    A lock that is named twice is shared only if both times say so.
    """
    found: dict[str, Want] = {}
    for one in map(want, values):
        both = one.shared and found.get(one.name, one).shared
        found[one.name] = Want(name=one.name, shared=both)
    return tuple(found[name] for name in sorted(found))


def above(name: str) -> tuple[str, ...]:
    """Give the names of the locks that a path lies in, nearest first: `path:src`, `path:.`.

    Two names overlap if they are equal, or if one is among those above the other.
    """
    kind, _, path = name.partition(":")
    found = []
    while kind == "path" and path not in {".", "/"}:
        path = posixpath.dirname(path) or "."
        found.append(f"path:{path}")
    return tuple(found)


def conflict(one: Want | Held, other: Want | Held) -> bool:
    """Whether two can't be held at the same time."""
    if one.shared and other.shared:
        return False
    return one.name == other.name or one.name in above(other.name) or other.name in above(one.name)


def in_way(
    wants: Iterable[Want], held: Iterable[Held], task: int = 0, agent: str = ""
) -> list[Held]:
    """Give the held locks that are in the way of these.

    What the task itself has is not, nor what the agent took for itself.
    """
    wanted = tuple(wants)
    others = (one for one in held if not _own(one, task, agent))
    return [one for one in others if any(conflict(need, one) for need in wanted)]


def cycle(waits: Iterable[Wait]) -> tuple[Wait, ...]:
    """Give waits that form a circle, each holder being the next one's waiter; () if none do."""
    left = sorted(waits, key=lambda one: (one.who, one.holder, one.wants))
    while True:  # who waits only for somebody that can go on is in no circle
        stuck = {one.who for one in left}
        rest = [one for one in left if one.holder in stuck]
        if len(rest) == len(left):
            break
        left = rest
    if not left:
        return ()
    by_who = {one.who: one for one in reversed(left)}
    path, who = [], left[0].who
    while who not in path:
        path.append(who)
        who = by_who[who].holder
    circle = path[path.index(who) :]
    first = circle.index(min(circle))
    return tuple(by_who[one] for one in circle[first:] + circle[:first])


def victim(circle: Sequence[Wait]) -> Wait:
    """Choose whose wait is broken off: the lowest priority, of these the youngest wait."""
    return min(circle, key=lambda one: (one.priority, -one.since, one.who))


def sentence(circle: Sequence[Wait]) -> str:
    """Say for people who waits for whom in a circle, and whose wait is broken off and why."""
    gone = victim(circle)
    waits = ", ".join(
        f"{_short(one.who)} waits for {one.wants} of {_short(one.holder)}" for one in circle
    )
    why = "of those with the lowest priority it began to wait last"
    if len(circle) == 1:
        why = "it waits for itself"
    elif sum(one.priority == gone.priority for one in circle) == 1:
        why = "it has the lowest priority"
    return f"nobody can go on: {waits}; {_short(gone.who)} gives way, as {why}"


def _short(who: str) -> str:
    """Name an agent as people do, without its project; a task's name stays."""
    return who.split("/", 1)[-1]


def _own(one: Held, task: int, agent: str) -> bool:
    if one.task:
        return one.task == task
    return bool(agent) and one.agent == agent


def _name(text: str, given: str) -> str:
    text = text.strip()
    bad = len(text) > _LONGEST or not text.isprintable() or _SHARED.fullmatch(text)
    if bad or text in {"", "shared"}:
        raise WrongInput(f"`{given[:80]}` names no lock", fix=_FORM)
    if found := _KIND.fullmatch(text):
        return _of_kind(found[1].lower(), found[2].strip(), given)
    if not _WORD.fullmatch(text):
        fix = f"if it is a path: `path:{text}`" if "/" in text else _FORM
        raise WrongInput(f"the lock `{given}` is neither one word nor `kind:value`", fix=fix)
    return text


def _of_kind(kind: str, value: str, given: str) -> str:
    if not value:
        raise WrongInput(f"the lock `{given}` does not say which {kind}", fix=_FORM)
    if kind == "path":
        return f"path:{_path(value, given)}"
    if kind == "port":
        if not (value.isascii() and value.isdigit() and 0 < int(value) < 1 << 16):
            raise WrongInput(f"the lock `{given}` is no port", fix="a port is 1 to 65535")
        return f"port:{int(value)}"
    return f"{kind}:{value}"


def _path(value: str, given: str) -> str:
    path = posixpath.normpath(value)
    if path == ".." or path.startswith("../"):
        what = f"the lock `{given}` is outside of the project's directory"
        raise WrongInput(what, fix="name a path below it, or an absolute one")
    return f"/{path.lstrip('/')}" if path.startswith("/") else path
