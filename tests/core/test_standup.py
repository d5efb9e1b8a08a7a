"""A standup: from facts alone, by team."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hive import taskviews
from hive.core.checkin import CheckIn, Evidence, judge
from hive.core.repository import Commit
from hive.core.standup import Facts, standup
from hive.core.tasks import Job, State, Task
from hive.views import iso

NOON = 1_700_000_000.0
DAY = 86_400.0
DEV = "Task/web/dev"
IDLE = Evidence(agent=DEV, at=NOON, state="ready", speaks=True)


def agent(name: str = "dev", state: str = "ready", team: str = "web", **changes: Any) -> Any:
    return {
        "agent": f"{team}/{name}", "id": f"Task/{team}/{name}", "team": team, "project": "Task",
        "state": state, "sub": "", "reason": "because", "since": iso(NOON - 60), "limit": None,
        "settled": state == "failed",
    } | changes  # fmt: skip


def task(number: int, state: State, **changes: Any) -> Any:
    job = Job(text=f"do {number}", project="Task", team=changes.pop("team", "web"))
    values = {"why": "so", "since": NOON - 60, "created": NOON - 600, **changes}
    return taskviews.summary(Task(number=number, uid=str(number), job=job, state=state, **values))


def row(*steps: Evidence) -> list[CheckIn]:
    found: list[CheckIn] = []
    for number, one in enumerate(steps):
        at = NOON - 900 * (len(steps) - 1 - number)
        found.append(judge(replace(one, at=at), found[-1] if found else None))
    return found


def page(now: float = NOON, **facts: Any) -> Any:
    (team,) = standup(Facts(**{"agents": [agent()], **facts}), since=NOON - DAY, now=now)["teams"]
    return team


def texts(found: list[Any]) -> list[str]:
    return [one["text"] for one in found]


def test_a_team_of_which_nothing_is_known_has_an_empty_page():
    assert page() == {
        "team": "web", "project": "Task", "done": [], "doing": [], "blocked": [], "next": [],
        "risks": [], "cost": {"tokens": 0, "cost": 0.0, "digests": {"tokens": 0, "cost": 0.0}},
    }  # fmt: skip


def test_tasks_stand_where_their_state_puts_them():
    tasks = [
        task(1, State.DONE, agent=DEV, finished=NOON - 9),
        task(2, State.DONE, agent=DEV, finished=NOON - DAY - 9),
        task(3, State.LEASED, agent=DEV, begun=NOON - 30),
        task(4, State.WAITING),
        task(5, State.READY),
        task(6, State.HELD),
        task(7, State.DEAD, failures=("exit code 1",)),
        task(8, State.CANCELLED, finished=NOON - 9),
    ]

    found = page(tasks=tasks)

    named = {key: [one["task"] for one in found[key]] for key in ("done", "doing", "next")}
    assert named == {"done": ["t-1"], "doing": ["t-3"], "next": ["t-5", "t-4"]}
    assert found["doing"][0] == {
        "agent": "web/dev", "task": "t-3", "text": "do 3: so", "time": iso(NOON - 30), "answer": "",
    }  # fmt: skip
    assert [one["answer"] for one in found["blocked"]] == ["hive task release t-6"]
    assert texts(found["risks"]) == ["dead letter: do 7: so"]


def test_commits_are_what_was_done_and_who_works_without_a_task_does_something():
    commits = [Commit(hash="a" * 40, at=NOON - n, author="d", subject=f"c{n}") for n in range(5)]
    works = row(replace(IDLE, state="working"))

    found = page(commits={DEV: commits}, checkins=works)

    assert texts(found["done"]) == ["5 commits: c0; c1; c2 and 2 more"]
    assert texts(found["doing"]) == ["working without a task"]


def test_what_waits_for_a_person_is_told_once_with_its_command():
    item = {"since": iso(NOON), "meanwhile": "", "asked": "to decide", "why": "it says so"}
    inbox = [
        {**item, "id": "A7", "kind": "approval", "agent": "web/dev", "answer": "hive approve A7"},
        {**item, "id": "t-6", "kind": "held task", "agent": "do 6", "answer": "hive task release"},
        {**item, "id": "t-7", "kind": "dead letter", "agent": "do 7", "answer": "hive task show"},
        {**item, "id": "Task", "kind": "budget", "agent": "Task", "answer": "hive deploy"},
        {**item, "id": "Q1", "kind": "question", "agent": "api/dev", "answer": "hive answer Q1"},
    ]
    agents = [agent(state="waiting", sub="approval"), agent("qa", state="waiting")]
    tasks = [task(6, State.HELD), task(7, State.DEAD)]

    found = page(agents=agents, tasks=tasks, inbox=inbox)["blocked"]

    assert [(one["agent"], one["task"]) for one in found] == [
        ("web/dev", None), (None, "t-6"), ("Task", None), ("web/qa", None),
    ]  # fmt: skip
    assert [one["answer"] for one in found] == [
        "hive approve A7", "hive task release", "hive deploy", "hive why web/qa",
    ]  # fmt: skip


DIRTY = replace(IDLE, state="working", files=("a", "b"))
ASKED = replace(IDLE, task="t-1", about="do 1")


@pytest.mark.parametrize(
    ("facts", "risks"),
    [
        ({"agents": [agent(state="failed")]}, ["quarantined: because"]),
        ({"agents": [agent(state="failed", settled=False)]}, ["failed: because"]),
        ({"agents": [agent(state="stalled")]}, ["stalled: because"]),
        ({"agents": [agent(state="limited")]}, ["limited: because"]),
        ({"agents": [agent(limit="over its soft limit: 2G")]}, ["over its soft limit: 2G"]),
        ({"teams": [{"project": "Task", "team": "web", "held": True, "reason": "9 restarts"}]},
         ["the team is held: 9 restarts"]),
        ({"collisions": {"a.py": [DEV, "Task/api/dev"]}},
         ["a.py is changed in several worktrees: web/dev, api/dev"]),
        ({"collisions": {"a.py": ["Task/api/dev", "Task/api/qa"]}}, []),
        ({"checkins": row(*[DIRTY] * 6)}, ["2 files not committed for 1h 15m"]),
        ({"checkins": row(*[DIRTY] * 5)}, []),
        ({"checkins": row(*[DIRTY] * 5, replace(DIRTY, commits=("x",)), DIRTY)}, []),
        ({"checkins": row(ASKED, ASKED)}, ["nothing new of t-1 do 1 in 15m"]),
        ({"checkins": row(replace(IDLE, trouble="a merge is not ended"))},
         ["git: a merge is not ended"]),
        ({"tasks": [task(1, State.READY, failures=("a", "b"))]}, ["2 attempts failed: do 1"]),
        ({"tasks": [{**task(1, State.READY), "deadline": iso(NOON - 60)}]}, ["late by 1m: do 1"]),
    ],
)  # fmt: skip
def test_what_may_go_wrong(facts, risks):
    assert texts(page(**facts)["risks"]) == risks


def test_the_cost_is_what_was_added_also_over_a_new_conversation():
    steps = [replace(IDLE, tokens=many, cost=many / 1000) for many in (100, 400, 50, 60)]

    assert page(checkins=row(*steps), digests={"Task/web": (20, 0.02)})["cost"] == {
        "tokens": 360, "cost": 0.36, "digests": {"tokens": 20, "cost": 0.02},
    }  # fmt: skip


def test_each_team_has_its_own_and_what_any_team_may_have_stands_alone():
    agents = [agent(), agent(team="api")]
    tasks = [
        task(1, State.READY), task(2, State.READY, team=""),
        task(3, State.LEASED, team="", agent="Task/api/dev"), task(4, State.READY, team="gone"),
    ]  # fmt: skip
    facts = Facts(agents=agents, tasks=tasks)

    found = standup(facts, since=NOON - DAY, now=NOON)["teams"]
    named = standup(replace(facts, named=True), since=NOON - DAY, now=NOON)["teams"]

    assert [(one["team"], len(one["next"]), len(one["doing"])) for one in found] == [
        ("web", 1, 0), ("api", 0, 1), ("", 1, 0), ("gone", 1, 0),
    ]  # fmt: skip
    assert [one["team"] for one in named] == ["web", "api"]


def test_a_day_of_fifty_agents_is_one_json_ready_record():
    agents = [agent(f"d{n}", team=f"t{n % 5}") for n in range(50)]
    ids = [one["id"] for one in agents]
    tasks = [
        task(n, State.DONE, agent=ids[n % 50], finished=NOON - 9, team="") for n in range(1, 2001)
    ]
    one = judge(replace(DIRTY, tokens=5), None)
    history = [
        replace(one, evidence=replace(one.evidence, agent=who, at=NOON - DAY + 900 * step))
        for step in range(96)
        for who in ids
    ]

    record = standup(
        Facts(agents=agents, tasks=tasks, checkins=history), since=NOON - DAY, now=NOON
    )

    assert json.loads(json.dumps(record)) == record
    assert sum(len(team["done"]) for team in record["teams"]) == 2000
    assert sum(len(team["risks"]) for team in record["teams"]) == 50
