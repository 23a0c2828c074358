"""Passes over rows of numbers and codes: a code is the number of the one column of its group that is 1 in the row.

The zeros of one-hot columns are neither stored nor read: z adds up one coefficient a code. A code equal to the number
of columns says that no column of its group is 1; `coef` and `back` have a last entry for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.kernels.compile import Kernel
from fallline.kernels.judge import judge

ROWS = 256  # at once: enough for each column's loop to work on several rows, few enough to stay in the cache


def _by_codes(
    loss: Any, numbers: Any, codes: Any, y: Any, weight: Any, offset: Any, slopes: Any, coef: Any, b: Any,
    across: Any, back: Any, begin: Any, end: Any,
) -> Any:  # fmt: skip
    """Add X^T r to `across` (of the numbers) and `back` (of the codes); return (sum of weighted phi, sum of r).

    `numbers` (d, m) and `codes` (k, m) lie column by column; `slopes` are the coefficients of the numbers. `weight` and
    `offset` may be empty.
    """
    J, total = 0.0, 0.0
    z, v, r = np.empty(ROWS), np.empty(ROWS), np.empty(ROWS)
    for first in range(begin, end, ROWS):
        last = min(first + ROWS, end)
        k = last - first
        for i in range(k):
            z[i] = b
        for j in range(len(numbers)):
            x = numbers[j, first:last]
            for i in range(k):
                z[i] += x[i] * slopes[j]
        j = 0
        while j + 4 <= len(codes):  # four groups at once: a quarter of the traffic to z
            c0, c1, c2, c3 = (
                codes[j, first:last],
                codes[j + 1, first:last],
                codes[j + 2, first:last],
                codes[j + 3, first:last],
            )
            for i in range(k):
                z[i] += coef[c0[i]] + coef[c1[i]] + coef[c2[i]] + coef[c3[i]]
            j += 4
        while j < len(codes):
            c0 = codes[j, first:last]
            for i in range(k):
                z[i] += coef[c0[i]]
            j += 1
        loss_sum, slope_sum = judge(loss, y[first:last], weight[first:last], offset[first:last], z, r, v)
        J += loss_sum
        total += slope_sum
        for j in range(len(numbers)):
            x, s = numbers[j, first:last], 0.0
            for i in range(k):
                s += r[i] * x[i]
            across[j] += s
        j = 0
        while j + 4 <= len(codes):  # and rows with the same code after one another wait for one another only once
            c0, c1, c2, c3 = (
                codes[j, first:last],
                codes[j + 1, first:last],
                codes[j + 2, first:last],
                codes[j + 3, first:last],
            )
            for i in range(k):
                back[c0[i]] += r[i]
                back[c1[i]] += r[i]
                back[c2[i]] += r[i]
                back[c3[i]] += r[i]
            j += 4
        while j < len(codes):
            c0 = codes[j, first:last]
            for i in range(k):
                back[c0[i]] += r[i]
            j += 1
    return J, total


def _forward(numbers: Any, codes: Any, slopes: Any, coef: Any, b: Any, first: Any, z: Any) -> None:
    """z = X coef + b of the rows from `first` on, for K classes: slopes (d, K), coef (n + 1, K), z (rows, K)."""
    for i in range(len(z)):
        for k in range(len(b)):
            z[i, k] = b[k]
        for j in range(len(numbers)):
            for k in range(len(b)):
                z[i, k] += numbers[j, first + i] * slopes[j, k]
        for j in range(len(codes)):
            for k in range(len(b)):
                z[i, k] += coef[codes[j, first + i], k]


def _backward(numbers: Any, codes: Any, first: Any, r: Any, across: Any, back: Any) -> None:
    """Add X^T r of these rows for K classes."""
    for i in range(len(r)):
        for j in range(len(numbers)):
            for k in range(r.shape[1]):
                across[j, k] += numbers[j, first + i] * r[i, k]
        for j in range(len(codes)):
            for k in range(r.shape[1]):
                back[codes[j, first + i], k] += r[i, k]


def _weights(codes: Any, weight: Any, total: Any, count: Any, begin: Any, end: Any) -> None:
    """Add the weights, and the number, of the rows of each code."""
    for j in range(len(codes)):
        for i in range(begin, end):
            total[codes[j, i]] += weight[i] if len(weight) else 1.0
            count[codes[j, i]] += 1.0


def _gram(numbers: Any, places: Any, codes: Any, c: Any, G: Any, pull: Any, begin: Any, end: Any) -> None:
    """Add sum_i c_i x_i x_i^T to `G` (n + 1, n + 1), of each pair of columns one entry, and sum_i c_i x_i to `pull`."""
    d, k = len(numbers), len(codes)
    for i in range(begin, end):
        for j in range(d):
            a = c[i] * numbers[j, i]
            pull[places[j]] += a
            for q in range(j + 1):
                G[places[j], places[q]] += a * numbers[q, i]
            for q in range(k):
                G[places[j], codes[q, i]] += a
        for j in range(k):
            pull[codes[j, i]] += c[i]
            for q in range(j + 1):
                G[codes[j, i], codes[q, i]] += c[i]


by_codes, forward, backward, weights = Kernel(_by_codes), Kernel(_forward), Kernel(_backward), Kernel(_weights)
gram = Kernel(_gram)
