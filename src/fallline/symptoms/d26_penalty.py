"""D26: the penalty, not the data, decides the weights."""

from __future__ import annotations

import math
from typing import ClassVar

from fallline.relations import Relations
from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Certainty, Verdict

SWALLOWED = 0.9  # of J
LUCK = 8.0  # on top of that: by chance once in a hundred
NOTHING = 1e-3  # of the natural size: weights below are none


class PenaltySwallows(Symptom):
    """The penalty is so strong that the weights are next to nothing, or make up most of the loss.

    Rule: a run that ended, with a penalty, where the penalty is more than 90 % of J; or no weight of a standardised
    column reaches a thousandth of the natural size of a prediction (the spread of y for numbers, 1 for others), while
    some column does tell something of the target alone (more than chance would). Measured.

    What you see: a model that always says about the same.

    What to do: try a tenth of the penalty, and let the check rows decide.
    """

    name: ClassVar[str] = "D26"
    summary: ClassVar[str] = "penalty swallows data"
    rank: ClassVar[int] = 61

    def find(self, evidence: Evidence) -> Finding | None:
        relations = evidence.summary.relations if evidence.summary is not None else None
        if not evidence.penalised or evidence.verdict in (None, Verdict.DIVERGED) or relations is None:
            return None
        share, weight = evidence.penalty_share, evidence.largest_weight
        told = evidence.summary is not None and _more_than_chance(relations, len(evidence.summary.names))
        if not (share > SWALLOWED or weight < NOTHING and told):
            return None
        sentence = f"The penalty is {share:.0%} of the loss" if share > SWALLOWED else "All weights are next to nothing"
        return self.found(
            Certainty.MEASURED, f"{sentence}: the penalty, not the data, decides the weights. Try a tenth of it.",
            penalty_share=share, largest_weight=weight,
        )  # fmt: skip


def _more_than_chance(relations: Relations, columns: int) -> bool:
    """Whether the best column alone tells more than the best of as many columns of noise: a chi-square above 2 log n."""
    _, score = relations.alone or ("", 0.0)
    explained = score if relations.alone_by == "r2" else (2.0 * score - 1.0) ** 2
    return explained * relations.rows > 2.0 * math.log(columns) + LUCK
