"""What is kept of a team's hours beside events: handoffs, what was said, what windows showed.

Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A handoff from `source` to `target` in the run `run` ("": none), with all of it as JSON."""

    number: int
    at: float
    source: str
    target: str
    run: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A step of a message: how far it came, why, and what it says."""

    at: float
    agent: str
    number: int
    stage: str
    why: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What an agent's window showed at a moment worth it; `why` says what happened then."""

    agent: str
    at: float
    why: str
    text: str
