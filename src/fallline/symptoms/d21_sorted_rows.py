"""D21: mini-batches come in an order that the target follows."""

from __future__ import annotations

import math
from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty

RUNS = 4.0  # |z| of the runs test: by chance once in 16,000 files
NEIGHBOURS = 0.5  # correlation of a target with the one before


class SortedRows(Symptom):
    """The rows are sorted and mini-batches take them in order, so each epoch forgets its beginning.

    Rule: mini-batches with ``shuffle=False``, and targets that are not in random order: Wald and Wolfowitz's runs test
    about the median gives |z| > 4, or a target correlates with the one before by more than 0.5. Measured. While a run
    shuffles, which is the default, the order of the file does not matter.

    What you see: a saw-toothed loss, low at the end of an epoch on the rows just seen, and high again.

    What to do: leave ``shuffle`` on.
    """

    name: ClassVar[str] = "D21"
    summary: ClassVar[str] = "sorted rows"
    rank: ClassVar[int] = 40

    def find(self, evidence: Evidence) -> Finding | None:
        relations = evidence.summary.relations if evidence.summary is not None else None
        if relations is None or not evidence.in_order:
            return None
        z, lag = relations.runs, relations.neighbours
        if not (abs(z) > RUNS or lag > NEIGHBOURS):
            return None
        told = f"runs test z = {z:.1f}" if abs(z) > RUNS else f"each target correlates by {lag:.2f} with the one before"
        return self.found(
            Certainty.MEASURED,
            f"The rows are sorted by '{evidence.target}' ({told}), and in this order every epoch forgets its beginning.",
            remedy(evidence, shuffle="True"), runs_z=0.0 if math.isnan(z) else z, neighbours=0.0 if math.isnan(lag) else lag,
        )  # fmt: skip
