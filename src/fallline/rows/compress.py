"""Least squares without the rows: everything that gradient descent sees of them fits in n + 1 rows.

With R the triangular factor of [X y],

    ||X theta - y||^2  =  ||R_x theta - r_y||^2,      X^T (X theta - y)  =  R_x^T (R_x theta - r_y)

for every theta. So the loop, run on the n + 1 rows [R_x r_y] with the same m, takes the same steps through the same costs
(a sum of squares as before: nothing cancels), and a step costs n^2 instead of m n.

R comes from the Gram matrix by Cholesky, which is fast and loses accuracy as the square of the conditioning; where that
would show, from QR, block by block, which does not. (Cholesky twice over, CholeskyQR2, was tried: faster than QR, and on
columns far from zero a thousand times less exact than the loop itself.)
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from fallline.rows._base import Array, Batch
from fallline.rows.arrays import ArrayRows
from fallline.threads import each

Matrix = NDArray[np.float64]

MOST_CONDITION = 100.0  # of the scaled [X y]: its square times round-off stays near 1e-12
BLOCK_ROWS = 16_384
SMALLEST = 1_000_000  # numbers in X: below, the plain loop is over before anybody looks
ROWS_PER_COLUMN = 4
STEPS_AT_LEAST, GRAM_COST, QR_COST = 10, 0.25, 1.0  # a factor costs so many steps of the plain loop, per column


def compress(rows: ArrayRows, steps: int) -> ArrayRows | None:
    """n + 1 rows that stand for all of them in squared loss: the same J and the same gradient at every theta.

    None where so many steps on the rows themselves would be over sooner, and for rows that are sparse or weighted.
    """
    plain = isinstance(rows.X, np.ndarray) and rows.weight is None and rows.offset is None
    if not plain or rows.stored < SMALLEST or rows.m < ROWS_PER_COLUMN * (rows.n + 1):
        return None
    if steps < STEPS_AT_LEAST + GRAM_COST * rows.n:
        return None
    R = _by_gram(rows)
    if R is None and steps >= STEPS_AT_LEAST + QR_COST * rows.n:
        R = functools.reduce(stacked, each(_triangle, _blocks(rows)))
    return None if R is None else ArrayRows(R[:, :-1], R[:, -1].copy(), total_weight=rows.total_weight)


def _blocks(rows: ArrayRows) -> list[tuple[Array, Array]]:
    return [(rows.X[k : k + BLOCK_ROWS], rows.y[k : k + BLOCK_ROWS]) for k in range(0, rows.m, BLOCK_ROWS)]


def _joined(block: tuple[Array, Array]) -> Matrix:
    return np.column_stack([block[0], block[1]]).astype(np.float64, copy=False)


def _by_gram(rows: ArrayRows) -> Matrix | None:
    """R by Cholesky of the Gram matrix of the scaled columns; None where that would lose digits."""

    def part(batch: Batch) -> tuple[Matrix, Matrix, float]:
        return batch.X.T @ batch.X, batch.X.T @ batch.y, float(batch.y @ batch.y)  # NumPy forms one half of the first

    inner, side, corner = rows.sum(part, room=(rows.n + 1) ** 2)
    G = np.block([[inner, side[:, None]], [side[None, :], np.array([[corner]])]])
    size = np.sqrt(np.diag(G))
    if not (np.isfinite(size).all() and size.all()):
        return None
    try:
        factor = np.linalg.cholesky(G / np.outer(size, size)).T
    except np.linalg.LinAlgError:
        return None
    return np.asarray(factor * size) if np.linalg.cond(factor) <= MOST_CONDITION else None


def _triangle(block: tuple[Array, Array]) -> Matrix:
    return np.asarray(np.linalg.qr(_joined(block), mode="r"))


def stacked(R: Matrix, other: Matrix) -> Matrix:
    """The triangular factor of the rows of both."""
    return np.asarray(np.linalg.qr(np.vstack([R, other]), mode="r"))
