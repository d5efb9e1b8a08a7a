"""`hive handoff`: give others an agent's work, with the facts of it; and what was handed over."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hive.adapters import reach
from hive.cli import output, remote
from hive.cli.letters import checked, me, receipt
from hive.cli.options import Json
from hive.errors import WrongInput

LIMIT = 20
"""How many handoffs are listed where nobody says how many."""

Record = dict[str, Any]

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FROM TO", help="Who hands over, and to which agents or teams; with --list, whose."
    ),
]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="What they must know, in words.")]
WithTask = Annotated[
    bool, typer.Option("--task", help="The task that FROM has goes along, if TO may have it.")
]
Listed = Annotated[bool, typer.Option("--list", "-l", help="List what was handed over.")]
Many = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="How many at most.")]


def handoff(
    names: Names = None,
    *,
    note: Note = "",
    task: WithTask = False,
    list_: Listed = False,
    limit: Many = LIMIT,
    json: Json = False,
) -> None:
    """Give agents what another one has done, as facts: tasks, commits, files, open questions."""
    if list_:
        _list(names or [], limit, json=json)
        return
    mine = me()
    source, targets = _ends(names or [], agent=mine["agent"] if mine else "")
    args = {"source": source, "targets": targets, "note": checked(note) if note else ""}
    record = remote.ask("hand_off", **args, me=mine, uid=reach.uid(), task=task)
    if json:
        output.as_json(record)
        return
    for one in told(record):
        output.say(one)
    output.note("`hive handoff --list` shows what was handed over")


def told(record: Record) -> list[str]:
    """Say to whom it goes, with the receipt of each, and what becomes of the task."""
    lines = [receipt(one) for one in record["messages"]]
    lines += [f"{record['task']} goes along"] if record["task"] else []
    return lines + ([record["why"]] if record["why"] else [])


def _ends(names: list[str], *, agent: str) -> tuple[str, list[str]]:
    """Give who hands over and to whom; an agent need not name itself.

    Raises WrongInput where somebody is missing.
    """
    own = {agent, agent.partition("/")[2]} if agent else set()
    named = not own or names[:1] == [] or names[0] in own
    source, targets = ("".join(names[:1]), names[1:]) if named else ("", names)
    if not targets:
        what = "it is not said to whom" if names else "nobody is named"
        raise WrongInput(what, fix='hive handoff FROM TO --note "TEXT"')
    return source, targets


def _list(names: list[str], limit: int, *, json: bool) -> None:
    record = remote.look("handoffs", names=names, limit=limit)
    if json:
        output.as_json(record)
        return
    from hive import screen_workflows

    output.show(screen_workflows.handoffs(record), whole=True)
