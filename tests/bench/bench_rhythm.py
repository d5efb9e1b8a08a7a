"""What the rhythm of 50 agents costs while nothing happens, and a standup over a day of history."""

from __future__ import annotations

import subprocess
import time
from typing import Any
from uuid import uuid4

import psutil
import pytest

from hive.adapters.channel import ask
from hive.adapters.state import State
from hive.adapters.store import Event, Store
from hive.core.checkin import Evidence, judge
from tests.bench.measure import timed, told
from tests.conftest import Corner, eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

AGENTS, SECONDS = 50, 36.0
FASTER = 150
"""So much shorter than usual are the intervals that are measured."""

CHECKINS, TASKS, EVENTS = 96, 2000, 50_000
"""A day's check-ins of an agent, and all tasks and events."""

PIECE, ROUNDS = 500, 10


def used(one: psutil.Process) -> float:
    """Give the seconds of CPU that a process has used, with those that it started."""
    times = one.cpu_times()
    return sum((times.user, times.system, times.children_user, times.children_system))


def asked(corner: Corner, verb: str, **args: Any) -> Any:
    return ask(str(State(corner.state).socket), verb, args, timeout=60)


def deploy(corner: Corner, *, worktree: bool, **rhythm: str) -> psutil.Process:
    """Have the agents run with this rhythm, and wait until all is calm."""
    team = {f"a{number}": "sleep 99999" for number in range(AGENTS // 5)}
    teams = {
        f"t{number}": {"agents": team, "directory": "repo" if worktree else "."}
        for number in range(5)
    }
    defaults = {**rhythm, "worktree": worktree}
    corner.write(teams, defaults=defaults, escalation={"notify": ["command: true"]})
    corner.hive("deploy", "--timeout", "5m")
    ready = lambda: {one["state"] for one in asked(corner, "status")["agents"]} <= {"ready", "up"}
    eventually(ready, timeout=120, pause=0.5)
    time.sleep(5)
    return psutil.Process(asked(corner, "ping")["pid"])


def repository(corner: Corner) -> None:
    repo = corner.path / "repo"
    repo.mkdir()
    for number in range(200):
        (repo / f"file{number}.txt").write_text(f"{number}\n" * 50)
    who = ["-c", "user.name=A Person", "-c", "user.email=a@person"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "begin"]):
        subprocess.run(["git", *who, *words], cwd=repo, env=corner.env, check=True)


def test_fifty_agents_in_worktrees(corner: Corner) -> None:
    repository(corner)
    off = {"check_in": "never", "commit": "never"}
    fast = {"check_in": f"{900 // FASTER}s", "commit": f"{1800 // FASTER}s"}
    share, many = {}, 0
    for name, rhythm in {"off": off, "on": fast}.items():
        one = deploy(corner, worktree=True, **rhythm)
        before, begun = used(one), time.monotonic()
        since = time.time()
        time.sleep(SECONDS)
        share[name] = (used(one) - before) / (time.monotonic() - begun)
        found = asked(corner, "checkins", limit=2000)["checkins"]
        many = sum(one["time"] >= stamp(since) for one in found)
    cost = share["on"] - share["off"]
    print(f"\n{AGENTS} idle agents in worktrees of 200 files, {SECONDS:.0f} s, git counted too")
    print(f"{'the rhythm off':36}{share['off']:>10.2%} of one core")
    print(f"{f'intervals {FASTER} times shorter':36}{share['on']:>10.2%} of one core")
    print(f"{'a check-in with its two looks':36}{cost * SECONDS / max(1, many) * 1000:>10.1f} ms")
    print(f"{'so 15m and 30m':36}{cost / FASTER:>10.3%} of one core ({many} check-ins)")
    corner.hive("stop-all")


def stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def test_a_standup_of_a_day(corner: Corner) -> None:
    deploy(corner, worktree=False, check_in="never", commit="never")
    names = [one["id"] for one in asked(corner, "status")["agents"]]
    _remember(corner, names)
    whole = [timed(lambda: corner.hive("standup")) for _ in range(ROUNDS)]
    held = [timed(lambda: asked(corner, "standup")) for _ in range(ROUNDS)]
    inbox = [timed(lambda: asked(corner, "inbox")) for _ in range(ROUNDS)]
    ping = [timed(lambda: asked(corner, "ping")) for _ in range(ROUNDS)]
    print(f"\n{AGENTS} agents, {AGENTS * CHECKINS} check-ins, {TASKS} tasks, {EVENTS} events")
    told("`hive standup`, the whole command", whole)
    told("the supervisor is held for", held)
    told("for the inbox", inbox)
    told("for a ping", ping)
    corner.hive("stop-all")


def _remember(corner: Corner, names: list[str]) -> None:
    """Write down a day in which much has happened."""
    now = time.time()
    with Store.open(corner.state / "hive.db") as store:
        for number in range(CHECKINS):
            at = now - (CHECKINS - number) * 890
            found = Evidence(agent="", at=at, state="working", task=f"t-{number}", about="do it")
            more = {"files": tuple(f"src/module{n}.py" for n in range(8)), "tokens": number * 900}
            ones = [judge(_of(found, name, **more), None) for name in names]
            store.journal.check_in(ones)
        for begin in range(0, EVENTS, 5000):
            ats = [now - 86_000 + 1.7 * (begin + n) for n in range(5000)]
            texts = [Event(agent=names[n % AGENTS], kind="turn", text="t", at=at)
                     for n, at in enumerate(ats)]  # fmt: skip
            store.add(texts)
    for _ in range(0, TASKS, PIECE):
        jobs = [{"job": {"text": "build a part of it"}, "uid": uuid4().hex} for _ in range(PIECE)]
        made = asked(corner, "add_tasks", tasks=jobs)["tasks"]
        asked(corner, "cancel_tasks", names=[one["task"] for one in made[: PIECE // 2]])


def _of(found: Evidence, agent: str, **more: Any) -> Evidence:
    from dataclasses import replace

    return replace(found, agent=agent, **more)
