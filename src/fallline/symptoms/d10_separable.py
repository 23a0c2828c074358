"""D10: the classes are separated, so the best weights are infinite."""

from __future__ import annotations

from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty

MILD_RIDGE = "0.001"


class Separable(Symptom):
    """A plane separates the classes, so the loss has no minimum: larger weights always fit better.

    Rule: without a penalty, every training row is on its right side (for several classes: its own class scores
    highest). Proved: multiplying the weights by any number above one lowers the loss, down to zero and never reaching
    it. Or no row is on the wrong side and some are exactly on the plane, as a linear program finds where weights have
    grown large: measured, for its arithmetic is rounded. Where one column does it alone, it is named.

    What you see: a loss that keeps falling like 1/t and weights that keep growing; any weights that are reported
    depend on when the run was stopped. Often a column gives the answer away (leakage), or there are more columns than
    rows.

    What to do: add an L2 penalty, which makes the best weights finite; look for a column that knows the answer.
    """

    name: ClassVar[str] = "D10"
    summary: ClassVar[str] = "separable classes"
    rank: ClassVar[int] = 60

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.separated not in ("strict", "quasi"):
            return None
        who = f"Column '{evidence.separator}' separates" if evidence.separator else "The columns together separate"
        how, certainty = "perfectly", Certainty.PROVED
        if evidence.separated == "quasi":
            how, certainty = "but for rows exactly on the border", Certainty.MEASURED
        return self.found(
            certainty,
            f"{who} the classes {how}, so the best weights are infinite; these depend on when the run stopped.",
            remedy(evidence, l2=MILD_RIDGE), column=evidence.separator,
        )  # fmt: skip
