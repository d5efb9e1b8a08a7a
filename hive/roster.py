"""Who there is to be given work: every agent of this node as the dispatcher sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hive.conversations import Conversations
from hive.core.dispatch import Candidate
from hive.core.signs import Turn
from hive.core.spec import Agent
from hive.core.tasks import Task
from hive.core.voice import Voice
from hive.core.world import Memory, State, Wanted
from hive.evidence import Team

WORKER = "worker"
"""The profile of agents that run commands."""


def candidates(
    team: Team, holds: Mapping[str, Sequence[Task]], last: Mapping[str, tuple[str, ...]]
) -> list[Candidate]:
    """Give each agent that can take work at all; `holds` is what each has, by its id.

    `last` are the sticky and batch keys of what each had before, the newest first.
    """
    found = []
    for agent, wanted in sorted(team.wanted.items(), key=lambda one: one[1].agent.place):
        spec, memory = wanted.agent, team.memory.get(agent)
        takes = _takes(spec.voice)
        if not takes:
            continue
        mine = tuple(holds.get(agent, ()))
        found.append(
            Candidate(
                agent=agent,
                project=spec.project,
                team=spec.team,
                role=spec.role,
                launch=memory.launch if memory else "",
                skills=frozenset(spec.skills),
                takes=takes,
                capacity=1 if fetches(spec) else spec.capacity,
                holds=mine,
                closed=_closed(team, wanted, memory, mine),
                cores=team.node.cores(agent),
                bytes=team.governor.bytes_of(agent),
                model=_model(spec),
                last=last.get(agent, ()),
            )
        )
    return found


def fetches(spec: Agent) -> bool:
    """Whether an agent fetches its work itself: nothing is typed into it."""
    return spec.voice is not None and not spec.voice.profile.messages


def _takes(voice: Voice | None) -> frozenset[str]:
    """Give the kinds of tasks that such an agent can have."""
    if voice is None:
        return frozenset()
    if voice.headless:
        return frozenset({"prompt"})
    if voice.profile.name == WORKER:
        return frozenset({"run"})
    return frozenset({"prompt"}) if voice.profile.tells else frozenset()


def _closed(team: Team, wanted: Wanted, memory: Memory | None, holds: Sequence[Task]) -> str:
    """Say why an agent is to be given nothing now; "" where it may."""
    down = _down(wanted, memory)
    if down or memory is None:
        return down
    agent, talks = wanted.agent.id, team.talks
    if agent in team.governor.strain.paused:
        return "it is paused: the machine is under pressure"
    if agent not in talks.ears.lines:
        return "it was not looked at yet"
    withheld = talks.withheld(agent)
    if withheld:
        return withheld
    mine = {task.lease for task in holds}
    letters = [one for one in talks.outbox.of(agent) if one.lease not in mine or not one.lease]
    if letters:
        return f"it has {letters[0].name} first"
    return "" if holds or fetches(wanted.agent) else _busy(talks, agent)


def _down(wanted: Wanted, memory: Memory | None) -> str:
    if wanted.removed:
        return "it is being removed"
    if not wanted.up:
        return f"it is down: {wanted.why}"
    if memory is None or memory.state is not State.READY:
        return f"it is {memory.state}: {memory.reason}" if memory else "it was not started yet"
    return "it is to be restarted" if memory.generation != wanted.generation else ""


def _busy(talks: Conversations, agent: str) -> str:
    """Say why an agent that is spoken to may not be given anything at this moment."""
    condition = talks.ears.lines[agent].condition
    if condition.turn is not Turn.READY:
        return f"it is {condition.turn}: {condition.text}" if condition.turn else "it is not ready"
    return talks.closed(agent)


def _model(spec: Agent) -> str:
    """Give what an agent thinks with, as far as its command line tells."""
    voice = spec.voice
    argv = (voice.headless if voice else ()) or spec.argv
    name = voice.profile.name if voice else argv[0]
    named = [
        argv[at + 1] for at, word in enumerate(argv[:-1]) if word in {"--model", "-m", "--llm"}
    ]
    return f"{name} {named[0]}" if named else name
