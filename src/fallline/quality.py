"""How good the model is on rows that it was not trained on, beside the best constant."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.objective import ModelObjective
from fallline.rows._base import Rows

Array = NDArray[np.floating]

MOST_CLASSES = 1000  # targets of a piece of the rows that are counted: more are no classes


def check_quality(objective: ModelObjective, held: Rows, theta: Array, constant: Any) -> dict[str, float]:
    """Mean loss and the constant's loss on the check rows, and the measure that people know for the loss.

    ``r2`` for an identity link, ``accuracy`` beside ``majority`` (the share of the commonest class) for classes, and
    for the rest ``deviance_explained`` = 1 - loss / baseline_loss. The constant is the training rows' (not refitted
    here). ``gain_error`` is the standard error of baseline_loss - loss.
    """
    loss = objective.loss
    total, y_mean, shares = _targets(held)
    sums = np.zeros(5)  # of loss, of the constant's loss, of rows guessed right, of squared misses, of squared gains
    for batch in held.blocks():
        z = objective.forward(theta, batch)
        flat = np.broadcast_to(np.asarray(constant, dtype=np.float64), z.shape)
        if batch.offset is not None:
            flat = flat + (batch.offset if z.ndim == 1 else batch.offset[:, None])
        weight = np.ones(len(batch.y)) if batch.weight is None else batch.weight
        guess = z.argmax(axis=1) if z.ndim == 2 else (z > 0.0).astype(float)
        missed = (batch.y - loss.mean(z)) ** 2 if loss.link == "identity" and z.ndim == 1 else np.zeros(len(batch.y))
        own, base = loss.value(batch.y, z), loss.value(batch.y, flat)
        columns = (own, base, guess == batch.y, missed, (base - own) ** 2)
        sums += [float(weight @ column) for column in columns]
    mean, base, right, missed_square, gained_square = sums / total
    error = math.sqrt(max(gained_square - (base - mean) ** 2, 0.0) / held.m)
    quality = {"rows": float(held.m), "loss": float(mean), "baseline_loss": float(base), "gain_error": error}
    if loss.task != "number" and set(shares) <= set(range(theta.shape[1] if theta.ndim == 2 else 2)):
        quality |= {"accuracy": float(right), "majority": max(shares.values()) / total}
    elif loss.link == "identity":
        spread = sum(_heavy((y - y_mean) ** 2, w) for y, w, _ in held.sides()) / total
        if spread > 0.0:  # of one row, or of equal targets, nothing can be explained
            quality["r2"] = float(1.0 - missed_square / spread)
    else:
        quality["deviance_explained"] = float(1.0 - mean / base) if base > 0.0 else float("nan")
    return quality


def _targets(held: Rows) -> tuple[float, float, dict[float, float]]:
    """The sum of the weights, the mean target, and the weight of each target where there are few (else of the first)."""
    total, y_sum, shares = 0.0, 0.0, dict[float, float]()
    for y, weight, _ in held.sides():
        total += len(y) if weight is None else float(weight.sum())
        y_sum += _heavy(y, weight)
        for value in np.unique(y)[:MOST_CLASSES]:
            shares[float(value)] = shares.get(float(value), 0.0) + _heavy((y == value).astype(float), weight)
    return total, y_sum / total, shares


def _heavy(values: Array, weight: Array | None) -> float:
    return float(values.sum() if weight is None else weight @ values)
