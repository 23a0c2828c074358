"""D27: Adam circles about the optimum at the distance of its step, or its steps are too short for its weights."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.symptoms._shapes import WINDOW, exact_curve, steady
from fallline.verdict import Certainty, Verdict

DITHER = -0.3  # mean cosine of successive gradients
WHOLE_STEP = 0.1  # of lr sqrt(d), the longest that a step of Adam is
BREATH = 5 * WINDOW  # steps: the circles grow and shrink, Nadam's most of all


class AdamNeverSettles(Symptom):
    """A rule of the Adam kind at a constant rate circles about the optimum, for its steps do not shrink with the slope.

    Rule: a full-batch rule of this kind at a rate that does not fall, not finished; over the last 100 steps the mean
    step is at least a tenth of lr sqrt(d) long (d weights), and in the last 20 the best loss is no longer improved, or
    successive gradients point against one another. Measured.

    What you see: a curve that falls and then trembles at a level that depends on the rate.

    What to do: let the rate fall to zero (``learning_rate="cosine:..."``, which ``"auto"`` does).
    """

    name: ClassVar[str] = "D27"
    summary: ClassVar[str] = "Adam never settles"
    rank: ClassVar[int] = 73

    def find(self, evidence: Evidence) -> Finding | None:
        history, lr = evidence.history, evidence.learning_rate
        open_end = evidence.verdict in (Verdict.UNFINISHED, Verdict.STUCK)
        if not evidence.adaptive or not evidence.full_batch or not open_end or lr is None or not steady(history):
            return None
        curve, cosine = exact_curve(history), history.cosine[-WINDOW:]
        if len(curve.loss) < 3 * WINDOW or not np.isfinite(cosine).any():
            return None
        longest = lr * math.sqrt(max(evidence.unknowns, 1))
        length = float(np.nanmean(history.step_norm[-BREATH:]))
        no_better = float(curve.loss[-WINDOW:].min()) > float(curve.loss[:-WINDOW].min())
        against = float(np.nanmean(cosine)) < DITHER
        if length < WHOLE_STEP * longest or not (no_better or against):
            return None
        return self.found(
            Certainty.MEASURED,
            f"{evidence.optimizer}'s step does not shrink by itself: it circles about the optimum at a distance of about its "
            f"step ({length:.2g}).",
            remedy(evidence, optimizer=evidence.optimizer, learning_rate=f"cosine:{lr:g}"), step=int(history.step[-WINDOW]),
            step_norm=length, longest=longest, mean_cosine=float(np.nanmean(cosine)),
        )  # fmt: skip
