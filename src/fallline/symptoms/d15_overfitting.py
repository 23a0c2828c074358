"""D15: training improved while the check rows got worse."""

from __future__ import annotations

import math
from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty

ERRORS = 4.0  # standard errors of the mean difference: the best of many looks is lucky, so two are not enough
FEWER, LOST = 2.0, 0.2  # or two, where the loss is a fifth above its lowest: more than luck among the looks makes of it
FEWEST_LOOKS, SHARE = 2, 0.1  # at the check rows since the best: so many, and this share of the steps


class Overfitting(Symptom):
    """The loss on the check rows was lowest on the way; after that only training improved.

    Rule: on the same check rows the weights that were kept are worse than those of the best step there, by more than
    four standard errors of the difference row by row, or by more than two and a fifth of the loss there; after at least
    two looks and a tenth of the steps. Measured.

    What you see: the check curve turns upwards while the training curve goes on falling. There are too many columns for
    the rows, or the model is free to follow single rows.

    What to do: ``early_stopping=True`` keeps the weights of the best step; an L2 penalty does it without a step to
    choose; more rows or fewer columns remove the cause.
    """

    name: ClassVar[str] = "D15"
    summary: ClassVar[str] = "overfitting"
    rank: ClassVar[int] = 81

    def find(self, evidence: Evidence) -> Finding | None:
        worse = evidence.overfit
        if worse is None:
            return None
        lowest = (evidence.check or {}).get("loss", math.nan) - worse.excess
        much = worse.excess > LOST * lowest > 0.0
        if not worse.excess > (FEWER if much else ERRORS) * worse.error:
            return None
        steps = int(evidence.history.step[-1]) if len(evidence.history) else 0
        if worse.looks < FEWEST_LOOKS or steps - worse.step < SHARE * steps:
            return None
        return self.found(
            Certainty.MEASURED,
            f"The check loss was lowest at step {worse.step:,} of {steps:,}; after that only training improved.",
            remedy(evidence, early_stopping="True"), step=worse.step,
            excess=worse.excess, standard_error=worse.error,
        )  # fmt: skip
