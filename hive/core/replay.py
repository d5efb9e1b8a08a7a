"""What happened in a team's hours, in order: told by several sources, each thing once.

Times are epoch seconds. The sources are translated into moments first, then put together.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hive.core.checkin import CheckIn, Verdict
from hive.core.journal import Kept, Said, Screen
from hive.core.outlook import how
from hive.core.past import Death, Event
from hive.core.wording import span

FOLDED = 900.0
"""Seconds within which what is alike is told in one line."""

NOISE = frozenset({"throttled", "memory", "limits", "pressure", "paused", "resumed", "swept"})
"""The kinds of which one line tells all, whatever each of them says."""

EXCERPT = 100
"""How many characters of a message, or of a handoff's note, are told."""

DULL = frozenset({"waiting", "ready"})
"""The states of a task in which nobody does anything about it."""

QUOTED = frozenset({"message", "handoff"})
"""The kinds of which events do not tell what was said."""

_QUOTE = ': "'
_NAME = re.compile(r"(m-\d+|t-\d+|r-\d+|[AQ]\d+)\b")
_NUMBERS = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened to an agent, or ("") to hive itself.

    `screen` is what the agent's window showed then, `ref` what it is about: `t-12`, `m-31`, `A7`.
    """

    at: float
    agent: str
    kind: str
    text: str
    screen: str = ""
    ref: str = ""


class End(Death, Protocol):
    """How a launch of an agent ended."""

    @property
    def agent(self) -> str: ...  # noqa: D102


class Step(Protocol):
    """A step of a task's story, as the queue keeps it."""

    @property
    def task(self) -> int: ...  # noqa: D102
    @property
    def at(self) -> float: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def agent(self) -> str: ...  # noqa: D102
    @property
    def why(self) -> str: ...  # noqa: D102


# the sources, each as moments


def happened(events: Iterable[Event], stories: Collection[int] = ()) -> list[Moment]:
    """Tell events, but for those of tasks whose story is told itself."""
    told_too = {f"t-{one}" for one in stories}
    return [
        Moment(at=one.at, agent=one.agent, kind=one.kind, text=one.text, ref=_named(one.text))
        for one in events
        if one.kind != "task" or _named(one.text) not in told_too
    ]


def ended(deaths: Iterable[End]) -> list[Moment]:
    """Tell how launches ended, with their last screens."""
    return [
        Moment(
            at=one.at,
            agent=one.agent,
            kind="stopped" if one.asked else "died",
            text=f"{how(one.code, one.cause)}; then hive: {one.next}",
            screen=one.screen.rstrip(),
        )
        for one in deaths
    ]


def checked_in(check_ins: Iterable[CheckIn]) -> list[Moment]:
    """Tell the check-ins that said something new."""
    return [
        Moment(
            at=one.evidence.at,
            agent=one.evidence.agent,
            kind="check-in",
            text=one.line,
            ref=one.evidence.task,
        )
        for one in check_ins
        if one.changes or one.verdict is Verdict.MISSED
    ]


def told(steps: Iterable[Said]) -> list[Moment]:
    """Tell how far messages came; the first step of each with the beginning of its text."""
    found, seen = [], set()
    for one in steps:
        name = f"m-{one.number}"
        text = f"{name} {one.stage}: {one.why}"
        if one.number not in seen:
            text += f'{_QUOTE}{excerpt(one.text)}"'
        seen.add(one.number)
        found.append(Moment(at=one.at, agent=one.agent, kind="message", text=text, ref=name))
    return found


def worked(steps: Iterable[Step], titles: Mapping[int, str]) -> list[Moment]:
    """Tell what became of tasks, but for their waiting; `titles` are by number, where known."""
    found = []
    for one in steps:
        if one.state in DULL:
            continue
        title = f" ({titles[one.task]})" if titles.get(one.task) else ""
        text = f"t-{one.task}{title} {one.state}: {one.why}"
        found.append(
            Moment(at=one.at, agent=one.agent, kind="task", text=text, ref=f"t-{one.task}")
        )
    return found


def handed(kept: Iterable[Kept]) -> list[Moment]:
    """Tell handoffs, each at the one who gave it."""
    found = []
    for one in kept:
        note = excerpt(str(one.body.get("note") or ""))
        target = one.target.split("/", 1)[-1] or "whoever is next"
        text = f"it hands over to {target}" + (f'{_QUOTE}{note}"' if note else "")
        found.append(Moment(at=one.at, agent=one.source, kind="handoff", text=text, ref=one.run))
    return found


# all of them together


def replay(
    *sources: Iterable[Moment], screens: Iterable[Screen] = (), since: float, until: float
) -> tuple[Moment, ...]:
    """Give all that happened from `since` until `until`, in order.

    What two sources tell is told once, in the words of the first; what is alike is folded into
    the first of it. A screen stands at the moment it was kept for. Of one time, what the first
    source tells comes first.
    """
    found = [one for source in sources for one in source if since <= one.at <= until]
    found = _once(sorted(found, key=lambda one: one.at))
    shown = [one for one in screens if since <= one.at <= until]
    return _folded(_with_screens(found, shown))


def _once(moments: Iterable[Moment]) -> list[Moment]:
    """Give each thing once; what the later source knows beyond the first is added to it."""
    found: dict[tuple[str, str, int, str], Moment] = {}
    for one in moments:
        key = (one.agent, one.kind, round(one.at * 1000), _gist(one))
        known = found.get(key)
        if known is None:
            found[key] = one
            continue
        _, quote, words = one.text.partition(_QUOTE)
        more = quote + words if one.kind in QUOTED and _QUOTE not in known.text else ""
        found[key] = replace(
            known,
            text=known.text + more,
            screen=known.screen or one.screen,
            ref=known.ref or one.ref,
        )
    return list(found.values())


def _gist(one: Moment) -> str:
    """Give by what two tellings of one thing are known to be the same."""
    if one.kind in {"died", "stopped", "handoff"}:
        return ""
    return one.text.partition(":")[0] if one.kind == "message" else one.text


def _with_screens(moments: Sequence[Moment], screens: Iterable[Screen]) -> list[Moment]:
    """Put screens at their moments; one whose moment is gone becomes its own."""
    found = list(moments)
    places: dict[tuple[str, int], list[int]] = {}
    for place, one in enumerate(found):
        places.setdefault((one.agent, round(one.at * 1000)), []).append(place)
    alone = []
    for screen in screens:
        here = places.get((screen.agent, round(screen.at * 1000)), [])
        free = [place for place in here if not found[place].screen]
        exact = [
            place for place in free if called(found[place].kind, found[place].text) == screen.why
        ]
        if exact or free:
            place = (exact or free)[0]
            found[place] = replace(found[place], screen=screen.text)
        else:
            alone.append(
                Moment(
                    at=screen.at,
                    agent=screen.agent,
                    kind="screen",
                    text=screen.why,
                    screen=screen.text,
                )
            )
    return sorted([*found, *alone], key=lambda one: one.at)


def called(kind: str, text: str) -> str:
    """Give the words by which a screen says for which event it was kept."""
    return f"{kind}: {text}"


# folding


@dataclass(slots=True, kw_only=True)
class _Fold:
    """Moments that are alike."""

    first: Moment
    last: Moment
    many: int = 1
    stages: tuple[str, ...] = ()


def _folded(moments: Iterable[Moment]) -> tuple[Moment, ...]:
    """Tell in one line what is alike; what is loud in between begins another."""
    folds: list[_Fold] = []
    open_: dict[str, dict[tuple[str, ...], _Fold]] = {}
    for one in moments:
        mine = open_.setdefault(one.agent, {})
        key, loud = _alike(one)
        fold = mine.get(key)
        if fold and not one.screen and one.at - fold.first.at <= FOLDED:
            fold.last, fold.many = one, fold.many + 1
            fold.stages += (_stage(one),)
            continue
        if loud:
            mine.clear()
        folds.append(fold := _Fold(first=one, last=one))
        if not one.screen:
            mine[key] = fold
    return tuple(_line(fold) for fold in folds)


def _alike(one: Moment) -> tuple[tuple[str, ...], bool]:
    """Give what a moment has in common with those it is folded with, and whether it is loud."""
    if one.kind == "message":
        return ("message", one.ref), False
    if one.kind in NOISE or (one.kind == "talk" and one.text.startswith(("working", "ready"))):
        return (one.kind,), False
    return (one.kind, one.ref, _NUMBERS.sub("#", one.text)), True


def _line(fold: _Fold) -> Moment:
    one = fold.first
    if fold.many == 1:
        return one
    if one.kind == "message":
        return replace(one, text=" → ".join((one.text, *fold.stages)))
    took = span(fold.last.at - one.at)
    return replace(one, text=f"{fold.many} times in {took}, at last: {fold.last.text}")


def _stage(one: Moment) -> str:
    return one.text.partition(":")[0].rpartition(" ")[2]


def _named(text: str) -> str:
    found = _NAME.match(text)
    return found[0] if found else ""


def excerpt(text: str) -> str:
    """Give the beginning of a text, as one line."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1]}…"


def pauses(times: Iterable[float], speed: float, longest: float) -> list[float]:
    """Give for how many seconds to wait before each moment, `speed` times as fast as it was."""
    found: list[float] = []
    before: float | None = None
    for at in times:
        found.append(0.0 if before is None else min(max(0.0, at - before) / speed, longest))
        before = at
    return found
