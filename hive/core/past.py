"""What is kept of what happened, as whoever reads it sees it: how launches ended, and events."""

from __future__ import annotations

from typing import Protocol

from hive.core.world import Holding


class Death(Protocol):
    """How a launch ended, as the store keeps it."""

    @property
    def at(self) -> float: ...  # noqa: D102
    @property
    def launch(self) -> str: ...  # noqa: D102
    @property
    def code(self) -> int | None: ...  # noqa: D102
    @property
    def cause(self) -> str: ...  # noqa: D102
    @property
    def asked(self) -> bool: ...  # noqa: D102
    @property
    def next(self) -> str: ...  # noqa: D102
    @property
    def restarts(self) -> int: ...  # noqa: D102
    @property
    def ran(self) -> float: ...  # noqa: D102
    @property
    def screen(self) -> str: ...  # noqa: D102
    @property
    def largest(self) -> tuple[Holding, ...]: ...  # noqa: D102


class Event(Protocol):
    """Something that happened, as the store keeps it; `agent` is an id, a team or empty."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def at(self) -> float: ...  # noqa: D102
    @property
    def agent(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
