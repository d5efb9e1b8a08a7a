"""Check-ins and standups from the command line: what is asked for, what is refused, what shows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import typer
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from hive import rhythmviews, screen_rhythm
from hive.cli import rhythm
from hive.core.checkin import Evidence, judge
from hive.errors import WrongInput

NOON = 1_700_000_000.0
EVIDENCE = Evidence(
    agent="Task/web/dev", at=NOON - 120, state="working", speaks=True, task="t-12",
    about="Fix the login bug", progress="half way", progressed=NOON - 300, branch="hive/web/dev",
    message="on it", reported=NOON - 200, files=("a.py", "b.py"), tokens=1234, cost=0.5,
    bytes=1 << 30, cores=0.5,
)  # fmt: skip
BEFORE = judge(replace(EVIDENCE, at=NOON - 1020, files=("a.py",), cost=0.25), None)
ONE = judge(replace(EVIDENCE, commits=("Add a form",)), BEFORE)


def item(text: str, task: str | None = None, answer: str = "") -> dict[str, Any]:
    return {"agent": "web/dev", "task": task, "text": text, "time": None, "answer": answer}


def page(**parts: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {name: [] for name in screen_rhythm.SECTIONS}
    cost = {"tokens": 1200, "cost": 1.5, "digests": {"tokens": 40, "cost": 0.01}}
    team = {"team": "web", "project": "Task", **empty, "cost": cost, **parts}
    moments = {"since": "2023-11-13T22:13:20.000Z", "time": "2023-11-14T22:13:20.000Z"}
    return {"version": 1, **moments, "teams": [team]}


def drawn(renderable: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    return [line.rstrip() for line in captured.get().splitlines()]


def told(*words: str) -> str:
    """Carry out a command as the whole command line does, and give what it prints on stdout."""
    app = typer.Typer()
    for name in ("checkins", "checkin", "standup"):
        app.command(name)(getattr(rhythm, name))
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize(
    ("words", "verb", "args"),
    [
        (["checkins"], "checkins", {"names": [], "limit": 0}),
        (["checkins", "web", "api", "-n", "9"], "checkins", {"names": ["web", "api"], "limit": 9}),
        (["checkin", "web/dev"], "checkin", {"name": "web/dev", "ask": False}),
        (["checkin", "web/dev", "--ask"], "checkin", {"name": "web/dev", "ask": True}),
    ],
)
def test_what_is_asked_of_the_supervisor(words, verb, args, supervisor):
    supervisor.answers[verb] = rhythmviews.listing([ONE])

    assert "half way" in told(*words)
    assert json.loads(told(*words, "--json"))["checkins"][0]["agent"] == "web/dev"
    assert supervisor.asked == [(verb, args)] * 2


def test_a_standup_is_a_page_json_or_markdown(supervisor, monkeypatch):
    monkeypatch.setattr(rhythm.time, "time", lambda: NOON)
    supervisor.answers["standup"] = page(done=[item("Fix it", "t-1")])

    assert "  done 1\n" in told("standup", "web")
    assert "- t-1 (web/dev): Fix it\n" in told("standup", "--since", "2h", "--markdown")
    assert json.loads(told("standup", "--json"))["version"] == 1
    assert [args for _, args in supervisor.asked] == [
        {"names": ["web"], "since": NOON - 86_400}, {"names": [], "since": NOON - 7200},
        {"names": [], "since": NOON - 86_400},
    ]  # fmt: skip


def test_since_is_a_span_a_time_of_day_or_a_moment(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")

    assert rhythm.moment("90m", NOON) == NOON - 5400  # at 22:13:20
    assert rhythm.moment("02:00", NOON) == NOON - (20 * 60 + 13) * 60 - 20
    assert rhythm.moment("2023-11-14T22:00", NOON) == NOON - 800


@pytest.mark.parametrize("text", ["", "soon", "25:00", "12", "2999-01-01", "2023-99-01"])
def test_what_is_no_time_or_lies_ahead_is_refused(text):
    with pytest.raises(WrongInput) as refused:
        rhythm.moment(text, NOON)

    assert "--since" in refused.value.what and refused.value.fix


def test_check_ins_are_a_line_each():
    lines = drawn(screen_rhythm.listing(rhythmviews.listing([ONE, BEFORE]), NOON))

    assert lines[0].split() == ["agent", "ago", "verdict", "task", "how", "it", "gets", "on"]
    assert lines[1].split()[:4] == ["web/dev", "2m", "working", "t-12"]
    assert all(len(line) <= 80 for line in lines) and len(lines) == 3
    assert drawn(screen_rhythm.listing({"checkins": []}, NOON))[0].startswith("no check-in yet")


def test_a_check_in_is_told_in_full():
    lines = drawn(screen_rhythm.checkin(rhythmviews.record(ONE), NOON))

    assert lines[0].startswith("web/dev  working  2m ago: working on t-12 Fix the login bug")
    for line in (
        "  task      t-12 Fix the login bug",
        "  progress  half way (5m ago)",
        "  reported  on it (3m ago)",
        "  branch    hive/web/dev",
        "  uses      cpu 50%, memory 1.0G, 1234 tokens, $0.50",
        "  changed 1 file: b.py",
        "  Add a form",
        "  a.py",
    ):
        assert line in lines
    assert all(len(line) <= 80 for line in lines)


def test_of_many_files_the_first_are_shown():
    many = replace(ONE, evidence=replace(EVIDENCE, files=tuple(f"f{n}" for n in range(500))))

    lines = drawn(screen_rhythm.checkin(rhythmviews.record(many), NOON))

    assert lines[-1] == "  … and 490 more" and len(lines) < 30


def test_a_standup_has_its_parts_and_leaves_out_empty_ones():
    record = page(
        done=[item(f"do {n}", f"t-{n}") for n in range(30)],
        blocked=[item("approval: Bash", answer="hive approve A7")],
    )

    lines = drawn(screen_rhythm.standup(record, NOON))

    assert "web  1200 tokens, $1.50; its digests 40 tokens, $0.01" in lines
    assert "  done 30" in lines and "  blocked 1" in lines and "  risks 0" not in lines
    assert any(line.startswith("    … and 22 more") for line in lines)
    assert "hive approve A7" in lines[-1] and all(len(line) <= 80 for line in lines)


def test_a_standup_of_nothing_says_so():
    assert drawn(screen_rhythm.standup(page(), NOON))[-1].strip() == (
        "nothing happened, and nothing waits"
    )
    assert drawn(screen_rhythm.standup({"teams": []}, NOON))[0].startswith("no agents")


def test_markdown_has_all_of_it_and_takes_no_text_for_its_own():
    wild = item("**x** [a](b) `c` <i>", answer="hive send `x`")

    lines = screen_rhythm.markdown(page(risks=[wild] * 30)).split("\n")

    assert lines[0] == "# Standup" and "## web" in lines and "### Risks" in lines
    bullets = [line for line in lines if line.startswith("- ")]
    assert len(bullets) == 30
    said = r"- (web/dev): \*\*x\*\* \[a\](b) \`c\` \<i\> — `hive send 'x'`"
    assert bullets[0] == said


def test_nothing_that_agents_say_can_steer_the_terminal():
    wild = "\x1b[2Jgone\r[red]x[/red]"
    one = replace(ONE, line=wild, changes=(wild,), answer=wild, evidence=replace(
        EVIDENCE, about=wild, progress=wild, message=wild, files=(wild,), commits=(wild,),
        trouble=wild, checked=wild, waits=wild, branch=wild,
    ))  # fmt: skip
    record = rhythmviews.listing([one])
    shown = [
        *drawn(screen_rhythm.listing(record, NOON)),
        *drawn(screen_rhythm.checkin(record["checkins"][0], NOON)),
        *drawn(screen_rhythm.standup(page(done=[item(wild, answer=wild)]), NOON)),
        screen_rhythm.markdown(page(done=[item(wild, answer=wild)])),
    ]

    assert not {"\x1b", "\r"} & set("".join(shown))
