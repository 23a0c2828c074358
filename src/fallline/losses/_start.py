"""The best constant where there is no formula for it: a few safeguarded Newton steps in one dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fallline.losses._base import Array, Loss

STEPS = 100
LONGEST = 2.0  # a step on the link scale: keeps exponentials in range


def newton_start(loss: Loss, y: Array, weight: Array, offset: Array | None, guess: float, unit: float = 1.0) -> float:
    """The constant b that minimises sum weight phi(y, b + offset), from `guess`; steps are at most 2 units long."""
    shift = np.zeros_like(weight) if offset is None else offset
    b, total = guess, float(weight.sum())
    low, high = -np.inf, np.inf
    for _ in range(STEPS):
        z = b + shift
        slope = float(weight @ loss.slope(y, z)) / total
        curvature = float(weight @ loss.curvature(y, z)) / total
        low, high = (b, high) if slope < 0.0 else (low, b)
        step = -slope / curvature if curvature > 0.0 else -np.sign(slope) * LONGEST * unit
        new = b + float(np.clip(step, -LONGEST * unit, LONGEST * unit))
        if not low < new < high:  # outside of what the signs allow: halve the bracket instead
            new = (low + high) / 2.0 if np.isfinite(low + high) else b - float(np.sign(slope)) * LONGEST * unit
        if abs(new - b) <= 1e-14 * (abs(b) + unit) or slope == 0.0:
            return new if slope else b
        b = new
    return b
