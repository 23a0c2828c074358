"""D02: the loss rises because the steps are too long."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty, Verdict

ROUND_OFF = 1e-12  # relative: a rise of an exact loss beyond this is a rise (VERDICTS: measured on seven data sets)


class Diverging(Symptom):
    """The learning rate is larger than the data allows, so each step overshoots further than the last.

    Rule: for plain full-batch gradient descent on a convex loss one rise beyond round-off (1e-12 of the loss) proves
    it, because below 2/L every step lowers the loss, L being the largest curvature. Momentum, Adam and mini-batches
    may rise in good health, so for them only the verdict *diverged* counts, and it is a measurement.

    What you see: a loss curve that turns upwards and explodes. The usual reason is a column in large units (D12).

    What to do: leave out the learning rate and fallline computes it; or use the limit that is printed, or half of it.
    """

    name: ClassVar[str] = "D02"
    summary: ClassVar[str] = "diverging"
    rank: ClassVar[int] = 51

    def find(self, evidence: Evidence) -> Finding | None:
        history = evidence.history
        kept = history.accepted == 1.0
        loss = np.where(np.isfinite(history.loss), history.loss, np.inf)[kept]
        steps = history.step[kept]
        rose = np.zeros(len(loss), dtype=bool)
        if evidence.plain_descent and len(loss) > 1:
            with np.errstate(invalid="ignore"):
                rose[1:] = (loss[1:] - loss[:-1] > ROUND_OFF * np.abs(loss[:-1])) & (loss[1:] > 0.0)
        if not rose.any() and evidence.verdict != Verdict.DIVERGED:
            return None
        step = int(steps[np.argmax(rose)]) if rose.any() else int(history.step[-1])
        limit = self._limit(evidence)
        lr = evidence.learning_rate
        if lr is not None and limit is not None and lr > limit:
            sentence = (
                f"Your step {lr:g} is {_times(lr / limit)} the largest stable one on this data (2/L = {limit:.3g}) and "
                f"{_times(2.0 * lr / limit)} a good one (1/L = {limit / 2.0:.3g})."
            )
        else:
            sentence = f"The loss rose at step {step:,}: the steps are too long for this data."
        rate = f"{limit / 2:.2g}" if limit is not None and lr is not None else "auto"
        proved = evidence.plain_descent and bool(rose.any())
        return Finding(
            self.name, self.summary, Certainty.PROVED if proved else Certainty.MEASURED, sentence,
            remedy(evidence, learning_rate=rate if evidence.source or rate != "auto" else "'auto'"),
            {"learning_rate": lr if lr is not None else "auto", "limit": limit if limit is not None else "unknown"}, step,
            "went back to the best parameters and on with a tenth of the rate" if evidence.rollbacks else "",
        )  # fmt: skip

    @staticmethod
    def _limit(evidence: Evidence) -> float | None:
        """2/L: from the data where L is known, else from the curvature met along the way."""
        if evidence.largest_curvature:
            return 2.0 / evidence.largest_curvature
        met = evidence.history.curvature
        met = met[np.isfinite(met) & (met > 0.0)]
        return 2.0 / float(met.max()) if len(met) else None


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10.0 else f"{ratio:.2g} times"
