"""D01: the loss or the gradient became infinite or NaN."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty, Verdict


class NonFinite(Symptom):
    """The loss or the gradient overflowed: it is infinite or not a number.

    Rule: a recorded loss or gradient norm that was not rolled back is not finite. Proved: there is nothing to
    interpret. Nearly always the steps were too long for many steps in a row (D02) and the numbers grew past 1e308; at
    the very start it is the data (D20) or a start far off.

    What fallline does: the best parameters before are kept; where the rate was automatic it goes back to them and goes
    on with a tenth of the rate, up to three times (not with ``auto_fix=False``).

    What to do: leave the learning rate to fallline, or take one below the limit that D02 names.
    """

    name: ClassVar[str] = "D01"
    summary: ClassVar[str] = "not finite"
    rank: ClassVar[int] = 50

    def find(self, evidence: Evidence) -> Finding | None:
        history = evidence.history
        bad = ~(np.isfinite(history.loss) & np.isfinite(history.gradient_norm)) & (history.accepted == 1.0)
        if not bad.any() or evidence.verdict == Verdict.NO_FINITE_OPTIMUM:  # it falls without end
            return None
        step = int(history.step[np.argmax(bad)])
        return self.found(
            Certainty.PROVED, f"The loss became infinite at step {step:,}. The best parameters before it were kept.",
            remedy(evidence, learning_rate="auto") if evidence.learning_rate is not None else "", step=step,
            automatic="went back to the best parameters and on with a tenth of the rate" if evidence.rollbacks else "",
        )  # fmt: skip
