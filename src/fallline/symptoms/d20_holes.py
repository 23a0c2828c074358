"""D20: empty cells in the table."""

from __future__ import annotations

from typing import ClassVar

from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.verdict import Certainty

MOST_NAMED = 3


class Holes(Symptom):
    """Some cells are empty (or NaN).

    Rule: holes counted before training. Proved. In tables they are filled, by default with the median and with a
    column of their own that marks them (``--na auto``), text with a level of its own; arrays with NaN are refused,
    because nobody has said what they mean.

    What to do: nothing, if filled and marked is right; else ``--na drop``, ``--na median`` or ``--na refuse``.
    """

    name: ClassVar[str] = "D20"
    summary: ClassVar[str] = "empty cells"
    rank: ClassVar[int] = 90  # filled holes cause nothing: they are told last

    def find(self, evidence: Evidence) -> Finding | None:
        code, refusal = evidence.refused
        if code == self.name:
            return self.found(Certainty.PROVED, refusal)
        holes = evidence.summary.missing if evidence.summary is not None else {}
        if not holes:
            return None
        ordered = sorted(holes.items(), key=lambda item: -item[1])
        told = ", ".join(f"'{name}' in {count:,}" for name, count in ordered[:MOST_NAMED])
        unit = "row" if ordered[:MOST_NAMED][-1][1] == 1 else "rows"
        more = f" and {len(ordered) - MOST_NAMED:,} more columns" if len(ordered) > MOST_NAMED else ""
        return Finding(
            self.name, self.summary, Certainty.PROVED, f"Empty cells were filled and marked: {told} {unit}{more}.", "",
            {"cells": sum(holes.values()), "columns": len(holes)}, 0, "filled, and marked by indicator columns",
        )  # fmt: skip
