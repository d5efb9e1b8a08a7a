"""What people see: records in, rich renderables out.

Pure functions of the records in docs/json.md and of `now` (epoch seconds). A table's row is one
line: what does not fit is cut with an ellipsis. Trouble comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hive.core.outlook import how
from hive.core.shown import told
from hive.core.units import as_text
from hive.core.wording import age, clean, count, size, span

Record = Mapping[str, Any]

COLOURS = {
    "ready": "green", "working": "cyan", "waiting": "bold yellow", "limited": "yellow",
    "stalled": "bold red", "starting": "cyan", "stopping": "magenta", "backing-off": "yellow",
    "failed": "bold red", "stopped": "dim",
}  # fmt: skip
TROUBLE = ("failed", "stalled", "waiting", "limited", "backing-off", "stopping", "starting")
"""The states worth a look, worst first."""

CLOCK = "%H:%M:%S"
DAY = f"%b %d {CLOCK}"

NUMBERS = frozenset({"for", "restarts", "queue", "cpu", "memory"})
"""The columns that are written to the right."""

CHANGES = {"start": "green", "restart": "yellow", "update": "cyan", "stop": "red", "keep": "dim"}


def status(record: Record, now: float) -> RenderableType:
    """Draw every agent in the file's order, and the totals below."""
    agents = record["agents"]
    if not agents:
        return Text("no agents: `hive deploy` starts some")
    lines: list[RenderableType] = [agents_table(agents, now), Text(), totals(agents)]
    lines += pressure(record)
    lines += [held(team) for team in record["teams"] if team["held"]]
    lines += asked(record)
    if record["supervisor"] is None:
        lines.append(supervisor(record, now))
    return Group(*lines)


def agents_table(agents: Iterable[Record], now: float, *, usage: bool = True) -> Table:
    """Draw one line an agent; a column in which nothing stands is left out."""
    rows = list(agents)
    columns: dict[str, list[Text]] = {
        "agent": [Text(one["agent"]) for one in rows],
        "state": [state(one) for one in rows],
        "for": [Text(since(one["since"], now)) for one in rows],
    }
    if usage:
        columns |= {
            "restarts": [Text(str(one["restarts"] or "")) for one in rows],
            "task": [Text(one.get("task") or "") for one in rows],
            "queue": [Text(str(one.get("queue") or "")) for one in rows],
            "cpu": [Text(percent(one["cpu"]) if _uses(one) else "") for one in rows],
            "memory": [Text(_size(one["memory"]) if _uses(one) else "") for one in rows],
        }
    columns["why"] = [Text(clean(_reason(one))) for one in rows]
    kept = {name: cells for name, cells in columns.items() if any(cell.plain for cell in cells)}
    right = [number for number, name in enumerate(kept) if name in NUMBERS]
    table = grid(*kept, right=right)
    for row in zip(*kept.values(), strict=True):
        table.add_row(*row)
    return table


def state(one: Record) -> Text:
    """Draw an agent's state in its colour."""
    return Text(one["state"], style=COLOURS.get(one["state"], ""))


def totals(agents: Sequence[Record]) -> Text:
    """Draw how many agents there are, what they use together, and what they are."""
    cpu = [one["cpu"] for one in agents if one["cpu"] is not None]
    memory = [one["memory"] for one in agents if one["memory"] is not None]
    used = f", cpu {percent(sum(cpu))}, memory {size(sum(memory))}" if cpu or memory else ""
    return Text(f"{count(len(agents), 'agent')}{used}: ").append_text(tally(agents))


def pressure(record: Record) -> list[Text]:
    """Draw what keeps agents back, a line each: pressure, want of room."""
    strain, waiting = record.get("strain"), record.get("waiting")
    said = [f"hive {strain['doing']}: {clean(strain['why'])}"] if strain else []
    if waiting:
        said.append(f"{count(waiting, 'agent')} wait{'s' * (waiting == 1)} for room")
    return [Text(one, style="bold yellow") for one in said]


def asked(record: Record) -> list[Text]:
    """Draw how many things wait for a person, where somebody has counted them."""
    many = record.get("inbox") or 0
    said = f"{count(many, 'thing')} wait{'s' * (many == 1)} for a person: `hive inbox`"
    return [Text(said, style="bold yellow")] if many else []


def tally(agents: Iterable[Record]) -> Text:
    """Draw how many agents are in which state: trouble first."""
    counts = Counter(one["state"] for one in agents)
    order = [*TROUBLE, "working", "ready", "stopped"]
    known = sorted(counts, key=lambda one: order.index(one) if one in order else -1)
    parts = [Text(f"{counts[one]} {one}", style=COLOURS.get(one, "")) for one in known]
    return Text(" · ").join(parts)


def supervisor(record: Record, now: float) -> Text:
    """Draw who answers, or that nobody does."""
    who = record["supervisor"]
    if who is None:
        text = "no supervisor runs: this is what hive last wrote down; `hive deploy` starts one"
        return Text(text, style="yellow")
    return Text(f"supervisor up {since(who['up_since'], now)} (pid {who['pid']})", style="dim")


def held(team: Record) -> Text:
    """Draw that a team restarts nothing by itself, and what lets it go."""
    name = team["team"]
    text = f"team {name} is held: {clean(team['reason'])}; `hive start {name}` lets it go"
    return Text(text, style="bold red")


def why(record: Record, now: float) -> RenderableType:
    """Draw all that is known of one agent: state, evidence, what is next, the last death."""
    one, budget = record["agent"], record["budget"]
    head = Text.assemble(
        (one["agent"], "bold"),
        "  ",
        state(one),
        f" for {since(one['since'], now)}" if one["since"] else "",
        f": {clean('; '.join(filter(None, (paused(one), told(one)))))}",
    )
    parts: list[RenderableType] = [head, Text.assemble(("next: ", "bold"), record["next"]["text"])]
    if one.get("task"):
        parts.append(
            Text.assemble(("works on: ", "bold"), f"{one['task']}: `hive why {one['task']}`")
        )
    parts += [Text(), Text("evidence", style="bold"), _evidence(record["evidence"], now)]
    spent = (
        f"restart {budget['policy']}; {budget['deaths']} of {budget['attempts']} deaths in "
        f"{as_text(budget['window'])}; {count(budget['restarts'], 'restart')} by itself"
    )
    parts += [Text(), Text.assemble(("budget: ", "bold"), spent)]
    if record["certificate"]:
        parts += [Text(), certificate(record["certificate"])]
    if record["events"]:
        parts += [Text(), Text("events", style="bold"), _events(record["events"])]
    return Group(*parts)


def _events(events: Iterable[Record]) -> Table:
    """Draw events below one another; what takes several lines stays behind its time."""
    table = grid("", "", headed=False)
    for one in events:
        table.add_row(Text(f"  {moment(one['time'])}"), _happened(one))
    return folded(table)


def certificate(record: Record) -> RenderableType:
    """Draw how the last launch ended, with the end of its screen."""
    head = Text.assemble(
        ("last end: ", "bold"),
        f"{moment(record['time'])}, after {span(record['ran'])}: ",
        clean(how(record["code"], record["cause"])),
    )
    lines = [line for line in record["screen"] if line.strip()][-10:]
    shown = [_inset(Text(clean(line), style="dim")) for line in lines]
    then = Text(f"then hive: {clean(record['next'])}")
    return Group(head, *_largest(record.get("largest") or ()), then, *shown)


def _largest(processes: Iterable[Record]) -> list[RenderableType]:
    """Draw the largest processes of a launch, where its memory was what ended it."""
    return [
        _inset(Text(f"{size(one['bytes']):>6}  pid {one['pid']}  {clean(one['name'])}"))
        for one in processes
    ]


def event(record: Record, *, form: str = DAY) -> Text:
    """Draw one event as a line."""
    text = Text(f"{moment(record['time'], form)}  ")
    text.append(f"{record['agent']}  ", style="bold")
    return text.append_text(_happened(record))


def _happened(record: Record) -> Text:
    kind = record["kind"]
    colour = "red" if kind in {"died", "failed", "killed", "held"} else COLOURS.get(kind, "")
    return Text.assemble((kind, colour), f"  {clean(record['text'])}")


def changes(record: Record) -> RenderableType:
    """Draw what a deploy changes, or would change."""
    table = grid("change", "agent", "why")
    for one in record["changes"]:
        kind = Text(one["kind"], style=CHANGES.get(one["kind"], ""))
        table.add_row(kind, Text(one["agent"]), Text(clean(one["why"])))
    return table


def progress(records: Sequence[Record], now: float, height: int) -> RenderableType:
    """Draw how far the awaited agents are: those under way, and how many are there."""
    under_way = [one for one in records if not one["settled"]]
    there = len(records) - len(under_way)
    table = grid("", "", "", "", headed=False)
    room = max(1, height - 3)
    for one in under_way[:room]:
        since_then = Text(since(one["since"], now), style="dim")
        table.add_row(Text(one["agent"]), state(one), since_then, Text(clean(told(one))))
    line = Text(f"{there} of {len(records)} done: ").append_text(tally(records))
    more = len(under_way) - room
    return Group(table, *([Text(f"… and {more} more")] if more > 0 else []), line)


def since(text: str | None, now: float) -> str:
    """Say how long ago a record's moment was: `3h`."""
    return age(now - datetime.fromisoformat(text).timestamp()) if text else ""


def moment(text: str, form: str = DAY) -> str:
    """Say a record's moment in the reader's own time zone: `Nov 21 10:05:00`."""
    return datetime.fromisoformat(text).astimezone().strftime(form)


def percent(cores: float | None) -> str:
    """Say CPU use as a part of one core: `150%` are one core and a half."""
    return "" if cores is None else f"{cores * 100:.0f}%"


def _reason(one: Record) -> str:
    """Say what hive does about an agent, and why it is as it is: the rarer thing first."""
    return "; ".join([*filter(None, (paused(one), one.get("limit"))), told(one)])


def paused(one: Record) -> str:
    """Say that a person has paused an agent, and what lets it go on; "" where that is not so."""
    pause = one.get("paused")
    if not pause:
        return ""
    why = f" ({pause['why']})" if pause["why"] else ""
    waits = f", {pause['waits']}" if pause["waits"] else ""
    since_then = moment(pause["since"], "%H:%M")
    return f"paused by `hive pause`{why} since {since_then}{waits}; `hive resume {one['agent']}`"


def _uses(one: Record) -> bool:
    return one["pid"] is not None or bool(one["memory"])  # it, or what it left behind


def _size(memory: int | None) -> str:
    return "" if memory is None else size(memory)


def _evidence(signals: Iterable[Record], now: float) -> Table:
    table = grid("", "", "", headed=False)
    for one in signals:
        ago = f"{since(one['time'], now)} ago" if one["time"] else ""
        table.add_row(Text(f"  {one['source']}"), Text(ago, style="dim"), Text(clean(one["text"])))
    return folded(table)


def folded(table: Table) -> Table:
    """Give the table with its last column on as many lines as it takes: nothing is cut."""
    table.columns[-1].no_wrap = False
    table.columns[-1].overflow = "fold"
    return table


def _inset(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))


class _Grid(Table):
    """A table whose first column, the names, leaves the others two thirds of the width."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.columns[0].max_width = max(12, options.max_width // 3)
        yield from super().__rich_console__(console, options)


def grid(*names: str, right: Sequence[int] = (), headed: bool = True) -> Table:
    """Give a table without lines whose last column takes what is left of the width."""
    table = _Grid(box=None, show_header=headed, header_style="dim", pad_edge=False)
    table.padding = (0, 2, 0, 0)
    for number, name in enumerate(names):
        table.add_column(
            name,
            justify="right" if number in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if number == len(names) - 1 else None,
        )
    table.expand = True
    return table
