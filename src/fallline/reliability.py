"""Whether predicted probabilities come true: of rows told 0.8, eight of ten should be.

    bin k holds the predictions p in [k / 10, (k + 1) / 10);   error = sum_k rows_k / rows |mean p - share that came true|

The expected calibration error of Naeini, Cooper and Hauskrecht (2015), on rows that were not trained on. Of several
classes, every class of every row is one prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fallline.objective import ModelObjective
from fallline.rows._base import Array, Rows

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Of each bin: the mean prediction, the share that came true (NaN where the bin is empty), the weight of its rows."""

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def error(self) -> float:
        """How far predictions are from what came true, on average: a number between 0 and 1."""
        full = self.weight > 0.0
        off = np.abs(self.predicted - self.observed)[full]
        return float(self.weight[full] @ off / self.weight.sum())

    def __str__(self) -> str:
        return f"predicted probabilities are off by {100 * self.error:.1f} points on average"


def reliability_of(objective: ModelObjective, held: Rows, theta: Array) -> Reliability | None:
    """Measured on the check rows; None for losses that have no probabilities, and for targets that are shares."""
    loss, sums = objective.loss, np.zeros((3, BINS))
    if loss.link not in ("logit", "softmax"):
        return None
    for batch in held.blocks():
        mu = loss.mean(objective.forward(theta, batch))
        classes = mu.shape[1] if mu.ndim == 2 else 1
        if np.any(batch.y != np.floor(batch.y)):
            return None
        came = batch.y[:, None] == np.arange(classes) if mu.ndim == 2 else batch.y == 1.0
        weight = np.ones(len(batch.y)) if batch.weight is None else batch.weight
        heavy, p = np.repeat(weight, classes), mu.ravel()
        place = np.clip((p * BINS).astype(np.intp), 0, BINS - 1)
        for row, values in enumerate((heavy * p, heavy * came.ravel(), heavy)):
            sums[row] += np.bincount(place, weights=values, minlength=BINS)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Reliability(sums[0] / sums[2], sums[1] / sums[2], sums[2])
