"""`hive mcp`: hive's verbs as tools of the Model Context Protocol, over stdin and stdout.

An agent's program starts it with the agent's own environment, outside its sandbox: so it is the
surest way to report. Another client, a person's, may use what needs no identity. It goes through
the official SDK (package `mcp`, 2.x).
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from hive import __version__
from hive.adapters import reach
from hive.errors import HiveError, WrongInput

if TYPE_CHECKING:
    from mcp.server import MCPServer

HELP = """\
Usage: hive mcp

  Serve hive's verbs as tools of the Model Context Protocol, over stdin and stdout. Agents get it
  by themselves; for another client, its command is `hive mcp`.
"""

PATIENCE = 30.0
"""Seconds an answer may take."""

ABOUT_AGENT = (
    "You are the agent `{agent}`, run by hive. Finish each message and each task with task_done or "
    "task_fail. "
    "What only a person can decide, ask with ask_human; then end your turn: answers and new "
    "messages come by themselves. Never poll or sleep."
)
ABOUT_PERSON = "Send messages to the agents that hive runs, and see how they are."

Number = Annotated[
    str,
    Field(description="The message, `m-31`, or the task, `t-12`; empty: the one that you have."),
]
LATER: dict[str, Any] = {"noted": True, "next": "hive does it as soon as it runs: go on"}
"""What is answered while no supervisor runs."""

LockName = Annotated[str, Field(description="What the lock is called, as `database`.")]
Answer = dict[str, Any]


def run(words: list[str]) -> int:
    """Serve until stdin ends; raises HiveError where the SDK is missing."""
    if words[:1] in (["--help"], ["-h"]):
        sys.stdout.write(HELP)
        return 0
    if words:
        raise WrongInput(f"`hive mcp` takes no words: `{words[0]}`", fix="hive mcp")
    build().run("stdio")
    return 0


def build() -> MCPServer[Any]:
    """Give the server with the tools that this environment's agent, or a person, may use."""
    gc.disable()  # to look for garbage while it imports takes a fifth of its time
    try:
        from mcp.server import MCPServer
    except ImportError as error:
        what = f"the SDK of the Model Context Protocol can't be used: {error}"
        raise HiveError(what, fix="pip install 'hive[mcp]'") from error
    finally:
        gc.enable()
    gc.freeze()
    agent = os.environ.get("HIVE_AGENT", "")
    about = ABOUT_AGENT.format(agent=agent.partition("/")[2]) if agent else ABOUT_PERSON
    server: MCPServer[Any] = MCPServer(
        "hive", version=__version__, instructions=about, log_level="WARNING"
    )
    for tool in TOOLS if agent else (*TOOLS, inbox):
        server.add_tool(tool, structured_output=True)
    return server


def next_task() -> Answer:
    """Give your next message or task, or the one you have begun; `task` is null where none waits.

    When none waits, end your turn: the next one comes by itself. Finish it with task_done or
    task_fail.
    """
    return _mine("next_task")


def show_task(name: Number = "") -> Answer:
    """Show the whole of a message or a task of yours."""
    return _mine("show_task", name=_about(name)["name"])


def task_done(
    name: Number = "",
    result: Annotated[str, Field(description="What was done, in a few sentences.")] = "",
    confidence: Annotated[
        float | None,
        Field(ge=0, le=1, description="How sure you are that a task is done right, from 0 to 1."),
    ] = None,
) -> Answer:
    """Say that a message's or a task's work is done. Nothing else counts as done.

    End your turn then: `state` and `why` tell what becomes of a task. If its check fails, a message
    says why. Say truly how sure you are: what you are not sure of is reviewed.
    """
    return _told("task_done", **_about(name), result=result, confidence=confidence)


def task_fail(
    why: Annotated[str, Field(min_length=1, description="Why it can't be done.")],
    name: Number = "",
) -> Answer:
    """Say that a message's or a task's work can't be done, and why."""
    return _told("task_fail", **_about(name), why=why)


def progress(
    text: Annotated[str, Field(min_length=1, description="How far you are, in one sentence.")],
    name: Number = "",
) -> Answer:
    """Say how far you are, on long work."""
    called: str = _about(name)["name"]
    if called.startswith("t"):
        return _told("progress", text=text, name=called)
    return _told("progress", text=f"{called}: {text}" if called else text)


def split_task(
    parts: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        Field(min_length=1, description="The prompt of each part, with all that it needs."),
    ],
    name: Number = "",
) -> Answer:
    """Make parts of your task, for others: it waits for them and then goes on with their results.

    End your turn then.
    """
    return _told("split_task", parts=parts, name=_about(name)["name"])


def add_task(
    text: Annotated[str, Field(min_length=1, description="All that whoever gets it must know.")],
    team: Annotated[str, Field(description="Only for agents of this team.")] = "",
    role: Annotated[str, Field(description="Only for agents of this role.")] = "",
    skills: Annotated[list[str] | None, Field(description="What they must be able to do.")] = None,
    priority: Annotated[int, Field(ge=0, le=100, description="50 is normal.")] = 50,
    check: Annotated[str, Field(description="A command that ends with 0 when it is done.")] = "",
    needs: Annotated[list[str] | None, Field(description="Tasks it waits for, as `t-12`.")] = None,
) -> Answer:
    """Add a task for whichever agent suits it: it is put into hive's queue, and handed out once."""
    agent = os.environ.get("HIVE_AGENT", "")
    job = {"text": text, "team": team, "role": role, "skills": skills or [], "priority": priority}
    job |= {"check": check, "project": agent.partition("/")[0], "sender": agent or "a person"}
    new = {"job": job, "uid": reach.uid(), "needs": needs or []}
    return _ask("add_tasks", lambda: {"tasks": [new]})


def ask_human(
    question: Annotated[str, Field(min_length=1, description="All a person must know to answer.")],
    options: Annotated[list[str] | None, Field(description="Answers to choose from.")] = None,
) -> Answer:
    """Ask a person. The answer comes as a message: go on with something else, or end your turn."""
    return _told("ask_human", text=question, options=options or [])


def send(
    to: Annotated[
        list[str],
        Field(min_length=1, description="Agents or teams, as `backend/dev` or `backend`."),
    ],
    text: Annotated[str, Field(min_length=1, description="The message.")],
) -> Answer:
    """Send a message to agents. Each gets it once, as soon as it can take it."""
    if os.environ.get("HIVE_AGENT"):
        return _told("send", names=to, text=text)
    return _ask("send", lambda: {"names": to, "text": text, "uid": reach.uid()})


def hand_off(
    to: Annotated[
        list[str],
        Field(min_length=1, description="Agents or teams, as `frontend/dev` or `frontend`."),
    ],
    note: Annotated[str, Field(description="What they must know, in words.")] = "",
    task: Annotated[bool, Field(description="Your task goes along, if it can.")] = False,
) -> Answer:
    """Hand over to other agents: your note, and what hive knows of your work as facts."""
    return _told("hand_off", source="", targets=to, note=note, task=task)


def lock(
    name: LockName,
    shared: Annotated[bool, Field(description="Others may have it too if they share it.")] = False,
) -> Answer:
    """Take a lock that one agent at a time has. Where `held` is false, `by` has it: try later."""
    return _told("lock", name=name, **{"shared": True} if shared else {})


def unlock(name: LockName) -> Answer:
    """Let go of a lock that you have."""
    return _told("unlock", name=name)


def status(
    names: Annotated[
        list[str] | None, Field(description="Agents or teams; empty: all of them.")
    ] = None,
) -> Answer:
    """Tell what each agent is (`state`), and why (`reason`)."""
    return _ask("status", lambda: {"names": names or []})


def inbox() -> Answer:
    """Tell what waits for a person: approvals, questions, failures, and the command for each."""
    return _ask("inbox", dict)


TOOLS: tuple[Callable[..., Answer], ...] = (
    next_task, show_task, task_done, task_fail, progress, split_task, add_task, ask_human, send,
    hand_off, lock, unlock, status,
)  # fmt: skip
"""What agents may call; who is none is told so where that matters."""


def _about(name: str) -> Answer:
    return reach.about(name, os.environ)


def _told(verb: str, **args: Any) -> Answer:
    """Say something in this agent's name, with an id: it is done once, however often it arrives."""
    return _mine(verb, **args, uid=reach.uid())


def _mine(verb: str, **args: Any) -> Answer:
    """Ask in this agent's name."""
    return _ask(verb, lambda: {**args, "me": reach.me(os.environ)})


def _ask(verb: str, args: Callable[[], Answer]) -> Answer:
    """Ask; what the caller can put right becomes a tool's error, with what to do next."""
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        given = args()

        def direct() -> Answer | None:
            from hive import offline_tasks

            return offline_tasks.asked(verb, given, os.environ)

        answer: Answer = reach.ask(verb, given, environ=os.environ, timeout=PATIENCE, direct=direct)
    except HiveError as error:
        raise ToolError(str(error)) from error
    return LATER if answer == reach.NOTED else answer
