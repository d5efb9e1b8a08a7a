"""What every launch of a voice is dressed with: all that its profile says as data."""

from __future__ import annotations

from hive.core.fill import fill, fill_one, values
from hive.core.outfit import Order, Outfit


def plain(order: Order) -> Outfit:
    """Give a launch its profile's arguments and variables.

    Those are its own, those of the consents that were given, of its permission, of its
    conversation, of hive's instructions, and last those of the brief.
    """
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
    known = values(order)
    env = dict(profile.env) | {key: text for one in consents for key, text in one.env}
    return Outfit(
        args=fill(words, order),
        last=fill(last, order),
        env={key: fill_one(text, known) for key, text in env.items()},
    )
