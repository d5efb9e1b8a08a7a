"""Tasks from the command line: what is sent, what is refused before that, what is printed."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hive import taskviews
from hive.adapters.queue import Queue
from hive.cli import hot, work
from hive.cli.complete import candidates
from hive.core import task_lines
from hive.core.rules import Rules
from hive.core.tasks import Held, Job, Run, State, Task, from_dict
from hive.errors import WrongInput

NOON = 1_700_000_000.0
AROUND = task_lines.Around(project="Task", rules=Rules(), sender="a person", now=NOON)
TASK = Task(
    number=12, uid="u", job=Job(text="Fix it"), state=State.READY, why="nobody is free",
    created=NOON, since=NOON,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setattr(work, "FIRST", 0.01)
    monkeypatch.setattr(work, "LAST", 0.01)
    work.loaded.cache_clear()
    for name in ("HIVE_AGENT", "HIVE_SEAL"):
        monkeypatch.delenv(name, raising=False)


def told(state: State = State.READY, number: int = 12) -> dict[str, Any]:
    return taskviews.detail(replace(TASK, state=state, number=number))


def added(state: str = "ready", *, known: bool = False) -> dict[str, Any]:
    return {"version": 1, "tasks": [{"task": "t-12", "state": state, "known": known}]}


def lines(*tables: dict[str, Any]) -> list[str]:
    return [json.dumps(one) for one in tables]


def read(*tables: dict[str, Any], **given: Any) -> list[Any]:
    return task_lines.read(lines(*tables), "tasks.jsonl", given, AROUND, "u")


def sent(supervisor: Any) -> tuple[Job, dict[str, Any]]:
    """Give the one task that was asked to be added."""
    ((verb, args),) = supervisor.asked
    assert verb == "add_tasks"
    (new,) = args["tasks"]
    return from_dict(new["job"]), new


def test_a_task_is_added_with_all_that_its_options_say(supervisor, capsys):
    supervisor.answers["add_tasks"] = added()
    words = [
        "task", "add", "Fix the bug", "--team", "backend", "--role", "dev", "--skill", "python",
        "--skill", "sql", "--priority", "high", "--check", "pytest -q", "--retries", "0",
        "--timeout", "40m", "--needs", "T-3", "--lock", "shared path:src", "--key", "bug-7",
        "--cache", "24h", "--batch-key", "b", "--sticky", "s", "--deadline", "2h", "--hold",
    ]  # fmt: skip

    assert hot.run(words) == 0

    job, new = sent(supervisor)
    assert (job.text, job.kind, job.team, job.role) == ("Fix the bug", "prompt", "backend", "dev")
    assert (job.skills, job.priority, job.check) == (("python", "sql"), 75, "pytest -q")
    assert (job.retries, job.timeout, job.cache) == (0, 2400.0, 86400.0)
    assert (job.batch, job.sticky, job.locks[0].name, job.locks[0].shared) == (
        "b", "s", "path:src", True,
    )  # fmt: skip
    assert job.deadline > NOON and job.sender == "a person"
    assert (new["needs"], new["idem"], new["held"]) == (["t-3"], "bug-7", True)
    assert new["uid"]
    out, err = capsys.readouterr()
    assert out == "t-12  ready\n" and "hive why t-12" in err


def test_moments_may_be_said_as_such(supervisor):
    supervisor.answers["add_tasks"] = added()

    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    after, deadline = noon + timedelta(days=1), noon + timedelta(days=2)
    words = ["--deadline", deadline.isoformat(), "--delay", after.isoformat()]
    assert hot.run(["task", "add", "a", *words]) == 0

    job, _ = sent(supervisor)
    wanted = (after.timestamp(), deadline.timestamp())
    assert (job.after, job.deadline) == pytest.approx(wanted, abs=30)


def test_what_nobody_here_may_have_is_taken_and_said(supervisor, state, capsys):
    (state.parent / "hive.toml").write_text('project = "Shop"\n[teams.a.agents.b]\nrun = "sh"\n')
    supervisor.answers["add_tasks"] = added()

    assert hot.run(["task", "add", "a", "--team", "a", "--skill", "sql"]) == 0
    assert hot.run(["task", "add", "a", "--team", "a"]) == 0

    out, err = capsys.readouterr()
    assert out == "t-12  ready\n" * 2
    assert err.count("no agent of hive.toml has") == 1 and "has team `a`, skill `sql`:" in err


def test_a_command_and_copies_are_added(supervisor):
    supervisor.answers["add_tasks"] = added()

    words = ["--run", "make", "--replicas", "4", "--agree", "3", "--judge", "vote", "--jury", "qa"]
    assert hot.run(["task", "add", *words]) == 0

    job, _ = sent(supervisor)
    assert (job.text, job.kind) == ("make", "run")
    assert (job.replicas, job.agree, job.judge, job.jury) == (4, 3, "vote", "qa")


def test_a_task_that_was_added_before_says_so(supervisor, capsys):
    supervisor.answers["add_tasks"] = added("done", known=True)

    assert hot.run(["task", "add", "again", "--key", "k"]) == 0

    assert capsys.readouterr().out == "t-12  done: it was added before\n"


def test_an_agent_adds_for_its_own_project_and_says_who_it_is(supervisor, monkeypatch):
    monkeypatch.setenv("HIVE_AGENT", "Shop/backend/pm")
    supervisor.answers["add_tasks"] = added()

    assert hot.run(["task", "add", "Fix it", "--agent", "backend/dev"]) == 0

    job, _ = sent(supervisor)
    assert (job.project, job.agent, job.sender) == (
        "Shop", "Shop/backend/dev", "Shop/backend/pm",
    )  # fmt: skip


def test_the_project_is_that_of_the_file_here(supervisor, state):
    toml = 'project = "Shop"\n[work]\nretries = 7\n[teams.a.agents.b]\nrun = "sh"\n'
    (state.parent / "hive.toml").write_text(toml)
    supervisor.answers["add_tasks"] = added()

    assert hot.run(["task", "add", "Fix it"]) == 0

    assert (sent(supervisor)[0].project, sent(supervisor)[0].retries) == ("Shop", 7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "there is no text", id="nothing"),
        pytest.param(["a", "--run", "b"], "exactly one of", id="two texts"),
        pytest.param(["a", "--priority", "9000"], "`--priority`", id="priority"),
        pytest.param(["a", "--skill", "a b"], "`--skill`", id="skill"),
        pytest.param(["a", "--timeout", "soon"], "`--timeout`", id="timeout"),
        pytest.param(["a", "--lock", "port:"], "`--lock`", id="lock"),
        pytest.param(["a", "--needs", "m-3"], "`m-3` is not a task", id="needs"),
        pytest.param(["a", "--judge", "luck"], "`--judge` must be one of", id="judge"),
        pytest.param(["a", "--agree", "2"], "wants `--agree` 2 of", id="agree"),
        pytest.param(["a", "--file", "b"], "there is a text and a `--file`", id="file and text"),
        pytest.param(["a", "--agree", "2"], "of `--replicas` 1", id="not asked for"),
        pytest.param(["--file", "nowhere"], "nowhere: can't read it", id="no file"),
        pytest.param(["Fix", "it"], "put the text into quotes", id="no quotes"),
        pytest.param(["a", "--needs", "r-3"], "hive workflow show r-3", id="a run"),
        pytest.param(["a", "--delay", "2001-01-01"], "2001-01-01` is over", id="over"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_asked(supervisor, capsys, words, said):
    assert hot.run(["task", "add", *words]) == 2

    assert said in capsys.readouterr().err
    assert supervisor.asked == []


@pytest.mark.parametrize(
    ("words", "verb", "args"),
    [
        pytest.param(["retry", "T-12", "--why", "x"], "retry_tasks", "x", id="retry"),
        pytest.param(["cancel", "t-12", "t-12"], "cancel_tasks", "", id="cancel"),
        pytest.param(["hold", "t-12"], "hold_tasks", "", id="hold"),
        pytest.param(["release", "t-12"], "release_tasks", "", id="release"),
    ],
)
def test_a_change_names_its_tasks_and_says_what_they_are(supervisor, capsys, words, verb, args):
    supervisor.answers[verb] = taskviews.changed([TASK])

    assert hot.run(["task", *words]) == 0

    assert supervisor.asked == [(verb, {"names": ["t-12"], "why": args})]
    assert capsys.readouterr().out == "t-12  ready: nobody is free\n"


def test_a_list_asks_for_what_is_not_over(supervisor, capsys):
    supervisor.answers["tasks"] = taskviews.listing([TASK], {"ready": 1}, {})

    assert hot.run(["task", "list", "--team", "backend", "--run", "R-7", "--limit", "1"]) == 0
    assert hot.run(["task", "list", "--json"]) == 0
    assert hot.run(["task", "list", "--state", "dead,done", "--after", "t-4"]) == 0

    first, second, third = [args for _, args in supervisor.asked]
    assert first == {
        "states": [], "team": "backend", "run": "r-7", "agent": "", "limit": 1, "after": 0,
        "newest": False,
    }  # fmt: skip
    assert second == {"states": list(hot.OPEN), "limit": hot.TASKS}
    assert (third["states"], third["after"]) == (["dead", "done"], 4)
    out, err = capsys.readouterr()
    assert "t-12" in out and "there may be more: --after t-12" in err


def test_an_unknown_state_is_refused(supervisor, capsys):
    assert hot.run(["task", "list", "--state", "lased"]) == 2

    assert "did you mean `leased`?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["task", "show", "t-12"], ["why", "t-12"], ["why", "T-12"]])
def test_a_task_is_shown_by_either_command(supervisor, capsys, words):
    supervisor.answers["task"] = told()

    assert hot.run(words) == 0
    assert hot.run([*words, "--json"]) == 0

    assert supervisor.asked == [("task", {"name": "t-12"})] * 2
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("t-12  ready") and json.loads(out[-1]) == told()


def test_dead_letters_and_locks_are_told(supervisor, capsys):
    dead = replace(TASK, state=State.DEAD, failures=("exit code 1",))
    lock = Held(name="db", shared=False, task=3, agent="Task/a/b", launch="", fence=1, at=NOON)
    supervisor.answers["dead"] = taskviews.listing([dead], {}, {})
    supervisor.answers["locks"] = taskviews.locks([lock])

    assert hot.run(["task", "dead"]) == 0
    assert hot.run(["locks"]) == 0

    out = capsys.readouterr().out
    assert "attempt 1  exit code 1" in out and "t-3 (a/b)" in out


@pytest.mark.parametrize(("ends", "code"), [(State.DONE, 0), (State.DEAD, 1), (State.CANCELLED, 1)])
def test_waiting_says_how_each_ended_and_so_does_the_exit_code(supervisor, capsys, ends, code):
    supervisor.answers["task"] = [told(), told(State.LEASED), told(ends)]

    assert hot.run(["task", "wait", "t-12"]) == code

    told_so = capsys.readouterr()
    assert told_so.out == f"t-12  {ends}: nobody is free\n"
    assert "t-12  leased" in told_so.err


def test_waiting_too_long_is_exit_code_4(supervisor, capsys):
    supervisor.answers["task"] = told()

    assert hot.run(["task", "wait", "t-12", "--timeout", "30ms"]) == 4
    assert "t-12 is ready" in capsys.readouterr().err


def test_a_line_of_a_file_is_a_task():
    first, second = read(
        {"prompt": "Fix it", "key": "fix", "skills": ["python"]},
        {"run": "make", "needs": ["fix", "t-3"], "team": "web"},
        team="backend",
    )

    assert (first.uid, first.idem, first.job.text, first.job.team) == (
        "u:1", "fix", "Fix it", "backend",
    )  # fmt: skip
    assert (second.needs, second.job.kind, second.job.team) == (("u:1", "t-3"), "run", "web")
    assert second.job.project == "Task"


def test_lines_come_after_those_that_they_need():
    tasks = [{"run": "c", "needs": ["a", "b"]}, {"run": "b", "name": "b", "needs": ["a"]},
             {"run": "a", "name": "a"}]  # fmt: skip

    assert [new.uid for new in read(*tasks)] == ["u:3", "u:2", "u:1"]


def test_lines_that_need_one_another_in_a_circle_are_refused():
    with pytest.raises(WrongInput) as caught:
        read({"run": "a", "name": "a", "needs": ["b"]}, {"run": "b", "name": "b", "needs": ["a"]})

    assert caught.value.what.startswith("these need one another in a circle: line ")


def test_every_bad_line_is_named_at_once():
    bad = [
        "{",
        "[1]",
        *lines(
            {"prompt": "a", "promt": "b"},
            {"run": "a", "prompt": "b"},
            {"run": "a", "needs": ["nobody"]},
            {"run": "a", "key": "k"},
            {"run": "b", "key": "k"},
            {"run": "c", "priority": "soon"},
        ),
    ]

    with pytest.raises(WrongInput) as caught:
        task_lines.read(["", *bad], "tasks.jsonl", {}, AROUND, "u")

    said = [one.partition(": ")[2] for one in caught.value.what.splitlines()]
    places = [one.partition(": ")[0] for one in caught.value.what.splitlines()]
    assert places == [f"tasks.jsonl:{number}" for number in (2, 3, 4, 5, 6, 8, 9)]
    starts = (
        "this is not JSON", "this is not a JSON object", "unknown key `promt`", "it needs exactly",
        "`needs` names `nobody`", "`key` `k` is that of line 7", "`priority` must be one of",
    )  # fmt: skip
    assert all(one.startswith(start) for one, start in zip(said, starts, strict=True)), said


def test_what_a_bad_line_is_called_is_not_missed_by_the_others():
    bad = [
        '{"prompt": "a", "key": "k"',
        '{"prompt": "b", "prompt": "c"}',
        '{"run": "d", "needs": ["k"]}',
    ]

    with pytest.raises(WrongInput) as caught:
        task_lines.read(bad, "x", {}, AROUND, "u")

    first, second = caught.value.what.splitlines()
    assert first.startswith("x:1: this is not JSON") and second == "x:2: `prompt` is there twice"


def test_of_very_many_bad_lines_the_rest_is_counted():
    with pytest.raises(WrongInput) as caught:
        task_lines.read(["?"] * 100, "x", {}, AROUND, "u")

    assert caught.value.what.splitlines()[-1] == "… and 80 more mistakes"


def test_a_file_is_taken_whole_without_a_supervisor_and_once_with_a_key(state, capsys):
    file = state.parent / "tasks.jsonl"
    file.write_text("\n".join(lines(*({"run": f"echo {n}"} for n in range(1200)))))

    for _ in range(2):
        assert hot.run(["task", "add", "--file", str(file), "--key", "import"]) == 0

    with Queue.open(str(state / "work.db")) as queue:
        assert queue.counts() == {"ready": 1200}
    out, err = capsys.readouterr()
    assert out.splitlines() == ["added 1200 tasks", "added 0 tasks, 1200 were there before"]
    assert "no supervisor runs" in err


def test_of_a_file_with_a_bad_line_nothing_is_taken(state, monkeypatch, capsys):
    text = "\n".join([*lines({"run": "a"}), "oops"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    assert hot.run(["task", "add", "--file", "-"]) == 2

    assert "stdin:2: this is not JSON" in capsys.readouterr().err
    assert not (state / "work.db").exists()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        pytest.param(["task", "re"], {"retry", "release"}, id="a second word"),
        pytest.param(["task", "retry", ""], {"t-12"}, id="a task"),
        pytest.param(["task", "add", "--team", ""], {"backend"}, id="a team"),
        pytest.param(["task", "add", "--ba"], {"--batch-key"}, id="an option"),
        pytest.param(["task", "list", "--state", "d"], {"done", "dead"}, id="a state"),
        pytest.param(["workflow", "cancel", ""], {"r-7"}, id="a run that is running"),
        pytest.param(["workflow", "resume", ""], set(), id="no run that has failed"),
    ],
)
def test_what_tab_offers(supervisor, words, found):
    runs = [Run(number=7, uid="r", workflow="ship", project="Task")]
    supervisor.answers["tasks"] = taskviews.listing([TASK], {}, {})
    supervisor.answers["workflows"] = taskviews.run_listing(runs, {})
    supervisor.answers["names"] = {"agents": ["backend/dev"], "teams": ["backend"]}

    assert set(candidates(words)) == found
