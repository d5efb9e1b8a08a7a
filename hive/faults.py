"""What goes wrong with one thing stops no other: it is said once, and tried again.

Times are epoch seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hive.adapters.post import Superseded
from hive.errors import HiveError

LASTING = 30.0
"""Seconds after which a bug is not thought to go away by itself."""

_log = logging.getLogger("hive")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """What went wrong with one thing: since when, and whether by a bug."""

    why: str
    since: float
    bug: bool


class Faults:
    """Keeps apart what may go wrong; what is wrong with the store at `where` concerns all."""

    def __init__(self, where: str, tell: Callable[[str, str], None]) -> None:
        self._where = where
        self._tell = tell
        self._known: dict[str, _Fault] = {}

    @contextmanager
    def apart(self, what: str, now: float) -> Iterator[None]:
        """Do something about one thing: where that fails, the others are gone on with."""
        try:
            yield
        except Superseded as error:  # somebody else was quicker: the next look sees that
            _log.info("%s", error)
        except HiveError as error:
            if error.where == self._where:
                raise
            self._met(what, error.what, now, bug=False)
        except Exception as error:  # noqa: BLE001 - a bug in one thing must not stop all work
            if what not in self._known:
                _log.exception("a bug in hive: %s", what)
            self._met(what, f"a bug in hive: {error!r}", now, bug=True)
        else:
            self._known.pop(what, None)

    def why(self, what: str) -> str:
        """Say what is wrong with a thing now; "" where nothing is."""
        known = self._known.get(what)
        return known.why if known else ""

    def lasting(self, now: float) -> list[str]:
        """Name what can't be gone on with by a bug, and has not been for long."""
        found = self._known.items()
        return [what for what, one in found if one.bug and not 0 <= now - one.since < LASTING]

    def forget(self, what: str) -> None:
        """Know no more of a thing."""
        self._known.pop(what, None)

    def _met(self, what: str, why: str, now: float, *, bug: bool) -> None:
        known = self._known.get(what)
        if known is None or known.why != why:
            _log.warning("%s can't be gone on with: %s", what, why)
            self._tell(what, why)
        since = known.since if known and known.bug == bug else now
        self._known[what] = _Fault(why=why, since=since, bug=bug)
