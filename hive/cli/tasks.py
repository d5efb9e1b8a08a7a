"""Commands about tasks: add, list, show, retry, cancel, hold, release, wait, dead; and locks."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from hive.adapters import reach
from hive.adapters.channel import Unreachable
from hive.cli import output, remote, taskfile, work
from hive.cli.hot import OPEN, TASKS, tell_more
from hive.cli.options import Json, duration
from hive.core.names import did_you_mean
from hive.core.task_lines import Around
from hive.core.task_lines import one as one_line
from hive.core.task_lines import read as read_lines
from hive.core.tasks import OVER, Job, State, parsed, to_dict
from hive.core.wording import count
from hive.errors import WrongInput

BAD = frozenset({"dead", "cancelled"})

STATES = ", ".join(State)

STRANGERS = 5
"""How many things are named at most that no agent has."""

Record = dict[str, Any]
Several = list[str] | None

What = Annotated[
    str, typer.Argument(metavar="TEXT", help="What an agent is to do; `-` reads it from stdin.")
]
Run = Annotated[
    str, typer.Option("--run", metavar="CMD", help="A command, for a worker (`hive help tasks`).")
]
Lines = Annotated[
    str, typer.Option("--file", "-f", metavar="FILE", help="Tasks as lines of JSON; `-` is stdin.")
]
Team = Annotated[str, typer.Option("--team", metavar="TEAM", help="For an agent of this team.")]
Role = Annotated[str, typer.Option("--role", metavar="ROLE", help="For an agent of this role.")]
Agent = Annotated[str, typer.Option("--agent", metavar="AGENT", help="For this agent only.")]
Skills = Annotated[
    Several, typer.Option("--skill", metavar="SKILL", help="For who can do this; repeatable.")
]
Priority = Annotated[
    str, typer.Option("--priority", metavar="P", help="low, normal, high, urgent, or 0 to 100.")
]
Check = Annotated[
    str, typer.Option("--check", metavar="CMD", help="It is done once this command succeeds.")
]
Retries = Annotated[
    int | None, typer.Option("--retries", metavar="N", min=0, help="Further attempts; else 2.")
]
Limit = Annotated[
    str, typer.Option("--timeout", metavar="TIME", help="An attempt takes so long at most: `40m`.")
]
Needs = Annotated[
    Several, typer.Option("--needs", metavar="TASK", help="Begin after this one; repeatable.")
]
Locks = Annotated[
    Several,
    typer.Option("--lock", metavar="LOCK", help="`port:3000`, `shared path:src`; repeatable."),
]
Key = Annotated[
    str, typer.Option("--key", metavar="KEY", help="Your own key: added once, however often asked.")
]
Cache = Annotated[
    str, typer.Option("--cache", metavar="TIME", help="An equal task's result may be so old.")
]
Replicas = Annotated[
    int | None, typer.Option("--replicas", metavar="N", min=1, help="Give it to so many agents.")
]
Agree = Annotated[
    int | None, typer.Option("--agree", metavar="N", min=1, help="So many of them must agree.")
]
Judge = Annotated[
    str,
    typer.Option("--judge", metavar="HOW", help="How they agree: by `result`, `check` or `vote`."),
]
Jury = Annotated[str, typer.Option("--jury", metavar="ROLE", help="Who votes on their answers.")]
Batch = Annotated[
    str, typer.Option("--batch-key", metavar="KEY", help="Tasks alike: one agent has them in turn.")
]
Sticky = Annotated[
    str, typer.Option("--sticky", metavar="KEY", help="To the agent that had this key last.")
]
Deadline = Annotated[
    str,
    typer.Option(
        "--deadline",
        metavar="TIME",
        help="Wanted by then, `2h` or `2026-11-22T10:00`: it goes first as that nears.",
    ),
]
Delay = Annotated[
    str,
    typer.Option("--delay", metavar="TIME", help="Not before then: `2h` or `2026-11-22T10:00`."),
]
Hold = Annotated[bool, typer.Option("--hold", help="Keep it until it is released.")]
Names = Annotated[list[str], typer.Argument(metavar="TASK", help="Tasks: `t-12`.")]
Name = Annotated[str, typer.Argument(metavar="TASK", help="A task: `t-12`.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, for the record.")]
States = Annotated[Several, typer.Option("--state", metavar="STATE", help=f"{STATES}; repeatable.")]
InRun = Annotated[
    str, typer.Option("--run", metavar="RUN", help="Of this run: `r-7`, or a workflow: its latest.")
]
Holder = Annotated[
    str, typer.Option("--agent", metavar="AGENT", help="Those that it has, or had last.")
]
All = Annotated[bool, typer.Option("--all", help="Also what is over.")]
After = Annotated[str, typer.Option("--after", metavar="TASK", help="Those after this one.")]
Many = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="How many at most.")]
Patience = Annotated[
    str, typer.Option("--timeout", metavar="TIME", help="Wait so long: `90s`; else for ever.")
]


def add(  # noqa: PLR0913 - its options are its parameters
    prompt: What = "",
    *,
    run: Run = "",
    file: Lines = "",
    team: Team = "",
    role: Role = "",
    agent: Agent = "",
    skills: Skills = None,
    priority: Priority = "",
    check: Check = "",
    retries: Retries = None,
    timeout: Limit = "",
    needs: Needs = None,
    locks: Locks = None,
    key: Key = "",
    cache: Cache = "",
    replicas: Replicas = None,
    agree: Agree = None,
    judge: Judge = "",
    jury: Jury = "",
    batch_key: Batch = "",
    sticky: Sticky = "",
    deadline: Deadline = "",
    delay: Delay = "",
    hold: Hold = False,
    json: Json = False,
) -> None:
    """Add a task, a command, or a file of them, to the queue."""
    given = locals().items()
    table = {name: value for name, value in given if value not in ("", None) and value is not False}
    short, around = _around(agent, hold=hold)
    table |= {"agent": short} if agent else {}
    table |= {"priority": int(priority)} if priority.isdecimal() else {}
    table |= {"deadline": work.span(deadline, "--deadline")} if deadline else {}
    table |= {"delay": work.span(delay, "--delay")} if delay else {}
    table |= {"prompt": _stdin()} if prompt == "-" else {}
    _add(table, around, json=json)


def list_(
    *,
    state: States = None,
    team: Team = "",
    run: InRun = "",
    agent: Holder = "",
    everything: All = False,
    after: After = "",
    limit: Many = TASKS,
    json: Json = False,
) -> None:
    """List tasks: those that are not over, or those that are asked for."""
    states = _states(state or []) or ([] if everything or run else list(OPEN))
    args = {"team": team, "run": _run(run), "agent": agent, "limit": limit}
    newest = everything and not after
    record = work.ask("tasks", states=states, after=_number(after), newest=newest, **args)
    if json:
        output.as_json(record)
        return
    from hive import screen_tasks

    output.show(screen_tasks.listing(record, time.time()), whole=True)
    if not newest:
        tell_more(record["tasks"], limit)


def show(name: Name, json: Json = False) -> None:
    """Tell all that is known of a task: where it stands, who may have it, its story."""
    told(work.tasks([name])[0], json=json)


def told(name: str, *, json: bool) -> None:
    """Tell all of the task that is called so."""
    record = work.ask("task", name=name)
    if json:
        output.as_json(record)
        return
    from hive import screen_tasks

    output.show(screen_tasks.story(record, time.time()), whole=True)


def dead(limit: Many = TASKS, json: Json = False) -> None:
    """List the tasks that hive gave up, and the reason of each attempt."""
    record = work.ask("dead", limit=limit)
    if json:
        output.as_json(record)
        return
    from hive import screen_tasks

    output.show(screen_tasks.dead(record, time.time()), whole=True)


def retry(names: Names, why: Why = "", json: Json = False) -> None:
    """Begin tasks anew that are over, with all their attempts."""
    _change("retry_tasks", names, why, json=json)


def cancel(names: Names, why: Why = "", json: Json = False) -> None:
    """End tasks undone; what an agent is at is interrupted first."""
    _change("cancel_tasks", names, why, json=json)


def hold(names: Names, why: Why = "", json: Json = False) -> None:
    """Keep tasks from being handed out until they are released."""
    _change("hold_tasks", names, why, json=json)


def release(names: Names, why: Why = "", json: Json = False) -> None:
    """Let held tasks go on: a person says that it is all right."""
    _change("release_tasks", names, why, json=json)


def wait(names: Names, timeout: Patience = "", json: Json = False) -> None:
    """Wait until tasks are over; the exit code says whether all of them are done."""
    patience = duration(timeout) if timeout else None
    known: dict[str, Record] = {name: {} for name in work.tasks(names)}

    def look() -> bool:
        for name in [name for name, one in known.items() if not _over(one)]:
            now = work.ask("task", name=name)["task"]
            if not json and known[name].get("state") != now["state"]:
                (output.say if _over(now) else output.note)(_line(now))
            known[name] = now
        return all(map(_over, known.values()))

    def left() -> str:
        still = {name: one for name, one in known.items() if not _over(one)}
        return ", ".join(f"{name} is {one.get('state')}" for name, one in still.items())

    work.until(look, patience, left)
    if json:
        output.as_json({"version": 1, "tasks": list(known.values())})
    if any(one["state"] in BAD for one in known.values()):
        raise typer.Exit(1)


def locks(json: Json = False) -> None:
    """Tell which locks are held, by whom, and who waits for whom."""
    record = work.ask("locks")
    if json:
        output.as_json(record)
        return
    from hive import screen_tasks

    output.show(screen_tasks.locks(record, time.time()), whole=True)


def _add(table: Record, around: Around, *, json: bool) -> None:
    """Add what the options say; those that are no key of a task are left out of it."""
    file, key = table.get("file", ""), table.get("key", "")
    own = {"file", "hold", "json", *({"key"} if file else ())}
    asked = {name: value for name, value in table.items() if name not in own}
    if file:
        _add_file(file, asked, key, around, json=json)
    else:
        _add_one(asked, around, json=json)


def _add_one(table: Record, around: Around, *, json: bool) -> None:
    """Add one task, by the supervisor or to the queue itself."""
    if not {"prompt", "run"} & table.keys():
        raise WrongInput(
            "there is no text", fix='hive task add "TEXT", or --run CMD, or --file FILE'
        )
    line = one_line(table)
    job = around.job(line)
    new = {
        "job": to_dict(job),
        "uid": reach.uid(),
        "needs": work.tasks(line.needs),
        "idem": line.key or "",
        "held": bool(around.held),
    }
    record = work.ask("add_tasks", tasks=[new])
    if json:
        output.as_json({"version": 1, **record})
        return
    (one,) = record["tasks"]
    output.say(f"{one['task']}  {one['state']}{': it was added before' if one['known'] else ''}")
    _warn([job])
    output.note(f"`hive why {one['task']}` tells how it goes on")


def _add_file(file: str, table: Record, key: str, around: Around, *, json: bool) -> None:
    """Add a file of tasks, all or none, in one transaction.

    With a key each line is added once, however often the file is.
    """
    if {"prompt", "run", "needs"} & table.keys():
        raise WrongInput("there is a text and a `--file`", fix="leave one out")
    name = "stdin" if file == "-" else file
    uid = f"{around.project}/{key}" if key else reach.uid()
    new = read_lines(taskfile.lines(file), name, table, around, uid)
    if not new:
        raise WrongInput("there is no task in it", where=name, fix="write one a line, as JSON")
    known = taskfile.written(new, again=bool(key))
    added = len(new) - known
    try:
        remote.ask("poke")
    except Unreachable:
        output.note("no supervisor runs: they wait until one does")
    if json:
        output.as_json({"version": 1, "added": added, "known": known})
        return
    before = f", {known} were there before" if known else ""
    output.say(f"added {count(added, 'task')}{before}")
    _warn([one.job for one in new])


def _warn(jobs: list[Job]) -> None:
    """Say what nobody has that these tasks want: they wait until somebody does."""
    for wants in work.strangers(jobs)[:STRANGERS]:
        output.note(f"no agent of hive.toml has {wants}: it waits until one does")


def _change(verb: str, names: list[str], why: str, *, json: bool) -> None:
    record = work.ask(verb, names=work.tasks(names), why=why)
    if json:
        output.as_json(record)
        return
    for one in record["tasks"]:
        output.say(_line(one))


def _line(one: Record) -> str:
    why = f": {one['reason']}" if one["reason"] not in {"", one["state"]} else ""
    return f"{one['task']}  {one['state']}{why}"


def _over(one: Record) -> bool:
    return one.get("state") in OVER


def _around(agent: str, *, hold: bool) -> tuple[str, Around]:
    """Give what counts here, and the name of the agent without its project."""
    project, _, short = agent.partition("/") if agent.count("/") == 2 else ("", "", agent)
    return short, Around(
        project=project or work.project(),
        rules=work.rules(),
        sender=work.sender(),
        now=time.time(),
        held="it was added to be held" if hold else "",
    )


def _states(words: list[str]) -> list[str]:
    """Read states, also several in one word: `ready,leased`; raises WrongInput."""
    found = [one for word in words for one in word.split(",")]
    for one in found:
        if one not in set(State):
            near = did_you_mean(one, [state.value for state in State])
            raise WrongInput(f"no state is called `{one}`{near}", fix=f"they are {STATES}")
    return found


def _run(name: str) -> str:
    if not name:
        return ""
    if parsed(name) is not None:
        raise WrongInput(f"`{name}` is a task, not a run", fix=f"hive task show {name}")
    return work.run_name(name) or str(work.ask("workflow", name=name)["run"]["run"])


def _number(name: str) -> int:
    return parsed(work.tasks([name])[0]) or 0 if name else 0


def _stdin() -> str:
    return sys.stdin.buffer.read().decode(errors="replace")
