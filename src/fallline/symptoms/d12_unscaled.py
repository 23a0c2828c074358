"""D12: columns on very different scales, trained as they are."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty

UNEVEN = 10.0  # ratio of standard deviations that is worth a word (VERDICTS, D12)
STRONG = (
    1e3  # ratio that makes plain descent hopeless: its steps are limited by the largest, its progress by the smallest
)
OFF_CENTRE = 3.0  # |mean| in standard deviations


class Unscaled(Symptom):
    """Some columns vary thousands of times more than others, and standardising was turned off.

    Rule: without standardising, the largest standard deviation of a column is more than 10 times the smallest (strong:
    1,000 times), or a mean lies more than 3 standard deviations from zero, and the run did not converge. Measured on
    the training rows. The curvature of the loss goes with the square of these ratios, and with it the number of steps.

    What to do: leave ``standardize`` on: the columns are standardised inside the model and the coefficients are
    reported in the original units.
    """

    name: ClassVar[str] = "D12"
    summary: ClassVar[str] = "unscaled columns"
    rank: ClassVar[int] = 42

    def find(self, evidence: Evidence) -> Finding | None:
        summary = evidence.summary
        if summary is None or evidence.standardized or evidence.done or not len(summary.names):
            return None
        varying = np.flatnonzero(summary.sd > 0.0)
        if not len(varying):
            return None
        sd, names = summary.sd[varying], [summary.names[j] for j in varying]
        ratio = float(sd.max() / sd.min())
        offset = np.abs(summary.mean[varying]) / sd
        if ratio <= UNEVEN and float(offset.max()) <= OFF_CENTRE:
            return None
        if ratio > UNEVEN:
            sentence = f"'{names[int(sd.argmax())]}' varies {ratio:,.0f} times more than '{names[int(sd.argmin())]}'."
        else:
            worst = int(offset.argmax())
            sentence = f"'{names[worst]}' lies {offset[worst]:,.0f} of its standard deviations away from zero."
        limit = evidence.largest_curvature
        if evidence.learning_rate is not None and limit and evidence.learning_rate > 2.0 / limit:
            over = evidence.learning_rate * limit / 2.0
            sentence += (
                f" Your step {evidence.learning_rate:g} is {over:.2g} times the largest stable one ({2.0 / limit:.2g})."
            )
        command = remedy(evidence, **({} if evidence.source else {"standardize": "True"}))
        return Finding(
            self.name, self.summary, Certainty.MEASURED, sentence, command,
            {"ratio": ratio, "strong": int(ratio > STRONG), "farthest_mean": float(offset.max())},
        )  # fmt: skip
