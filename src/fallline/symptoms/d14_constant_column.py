"""D14: a column with one value only, or nearly so."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty

MOST_NAMED = 3
MOST_DROPPED = 100  # of more columns, as sparse files have them, to leave one out is no remedy


class ConstantColumn(Symptom):
    """A column has one value in all training rows, or in nearly all, so it hardly tells rows apart.

    Rule: its standard deviation is zero (to round-off): proved, and with an intercept its weight stays at zero. Or one
    value fills more than 99 % of a sample of the rows: measured. Columns that were made of the levels of text, or that
    mark holes, are not looked at: they may be rare.

    What to do: nothing is wrong with the model; drop the column, or find out why it is empty of information.
    """

    name: ClassVar[str] = "D14"
    summary: ClassVar[str] = "constant column"
    rank: ClassVar[int] = 86

    def find(self, evidence: Evidence) -> Finding | None:
        summary = evidence.summary
        if summary is None:
            return None
        flat = np.flatnonzero(summary.sd == 0.0) if evidence.intercept else np.flatnonzero(
            (summary.sd == 0.0) & (summary.mean == 0.0)
        )  # fmt: skip
        constant = [summary.names[j] for j in flat if summary.high[j] == summary.low[j]]
        drowned = [summary.names[j] for j in flat if summary.high[j] > summary.low[j]]
        if constant:
            verb = "has one value" if len(constant) == 1 else "have one value each"
            it, few = "it" if len(constant) == 1 else "them", len(constant) <= MOST_DROPPED
            return self.found(
                Certainty.PROVED, f"{_named(constant)} {verb} only; nothing can be learned from {it}.",
                remedy(evidence, drop=constant[0]) if evidence.source and few else "", columns=len(constant),
            )  # fmt: skip
        if drowned:
            name = drowned[0]
            middle = float(summary.mean[list(summary.names).index(name)])
            return self.found(
                Certainty.MEASURED,
                f"'{name}' varies by less than a 1e-13th of its size, or in rows of no weight alone, and was taken for constant. "
                f"Subtract {middle:.6g} from it.",
                columns=len(drowned),
            )  # fmt: skip
        common = summary.relations.common if summary.relations is not None else ()
        if not common:
            return None
        name, share = max(common, key=lambda pair: pair[1])
        others = f", and {len(common) - 1:,} more columns are like it" if len(common) > 1 else ""
        return self.found(
            Certainty.MEASURED, f"'{name}' has the same value in {100 * share:.3g} % of the rows looked at{others}.",
            remedy(evidence, drop=name) if evidence.source else "", columns=len(common), share=share,
        )  # fmt: skip


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:MOST_NAMED]) + more
