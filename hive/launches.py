"""Launches: each start of one tick dressed, given its berth, and opened, as one batch."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hive.adapters.node import Launching, Node
from hive.adapters.panes import Opened, Refused
from hive.adapters.store import Store
from hive.conversations import Conversations
from hive.core.actions import Start
from hive.core.sessions import End
from hive.core.world import Memory
from hive.errors import HiveError
from hive.governor import Governor

Begun = tuple[Start, str, Opened | Refused]
"""A start, the name of its launch, and what became of it."""


class Launches:
    """Begins launches."""

    def __init__(self, store: Store, node: Node, governor: Governor, talks: Conversations) -> None:
        self._store = store
        self._node = node
        self._governor = governor
        self._talks = talks

    def begin(
        self,
        starts: Sequence[Start],
        environ: Callable[[str], Mapping[str, str]],
        now: float,
    ) -> list[Begun]:
        """Launch all that is to start in this round; `environ` is by project."""
        named = [(one, f"{one.after.generation}-{secrets.token_hex(4)}") for one in starts]
        dressed = {
            launch: self._dressed(one, launch, environ(one.spec.project), now)
            for one, launch in named
        }
        ready = [one for one in dressed.values() if isinstance(one, Launching)]
        ready = [replace(one, berth=self._governor.berth(one.spec, one.launch)) for one in ready]
        answers = self._node.launch(ready) if ready else []
        became: dict[str, Opened | Refused] = {
            launch: one for launch, one in dressed.items() if isinstance(one, Refused)
        }
        became |= {one.launch: answer for one, answer in zip(ready, answers, strict=True)}
        return [(one, launch, became[launch]) for one, launch in named]

    def _dressed(
        self, start: Start, launch: str, inherit: Mapping[str, str], now: float
    ) -> Launching | Refused:
        try:
            spec, kept = self._talks.dress(start.spec, launch, self._end(start.after), inherit, now)
        except HiveError as error:
            return Refused(why=str(error))
        return Launching(spec=spec, launch=launch, pane=start.pane, inherit=kept)

    def _end(self, memory: Memory) -> End | None:
        """Give how the agent's latest launch ended."""
        deaths = self._store.deaths(memory.agent, 1)
        return (
            End(launch=one.launch, code=one.code, ran=one.ran, asked=one.asked)
            if (one := next(iter(deaths), None))
            else None
        )
