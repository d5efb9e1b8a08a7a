"""Says to agents what is to be said: does the moves that `delivery` decides upon, for all at once.

Looks, pastes and Enters of one moment are one question each to a tmux server, however many agents
they are for. Whatever was done is written down after it: the panes remember it until then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hive.adapters import bodies, terminals
from hive.adapters.typist import Entering, Pasting, Typist
from hive.core import delivery, moves
from hive.core.messages import OVER, Message
from hive.core.moves import Clear, Enter, Look, Mark, Move, Paste, Seat, Wait
from hive.core.signs import Glimpse
from hive.errors import HiveError

Typing = TypeVar("Typing", Clear, Paste, Enter)
Doing = type[Look | Clear | Paste | Enter]
Seats = Mapping[str, tuple[Seat, tuple[Message, ...]]]

CLEARED = "what was interrupted stood in its composer: that is emptied"

ROUNDS = 8
"""So many times in a row something new about one agent's messages is written down at most."""


@dataclass(slots=True, kw_only=True)
class _Place:
    """An agent's messages in one step, and what is to be done for them."""

    seat: Seat
    messages: dict[int, Message]
    moves: list[tuple[Message, Move]] = field(default_factory=list)
    due: list[float] = field(default_factory=list)

    def todo(self, kind: Doing) -> bool:
        """Whether a move of this kind is next."""
        return any(isinstance(move, kind) for _, move in self.moves)


class Mouth:
    """Types messages into panes.

    `mark(before, after, why)` writes a message's new state down and gives it as it was stored.
    What is done takes a while: `clock` gives the time (epoch seconds) when it was done.
    """

    def __init__(
        self,
        typist: Typist,
        mark: Callable[[Message, Message, str], Message],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._typist = typist
        self._mark = mark
        self._clock = clock
        self._looked: dict[str, Seat] = {}

    def step(self, seats: Seats, now: float) -> float | None:
        """Do what is due, and give the moment of the next thing (None: when something happens).

        Raises whatever `mark` raises: what was typed is found in the pane by the next step.
        """
        self._looked = {agent: one for agent, one in self._looked.items() if agent in seats}
        places = [
            _Place(seat=self._remembered(seat), messages={one.number: one for one in messages})
            for seat, messages in seats.values()
        ]
        for place in places:
            self._settle(place, now)
        self._look([place for place in places if place.todo(Look)], now)
        self._clear([place for place in places if place.todo(Clear)])
        self._paste([place for place in places if place.todo(Paste)])
        self._enter([place for place in places if place.todo(Enter)])
        for place in places:
            self._tell(place)
        return min((moment for place in places for moment in place.due), default=None)

    def _remembered(self, seat: Seat) -> Seat:
        """Give the seat with what its last look showed, if that was of this launch."""
        last = self._looked.get(seat.agent)
        if last is None or last.launch != seat.launch:
            return seat
        return replace(seat, draft=last.draft, waiting=last.waiting, looked=last.looked)

    def _settle(self, place: _Place, now: float) -> None:
        """Write down what has become of the messages, until nothing is new."""
        for _ in range(ROUNDS):
            place.moves = delivery.plan(place.messages.values(), place.seat, now)
            marks = [(one, move) for one, move in place.moves if isinstance(move, Mark)]
            for before, move in marks:
                self._write(place, before, move.after, move.why)
            if not marks:
                return
        place.moves = []
        place.due.append(now)

    def _write(self, place: _Place, before: Message, after: Message, why: str) -> Message:
        kept = self._mark(before, after, why)
        place.messages[kept.number] = kept
        return kept

    def _look(self, places: Sequence[_Place], now: float) -> None:
        """Look at these panes, and decide anew."""
        for socket, group in _by_socket(places).items():
            try:
                seen = self._typist.look(socket, [place.seat.pane for place in group])
            except HiveError as error:
                _refuse(group, Look, error.what, now)
                continue
            for place in group:
                glimpse, rows = seen.get(place.seat.pane, (Glimpse(), []))
                waiting = terminals.waiting(glimpse.tty) if glimpse.tty else None
                place.seat = moves.looked(place.seat, glimpse, rows, now, waiting)
                self._looked[place.seat.agent] = place.seat
                self._settle(place, now)

    def _clear(self, places: Sequence[_Place]) -> None:
        """Empty these composers; the next look tells whether they are."""
        for place in places:
            _, move = _job(place, Clear)
            seat = place.seat
            try:
                why = self._typist.keys(
                    seat.socket, seat.pane, seat.launch, move.keys, shows=move.shows
                )
            except HiveError as error:
                why = error.what
            _refuse([place], Clear, why or CLEARED, self._clock())

    def _paste(self, places: Sequence[_Place]) -> None:
        for socket, group in _by_socket(_written(places, self._clock())).items():
            jobs = [(place, *_job(place, Paste)) for place in group]
            asked = [
                Pasting(
                    pane=place.seat.pane,
                    launch=place.seat.launch,
                    mark=move.mark,
                    text=move.line,
                )
                for place, _, move in jobs
            ]
            try:
                answers = self._typist.paste(socket, asked)
            except HiveError as error:
                _refuse(group, Paste, error.what, self._clock())
                continue
            at = self._clock()
            for (place, message, _), why in zip(jobs, answers, strict=True):
                if why:
                    _refuse([place], Paste, why, at)
                    continue
                after = delivery.typed(message, place.seat, at)
                self._done(place, message, after)
                place.due.append(at + place.seat.profile.typing.delay)

    def _enter(self, places: Sequence[_Place]) -> None:
        for socket, group in _by_socket(places).items():
            jobs = [(place, *_job(place, Enter)) for place in group]
            asked = [
                Entering(
                    pane=place.seat.pane,
                    launch=place.seat.launch,
                    mark=move.mark,
                    count=move.count,
                    shows=move.shows,
                )
                for place, _, move in jobs
            ]
            try:
                answers = self._typist.enter(socket, asked)
            except HiveError as error:
                _refuse(group, Enter, error.what, self._clock())
                continue
            at = self._clock()
            for (place, message, move), why in zip(jobs, answers, strict=True):
                if why:
                    _refuse([place], Enter, why, at)
                    continue
                self._done(place, message, delivery.entered(message, move.count, at))
                typing, tells = place.seat.profile.typing, place.seat.profile.tells
                place.due.append(at + (typing.proof if tells else typing.delay))

    def _done(self, place: _Place, before: Message, after: Message) -> None:
        kept = self._write(place, before, after, after.reason)
        place.moves = [
            (kept, Wait(reason=kept.reason)) if one.number == kept.number else (one, move)
            for one, move in place.moves
        ]

    def _tell(self, place: _Place) -> None:
        """Write down why a message waits, where that is news."""
        for message, move in place.moves:
            if not isinstance(move, Wait):
                continue
            if move.until is not None:
                place.due.append(move.until)
            if message.stage not in OVER and delivery.is_news(message.reason, move.reason):
                after = replace(message, reason=move.reason)
                self._write(place, message, after, move.reason)


def _by_socket(places: Iterable[_Place]) -> dict[str, list[_Place]]:
    found: dict[str, list[_Place]] = {}
    for place in places:
        found.setdefault(place.seat.socket, []).append(place)
    return found


def _job(place: _Place, kind: type[Typing]) -> tuple[Message, Typing]:
    """Give the one message that is to be typed, and how."""
    return next((one, move) for one, move in place.moves if isinstance(move, kind))


def _written(places: Sequence[_Place], now: float) -> list[_Place]:
    """Write the texts that are not typed, and give those places where nothing kept that."""
    fine = []
    for place in places:
        _, move = _job(place, Paste)
        try:
            if move.file:
                bodies.write(move.file, move.body)
        except HiveError as error:
            _refuse([place], Paste, error.what, now)
        else:
            fine.append(place)
    return fine


def _refuse(places: Iterable[_Place], kind: Doing, why: str, now: float) -> None:
    """Have what was to be done wait a while, for this reason."""
    for place in places:
        place.moves = [
            (one, Wait(reason=_reason(one, why), until=now + delivery.PACE))
            if isinstance(move, kind)
            else (one, move)
            for one, move in place.moves
        ]


def _reason(message: Message, why: str) -> str:
    return f"{message.stage}, not entered: {why}" if message.typed else why
