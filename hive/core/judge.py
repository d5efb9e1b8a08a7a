"""What all that is heard of a conversation amounts to: whose turn it is, and whether to type.

Trust goes from the process over the agent's own report, its records and hooks, to title, screen
and silence. Whatever shows may add that a person is waited for, and forbid typing; where something
better tells, it never says alone that a turn is over. What is not known is closed: that costs a
delay, while text typed at the wrong moment approves a command.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hive.core import screens
from hive.core.hearing import hear
from hive.core.profile import Profile
from hive.core.screens import Look
from hive.core.signs import Condition, Ear, Evidence, Glimpse, Sign, Source, Sub, Turn

__all__ = ["hear", "is_shell", "judge"]

STEADY = 20.0
"""Seconds for which what shows must say ready where nothing better has said anything."""

SOON = 2.0
"""The same for what tells nothing of itself before its first prompt."""

AGREED = 60.0
"""Seconds for which title and screen must both say ready against a hook that says working."""

SILENT = 3.0
"""Seconds without output after which a program that nobody can read counts as ready."""

REPORTING = 30.0
"""Work so soon after a report is that of reporting: it does not undo it."""

BELIEVED = 300.0
"""Seconds for which a usage limit holds whose end nobody told: then it must be tried."""

LATE = 5.0
"""Seconds by which what shows may be seen later than it was told."""

_TRUST = tuple(Source)
_FORBIDS: Mapping[str, str] = {
    Sub.APPROVAL: "approval",
    Sub.QUESTION: "question",
    Sub.DIALOG: "dialog",
    Sub.LOGIN: "login needed",
    Sub.FULL: "context full",
    Sub.USAGE: "usage limit",
    Sub.RETRYING: "retrying",
}
"""What closes the gate whatever else is said, in this order, and how it is named."""

_ADDS = (*_FORBIDS, Sub.MODEL)
NOTICES = frozenset({Sub.LOGIN, Sub.FULL, Sub.USAGE, Sub.MODEL})
"""What stays on a screen after it was over: `judge` alone says whether it is."""

_BOTH = [Turn.READY, Turn.READY]

_WORDS = {
    Turn.READY: "ready",
    Turn.WORKING: "working",
    Turn.WAITING: "waits for a person",
    Turn.LIMITED: "gets nothing for now",
}


def judge(
    ear: Ear,
    glimpse: Glimpse,
    look: Look | None,
    profile: Profile,
    now: float,
    before: Condition,
    *,
    started: float,
) -> Condition:
    """Say how a conversation stands.

    `look` is the latest at its screen, also where that has not changed since; None before any.
    `before` is what was said last, `started` when its launch began.
    """
    shown = _shown(glimpse, look, profile, now, before)
    evidence = _evidence(ear, shown, started)
    if glimpse.dead:
        sign = Sign(launch=ear.launch, source=Source.PROCESS, at=now, text="its process has ended")
        return _condition(ear, sign, "dead", evidence, now, before)
    edge = _edge(ear, now)
    if profile.turns:
        base = _told(ear, edge, shown, profile, now, started)
    else:
        base = _guessed(ear, glimpse, shown, profile, now)
    added = _added(ear, base, shown, now)
    heard = [one for one in (base, *added) if one]
    best = min(heard, key=_weight, default=None)
    report = _report(ear)
    if report and not (best and best.sub in _FORBIDS):
        best = replace(report, sub=report.sub or Sub.BLOCKED)
    closed = _closed(heard, glimpse, look, profile)
    return _condition(ear, best or _unheard(ear, now), closed, evidence, now, before)


def _unheard(ear: Ear, now: float) -> Sign:
    text = "nothing was heard of it yet"
    return Sign(launch=ear.launch, source=Source.PROCESS, at=now, text=text)


# what is told


def _edge(ear: Ear, now: float) -> Sign | None:
    """Give the newest of its records and hooks; a usage limit that is over was the turn's end."""
    found = [ear.latest[one] for one in (Source.RECORDS, Source.HOOK) if one in ear.latest]
    edge = max(found, key=lambda one: one.at, default=None)
    if edge and edge.turn is Turn.LIMITED and (edge.until or edge.at + BELIEVED) <= now:
        return replace(edge, turn=Turn.READY, sub="", text="its usage limit is over", until=0.0)
    return edge


def _report(ear: Ear) -> Sign | None:
    """Give a report of being blocked that still stands: nothing was worked on since.

    It is made in the middle of a turn, whose rest does not undo it.
    """
    sign = ear.latest.get(Source.REPORT)
    if sign is None or sign.turn is not Turn.WAITING:
        return None
    signs = (ear.latest[one] for one in (Source.RECORDS, Source.HOOK) if one in ear.latest)
    begun = max((one.at for one in signs if one.turn is Turn.WORKING), default=0.0)
    again = sign.at < ear.ended < max(begun, ear.worked)
    return None if again or ear.worked > sign.at + REPORTING else sign


def _working(
    ear: Ear, edge: Sign | None, shown: Mapping[Source, Sign] | None = None, now: float = 0.0
) -> Sign | None:
    """Give a report of work that nothing newer contradicts.

    A report of having done its task says nothing of its turn: that still goes on. One that was
    made behind the turn's end, by a command that the program ran then, holds until all that is
    `shown` says ready.
    """
    sign = ear.latest.get(Source.REPORT)
    if sign is None or sign.turn is not Turn.WORKING or (edge and edge.at >= sign.at):
        return None
    if edge and shown and all(
        one.turn is Turn.READY and now - max(one.at, sign.at) >= SOON for one in shown.values()
    ):  # fmt: skip
        return None
    return sign


def _told(
    ear: Ear,
    edge: Sign | None,
    shown: Mapping[Source, Sign],
    profile: Profile,
    now: float,
    started: float,
) -> Sign | None:
    """Say whose turn it is where the program itself tells."""
    base = _working(ear, edge, shown, now) or edge
    turns = [one.turn for one in shown.values()]
    if base is None or profile.records == "none":
        works = [one for one in shown.values() if one.turn is Turn.WORKING]
        if works and (not base or (base.turn is Turn.READY and works[0].at > base.at)):
            return works[0]
    if base is None:
        since = max((one.at for one in shown.values()), default=now)
        steady = SOON if profile.silent else STEADY
        if set(turns) == {Turn.READY} and now - max(since, started) >= steady:
            return _despite(next(iter(shown.values())), profile)
    elif base.turn is Turn.WORKING and profile.records == "none" and turns == _BOTH:
        since = max(base.at, ear.worked, *(one.at for one in shown.values()))
        if now - since >= AGREED:
            return _despite(shown[Source.TITLE], profile, "its title and its screen say ready")
    return base


def _despite(sign: Sign, profile: Profile, text: str = "") -> Sign:
    silent = [
        name
        for name, how in (("hooks", profile.wiring), ("records", profile.records))
        if how != "none"
    ]
    say = text or f"its {sign.source} says ready"
    return replace(sign, text=f"{say}; its {' and '.join(silent)} are silent")


# what shows


def _shown(
    glimpse: Glimpse, look: Look | None, profile: Profile, now: float, before: Condition
) -> dict[Source, Sign]:
    """Give what title and screen say, each with the time since when it does."""
    found = {}
    looks = ((Source.TITLE, screens.title(glimpse.title, profile)), (Source.SCREEN, look))
    known = before.evidence if before.launch == glimpse.launch else ()
    for source, one in looks:
        if one is None or one.turn is None:
            continue
        text = one.text if one.sub and one.sub != Sub.RETRYING else f"its {source} says so"
        sign = Sign(
            launch=glimpse.launch, source=source, at=now, turn=one.turn, sub=one.sub, text=text
        )
        same = [old.at for old in known if old.source is source and old.text == _says(sign)]
        found[source] = replace(sign, at=min([*same, now]))
    return found


def _added(ear: Ear, base: Sign | None, shown: Mapping[Source, Sign], now: float) -> Iterable[Sign]:
    """Give open questions, and whatever shows that adds to what is told or forbids typing."""
    for key, ask in ear.asks.items():
        text = f"{ask.tool}: {ask.detail}" if ask.detail else ask.tool
        at = ear.asked.get(key, now)
        yield Sign(
            launch=ear.launch, source=Source.HOOK, at=at, turn=Turn.WAITING, sub=Sub.APPROVAL,
            text=text,
        )  # fmt: skip
    for sign in shown.values():
        if sign.sub in NOTICES and _is_past(sign, base, ear, now):
            continue
        if sign.sub in _ADDS or sign.turn is Turn.WORKING:
            yield sign


def _is_past(sign: Sign, base: Sign | None, ear: Ear, now: float) -> bool:
    """Whether a notice is of an earlier turn, or of a usage limit that should be over by now."""
    better = base if base and base.source is not sign.source else None
    if better and (better.turn is Turn.WORKING or better.at > sign.at + LATE):
        return True
    if sign.sub != Sub.USAGE:
        return False
    until = max((one.until for one in ear.latest.values()), default=0.0)
    return sign.at <= until <= now if until else now - sign.at >= BELIEVED


def _guessed(
    ear: Ear, glimpse: Glimpse, shown: Mapping[Source, Sign], profile: Profile, now: float
) -> Sign | None:
    """Say whose turn it is where the program itself does not tell."""
    here = Sign(launch=ear.launch, source=Source.SILENCE, at=min(glimpse.output or now, now))
    if is_shell(profile):
        turn = Turn.READY if glimpse.foreground else Turn.WORKING
        text = "it is at its prompt" if glimpse.foreground else "something has its terminal"
        return replace(here, source=Source.PROCESS, turn=turn, text=text)
    shows = [one for one in shown.values() if one.sub not in _ADDS]
    report = _working(ear, None)
    if report and all(one.at <= report.at for one in shows) and now - report.at < AGREED:
        return report
    if shows or _has_patterns(profile):
        return shows[0] if shows else None
    if now - glimpse.output < SILENT:
        return replace(here, turn=Turn.WORKING, text="it has output")
    if glimpse.raw:
        text = "it is silent and reads keys; nothing better tells"
        return replace(here, turn=Turn.READY, text=text)
    return None


def is_shell(profile: Profile) -> bool:
    """Whether it is a shell, into which plain lines are typed."""
    return not profile.tells and profile.typing.form == "{text}"


def _has_patterns(profile: Profile) -> bool:
    screen, title = profile.screen, profile.title
    return bool(screen.ready or screen.composer or title.ready)


# what it amounts to


def _weight(sign: Sign) -> tuple[int, int]:
    """Order signs: what a person must see first, then by trust."""
    rank = _ADDS.index(sign.sub) if sign.sub in _ADDS else len(_ADDS)
    return rank, _TRUST.index(sign.source)


def _closed(heard: Iterable[Sign], glimpse: Glimpse, look: Look | None, profile: Profile) -> str:
    """Give the first reason for not typing; "" where it is positively at its composer."""
    signs = list(heard)
    subs, turns = {one.sub for one in signs}, {one.turn for one in signs}
    if glimpse.mode:
        return "copy mode"
    if glimpse.shut:
        return "input is off"
    for sub, reason in _FORBIDS.items():
        if sub in subs:
            return reason
    if Turn.LIMITED in turns:
        return "usage limit"
    if Turn.WORKING in turns:
        return "working"
    composer = not profile.screen.composer or (look is not None and look.draft is not None)
    ready = any(one.turn is Turn.READY for one in signs)
    if not (ready or Sub.MODEL in subs) or not composer:
        return "not ready"
    return "" if glimpse.foreground else "a shell instead of the agent"


def _evidence(ear: Ear, shown: Mapping[Source, Sign], started: float) -> tuple[Evidence, ...]:
    signs = {**ear.latest, **shown}
    told = [
        Evidence(source=source, text=_says(signs[source]), at=signs[source].at)
        for source in _TRUST
        if source in signs
    ]
    return (Evidence(source=Source.PROCESS, text="launched", at=started), *told)


def _says(sign: Sign) -> str:
    word = sign.sub or (_WORDS[sign.turn] if sign.turn else "unknown")
    return f"{word}: {sign.text}" if sign.text else word


def _condition(
    ear: Ear,
    sign: Sign,
    closed: str,
    evidence: tuple[Evidence, ...],
    now: float,
    before: Condition,
) -> Condition:
    same = before.launch == ear.launch and (before.turn, before.sub) == (sign.turn, sign.sub)
    return Condition(
        launch=ear.launch,
        turn=sign.turn,
        sub=sign.sub,
        text=sign.text or f"its {sign.source} says so",
        source=sign.source,
        since=min(before.since if same and before.since else sign.at, now),
        until=sign.until,
        worked=ear.worked,
        closed=closed,
        evidence=evidence,
    )
