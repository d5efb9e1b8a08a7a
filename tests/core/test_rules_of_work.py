"""The rules of work: from the file, and the way to the store and back."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from hive.core import expand, rules
from hive.core.config import read
from hive.core.rules import STRATEGIES, Rules
from hive.core.tasks import Job
from hive.core.workflow_model import Line, Work, task_job
from hive.errors import WrongInput


def of(work: str) -> Rules:
    return expand.rules(read(f'project = "T"\n[work]\n{work}'))


def test_a_file_that_says_nothing_has_the_usual_rules():
    assert expand.rules(read('project = "T"')) == Rules()


def test_every_rule_is_a_key_of_work():
    assert set(Work.model_fields) == set(asdict(Rules()))


def test_what_a_file_says_counts():
    found = of('strategy = "round-robin"\nlease = "1m"\naccept = 1\nretries = 0\ntimeout = "2h"')

    assert found == Rules(strategy="round-robin", lease=60.0, accept=1.0, retries=0, timeout=7200.0)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        pytest.param('lease = "1ms"', "`lease` must be a second or longer", id="too short"),
        pytest.param("accept = 1.1", "`accept` must be 1 or less, not 1.1", id="too sure"),
        pytest.param("log = nan", "`log` must be a number, not nan", id="no number"),
        pytest.param(
            "accept = 0.7",
            "`work` needs `review` to be `log` or less, and `log` `accept`",
            id="order",
        ),
        pytest.param("strategy = 'best'", "`strategy` must be one of `capability`,", id="strategy"),
        pytest.param(
            "attempts = 3", "unknown key `attempts`; did you mean `retries`?", id="unknown"
        ),
        pytest.param("retries = -1", "`retries` must be 0 or more, not -1", id="negative"),
    ],
)
def test_one_mistake(work, message):
    with pytest.raises(WrongInput) as caught:
        of(work)

    assert message in str(caught.value)


def test_rules_survive_the_way_through_json_and_a_newer_version():
    found = Rules(strategy="weighted", accept=0.95, rounds=5)
    values = json.loads(json.dumps(rules.to_dict(found))) | {"colour": "red"}

    assert rules.from_dict(values) == found
    assert rules.from_dict({}) == Rules()


def test_a_task_has_what_it_says_itself_and_else_what_the_rules_say():
    line = Line.model_validate({"prompt": "x", "retries": 0, "timeout": "1m"})
    found = task_job(line, rules=Rules(retries=9, timeout=5.0, backoff=7.0, longest=8.0))

    assert (found.retries, found.timeout) == (0, 60.0)
    assert (found.backoff, found.longest) == (7.0, 8.0)


def test_the_usual_rules_are_those_of_a_job():
    job, usual = asdict(Job(text="")), asdict(Rules())

    assert {key: job[key] for key in job.keys() & usual.keys()} == {
        key: usual[key] for key in job.keys() & usual.keys()
    }
    assert set(STRATEGIES) >= {"capability", "least-busy", "resource", "round-robin", "weighted"}
