"""How the people in charge of a project are told what waits for them, as [escalation] says it.

Plain values: `core.escalation_model` reads them from the file. Durations are in seconds, times of
day in minutes since midnight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal
from urllib.parse import urlsplit

from hive.core import names

Kind = Literal["bell", "desktop", "command", "webhook"]

DAY = 24 * 60
"""Minutes of a day."""

KINDS = (
    "approval",
    "question",
    "dialog",
    "login needed",
    "model unavailable",
    "context full",
    "blocked",
    "no sign of work",
    "stalled",
    "failed",
    "held team",
    "budget",
    "undelivered",
    "held task",
    "dead letter",
    "open breaker",
    "work rests",
    "conflict",
    "worktree",
    "unmerged work",
    "unsaved work",
)
"""What may wait for a person, as the inbox calls it."""

_TIMES = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")
_FORMS = 'one of "bell", "desktop", "command: …" and "webhook: http://…"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to reach a person: `target` is the command for the shell, or the URL."""

    kind: Kind
    target: str = ""

    @property
    def shown(self) -> str:
        """What it is called where others may read it: a URL may hold a key, so not all of it."""
        if self.kind == "webhook":
            parts = urlsplit(self.target)
            return f"webhook: {parts.scheme}://{parts.hostname}"
        return f"{self.kind}: {self.target}" if self.target else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """When and how people are told.

    `notify` are the ways, as `way` reads them; none tells nobody. Between the two times of `quiet`
    (it may pass midnight) only what is of a kind in `urgent` is told. What is over within `wait` is
    never told; what comes within `group` is told at once; what is still open `remind` later (0:
    never) is told again.
    """

    notify: tuple[str, ...] = ("bell",)
    quiet: tuple[int, int] | None = None
    wait: float = 60.0
    group: float = 30.0
    remind: float = 4 * 3600.0
    urgent: tuple[str, ...] = ()

    def rest(self, minute: float) -> float:
        """Give how many seconds of the quiet hours are left at a local time of day (0: none)."""
        if self.quiet is None:
            return 0.0
        start, end = self.quiet
        if (minute - start) % DAY >= (end - start) % DAY:
            return 0.0
        return (end - minute) % DAY * 60


def way(text: str) -> Way:
    """Read one way to tell people. Raises ValueError, to be read after the key's name."""
    word, colon, target = (part.strip() for part in text.partition(":"))
    if word in {"bell", "desktop"} and colon:
        raise ValueError(f'must say "{word}" alone, without a colon')
    if word in {"command", "webhook"} and not target:
        raise ValueError(f'must say what, after a colon: "{word}: …"')
    match word:
        case "bell" | "desktop" | "command" | "webhook":
            return Way(kind=word, target=target)
        case "http" | "https":
            raise ValueError('must say "webhook: …" for a URL')
    near = names.did_you_mean(word, ("bell", "desktop", "command", "webhook"))
    raise ValueError(f"must be {_FORMS}, not {text[:40]!r}{near}")


def quiet(text: str) -> tuple[int, int]:
    """Read quiet hours, `22:00-07:00`. Raises ValueError."""
    match = _TIMES.fullmatch(text.strip())
    if match is None:
        raise ValueError('must be two times of the day, such as "22:00-07:00"')
    hour, minute, to_hour, to_minute = map(int, match.groups())
    start, end = hour * 60 + minute, to_hour * 60 + to_minute
    if start == end:
        raise ValueError("must begin and end at different times")
    return start, end


def kind(text: str) -> str:
    """Read a kind of thing that waits for a person. Raises ValueError."""
    if text in KINDS:
        return text
    near = names.did_you_mean(text, KINDS) or f"; known are {', '.join(KINDS)}"
    raise ValueError(f"must be kinds of things that `hive inbox` shows, not {text[:40]!r}{near}")


def to_dict(rules: Escalation) -> dict[str, Any]:
    """Give the rules as JSON-ready values."""
    return asdict(rules)


def from_dict(given: Mapping[str, Any]) -> Escalation:
    """Read back what `to_dict` gave, after a trip through JSON; unknown keys are left out."""
    known = {one.name for one in fields(Escalation)}
    found = {key: value for key, value in given.items() if key in known}
    for key in found.keys() & {"notify", "quiet", "urgent"}:
        found[key] = None if found[key] is None else tuple(found[key])
    return Escalation(**found)
