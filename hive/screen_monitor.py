"""What `hive monitor` shows: everything on one screen that never wraps, trouble first.

Pure functions of the records in docs/json.md, as in `screen`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hive.core.wording import size
from hive.screen import (
    CLOCK,
    TROUBLE,
    agents_table,
    asked,
    event,
    grid,
    held,
    percent,
    pressure,
    supervisor,
    tally,
    totals,
)

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the monitor is looked at: its size, and whether all agents are listed, from which on."""

    width: int = 80
    height: int = 24
    everything: bool = False
    offset: int = 0
    notice: str = ""


def monitor(record: Record, events: Sequence[Record], view: View, now: float) -> RenderableType:
    """Draw everything on one screen: totals, agents (trouble first), the latest events, keys."""
    agents = record["agents"]
    top = [_title(record, view, now), totals(agents) if agents else Text("no agents")]
    top += pressure(record)
    top += [held(team) for team in record["teams"] if team["held"]][: view.height // 6]
    top += asked(record)
    shown = min(len(events), max(0, (view.height - 10) // 3))
    below = [Text(), *(event(one, form=CLOCK) for one in events[-shown:])] if shown else []
    room = max(2, view.height - len(top) - len(below) - 3)
    fits = len(agents) < room
    table, used = _body(agents, room, view, now)
    empty = [Text()] * max(0, room - used)
    keys = Text("q quits", style="dim")
    if not fits and view.everything:
        keys.append("  j k space scroll  a only what is wrong")
    elif not fits:
        keys.append("  a lists every agent")
    parts = [*map(_line, top), Text(), table, *empty, *map(_line, below), Text(), _line(keys)]
    return Group(*parts)


def _title(record: Record, view: View, now: float) -> Text:
    """Draw where we are and when, and that nobody answers where that is so."""
    clock = datetime.fromtimestamp(now).astimezone().strftime(CLOCK)
    title = Text.assemble((f"hive on {record['node']}", "bold"), f"  {clock}  ")
    if view.notice:
        return title.append(view.notice, style="bold yellow")
    return title.append_text(supervisor(record, now))


def _body(
    agents: Sequence[Record], room: int, view: View, now: float
) -> tuple[RenderableType, int]:
    """Draw the agents in at most `room` lines, and say how many lines that took."""
    if not agents:
        return Text("`hive deploy` starts some"), 1
    if len(agents) < room:
        return agents_table(agents, now), len(agents) + 1
    if view.everything:
        first = max(0, min(view.offset, len(agents) - room + 2))
        some = agents[first : first + room - 2]
        place = Text(f"{first + 1} to {first + len(some)} of {len(agents)}", style="dim")
        return Group(agents_table(some, now), place), room
    return _trouble_first(agents, room, now)


def _trouble_first(agents: Sequence[Record], room: int, now: float) -> tuple[RenderableType, int]:
    """Draw those in trouble one by one, the rest as a line a team."""
    wrong = sorted(filter(_wrong, agents), key=_urgency)
    teams = _by_team(agents)
    for_teams = max(min(len(teams) + 1, room // 2), room - len(wrong) - 2)
    parts: list[RenderableType] = []
    used = 0
    if wrong:
        some, more = _cut(wrong, room - for_teams - 1)
        parts.append(agents_table(some, now, usage=False))
        parts += [*([_more(more, "in trouble")] if more else []), Text()]
        used += len(some) + 2 + bool(more)
    some_teams, more = _cut(list(teams.items()), room - used - 1)
    parts += [_teams_table(some_teams), *([_more(more, "teams")] if more else [])]
    return Group(*parts), used + len(some_teams) + 1 + bool(more)


def _wrong(one: Record) -> bool:
    """Whether an agent is worth a look: its state is, or a limit holds it back."""
    return one["state"] in TROUBLE or bool(one.get("limit"))


def _urgency(one: Record) -> float:
    """Give the place of an agent in trouble: whom a limit holds back before who only starts."""
    found = TROUBLE.index(one["state"]) if one["state"] in TROUBLE else len(TROUBLE)
    return min(found, TROUBLE.index("starting") - 0.5) if one.get("limit") else found


def _cut(rows: Sequence[Any], room: int) -> tuple[Sequence[Any], int]:
    """Give the rows that fit into `room` lines, and how many are left to be counted in one."""
    if len(rows) <= room:
        return rows, 0
    return rows[: max(0, room - 1)], len(rows) - max(0, room - 1)


def _more(number: int, what: str) -> Text:
    return Text(f"… and {number} more {what}", style="dim")


def _by_team(agents: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    teams: dict[tuple[str, str], list[Record]] = {}
    for one in agents:
        teams.setdefault((one["project"], one["team"]), []).append(one)
    return teams


def _teams_table(teams: Iterable[tuple[tuple[str, str], Sequence[Record]]]) -> Table:
    table = grid("team", "agents", "cpu", "memory", "states", right=(1, 2, 3))
    for (_, team), members in teams:
        cpu = sum(one["cpu"] or 0.0 for one in members)
        memory = sum(one["memory"] or 0 for one in members)
        many = Text(str(len(members)))
        table.add_row(Text(team), many, Text(percent(cpu)), Text(size(memory)), tally(members))
    return table


def _line(text: Text) -> Text:
    """Keep a text on one line, cut where it does not fit."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
