"""Whether anything may be typed into an agent now, and if not, why: one named reason.

Text that comes at the wrong moment does harm: Enter in a dialog approves what it asks, and a
half-typed draft becomes a part of the message. So only what is positively open is open.
"""

from __future__ import annotations

from hive.core.profile import Profile
from hive.core.signs import Condition, Glimpse

PERSON = 10.0
"""Seconds for which a person who typed is left alone."""

LONGEST = 1023
"""Bytes of a line that every terminal takes whose program does not read keys itself.

POSIX only promises 255 (`MAX_CANON`); macOS has 1024, Linux 4096.
"""

DEAD = "dead"
MODE = "copy mode"
SHUT = "its input is off"
OTHER = "another launch is in its pane"
BUSY = "something it started has the terminal"
DRAFT = "draft in the composer"
NO_COMPOSER = "composer not found"
TOO_LONG = "line too long for the terminal"


def gate(
    condition: Condition,
    glimpse: Glimpse,
    draft: str | None,
    profile: Profile,
    now: float,
    also: str = "",
    line: str = "",
) -> str:
    """Give the first reason for not typing `line` now; "" where the gate is open.

    `draft` is what stands in the composer, None where none was found. `also` is a reason that
    whoever asks has: a usage limit, a budget, a pause.
    """
    reasons = (
        also,
        condition.closed,
        pane(condition, glimpse),
        person(glimpse, now),
        _composer(draft, profile),
        TOO_LONG if glimpse.raw is False and len(line.encode()) > LONGEST else "",
    )
    return next(filter(None, reasons), "")


def pane(condition: Condition, glimpse: Glimpse) -> str:
    """Give what of its pane forbids typing: that may be newer than what is known of it."""
    facts = (
        (glimpse.dead, DEAD),
        (bool(condition.launch) and condition.launch != glimpse.launch, OTHER),
        (glimpse.mode, MODE),
        (glimpse.shut, SHUT),
        (not glimpse.foreground, BUSY),
    )
    return next((reason for holds, reason in facts if holds), "")


def person(glimpse: Glimpse, now: float) -> str:
    """Say that a person has just typed; "" where nobody did."""
    ago = now - glimpse.person
    return f"a person typed {max(0.0, ago):.0f} s ago" if ago < PERSON else ""


def _composer(draft: str | None, profile: Profile) -> str:
    if draft is None:
        return NO_COMPOSER if profile.screen.composer else ""
    return DRAFT if draft.strip() else ""
