"""The named strategies of profiles: how a program is dressed, heard and answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hive.core import aider, claude, codex, gemini, opencode
from hive.core.fill import fill
from hive.core.outfit import Order, Outfit
from hive.core.signs import Sign


class Wiring(Protocol):
    """What hive knows of one program that is no data."""

    def wire(self, order: Order) -> Outfit:
        """Dress a launch: hooks, servers, instructions, permission, conversation, brief."""

    def signs(
        self, event: str, payload: Mapping[str, Any], launch: str, at: float
    ) -> tuple[Sign, ...]:
        """Translate what one of its hooks tells."""

    def reply(self, event: str, allow: bool | None, text: str) -> str:  # noqa: FBT001
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
    return wiring.wire(order) if wiring else _plain(order)


def signs(
    wiring: str, event: str, payload: Mapping[str, Any], launch: str, at: float
) -> tuple[Sign, ...]:
    """Translate what a hook tells; nothing where the program has none."""
    known = _WIRINGS.get(wiring)
    return known.signs(event, payload, launch, at) if known else ()


def reply(wiring: str, event: str, allow: bool | None, text: str = "") -> str:  # noqa: FBT001
    """Give what a hook is to print."""
    known = _WIRINGS.get(wiring)
    return known.reply(event, allow, text) if known else ""


def _plain(order: Order) -> Outfit:
    """Dress a program that has only arguments and variables."""
    voice, profile = order.voice, order.voice.profile
    consents = profile.consents if voice.trust else ()
    words = [
        *profile.args,
        *(word for one in consents for word in one.args),
        *profile.permission.get(voice.permission, ()),
    ]
    if order.session:
        words += profile.session.resume if order.resume else profile.session.new
    words += profile.prelude if voice.prelude else ()
    last = profile.brief.args if order.brief and profile.brief.how == "argv" else ()
    env = dict(profile.env) | {key: value for one in consents for key, value in one.env}
    return Outfit(args=fill(words, order), last=fill(last, order), env=env)
