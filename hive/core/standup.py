"""The standup: what each team has done, does, waits for, does next, and what may go wrong.

Made of facts that hive has already: nobody is asked, and it costs no token. Records come in as
docs/json.md has them, and one comes out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from hive.core.checkin import CheckIn, Verdict, short
from hive.core.repository import Commit
from hive.core.rhythm import COMMIT
from hive.core.wording import count, span

Record = dict[str, Any]

VERSION = 1

SUBJECTS = 3
"""How many of an agent's commits are named one by one."""

LATE = 2 * COMMIT
"""What is not committed for so long is told as a risk, in seconds."""

_NEXT = ("ready", "failed", "waiting")
"""The states of a task that is still to be done, what is nearest first."""

_RISKS = frozenset({"failed", "stalled", "limited"})
"""The states of an agent that a person should know of."""

_DEAD = "dead letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a standup is made of.

    `agents` and `teams` are records as in `hive status`, `tasks` as in `hive task list` (those
    that are not over, and those that ended since), `inbox` the items of `hive inbox`. `checkins`
    are those since, and one before of each agent where there is one, the older first.
    `collisions` are by path the agents (ids) that changed the same file, `commits` by agent (id)
    those since, `digests` by team (`project/team`) the tokens and dollars that its lead's digests
    took. `named` says that nothing but the teams of these agents is asked for.
    """

    agents: Sequence[Mapping[str, Any]] = ()
    teams: Sequence[Mapping[str, Any]] = ()
    tasks: Sequence[Mapping[str, Any]] = ()
    inbox: Sequence[Mapping[str, Any]] = ()
    checkins: Sequence[CheckIn] = ()
    collisions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    commits: Mapping[str, Sequence[Commit]] = field(default_factory=dict)
    digests: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    named: bool = False


@dataclass(slots=True, kw_only=True)
class _Team:
    """What is known of one team; `checkins` are by agent, the older first."""

    id: str
    held: str = ""
    agents: list[Mapping[str, Any]] = field(default_factory=list)
    tasks: list[Mapping[str, Any]] = field(default_factory=list)
    inbox: list[Mapping[str, Any]] = field(default_factory=list)
    checkins: dict[str, list[CheckIn]] = field(default_factory=lambda: defaultdict(list))


def standup(facts: Facts, *, since: float, now: float, late: float = LATE) -> Record:
    """Build the answer to `standup`: a record of each team, since that moment.

    `late` is for how long changes may stay uncommitted, in seconds.
    """
    return {
        "version": VERSION,
        "since": _iso(since),
        "time": _iso(now),
        "teams": [
            {
                "team": team.id.partition("/")[2],
                "project": team.id.partition("/")[0],
                "done": [*_done(team, facts, since)],
                "doing": [*_doing(team)],
                "blocked": [*_blocked(team)],
                "next": [*_next(team)],
                "risks": [*_risks(team, facts, now, late)],
                "cost": _cost(team, facts),
            }
            for team in _teams(facts)
        ],
    }


def _teams(facts: Facts) -> list[_Team]:
    """Sort the facts by team; tasks that any team may have are those of the team `project/`."""
    found: dict[str, _Team] = {}
    for one in facts.agents:
        _team(found, f"{one['project']}/{one['team']}").agents.append(one)
    wanted = set(found)
    for task in facts.tasks:
        name = _team_of(task)
        if not facts.named or name in wanted:
            _team(found, name).tasks.append(task)
    for each in facts.checkins:
        agent = each.evidence.agent
        name = agent.rpartition("/")[0]
        if name in found:
            found[name].checkins[agent].append(each)
    for held in facts.teams:
        name = f"{held['project']}/{held['team']}"
        if held["held"] and name in found:
            found[name].held = held["reason"] or "nothing is restarted by itself"
    _sort_inbox(facts.inbox, found)
    return list(found.values())


def _team(found: dict[str, _Team], name: str) -> _Team:
    if name not in found:
        found[name] = _Team(id=name)
    return found[name]


def _team_of(task: Mapping[str, Any]) -> str:
    if task["id"]:
        return str(task["id"]).rpartition("/")[0]
    return f"{task['project']}/{task['team']}"


def _sort_inbox(inbox: Iterable[Mapping[str, Any]], found: Mapping[str, _Team]) -> None:
    """Give each team what waits for a person in it; a budget's item, to each of its project."""
    places: dict[str, list[_Team]] = defaultdict(list)
    for team in found.values():
        project, _, name = team.id.partition("/")
        own = {name, *(one["agent"] for one in team.agents)}
        own |= {task["task"] for task in team.tasks}
        for key in (own | {project}) - {""}:
            places[key].append(team)
    for item in inbox:
        key = item["id"] if item["id"] in places else item["agent"]
        for team in places[key]:
            team.inbox.append(item)


def _done(team: _Team, facts: Facts, since: float) -> Iterator[Record]:
    for task in team.tasks:
        if task["state"] == "done" and _at(task["finished"]) >= since:
            yield _item(short(task["title"]), task["agent"], task["task"], task["finished"])
    for agent in team.agents:
        own = sorted(facts.commits.get(agent["id"], ()), key=lambda one: one.at, reverse=True)
        if own:
            subjects = "; ".join(short(one.subject, 60) for one in own[:SUBJECTS])
            more = f" and {len(own) - SUBJECTS} more" if len(own) > SUBJECTS else ""
            text = f"{count(len(own), 'commit')}: {subjects}{more}"
            yield _item(text, agent["agent"], None, _iso(own[0].at))


def _doing(team: _Team) -> Iterator[Record]:
    leased = [task for task in team.tasks if task["state"] == "leased"]
    for task in leased:
        text = ": ".join(filter(None, (short(task["title"]), short(task["reason"]))))
        yield _item(text, task["agent"], task["task"], task["begun"] or task["since"])
    busy = {task["id"] for task in leased}
    for agent in team.agents:
        latest = _latest(team, agent)
        if agent["id"] not in busy and latest and latest.verdict is Verdict.WORKING:
            yield _item(latest.line, agent["agent"], None, _iso(latest.evidence.at))


def _blocked(team: _Team) -> Iterator[Record]:
    """Tell what waits for a person, and what else does not go on."""
    listed = set()
    for item in team.inbox:
        listed |= {item["id"], item["agent"]}
        if item["kind"] == _DEAD:
            continue
        task = item["id"] if str(item["id"]).startswith("t-") else None
        text = short(f"{item['kind']}: {item['asked']}: {item['why']}")
        yield _item(text, None if task else item["agent"], task, item["since"], item["answer"])
    for task in team.tasks:
        if task["state"] == "held" and task["task"] not in listed:
            text = short(f"{task['title']}: {task['reason']}")
            answer = f"hive task release {task['task']}"
            yield _item(text, task["agent"], task["task"], task["since"], answer)
    for agent in team.agents:
        if agent["state"] == "waiting" and agent["agent"] not in listed:
            text = short(f"{agent['sub'] or 'waiting'}: {agent['reason']}")
            answer = f"hive why {agent['agent']}"
            yield _item(text, agent["agent"], None, agent["since"], answer)


def _next(team: _Team) -> Iterator[Record]:
    for state in _NEXT:
        for task in team.tasks:
            if task["state"] == state:
                text = ": ".join(filter(None, (short(task["title"]), short(task["reason"]))))
                yield _item(text, task["agent"], task["task"], task["since"])


def _risks(team: _Team, facts: Facts, now: float, late: float) -> Iterator[Record]:
    if team.held:
        name = team.id.partition("/")[2]
        yield _item(f"the team is held: {team.held}", None, None, None, f"hive start {name}")
    for agent in team.agents:
        for text, since in _risks_of(team, agent, now, late):
            yield _item(text, agent["agent"], None, since, f"hive why {agent['agent']}")
    members = {agent["id"] for agent in team.agents}
    for path, agents in sorted(facts.collisions.items()):
        if members & set(agents):
            who = ", ".join(agent.split("/", 1)[-1] for agent in agents)
            yield _item(f"{path} is changed in several worktrees: {who}", None, None, None)
    for task in team.tasks:
        text = _risk(task, now)
        if text:
            answer = f"hive task show {task['task']}"
            yield _item(text, task["agent"], task["task"], task["since"], answer)


def _risks_of(
    team: _Team, agent: Mapping[str, Any], now: float, late: float
) -> Iterator[tuple[str, str | None]]:
    """Say what may go wrong with an agent, and since when."""
    if agent["state"] in _RISKS:
        given_up = agent["state"] == "failed" and agent.get("settled")
        word = "quarantined" if given_up else agent["state"]
        yield short(f"{word}: {agent['reason']}"), agent["since"]
    if agent.get("limit"):
        yield short(agent["limit"]), None
    latest = _latest(team, agent)
    if latest is None:
        return
    seen = latest.evidence
    if latest.verdict in {Verdict.MISSED, Verdict.QUIET} and agent["state"] not in _RISKS:
        yield latest.line, _iso(seen.at)
    if seen.trouble:
        yield f"git: {short(seen.trouble)}", _iso(seen.at)
    dirty = _uncommitted(team.checkins[agent["id"]])
    if dirty and now - dirty > late:
        files = count(len(seen.files), "file")
        yield f"{files} not committed for {span(now - dirty)}", _iso(dirty)


def _risk(task: Mapping[str, Any], now: float) -> str:
    """Say what may go wrong with a task; "" for nothing."""
    what = short(task["title"], 60)
    if task["state"] == "dead":
        return short(f"{_DEAD}: {what}: {task['reason']}")
    if task["state"] in {"done", "cancelled"}:
        return ""
    wanted = _at(task.get("deadline"))
    if 0 < wanted < now:
        return f"late by {span(now - wanted)}: {what}"
    tries = len(task["failures"])
    return f"{count(tries, 'attempt')} failed: {what}" if tries else ""


def _uncommitted(checkins: Sequence[CheckIn]) -> float:
    """Give since when there are changes that no commit took in; 0 where there are none."""
    since = 0.0
    for one in reversed(checkins):
        if not one.evidence.files:
            break
        since = one.evidence.at
        if one.evidence.commits:
            break
    return since


def _cost(team: _Team, facts: Facts) -> Record:
    """Give what the team took since, as far as check-ins tell, and its lead's digests of that."""
    tokens, cost = 0, 0.0
    for own in team.checkins.values():
        for before, after in pairwise(one.evidence for one in own):
            anew = after.tokens < before.tokens or after.cost < before.cost
            tokens += after.tokens - (0 if anew else before.tokens)
            cost += after.cost - (0.0 if anew else before.cost)
    told = facts.digests.get(team.id, (0, 0.0))
    return {
        "tokens": tokens,
        "cost": round(cost, 4),
        "digests": {"tokens": told[0], "cost": round(told[1], 4)},
    }


def _latest(team: _Team, agent: Mapping[str, Any]) -> CheckIn | None:
    own = team.checkins.get(agent["id"])
    return own[-1] if own else None


def _item(
    text: str, agent: str | None, task: str | None, time: str | None, answer: str = ""
) -> Record:
    return {"agent": agent, "task": task, "text": text, "time": time, "answer": answer}


def _at(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _iso(at: float) -> str:
    moment = datetime.fromtimestamp(round(at, 3), UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
