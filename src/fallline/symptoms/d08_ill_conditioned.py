"""D08: the loss is a long narrow valley."""

from __future__ import annotations

import math
from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty, Verdict

WARN, STRONG = 1e3, 1e6  # condition number
FEWEST_STEPS = 5


class IllConditioned(Symptom):
    """The loss is a valley much longer than wide, so plain gradient descent needs about kappa steps.

    Rule: a run without second derivatives that did not finish, on columns whose condition number kappa (largest over
    smallest eigenvalue of the matrix of their products, as they are trained on) is above 1,000; strong above a million.
    Measured on a sample of the rows.

    What you see: a curve that falls fast, then crawls, whatever the rate.

    What to do: leave the optimizer to fallline, which takes steps in coordinates where the valley is round; else
    momentum, or standardised columns.
    """

    name: ClassVar[str] = "D08"
    summary: ClassVar[str] = "ill-conditioned"
    rank: ClassVar[int] = 46

    def find(self, evidence: Evidence) -> Finding | None:
        relations = evidence.summary.relations if evidence.summary is not None else None
        unfinished = evidence.verdict in (Verdict.UNFINISHED, Verdict.STUCK, Verdict.NOISE_LIMITED)
        if relations is None or evidence.preconditioned or evidence.penalised or not unfinished:
            return None
        if evidence.optimizer == "lbfgs" or len(evidence.history) <= FEWEST_STEPS:
            return None
        standard = relations.largest / relations.smallest if relations.smallest > 0.0 else math.inf
        kappa = standard if evidence.standardized else relations.raw_condition
        if not kappa > WARN or math.isinf(kappa) and relations.dependent:  # then it is no valley but a plain (D11)
            return None
        told = f"{kappa:,.0f}" if kappa < 1e9 else f"{kappa:.1e}" if math.isfinite(kappa) else "endlessly many"
        return self.found(
            Certainty.MEASURED,
            f"The loss is a valley {told} times longer than wide (condition number), and plain gradient descent needs about "
            "as many steps.",
            remedy(evidence, optimizer="auto") if evidence.standardized else remedy(evidence, standardize="True"),
            condition=min(kappa, 1e308), strong=int(kappa > STRONG), rows=relations.rows,
        )  # fmt: skip
