"""What people see of workflows: a run as a graph of its phases, lists, templates, schedules.

Pure functions of the records in docs/json.md, as in `screen`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hive.core.wording import clean, count, span
from hive.screen import grid, moment, since
from hive.screen_tasks import ORDER, STATES, state, tally

Record = Mapping[str, Any]

RUNS = {"running": "cyan", "done": "green", "failed": "bold red", "cancelled": "dim"}
"""The colours of a run's states."""

BESIDE = frozenset({"barrier"})
"""The kinds of tasks that hold a run together, and that nobody works on."""

UNDER_WAY = frozenset({"waiting", "ready", "leased", "failed", "held"})
"""The states of a task that is not over."""

MARKS = {
    "done": "✔", "dead": "✘", "failed": "↻", "leased": "▶", "ready": "○", "waiting": "·",
    "held": "‖", "cancelled": "-",
}  # fmt: skip
"""One sign for each state: the graph can be read without colours."""

FOLDED = 5
"""How many lines of a note are shown where it is not wanted whole."""

AGENT = 3
"""The column of the graph in which agents stand."""


def graph(
    record: Record, now: float, height: int | None = None, *, whole: bool = False
) -> RenderableType:
    """Draw a run: its phases below one another, each with its tasks; `height` is in lines.

    Where there is room for all of it, what ended phases have handed over follows, folded unless it
    is wanted `whole`.
    """
    run = record["run"]
    tasks = [one for one in record["tasks"] if one["kind"] not in BESIDE]
    phases = _phases(tasks)
    head = _head(run, len(tasks), now)
    room = None if height is None else _room(phases, height - len(head) - 2)
    known = {one["task"]: one for one in record["tasks"]}
    drawn = grid("", "", "", "", "", headed=False)
    drawn.columns[AGENT].max_width = 20
    for name, members in phases.items():
        shown = _first(members, room)
        if name or len(shown) < len(members):
            _phase(drawn, name, members, shown)
        for one in shown:
            _task(drawn, one, known, now)
    notes = record.get("handoffs", ()) if height is None else ()
    return Group(*head, Text(), drawn, *(each for one in notes for each in _note(one, run, whole)))


def handoffs(record: Record) -> RenderableType:
    """Draw what was handed over, the latest last: when, by whom and to whom, and the note."""
    if not record["handoffs"]:
        return Text('nothing was handed over: `hive handoff FROM TO --note "…"` does that')
    drawn: list[RenderableType] = []
    for one in record["handoffs"]:
        who = f"{one['from']} → {one['to']}"
        more = "".join(f"  {name}" for name in (one["message"], one["run"]) if name)
        head = Text.assemble(f"{moment(one['time'])}  ", (who, "bold"), (more, "dim"))
        said = one["text"].splitlines()
        drawn += [head, *_lines(said[:FOLDED])]
        more_lines = len(said) - FOLDED
        drawn += [_more(more_lines, "hive handoff --list --json")] if more_lines > 0 else []
    return Group(*drawn)


def listing(record: Record, now: float) -> RenderableType:
    """Draw runs, one a line, the latest first."""
    runs = record["runs"]
    if not runs:
        return Text("no workflow was run: `hive workflow run NAME` begins one")
    table = grid("run", "workflow", "state", "for", "tasks", "why", right=[3])
    for one in runs:
        table.add_row(
            Text(one["run"]),
            Text(clean(one["workflow"])),
            _run_state(one),
            Text(since(one["finished"] or one["created"], now)),
            Text(_share(one["counts"])),
            Text(clean(one["reason"])),
        )
    return table


def templates(record: Record) -> RenderableType:
    """Draw the workflows that can be run here, and those that come with hive."""
    if not record["workflows"]:
        return Text("there are no workflows")
    table = grid("workflow", "from", "parameters", "about")
    table.columns[2].max_width = 28
    for one in record["workflows"]:
        params = " ".join(
            key if text is None else f"{key}={text}" for key, text in one["params"].items()
        )
        source = one["source"].rpartition("/")[2]
        row = (one["workflow"], source, params, one["about"] or _steps(one))
        table.add_row(*(Text(clean(text)) for text in row))
    return table


def outline(record: Record) -> RenderableType:
    """Draw one workflow: its tasks in their order, for whom each is and what it needs."""
    one = record["workflows"][0]
    head = Text.assemble((one["workflow"], "bold"), f" ({one['pattern']}), of {one['source']}")
    table = grid("task", "for", "after", "what")
    for step in one["steps"]:
        if step["kind"] in BESIDE:
            continue
        whom = " ".join(filter(None, (step["team"], step["role"])))
        what = f"when {step['when']}: {step['text']}" if step["when"] else step["text"]
        row = (step["key"], whom, ", ".join(step["needs"]), what)
        table.add_row(*(Text(clean(text.strip())) for text in row))
    table.columns[2].max_width = 24
    return Group(head, Text(), table)


def schedules(record: Record) -> RenderableType:
    """Draw when which workflow runs by itself."""
    if not record["schedules"]:
        return Text("no workflow runs by itself: `hive schedule add` lets one")
    table = grid("schedule", "workflow", "cron", "zone", "missed", "next")
    for one in record["schedules"]:
        row = (one["schedule"], one["workflow"], one["cron"], one["zone"] or "UTC", one["missed"])
        following = moment(one["next"]) if one["next"] else "never"
        last = Text("paused", style="yellow") if one["paused"] else Text(following)
        table.add_row(*(Text(clean(text)) for text in row), last)
    return table


def _note(one: Record, run: Record, whole: bool) -> list[RenderableType]:
    """Draw what the end of a phase has handed over."""
    first, *lines = one["note"].splitlines()
    head = Text(clean(first), style="bold")
    if whole or len(lines) <= FOLDED:
        return [Text(), head, *_lines(lines, whole=True)]
    said = [line for line in lines if line][:FOLDED]
    left = len([line for line in lines if line]) - len(said)
    more = [_more(left, f"hive workflow show {run['run']} --notes")] if left else []
    return [Text(), head, *_lines(said), *more]


def _lines(lines: Iterable[str], *, whole: bool = False) -> list[Text]:
    overflow: Any = "fold" if whole else "ellipsis"
    return [Text(f"  {clean(one)}", no_wrap=not whole, overflow=overflow) for one in lines]


def _more(many: int, command: str) -> Text:
    return Text(f"  … {count(many, 'more line')}: {command}", style="dim")


def _steps(one: Record) -> str:
    """Name the phases of a workflow, or its tasks where it has none."""
    own = [step for step in one["steps"] if step["kind"] not in BESIDE]
    between = ", " if one["pattern"] == "parallel" else " → "
    return between.join(dict.fromkeys(step["phase"] or step["key"] for step in own))


def _head(run: Record, many: int, now: float) -> list[RenderableType]:
    """Draw what a run is, how far it is, who works on it and how idle they were."""
    ends = datetime.fromisoformat(run["finished"]).timestamp() if run["finished"] else now
    begun = datetime.fromisoformat(run["created"]).timestamp() if run["created"] else ends
    head = Text.assemble((f"{run['run']} {run['workflow']}", "bold"), "  ", _run_state(run))
    head.append(f" {'after' if run['finished'] else 'for'} {span(ends - begun)}")
    head.append(f": {clean(run['reason'])}" if run["reason"] not in {"", run["state"]} else "")
    params = " ".join(f"{key}={text}" for key, text in run["params"].items())
    said = Text(f"{count(many, 'task')}: ").append_text(tally(run["counts"]))
    if run["agents"]:
        idle = "" if run["idle"] is None else f", idle {run['idle']:.0%} of the time"
        said.append(f"; {count(len(run['agents']), 'agent')}{idle}", style="dim")
    return [head, *([Text(clean(params), style="dim")] if params else []), said]


def _phases(tasks: Iterable[Record]) -> dict[str, list[Record]]:
    """Give the tasks by phase, in the order in which they were made."""
    found: dict[str, list[Record]] = {}
    for one in tasks:
        found.setdefault(one["phase"], []).append(one)
    return found


def _room(phases: Mapping[str, Sequence[Record]], height: int) -> int:
    """Give how many tasks of each phase may be shown so that all of it fits."""
    for room in range(max((len(one) for one in phases.values()), default=0), 0, -1):
        if sum(1 + min(room, len(one)) for one in phases.values()) <= height:
            return room
    return 0


def _first(members: Sequence[Record], room: int | None) -> list[Record]:
    """Choose the tasks that are shown: all in their order, or those most worth a look."""
    if room is None or len(members) <= room:
        return list(members)
    order = {one: number for number, one in enumerate(ORDER)}
    return sorted(members, key=lambda one: order[one["state"]])[:room]


def _phase(drawn: Table, name: str, members: Sequence[Record], shown: Sequence[Record]) -> None:
    """Draw a phase: how far it is, and how many of its tasks are not shown, by state."""
    over = sum(one["state"] not in UNDER_WAY for one in members)
    counts = Counter(one["state"] for one in members) - Counter(one["state"] for one in shown)
    far = Text(f"{over} of {len(members)}", style="dim")
    rest = Text("not shown: ", style="dim").append_text(tally(counts)) if counts else Text()
    drawn.add_row(Text(name, style="bold"), far, "", "", rest)


def _task(drawn: Table, one: Record, known: Mapping[str, Record], now: float) -> None:
    """Draw one task: its sign and name, state, age, agent, and why it is so."""
    style = STATES[one["state"]]
    name = one["key"].partition(".")[2] or one["key"] or one["title"]
    drawn.add_row(
        Text.assemble("  ", (MARKS[one["state"]], style), f" {clean(name)}"),
        state(one),
        Text(_age(one, now), style="dim"),
        Text(one["agent"] or ""),
        Text(clean(_why(one, known))),
    )


def _age(one: Record, now: float) -> str:
    """Say how long agents had it; of what nobody had yet, how long it is so."""
    return span(one["spent"]).split()[0] if one["spent"] else since(one["since"], now)


def _why(one: Record, known: Mapping[str, Record]) -> str:
    """Say why it is so; of what waits for others, for whom."""
    after = [known.get(need, {}) for need in one["needs"]]
    open_ = [need for need in after if need.get("state") in UNDER_WAY]
    if one["state"] != "waiting" or not open_:
        return str(one["reason"])
    return f"after {', '.join(need['key'] or need['task'] for need in open_)}"


def _run_state(one: Record) -> Text:
    return Text(one["state"], style=RUNS.get(one["state"], ""))


def _share(counts: Mapping[str, int]) -> str:
    over = sum(many for one, many in counts.items() if one not in UNDER_WAY)
    return f"{over} of {sum(counts.values())}"
