"""D25: no step along the negative gradient lowers the loss, or the target is none that the loss can have."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty, Verdict

FEWEST_TRIES = 20  # rates, each half of the one before


class WrongDirection(Symptom):
    """Moving along the negative gradient raises the loss at every rate, or y is outside of what the loss can predict.

    Rule: from the start at least 20 rates were tried, each half of the one before, and none lowered the loss, though the
    gradient is not zero: measured. Or a target that the family cannot have (a negative count, a zero for gamma): refused
    before anything is run, proved.

    What you see: a run that ends at its first step.

    What to do: look for a flipped sign or a step in f (rounding, sampling); for models take the loss that suits the
    target.
    """

    name: ClassVar[str] = "D25"
    summary: ClassVar[str] = "wrong direction"
    rank: ClassVar[int] = 21

    def find(self, evidence: Evidence) -> Finding | None:
        code, sentence = evidence.refused
        if code == self.name:
            return self.found(Certainty.PROVED, sentence)
        history = evidence.history
        refused = history.accepted == 0.0
        tries = int(refused.sum())
        if evidence.verdict != Verdict.STUCK or tries < FEWEST_TRIES:
            return None
        if bool(np.any(history.loss[~refused] < history.loss[0])):
            return None
        return self.found(
            Certainty.MEASURED,
            f"Moving along the negative gradient never lowered the loss, at {tries} rates down to "
            f"{np.nanmin(history.learning_rate):.1e}: is a sign flipped, or does f jump?",
            remedy(evidence), tries=tries,
        )  # fmt: skip
