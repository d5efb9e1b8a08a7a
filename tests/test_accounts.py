"""The records of limits, and what people see of them on a plain terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from hive import accounts, screen_limits
from hive.accounts import Account
from hive.core.accounting import Rates, Sample
from hive.core.advice import Advice, advise
from hive.core.limits import Limits, Total
from hive.core.spec import Agent
from hive.core.vitals import Vitals
from hive.core.world import Memory, State, Use, Wanted
from tests.conftest import ROOT

NOON = 1_700_000_000.0
CALM = (0, "", "", 0.0)
PRESSED = (3, "pauses agents", "the load is 30 on 2 cores", NOON)
VITALS = Vitals(
    cores=2.0,
    memory=8 << 30,
    available=3 << 30,
    load=3.456,
    busy=0.9123,
    cpu_stall=12.5,
    io_stall=0.0,
)
TOTAL = Total(cpu=1.2, memory=6 << 30, agents=20, reserve=1 << 30)
HELD = "held to 50% of a core, stopped 48% of the time"


def spec(name: str = "dev", **limits: Any) -> Agent:
    return Agent(
        project="Task",
        team="frontend",
        name=name,
        role="dev",
        session="Task-frontend",
        window="Frontend-Dev",
        argv=("sleep", "600"),
        directory="/srv",
        limits=Limits(**limits),
    )


def account(agent: Agent | None = None, **changes: Any) -> Account:
    one = agent or spec()
    memory = Memory(agent=one.id, state=State.READY, launch="1", began=NOON)
    return Account(
        **{"wanted": Wanted(agent=one), "memory": memory, "means": "cgroup v2"} | changes
    )


BUSY = account(
    spec(cpu=0.5, memory=1 << 30, soft=800 << 20, max_age=43_200.0),
    use=Use(cpu=0.49876, memory=900 << 20, processes=31),
    allowed=0.5,
    peak=950 << 20,
    held=0.48,
    rates=Rates(read=1e6, written=2048.0, received=0.4, sent=1e5),
    doing=HELD,
)
FREE = account(spec("pm"), use=Use(cpu=0.02, memory=12 << 20, processes=3))
DOWN = account(spec("server"), memory=Memory(agent="Task/frontend/server"))


def advised(agent: Agent, cpu: float = 0.2, seconds: float = 3600.0, **used: Any) -> Advice:
    """Give the advice for an agent that used the same all the time."""
    known = {"memory": 100 << 20, "processes": 3} | used
    samples = [
        Sample(agent=agent.id, at=int(NOON) + one * 60, span=60.0, cpu=cpu, **known)
        for one in range(round(seconds / 60))
    ]
    return advise(agent, samples, ooms=0, seen=0, now=NOON + seconds)


def record(*agents: Account, **changes: Any) -> accounts.Record:
    known = {
        "node": "box",
        "vitals": VITALS,
        "total": TOTAL,
        "means": ("cgroup v2", "systemd scope: no user manager answers"),
        "strain": CALM,
        "agents": agents or (BUSY, FREE, DOWN),
    }
    return accounts.limits(**{**known, **changes})


def drawn(renderable: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, height=24, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    return [line.rstrip() for line in captured.get().splitlines()]


def line_of(lines: list[str], words: str) -> str:
    (line,) = [one for one in lines if words in one]
    return line


def keys(value: Any) -> Iterator[str]:
    """Give every key of a record, however deep."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield key
            yield from keys(one)
    elif isinstance(value, list):
        for one in value:
            yield from keys(one)


def test_an_account_has_every_field():
    assert record(BUSY)["agents"] == [
        {
            "agent": "frontend/dev",
            "id": "Task/frontend/dev",
            "team": "frontend",
            "state": "ready",
            "priority": "normal",
            "means": "cgroup v2",
            "cpu": {"used": 0.499, "allowed": 0.5, "limit": 0.5},
            "memory": {
                "used": 900 << 20, "soft": 800 << 20, "limit": 1 << 30, "peak": 950 << 20,
            },
            "processes": {"used": 31, "limit": 1000},
            "max_age": 43_200.0,
            "disk": {"read": 1_000_000, "written": 2048},
            "network": {"received": 0, "sent": 100_000},
            "held": 0.48,
            "doing": HELD,
        }
    ]  # fmt: skip


def test_what_is_not_known_is_null():
    (one,) = record(account(use=None))["agents"]

    assert one["cpu"] == {"used": None, "allowed": None, "limit": None}
    assert one["memory"] == {"used": None, "soft": None, "limit": None, "peak": None}
    assert (one["disk"], one["network"], one["doing"]) == (None, None, "")


def test_the_total_is_of_all_agents_whoever_is_listed():
    found = record(chosen={"Task/frontend/pm"})

    assert [one["agent"] for one in found["agents"]] == ["frontend/pm"]
    assert found["total"] == {
        "cpu": {"used": 0.519, "allowed": 1.2},
        "memory": {"used": 912 << 20, "allowed": 6 << 30},
        "agents": {"used": 2, "allowed": 20},
        "reserve": 1 << 30,
        "admission": True,
    }


def test_where_nobody_looks_nothing_is_used():
    found = record(account(use=None), vitals=None, means=("", ""))

    assert found["machine"] is None
    assert {found["total"][one]["used"] for one in ("cpu", "memory", "agents")} == {None}


def test_where_none_runs_all_use_nothing():
    total = record(DOWN)["total"]

    assert (total["cpu"]["used"], total["memory"]["used"], total["agents"]["used"]) == (0, 0, 0)


def test_the_machine_and_the_pressure_on_it_are_told():
    found = record(strain=PRESSED)

    assert found["machine"] == {
        "cores": 2.0,
        "memory": 8 << 30,
        "available": 3 << 30,
        "load": 3.46,
        "busy": 0.912,
        "stalls": {"cpu": 12.5, "memory": None, "memory_full": None, "io": 0.0},
    }
    assert found["means"] == {
        "name": "cgroup v2",
        "better": "systemd scope: no user manager answers",
    }
    assert found["strain"] == {
        "level": 3,
        "doing": "pauses agents",
        "why": "the load is 30 on 2 cores",
        "since": "2023-11-14T22:13:20.000Z",
    }
    assert record()["strain"] == {"level": 0, "doing": "", "why": "", "since": None}


def test_limits_that_were_set_are_told_with_how_long_they_hold():
    assert accounts.limits_set(agents=[spec(cpu=0.5, memory=1 << 30)]) == {
        "version": 1,
        "agents": [
            {
                "agent": "frontend/dev",
                "id": "Task/frontend/dev",
                "cpu": 0.5,
                "memory": 1 << 30,
                "soft": None,
                "max_age": None,
                "processes": 1000,
            }
        ],
        "total": None,
        "until": "the next `hive deploy`",
    }
    assert accounts.limits_set(total=TOTAL)["total"] == {
        "cpu": 1.2, "memory": 6 << 30, "agents": 20, "reserve": 1 << 30, "admission": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(record(), id="limits"),
        pytest.param(accounts.limits_set(agents=[spec()], total=TOTAL), id="limits set"),
        pytest.param(accounts.advice([advised(spec())]), id="limits advise"),
    ],
)
def test_every_field_is_documented(found):
    page = (ROOT / "hive" / "docs" / "json.md").read_text("utf-8")

    assert [one for one in keys(found) if not re.search(rf"`{one}`", page)] == []


def test_limits_are_drawn_one_agent_a_line_with_all_below():
    lines = drawn(screen_limits.limits(record()))

    assert lines[0] == "limits are held by: cgroup v2"
    assert lines[1] == "for a better means: systemd scope: no user manager answers"
    assert lines[2] == (
        "machine: 2 cores, 91% busy; 3.0G of 8.0G free; load 3.46; work waits for cpu 12%"
    )
    assert line_of(lines, "pressure") == "pressure: none"
    assert line_of(lines, "agent  ").split() == ["agent", "cpu", "of", "memory", "of", "doing"]
    assert line_of(lines, "frontend/dev").split()[1:5] == ["50%", "50%", "900M", "1.0G"]
    assert line_of(lines, "frontend/pm").split() == ["frontend/pm", "2%", "12.0M"]
    assert line_of(lines, "all agents  ").split()[2:] == ["52%", "120%", "912M", "6.0G"]
    assert lines[-2:] == [
        "cpu: 100% is one core; all agents together get 1.2 cores, 60% of the machine",
        "2 agents run, 20 may; 1.0G of memory stays free",
    ]


def test_who_does_not_run_is_drawn_with_what_it_is_or_waits_for():
    reason = "waiting for room: 1 of 1 agents run"
    waits = account(spec("pm"), use=None, memory=Memory(agent="Task/frontend/pm", reason=reason))
    down = Memory(agent="Task/frontend/db", state=State.STOPPED)

    found = record(waits, account(spec("db"), use=None, memory=down))

    assert found["agents"][0]["doing"] == reason
    lines = drawn(screen_limits.limits(found), width=120)
    assert line_of(lines, "frontend/pm").endswith(reason)
    assert line_of(lines, "frontend/db").split() == ["frontend/db", "stopped"]


def test_what_hive_does_about_a_limit_is_never_cut():
    shown = " ".join(" ".join(drawn(screen_limits.limits(record()))).split())

    assert HELD in shown


@pytest.mark.parametrize("strain", [CALM, PRESSED])
def test_limits_fit_a_plain_terminal(strain):
    many = [replace(BUSY, wanted=Wanted(agent=spec(f"dev-{number}"))) for number in range(12)]

    lines = drawn(screen_limits.limits(record(*many, strain=strain)))

    assert all(len(line) <= 80 for line in lines)


def test_pressure_is_drawn_with_what_hive_does_and_why():
    lines = drawn(screen_limits.limits(record(strain=PRESSED)), width=120)

    line = line_of(lines, "pressure: ")
    assert line.startswith("pressure: hive pauses agents, since ")
    assert line.endswith(": the load is 30 on 2 cores")


def test_the_means_of_an_agent_is_drawn_where_it_is_not_that_of_all():
    other = account(spec("pm"), means="portable")

    lines = drawn(screen_limits.limits(record(BUSY, other)))

    assert line_of(lines, "agent  ").split()[5:] == ["means", "doing"]
    assert "portable" in line_of(lines, "frontend/pm")


def test_one_agent_is_drawn_with_all_that_is_known():
    lines = drawn(screen_limits.limits(record(chosen={"Task/frontend/dev"})))

    details = {line[:13].strip(): line[13:] for line in lines if line.startswith("  ")}
    assert details["cpu"] == "50%, limit 50%, kept waiting 48% of the time"
    assert details["memory"] == "900M, limit 1.0G, warned from 800M on, at most 950M so far"
    assert details["processes"] == "31, limit 1000"
    assert details["max age"] == "12h"
    assert details["disk"] == "read 977K/s, written 2K/s"
    assert details["network"] == "received 0K/s, sent 98K/s"


def test_without_a_supervisor_only_the_limits_are_drawn():
    offline = record(account(spec(cpu=0.5)), vitals=None, means=("", ""), total=Total())

    lines = drawn(screen_limits.limits(offline))

    assert lines[0].startswith("no supervisor runs")
    assert not [line for line in lines if "machine" in line or "pressure" in line]
    assert "  cpu        not seen, limit 50%" in lines


def test_limits_of_nobody_say_how_to_begin():
    lines = drawn(screen_limits.limits(record(chosen=())))

    assert lines == ["no agents: `hive deploy` starts some"]


def test_limits_that_were_set_are_drawn_with_the_lines_to_keep():
    found = accounts.limits_set(agents=[spec(cpu=0.5, max_age=3600.0)])
    keep = ["[teams.frontend.agents.dev]", 'cpu = "50%"']

    lines = drawn(screen_limits.limits_set(found, keep))

    assert line_of(lines, "frontend/dev ").split()[1:] == ["50%", "none", "none", "1h", "1000"]
    assert line_of(lines, "until the next `hive deploy`")
    assert lines[-2:] == keep


def test_what_all_share_is_drawn_once_it_was_set():
    lines = drawn(screen_limits.limits_set(accounts.limits_set(total=TOTAL), ["[limits]"]))

    assert lines[0] == ("all agents together: cpu 1.2 cores, memory 6.0G, agents 20, reserve 1.0G")


def test_advice_has_every_field():
    (one,) = accounts.advice([advised(spec(cpu=0.2, memory=1 << 30), held=0.3)])["agents"]

    assert one["memory"].pop("text") and one["cpu"].pop("text")
    assert one == {
        "agent": "frontend/dev",
        "id": "Task/frontend/dev",
        "seen_for": 3600,
        "memory": {
            "typical": 100 << 20, "high": 100 << 20, "peak": 100 << 20, "limit": 1 << 30,
            "recommended": 192 << 20, "verdict": "more than it needs",
        },
        "cpu": {
            "typical": 0.2, "high": 0.2, "peak": 0.2, "limit": 0.2,
            "recommended": 0.3, "verdict": "too small",
        },
        "held": 0.3,
        "ooms": 0,
        "leak": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        pytest.param(
            [advised(spec())],
            ["[teams.frontend.agents.dev]", 'cpu = "30%"', 'memory = "192MB"'],
            id="no limits",
        ),
        pytest.param([advised(spec(cpu=0.3, memory=192 << 20))], [], id="limits that fit"),
        pytest.param([advised(spec(), seconds=60.0)], [], id="too little seen"),
        pytest.param(
            [advised(spec(cpu=0.3, memory=1 << 30))],
            ["[teams.frontend.agents.dev]", 'memory = "192MB"'],
            id="one that does not fit",
        ),
        pytest.param(
            [advised(spec("dev-1")), advised(spec("dev-2"), cpu=0.5)],
            ["[teams.frontend.agents.dev]", 'cpu = "70%"', 'memory = "192MB"'],
            id="a pool: who needs most",
        ),
    ],
)
def test_the_lines_that_follow_the_advice(found, lines):
    assert accounts.advice(found)["keep"] == lines


def test_advice_is_drawn_in_two_lines_an_agent_with_what_to_write_below():
    found = [advised(spec(cpu=0.3, memory=1 << 30)), advised(spec("pm"), seconds=60.0)]

    lines = drawn(screen_limits.advice(accounts.advice(found)))

    assert all(len(line) <= 80 for line in lines)
    first = lines.index(line_of(lines, "frontend/dev  "))
    assert lines[first].split()[:6] == [
        "frontend/dev", "memory", "100M", "100M", "1.0G", "192M",
    ]  # fmt: skip
    below = "seen for 1h cpu 20% 20% 30% 30% fits"
    assert below.split() in [line.split() for line in lines]
    assert line_of(lines, "frontend/pm: ") == (
        "frontend/pm: too little was seen of it: advice needs 10m"
    )
    assert lines[-2:] == ["[teams.frontend.agents.dev]", 'memory = "192MB"']


def test_a_leak_is_named():
    grown = [
        Sample(
            agent=spec().id, at=int(NOON) + one * 60, span=60.0, cpu=0.1,
            memory=(100 + one) << 20, processes=1,
        )
        for one in range(600)
    ]  # fmt: skip
    found = accounts.advice([advise(spec(), grown, ooms=0, seen=0, now=NOON + 36_000)])

    shown = " ".join(" ".join(drawn(screen_limits.advice(found))).split())

    assert found["agents"][0]["leak"] is not None
    assert f"frontend/dev: {found['agents'][0]['leak']}" in shown


def test_advice_for_one_never_seen_says_so():
    lines = drawn(screen_limits.advice(accounts.advice([advised(spec(), seconds=0.0)])))

    assert line_of(lines, "frontend/dev ").split() == [
        "frontend/dev",
        "memory",
        "none",
        "not",
        "yet",
    ]
    assert line_of(lines, "  never seen").split() == ["never", "seen", "cpu", "none", "not", "yet"]
    assert drawn(screen_limits.advice(accounts.advice([]))) == [
        "no agents: `hive deploy` starts some"
    ]
