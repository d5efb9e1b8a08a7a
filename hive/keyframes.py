"""Which moments get their screen kept: those at which a person would have looked.

How a launch ended is not among them: its certificate has its last screen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from hive.adapters.store import Event, Store
from hive.core.journal import Screen
from hive.core.replay import called
from hive.errors import HiveError

APART = 30.0
"""Seconds between two screens of one agent."""

FRESH = 10.0
"""Seconds after which a window no longer shows what it did then."""

LINES = 50
"""How many lines of a window are read."""

BEGINNINGS = {
    "talk": ("waiting", "limited"),
    "stall": ("",),
    "report": ("done", "failed", "blocked"),
    "task": ("done", "failed", "dead"),
    "check-in": ("missed", "asked"),
    "conflict": ("",),
    "collision": ("",),
}
"""The kinds of events that are worth a screen, where their text begins so."""

_log = logging.getLogger("hive")


class Keyframes:
    """Keeps what agents' windows show when something happens that a person may ask about later.

    `read` gives the last lines of an agent's window, at most so many; none where it has none.
    """

    def __init__(
        self,
        store: Store,
        read: Callable[[str, int], Sequence[str]],
        logger: logging.Logger = _log,
    ) -> None:
        self._store = store
        self._read = read
        self._log = logger
        self._kept: dict[str, float] = {}
        self._trouble = ""

    def see(self, events: Iterable[Event], now: float) -> None:
        """Keep the screens of those to whom something worth it just happened.

        What can't be read or written is said in the log, once until it works again.
        """
        screens, trouble = [], ""
        for one in events:
            if not worth(one) or now - one.at > FRESH:
                continue
            if 0 <= now - self._kept.get(one.agent, -APART) < APART:
                continue
            self._kept[one.agent] = now
            try:
                text = "\n".join(self._read(one.agent, LINES))
            except HiveError as error:
                trouble = f"{one.agent}: its screen can't be read: {error.what}"
                continue
            if text.strip():
                screens.append(
                    Screen(agent=one.agent, at=one.at, why=called(one.kind, one.text), text=text)
                )
        try:
            if screens:
                self._store.journal.keep_screens(screens)
        except HiveError as error:
            trouble = f"screens can't be kept: {error.what}"
        self._tell(trouble, tried=bool(screens))

    def _tell(self, trouble: str, *, tried: bool) -> None:
        if trouble and trouble != self._trouble:
            self._log.warning("%s", trouble)
        if trouble or tried:
            self._trouble = trouble


def worth(one: Event) -> bool:
    """Whether a person would look at the agent's window now."""
    return bool(one.agent) and one.text.startswith(BEGINNINGS.get(one.kind, ()))
