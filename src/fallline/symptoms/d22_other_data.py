"""D22: the rows to predict are not like the rows of training."""

from __future__ import annotations

from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Certainty

MOVED = 3.0  # standard deviations of training, between the means
NARROWER, WIDER = 0.2, 5.0  # ratio of the standard deviations
OUTSIDE = 0.2  # of the rows beyond the range of training
FEWEST_ROWS = 20
MOST_STANDARD = 0.5  # of the columns that could be standardised: from here on they are


class OtherData(Symptom):
    """The rows to predict differ from those of training, or were standardised by somebody although the model does that.

    Rule: of at least 20 rows, most of the columns have a mean near 0 and a standard deviation near 1 while those of
    training had not: already scaled, refused unless forced. Or a column's mean has moved by more than 3 of its standard
    deviations, its spread is below 0.2 or above 5 times that of training, or more than 20 % of the rows are beyond its
    range: drift. Measured. Of a column of sparse rows only where 20 of the new rows have an entry, or should have.

    What you see: predictions that are far off, or nearly all the same.

    What to do: give the raw columns, in the units of the training data; the model scales them itself. Where the world has
    changed, train again.
    """

    name: ClassVar[str] = "D22"
    summary: ClassVar[str] = "other data at prediction"
    rank: ClassVar[int] = 30

    def find(self, evidence: Evidence) -> Finding | None:
        code, refusal = evidence.refused
        if code == self.name:
            return self.found(Certainty.MEASURED, refusal)
        new = evidence.arrived
        if new is None or new.rows < FEWEST_ROWS:
            return None
        if new.columns and new.standard > MOST_STANDARD * new.columns:
            return self.found(
                Certainty.MEASURED,
                f"These numbers look already standardised ({new.standard:,} of {new.columns:,} columns); the model scales "
                "them itself.",
                already_scaled=1, columns=new.standard,
            )  # fmt: skip
        if abs(new.moved) <= MOVED and NARROWER <= new.spread <= WIDER and new.outside <= OUTSIDE:
            return None
        if abs(new.moved) > MOVED:
            told = f"its mean has moved by {abs(new.moved):,.1f} standard deviations"
        elif new.outside > OUTSIDE:
            told = f"{new.outside:.0%} of the rows are beyond the range that the model was trained on"
        else:
            told = f"it varies {new.spread:.2g} times as much"
        return self.found(
            Certainty.MEASURED, f"'{new.column}' is not what it was in training: {told}.",
            column=new.column, moved=new.moved, spread=new.spread, outside=new.outside,
        )  # fmt: skip
