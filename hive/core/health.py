"""What a probe's answers amount to: a verdict, and since when.

A good answer is believed at once. A bad one may be a slip, so only `threshold` bad answers in
a row are believed. Until then the verdict stays what it was, and at first is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hive.core.world import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The answers of one probe to one launch, as far as they still matter.

    `good` is of which kind the latest answers were, `row` how many they are.
    """

    threshold: int = 3
    verdict: Verdict = field(default_factory=Verdict)
    good: bool | None = None
    row: int = 0

    def heard(self, good: bool, why: str, at: float) -> History:
        """Give the history with one more answer: its kind, its evidence, its time."""
        row = self.row + 1 if good is self.good else 1
        verdict = self.verdict
        if good is verdict.good:
            verdict = replace(verdict, why=why)
        elif good or row >= self.threshold:
            verdict = Verdict(good=good, why=why, since=at)
        return replace(self, verdict=verdict, good=good, row=row)
