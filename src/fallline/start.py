"""The initial theta: zeros, with the intercept at the best constant; or what the user gives; or an earlier result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import SettingError
from fallline.losses._base import Loss
from fallline.rows.arrays import ArrayRows
from fallline.scaling import NO_SPREAD, Scaling

Array = NDArray[np.floating]


def best_constant(loss: Loss, rows: ArrayRows) -> Any:
    """The best constant prediction on the link scale: what the intercept starts at, and the baseline."""
    weight = np.ones(rows.m) if rows.weight is None else rows.weight
    return loss.start(rows.y, weight, rows.offset)


def constant_loss(loss: Loss, rows: ArrayRows, constant: Any) -> float:
    """The mean loss of the best constant prediction; X has no part in it."""
    z = np.broadcast_to(np.asarray(constant, dtype=np.float64), (rows.m, *np.shape(constant)))
    if rows.offset is not None:
        z = z + (rows.offset if z.ndim == 1 else rows.offset[:, None])
    weight = np.ones(rows.m) if rows.weight is None else rows.weight
    return float(weight @ loss.value(rows.y, np.ascontiguousarray(z))) / rows.total_weight


def initial_theta(start: Any, constant: Any, scaling: Scaling, classes: int) -> Array:
    """theta in the coordinates of training. `start`: None, an array like ``Result.theta``, or a Result."""
    n = len(scaling.scale)
    shape = (n, classes) if classes > 1 else (n,)
    if start is None:
        w = np.zeros(shape)
        return np.concatenate([w, np.asarray(constant, dtype=np.float64)[None]]) if scaling.intercept else w
    given = np.asarray(getattr(start, "theta", start), dtype=np.float64)
    wanted = (n + 1, *shape[1:]) if scaling.intercept else shape
    if given.shape != wanted:
        raise SettingError(
            f"start: got an array of shape {given.shape}; this model needs {wanted} (the coefficients"
            f"{', then the intercept' if scaling.intercept else ''})."
        )
    if not np.isfinite(given).all():
        raise SettingError("start: it holds values that are not finite.")
    coef, b = scaling.split(given)
    theta = scaling.inward(coef, b)
    theta[: len(scaling.scale)][scaling.scale >= NO_SPREAD] = 0.0  # its share is in the intercept
    return theta
