"""What people see of what is said: a message's whole story, and what waits for a person.

Pure functions of the records in docs/json.md, as in `screen`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from hive.core.wording import clean, count
from hive.screen import folded, grid, moment, since

Record = Mapping[str, Any]

STAGES = {
    "queued": "yellow",
    "typed": "cyan",
    "submitted": "cyan",
    "answered": "green",
    "failed": "bold red",
    "withdrawn": "dim",
}

ENDS = {"allowed": "green", "answered": "green", "denied": "red", "gone": "dim"}
"""The colours of how a request ended."""

BAD = frozenset({"failed", "held team", "stalled", "undelivered", "budget"})
"""The kinds of things in the inbox in which something went wrong; the others only ask."""

ROWS = 12
"""How many lines are shown of one text where several stand below one another."""


def story(record: Record, now: float) -> RenderableType:
    """Draw a message: how far it is, what is next, each step with its time, the answer."""
    one = record["message"]
    kind = "" if one["kind"] == "task" else f" ({one['kind']})"
    head = Text.assemble(
        (one["message"], "bold"),
        f" to {one['agent']}, from {one['from']}{kind}: ",
        _stage(one["stage"]),
        f" for {since(one['since'], now)}: {clean(one['reason'])}",
    )
    table = grid("", "", "", headed=False)
    for step in record["story"]:
        time = Text(f"  {moment(step['time'])}")
        table.add_row(time, _stage(step["stage"]), Text(clean(step["why"])))
    parts: list[RenderableType] = [head]
    parts += [Text.assemble(("next: ", "bold"), clean(record["next"]["text"]))]
    parts += [Text(), Text("text", style="bold"), _inset(_lines(one["text"], ROWS, _whole(one)))]
    parts += [Text(), Text("story", style="bold"), folded(table)]
    if one["proof"]:
        parts += [Text(), Text.assemble(("proof: ", "bold"), clean(one["proof"]))]
    return Group(*parts, *_answer(one))


def inbox(record: Record, now: float) -> RenderableType:
    """Draw what waits for a person, what blocks most first."""
    found = record["items"]
    if not found:
        return Text("nothing waits for a person")
    parts: list[RenderableType] = []
    for one in found:
        parts += [item(one, now), Text()]
    many = f"{count(len(found), 'thing')} wait{'s' * (len(found) == 1)} for a person"
    return Group(*parts, Text(many))


def item(one: Record, now: float) -> RenderableType:
    """Draw one thing that waits for a person; of a long text the first lines."""
    head = _head(one, since(one["since"], now))
    table = grid("", "", headed=False)
    table.add_row(Text("  asked"), _lines(one["asked"], ROWS, f"hive why {one['id']}"))
    table.add_row(Text("  why"), Text(clean(one["why"])))
    table.add_row(Text("  meanwhile"), Text(clean(one["meanwhile"])))
    table.add_row(Text("  answer"), Text(clean(one["answer"]), style="bold"))
    return Group(head, folded(table))


def request(record: Record, now: float) -> RenderableType:
    """Draw all of an approval or a question: what was asked, to the last line, and its answer."""
    one = record["request"]
    state = Text(f"  {one['state']}", style=ENDS.get(one["state"], ""))
    table = grid("", "", headed=False)
    table.add_row(Text("  asked"), _lines(one["asked"]))
    if one["answered"]:
        said = f": {one['answer']}" if one["answer"] else ""
        done = f"{moment(one['answered'])}  {one['state']}{said}"
        table.add_row(Text("  answer"), Text(clean(done)))
    else:
        table.add_row(Text("  answer"), Text(clean(one["next"]), style="bold"))
    return Group(_head(one, since(one["since"], now)).append_text(state), folded(table))


def _head(one: Record, age: str) -> Text:
    """Draw what it is, whose, and for how long."""
    kind = Text(one["kind"], style="bold red" if one["kind"] in BAD else "yellow")
    head = Text.assemble((one["id"], "bold"), "  ", kind)
    if one["id"] != one["agent"]:
        head.append(f"  {one['agent']}")
    return head.append(f"  {age} ago" if age else "", style="dim")


def _stage(stage: str) -> Text:
    return Text(stage, style=STAGES.get(stage, ""))


def _answer(one: Record) -> Iterable[RenderableType]:
    """Draw what the agent said or reported of a message."""
    if not one["result"] and not one["outcome"]:
        return
    sure = "" if one["confidence"] is None else f", {one['confidence']:.0%} sure"
    outcome = f"{one['outcome']}{sure}" if one["outcome"] else "what it said last"
    colour = "red" if one["outcome"] == "failed" else ""
    yield Text()
    yield Text.assemble(("answer: ", "bold"), (outcome, colour))
    if one["result"]:
        yield _inset(_lines(one["result"], ROWS, _whole(one)))


def _whole(one: Record) -> str:
    """Name the command that gives all of a message."""
    return f"hive why {one['message']} --json"


def _lines(text: str, rows: int | None = None, more: str = "") -> Text:
    """Draw a text of several lines; of too many the first, and the command that shows all."""
    lines = text.rstrip("\n").split("\n")
    kept = lines if rows is None or len(lines) <= rows else lines[: rows - 1]
    drawn = Text("\n".join(clean(line) for line in kept))
    if len(kept) < len(lines):
        left = count(len(lines) - len(kept), "more line")
        drawn.append(f"\n… and {left}: `{more}` shows all", style="dim")
    drawn.overflow = "fold"
    return drawn


def _inset(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))
