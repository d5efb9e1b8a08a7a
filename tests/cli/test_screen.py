"""What people see, drawn at the size of a plain terminal: nothing wraps, trouble comes first."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console, RenderableType

from hive import screen, screen_monitor
from hive.views import iso

NOON = 1_700_000_000.0
TEAMS = ("frontend", "backend", "data", "quality")
LONG = "exit code 1, five times within fifteen minutes; one trial start today at half past two"


def agent(number: int = 0, state: str = "ready", **changes: Any) -> dict[str, Any]:
    team = TEAMS[number % len(TEAMS)]
    record = {
        "agent": f"{team}/dev-{number}",
        "team": team,
        "project": "Task",
        "state": state,
        "reason": "it runs",
        "since": iso(NOON - 90),
        "pid": 4711,
        "restarts": 2,
        "cpu": 0.5,
        "memory": 40_000_000,
        "settled": state == "ready",
    }
    return record | changes


def status(agents: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    record = {
        "node": "box",
        "supervisor": {"pid": 4242, "up_since": iso(NOON - 7200)},
        "agents": agents,
        "teams": [{"team": team, "held": False, "reason": ""} for team in TEAMS],
    }
    return record | changes


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    record = {
        "id": number,
        "time": iso(NOON - 10 + number),
        "agent": "frontend/dev-0",
        "kind": "died",
        "text": f"{LONG} {number}",
    }
    return record | changes


def drawn(renderable: RenderableType, width: int = 80, **options: Any) -> list[str]:
    console = Console(width=width, height=24, markup=False, highlight=False, **options)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get().splitlines()


def monitor(agents: list[dict[str, Any]], *events: dict[str, Any], **view: Any) -> list[str]:
    return drawn(screen_monitor.monitor(status(agents), events, screen_monitor.View(**view), NOON))


def line_of(lines: list[str], words: str) -> str:
    (line,) = [one for one in lines if words in one]
    return line


def test_status_draws_an_agent_in_one_line_and_cuts_the_reason():
    lines = drawn(screen.status(status([agent(0, "failed", reason=LONG)]), NOON))

    line = line_of(lines, "frontend/dev-0")
    assert line.split()[:6] == ["frontend/dev-0", "failed", "1m", "2", "50%", "38.1M"]
    assert line.rstrip().endswith("…")
    assert all(len(one) <= 80 for one in lines)


def test_a_wide_terminal_shows_the_whole_reason():
    lines = drawn(screen.status(status([agent(reason=LONG)]), NOON), width=200)

    assert LONG in line_of(lines, "frontend/dev-0")


def test_status_ends_with_the_totals():
    agents = [agent(0), agent(1, "failed"), agent(2, "backing-off"), agent(3)]

    lines = drawn(screen.status(status(agents), NOON))

    assert lines[-1] == ("4 agents, cpu 200%, memory 153M: 1 failed · 1 backing-off · 2 ready")


def test_how_many_messages_wait_is_drawn_where_any_do():
    first, *lines = drawn(screen.status(status([agent(0, queue=3), agent(1, queue=0)]), NOON))

    assert "queue" in first.split()
    assert "  3  " in lines[0]
    assert "queue" not in drawn(screen.status(status([agent(0, queue=0)]), NOON))[0]


def test_a_limit_that_is_felt_stands_before_the_reason():
    lines = drawn(screen.status(status([agent(limit="held to 50%")]), NOON))

    assert line_of(lines, "dev-0").rstrip().endswith("held to 50%; it runs")


STRAIN = {"level": 1, "doing": "admits nothing", "why": "the load is 30", "since": iso(NOON)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"waiting": 1}, ["1 agent waits for room"], id="one waits"),
        pytest.param({"waiting": 3}, ["3 agents wait for room"], id="some wait"),
        pytest.param({"inbox": 1}, ["1 thing waits for a person: `hive inbox`"], id="one asks"),
        pytest.param({"inbox": 2}, ["2 things wait for a person: `hive inbox`"], id="two ask"),
        pytest.param({"strain": STRAIN}, ["hive admits nothing: the load is 30"], id="pressure"),
        pytest.param(
            {"strain": STRAIN, "waiting": 2},
            ["hive admits nothing: the load is 30", "2 agents wait for room"],
            id="both",
        ),
    ],
)
def test_what_keeps_agents_back_is_below_the_totals(changes, said):
    record = status([agent(0), agent(1)], **changes)

    assert drawn(screen.status(record, NOON))[-len(said) :] == said
    live = drawn(screen_monitor.monitor(record, [event(1)] * 10, screen_monitor.View(), NOON))
    assert [line.rstrip() for line in live[2 : 2 + len(said)]] == said
    assert len(live) == 24


def test_a_long_name_leaves_room_for_the_reason():
    long = agent(0, "failed", agent="frontend/" + "long-" * 12, reason="exit code 3")

    lines = drawn(screen.status(status([long]), NOON))

    assert line_of(lines, "frontend/").rstrip().endswith("exit code 3")


def test_whom_a_limit_holds_back_is_listed_before_who_only_starts():
    agents = [agent(i) for i in range(100)]
    agents[40] = agent(40, "starting", reason="waits for backend/db")
    agents[50] = agent(50, limit="paused: the load is 30")
    agents[60] = agent(60, "failed", reason="exit code 3")

    named = [line.split() for line in monitor(agents) if "/dev-" in line]

    assert [one[0] for one in named] == ["frontend/dev-60", "data/dev-50", "frontend/dev-40"]
    assert named[1][3] == "paused:"


def test_nothing_is_said_of_limits_while_nothing_is_held_back():
    lines = drawn(screen.status(status([agent()], strain=None, waiting=0), NOON))

    assert lines[-1].startswith("1 agent, ")


def test_what_nobody_measured_is_not_drawn():
    lines = drawn(screen.status(status([agent(cpu=None, memory=None, restarts=0)]), NOON))

    assert lines[0].split() == ["agent", "state", "for", "why"]
    assert lines[-1] == "1 agent: 1 ready"


def test_what_does_not_run_uses_nothing_unless_it_left_something_behind():
    gone = agent(0, "failed", pid=None, cpu=0.0, memory=0, restarts=0)
    left = agent(1, "backing-off", pid=None, cpu=0.0, restarts=0)

    lines = drawn(screen.status(status([gone, left]), NOON))

    assert line_of(lines, "dev-0").split()[1:4] == ["failed", "1m", "it"]
    assert line_of(lines, "dev-1").split()[1:5] == ["backing-off", "1m", "0%", "38.1M"]


def test_status_without_a_supervisor_says_so():
    lines = drawn(screen.status(status([agent()], supervisor=None), NOON))

    assert "no supervisor runs" in lines[-1]


def test_status_of_nothing_says_how_to_begin():
    assert drawn(screen.status(status([]), NOON)) == ["no agents: `hive deploy` starts some"]


def test_a_held_team_is_named_with_what_lets_it_go():
    held = {"team": "data", "held": True, "reason": "too many restarts"}

    lines = drawn(screen.status(status([agent()], teams=[held]), NOON))

    assert lines[-1] == "team data is held: too many restarts; `hive start data` lets it go"


def test_states_are_coloured_on_a_terminal_only():
    table = screen.status(status([agent(0, "failed")]), NOON)

    coloured = "".join(drawn(table, force_terminal=True, color_system="standard"))

    assert "\x1b[1;31mfailed" in coloured
    assert "\x1b" not in "".join(drawn(table))


def test_no_color_is_obeyed(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    table = screen.status(status([agent(0, "failed")]), NOON)

    shown = "".join(drawn(table, force_terminal=True, color_system="standard"))

    assert "31m" not in shown


def test_a_reason_can_not_steer_the_terminal_nor_be_markup():
    reason = "[red]no\x1b[2J[/red]"

    line = line_of(drawn(screen.status(status([agent(reason=reason)]), NOON)), "dev-0")

    assert "[red]no [2J[/red]" in line


@pytest.mark.parametrize("count", [0, 1, 8, 17, 18, 40, 100, 500])
@pytest.mark.parametrize("bad", [0, 1, 5, 60])
@pytest.mark.parametrize("everything", [False, True])
def test_the_monitor_fills_a_screen_exactly_and_never_wraps(count, bad, everything):
    agents = [agent(i, "failed" if i < bad else "ready", reason=LONG) for i in range(count)]
    events = [event(i) for i in range(10)]

    lines = monitor(agents, *events, everything=everything)

    assert len(lines) == 24
    assert all(len(line) <= 80 for line in lines)
    assert lines[-1].startswith("q quits")


@pytest.mark.parametrize("height", [12, 16, 24, 50])
@pytest.mark.parametrize("count", [3, 100])
def test_the_monitor_fits_terminals_of_other_heights(height, count):
    lines = monitor([agent(i) for i in range(count)], *[event(1)] * 10, height=height)

    assert len(lines) == height


def test_the_monitor_lists_every_agent_where_they_fit():
    lines = monitor([agent(i) for i in range(8)])

    assert [line.split()[0] for line in lines if "/dev-" in line] == [
        agent(i)["agent"] for i in range(8)
    ]


def test_the_monitor_is_quiet_where_nothing_is_wrong():
    lines = monitor([agent(i) for i in range(100)])

    assert not [line for line in lines if "/dev-" in line]
    assert line_of(lines, "frontend ").split() == ["frontend", "25", "1250%", "954M", "25", "ready"]


def test_the_monitor_shows_trouble_first_with_its_reason():
    agents = [agent(i) for i in range(100)]
    agents[40] = agent(40, "starting", reason="waits for backend/db")
    agents[50] = agent(50, "failed", reason="exit code 3")

    lines = monitor(agents)

    named = [line.split() for line in lines if "/dev-" in line]
    assert [one[0] for one in named] == ["data/dev-50", "frontend/dev-40"]
    assert named[0][3:] == ["exit", "code", "3"]


def test_too_much_trouble_is_counted():
    agents = [agent(i, "failed") for i in range(100)]

    lines = monitor(agents)

    listed = len([line for line in lines if "/dev-" in line])
    assert f"… and {100 - listed} more in trouble" in "\n".join(lines)


def test_all_agents_can_be_scrolled_through():
    agents = [agent(i) for i in range(100)]

    lines = monitor(agents, everything=True, offset=30)

    assert next(line.split()[0] for line in lines if "/dev-" in line) == "data/dev-30"
    assert "of 100" in "\n".join(lines)
    last = monitor(agents, everything=True, offset=5000)
    assert [line.split()[0] for line in last if "/dev-" in line][-1] == "quality/dev-99"


def test_the_monitor_says_when_nobody_answers():
    lines = monitor([agent()], notice="the supervisor does not answer; trying again")

    assert "does not answer; trying again" in lines[0]


def why(**changes: Any) -> dict[str, Any]:
    record = {
        "agent": agent(0, "failed", reason="3 deaths in 15m"),
        "evidence": [
            {"source": "process", "text": "its program does not run", "time": iso(NOON - 5)},
            {"source": "ready", "text": LONG, "time": None},
        ],
        "next": {"text": "one trial start in 15m", "time": iso(NOON + 900)},
        "budget": {
            "policy": "always", "deaths": 3, "attempts": 3, "window": 900.0, "restarts": 1,
        },
        "certificate": {
            "time": iso(NOON - 5), "launch": "1-a", "code": 3, "cause": "exit code 3",
            "asked": False, "next": "quarantined", "restarts": 2, "ran": 1.5,
            "screen": ["Traceback", "", "ValueError: \x1b[31mno"],
        },
        "events": [event(1), event(2)],
    }  # fmt: skip
    return record | changes


def test_why_says_what_it_is_what_is_next_and_how_it_ended():
    lines = drawn(screen.why(why(), NOON), width=120)

    assert lines[0] == "frontend/dev-0  failed for 1m: 3 deaths in 15m"
    assert lines[1] == "next: one trial start in 15m"
    assert "budget: restart always; 3 of 3 deaths in 15m; 1 restart by itself" in lines
    assert line_of(lines, "last end: ").endswith(", after 2s: exit code 3")
    assert "then hive: quarantined" in lines
    assert [line.strip() for line in lines if "Traceback" in line or "ValueError" in line] == [
        "Traceback",
        "ValueError:  [31mno",
    ]


def test_why_names_the_largest_processes_of_the_last_end():
    record = why()
    record["certificate"]["largest"] = [
        {"pid": 7, "name": "node", "bytes": 412 << 20},
        {"pid": 12, "name": "sh", "bytes": 800 << 10},
    ]

    lines = [line.strip() for line in drawn(screen.why(record, NOON))]

    assert lines[lines.index("412M  pid 7  node") + 1] == "800K  pid 12  sh"


def test_why_cuts_nothing():
    shown = " ".join(" ".join(drawn(screen.why(why(), NOON))).split())

    assert shown.count(LONG) == 3


def test_why_of_an_agent_that_never_ended_has_no_certificate():
    lines = drawn(screen.why(why(certificate=None, events=[]), NOON))

    assert not [line for line in lines if "last end" in line or line == "events"]


def test_an_event_is_a_line_with_its_time_agent_and_kind():
    (line,) = drawn(screen.event(event(text="exit code 1"), form="%S"))

    assert line == "11  frontend/dev-0  died  exit code 1"


def test_changes_are_drawn_one_a_line():
    change = {"kind": "restart", "agent": "frontend/dev", "why": LONG}

    lines = drawn(screen.changes({"changes": [change, {**change, "kind": "keep"}]}))

    assert [line.split()[0] for line in lines] == ["change", "restart", "keep"]


def test_progress_shows_those_under_way_and_counts_the_rest():
    agents = [agent(i) for i in range(40)] + [agent(i, "starting") for i in range(40, 90)]

    lines = drawn(screen.progress(agents, NOON, 24))

    assert len(lines) <= 24
    assert lines[-1] == "40 of 90 done: 50 starting · 40 ready"
    assert "… and 29 more" in lines[-2]
