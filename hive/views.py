"""Records: what hive knows, as JSON-ready values in the shapes that docs/json.md promises.

Pure: what is wanted, seen and remembered comes in, plain dicts come out. Times are ISO 8601
in UTC, sizes bytes, durations seconds, CPU use cores.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hive.core.admission import WAITING
from hive.core.diff import Change
from hive.core.outlook import how, outlook
from hive.core.past import Death, Event
from hive.core.restart import within
from hive.core.shown import Shown, state
from hive.core.shown import outlook as said
from hive.core.signs import Condition, Source
from hive.core.spec import Agent, Probe
from hive.core.units import as_text
from hive.core.wording import span
from hive.core.world import Memory, State, TeamMemory, Verdict, Wanted

VERSION = 1
"""Grows when a field changes its meaning or goes away; new fields may come at any time."""

DEAD = "Pane is dead"
"""How the line begins that tmux writes at the bottom of a dead pane."""

PAUSED = "paused: "
"""How it begins what is said of the limits of an agent that is paused."""

WAITS = frozenset({"waiting", "limited", "stalled"})
"""The states of an agent that runs, and that a person or time alone gets further."""

Record = dict[str, Any]
Strain = tuple[int, str, str, float]
"""Pressure on the machine: its level (0: none), what hive does about it, why, and since when."""


def iso(at: float) -> str:
    """Write a moment (epoch seconds) as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(round(at, 3), UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def short(agent: str) -> str:
    """Give an id as people say it: without its project; hive itself has the empty id."""
    return agent.split("/", 1)[-1] or "hive"


def settled(wanted: Wanted, memory: Memory, word: str = "", *, paused: bool = False) -> bool:
    """Whether nothing further is about to happen to the agent by itself.

    So is a quarantined one: how the request for it ended is known; or one that waits, by `word`;
    or one that a person has `paused`.
    """
    if wanted.removed or not wanted.up:
        return memory.state is State.STOPPED
    if paused:
        return True
    if memory.generation != wanted.generation:
        return False
    if memory.state is State.FAILED:
        return memory.quarantined
    return memory.state in {State.READY, State.STOPPED} or word in WAITS


def agent_record(
    wanted: Wanted,
    memory: Memory,
    cpu: float | None,
    memory_bytes: int | None,
    limit: str | None = None,
    talk: Shown | None = None,
    task: str = "",
    paused: Record | None = None,
) -> Record:
    """Build an agent's record; `cpu` is in cores, both numbers None where nobody looks.

    `limit` is what hive does about its limits now (None or empty: nothing), `talk` what is known of
    its conversation, `task` the name of its task, `paused` the record of a person's pause.
    """
    agent = wanted.agent
    word, sub, reason, since = state(memory, talk)
    return {
        "agent": agent.short,
        "team": agent.team,
        "role": agent.role,
        "state": word,
        "sub": sub,
        "reason": reason,
        "since": _moment(since),
        **_place(agent, memory),
        "restarts": memory.restarts,
        "cpu": None if cpu is None else round(cpu, 3),
        "memory": memory_bytes,
        "limit": limit or None,
        "task": task or None,
        "paused": paused,
        "id": agent.id,
        "settled": settled(wanted, memory, word, paused=paused is not None),
        "project": agent.project,
        "wanted": _wish(wanted),
        "socket": agent.socket,
        "after": list(agent.after),
        **_talk(talk),
    }


def _place(agent: Agent, memory: Memory) -> Record:
    """Tell where an agent runs."""
    return {
        "session": agent.session,
        "window": agent.window,
        "pane": (memory.pane or None) if memory.live else None,
        "pid": (memory.pid or None) if memory.live else None,
    }


def _talk(talk: Shown | None) -> Record:
    """Tell of a conversation; of a plain program's there is nothing to tell."""
    known = talk or Shown(condition=Condition(), profile="")
    return {
        "profile": known.profile or None,
        "session_id": known.session or None,
        "until": _moment(known.condition.until),
        "closed": known.closed,
        "queue": known.queue,
        "tokens": known.tokens,
        "cost": round(known.cost, 4),
    }


def status(
    *,
    node: str,
    supervisor: Mapping[str, Any] | None,
    agents: Sequence[Record],
    teams: Mapping[str, TeamMemory],
    strain: Strain | None = None,
) -> Record:
    """Build the answer to `status`; `teams` that never restarted anything may be absent.

    `strain` is None where nobody looks.
    """
    named = {f"{one['project']}/{one['team']}": one for one in agents}
    return {
        "version": VERSION,
        "node": node,
        "supervisor": dict(supervisor) if supervisor else None,
        "agents": list(agents),
        "teams": [
            _team_record(one["project"], one["team"], teams.get(team))
            for team, one in named.items()
        ],
        "strain": strain_record(strain) if strain and strain[0] else None,
        "waiting": sum(one["reason"].startswith(WAITING) for one in agents),
    }


def strain_record(strain: Strain) -> Record:
    """Build the record of the pressure on the machine."""
    level, doing, reason, since = strain
    return {"level": level, "doing": doing, "why": reason, "since": _moment(since)}


def why(  # noqa: PLR0913 - each is a kind of evidence of its own
    *,
    record: Record,
    wanted: Wanted,
    memory: Memory,
    team: TeamMemory,
    probes: tuple[Verdict | None, Verdict | None],
    deaths: Sequence[Death],
    events: Sequence[Event],
    now: float,
    limits: Sequence[tuple[str, float]] = (),
    talk: Shown | None = None,
) -> Record:
    """Build the answer to `why`; `deaths` has the latest first, `probes` are ready and alive.

    `limits` says what is so about its limits: sentences with their times (0: none).
    """
    rule = wanted.agent.restart
    text, at = said(memory, talk) or outlook(wanted, memory, team, now)
    if wanted.up and resuming(record):
        text, at = resuming(record), None
    return {
        "version": VERSION,
        "agent": record,
        "evidence": [
            *evidence(wanted, memory, probes, deaths, limits),
            *_heard(talk),
        ],
        "next": {"text": text, "time": None if at is None else iso(at)},
        "budget": {
            "policy": rule.policy,
            "deaths": len(within(memory.deaths, rule.window, now)),
            "attempts": rule.attempts,
            "window": rule.window,
            "restarts": memory.restarts,
        },
        "certificate": certificate_record(deaths[0]) if deaths else None,
        "events": [event_record(event) for event in sorted(events, key=lambda one: one.id)],
    }


def resuming(record: Record) -> str:
    """Say what lets an agent go on that is paused, by a person or for want of room; "" if not."""
    one, go_on = record["paused"], f"`hive resume {record['agent']}` lets it go on"
    if one and (one["frozen"] or not record["pid"]):
        return f"nothing: {go_on}"
    if one:
        return f"gives it nothing, and freezes it: {one['waits'] or 'at once'}; {go_on}"
    pressed = (record["limit"] or "").startswith(PAUSED)
    return "lets it go on once the pressure on the machine is over" if pressed else ""


def evidence(
    wanted: Wanted,
    memory: Memory,
    probes: tuple[Verdict | None, Verdict | None],
    deaths: Sequence[Death],
    limits: Sequence[tuple[str, float]] = (),
) -> list[Record]:
    """List the signals that an agent's state rests on, each with its time."""
    agent, (ready, alive) = wanted.agent, probes
    wish = f"wanted {_wish(wanted)}, request {wanted.generation}: {wanted.why}"
    found = [_signal("wanted", wish, 0.0)]
    if agent.plot:
        place = f"{agent.plot.path}, on branch {agent.plot.branch}"
        found.append(_signal("worktree", place, 0.0))
    if memory.live:
        found += [
            _signal("process", f"pid {memory.pid} runs", memory.began),
            _signal("pane", f"{memory.pane} in {agent.session}:{agent.window}", memory.began),
        ]
    elif memory.launch:
        found.append(_signal("process", "its program does not run", memory.since))
    else:
        found.append(_signal("process", "hive has not started it yet", 0.0))
    for source, probe, verdict in (("ready", agent.ready, ready), ("alive", agent.alive, alive)):
        if probe and memory.live:
            found.append(_answer(source, probe, verdict))
    found += [_signal("limits", text, at) for text, at in limits]
    if deaths:
        text = f"{how(deaths[0].code, deaths[0].cause)}, after {span(deaths[0].ran)}"
        found.append(_signal("last end", text, deaths[0].at))
    return found


def certificate_record(death: Death) -> Record:
    """Build the certificate of a launch that ended."""
    return {
        "time": iso(death.at),
        "launch": death.launch,
        "code": death.code,
        "cause": death.cause,
        "asked": death.asked,
        "next": death.next,
        "restarts": death.restarts,
        "ran": round(death.ran, 3),
        "screen": shown(death.screen.splitlines()),
        "largest": [
            {"pid": one.pid, "name": one.name, "bytes": one.bytes} for one in death.largest
        ],
    }


def event_record(event: Event) -> Record:
    """Build the record of one event."""
    return {
        "id": event.id,
        "time": iso(event.at),
        "agent": short(event.agent),
        "kind": event.kind,
        "text": event.text,
    }


def events(found: Iterable[Event]) -> Record:
    """Build the answer to `events`, in the order given."""
    return {"version": VERSION, "events": [event_record(event) for event in found]}


def logs(agent: str, source: str, at: float, lines: Sequence[str]) -> Record:
    """Build the answer to `logs`; `source` says whether a window or a certificate was read."""
    return {
        "version": VERSION,
        "agent": short(agent),
        "source": source,
        "time": iso(at),
        "lines": shown(lines),
    }


def shown(lines: Sequence[str]) -> list[str]:
    """Give what a program showed: without tmux's own last word, and without the empty end."""
    kept = list(lines)
    while kept and (not kept[-1].strip() or kept[-1].startswith(DEAD)):
        kept.pop()
    return kept


def names(agents: Iterable[Agent]) -> Record:
    """Build the answer to `names`: what can be named on the command line."""
    found = list(agents)
    return {
        "version": VERSION,
        "agents": sorted({agent.short for agent in found}),
        "teams": sorted({agent.team for agent in found}),
        "projects": sorted({agent.project for agent in found}),
    }


def deploy(
    project: str, changes: Iterable[Change], *, dry_run: bool, limits: bool = False
) -> Record:
    """Build the answer to `deploy`: each change with its reason.

    `limits` says whether what all agents together may use changes.
    """
    return {
        "version": VERSION,
        "project": project,
        "dry_run": dry_run,
        "limits": limits,
        "changes": [
            {
                "agent": short(change.agent),
                "id": change.agent,
                "kind": change.kind,
                "why": change.why,
            }
            for change in changes
        ],
    }


def changed(agents: Iterable[str]) -> Record:
    """Build the answer to a verb that changed what is wanted of these agents (ids)."""
    return {"version": VERSION, "agents": [short(agent) for agent in agents]}


def dump(values: Mapping[str, str]) -> str:
    """Write an environment as one line of JSON, its undecodable bytes included."""
    return json.dumps(dict(values), sort_keys=True)


def load(text: str | None) -> dict[str, str]:
    """Read what `dump` wrote; nothing where nothing was written."""
    return {str(key): str(value) for key, value in json.loads(text or "{}").items()}


def _team_record(project: str, team: str, memory: TeamMemory | None) -> Record:
    held, reason = False, ""
    if memory is not None and memory.held:
        held, reason = True, f"too many restarts in a short time: {len(memory.restarts)}"
    return {"team": team, "project": project, "held": held, "reason": reason}


def _wish(wanted: Wanted) -> str:
    if wanted.removed:
        return "removed"
    return "up" if wanted.up else "down"


def _heard(talk: Shown | None) -> list[Record]:
    """Tell what was heard of a conversation; of its process more is told already."""
    heard = talk.evidence if talk else ()
    return [
        _signal(one.source, one.text, one.at) for one in heard if one.source is not Source.PROCESS
    ]


def _answer(source: str, probe: Probe, verdict: Verdict | None) -> Record:
    """Tell what a probe asks and what it last heard."""
    asks = f"{probe.kind} `{probe.target}` every {as_text(probe.interval)}"
    if verdict is None or verdict.good is None:
        heard = (verdict.why if verdict else "") or "no answer yet"
        return _signal(source, f"{heard}; asks {asks}", verdict.since if verdict else 0.0)
    word = "good" if verdict.good else "bad"
    return _signal(source, f"{word}: {verdict.why or 'it answered'}; asks {asks}", verdict.since)


def _signal(source: str, text: str, at: float) -> Record:
    return {"source": source, "text": text, "time": _moment(at)}


def _moment(at: float) -> str | None:
    """Write a moment; 0 is how memory says that it has not come."""
    return iso(at) if at else None
