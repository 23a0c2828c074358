"""D04: the curvature has grown to what the step can just bear."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.symptoms._shapes import WINDOW, exact_curve
from fallline.verdict import Certainty

LOW, HIGH = 1.8, 2.2  # lr times curvature: about 2 (Cohen et al. 2021)
SHARE = 0.75  # of a window


class EdgeOfStability(Symptom):
    """The loss wiggles while its trend falls: the curvature hovers at the largest that the step can bear, 2/lr.

    Rule: a function of your own, plain descent at a constant rate, lr times the curvature felt along the steps within
    1.8 to 2.2 for 15 of 20 successive steps, the loss lower at their end than at their beginning and not at every step.
    Measured. Neural networks do this (Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the
    edge of stability"); a convex quadratic cannot, there it would be D02.

    What you see: a falling curve with a fine zigzag on it.

    What to do: nothing while the trend falls. For the last stretch let the rate fall (``learning_rate="cosine:..."``).
    """

    name: ClassVar[str] = "D04"
    summary: ClassVar[str] = "edge of stability"
    rank: ClassVar[int] = 75

    def find(self, evidence: Evidence) -> Finding | None:
        lr, history = evidence.learning_rate, evidence.history
        if evidence.link != "none" or evidence.optimizer != "descent" or lr is None or len(history) < WINDOW + 1:
            return None
        felt = lr * history.curvature
        at_edge = (felt >= LOW) & (felt <= HIGH)
        share = np.convolve(at_edge, np.ones(WINDOW) / WINDOW, mode="valid")
        curve = exact_curve(history)
        for begin in np.flatnonzero(share >= SHARE):
            part = curve.loss[begin : begin + WINDOW]
            if len(part) == WINDOW and part[-1] < part[0] and curve.rose[begin + 1 : begin + WINDOW].any():
                edge = float(np.median(felt[begin : begin + WINDOW][at_edge[begin : begin + WINDOW]]))
                return self.found(
                    Certainty.MEASURED,
                    f"The loss wiggles because the curvature has grown to the largest that a step of {lr:g} can bear "
                    f"(step x curvature = {edge:.3g}); that is fine while the trend falls.",
                    remedy(evidence, learning_rate=f"cosine:{lr:g}"),
                    step=int(curve.step[begin]), learning_rate=lr, step_times_curvature=edge,
                )  # fmt: skip
        return None
