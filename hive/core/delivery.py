"""How a message comes to an agent exactly once: what is typed, when, and what proves it.

`plan` gives the next move for each of an agent's messages. Nothing is typed without a fresh look,
nothing is pasted twice into one launch, and Enter is repeated at most once, behind exactly our
text. The pane remembers what was pasted and entered there: a hive that was killed between doing
a thing and writing it down finds it done. Times are epoch seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from hive.core import gate
from hive.core.lines import body, clean, file, is_returned, is_typed, line, plain, unfit
from hive.core.messages import OVER, Message, Stage
from hive.core.moves import Clear, Enter, Look, Mark, Move, Paste, Seat, Wait
from hive.core.signs import Condition, Ear, Glimpse, Source, Turn

__all__ = [
    "Clear", "Enter", "Look", "Mark", "Move", "Paste", "Seat", "Wait", "body", "clean", "decide",
    "entered", "file", "is_news", "line", "plain", "plan", "typed", "unfit",
]  # fmt: skip

PACE = 1.0
"""Seconds between two looks at a screen that keeps a message waiting."""

LATE = 30.0
"""Seconds after Enter in which some sign of a message is to be seen."""

STARTING = 180.0
"""The same for a launch of which nothing is known yet: it may still be starting."""

TYPED = "typed: Enter follows"
ENTERED = "typed and entered: its own word is awaited"
UNSHOWN = "typed, but its composer does not show it"
UNHEARD = "typed and entered, but no sign that it was received"
UNKNOWN = "typed into a launch that ended: not known whether it was received"
UNKEPT = "typed into a launch that ended before Enter"
UNRECORDED = "typed into a launch that ended; its records do not have it"
AGAIN = "it was typed before hive was restarted"

_PROOFS = {
    Source.HOOK: "its hook told that it arrived",
    Source.RECORDS: "its records have it",
    Source.REPORT: "it said so itself",
}
_WEAK = "its own word is not to be had"

_SHOWN = re.compile(r"[^\w!-~]")
"""What programs add to a text or leave out as they show it: blanks, frames, symbols."""

_AGO = re.compile(r"\d+ s ago")


def name_in(launch: str, message: Message) -> str:
    """Give the mark by which a pane remembers a message that was typed into a launch."""
    return f"{message.name}@{launch}"


def plan(messages: Iterable[Message], seat: Seat, now: float) -> list[tuple[Message, Move]]:
    """Give the next move for each message of one agent, in order.

    One message is given at a time; the next follows when the one before is answered, or was
    submitted and the turn is over.
    """
    moves: list[tuple[Message, Move]] = []
    before = ""
    for one in sorted(messages, key=lambda message: message.number):
        waits = before and one.stage is Stage.QUEUED and not _heard(one, seat)
        moves.append((one, Wait(reason=before) if waits else decide(one, seat, now)))
        if one.stage is Stage.SUBMITTED and not _free(one, seat, now):
            before = before or f"{one.name} is not answered yet"
        elif one.stage in {Stage.QUEUED, Stage.TYPED}:
            before = "behind another message"
    return moves


def decide(message: Message, seat: Seat, now: float) -> Move:
    """Give the next move for a message whose turn it is."""
    if message.stage is Stage.SUBMITTED:
        return _submitted(message, seat, now)
    heard = _heard(message, seat)
    if heard:
        return _received(message, seat, *heard)
    if message.stage is Stage.QUEUED:
        return _queued(message, seat, now)
    if message.stage is Stage.TYPED:
        return _typed(message, seat, now)
    return Wait(reason=message.reason)


def is_news(known: str, reason: str) -> bool:
    """Whether a reason says something new: seconds that pass are no news."""
    return _AGO.sub("", known) != _AGO.sub("", reason)


def _heard(message: Message, seat: Seat) -> tuple[float, str] | None:
    """Give when the agent got it, and what proves that; also where hive had given it up."""
    lost = message.stage is Stage.FAILED and message.typed and not message.submitted
    if message.stage in OVER and not lost:
        return None
    found = seat.ear.heard.get(message.number)
    return (found[1], _PROOFS.get(found[0], f"its {found[0]} shows it")) if found else None


def _received(message: Message, seat: Seat, at: float, proof: str) -> Mark:
    after = replace(
        message,
        stage=Stage.SUBMITTED,
        reason=proof,
        since=at,
        launch=seat.launch,
        submitted=at,
        proof=proof,
    )
    return Mark(after=after, why=proof)


def _failed(message: Message, why: str, now: float) -> Mark:
    return Mark(after=replace(message, stage=Stage.FAILED, reason=why, since=now), why=why)


def _unseen(seat: Seat) -> str:
    return "" if seat.glimpse.launch == seat.launch else "its pane was not seen"


def _gate(
    seat: Seat, now: float, draft: str | None = "", text: str = "", *, ours: bool = False
) -> str:
    """Ask the gate; without a draft, before anybody looked. `ours` may stand in the composer."""
    known = seat.condition
    if ours and known.closed == gate.DRAFT:
        known = replace(known, closed="")
    also = seat.closed or _unseen(seat)
    return gate.gate(known, seat.glimpse, draft, seat.profile, now, also, text)


def _until(seat: Seat, now: float) -> float | None:
    """Give when a reason may be over by itself: a person who typed is left alone for a while."""
    return seat.glimpse.person + gate.PERSON if gate.person(seat.glimpse, now) else None


def _look(seat: Seat, now: float, due: float, reason: str) -> Move:
    """Look now if there was no look since `due`, or the last one was a while ago."""
    if seat.looked < due or not 0 <= now - seat.looked < PACE:
        return Look()
    return Wait(reason=reason, until=seat.looked + PACE)


def _queued(message: Message, seat: Seat, now: float) -> Move:
    name = name_in(seat.launch, message)
    if seat.glimpse.said == name:
        return Mark(after=typed(message, seat, now, AGAIN), why=AGAIN)
    profile = seat.profile
    why_not = unfit(message, profile)
    if why_not:
        return _failed(message, why_not, now)
    text = line(message, profile, seat.folder)
    closed = _gate(seat, now, text=text)
    if closed:  # what just a look has shown, nobody may tell the end of
        until = now + PACE if seat.looked >= now else None
        return Wait(reason=closed, until=_until(seat, now) or until)
    if seat.looked < now:
        return _look(seat, now, max(message.since, seat.condition.since), message.reason)
    closed = _gate(seat, now, seat.draft, text)
    if closed == gate.DRAFT and profile.typing.clear and is_returned(seat.draft or "", message):
        return Clear(keys=profile.typing.clear, shows=(seat.draft or "").strip()[:12])
    if closed:
        return Wait(reason=closed, until=now + PACE)
    if is_typed(message, profile):
        return Paste(mark=name, line=text)
    path = file(message, profile, seat.folder)
    return Paste(mark=name, line=text, file=path, body=body(message))


def typed(message: Message, seat: Seat, now: float, reason: str = TYPED) -> Message:
    """Give the message as it is when it was pasted."""
    return replace(
        message,
        stage=Stage.TYPED,
        reason=reason,
        since=now,
        launch=seat.launch,
        typed=now,
        enters=0,
        tries=message.tries + 1,
    )


def entered(message: Message, count: int, now: float) -> Message:
    """Give the message as it is when Enter was pressed for the `count`th time."""
    return replace(message, enters=count, since=now, reason=ENTERED)


def _presses(message: Message, glimpse: Glimpse) -> int:
    """Give how often Enter was pressed behind it, as its pane or the store remembers."""
    name, _, count = glimpse.entered.rpartition(":")
    said = int(count) if name == name_in(message.launch, message) and count.isdigit() else 0
    return max(said, message.enters)


def _typed(message: Message, seat: Seat, now: float) -> Move:
    if message.launch != seat.launch:
        return _moved(message, seat, now)
    pressed = _presses(message, seat.glimpse)
    if pressed > message.enters:
        return Mark(after=entered(message, pressed, now), why="Enter was pressed")
    return _entered(message, seat, now) if pressed else _unentered(message, seat, now)


def _moved(message: Message, seat: Seat, now: float) -> Move:
    """Decide what becomes of a message that was typed into a launch which has ended.

    What goes on with its conversation tells whether that has it, if it keeps records. Those are
    given a moment to be read.
    """
    closed = _gate(seat, now, ours=True)
    if closed:
        return Wait(reason=f"typed into a launch that ended; {closed}", until=_until(seat, now))
    settled = seat.condition.since + seat.profile.typing.proof
    if now < settled:
        return Wait(reason="typed into a launch that ended; its records are read", until=settled)
    recorded = seat.profile.records != "none"
    remembered = seat.glimpse.said == name_in(message.launch, message)
    if not recorded and (_presses(message, seat.glimpse) or not remembered):
        return _failed(message, UNKNOWN, now)
    why = UNRECORDED if recorded else UNKEPT
    after = replace(
        message, stage=Stage.QUEUED, reason=why, since=now, launch="", typed=0.0, enters=0
    )
    return Mark(after=after, why=why)


def _unentered(message: Message, seat: Seat, now: float) -> Move:
    """Press Enter once the text stands in the composer, and nothing else does."""
    typing = seat.profile.typing
    due = message.typed + typing.delay
    if now < due:
        return Wait(reason=TYPED, until=due)
    closed = _gate(seat, now, ours=True)
    if closed:
        return Wait(reason=f"typed, not entered: {closed}", until=_until(seat, now))
    if seat.looked < now:
        return _look(seat, now, due, message.reason)
    if _stands(message, seat):
        return _enter(message, seat, 1)
    if seat.draft is None:
        return Wait(reason=f"typed, not entered: {gate.NO_COMPOSER}", until=now + PACE)
    if seat.draft.strip():
        return Wait(reason="typed, not entered: another draft in the composer", until=now + PACE)
    if now < message.typed + max(typing.proof, typing.delay + PACE):
        return Wait(reason=UNSHOWN, until=now + PACE)
    return _failed(message, UNSHOWN, now)


def _enter(message: Message, seat: Seat, count: int) -> Enter:
    text = line(message, seat.profile, seat.folder)
    shows = text[:12] if seat.profile.screen.composer else ""
    return Enter(mark=name_in(message.launch, message), count=count, shows=shows)


def _stands(message: Message, seat: Seat) -> bool:
    """Whether the composer holds our text and nothing else; true where no composer is known.

    It may show a part of a long line only. Programs break lines and draw frames as they like.
    """
    if seat.draft is None:
        return not seat.profile.screen.composer
    shown = _SHOWN.sub("", seat.draft)
    ours = _SHOWN.sub("", line(message, seat.profile, seat.folder))
    return len(shown) >= min(len(ours), 20) and shown in ours


def _entered(message: Message, seat: Seat, now: float) -> Move:
    """Wait for proof; press Enter once more where it was lost; give up after a while."""
    typing, composer = seat.profile.typing, seat.profile.screen.composer
    proof = message.since + typing.proof
    due = message.since + typing.delay if not seat.profile.tells else proof
    if now < due:
        return Wait(reason=ENTERED, until=due)
    if _unseen(seat) or seat.glimpse.dead:
        return Wait(reason=f"{ENTERED}; {_unseen(seat) or gate.DEAD}")
    if seat.looked < now:
        return _look(seat, now, due, ENTERED)
    late = now >= _deadline(message, seat.condition)
    weak = _weak(message, seat) if late or not seat.profile.tells else ""
    if weak:
        return _received(message, seat, message.since, f"{weak}; {_WEAK}")
    if late:
        return _failed(message, UNHEARD, now)
    if now >= proof and message.enters == 1 and composer and _stands(message, seat):
        closed = _gate(seat, now, ours=True)
        if not closed:
            return _enter(message, seat, 2)
        return Wait(reason=f"typed, not entered again: {closed}", until=_until(seat, now))
    return Wait(reason=ENTERED, until=now + PACE)


def _deadline(message: Message, condition: Condition) -> float:
    """Give when hive stops waiting for a sign; a launch may come to be ready after Enter."""
    if condition.turn in {Turn.WAITING, Turn.LIMITED}:
        return float("inf")  # what it waits for comes first
    if condition.turn is None:
        return message.since + STARTING
    ready = condition.since if condition.turn is Turn.READY else 0.0
    return max(message.since, ready) + LATE


def _weak(message: Message, seat: Seat) -> str:
    """Say what speaks for its having arrived where the agent itself says nothing; "" for nothing.

    A composer that was emptied is no proof alone: a dialog may have taken what was in it.
    """
    one, entered_at = seat.condition, message.since
    if seat.profile.screen.composer and not plain(seat.profile):
        began = one.since if one.turn is Turn.WORKING else 0.0
        worked = max(began, one.worked, seat.ear.worked, seat.ear.ended) >= entered_at
        empty = seat.draft is not None and not seat.draft.strip()
        return "its composer is empty and it went to work" if worked and empty else ""
    stands = seat.draft is not None and seat.draft.strip() and _stands(message, seat)
    return "its program has read the line" if seat.waiting == 0 and not stands else ""


def _over(message: Message, seat: Seat, now: float) -> bool:
    """Whether the turn in which a message was submitted has ended."""
    one = seat.condition
    if one.turn is not Turn.READY:
        return False
    if seat.ear.ended > message.submitted:
        return True
    if seat.profile.turns:
        return now >= max(one.since, message.submitted) + LATE
    return one.since > message.submitted or now >= message.submitted + seat.profile.typing.proof


def _free(message: Message, seat: Seat, now: float) -> bool:
    """Whether the next message may follow one that was submitted."""
    if seat.condition.turn is not Turn.READY:
        return False
    again = seat.condition.since > message.submitted
    settled = now >= message.submitted + seat.profile.typing.proof
    return again or settled or _over(message, seat, now)


def _submitted(message: Message, seat: Seat, now: float) -> Move:
    """Take its turn's end, or what the agent reported of it, for the answer."""
    told = seat.ear.ended > message.submitted
    if message.outcome:
        why = f"reported {message.outcome}"
    elif seat.profile.pauses and (move := _asking(seat, now)):
        return move
    elif _over(message, seat, now):
        why = "answered" if told else "its turn is over"
        why += f": {seat.condition.sub}" if seat.condition.sub else ""
    else:
        return Wait(reason=message.reason)
    after = replace(
        message,
        stage=Stage.ANSWERED,
        reason=why,
        since=now,
        answered=seat.ear.ended if told else now,
        result=message.result or _answer(message, seat.ear),
    )
    return Mark(after=after, why=why)


def _asking(seat: Seat, now: float) -> Move | None:
    """Wait while it asks something rather than has ended its turn: then it has no composer."""
    if seat.looked < max(seat.ear.ended, now - PACE):
        return Look()
    closed = seat.condition.closed or (gate.NO_COMPOSER if seat.draft is None else "")
    return Wait(reason=closed, until=now + PACE) if closed else None


def _answer(message: Message, ear: Ear) -> str:
    """Give what the agent said last, if it did since it got the message."""
    at = max(ear.ended, ear.told.get("answer", 0.0))
    return ear.answer if at > message.submitted else ""
