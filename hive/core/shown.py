"""How an agent with a voice is shown: one state, its reason, its evidence, and what is next.

Where its launch runs, the conversation says more than the process does. One record serves every
surface.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hive.core.signs import Condition, Evidence, Sub, Turn
from hive.core.world import Memory, State

STALLED = "stalled"
"""The state of an agent whose turn makes no progress."""

UNPROVEN = "no sign of work"
"""The kind of an agent that got its brief a while ago and has shown no work since."""

_HELP = "waits for a person: `hive inbox` says for what"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is told of a conversation beside its agent's process.

    `doubt` is why it is not to be taken for healthy ("" for nothing), `step` what hive has done
    about it last, and `next` what follows, with its moment (None: time alone brings nothing).
    `closed` is why nothing may be typed now, `queue` how many messages wait.
    """

    condition: Condition
    profile: str
    session: str = ""
    closed: str = ""
    queue: int = 0
    doubt: str = ""
    step: str = ""
    next: tuple[str, float | None] | None = None
    tokens: int = 0
    cost: float = 0.0

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What its state rests on, the most trustworthy first."""
        return self.condition.evidence


def state(memory: Memory, shown: Shown | None) -> tuple[str, str, str, float]:
    """Give an agent's state, its kind, the reason and since when it is so."""
    plain = (memory.state.value, "", memory.reason, memory.since)
    if shown is None or not _speaks(memory, shown):
        return plain
    one = shown.condition
    if shown.step:
        return STALLED, shown.step, shown.doubt, one.since
    if one.turn is None:
        return plain
    if shown.doubt:
        sub = UNPROVEN if shown.doubt.startswith(UNPROVEN) else ""
        return State.STARTING.value, sub, shown.doubt, one.since
    return one.turn.value, one.sub, one.text, one.since


def told(record: Mapping[str, Any]) -> str:
    """Say why an agent is as its record says, its kind first: `dialog: Do you trust …`."""
    sub, reason = record.get("sub"), str(record["reason"])
    return f"{sub}: {reason}" if sub and not reason.startswith(sub) else reason


def outlook(memory: Memory, shown: Shown | None) -> tuple[str, float | None] | None:
    """Say what hive does next in the conversation; None where its process says it."""
    if shown is None or not _speaks(memory, shown):
        return None
    if shown.next:
        return shown.next
    one = shown.condition
    if one.turn is Turn.WAITING:
        return _HELP, None
    if one.turn is Turn.LIMITED:
        return "has it go on when its usage limit ends", one.until or None
    if one.turn is Turn.WORKING:
        waits = f", then gives it {_next_of(shown.queue)}" if shown.queue else ""
        return f"lets it work{waits}", None
    if one.sub in {Sub.FULL, Sub.LOGIN, Sub.MODEL}:
        return _HELP, None
    return _ready(shown) if one.turn is Turn.READY else None


def _ready(shown: Shown) -> tuple[str, float | None]:
    if not shown.queue:
        return "gives it the next message as soon as there is one", None
    if shown.closed:
        return f"gives it {_next_of(shown.queue)} once this is over: {shown.closed}", None
    return f"gives it {_next_of(shown.queue)}", None


def _next_of(queue: int) -> str:
    return "the message that waits" if queue == 1 else f"the next of {queue} messages"


def _speaks(memory: Memory, shown: Shown) -> bool:
    same = shown.condition.launch == memory.launch
    return memory.live and same and memory.state in {State.STARTING, State.READY}
