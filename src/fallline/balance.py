"""Predictions moved alike, so that the slopes of the rows sum to zero: what the intercept that is best for them does.

Such slopes are a point of the dual problem, from which bounds on J* follow (duality.py, ascent.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fallline.objective import ModelObjective
from fallline.rows._base import Array, Batch, Rows

TRIES = 12  # steps towards the best shift
BALANCED = 1e-13  # of the mean |slope|: what rounding leaves of their sum
ROUNDED = 1e-15  # of a prediction: what rounding does to it, and by the curvature to its slope
ASKED = 20_000_000  # numbers in the curvatures of the rows that are asked: K x K for each of them


def best_shift(
    objective: ModelObjective, rows: Rows, predicted: Callable[[Batch], Array], classes: int
) -> Array | None:
    """The number (or K numbers) to add to all predictions for the least loss; None where it is not found at once.

    By Newton's method, whose curvature may be that of some of the rows: its steps need not be exact, only where they end.
    """
    shift, before = np.zeros(classes), np.inf
    every = 1 + rows.m * classes**2 // ASKED

    def moved(batch: Batch) -> Array:
        z = predicted(batch)
        return z + (shift if z.ndim == 2 else shift[0])

    def slopes(batch: Batch) -> tuple[Array, float]:
        z = moved(batch)
        r = objective.weighted(objective.loss.slope(batch.y, z), batch)
        noise = objective.weighted(objective.loss.own_curvature(batch.y, z) * np.abs(z), batch)
        left = BALANCED * float(np.abs(r).sum()) + ROUNDED * float(noise.sum())
        return np.atleast_1d(r.sum(axis=0)) * batch.share, left * batch.share

    def curvature(batch: Batch) -> Array:
        z, weight = moved(batch)[::every], None if batch.weight is None else batch.weight[::every]
        some = batch._replace(y=batch.y[::every], weight=weight)
        c = objective.weighted(objective.loss.curvature(some.y, z), some)
        return np.atleast_2d(c.sum(axis=0) * batch.share)

    for _ in range(TRIES):
        pull, left = rows.sum(slopes, width=classes)
        off = float(np.abs(pull).max())
        if off <= left:
            return shift
        if not off < before:
            return None
        before = off
        C = every * rows.sum(curvature, width=classes * classes)
        if not np.isfinite(C).all():
            return None
        shift = shift - np.linalg.pinv(C, hermitian=True) @ pull
    return None
