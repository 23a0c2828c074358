"""The best constant: the formulas that losses share, and Newton steps in one dimension where there is no formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fallline.losses._base import Array, Loss

STEPS = 200  # of which about 50 halve a bracket to the last digit
LONGEST = 2.0  # units of the first step; doubled until the optimum is bracketed: keeps exponentials in range


def average(values: Array, weight: Array) -> float:
    """The weighted mean; `weight` may be one number, broadcast, which then needs no sum of its own."""
    return float(values.mean() if weight.strides == (0,) else np.average(values, weights=weight))


def newton_start(loss: Loss, y: Array, weight: Array, offset: Array | None, guess: float, unit: float = 1.0) -> float:
    """The constant b that minimises sum weight phi(y, b + offset), from `guess`, for slopes that stay finite.

    `unit` is the width of the loss's bend on the scale of z: the first step is at most 2 units long.
    """
    weight = np.ascontiguousarray(weight)
    shift = np.zeros_like(weight) if offset is None else offset
    b, total, longest = guess, float(weight.sum()), LONGEST * unit
    low, high = -np.inf, np.inf
    for _ in range(STEPS):
        z = b + shift
        slope = float(weight @ loss.slope(y, z)) / total
        curvature = float(weight @ loss.curvature(y, z)) / total
        if slope == 0.0:
            return b
        low, high = (b, high) if slope < 0.0 else (low, b)
        step = -slope / curvature if curvature > 0.0 else -float(np.sign(slope)) * longest
        new = b + float(np.clip(step, -longest, longest))
        if not low < new < high:  # outside of what the signs allow: halve the bracket instead
            new = (low + high) / 2.0 if np.isfinite(low + high) else b - float(np.sign(slope)) * longest
        if abs(new - b) <= 1e-14 * (abs(b) + unit):
            return new
        if not np.isfinite(low + high):
            longest *= 2.0
        b = new
    return b


def weighted_quantile(y: Array, weight: Array, tau: float) -> float:
    """The least y below or at which a share `tau` of the weight lies."""
    order = np.argsort(y, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    return float(y[order][min(int(np.searchsorted(reached, tau)), len(y) - 1)])


def log_sum(weight: Array, t: Array) -> float:
    """Log sum weight e^t, also where e^t itself is too large or too small for a float."""
    weight = np.ascontiguousarray(weight)
    top = float(t[weight > 0.0].max())
    return top + float(np.log(weight @ np.exp(np.minimum(t - top, 0.0))))
