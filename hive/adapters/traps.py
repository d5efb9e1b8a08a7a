"""What is known to go wrong with which tmux, and what hive does about it.

Pure knowledge, as a table: a version is compared as tmux numbers it (3.3 < 3.3a < 3.4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class Version(NamedTuple):
    """A tmux version: `3.3a` is (3, 3, "a")."""

    major: int
    minor: int
    letter: str = ""

    def __str__(self) -> str:
        """As tmux writes it."""
        return f"{self.major}.{self.minor}{self.letter}"


OLDEST = Version(3, 2, "a")
"""The oldest tmux that hive works with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """A flaw or a surprise: what happens, and what hive does (or what you should do)."""

    what: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A trap and the versions it is in; with `utempter`, only where tmux is built with that."""

    within: Callable[[Version], bool]
    trap: Trap
    utempter: bool = False


_TABLE = (
    _Known(
        within=lambda one: one <= Version(3, 5, "a"),
        utempter=True,
        trap=Trap(
            what="built with utempter, it misses the end of one pane in four: no exit code, "
            "a zombie is left (tmux/tmux#311)",
            answer="hive watches the processes itself, takes the exit code from the launch, and "
            "reminds tmux",
        ),
    ),
    _Known(
        within=lambda one: one < Version(3, 3),
        trap=Trap(
            what="it does not tell which signal ended a pane",
            answer="hive takes it from the launch itself",
        ),
    ),
    _Known(
        within=lambda one: one >= Version(3, 4),
        trap=Trap(
            what="built with systemd, it gives each pane a scope of its own, which may end whole "
            "when one process in it runs out of memory (tmux/tmux#4405)",
            answer="hive starts the agent again; see `OOMPolicy` in systemd's manual",
        ),
    ),
    _Known(
        within=lambda one: one == Version(3, 7),
        trap=Trap(
            what="`break-pane` ends the whole server",
            answer="hive never uses it, but a key of yours may: update to 3.7b",
        ),
    ),
    _Known(
        within=lambda one: one >= Version(3, 8),
        trap=Trap(
            what="the mouse is on by default, so that dragging selects in tmux",
            answer="hive leaves your settings alone: hold Shift, or `set -g mouse off`",
        ),
    ),
)


def parse(text: str) -> Version | None:
    """Read what `tmux -V` prints: `tmux 3.3a`, `tmux next-3.8`, `tmux 3.7-rc2`; None if odd."""
    found = re.search(r"(\d+)\.(\d+)([a-z]?)\b", text)
    return Version(int(found[1]), int(found[2]), found[3]) if found else None


def traps(version: Version, *, utempter: bool) -> list[Trap]:
    """Give the known traps of a version; `utempter` says whether tmux was built with it."""
    return [
        known.trap for known in _TABLE if known.within(version) and (utempter or not known.utempter)
    ]


SURPRISES = {
    r"\bdestroy-unattached\s+(on|1|keep-\w+)": (
        "ends sessions that nobody is attached to",
        "hive switches it off for the sessions it makes; nothing to do",
    ),
    r"\bexit-unattached\s+(on|1)": (
        "ends the server when nobody is attached",
        "remove it, or give hive a tmux server of its own: `[tmux] socket`",
    ),
    r"\bset-hook\b.*\b(after-new-window|after-new-session|session-created|window-linked)\b": (
        "changes new windows and sessions as they are made",
        "hive finds its windows by mark, so names may change; a hook that closes them does harm",
    ),
    r"\bset-hook\b.*\b(pane-died|pane-exited)\b": (
        "acts on panes that ended",
        "a hook that restarts or closes them works against hive: let it skip panes with `@hive`",
    ),
    r"\bremain-on-exit\s+(off|0)\b": (
        "closes panes whose program ended",
        "hive sets its own on its panes; nothing to do",
    ),
    r"\brenumber-windows\s+(on|1)": (
        "gives windows other numbers when one closes",
        "hive finds windows by mark; nothing to do",
    ),
}
"""Lines of a tmux configuration that surprise beside hive: what each does, and what to do."""


def surprises(text: str) -> list[tuple[int, str, str, str]]:
    """Find such lines in a configuration: number, the option as written, what it does, advice."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        for pattern, (does, advice) in SURPRISES.items():
            if match := re.search(pattern, line):
                found.append((number, match[0].strip(), does, advice))
    return found
