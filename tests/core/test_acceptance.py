"""When an agent's word is believed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.acceptance import Thresholds, judged
from hive.core.tasks import Job, Report

SURE = st.none() | st.floats(0, 1)
BEST = ["accept", "note", "review", "hold"]


def judge(confidence, check="", checked=None, reviewers=True, thresholds=None):
    report = Report(outcome="done", text="did it", at=5.0, confidence=confidence)
    job = Job(text="do it", check=check)
    return judged(job, report, thresholds or Thresholds(), checked=checked, reviewers=reviewers)


@pytest.mark.parametrize(
    ("confidence", "with_reviewers", "without"),
    [
        (None, "accept", "accept"),
        (1.0, "accept", "accept"),
        (0.9, "accept", "accept"),
        (0.899, "note", "note"),
        (0.8, "note", "note"),
        (0.799, "review", "hold"),
        (0.7, "review", "hold"),
        (0.699, "hold", "hold"),
        (0.0, "hold", "hold"),
        (math.nan, "hold", "hold"),
    ],
)
def test_without_a_check_confidence_decides(confidence, with_reviewers, without):
    assert judge(confidence).how == with_reviewers
    assert judge(confidence, reviewers=False).how == without


@given(confidence=SURE, reviewers=st.booleans())
def test_a_check_decides_for_itself(confidence, reviewers):
    assert judge(confidence, "pytest -q", None, reviewers).how == "check"
    assert judge(confidence, "pytest -q", True, reviewers).how == "accept"
    assert judge(confidence, "pytest -q", False, reviewers).how == "hold"


@given(one=st.floats(0, 1), other=st.floats(0, 1), reviewers=st.booleans())
def test_who_is_surer_is_never_believed_less(one, other, reviewers):
    low, high = sorted((one, other))
    found = [judge(sure, reviewers=reviewers).how for sure in (low, high)]
    assert BEST.index(found[0]) >= BEST.index(found[1])


def test_the_thresholds_are_whoever_sets_them():
    strict = Thresholds(accept=1.0, log=0.95, review=0.9)
    found = [judge(sure, thresholds=strict).how for sure in (1.0, 0.95, 0.9, 0.89)]
    assert found == BEST


def test_why_says_what_decided():
    assert judge(None).why == "its agent says so"
    assert judge(0.95).why == "its agent's confidence is 0.95"
    assert judge(0.85).why == "its agent's confidence is 0.85, less than 0.9: noted"
    assert judge(0.75).why == "its agent's confidence is 0.75, less than 0.8"
    assert judge(0.75, reviewers=False).why == (
        "its agent's confidence is 0.75, less than 0.8, and there is nobody to review it"
    )
    assert judge(0.5).why == "its agent's confidence is 0.5, less than 0.7"
    assert judge(0.1, "true", True).why == "its check passed"
