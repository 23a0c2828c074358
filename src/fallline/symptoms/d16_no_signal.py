"""D16: the model is no better than always saying the same."""

from __future__ import annotations

import math
from typing import ClassVar

from fallline.report.numbers import number
from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Certainty

ERRORS = 2.0
FEWEST_ROWS = 30  # check rows, to know a standard error by
# Log-likelihoods without a spread of their own: twice their fall is chi-square.
LIKELIHOODS = ("logistic", "softmax", "poisson")


class NoSignal(Symptom):
    """The model fits no better than the best constant: the columns say nothing about the target, or the model cannot.

    Rule: what the training loss has gained is what p columns of noise gain, 2 m (J_0 - J) < p + 2 sqrt(2p) (for squared
    loss m log(J_0 / J); Wilks 1938; for fewer unknowns than rows), and on check rows, where there are 30 at least, the loss
    is not below the constant's by two standard errors of the difference; or on those it is not below at all. Measured, of
    a run that ended where it should. Or the target has one value only: then it is proved.

    What you see: a curve that is flat from the first step, and a check score near zero.

    What to do: find columns that have to do with the target; try their logarithms, products or categories; look whether
    rows of X and y belong together.
    """

    name: ClassVar[str] = "D16"
    summary: ClassVar[str] = "no signal"
    rank: ClassVar[int] = 82

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.summary is not None and evidence.summary.target_low == evidence.summary.target_high:
            return self.found(
                Certainty.PROVED,
                f"The target is {number(evidence.summary.target_low)} in all {evidence.summary.rows:,} rows to train on. Is it "
                "the right column?",
                rows=evidence.summary.rows,
            )  # fmt: skip
        check, base = evidence.check or {}, evidence.baseline_loss
        if not evidence.done or evidence.summary is None or not len(evidence.summary.names):
            return None
        p, gained = max(evidence.unknowns - 1, 1), self._gained(evidence)
        known = math.isfinite(gained) and p < evidence.summary.rows  # with more, noise can gain all there is
        by_chance = known and gained <= p + ERRORS * math.sqrt(2.0 * p)
        if check.get("rows", 0.0) >= FEWEST_ROWS and "gain_error" in check:
            gain, error = check["baseline_loss"] - check["loss"], check["gain_error"]
            if gain > ERRORS * error or (gain > 0.0 and known and not by_chance):
                return None
            sentence = (
                f"On the check rows the model is no better than the best constant (loss {number(check['loss'])} against "
                f"{number(check['baseline_loss'])}, {gain / error if error > 0.0 else 0.0:.1f} standard errors)."
            )
            return self.found(Certainty.MEASURED, sentence, gain=gain, standard_error=error)
        if not by_chance:
            return None
        return self.found(
            Certainty.MEASURED,
            f"The model gains over the best constant what {p:,} {'column' if p == 1 else 'columns'} of noise would gain "
            f"(loss {number(evidence.best_loss)} against {number(base)}).",
            gained=gained, columns=p,
        )  # fmt: skip

    @staticmethod
    def _gained(evidence: Evidence) -> float:
        """Wilks' statistic of the model against the constant; NaN where the loss is no likelihood."""
        J, base = evidence.best_loss, evidence.baseline_loss
        if evidence.summary is None or not (math.isfinite(base) and 0.0 < J <= base):
            return math.nan
        m = evidence.weight  # a weight of 2 is a row twice
        m = m if math.isfinite(m) else float(evidence.summary.rows)
        if evidence.loss == "squared":
            return m * math.log(base / J)
        return 2.0 * m * (base - J) if evidence.loss in LIKELIHOODS else math.nan
