"""Verdicts from histories of answers."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive.core.health import History
from hive.core.world import Verdict

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def verdict(threshold: int, answers: str) -> Verdict:
    """What `+` and `-` answers, a second apart, amount to; the evidence is the answer's place."""
    history = History(threshold=threshold)
    for at, answer in enumerate(answers, start=1):
        history = history.heard(good=answer == "+", why=f"answer {at}", at=float(at))
    return history.verdict


@pytest.mark.parametrize(
    ("threshold", "answers", "good", "since"),
    [
        pytest.param(1, "", None, 0, id="nothing is known before the first answer"),
        pytest.param(1, "+", True, 1, id="one answer is enough"),
        pytest.param(1, "-", False, 1, id="one bad answer is enough too"),
        pytest.param(1, "+-", False, 2, id="the latest answer counts"),
        pytest.param(3, "++", None, 0, id="too few answers say nothing"),
        pytest.param(3, "--+--", None, 0, id="answers must come in a row"),
        pytest.param(3, "+++", True, 3, id="the last of the row makes the verdict"),
        pytest.param(3, "+++--", True, 3, id="a slip changes nothing"),
        pytest.param(3, "+++--+--", True, 3, id="nor do slips with a good answer between"),
        pytest.param(3, "+++---", False, 6, id="a row of the other kind does"),
        pytest.param(2, "++++++", True, 2, id="more of the same is no news"),
    ],
)
def test_as_many_answers_in_a_row_as_the_threshold_are_believed(threshold, answers, good, since):
    found = verdict(threshold, answers)

    assert (found.good, found.since) == (good, since)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        pytest.param("--", "answer 2", id="the answer that made the verdict"),
        pytest.param("---", "answer 3", id="a newer answer of the same kind"),
        pytest.param("---+", "answer 3", id="but not a slip of the other kind"),
    ],
)
def test_the_evidence_is_the_newest_that_speaks_for_the_verdict(answers, why):
    assert verdict(2, answers).why == why


@CALM
@given(st.integers(1, 4), st.text("+-", max_size=30))
def test_the_verdict_is_of_the_latest_row_that_was_long_enough(threshold, answers):
    rows = [
        (kind, start + threshold)
        for start in range(len(answers))
        for kind in "+-"
        if answers[start : start + threshold] == kind * threshold
    ]
    found = verdict(threshold, answers)

    if not rows:
        assert found == Verdict()
    else:
        kind = rows[-1][0]
        since = rows[-1][1]
        for other, end in reversed(rows):
            if other != kind:
                break
            since = end
        assert (found.good, found.since) == (kind == "+", since)
