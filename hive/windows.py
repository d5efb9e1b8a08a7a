"""The verbs about agents' windows: what they show, and where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hive import views
from hive.core.world import Memory
from hive.errors import HiveError
from hive.keeper import Keeper

VERBS = ("logs", "attach")


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The windows of the agents that run.

    `chosen` gives the agents (ids) that names mean, `one` the one that a name means.
    """

    keeper: Keeper
    chosen: Callable[[Sequence[str]], list[str]]
    one: Callable[[str], str]
    clock: Callable[[], float]

    def logs(self, name: str, lines: int = 200) -> dict[str, Any]:
        """Give the last lines of an agent's window, or of its last certificate."""
        agent = self.one(name)
        memory = self.keeper.memory.get(agent, Memory(agent=agent))
        pane = self.keeper.node.pane(agent, memory.launch)
        if pane:
            text = self.keeper.node.last_screen(memory.socket, pane, lines)
            return views.logs(agent, "window", self.clock(), text)
        deaths = self.keeper.store.deaths(agent, 1)
        if not deaths:
            return views.logs(agent, "window", self.clock(), [])
        return views.logs(agent, "certificate", deaths[0].at, deaths[0].screen.split("\n")[-lines:])

    def attach(self, name: str) -> dict[str, Any]:
        """Say where a person finds an agent's window, or a team's session."""
        chosen = [agent for agent in self.chosen([name]) if self.keeper.memory.get(agent)]
        for agent in chosen:
            memory = self.keeper.memory[agent]
            pane = self.keeper.node.pane(agent, memory.launch)
            if pane:
                exact = len(chosen) == 1
                return {
                    "socket": memory.socket,
                    "session": pane.session,
                    "window": pane.window if exact else None,
                    "pane": pane.id if exact else None,
                }
        raise HiveError(f"`{name}` has no window now", fix=f"hive why {name}")
