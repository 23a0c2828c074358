"""D14: a column that never changes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Certainty

MOST_NAMED = 3


class ConstantColumn(Symptom):
    """A column has one value in all training rows, so it cannot tell rows apart.

    Rule: its standard deviation is zero (to round-off). Proved. With an intercept its weight stays at zero.

    What to do: nothing is wrong with the model; drop the column, or find out why it is empty of information.
    """

    name: ClassVar[str] = "D14"
    summary: ClassVar[str] = "constant column"
    rank: ClassVar[int] = 41

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.summary is None:
            return None
        columns = np.flatnonzero(evidence.summary.sd == 0.0)
        if not len(columns):
            return None
        names = ", ".join(f"'{evidence.summary.names[j]}'" for j in columns[:MOST_NAMED])
        more = f" and {len(columns) - MOST_NAMED:,} more" if len(columns) > MOST_NAMED else ""
        verb = "has one value" if len(columns) == 1 else "have one value each"
        first = evidence.summary.names[columns[0]]
        return Finding(
            self.name, self.summary, Certainty.PROVED, f"{names}{more} {verb} only; nothing can be learned from it.",
            f"fallline fit {evidence.source} --target {evidence.target} --drop {first}" if evidence.source else "",
            {"columns": len(columns)},
        )  # fmt: skip
