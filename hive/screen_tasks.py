"""What people see of tasks: lists, one task's whole story, the dead ones, locks.

Pure functions of the records in docs/json.md, as in `screen`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hive.core.units import as_text
from hive.core.wording import age, clean, count
from hive.screen import folded, grid, moment, since

Record = Mapping[str, Any]

STATES = {
    "waiting": "dim", "ready": "yellow", "leased": "cyan", "done": "green", "failed": "yellow",
    "dead": "bold red", "cancelled": "dim", "held": "bold yellow",
}  # fmt: skip
"""The colours of a task's states."""

ORDER = ("dead", "held", "failed", "leased", "ready", "waiting", "done", "cancelled")
"""The states, what is worth a look first."""

TITLE = 26
"""How wide a task's title may be in a table with more columns."""

ROWS = 12
"""How many lines are shown of one text where several stand below one another."""

LONG = 120 * ROWS
"""How many characters are shown of such a text, however few its lines are."""


def listing(record: Record, now: float) -> RenderableType:
    """Draw a list of tasks, and how many there are in all, by state."""
    tasks = record["tasks"]
    everything = tally(record["counts"])
    if not tasks:
        return (
            Text("none of these; in all: ").append_text(everything) if everything.plain else NOTHING
        )
    return Group(table(tasks, now), Text(), Text("in all: ").append_text(everything))


NOTHING = Text('there are no tasks: `hive task add "TEXT"` adds one')


def table(tasks: Iterable[Record], now: float) -> Table:
    """Draw one line a task; a column in which nothing stands is left out."""
    rows = list(tasks)
    columns: dict[str, list[Text]] = {
        "task": [Text(one["task"]) for one in rows],
        "state": [state(one) for one in rows],
        "for": [Text(since(one["since"], now)) for one in rows],
        "agent": [Text(one["agent"] or "") for one in rows],
        "what": [Text(clean(one["title"])) for one in rows],
        "why": [Text(clean(_reason(one, now))) for one in rows],
    }
    kept = {name: cells for name, cells in columns.items() if any(cell.plain for cell in cells)}
    names = list(kept)
    drawn = grid(*names, right=[names.index("for")] if "for" in kept else ())
    for number, name in enumerate(names[:-1]):
        drawn.columns[number].max_width = {"what": TITLE, "agent": 16}.get(name)
    for row in zip(*kept.values(), strict=True):
        drawn.add_row(*row)
    return drawn


def dead(record: Record, now: float) -> RenderableType:
    """Draw the tasks that hive gave up, each with the reason of every attempt."""
    tasks = record["tasks"]
    if not tasks:
        return Text("no task is dead")
    parts: list[RenderableType] = []
    for one in tasks:
        head = Text.assemble((one["task"], "bold"), f"  {clean(one['title'])}")
        head.append(f"  {since(one['since'], now)} ago", style="dim")
        tries = grid("", "", headed=False)
        for number, why in enumerate(one["failures"] or [one["reason"]], 1):
            tries.add_row(Text(f"  attempt {number}"), Text(clean(why)))
        parts += [head, folded(tries), Text()]
    name = tasks[0]["task"]
    line = f"{count(len(tasks), 'task')} dead: `hive task retry {name}` begins one anew"
    return Group(*parts, Text(line))


def story(record: Record, now: float) -> RenderableType:
    """Draw all that is known of one task: where it stands, who may have it, its story."""
    one = record["task"]
    head = Text.assemble((one["task"], "bold"), "  ", state(one))
    head.append(f" for {since(one['since'], now)}" if one["since"] else "")
    head.append(f": {clean(_reason(one, now))}" if one["reason"] else "")
    parts: list[RenderableType] = [head, folded(_facts(record, now))]
    parts += _block("text", one["text"], f"hive task show {one['task']} --json")
    parts += _agents(record["agents"])
    parts += _steps(record["story"])
    if one["notes"]:
        parts += [Text(), Text("notes", style="bold"), *(_inset(lines(x)) for x in one["notes"])]
    parts += _attempts(one)
    return Group(*parts, *_result(one))


def locks(record: Record, now: float) -> RenderableType:
    """Draw who has which lock, and who waits for whom."""
    if not record["locks"] and not record["waits"]:
        return Text("no lock is held, and nobody waits for one")
    held = grid("lock", "held by", "for")
    for one in record["locks"]:
        name = f"{one['lock']} (shared)" if one["shared"] else one["lock"]
        held.add_row(Text(clean(name)), Text(_holder(one)), Text(since(one["since"], now)))
    parts: list[RenderableType] = [held]
    if record["waits"]:
        waits = grid("who", "waits for", "of", "for")
        for one in record["waits"]:
            wanted = Text(clean(one["wants"]))
            waits.add_row(
                Text(one["who"]), wanted, Text(one["holder"]), Text(since(one["since"], now))
            )
        parts += [Text(), waits]
    return Group(*parts)


def state(one: Record) -> Text:
    """Draw a task's state in its colour."""
    return Text(one["state"], style=STATES.get(one["state"], ""))


def tally(counts: Mapping[str, int]) -> Text:
    """Draw how many tasks are in which state; those in which none is are left out."""
    parts = [Text(f"{counts[one]} {one}", style=STATES[one]) for one in ORDER if counts.get(one)]
    return Text(" · ").join(parts)


def lines(text: str, rows: int | None = None, more: str = "") -> Text:
    """Draw a text of several lines; of too many the first, and the command that shows all."""
    all_of_it = text.rstrip("\n").split("\n")
    kept = all_of_it if rows is None or len(all_of_it) <= rows else all_of_it[: rows - 1]
    left = count(len(all_of_it) - len(kept), "more line") if len(kept) < len(all_of_it) else ""
    shown = "\n".join(kept)
    if rows is not None and len(shown) > LONG:
        shown, left = shown[:LONG], count(len(text.rstrip("\n")) - LONG, "more character")
    drawn = Text("\n".join(clean(line) for line in shown.split("\n")), overflow="fold")
    if left:
        drawn.append(f"\n… and {left}: `{more}` shows all", style="dim")
    return drawn


def _reason(one: Record, now: float) -> str:
    """Say why it is so; of what is to be handed out later, when."""
    later = one["state"] == "ready" and one["due"]
    if later and datetime.fromisoformat(one["due"]).timestamp() > now:
        return f"not before {moment(one['due'])}"
    return str(one["reason"])


def _facts(record: Record, now: float) -> Table:
    """Draw what was asked for and how far it is, a line each."""
    one = record["task"]
    drawn = grid("", "", headed=False)
    for name, text in _known(record, now):
        if text:
            drawn.add_row(Text(f"  {name}"), Text(clean(text)))
    if not drawn.row_count:
        drawn.add_row(Text("  what"), Text(clean(one["title"])))
    return drawn


def _known(record: Record, now: float) -> Iterable[tuple[str, str]]:
    one = record["task"]
    yield "what", one["title"] if one["kind"] == "prompt" else f"{one['title']} ({one['kind']})"
    yield "for", _whom(one)
    yield "from", one["from"]
    yield "agent", _held_by(one, now)
    yield "part of", " ".join(filter(None, (one["run"], one["key"], one["parent"])))
    yield "needs", ", ".join(f"{need['task']} {need['state']}" for need in record["needs"])
    yield "needed by", ", ".join(after["task"] for after in record["needed_by"])
    yield "locks", ", ".join(one["wants"])
    yield "in its way", ", ".join(f"{held['lock']} of {_holder(held)}" for held in record["locks"])
    yield "check", one["check"]
    yield "attempts", _attempts_so_far(one, now)
    yield "time", _times(one, now)
    yield "copies", f"{one['replicas']}, {one['agree']} must agree" if one["replicas"] > 1 else ""


def _whom(one: Record) -> str:
    """Say who may have it."""
    named = ("team", "role")
    parts = [f"{name} {one[name]}" for name in named if one[name]]
    parts += [f"agent {one['only'].removeprefix(one['project'] + '/')}"] if one["only"] else []
    parts += [f"skills {', '.join(one['skills'])}"] if one["skills"] else []
    whom = ", ".join(parts) or "any agent"
    return f"{whom}, of {one['project']}" if one["project"] else whom


def _held_by(one: Record, now: float) -> str:
    if not one["agent"] or not one["lease"]:
        return one["agent"] or ""
    heard = f", heard of {since(one['heard'], now)} ago" if one["heard"] else ""
    return f"{one['agent']}, lease {one['lease']}{heard}"


def _attempts_so_far(one: Record, now: float) -> str:
    """Say how often it was tried, where that is more than nothing."""
    if not one["attempt"]:
        return ""
    due = f"; the next one in {_until(one['due'], now)}" if one["state"] == "failed" else ""
    rounds = f"; its check failed {count(one['rounds'], 'time')}" if one["rounds"] else ""
    return f"{one['attempt']} of {one['attempts']}{rounds}{due}"


def _times(one: Record, now: float) -> str:
    parts = [f"at most {as_text(one['timeout'])}"] if one["timeout"] else []
    parts += [f"wanted by {moment(one['deadline'])}"] if one["deadline"] else []
    parts += [f"added {since(one['created'], now)} ago"] if one["created"] else []
    return ", ".join(parts)


def _until(text: str | None, now: float) -> str:
    """Say how far away a moment is: no time where it is over."""
    return age(datetime.fromisoformat(text).timestamp() - now) if text else "a moment"


def _agents(agents: Iterable[Record]) -> list[RenderableType]:
    """Draw who may have it, and why the others may not."""
    found = list(agents)
    if not found:
        return []
    drawn = grid("", "", headed=False)
    for one in found:
        said = one["why"] or ": ".join(filter(None, ("may have it", one["merit"])))
        drawn.add_row(Text(f"  {one['agent']}"), Text(clean(said), "" if one["why"] else "green"))
    return [Text(), Text("agents", style="bold"), folded(drawn)]


def _steps(steps: Iterable[Record]) -> list[RenderableType]:
    found = list(steps)
    if not found:
        return []
    drawn = grid("", "", "", headed=False)
    for one in found:
        why = f"{one['agent']}: {one['why']}" if one["agent"] else one["why"]
        drawn.add_row(Text(f"  {moment(one['time'])}"), state(one), Text(clean(why)))
    return [Text(), Text("story", style="bold"), folded(drawn)]


def _attempts(one: Record) -> list[RenderableType]:
    if not one["failures"]:
        return []
    drawn = grid("", "", headed=False)
    for number, why in enumerate(one["failures"], 1):
        drawn.add_row(Text(f"  attempt {number}"), lines(why, ROWS, _whole(one)))
    return [Text(), Text("failed", style="bold"), folded(drawn)]


def _result(one: Record) -> list[RenderableType]:
    """Draw what came of it, or what its agent said and hive does not believe yet."""
    report = one["report"]
    if one["result"]:
        sure = "" if one["confidence"] is None else f" ({one['confidence']:.0%} sure)"
        return _block(f"result{sure}", one["result"], _whole(one))
    if report and one["state"] != "done":
        sure = "" if report["confidence"] is None else f", {report['confidence']:.0%} sure"
        return _block(f"its agent says {report['outcome']}{sure}", report["text"], _whole(one))
    return []


def _block(title: str, text: str, more: str) -> list[RenderableType]:
    return [Text(), Text(title, style="bold"), _inset(lines(text, ROWS, more))]


def _whole(one: Record) -> str:
    return f"hive task show {one['task']} --json"


def _holder(one: Record) -> str:
    return " ".join(filter(None, (one["task"], one["agent"] and f"({one['agent']})")))


def _inset(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))
