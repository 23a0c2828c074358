"""Passes over CSR rows: forward, loss and backward while a few rows are in the processor's cache.

Indices are unsigned: signed ones would be checked for counting from the end, which costs half the speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.kernels.compile import Kernel
from fallline.kernels.judge import judge

ROWS = 32  # at once: enough for the loss to work on several rows, few enough to stay in the cache


def _by_rows(
    loss: Any, data: Any, indices: Any, indptr: Any, y: Any, weight: Any, offset: Any, coef: Any, b: Any, back: Any,
    begin: Any, end: Any,
) -> Any:  # fmt: skip
    """Add X^T r to `back`; return (sum of weighted phi, sum of r). `weight` and `offset` may be empty."""
    J, total = 0.0, 0.0
    z, v, r = np.empty(ROWS), np.empty(ROWS), np.empty(ROWS)
    for first in range(begin, end, ROWS):
        last = min(first + ROWS, end)
        k = last - first
        for i in range(k):
            s = 0.0
            for p in range(indptr[first + i], indptr[first + i + 1]):
                s += data[p] * coef[indices[p]]
            z[i] = s + b
        loss_sum, slope_sum = judge(loss, y[first:last], weight[first:last], offset[first:last], z, r, v)
        J += loss_sum
        total += slope_sum
        for i in range(k):
            a = r[i]
            for p in range(indptr[first + i], indptr[first + i + 1]):
                back[indices[p]] += a * data[p]
    return J, total


def _sums(data: Any, indices: Any, indptr: Any, weight: Any, total: Any, stored: Any, count: Any, low: Any, high: Any,
          begin: Any, end: Any) -> Any:  # fmt: skip
    """Of the stored entries of each column: weighted sum, weight, number, lowest and highest."""
    for i in range(begin, end):
        w = weight[i] if len(weight) else 1.0
        for p in range(indptr[i], indptr[i + 1]):
            j, x = indices[p], np.float64(data[p])
            total[j] += w * x
            stored[j] += w
            count[j] += 1.0
            low[j] = min(low[j], x)
            high[j] = max(high[j], x)


def _squares(data: Any, indices: Any, indptr: Any, weight: Any, mean: Any, square: Any, begin: Any, end: Any) -> Any:
    """Weighted sum of (x - mean)^2 of the stored entries of each column."""
    for i in range(begin, end):
        w = weight[i] if len(weight) else 1.0
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            d = np.float64(data[p]) - mean[j]
            square[j] += w * d * d


def _gram(data: Any, indices: Any, indptr: Any, c: Any, G: Any, pull: Any, begin: Any, end: Any) -> None:
    """Add sum_i c_i x_i x_i^T to `G`, its lower triangle alone, and sum_i c_i x_i to `pull`; indices are in order."""
    for i in range(begin, end):
        for p in range(indptr[i], indptr[i + 1]):
            a, j = c[i] * data[p], indices[p]
            pull[j] += a
            for q in range(indptr[i], p + 1):
                G[j, indices[q]] += a * data[q]


by_rows, sums, squares, gram = Kernel(_by_rows), Kernel(_sums), Kernel(_squares), Kernel(_gram)
