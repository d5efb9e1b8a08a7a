"""Records of what is said: messages, their stories, what waits for a person and in which order."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive import letters, taskitems
from hive.core import budget
from hive.core.messages import HIVE, PERSON, Message, Request, Stage, Step
from hive.core.signs import Sub
from hive.core.tasks import Job, State, Task
from hive.errors import HiveError
from hive.views import iso
from tests.conftest import ROOT

NOON = 1_700_000_000.0
QUEUED = Message(
    number=31,
    agent="Task/backend/dev",
    sender=PERSON,
    text="Please rebase",
    created=NOON,
    reason="working",
    since=NOON + 1,
)
TYPED = replace(QUEUED, stage=Stage.TYPED, typed=NOON + 2, since=NOON + 2)
ANSWERED = replace(
    TYPED,
    stage=Stage.ANSWERED,
    reason="its turn is over",
    submitted=NOON + 3,
    answered=NOON + 9,
    since=NOON + 9,
    proof="hook: m-31 was taken",
    outcome="done",
    result="Rebased.",
    confidence=0.9,
)
ASKED = Request(
    number=7,
    kind="approval",
    agent="Task/backend/dev",
    launch="1-a",
    asked="Bash: rm -rf build\n  in /src",
    at=NOON,
    channel="hook",
)
QUESTION = replace(ASKED, number=8, kind="question", asked="Which one?", channel="", at=NOON + 5)


def agent(name: str = "dev", **changes: Any) -> dict[str, Any]:
    record = {
        "agent": f"backend/{name}",
        "id": f"Task/backend/{name}",
        "project": "Task",
        "team": "backend",
        "state": "waiting",
        "sub": "",
        "reason": "because",
        "since": iso(NOON),
        "wanted": "up",
        "after": [],
        "queue": 0,
    }
    return record | changes


def ids(*args: Any) -> list[str]:
    return [one["id"] for one in letters.items(*args)]


def test_a_message_is_told_with_all_its_times():
    assert letters.message(ANSWERED) == {
        "message": "m-31",
        "agent": "backend/dev",
        "id": "Task/backend/dev",
        "from": "a person",
        "kind": "task",
        "text": "Please rebase",
        "stage": "answered",
        "reason": "its turn is over",
        "since": iso(NOON + 9),
        "created": iso(NOON),
        "proof": "hook: m-31 was taken",
        "typed": iso(NOON + 2),
        "submitted": iso(NOON + 3),
        "answered": iso(NOON + 9),
        "outcome": "done",
        "result": "Rebased.",
        "confidence": 0.9,
    }


def test_what_has_not_come_has_no_time():
    record = letters.message(QUEUED)

    assert [record[key] for key in ("typed", "submitted", "answered", "confidence")] == [None] * 4


@pytest.mark.parametrize(
    ("sender", "told"),
    [(PERSON, "a person"), (HIVE, "hive"), ("backend/pm", "backend/pm"), ("Task/a/b", "a/b")],
)
def test_a_sender_is_named_as_people_say_it(sender, told):
    assert letters.message(replace(QUEUED, sender=sender))["from"] == told


def test_a_receipt_is_given_for_each_message_in_order():
    record = letters.sent([QUEUED, replace(QUEUED, number=32)])

    assert record["version"] == 1
    assert [one["message"] for one in record["messages"]] == ["m-31", "m-32"]


def test_a_task_is_what_an_agent_needs_of_a_message():
    assert letters.task(QUEUED) == {
        "name": "m-31",
        "from": "a person",
        "kind": "task",
        "text": "Please rebase",
        "stage": "queued",
        "created": iso(NOON),
    }


@pytest.mark.parametrize(
    ("one", "closed", "text"),
    [
        pytest.param(QUEUED, "approval", "once nothing is in the way any more: approval",
                     id="gated"),
        pytest.param(QUEUED, "", "types it as soon as no earlier message waits", id="open"),
        pytest.param(TYPED, "", "presses Enter once it stands in the composer", id="pasted"),
        pytest.param(TYPED, "dialog", "presses Enter once nothing is in the way any more: dialog",
                     id="pasted, then a dialog"),
        pytest.param(replace(TYPED, enters=1), "", "presses Enter once more", id="entered"),
        pytest.param(replace(TYPED, enters=2), "", "without any it has failed",
                     id="entered twice"),
        pytest.param(replace(TYPED, stage=Stage.SUBMITTED), "", "until the agent's turn is over",
                     id="submitted"),
        pytest.param(ANSWERED, "", "nothing: it was answered", id="answered"),
        pytest.param(replace(TYPED, stage=Stage.FAILED, reason="no evidence"), "",
                     "nothing by itself: no evidence; `hive withdraw m-31`", id="failed"),
        pytest.param(replace(TYPED, stage=Stage.WITHDRAWN), "", "nothing: it was withdrawn",
                     id="withdrawn"),
    ],
)  # fmt: skip
def test_what_is_next_with_a_message(one, closed, text):
    assert text in letters.outlook(one, closed)[0]


@pytest.mark.parametrize("enters", [1, 2])
def test_evidence_is_waited_for_until_a_moment(enters):
    one = replace(TYPED, enters=enters)

    assert letters.outlook(one, "", 5.0)[1] == NOON + 7
    assert letters.outlook(one, "")[1] is None


@given(st.sampled_from(Stage), st.integers(0, 3), st.text(max_size=9), st.floats(0, 9))
def test_every_message_has_an_outlook(stage, enters, closed, proof):
    text, at = letters.outlook(replace(TYPED, stage=stage, enters=enters), closed, proof)

    assert text
    assert at is None or stage is Stage.TYPED


def test_a_story_has_each_step_and_what_is_next():
    steps = [Step(at=NOON, stage="queued", why="from a person"), Step(at=NOON, stage="x", why="y")]

    record = letters.story(TYPED, steps, ("presses Enter", NOON + 7))

    assert record["message"]["message"] == "m-31"
    assert record["story"][0] == {"time": iso(NOON), "stage": "queued", "why": "from a person"}
    assert [step["stage"] for step in record["story"]] == ["queued", "x"]
    assert record["next"] == {"text": "presses Enter", "time": iso(NOON + 7)}


def test_an_approval_shows_exactly_what_is_asked_and_what_answers_it():
    (one,) = letters.items([ASKED], [], [agent(sub="approval", queue=2)])

    assert one == {
        "id": "A7",
        "kind": "approval",
        "project": "Task",
        "agent": "backend/dev",
        "asked": "Bash: rm -rf build\n  in /src",
        "why": "backend/dev may do it only if it is allowed",
        "since": iso(NOON),
        "meanwhile": "it waits; nothing is typed into it; 2 messages wait with it",
        "answer": 'hive approve A7   # or: hive deny A7 "why not"',
        "blocks": 2,
    }


@pytest.mark.parametrize(
    ("one", "command"),
    [
        pytest.param(ASKED, "hive approve A7 ", id="by its own channel"),
        pytest.param(replace(ASKED, channel="keys"), "hive approve A7 ", id="by keys"),
        pytest.param(replace(ASKED, channel="window"), "hive attach backend/dev ", id="nowhere"),
        pytest.param(QUESTION, 'hive answer Q8 "…"', id="a question"),
    ],
)
def test_a_request_names_the_command_that_answers_it(one, command):
    assert letters.items([one], [], [])[0]["answer"].startswith(command)
    assert letters.decided(one)["request"]["next"].startswith(command)


def test_what_was_decided_is_told():
    done = replace(ASKED, state="denied", answer="use staging", answered=NOON + 4)

    assert letters.decided(done)["request"] == {
        "id": "A7",
        "kind": "approval",
        "agent": "backend/dev",
        "asked": ASKED.asked,
        "state": "denied",
        "answer": "use staging",
        "since": iso(NOON),
        "answered": iso(NOON + 4),
        "next": "",
    }


def test_what_is_answered_waits_for_nobody():
    done = [replace(ASKED, state=state) for state in ("allowed", "denied", "answered", "gone")]

    assert letters.items(done, [ANSWERED, QUEUED, TYPED], [agent()]) == []


@pytest.mark.parametrize(
    "sub",
    [Sub.APPROVAL, Sub.QUESTION, Sub.DIALOG, Sub.LOGIN, Sub.MODEL, Sub.FULL, Sub.BLOCKED,
     letters.LEFT],
)  # fmt: skip
def test_an_agent_that_only_a_person_gets_on_is_listed_with_a_command(sub):
    (one,) = letters.items([], [], [agent(sub=str(sub), reason="the menu shows")])

    assert (one["id"], one["why"]) == ("backend/dev", "the menu shows")
    assert one["kind"] in {str(sub), "stalled"}
    assert one["asked"] and one["meanwhile"]
    assert re.match(r"hive (attach|send) backend/dev", one["answer"])


@pytest.mark.parametrize("sub", ["", Sub.USAGE, Sub.RETRYING, Sub.INTERRUPTED])
def test_an_agent_that_goes_on_by_itself_is_not_listed(sub):
    assert letters.items([], [], [agent(sub=str(sub))]) == []


@pytest.mark.parametrize("wanted", ["down", "removed"])
def test_an_agent_that_nobody_wants_is_not_listed(wanted):
    assert letters.items([], [], [agent(state="failed", wanted=wanted)]) == []


def test_an_agent_is_not_listed_again_for_what_it_asks():
    asking = [agent(sub="approval"), agent("pm", sub="approval")]

    assert ids([ASKED], [], asking) == ["A7", "backend/pm"]
    assert ids([ASKED], [], [agent(sub="dialog")]) == ["A7", "backend/dev"]
    assert ids([replace(ASKED, state="gone")], [], [agent(sub="approval")]) == ["backend/dev"]


def test_a_failed_agent_and_a_held_team_are_listed_with_what_starts_them():
    team = {"team": "backend", "project": "Task", "held": True, "reason": "15 restarts"}
    down = agent(state="failed", sub="dialog", reason="5 deaths in 15m")

    held, failed = letters.items([], [], [down], [team, {**team, "held": False}])

    assert (held["kind"], held["why"], held["answer"]) == (
        "held team", "15 restarts", "hive start backend",
    )  # fmt: skip
    assert (failed["kind"], failed["answer"]) == ("failed", "hive start backend/dev")


def test_an_undelivered_message_is_listed_with_its_reason():
    (one,) = letters.items([], [replace(QUEUED, stage=Stage.FAILED, reason="no evidence")], [])

    assert (one["id"], one["kind"], one["why"]) == ("m-31", "undelivered", "no evidence")
    assert "hive why m-31" in one["answer"] and "hive withdraw m-31" in one["answer"]


def test_what_keeps_most_from_going_on_is_first():
    team = {"team": "data", "project": "Task", "held": True, "reason": "too many"}
    lost = replace(QUEUED, stage=Stage.FAILED, since=NOON - 999)
    agents = [
        agent("quiet", sub="dialog", since=iso(NOON - 500)),
        agent("busy", sub="login needed", queue=3),
        agent("base", sub="context full"),
        agent("a", after=["Task/backend/base"]),
        agent("b", after=["Task/backend/base"]),
    ]

    order = ids([replace(ASKED, agent="Task/backend/old")], [lost], agents, [team])

    assert order == ["data", "backend/busy", "backend/base", "backend/quiet", "A7", "m-31"]


def test_what_waits_of_the_work_has_its_place_among_all_else():
    task = Task(number=4, uid="u", job=Job(text="a", project="Task"), state=State.HELD, since=NOON)
    held, blocking = taskitems.items([task, replace(task, number=5, run=1)], (), ())
    (dead,) = taskitems.items((), [replace(task, number=6, state=State.DEAD)], ())
    rests = taskitems.resting(HiveError("can't reach it"), NOON)
    found = letters.items([ASKED, QUESTION], [], [agent(queue=3), agent("pm")])

    order = letters.inbox([*found, dead, held, blocking, rests])["items"]

    assert [one["id"] for one in order] == ["work", "A7", "Q8", "t-5", "t-4", "t-6"]


def test_an_answer_is_told_with_the_message_that_brings_it():
    said = replace(QUEUED, kind="note", text="Answer to Q8 (Which one?): staging")

    (one,) = letters.decided(replace(QUESTION, state="answered"), [said])["messages"]

    assert (one["message"], one["stage"]) == ("m-31", "queued")


def test_a_used_up_budget_is_asked_for_once_a_project():
    why = f"{letters.BUDGET}: $20.40 of $20.00"
    spent = [agent(closed=why), agent("pm", closed=why), agent("qa", closed="working")]

    one, other = letters.items([], [], [*spent, agent("a", closed=why, project="Other")])

    assert (one["id"], one["kind"], one["why"]) == ("Task", "budget", why)
    assert one["meanwhile"] == "no message is given to 2 agents"
    assert other["id"] == "Other"
    assert budget.used_up(20.4, 20.0) == why


def test_what_hive_itself_asks_for_a_budget_is_listed_once_with_its_answer():
    why = f"{letters.BUDGET}: $20.40 of $20.00"
    own = replace(QUESTION, launch="", key="budget:Task", asked=f"{why}. Answer …")

    (one,) = letters.items([own], [], [agent(closed=why)])

    assert (one["id"], one["kind"], one["agent"], one["why"]) == ("Q8", "budget", "Task", why)
    assert one["answer"].startswith('hive answer Q8 "$10"')


WORDS = st.sampled_from([*map(str, Sub), "", letters.LEFT, "strange"])


@given(
    st.lists(st.tuples(st.integers(1, 99), st.booleans(), st.integers(0, 9)), max_size=8),
    st.lists(st.tuples(st.integers(0, 9), WORDS, st.integers(0, 5)), max_size=8),
    st.lists(st.sampled_from(Stage), max_size=5),
)
def test_the_inbox_has_every_open_request_once_and_is_json(requests, agents, stages):
    asked = {
        number: replace(
            ASKED, number=number, kind="approval" if allow else "question",
            agent=f"Task/backend/a{who}",
        )
        for number, allow, who in requests
    }  # fmt: skip
    known = [agent(f"a{who}", sub=sub, queue=many) for who, sub, many in agents]
    messages = [replace(QUEUED, number=n, stage=stage) for n, stage in enumerate(stages)]

    record = letters.inbox(letters.items(asked.values(), messages, known))

    found = [one["id"] for one in record["items"]]
    assert sorted(one.name for one in asked.values()) == sorted(
        one for one in found if one[0] in "AQ"
    )
    assert sum(one.startswith("m-") for one in found) == stages.count(Stage.FAILED)
    assert json.loads(json.dumps(record)) == record
    fields = {
        "id", "kind", "project", "agent", "asked", "why", "since", "meanwhile", "answer", "blocks",
    }  # fmt: skip
    assert all(one.keys() == fields and one["answer"] for one in record["items"])


@pytest.mark.parametrize("module", ["letters.py", "trial.py"])
def test_the_page_of_json_mentions_every_field(module):
    page = (ROOT / "hive" / "docs" / "json.md").read_text("utf-8")
    keys = {
        key.value
        for node in ast.walk(ast.parse((ROOT / "hive" / module).read_text("utf-8")))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.islower()
    }
    assert keys
    assert {key for key in keys if not re.search(rf"\b{re.escape(key)}\b", page)} == set()
