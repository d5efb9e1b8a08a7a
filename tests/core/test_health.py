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
        pytest.param(3, "+", True, 1, id="one good answer is enough"),
        pytest.param(1, "-", False, 1, id="one bad answer is, where the threshold is one"),
        pytest.param(1, "+-", False, 2, id="the latest answer counts"),
        pytest.param(3, "--", None, 0, id="too few bad answers say nothing"),
        pytest.param(3, "--+--", True, 3, id="bad answers must come in a row"),
        pytest.param(3, "+--", True, 1, id="a slip changes nothing"),
        pytest.param(3, "+--+--", True, 1, id="nor do slips with a good answer between"),
        pytest.param(3, "+---", False, 4, id="a row of bad ones does"),
        pytest.param(3, "---+", True, 4, id="and one good answer ends it"),
        pytest.param(2, "------", False, 2, id="more of the same is no news"),
    ],
)
def test_a_good_answer_is_believed_at_once_and_bad_ones_in_a_row(threshold, answers, good, since):
    found = verdict(threshold, answers)

    assert (found.good, found.since) == (good, since)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        pytest.param("--", "answer 2", id="the answer that made the verdict"),
        pytest.param("---", "answer 3", id="a newer answer of the same kind"),
        pytest.param("+-", "answer 1", id="but not a slip of the other kind"),
    ],
)
def test_the_evidence_is_the_newest_that_speaks_for_the_verdict(answers, why):
    assert verdict(2, answers).why == why


@CALM
@given(st.integers(1, 4), st.text("+-", max_size=30))
def test_the_verdict_is_of_the_latest_answer_that_was_believed(threshold, answers):
    believed = [
        (kind == "+", place)
        for place, kind in enumerate(answers, start=1)
        if kind == "+" or answers[max(0, place - threshold) : place] == "-" * threshold
    ]
    found = verdict(threshold, answers)

    if not believed:
        assert found == Verdict()
    else:
        kinds = [good for good, _ in believed]
        first = len(kinds) - next(
            (n for n, good in enumerate(reversed(kinds)) if good != kinds[-1]), len(kinds)
        )
        assert (found.good, found.since) == (kinds[-1], believed[first][1])
