"""`hive mcp`, spoken to by the SDK's own client over stdin and stdout."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client

from hive.adapters.spool import Spool
from hive.errors import WrongInput
from hive.serve import mcp
from tests.cli.conftest import Answering

ME = {"agent": "Task/back/dev", "launch": "l1", "seal": "s"}
START = """
from hive.serve import mcp
mcp.reach.ask.__kwdefaults__["away"] = 0.1
raise SystemExit(mcp.run([]))
"""
CALLS = [
    ("next_task", {}, {}),
    (
        "task_done",
        {"name": "m-1", "result": "r", "confidence": 0.5},
        {"name": "m-1", "result": "r", "confidence": 0.5},
    ),
    ("task_done", {}, {"name": "", "result": "", "confidence": None}),
    ("task_fail", {"name": "m-1", "why": "w"}, {"name": "m-1", "why": "w"}),
    (
        "task_done",
        {"name": "t-1-3"},
        {"name": "t-1", "fence": 3, "result": "", "confidence": None},
    ),
    ("progress", {"text": "half"}, {"text": "half"}),
    ("progress", {"text": "half", "name": "m-1"}, {"text": "m-1: half"}),
    ("progress", {"text": "half", "name": "t-1"}, {"text": "half", "name": "t-1"}),
    ("split_task", {"parts": ["a", "b"]}, {"parts": ["a", "b"], "name": ""}),
    ("ask_human", {"question": "q?"}, {"text": "q?", "options": []}),
    ("send", {"to": ["back"], "text": "t"}, {"names": ["back"], "text": "t"}),
    (
        "hand_off",
        {"to": ["back"], "note": "n"},
        {"source": "", "targets": ["back"], "note": "n", "task": False},
    ),
    ("lock", {"name": "db"}, {"name": "db"}),
    ("lock", {"name": "db", "shared": True}, {"name": "db", "shared": True}),
    ("unlock", {"name": "db"}, {"name": "db"}),
]
WRONG = [
    ("task_done", {"confidence": 2}, "confidence"),
    ("task_fail", {"name": "m-1"}, "why"),
    ("split_task", {"parts": []}, "parts"),
    ("add_task", {"text": "t", "priority": 101}, "priority"),
    ("send", {"to": [], "text": "t"}, "to"),
    ("send", {"to": "back", "text": ""}, "text"),
    ("no_such_tool", {}, "no_such_tool"),
]


@pytest.fixture
def environ(short_path):
    """Give a person's environment."""
    (short_path / "state").mkdir()
    return {"HIVE_STATE": str(short_path / "state"), "TEST_RUN": os.environ["TEST_RUN"]}


@pytest.fixture
def agent(short_path, environ):
    """Give an agent's environment."""
    (short_path / "folder" / "spool").mkdir(parents=True)
    found = {f"HIVE_{key.upper()}": text for key, text in ME.items()}
    return environ | found | {"HIVE_FOLDER": str(short_path / "folder")}


@pytest.fixture
def supervisor(short_path, environ):
    one = Answering(short_path / "state")
    yield one
    one.close()


@asynccontextmanager
async def client(environ):
    """Start the server as its clients do, and give what initializing told and a session."""
    command = StdioServerParameters(command=sys.executable, args=["-c", START], env=environ)
    async with stdio_client(command) as (read, write), ClientSession(read, write) as session:
        yield await session.initialize(), session


def test_an_agent_has_its_tools_and_each_is_one_question(supervisor, agent):
    async def talk():
        async with client(agent) as (hello, session):
            tools = {one.name: one for one in (await session.list_tools()).tools}
            said = [await session.call_tool(name, given) for name, given, _ in CALLS]
            wrong = [await session.call_tool(name, given) for name, given, _ in WRONG]
            return hello, tools, said, wrong

    supervisor.answers = {name: {"said": name} for name, _, _ in CALLS}
    hello, tools, said, wrong = anyio.run(talk)

    assert hello.server_info.name == "hive"
    assert "You are the agent `back/dev`" in hello.instructions
    assert set(tools) == {name for name, _, _ in CALLS} | {"status", "show_task", "add_task"}
    assert all(one.description for one in tools.values())
    for name, given, _ in CALLS:
        properties = tools[name].input_schema["properties"]
        assert set(given) <= set(properties)
        assert all(about["description"] for about in properties.values())

    assert not any(one.is_error for one in said)
    assert [one.structured_content for one in said] == [{"said": name} for name, _, _ in CALLS]
    heard = [(verb, dict(args)) for verb, args in supervisor.asked]
    assert [args.pop("me") for _, args in heard] == [ME] * len(CALLS)
    uids = [args.pop("uid") for _, args in heard[1:]]
    assert len(set(uids)) == len(CALLS) - 1
    assert heard == [(name, args) for name, _, args in CALLS]

    assert all(one.is_error for one in wrong)
    assert all(what in one.content[0].text for one, (_, _, what) in zip(wrong, WRONG, strict=True))


def test_an_agent_may_add_a_task_for_others(supervisor, agent):
    async def talk():
        async with client(agent) as (_, session):
            whole = {"text": "Test it.", "team": "qa", "skills": ["python"], "needs": ["t-1"]}
            await session.call_tool("show_task", {"name": "t-1-3"})
            return await session.call_tool("add_task", whole)

    answer = {"tasks": [{"task": "t-2", "state": "ready", "known": False}]}
    supervisor.answers = {"show_task": {}, "add_tasks": answer}
    added = anyio.run(talk)

    assert added.structured_content == answer
    (_, shown), (_, asked) = supervisor.asked
    assert shown == {"name": "t-1", "me": ME}
    ((new),) = asked["tasks"]
    assert new.pop("uid")
    assert new == {
        "job": {
            "text": "Test it.",
            "project": "Task",
            "team": "qa",
            "role": "",
            "skills": ["python"],
            "priority": 50,
            "check": "",
            "sender": "Task/back/dev",
        },
        "needs": ["t-1"],
    }


def test_a_person_may_send_and_look_and_is_no_agent(supervisor, environ):
    async def talk():
        async with client(environ) as (hello, session):
            tools = [one.name for one in (await session.list_tools()).tools]
            sent = await session.call_tool("send", {"to": ["back/dev"], "text": "t"})
            seen = await session.call_tool("status", {"names": ["back"]})
            waits = await session.call_tool("inbox", {})
            done = await session.call_tool("task_done", {"name": "m-1"})
            return hello, tools, (sent, seen, waits), done

    supervisor.answers = {
        "send": {"messages": []},
        "status": {"agents": []},
        "inbox": {"items": []},
    }
    hello, tools, found, done = anyio.run(talk)

    assert hello.instructions == mcp.ABOUT_PERSON
    assert "inbox" in tools
    assert [one.structured_content for one in found] == list(supervisor.answers.values())
    assert supervisor.asked[0][1].pop("uid")
    assert supervisor.asked == [
        ("send", {"names": ["back/dev"], "text": "t"}),
        ("status", {"names": ["back"]}),
        ("inbox", {}),
    ]
    assert done.is_error
    assert "`HIVE_AGENT` is not set" in done.content[0].text
    assert "next: run it in an agent's own shell" in done.content[0].text


def test_a_refusal_says_what_is_next_and_without_hive_it_is_noted(short_path, agent):
    async def talk():
        supervisor = Answering(short_path / "state")
        async with client(agent) as (_, session):
            refused = await session.call_tool("lock", {"name": "db"})
            supervisor.close()
            noted = await session.call_tool("task_done", {"name": "m-1"})
            away = await session.call_tool("status", {})
            return refused, noted, away

    refused, noted, away = anyio.run(talk)

    assert refused.is_error
    assert refused.content[0].text.endswith("no answer to `lock`\n  next: hive status")
    assert noted.structured_content == mcp.LATER
    ((_, verb, args),) = Spool(short_path / "folder" / "spool").questions()
    assert (verb, args["name"]) == ("task_done", "m-1")
    assert away.is_error
    assert "no supervisor answers" in away.content[0].text


def test_help_and_mistakes(capsys):
    assert mcp.run(["--help"]) == 0
    assert capsys.readouterr().out == mcp.HELP

    with pytest.raises(WrongInput, match="takes no words"):
        mcp.run(["serve"])
