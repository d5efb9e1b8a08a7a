"""What may be the next thing to do for a message, and what that is decided from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hive.core import screens
from hive.core.judge import NOTICES
from hive.core.messages import Message
from hive.core.profile import Profile
from hive.core.signs import Condition, Ear, Glimpse, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """An agent as its messages come to it: one launch in one pane.

    `folder` is where texts lie that are too long to be typed. `closed` is a reason from above for
    not typing. `looked` is when its screen was last looked at for its messages, `draft` what then
    stood in the composer (None: no composer found), `waiting` how many bytes its program then had
    not read (None: not known).
    """

    agent: str
    socket: str
    pane: str
    launch: str
    profile: Profile
    folder: str
    condition: Condition
    glimpse: Glimpse
    ear: Ear
    closed: str = ""
    draft: str | None = None
    waiting: int | None = None
    looked: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is to be done before `until` (None: before something else happens), and why."""

    reason: str
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The pane and its screen are to be looked at, and then it is decided anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paste:
    """`line` is to be pasted, marked `mark`; before that `body` is written to `file`, if any."""

    mark: str
    line: str
    file: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """The composer is to be emptied by `keys`, while the screen shows `shows`."""

    keys: tuple[str, ...]
    shows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """Enter is to be pressed for the `count`th time, while the screen shows `shows`."""

    mark: str
    count: int
    shows: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The message is to be written down as `after`."""

    after: Message
    why: str


Move = Wait | Look | Clear | Paste | Enter | Mark


def looked(
    seat: Seat, glimpse: Glimpse, rows: Sequence[str], now: float, waiting: int | None = None
) -> Seat:
    """Give the seat as a fresh look shows it.

    The screen may say that it works or waits, and so forbid typing; it never opens the gate. One
    that tells how it stands knows better than its screen whether it works. Whether a notice that
    still stands there is over was judged already.
    """
    shown = screens.read(rows, seat.profile)
    asks = shown.turn in {Turn.WAITING, Turn.LIMITED} and shown.sub not in NOTICES
    works = shown.turn is Turn.WORKING and not seat.profile.turns
    condition = seat.condition
    if asks:
        condition = replace(condition, closed=condition.closed or shown.sub or shown.text)
    elif works and condition.turn is not Turn.WORKING:
        condition = replace(
            condition, turn=Turn.WORKING, since=now, closed=condition.closed or Turn.WORKING.value
        )
    return replace(
        seat,
        glimpse=glimpse,
        condition=condition,
        draft=shown.draft,
        waiting=waiting,
        looked=now,
    )
