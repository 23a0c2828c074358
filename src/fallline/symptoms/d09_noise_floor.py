"""D09: the curve is flat because of the noise of mini-batches."""

from __future__ import annotations

from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.symptoms._shapes import exact_curve, lies_on_noise
from fallline.verdict import Certainty


class NoiseFloor(Symptom):
    """The curve is flat because each mini-batch pulls elsewhere, not because the run is done.

    Rule: mini-batches at a rate that does not fall; over the last ten epochs the exact loss has no downward slope
    (within two standard errors, or less than a thousandth of what was gained in all), while the gradient over all rows
    is still above 1e-4 of its start and successive gradients have little in common. Suspected: no test of noise is
    reliable (Pesme, Dieuleveut and Flammarion 2020).

    What you see: a curve that falls, then trembles about a level that depends on the rate.

    What to do: let the rate fall (``learning_rate="cosine:..."``, which ``"auto"`` does), halve it, take larger batches;
    or leave the batch size out: a full batch has no noise, and its verdict can be proved.
    """

    name: ClassVar[str] = "D09"
    summary: ClassVar[str] = "noise floor"
    rank: ClassVar[int] = 72

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.done or not lies_on_noise(evidence):
            return None
        curve, lr = exact_curve(evidence.history), evidence.learning_rate
        return self.found(
            Certainty.SUSPECTED,
            f"The curve has been flat since about epoch {len(curve.loss) - 10:,}: that is the noise of the mini-batches, not "
            "the bottom.",
            remedy(evidence, learning_rate="auto" if lr is None else f"cosine:{lr:g}"), step=int(curve.step[-10]),
            epochs=len(curve.loss) - 1,
        )  # fmt: skip
