"""The named strategies of profiles: how a program is dressed, heard and answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Any, Protocol

from hive.core import aider, claude, codex, gemini, opencode
from hive.core.outfit import Order, Outfit
from hive.core.plain import plain
from hive.core.profile import Permission
from hive.core.resets import until
from hive.core.signs import Sign, Turn


class Wiring(Protocol):
    """What hive knows of one program that is no data."""

    def wire(self, order: Order) -> Outfit:
        """Dress a launch: hooks, servers, instructions, permission, conversation, brief."""

    def signs(
        self, event: str, payload: Mapping[str, Any], launch: str, at: float
    ) -> tuple[Sign, ...]:
        """Translate what one of its hooks tells."""

    def reply(self, event: str, allow: bool | None, text: str) -> str:
        """Give what its hook is to print: a decision, or text to go on with."""


_WIRINGS: dict[str, Wiring] = {
    "aider": aider,
    "claude": claude,
    "codex": codex,
    "gemini": gemini,
    "opencode": opencode,
}


def wire(order: Order) -> Outfit:
    """Dress a launch as its profile's strategy does; without one, by its data alone."""
    wiring = _WIRINGS.get(order.voice.profile.wiring)
    return wiring.wire(order) if wiring else plain(order)


def alone(wiring: str, permission: Permission) -> dict[str, str]:
    """Give the variables that hold a program to a permission where it is started for each task."""
    return opencode.alone(permission) if wiring == "opencode" else {}


def signs(
    wiring: str,
    event: str,
    payload: Mapping[str, Any],
    launch: str,
    at: float,
    zone: tzinfo = UTC,
) -> tuple[Sign, ...]:
    """Translate what a hook tells; nothing where the program has none.

    `zone` is that in which the program says when a usage limit ends.
    """
    known = _WIRINGS.get(wiring)
    found = known.signs(event, payload, launch, at) if known else ()
    details = payload.get("error_details", "")
    return tuple(
        replace(one, until=one.until or until(f"{one.text} {details}", at, zone))
        if one.turn is Turn.LIMITED
        else one
        for one in found
    )


def reply(wiring: str, event: str, allow: bool | None, text: str = "") -> str:
    """Give what a hook is to print."""
    known = _WIRINGS.get(wiring)
    return known.reply(event, allow, text) if known else ""
