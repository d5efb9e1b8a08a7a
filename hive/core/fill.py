"""Puts what is only known at a launch into a profile's arguments, variables and files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from hive.core.outfit import Order

_PLACE = re.compile(r"\{(session|brief|prelude|folder|directory|hive|port)\}")


def commands(hive: Sequence[str]) -> tuple[str, ...]:
    """Give the ways in which an agent may write hive's command, as they stand in a shell's line.

    Its folder comes first in every agent's PATH, so its name alone is the same program.
    """
    whole = shlex.join(hive)
    name = hive[0].rpartition("/")[2]
    return (whole, shlex.quote(name)) if len(hive) == 1 and name != hive[0] else (whole,)


def fill(args: Iterable[str], order: Order) -> tuple[str, ...]:
    """Give the arguments with every placeholder filled; other braces stay as they are.

    `{hive}` is hive's command as its words stand in a shell's line.
    """
    known = values(order)
    return tuple(fill_one(one, known) for one in args)


def fill_one(text: str, known: Mapping[str, str]) -> str:
    """Fill one text. What is put in is never looked at again: a brief may hold `{hive}`."""
    return _PLACE.sub(lambda found: known[found[1]], text)


def values(order: Order) -> dict[str, str]:
    """Give what each placeholder stands for in this launch."""
    return {
        "session": order.session,
        "brief": order.brief,
        "prelude": order.voice.prelude,
        "folder": order.folder,
        "directory": order.directory,
        "hive": shlex.join(order.hive),
        "port": str(order.port),
    }
