"""D03: every step jumps over the valley and back."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.symptoms._shapes import WINDOW
from fallline.verdict import Certainty

OPPOSED = -0.5  # cosine of two gradients that point away from one another
SHARE = 0.5  # of the last steps
NEAR_LIMIT, LIMIT = 1.5, 2.0  # lr L: where the factor 1 - lr L of the steepest direction is below -0.5


class Oscillating(Symptom):
    """The learning rate is just below the largest stable one, so the steepest direction is jumped over at every step.

    Rule: plain full-batch descent at a constant rate with 1.5 < lr L < 2, where of the last 20 steps at least half have
    a gradient that points against the one before (cosine below -0.5). Measured. Along the steepest direction a step
    multiplies the distance by 1 - lr L, which is then close to -1: the loss falls, and slowly.

    What you see: a loss that falls, weights that swing from side to side.

    What to do: halve the rate, or leave it to fallline, which takes 1/L.
    """

    name: ClassVar[str] = "D03"
    summary: ClassVar[str] = "oscillating across a valley"
    rank: ClassVar[int] = 52

    def find(self, evidence: Evidence) -> Finding | None:
        lr, L = evidence.learning_rate, evidence.curvature
        if not evidence.plain_descent or lr is None or not L or not NEAR_LIMIT < lr * L < LIMIT:
            return None
        cosine = evidence.history.cosine[np.isfinite(evidence.history.cosine)]
        against = cosine[-WINDOW:] < OPPOSED
        if len(against) < WINDOW or against.mean() < SHARE:
            return None
        return self.found(
            Certainty.MEASURED,
            f"{against.sum()} of the last {WINDOW} steps jumped over the valley and back: the step {lr:g} is "
            f"{lr * L / 2.0:.0%} of the largest stable one; half of it jumps over nothing.",
            remedy(evidence, learning_rate=f"{1.0 / L:.2g}"),
            step=int(evidence.history.step[-WINDOW]), learning_rate=lr, limit=2.0 / L, jumps=int(against.sum()),
        )  # fmt: skip
