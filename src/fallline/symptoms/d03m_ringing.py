"""D03m: momentum overshoots and comes back, which is normal."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.symptoms._shapes import exact_curve
from fallline.verdict import Certainty, Verdict

RULES = ("momentum", "nesterov", "accelerated", "adam", "adamax", "amsgrad", "nadam")  # that remember a direction
FEWEST_WAVES = 3  # separate rises


class Ringing(Symptom):
    """The loss rises and falls in waves while its low points keep falling: momentum overshoots, and comes back.

    Rule: a full-batch rule with momentum, at least three separate rises of the exact loss, and a lower best loss in the
    second half of the run than in the first. Measured, and healthy: it is told on request alone. A momentum of beta
    averages over 1/(1 - beta) steps, more than a valley of this shape needs.

    What you see: a wave on the loss curve whose low points go down.

    What to do: nothing. A smaller momentum, or ``optimizer="accelerated"``, which begins anew when the loss rises
    (O'Donoghue and Candes 2015), has no waves.
    """

    name: ClassVar[str] = "D03m"
    summary: ClassVar[str] = "momentum ringing (healthy)"
    rank: ClassVar[int] = 98
    healthy: ClassVar[bool] = True

    def find(self, evidence: Evidence) -> Finding | None:
        curve = exact_curve(evidence.history)
        if evidence.optimizer not in RULES or not evidence.full_batch or evidence.verdict == Verdict.DIVERGED:
            return None
        rose, half = curve.rose, len(curve.loss) // 2
        waves = np.flatnonzero(rose[1:] & ~rose[:-1]) + 1
        if len(waves) < FEWEST_WAVES or not curve.loss[half:].min() < curve.loss[:half].min():
            return None
        return self.found(
            Certainty.MEASURED,
            f"The loss rose in {len(waves):,} waves and its low points kept falling: momentum overshoots, which is normal.",
            remedy(evidence, optimizer="accelerated"),
            step=int(curve.step[waves[0]]), waves=len(waves), rises=int(rose.sum()),
        )  # fmt: skip
