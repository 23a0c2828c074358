"""Passes over dense rows: forward, loss and backward while the rows are in the processor's cache.

Two NumPy products read X twice from memory; these read it once. Sums are in double precision whatever X is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.kernels.compile import Kernel
from fallline.kernels.judge import judge
from fallline.kernels.prefetch import prefetch


def _by_rows(
    loss: Any,
    X: Any,
    y: Any,
    weight: Any,
    offset: Any,
    coef: Any,
    b: Any,
    back: Any,
    begin: Any,
    end: Any,
    most: Any,
    ahead: Any,
) -> Any:
    """Add X^T r to `back`; return (sum of weighted phi, sum of r). X lies row by row. `weight`, `offset` may be empty."""
    n = X.shape[1]
    J, total = 0.0, 0.0
    z, v, r = np.empty(most), np.empty(most), np.empty(most)
    for first in range(begin, end, most):
        last = min(first + most, end)
        k, rows = last - first, X[first:last]
        for i in range(k):
            prefetch(X, first + i + ahead)
            s = 0.0
            for j in range(n):
                s += rows[i, j] * coef[j]
            z[i] = s + b
        loss_sum, slope_sum = judge(loss, y[first:last], weight[first:last], offset[first:last], z, r, v)
        J += loss_sum
        total += slope_sum
        i = 0
        while i + 4 <= k:  # four rows at once: a quarter of the traffic to `back`
            a0, a1, a2, a3 = r[i], r[i + 1], r[i + 2], r[i + 3]
            for j in range(n):
                back[j] += a0 * rows[i, j] + a1 * rows[i + 1, j] + a2 * rows[i + 2, j] + a3 * rows[i + 3, j]
            i += 4
        while i < k:
            for j in range(n):
                back[j] += r[i] * rows[i, j]
            i += 1
    return J, total


def _by_columns(
    loss: Any, X: Any, y: Any, weight: Any, offset: Any, coef: Any, b: Any, back: Any, begin: Any, end: Any, most: Any
) -> Any:
    """The same for an X that lies column by column (Fortran's order)."""
    n = X.shape[1]
    J, total = 0.0, 0.0
    z, v, r = np.empty(most), np.empty(most), np.empty(most)
    for first in range(begin, end, most):
        last = min(first + most, end)
        k, rows = last - first, X[first:last]
        for i in range(k):
            z[i] = b
        j = 0
        while j + 4 <= n:  # four columns at once: a quarter of the traffic to z
            c0, c1, c2, c3 = coef[j], coef[j + 1], coef[j + 2], coef[j + 3]
            x0, x1, x2, x3 = rows[:, j], rows[:, j + 1], rows[:, j + 2], rows[:, j + 3]
            for i in range(k):
                z[i] += c0 * x0[i] + c1 * x1[i] + c2 * x2[i] + c3 * x3[i]
            j += 4
        while j < n:
            x0 = rows[:, j]
            for i in range(k):
                z[i] += coef[j] * x0[i]
            j += 1
        loss_sum, slope_sum = judge(loss, y[first:last], weight[first:last], offset[first:last], z, r, v)
        J += loss_sum
        total += slope_sum
        j = 0
        while j + 4 <= n:
            s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
            x0, x1, x2, x3 = rows[:, j], rows[:, j + 1], rows[:, j + 2], rows[:, j + 3]
            for i in range(k):
                s0 += r[i] * x0[i]
                s1 += r[i] * x1[i]
                s2 += r[i] * x2[i]
                s3 += r[i] * x3[i]
            back[j] += s0
            back[j + 1] += s1
            back[j + 2] += s2
            back[j + 3] += s3
            j += 4
        while j < n:
            x0 = rows[:, j]
            s0 = 0.0
            for i in range(k):
                s0 += r[i] * x0[i]
            back[j] += s0
            j += 1
    return J, total


def _moments(X: Any, weight: Any, begin: Any, end: Any, sums: Any, squares: Any, low: Any, high: Any) -> Any:
    """Weighted sums and sums of squares of x - x_first, and the extremes, of each column; return the sum of weights."""
    n = X.shape[1]
    total = 0.0
    start = X[begin].astype(np.float64)
    low[:], high[:] = start, start
    i = begin
    while i + 4 <= end:  # four rows at once: a quarter of the traffic to the sums
        r0, r1, r2, r3 = X[i], X[i + 1], X[i + 2], X[i + 3]
        w0, w1, w2, w3 = 1.0, 1.0, 1.0, 1.0
        if len(weight):
            w0, w1, w2, w3 = weight[i], weight[i + 1], weight[i + 2], weight[i + 3]
        total += w0 + w1 + w2 + w3
        for j in range(n):
            x0, x1, x2, x3 = np.float64(r0[j]), np.float64(r1[j]), np.float64(r2[j]), np.float64(r3[j])
            low[j] = min(low[j], min(min(x0, x1), min(x2, x3)))
            high[j] = max(high[j], max(max(x0, x1), max(x2, x3)))
            d0, d1, d2, d3 = x0 - start[j], x1 - start[j], x2 - start[j], x3 - start[j]
            sums[j] += w0 * d0 + w1 * d1 + w2 * d2 + w3 * d3
            squares[j] += w0 * d0 * d0 + w1 * d1 * d1 + w2 * d2 * d2 + w3 * d3 * d3
        i += 4
    while i < end:
        w = weight[i] if len(weight) else 1.0
        total += w
        for j in range(n):
            x = np.float64(X[i, j])
            d = x - start[j]
            sums[j] += w * d
            squares[j] += w * d * d
            low[j] = min(low[j], x)
            high[j] = max(high[j], x)
        i += 1
    return total


def _moments_by_columns(X: Any, weight: Any, begin: Any, end: Any, sums: Any, squares: Any, low: Any, high: Any) -> Any:
    """The same for an X that lies column by column."""
    rows, w = X[begin:end], weight[begin:end]
    for j in range(X.shape[1]):
        column = rows[:, j]
        start = np.float64(column[0])
        s, q, lowest, highest = 0.0, 0.0, start, start
        for i in range(len(column)):
            x = np.float64(column[i])
            d = (x - start) * (w[i] if len(w) else 1.0)
            s += d
            q += d * (x - start)
            lowest = min(lowest, x)
            highest = max(highest, x)
        sums[j], squares[j], low[j], high[j] = s, q, lowest, highest
    return w.sum() if len(w) else np.float64(len(rows))


def _gram(X: Any, c: Any, shift: Any, scale: Any, G: Any, pull: Any, low: Any, high: Any) -> None:
    """Add sum_i c_i x'_i x'_i^T to G, below its diagonal, and sum_i c_i x'_i to `pull`; x' = (x - shift) / scale.

    And the extremes of x to `low` and `high`.
    """
    m, n = X.shape
    rows, w = np.zeros((8, n)), np.zeros(8)
    each = 1.0 / scale
    for first in range(0, m, 8):  # eight rows at once: an eighth of the traffic to the sums
        for q in range(8):
            i = first + q
            w[q] = c[i] if i < m else 0.0
            if i < m:
                for j in range(n):
                    x = X[i, j]
                    low[j], high[j] = min(low[j], x), max(high[j], x)
                    rows[q, j] = (x - shift[j]) * each[j]
        r0, r1, r2, r3, r4, r5, r6, r7 = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7]
        for j in range(n):
            a0, a1, a2, a3 = w[0] * r0[j], w[1] * r1[j], w[2] * r2[j], w[3] * r3[j]
            a4, a5, a6, a7 = w[4] * r4[j], w[5] * r5[j], w[6] * r6[j], w[7] * r7[j]
            pull[j] += a0 + a1 + a2 + a3 + (a4 + a5 + a6 + a7)
            g = G[j]
            for k in range(j + 1):
                few = a0 * r0[k] + a1 * r1[k] + a2 * r2[k] + a3 * r3[k]
                g[k] += few + (a4 * r4[k] + a5 * r5[k] + a6 * r6[k] + a7 * r7[k])


by_rows, by_columns = Kernel(_by_rows), Kernel(_by_columns)
moments, moments_by_columns = Kernel(_moments), Kernel(_moments_by_columns)
gram = Kernel(_gram)
