"""The digest: what a team's lead is told of it, in one message, and only where something changed.

A team that does nothing costs its lead nothing: there is no digest then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hive.core.checkin import SAVED, CheckIn, Evidence, Verdict, news, short
from hive.core.wording import count

LINES = 20
"""How many lines a digest has at most."""

LETTERS = 2000
"""How many characters."""

WIDE = 160
"""How many characters one agent's line has."""

VERBS = (
    'Only if something is to be done: `hive task add "…" --agent NAME`, `hive send NAME "…"`; '
    'what a person must decide: `hive ask "…"`. Else end your turn: no answer is needed.'
)
"""How a digest ends: what its reader may do about it."""

_ORDER = (
    Verdict.MISSED, Verdict.DOWN, Verdict.QUIET, Verdict.WAITING, Verdict.PAUSED,
    Verdict.WORKING, Verdict.IDLE,
)  # fmt: skip
"""The verdicts, what needs a lead most first."""

_CALM = frozenset({Verdict.WORKING, Verdict.IDLE})
"""The verdicts between which an agent goes to and fro all day: only what came of it is told."""


def digest(
    team: str,
    now: Sequence[CheckIn],
    before: Mapping[str, CheckIn],
    conflicts: Mapping[str, Sequence[str]] | None = None,
    *,
    reader: str = "",
) -> str:
    """Give the text for a team's lead; "" where nothing changed.

    `now` are the check-ins since the last digest, the older first, one or several of an agent;
    `before` has by agent the one that was told last. `conflicts` are by path the agents that
    changed the same file, those that were not told yet. `reader` (an id) is who gets it: of
    itself it is told nothing.
    """
    told = changes(now, before, reader=reader)
    lines = [_conflict(path, agents) for path, agents in sorted((conflicts or {}).items())]
    lines += [short(f"{_called(one)}: {'; '.join(said)}", WIDE) for one, said in told.items()]
    if not lines:
        return ""
    quiet = len({one.evidence.agent for one in now} - {reader}) - len(told)
    head = f"Team {short(team)}, what changed"
    head += f" ({count(quiet, 'agent')} as before):" if quiet else ":"
    return "\n".join([head, *_fitting(team, lines, len(head)), VERBS])


def changes(
    now: Sequence[CheckIn], before: Mapping[str, CheckIn], *, reader: str = ""
) -> dict[str, list[str]]:
    """Give by agent (id) what is to be told of it, what needs a lead most first."""
    latest = {one.evidence.agent: one for one in now if one.evidence.agent != reader}
    ranked = sorted(latest.values(), key=lambda one: _ORDER.index(one.verdict))
    told = ((one.evidence.agent, one) for one in ranked)
    found = {agent: _news(one, now, before.get(agent)) for agent, one in told}
    return {agent: said for agent, said in found.items() if said}


def _news(one: CheckIn, now: Iterable[CheckIn], told: CheckIn | None) -> list[str]:
    """Say what is new of an agent since it was told of last; of a new one, how it is."""
    mine = [each.evidence for each in now if each.evidence.agent == one.evidence.agent]
    if told is None:
        return [] if one.verdict is Verdict.IDLE else [one.line]
    commits = [subject for each in mine for subject in each.commits]
    own = tuple(subject for subject in commits if not subject.startswith(SAVED))
    whole = replace(one.evidence, commits=own, cost=told.evidence.cost)
    if len(own) < len(commits) and not whole.files:  # hive saved them: nothing that one must know
        whole = replace(whole, files=told.evidence.files)
    answered = told.verdict is Verdict.QUIET and one.verdict in _CALM
    if answered or one.verdict is told.verdict or {one.verdict, told.verdict} <= _CALM:
        return [*news(_settled(whole), _settled(told.evidence))]
    same = replace(told.evidence, state=whole.state, sub=whole.sub)
    return [one.line, *(said for said in news(whole, same) if said not in one.line)]


def _settled(one: Evidence) -> Evidence:
    """Give the evidence without whose turn it is: that changes all the time."""
    return replace(one, state="up", sub="") if one.state in {"ready", "working"} else one


def _called(agent: str) -> str:
    return agent.rpartition("/")[2]


def _conflict(path: str, agents: Sequence[str]) -> str:
    who = ", ".join(agent.split("/", 1)[-1] for agent in agents)
    return short(f"the same file changed in several worktrees: {path} ({who})", WIDE)


def _fitting(team: str, lines: Sequence[str], head: int) -> list[str]:
    """Give as many lines as a digest may have; of more, say where the others stand."""
    where = f"`hive checkins {short(team)}`"
    left = LETTERS - head - len(VERBS) - len(where) - 30
    kept: list[str] = []
    for line in lines[: LINES - 3]:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    rest = len(lines) - len(kept)
    return [*kept, f"… and {rest} more: {where}"] if rest else kept
