"""How far the prediction of each row moves within the unit ball of a matrix M: what a proof needs to know of the rows.

    spread_i = max { |x_i . d| : d^T M d <= 1 } = sqrt(x_i^T M^-1 x_i)

With classes it is the difference of two of a row's predictions that counts, and the pair that can move farthest apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fallline.inverse import Inverse
from fallline.objective import DENSER, ModelObjective
from fallline.rows._base import Array, Batch, Rows

ROUNDED = 1e-13  # of the terms of a sum of products may be lost to rounding: added, for a spread must not be too small
DOUBTFUL = 0.01  # of a spread's square: where more may be lost, the row is multiplied by the root instead
SHORT = 4.0  # times fewer pairs of entries than columns: longer rows are not worth taking apart
AT_ONCE = 1_000_000  # numbers


class Spread(NamedTuple):
    """A function of a batch that gives the spreads of its rows, and how many numbers a row it needs room for.

    `beside`, of classes: how far each of a row's predictions moves beside that of its own class, (m, K).
    """

    of: Callable[[Batch], Array]
    width: int
    beside: Callable[[Batch], Array] | None = None

    def each(self, rows: Rows) -> Array:
        """The spreads of all rows, in order."""
        return rows.each(self.of, self.width)


def spread(
    objective: ModelObjective, rows: Rows, theta: Array, inverse: Inverse, less: NDArray[np.bool_] | None = None
) -> Spread:
    """The spreads of `rows`, or of others like them, in the matrix that `inverse` belongs to.

    `less`: classes of each of the rows (m, K) that have no part in it.
    """
    scaling = objective.scaling
    if theta.ndim == 2:
        return _of_classes(objective, theta, inverse, less)

    def dense(X: Any) -> Array:
        inner = scaling.rows(X) @ inverse.root
        return np.asarray(np.einsum("ij,ij->i", inner, inner))

    if len(scaling.far) or rows.n**2 * rows.m**2 <= DENSER * rows.stored**2:
        return Spread(lambda batch: np.sqrt(dense(batch.X)), theta.size)
    coef, b = scaling.outward(inverse.root)
    out = np.vstack([coef, b]) if scaling.intercept else coef
    N = out @ out.T

    def sparse(batch: Batch) -> Array:
        X = batch.X.tocsr()
        squares, lost = np.zeros(len(batch.y)), np.full(len(batch.y), np.inf)
        short = np.diff(X.indptr) ** 2 <= rows.n / SHORT
        squares[short], lost[short] = _by_pairs(X[short], N, scaling.intercept)
        others = np.flatnonzero(lost > DOUBTFUL * squares)  # long rows, and sums of large terms that cancel
        for some in np.array_split(others, -(-len(others) * theta.size // AT_ONCE)) if len(others) else []:
            squares[some], lost[some] = dense(X[some]), 0.0
        return np.asarray(np.sqrt(squares + lost))

    return Spread(sparse, 1)


def _of_classes(objective: ModelObjective, theta: Array, inverse: Inverse, less: NDArray[np.bool_] | None) -> Spread:
    """sqrt(x^T (N_kk + N_qq - N_kq - N_qk) x), N = M^-1, of the widest pair of classes k and q; and of each beside y's."""
    p, classes = theta.shape
    root = inverse.root.reshape(p, classes, -1)
    pairs = [(k, q) for k in range(classes) for q in range(k)]
    # A triangular factor F of each form, F^T F = (root_k - root_q) (root_k - root_q)^T: as a difference of entries of N, where
    # these are large, the form would keep no digits.
    factors = [np.asarray(np.linalg.qr((root[:, k] - root[:, q]).T, mode="r")) for k, q in pairs]

    def square(factor: Array, inner: Array) -> Array:
        moved = inner @ factor.T
        return np.asarray(np.einsum("ip,ip->i", moved, moved))

    def of(batch: Batch) -> Array:
        inner = objective.scaling.rows(batch.X)
        squares = np.zeros(len(inner))
        for (k, q), factor in zip(pairs, factors, strict=True):
            own = square(factor, inner)
            if less is not None:
                some = less[batch.first : batch.first + len(inner)]
                own[some[:, k] | some[:, q]] = 0.0
            np.maximum(squares, own, out=squares)
        return np.sqrt(squares)

    def beside(batch: Batch) -> Array:
        inner, y = objective.scaling.rows(batch.X), batch.y.astype(np.intp)
        squares = np.zeros((len(inner), classes))
        for (k, q), factor in zip(pairs, factors, strict=True):
            for one, other in ((k, q), (q, k)):
                mine = y == one
                squares[mine, other] = square(factor, inner[mine])
        return np.sqrt(np.maximum(squares, 0.0))

    return Spread(of, theta.size, beside)


def _by_pairs(X: Any, N: Array, intercept: bool) -> tuple[Array, Array]:
    """x^T N x of sparse rows, from the pairs of the entries of each row, and what rounding may have lost of it.

    The last of N belongs to a column of ones.
    """
    m, counts = X.shape[0], np.diff(X.indptr)
    of_entry = np.repeat(counts, counts)  # entries of the row that an entry is in
    left = np.repeat(np.arange(X.nnz), of_entry)
    first = np.repeat(np.cumsum(of_entry) - of_entry, of_entry)
    right = np.repeat(np.repeat(X.indptr[:-1], counts), of_entry) + np.arange(len(left)) - first
    values = N[X.indices[left], X.indices[right]] * X.data[left] * X.data[right]
    found = np.bincount(np.repeat(np.arange(m), counts * counts), values, minlength=m)
    size = np.sqrt(np.diag(N))
    lengths = abs(X) @ size[: X.shape[1]]
    if intercept:
        found = found + 2.0 * (X @ N[:-1, -1]) + N[-1, -1]
        lengths = lengths + size[-1]
    return np.maximum(found, 0.0), ROUNDED * lengths**2
