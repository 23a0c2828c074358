"""Fewer rows than columns: everything that happens, happens in the space of the rows.

Gradients are sums of rows, so theta, which starts at zero, never leaves the span of the m rows, and a ridge only shrinks
it there. With X' = L Q^T, Q (n, r) orthonormal, r <= m,

    X' w = L v,    ||w|| = ||v||    for w = Q v,

so the same problem on L, (m, r), has the same J, the same gradient norms and the same optimum. Q is never stored: it is
X'^T B S^-1, where B S A^T are the singular parts of the triangular factor of X'^T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fallline.exact_rank import row_rank
from fallline.rows._base import Array
from fallline.rows.arrays import ArrayRows
from fallline.scaling import Scaling

DEPENDENT = 1e-13  # of the largest singular value: smaller is a dependence between rows, as far as can be seen
SAFE = 1e-6  # of the largest: the way back loses digits as the square of the smallest that is kept
COLUMNS_AT_ONCE = 1_000_000  # numbers: blocks of columns are made dense and standardised


@dataclass(frozen=True)
class RowSpace:
    """The m rows in r <= m coordinates of their own, and the way back."""

    rows: ArrayRows
    scaling: Scaling  # of the new coordinates: none, but for the intercept
    outer: ArrayRows
    outer_scaling: Scaling
    lift: NDArray[np.float64]  # (m, r): Q = X'^T lift
    exact: bool  # whether the rows have no other direction, as small as it may be

    def outward(self, theta: Array) -> Array:
        """Theta in the coordinates of all columns."""
        v, b = self.scaling.split(theta)
        s = self.lift @ v
        back = self.outer.X.T @ s
        w = self.outer_scaling.gathered(back, s.sum(axis=0))[: self.outer.n]
        return np.concatenate([w, np.asarray(b)[None]]) if self.scaling.intercept else w


def row_space(rows: ArrayRows, scaling: Scaling) -> RowSpace | None:
    """Find the coordinates; costs about 2 n m^2 operations. None where rows are nearly, not exactly, dependent."""
    R = np.zeros((0, rows.m))
    step = max(rows.m, COLUMNS_AT_ONCE // rows.m)
    filled = np.flatnonzero(rows.X.getnnz(axis=0)) if hasattr(rows.X, "getnnz") else np.arange(rows.n)
    for begin in range(0, len(filled), step):
        some = filled[begin : begin + step]  # columns without entries say nothing
        X = rows.X[:, some]
        block = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float64)
        R = np.asarray(np.linalg.qr(np.vstack([R, ((block - scaling.shift[some]) / scaling.scale[some]).T]), mode="r"))
    if not len(R):  # no column has an entry
        return None
    _, values, across = np.linalg.svd(R)
    kept = values > DEPENDENT * max(float(values[0]), np.finfo(float).tiny)
    B, S = across[: len(values)][kept].T, values[kept]
    if not len(S) or S[-1] < SAFE * S[0]:
        return None
    inner = ArrayRows(np.ascontiguousarray(B * S), rows.y, rows.weight, rows.offset, rows.total_weight)
    most = rows.m - scaling.intercept  # centred rows sum to zero
    exact = len(S) >= most or row_rank(rows, scaling.intercept) == len(S) + scaling.intercept
    return RowSpace(inner, Scaling.none(len(S), scaling.intercept), rows, scaling, B / S, exact)
