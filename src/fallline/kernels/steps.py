"""Many mini-batch steps in one call: the lines of the loop between two records, compiled.

The twin of what train.py does with a mini-batch: predictions, slopes, gradient, move. Rows are read where they lie.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.kernels.advance import advance, copied
from fallline.kernels.compile import Kernel
from fallline.kernels.prefetch import prefetch
from fallline.kernels.twins import slope

AHEAD = 8  # rows between asking for one and using it


def _steps(
    loss: Any, rule: Any, X: Any, y: Any, weight: Any, offset: Any, inverse: Any, shift: Any, intercept: Any,
    order: Any, batch_size: Any, rates: Any, share: Any, theta: Any, state: Any,
    l1: Any, l2: Any, low: Any, high: Any, corners: Any,
) -> Any:  # fmt: skip
    """One step for each entry of `rates`, on rows order[0:batch_size], order[batch_size:2 batch_size], ...

    `share` is rows / total weight. The penalty is l1 |w| + l2 / 2 w^2 within low <= w <= high, entry by entry of theta;
    `corners` says whether any of it but l2 is there. `inverse` is 1 / scale of the columns. Return (theta, state).
    """
    n = X.shape[1]
    theta, state = theta.copy(), copied(rule, state)
    x, coef, back, g = np.empty(n), np.empty(n), np.empty(n), np.empty(len(theta))
    as_is, ridge = not np.any(shift) and np.all(inverse == 1.0), np.any(l2)  # what would change nothing is left out
    r = np.empty(batch_size)
    for step in range(len(rates)):
        lr = rates[step]
        if batch_size == 1:  # the same for one row, with nothing to add up in between
            i = order[step]
            if step + AHEAD < len(order):
                prefetch(X, order[step + AHEAD])
                prefetch(y, order[step + AHEAD])
            z = 0.0
            if as_is:
                for j in range(n):
                    z += X[i, j] * theta[j]
            else:
                for j in range(n):
                    x[j] = (X[i, j] - shift[j]) * inverse[j]
                    z += x[j] * theta[j]
            if intercept:
                z += theta[n]
            if len(offset):
                z += offset[i]
            total = slope(loss, y[i], z) * share
            if len(weight):
                total *= weight[i]
            if as_is:
                for j in range(n):
                    g[j] = total * X[i, j]
            else:
                for j in range(n):
                    g[j] = total * x[j]
            if intercept:
                g[n] = total
        else:
            chosen = order[step * batch_size : (step + 1) * batch_size]
            part = share / len(chosen)
            b = theta[n] if intercept else 0.0
            for j in range(n):
                coef[j] = theta[j] * inverse[j]
                b -= shift[j] * coef[j]
                back[j] = 0.0
            total = 0.0
            for i in range(len(chosen)):  # forward: predictions; and their slopes
                i0 = chosen[i]
                ahead = step * batch_size + i + AHEAD
                if ahead < len(order):
                    prefetch(X, order[ahead])
                    prefetch(y, order[ahead])
                z = 0.0
                for j in range(n):
                    z += X[i0, j] * coef[j]
                z += b
                if len(offset):
                    z += offset[i0]
                r[i] = slope(loss, y[i0], z) * part
                if len(weight):
                    r[i] *= weight[i0]
                total += r[i]
            i = 0
            while i + 4 <= len(chosen):  # backward: gradient, of four rows at once
                i0, i1, i2, i3 = chosen[i], chosen[i + 1], chosen[i + 2], chosen[i + 3]
                a0, a1, a2, a3 = r[i], r[i + 1], r[i + 2], r[i + 3]
                for j in range(n):
                    back[j] += a0 * X[i0, j] + a1 * X[i1, j] + a2 * X[i2, j] + a3 * X[i3, j]
                i += 4
            while i < len(chosen):
                i0, a0 = chosen[i], r[i]
                for j in range(n):
                    back[j] += a0 * X[i0, j]
                i += 1
            for j in range(n):
                g[j] = (back[j] - shift[j] * total) * inverse[j]
            if intercept:
                g[n] = total
        if ridge:
            for j in range(n):
                g[j] += l2[j] * theta[j]
        if corners:
            for j in range(len(theta)):
                v = theta[j] - lr * g[j]
                v = np.sign(v) * max(abs(v) - lr * l1[j], 0.0)
                g[j] = (theta[j] - min(max(v, low[j]), high[j])) / lr
        state = advance(rule, g, state, lr, theta)  # update theta
        if corners:
            for j in range(len(theta)):
                theta[j] = min(max(theta[j], low[j]), high[j])
    return theta, state


steps = Kernel(_steps)
