"""D11: columns that move together."""

from __future__ import annotations

import math
from typing import ClassVar

from fallline.relations import FEWEST
from fallline.report.numbers import count, number
from fallline.symptoms._base import Evidence, Finding, Symptom
from fallline.symptoms._pasted import remedy
from fallline.verdict import Certainty

TOGETHER = 0.9  # |correlation| (as skore and ydata-profiling)
NARROW = 1e-3  # smallest eigenvalue of the correlation matrix
MOST_TERMS = 4
MEANT = ("identity", "log", "logit", "softmax")


class Collinear(Symptom):
    """Some columns say the same, so their weights are not meaningful one by one.

    Rule: one column is the sum of others, times numbers, plus a constant, in all rows: found on a sample by a pivoted QR
    factorisation and looked up in every row. Proved where the cells agree to the last bit, measured where they agree to
    within rounding (a total that was computed, inches beside centimetres). Or there are no fewer columns than rows: proved. Or
    two columns correlate by 0.9 or more, or the smallest eigenvalue of the correlation matrix is below 0.001: measured on
    a sample of 20 rows or more.

    Every level of a text has a column because that was asked for (reference="none"), there is an intercept and no penalty:
    proved. With a penalty these columns are not told of.

    What you see: weights of opposite signs that are large and change a lot with the data; predictions are fine.

    What to do: drop one of the columns, add an L2 penalty, or do not read anything into single weights.
    """

    name: ClassVar[str] = "D11"
    summary: ClassVar[str] = "collinear columns"
    rank: ClassVar[int] = 85

    def find(self, evidence: Evidence) -> Finding | None:
        relations = evidence.summary.relations if evidence.summary is not None else None
        if relations is None or evidence.summary is None or evidence.link not in MEANT:
            return None
        if relations.dependent:
            unique = "" if evidence.penalised else ": infinitely many weights fit equally well"
            if unique and not relations.exact:
                unique = ": their weights are not meaningful alone"
            told = _equation(relations.dependent, relations.combination, relations.constant)
            certainty = Certainty.PROVED if relations.exact else Certainty.MEASURED
            how = "in every row" if relations.exact else "in every row, to within rounding"
            return self.found(
                certainty, f"{told} {how}{unique}.",
                remedy(evidence, drop=relations.dependent) if evidence.source else remedy(evidence, l2="0.001"),
                columns=1 + len(relations.combination), column=relations.dependent,
            )  # fmt: skip
        full = relations.full if evidence.intercept else relations.full[1:]  # without one, one text may have them all
        if full and not evidence.penalised:
            return self.found(
                Certainty.PROVED,
                f"Every level of '{full[0]}' has a column, of which one follows from the other columns: infinitely many "
                "weights fit equally well.",
                remedy(evidence, l2="0.001"), column=full[0],
            )  # fmt: skip
        if len(evidence.summary.names) >= evidence.summary.rows > 0 and not evidence.penalised:
            return self.found(
                Certainty.PROVED,
                f"There are {len(evidence.summary.names):,} columns and {count(evidence.summary.rows, 'row', 'rows')}: "
                "infinitely many weights fit equally well.",
                remedy(evidence, l2="0.001"), columns=len(evidence.summary.names),
            )  # fmt: skip
        if relations.rows < FEWEST:
            return None
        a, b, rho = relations.pair or ("", "", 0.0)
        if abs(rho) >= TOGETHER:
            return self.found(
                Certainty.MEASURED,
                f"'{a}' and '{b}' move together ({rho:.2f}): their two weights are not meaningful alone.",
                remedy(evidence, drop=b) if evidence.source else remedy(evidence, l2="0.001"),
                first=a, second=b, correlation=rho, rows=relations.rows,
            )  # fmt: skip
        if not math.isnan(relations.smallest) and relations.smallest < NARROW:
            return self.found(
                Certainty.MEASURED,
                f"Some columns nearly make up another (smallest eigenvalue of their correlations {relations.smallest:.1e}): "
                "their weights are not meaningful alone.",
                remedy(evidence, l2="0.001"), smallest_eigenvalue=relations.smallest, rows=relations.rows,
            )  # fmt: skip
        return None


def _equation(column: str, terms: tuple[tuple[str, float], ...], constant: float) -> str:
    """``'a' = 'b' + 2 'c' - 'd' + 7``."""
    told = ""
    for k, (name, c) in enumerate(terms[:MOST_TERMS]):
        sign = "-" if c < 0.0 else "+" if k else ""
        size = "" if abs(c) == 1.0 else f"{number(abs(c))} "
        told += f"{' ' if k else ''}{sign}{' ' if sign and k else ''}{size}'{name}'"
    more = f" + {len(terms) - MOST_TERMS:,} terms more" if len(terms) > MOST_TERMS else ""
    rest = f" {'-' if constant < 0.0 else '+'} {number(abs(constant))}" if constant else ""
    return f"'{column}' = {told}{more}{rest}"
