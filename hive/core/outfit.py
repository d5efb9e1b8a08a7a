"""What a voice's program is started with: arguments, variables and files of one launch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hive.core.voice import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All that a strategy may know of the launch it dresses.

    `folder` is the launch's own folder (0700), `hive` hive's command by absolute path, as words.
    `session` is the conversation's id where one is known or chosen; `resume` says that it is to
    be gone on with. `brief` is the first prompt, "" where it was given before. `me` are the
    variables by which the agent's tools say who they are. `port` is a free port of this machine.
    """

    agent: str
    launch: str
    directory: str
    home: str
    folder: str
    hive: tuple[str, ...]
    voice: Voice
    session: str = ""
    resume: bool = False
    brief: str = ""
    me: Mapping[str, str] = field(default_factory=dict)
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """What one launch gets: `args` go behind the command, `last` behind them (the brief).

    `files` are written into the launch's folder, by name. `env` is added to what it inherits.
    """

    args: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)

    def plus(self, other: Outfit) -> Outfit:
        """Give both together."""
        return replace(
            self,
            args=(*self.args, *other.args),
            last=(*self.last, *other.last),
            env={**self.env, **other.env},
            files={**self.files, **other.files},
        )
