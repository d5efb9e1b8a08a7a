"""What people see of tasks and workflows, at the width of a plain terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from hive import screen_tasks, screen_workflows, taskviews
from hive.core.locks import Wait
from hive.core.schedule import Schedule
from hive.core.tasks import Held, Job, Report, Run, State, Task

NOON = 1_700_000_000.0
JOB = Job(text="Fix the login bug of the new form\nand say so", team="backend", skills=("python",))
READY = Task(
    number=12, uid="u", job=JOB, state=State.READY, created=NOON - 60, since=NOON - 60,
    why="added",
)  # fmt: skip
LEASED = replace(
    READY, state=State.LEASED, agent="Task/backend/dev", launch="1-a", fence=1, attempt=1,
    begun=NOON - 30, since=NOON - 30, heard=NOON - 5, why="the only one that may",
)  # fmt: skip
DEAD = replace(READY, state=State.DEAD, number=13, failures=("exit code 1", "no answer " * 30))
RUN = Run(
    number=7, uid="r", workflow="release", project="Task", created=NOON - 200,
    params={"version": "1.2"},
)  # fmt: skip


def drawn(renderable: RenderableType, width: int = 80, **options: Any) -> list[str]:
    console = Console(width=width, markup=False, highlight=False, **options)
    with console.capture() as captured:
        console.print(renderable)
    return [line.rstrip() for line in captured.get().splitlines()]


def step(number: int, key: str, state: State = State.WAITING, **changes: Any) -> Task:
    job = replace(JOB, text=f"do {key}", title=key)
    values = {"since": NOON - 60, "why": "because", **changes}
    return Task(number=number, uid=key, job=job, key=key, run=7, state=state, **values)


STEPS = [
    step(1, "build.api", State.DONE, agent="Task/backend/dev", why="its check passed"),
    step(2, "build.ui", State.LEASED, agent="Task/frontend/dev", why="given to it"),
    replace(step(3, "build"), job=Job(text="the end of phase build", kind="barrier")),
    step(4, "ship.deploy", why="waits"),
]
EDGES = {3: [1, 2], 4: [3, 2]}


def graph(tasks: list[Task], height: int | None = None, **changes: Any) -> list[str]:
    spent = {1: 120.0, 2: 30.0}
    record = taskviews.run_record(replace(RUN, **changes), tasks, EDGES, {}, spent=spent, now=NOON)
    return drawn(screen_workflows.graph(record, NOON, height))


def test_a_list_is_one_line_a_task_with_its_reason():
    record = taskviews.listing([READY, LEASED], {"ready": 1, "leased": 1, "done": 40}, {})

    lines = drawn(screen_tasks.listing(record, NOON))

    assert lines[0].split() == ["task", "state", "for", "agent", "what", "why"]
    assert lines[1].split()[:3] == ["t-12", "ready", "1m"]
    assert "backend/dev" in lines[2] and "…" in lines[2]
    assert lines[-1] == "in all: 1 leased · 1 ready · 40 done"
    assert all(len(line) <= 80 for line in lines)


def test_a_list_in_which_nothing_stands_says_so():
    some, none = taskviews.listing([], {"done": 3}, {}), taskviews.listing([], {}, {})

    assert drawn(screen_tasks.listing(some, NOON)) == ["none of these; in all: 3 done"]
    assert drawn(screen_tasks.listing(none, NOON))[0].startswith("there are no tasks: `hive task")


def test_what_is_kept_back_says_until_when():
    later = taskviews.detail(replace(READY, due=NOON + 3600))

    assert ": not before Nov 14 " in drawn(screen_tasks.story(later, NOON))[0]
    assert drawn(screen_tasks.story(later, NOON + 3601))[0].endswith(": added")


def test_a_text_that_is_one_very_long_line_is_cut():
    long = taskviews.detail(replace(READY, job=Job(text="word " * 5000)))

    lines = drawn(screen_tasks.story(long, NOON))

    assert len(lines) < 40 and "more characters: `hive task show t-12 --json`" in " ".join(lines)


def test_the_dead_have_the_reason_of_each_attempt():
    lines = drawn(screen_tasks.dead(taskviews.listing([DEAD], {}, {}), NOON))

    assert lines[0] == "t-13  Fix the login bug of the new form  1m ago"
    assert lines[1].split() == ["attempt", "1", "exit", "code", "1"]
    assert " ".join(" ".join(lines).split()).count("no answer") == 30
    assert "`hive task retry t-13`" in lines[-1]
    assert drawn(screen_tasks.dead(taskviews.listing([], {}, {}), NOON)) == ["no task is dead"]


def test_a_task_says_where_it_stands_who_may_have_it_and_what_is_in_its_way():
    lock = Held(name="port:1", shared=False, task=3, agent="Task/a/b", launch="", fence=1, at=NOON)
    refusals = {"Task/backend/dev": "", "Task/backend/qa": "it can't do python"}
    record = taskviews.detail(READY, reason="all are busy", refusals=refusals, waits=[lock])

    lines = drawn(screen_tasks.story(record, NOON))

    assert lines[0] == "t-12  ready for 1m: all are busy"
    assert "  for         team backend, skills python" in lines
    assert "  in its way  port:1 of t-3 (a/b)" in lines
    assert "  backend/dev  may have it" in lines
    assert "  backend/qa   it can't do python" in lines
    assert lines[lines.index("text") + 1 :][:2] == [
        "  Fix the login bug of the new form", "  and say so",
    ]  # fmt: skip


def test_a_task_that_is_with_an_agent_says_so_and_since_when_it_was_heard_of():
    lines = drawn(screen_tasks.story(taskviews.detail(LEASED), NOON))

    assert "  agent     backend/dev, lease t-12-1, heard of 5s ago" in lines
    assert "  attempts  1 of 3" in lines


def test_a_task_ends_with_its_failures_and_its_result():
    report = Report(outcome="done", text="I think so", at=NOON, confidence=0.6)
    held = replace(DEAD, state=State.HELD, report=report)
    done = replace(LEASED, state=State.DONE, result="fixed", confidence=0.95)

    assert drawn(screen_tasks.story(taskviews.detail(held), NOON))[-2:] == [
        "its agent says done, 60% sure", "  I think so",
    ]  # fmt: skip
    assert drawn(screen_tasks.story(taskviews.detail(done), NOON))[-2:] == [
        "result (95% sure)", "  fixed",
    ]  # fmt: skip


def test_neither_a_text_nor_a_reason_can_steer_the_terminal():
    wild = "\x1b[2Jgone\r[red]x[/red]"
    task = replace(
        DEAD, job=replace(JOB, text=wild), why=wild, failures=(wild,), notes=(wild,), result=wild
    )
    record = taskviews.detail(task, refusals={"a/b/c": wild})
    shown = [
        *drawn(screen_tasks.story(record, NOON)),
        *drawn(screen_tasks.dead(taskviews.listing([task], {}, {}), NOON)),
        *graph([replace(task, key="a.b", run=7)]),
    ]

    assert not {"\x1b", "\r"} & set("".join(shown))


def test_a_run_is_its_phases_with_states_agents_and_idle_share():
    lines = graph(STEPS)

    assert lines[0] == "r-7 release  running for 3m 20s"
    assert lines[1] == "version=1.2"
    assert lines[2] == "3 tasks: 1 leased · 1 waiting · 1 done; 2 agents, idle 62% of the time"
    assert [line.split()[0] for line in lines[4:]] == ["build", "✔", "▶", "ship", "·"]
    assert lines[5].split() == [
        "✔", "api", "done", "2m", "backend/dev", "its", "check", "passed",
    ]  # fmt: skip
    assert lines[8].endswith("after build, build.ui")
    assert all(len(line) <= 80 for line in lines)


def test_a_run_without_phases_has_its_tasks_below_one_another():
    lines = graph([step(1, "first", State.DONE), step(2, "second")])

    assert [line.split()[1] for line in lines[4:]] == ["first", "second"]


@pytest.mark.parametrize("many", [3, 40, 1000])
def test_a_large_run_fits_a_small_terminal_and_shows_trouble_first(many):
    tasks = [step(n, f"p{n % 3}.t{n}", State.DONE) for n in range(1, many + 1)]
    tasks[-1] = replace(tasks[-1], state=State.DEAD)

    lines = graph(tasks, height=24)

    assert len(lines) <= 24 and all(len(line) <= 80 for line in lines)
    assert any("✘" in line for line in lines)
    assert any("not shown" in line and "done" in line for line in lines) == (many > 20)


def test_a_run_of_many_phases_has_a_line_for_each():
    tasks = [step(n, f"p{n % 18}.t{n}") for n in range(1, 100)]

    assert len(graph(tasks, height=24)) <= 24


def test_a_run_that_is_over_says_how_long_it_took():
    assert graph(STEPS, state="failed", why="build.ui failed", finished=NOON - 100)[0] == (
        "r-7 release  failed after 1m 40s: build.ui failed"
    )


def test_runs_schedules_and_locks_are_a_line_each():
    runs = taskviews.run_listing([RUN], {7: {"done": 2, "waiting": 1}})
    nightly = Schedule(project="Task", name="nightly", cron="0 2 * * *", workflow="release")
    held = [
        Held(name="path:src", shared=True, task=3, agent="Task/a/b", launch="", fence=1, at=NOON)
    ]
    waits = [Wait(who="t-9", wants="path:src", holder="t-3", since=NOON - 9, priority=50)]

    assert drawn(screen_workflows.listing(runs, NOON))[1].split() == [
        "r-7", "release", "running", "3m", "2", "of", "3",
    ]  # fmt: skip
    schedules = taskviews.schedules([nightly, replace(nightly, paused=True)])
    assert drawn(screen_workflows.schedules(schedules))[2].split()[-2:] == ["once", "paused"]
    lines = drawn(screen_tasks.locks(taskviews.locks(held, waits), NOON))
    assert lines[1].split() == ["path:src", "(shared)", "t-3", "(a/b)", "0s"]
    assert lines[-1].split() == ["t-9", "path:src", "t-3", "9s"]


@pytest.mark.parametrize(
    ("renderable", "said"),
    [
        (screen_tasks.locks(taskviews.locks([]), NOON), "no lock is held"),
        (screen_workflows.listing(taskviews.run_listing([], {}), NOON), "no workflow was run"),
        (screen_workflows.schedules(taskviews.schedules([])), "no workflow runs by itself"),
    ],
)
def test_where_there_is_nothing_it_is_said(renderable, said):
    assert drawn(renderable)[0].startswith(said)
