"""Squared loss, exactly: the triangular factor of [1 X Y] is all that gradient descent ever sees of the rows.

    R^T R = A^T A,   A = [sqrt(weight) (1, x_i, y_i)]

Rows are added by one more QR, so any split of the rows gives the same R, and factors of several machines can be stacked.
The first column being the ones, what stands below the first row of R is the factor of the *centred* columns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.continuation import train_stages
from fallline.losses.squared import Squared
from fallline.penalties._base import Penalty
from fallline.rounding import EPS
from fallline.rows.arrays import ArrayRows
from fallline.rows.compress import BLOCK_ROWS, stacked
from fallline.scaling import NO_SPREAD, Scaling
from fallline.settings import Settings
from fallline.stages import Job, Stage
from fallline.start import best_constant
from fallline.summary import ROUND_OFF, Provenance, summarise

Array = NDArray[np.floating]

ROUNDINGS = 10.0  # of a column, that a QR factorisation by blocks leaves, with some room (Higham 2002, section 19.3)
PROVED = 1e-6  # of J: a bound above that, and above the tolerance, is none
MOST_COLUMNS = 2000  # the factor is a square of so many numbers, and each piece costs a QR of it


class ExactStream:
    """All that squared loss needs to know of the rows so far: (n + 1 + k)^2 numbers, for k targets."""

    def __init__(self, n: int, outputs: int, half_life: float | None) -> None:
        self.n, self.half_life = n, half_life
        self.R: NDArray[np.float64] = np.zeros((0, n + 1 + outputs))
        self.total, self.seen = 0.0, 0  # weight of the rows, and how many there were

    def add(self, X: Any, y: Array, weight: Array | None, offset: Array | None) -> None:
        """Rows X (m, n) with targets (m, k)."""
        faded, heavy = aged(self, len(y), weight)
        if not heavy.any():
            return
        self.R *= math.sqrt(faded)
        targets = y if offset is None else y - (offset if offset.ndim == 2 else offset[:, None])
        for begin in range(0, len(y), BLOCK_ROWS):
            some = slice(begin, begin + BLOCK_ROWS)
            dense = X[some].toarray() if hasattr(X, "toarray") else X[some]
            block = np.column_stack([np.ones(len(dense)), dense, targets[some]]) * np.sqrt(heavy[some])[:, None]
            self.R = stacked(self.R, np.asarray(block, dtype=np.float64))

    def solve(
        self, k: int, penalty: Penalty, intercept: bool, standardize: bool, tol: float
    ) -> tuple[Array, float, Stage]:
        """(coef, intercept, the run) for target k: the loop, on rows of R that stand for all rows."""
        n = self.n
        A, b = np.zeros((self.R.shape[1], self.R.shape[1])), n + 1 + k  # square from the first row on
        below = self.R[1:] if intercept else self.R
        A[: len(below)] = below
        mean = self.R[0] / self.R[0, 0]  # of each column, weighted
        spread = np.sqrt(np.einsum("ij,ij->j", A, A) / self.total)
        if intercept:
            spread[spread <= ROUND_OFF * np.abs(mean)] = 0.0
        sd = spread[1 : n + 1]
        scale = np.where(sd > 0.0, sd, NO_SPREAD) if standardize else np.ones(n)
        scaling = Scaling(np.zeros(n), scale, False)
        rows = ArrayRows(np.ascontiguousarray(A[:, 1 : n + 1]), A[:, b].copy(), total_weight=self.total)
        rule = penalty.scaled(np.where(scale < NO_SPREAD, scale, 1.0))
        form = Squared()
        job = Job(
            rows, None, scaling, rule, Settings(penalty, tol=tol), float(spread[b]) or 1.0, 1, Provenance(), scaling,
            summarise(rows, ("",) * n, ""), form, best_constant(form, rows),
        )  # fmt: skip
        stage = train_stages(job, form, np.zeros(n))
        coef, _ = scaling.outward(stage.run.best.theta)
        coef = penalty.project(coef)
        ending, J = stage.run.ending, stage.run.best.J
        if ending.gap is not None:
            gap = ending.gap + self._rounding(coef, k, J)
            known = gap <= max(tol, PROVED) * J or gap <= ROUND_OFF * float(spread[b]) ** 2
            stage.run.ending = ending._replace(gap=gap if known else None)
        return coef, float(mean[b] - mean[1 : n + 1] @ coef) if intercept else 0.0, stage

    def _rounding(self, coef: Array, k: int, J: float) -> float:
        """What the rounding of R does to J: each column of it is that of rows which are off by a rounding of the column."""
        rms = np.sqrt(np.square(self.R).sum(axis=0) / self.total)
        off = ROUNDINGS * EPS * float(rms[1 + self.n + k] + rms[1 : 1 + self.n] @ np.abs(coef))
        return off * math.sqrt(2.0 * J) + off * off


def aged(stream: Any, m: int, weight: Array | None) -> tuple[float, Array]:
    """What the rows so far are to be multiplied by, and the weights of m new rows, of which the last is not aged at all."""
    own = np.ones(m) if weight is None else np.asarray(weight, dtype=np.float64)
    factor, life = 1.0, stream.half_life
    if life is not None:
        since = float(own.sum()) - np.cumsum(own)  # weight of the rows after each
        factor = 0.5 ** (float(own.sum()) / life)
        own = own * 0.5 ** (since / life)
    stream.total = stream.total * factor + float(own.sum())
    stream.seen += m if weight is None else int(np.count_nonzero(weight))
    return factor, own
