"""D19: one class has most of the rows."""

from __future__ import annotations

from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Certainty

MAJORITY = 0.8  # of the rows (skore)
TIMES = 10.0  # between the largest and the smallest of two classes (SageMaker)


class Imbalance(Symptom):
    """One class has most of the rows, so accuracy says little.

    Rule: the commonest class has more than 80 % of the rows, or of two classes one is more than ten times as frequent as
    the other. Proved: counted, by weight. The intercept starts at the log-odds, so training is not harmed, and rows are
    not weighted anew in silence: that would spoil the probabilities.

    What you see: a high accuracy that "always say the commonest class" reaches as well.

    What to do: read the loss and the calibration, not the accuracy; choose the threshold for what a mistake costs you.
    """

    name: ClassVar[str] = "D19"
    summary: ClassVar[str] = "class imbalance"
    rank: ClassVar[int] = 88

    def find(self, evidence: Evidence) -> Finding | None:
        relations = evidence.summary.relations if evidence.summary is not None else None
        shares = [share for share in relations.shares if share > 0.0] if relations is not None else []
        if len(shares) < 2:
            return None
        most = max(shares)
        if most <= MAJORITY and not (len(shares) == 2 and most > TIMES * min(shares)):
            return None
        return self.found(
            Certainty.PROVED,
            f"{100 * most:.3g} % of the rows are of one class, so an accuracy of {100 * most:.3g} % means nothing here.",
            majority=most, classes=len(shares),
        )  # fmt: skip
