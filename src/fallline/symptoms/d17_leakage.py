"""D17: one column alone knows the answer."""

from __future__ import annotations

from typing import ClassVar

from fallline.relations import FEWEST
from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty

EXPLAINS = 0.98  # of the target's variation: a correlation of 0.99
RANKS = 0.99  # of the pairs of rows of two classes


class Leakage(Symptom):
    """One column alone tells the target almost perfectly. Would you know it when you have to predict?

    Rule: of several columns one correlates with the target by 0.99 or more, or ranks rows of two classes rightly in 99 %
    of all pairs (AUC), on a sample of the rows. Suspected: it may be honest, and often it was written down after the fact.

    What you see: a score that is too good to be true.

    What to do: ask when the column is known. If it is after the target, leave it out and compare.
    """

    name: ClassVar[str] = "D17"
    summary: ClassVar[str] = "leakage suspected"
    rank: ClassVar[int] = 62

    def find(self, evidence: Evidence) -> Finding | None:
        relations = evidence.summary.relations if evidence.summary is not None else None
        if relations is None or relations.alone is None or evidence.summary is None or len(evidence.summary.names) < 2:
            return None
        if relations.rows < FEWEST:
            return None
        (name, score), auc = relations.alone, relations.alone_by == "auc"
        if score < (RANKS if auc else EXPLAINS):
            return None
        told = (
            f"ranks {100 * score:.3g} % of the pairs rightly" if auc else f"explains {100 * score:.3g} % of the target"
        )
        return self.found(
            Certainty.SUSPECTED, f"'{name}' alone {told}. Would you know it at prediction time?",
            remedy(evidence, drop=name) if evidence.source else "", column=name, score=score, by=relations.alone_by,
        )  # fmt: skip
