"""What one agent of a file is besides a program: whom it works for, what it knows, how it speaks.

An agent without a voice is a plain program: nothing is typed into it and its state is that of its
process and probes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hive.core import profile as profiles
from hive.core.profile import Permission, Profile

_PLACE = re.compile(r"\{(text|folder|directory|hive)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of the Model Context Protocol that an agent may use.

    Either `command` (what is executed, it speaks over stdin and stdout) or `url` is given.
    `env` may hold secrets, and is never printed.
    """

    name: str
    command: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    url: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How an agent is spoken to.

    `brief` is its first prompt ("" for none), `prelude` what hive teaches it. `servers` are those
    of the file that it may use, hive's own left out. `trust` is the person's consent that hive
    answers the questions of a first start. `account` names whose usage limits it shares.
    `found` is what a strategy found out at the deploy (Codex' hashes of trusted hooks).
    `headless` is the command that does one task, with `{text}` in it, where `hive worker` starts
    the program anew for each; then `profile` is that of the worker.
    """

    profile: Profile
    brief: str = ""
    prelude: str = ""
    servers: tuple[Server, ...] = ()
    permission: Permission = "ask"
    trust: bool = False
    account: str = ""
    found: Mapping[str, str] = field(default_factory=dict)
    headless: tuple[str, ...] = ()

    def command(
        self, text: str, *, folder: str, directory: str, hive: str
    ) -> tuple[str, ...] | None:
        """Give the command that does a task or a message; None where its program runs all along.

        Its brief comes before the text. `folder` is the launch's, `hive` hive's command as it
        stands in a shell's line.
        """
        if not self.headless:
            return None
        whole = f"{self.brief}\n\n{text}" if self.brief else text
        known = {"text": whole, "folder": folder, "directory": directory, "hive": hive}
        return tuple(_PLACE.sub(lambda found: known[found[1]], one) for one in self.headless)

    @property
    def at_launch(self) -> tuple[Any, ...]:
        """All that a program was started with: a change of it needs a restart.

        What hive teaches it is left out: that names its teammates, and they come and go. So is
        what is only started with a task.
        """
        one = self.profile
        launch = (one.wiring, one.args, one.env, one.strip, one.prelude, one.permission)
        servers = [(it.name, it.command, it.env, it.url, it.headers) for it in self.servers]
        if self.headless:
            return (one.name, *launch)
        return (one.name, *launch, self.brief, servers, self.permission, self.trust, self.found)


def to_dict(voice: Voice) -> dict[str, Any]:
    """Give the voice as JSON-ready values."""
    return asdict(voice)


def from_dict(values: Mapping[str, Any]) -> Voice:
    """Read back what `to_dict` gave, after a trip through JSON."""
    servers = tuple(
        Server(
            name=one["name"],
            command=tuple(one.get("command", ())),
            env=tuple((key, value) for key, value in one.get("env", ())),
            url=one.get("url", ""),
            headers=tuple((key, value) for key, value in one.get("headers", ())),
        )
        for one in values.get("servers", ())
    )
    return Voice(
        profile=profiles.from_dict(values["profile"]),
        brief=values.get("brief", ""),
        prelude=values.get("prelude", ""),
        servers=servers,
        permission=values.get("permission", "ask"),
        trust=values.get("trust", False),
        account=values.get("account", ""),
        found=dict(values.get("found", {})),
        headless=tuple(values.get("headless", ())),
    )
