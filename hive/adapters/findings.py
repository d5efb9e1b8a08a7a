"""What programs have to be asked before their agents are deployed: Codex, whether it trusts hooks.

It is asked once a deploy for each program; what it says goes with the agents.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from hive.adapters import codex_trust
from hive.adapters.itself import command
from hive.core.spec import Agent
from hive.errors import HiveError


def complete(agents: Iterable[Agent], environ: Mapping[str, str]) -> tuple[list[Agent], list[str]]:
    """Give the agents with what their programs had to be asked, and what went wrong.

    An agent whose program did not answer works with fewer signals.
    """
    known: dict[str, Mapping[str, str]] = {}
    found, wrong = [], []
    for agent in agents:
        if agent.voice is None or agent.voice.profile.wiring != "codex":
            found.append(agent)
            continue
        program = agent.argv[0]
        if program not in known:
            known[program], trouble = _asked(agent, environ)
            wrong += [trouble] if trouble else []
        found.append(replace(agent, voice=replace(agent.voice, found=known[program])))
    return found, wrong


def _asked(agent: Agent, environ: Mapping[str, str]) -> tuple[Mapping[str, str], str]:
    env = {**environ, **dict(agent.env)}
    path = env.get("PATH", os.defpath)
    try:
        told = codex_trust.hashes(
            (agent.argv[0],), command(), agent.directory, {**env, "PATH": path}
        )
    except HiveError as error:
        return {}, f"{agent.short} works without hooks: {error.what}"
    return told, ""
