"""D06: the plateau is the bottom."""

from __future__ import annotations

from typing import ClassVar

from fallline.report.numbers import above_best
from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Certainty, Verdict


class Converged(Symptom):
    """The curve is flat because the run is done, which is not seen from the curve but from a certificate.

    Rule: the proved bound on J(theta) - J* is within the tolerance (relative to J*); where no bound exists, the
    gradient has fallen to a small share of its size at the start, or promises less than rounding of a function of your
    own, which is only a measurement. "The loss stopped moving" is never the rule: an absolute tolerance stops a run at
    step 8 or at step 3,075 as the target is scaled.

    What to do: nothing. (Listed only on request.)
    """

    name: ClassVar[str] = "D06"
    summary: ClassVar[str] = "converged"
    rank: ClassVar[int] = 99
    healthy: ClassVar[bool] = True

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.verdict == Verdict.CONVERGED and evidence.gap is not None:
            share = above_best(evidence.gap, evidence.best_loss)
            sentence = f"Done: the loss is provably within {share} of the best possible."
            if evidence.gap >= evidence.best_loss:  # a fit without an error: what is left is rounding
                sentence = "Done: no weights can lower the loss by more than double precision can show."
            return Finding(self.name, self.summary, Certainty.PROVED, sentence, "", {"gap": evidence.gap})
        if evidence.verdict == Verdict.GOOD_ENOUGH:
            return Finding(self.name, self.summary, Certainty.MEASURED, "The gradient has almost vanished.", "")
        return None
