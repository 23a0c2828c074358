"""Least squares without the rows: everything that gradient descent sees of them fits in n + 1 rows.

With R the triangular factor of [X y],

    ||X theta - y||^2  =  ||R_x theta - r_y||^2,      X^T (X theta - y)  =  R_x^T (R_x theta - r_y)

for every theta. So the loop, run on the n + 1 rows [R_x r_y] with the same m, takes the same steps through the same costs
(a sum of squares as before: nothing cancels), and a step costs n^2 instead of m n.

R comes from the Gram matrix by Cholesky, which is fast and loses accuracy as the square of the conditioning. Where that
would show, columns made nearly orthogonal by this R go through the same once more, and the product of both factors is as
good as that of QR (CholeskyQR2: Yamamoto et al. 2015). Where even that must fail, QR, block by block.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fallline.rows._base import Array, Batch
from fallline.rows.arrays import ArrayRows

Matrix = NDArray[np.float64]

ONCE, TWICE = 100.0, 1e6  # conditioning of the scaled [X y] up to which one Cholesky, or two, keep twelve digits
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
        R = functools.reduce(_stack, (_triangle(block) for block in _blocks(rows)))
    return None if R is None else ArrayRows(R[:, :-1], R[:, -1].copy(), total_weight=rows.total_weight)


def _blocks(rows: ArrayRows) -> list[tuple[Array, Array]]:
    return [(rows.X[k : k + BLOCK_ROWS], rows.y[k : k + BLOCK_ROWS]) for k in range(0, rows.m, BLOCK_ROWS)]


def _joined(block: tuple[Array, Array]) -> Matrix:
    return np.column_stack([block[0], block[1]]).astype(np.float64, copy=False)


def _by_gram(rows: ArrayRows) -> Matrix | None:
    """R by Cholesky of the Gram matrix of the scaled columns, twice where once is not enough; None where twice is not."""
    G = _gram(rows, lambda A: A)
    size = np.sqrt(np.diag(G))
    if not (np.isfinite(size).all() and size.all()):
        return None
    first = _factor(G / np.outer(size, size))
    if first is None:
        return None
    R, condition = first * size, float(np.linalg.cond(first))
    if condition <= ONCE:
        return R
    if condition > TWICE:
        return None
    back = np.linalg.inv(first) / size[:, None]  # [X y] @ back has nearly orthogonal columns
    second = _factor(_gram(rows, lambda A: A @ back))
    return None if second is None else np.asarray(second @ R)


def _gram(rows: ArrayRows, change: Callable[[Matrix], Matrix]) -> Matrix:
    """A^T A summed over the blocks A of [X y], each changed first."""

    def part(batch: Batch) -> Matrix:
        A = change(_joined((batch.X, batch.y)))
        return A.T @ A  # NumPy forms one half of this and mirrors it

    return rows.sum(part, room=(rows.n + 1) ** 2)


def _factor(G: Matrix) -> Matrix | None:
    """The upper triangular factor of G; None where round-off leaves none."""
    try:
        return np.asarray(np.linalg.cholesky(G).T)
    except np.linalg.LinAlgError:
        return None


def _triangle(block: tuple[Array, Array]) -> Matrix:
    return np.asarray(np.linalg.qr(_joined(block), mode="r"))


def _stack(R: Matrix, other: Matrix) -> Matrix:
    return np.asarray(np.linalg.qr(np.vstack([R, other]), mode="r"))
