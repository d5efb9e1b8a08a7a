"""Which of the things that wait for a person are told now: few notices, and none too many.

A thing is told once it has waited for a while, together with what came soon after it, and again
each time it was open for long. The more there is to tell to somebody who does not answer, the
rarer it is told: what comes meanwhile goes into the next notice. Times are epoch seconds; a clock
that was set back makes nobody wait for the time it showed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hive.core.escalation import Escalation
from hive.core.wording import clean

HOUR, DAY = 3600.0, 86_400.0

MOST = 12
"""So many notices an hour, at most."""

OFTEN = 36
"""After so many in a day there is at most one an hour."""

FREE = 3
"""After so many notices of which nothing was done, each further one is twice as long in coming."""

LEAST = 10.0
"""Seconds between two notices, at least."""

LISTED = 20
"""So many things are given with a notice one by one."""

LONGEST = 200
"""Characters of what is asked that a notice shows."""

INBOX = "hive inbox"

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One thing: since when it is known, when it was told last, since when it is over (0: not)."""

    first: float
    told: float = 0.0
    gone: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What was told: of each thing, by its key; when, in the last day; how often in vain."""

    things: Mapping[str, Told] = field(default_factory=dict)
    notices: tuple[float, ...] = ()
    unanswered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notification: a text that ends with `command`, what to run; `keys` is what it tells."""

    text: str
    command: str
    keys: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to tell now, what to remember of it, and when to decide anew (None: no need)."""

    notice: Notice | None
    memory: Memory
    due: float | None


def key(item: Item) -> str:
    """Give what tells one thing from all others."""
    return f"{item['kind']} {item['id']}"


def decide(
    items: Sequence[Item], memory: Memory, rules: Escalation, now: float, minute: float
) -> Decision:
    """Decide what to tell of the things that wait, those that block most first.

    `minute` is the local time of day.
    """
    memory = _followed(items, memory, rules, now)
    rest = rules.rest(minute)
    heard = [one for one in items if not rest or one["kind"] in rules.urgent]
    chosen = _chosen(heard, memory, rules, now)
    notice = _notice(chosen, memory, len(items)) if chosen else None
    if chosen:
        told = {key(one): replace(memory.things[key(one)], told=now) for one in chosen}
        memory = Memory(
            things={**memory.things, **told},
            notices=(*memory.notices, now),
            unanswered=memory.unanswered + 1,
        )
    due = min(_moments(heard, memory, rules, now))
    if rest and len(heard) < len(items):
        due = min(due, now + rest)
    return Decision(notice=notice, memory=memory, due=None if due == math.inf else due)


def untold(memory: Memory, before: Memory, notice: Notice, at: float) -> Memory:
    """Take back that a notice was told at a moment: it reached nobody. `before` is from before."""
    back = {
        one: replace(told, told=before.things[one].told)
        for one, told in memory.things.items()
        if one in notice.keys and one in before.things and told.told == at
    }
    return Memory(
        things={**memory.things, **back},
        notices=tuple(one for one in memory.notices if one != at),
        unanswered=max(0, memory.unanswered - 1),
    )


def to_dict(memory: Memory) -> dict[str, Any]:
    """Give the memory as JSON-ready values."""
    return asdict(memory)


def from_dict(given: Mapping[str, Any]) -> Memory:
    """Read back what `to_dict` gave, after a trip through JSON."""
    return Memory(
        things={one: Told(**told) for one, told in given.get("things", {}).items()},
        notices=tuple(given.get("notices", ())),
        unanswered=given.get("unanswered", 0),
    )


def _followed(items: Iterable[Item], memory: Memory, rules: Escalation, now: float) -> Memory:
    """Note what is new and what is over.

    What was told and is over is known for a moment more: it may only have flickered.
    """
    things = {}
    for one in map(key, items):
        known = memory.things.get(one) or Told(first=now)
        things[one] = Told(first=min(known.first, now), told=min(known.told, now))
    unanswered = memory.unanswered
    for one, known in memory.things.items():
        if one in things or not known.told:
            continue
        gone = min(known.gone, now) or now
        unanswered = unanswered if known.gone else 0  # somebody has done something
        if now - gone <= max(rules.wait, rules.group):
            things[one] = replace(known, told=min(known.told, now), gone=gone)
    kept = (min(at, now) for at in memory.notices)
    return Memory(
        things=things,
        notices=tuple(at for at in kept if now - at < DAY),
        unanswered=unanswered,
    )


def _chosen(items: Iterable[Item], memory: Memory, rules: Escalation, now: float) -> list[Item]:
    """Give the things to tell now: all that have waited long enough, once one of them must be."""
    found = list(items)
    if min(_moments(found, memory, rules, now)) > now:
        return []
    return [one for one in found if _ripe(memory.things[key(one)], rules) <= now]


def _ripe(told: Told, rules: Escalation) -> float:
    """Give from when on a thing may be told, or told again."""
    if not told.told:
        return told.first + rules.wait
    return told.told + rules.remind if rules.remind else math.inf


def _moments(
    items: Iterable[Item], memory: Memory, rules: Escalation, now: float
) -> tuple[float, ...]:
    """Give when a notice is due for what is new, for what is urgent, and for what is still open."""
    last = memory.notices[-1] if memory.notices else -math.inf
    new = urgent = again = math.inf
    for one in items:
        told = memory.things[key(one)]
        ripe = _ripe(told, rules)
        if told.told:
            again = min(again, ripe)
        elif one["kind"] in rules.urgent:
            urgent = min(urgent, ripe + rules.group)
        else:
            new = min(new, ripe + rules.group)
    least = _least(memory, now, max(rules.group, LEAST))
    return (
        max(new, last + _pause(memory, rules, now), least),
        max(urgent, least),
        max(again, last + rules.remind / 4, least),
    )


def _least(memory: Memory, now: float, pause: float) -> float:
    """Give the first moment at which there may be any notice."""
    recent = [at for at in memory.notices if now - at < HOUR]
    last = memory.notices[-1] + pause if memory.notices else -math.inf
    return max(last, recent[-MOST] + HOUR) if len(recent) >= MOST else last


def _pause(memory: Memory, rules: Escalation, now: float) -> float:
    """Give how long to be quiet after the last notice: the longer the more there were in vain."""
    recent = sum(now - at < HOUR for at in memory.notices)
    steps = max(0, memory.unanswered - FREE, recent - 2 * FREE)
    base = max(rules.group, LEAST)
    if len(memory.notices) >= OFTEN or steps > math.log2(max(HOUR / base, 1)):
        return max(HOUR, rules.group)
    return base * 2.0**steps


def _notice(chosen: Sequence[Item], memory: Memory, open_: int) -> Notice:
    """Put things into words: one with the command that answers it, several with the inbox's."""
    still = all(memory.things[key(one)].told for one in chosen)
    keys = tuple(map(key, chosen))
    items = tuple(_shortened(one) for one in chosen[:LISTED])
    others = open_ - len(chosen)
    if len(chosen) == 1:
        (one,) = items
        command = one["answer"].partition("   #")[0]
        waits = "still waits" if still else "waits"
        more = f" (and {others} more)" if others else ""
        what = f"{one['agent']} {waits} for you: {one['kind']} {one['id']}: {one['asked']}{more}"
        if one["id"] == one["agent"]:
            what = f"{one['agent']} {waits} for you: {one['kind']}: {one['asked']}{more}"
        return Notice(text=clean(f"{what}; {command}"), command=command, keys=keys, items=items)
    kinds = Counter(one["kind"] for one in chosen)
    listed = ", ".join(f"{kind} ×{many}" if many > 1 else kind for kind, many in kinds.items())  # noqa: RUF001 - it is a times sign
    waits = "still wait" if still else "wait"
    more = f", {open_} in all" if others else ""
    text = f"{len(chosen)} things {waits} for you ({listed}{more}); {INBOX}"
    return Notice(text=clean(text), command=INBOX, keys=keys, items=items)


def _shortened(item: Item) -> dict[str, Any]:
    """Give a thing with its long texts cut down, but for the command."""
    long = {
        name: f"{text[: LONGEST - 1]}…"
        for name, text in item.items()
        if isinstance(text, str) and len(text) > LONGEST and name != "answer"
    }
    return {**item, **long}
