"""D18: check rows that were trained on."""

from __future__ import annotations

from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Certainty

SERIOUS = 0.01  # of the check rows: from here on the check score is flattered


class Duplicates(Symptom):
    """Some check rows are copies of training rows, so the check score is partly a training score.

    Rule: more than 1 % of the check rows have the same numbers in every column and the same target as a training row.
    Measured, by 64-bit keys of the rows (a false match has a chance of about one in a million million). Tables of a few
    categories repeat rows by nature; with the same person or place on both sides they mislead. Rows of tables larger
    than memory are not compared.

    What to do: drop duplicates before training, or split by group: pass ``check=(X, y)`` of your own making.
    """

    name: ClassVar[str] = "D18"
    summary: ClassVar[str] = "duplicates over the split"
    rank: ClassVar[int] = 84

    def find(self, evidence: Evidence) -> Finding | None:
        relations = evidence.summary.relations if evidence.summary is not None else None
        checked = (evidence.check or {}).get("rows", 0.0)
        if relations is None or not relations.twins or not checked or relations.twins <= SERIOUS * checked:
            return None
        verb = "is a copy" if relations.twins == 1 else "are copies"
        return self.found(
            Certainty.MEASURED,
            f"{relations.twins:,} of {checked:,.0f} check rows {verb} of training rows, so the check score is flattered.",
            rows=relations.twins, share=relations.twins / checked,
        )  # fmt: skip
