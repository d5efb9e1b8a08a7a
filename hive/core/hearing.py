"""How a sign is taken in: what is doubled, late or out of order changes nothing that is newer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hive.core.signs import Ear, Sign, Source, Turn

OVER = 100
"""So many questions that are over are remembered, should one of them be told late."""

_SESSION, _TOTALS, _ANSWER, _CALLS = "session", "totals", "answer", "calls"


def hear(ear: Ear, sign: Sign) -> Ear:
    """Add a sign to what is known of its launch; one of another launch changes nothing."""
    if sign.launch != ear.launch:
        return ear
    known = ear.latest.get(sign.source)
    newer = sign.turn is not None and (known is None or sign.at >= known.at)
    ended = _ends(sign)
    return replace(
        ear,
        latest={**ear.latest, sign.source: sign} if newer else ear.latest,
        heard=_heard(ear, sign),
        worked=max(ear.worked, sign.at) if sign.worked else ear.worked,
        grown=max(ear.grown, sign.at) if sign.source is Source.RECORDS else ear.grown,
        ended=max(ear.ended, sign.at) if ended else ear.ended,
        **_asked(ear, sign),
        **_told(ear, sign),
    )


def _ends(sign: Sign) -> bool:
    """Whether a turn has ended; to report that a task is done ends none."""
    return sign.turn is Turn.READY and sign.source is not Source.REPORT


def _heard(ear: Ear, sign: Sign) -> Mapping[int, tuple[Source, float]]:
    """Add the messages that arrived; of two proofs the first counts."""
    if not sign.heard:
        return ear.heard
    found, proof = dict(ear.heard), (sign.at, sign.source)
    for number in sign.heard:
        known = found.get(number)
        if known is None or proof < (known[1], known[0]):
            found[number] = (sign.source, sign.at)
    return found


def _asked(ear: Ear, sign: Sign) -> dict[str, Any]:
    """Open and close questions: a turn that ends leaves none of those asked in it."""
    if not (sign.ask or sign.over or _ends(sign)):
        return {}
    over = {**ear.over, **{key: max(sign.at, ear.over.get(key, 0.0)) for key in sign.over}}
    ended = max(ear.ended, sign.at) if _ends(sign) else ear.ended
    asks, asked = dict(ear.asks), dict(ear.asked)
    if sign.ask:  # the same may be asked again once it is over
        asks[sign.ask.key] = sign.ask
        asked[sign.ask.key] = min(sign.at, asked.get(sign.ask.key, sign.at))
    closed = {key: max(ended, over.get(key, 0.0)) for key in asks}
    left = [key for key in asks if asked.get(key, 0.0) > closed[key]]
    return {
        "asks": {key: asks[key] for key in left},
        "asked": {key: asked[key] for key in left},
        "over": dict(sorted(over.items(), key=lambda one: one[1])[-OVER:]),
    }


def _told(ear: Ear, sign: Sign) -> dict[str, Any]:
    """Take what a newer sign says of the session, its totals, the answer and the open calls.

    Totals without a session are of the one that was named last before.
    """
    found: dict[str, Any] = {}
    told = dict(ear.told)

    def newer(what: str) -> bool:
        if sign.at < told.get(what, 0.0):
            return False
        told[what] = sign.at
        return True

    before, total = told.get(_SESSION, 0.0), told.get(_TOTALS, 0.0)
    if sign.session and newer(_SESSION):
        found["session"] = sign.session
    if sign.session == ear.session or (not sign.session and sign.at >= before):
        newer(_TOTALS)
        found["tokens"] = max(ear.tokens, sign.tokens)
        found["cost"] = max(ear.cost, sign.cost)
    elif "session" in found:
        later = total >= sign.at
        newer(_TOTALS)
        found["tokens"] = max(ear.tokens, sign.tokens) if later else sign.tokens
        found["cost"] = max(ear.cost, sign.cost) if later else sign.cost
    if sign.answer and newer(_ANSWER):
        found["answer"] = sign.answer
    calls = 0 if _ends(sign) else sign.call
    if calls is not None and newer(_CALLS):
        found["calls"] = calls
    return {**found, "told": told}
