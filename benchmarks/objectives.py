"""J(w, b), computed by the harness itself with NumPy: no solver is asked how good it is.

J = (1/m) sum_i phi(y_i, x_i . w + b + offset_i) + l1 |w|_1 + (l2/2) |w|_2^2
"""

from __future__ import annotations

from typing import Any

import numpy as np
from problem import Problem
from scipy.special import xlogy


def costs(p: Problem, z: Any) -> Any:
    """phi of each row."""
    if p.loss == "squared":
        return (z - p.y) ** 2 / 2.0
    if p.loss == "logistic":  # log(1 + e^z) - y z; nothing overflows, and confident rows keep their digits
        return np.log1p(np.exp(-np.abs(z))) + np.where(p.y > 0.5, np.maximum(-z, 0.0), np.maximum(z, 0.0))
    if p.loss == "poisson":  # half the unit deviance, zero at mu = y
        with np.errstate(over="ignore"):
            return np.exp(z) - p.y * z + (xlogy(p.y, p.y) - p.y)
    if p.loss == "huber":
        r = np.abs(z - p.y)
        near = np.minimum(r, p.delta)
        return near * (r - near / 2.0)
    if p.loss == "softmax":
        z = z - z.max(axis=1, keepdims=True)
        return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), p.y.astype(np.intp)]
    raise ValueError(p.loss)


def slopes(p: Problem, z: Any) -> Any:
    """phi' of each row, for the losses that SciPy's minimisers are given."""
    if p.loss == "huber":
        return np.clip(z - p.y, -p.delta, p.delta)
    if p.loss == "squared":
        return z - p.y
    raise ValueError(p.loss)


def value(p: Problem, w: Any, b: Any) -> float:
    """J; the rows are added with more digits than they have."""
    w = np.asarray(w, dtype=np.float64)
    z = p.X @ w + b
    if p.offset is not None:
        z = z + p.offset
    mean = float(np.sum(costs(p, z), dtype=np.longdouble) / p.m)
    return mean + p.l1 * float(np.abs(w).sum()) + p.l2 / 2.0 * float((w * w).sum())
