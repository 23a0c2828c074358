"""Dual ascent over CSR rows: for each row in turn the step that is best for it, given what all others did (ascent.py).

A row with prediction z and slope r has a new prediction u with  u + q phi'(y, u) = z + q r,  where q is how far its own
prediction moves when its slope changes by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.kernels.compile import Kernel
from fallline.kernels.twins import slope

MOST, CLOSE = 100, 1e-13  # steps towards a root, and how close is close enough (relative)
FARTHEST = 1e18  # that a prediction is moved at once
NEARLY = 1e-9  # the same for the sum of the omegas: the step after that is right to the last digit
LARGE = 1.5  # from here on v - log v is near omega(v)


def _numbers(
    loss: Any, data: Any, indices: Any, indptr: Any, y: Any, weight: Any, offset: Any, order: Any, share: Any, per: Any,
    own: Any, free: Any, u: Any, r: Any, unrest: Any, coef: Any, b: Any,
) -> Any:  # fmt: skip
    """Go through the rows `order`; u, r, unrest and `coef` are changed in place; return the intercept.

    `own` is q of each row, `share` is weight / (ridge total weight), `free` the same for the intercept, without its
    weight; `per` is 1 / scale^2 of each column.
    """
    for i in order:
        z = b + (offset[i] if len(offset) else 0.0)
        for p in range(indptr[i], indptr[i + 1]):
            z += data[p] * coef[indices[p]]
        q = own[i]
        aim = z + q * r[i]
        # miss(at) = at + q phi'(at) - aim grows with at. Where the slope grows like e^z the root lies far less than miss(z)
        # from z, so it is looked for in steps that double.
        other, at, miss = z, z, z + q * slope(loss, y[i], z) - aim
        beyond, reach = miss, min(abs(miss), 1.0)
        while miss != 0.0 and (miss > 0.0) == (beyond > 0.0) and reach < FARTHEST:
            other, beyond = at, miss
            at = at - reach if miss > 0.0 else at + reach
            miss, reach = at + q * slope(loss, y[i], at) - aim, 2.0 * reach
        for k in range(MOST):  # the secant within a bracket (Illinois), every third time its middle
            if abs(miss) <= CLOSE * (abs(at) + abs(aim)) < np.inf or abs(at - other) <= CLOSE * abs(at):
                break
            new = at - miss * (at - other) / (miss - beyond)
            if k % 3 == 2 or not (min(at, other) < new < max(at, other)):
                new = 0.5 * (at + other)
            now = new + q * slope(loss, y[i], new) - aim
            if (now > 0.0) == (miss > 0.0):
                beyond *= 0.5
            else:
                other, beyond = at, miss
            at, miss = new, now
        change = slope(loss, y[i], at) - r[i]
        u[i], r[i], unrest[i] = at, r[i] + change, q * change * change
        b -= free * (weight[i] if len(weight) else 1.0) * change
        a = share[i] * change
        for p in range(indptr[i], indptr[i + 1]):
            coef[indices[p]] -= a * data[p] * per[indices[p]]
    return b


def _classes(
    data: Any, indices: Any, indptr: Any, weight: Any, offset: Any, order: Any, share: Any, per: Any, own: Any, free: Any,
    u: Any, r: Any, hot: Any, unrest: Any, coef: Any, b: Any,
) -> None:  # fmt: skip
    """The same for softmax, where u, r and `coef` have K columns, and `hot` (m,) is the class of each row.

    With p = softmax(u) and s = log sum_k e^(u_k), each q p_k is omega(log q + aim_k - s), aim = z + q p_before and
    omega(v) + log omega(v) = v (Wright's function): so the one number s has to be found, at which the p sum to one.
    """
    K = coef.shape[1]
    z, aim, w = np.empty(K), np.empty(K), np.empty(K)
    for i in order:
        for k in range(K):
            z[k] = b[k] + (offset[i] if len(offset) else 0.0)
        for p in range(indptr[i], indptr[i + 1]):
            x, j = data[p], indices[p]
            for k in range(K):
                z[k] += x * coef[j, k]
        q, top, s = own[i], -np.inf, 0.0
        for k in range(K):
            aim[k] = z[k] + q * (r[i, k] + (1.0 if k == hot[i] else 0.0))
            top = max(top, z[k])
        for k in range(K):
            s += np.exp(z[k] - top)
        s = top + np.log(s)
        log_q, total = np.log(q), q
        for _ in range(MOST):  # Newton's method for s: the sum of the omegas is convex in it, and falls
            total, fall = 0.0, 0.0
            for k in range(K):
                v = log_q + aim[k] - s
                x = v - np.log(v) if v > LARGE else np.exp(v) / (1.0 + np.exp(v))
                for _ in range(MOST):
                    new = x * (1.0 + v - np.log(x)) / (1.0 + x) if x > 0.0 else 0.0
                    done = abs(new - x) <= CLOSE * new
                    x = new
                    if done:
                        break
                w[k] = x
                total += x
                fall += x / (1.0 + x)
            s += (total - q) / fall
            if abs(total - q) <= NEARLY * q:
                break
        square = 0.0
        for k in range(K):
            change = w[k] / total - (1.0 if k == hot[i] else 0.0) - r[i, k]
            r[i, k] += change
            u[i, k] = aim[k] - q * (w[k] / total)
            square += change * change
            w[k] = change
        unrest[i] = q * square
        heavy = weight[i] if len(weight) else 1.0
        for k in range(K):
            b[k] -= free * heavy * w[k]
            w[k] *= share[i]
        for p in range(indptr[i], indptr[i + 1]):
            x, j = data[p], indices[p]
            a = x * per[j]
            for k in range(K):
                coef[j, k] -= a * w[k]


numbers, by_classes = Kernel(_numbers), Kernel(_classes)
