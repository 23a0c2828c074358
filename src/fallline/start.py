"""The initial theta: zeros, with the intercept at the best constant; or what the user gives; or an earlier result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import SettingError
from fallline.losses._base import Loss
from fallline.rows._base import Rows
from fallline.rows.plain_arrays import as_numbers
from fallline.scaling import NO_SPREAD, Scaling

Array = NDArray[np.floating]

MOST_POLISHING, POLISHED = 30, 1e-12  # Newton's steps, and their size, relative, at which they end
AT_ONCE = 1 << 16  # targets whose losses stay near the processor
MOST_DIFFERENT = 10_000  # targets that are counted one by one
MOST_STEP = 2.0  # of one of them on a link's own scale: far from the optimum the curvature says little


def best_constant(loss: Loss, rows: Rows, classes: int = 1) -> Any:
    """The best constant prediction on the link scale: what the intercept starts at, and the baseline.

    A class that none of the rows has (its rows are all held out, or come later) is as rare as the rarest that they have.
    """
    constant = _best_constant(loss, rows)
    if classes > 1 and len(constant) < classes:
        return np.pad(constant, (0, classes - len(constant)), constant_values=float(np.min(constant)))
    return constant


def _best_constant(loss: Loss, rows: Rows) -> Any:
    y, weight, offset = next(iter(rows.sides()))
    if len(y) < rows.m and (offset is None or loss.task == "classes"):
        few = _different(rows)
        if few is not None:  # classes and counts: each value once, with the weight of its rows
            return loss.start(*few, None)
    guess = loss.start(y, np.broadcast_to(1.0, len(y)) if weight is None else weight, offset)
    return guess if len(y) == rows.m else _polished(loss, rows, guess)


def constant_loss(loss: Loss, rows: Rows, constant: Any) -> float:
    """The mean loss of the best constant prediction; X has no part in it."""
    total = 0.0
    for sides in rows.sides():
        for first in range(0, len(sides[0]), AT_ONCE):
            y, weight, offset = (None if side is None else side[first : first + AT_ONCE] for side in sides)
            assert y is not None
            values = loss.value(y, _constant(constant, len(y), offset))
            total += float(values.sum() if weight is None else weight @ values)
    return total / rows.total_weight


def _different(rows: Rows) -> tuple[Array, Array] | None:
    """The different targets and the weight of each; None where they are many."""
    found: dict[float, float] = {}
    for y, weight, _ in rows.sides():
        values, place = np.unique(y, return_inverse=True)
        if len(values) + len(found) > 2 * MOST_DIFFERENT:
            return None
        heavy = np.bincount(place, weights=weight)
        for value, its in zip(values.tolist(), heavy.tolist(), strict=True):
            found[value] = found.get(value, 0.0) + its
    values = np.array(sorted(found))
    return values, np.array([found[value] for value in values.tolist()])


def _polished(loss: Loss, rows: Rows, guess: Any) -> Any:
    """Newton's steps from the constant of some of the rows to that of all; they are a sample, so it is near."""
    z = np.asarray(guess, dtype=np.float64)
    for _ in range(MOST_POLISHING if loss.smooth else 0):
        slope, curvature = np.zeros(z.size), np.zeros((z.size, z.size))
        for y, weight, offset in rows.sides():
            at, w = _constant(z, len(y), offset), np.ones(len(y)) if weight is None else weight
            slope += np.atleast_1d(w @ loss.slope(y, at))
            curvature += np.tensordot(w, loss.curvature(y, at), axes=1)
        step = np.linalg.lstsq(curvature, slope, rcond=1e-12)[0].reshape(z.shape)
        if loss.link != "identity":
            step = np.clip(step, -MOST_STEP, MOST_STEP)
        z = z - step
        if np.abs(step).max() <= POLISHED * (1.0 + np.abs(z).max()):
            break
    return z if z.ndim else float(z)


def _constant(constant: Any, m: int, offset: Array | None) -> Array:
    """The constant as the predictions of m rows, offsets added."""
    z = np.broadcast_to(np.asarray(constant, dtype=np.float64), (m, *np.shape(constant)))
    return np.ascontiguousarray(z if offset is None else z + (offset if z.ndim == 1 else offset[:, None]))


def initial_theta(start: Any, constant: Any, scaling: Scaling, classes: int) -> Array:
    """theta in the coordinates of training. `start`: None, an array like ``Result.theta``, or a Result."""
    n = len(scaling.scale)
    shape = (n, classes) if classes > 1 else (n,)
    if start is None:
        w = np.zeros(shape)
        return np.concatenate([w, np.asarray(constant, dtype=np.float64)[None]]) if scaling.intercept else w
    values = getattr(start, "theta", start)
    given = np.asarray(as_numbers(values, "start", SettingError), dtype=np.float64)
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
