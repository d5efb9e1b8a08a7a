"""`hive deploy`: read the file, have the supervisor want it, wait until it is so."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hive.cli import output, progress, remote
from hive.cli.options import (
    PATIENCE,
    CpuLimit,
    File,
    Json,
    Memory,
    NoWait,
    Timeout,
    duration,
    over,
)
from hive.core.wording import count, span
from hive.errors import HiveError, WrongInput

if TYPE_CHECKING:
    from hive.adapters.files import Loaded

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be changed.")]
Teams = Annotated[
    list[str] | None,
    typer.Option("--team", metavar="TEAM", help="Only this team; repeatable."),
]


def deploy(
    file: File = None,
    dry_run: DryRun = False,
    team: Teams = None,
    no_wait: NoWait = False,
    timeout: Timeout = PATIENCE,
    cpu_limit: CpuLimit = None,
    memory: Memory = None,
    json: Json = False,
) -> None:
    """Make the agents that run equal to hive.toml."""
    from hive.adapters import files
    from hive.core import limits

    patience = duration(timeout)
    instead = over(cpu_limit, memory)
    loaded = files.overridden(files.load(file), instead)
    _refuse_unknown(team or [], loaded.teams)
    files.refuse_ours(loaded, remote.state().root)
    question: dict[str, Any] = {
        "project": loaded.project,
        "path": str(loaded.path),
        "teams": team or None,
        "ceiling": limits.to_dict(loaded.ceiling),
        "environ": remote.born(),
    }
    if dry_run:
        question |= _agents(loaded)
        _tell_plan(remote.look("deploy", **question, dry_run=True), json=json)
        return
    question |= _agents(_completed(loaded))
    remote.ensure()
    record = remote.ask("deploy", **question, dry_run=False)
    _bind_work(loaded)
    _bind_escalation(loaded)
    _carry_out(record, 0.0 if no_wait else patience, json=json)


def _bind_work(loaded: Loaded) -> None:
    """Have the work of the project done as its file says; agents run also without that."""
    from hive.core import rules, workflow

    named = {name: workflow.to_dict(one) for name, one in loaded.workflows.items()}
    try:
        told = rules.to_dict(loaded.rules)
        remote.ask("bind_work", project=loaded.project, rules=told, workflows=named)
    except HiveError as error:
        output.note(f"its [work] and [workflows] are not deployed: {error}")


def _bind_escalation(loaded: Loaded) -> None:
    """Have people told what waits for them as the file says; agents run also without that."""
    from hive.core import escalation

    told = escalation.to_dict(loaded.escalation)
    try:
        remote.ask("bind_escalation", project=loaded.project, rules=told)
    except HiveError as error:
        output.note(f"its [escalation] is not deployed: {error}")


def _completed(loaded: Loaded) -> Loaded:
    """Give it with what programs had to be asked, from the folders that are there already."""
    from hive.adapters import findings

    agents, wrong = findings.complete(loaded.agents, remote.born())
    for text in wrong:
        output.note(text)
    return replace(loaded, agents=tuple(agents))


def _agents(loaded: Loaded) -> dict[str, Any]:
    """Give what the supervisor is told of the agents, once it is known where they work."""
    from hive.adapters import files
    from hive.core import plots
    from hive.core.spec import to_dict

    placed, lacking = files.placed(loaded, remote.state().root)
    for text in plots.told(lacking):
        output.note(text)
    told = {"agents": [to_dict(agent) for agent in placed.agents]}
    return {**told, "unplaced": lacking} if lacking else told


def _refuse_unknown(wanted: Sequence[str], known: Sequence[str]) -> None:
    from hive.core.names import did_you_mean

    for team in wanted:
        if team not in known:
            fix = f"choose of {', '.join(known)}"
            raise WrongInput(f"no team `{team}`{did_you_mean(team, known)}", fix=fix)


def _tell_plan(record: dict[str, Any], *, json: bool) -> None:
    """Print what a deploy would change."""
    if json:
        output.as_json(record)
        return
    changes = record["changes"]
    if changes:
        _show_changes(record)
    if record.get("limits"):
        output.say("would change what all agents together may use: [limits]")
    output.say(f"would change {count(len(_real(record)), 'agent')} of {len(changes)}")


def _carry_out(record: dict[str, Any], patience: float, *, json: bool) -> None:
    """Tell what changes, wait until all agents are as wanted, and tell how it went."""
    changes, began = _real(record), time.monotonic()
    if changes and not json:
        _show_changes({**record, "changes": changes})
    new_limits = bool(record.get("limits"))
    if new_limits and not json:
        output.say("what all agents together may use has changed: `hive limits` shows it")
    ids = {change["id"] for change in (record["changes"] if patience else ())}
    ids -= _as_wanted() if not changes else set()
    records = progress.wait(ids, patience, quiet=json) if ids else []
    if json:
        output.as_json({**record, "agents": records})
    elif not changes and not records:
        nothing = "nothing else to do" if new_limits else "nothing to do"
        output.say(f"{nothing}: {count(len(record['changes']), 'agent')} as wanted")
        _tell_waiting(remote.ask("status", names=[])["agents"])
    elif patience:
        many = f"{count(len(changes), 'agent')} changed in {span(time.monotonic() - began)}"
        output.say(f"{many}: {_tally(records)}")
        _tell_waiting(records)
    else:
        output.say(f"{count(len(changes), 'agent')} under way: `hive monitor` shows them")


def _tell_waiting(records: list[dict[str, Any]]) -> None:
    """Say what to do where agents wait for a person: a login, a dialog."""
    many = sum(one["state"] == "waiting" for one in records)
    if many:
        waits = "waits" if many == 1 else "wait"
        output.say(f"{count(many, 'agent')} {waits} for you: `hive inbox` says for what")


def _as_wanted() -> set[str]:
    """Name the agents (ids) that need no waiting for."""
    agents = remote.ask("status", names=[])["agents"]
    return {one["id"] for one in agents if one["settled"] and one["state"] != "failed"}


def _real(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [change for change in record["changes"] if change["kind"] != "keep"]


def _show_changes(record: dict[str, Any]) -> None:
    from hive import screen

    output.show(screen.changes(record))


def _tally(records: list[dict[str, Any]]) -> str:
    from hive import screen

    return screen.tally(records).plain or "none left"
