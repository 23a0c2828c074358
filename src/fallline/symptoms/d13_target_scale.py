"""D13: a target so large or so small that the numbers of the run are hard to read or to bear."""

from __future__ import annotations

import math
from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty

SMALL, LARGE = 1e-2, 1e2  # standard deviation of y for an identity link (VERDICTS, D13)
LARGEST_LOG = 30.0  # |z| for a log link: e^30 is 1e13


class TargetScale(Symptom):
    """The target is in units that make the loss very large or very small, and a rate that was named does not suit them.

    Rule: an identity link, a rule of the Adam kind with a rate named by the user, a standard deviation of y outside
    0.01 to 100, and a run that did not finish; or a log link whose targets reach beyond e^30. Measured. Rules whose
    step has the size of the rate itself need a rate in the units of y.

    What to do: leave the rate to fallline, which takes it in units of y's spread; or divide y by its spread.
    """

    name: ClassVar[str] = "D13"
    summary: ClassVar[str] = "target scale"
    rank: ClassVar[int] = 43

    def find(self, evidence: Evidence) -> Finding | None:
        summary = evidence.summary
        if summary is None or evidence.done or evidence.verdict is None or math.isnan(summary.target_sd):
            return None
        if evidence.link == "log" and summary.target_high > math.exp(LARGEST_LOG):
            sentence = f"'{evidence.target}' reaches {summary.target_high:.3g}, out of range for a log link; divide it."
            return Finding(self.name, self.summary, Certainty.MEASURED, sentence, "", {"high": summary.target_high})
        sd = summary.target_sd
        if evidence.link != "identity" or not evidence.adaptive or evidence.learning_rate is None:
            return None
        if SMALL <= sd <= LARGE or sd == 0.0:
            return None
        return Finding(
            self.name, self.summary, Certainty.MEASURED,
            f"'{evidence.target}' varies by {sd:.3g} around {summary.target_mean:.3g}, and a step of "
            f"{evidence.learning_rate:g} does not suit such units.",
            remedy(evidence, learning_rate="auto"), {"sd": sd, "mean": summary.target_mean},
        )  # fmt: skip
