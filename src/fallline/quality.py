"""How good the model is on rows that it was not trained on, beside the best constant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.objective import ModelObjective
from fallline.rows.arrays import ArrayRows

Array = NDArray[np.floating]


def check_quality(objective: ModelObjective, held: ArrayRows, theta: Array, constant: Any) -> dict[str, float]:
    """Mean loss and the constant's loss on the check rows, and the measure that people know for the loss.

    ``r2`` for an identity link, ``accuracy`` beside ``majority`` (the share of the commonest class) for classes, and
    for the rest ``deviance_explained`` = 1 - loss / baseline_loss. The constant is the training rows' (not refitted
    here).
    """
    parts = [_look(objective, batch, theta, constant) for batch in held.blocks()]
    y, z, flat, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    loss = objective.loss
    quality = {
        "rows": float(held.m),
        "loss": float(np.average(loss.value(y, z), weights=weight)),
        "baseline_loss": float(np.average(loss.value(y, flat), weights=weight)),
    }
    if loss.task != "number" and np.isin(y, np.arange(max(2, z.shape[-1] if z.ndim == 2 else 2))).all():
        guess = z.argmax(axis=1) if z.ndim == 2 else (z > 0.0).astype(float)
        shares = np.array([np.average(y == k, weights=weight) for k in np.unique(y)])
        quality |= {"accuracy": float(np.average(guess == y, weights=weight)), "majority": float(shares.max())}
    elif loss.link == "identity":
        spread = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)
        missed = np.average((y - loss.mean(z)) ** 2, weights=weight)
        if spread > 0.0:  # of one row, or of equal targets, nothing can be explained
            quality["r2"] = float(1.0 - missed / spread)
    else:
        base = quality["baseline_loss"]
        quality["deviance_explained"] = 1.0 - quality["loss"] / base if base > 0.0 else float("nan")
    return quality


def _look(objective: ModelObjective, batch: Any, theta: Array, constant: Any) -> tuple[Array, Array, Array, Array]:
    z = objective.forward(theta, batch)
    flat = np.broadcast_to(np.asarray(constant, dtype=np.float64), z.shape)
    if batch.offset is not None:
        flat = flat + (batch.offset if z.ndim == 1 else batch.offset[:, None])
    return batch.y, z, flat, np.ones(len(batch.y)) if batch.weight is None else batch.weight
