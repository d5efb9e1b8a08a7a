"""Commands about workflows: run, show, list, cancel, resume, templates; and votes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from hive.adapters import reach
from hive.cli import output, work
from hive.cli.options import File, Follow, Json, duration
from hive.cli.tasks import Patience, Why, told
from hive.core.tasks import OVER
from hive.errors import WrongInput

LIMIT = 20
"""How many runs are listed where nobody says how many."""

Record = dict[str, Any]

Workflow = Annotated[str, typer.Argument(metavar="NAME", help="A workflow of hive.toml or hive's.")]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run, `r-7`, or a workflow: its latest run.")
]
AnyRun = Annotated[
    str, typer.Argument(metavar="RUN", help="`r-7`, or a workflow; else the latest run.")
]
Template = Annotated[str, typer.Argument(metavar="NAME", help="Print this one as it is written.")]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Fill in a parameter; repeatable."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until it is over, and show how far.")]
Notes = Annotated[
    bool, typer.Option("--notes", help="Show all of what ended phases have handed over.")
]
Many = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="How many at most.")]
Question = Annotated[str, typer.Argument(metavar="QUESTION", help="What is to be decided.")]
Voters = Annotated[
    list[str],
    typer.Option("--voters", metavar="NAME", help="A role, a team or an agent; repeatable."),
]
Quorum = Annotated[
    str,
    typer.Option("--quorum", metavar="N", help="How many must agree: `2/3`, `60%`, `all`, `3`."),
]


def run(
    name: Workflow,
    *,
    values: Values = None,
    file: File = None,
    wait: Wait = False,
    timeout: Patience = "",
    json: Json = False,
) -> None:
    """Begin a workflow; its tasks are handed out as their turn comes."""
    patience = duration(timeout) if timeout else None
    project, definition = work.workflow(name, file)
    record = work.ask(
        "run_workflow",
        project=project,
        definition=definition,
        params=params(values or []),
        uid=reach.uid(),
    )
    called = record["run"]["run"]
    if wait:
        record = follow(called, patience, quiet=json)
    if json:
        output.as_json(record)
    elif not wait:
        output.say(f"{called}  {record['run']['state']}")
        output.note(f"`hive workflow show {called} --follow` shows how it goes on")
    if wait and record["run"]["state"] != "done":
        raise typer.Exit(1)


def show(
    name: AnyRun = "", follow_: Follow = False, notes: Notes = False, json: Json = False
) -> None:
    """Show a run: its phases and tasks, who has which, and what ended phases handed over."""
    called = _called(name)
    if follow_:
        record = follow(called, None, quiet=False, lines=json)
        if json:
            output.as_json({"version": 1, "run": record["run"]})
        return
    told_run(called, json=json, notes=notes)


def told_run(name: str, *, json: bool, notes: bool = False) -> None:
    """Tell all of the run that is called so; with `notes`, all that phases have handed over."""
    record = work.ask("workflow", name=name)
    if json:
        output.as_json(record)
        return
    from hive import screen_workflows

    output.show(screen_workflows.graph(record, time.time(), whole=notes), whole=True)


def list_(limit: Many = LIMIT, json: Json = False) -> None:
    """List the runs of workflows, the latest first."""
    record = work.ask("workflows", limit=limit)
    if json:
        output.as_json(record)
        return
    from hive import screen_workflows

    output.show(screen_workflows.listing(record, time.time()), whole=True)


def cancel(name: Run, why: Why = "", json: Json = False) -> None:
    """End a run: nothing of it begins any more, and what is under way is ended."""
    _changed("cancel_run", name, json=json, why=why)


def resume(name: Run, json: Json = False) -> None:
    """Go on with a run that failed or was cancelled; what is done stays done."""
    _changed("resume_run", name, json=json)


def templates(name: Template = "", json: Json = False) -> None:
    """List the workflows that can be run here, or print one."""
    record = work.workflows(name)
    if json:
        output.as_json(record)
    elif name and record["workflows"][0]["text"]:
        for line in record["workflows"][0]["text"].splitlines():
            output.say(line)
    else:
        from hive import screen_workflows

        drawn = screen_workflows.outline if name else screen_workflows.templates
        output.show(drawn(record), whole=True)


def decide(
    question: Question,
    *,
    voters: Voters,
    quorum: Quorum = "majority",
    wait: Wait = False,
    timeout: Patience = "",
    json: Json = False,
) -> None:
    """Ask agents for a decision; each has one vote, and none sees the others'."""
    patience = duration(timeout) if timeout else None
    args = {"question": question, "voters": voters, "quorum": quorum, "uid": reach.uid()}
    record = work.ask("propose", project=work.project(), **args)
    name = record["task"]["task"]
    if not wait:
        if json:
            output.as_json(record)
            return
        output.say(f"{name}  {record['task']['state']}: {record['task']['reason']}")
        output.note(f"`hive why {name}` tells how it goes on")
        return
    done: Record = {}

    def look() -> bool:
        done.update(work.ask("task", name=name))
        return done["task"]["state"] in OVER

    work.until(look, patience, lambda: f"{name}: {done['task']['reason']}")
    if json:
        output.as_json(done)
    else:
        told(name, json=False)
    if done["task"]["state"] != "done":
        raise typer.Exit(1)


def params(values: list[str]) -> dict[str, str]:
    """Read `KEY=VALUE` words; raises WrongInput for one that is none, or said twice."""
    found: dict[str, str] = {}
    for word in values:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise WrongInput(f"`--set {word}` sets nothing", fix="write it like --set version=1.2")
        if key in found:
            raise WrongInput(f"`--set {key}=…` is there twice", fix="leave one out")
        found[key] = text
    return found


def follow(name: str, patience: float | None, *, quiet: bool, lines: bool = False) -> Record:
    """Show a run until it is over, and give its record: as a graph, or a line for each change.

    `lines` has each change as JSON. Raises TimedOut, and Exit on Ctrl-C.
    """
    latest: Record = {}

    def look() -> bool:
        latest.update(work.ask("workflow", name=name))
        draw(latest)
        return bool(latest["run"]["state"] != "running")

    with _drawn(quiet=quiet, lines=lines) as draw:
        work.until(look, patience, lambda: _left(latest))
    if not quiet and not lines and output.interactive():
        from hive import screen_workflows

        output.show(screen_workflows.graph(latest, time.time()))
    return latest


@contextmanager
def _drawn(*, quiet: bool, lines: bool) -> Iterator[Callable[[Record], None]]:
    if quiet:
        yield lambda _record: None
    elif lines:
        yield _changes(output.as_json)
    elif output.interactive():
        yield from _redrawn()
    else:
        yield _changes(lambda one: output.say(_line(one)))


def _redrawn() -> Iterator[Callable[[Record], None]]:
    from rich.live import Live

    from hive import screen_workflows

    console = output.console()
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def draw(record: Record) -> None:
            drawn = screen_workflows.graph(record, time.time(), console.height - 1)
            live.update(drawn, refresh=True)

        yield draw


def _changes(tell: Callable[[Record], None]) -> Callable[[Record], None]:
    """Tell of each task whose state changed."""
    known: dict[str, str] = {}

    def draw(record: Record) -> None:
        for one in record["tasks"]:
            if known.get(one["task"]) != one["state"] and one["kind"] != "barrier":
                known[one["task"]] = one["state"]
                tell(one)

    return draw


def _line(one: Record) -> str:
    agent = f" by {one['agent']}" if one["agent"] else ""
    why = f": {one['reason']}" if one["reason"] else ""
    return f"{one['key'] or one['task']}  {one['state']}{agent}{why}"


def _left(record: Record) -> str:
    counts = record.get("run", {}).get("counts", {})
    return ", ".join(f"{many} {state}" for state, many in counts.items() if many)


def _called(name: str) -> str:
    """Give a run's name as hive writes it, a workflow's as it is, or the latest run's."""
    if name:
        return work.run_name(name) or name
    runs = work.ask("workflows", limit=1)["runs"]
    if not runs:
        raise WrongInput("no workflow was run", fix="hive workflow run NAME")
    latest: str = runs[0]["run"]
    return latest


def _changed(verb: str, name: str, *, json: bool, **more: str) -> None:
    record = work.ask(verb, name=_called(name), **more)
    if json:
        output.as_json(record)
        return
    one = record["run"]
    why = f": {one['reason']}" if one["reason"] not in {"", one["state"]} else ""
    output.say(f"{one['run']}  {one['state']}{why}")
