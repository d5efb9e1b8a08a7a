"""Whether an agent's word that a task is done is enough, by how sure it says it is.

A check decides for itself. Without one, the agent's confidence does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hive.core.tasks import Job, Report

How = Literal["accept", "note", "check", "review", "hold"]
"""Believe it; believe and note it; run its check; have it reviewed; have a person decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From which confidence on a report is accepted, accepted and noted, or reviewed."""

    accept: float = 0.9
    log: float = 0.8
    review: float = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is to be done about a report, and why."""

    how: How
    why: str


def judged(
    job: Job, report: Report, thresholds: Thresholds, *, checked: bool | None, reviewers: bool
) -> Judgement:
    """Judge a report of `done`.

    `checked` is how the job's check ended (None: it has not run), `reviewers` whether there is
    anybody to review it. An agent that does not say how sure it is, is sure.
    """
    if checked is not None:
        how: How = "accept" if checked else "hold"
        return Judgement(how=how, why="its check passed" if checked else "its check failed")
    if job.check:
        return Judgement(how="check", why="its check decides")
    sure = report.confidence
    if sure is None:
        why = "its command succeeded" if job.kind == "run" else "its agent says so"
        return Judgement(how="accept", why=why)
    said = f"its agent's confidence is {sure:g}"
    if sure >= thresholds.accept:
        return Judgement(how="accept", why=said)
    if sure >= thresholds.log:
        return Judgement(how="note", why=f"{said}, less than {thresholds.accept:g}: noted")
    if not sure >= thresholds.review:  # also what is no number
        return Judgement(how="hold", why=f"{said}, less than {thresholds.review:g}")
    if reviewers:
        return Judgement(how="review", why=f"{said}, less than {thresholds.log:g}")
    less = f"less than {thresholds.log:g}"
    return Judgement(how="hold", why=f"{said}, {less}, and there is nobody to review it")
