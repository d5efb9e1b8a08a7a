"""Check-ins: how an agent gets on, told from evidence; it is asked only where that says too little.

Times are epoch seconds, 0 where something never happened.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from hive.core.rhythm import CHECK_IN
from hive.core.shown import STALLED
from hive.core.signs import Sub, Turn
from hive.core.wording import clean, count, span
from hive.core.world import State


class Verdict(StrEnum):
    """What a check-in comes to."""

    WORKING = "working"
    IDLE = "idle"
    WAITING = "waiting"
    QUIET = "quiet"
    MISSED = "missed"
    DOWN = "down"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of one agent at one moment, gathered without asking it.

    `state`, `sub` and `reason` are those of `hive status`. `turn_at` is since when its turn is
    what it is, `worked` when there was its latest own evidence of work. `task` is what it has
    (`t-12`, "" for none), `about` that task's text; without a task, that of a brief that is open.
    `progress` is what it last said of it, at `progressed`; `checked` what became of the task's
    check, as a sentence. `waits` is what it waits for though its turn is over ("a person's answer
    to Q8", "its check runs"). `message` is the latest thing that it reported, at `reported`.
    `files` are the changed files of its work tree, `head` is the commit (hash) it is at, `commits`
    are the subjects of its commits since the check-in before, `trouble` is what git has in the way
    ("a rebase is not ended"). `cores`, `bytes`, `tokens`, `cost` (dollars) are what it uses.
    """

    agent: str
    at: float
    state: str
    sub: str = ""
    reason: str = ""
    speaks: bool = False
    paused: str = ""
    turn_at: float = 0.0
    worked: float = 0.0
    task: str = ""
    about: str = ""
    progress: str = ""
    progressed: float = 0.0
    checked: str = ""
    waits: str = ""
    message: str = ""
    reported: float = 0.0
    branch: str = ""
    head: str = ""
    files: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    trouble: str = ""
    cores: float = 0.0
    bytes: int = 0
    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckIn:
    """One check-in: its evidence, what that comes to, and a line that says so.

    `changes` are sentences about what is new since the one before (none: nothing is). `asked` is
    when the agent was asked because the evidence said too little, `answer` its answer; both stay
    with the check-ins that follow for as long as it is not asked again. `number` is given by the
    store.
    """

    evidence: Evidence
    verdict: Verdict
    line: str
    changes: tuple[str, ...] = ()
    asked: float = 0.0
    answer: str = ""
    number: int = 0


SAID = 120
"""How many characters of what an agent wrote are told."""

TITLE = 40
"""How many of a task's text."""

FEW = 3
"""How many files and commits are named one by one."""

SAVED = "checkpoint:"
"""How the subject of a commit begins that hive made, not the agent."""

CENT = 0.01

WORDLESS = "nothing in words, but it went on"
"""The answer of an agent that was asked and did something, but told nothing of it."""

SOON = 0.9
"""An answer is late after so much of an interval: check-ins are not exact to the second."""

_NAMES = {kind: frozenset(one.name for one in fields(kind)) for kind in (CheckIn, Evidence)}
_UP = frozenset({State.READY.value, Turn.WORKING.value, STALLED})
_WAITS = frozenset({Turn.WAITING.value, Turn.LIMITED.value})
_OVER = frozenset({"", Sub.FAILED.value, Sub.INTERRUPTED.value})
"""The kinds of a turn's end at which it is an agent's own doing that nothing goes on."""


def judge(evidence: Evidence, before: CheckIn | None, *, every: float = CHECK_IN) -> CheckIn:
    """Make a check-in: what the evidence comes to, and what is new since the one before."""
    old = before.evidence if before else None
    fresh = old is None or stirred(evidence, old)
    asked, answer = _open_question(evidence, before, every, fresh=fresh)
    late = bool(asked) and not answer and missed(asked, 0.0, evidence.at, every)
    verdict = _verdict(evidence, fresh=fresh or _recent(evidence, every), late=late)
    return CheckIn(
        evidence=evidence,
        verdict=verdict,
        line=_line(evidence, verdict, old, asked),
        changes=tuple(news(evidence, old)) if old else (),
        asked=asked,
        answer=answer,
    )


def stirred(now: Evidence, before: Evidence) -> bool:
    """Whether the agent has done anything in between: a turn, a word, a file, a commit.

    Moments are compared for being other ones, not later ones: clocks are set back. What hive
    itself committed is nothing that the agent has done.
    """
    own = [one for one in now.commits if not one.startswith(SAVED)]
    if len(own) < len(now.commits):
        now = replace(now, files=before.files)
    if STALLED in {now.state, before.state}:  # that is hive's word, not the agent's
        now = replace(now, state=before.state)
    return bool(own) or _marks(now) != _marks(before)


def to_ask(now: CheckIn, before: CheckIn | None, *, every: float) -> str:
    """Say why the agent must be asked in words; "" where the evidence is enough.

    It is where the agent has something to do, could go on with it, and has done nothing at all
    since the check-in before. It is asked once in two check-ins at most, and not again while it
    owes an answer: that is a stall then.
    """
    one = now.evidence
    if before is None or now.verdict is not Verdict.QUIET or one.state != State.READY:
        return ""
    if not one.speaks or one.sub not in _OVER or now.asked:
        return ""
    gone = span(max(0.0, one.at - before.evidence.at) or every)
    return f"it has {_what(one)}, its turn is over, and nothing came of it in {gone}"


def missed(asked_at: float, reported_at: float, now: float, every: float) -> bool:
    """Whether the agent was asked and has given no sign of life by the check-in that follows.

    `reported_at` is when it last did: a report, a word of progress, a turn.
    """
    return asked_at > 0 and reported_at <= asked_at and now - asked_at >= SOON * every


def question(hive_command: str, task: str) -> str:
    """Give the line that asks an agent how it gets on; it answers in one line, too."""
    what = task or "what you were given"
    ways = f'`{hive_command} report working "…"`'
    ways += f' or `{hive_command} task progress "…"`' if task else ""
    return (
        f"How far is {what}? Answer in one line by {ways}, then go on with it. "
        f'If something keeps you: `{hive_command} report blocked "…"`.'
    )


def spread(agent: str, every: float, begun: float) -> float:
    """Give an agent's first check-in: each has a second of its own in the interval."""
    return begun + every * (zlib.crc32(agent.encode(errors="surrogateescape")) / 2**32)


def following(last: float, every: float, now: float) -> float:
    """Give the next check-in after one that was due at `last`: one, however long ago that was.

    It is after `now` by an interval at most, whichever way the clock was set. Infinite where
    check-ins are off (`every` is 0).
    """
    if every <= 0:
        return math.inf
    found = last + every * (math.floor((now - last) / every) + 1)
    return found if now < found <= now + every else now + every


def due(at: float, every: float, now: float) -> float:
    """Give when a check-in that was due at `at` is due now: the same, unless the clock jumped.

    Then, and after an absence, it is at its own second of the interval that begins, so that not
    all agents are looked at at once.
    """
    return at if abs(now - at) <= every else following(at, every, now)


def to_dict(one: CheckIn) -> dict[str, Any]:
    """Give a check-in as JSON-ready values."""
    return asdict(one)


def from_dict(values: Mapping[str, Any]) -> CheckIn:
    """Read a check-in back from JSON; keys that are not known are left out."""
    found = _known(CheckIn, values)
    found["evidence"] = Evidence(**_known(Evidence, values["evidence"]))
    return CheckIn(**{**found, "verdict": Verdict(values["verdict"])})


def title(one: Evidence) -> str:
    """Give what its task is about, in a few words."""
    return short(one.about.strip().partition("\n")[0], TITLE)


def short(text: str, many: int = SAID) -> str:
    """Give a text in one line of so many characters at most, without what steers a terminal."""
    line = " ".join(clean(text).split())
    return line if len(line) <= many else f"{line[: many - 1].rstrip()}…"


def news(now: Evidence, before: Evidence) -> Iterator[str]:
    """Say in sentences what is new since an earlier look."""
    if (now.state, now.sub) != (before.state, before.sub):
        yield f"is {_state(now)}, was {_state(before)}"
    if bool(now.paused) != bool(before.paused):
        yield f"paused: {short(now.paused)}" if now.paused else "goes on after its pause"
    yield from _work(now, before)
    if now.commits:
        yield f"committed {_few(now.commits, 'commit')}"
    yield from _files(now, before)
    if now.trouble != before.trouble:
        yield f"git: {short(now.trouble)}" if now.trouble else "what git had in the way is gone"
    if now.message and (now.message, now.reported) != (before.message, before.reported):
        yield f"reports: {short(now.message)}"
    spent = now.cost - before.cost
    if spent > CENT:
        yield f"cost ${spent:.2f} more"


def _work(now: Evidence, before: Evidence) -> Iterator[str]:
    """Say what is new with its task."""
    same = (now.task, now.about) == (before.task, before.about)
    if not same and (before.task or before.about):
        yield f"has {_name(before)} no more"
    if not same and (now.task or now.about):
        yield f"has {_what(now)}"
    told = (before.progress, before.progressed) if same else ("", 0.0)
    if now.progress and (now.progress, now.progressed) != told:
        yield f"says of {_name(now)}: {short(now.progress)}"
    if now.checked and (not same or now.checked != before.checked):
        yield short(now.checked)
    if now.waits and now.waits != before.waits:
        yield f"waits: {short(now.waits)}"


def _files(now: Evidence, before: Evidence) -> Iterator[str]:
    old, new = set(before.files), set(now.files)
    if new - old:
        yield f"changed {_few(sorted(new - old), 'file')}"
    if old and not new:
        yield "nothing in its work tree is uncommitted any more"


def _few(found: tuple[str, ...] | list[str], thing: str) -> str:
    named = [short(one, TITLE) for one in found[:FEW]]
    more = [f"{len(found) - FEW} more"] if len(found) > FEW else []
    return f"{count(len(found), thing)}: {', '.join(named + more)}"


def _recent(one: Evidence, every: float) -> bool:
    """Whether it has worked within about an interval: a person may look at any time."""
    last = max(one.turn_at, one.worked, one.progressed, one.reported)
    return 0 <= one.at - last < SOON * every


def _marks(one: Evidence) -> tuple[object, ...]:
    """Give all that differs where an agent has done something in between."""
    return (
        one.state, one.paused, one.turn_at, one.worked, one.task, one.about, one.progress,
        one.progressed, one.checked, one.waits, one.message, one.reported, one.branch, one.files,
        one.tokens,
    )  # fmt: skip


def _open_question(
    now: Evidence, before: CheckIn | None, every: float, *, fresh: bool
) -> tuple[float, str]:
    """Give when it was asked as far as that still counts, and its answer.

    An answer is any sign of life; a bare turn is one until the next check-in only. What has
    nothing to do any more, or can't do it, owes none.
    """
    if before is None or not before.asked or now.paused != before.evidence.paused:
        return 0.0, ""
    asked = min(before.asked, now.at)  # the clock was set back
    if before.answer and now.at - asked < (1 + SOON) * every:
        return asked, before.answer
    if before.answer and (fresh or before.answer != WORDLESS):
        return 0.0, ""
    if now.state not in _UP | _WAITS or not (now.task or now.about):
        return 0.0, ""
    return asked, _answer(now, before.evidence) if fresh else ""


def _answer(now: Evidence, before: Evidence) -> str:
    if now.message and now.reported != before.reported:
        return short(now.message)
    if now.progress and now.progressed != before.progressed:
        return short(now.progress)
    return WORDLESS


def _verdict(one: Evidence, *, fresh: bool, late: bool) -> Verdict:
    if one.state not in _UP | _WAITS:
        return Verdict.DOWN
    if one.paused:
        return Verdict.PAUSED
    if one.state == Turn.WORKING:
        return Verdict.WORKING
    if one.state == STALLED:
        return Verdict.MISSED if late else Verdict.QUIET
    if one.state in _WAITS or one.waits or one.sub not in _OVER:
        return Verdict.WAITING
    if not (one.task or one.about):
        return Verdict.IDLE
    if not one.speaks or fresh:
        return Verdict.WORKING
    return Verdict.MISSED if late else Verdict.QUIET


def _line(one: Evidence, verdict: Verdict, old: Evidence | None, asked: float) -> str:
    gone = span(one.at - old.at) if old and one.at > old.at else ""
    parts = [_head(one, verdict, gone, asked)]
    parts += [f"{count(len(one.files), 'file')} changed"] if one.files else []
    if one.commits:
        parts.append(count(len(one.commits), "commit") + (f" in {gone}" if gone else ""))
    parts += [short(text) for text in (one.checked, one.trouble) if text]
    return "; ".join(parts)


def _head(one: Evidence, verdict: Verdict, gone: str, asked: float) -> str:
    if verdict is Verdict.WORKING:
        doing = f"working on {_what(one)}" if one.task or one.about else "working without a task"
        return f"{doing}: {short(one.progress)}" if one.progress else doing
    if verdict is Verdict.IDLE:
        return "idle: it has no task"
    if verdict is Verdict.PAUSED:
        return f"paused: {short(one.paused)}"
    if verdict is Verdict.MISSED:
        return f"no answer how far {_what(one)} is, asked {span(one.at - asked)} ago"
    if verdict is Verdict.QUIET and one.state != STALLED:
        since = f" in {gone}" if gone else ""
        return f"nothing new of {_what(one)}{since}"
    return f"waits: {short(one.waits)}" if one.waits and one.state == State.READY else _told(one)


def _told(one: Evidence) -> str:
    """Say what it is, of what kind, and why."""
    why = short(one.reason)
    kind = f": {one.sub}" if one.sub and not why.startswith(one.sub) else ""
    return f"{one.state}{kind}{': ' if why else ''}{why}"


def _state(one: Evidence) -> str:
    return f"{one.state} ({one.sub})" if one.sub else one.state


def _name(one: Evidence) -> str:
    return one.task or "its brief"


def _what(one: Evidence) -> str:
    return " ".join(filter(None, (_name(one), title(one))))


def _known(kind: type[CheckIn | Evidence], values: Mapping[str, Any]) -> dict[str, Any]:
    names = _NAMES[kind]
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in values.items()
        if key in names
    }
