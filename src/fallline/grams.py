"""Sums of outer products of standardised rows, x' = (x - shift) / scale: what second derivatives are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fallline.rows._base import Array, Products, Rows
from fallline.scaling import Scaling

GRAM_ROWS = 256  # at once: their weighted copies for all classes stay in the cache (twice as fast as 2,048)
ROWS_AT_ONCE = 2048  # the same where there is one matrix: enough for the product to be worth adding
# Columns: wider products are quicker by BLAS. 60,000,000 numbers took the kernel 0.08 s and BLAS 0.25, without weights, in 20
# columns, 0.18 and 0.29 in 60, 0.24 and 0.21 in 100 (two threads each).
NARROW = 64
# Standard deviations from zero: columns no further away lose a digit when (x - shift)^2 is expanded, and save two thirds.
NEAR, MODERATE = 3.0, 1e100  # and sizes whose squares are numbers


def sparse_hessian(scaling: Scaling, rows: Rows, c: Array) -> Array:
    """sum_i c_i x'_i x'_i^T, (p, p); for c (m, K, K) the block matrix (p K, p K) of the class pairs.

    Sparse rows stay sparse: c (x - shift)(x - shift)^T is expanded instead of centring x.
    """

    def block(own: Array) -> Array:
        return _standardised(scaling, *rows.gram(np.ascontiguousarray(own)), float(own.sum()))

    if c.ndim == 1:
        return block(c)
    classes, p = c.shape[1], rows.n + scaling.intercept
    H = np.empty((p, classes, p, classes))
    for k in range(classes):
        for q in range(k + 1):
            H[:, k, :, q] = H[:, q, :, k] = block(c[:, k, q])
    return H.reshape(p * classes, p * classes)


def gram(scaling: Scaling, X: Any, c: Array, compiled: bool = False) -> Array:
    """sum_i c_i x'_i x'_i^T, (p, p), for c (m,); `compiled`: a kernel may be used, for there is enough for it to do."""
    if not isinstance(X, np.ndarray):
        X = X.toarray()
    if compiled and X.shape[1] <= NARROW and X.flags.c_contiguous:
        return _compiled(scaling, X, c)
    alike = bool((c == c[:1]).all())  # then the product is one of a matrix with itself, of which BLAS makes one half
    sizes = scaling.scale
    if np.all((np.abs(scaling.shift) <= NEAR * sizes) & (sizes > 1.0 / MODERATE) & (sizes < MODERATE)):
        return _standardised(scaling, c[0] * (X.T @ X) if alike else X.T @ (X * c[:, None]), X.T @ c, float(c.sum()))
    n = X.shape[1]
    G, pull = np.zeros((n, n)), np.zeros(n)
    # As many copies of them as there are rows: NumPy then works through all numbers in one line, not row by row.
    shift, scale = (np.tile(own, (min(ROWS_AT_ONCE, len(X)), 1)) for own in (scaling.shift, scaling.scale))
    for begin in range(0, len(X), ROWS_AT_ONCE):
        some, weight = X[begin : begin + ROWS_AT_ONCE], c[begin : begin + ROWS_AT_ONCE]
        inner = some - shift[: len(some)]
        inner /= scale[: len(some)]
        G += weight[0] * (inner.T @ inner) if alike else inner.T @ (inner * weight[:, None])
        pull += weight @ inner
    return _bordered(G, pull, float(c.sum())) if scaling.intercept else G


def of_products(scaling: Scaling, products: Products, c: float) -> Array:
    """The same for rows that are summed up already, all with the same c."""
    centre, squares, sums, rows = products
    return _standardised(replace(scaling, shift=scaling.shift - centre), c * squares, c * sums, c * rows)


def _compiled(scaling: Scaling, X: Array, c: Array) -> Array:
    """The same by a kernel, which reads the rows once and centres them on the way."""
    from fallline.kernels import dense

    n = X.shape[1]
    G, pull = np.zeros((n, n)), np.zeros(n)
    dense.gram(X, np.ascontiguousarray(c), scaling.shift, scaling.scale, G, pull, np.zeros(n), np.zeros(n))
    G += np.tril(G, -1).T
    return _bordered(G, pull, float(c.sum())) if scaling.intercept else G


def _standardised(scaling: Scaling, G: Array, pull: Array, total: float) -> Array:
    """sum_i c_i x'_i x'_i^T of G = sum_i c_i x_i x_i^T, which is overwritten, pull = sum_i c_i x_i and total = sum_i c_i."""
    G -= np.outer(scaling.shift, pull - total * scaling.shift)
    G -= np.outer(pull, scaling.shift)
    G /= scaling.scale
    G /= scaling.scale[:, None]
    return _bordered(G, (pull - total * scaling.shift) / scaling.scale, total) if scaling.intercept else G


def _bordered(G: Array, side: Array, corner: float) -> Array:
    return np.block([[G, side[:, None]], [side[None, :], np.array([[corner]])]])


def class_gram(inner: Array, c: Array) -> Array:
    """For each class k one product of inner^T with the rows weighted by c_kq for all q <= k side by side."""
    rows, p = inner.shape
    classes = c.shape[1]
    H = np.zeros((classes, p, classes, p))
    for begin in range(0, rows, GRAM_ROWS):
        some, weights = inner[begin : begin + GRAM_ROWS], c[begin : begin + GRAM_ROWS]
        for k in range(classes):
            weighted = weights[:, k, : k + 1, None] * some[:, None, :]
            H[k, :, : k + 1] += (some.T @ weighted.reshape(len(some), -1)).reshape(p, k + 1, p)
    for k in range(classes):
        for q in range(k):
            H[q, :, k] = H[k, :, q]  # the block of (q, k) is that of (k, q): each is symmetric
    return H.transpose(1, 0, 3, 2).reshape(p * classes, p * classes)
