"""What hive remembers of the conversation with one agent, across launches and its own death.

The signs of a launch are heard anew after a restart of hive; what can't be heard again is here.
Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hive.core.signs import Condition, Source, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One agent's conversation.

    `session` is its id, `launch` the latest launch that was part of it, `resumed` the launch that
    was to go on with it. `taken` says that it was given something, so that there is something to
    go on with. `brief` is the digest of the brief it was given. The fields from `turn` to `since`
    are its condition, as last written. `step`, `stepped`, `why` and `restarted` are how far
    hive has gone against a stall. `tokens` are those of its conversation, `spent` the dollars by
    conversation.
    """

    agent: str
    session: str = ""
    launch: str = ""
    resumed: str = ""
    taken: bool = False
    brief: str = ""
    turn: str = ""
    sub: str = ""
    text: str = ""
    source: str = ""
    since: float = 0.0
    until: float = 0.0
    step: str = ""
    stepped: float = 0.0
    why: str = ""
    restarted: float = 0.0
    tokens: int = 0
    spent: Mapping[str, float] = field(default_factory=dict)
    version: int = 0

    @property
    def condition(self) -> Condition:
        """The condition as it was last written."""
        if not self.turn:
            return Condition(launch=self.launch)
        return Condition(
            launch=self.launch,
            turn=Turn(self.turn),
            sub=self.sub,
            text=self.text,
            source=Source(self.source),
            since=self.since,
            until=self.until,
        )


def to_dict(talk: Talk) -> dict[str, Any]:
    """Give what the store keeps of it: all but the agent and the version."""
    values = asdict(talk)
    del values["agent"], values["version"]
    return values


def from_dict(agent: str, version: int, values: Mapping[str, Any]) -> Talk:
    """Read back what `to_dict` gave; unknown keys are left out."""
    names = {one.name for one in fields(Talk)} - {"agent", "version"}
    known = {key: value for key, value in values.items() if key in names}
    return Talk(agent=agent, version=version, **known)
