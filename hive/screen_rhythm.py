"""What people see of the rhythm: check-ins, and the standup.

Pure functions of the records in docs/json.md, as in `screen`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hive.core.wording import clean, count, size
from hive.screen import folded, grid, moment, percent, since

Record = Mapping[str, Any]

VERDICTS = {
    "working": "cyan", "idle": "dim", "waiting": "bold yellow", "quiet": "yellow",
    "missed": "bold red", "down": "bold red", "paused": "magenta",
}  # fmt: skip
"""The colours of what a check-in comes to."""

SECTIONS = {
    "done": "green", "doing": "cyan", "blocked": "bold yellow", "next": "", "risks": "bold red",
}  # fmt: skip
"""The parts of a standup, with their colours."""

ROWS = 8
"""How many lines of one part of a standup a page shows."""

FILES = 10
"""How many changed files of one check-in are shown."""

CLOCK = "%b %d %H:%M"

MORE = "`hive standup --json` has them all"


def listing(record: Record, now: float) -> RenderableType:
    """Draw one line a check-in."""
    found = record["checkins"]
    if not found:
        return Text("no check-in yet: each agent has its first within its interval (`check_in`)")
    table = grid("agent", "ago", "verdict", "task", "how it gets on", right=[1])
    for one in found:
        table.add_row(
            Text(one["agent"]),
            Text(since(one["time"], now)),
            verdict(one),
            Text(one["task"] or ""),
            Text(_line(one)),
        )
    return table


def _line(one: Record) -> str:
    """Give its one line without the word that stands beside it."""
    return clean(one["line"]).removeprefix(f"{one['verdict']}: ")


def verdict(one: Record) -> Text:
    """Draw what a check-in comes to in its colour."""
    return Text(one["verdict"], style=VERDICTS.get(one["verdict"], ""))


def checkin(one: Record, now: float) -> RenderableType:
    """Draw all of one check-in."""
    head = Text.assemble((one["agent"], "bold"), "  ", verdict(one))
    head.append(f"  {since(one['time'], now)} ago: {_line(one)}")
    known = grid("", "", headed=False)
    for name, text in _known(one, now):
        if text:
            known.add_row(Text(f"  {name}"), Text(clean(text)))
    return Group(
        head,
        *([folded(known)] if known.row_count else []),
        *_below("new since the one before", one["changes"]),
        *_below("commits", one["commits"]),
        *_below("changed files", one["files"], FILES),
    )


def _known(one: Record, now: float) -> Iterator[tuple[str, str]]:
    yield "task", " ".join(filter(None, (one["task"], one["title"])))
    yield "progress", _said(one["progress"], one["progressed"], now)
    yield "check", one["checked"]
    yield "reported", _said(one["message"], one["reported"], now)
    yield "waits for", one["waits"]
    yield "asked", f"{since(one['asked'], now)} ago" if one["asked"] else ""
    yield "answer", one["answer"]
    yield "branch", one["branch"] or ""
    yield "git", one["trouble"]
    used = [f"cpu {percent(one['cores'])}", f"memory {size(one['memory'])}"]
    used += [f"{one['tokens']} tokens"] if one["tokens"] else []
    used += [f"${one['cost']:.2f}"] if one["cost"] else []
    yield "uses", ", ".join(used) if one["memory"] or one["tokens"] else ""


def _said(text: str, at: str | None, now: float) -> str:
    return f"{text} ({since(at, now)} ago)" if text and at else text


def _below(title: str, lines: Sequence[str], rows: int = 40) -> list[RenderableType]:
    """Draw texts below one another, under a title."""
    if not lines:
        return []
    table = grid("", headed=False)
    for line in lines[:rows]:
        table.add_row(Text(f"  {clean(line)}"))
    left = len(lines) - rows
    more = [Text(f"  … and {left} more", style="dim")] if left > 0 else []
    return [Text(), Text(title, style="bold"), _wide(table), *more]


def _wide(table: Table) -> Table:
    """Give a table of one column its whole width."""
    table.columns[0].max_width = None
    return table


def standup(record: Record, now: float) -> RenderableType:
    """Draw a page: of each team what is done, doing, blocked, next, and what may go wrong."""
    if not record["teams"]:
        return Text("no agents: `hive deploy` starts some")
    parts: list[RenderableType] = [Text(f"since {moment(record['since'], CLOCK)}", style="dim")]
    for team in record["teams"]:
        parts += [Text(), Text.assemble((_called(team), "bold"), f"  {_spent(team['cost'])}")]
        shown = [(name, team[name]) for name in SECTIONS if team[name]]
        for name, items in shown:
            head = Text.assemble("  ", (name, SECTIONS[name]), f" {len(items)}")
            parts += [head, _items(items[:ROWS], now)]
            if len(items) > ROWS:
                parts.append(Text(f"    … and {len(items) - ROWS} more: {MORE}", style="dim"))
        if not shown:
            parts.append(Text("  nothing happened, and nothing waits", style="dim"))
    return Group(*parts)


def _items(items: Sequence[Record], now: float) -> Table:
    """Draw items: whose, since when, what; a column that would be empty is left out."""
    rows = [_row(one, now) for one in items]
    named, dated = (any(row[at].plain.strip() for row in rows) for at in (0, 1))
    kept = [at for at, shown in enumerate((named, dated, True)) if shown]
    table = grid(*("" for _ in kept), headed=False)
    for row in rows:
        table.add_row(*(row[at] for at in kept))
    return folded(table)


def _row(one: Record, now: float) -> tuple[Text, Text, Text]:
    who = one["task"] or one["agent"] or ""
    by = f" ({one['agent']})" if one["task"] and one["agent"] else ""
    text = Text(clean(f"{one['text']}{by}"))
    if one["answer"]:
        text.append(f"\n{clean(one['answer'])}", style="dim")
    return Text(f"    {who}"), Text(since(one["time"], now)), text


def markdown(record: Record) -> str:
    """Write a standup as Markdown, all of it."""
    lines = ["# Standup", "", f"From {record['since']} to {record['time']}."]
    for team in record["teams"]:
        lines += ["", f"## {_escaped(_called(team))}", "", f"Cost: {_spent(team['cost'])}."]
        for name in SECTIONS:
            if team[name]:
                lines += ["", f"### {name.capitalize()}", "", *map(_bullet, team[name])]
    return "\n".join(lines)


def _bullet(one: Record) -> str:
    who = " ".join(filter(None, (one["task"], one["agent"] and f"({one['agent']})")))
    command = clean(one["answer"]).replace("`", "'")
    answer = f" — `{command}`" if command else ""
    return f"- {_escaped(f'{who}: ' if who else '')}{_escaped(one['text'])}{answer}"


def _escaped(text: str) -> str:
    """Give a text of which Markdown takes nothing for its own."""
    return "".join(f"\\{one}" if one in "\\`*_[]<>#|" else one for one in clean(text))


def _called(team: Record) -> str:
    return team["team"] or f"for any team of {team['project'] or 'any project'}"


def _spent(cost: Record) -> str:
    digests = cost["digests"]
    told = f"; its digests {_amount(digests)}" if digests["tokens"] or digests["cost"] else ""
    return f"{_amount(cost)}{told}"


def _amount(cost: Record) -> str:
    return f"{count(cost['tokens'], 'token')}, ${cost['cost']:.2f}"
